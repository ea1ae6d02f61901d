//! The classification's UPDATE statements on a real server: every row and every count must be the replay's.

use serde_json::Value;

use crate::fixtures;
use crate::server;

/// Runs the statements that `classify` shows, on the server, and compares what each affects and where each row ends.
fn check(fixture: &str, snapshot: &str, ladder: &str) {
    let database = server::database();
    let mut client = database.client();
    fixtures::load(&mut client, fixture);
    client.batch_execute("ALTER TABLE llama_logs ADD COLUMN category text").expect("a new column");
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["classify", snapshot, "--rules", ladder, "--output-rows", "rows.parquet", "--fail-on", "never"];
    let report = fixtures::json(folder.path(), &args, 0);
    for statement in report["result"]["replay"]["statements"].as_array().expect("statements") {
        let sql = statement["sql"].as_str().expect("SQL");
        let affected = client.execute(sql, &[]).expect(sql);
        assert_eq!(Value::from(affected), statement["rows_affected"], "{fixture}, {ladder}: {sql}");
    }
    let on_server: Vec<Vec<Option<String>>> = client
        .query("SELECT id::text, category FROM llama_logs ORDER BY id::text COLLATE \"C\"", &[])
        .expect("the rows")
        .iter()
        .map(|row| vec![row.get(0), row.get(1)])
        .collect();
    assert!(on_server.len() > 50, "{fixture} has {} rows", on_server.len());
    assert_eq!(fixtures::rows(&folder.path().join("rows.parquet"), &["id", "category"]), on_server);
}

#[test]
fn both_ladders_on_the_demo() {
    check("demo", "demo", "backfill");
    check("demo", "demo", "runtime");
}

#[test]
fn both_ladders_on_the_hostile_fixture() {
    let hostile = fixtures::folder("hostile").display().to_string();
    check("hostile", &hostile, "backfill");
    check("hostile", &hostile, "runtime");
}

/// Predicates of every form that a ladder may use, written for the server and asked of both.
#[test]
fn every_form_of_predicate() {
    let ladder = r#"
[[rule]]
id = "like-escape"
category = "A"
when = "operation LIKE 'admin\\_%' OR operation ILIKE 'ENRICHMENT:_lbum'"
guard = "always"
[[rule]]
id = "regex"
category = "B"
when = "operation ~ '^track:.*ed' AND operation !~* 'LINKED'"
guard = "always"
[[rule]]
id = "nulls"
category = "C"
when = "error_code IS NOT NULL AND coalesce(duration_ms, 0) > 100 AND NOT (retry_count BETWEEN 1 AND 2)"
guard = "always"
[[rule]]
id = "case"
category = "D"
when = "CASE WHEN is_root_job THEN job_id <> 'x' ELSE parent_job_id IS NOT DISTINCT FROM job_id END"
guard = "unset"
[[rule]]
id = "in"
category = "E"
when = "status IN ('SKIPPED', 'PARTIAL_SUCCESS') OR upper(operation) = operation OR starts_with(operation, 'check')"
guard = "unset"
[[rule]]
id = "text"
category = "F"
when = "strpos(operation, ':') + 2 > length(split_part(operation, ':', 1)) AND btrim(operation) || 'x' > 'b' AND (user_id IS NULL) IS TRUE"
guard = "unset"
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("forms.toml");
    std::fs::write(&path, ladder).expect("a file");
    check("demo", "demo", &path.display().to_string());
    let hostile = fixtures::folder("hostile").display().to_string();
    check("hostile", &hostile, &path.display().to_string());
}
