//! Operators on json, jsonb and arrays.
//!
//! Input: two typed operands. Output: native functions over the document's text, list functions over arrays. Invariant: operands
//! are converted as the server's only candidate asks; where it has none, 42883. Left out: jsonpath.

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{self, Context, convert};
use crate::translate::equality;
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family};

impl Reader<'_> {
    /// Operators on json, jsonb and arrays.
    pub(super) fn document(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let either = |ty: &Type| left.ty == *ty || right.ty == *ty;
        let array = matches!(left.ty, Type::Array(_)) || matches!(right.ty, Type::Array(_));
        match name {
            "->" | "->>" if matches!(left.ty, Type::Json | Type::Jsonb) => self.member(name, left, right),
            "#>" | "#>>" if matches!(left.ty, Type::Json | Type::Jsonb) => {
                let path = self.right_operand(name, &left, right, &Type::Text.array())?;
                let (function, ty) = if name == "#>" { ("path", left.ty) } else { ("path_text", Type::Text) };
                Ok(Typed::new(format!("pg_json_{function}([{}], {path})", left.sql), ty))
            }
            "?" if left.ty == Type::Jsonb => {
                let key = self.right_operand(name, &left, right, &Type::Text)?;
                Ok(Typed::new(format!("pg_jsonb_exists({}, {key})", left.sql), Type::Bool))
            }
            "?|" | "?&" if left.ty == Type::Jsonb => {
                let keys = self.right_operand(name, &left, right, &Type::Text.array())?;
                let word = if name == "?|" { "any" } else { "all" };
                Ok(Typed::new(format!("pg_jsonb_exists_{word}([{}], {keys})", left.sql), Type::Bool))
            }
            "#-" if left.ty == Type::Jsonb => {
                let path = self.right_operand(name, &left, right, &Type::Text.array())?;
                Ok(Typed::new(format!("pg_jsonb_delete_path([{}], {path})", left.sql), Type::Jsonb))
            }
            "@>" | "<@" if either(&Type::Jsonb) && !array => {
                let left = self.document_operand(name, left, &right.ty)?;
                let right = self.document_operand(name, right, &Type::Jsonb)?;
                let (a, b) = if name == "@>" { (left, right) } else { (right, left) };
                Ok(Typed::new(format!("pg_jsonb_contains({}, {})", a.sql, b.sql), Type::Bool))
            }
            "@>" | "<@" | "&&" if array => self.overlap(name, left, right),
            "@?" | "@@" => Err(Problem::unsupported(format!("the jsonpath operator {name}"))),
            _ if [&left.ty, &right.ty].iter().any(|ty| matches!(ty, Type::Opaque(_))) => {
                let (left, right) = (left.ty.name(self.catalog()), right.ty.name(self.catalog()));
                Err(Problem::unsupported(format!("{left} {name} {right}")))
            }
            _ if left.ty == Type::Unknown && right.ty == Type::Unknown => {
                Err(Problem::rejected("42725", format!("operator is not unique: unknown {name} unknown")))
            }
            _ => Err(self.no_operator(name, &left.ty, &right.ty)),
        }
    }

    /// The right operand as the one type that the operator takes there.
    fn right_operand(&mut self, name: &str, left: &Typed, right: Typed, ty: &Type) -> Outcome<String> {
        if !cast::exists(&right.ty, ty, Context::Implicit) {
            return Err(self.no_operator(name, &left.ty, &right.ty));
        }
        Ok(convert(right, ty, Context::Implicit, None, self.catalog())?.sql)
    }

    /// An operand that must be jsonb.
    fn document_operand(&mut self, name: &str, value: Typed, other: &Type) -> Outcome<Typed> {
        match value.ty {
            Type::Jsonb => Ok(value),
            Type::Unknown => convert(value, &Type::Jsonb, Context::Implicit, None, self.catalog()),
            _ => Err(self.no_operator(name, &value.ty, other)),
        }
    }

    /// `->` and `->>` by key or by position.
    pub(in crate::translate) fn member(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let (suffix, ty) = if name == "->>" { ("_text", Type::Text) } else { ("", left.ty.clone()) };
        let sql = match &right.ty {
            Type::Int2 | Type::Int4 => {
                let kind = if left.ty == Type::Jsonb { "jsonb" } else { "json" };
                format!("pg_{kind}_element{suffix}({}, CAST({} AS VARCHAR))", left.sql, right.sql)
            }
            ty if matches!(family(ty), Family::Text | Family::Unknown) => {
                let key = convert(right, &Type::Text, Context::Implicit, None, self.catalog())?;
                format!("pg_json_member{suffix}({}, {})", left.sql, key.sql)
            }
            _ => return Err(self.no_operator(name, &left.ty, &right.ty)),
        };
        Ok(Typed::new(sql, ty))
    }

    /// `jsonb - text`, `jsonb - integer`, `jsonb - text[]`.
    pub(super) fn without(&mut self, left: Typed, right: Typed) -> Outcome<Typed> {
        let sql = match &right.ty {
            Type::Int2 | Type::Int4 => {
                format!("pg_jsonb_delete_at({}, CAST({} AS VARCHAR))", left.sql, right.sql)
            }
            Type::Array(element) if family(element) == Family::Text => {
                format!("pg_jsonb_delete_keys([{}], {})", left.sql, right.sql)
            }
            ty if matches!(family(ty), Family::Text | Family::Unknown) => {
                let key = convert(right, &Type::Text, Context::Implicit, None, self.catalog())?;
                format!("pg_jsonb_delete({}, {})", left.sql, key.sql)
            }
            _ => return Err(self.no_operator("-", &left.ty, &right.ty)),
        };
        Ok(Typed::new(sql, Type::Jsonb))
    }

    /// `@>`, `<@` and `&&` of arrays: a NULL element is equal to none.
    fn overlap(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let element = match &left.ty {
            Type::Array(element) => (**element).clone(),
            _ => return Err(self.no_operator(name, &left.ty, &right.ty)),
        };
        if element == Type::Json {
            return Err(Problem::rejected("42883", "could not identify an equality operator for type json"));
        }
        let a = equality::array_key(&left.sql, &element);
        let b = equality::array_key(&right.sql, &element);
        let contains = |whole: &str, part: &str| {
            format!(
                "CASE WHEN {whole} IS NOT NULL AND {part} IS NOT NULL THEN list_count({part}) = len({part}) AND list_has_all({whole}, {part}) END"
            )
        };
        let sql = match name {
            "@>" => contains(&a, &b),
            "<@" => contains(&b, &a),
            _ => format!("list_has_any({a}, {b})"),
        };
        Ok(Typed::new(sql, Type::Bool))
    }
}
