//! Functions: those of PostgreSQL that DuckDB can be made to compute with the same result.
//!
//! Input: a call; the server's tables say which function it means and what its arguments are converted to. Output: DuckDB SQL, by
//! name and argument types. Invariant: a function that the server has but isn't listed here is refused by name. A function of
//! the catalog (CREATE FUNCTION) is read where it is nothing but a query, and never run here.

mod aggregate;
mod array;
mod builtin;
pub(super) mod document;
mod extension;
mod json;
mod number;
mod own;
mod sequence;
mod state;
mod statistics;
mod stretch;
mod text;
mod window;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node};

use super::cast::{Context, convert};
use super::expression::{Site, required, words};
use super::reader::Reader;
use super::resolve::{Given, Resolved, missing_function};
use super::system;
use super::typed::{Family, Typed, family, refused_in_peace, refused_of_rows};
use crate::catalog::pg::{self, Function, Kind};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;

/// Is this a call of an aggregate, not used as a window function?
pub(super) fn is_aggregate(call: &FuncCall) -> bool {
    let path = words(&call.funcname);
    let (Some(name), true) = (path.last(), path.len() < 2 || path[0] == "pg_catalog") else { return false };
    let listed = pg::tables().functions(name);
    let is = |kind: Kind| listed.iter().any(|function| function.kind == kind);
    call.over.is_none()
        && (is(Kind::Aggregate) || (is(Kind::OrderedSet) && (call.agg_within_group || !is(Kind::Window))))
}

