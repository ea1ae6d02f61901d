//! An export that was cut short goes on where it was, table by table, as long as somebody holds the server's snapshot; else it begins
//! anew and says why.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::export_faults::{SLOWLY, left, signal, table, terminate, wait_for_copy};
use crate::fixtures::{json as run_json, rehearsal, rows};
use crate::server::{Database, database};

/// Two small tables and a large one.
fn three_tables(database: &Database) {
    table(database);
    database.run(
        "CREATE TABLE one AS SELECT n AS id FROM generate_series(1, 10) AS n; \
         CREATE TABLE two AS SELECT n AS id, 'it is ' || n AS note FROM generate_series(1, 20) AS n",
    );
}

/// A session that holds a snapshot, and its name.
fn holder(database: &Database) -> (postgres::Client, String) {
    let mut client = database.client();
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").expect("begun");
    let name = client.query_one("SELECT pg_export_snapshot()", &[]).expect("a snapshot").get(0);
    (client, name)
}

fn args<'a>(database: &'a Database, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["export", "--url", &database.url, "--out", "snap", "--resume"];
    args.extend(["--table", "one", "--table", "two", "--table", "large"]);
    args.extend(more);
    args
}

fn start(folder: &Path, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// An export that loses its connections within the large table: two tables stay in a hidden folder.
fn cut_short(folder: &Path, database: &Database, more: &[&str]) -> Output {
    let child = start(folder, &args(database, &[more, SLOWLY].concat()));
    wait_for_copy(database);
    terminate(database);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    check_hidden(folder);
    output
}

fn check_hidden(folder: &Path) {
    let names = left(folder);
    assert!(names.len() == 1 && names[0].starts_with(".rehearsal-"), "{names:?}");
}

fn says(output: &Output, text: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(text), "no {text:?} in\n{stderr}");
}

/// The snapshot is whole, has these many rows, and nothing else is left.
fn check_whole(folder: &Path, of_one: usize) {
    assert_eq!(left(folder), ["snap"]);
    assert_eq!(rows(&folder.join("snap/one.parquet"), &["id"]).len(), of_one);
    let inspected = run_json(folder, &["inspect", "snap"], 0);
    assert_eq!(inspected["result"]["tables"].as_array().map(Vec::len), Some(3));
}

#[test]
fn finished_tables_are_kept_while_the_snapshot_is_held() {
    let database = database();
    three_tables(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let (_holder, name) = holder(&database);
    let more = ["--snapshot", name.as_str()];
    let output = cut_short(folder.path(), &database, &more);
    says(&output, "2 of 3 tables are finished and kept in");
    says(&output, &format!("while the server's snapshot {name} is held"));
    // Cut short again, before anything more is finished.
    says(&cut_short(folder.path(), &database, &more), "2 of 3 tables are finished and kept in");
    // What comes now isn't in the snapshot, whichever try reads the table.
    database.run("INSERT INTO one VALUES (11); DELETE FROM large WHERE id < 100");
    let report = run_json(folder.path(), &args(&database, &more), 0);
    let notes = report["result"]["notes"].to_string();
    assert!(notes.contains("Kept from the interrupted export: 2 of 3 tables."), "{notes}");
    check_whole(folder.path(), 10);
    assert_eq!(report["result"]["tables"][2]["rows"], 40_000);
}

/// SIGKILL leaves no time to say anything: the journal is there already.
#[test]
fn a_killed_export_goes_on() {
    let database = database();
    three_tables(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let (_holder, name) = holder(&database);
    let more = ["--snapshot", name.as_str()];
    let mut child = start(folder.path(), &args(&database, &[&more, SLOWLY].concat()));
    wait_for_copy(&database);
    signal(&child, "-KILL");
    child.wait().expect("it ends");
    check_hidden(folder.path());
    let report = run_json(folder.path(), &args(&database, &more), 0);
    assert!(report["result"]["notes"].to_string().contains("2 of 3 tables"), "{report}");
    check_whole(folder.path(), 10);
}

#[test]
fn what_is_kept_is_given_up_where_it_does_not_fit() {
    let database = database();
    three_tables(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let check = |first: &[&str], second: &[&str], reason: &str| {
        cut_short(folder.path(), &database, first);
        let output = rehearsal(folder.path(), &args(&database, second));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        says(&output, &format!("the interrupted export can't be continued: {reason}"));
        says(&output, "it begins anew");
        check_whole(folder.path(), 10);
        std::fs::remove_dir_all(folder.path().join("snap")).expect("removed");
    };
    // The export's own snapshot ends with its connections.
    check(&[], &[], "nobody holds the server's snapshot");
    let (_holder, name) = holder(&database);
    let held = ["--snapshot", name.as_str()];
    check(&held, &[&held[..], &["--mask", "two.note=redact"]].concat(), "it was of other tables, or had other options");
    let (_other, other) = holder(&database);
    check(&held, &["--snapshot", other.as_str()], "it read the server's snapshot");
    // A salt of each export's own would give one value two masks.
    let masked = [&held[..], &["--mask", "two.note=hash"]].concat();
    check(&masked, &masked, "its masks had another salt");
    // A file that isn't what it was is read again.
    cut_short(folder.path(), &database, &held);
    let hidden = folder.path().join(&left(folder.path())[0]);
    std::fs::write(hidden.join("partial/two.parquet"), "PAR1").expect("written");
    let report = run_json(folder.path(), &args(&database, &held), 0);
    assert!(report["result"]["notes"].to_string().contains("1 of 3 tables"), "{report}");
    check_whole(folder.path(), 10);
}

/// Without `--resume` nothing outlives a failure, and what a killed one with it has left is removed.
#[test]
fn an_export_without_it_begins_anew() {
    let database = database();
    three_tables(&database);
    let folder = tempfile::tempdir().expect("a folder");
    cut_short(folder.path(), &database, &[]);
    let output = rehearsal(folder.path(), &["export", "--url", &database.url, "--out", "snap", "--table", "one"]);
    assert_eq!(output.status.code(), Some(0));
    says(&output, "was cut short before it ended");
    assert_eq!(left(folder.path()), ["snap"]);
}

#[test]
fn a_snapshot_from_before_the_locks_is_checked() {
    let database = database();
    three_tables(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |name: &str, text: &str| {
        let args = ["export", "--url", &database.url, "--out", "snap", "--table", "two", "--snapshot", name];
        let output = rehearsal(folder.path(), &args);
        assert_eq!(output.status.code(), Some(2));
        says(&output, text);
        assert_eq!(left(folder.path()), Vec::<String>::new());
    };
    let (_holder, name) = holder(&database);
    // The holder hasn't locked the table.
    database.run("ALTER TABLE two ALTER COLUMN id TYPE bigint");
    refused(&name, "two has been truncated or rewritten since the server's snapshot was taken");
    refused("00000009-00000001-1", "nobody holds the server's snapshot 00000009-00000001-1");
    refused("no name", "nobody holds the server's snapshot no name");
}
