//! Exports that fail: each says what is wrong and what to do, exits with 2, shows no password, and leaves nothing behind.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::rehearsal;
use crate::server::{Database, Options, Server, database};

/// Exports and expects failure; returns stderr.
fn refused(url: &str, table: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["export", "--url", url, "--table", table, "--out", "snap"]);
    check_failed(folder.path(), &output)
}

/// Exit code 2, nothing on stdout, nothing in the folder; returns stderr.
fn check_failed(folder: &Path, output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    let left: Vec<_> = folder.read_dir().expect("the folder").map(|e| e.expect("an entry").path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert!(!stderr.contains("hunter2") && !stderr.contains("hunter%32"), "{stderr}");
    stderr
}

/// The text in `expected` stands in `found`, line by line.
fn check(found: &str, expected: &[&str]) {
    for line in expected {
        assert!(found.contains(line), "no {line:?} in\n{found}");
    }
}

/// The same URL for another user.
fn as_user(database: &Database, user: &str) -> String {
    let (_, behind) = database.url.split_once('@').expect("a URL with a user");
    format!("postgresql://{user}@{behind}")
}

#[test]
fn what_is_no_connection_string() {
    check(
        &refused("hunter2", "t"),
        &["error: the connection string isn't a URL or key=value pairs", "hint: write postgresql://"],
    );
    check(&refused("mysql://me:hunter2@h/d", "t"), &["error: the connection string isn't one for PostgreSQL"]);
    check(&refused("postgresql://me:hunter2@h:port/d", "t"), &["error: the connection string can't be read"]);
    check(
        &refused("postgresql://me:hunter2@h/d?sslmod=require", "t"),
        &["parameter sslmod isn't known", "did you mean sslmode?"],
    );
    check(&refused("postgresql://me:hunter2@h/d?sslmode=on", "t"), &["sslmode isn't one that is known", "verify-full"]);
}

#[test]
fn nobody_answers() {
    check(
        &refused("postgresql://me:hunter2@127.0.0.1:1/d", "t"),
        &["error: no server answers at 127.0.0.1:1/d: connection refused", "hint: check host and port"],
    );
    check(
        &refused("postgresql://me:hunter2@nowhere.invalid/d", "t"),
        &["the host of nowhere.invalid:5432/d isn't known", "hint:"],
    );
    check(&refused("host=/nowhere user=me password=hunter2 dbname=d", "t"), &["no server answers at /nowhere:5432/d"]);
}

/// A server that takes the connection and then says nothing.
#[test]
fn a_silent_server_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let started = Instant::now();
    let stderr = refused(&format!("postgresql://me:hunter2@127.0.0.1:{port}/d?connect_timeout=1"), "t");
    check(&stderr, &["no server answers", "connect_timeout"]);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn passwords_are_never_echoed() {
    let server = Server::start(&Options::default());
    let database = server.database();
    database.run(
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE secret_user LOGIN PASSWORD 'right'; CREATE TABLE t (id int); GRANT SELECT ON t TO secret_user",
    );
    let url =
        |password: &str| format!("postgresql://secret_user{password}@127.0.0.1:{}/{}", server.port, database.name);
    check(
        &refused(&url(":hunter2"), "t"),
        &["refuses the connection: password authentication failed", "hint: check the password of secret_user"],
    );
    check(&refused(&url(""), "t"), &["wants a password for secret_user", "PGPASSWORD"]);
    let folder = tempfile::tempdir().expect("a folder");
    let run = |url: &str, password: &str| {
        Command::new(env!("CARGO_BIN_EXE_rehearsal"))
            .args(["export", "--table", "t", "--out", "snap"])
            .current_dir(folder.path())
            .env("DATABASE_URL", url)
            .env("PGPASSWORD", password)
            .output()
            .expect("the binary runs")
    };
    check(&check_failed(folder.path(), &run(&url(""), "hunter2")), &["password authentication failed"]);
    assert!(run(&url(""), "right").status.success());
    std::fs::remove_dir_all(folder.path().join("snap")).expect("a snapshot");
    // The connection string's own password counts, and what it takes to write it there.
    assert!(run(&url(":r%69ght"), "hunter2").status.success());
    let help = Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["export", "--help"])
        .env("DATABASE_URL", "hunter2")
        .output();
    assert!(!String::from_utf8_lossy(&help.expect("the binary runs").stdout).contains("hunter2"));
}

