//! Operators: which one PostgreSQL picks for two types, and how DuckDB says the same.
//!
//! Invariant: a pair of types that PostgreSQL has no operator for is refused as PostgreSQL refuses it (42883); a pair that it has
//! one for, but whose DuckDB counterpart isn't known to agree, is unsupported.

mod arithmetic;
mod comparison;
mod concatenation;
mod document;
mod matching;

use super::reader::Reader;
use super::typed::Typed;
use crate::catalog::{Outcome, Problem, Type};

const COMPARISONS: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">="];

impl Reader<'_> {
    /// `left operator right`.
    pub(super) fn operator(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        if COMPARISONS.contains(&name) {
            return self.compare(name, left, right);
        }
        match name {
            "-" if left.ty == Type::Jsonb => self.without(left, right),
            "+" | "-" | "*" | "/" | "%" => self.arithmetic(name, left, right),
            "||" => self.concatenate(left, right),
            "->" | "->>" | "#>" | "#>>" | "#-" | "?" | "?|" | "?&" | "@>" | "<@" | "&&" | "@?" | "@@" => {
                self.document(name, left, right)
            }
            "~" | "~*" | "!~" | "!~*" => self.regular_expression(name, left, right),
            _ => Err(Problem::unsupported(format!("the operator {name}"))),
        }
    }

    pub(super) fn no_operator(&self, name: &str, left: &Type, right: &Type) -> Problem {
        if [left, right].contains(&&Type::Unknown) && ["+", "-", "*", "/", "%"].contains(&name) {
            // Which operators a bare literal may stand beside is the server's choice among several.
            return Problem::unsupported(format!("the operator {name} beside a literal whose type it leaves open"));
        }
        let (left, right) = (left.name(self.catalog()), right.name(self.catalog()));
        Problem::rejected("42883", format!("operator does not exist: {left} {name} {right}"))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    }
}
