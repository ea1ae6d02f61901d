//! What happens to an export while it runs: each fault ends with a whole snapshot or with none, and says which way to go on.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixtures::{json as run_json, rehearsal, rows};
use crate::server::{Database, Options, Server, database};

/// Rows of a table that takes a second and a half at the rate of [`SLOWLY`].
const ROWS: u32 = 40_000;
pub const SLOWLY: &[&str] = &["--rate-limit", "8MB"];

pub fn table(database: &Database) {
    database.run(&format!(
        "CREATE TABLE large AS SELECT n AS id, repeat(md5(n::text), 10) AS pad FROM generate_series(1, {ROWS}) AS n; ANALYZE large"
    ));
}

fn start(folder: &Path, url: &str, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["export", "--url", url, "--table", "large", "--out", "snap"])
        .args(more)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Waits until a COPY of the export is under way.
pub fn wait_for_copy(database: &Database) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database() \
        AND state = 'active' AND query LIKE 'COPY%large%'";
    let mut client = database.client();
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.query_one(sql, &[]).expect("a count").get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "no COPY begins");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

pub fn left(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("the folder").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Exit code 2, nothing in the folder, and these words.
fn check_failed(folder: &Path, output: &Output, says: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(left(folder), Vec::<String>::new(), "{stderr}");
    for line in says {
        assert!(stderr.contains(line), "no {line:?} in\n{stderr}");
    }
    stderr
}

pub fn terminate(database: &Database) {
    database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database()",
    );
}

/// The name is found, and the lock finds nothing.
#[test]
fn a_table_dropped_before_it_is_locked() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let mut other = database.client();
    other.batch_execute("BEGIN; DROP TABLE large").expect("not committed yet");
    let child = start(folder.path(), &database.url, &[]);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rehearsal' \
        AND datname = current_database() AND wait_event_type = 'Lock'";
    let mut client = database.client();
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.query_one(waiting, &[]).expect("a count").get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "nobody waits for the lock");
        std::thread::sleep(Duration::from_millis(2));
    }
    other.batch_execute("COMMIT").expect("dropped");
    let output = child.wait_with_output().expect("it ends");
    check_failed(
        folder.path(),
        &output,
        &["large\" does not exist", "it was dropped or renamed while the export began"],
    );
}

/// All connections are ended at ten points of an export: it fails with a way on, or it was done.
#[test]
fn connections_killed_at_ten_points() {
    let database = database();
    table(&database);
    let mut failed = 0;
    for point in 0..10 {
        let folder = tempfile::tempdir().expect("a folder");
        let child = start(folder.path(), &database.url, &["--rate-limit", "16MB", "--jobs", "2"]);
        std::thread::sleep(Duration::from_millis(point * 110));
        terminate(&database);
        let output = child.wait_with_output().expect("it ends");
        if output.status.success() {
            assert_eq!(run_json(folder.path(), &["inspect", "snap"], 0)["result"]["tables"][0]["rows"], json!(ROWS));
        } else {
            failed += 1;
            check_failed(folder.path(), &output, &["hint: "]);
        }
    }
    assert!(failed >= 5, "{failed} of ten were caught");
}

