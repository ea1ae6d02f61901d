//! `||`, which joins texts, arrays or documents as its operands' types say.
//!
//! Input: two typed operands. Output: the operand's kind of concatenation.

use crate::catalog::{Outcome, Type};
use crate::translate::cast::{self, Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, base, family, physical};

impl Reader<'_> {
    pub(super) fn concatenate(&mut self, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        let text = |ty: &Type| matches!(family(ty), Family::Text | Family::Unknown);
        match (&left.ty, &right.ty) {
            (Type::Jsonb, Type::Jsonb) => {
                Ok(Typed::new(format!("pg_jsonb_concat({}, {})", left.sql, right.sql), Type::Jsonb))
            }
            (Type::Jsonb, Type::Unknown) => {
                let right = convert(right, &Type::Jsonb, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Unknown, Type::Jsonb) => {
                let left = convert(left, &Type::Jsonb, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Array(a), Type::Array(b)) => {
                let ty = self.joined(&left, a, b, &right)?;
                let left = convert(left, &ty, Context::Implicit, None, catalog)?;
                let right = convert(right, &ty, Context::Implicit, None, catalog)?;
                Ok(Typed::new(joined_lists(&left.sql, &right.sql), ty))
            }
            (Type::Array(_), Type::Unknown) => {
                let ty = left.ty.clone();
                let right = convert(right, &ty, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Unknown, Type::Array(_)) => {
                let ty = right.ty.clone();
                let left = convert(left, &ty, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Array(element), b) if *b != Type::Json && self.joins(element, b) => {
                let (ty, element) = self.array_for(element, b)?;
                let left = convert(left, &ty, Context::Implicit, None, catalog)?;
                let right = convert(right, &element, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", left.sql, physical(&ty));
                Ok(Typed::new(format!("list_append({list}, {})", right.sql), ty))
            }
            (a, Type::Array(element)) if *a != Type::Json && self.joins(element, a) => {
                let (ty, element) = self.array_for(element, a)?;
                let left = convert(left, &element, Context::Implicit, None, catalog)?;
                let right = convert(right, &ty, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", right.sql, physical(&ty));
                Ok(Typed::new(format!("list_prepend({}, {list})", left.sql), ty))
            }
            (Type::Bytea, Type::Bytea) => Ok(Typed::new(format!("({} || {})", left.sql, right.sql), Type::Bytea)),
            (a @ Type::Array(_), b) | (a, b @ Type::Array(_)) => Err(self.no_operator("||", a, b)),
            (a, b) if text(a) || text(b) => {
                let as_text = |value: Typed| -> Outcome<String> {
                    match value.ty {
                        Type::Unknown => Ok(convert(value, &Type::Text, Context::Implicit, None, catalog)?.sql),
                        _ => Ok(convert(value, &Type::Text, Context::Explicit, None, catalog)?.sql),
                    }
                };
                Ok(Typed::new(format!("({} || {})", as_text(left)?, as_text(right)?), Type::Text))
            }
            (a, b) => Err(self.no_operator("||", a, b)),
        }
    }

    /// May an element and an array be joined? One of the two types must turn into the other by itself.
    fn joins(&self, element: &Type, value: &Type) -> bool {
        cast::exists(value, element, Context::Implicit) || cast::exists(element, value, Context::Implicit)
    }

    /// The array type, and its element's, that an array and an element are joined in.
    pub(in crate::translate) fn array_for(&self, element: &Type, value: &Type) -> Outcome<(Type, Type)> {
        let wider = match (element, cast::exists(value, element, Context::Implicit)) {
            (Type::Unknown, _) => match value {
                Type::Unknown => Type::Text,
                other => base(other),
            },
            (_, true) => element.clone(),
            (_, false) => base(value),
        };
        Ok((Type::Array(Box::new(wider.clone())), wider))
    }

    /// The type of two arrays joined.
    fn joined(&self, left: &Typed, a: &Type, b: &Type, right: &Typed) -> Outcome<Type> {
        let wider = match (a, b) {
            (Type::Unknown, other) | (other, Type::Unknown) => other.clone(),
            (a, b) if base(a) == base(b) || cast::exists(b, a, Context::Implicit) => a.clone(),
            (a, b) if cast::exists(a, b, Context::Implicit) => b.clone(),
            _ => return Err(self.no_operator("||", &left.ty, &right.ty)),
        };
        Ok(Type::Array(Box::new(wider)))
    }
}

/// Two lists as one: NULL adds nothing, but two NULLs are NULL. Neither operand is written twice, lest a chain doubles at each link.
fn joined_lists(a: &str, b: &str) -> String {
    if [a, b].iter().any(|sql| sql.starts_with('[') || sql.starts_with("CAST([")) {
        return format!("list_concat({a}, {b})");
    }
    let joined = "CASE WHEN p[1] IS NULL THEN p[2] WHEN p[2] IS NULL THEN p[1] ELSE list_concat(p[1], p[2]) END";
    format!("list_transform([[{a}, {b}]], lambda p: {joined})[1]")
}