impl Reader<'_> {
    /// Reads a call. An aggregate over nothing but columns of the query around it is that query's.
    pub(super) fn call(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        if !is_aggregate(call) {
            return self.call_here(call, site);
        }
        let outer = self.nearest.take();
        let value = self.call_here(call, site);
        let nearest = std::mem::replace(&mut self.nearest, outer);
        if nearest.is_some_and(|level| level > 0) {
            return Err(Problem::unsupported("an aggregate over columns of the query around it"));
        }
        self.note_level(nearest);
        value
    }

    /// Notes how many queries outward a column stands.
    pub(super) fn note_level(&mut self, level: Option<usize>) {
        self.nearest = self.nearest.into_iter().chain(level).min();
    }

    fn call_here(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let path = words(&call.funcname);
        let name = path.last().copied().unwrap_or_default().to_owned();
        if self.means_own(call, site)? {
            self.varying += 1;
            let constants = self.constants();
            let value = self.own_function(call, site);
            self.forget_constants(constants);
            return value;
        }
        if is_aggregate(call) || call.over.is_some() {
            self.varying += 1;
        }
        let inner = match (is_aggregate(call), call.over.is_some()) {
            (true, _) => Site { place: IN_AGGREGATE, ..site.ungrouped() },
            (_, true) => Site { windows: false, place: IN_WINDOW, ..site },
            _ => site,
        };
        let of_extension = self.is_in_extension_schema(&path);
        if path.len() == 1 || path[0] == "pg_catalog" {
            if super::rows::gives_rows(&name) {
                self.varying += 1;
                return self.rows_in_list(&name, call, site);
            }
            if document::builds(&name, call) {
                // The text of any value may depend on settings.
                self.is_mutable = true;
                return self.building_function(&name, call, inner, site);
            }
        }
        if let (true, [Node { node: Some(NodeEnum::RowExpr(row)) }]) =
            (name == "count" && path.len() == 1, call.args.as_slice())
        {
            return self.count_of_rows(call, &row.args, inner, site);
        }
        if let ("pg_typeof", [argument]) = (name.as_str(), call.args.as_slice())
            && self.is_of_domain(argument, inner)
        {
            return Err(Problem::unsupported("pg_typeof() of a value of a domain"));
        }
        let mut given = self.given(call, inner)?;
        if !OF_CITEXT.contains(&name.as_str()) && !call.agg_distinct {
            given.args = given.args.into_iter().map(|value| self.uncased(value)).collect::<Outcome<_>>()?;
        }
        if path.len() > 1 && path[0] != "pg_catalog" && !of_extension {
            return Err(self.missing_in_schema(&path, &given));
        }
        if of_extension || (pg::tables().functions(&name).is_empty() && self.is_of_extension(&name)) {
            return self.known_function(&name, given.args);
        }
        if let Some(value) = self.matrix_function(&name, &given.args)? {
            return Ok(value);
        }
        let resolved = self.called(&name, given).map_err(|problem| match problem {
            // Words like TRIM and OVERLAY stand for functions that are named with their schema.
            Problem::Rejected(mut error) if path.len() > 1 && error.sqlstate == "42883" => {
                let (bare, whole) = (format!("function {name}("), format!("function {}(", path.join(".")));
                error.message = error.message.replacen(&bare, &whole, 1);
                Problem::Rejected(error)
            }
            problem => problem,
        });
        match resolved? {
            Resolved::Cast(value, ty) => self.coerce(value, &ty, Context::Explicit, None),
            Resolved::BuiltIn { function, args, result } => {
                let unknown = self.no_function(&name, &args);
                let over_rows = (function.kind == Kind::Function && !function.returns_set).then(|| args.clone());
                let value = match (self.built_in(function, args, call, site), over_rows, &result) {
                    (Err(Problem::Unsupported(what)), Some(args), Some(result)) => {
                        return Ok(match NEVER_FAIL.contains(&function.name) {
                            true => refused_in_peace(&what.what, &args, function.strict, result),
                            false => refused_of_rows(&what.what, &args, function.strict, result),
                        });
                    }
                    (value, ..) => value?,
                };
                // What is computed must be what the server's function gives.
                match result {
                    Some(result) if !value.ty.same_base(&result) => Err(unknown),
                    _ => Ok(value),
                }
            }
        }
    }

    /// The arguments of a call, by place and by name.
    pub(super) fn given(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Given> {
        let shown = words(&call.funcname).join(".");
        let mut given = Given { args: Vec::new(), names: Vec::new(), variadic: call.func_variadic, shown };
        for node in &call.args {
            let node = match &node.node {
                Some(NodeEnum::NamedArgExpr(named)) => {
                    if given.names.contains(&named.name) {
                        let message = format!("argument name \"{}\" used more than once", named.name);
                        return Err(Problem::rejected("42601", message).at(named.location));
                    }
                    given.names.push(named.name.clone());
                    required(&named.arg)?
                }
                _ if !given.names.is_empty() => {
                    return Err(Problem::rejected("42601", "positional argument cannot follow named argument"));
                }
                _ => node,
            };
            given.args.push(self.expression(node, site)?);
        }
        if call.agg_within_group {
            for node in &call.agg_order {
                let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
                given.args.push(self.expression(required(&sort.node)?, site)?);
            }
        }
        Ok(given)
    }

    /// A call of one of the server's functions, by what kind of function it is.
    fn built_in(
        &mut self,
        function: &'static Function,
        args: Vec<Typed>,
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let name = function.name;
        let misuse = |message: String| Err(Problem::rejected("42809", message));
        match function.kind {
            Kind::Window if call.over.is_none() => misuse(format!("window function {name} requires an OVER clause")),
            Kind::Function | Kind::Procedure => {
                let specified = [
                    (call.agg_star, format!("{name}(*)")),
                    (call.agg_distinct, "DISTINCT".to_owned()),
                    (call.agg_within_group, "WITHIN GROUP".to_owned()),
                    (!call.agg_order.is_empty(), "ORDER BY".to_owned()),
                    (call.agg_filter.is_some(), "FILTER".to_owned()),
                ];
                if let Some((_, what)) = specified.iter().find(|(is, _)| *is) {
                    return misuse(format!("{what} specified, but {name} is not an aggregate function"));
                }
                if call.over.is_some() {
                    let message = "is not a window function nor an aggregate function";
                    return misuse(format!("OVER specified, but {name} {message}"));
                }
                if call.func_variadic && !name.contains("extract_path") {
                    return Err(Problem::unsupported(format!("{name}() of a VARIADIC array")));
                }
                if name.starts_with("jsonb_") || name.starts_with("json_") {
                    return self.json_function(name, args);
                }
                self.known_function(name, args)
            }
            Kind::Window => self.window_call(name, call, args, site),
            Kind::Aggregate | Kind::OrderedSet if call.over.is_some() => self.window_call(name, call, args, site),
            Kind::OrderedSet if !call.agg_within_group => {
                misuse(format!("WITHIN GROUP is required for ordered-set aggregate {name}"))
            }
            Kind::Aggregate | Kind::OrderedSet => {
                if !site.aggregates {
                    return Err(Problem::rejected("42803", misplaced("aggregate", site.place)));
                }
                self.aggregate(name, call, args, Site { place: IN_AGGREGATE, ..site.ungrouped() })
            }
        }
    }

    /// A function of the database's own goes by this name.
    fn is_own(&self, path: &[&str]) -> bool {
        let catalog = self.catalog();
        let (schema, name) = match path {
            [name] => (None, *name),
            [.., schema, name] => (Some(*schema), *name),
            [] => return false,
        };
        catalog.functions.iter().filter(|function| function.name == name).any(|function| match schema {
            Some(schema) => function.schema == schema,
            None => catalog.search_path.contains(&function.schema),
        })
    }

    /// A function of an extension that is there, or may be.
    fn is_of_extension(&self, name: &str) -> bool {
        let catalog = self.catalog();
        let visible = |extension: &str| match catalog.extension_schemas.get(extension) {
            Some(schema) => catalog.search_path.contains(schema),
            None => catalog.extensions.contains(extension),
        };
        let listed = pg::tables().extensions_with_function(name);
        listed.iter().any(|extension| catalog.partial || visible(extension))
    }

    /// `extensions.uuid_generate_v4`: the name with the schema that its extension is in.
    fn is_in_extension_schema(&self, path: &[&str]) -> bool {
        let [schema, name] = path else { return false };
        let listed = pg::tables().extensions_with_function(name);
        listed.iter().any(|by| self.catalog().extension_schemas.get(*by).is_some_and(|own| own == schema))
    }

    /// A call with a schema in which no such function is known.
    fn missing_in_schema(&self, path: &[&str], given: &Given) -> Problem {
        let schema = path[path.len() - 2];
        let types: Vec<String> = given.args.iter().map(|arg| self.shown(&arg.ty)).collect();
        let call = format!("{}({})", path.join("."), types.join(", "));
        let catalog = self.catalog();
        if catalog.partial || self.function_may_exist(path[path.len() - 1]) {
            return Problem::unsupported(format!("the function {call}"));
        }
        match catalog.schemas.contains(schema) {
            true => missing_function(&call),
            false => Problem::rejected("3F000", format!("schema \"{schema}\" does not exist")),
        }
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

    pub(super) fn known_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        if let Some(value) = self.carried_function(name, &args)? {
            return Ok(value);
        }
        if let Some(value) = self.builtin(name, &args)? {
            return Ok(value);
        }
        if let Some(value) = self.of_extension(name, &args)? {
            return Ok(value);
        }
        match (name, args.len()) {
            ("to_regclass" | "to_regtype", 1) => {
                let Some(text) = args[0].text() else {
                    return Err(Problem::unsupported(format!("{name}() of a computed name")));
                };
                let (number, ty) = match name {
                    "to_regclass" => (system::relation_number(text, self.catalog()), "regclass"),
                    _ => (system::type_number(text, self.catalog()), "regtype"),
                };
                if number.is_none() && text.contains("pg_") {
                    return Err(Problem::unsupported(format!("the system's own {text}")));
                }
                let sql = number.map_or_else(|| "CAST(NULL AS VARCHAR)".to_owned(), |number| quote_literal(&number));
                Ok(Typed::new(sql, Type::Opaque(ty.to_owned())))
            }
            ("format", n) if n > 0 => self.format(args),
            ("overlaps", 4) => self.overlaps(args),
            ("width_bucket", 2) => self.bucket_of_list(args),
            ("array_fill", 2) => self.filled(args),
            ("pg_typeof", 1) => {
                let number = system::number_of_type(&args[0].ty, self.catalog());
                Ok(Typed::new(quote_literal(&number), Type::Opaque("regtype".to_owned())))
            }
            ("quote_literal" | "quote_nullable", 1) => {
                let value = args.into_iter().next().expect("one argument");
                let text = convert(value, &Type::Text, Context::Explicit, None, self.catalog())?.sql;
                let quoted = format!("pg_quote_literal({text})");
                let sql = if name == "quote_literal" { quoted } else { format!("coalesce({quoted}, 'NULL')") };
                Ok(Typed::new(sql, Type::Text))
            }
            ("current_setting", 1 | 2) => self.setting(&args),
            ("current_schema" | "current_schemas", _) => self.current_schemas(name, &args),
            ("pg_is_in_recovery", 0) => Ok(Typed::new("false", Type::Bool)),
            ("concat", _) => self.concat(args),
            ("concat_ws", n) if n > 1 => self.concat_with_separator(args),
            ("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", 0) => {
                Ok(Typed::new(self.now(), Type::Timestamptz(None)))
            }
            ("gen_random_uuid" | "uuid_generate_v4", 0) => {
                self.volatile(&format!("{name}()"));
                Ok(Typed::new("uuid()", Type::Uuid))
            }
            (
                "pg_advisory_lock"
                | "pg_advisory_xact_lock"
                | "pg_advisory_lock_shared"
                | "pg_advisory_xact_lock_shared"
                | "pg_sleep",
                1 | 2,
            ) => Ok(Typed::new("CAST('' AS VARCHAR)", Type::Void)),
            ("pg_advisory_unlock_all", 0) => Ok(Typed::new("CAST('' AS VARCHAR)", Type::Void)),
            ("pg_try_advisory_lock" | "pg_try_advisory_xact_lock", 1 | 2) => {
                self.volatile("the lock that is asked for");
                Ok(Typed::new("true", Type::Bool))
            }
            ("pg_get_function_identity_arguments", 1) if system::is_number(&args[0].ty) => {
                Ok(Typed::new(system::of_function(&args[0].sql, true), Type::Text))
            }
            ("pg_get_constraintdef" | "pg_get_indexdef", 1) if system::is_number(&args[0].ty) => {
                Ok(Typed::new(system::definition_of_number(name, &args[0].sql, self.catalog()), Type::Text))
            }
            // Written for reading or not, the text of a constraint's table and columns is the same, its condition isn't.
            ("pg_get_constraintdef", 2) if system::is_number(&args[0].ty) && args[1].sql == "false" => {
                Ok(Typed::new(system::definition_of_number(name, &args[0].sql, self.catalog()), Type::Text))
            }
            ("pg_trigger_depth", 0) => Ok(Typed::integer(self.settings().trigger_depth as i64)),
            // Nobody listens to a rehearsal.
            ("pg_notify", 2) => Ok(Typed::new("CAST('' AS VARCHAR)", Type::Void)),
            ("current_database", 0) => {
                self.volatile("current_database()");
                Ok(Typed::new(quote_literal(system::DATABASE), Type::Name))
            }
            ("random", 0) => {
                self.volatile("random()");
                Ok(Typed::new("random()", Type::Float8))
            }
            (name, _) if number::NAMES.contains(&name) => self.number_function(name, args),
            ("cardinality" | "string_to_array" | "trim_array" | "enum_range" | "enum_first" | "enum_last", _) => {
                self.array_function(name, args)
            }
            (name, _) if name.starts_with("array_") => self.array_function(name, args),
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
            ("nextval" | "currval", 1) | ("lastval", 0) | ("pg_get_serial_sequence", 2) => {
                self.sequence_function(name, &args)
            }
            _ => Err(self.no_function(name, &args)),
        }
    }
}

