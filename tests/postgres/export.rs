//! Export from a real server: what the manifest says, which tables names mean, and one snapshot for all tables.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixtures::{self, json as run_json, rehearsal};
use crate::server::{Database, database};

/// Exports `tables` to `snap` in a fresh folder and returns the folder and the manifest.
fn export(database: &Database, tables: &[&str]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    for table in tables {
        args.extend(["--table", table]);
    }
    let output = rehearsal(folder.path(), &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = manifest(folder.path());
    (folder, manifest)
}

fn manifest(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("snap/manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

fn text(database: &Database, sql: &str) -> String {
    database.client().query_one(sql, &[]).expect(sql).get(0)
}

#[test]
fn the_manifest_says_what_the_catalog_says() {
    let database = database();
    database.run(
        "CREATE TYPE \"Mood\" AS ENUM ('sad', 'ok'); ALTER TYPE \"Mood\" ADD VALUE 'so-so' BEFORE 'ok'; \
         CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1); \
         CREATE TABLE \"Child\" ( \
             id int GENERATED ALWAYS AS IDENTITY, \"parentId\" int REFERENCES parent (id), mood \"Mood\" NOT NULL DEFAULT 'ok', \
             amount numeric(10,2) CHECK (amount > 0), double numeric GENERATED ALWAYS AS (amount * 2) STORED, dropped int, \
             note varchar(20), PRIMARY KEY (note, id)); \
         ALTER TABLE \"Child\" DROP COLUMN dropped; \
         ALTER TABLE \"Child\" ADD CONSTRAINT unchecked CHECK (id > 1000) NOT VALID; \
         CREATE INDEX by_mood ON \"Child\" USING hash (mood) WHERE amount IS NOT NULL; \
         INSERT INTO \"Child\" (\"parentId\", amount, note) SELECT 1, n, repeat('x', 20) FROM generate_series(1, 1) AS n \
             WHERE false; \
         ALTER TABLE \"Child\" DROP CONSTRAINT unchecked; \
         INSERT INTO \"Child\" (\"parentId\", amount, note) SELECT 1, n, 'n' || n FROM generate_series(1, 500) AS n; \
         ALTER TABLE \"Child\" ADD CONSTRAINT unchecked CHECK (id > 1000) NOT VALID",
    );
    let (_folder, manifest) = export(&database, &["Child", "parent"]);
    let child = &manifest["tables"][0];
    assert_eq!((&child["schema"], &child["name"], &child["rows"]), (&json!("public"), &json!("Child"), &json!(500)));
    assert_eq!(
        child["columns"],
        json!([
            {"name": "id", "type": "integer", "not_null": true, "generated": "ALWAYS"},
            {"name": "parentId", "type": "integer", "not_null": false},
            {"name": "mood", "type": "\"Mood\"", "not_null": true, "default": "'ok'::\"Mood\""},
            {"name": "amount", "type": "numeric(10,2)", "not_null": false},
            {"name": "double", "type": "numeric", "not_null": false, "generated": "(amount * (2)::numeric)",
             "numeric_extent": {"integer_digits": 4, "scale": 0, "special_values": 0}},
            {"name": "note", "type": "character varying(20)", "not_null": true},
        ])
    );
    assert_eq!(
        child["constraints"],
        json!([
            {"name": "Child_pkey", "kind": "primary key", "definition": "PRIMARY KEY (note, id)", "columns": ["note", "id"], "validated": true},
            {"name": "Child_parentId_fkey", "kind": "foreign key", "definition": "FOREIGN KEY (\"parentId\") REFERENCES parent(id)", "columns": ["parentId"], "validated": true},
            {"name": "Child_amount_check", "kind": "check", "definition": "CHECK ((amount > (0)::numeric))", "columns": ["amount"], "validated": true},
            {"name": "unchecked", "kind": "check", "definition": "CHECK ((id > 1000)) NOT VALID", "columns": ["id"], "validated": false},
        ])
    );
    assert_eq!(manifest["enums"], json!([{"name": "\"Mood\"", "labels": ["sad", "so-so", "ok"]}]));
    let size = |sql: &str| json!(text(&database, &format!("SELECT ({sql})::text")).parse::<u64>().expect("a size"));
    let index = &child["indexes"][1];
    assert_eq!(
        (&index["name"], &index["method"], &index["unique"]),
        (&json!("by_mood"), &json!("hash"), &json!(false))
    );
    assert_eq!(index["size_bytes"], size("pg_relation_size('by_mood')"));
    assert_eq!(child["indexes"][0]["primary"], json!(true));
    assert_eq!(child["sizes"]["heap_bytes"], size("pg_relation_size('\"Child\"')"));
    assert_eq!(child["sizes"]["index_bytes"], size("pg_indexes_size('\"Child\"')"));
    assert_eq!(child["sizes"]["total_bytes"], size("pg_total_relation_size('\"Child\"')"));
    let source = &manifest["source"];
    assert_eq!(
        (&source["kind"], &source["encoding"], &source["in_recovery"]),
        (&json!("postgres"), &json!("UTF8"), &json!(false))
    );
    assert_eq!(source["version"], json!(text(&database, "SHOW server_version")));
    assert_eq!(source["time_zone"], json!(text(&database, "SHOW timezone")));
    assert!(source["location"].as_str().is_some_and(|l| l.ends_with(&database.name) && !l.contains("postgres@")));
    assert!(source["lsn"].as_str().is_some_and(|lsn| lsn.contains('/')));
    assert!(source["snapshot"].as_str().is_some_and(|s| s.split(':').count() == 3));
}

/// The texts of the catalog don't depend on who asks: another search path and other settings give the same manifest.
#[test]
fn settings_of_the_role_change_nothing() {
    let database = database();
    database.run(
        "CREATE SCHEMA app; CREATE TYPE app.kind AS ENUM ('a'); CREATE TYPE level AS ENUM ('low'); \
         CREATE TABLE app.t (id int PRIMARY KEY, k app.kind DEFAULT 'a', l level DEFAULT 'low', at timestamptz, iv interval, f real, b bytea); \
         INSERT INTO app.t VALUES (1, 'a', 'low', '2024-07-01 12:00+02', '1 day', 0.1, 'x')",
    );
    let (_one, mut plain) = export(&database, &["app.t"]);
    for setting in [
        "search_path = app, public",
        "DateStyle = 'German, DMY'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = 0",
        "bytea_output = 'escape'",
        "statement_timeout = '30s'",
        "quote_all_identifiers = on",
        "lock_timeout = '1s'",
    ] {
        database.run(&format!("ALTER DATABASE {} SET {setting}", database.name));
    }
    let (_two, mut changed) = export(&database, &["t"]);
    assert_eq!(plain["tables"][0]["columns"][1]["type"], json!("app.kind"));
    assert_eq!(plain["tables"][0]["columns"][2]["type"], json!("level"));
    for manifest in [&mut plain, &mut changed] {
        manifest["captured_at"] = json!("");
        manifest["source"]["lsn"] = json!("");
        manifest["source"]["snapshot"] = json!("");
        manifest["source"]["run"] = json!("");
        manifest["tables"][0]["physical"][0]["activity"] = json!("");
    }
    assert_eq!(plain, changed);
}

#[test]
fn views_partitions_and_children_are_read_as_select_reads_them() {
    let database = database();
    database.run(
        "CREATE TABLE parted (day int, v text) PARTITION BY RANGE (day); \
         CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10); \
         CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20); \
         INSERT INTO parted SELECT n, 'x' FROM generate_series(0, 19) AS n; CREATE INDEX parted_day ON parted (day); \
         CREATE TABLE base (v int); CREATE TABLE derived (w int) INHERITS (base); \
         INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 2); \
         CREATE VIEW late AS SELECT * FROM parted WHERE day >= 15; CREATE MATERIALIZED VIEW kept AS SELECT * FROM late",
    );
    let (_folder, manifest) = export(&database, &["parted", "base", "late", "kept"]);
    let rows: Vec<&Value> = manifest["tables"].as_array().expect("tables").iter().map(|t| &t["rows"]).collect();
    assert_eq!(rows, [&json!(20), &json!(2), &json!(5), &json!(5)]);
    let parts =
        text(&database, "SELECT (pg_total_relation_size('parted_1') + pg_total_relation_size('parted_2'))::text");
    assert_eq!(manifest["tables"][0]["sizes"]["total_bytes"], json!(parts.parse::<u64>().expect("a size")));
    assert!(manifest["tables"][0]["indexes"][0]["size_bytes"].as_u64() > Some(0));
    assert_eq!(manifest["tables"][2]["sizes"], Value::Null);
}

#[test]
fn a_table_named_as_the_analyses_own_view_works() {
    let database = database();
    database.run("CREATE TABLE log (operation text, status text); INSERT INTO log VALUES ('enrichment:x', 'FAILED')");
    let (folder, _) = export(&database, &["log"]);
    let result = run_json(folder.path(), &["classify", "snap", "--fail-on", "never"], 0);
    assert_eq!(result["result"]["rows"], json!(1));
}

#[test]
fn empty_tables_and_odd_names_are_exported() {
    let database = database();
    database.run("CREATE SCHEMA \"My App\"; CREATE TABLE \"My App\".\"a/b*.\"\"c\" (\"x y\" int, \"select\" text)");
    let (folder, manifest) = export(&database, &["\"My App\".\"a/b*.\"\"c\""]);
    assert_eq!(manifest["tables"][0]["rows"], json!(0));
    let inspected = run_json(folder.path(), &["inspect", "snap"], 0);
    assert_eq!(inspected["result"]["tables"][0]["table"], json!("a/b*.\"c"));
}

/// Two tables that a writer always changes together: a snapshot never shows one without the other.
#[test]
fn all_tables_are_of_one_moment() {
    let database = database();
    database.run(
        "CREATE TABLE a AS SELECT n, repeat('x', 200) AS pad FROM generate_series(1, 60000) AS n; \
         CREATE TABLE b AS SELECT n FROM generate_series(1, 60000) AS n",
    );
    let mut writer = database.client();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut pairs = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                writer
                    .batch_execute("BEGIN; INSERT INTO a VALUES (0, ''); INSERT INTO b VALUES (0); COMMIT")
                    .expect("a pair");
                pairs += 1;
            }
            pairs
        });
        for _ in 0..3 {
            let (_folder, manifest) = export(&database, &["a", "b"]);
            assert_eq!(manifest["tables"][0]["rows"], manifest["tables"][1]["rows"]);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(writing.join().expect("the writer") > 10, "nothing was written meanwhile");
    });
}

