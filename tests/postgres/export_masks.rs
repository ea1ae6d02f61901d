//! Exports of a part: columns, rows and masks, from a real server.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixtures::{json as run_json, rehearsal, rows};
use crate::server::{Database, database};

/// Exports with these arguments and returns the folder and the report.
fn export(database: &Database, arguments: &[&str]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let report = export_to(folder.path(), database, arguments);
    (folder, report)
}

fn export_to(folder: &Path, database: &Database, arguments: &[&str]) -> Value {
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    args.extend(arguments);
    run_json(folder, &args, 0)
}

/// Exports and expects failure; nothing is left.
fn refused(database: &Database, arguments: &[&str], says: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    args.extend(arguments);
    let output = rehearsal(folder.path(), &args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    for line in says {
        assert!(stderr.contains(line), "{arguments:?}: no {line:?} in\n{stderr}");
    }
    assert_eq!(folder.path().read_dir().expect("the folder").count(), 0, "{arguments:?}");
}

fn manifest(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("snap/manifest.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

/// People and their jobs, as a log table has them.
fn people(database: &Database) {
    database.run(
        "CREATE TABLE users (id int PRIMARY KEY, email varchar(60) NOT NULL UNIQUE, name text, phone varchar(20), born date, \
             secret bytea, kind char(12), score numeric, active boolean); \
         INSERT INTO users SELECT n, 'plain' || n || '@secret-shop.example', 'Plainfirst Plainlast' || chr(97 + n % 26), \
             '+49 30 ' || 5550000 + n, '1971-02-03', 'plainbytes', 'plainkind', 98765.4321, true FROM generate_series(1, 2000) AS n; \
         INSERT INTO users (id, email) VALUES (0, ''); ALTER TABLE users ADD COLUMN fresh text DEFAULT 'plainmissing'; \
         ALTER TABLE users ALTER COLUMN fresh DROP DEFAULT; \
         CREATE TABLE logs (id bigint PRIMARY KEY, user_id int REFERENCES users (id), job_id uuid, parent_job_id uuid, \
             email text, job_text text, metadata jsonb, raw json, tags text[]); \
         INSERT INTO logs SELECT n, n % 2001, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, \
             CASE WHEN n % 3 > 0 THEN ('00000000-0000-4000-8000-' || lpad((n - 1)::text, 12, '0'))::uuid END, \
             'plain' || n % 2001 || '@secret-shop.example', '00000000-0000-4000-8000-' || lpad(n::text, 12, '0'), \
             jsonb_build_object('email', 'plain' || n || '@secret-shop.example', 'count', 1.50, 'user', \
                 jsonb_build_object('name', 'Plain \"quoted\" \\ name', 'id', n)), \
             '{\"email\" : \"plainraw@secret-shop.example\", \"n\":1.0}', ARRAY['plaintag' || n, NULL] \
         FROM generate_series(1, 5000) AS n",
    );
}

const MASKS: &[&str] = &[
    "--table",
    "users",
    "--table",
    "logs",
    "--mask",
    "email=hash",
    "--mask",
    "name=fake",
    "--mask",
    "phone=keep-length",
    "--mask",
    "born=redact",
    "--mask",
    "secret=hash",
    "--mask",
    "kind=redact",
    "--mask",
    "score=redact",
    "--mask",
    "active=null",
    "--mask",
    "users.id=hash",
    "--mask",
    "user_id=hash",
    "--mask",
    "job_id=hash",
    "--mask",
    "parent_job_id=hash",
    "--mask",
    "job_text=hash",
    "--mask",
    "metadata.email=hash",
    "--mask",
    "metadata.user.name=redact",
    "--mask",
    "raw.email=fake",
    "--mask",
    "tags=hash",
    "--mask",
    "fresh=redact",
];

/// What a query over a snapshot's files gives, as text.
fn ask(folder: &Path, sql: &str) -> String {
    let engine = duckdb::Connection::open_in_memory().expect("DuckDB");
    let files = |name: &str| folder.join(format!("snap/{name}.parquet")).display().to_string();
    let sql = sql.replace("USERS", &format!("'{}'", files("users"))).replace("LOGS", &format!("'{}'", files("logs")));
    engine.query_row(&sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{error}\n{sql}"))
}

/// Neither the bytes of the files nor the values in them, nor the statistics, hold a plain value.
#[test]
fn no_plain_value_is_written() {
    let database = database();
    people(&database);
    let (folder, report) = export(&database, MASKS);
    let plain = ["plain", "Plain", "secret-shop", "+49 30 555", "98765.4321", "1971-02-03", "0-4000-8000-0000000"];
    for file in ["users.parquet", "logs.parquet", "manifest.json"] {
        let bytes = std::fs::read(folder.path().join("snap").join(file)).expect("a file");
        for text in plain {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{file} has {text}");
        }
    }
    for table in ["users", "logs"] {
        let file = folder.path().join(format!("snap/{table}.parquet")).display().to_string();
        let engine = duckdb::Connection::open_in_memory().expect("DuckDB");
        for source in [format!("'{file}'"), format!("parquet_metadata('{file}')")] {
            let sql = format!("SELECT r::VARCHAR FROM {source} AS r");
            let mut statement = engine.prepare(&sql).expect(&sql);
            for row in statement.query_map([], |row| row.get::<_, String>(0)).expect(&sql) {
                // The place of the file isn't in it.
                let row = row.expect("a row").replace(&file, "");
                assert!(!plain.iter().any(|text| row.contains(text)), "{row}");
            }
        }
    }
    assert!(!report.to_string().contains("plain"));
    assert_eq!(report["result"]["rows"], json!(7001));
}

/// Equal values stay equal over columns and tables, unequal ones unequal, NULL stays NULL; types and shapes are kept.
#[test]
fn joins_and_chains_survive() {
    let database = database();
    people(&database);
    let (folder, _) = export(&database, MASKS);
    let one = |sql: &str| ask(folder.path(), sql);
    let server = |sql: &str| -> String { database.client().query_one(sql, &[]).expect(sql).get(0) };
    for (here, there) in [
        (
            "count(*)::VARCHAR FROM LOGS AS l JOIN USERS AS u ON l.email = u.email",
            "count(*)::text FROM logs AS l JOIN users AS u ON l.email = u.email",
        ),
        (
            "count(*)::VARCHAR FROM LOGS AS l JOIN USERS AS u ON l.user_id = u.id",
            "count(*)::text FROM logs AS l JOIN users AS u ON l.user_id = u.id",
        ),
        (
            "count(*)::VARCHAR FROM LOGS AS l JOIN LOGS AS p ON l.parent_job_id = p.job_id",
            "count(*)::text FROM logs AS l JOIN logs AS p ON l.parent_job_id = p.job_id",
        ),
        ("count(parent_job_id)::VARCHAR FROM LOGS", "count(parent_job_id)::text FROM logs"),
        ("count(DISTINCT email)::VARCHAR FROM USERS", "count(DISTINCT email)::text FROM users"),
        ("count(DISTINCT id)::VARCHAR FROM USERS", "count(DISTINCT id)::text FROM users"),
        (
            "count(*)::VARCHAR FROM LOGS WHERE job_text = job_id::VARCHAR",
            "count(*)::text FROM logs WHERE job_text = job_id::text",
        ),
        ("sum(length(phone))::VARCHAR FROM USERS", "sum(length(phone))::text FROM users"),
        ("max(length(kind))::VARCHAR FROM USERS", "max(octet_length(kind))::text FROM users"),
        ("count(phone)::VARCHAR FROM USERS", "count(phone)::text FROM users"),
    ] {
        assert_eq!(one(&format!("SELECT {here}")), server(&format!("SELECT {there}")), "{here}");
    }
    assert_eq!(one("SELECT count(DISTINCT kind || born || score)::VARCHAR FROM USERS"), "1");
    assert_eq!(one("SELECT count(active)::VARCHAR FROM USERS"), "0");
    assert_eq!(one("SELECT string_agg(DISTINCT born::VARCHAR, ',') FROM USERS"), "1970-01-01");
    // Only what the paths name is changed, in PostgreSQL's own way of writing.
    let document = one("SELECT metadata FROM LOGS WHERE id = 7");
    let (before, behind) = document.split_once("\"email\": \"").expect("the key");
    assert_eq!(before, r#"{"user": {"id": 7, "name": "***"}, "count": 1.50, "#);
    assert_eq!(behind.len(), 26 + 2, "{document}");
    let raw = one("SELECT raw FROM LOGS WHERE id = 7");
    assert!(raw.starts_with(r#"{"email" : ""#) && raw.ends_with(r#"@example.com", "n":1.0}"#), "{raw}");
}

#[test]
fn the_manifest_and_the_reports_say_what_is_masked() {
    let database = database();
    people(&database);
    let (folder, report) = export(&database, &["--table", "users", "--mask", "email=hash", "--mask", "phone=null"]);
    let masked = json!([
        {"column": "email", "rule": "hash", "values": 2001}, {"column": "phone", "rule": "null", "values": 2000}]);
    assert_eq!(report["result"]["tables"][0]["masked"], masked);
    let written = manifest(folder.path());
    assert_eq!(written["tables"][0]["masked"], masked);
    assert_eq!((&written["masking"]["salt"], &written["masking"]["hash_characters"]), (&json!("random"), &json!(26)));
    assert!(report["result"]["notes"][0].as_str().is_some_and(|note| note.contains("made for this export alone")));
    let shown = String::from_utf8(rehearsal(folder.path(), &["inspect", "snap"]).stdout).expect("UTF-8");
    assert!(
        shown.contains("users.email") && shown.contains("hash") && shown.contains("made for this export"),
        "{shown}"
    );
    // A column of numbers as text doesn't tell how large the plain ones were.
    let (folder, _) = export(&database, &["--table", "users", "--mask", "score=redact"]);
    let column = &manifest(folder.path())["tables"][0]["columns"][7];
    assert_eq!(column["numeric_extent"], json!({"integer_digits": 0, "scale": 0, "special_values": 0}));
}

/// One salt, one answer; the fingerprint tells that it was one.
#[test]
fn a_salt_makes_two_snapshots_comparable() {
    let database = database();
    people(&database);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("salt"), "0123456789abcdef0123456789abcdef\n").expect("a file");
    let given = |rule: &str, out: &str| {
        let args =
            ["export", "--url", &database.url, "--table", "users", "--mask", rule, "--out", out, "--salt-file", "salt"];
        run_json(folder.path(), &args, 0);
        let emails = rows(&folder.path().join(out).join("users.parquet"), &["id", "email"]);
        let emails: BTreeMap<_, _> = emails.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        let text = std::fs::read_to_string(folder.path().join(out).join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_str(&text).expect("JSON");
        (emails, manifest["masking"]["salt_fingerprint"].clone())
    };
    let (one, two) = (given("email=hash", "one"), given("users.email=hash", "two"));
    assert_eq!(one, two);
    assert!(!std::fs::read_to_string(folder.path().join("one/manifest.json")).expect("text").contains("0123456789"));
    refused(&database, &["--table", "users", "--mask", "email=hash", "--salt-env", "NO_SUCH_VARIABLE"], &["isn't set"]);
}

#[test]
fn masks_of_the_project_are_read() {
    let database = database();
    people(&database);
    database.run("UPDATE users SET email = 'zero@secret-shop.example' WHERE id = 0");
    let folder = tempfile::tempdir().expect("a folder");
    let file = "[export.mask]\nphone = \"redact\"\n\"logs.metadata.email\" = \"hash\"\n[export.mask.users]\nemail = \"fake\"\n";
    std::fs::write(folder.path().join("rehearsal.toml"), file).expect("a file");
    let report = export_to(folder.path(), &database, &["--table", "users", "--mask", "phone=null"]);
    assert_eq!(
        report["result"]["tables"][0]["masked"],
        json!([{"column": "email", "rule": "fake", "values": 2001}, {"column": "phone", "rule": "null", "values": 2000}])
    );
}

#[test]
fn masks_that_match_nothing_or_break_the_data_are_refused() {
    let database = database();
    people(&database);
    let users = |mask: &'static str| ["--table", "users", "--mask", mask];
    refused(&database, &users("emial=hash"), &["no column of the export is emial", "did you mean email?"]);
    refused(&database, &users("email=null"), &["users.email is NOT NULL", "use users.email=redact"]);
    refused(&database, &users("email=keep-length"), &["users.email is part of a unique index", "use users.email=hash"]);
    refused(&database, &users("active=hash"), &["a column of the type boolean can only be masked with null"]);
    refused(
        &database,
        &users("name.first=hash"),
        &["users.name is of the type text", "only json and jsonb columns have paths"],
    );
    refused(&database, &users("name=scramble"), &["there is no mask \"scramble\"", "the masks are hash, null, redact"]);
    refused(
        &database,
        &["--table", "users", "--table", "logs", "--mask", "user_id=hash"],
        &["logs.user_id references users.id", "mask both with hash: --mask logs.user_id=hash --mask users.id=hash"],
    );
    // Made-up values that a unique index holds apart: only addresses are.
    database
        .run("CREATE TABLE accounts (login text UNIQUE); INSERT INTO accounts VALUES ('a@b.example'), ('plainlogin')");
    refused(
        &database,
        &["--table", "accounts", "--mask", "login=fake"],
        &["masking the column login", "isn't an e-mail address"],
    );
}

#[test]
fn columns_and_rows_are_chosen() {
    let database = database();
    people(&database);
    let (folder, report) = export(
        &database,
        &[
            "--table",
            "logs",
            "--columns",
            "id,job_id",
            "--columns",
            "parent_job_id",
            "--where",
            "id <= 1000 AND metadata->>'email' LIKE 'plain%' -- the first",
        ],
    );
    assert_eq!(report["result"]["rows"], json!(1000));
    let table = &manifest(folder.path())["tables"][0];
    let names: Vec<&Value> = table["columns"].as_array().expect("columns").iter().map(|c| &c["name"]).collect();
    assert_eq!(names, [&json!("id"), &json!("job_id"), &json!("parent_job_id")]);
    assert_eq!(table["part"]["left_out"].as_array().map(Vec::len), Some(6));
    assert_eq!(table["part"]["left_out"][0], json!({"name": "user_id", "type": "integer"}));
    assert_eq!(table["part"]["left_out_objects"], json!(["logs_user_id_fkey"]));
    assert!(table["part"]["where"].as_str().is_some_and(|text| text.starts_with("id <= 1000")));
    let shown = String::from_utf8(rehearsal(folder.path(), &["inspect", "snap"]).stdout).expect("UTF-8");
    assert!(shown.contains("A part of the server's tables") && shown.contains("id <= 1000"), "{shown}");
    // Several tables, each with its own.
    let (folder, report) = export(
        &database,
        &[
            "--table",
            "logs",
            "--table",
            "users",
            "--where",
            "logs: id <= 10",
            "--where",
            "users: born < now() - interval '1 year' AND id::text < '2'",
            "--columns",
            "users.id,users.born",
        ],
    );
    let counts: Vec<&Value> = report["result"]["tables"].as_array().expect("two").iter().map(|t| &t["rows"]).collect();
    assert_eq!(counts, [&json!(10), &json!(1111)]);
    assert_eq!(manifest(folder.path())["tables"][0]["columns"].as_array().map(Vec::len), Some(9));
}

/// Parts of a large table, read over several connections, with a predicate: as many rows as the server counts.
#[test]
fn a_predicate_holds_in_every_part() {
    let database = database();
    database.run("CREATE TABLE large AS SELECT n AS id, repeat('x', 300) AS pad, now() - n * interval '1 s' AS at FROM generate_series(1, 300000) AS n; ANALYZE large");
    let count = |predicate: &str| -> i64 {
        database
            .client()
            .query_one(&format!("SELECT count(*) FROM large WHERE {predicate}"), &[])
            .expect("a count")
            .get(0)
    };
    let (_folder, report) = export(&database, &["--table", "large", "--jobs", "3", "--where", "id % 7 = 0"]);
    assert_eq!(report["result"]["rows"], json!(count("id % 7 = 0")));
    let notes = report["result"]["notes"].as_array().expect("notes");
    assert_eq!(notes.len(), usize::from(!database.reads_ranges()), "{notes:?}");
    let (_folder, report) =
        export(&database, &["--table", "large", "--jobs", "3", "--where", "at > now() - interval '1 day'"]);
    let reason = if database.reads_ranges() { "--where calls functions" } else { "older than PostgreSQL 14" };
    assert!(report["result"]["notes"][0].as_str().is_some_and(|note| note.contains(reason)), "{report}");
}

#[test]
fn what_is_no_column_and_no_condition_is_refused() {
    let database = database();
    people(&database);
    refused(
        &database,
        &["--table", "users", "--columns", "id,emial"],
        &["there is no column emial", "did you mean email?"],
    );
    refused(
        &database,
        &["--table", "users", "--table", "logs", "--columns", "id"],
        &["the export has 2 tables", "users.id"],
    );
    refused(
        &database,
        &["--table", "users", "--table", "logs", "--where", "id > 1"],
        &["say for which: --where 'users: id > 1'"],
    );
    refused(
        &database,
        &["--table", "users", "--where", "user: id > 1"],
        &["user isn't a table of the export", "did you mean users?"],
    );
    refused(&database, &["--table", "users", "--where", "id > 1); DELETE FROM users; SELECT (1"], &["syntax error"]);
    refused(&database, &["--table", "users", "--where", "id > 1; DELETE FROM users"], &["isn't one condition"]);
    refused(&database, &["--table", "users", "--where", "nope > 1"], &["column \"nope\" does not exist"]);
    refused(
        &database,
        &["--table", "users", "--where", "random() < 0.5"],
        &["random() gives another answer each time"],
    );
    // Nothing is written by a condition either.
    database.run(
        "CREATE FUNCTION spoil() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN DELETE FROM logs; RETURN true; END $$",
    );
    refused(&database, &["--table", "users", "--where", "spoil()"], &["read-only transaction"]);
}

/// Whoever rehearses on a part is told so, and what needs a column that isn't there is refused by name.
#[test]
fn a_rehearsal_on_a_part_says_so() {
    let database = database();
    people(&database);
    let (folder, _) = export(
        &database,
        &["--table", "users", "--columns", "id,email,name", "--where", "id < 500", "--mask", "email=hash"],
    );
    let sql = "UPDATE users SET name = 'x' WHERE id = 1; UPDATE users SET name = 'y' WHERE email LIKE '%@secret-shop.example'; \
        UPDATE users SET phone = NULL; INSERT INTO users (id, email) VALUES (9000, 'z'); SELECT * FROM users; \
        SELECT count(*) FROM users; ALTER TABLE users ADD COLUMN born date; ALTER TABLE users ADD COLUMN newer int";
    std::fs::write(folder.path().join("m.sql"), sql).expect("a migration");
    let report = run_json(folder.path(), &["dry-run", "m.sql", "--on", "snap", "--fail-on", "never"], 0);
    let statements = report["result"]["statements"].as_array().expect("statements");
    let verdicts: Vec<&str> = statements.iter().filter_map(|s| s["verdict"].as_str()).collect();
    assert_eq!(
        verdicts,
        ["executed", "executed", "unsupported", "unsupported", "unsupported", "executed", "unsupported", "executed"]
    );
    let what = statements[2]["unsupported"]["what"].as_str().expect("a reason");
    assert!(what.contains("phone of users, which the snapshot leaves out"), "{what}");
    assert!(statements[1]["notes"][0].as_str().is_some_and(|note| note.contains("users.email (hash)")), "{report}");
    let finding = |id: &str| {
        let findings = report["findings"].as_array().expect("findings");
        findings.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no {id} in {report}")).clone()
    };
    let partial = finding("partial-snapshot");
    assert!(partial["message"].as_str().is_some_and(|m| m.contains("only the rows where id < 500")), "{partial}");
    assert_eq!(partial["severity"], "warning");
    assert!(
        finding("masked-values")["message"].as_str().is_some_and(|m| m.contains("statements 2 and 4 name the column"))
    );
}

/// Rights on some columns are enough for an export of those.
#[test]
fn columns_that_may_not_be_read_can_be_left_out() {
    let database = database();
    let role = format!("some_{}", database.name);
    database.run(&format!(
        "CREATE TABLE t (id int, note text, secret text); INSERT INTO t VALUES (1, 'x', 'y'); CREATE ROLE {role} LOGIN; \
         GRANT SELECT (id, note) ON t TO {role}"
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let url = database.url.replace("postgres@", &format!("{role}@"));
    let output = rehearsal(folder.path(), &["export", "--url", &url, "--table", "t", "--out", "snap"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("may not read the table public.t in secret") && stderr.contains("--columns"), "{stderr}");
    let args = ["export", "--url", &url, "--table", "t", "--columns", "id,note", "--out", "snap"];
    let report = run_json(folder.path(), &args, 0);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(report["result"]["tables"][0]["columns"], json!(2));
}

/// What masked values break isn't said to break on the server.
#[test]
fn errors_of_masked_values_are_not_the_servers() {
    let database = database();
    database.run(
        "CREATE TABLE people (id int PRIMARY KEY, email text CHECK (email LIKE '%@%'), age text, name text); \
         INSERT INTO people SELECT n, 'p' || n || '@x.example', n::text, 'name ' || n FROM generate_series(1, 20) AS n; \
         CREATE TABLE orders (id int, person int REFERENCES people (id)); INSERT INTO orders VALUES (1, 15)",
    );
    let masks = ["--mask", "email=hash", "--mask", "age=redact", "--mask", "people.name=redact"];
    let (folder, _) = export(
        &database,
        &[&["--table", "people", "--table", "orders", "--where", "people: id <= 10"][..], &masks].concat(),
    );
    let statements = [
        "UPDATE people SET id = id WHERE id = 3",
        "ALTER TABLE people ALTER COLUMN age TYPE int USING age::int",
        "CREATE UNIQUE INDEX by_name ON people (name)",
        "INSERT INTO orders VALUES (2, 16)",
        "INSERT INTO people VALUES (3, 'q@x.example', '1', 'n')",
    ];
    let mut verdicts = Vec::new();
    for sql in statements {
        std::fs::write(folder.path().join("m.sql"), sql).expect("a migration");
        let report = run_json(folder.path(), &["dry-run", "m.sql", "--on", "snap", "--fail-on", "never"], 0);
        verdicts.push(report["result"]["statements"][0]["verdict"].as_str().expect("a verdict").to_owned());
    }
    assert_eq!(verdicts, ["executed", "unsupported", "unsupported", "unsupported", "failed"]);
}
