//! Texts against patterns: LIKE, ILIKE and regular expressions.
//!
//! Input: two typed operands. Output: DuckDB's match. Invariant: an expression or pattern that the engines may read differently is
//! refused.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{Context, convert};
use crate::translate::pattern::{Use, translate};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family};

impl Reader<'_> {
    /// `~` and its kin. DuckDB's expressions are another dialect: only forms that both read alike pass.
    pub(super) fn regular_expression(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        for side in [&left, &right] {
            if !matches!(family(&side.ty), Family::Text | Family::Unknown) {
                return Err(self.no_operator(name, &left.ty, &right.ty));
            }
        }
        let Some(pattern) = right.text() else {
            return Err(Problem::unsupported("a regular expression that isn't a constant"));
        };
        let pattern = translate(pattern, Use::Test)?;
        let left = convert(left, &Type::Text, Context::Implicit, None, self.catalog())?;
        let flags = if name.ends_with('*') { "i" } else { "" };
        let matches = format!("regexp_matches({}, {}, '{flags}')", left.sql, quote_literal(&pattern));
        Ok(Typed::new(if name.starts_with('!') { format!("(NOT {matches})") } else { matches }, Type::Bool))
    }

    /// LIKE and ILIKE, whose escape character is the backslash unless ESCAPE gives another.
    pub(in crate::translate) fn like(
        &mut self,
        left: Typed,
        pattern: Typed,
        escape: Option<Typed>,
        ignores_case: bool,
        negated: bool,
    ) -> Outcome<Typed> {
        let name = match (ignores_case, negated) {
            (false, false) => "~~",
            (false, true) => "!~~",
            (true, false) => "~~*",
            (true, true) => "!~~*",
        };
        let (left, pattern, _) = self.operands(name, left, pattern)?;
        for side in [&left, &pattern] {
            if !matches!(family(&side.ty), Family::Text | Family::Unknown) {
                return Err(self.no_operator(name, &left.ty, &pattern.ty));
            }
        }
        let plain = pattern.text().is_some_and(|text| !text.contains('\\')) && escape.is_none();
        let catalog = self.catalog();
        let escape = match escape {
            None => "\\".to_owned(),
            Some(escape) => match escape.text() {
                Some(text) if text.chars().count() == 1 => text.to_owned(),
                _ => return Err(Problem::unsupported("an ESCAPE that isn't one constant character")),
            },
        };
        if pattern.text().is_some_and(|text| escape == "\\" && dangling_escape(text)) {
            // The server fails only at rows whose text is still going on where the pattern ends.
            return Err(Problem::unsupported("a LIKE pattern that ends with its escape character"));
        }
        let left = convert(left, &Type::Text, Context::Implicit, None, catalog)?;
        let pattern = convert(pattern, &Type::Text, Context::Implicit, None, catalog)?;
        let sql = if plain {
            let word = if ignores_case { "ILIKE" } else { "LIKE" };
            format!("({} {word} {})", left.sql, pattern.sql)
        } else {
            let word = if ignores_case { "ilike_escape" } else { "like_escape" };
            format!("{word}({}, {}, {})", left.sql, pattern.sql, quote_literal(&escape))
        };
        Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }
}

fn dangling_escape(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}