#[test]
fn an_unknown_database() {
    let database = database();
    let url = database.url.replace(&database.name, "no_such_database");
    check(&refused(&url, "t"), &["database \"no_such_database\" does not exist", "hint: the path of the URL"]);
}

#[test]
fn unknown_tables_and_what_is_no_table() {
    let database = database();
    database.run(
        "CREATE TABLE llama_logs (id int PRIMARY KEY); CREATE SCHEMA app; CREATE TABLE app.albums (id int); CREATE SEQUENCE counter; \
         CREATE TABLE nothing (); CREATE TABLE twins (\"Id\" int, id int); \
         CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE far (id int) SERVER s",
    );
    check(
        &refused(&database.url, "lama_logs"),
        &["error: there is no table lama_logs", "hint: did you mean llama_logs?"],
    );
    check(&refused(&database.url, "albums"), &["there is no table albums", "did you mean app.albums?"]);
    check(&refused(&database.url, "counter"), &["public.counter is a sequence, not a table"]);
    check(&refused(&database.url, "llama_logs_pkey"), &["is an index, not a table"]);
    check(
        &refused(&database.url, "far"),
        &["public.far is a foreign table", "hint: export it from the server that holds its rows"],
    );
    check(&refused(&database.url, "nothing"), &["table public.nothing has no columns"]);
    check(&refused(&database.url, "twins"), &["columns Id and id of public.twins differ only in case"]);
    check(
        &refused(&format!("{}?schema=app", database.url), "llama_logs"),
        &["there is no table llama_logs", "did you mean public.llama_logs?"],
    );
    let folder = tempfile::tempdir().expect("a folder");
    let twice =
        ["export", "--url", &database.url, "--table", "llama_logs", "--table", "public.llama_logs", "--out", "snap"];
    check(&check_failed(folder.path(), &rehearsal(folder.path(), &twice)), &["table public.llama_logs is named twice"]);
    let output = rehearsal(
        folder.path(),
        &["export", "--url", &format!("{}?schema=app", database.url), "--table", "albums", "--out", "snap"],
    );
    assert!(output.status.success());
}

