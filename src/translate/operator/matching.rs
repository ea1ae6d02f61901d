//! Texts against patterns: LIKE, ILIKE and regular expressions.
//!
//! Input: two typed operands. Output: a truth value. Invariant: patterns with an escape character and regular expressions are
//! matched by native code.

use crate::catalog::{Outcome, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family};

impl Reader<'_> {
    /// `~` and its kin.
    pub(super) fn regular_expression(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let (left, right) = self.texts(name, left, right)?;
        let word = if name.ends_with('*') { "pg_iregexp" } else { "pg_regexp" };
        let matches = format!("{word}({left}, {right})");
        Ok(Typed::new(if name.starts_with('!') { format!("(NOT {matches})") } else { matches }, Type::Bool))
    }

    /// Two operands as texts.
    fn texts(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<(String, String)> {
        for side in [&left, &right] {
            if !matches!(family(&side.ty), Family::Text | Family::Unknown) {
                return Err(self.no_operator(name, &left.ty, &right.ty));
            }
        }
        let catalog = self.catalog();
        let left = convert(left, &Type::Text, Context::Implicit, None, catalog)?;
        let right = convert(right, &Type::Text, Context::Implicit, None, catalog)?;
        Ok((left.sql, right.sql))
    }

    /// SIMILAR TO, with its own escape character where ESCAPE gives one.
    pub(in crate::translate) fn similar(
        &mut self,
        left: Typed,
        pattern: Typed,
        escape: Option<Typed>,
        negated: bool,
    ) -> Outcome<Typed> {
        let (left, pattern) = self.texts("~", left, pattern)?;
        let mut args = vec![left, pattern];
        if let Some(escape) = escape {
            args.push(convert(escape, &Type::Text, Context::Implicit, None, self.catalog())?.sql);
        }
        let sql = format!("pg_similar({})", args.join(", "));
        Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
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
        // Constants without an escape are the engine's own business.
        let plain = pattern.text().is_some_and(|text| !text.contains('\\')) && escape.is_none();
        let catalog = self.catalog();
        let escape = match escape {
            None => "'\\'".to_owned(),
            Some(escape) => convert(escape, &Type::Text, Context::Implicit, None, catalog)?.sql,
        };
        let (left, pattern) = self.texts(name, left, pattern)?;
        let sql = match (plain, ignores_case) {
            (true, true) => format!("({left} ILIKE {pattern})"),
            (true, false) => format!("({left} LIKE {pattern})"),
            (false, true) => format!("pg_ilike({left}, {pattern}, {escape})"),
            (false, false) => format!("pg_like({left}, {pattern}, {escape})"),
        };
        Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }
}
