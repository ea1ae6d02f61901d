//! `rehearsal classify` through the real binary: published figures, two ladders, defects of a ladder, every row.

use std::fs;

use serde_json::{Value, json};

use crate::support::{json as run_json, parquet, refused, rehearsal, stdout};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn rows_of(list: &Value, key: &str, name: Value) -> u64 {
    let found = list.as_array().expect("a list").iter().find(|item| item[key] == name);
    found.map_or(0, |item| item["rows"].as_u64().expect("a count"))
}

fn finding<'a>(report: &'a Value, id: &str) -> Option<&'a Value> {
    report["findings"].as_array().expect("findings").iter().find(|f| f["id"] == id)
}

#[test]
fn the_demo_has_the_published_figures() {
    let folder = folder();
    let report = run_json(folder.path(), &["classify", "demo"], 0);
    let categories = &report["result"]["categories"];
    for (category, rows) in [
        (json!("ENRICHED"), 3770),
        (json!("CREATED"), 266),
        (json!("CORRECTED"), 15),
        (json!("CACHED"), 1),
        (json!("FAILED"), 0),
        (Value::Null, 0),
    ] {
        assert_eq!(rows_of(categories, "category", category.clone()), rows, "{category}");
    }
    assert_eq!(report["result"]["rows"], 4052);
    assert_eq!(report["result"]["fallback_rows"], 266);
    assert_eq!(report["result"]["replay"]["differing_rows"], 0);
    let failed = &report["result"]["rules"][3];
    assert_eq!(failed["id"], "failed");
    assert!(failed["matched_rows"].as_u64() > Some(0));
    assert_eq!(failed["won_rows"], 0);
    assert_eq!(failed["won_rows_if_always"], failed["matched_rows"]);
    let shadowed = finding(&report, "shadowed-rule").expect("the FAILED rule is shadowed");
    assert!(shadowed["message"].as_str().expect("text").contains("overrides previous"));
}

#[test]
fn the_demo_in_words() {
    let folder = folder();
    insta::assert_snapshot!(
        "classify_demo",
        stdout(&rehearsal(folder.path(), &["classify", "demo", "--against", "runtime"]))
    );
}

#[test]
fn the_demo_in_markdown() {
    let folder = folder();
    let output = rehearsal(folder.path(), &["classify", "demo", "--format", "markdown"]);
    insta::assert_snapshot!("classify_demo_markdown", stdout(&output));
}

#[test]
fn backfill_and_run_time_disagree_on_the_failed_rows() {
    let folder = folder();
    let report = run_json(folder.path(), &["classify", "demo", "--against", "runtime", "--fail-on", "warning"], 1);
    assert_eq!(report["outcome"], "findings");
    let agreement = &report["result"]["agreement"];
    let sum = |key: &str| agreement[key].as_u64().expect("a count");
    assert_eq!(sum("agree_rows") + sum("differ_rows"), 4052);
    let matrix = agreement["matrix"].as_array().expect("a matrix");
    assert_eq!(matrix.iter().map(|c| c["rows"].as_u64().expect("a count")).sum::<u64>(), 4052);
    let failed = matrix.iter().find(|c| c["from"] == "ENRICHED" && c["to"] == "FAILED").expect("failed enrichments");
    assert_eq!(failed["rows"], report["result"]["rules"][3]["matched_rows"]);
    assert!(finding(&report, "ladder-disagreement").is_some());
}

#[test]
fn every_row_is_written_with_its_category_and_rule() {
    let folder = folder();
    let report = run_json(folder.path(), &["classify", "demo", "--output-rows", "rows.parquet"], 0);
    let connection = duckdb::Connection::open_in_memory().expect("DuckDB");
    let path = folder.path().join("rows.parquet");
    let sql = format!(
        "SELECT category, count(*), count(DISTINCT id), min(rule) FROM '{}' GROUP BY category ORDER BY 2 DESC, 1",
        path.display()
    );
    let mut statement = connection.prepare(&sql).expect("the file");
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?, row.get::<_, u64>(2)?)))
        .expect("rows");
    for row in rows {
        let (category, rows, ids) = row.expect("a row");
        assert_eq!(rows_of(&report["result"]["categories"], "category", json!(category)), rows);
        assert_eq!(rows, ids);
    }
}

