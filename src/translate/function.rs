//! Functions: those of PostgreSQL that DuckDB can be made to compute with the same result.
//!
//! Invariant: a function that isn't listed here, or is called with types that aren't, is refused by name. A function of the
//! catalog (CREATE FUNCTION) is never run.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node};

use super::Taken;
use super::cast::{Context, convert};
use super::expression::{Site, integer_constant, words};
use super::pattern::{self, Use};
use super::reader::Reader;
use super::typed::{Family, Typed, base, family, is_integer, physical};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;

/// Aggregates known here.
const AGGREGATES: &[&str] =
    &["count", "sum", "min", "max", "avg", "bool_and", "bool_or", "every", "string_agg", "array_agg"];

/// Aggregates that aren't, so that a query with one is still seen to be grouped.
const OTHER_AGGREGATES: &[&str] = &[
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "bit_and",
    "bit_or",
    "stddev",
    "variance",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "var_pop",
    "var_samp",
    "stddev_pop",
    "stddev_samp",
    "corr",
    "xmlagg",
];

const WINDOW_FUNCTIONS: &[&str] = &[
    "row_number",
    "rank",
    "dense_rank",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "ntile",
    "nth_value",
    "percent_rank",
    "cume_dist",
];

/// Is this a call of an aggregate, not used as a window function?
pub(super) fn is_aggregate(call: &FuncCall) -> bool {
    let name = words(&call.funcname).last().copied().unwrap_or_default();
    call.over.is_none() && (AGGREGATES.contains(&name) || OTHER_AGGREGATES.contains(&name))
}

