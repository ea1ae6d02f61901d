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

/// As many rows as several threads sort and read at once.
#[test]
fn the_row_file_is_sorted_and_keeps_the_logs_types() {
    let folder = folder();
    let rows = 400_000;
    let log = parquet(
        folder.path(),
        "logs.parquet",
        &format!(
            "SELECT md5(i::VARCHAR)::UUID AS id, (i // 2) AS job_id, CASE WHEN i % 8 < 6 THEN i // 8 * 4 + 3 END AS parent_job_id \
             FROM range({rows}) AS r(i)"
        ),
    );
    let args = ["roots", &log, "--output-rows", "rows.parquet", "--fail-on", "never", "--threads", "4"];
    run_json(folder.path(), &args, 0);
    let file = folder.path().join("rows.parquet").display().to_string();
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let types: String = connection
        .query_row(&format!("SELECT string_agg(column_type, ' ') FROM (DESCRIBE FROM '{file}')"), [], |row| row.get(0))
        .expect("types");
    assert_eq!(types, "UUID BIGINT BIGINT VARCHAR VARCHAR UINTEGER VARCHAR VARCHAR[]");
    let sql = format!(
        "SELECT count(*), count(*) FILTER (before > id), count(*) FILTER (outcome = 'child' AND depth = 1), \
             count(*) FILTER (root_job_id = job_id // 4 * 4 + 3 AND replay_root_job_id = root_job_id) \
         FROM (SELECT *, lag(id) OVER (ORDER BY file_row_number) AS before FROM read_parquet('{file}', file_row_number = true))"
    );
    let counts: [i64; 4] =
        connection.query_row(&sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).expect(&sql);
    assert_eq!(counts, [rows, 0, rows / 4 * 3, rows]);
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

/// The hostile rows and a random archive, once as they are and once shuffled.
#[test]
fn neither_the_order_of_rows_nor_threads_change_anything() {
    let folder = folder();
    let archive = ["generate", "--albums", "200", "--seed", "3", "--pathologies", "all", "--out", "archive"];
    assert!(rehearsal(folder.path(), &archive).status.success());
    for (name, source) in [("hostile", hostile_snapshot()), ("archive", "archive".to_owned())] {
        let rows = folder.path().join(&source).join("llama_logs.parquet").display().to_string();
        let copy = |order: &str| {
            let sql = format!("SELECT * FROM '{rows}' ORDER BY {order}");
            // The file's name is the table's, and stands in the repairs.
            let place = folder.path().join(format!("{name}-{}", order.len()));
            std::fs::create_dir(&place).expect("a new folder");
            parquet(&place, "logs.parquet", &sql)
        };
        let (forwards, shuffled) = (copy("id"), copy("md5(id::VARCHAR), id"));
        for command in ["roots", "cycles"] {
            let ask = |file: &str, threads: &str| {
                let report = run_json(folder.path(), &[command, file, "--threads", threads, "--fail-on", "never"], 0);
                (report["result"].clone(), report["findings"].clone())
            };
            let expected = ask(&forwards, "1");
            assert!(!expected.1.as_array().expect("findings").is_empty());
            assert_eq!(ask(&shuffled, "1"), expected, "{name}, {command}: shuffled");
            assert_eq!(ask(&shuffled, "4"), expected, "{name}, {command}: shuffled, four threads");
        }
        let outcomes = &run_json(folder.path(), &["roots", &forwards, "--fail-on", "never"], 0)["result"]["outcomes"];
        let cycles = &run_json(folder.path(), &["cycles", &forwards], 0)["result"];
        let sum = |key: &str| cycles[key].as_u64().expect("a count");
        assert_eq!(outcomes["cyclic"], sum("rows_on_cycles") + sum("rows_leading_in"), "{name}");
    }
}

#[test]
fn a_stored_root_is_compared_with_the_true_one() {
    let folder = folder();
    let path = parquet(
        folder.path(),
        "logs.parquet",
        "SELECT * FROM (VALUES
            (1, 'a', NULL, 'a', true), (2, 'b', 'a', 'a', false), (3, 'b', 'a', 'b', false), (4, 'c', 'b', NULL, false),
            (5, NULL, NULL, 'a', false), (6, 'd', 'lost', 'lost', false), (7, 'e', 'a', 'b', false), (8, 'e', 'd2', 'd2', false),
            (9, 'd2', NULL, 'd2', true)
        ) AS t(id, job_id, parent_job_id, root_job_id, is_root_job)",
    );
    let report = run_json(folder.path(), &["roots", &path, "--fail-on", "never"], 0);
    // Row 8 may be right: one of its job's two parents leads to d2. Row 7 can't be: none leads to b.
    assert_eq!(report["result"]["stored"], json!({"stale_rows": 4, "unfilled_rows": 1}));
    let findings = report["findings"].as_array().expect("findings");
    let stale = findings.iter().find(|f| f["id"] == "stale-root").expect("a finding");
    let ids: Vec<&Value> = stale["samples"].as_array().expect("samples").iter().map(|s| &s["id"]).collect();
    assert_eq!(ids, [&json!("3"), &json!("6"), &json!("7"), &json!("5")]);
}

