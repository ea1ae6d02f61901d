//! Values as JSON: `to_jsonb()`, `jsonb_build_object()`, `row_to_json()`, `jsonb_agg()` and their kin.
//!
//! Input: expressions, rows of a source, row constructors. Output: DuckDB SQL of the document's text. Invariants: the keys of a
//! row are the user's names; times are written in ISO 8601, with a `T`; `jsonb` comes out canonical, `json` with the server's
//! blanks. Left out: values whose text form isn't known.

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{FuncCall, Node};

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{self, Context, convert};
use crate::translate::expression::{Site, required, words};
use crate::translate::query::direction;
use crate::translate::reader::Reader;
use crate::translate::scope::Source;
use crate::translate::typed::{Family, Typed, family, refuse};
use crate::translate::variables::Value;

/// A value as JSON.
pub(in crate::translate) struct Piece {
    /// The JSON text; NULL for NULL.
    pub sql: String,
    /// A row or an array: `json_agg()` puts such on lines of their own.
    pub structured: bool,
}

/// `[a, b]`, of texts.
pub(in crate::translate) fn text_list(items: &[String]) -> String {
    format!("CAST([{}] AS VARCHAR[])", items.join(", "))
}

/// Is this a call of a function of this file? They see whole rows, which nothing else does.
pub(super) fn builds(name: &str, call: &FuncCall) -> bool {
    const FUNCTIONS: &[&str] = &[
        "to_json",
        "to_jsonb",
        "row_to_json",
        "array_to_json",
        "jsonb_build_array",
        "json_build_array",
        "jsonb_build_object",
        "json_build_object",
    ];
    const AGGREGATES: &[&str] = &["json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"];
    let bare = call.over.is_none() && !call.func_variadic && !call.agg_within_group;
    let plain = call.agg_order.is_empty() && call.agg_filter.is_none() && !call.agg_distinct && !call.agg_star;
    bare && (FUNCTIONS.contains(&name) && plain || AGGREGATES.contains(&name) && !call.agg_star)
}

