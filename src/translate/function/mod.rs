//! Functions: those of PostgreSQL that DuckDB can be made to compute with the same result.
//!
//! Invariant: a function that isn't listed here, or is called with types that aren't, is refused by name. A function of the
//! catalog (CREATE FUNCTION) is never run.

mod aggregate;
mod array;
mod json;
mod number;
mod text;
mod time;
mod window;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node};

use super::Taken;
use super::cast::{Context, convert};
use super::expression::{Site, words};
use super::reader::Reader;
use super::typed::{Family, Typed, family, is_integer, refuse};
use crate::catalog::{Outcome, Problem, Type};

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
                    let refuse = refuse("upper() of ß", &Type::Text);
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
            (name, _) if number::NAMES.contains(&name) => self.number_function(name, args),
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

    fn unknown_function(&self, name: &str, args: &[Typed]) -> Problem {
        if is_builtin(name) {
            return self.no_function(name, args);
        }
        // What isn't known here may still exist on the server.
        Problem::unsupported(format!("the function {name}()"))
    }
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