/// Functions that give a value whatever they are given.
const NEVER_FAIL: &[&str] = &[
    "numnode",
    "phraseto_tsquery",
    "plainto_tsquery",
    "querytree",
    "strip",
    "to_tsvector",
    "ts_rank",
    "websearch_to_tsquery",
];

/// Functions that have a form of their own for texts whose case doesn't count, or that give back what they take.
const OF_CITEXT: &[&str] = &[
    "min",
    "max",
    "array_agg",
    "array_append",
    "array_prepend",
    "array_remove",
    "array_position",
    "array_replace",
    "regexp_match",
    "regexp_matches",
    "regexp_replace",
    "regexp_split_to_array",
    "regexp_split_to_table",
    "strpos",
    "position",
    "replace",
    "split_part",
    "translate",
    "to_json",
    "to_jsonb",
    "lag",
    "lead",
    "first_value",
    "last_value",
    "nth_value",
    "mode",
    "percentile_disc",
];

/// Where an aggregate's arguments stand.
const IN_AGGREGATE: &str = "an aggregate";
/// Where a window function's arguments stand.
const IN_WINDOW: &str = "a window function";

/// What the server says of an aggregate or window function where there may be none.
pub(super) fn misplaced(kind: &str, place: &str) -> String {
    let place = match place {
        IN_AGGREGATE if kind == "aggregate" => return "aggregate function calls cannot be nested".to_owned(),
        IN_AGGREGATE => return "aggregate function calls cannot contain window function calls".to_owned(),
        IN_WINDOW => return "window function calls cannot be nested".to_owned(),
        "JOIN/ON" => "JOIN conditions",
        place => place,
    };
    format!("{kind} functions are not allowed in {place}")
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
