//! `rehearsal roots` and `rehearsal cycles` through the real binary: published figures, every label of the hostile fixture, every form.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::hostile;
use crate::support::{json as run_json, parquet, refused, rehearsal, stdout};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn hostile_snapshot() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile").display().to_string()
}

#[test]
fn the_demo_has_the_published_figures() {
    let folder = folder();
    for (variant, differing) in [("applied", 0), ("example-3", 0), ("pattern-2", 30)] {
        let report = run_json(folder.path(), &["roots", "demo", "--variant", variant, "--fail-on", "never"], 0);
        let result = &report["result"];
        assert_eq!(result["replay"]["filled_rows"], 4010, "{variant}");
        assert_eq!(result["replay"]["null_rows"], 42, "{variant}");
        assert_eq!(result["replay"]["differing_rows"], differing, "{variant}");
        assert_eq!(
            result["outcomes"],
            json!({"root": 3980, "child": 30, "orphan": 42, "dangling": 0, "cyclic": 0, "ambiguous": 0})
        );
        let plan = &result["plan"];
        assert_eq!((&plan["root_flag_rows"], &plan["rows_with_parent"]), (&json!(1537), &json!(30)));
        assert_eq!((&plan["expected_filled_rows"], &plan["unflagged_root_rows"]), (&json!(1567), &json!(2443)));
    }
}

#[test]
fn the_demo_in_words() {
    let folder = folder();
    insta::assert_snapshot!("roots_demo", stdout(&rehearsal(folder.path(), &["roots", "demo", "--samples", "2"])));
}

#[test]
fn the_hostile_fixture_in_words() {
    let folder = folder();
    let hostile = hostile_snapshot();
    let roots = rehearsal(folder.path(), &["roots", &hostile, "--samples", "3"]);
    assert_eq!(roots.status.code(), Some(1), "wrong roots are errors");
    insta::assert_snapshot!("roots_hostile", stdout(&roots));
    insta::assert_snapshot!("cycles_hostile", stdout(&rehearsal(folder.path(), &["cycles", &hostile])));
}

#[test]
fn every_row_of_the_hostile_fixture_is_what_its_label_says() {
    let folder = folder();
    let args = ["roots", &hostile_snapshot(), "--output-rows", "rows.parquet", "--fail-on", "never"];
    let report = run_json(folder.path(), &args, 0);
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let sql = format!(
        "SELECT id::VARCHAR, outcome, root_job_id, depth FROM '{}'",
        folder.path().join("rows.parquet").display()
    );
    let mut statement = connection.prepare(&sql).expect("the rows");
    let rows: BTreeMap<String, (String, Option<String>, Option<u32>)> = statement
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?))))
        .expect("the rows")
        .collect::<duckdb::Result<_>>()
        .expect("the rows");
    let labels = hostile::labels();
    assert_eq!(rows.len(), labels.len());
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for label in &labels {
        let expected = (label.outcome.clone(), label.root_job_id.clone(), label.depth);
        assert_eq!(rows[&label.id.to_string()], expected, "case {}, row {}", label.case, label.id);
        *counts.entry(&label.outcome).or_default() += 1;
    }
    for (outcome, count) in counts {
        assert_eq!(report["result"]["outcomes"][outcome], count, "{outcome}");
    }
}

#[test]
fn cyclic_rows_are_those_on_cycles_and_those_leading_in() {
    let folder = folder();
    let hostile = hostile_snapshot();
    let roots = run_json(folder.path(), &["roots", &hostile, "--fail-on", "never"], 0);
    let cycles = run_json(folder.path(), &["cycles", &hostile], 0);
    let sum = |key: &str| cycles["result"][key].as_u64().expect("a count");
    assert_eq!(roots["result"]["outcomes"]["cyclic"], sum("rows_on_cycles") + sum("rows_leading_in"));
    for component in cycles["result"]["components"].as_array().expect("components") {
        let jobs: Vec<&str> = component["jobs"].as_array().expect("jobs").iter().filter_map(Value::as_str).collect();
        assert_eq!(jobs.first(), jobs.iter().min(), "a component begins with its smallest id");
    }
    run_json(folder.path(), &["cycles", &hostile, "--fail-on", "warning"], 1);
    assert_eq!(run_json(folder.path(), &["cycles", "demo"], 0)["result"]["components"], json!([]));
}

#[test]
fn four_rows_a_job_and_five_hops_make_7268_rows() {
    let folder = folder();
    let path = parquet(
        folder.path(),
        "logs.parquet",
        "SELECT j * 4 + n AS id, 'j' || j AS job_id, CASE WHEN j > 0 THEN 'j' || (j - 1) END AS parent_job_id FROM range(6) AS a(j), range(4) AS b(n)",
    );
    let report = run_json(folder.path(), &["roots", &path], 0);
    assert_eq!(report["result"]["rows"], 24);
    assert_eq!(report["result"]["replay"]["fan_out_rows"], 7268);
    assert_eq!(report["result"]["plan"], Value::Null, "without is_root_job there is no plan to compare");
}

#[test]
fn a_chain_beyond_the_limit_gets_a_job_in_mid_chain() {
    let folder = folder();
    let path = parquet(
        folder.path(),
        "logs.parquet",
        "SELECT j AS id, 'j' || j AS job_id, CASE WHEN j > 0 THEN 'j' || (j - 1) END AS parent_job_id FROM range(12) AS a(j)",
    );
    for (variant, limit, wrong) in
        [("applied", "10", 2), ("example-3", "10", 1), ("applied", "12", 0), ("example-3", "2", 9)]
    {
        let args = ["roots", &path, "--variant", variant, "--depth-limit", limit];
        let report = run_json(folder.path(), &args, i32::from(wrong > 0));
        assert_eq!(report["result"]["replay"]["differing_rows"], wrong, "{variant} at {limit}");
        assert_eq!(report["result"]["replay"]["null_rows"], 0, "{variant} at {limit}");
    }
}

#[test]
fn a_depth_limit_may_be_large() {
    let folder = folder();
    let report =
        run_json(folder.path(), &["roots", &hostile_snapshot(), "--depth-limit", "100000", "--fail-on", "never"], 0);
    let causes: Vec<&Value> =
        report["result"]["replay"]["differences"].as_array().expect("causes").iter().map(|d| &d["cause"]).collect();
    assert!(!causes.contains(&&json!("depth-limit")), "{causes:?}");
}

#[test]
fn a_wrong_variant_names_the_right_ones() {
    let folder = folder();
    let refusal = refused(folder.path(), &["roots", "demo", "--variant", "example3"]);
    assert!(refusal.contains("applied") && refusal.contains("example-3"), "{refusal}");
    std::fs::write(folder.path().join("rehearsal.toml"), "[roots]\nvariant = 'example3'\n").expect("a file");
    let refusal = refused(folder.path(), &["roots", "demo"]);
    assert!(refusal.contains("example3") && refusal.contains("example-3"), "{refusal}");
}
