//! `||`, which joins texts, arrays or documents as its operands' types say.
//!
//! Input: two typed operands. Output: the operand's kind of concatenation.

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{self, Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, base, family, physical};

impl Reader<'_> {
    pub(super) fn concatenate(&mut self, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        let text = |ty: &Type| matches!(family(ty), Family::Text | Family::Unknown);
        match (&left.ty, &right.ty) {
            (Type::Jsonb, _) | (_, Type::Jsonb) if !(text(&left.ty) && right.ty != Type::Unknown) => {
                Err(Problem::unsupported("concatenation of jsonb"))
            }
            (Type::Array(a), Type::Array(b)) if base(a) == base(b) => Ok(Typed::new(
                format!(
                    "CASE WHEN {l} IS NULL THEN {r} WHEN {r} IS NULL THEN {l} ELSE list_concat({l}, {r}) END",
                    l = left.sql,
                    r = right.sql
                ),
                left.ty.clone(),
            )),
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
            (Type::Array(element), b) if cast::exists(b, element, Context::Implicit) => {
                let (ty, element) = (left.ty.clone(), (**element).clone());
                let right = convert(right, &element, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", left.sql, physical(&ty));
                Ok(Typed::new(format!("list_append({list}, {})", right.sql), ty))
            }
            (a, Type::Array(element)) if cast::exists(a, element, Context::Implicit) => {
                let (ty, element) = (right.ty.clone(), (**element).clone());
                let left = convert(left, &element, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", right.sql, physical(&ty));
                Ok(Typed::new(format!("list_prepend({}, {list})", left.sql), ty))
            }
            (a @ Type::Array(_), b) | (b, a @ Type::Array(_)) if numbers(a) && numbers(b) => {
                Err(Problem::unsupported("concatenation of an array with numbers of another type"))
            }
            (a, b) if text(a) || text(b) => {
                let as_text = |value: Typed| -> Outcome<String> {
                    if matches!(value.ty, Type::Array(_)) {
                        return Err(Problem::unsupported("the text form of an array"));
                    }
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
}

/// A number or an array of numbers.
fn numbers(ty: &Type) -> bool {
    match ty {
        Type::Array(element) => family(element) == Family::Number,
        ty => family(ty) == Family::Number,
    }
}