/// A further connection is lost: its part is read again over a new one, since the first still holds the snapshot.
#[test]
fn a_lost_connection_is_replaced() {
    let database = database();
    if !database.reads_ranges() {
        // There is no further connection that could be lost.
        return;
    }
    database.run(
        "CREATE TABLE large AS SELECT n AS id, repeat('x', 200) AS pad, jsonb_build_object('k', n) AS doc FROM generate_series(1, 400000) AS n; ANALYZE large",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database.url, &["--rate-limit", "60MB", "--jobs", "3", "--mask", "doc.k=hash"]);
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity AS a WHERE application_name = 'rehearsal' \
        AND datname = current_database() AND query LIKE 'COPY%' AND state = 'active' AND backend_start > \
        (SELECT min(backend_start) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database()) LIMIT 1";
    let mut client = database.client();
    let deadline = Instant::now() + Duration::from_secs(30);
    while client.query(sql, &[]).expect(sql).is_empty() {
        assert!(Instant::now() < deadline, "no further connection reads");
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut ids: Vec<i64> = rows(&folder.path().join("snap/large.parquet"), &["id"])
        .iter()
        .map(|row| row[0].as_deref().expect("an id").parse().expect("a number"))
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=400_000).collect::<Vec<i64>>());
    let manifest = std::fs::read_to_string(folder.path().join("snap/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!(manifest["tables"][0]["masked"][0]["values"], json!(400_000), "what was read twice counts once");
}

#[test]
fn the_server_stops() {
    let server = Server::start(&Options::default());
    let database = server.database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &server.url("postgres", &database.name), SLOWLY);
    wait_for_copy(&database);
    let pid = std::fs::read_to_string(server.socket_folder.join("data/postmaster.pid")).expect("a pid");
    let pid = pid.lines().next().expect("a line");
    assert!(Command::new("kill").args(["-INT", pid]).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    let stderr = check_failed(folder.path(), &output, &["error: exporting large", "run the export again"]);
    assert!(stderr.contains("ended the connection") || stderr.contains("was lost"), "{stderr}");
}

#[test]
fn a_cancelled_statement() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database.url, SLOWLY);
    wait_for_copy(&database);
    database.run(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database()",
    );
    let output = child.wait_with_output().expect("it ends");
    check_failed(folder.path(), &output, &["the server cancelled the statement", "pg_cancel_backend"]);
}

#[test]
fn sigterm_leaves_nothing() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database.url, SLOWLY);
    wait_for_copy(&database);
    signal(&child, "-TERM");
    check_failed(folder.path(), &child.wait_with_output().expect("it ends"), &["interrupted"]);
}

/// A killed process can't clean up: nothing bears the snapshot's name, and the next export removes what is left.
#[cfg(target_os = "linux")]
#[test]
fn sigkill_is_cleaned_up_by_the_next_export() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database.url, SLOWLY);
    wait_for_copy(&database);
    signal(&child, "-KILL");
    child.wait_with_output().expect("it ends");
    let names = left(folder.path());
    assert!(matches!(names.as_slice(), [only] if only.starts_with(".rehearsal-")), "{names:?}");
    // What is left passes for no snapshot.
    let partial = folder.path().join(&names[0]).join("partial").display().to_string();
    assert_eq!(rehearsal(folder.path(), &["inspect", &partial]).status.code(), Some(2));
    let args = ["export", "--url", &database.url, "--table", "large", "--out", "snap"];
    let output = rehearsal(folder.path(), &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("warning: an export to snap was cut short before it ended; what it left in"), "{stderr}");
    assert_eq!(left(folder.path()), ["snap"]);
}

/// The tables are locked as by any SELECT: nobody changes their shape before the export ends.
#[test]
fn the_shape_of_a_table_stays_while_it_is_read() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database.url, SLOWLY);
    wait_for_copy(&database);
    let mut client = database.client();
    client.batch_execute("SET lock_timeout = '100ms'").expect("a setting");
    for sql in ["ALTER TABLE large ADD COLUMN more int", "TRUNCATE large", "DROP TABLE large"] {
        let error = client.batch_execute(sql).expect_err(sql);
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("55P03"), "{sql}");
    }
    client.batch_execute("DELETE FROM large").expect("rows may change meanwhile");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run_json(folder.path(), &["inspect", "snap"], 0)["result"]["tables"][0]["rows"], json!(ROWS));
}

