//! Operators on json, jsonb and arrays.
//!
//! Input: two typed operands. Output: DuckDB SQL over the document's text; what would come out in another text form is refused.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::{Constant, Typed, refuse};

impl Reader<'_> {
    /// Operators on json, jsonb and arrays.
    pub(super) fn document(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let json = matches!(left.ty, Type::Json | Type::Jsonb);
        match (name, json) {
            ("->" | "->>", true) => self.member(name, left, right),
            ("?", true) if left.ty == Type::Jsonb => {
                let key = convert(right, &Type::Text, Context::Implicit, None, self.catalog())?;
                let (j, k) = (&left.sql, &key.sql);
                Ok(Typed::new(
                    format!(
                        "CASE json_type({j}) WHEN 'OBJECT' THEN list_contains(json_keys({j}), {k}) WHEN 'ARRAY' THEN list_contains(list_transform(list_filter(CAST({j} AS JSON[]), lambda x: json_type(x) = 'VARCHAR'), lambda x: x ->> '$'), {k}) WHEN 'VARCHAR' THEN ({j} ->> '$') = {k} ELSE {j} IS NULL AND NULL END"
                    ),
                    Type::Bool,
                ))
            }
            _ if json => Err(Problem::unsupported(format!("the jsonb operator {name}"))),
            ("@>" | "<@" | "&&", _) if matches!(left.ty, Type::Array(_)) || matches!(right.ty, Type::Array(_)) => {
                Err(Problem::unsupported(format!("the array operator {name}")))
            }
            _ => Err(self.no_operator(name, &left.ty, &right.ty)),
        }
    }

    /// `->` and `->>` by key or by position.
    pub(in crate::translate) fn member(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let place = match (&right.ty, right.text()) {
            (Type::Unknown | Type::Text, Some(key)) => {
                let key = key.replace('\\', "\\\\").replace('"', "\\\"");
                (quote_literal(&format!("$.\"{key}\"")), "OBJECT")
            }
            (Type::Int4, _) => match &right.constant {
                Some(Constant::Integer(at)) if *at >= 0 => (quote_literal(&format!("$[{at}]")), "ARRAY"),
                _ => return Err(Problem::unsupported("a jsonb element by a position that isn't a constant from 0")),
            },
            _ => return Err(Problem::unsupported("a jsonb member by a key that isn't a constant")),
        };
        let (path, kind) = place;
        let document = match kind {
            // To the server, a scalar is an array of itself.
            "ARRAY" => format!(
                "CASE WHEN json_type({j}) = 'ARRAY' THEN {j} WHEN json_type({j}) <> 'OBJECT' THEN {} END",
                refuse("an element of a jsonb scalar", &left.ty),
                j = left.sql
            ),
            _ => format!("CASE WHEN json_type({j}) = 'OBJECT' THEN {j} END", j = left.sql),
        };
        if name == "->>" {
            // A member that is an object or array must come out as jsonb writes it, which isn't how DuckDB does.
            let value = format!("json_extract({document}, {path})");
            let refuse = refuse("the text of a jsonb member that is an object or array", &Type::Text);
            return Ok(Typed::new(
                format!(
                    "CASE WHEN json_type({value}) IN ('OBJECT', 'ARRAY') THEN {refuse} ELSE json_extract_string({document}, {path}) END"
                ),
                Type::Text,
            ));
        }
        // An object or array comes out without jsonb's blanks: it may be looked into further, but isn't a value yet.
        Ok(Typed::new(format!("CAST(json_extract({document}, {path}) AS VARCHAR)"), left.ty))
    }
}
