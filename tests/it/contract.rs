//! What a dry run is held against, through the real binary: contracts (the README's, a written one, wrong ones), checks, roll-backs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{json, refused, rehearsal};

fn migration(case: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("fixtures/migrations").join(case).display().to_string()
}

/// Runs both migrations on the demo against a contract; returns what came of the contract's expectations.
fn expectations(folder: &Path, contract: &str, code: i32) -> Vec<Value> {
    fs::write(folder.join("expect.toml"), contract).expect("a file");
    let (category, roots) = (migration("category"), migration("roots-applied"));
    let args = ["dry-run", &category, &roots, "--on", "demo", "--expect", "expect.toml"];
    let report = json(folder, &args, code);
    let all = report["result"]["expectations"].as_array().expect("expectations").clone();
    all.into_iter().filter(|e| e["source"].as_str().expect("a source").starts_with("expect.toml:")).collect()
}

#[test]
fn the_readmes_contract_holds() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let block = readme.split("```toml\n").find(|block| block.starts_with("# expect.toml")).expect("the contract");
    let contract = block.split("```").next().expect("the block");
    let folder = tempfile::tempdir().expect("a folder");
    // The run fails all the same: the migration's own comment expects something else.
    let found = expectations(folder.path(), contract, 1);
    assert!(found.len() > 8, "{found:?}");
    assert!(found.iter().all(|e| e["ok"] == true), "{found:#?}");
}

#[test]
fn a_written_contract_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let category = migration("category");
    let write = rehearsal(folder.path(), &["dry-run", &category, "--on", "demo", "--write-expect", "expect.toml"]);
    assert_eq!(write.status.code(), Some(0));
    let report = json(folder.path(), &["dry-run", &category, "--on", "demo", "--expect", "expect.toml"], 0);
    let found = report["result"]["expectations"].as_array().expect("expectations");
    assert!(found.len() > 15 && found.iter().all(|e| e["ok"] == true), "{found:#?}");
}

#[test]
fn a_broken_contract_fails_the_run_with_its_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = expectations(folder.path(), "[distribution.llama_logs.category]\nENRICHED = 3800\nCREATED = 266\n", 1);
    let told: Vec<String> =
        found.iter().map(|e| format!("{} {} {}", e["predicted"], e["difference"], e["ok"])).collect();
    assert_eq!(told, ["3770 -30 false", "266 0 true", "\"CACHED 1, CORRECTED 15\" null false"]);
}

#[test]
fn an_unknown_statement_is_refused_before_the_run() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("expect.toml"), "[statements]\n\"category/30\" = { rows = 1 }\n").expect("a file");
    let category = migration("category");
    let error = refused(folder.path(), &["dry-run", &category, "--on", "demo", "--expect", "expect.toml"]);
    assert!(
        error.starts_with("error: expect.toml:2: statements.\"category/30\" is no statement of the migration"),
        "{error}"
    );
    assert!(error.contains("hint: statements: 1 ("), "{error}");
}

#[test]
fn checks_and_roll_backs_are_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let leads = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/leads").display().to_string();
    let batch = migration("batch-1");
    for (rollback, code) in [("rollback.sql", 0), ("rollback-hostile.sql", 1)] {
        let (undo, checks) = (format!("{batch}/{rollback}"), format!("{batch}/checks.sql"));
        let args = ["dry-run", &batch, "--on", &leads, "--rollback", &undo, "--check", &checks, "--samples", "0"];
        let report = json(folder.path(), &args, code);
        assert_eq!(report["result"]["rollback"]["restored"], code == 0, "{rollback}");
        let checks = report["result"]["checks"].as_array().expect("checks");
        let rules: Vec<&str> = checks.iter().map(|c| c["rule"].as_str().expect("a rule")).collect();
        assert_eq!(rules, ["expected total_tables=15, new_tables=7", "expected linked=0", "no rows"]);
        assert!(checks.iter().all(|c| c["ok"] == true), "{checks:#?}");
    }
}