impl Reader<'_> {
    /// Reads a call.
    pub(super) fn call(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let path = words(&call.funcname);
        let name = path.last().copied().unwrap_or_default().to_owned();
        let named_schema = path.len() > 1 && path[0] != "pg_catalog";
        if named_schema || self.catalog().functions.iter().any(|f| f.name == name && !is_builtin(&name)) {
            return self.own_function(&path.join("."));
        }
        if call.over.is_some() {
            return self.window_call(&name, call, site);
        }
        if is_aggregate(call) {
            if !site.aggregates {
                return Err(Problem::rejected(
                    "42803",
                    format!("aggregate functions are not allowed in {}", site.clause),
                ));
            }
            return self.aggregate(&name, call, site.ungrouped());
        }
        if WINDOW_FUNCTIONS.contains(&name.as_str()) {
            return Err(Problem::rejected("42809", format!("window function {name} requires an OVER clause")));
        }
        if call.agg_distinct || call.agg_filter.is_some() || call.func_variadic {
            return Err(Problem::unsupported(format!("this form of the call of {name}()")));
        }
        if name.starts_with("jsonb_") || name.starts_with("json_") {
            return self.json_function(&name, call, site);
        }
        let args = call.args.iter().map(|arg| self.expression(arg, site)).collect::<Outcome<Vec<_>>>()?;
        self.function(&name, args)
    }

    fn own_function(&mut self, name: &str) -> Outcome<Typed> {
        let last = name.rsplit('.').next().unwrap_or(name);
        let known = self.catalog().functions.iter().any(|f| f.name == last);
        Err(match known {
            true => Problem::unsupported(format!("the function {name}(), which the database defines itself,")),
            false => Problem::unsupported(format!("the function {name}()")),
        })
    }

    /// An argument converted to text.
    fn text(&mut self, value: Typed, function: &str) -> Outcome<String> {
        match family(&value.ty) {
            Family::Text | Family::Unknown => {
                Ok(convert(value, &Type::Text, Context::Implicit, None, self.catalog())?.sql)
            }
            _ => Err(self.no_function(function, &[value])),
        }
    }

    fn integer(&mut self, value: Typed, function: &str) -> Outcome<String> {
        match &value.ty {
            Type::Unknown => Ok(convert(value, &Type::Int4, Context::Implicit, None, self.catalog())?.sql),
            ty if is_integer(ty) => Ok(value.sql),
            _ => Err(self.no_function(function, &[value])),
        }
    }

    fn no_function(&self, name: &str, args: &[Typed]) -> Problem {
        if args.iter().any(|arg| arg.ty == Type::Unknown) {
            // Which function a bare literal means is the server's choice among several.
            return Problem::unsupported(format!("{name}() of a literal whose type it leaves open"));
        }
        let types: Vec<String> = args.iter().map(|a| a.ty.name(self.catalog())).collect();
        Problem::rejected("42883", format!("function {name}({}) does not exist", types.join(", ")))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
    }

    fn function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let given: Vec<Typed> = args.iter().map(|arg| Typed::new("", arg.ty.clone())).collect();
        self.known_function(name, args).map_err(|problem| match problem {
            // Noticed at one argument, but the server names them all.
            Problem::Rejected(error) if error.sqlstate == "42883" && error.message.starts_with("function ") => {
                self.no_function(name, &given)
            }
            other => other,
        })
    }

    fn known_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        match (name, args.len()) {
            ("lower" | "upper" | "md5" | "reverse", 1) => {
                let text = self.text(args.into_iter().next().expect("one argument"), name)?;
                if name == "upper" {
                    // Which capital it has depends on the server's locale.
                    let refuse = super::typed::refuse("upper() of ß", &Type::Text);
                    return Ok(Typed::new(
                        format!("CASE WHEN contains({text}, 'ß') THEN {refuse} ELSE upper({text}) END"),
                        Type::Text,
                    ));
                }
                Ok(Typed::new(format!("{name}({text})"), Type::Text))
            }
            ("initcap", 1) => {
                let text = self.text(args.into_iter().next().expect("one argument"), name)?;
                Ok(Typed::new(format!("pg_initcap({text})"), Type::Text))
            }
            ("quote_literal" | "quote_ident" | "to_char" | "to_date" | "format" | "encode" | "decode", _) => {
                Err(Problem::unsupported(format!("the function {name}()")))
            }
            ("length" | "char_length" | "character_length", 1) => {
                let value = args.into_iter().next().expect("one argument");
                if matches!(value.ty, Type::Char(_) | Type::Bytea) {
                    return Err(Problem::unsupported(format!("{name}() of {}", value.ty.name(self.catalog()))));
                }
                let text = self.text(value, name)?;
                Ok(Typed::new(format!("CAST(length({text}) AS INTEGER)"), Type::Int4))
            }
            ("btrim" | "ltrim" | "rtrim", 1 | 2) => self.trim(name, args),
            ("concat", _) => self.concat(args),
            ("concat_ws", n) if n > 1 => self.concat_with_separator(args),
            ("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", 0) => {
                Ok(Typed::new(self.now(), Type::Timestamptz(None)))
            }
            ("gen_random_uuid" | "uuid_generate_v4", 0) => {
                self.volatile(&format!("{name}()"));
                Ok(Typed::new("uuid()", Type::Uuid))
            }
            ("random", 0) => {
                self.volatile("random()");
                Ok(Typed::new("random()", Type::Float8))
            }
            ("date_trunc", 2) => self.date_trunc(args),
            ("extract" | "date_part", 2) => self.extract(name, args),
            ("abs" | "ceil" | "ceiling" | "floor" | "round" | "sign" | "trunc" | "mod" | "power" | "sqrt", _) => {
                self.number_function(name, args)
            }
            ("regexp_replace" | "substring" | "substr" | "regexp_match" | "regexp_matches", _) => {
                self.part_of_text(name, args)
            }
            (
                "array_length" | "cardinality" | "array_append" | "array_to_string" | "string_to_array"
                | "array_position",
                _,
            ) => self.array_function(name, args),
            ("num_nulls" | "num_nonnulls", n) if n > 0 => {
                let word = if name == "num_nulls" { "IS NULL" } else { "IS NOT NULL" };
                let terms: Vec<String> = args.iter().map(|a| format!("CAST({} {word} AS INTEGER)", a.sql)).collect();
                Ok(Typed::new(format!("({})", terms.join(" + ")), Type::Int4))
            }
            ("to_timestamp", 1) => {
                let value = convert(
                    args.into_iter().next().expect("one argument"),
                    &Type::Float8,
                    Context::Implicit,
                    None,
                    self.catalog(),
                )?;
                Ok(Typed::new(
                    format!("make_timestamp(CAST(round_even({} * 1000000, 0) AS BIGINT))", value.sql),
                    Type::Timestamptz(None),
                ))
            }
            ("nextval", 1) => {
                self.volatile("numbers of a sequence");
                // How often it is called is up to the query around it.
                if let Some(sequence) = args[0].text().and_then(|name| self.catalog().sequence_by_text(name)) {
                    self.remarks.numbers.insert(sequence, Taken::Unknown);
                }
                Ok(Typed::new("(row_number() OVER ())", Type::Int8))
            }
            _ => self.text_function(name, args),
        }
    }

    /// Functions of text and positions that both engines compute alike.
    fn text_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        // t: text, i: integer
        let (signature, template, ty) = match (name, args.len()) {
            ("replace", 3) => ("ttt", "CASE WHEN {1} = '' THEN {0} ELSE replace({0}, {1}, {2}) END", Type::Text),
            ("strpos", 2) => ("tt", "CAST(strpos({0}, {1}) AS INTEGER)", Type::Int4),
            ("position", 2) => ("tt", "CAST(strpos({0}, {1}) AS INTEGER)", Type::Int4),
            ("starts_with", 2) => ("tt", "starts_with({0}, {1})", Type::Bool),
            ("left", 2) => ("ti", "left({0}, {1})", Type::Text),
            ("right", 2) => ("ti", "right({0}, {1})", Type::Text),
            ("repeat", 2) => ("ti", "repeat({0}, {1})", Type::Text),
            ("lpad", 3) => ("tit", "lpad({0}, {1}, {2})", Type::Text),
            ("rpad", 3) => ("tit", "rpad({0}, {1}, {2})", Type::Text),
            ("lpad", 2) => ("ti", "lpad({0}, {1}, ' ')", Type::Text),
            ("rpad", 2) => ("ti", "rpad({0}, {1}, ' ')", Type::Text),
            ("chr", 1) => ("i", "chr({0})", Type::Text),
            ("split_part", 3) => match integer_constant(&args[2]) {
                // Without a delimiter, the text is the one field.
                Some(1) => ("tti", "CASE WHEN {1} = '' THEN {0} ELSE split_part({0}, {1}, {2}) END", Type::Text),
                Some(at) if at > 1 => {
                    ("tti", "CASE WHEN {1} = '' THEN '' ELSE split_part({0}, {1}, {2}) END", Type::Text)
                }
                _ => return Err(Problem::unsupported("split_part() with a position that isn't a constant from 1")),
            },
            _ => return Err(self.unknown_function(name, &args)),
        };
        let mut sql = template.to_owned();
        for (index, (value, kind)) in args.into_iter().zip(signature.chars()).enumerate() {
            let argument = if kind == 't' { self.text(value, name)? } else { self.integer(value, name)? };
            sql = sql.replace(&format!("{{{index}}}"), &argument);
        }
        Ok(Typed::new(sql, ty))
    }

    fn unknown_function(&self, name: &str, args: &[Typed]) -> Problem {
        if is_builtin(name) {
            return self.no_function(name, args);
        }
        // What isn't known here may still exist on the server.
        Problem::unsupported(format!("the function {name}()"))
    }

    fn trim(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let word = if name == "btrim" { "trim" } else { name };
        let mut parts = Vec::new();
        for value in args {
            parts.push(self.text(value, name)?);
        }
        if parts.len() == 1 {
            parts.push("' '".to_owned());
        }
        Ok(Typed::new(format!("{word}({})", parts.join(", ")), Type::Text))
    }

    /// Any value's text form; NULL is skipped.
    fn any_text(&mut self, value: Typed) -> Outcome<String> {
        match (&value.ty, value.is_null()) {
            (_, true) => Ok("NULL".to_owned()),
            (Type::Bool, _) => Ok(format!("CASE WHEN {v} THEN 't' WHEN NOT {v} THEN 'f' END", v = value.sql)),
            _ => Ok(convert(value, &Type::Text, Context::Explicit, None, self.catalog())?.sql),
        }
    }

    fn concat(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let parts = args.into_iter().map(|a| self.any_text(a)).collect::<Outcome<Vec<_>>>()?;
        let parts: Vec<String> = parts.iter().map(|p| format!("coalesce({p}, '')")).collect();
        Ok(Typed::new(format!("({})", parts.join(" || ")), Type::Text))
    }

    fn concat_with_separator(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let mut args = args.into_iter();
        let separator = args.next().expect("two arguments or more");
        let separator = self.text(separator, "concat_ws")?;
        let parts = args.map(|a| self.any_text(a)).collect::<Outcome<Vec<_>>>()?;
        Ok(Typed::new(format!("concat_ws({separator}, {})", parts.join(", ")), Type::Text))
    }

    fn date_trunc(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let [unit, value] = args.as_slice() else { return Err(Problem::unsupported("date_trunc()")) };
        let units =
            ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year"];
        let Some(unit) = unit.text().map(str::to_lowercase).filter(|u| units.contains(&u.as_str())) else {
            return Err(Problem::unsupported("date_trunc() to this unit"));
        };
        let ty = match base(&value.ty) {
            Type::Timestamptz(_) => {
                self.needs_utc("date_trunc() of a time with time zone")?;
                Type::Timestamptz(None)
            }
            Type::Timestamp(_) => Type::Timestamp(None),
            Type::Date => {
                self.needs_utc("date_trunc() of a date")?;
                Type::Timestamptz(None)
            }
            _ => return Err(self.no_function("date_trunc", &args)),
        };
        Ok(Typed::new(format!("CAST(date_trunc('{unit}', {}) AS TIMESTAMP)", value.sql), ty))
    }

    fn extract(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let [unit, value] = args.as_slice() else { return Err(Problem::unsupported("extract()")) };
        if !matches!(base(&value.ty), Type::Timestamp(_) | Type::Timestamptz(_) | Type::Date) {
            return Err(Problem::unsupported(format!("{name}() from {}", value.ty.name(self.catalog()))));
        }
        if matches!(value.ty, Type::Timestamptz(_)) && unit.text() != Some("epoch") {
            self.needs_utc("extract() from a time with time zone")?;
        }
        let v = &value.sql;
        let sql = match unit.text().map(str::to_lowercase).as_deref() {
            Some(
                part @ ("year" | "month" | "day" | "hour" | "minute" | "dow" | "doy" | "isodow" | "week" | "quarter"),
            ) => {
                format!("CAST(date_part('{part}', {v}) AS DECIMAL(38,0))")
            }
            Some("second") => format!("CAST((epoch_us({v}) % 60000000) AS DECIMAL(38,6)) / 1000000")
                .replace(" / 1000000", " * 0.000001"),
            Some("epoch") => format!("(CAST(epoch_us({v}) AS DECIMAL(26,0)) * CAST(0.000001 AS DECIMAL(6,6)))"),
            _ => return Err(Problem::unsupported(format!("{name}() of this field"))),
        };
        Ok(match name {
            "date_part" => Typed::new(format!("CAST({sql} AS DOUBLE)"), Type::Float8),
            _ => Typed::new(sql, Type::Numeric(None)),
        })
    }

    fn number_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let numbers = args.iter().all(|a| family(&a.ty) == Family::Number);
        if !numbers {
            return Err(self.no_function(name, &args));
        }
        match (name, args.as_slice()) {
            ("abs", [a]) => Ok(Typed::new(format!("abs({})", a.sql), a.ty.clone())),
            ("mod", [a, b]) if is_integer(&a.ty) && is_integer(&b.ty) => {
                let (a, b) = (a.clone(), b.clone());
                self.operator("%", a, b)
            }
            ("round", [a]) if matches!(a.ty, Type::Float8) => {
                Ok(Typed::new(format!("round_even({}, 0)", a.sql), Type::Float8))
            }
            ("round", [a]) if !matches!(a.ty, Type::Float4) => {
                Ok(Typed::new(format!("round(CAST({} AS {}), 0)", a.sql, decimal_of(a)), Type::Numeric(None)))
            }
            ("round", [a, digits]) if matches!(a.ty, Type::Numeric(_)) && integer_constant(digits).is_some() => Ok(
                Typed::new(format!("round({}, {})", a.sql, integer_constant(digits).unwrap_or(0)), Type::Numeric(None)),
            ),
            ("floor" | "ceil" | "ceiling", [a]) if matches!(a.ty, Type::Float8) => {
                let word = if name == "floor" { "floor" } else { "ceil" };
                Ok(Typed::new(format!("{word}({})", a.sql), Type::Float8))
            }
            ("sqrt", [a]) if matches!(a.ty, Type::Float8) => Ok(Typed::new(format!("sqrt({})", a.sql), Type::Float8)),
            _ => Err(Problem::unsupported(format!("the function {name}() of these numbers"))),
        }
    }

    fn part_of_text(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        match (name, args.as_slice()) {
            ("substring" | "substr", [text, from]) if is_integer(&from.ty) => {
                let Some(at) = integer_constant(from).filter(|at| *at >= 1) else {
                    return Err(Problem::unsupported(format!("{name}() from a position that isn't a constant from 1")));
                };
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(format!("substring({text}, {at})"), Type::Text))
            }
            ("substring" | "substr", [text, from, length]) if is_integer(&from.ty) && is_integer(&length.ty) => {
                let (Some(at), Some(length)) = (integer_constant(from), integer_constant(length)) else {
                    return Err(Problem::unsupported(format!("{name}() with positions that aren't constants")));
                };
                if length < 0 {
                    return Err(Problem::rejected("22011", "negative substring length not allowed"));
                }
                // Positions before the first character count, and give nothing.
                let end = at + length;
                let text = self.text(text.clone(), name)?;
                let at = at.max(1);
                Ok(Typed::new(format!("substring({text}, {at}, {})", (end - at).max(0)), Type::Text))
            }
            ("substring", [text, pattern]) => {
                let Some(pattern) = pattern.text() else {
                    return Err(Problem::unsupported("a regular expression that isn't a constant"));
                };
                let group = usize::from(pattern::groups(pattern) > 0);
                let pattern = quote_literal(&pattern::translate(pattern, Use::Extent)?);
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(
                    format!(
                        "CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {group}) END"
                    ),
                    Type::Text,
                ))
            }
            ("regexp_replace", [text, pattern, replacement, flags @ ..]) if flags.len() <= 1 => {
                let flags = flags.first().map_or(Some(""), |f| f.text());
                let (Some(pattern), Some(replacement), Some(flags)) = (pattern.text(), replacement.text(), flags)
                else {
                    return Err(Problem::unsupported("a regular expression that isn't a constant"));
                };
                if !flags.chars().all(|f| "gi".contains(f)) {
                    return Err(Problem::unsupported(format!("the flags '{flags}' of regexp_replace()")));
                }
                let pattern = quote_literal(&pattern::translate(pattern, Use::Extent)?);
                let replacement = quote_literal(&pattern::replacement(replacement)?);
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(format!("regexp_replace({text}, {pattern}, {replacement}, '{flags}')"), Type::Text))
            }
            _ => Err(Problem::unsupported(format!("this form of {name}()"))),
        }
    }

    fn array_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let list = args.first().map(|a| a.sql.clone()).unwrap_or_default();
        match (name, args.as_slice()) {
            ("array_length", [array, dimension])
                if matches!(array.ty, Type::Array(_)) && integer_constant(dimension) == Some(1) =>
            {
                Ok(Typed::new(format!("CAST(nullif(len({list}), 0) AS INTEGER)"), Type::Int4))
            }
            ("cardinality", [array]) if matches!(array.ty, Type::Array(_)) => {
                Ok(Typed::new(format!("CAST(len({list}) AS INTEGER)"), Type::Int4))
            }
            ("array_append", [array, element]) => {
                let (array, element) = (array.clone(), element.clone());
                self.operator("||", array, element)
            }
            ("array_to_string", [array, separator]) if matches!(&array.ty, Type::Array(e) if family(e) == Family::Text) =>
            {
                let separator = self.text(separator.clone(), name)?;
                Ok(Typed::new(
                    format!("array_to_string(list_filter({list}, lambda x: x IS NOT NULL), {separator})"),
                    Type::Text,
                ))
            }
            ("array_position", [array, element]) => {
                let Type::Array(ty) = &array.ty else { return Err(self.no_function(name, &args)) };
                let element = convert(element.clone(), &base(ty), Context::Implicit, None, self.catalog())?;
                Ok(Typed::new(
                    format!("nullif(CAST(list_position({list}, {}) AS INTEGER), 0)", element.sql),
                    Type::Int4,
                ))
            }
            _ => Err(Problem::unsupported(format!("this form of {name}()"))),
        }
    }

    fn json_function(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let [argument] = call.args.as_slice() else {
            return Err(Problem::unsupported(format!("the function {name}()")));
        };
        let value = self.json_operand(argument, site)?;
        let value = match value.ty {
            Type::Unknown => convert(value, &Type::Jsonb, Context::Implicit, None, self.catalog())?,
            Type::Json | Type::Jsonb => value,
            _ => return Err(self.no_function(name, &[value])),
        };
        let v = &value.sql;
        match name {
            "jsonb_typeof" | "json_typeof" => Ok(Typed::new(
                format!(
                    "CASE json_type({v}) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN NULL THEN NULL ELSE CASE WHEN {v} IS NOT NULL THEN 'number' END END"
                ),
                Type::Text,
            )),
            "jsonb_array_length" | "json_array_length" => {
                let error =
                    super::typed::raise("22023", "'cannot get array length of a scalar or an object'", &Type::Int4);
                Ok(Typed::new(
                    format!(
                        "CASE WHEN {v} IS NULL THEN NULL WHEN json_type({v}) = 'ARRAY' THEN CAST(json_array_length({v}) AS INTEGER) ELSE {error} END"
                    ),
                    Type::Int4,
                ))
            }
            _ => Err(Problem::unsupported(format!("the function {name}()"))),
        }
    }

    /// An aggregate over the rows of a group.
    fn aggregate(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let site = Site { clause: "an aggregate function's arguments", ..site };
        if call.agg_within_group || OTHER_AGGREGATES.contains(&name) {
            return Err(Problem::unsupported(format!("the aggregate {name}()")));
        }
        let filter = match call.agg_filter.as_deref() {
            Some(node) => format!(" FILTER (WHERE {})", self.condition(node, Site { clause: "FILTER", ..site })?),
            None => String::new(),
        };
        if call.agg_star {
            return Ok(Typed::new(format!("count(*){filter}"), Type::Int8));
        }
        let args = call.args.iter().map(|arg| self.expression(arg, site)).collect::<Outcome<Vec<_>>>()?;
        let Some(first) = args.first().cloned() else {
            return Err(Problem::rejected("42883", format!("function {name}() does not exist")));
        };
        let distinct = if call.agg_distinct { "DISTINCT " } else { "" };
        let value = format!("{distinct}{}", first.sql);
        let simple = |sql: String, ty: Type| Ok(Typed::new(sql, ty));
        match name {
            "count" => simple(format!("count({value}){filter}"), Type::Int8),
            "bool_and" | "bool_or" | "every" if first.ty == Type::Bool => {
                let word = if name == "bool_or" { "bool_or" } else { "bool_and" };
                simple(format!("{word}({value}){filter}"), Type::Bool)
            }
            "sum" => match base(&first.ty) {
                Type::Int2 | Type::Int4 => simple(format!("CAST(sum({value}){filter} AS BIGINT)"), Type::Int8),
                Type::Int8 => simple(format!("CAST(sum({value}){filter} AS DECIMAL(38,0))"), Type::Numeric(None)),
                Type::Numeric(_) => simple(format!("sum({value}){filter}"), Type::Numeric(None)),
                Type::Float8 => {
                    self.caveat(
                        "a sum of double precision values depends on their order in the last digits".to_owned(),
                    );
                    simple(format!("sum({value}){filter}"), Type::Float8)
                }
                _ => Err(Problem::unsupported(format!("sum() of {}", first.ty.name(self.catalog())))),
            },
            "min" | "max" => self.extreme(name, first, &filter),
            "avg" => match base(&first.ty) {
                Type::Float8 => simple(format!("avg({value}){filter}"), Type::Float8),
                _ => Err(Problem::unsupported("avg(), whose digits are chosen by the server,")),
            },
            "string_agg" | "array_agg" => self.list_aggregate(name, call, args, distinct, &filter, site),
            _ => Err(self.no_function(name, &args)),
        }
    }

    fn extreme(&mut self, name: &str, value: Typed, filter: &str) -> Outcome<Typed> {
        match &value.ty {
            Type::Bool | Type::Uuid | Type::Json => Err(self.no_function(name, &[value])),
            Type::Enum(_) => {
                let key = self.sort_key(&value.sql, &value.ty)?;
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                Ok(Typed::new(format!("{word}({}, {key}){filter}", value.sql), value.ty))
            }
            Type::Jsonb | Type::Interval | Type::Array(_) | Type::Opaque(_) | Type::Record => {
                Err(Problem::unsupported(format!("{name}() of {}", value.ty.name(self.catalog()))))
            }
            Type::Unknown | Type::Varchar(_) | Type::Text | Type::Name | Type::Char(_) => {
                self.orders_text();
                Ok(Typed::new(format!("{name}({}){filter}", value.sql), Type::Text))
            }
            _ => Ok(Typed::new(format!("{name}({}){filter}", value.sql), value.ty)),
        }
    }

    fn list_aggregate(
        &mut self,
        name: &str,
        call: &FuncCall,
        args: Vec<Typed>,
        distinct: &str,
        filter: &str,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let direction = self.tie_direction();
        let mut order = Vec::new();
        for node in &call.agg_order {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let value = self.expression(super::expression::required(&sort.node)?, site)?;
            let key = self.sort_key(&value.sql, &value.ty)?;
            order.push(format!("{key} {}", super::query::direction(sort)));
        }
        if order.is_empty() && distinct.is_empty() {
            self.choice(format!("{name}() without ORDER BY"));
        } else if !order.is_empty() {
            self.choice(format!("{name}() with an ORDER BY that may leave ties"));
        }
        let value = &args[0];
        order.push(format!("{} {direction}", value.sql));
        let order = order.join(", ");
        if name == "array_agg" {
            let ty = Type::Array(Box::new(value.ty.clone()));
            return Ok(Typed::new(format!("list({distinct}{} ORDER BY {order}){filter}", value.sql), ty));
        }
        let [value, separator] = args.as_slice() else { return Err(self.no_function(name, &args)) };
        let Some(separator) = separator.text() else {
            return Err(Problem::unsupported("string_agg() with a separator that isn't a constant"));
        };
        let text = self.text(value.clone(), name)?;
        Ok(Typed::new(
            format!("string_agg({distinct}{text}, {} ORDER BY {order}){filter}", quote_literal(separator)),
            Type::Text,
        ))
    }

    /// A call with OVER.
    fn window_call(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        if !site.windows {
            return Err(Problem::rejected("42P20", format!("window functions are not allowed in {}", site.clause)));
        }
        let Some(over) = call.over.as_deref() else { return Err(Problem::unsupported("a window")) };
        let window = self.window(over, site)?;
        let inner = Site { windows: false, ..site };
        let mut args = call.args.iter().map(|arg| self.expression(arg, inner)).collect::<Outcome<Vec<_>>>()?;
        let value = match (name, args.len()) {
            ("row_number" | "rank" | "dense_rank", 0) => {
                let order = if name == "row_number" { window.total } else { window.ranked };
                if name == "row_number" && !window.is_total {
                    self.choice(format!("row_number() over {}", window.shown));
                }
                return Ok(Typed::new(format!("{name}() OVER ({order})"), Type::Int8));
            }
            ("lag" | "lead" | "first_value" | "last_value", 1 | 2) => {
                if !window.is_total {
                    self.choice(format!("{name}() over {}", window.shown));
                }
                let ty = args[0].ty.clone();
                let list: Vec<String> = args.drain(..).map(|a| a.sql).collect();
                return Ok(Typed::new(format!("{name}({}) OVER ({})", list.join(", "), window.total), ty));
            }
            ("count", _) if call.agg_star => {
                return Ok(Typed::new(format!("count(*) OVER ({})", window.ranked), Type::Int8));
            }
            ("count", 1) => {
                return Ok(Typed::new(format!("count({}) OVER ({})", args[0].sql, window.ranked), Type::Int8));
            }
            ("sum", 1) if matches!(args[0].ty, Type::Int2 | Type::Int4) => {
                return Ok(Typed::new(
                    format!("CAST(sum({}) OVER ({}) AS BIGINT)", args[0].sql, window.ranked),
                    Type::Int8,
                ));
            }
            ("min" | "max", 1) => args.remove(0),
            _ => return Err(Problem::unsupported(format!("the window function {name}()"))),
        };
        if matches!(value.ty, Type::Enum(_)) {
            return Err(Problem::unsupported(format!("{name}() of an enum over a window")));
        }
        let value = self.extreme(name, value, "")?;
        Ok(Typed::new(format!("{} OVER ({})", value.sql, window.ranked), value.ty))
    }
}

