//! Formats of findings through the real binary: annotations of a workflow, SARIF.

use std::process::Command;

use crate::support::{json, refused, rehearsal, stdout};

#[test]
fn the_demo_as_annotations() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["classify", "demo", "--format", "github"]);
    insta::assert_snapshot!("formats_demo_github", stdout(&output));
}

#[test]
fn the_demo_as_sarif() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["classify", "demo", "--format", "sarif", "--samples", "0"]);
    let log: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    let found: Vec<(&str, &str)> =
        results.iter().map(|r| (r["ruleId"].as_str().expect("an id"), r["level"].as_str().expect("a level"))).collect();
    let report = json(folder.path(), &["classify", "demo", "--samples", "0"], 0);
    let expected: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|f| (f["id"].as_str().expect("an id"), f["severity"].as_str().expect("a severity")))
        .collect();
    assert!(!found.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn formats_of_findings_are_refused_for_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in ["github", "sarif"] {
        let error = refused(folder.path(), &["sql", "demo", "SELECT 1", "--format", format]);
        assert!(error.starts_with(&format!("error: --format {format} is for findings")), "{error}");
    }
}

/// A migration with a finding at a known line, run as a workflow of GitHub runs it.
#[test]
fn a_workflow_gets_annotations_at_the_migrations_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("m.sql"), "\n\nUPDATE llama_logs SET nothing = 1;\n").expect("a file");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .args(["dry-run", "m.sql", "--on", "demo"])
            .args(args)
            .current_dir(folder.path())
            .env("GITHUB_ACTIONS", "true")
            .env("NO_COLOR", "1")
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(1));
        stdout(&output)
    };
    let annotated = run(&[]);
    assert!(annotated.starts_with("::error file=m.sql,line=3,col=23,title=statement-failed::"), "{annotated}");
    assert!(annotated.lines().all(|line| line.starts_with("::")), "{annotated}");
    assert!(run(&["--format", "table"]).starts_with("Dry run: m\n"));
    let log: serde_json::Value = serde_json::from_str(&run(&["--format", "sarif"])).expect("JSON");
    let place = &log["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!((&place["artifactLocation"]["uri"], &place["region"]["startLine"]), (&"m.sql".into(), &3.into()));
}
