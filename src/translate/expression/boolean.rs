//! AND, OR, NOT and the tests of a truth value.

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
            let (part, fixed) = self.fixed(|this| this.condition(arg, site));
            let part = part?;
            // A constant that decides ends the server's reading.
            if !open.is_empty() {
                self.guard_constants(before, &open.join(" AND "));
            }
            if fixed {
                open.push(format!("({part}) {undecided}"));
            }
            parts.push(part);
        }
        let sql = match word {
            "NOT" => format!("(NOT {})", parts.join("")),
            _ => format!("({})", in_turn(parts, word).join(&format!(" {word} "))),
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
}

/// Parts of an AND or OR, of which one that may fail is only reached where those before it don't decide: DuckDB takes conditions
/// in the order of its own liking, the server from the left.
fn in_turn(parts: Vec<String>, word: &str) -> Vec<String> {
    let undecided = if word == "AND" { "IS NOT FALSE" } else { "IS NOT TRUE" };
    let mut guarded = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        // A subquery is asked last on the server, wherever it stands.
        let before: Vec<&str> =
            parts[..index].iter().map(String::as_str).filter(|before| !before.contains("SELECT ")).collect();
        guarded.push(if before.is_empty() || !may_fail(part) {
            part.clone()
        } else {
            format!("CASE WHEN ({}) {undecided} THEN {part} END", before.join(&format!(" {word} ")))
        });
    }
    guarded
}
