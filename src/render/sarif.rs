//! SARIF 2.1.0: findings for code-scanning services and editors.
//!
//! Every id of [`FINDING_IDS`] is a rule, whether it was found or not, so that a rule's index never depends on the data. A
//! fingerprint is made of what stays when figures and lines move: id, file, and the message without its numbers.
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::report::{FINDING_IDS, Finding, Location, Outcome, Report, SnapshotRef};

/// What a path keeps as it is in a URI.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn write(
    out: &mut dyn Write,
    report: &dyn Report,
    snapshot: Option<&SnapshotRef>,
    outcome: Outcome,
) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(report, snapshot, outcome)).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

fn log(report: &dyn Report, snapshot: Option<&SnapshotRef>, outcome: Outcome) -> Value {
    let rules: Vec<Value> =
        FINDING_IDS.iter().map(|(id, text)| json!({"id": id, "shortDescription": {"text": text}})).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = report.findings().iter().map(|finding| result(finding, &mut seen)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "rehearsal",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "automationDetails": {"id": format!("rehearsal/{}/", report.name())},
            "invocations": [{"executionSuccessful": outcome != Outcome::Failed}],
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {"snapshot": snapshot, "outcome": outcome},
        }],
    })
}

fn result(finding: &Finding, seen: &mut BTreeMap<String, u32>) -> Value {
    let fingerprint = fingerprint(finding);
    let occurrence = seen.entry(fingerprint.clone()).or_insert(0);
    *occurrence += 1;
    let mut result = Map::new();
    result.insert("ruleId".to_owned(), json!(finding.id));
    if let Some(index) = FINDING_IDS.iter().position(|(id, _)| *id == finding.id) {
        result.insert("ruleIndex".to_owned(), json!(index));
    }
    result.insert("level".to_owned(), json!(finding.severity.as_str()));
    result.insert("message".to_owned(), json!({"text": format!("{} {}", finding.message, finding.action)}));
    if let Some(location) = &finding.location {
        result.insert("locations".to_owned(), json!([physical(location)]));
    }
    result.insert(
        "partialFingerprints".to_owned(),
        json!({"rehearsalFinding/v1": format!("{fingerprint}:{occurrence}")}),
    );
    result.insert("properties".to_owned(), json!({"count": finding.count, "samples": finding.samples}));
    Value::Object(result)
}

fn physical(location: &Location) -> Value {
    let mut region = Map::new();
    region.insert("startLine".to_owned(), json!(location.line));
    if let Some(column) = location.column {
        region.insert("startColumn".to_owned(), json!(column));
    }
    if let Some(end) = location.end_line {
        region.insert("endLine".to_owned(), json!(end));
    }
    json!({"physicalLocation": {"artifactLocation": {"uri": uri(&location.file)}, "region": region}})
}

/// A path as a URI: relative ones stay relative, because services resolve them in the repository.
fn uri(file: &str) -> String {
    let path = file.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let name = if path == "-" { "stdin" } else { path };
    format!("{scheme}{}", utf8_percent_encode(name, IN_PATH))
}

fn fingerprint(finding: &Finding) -> String {
    let file = finding.location.as_ref().map_or("", |l| l.file.as_str());
    let words: String = finding.message.chars().filter(|c| !c.is_ascii_digit() && *c != ',').collect();
    let hash = Sha256::digest(format!("{}\n{file}\n{words}", finding.id));
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Severity, View};

    struct Fake(Vec<Finding>);

    impl Report for Fake {
        fn name(&self) -> &'static str {
            "dry-run"
        }
        fn findings(&self) -> &[Finding] {
            &self.0
        }
        fn result(&self) -> Result<Value> {
            Ok(Value::Null)
        }
        fn view(&self) -> View {
            View::default()
        }
    }

    fn finding(message: &str, line: usize) -> Finding {
        let place = Location { file: "a b/m.sql".into(), line, column: Some(2), end_line: Some(line + 1) };
        Finding::new("dead-rule", Severity::Note, 3, message, "Drop it.").at(place)
    }

    /// What the schema demands of the parts that are used: types, required members, indexes that point at the right rule.
    fn check_structure(log: &Value) {
        assert_eq!(log["version"], "2.1.0");
        let runs = log["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), 1);
        let driver = &runs[0]["tool"]["driver"];
        assert!(driver["name"].is_string());
        let rules = driver["rules"].as_array().expect("rules");
        let mut ids: Vec<&str> = rules.iter().map(|r| r["id"].as_str().expect("a rule's id")).collect();
        assert!(rules.iter().all(|r| r["shortDescription"]["text"].is_string()));
        for result in runs[0]["results"].as_array().expect("results") {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(result["ruleId"], ids[index]);
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().expect("a level")));
            assert!(!result["message"]["text"].as_str().expect("a text").is_empty());
            for location in result["locations"].as_array().into_iter().flatten() {
                let physical = &location["physicalLocation"];
                let uri = physical["artifactLocation"]["uri"].as_str().expect("a URI");
                assert!(!uri.contains([' ', '\\']), "{uri}");
                let region = &physical["region"];
                let start = region["startLine"].as_u64().expect("a line");
                assert!(start >= 1 && region["endLine"].as_u64().is_none_or(|end| end >= start));
            }
            let prints = result["partialFingerprints"].as_object().expect("fingerprints");
            assert!(prints.values().all(Value::is_string) && !prints.is_empty());
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "rule ids are unique");
    }

    #[test]
    fn the_structure_is_the_schemas() {
        let without = Finding::new("fan-out", Severity::Error, 1, "It grows.", "Stop it.");
        let log = log(&Fake(vec![finding("3 rows", 4), without]), None, Outcome::Findings);
        check_structure(&log);
        let results = log["runs"][0]["results"].as_array().expect("results");
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "a%20b/m.sql");
        assert_eq!(
            results[0]["locations"][0]["physicalLocation"]["region"],
            json!({"startLine": 4, "startColumn": 2, "endLine": 5})
        );
        assert!(results[1].get("locations").is_none());
    }

    #[test]
    fn a_fingerprint_outlives_figures_and_lines() {
        let prints = |findings| {
            let log = log(&Fake(findings), None, Outcome::Clean);
            let results = log["runs"][0]["results"].as_array().expect("results").clone();
            results.iter().map(|r| r["partialFingerprints"].to_string()).collect::<Vec<_>>()
        };
        let before = prints(vec![finding("1,537 rows differ", 4), finding("30 rows differ", 9)]);
        let after = prints(vec![finding("98 rows differ", 6), finding("7 rows differ", 1)]);
        assert_eq!(before, after);
        assert_ne!(before[0], before[1], "two alike are told apart");
        assert_ne!(before[0], prints(vec![finding("98 rows vanish", 6)])[0]);
    }

    #[test]
    fn paths_are_uris() {
        for (path, expected) in [
            ("migrations/1_a/migration.sql", "migrations/1_a/migration.sql"),
            ("./a.sql", "a.sql"),
            ("a\\b.sql", "a/b.sql"),
            ("/tmp/é.sql", "file:///tmp/%C3%A9.sql"),
            ("-", "stdin"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
