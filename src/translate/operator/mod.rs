//! Operators: which one PostgreSQL picks for two types, and how DuckDB says the same.
//!
//! Invariant: a pair of types that PostgreSQL has no operator for is refused as PostgreSQL refuses it (42883); a pair that it has
//! one for, but whose DuckDB counterpart isn't known to agree, is unsupported.

mod arithmetic;
mod comparison;
mod concatenation;
pub(super) mod document;
mod matching;

use super::reader::Reader;
use super::typed::{Typed, is_citext, refused_of_rows};
use crate::catalog::{Outcome, Problem, Type};

const COMPARISONS: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">="];

impl Reader<'_> {
    /// `left operator right`.
    pub(super) fn operator(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let operands = [left.clone(), right.clone()];
        match self.known_operator(name, left, right) {
            Err(Problem::Unsupported(what)) => {
                let chosen = self.chosen_operator(name, &operands[0].ty, &operands[1].ty);
                let result = chosen.ok().and_then(|chosen| chosen.result.to_type());
                let result = result.ok_or(Problem::Unsupported(what.clone()))?;
                // No comparison knows what NULL is.
                Ok(refused_of_rows(&what.what, &operands, result == Type::Bool, &result))
            }
            value => value,
        }
    }

    fn known_operator(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        if is_citext(&left.ty) && name.contains('~') {
            return Err(self.no_operator(name, &left.ty, &right.ty));
        }
        if let Some(value) = self.extension_operator(name, &left, &right)? {
            return Ok(value);
        }
        if COMPARISONS.contains(&name) {
            return self.compare(name, left, right);
        }
        if matches!(name, "~~" | "!~~" | "~~*" | "!~~*") {
            return self.like(left, right, None, name.ends_with('*'), name.starts_with('!'));
        }
        let (left, right) = (self.uncased(left)?, self.uncased(right)?);
        let (left, right, result) = self.operands(name, left, right)?;
        let unknown = self.no_operator(name, &left.ty, &right.ty);
        if let Some(value) = self.carried_operator(name, &left, &right)? {
            return if value.ty.same_base(&result) { Ok(value) } else { Err(unknown) };
        }
        let value = match name {
            "-" if left.ty == Type::Jsonb => self.without(left, right),
            "+" | "-" | "*" | "/" | "%" => self.arithmetic(name, left, right),
            "&" | "|" | "#" | "<<" | ">>" => self.bits(name, left, right),
            "^" => self.known_function("power", vec![left, right]),
            "^@" => self.known_function("starts_with", vec![left, right]),
            "||" => self.concatenate(left, right),
            "->" | "->>" | "#>" | "#>>" | "#-" | "?" | "?|" | "?&" | "@>" | "<@" | "&&" | "@?" | "@@" => {
                self.document(name, left, right)
            }
            "~" | "~*" | "!~" | "!~*" => self.regular_expression(name, left, right),
            _ => return Err(unknown),
        }?;
        // What is computed must be what the server's operator gives.
        if value.ty.same_base(&result) { Ok(value) } else { Err(unknown) }
    }
}
