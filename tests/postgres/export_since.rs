//! Continuing an earlier snapshot with the rows that have come since.

use std::path::Path;

use serde_json::{Value, json};

use crate::fixtures::{json as run_json, rehearsal, rows};
use crate::server::{Database, database};

fn table(database: &Database) {
    database.run(
        "CREATE TABLE logs (id int PRIMARY KEY, created_at timestamptz NOT NULL, amount numeric, note text, day date); \
         INSERT INTO logs SELECT n, '2026-01-01'::timestamptz + n * interval '1 minute', n * 1.5, 'note ' || n, '2026-01-01'::date + n \
         FROM generate_series(1, 1000) AS n; \
         CREATE TABLE plain (id int, note text)",
    );
}

fn export(folder: &Path, database: &Database, out: &str, more: &[&str], code: i32) -> Value {
    let mut args = vec!["export", "--url", &database.url, "--table", "logs", "--out", out];
    args.extend(more);
    run_json(folder, &args, code)
}

fn refused(folder: &Path, database: &Database, more: &[&str], says: &[&str]) {
    let mut args = vec!["export", "--url", &database.url, "--out", "no"];
    args.extend(more);
    let output = rehearsal(folder, &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{more:?}: {stderr}");
    for line in says {
        assert!(stderr.contains(line), "{more:?}: no {line:?} in\n{stderr}");
    }
    assert!(!folder.join("no").exists());
}

#[test]
fn new_rows_stand_beside_the_old() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    export(here, &database, "one", &[], 0);
    database.run(
        "INSERT INTO logs SELECT n, '2026-02-01'::timestamptz + n * interval '1 minute', n / 7.0, 'late ' || n, '2026-01-01' \
         FROM generate_series(1001, 1200) AS n",
    );
    let report = export(here, &database, "two", &["--since", "one"], 0);
    assert_eq!(report["result"]["rows"], json!(1200));
    let note = report["result"]["notes"][0].as_str().expect("a note");
    assert!(note.contains("200 new rows after created_at") && note.contains("isn't seen"), "{note}");
    // The same rows as an export of all of them.
    export(here, &database, "all", &[], 0);
    let columns = ["id", "created_at", "amount", "note", "day"];
    let mut both = rows(&here.join("two/logs.parquet"), &columns);
    both.extend(rows(&here.join("two/logs-since-2.parquet"), &columns));
    both.sort();
    let mut all = rows(&here.join("all/logs.parquet"), &columns);
    all.sort();
    assert_eq!(both, all);
    let inspected = run_json(here, &["inspect", "two"], 0);
    assert_eq!(inspected["result"]["tables"][0]["rows"], json!(1200));
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(here.join(name).join("manifest.json")).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    };
    let (one, two, all) = (read("one"), read("two"), read("all"));
    let increment = &two["tables"][0]["increments"][0];
    assert_eq!((&increment["since"], &increment["rows"]), (&one["id"], &json!(200)));
    assert_eq!(two["tables"][0]["columns"], all["tables"][0]["columns"], "what numbers need is joined");
    // Again, and by another column.
    database.run("INSERT INTO logs VALUES (1201, '2026-03-01', 1, 'x', '2026-01-01')");
    let report = export(here, &database, "three", &["--since", "two", "--since-column", "id"], 0);
    assert_eq!(report["result"]["rows"], json!(1201));
    assert_eq!(read("three")["tables"][0]["files"].as_array().map(Vec::len), Some(3));
    // Nothing new is nothing new.
    assert_eq!(export(here, &database, "four", &["--since", "three"], 0)["result"]["rows"], json!(1201));
    // Old files may go: the new snapshot has its own.
    std::fs::remove_dir_all(here.join("one")).expect("removed");
    let questions = "UPDATE logs SET note = 'y' WHERE id > 1190";
    std::fs::write(here.join("m.sql"), questions).expect("a migration");
    let dry = run_json(here, &["dry-run", "m.sql", "--on", "three", "--fail-on", "never"], 0);
    assert_eq!(dry["result"]["statements"][0]["rows_affected"], json!(11));
    assert_eq!(dry["findings"][0]["id"], "partial-snapshot");
}

#[test]
fn what_cannot_be_continued_is_refused() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    std::fs::write(here.join("salt"), "0123456789abcdef0123456789abcdef").expect("a file");
    export(here, &database, "one", &[], 0);
    export(here, &database, "masked", &["--mask", "note=hash", "--salt-file", "salt"], 0);
    let since = ["--table", "logs", "--since", "one"];
    refused(here, &database, &["--table", "logs", "--since", "nowhere"], &["that isn't a snapshot's folder"]);
    refused(
        here,
        &database,
        &["--table", "plain", "--since", "one"],
        &["the earlier snapshot doesn't hold it, but logs"],
    );
    refused(
        here,
        &database,
        &[&since[..], &["--since-column", "when"]].concat(),
        &["it has no column when", "--since-column"],
    );
    refused(
        here,
        &database,
        &[&since[..], &["--since-column", "note"]].concat(),
        &["isn't a date, a timestamp or a whole number"],
    );
    refused(here, &database, &[&since[..], &["--mask", "note=hash"]].concat(), &["was masked otherwise: not at all"]);
    refused(here, &database, &[&since[..], &["--where", "id > 5"]].concat(), &["it holds all rows"]);
    refused(
        here,
        &database,
        &["--table", "logs", "--since", "masked", "--mask", "note=hash"],
        &["was masked with another salt", "REHEARSAL_SALT"],
    );
    export(here, &database, "again", &["--since", "masked", "--mask", "note=hash", "--salt-file", "salt"], 0);
    // A late arrival with the last time, or before it; a deletion.
    database.run("INSERT INTO logs SELECT 2000, max(created_at), 1, 'late', '2026-01-01' FROM logs");
    refused(
        here,
        &database,
        &since,
        &["the earlier snapshot has 1,000 rows, and the server has 1,001: rows came late, or were deleted"],
    );
    database.run("DELETE FROM logs WHERE id IN (2000, 7)");
    refused(here, &database, &since, &["1,000 rows, and the server has 999"]);
    database.run(
        "INSERT INTO logs VALUES (7, '2026-01-01', 1, 'back', '2026-01-01'); ALTER TABLE logs ADD COLUMN fresh int",
    );
    refused(here, &database, &since, &["isn't of the same shape: the column fresh is new", "export anew"]);
}