#[test]
fn columns_by_other_names_and_columns_that_are_missing() {
    let folder = folder();
    let path = parquet(folder.path(), "logs.parquet", "SELECT 'a' AS jobId, NULL::VARCHAR AS parentJobId, 7 AS n");
    let refusal = refused(folder.path(), &["roots", &path]);
    assert!(refusal.contains("job_id") && refusal.contains("--column job_id=jobId"), "{refusal}");
    let mapped = ["roots", &path, "--column", "job_id=jobId", "--column", "parent_job_id=parentJobId"];
    let report = run_json(folder.path(), &mapped, 0);
    assert_eq!(report["result"]["outcomes"]["root"], 1);
    let mut with_rows = mapped.to_vec();
    with_rows.extend(["--output-rows", "rows.parquet"]);
    let refusal = refused(folder.path(), &with_rows);
    assert!(refusal.contains("column id isn't in table logs"), "{refusal}");
    with_rows.extend(["--column", "id=n"]);
    assert!(rehearsal(folder.path(), &with_rows).status.success());
    assert!(folder.path().join("rows.parquet").is_file());
}

#[test]
fn a_row_file_that_cannot_be_written_leaves_nothing_behind() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("taken")).expect("a folder");
    std::fs::write(folder.path().join("taken/inside"), "").expect("a file");
    let refusal = refused(folder.path(), &["roots", "demo", "--output-rows", "taken"]);
    assert!(refusal.contains("taken"), "{refusal}");
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").map(|e| e.expect("an entry").file_name()).collect();
    assert_eq!(left, ["taken"]);
}

#[test]
fn a_depth_limit_out_of_range_is_refused() {
    let folder = folder();
    assert!(refused(folder.path(), &["roots", "demo", "--depth-limit", "0"]).contains("1..=1000000"));
    std::fs::write(folder.path().join("rehearsal.toml"), "[roots]\ndepth_limit = 0\n").expect("a file");
    assert!(refused(folder.path(), &["roots", "demo"]).contains("depth_limit = 0 is out of range"));
    std::fs::write(folder.path().join("rehearsal.toml"), "[roots]\ndepth_limit = 3\nvariant = \"example-3\"\n")
        .expect("a file");
    let replay = &run_json(folder.path(), &["roots", "demo"], 0)["result"]["replay"];
    assert_eq!((&replay["depth_limit"], &replay["variant"]), (&json!(3), &json!("example-3")));
}

#[test]
fn samples_are_as_many_as_asked_for() {
    let folder = folder();
    for samples in [0, 1, 7] {
        let args = ["roots", &hostile_snapshot(), "--samples", &samples.to_string(), "--fail-on", "never"];
        let report = run_json(folder.path(), &args, 0);
        let findings = report["findings"].as_array().expect("findings");
        for finding in findings.iter().filter(|f| f["id"] != "fan-out") {
            let expected = finding["count"].as_u64().expect("a count").min(samples);
            assert_eq!(finding["samples"].as_array().expect("samples").len() as u64, expected, "{}", finding["id"]);
        }
    }
}

/// The repair names the user's own table and columns, and cuts what was written last.
#[test]
fn cycles_suggest_a_repair_in_the_users_own_names() {
    let folder = folder();
    let rows = |dated: bool| {
        let created = if dated { ", TIMESTAMP '2026-01-10' - INTERVAL (id) DAY AS created_at" } else { "" };
        format!(
            "SELECT id, job AS \"jobId\", parent AS \"parent\"{created}
             FROM (VALUES (1, 'a', 'b'), (2, 'b', 'a'), (3, 'tail', 'a'), (4, 'it''s', 'it''s')) AS t(id, job, parent)"
        )
    };
    for (dated, cut) in [(false, ("b", "a")), (true, ("a", "b"))] {
        let path = parquet(folder.path(), "Enrichment Logs.parquet", &rows(dated));
        let args = ["cycles", &path, "--column", "job_id=jobId", "--column", "parent_job_id=parent"];
        let result = &run_json(folder.path(), &args, 0)["result"];
        assert_eq!((&result["rows_on_cycles"], &result["rows_leading_in"]), (&json!(3), &json!(1)));
        let [two, own] = result["components"].as_array().expect("components").as_slice() else { panic!("{result}") };
        assert_eq!(
            (&two["kind"], &two["jobs"], &two["rows_leading_in"]),
            (&json!("two-cycle"), &json!(["a", "b"]), &json!(1))
        );
        assert_eq!((&own["kind"], &own["jobs"]), (&json!("self-reference"), &json!(["it's"])));
        let sql = format!(
            "UPDATE \"Enrichment Logs\" SET \"parent\" = NULL WHERE \"jobId\" = '{}' AND \"parent\" = '{}';",
            cut.0, cut.1
        );
        assert_eq!(two["repair"][0]["sql"], sql);
        assert_eq!(
            own["repair"][0]["sql"],
            "UPDATE \"Enrichment Logs\" SET \"parent\" = NULL WHERE \"jobId\" = 'it''s' AND \"parent\" = 'it''s';"
        );
        assert_eq!(two["repair"][0]["youngest_created_at"].is_string(), dated);
    }
}
