//! AND, OR, NOT and the tests of a truth value.

use std::collections::BTreeSet;

use pg_query::protobuf::{self, BoolExprType, BoolTestType};

use super::{Site, required};
use crate::catalog::{Outcome, Type};
use crate::translate::constant::may_fail;
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    pub(super) fn boolean_expression(&mut self, expression: &protobuf::BoolExpr, site: Site<'_>) -> Outcome<Typed> {
        let word = match BoolExprType::try_from(expression.boolop) {
            Ok(BoolExprType::AndExpr) => "AND",
            Ok(BoolExprType::OrExpr) => "OR",
            _ => "NOT",
        };
        let site = Site { clause: word, ..site };
        let undecided = if word == "AND" { "IS NOT FALSE" } else { "IS NOT TRUE" };
        let (mut parts, mut open) = (Vec::new(), Vec::new());
        for arg in &expression.args {
            let before = self.constants();
            let varying = self.varying;
            let (part, fixed) = self.fixed(|this| this.condition(arg, site));
            let mut part = part?;
            // What the server asks only where it has a row, the engine would compute beforehand.
            if !fixed && self.varying == varying && may_fail(&part) {
                part = format!("CASE WHEN random() >= 0 THEN {part} END");
            }
            // A constant that decides ends the server's reading.
            if !open.is_empty() && self.constants() > before {
                self.guard_constants(before, &open.join(" AND "));
            }
            if fixed {
                open.push(format!("({part}) {undecided}"));
            }
            parts.push(part);
        }
        let sql = match word {
            "NOT" => format!("(NOT {})", parts.join("")),
            _ => format!("({})", self.in_turn(parts, word, site).join(&format!(" {word} "))),
        };
        Ok(Typed::new(sql, Type::Bool))
    }

    pub(super) fn boolean_test(&mut self, test: &protobuf::BooleanTest, site: Site<'_>) -> Outcome<Typed> {
        let (clause, word) = match BoolTestType::try_from(test.booltesttype) {
            Ok(BoolTestType::IsTrue) => ("IS TRUE", "IS TRUE"),
            Ok(BoolTestType::IsNotTrue) => ("IS NOT TRUE", "IS NOT TRUE"),
            Ok(BoolTestType::IsFalse) => ("IS FALSE", "IS FALSE"),
            Ok(BoolTestType::IsNotFalse) => ("IS NOT FALSE", "IS NOT FALSE"),
            Ok(BoolTestType::IsUnknown) => ("IS UNKNOWN", "IS NULL"),
            _ => ("IS NOT UNKNOWN", "IS NOT NULL"),
        };
        let value = self.condition(required(&test.arg)?, Site { clause, ..site })?;
        Ok(Typed::new(format!("({value} {word})"), Type::Bool))
    }

    /// Parts of an AND or OR, of which one that may fail is only reached where those before it don't decide: DuckDB takes conditions
    /// in the order of its own liking, the server from the left. Of a join it takes those of one table first, wherever they stand.
    fn in_turn(&mut self, parts: Vec<String>, word: &str, site: Site<'_>) -> Vec<String> {
        let undecided = if word == "AND" { "IS NOT FALSE" } else { "IS NOT TRUE" };
        let is_filter = word == "AND" && matches!(site.place, "WHERE" | "JOIN/ON") && site.scope.sources.len() > 1;
        let mut guarded = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            // A subquery is asked last on the server, wherever it stands.
            let before: Vec<&str> =
                parts[..index].iter().map(String::as_str).filter(|before| !before.contains("SELECT ")).collect();
            if before.is_empty() || !may_fail(part) {
                guarded.push(part.clone());
                continue;
            }
            let own = sources_in(part);
            if is_filter && raises(part) && before.iter().any(|before| !sources_in(before).is_subset(&own)) {
                self.caveat(
                    "the server may apply a condition on one table before those on others that stand before it, and may fail on a row that they would leave out"
                        .to_owned(),
                );
            }
            guarded.push(format!("CASE WHEN ({}) {undecided} THEN {part} END", before.join(&format!(" {word} "))));
        }
        guarded
    }
}

/// Does this SQL raise errors that depend on its values? Of the native functions, those do that change documents.
fn raises(sql: &str) -> bool {
    ["error(", "pg_jsonb_delete", "pg_jsonb_set", "pg_jsonb_insert"].iter().any(|word| sql.contains(word))
}

/// The sources `s<n>` that an SQL text reads.
fn sources_in(sql: &str) -> BTreeSet<&str> {
    let words = sql.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let sources = words.filter_map(|word| word.split_once('.')).map(|(source, _)| source);
    sources.filter(|s| s.strip_prefix('s').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_sources_of_a_condition() {
        let check = |sql: &str, expected: &[&str]| {
            assert_eq!(sources_in(sql).into_iter().collect::<Vec<_>>(), expected, "{sql}");
        };
        check("(s1.c2 = s12.c3)", &["s1", "s12"]);
        check("pg_lower(s2.c1) = 'x'", &["s2"]);
        check("true", &[]);
    }
}
