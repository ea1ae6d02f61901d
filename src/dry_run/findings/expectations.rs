//! Missed expectations: one finding for each place that states them, however many figures it names.

use crate::dry_run::report::{DryRunReport, ExpectationReport, Verdict};
use crate::migration::Migration;
use crate::render::{cell, count};
use crate::report::{Cell, Finding, Location, Severity};
use serde_json::Value;

/// A finding a place, with all its missed figures.
pub(super) fn findings(migration: &Migration, report: &DryRunReport) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let missed: Vec<&ExpectationReport> = report.expectations.iter().filter(|e| !e.ok).collect();
    // What a failure keeps from being told is the failure's fault.
    let failed = report.statements.iter().any(|s| s.verdict == Verdict::Failed);
    let missed: Vec<&ExpectationReport> = missed.into_iter().filter(|e| !(failed && e.predicted.is_null())).collect();
    for group in missed.chunk_by(|a, b| a.source == b.source) {
        let (file, line) = group[0].source.rsplit_once(':').unwrap_or((group[0].source.as_str(), ""));
        let who = if migration.files.iter().any(|known| known.name == file) { "The comment" } else { "The contract" };
        let rows = group.iter().map(|e| e.difference.map_or(1, i64::unsigned_abs)).max().unwrap_or(1);
        let mut finding = Finding::new(
            "expectation-missed",
            Severity::Error,
            rows,
            message(who, group),
            "Find out which of the two is meant before the migration runs: afterwards nobody can tell the rows apart.",
        );
        if let Ok(line) = line.parse() {
            finding = finding.at(Location { file: file.to_owned(), line, column: None, end_line: None });
        }
        found.push(finding);
    }
    found
}

/// `The comment expects filled=1,567, orphans=2,485; it will be filled=4,010 (+2,443), orphans=42 (-2,443): …`
fn message(who: &str, group: &[&ExpectationReport]) -> String {
    let expected: Vec<String> = group.iter().map(|e| format!("{}={}", e.name, said(&e.expected))).collect();
    let predicted: Vec<String> = group
        .iter()
        .filter(|e| !e.predicted.is_null())
        .map(|e| match e.difference {
            Some(difference) => {
                format!("{}={} ({})", e.name, said(&e.predicted), cell(&Cell::Delta(difference)))
            }
            None => format!("{}={}", e.name, said(&e.predicted)),
        })
        .collect();
    let mut causes: Vec<&str> = group.iter().filter_map(|e| e.cause.as_deref()).collect();
    causes.dedup();
    let why = if causes.is_empty() { String::new() } else { format!(": {}", causes.join("; ")) };
    let mut outcome = Vec::new();
    if !predicted.is_empty() {
        outcome.push(format!("it will be {}", predicted.join(", ")));
    }
    let unknown: Vec<&str> = group.iter().filter(|e| e.predicted.is_null()).map(|e| e.name.as_str()).collect();
    if !unknown.is_empty() {
        outcome.push(format!("{} can't be told", unknown.join(", ")));
    }
    format!("{who} expects {}; {}{why}.", expected.join(", "), outcome.join(", "))
}

fn said(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_one_finding() {
        fn check(expectations: &[(&str, &str, i64, Value)], expected: &[&str]) {
            let migration = Migration::from_text("m.sql", "SELECT 1").expect("SQL");
            let expectations = expectations.iter().map(|(source, name, expected, predicted)| ExpectationReport {
                name: (*name).to_owned(),
                source: (*source).to_owned(),
                expected: json!(expected),
                predicted: predicted.clone(),
                difference: predicted.as_i64().map(|p| p - expected),
                ok: predicted.as_i64() == Some(*expected),
                cause: Some("so it is".to_owned()),
            });
            let report = DryRunReport { expectations: expectations.collect(), ..Default::default() };
            let found: Vec<String> = findings(&migration, &report)
                .iter()
                .map(|f| format!("{} {}", f.location.as_ref().map_or("-".to_owned(), ToString::to_string), f.message))
                .collect();
            assert_eq!(found, expected);
        }
        check(
            &[
                ("m.sql:3", "filled", 1567, json!(4010)),
                ("m.sql:3", "orphans", 2485, json!(42)),
                ("m.sql:3", "total", 4, json!(4)),
                ("e.toml:9", "x", 1, Value::Null),
            ],
            &[
                "m.sql:3 The comment expects filled=1,567, orphans=2,485; it will be filled=4,010 (+2,443), orphans=42 (-2,443): so it is.",
                "e.toml:9 The contract expects x=1; x can't be told: so it is.",
            ],
        );
    }
}
