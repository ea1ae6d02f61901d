//! Export over several connections: the same file, the same snapshot, and all or nothing.

use std::path::Path;

use serde_json::Value;

use crate::fixtures::{self, json};
use crate::server::{Database, database};

/// Rows enough for several parts.
const ROWS: u32 = 400_000;

fn export(folder: &Path, database: &Database, table: &str, jobs: &str, out: &str) -> Value {
    let args = ["export", "--url", &database.url, "--table", table, "--out", out, "--jobs", jobs];
    json(folder, &args, 0)["result"].take()
}

fn ids(folder: &Path, file: &str) -> Vec<i64> {
    let rows = fixtures::rows(&folder.join(file), &["id"]);
    let mut ids: Vec<i64> =
        rows.iter().map(|row| row[0].as_deref().expect("an id").parse().expect("a number")).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn the_file_does_not_depend_on_how_many_read() {
    let database = database();
    database.run(&format!(
        "CREATE TABLE t (id int, amount numeric, note text); \
         INSERT INTO t SELECT n, n / 7.0, repeat('x', n % 90) FROM generate_series(1, {ROWS}) AS n; \
         DELETE FROM t WHERE id BETWEEN 1000 AND 90000; UPDATE t SET note = 'moved' WHERE id % 1000 = 0; ANALYZE t"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let one = export(folder.path(), &database, "t", "1", "one");
    let three = export(folder.path(), &database, "t", "3", "three");
    let connections = if database.reads_ranges() { 3 } else { 1 };
    assert_eq!((&one["connections"], &three["connections"]), (&1.into(), &connections.into()));
    assert_eq!(one["id"], three["id"], "the content's name");
    assert_eq!(one["notes"], Value::Array(Vec::new()));
    let expected: Vec<i64> = (1..1000).chain(90_001..=i64::from(ROWS)).collect();
    assert_eq!(ids(folder.path(), "three/t.parquet"), expected);
    let manifest = std::fs::read_to_string(folder.path().join("three/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    let extent = &manifest["tables"][0]["columns"][1]["numeric_extent"];
    assert_eq!(extent["integer_digits"], 5, "the widest of all parts: {extent}");
}

#[test]
fn partitions_are_read_one_by_one_and_what_has_no_pages_as_a_whole() {
    let database = database();
    database.run(
        "CREATE TABLE p (id int, kind text) PARTITION BY LIST (kind); \
         CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a'); \
         CREATE TABLE p_b PARTITION OF p FOR VALUES IN ('b') PARTITION BY RANGE (id); \
         CREATE TABLE p_b_low PARTITION OF p_b FOR VALUES FROM (0) TO (100); \
         CREATE TABLE p_rest PARTITION OF p DEFAULT; \
         INSERT INTO p SELECT n, CASE n % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE 'c' END FROM generate_series(1, 99) AS n; \
         CREATE TABLE base (id int); CREATE TABLE child (more text) INHERITS (base); \
         INSERT INTO base VALUES (1); INSERT INTO child VALUES (2, 'x'); CREATE VIEW v AS SELECT id FROM p",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let partitioned = export(folder.path(), &database, "p", "2", "p");
    assert_eq!((&partitioned["rows"], &partitioned["connections"]), (&99.into(), &2.into()));
    assert_eq!(ids(folder.path(), "p/p.parquet"), (1..=99).collect::<Vec<_>>());
    assert_eq!(export(folder.path(), &database, "base", "2", "base")["rows"], 2);
    assert_eq!(ids(folder.path(), "base/base.parquet"), [1, 2]);
    let view = export(folder.path(), &database, "v", "2", "v");
    assert_eq!(view["rows"], 99);
    let notes = view["notes"].to_string();
    assert!(notes.contains("The table v was read over one connection: a view's rows have no addresses."), "{notes}");
}

/// Rights on the parent are enough for the parent: its children are then read through it.
#[test]
fn a_child_that_may_not_be_read_by_itself_is_read_through_its_parent() {
    let database = database();
    if database.version() < 130_000 {
        // LOCK TABLE wants the right on every partition there.
        return;
    }
    let role = format!("reader_{}", database.name);
    database.run(&format!(
        "CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10); \
         INSERT INTO p VALUES (1), (2); CREATE ROLE {role} LOGIN; GRANT SELECT ON p TO {role}"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let args = ["export", "--url", &url, "--table", "p", "--out", "snap", "--jobs", "2"];
    let report = json(folder.path(), &args, 0);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(report["result"]["rows"], 2);
    assert!(report["result"]["notes"][0].as_str().is_some_and(|note| note.contains("p_1 can't be read by itself")));
}

/// A server with one connection to spare: that one does all the work, and the report says so.
#[test]
fn too_few_connections_are_a_remark() {
    let database = database();
    let role = format!("lonely_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int, note text); INSERT INTO t SELECT n, 'x' FROM generate_series(1, {ROWS}) AS n; ANALYZE t; \
         CREATE ROLE {role} LOGIN CONNECTION LIMIT 1; GRANT SELECT ON t TO {role}"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let report = json(folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap", "--jobs", "4"], 0);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let result = &report["result"];
    assert_eq!((&result["rows"], &result["connections"]), (&ROWS.into(), &1.into()));
    let notes = result["notes"].as_array().expect("remarks");
    let note = notes.last().and_then(Value::as_str).expect("a remark");
    if !database.reads_ranges() {
        assert!(note.contains("was read over one connection: the server is older than PostgreSQL 14"), "{note}");
        return;
    }
    assert!(note.starts_with("Fewer connections read than asked for: no further connection could join: "), "{note}");
    assert!(note.contains("too many connections for role"), "{note}");
}