impl Reader<'_> {
    /// The functions of this file; `inner` is where their arguments stand.
    pub(super) fn building_function(
        &mut self,
        name: &str,
        call: &FuncCall,
        inner: Site<'_>,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        if name.ends_with("_agg") {
            if !site.aggregates {
                return Err(Problem::rejected("42803", super::misplaced("aggregate", site.place)));
            }
            return self.json_aggregate(name, call, inner);
        }
        let site = inner;
        let jsonb = name.starts_with("jsonb_") || name == "to_jsonb";
        let ty = if jsonb { Type::Jsonb } else { Type::Json };
        let sql = match (name, call.args.as_slice()) {
            ("to_json" | "to_jsonb", [argument]) => {
                if matches!(argument.node, Some(NodeEnum::AConst(_)))
                    && self.expression(argument, site)?.ty == Type::Unknown
                {
                    let message = "could not determine polymorphic type because input has type unknown";
                    return Err(Problem::rejected("42804", message));
                }
                self.piece(argument, site, jsonb)?.sql
            }
            ("row_to_json", [argument]) => match self.row(argument, site, jsonb)? {
                Some(sql) => sql,
                None => return Err(Problem::unsupported("row_to_json() of anything but a row")),
            },
            ("array_to_json", [argument]) => {
                let value = self.expression(argument, site)?;
                if !matches!(value.ty, Type::Array(_)) {
                    return Err(self.wrong_arguments(name, call, site));
                }
                self.piece_of(value, jsonb)?.sql
            }
            ("jsonb_build_array" | "json_build_array", arguments) => {
                let pieces = self.pieces(arguments, site, jsonb)?;
                let function = if jsonb { "pg_jsonb_array" } else { "pg_json_spaced_array" };
                format!("{function}({})", text_list(&pieces))
            }
            ("jsonb_build_object" | "json_build_object", arguments) => {
                if arguments.len() % 2 == 1 {
                    return Err(Problem::rejected("22023", "argument list must have even number of elements")
                        .hint(format!("The arguments of {name}() must consist of alternating keys and values.")));
                }
                let mut keys = Vec::new();
                let mut values = Vec::new();
                for pair in arguments.chunks_exact(2) {
                    let key = self.expression(&pair[0], site)?;
                    keys.push(self.member_key(key)?);
                    values.push(self.piece(&pair[1], site, jsonb)?.sql);
                }
                object(jsonb, &text_list(&keys), &text_list(&values), name)
            }
            _ => return Err(self.wrong_arguments(name, call, site)),
        };
        Ok(Typed::new(sql, ty))
    }

    /// What the server says of arguments that no function of the name takes.
    fn wrong_arguments(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Problem {
        match self.given(call, site).and_then(|given| self.called(name, given)) {
            Err(problem) => problem,
            Ok(_) => Problem::unsupported(format!("this form of {name}()")),
        }
    }

    fn pieces(&mut self, nodes: &[Node], site: Site<'_>, jsonb: bool) -> Outcome<Vec<String>> {
        nodes.iter().map(|node| Ok(self.piece(node, site, jsonb)?.sql)).collect()
    }

    /// An expression or a row as JSON.
    pub(in crate::translate) fn piece(&mut self, node: &Node, site: Site<'_>, jsonb: bool) -> Outcome<Piece> {
        if let Some(sql) = self.row(node, site, jsonb)? {
            return Ok(Piece { sql, structured: true });
        }
        let value = self.expression(node, site)?;
        self.piece_of(value, jsonb)
    }

    /// A value as JSON.
    fn piece_of(&mut self, value: Typed, jsonb: bool) -> Outcome<Piece> {
        let structured = matches!(value.ty, Type::Array(_));
        let kind = if jsonb { "jsonb" } else { "json" };
        let sql = match &value.ty {
            _ if value.is_null() => "CAST(NULL AS VARCHAR)".to_owned(),
            Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 => format!("CAST({} AS VARCHAR)", value.sql),
            Type::Numeric(_) | Type::Float4 | Type::Float8 => {
                let text = convert(value, &Type::Text, Context::Explicit, None, self.catalog())?;
                format!("pg_{kind}_of_number({})", text.sql)
            }
            Type::Json if jsonb => format!("pg_jsonb({})", value.sql),
            Type::Json | Type::Jsonb => value.sql,
            Type::Array(element) => {
                let element = (**element).clone();
                let element = self.piece_of(Typed::new("e", element), jsonb)?.sql;
                format!("pg_{kind}_array(list_transform({}, lambda e: {element}))", value.sql)
            }
            Type::Composite(_) | Type::Record => return Err(Problem::unsupported("a composite value as JSON")),
            // Extensions bring casts to json of their own.
            Type::Opaque(name)
                if ["hstore", "geometry", "geography"].contains(&name.split('(').next().unwrap_or(name)) =>
            {
                return Err(Problem::unsupported(format!("a value of type {name} as JSON")));
            }
            _ => format!("pg_json_quote({})", self.bare_text(value)?),
        };
        Ok(Piece { sql, structured })
    }

    /// A value's text inside a document, before it is quoted.
    fn bare_text(&mut self, value: Typed) -> Outcome<String> {
        match &value.ty {
            Type::Timestamp(_) => {
                let text = convert(value, &Type::Text, Context::Explicit, None, self.catalog())?;
                Ok(format!("replace({}, ' ', 'T')", text.sql))
            }
            Type::Timestamptz(_) => {
                self.needs_utc("a time with time zone as JSON")?;
                let local = Typed::new(value.sql, Type::Timestamp(None));
                let text = convert(local, &Type::Text, Context::Explicit, None, self.catalog())?;
                Ok(format!("(replace({}, ' ', 'T') || '+00:00')", text.sql))
            }
            Type::Unknown => Ok(convert(value, &Type::Text, Context::Implicit, None, self.catalog())?.sql),
            ty if family(ty) == Family::Text => Ok(value.sql),
            _ => cast::output_form(&value.sql, &value.ty, self.catalog()),
        }
    }

    /// A key of an object: any scalar's text.
    fn member_key(&mut self, key: Typed) -> Outcome<String> {
        match &key.ty {
            _ if key.is_null() => Ok("CAST(NULL AS VARCHAR)".to_owned()),
            Type::Json | Type::Jsonb | Type::Array(_) | Type::Record => {
                Err(Problem::rejected("22023", "key value must be scalar, not array, composite, or json"))
            }
            Type::Bool => Ok(format!("CAST({} AS VARCHAR)", key.sql)),
            _ => self.bare_text(key),
        }
    }

    /// A whole row as JSON: `t`, `t.*`, `ROW(…)`. `None` for any other expression.
    fn row(&mut self, node: &Node, site: Site<'_>, jsonb: bool) -> Outcome<Option<String>> {
        match &node.node {
            Some(NodeEnum::RowExpr(row)) => {
                let values = self.pieces(&row.args, site, jsonb)?;
                let keys: Vec<String> = (1..=values.len()).map(|n| format!("'f{n}'")).collect();
                Ok(Some(object(jsonb, &text_list(&keys), &text_list(&values), "row_to_json")))
            }
            Some(NodeEnum::ColumnRef(column)) => {
                let star = column.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_))));
                let name = match (words(&column.fields).as_slice(), star) {
                    ([name], true) => (*name).to_owned(),
                    ([name], false) if site.scope.find(None, None, name).is_err() => (*name).to_owned(),
                    _ => return Ok(None),
                };
                if site.scope.scalar(&name).is_some() {
                    return Ok(None);
                }
                let mut scope = Some(site.scope);
                while let Some(current) = scope {
                    if let Some(at) = current.sources.iter().position(|source| source.name == name) {
                        let alone = current.sources.len() == 1;
                        let own = std::ptr::eq(current, site.scope);
                        let sql = self.source_row(&current.sources[at].clone(), alone, jsonb)?;
                        return self.grouped_row(sql, at, site, own).map(Some);
                    }
                    scope = current.outer;
                }
                match self.variable_row(node, site.scope) {
                    Some((_, Some(fields))) => self.fields_of(fields, jsonb).map(Some),
                    Some((_, None)) => Ok(Some("CAST(NULL AS VARCHAR)".to_owned())),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// A variable's row.
    fn fields_of(&mut self, fields: Vec<(String, Value)>, jsonb: bool) -> Outcome<String> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            keys.push(quote_literal(&name));
            values.push(self.piece_of(value.typed(), jsonb)?.sql);
        }
        Ok(object(jsonb, &text_list(&keys), &text_list(&values), "row_to_json"))
    }

    /// In a grouped query, a row must be the group's.
    fn grouped_row(&self, sql: String, source: usize, site: Site<'_>, own: bool) -> Outcome<String> {
        match site.grouping.filter(|_| own) {
            Some(grouping) if grouping.determined.contains(&source) => Ok(format!("any_value({sql})")),
            Some(_) => Err(Problem::unsupported("a whole row of a grouped query")),
            None => Ok(sql),
        }
    }

    /// A source's row; NULL where an outer join found none.
    fn source_row(&mut self, source: &Source, alone: bool, jsonb: bool) -> Outcome<String> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for column in &source.columns {
            self.reads(column.origin);
            keys.push(quote_literal(&column.name));
            values.push(self.piece_of(Typed::new(column.sql.clone(), column.ty.clone()), jsonb)?.sql);
        }
        let sql = object(jsonb, &text_list(&keys), &text_list(&values), "row_to_json");
        Ok(match &source.row {
            _ if alone => sql,
            Some(row) => format!("CASE WHEN {row} IS NOT NULL THEN {sql} END"),
            None => {
                let columns: Vec<&str> = source.columns.iter().map(|c| c.sql.as_str()).collect();
                let refuse = refuse("a row of NULLs, which an outer join may not have found,", &Type::Text);
                format!("CASE WHEN {} = {} THEN {refuse} ELSE {sql} END", nulls(&columns), columns.len())
            }
        })
    }

    /// `jsonb_agg()`, `json_agg()`, `jsonb_object_agg()`, `json_object_agg()`.
    pub(super) fn json_aggregate(&mut self, name: &str, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let filter = match call.agg_filter.as_deref() {
            Some(node) => format!(" FILTER (WHERE {})", self.condition(node, Site { clause: "FILTER", ..site })?),
            None => String::new(),
        };
        let jsonb = name.starts_with("jsonb");
        let ty = if jsonb { Type::Jsonb } else { Type::Json };
        let mut order = Vec::new();
        for node in &call.agg_order {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let value = self.expression(required(&sort.node)?, site)?;
            let key = self.sort_key(&value.sql, &value.ty)?;
            order.push(format!("{key} {}", direction(sort)));
        }
        let arrival = self.arrival(site.scope, self.in_groups);
        let is_open = !arrival.is_known || !order.is_empty();
        let shown = if order.is_empty() { "without ORDER BY" } else { "with an ORDER BY that may leave ties" };
        let tie = self.tie_direction();
        match call.args.as_slice() {
            [argument] if is_untyped(argument) && !name.ends_with("object_agg") => {
                let message = "could not determine polymorphic type because input has type unknown";
                Err(Problem::rejected("42804", message))
            }
            [argument] if !name.ends_with("object_agg") => {
                let piece = self.piece(argument, site, jsonb)?;
                let distinct = if call.agg_distinct {
                    "DISTINCT "
                } else {
                    if is_open {
                        self.choice(format!("{name}() {shown}"));
                    }
                    order.extend(arrival.keys);
                    order.push(format!("{} {tie}", piece.sql));
                    ""
                };
                let order = order.join(", ");
                let list = match distinct {
                    "" => format!("list({} ORDER BY {order}){filter}", piece.sql),
                    _ => {
                        let value = self.expression(argument, site)?;
                        self.has_equality(&value.ty)?;
                        let way = self.distinct_direction(&value, call, site)?;
                        let values = self.distinct_list(&value, &way, &filter)?;
                        let element = self.piece_of(Typed::new("e", value.ty.clone()), jsonb)?.sql;
                        format!("list_transform({values}, lambda e: {element})")
                    }
                };
                let function = match (jsonb, piece.structured) {
                    (true, _) => "pg_jsonb_array",
                    (false, true) => "pg_json_lines",
                    (false, false) => "pg_json_spaced_array",
                };
                Ok(Typed::new(format!("{function}({list})"), ty))
            }
            [key, value] if name.ends_with("object_agg") => {
                if call.agg_distinct {
                    return Err(Problem::unsupported(format!("{name}(DISTINCT …)")));
                }
                let key = self.expression(key, site)?;
                let key = self.member_key(key)?;
                let value = self.piece(value, site, jsonb)?.sql;
                if is_open {
                    self.choice(format!("{name}() {shown}"));
                }
                order.extend(arrival.keys);
                order.push(format!("{key} {tie}"));
                order.push(format!("{value} {tie}"));
                let order = order.join(", ");
                let list = |item: &str| format!("list({item} ORDER BY {order}){filter}");
                Ok(Typed::new(object(jsonb, &list(&key), &list(&value), name), ty))
            }
            _ => Err(self.wrong_arguments(name, call, site)),
        }
    }

    /// An aggregate over distinct values sees them in their order, or in the one that is asked for.
    fn distinct_direction(&mut self, value: &Typed, call: &FuncCall, site: Site<'_>) -> Outcome<String> {
        let [node] = call.agg_order.as_slice() else {
            return match call.agg_order.is_empty() {
                true => Ok("ASC NULLS LAST".to_owned()),
                false => Err(Problem::unsupported("an aggregate over distinct values with several keys to order by")),
            };
        };
        let Some(NodeEnum::SortBy(sort)) = &node.node else {
            return Err(Problem::unsupported("this form of ORDER BY"));
        };
        let by = self.expression(required(&sort.node)?, site)?;
        match by.sql == value.sql {
            true => Ok(direction(sort).to_owned()),
            false => Err(Problem::rejected(
                "42P10",
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
            )),
        }
    }
}

/// A literal between quotes, or NULL: nothing says its type.
fn is_untyped(argument: &Node) -> bool {
    match &argument.node {
        Some(NodeEnum::AConst(constant)) => constant.isnull || matches!(constant.val, Some(Val::Sval(_))),
        _ => false,
    }
}

/// `pg_jsonb_object(keys, values, [function])`
fn object(jsonb: bool, keys: &str, values: &str, function: &str) -> String {
    let kind = if jsonb { "jsonb" } else { "json" };
    format!("pg_{kind}_object({keys}, {values}, ['{function}'])")
}

/// How many of these are NULL.
fn nulls(columns: &[&str]) -> String {
    let terms: Vec<String> = columns.iter().map(|c| format!("CAST({c} IS NULL AS INTEGER)")).collect();
    format!("({})", terms.join(" + "))
}