#[test]
fn a_ladder_of_ones_own() {
    let folder = folder();
    parquet(
        folder.path(),
        "logs.parquet",
        "SELECT * FROM (VALUES ('cachedX', 1), ('cacheXy', 2), ('cache_z', NULL), ('other', 4)) AS t(operation, retries)",
    );
    fs::write(
        folder.path().join("own.toml"),
        "[[rule]]\nid = 'wide'\ncategory = 'CACHED'\nwhen = \"operation LIKE 'cache_%'\"\nguard = 'always'\n\
         [[rule]]\nid = 'none'\ncategory = 'NONE'\nwhen = 'retries > 9'\nguard = 'always'\n\
         [[rule]]\nid = 'last'\ncategory = 'LATE'\nwhen = \"operation LIKE 'cached%'\"\nguard = 'unset'\n",
    )
    .expect("a file");
    let report = run_json(folder.path(), &["classify", "logs.parquet", "--rules", "own.toml"], 1);
    assert_eq!(report["result"]["ladder"], "own");
    assert_eq!(finding(&report, "null-category").expect("one row is left")["count"], 1);
    assert_eq!(finding(&report, "dead-rule").expect("retries > 9")["count"], 0);
    assert_eq!(finding(&report, "shadowed-rule").expect("last")["count"], 1);
    let wide: Vec<&Value> = report["result"]["wide_patterns"].as_array().expect("a list").iter().collect();
    assert_eq!(wide.len(), 2, "{wide:?}");
    assert_eq!((&wide[0]["reason"], &wide[0]["rows"]), (&json!("underscore"), &json!(2)));
    assert_eq!((&wide[1]["reason"], &wide[1]["rows"]), (&json!("word"), &json!(1)));
}

#[test]
fn a_stored_category_is_compared() {
    let folder = folder();
    parquet(
        folder.path(),
        "logs.parquet",
        "SELECT * FROM (VALUES ('cache:x', 'SUCCESS', 'CACHED'), ('enrichment:album', 'FAILED', 'FAILED')) AS t(operation, status, category)",
    );
    let report = run_json(folder.path(), &["classify", "logs.parquet"], 0);
    assert_eq!(report["result"]["stored"]["agree_rows"], 1);
    assert_eq!(report["result"]["stored"]["differ_rows"], 1);
}

#[test]
fn defects_of_a_ladder_are_named() {
    let folder = folder();
    let check = |ladder: &str, parts: &[&str]| {
        fs::write(folder.path().join("bad.toml"), ladder).expect("a file");
        let refusal = refused(folder.path(), &["classify", "demo", "--rules", "bad.toml"]);
        for part in parts {
            assert!(refusal.contains(part), "{part:?} isn't in:\n{refusal}");
        }
    };
    let rule =
        |id: &str, when: &str| format!("[[rule]]\nid = '{id}'\ncategory = 'X'\nwhen = \"{when}\"\nguard = 'unset'\n");
    check(
        &rule("a", "statuss = 'FAILED'"),
        &["rule a of the ladder bad reads the column statuss", "did you mean status?"],
    );
    check(&(rule("a", "true") + &rule("a", "true")), &["two rules with the id a (rules 1 and 2)"]);
    check(&rule("a", "operation = = 'x'"), &["rule a", "syntax error at or near \"=\"", "^"]);
    check(&rule("a", "status = 'FAILD'"), &["22P02", "did you mean FAILED?"]);
    check(&rule("a", "category IS NULL"), &["the column the ladder writes"]);
    check("rule = 3", &["bad.toml isn't valid"]);
    let refusal = refused(folder.path(), &["classify", "demo", "--rules", "backfil"]);
    assert!(refusal.contains("did you mean backfill?"), "{refusal}");
}
