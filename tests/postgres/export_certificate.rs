//! The certificate of an export and the physical facts in its manifest: against the server, and proven again offline.

use std::path::Path;

use serde_json::{Value, json};

use crate::fixtures::{json as run_json, rehearsal};
use crate::server::{Database, Options, Server, database};

fn export(folder: &Path, database: &Database, table: &str, out: &str, jobs: &str) -> Value {
    let args = ["export", "--url", &database.url, "--table", table, "--out", out, "--jobs", jobs];
    run_json(folder, &args, 0)["result"].take()
}

/// The content hash of a table now.
fn hash(database: &Database, table: &str, jobs: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let report = export(folder.path(), database, table, "snap", jobs);
    report["tables"][0]["content"]["hash"].as_str().expect("a hash").to_owned()
}

fn manifest(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("snap/manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

fn text(database: &Database, sql: &str) -> Option<String> {
    database.client().query_one(sql, &[]).unwrap_or_else(|error| panic!("{error:?}\n{sql}")).get(0)
}

#[test]
fn the_content_hash_is_of_the_rows_alone() {
    let database = database();
    database.run(
        "CREATE TABLE t (id int, amount numeric, price numeric(10,2), note text, tags text[], span interval, doc jsonb); \
         INSERT INTO t SELECT n, n / 7.0, n / 4.0, CASE WHEN n % 3 > 0 THEN repeat('x', n % 90) END, \
             CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN ARRAY[NULL, ''] ELSE ARRAY['a', n::text] END, \
             n * interval '1 day 1 second', jsonb_build_object('n', n) \
             FROM generate_series(1, 300000) AS n; \
         CREATE INDEX t_note ON t (note, id); ANALYZE t",
    );
    let one = hash(&database, "t", "1");
    assert_eq!([hash(&database, "t", "2"), hash(&database, "t", "3")], [one.clone(), one.clone()]);
    database.run("UPDATE t SET note = note WHERE id % 5 = 0; DELETE FROM t WHERE id = 77; \
         INSERT INTO t SELECT 77, 77 / 7.0, 77 / 4.0, repeat('x', 77), '{}', 77 * interval '1 day 1 second', '{\"n\": 77}'");
    assert_eq!(hash(&database, "t", "2"), one, "updated and inserted again");
    database.run("VACUUM FULL t");
    assert_eq!(hash(&database, "t", "2"), one, "VACUUM FULL");
    database.run("CLUSTER t USING t_note; ANALYZE t");
    assert_eq!(hash(&database, "t", "2"), one, "CLUSTER");
    database.run("CREATE VIEW v AS SELECT * FROM t ORDER BY amount DESC");
    assert_eq!(hash(&database, "v", "1"), one, "through a view, in another order");
    for change in [
        "UPDATE t SET price = price + 0.01 WHERE id = 5",
        "UPDATE t SET note = '' WHERE id = 3",
        "UPDATE t SET tags = '{}' WHERE id = 4",
        "UPDATE t SET tags = ARRAY['', NULL] WHERE id = 2",
        "UPDATE t SET span = '24 hours 1 second' WHERE id = 1",
        "INSERT INTO t SELECT * FROM t WHERE id = 9",
        "DELETE FROM t WHERE id = 9",
        "UPDATE t SET note = CASE id WHEN 10 THEN (SELECT note FROM t WHERE id = 11) ELSE (SELECT note FROM t WHERE id = 10) END WHERE id IN (10, 11)",
    ] {
        // A table of its own, in another order, with one thing changed.
        database.run(&format!("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT * FROM public.t WHERE id < 20 ORDER BY -id; SET search_path = s; \
             CREATE TABLE public.small AS SELECT * FROM s.t ORDER BY id; {change}"));
        assert_ne!(hash(&database, "s.t", "1"), hash(&database, "public.small", "1"), "{change}");
        database.run("DROP SCHEMA s CASCADE; DROP TABLE public.small");
    }
}

#[test]
fn extremes_and_nulls_are_the_servers() {
    let database = database();
    database.run(
        "CREATE TYPE level AS ENUM ('low', 'mid', 'high', 'never'); \
         CREATE TABLE t (i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, d numeric(12,3), n numeric, wide numeric(60,20), \
             day date, clock time, ts timestamp, tz timestamptz, iv interval, words text, short varchar(9), fixed char(4), l level, b boolean); \
         SELECT setseed(0.25); \
         INSERT INTO t SELECT (random() * 60000 - 30000)::int2, (random() * 4e9 - 2e9)::int4, (random() * 1e18 - 5e17)::int8, \
             (random() * 10 ^ (random() * 60 - 30))::float4, (random() - 0.5) * 10 ^ (random() * 200 - 100), (random() * 1e6 - 5e5)::numeric, \
             ((random() - 0.5) * 1e15)::numeric * 10::numeric ^ (random() * 40 - 20)::int, (random() * 1e30)::numeric, \
             '2000-01-01'::date + (random() * 4e6 - 7e5)::int, (random() * 86399)::int * interval '1.000001 second' + time '00:00', \
             '2000-01-01'::timestamp + (random() - 0.5) * interval '8000 years', '2000-01-01'::timestamptz + (random() - 0.5) * interval '800 years', \
             (random() * 900)::int * interval '1 month' - (random() * 90)::int * interval '1 day 3.5 seconds', \
             repeat(chr(160 + (random() * 900)::int), (random() * 20)::int) || n, substr(md5(n::text), 1, 9), substr(md5(n::text), 1, (random() * 4)::int), \
             (ARRAY['mid', 'high'])[1 + n % 2]::level, n % 2 = 0 FROM generate_series(1, 5000) AS n; \
         UPDATE t SET i4 = NULL, words = NULL, l = NULL WHERE i2 % 7 = 0",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let content = export(folder.path(), &database, "t", "snap", "2")["tables"][0]["content"].take();
    let columns = content["columns"].as_array().expect("columns");
    assert_eq!(columns.len(), 18);
    for held in columns {
        let name = held["column"].as_str().expect("a name");
        let (value, order) = match name {
            "words" | "short" => (name.to_owned(), format!("t.{name} COLLATE \"C\"")),
            "fixed" => ("format('%s', fixed)".to_owned(), "format('%s', fixed) COLLATE \"C\"".to_owned()),
            // The zone stands before the era.
            "tz" => {
                ("regexp_replace((tz AT TIME ZONE 'UTC')::text, '( BC)?$', '+00\\1')".to_owned(), "t.tz".to_owned())
            }
            _ => (format!("{name}::text"), format!("t.{name}")),
        };
        let end = |direction: &str| {
            text(
                &database,
                &format!(
                    "SELECT {value} FROM t WHERE {name} IS NOT NULL ORDER BY {order} {direction}, {value} LIMIT 1"
                ),
            )
        };
        let nulls = text(&database, &format!("SELECT count(*)::text FROM t WHERE {name} IS NULL"));
        let found = (held["min"].as_str().map(str::to_owned), held["max"].as_str().map(str::to_owned));
        if name == "iv" {
            // Equal intervals have several forms.
            let same = |shown: &Option<String>, end: &str| {
                text(
                    &database,
                    &format!(
                        "SELECT ('{}'::interval = (SELECT {end}(iv) FROM t))::text",
                        shown.as_deref().unwrap_or("")
                    ),
                )
            };
            assert_eq!(
                (same(&found.0, "min"), same(&found.1, "max")),
                (Some("true".into()), Some("true".into())),
                "{found:?}"
            );
        } else {
            assert_eq!(found, (end("ASC"), end("DESC")), "{name}");
        }
        assert_eq!(held["nulls"].to_string(), nulls.expect("a count"), "{name}");
    }
}

/// Proven by `inspect`, and what was changed is named.
#[test]
fn inspect_proves_the_certificate_again() {
    let database = database();
    database.run(
        "CREATE TABLE t (id int PRIMARY KEY, mail text, n int, UNIQUE (mail, n)); CREATE UNIQUE INDEX lone ON t (n) WHERE n > 5; \
         CREATE UNIQUE INDEX \"Mail\" ON t (mail DESC); \
         INSERT INTO t SELECT n, CASE WHEN n > 3 THEN 'm' || n END, n FROM generate_series(1, 1000) AS n",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let exported = export(folder.path(), &database, "t", "snap", "1");
    let content = &exported["tables"][0]["content"];
    assert_eq!(
        content["keys"],
        json!([
            {"name": "t_pkey", "columns": ["id"], "rows": 1000, "unique": true},
            {"name": "Mail", "columns": ["mail"], "rows": 997, "unique": true},
            {"name": "t_mail_n_key", "columns": ["mail", "n"], "rows": 997, "unique": true},
        ])
    );
    let inspected = run_json(folder.path(), &["inspect", "snap"], 0);
    assert_eq!(&inspected["result"]["tables"][0]["content"], content);
    let shown = rehearsal(folder.path(), &["inspect", "snap"]);
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    let hash = content["hash"].as_str().expect("a hash");
    for part in [
        hash,
        "t_pkey, Mail, t_mail_n_key",
        "those of the certificate",
        "horizon held",
        "On the server's disk, in pages",
    ] {
        assert!(shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(part), "no {part} in\n{shown}");
    }
    let path = folder.path().join("snap/manifest.json");
    let whole = std::fs::read_to_string(&path).expect("a manifest");
    for (said, instead, expected) in [
        (hash, "00000000000000000000000000000000", "in table t, the content hash is "),
        ("\"nulls\": 3", "\"nulls\": 4", "the number of NULLs in mail is 3, and the certificate says 4"),
        ("\"max\": \"m999\"", "\"max\": \"m99\"", "the greatest value of mail is m999, and the certificate says m99"),
        (
            "\"rows\": 997",
            "\"rows\": 998",
            "the key Mail is unique over 997 rows, and the certificate says unique over 998 rows",
        ),
    ] {
        assert!(whole.contains(said), "{said}");
        std::fs::write(&path, whole.replacen(said, instead, 1)).expect("a manifest");
        let output = rehearsal(folder.path(), &["inspect", "snap"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
    // A snapshot of an older version has no certificate, and opens all the same.
    let mut older: Value = serde_json::from_str(&whole).expect("JSON");
    for key in ["content", "physical"] {
        older["tables"][0].as_object_mut().expect("a table").remove(key);
    }
    for key in ["capacity", "run"] {
        older["source"].as_object_mut().expect("a source").remove(key);
    }
    std::fs::write(&path, older.to_string()).expect("a manifest");
    assert_eq!(run_json(folder.path(), &["inspect", "snap"], 0)["result"]["tables"][0]["content"], Value::Null);
}

/// A parent's key says nothing about its children: what is claimed about a key was found in the rows.
#[test]
fn a_key_that_is_not_unique_is_said_to_be_none() {
    let database = database();
    database.run(
        "CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE child () INHERITS (base); \
         INSERT INTO base VALUES (1), (2); INSERT INTO child VALUES (2)",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let exported = export(folder.path(), &database, "base", "snap", "2");
    assert_eq!(exported["tables"][0]["content"]["keys"][0]["unique"], json!(false));
    run_json(folder.path(), &["inspect", "snap"], 0);
}

#[test]
fn physical_facts_are_the_servers() {
    let database = database();
    if database.version() < 130_000 {
        // No index deduplicates there.
        return;
    }
    database.run(
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false); \
         CREATE TABLE t (id int PRIMARY KEY, gone int, words text, tags text[], n numeric, l text COLLATE loose, body text) WITH (fillfactor = 70); \
         ALTER TABLE t ALTER body SET STORAGE external; CREATE INDEX by_words ON t (words DESC NULLS LAST) WITH (deduplicate_items = off, fillfactor = 80); CREATE INDEX by_tags ON t (tags); \
         CREATE INDEX by_n ON t (n); CREATE INDEX by_loose ON t (l); CREATE INDEX by_both ON t (words) INCLUDE (n); CREATE INDEX by_id ON t (id, words); \
         INSERT INTO t SELECT n, 0, 'w' || n, '{}', n, 'a', repeat('x', 3000) FROM generate_series(1, 3000) AS n; \
         ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD COLUMN added varchar(20) DEFAULT 'a \"quoted\", one'; \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$; \
         CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER touch; \
         DELETE FROM t WHERE id > 2900",
    );
    database.run("VACUUM ANALYZE t");
    database.run("UPDATE t SET added = 'b' WHERE id < 50");
    // Before PostgreSQL 15 a process of its own collects what the sessions send.
    let counted = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 't'";
    while database.client().query_one(counted, &[]).expect("a count").get::<_, i64>(0) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let folder = tempfile::tempdir().expect("a folder");
    export(folder.path(), &database, "t", "snap", "1");
    let manifest = manifest(folder.path());
    let facts = &manifest["tables"][0]["physical"][0];
    let same = |found: &Value, sql: &str| {
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(Some(found), text(&database, &format!("SELECT ({sql})::text")), "{sql}");
    };
    same(&facts["heap_pages"], "pg_relation_size('t') / 8192");
    same(&facts["free_space_map_pages"], "pg_relation_size('t', 'fsm') / 8192");
    same(&facts["visibility_map_pages"], "pg_relation_size('t', 'vm') / 8192");
    same(&facts["toast"]["pages"], "SELECT pg_relation_size(reltoastrelid) / 8192 FROM pg_class WHERE relname = 't'");
    same(&facts["planner"]["pages"], "SELECT relpages FROM pg_class WHERE relname = 't'");
    same(&facts["planner"]["all_visible_pages"], "SELECT relallvisible FROM pg_class WHERE relname = 't'");
    same(&facts["activity"]["hot_updated_tuples"], "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 't'");
    same(
        &facts["activity"]["inserted_since_vacuum"],
        "SELECT n_ins_since_vacuum FROM pg_stat_user_tables WHERE relname = 't'",
    );
    assert!(facts["activity"]["last_vacuum"].as_str().is_some_and(|at| at.ends_with('Z')));
    assert_eq!(facts["options"], json!(["fillfactor=70"]));
    let columns = facts["columns"].as_array().expect("columns");
    let names: Vec<&Value> = columns.iter().map(|column| &column["name"]).collect();
    assert_eq!(
        names,
        [
            &json!("id"),
            &Value::Null,
            &json!("words"),
            &json!("tags"),
            &json!("n"),
            &json!("l"),
            &json!("body"),
            &json!("added")
        ]
    );
    assert_eq!(
        (&columns[6]["storage"], &columns[1]["length"], &columns[1]["type"]),
        (&json!("e"), &json!(4), &Value::Null)
    );
    assert_eq!((&columns[7]["has_missing"], &columns[7]["missing_value"]), (&json!(true), &json!("a \"quoted\", one")));
    same(
        &columns[2]["statistics"]["average_width_bytes"],
        "SELECT avg_width FROM pg_stats WHERE tablename = 't' AND attname = 'words'",
    );
    let indexes: Vec<(&str, bool)> = facts["indexes"]
        .as_array()
        .expect("indexes")
        .iter()
        .map(|index| (index["name"].as_str().expect("a name"), index["deduplicates"] == true))
        .collect();
    assert_eq!(
        indexes,
        [
            ("by_both", false),
            ("by_id", true),
            ("by_loose", false),
            ("by_n", false),
            ("by_tags", false),
            ("by_words", false),
            ("t_pkey", true)
        ]
    );
    let by_words = &facts["indexes"][5];
    assert_eq!(by_words["options"], json!(["deduplicate_items=off", "fillfactor=80"]));
    same(&by_words["pages"], "pg_relation_size('by_words') / 8192");
    assert_eq!(
        by_words["keys"],
        json!([{"definition": "words", "operator_class": "text_ops", "collation": "default", "descending": true, "nulls_first": false, "equal_by_image": true}])
    );
    assert_eq!((&facts["triggers"][0]["name"], &facts["triggers"][0]["enabled"]), (&json!("touch"), &json!("D")));
    let source = &manifest["source"];
    let setting =
        source["capacity"]["settings"].as_array().expect("settings").iter().find(|s| s["name"] == "max_wal_size");
    let setting = setting.expect("max_wal_size");
    same(&setting["setting"], "SELECT setting FROM pg_settings WHERE name = 'max_wal_size'");
    assert_eq!((&setting["unit"], &source["capacity"]["replication_slots"]), (&json!("MB"), &json!(0)));
    assert!(
        source["run"]["horizon_held_ms"].is_u64() && source["run"]["horizon_held_transactions"].is_u64(),
        "{source}"
    );
}

/// An ordinary role: everything but the values is readable, and what isn't is recorded.
#[test]
fn what_a_role_may_not_read_is_recorded() {
    let database = database();
    let role = format!("plain_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x'); ANALYZE t; \
         CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let run = |out: &str| run_json(folder.path(), &["export", "--url", &url, "--table", "t", "--out", out], 0);
    run("snap");
    let all = manifest(folder.path());
    let facts = &all["tables"][0]["physical"][0];
    assert_eq!((&facts["heap_pages"], &facts["columns"][0]["statistics"]["null_fraction"]), (&json!(1), &json!(0.0)));
    std::fs::remove_dir_all(folder.path().join("snap")).expect("a snapshot");
    database.run(
        "REVOKE SELECT ON pg_catalog.pg_stat_all_tables FROM PUBLIC; REVOKE SELECT ON pg_catalog.pg_replication_slots FROM PUBLIC",
    );
    run("snap");
    let less = manifest(folder.path());
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let reason = less["tables"][0]["physical"]["not_readable"].as_str().expect("a reason");
    assert!(reason.contains("permission denied for view pg_stat_all_tables"), "{reason}");
    assert_eq!(less["source"]["capacity"]["replication_slots"], Value::Null);
    assert_eq!(less["tables"][0]["content"], all["tables"][0]["content"]);
    run_json(folder.path(), &["inspect", "snap"], 0);
}

/// A database in an encoding of its own: the text arrives, converted by the server.
#[test]
fn a_latin1_database() {
    let server = Server::start(&Options { initdb: &["--encoding=LATIN1", "--locale=C"], ..Options::default() });
    let database = server.database();
    database.run("CREATE TABLE t (id int PRIMARY KEY, \"größe\" text); INSERT INTO t SELECT n, chr(n) FROM generate_series(32, 255) AS n WHERE n NOT BETWEEN 127 AND 159");
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("postgresql://postgres@127.0.0.1:{}/{}", server.port, database.name);
    run_json(folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap"], 0);
    let rows = crate::fixtures::rows(&folder.path().join("snap/t.parquet"), &["id", "größe"]);
    assert_eq!(rows.len(), 191);
    for row in rows {
        let number: u32 = row[0].as_deref().expect("an id").parse().expect("a number");
        assert_eq!(row[1].as_deref(), char::from_u32(number).map(String::from).as_deref());
    }
    assert_eq!(manifest(folder.path())["source"]["encoding"], json!("LATIN1"));
}

/// `--row-storage`: where each row lies, in columns that nothing but the file shows.
#[test]
fn rows_tell_where_they_lie_when_asked() {
    let database = database();
    database.run(
        "CREATE TABLE t (id int, words text, doc jsonb, n numeric); \
         INSERT INTO t SELECT n, repeat(md5(n::text), n % 200), jsonb_build_object('n', n), n FROM generate_series(1, 2000) AS n; \
         INSERT INTO t SELECT 2001, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) AS n), NULL, 1; \
         DELETE FROM t WHERE id % 3 = 0; UPDATE t SET n = 0 WHERE id % 10 = 0; \
         CREATE TABLE p (id int, v text) PARTITION BY RANGE (id); CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (2); \
         CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (2) TO (9); INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c'); \
         CREATE VIEW v AS SELECT * FROM p",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let tables = ["--table", "t", "--table", "p", "--table", "v"];
    let args =
        [&["export", "--url", &database.url, "--out", "snap", "--row-storage", "--jobs", "2"] as &[&str], &tables]
            .concat();
    let report = run_json(folder.path(), &args, 0);
    assert_eq!(report["result"]["tables"][0]["content"]["hash"].as_str().expect("a hash"), hash(&database, "t", "1"));
    let check = |file: &str, columns: &[&str], sql: &str| {
        let mut here = crate::fixtures::rows(&folder.path().join(file), columns);
        here.sort();
        let rows = database.client().query(sql, &[]).unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
        let mut server: Vec<Vec<Option<String>>> =
            rows.iter().map(|row| (0..columns.len()).map(|n| row.get(n)).collect()).collect();
        server.sort();
        assert_eq!(here, server, "{file}");
    };
    check(
        "snap/t.parquet",
        &["id", "ctid", "\"pg_column_size(words)\"", "\"pg_column_size(doc)\""],
        "SELECT id::text, ctid::text, pg_column_size(words)::text, pg_column_size(doc)::text FROM t",
    );
    check(
        "snap/p.parquet",
        &["id", "ctid", "tableoid"],
        "SELECT id::text, ctid::text, tableoid::regclass::text FROM p",
    );
    let manifest = manifest(folder.path());
    assert_eq!(
        manifest["tables"][0]["storage_columns"],
        json!([{"column": "ctid"}, {"column": "pg_column_size(words)", "of": "words"}, {"column": "pg_column_size(doc)", "of": "doc"}])
    );
    assert_eq!(manifest["tables"][2]["storage_columns"], Value::Null, "a view's rows have no addresses");
    run_json(folder.path(), &["inspect", "snap"], 0);
    // No analysis sees them.
    let columns = run_json(folder.path(), &["sql", "snap", "SELECT count(*) AS n FROM (DESCRIBE t)"], 0);
    assert!(columns.to_string().contains('4'), "{columns}");
    std::fs::write(folder.path().join("m.sql"), "UPDATE t SET n = 1; SELECT ctid FROM t").expect("a migration");
    let dry = run_json(folder.path(), &["dry-run", "m.sql", "--on", "snap", "--fail-on", "never"], 0);
    assert_eq!(dry["result"]["statements"][0]["verdict"], json!("executed"));
    assert_ne!(dry["result"]["statements"][1]["verdict"], json!("executed"));
}