#[test]
fn no_right_to_read() {
    let server = Server::start(&Options::default());
    let database = server.database();
    database.run(
        "CREATE ROLE guest LOGIN; CREATE TABLE logs (id int, secret text); CREATE SCHEMA app; CREATE TABLE app.logs2 (id int); \
         CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; GRANT SELECT ON guarded TO guest; \
         INSERT INTO guarded VALUES (1)",
    );
    let url = format!("postgresql://guest@127.0.0.1:{}/{}", server.port, database.name);
    check(
        &refused(&url, "logs"),
        &[
            "error: the role may not read the table public.logs",
            "hint: grant it: GRANT SELECT ON \"public\".\"logs\" TO \"guest\";",
        ],
    );
    check(
        &refused(&url, "app.logs2"),
        &["may not look into the schema app", "GRANT USAGE ON SCHEMA \"app\" TO \"guest\";"],
    );
    database.run("GRANT SELECT (id) ON logs TO guest");
    check(&refused(&url, "logs"), &["may not read the table public.logs in secret"]);
    // Rows that a policy hides would be missing without a word.
    check(&refused(&url, "guarded"), &["row-level security", "hint: "]);
    database.run("GRANT SELECT (secret) ON logs TO guest");
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["export", "--url", &url, "--table", "logs", "--out", "snap"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A table of a size that takes a while.
fn large_table(database: &Database) {
    database.run(
        "CREATE TABLE large AS SELECT n AS id, repeat(md5(n::text), 20) AS pad FROM generate_series(1, 400000) AS n",
    );
}

fn start(folder: &Path, database: &Database) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rehearsal"))
        .args(["export", "--url", &database.url, "--table", "large", "--out", "snap"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Waits until the Parquet file in the staging folder has bytes: the COPY is under way.
fn wait_for_copy(folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let copying = folder.read_dir().expect("the folder").flatten().any(|staging| {
            let files = staging.path().join("partial").read_dir().into_iter().flatten().flatten();
            files.filter_map(|f| f.metadata().ok()).any(|m| m.len() > 0)
        });
        if copying {
            return;
        }
        assert!(Instant::now() < deadline, "the export doesn't begin to write");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_cut_in_the_middle() {
    let database = database();
    large_table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database);
    wait_for_copy(folder.path());
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE application_name = 'rehearsal' AND datname = current_database()";
    let ended: i64 = database.client().query_one(cut, &[]).expect("a count").get(0);
    assert!(ended >= 1, "{ended} connections");
    let output = child.wait_with_output().expect("it ends");
    let stderr = check_failed(folder.path(), &output);
    check(&stderr, &["there is no snapshot: run the export again"]);
    if database.reads_ranges() {
        // Over one connection, all of a table may have left the server when its first bytes are in the file.
        check(&stderr, &["error: exporting large"]);
    }
    assert!(stderr.contains("ended the connection") || stderr.contains("was lost"), "{stderr}");
}

#[test]
fn ctrl_c_leaves_nothing() {
    let database = database();
    large_table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    let child = start(folder.path(), &database);
    wait_for_copy(folder.path());
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    check(&check_failed(folder.path(), &output), &["interrupted"]);
}

/// The server is busy with one statement and sends nothing: Ctrl-C must not wait for it, and the server must stop, too.
#[test]
fn ctrl_c_ends_a_silent_wait() {
    let database = database();
    database.run("CREATE VIEW large AS SELECT pg_sleep(60)::text AS nap");
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let child = start(folder.path(), &database);
    let active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rehearsal' AND datname = current_database() \
        AND state = 'active' AND wait_event = 'PgSleep'";
    let mut client = database.client();
    let mut sleeping = |wanted: i64| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while client.query_one(active, &[]).expect("a count").get::<_, i64>(0) != wanted {
            assert!(Instant::now() < deadline, "not {wanted} statements asleep");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    sleeping(1);
    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    check(&check_failed(folder.path(), &output), &["interrupted"]);
    sleeping(0);
    assert!(started.elapsed() < Duration::from_secs(40));
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
}

#[test]
fn the_output_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("snap")).expect("a folder");
    // Said before anybody is bothered: there is no server at this address.
    let output = rehearsal(
        folder.path(),
        &["export", "--url", "postgresql://me@127.0.0.1:1/d", "--table", "t", "--out", "snap"],
    );
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    check(&stderr, &["error: output snap exists already", "hint: choose another --out"]);
    assert_eq!(folder.path().join("snap").read_dir().expect("the folder").count(), 0);
}

/// The file system takes no more bytes: a limit on the size of files does as a full disk does, for every user.
#[test]
fn the_disk_is_full() {
    let database = database();
    large_table(&database);
    let folder = tempfile::tempdir().expect("a folder");
    // SIGXFSZ ignored, so that the write fails as it does on a full disk instead of killing the process.
    let script = "trap '' XFSZ; ulimit -f 2000; exec \"$0\" export --url \"$1\" --table large --out snap";
    let output = Command::new("/bin/bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_rehearsal"), &database.url])
        .current_dir(folder.path())
        .output()
        .expect("bash runs");
    assert_eq!(output.status.signal(), None);
    check(&check_failed(folder.path(), &output), &["error: exporting large", "caused by: writing snap/large.parquet"]);
}

/// A database whose text is in no known encoding.
#[test]
fn text_that_is_not_utf8() {
    let server = Server::start(&Options { initdb: &["--encoding=SQL_ASCII", "--locale=C"], ..Options::default() });
    let database = server.database();
    database.run("CREATE TABLE t (id int, words text); INSERT INTO t VALUES (1, 'fine'), (2, E'caf\\xe9')");
    check(
        &refused(&format!("postgresql://postgres@127.0.0.1:{}/{}", server.port, database.name), "t"),
        &["column words, row 2", "the text isn't UTF-8 (byte 0xe9 at position 3)", "SQL_ASCII"],
    );
}

#[test]
fn another_users_right_to_connect() {
    let server = Server::start(&Options {
        hba: Some("local all all trust\nhost all postgres all trust\n"),
        ..Options::default()
    });
    let database = server.database();
    let by_tcp = format!("postgresql://stranger:hunter2@127.0.0.1:{}/{}", server.port, database.name);
    check(&refused(&by_tcp, "t"), &["no pg_hba.conf entry", "hint: the server's pg_hba.conf must allow this user"]);
    let shared = crate::server::database();
    let stderr = refused(&as_user(&shared, "no_such_role"), "t");
    check(&stderr, &["role \"no_such_role\" does not exist"]);
}