/// A migration that holds the table isn't waited for: others would queue behind the export.
#[test]
fn a_locked_table_is_an_error_soon() {
    let database = database();
    database.run("CREATE TABLE held (id int)");
    let mut migration = database.client();
    migration.batch_execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE").expect("a lock");
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    let output = rehearsal(folder.path(), &["export", "--url", &database.url, "--table", "held", "--out", "snap"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("another session holds a lock on the table"), "{stderr}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(folder.path().read_dir().expect("the folder").count(), 0);
}

#[test]
fn nothing_can_be_written() {
    let database = database();
    // A view that would write: the server must refuse, because the transaction is read-only.
    database.run(
        "CREATE TABLE touched (n int); \
         CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO touched VALUES (1); RETURN 1; END $$; \
         CREATE VIEW sneaky AS SELECT touch() AS n FROM generate_series(1, 3)",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearsal(folder.path(), &["export", "--url", &database.url, "--table", "sneaky", "--out", "snap"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("read-only transaction"), "{stderr}");
    assert_eq!(text(&database, "SELECT count(*)::text FROM touched"), "0");
}

#[test]
fn the_report_is_for_people_and_for_scripts() {
    let database = database();
    database.run("CREATE TABLE t AS SELECT n AS id FROM generate_series(1, 4052) AS n");
    let folder = tempfile::tempdir().expect("a folder");
    let report = run_json(folder.path(), &["export", "--url", &database.url, "--table", "t", "--out", "snap"], 0);
    assert_eq!((&report["report"], &report["outcome"]), (&json!("export"), &json!("clean")));
    assert_eq!((&report["snapshot"]["table"], &report["snapshot"]["rows"]), (&json!("t"), &json!(4052)));
    let result = &report["result"];
    assert_eq!(
        (&result["rows"], &result["tables"][0]["rows"], &result["path"]),
        (&json!(4052), &json!(4052), &json!("snap"))
    );
    assert_eq!(result["id"], manifest(folder.path())["id"]);
    assert!(result["elapsed_ms"].is_u64());
    let output = rehearsal(folder.path(), &["export", "--url", &database.url, "--table", "t", "--out", "again"]);
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(" Exported 4,052 rows of t to again ("), "{shown}");
    assert!(words.contains("; the server counts as many in the same snapshot. "), "{shown}");
}

/// The embedded demo and an export of its rows from a real server give the same answers.
#[test]
fn an_export_of_the_demo_gives_the_demos_answers() {
    let database = database();
    fixtures::load(&mut database.client(), "demo");
    let (folder, manifest) = export(&database, &["llama_logs"]);
    let embedded: Value = serde_json::from_str(
        &std::fs::read_to_string(fixtures::folder("demo").join("manifest.json")).expect("a manifest"),
    )
    .expect("JSON");
    assert_eq!(manifest["tables"][0]["columns"], embedded["tables"][0]["columns"]);
    assert_eq!(manifest["enums"], embedded["enums"]);
    for analysis in [&["classify"] as &[&str], &["classify", "--against", "runtime"], &["roots"], &["cycles"]] {
        let on = |source: &str| -> Value {
            let mut args = vec![analysis[0], source, "--fail-on", "never"];
            args.extend(&analysis[1..]);
            run_json(folder.path(), &args, 0)["result"].clone()
        };
        assert_eq!(on("snap"), on("demo"), "{analysis:?}");
    }
}