#[test]
fn no_right_to_one_of_several_tables() {
    let server = Server::start(&Options::default());
    let database = server.database();
    database.run(
        "CREATE ROLE guest LOGIN; CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int, secret text); \
         GRANT SELECT ON a, c TO guest",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url("guest", &database.name);
    let args = ["export", "--url", &url, "--table", "a", "--table", "b", "--table", "c", "--out", "snap"];
    let says = ["the role may not read the table public.b", "GRANT SELECT ON \"public\".\"b\" TO \"guest\";"];
    check_failed(folder.path(), &rehearsal(folder.path(), &args), &says);
}

/// The server converts: a LATIN1 database's text arrives as what it is.
#[test]
fn a_latin1_database() {
    let server = Server::start(&Options { initdb: &["--encoding=LATIN1", "--locale=C"], ..Options::default() });
    let database = server.database();
    database.run("CREATE TABLE t (id int, words text); INSERT INTO t VALUES (1, 'café größe'), (2, NULL)");
    let folder = tempfile::tempdir().expect("a folder");
    let url = server.url("postgres", &database.name);
    run_json(folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap"], 0);
    let found = rows(&folder.path().join("snap/t.parquet"), &["id", "words"]);
    assert_eq!(found[0][1].as_deref(), Some("café größe"));
    let manifest = std::fs::read_to_string(folder.path().join("snap/manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"LATIN1\""), "{manifest}");
}

#[test]
fn a_snapshot_is_held_no_longer_than_allowed() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let output =
        start(folder.path(), &database.url, &["--rate-limit", "1MB", "--max-snapshot-age", "1s"]).wait_with_output();
    let says = [
        "the server's snapshot has been held for 1 s, which is what --max-snapshot-age allows",
        "rows had been read",
        "--where",
    ];
    check_failed(folder.path(), &output.expect("it ends"), &says);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database() AND backend_xmin IS NOT NULL";
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.client().query_one(held, &[]).expect("a count").get::<_, i64>(0) > 0 {
        assert!(Instant::now() < deadline, "the server still holds the snapshot");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_rate_is_kept() {
    let database = database();
    table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let args =
        ["export", "--url", &database.url, "--table", "large", "--out", "snap", "--rate-limit", "10MB", "--jobs", "2"];
    let report = run_json(folder.path(), &args, 0);
    let received = report["result"]["received_bytes"].as_u64().expect("bytes");
    assert!(received > 13_000_000, "{received} bytes");
    assert!(report["result"]["elapsed_ms"].as_u64() > Some(1200), "{report}");
    for (limit, says) in [("20", "it has no unit"), ("fast", "it doesn't begin with a number")] {
        let args = ["export", "--url", &database.url, "--table", "large", "--out", "no", "--rate-limit", limit];
        let output = rehearsal(folder.path(), &args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr.contains("--rate-limit") && stderr.contains(says), "{stderr}");
    }
}

/// A standby that must replay what the export still needs ends it; a second try, with a new snapshot, comes to its end.
#[test]
fn a_standby_ends_the_export_and_it_begins_again() {
    let primary = Server::start(&Options {
        hba: Some("local all all trust\nlocal replication all trust\nhost all all all trust\n"),
        ..Options::default()
    });
    let database = primary.database();
    table(&database);
    let standby = primary.standby(&[("max_standby_streaming_delay", "100ms"), ("hot_standby_feedback", "off")]);
    let there = Database::at(&standby, &database.name);
    let url = standby.url("postgres", &database.name);
    let disturb = |id: u32| {
        wait_for_copy(&there);
        database.run(&format!("DELETE FROM large WHERE id % 10 = {id}"));
        database.run("VACUUM large");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &url, &["--rate-limit", "4MB", "--retries", "0"]);
    disturb(1);
    let says = [
        "the standby",
        "ended the export",
        "conflict with recovery",
        "hot_standby_feedback",
        "max_standby_streaming_delay",
    ];
    check_failed(folder.path(), &child.wait_with_output().expect("it ends"), &says);
    let child = start(folder.path(), &url, &["--rate-limit", "8MB", "--retries", "5"]);
    disturb(2);
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("try 1 of 5, with a new snapshot"), "{stderr}");
    let report = run_json(folder.path(), &["inspect", "snap"], 0);
    assert_eq!(report["result"]["tables"][0]["rows"], json!(ROWS / 10 * 8));
    assert_eq!(report["result"]["manifest"]["source"]["in_recovery"], json!(true));
}