/// The decimal type that holds an integer or decimal value.
fn decimal_of(value: &Typed) -> String {
    if is_integer(&value.ty) { "DECIMAL(38,0)".to_owned() } else { physical(&value.ty) }
}

/// Functions that PostgreSQL has under these names whatever the database defines, as far as they are read here.
fn is_builtin(name: &str) -> bool {
    const TEXT: &[&str] = &[
        "lower",
        "upper",
        "md5",
        "reverse",
        "length",
        "btrim",
        "ltrim",
        "rtrim",
        "concat",
        "concat_ws",
        "now",
        "replace",
        "strpos",
        "position",
        "starts_with",
        "left",
        "right",
        "repeat",
        "lpad",
        "rpad",
        "chr",
        "split_part",
        "substring",
        "substr",
        "regexp_replace",
        "abs",
        "round",
        "floor",
        "ceil",
        "mod",
        "date_trunc",
        "extract",
        "date_part",
        "random",
        "gen_random_uuid",
        "array_length",
        "cardinality",
    ];
    TEXT.contains(&name) || AGGREGATES.contains(&name)
}

/// Does an expression call an aggregate of this query? Subqueries have their own.
pub(super) fn contains_aggregate(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::FuncCall(call)) if is_aggregate(call) => true,
        Some(NodeEnum::SubLink(link)) => link.testexpr.as_deref().is_some_and(contains_aggregate),
        Some(node) => crate::catalog::tree::children(node).into_iter().any(contains_aggregate),
        None => false,
    }
}
