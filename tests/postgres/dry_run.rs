//! `rehearsal dry-run` beside a real server: the same migration on the same rows, statement by statement, then every table.
//!
//! Compared are each statement's fate (done, or SQLSTATE and message), the rows of its command tag, and all rows of all tables
//! at the end, read back from an export of the server and from `--output-run`. A statement that can't be rehearsed fails the
//! test too: these are the migrations that the tool is for.

use std::collections::BTreeMap;
use std::path::Path;

use postgres::Client;
use serde_json::Value;

use crate::cases::{self, Case, Ran};
use crate::{fixtures, server};

/// Runs a case on the server and in a rehearsal, with what comes before it, and compares.
fn check(case: &Case) {
    let database = server::database();
    let mut client = database.client();
    cases::load(&mut client, &case.base);
    let names: Vec<&String> = case.after.iter().chain([&case.name]).collect();
    let paths: Vec<_> = names.iter().map(|name| cases::path(name, "migration.sql")).collect();
    let ran = cases::run(&mut client, &cases::read(&paths));

    let folder = tempfile::tempdir().expect("a folder");
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let base = if case.base == "demo" { case.base.clone() } else { fixtures::folder(&case.base).display().to_string() };
    let mut args = vec!["dry-run"];
    args.extend(shown.iter().map(String::as_str));
    args.extend(["--on", &base, "--fail-on", "never", "--output-run", "run"]);
    let report = fixtures::json(folder.path(), &args, 0);
    let statements = report["result"]["statements"].as_array().expect("statements");
    let wrong = compare_statements(statements, &ran);
    assert!(wrong.is_empty(), "{}:\n{}", case.name, wrong.join("\n"));
    compare_tables(case, &mut client, &database.url, folder.path(), statements);
}

/// Runs a case and then a roll-back on the server and in a rehearsal, and compares the roll-back's statements.
fn check_rollback(case: &Case, file: &str) {
    let database = server::database();
    let mut client = database.client();
    cases::load(&mut client, &case.base);
    let names: Vec<&String> = case.after.iter().chain([&case.name]).collect();
    let paths: Vec<_> = names.iter().map(|name| cases::path(name, "migration.sql")).collect();
    cases::run(&mut client, &cases::read(&paths));
    let rollback = cases::path(&case.name, file);
    let ran = cases::run(&mut client, &cases::read(std::slice::from_ref(&rollback)));

    let folder = tempfile::tempdir().expect("a folder");
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let (base, rollback) = (fixtures::folder(&case.base).display().to_string(), rollback.display().to_string());
    let mut args = vec!["dry-run"];
    args.extend(shown.iter().map(String::as_str));
    args.extend(["--on", &base, "--fail-on", "never", "--rollback", &rollback]);
    let report = fixtures::json(folder.path(), &args, 0);
    let statements = report["result"]["rollback"]["statements"].as_array().expect("statements");
    assert_eq!(statements.len(), cases::read(&[cases::path(&case.name, file)]).statements.len());
    let wrong = compare_statements(statements, &ran);
    assert!(wrong.is_empty(), "{}/{file}:\n{}", case.name, wrong.join("\n"));
}

/// What the rehearsal says otherwise than the server, one line a statement.
fn compare_statements(statements: &[Value], ran: &[Ran]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (position, statement) in statements.iter().enumerate() {
        let verdict = statement["verdict"].as_str().expect("a verdict");
        let sql: String = statement["sql"].as_str().expect("SQL").chars().take(70).collect();
        let mut differ = |what: String| wrong.push(format!("statement {}, {what}: {sql}", position + 1));
        let Some(server) = ran.get(position) else {
            if verdict != "not-reached" {
                differ(format!("not reached on the server, {verdict} here"));
            }
            continue;
        };
        match (&server.error, verdict) {
            (Some(code), "failed") => {
                let error = &statement["error"];
                if error["sqlstate"] != code.as_str()
                    || error["message"] != server.message.as_deref().unwrap_or_default()
                {
                    differ(format!("{code} {:?} on the server, {error} here", server.message));
                }
            }
            (None, "executed" | "catalog" | "checked") => {
                let kind = statement["kind"].as_str().expect("a kind");
                let counts = ["INSERT", "UPDATE", "DELETE", "SELECT"].contains(&kind);
                let rows = statement["rows_affected"].as_u64();
                if rows.is_some_and(|rows| rows != server.rows) || counts && rows.is_none() {
                    differ(format!("{} rows on the server, {rows:?} here", server.rows));
                }
            }
            (error, _) => {
                let why = [&statement["error"], &statement["unsupported"]].map(ToString::to_string).join(" ");
                differ(format!("{error:?} {:?} on the server, {verdict} {why} here", server.message));
            }
        }
    }
    wrong
}

/// Compares all tables at the end.
fn compare_tables(case: &Case, client: &mut Client, url: &str, folder: &Path, statements: &[Value]) {
    let rows = client.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", &[]);
    let tables: Vec<String> = rows.expect("tables").iter().map(|row| row.get(0)).collect();
    let quoted: Vec<String> = tables.iter().map(|table| format!("\"{table}\"")).collect();
    let mut args = vec!["export", "--url", url, "--out", "server"];
    args.extend(quoted.iter().flat_map(|table| ["--table", table.as_str()]));
    let output = fixtures::rehearsal(folder, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(folder.join("server/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let engine = duckdb::Connection::open_in_memory().expect("DuckDB");
    for (table, exported) in tables.iter().zip(manifest["tables"].as_array().expect("tables")) {
        let server = folder.join("server").join(exported["files"][0]["path"].as_str().expect("a file"));
        let here = folder.join("run/tables").join(format!("public.{table}.parquet"));
        assert!(here.is_file(), "{}: the rehearsal ends without the table {table}", case.name);
        let columns = columns(&engine, &server);
        assert_eq!(
            columns.keys().collect::<Vec<_>>(),
            self::columns(&engine, &here).keys().collect::<Vec<_>>(),
            "{table}"
        );
        // Where the server's plan decides, so many rows may have another value.
        let open: u64 = statements
            .iter()
            .filter(|s| s["table"].as_str().is_some_and(|t| t.trim_matches('"') == table))
            .filter_map(|s| s["plan_dependent_rows"].as_u64())
            .sum();
        for (one, other) in [(&server, &here), (&here, &server)] {
            let select = |path: &Path| {
                let list: Vec<String> = columns
                    .iter()
                    .map(|(name, ty)| match ty.starts_with("TIMESTAMP") {
                        true => format!("epoch_us(\"{name}\")::VARCHAR AS \"{name}\""),
                        false => format!("\"{name}\"::VARCHAR AS \"{name}\""),
                    })
                    .collect();
                format!("SELECT {} FROM '{}'", list.join(", "), path.display())
            };
            let sql = format!("SELECT to_json(t)::VARCHAR FROM ({} EXCEPT ALL {}) AS t", select(one), select(other));
            let mut statement = engine.prepare(&sql).expect(&sql);
            let only: Vec<String> =
                statement.query_map([], |row| row.get(0)).expect(&sql).map(|row| row.expect("a row")).collect();
            assert!(
                only.len() as u64 <= open,
                "{}, {table}: {} rows only in {}, at most {open} are up to the plan, e.g. {:#?}",
                case.name,
                only.len(),
                one.display(),
                &only[..only.len().min(2)]
            );
        }
    }
}

/// Columns of a Parquet file with their DuckDB types, by name.
fn columns(engine: &duckdb::Connection, path: &Path) -> BTreeMap<String, String> {
    let sql = format!("SELECT column_name, column_type FROM (DESCRIBE FROM '{}')", path.display());
    let mut statement = engine.prepare(&sql).expect(&sql);
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect(&sql);
    rows.map(|row| row.expect("a column")).collect()
}

/// One test a group, so that they run beside each other.
fn check_all(prefix: &str) {
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.name.starts_with(prefix)).collect();
    assert!(!cases.is_empty(), "{prefix}");
    cases.iter().for_each(check);
}

#[test]
fn categories() {
    check_all("category");
}

#[test]
fn renames() {
    check_all("rename");
}

#[test]
fn roots() {
    check_all("roots");
}

#[test]
fn batches() {
    check_all("batch");
}

#[test]
fn roll_backs() {
    for case in ["batch-1", "batch-2"] {
        for file in ["rollback.sql", "rollback-hostile.sql"] {
            check_rollback(&cases::case(case), file);
        }
    }
}

#[test]
fn a_table_without_rows_is_rehearsed() {
    let database = server::database();
    let schema = std::fs::read_to_string(fixtures::folder("demo").join("schema.sql")).expect("the schema");
    database.client().batch_execute(&schema).expect("the schema is PostgreSQL's");
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["export", "--url", &database.url, "--table", "llama_logs", "--out", "bare"];
    assert!(fixtures::rehearsal(folder.path(), &args).status.success());
    for name in ["category", "roots-applied"] {
        let case = cases::case(name);
        let paths: Vec<String> = case
            .after
            .iter()
            .chain([&case.name])
            .map(|n| cases::path(n, "migration.sql").display().to_string())
            .collect();
        let mut args = vec!["dry-run", "--on", "bare", "--fail-on", "never"];
        args.extend(paths.iter().map(String::as_str));
        let report = fixtures::json(folder.path(), &args, 0);
        for statement in report["result"]["statements"].as_array().expect("statements") {
            assert!(["executed", "catalog", "checked"].contains(&statement["verdict"].as_str().expect("a verdict")));
            let rows = if statement["kind"] == "SELECT" { 1 } else { 0 };
            assert!(statement["rows_affected"].as_u64().is_none_or(|affected| affected == rows), "{statement}");
        }
    }
}

#[test]
fn every_case_is_in_a_group() {
    let groups = ["category", "rename", "roots", "batch"];
    let left: Vec<String> =
        cases::all().into_iter().map(|c| c.name).filter(|name| !groups.iter().any(|g| name.starts_with(g))).collect();
    assert!(left.is_empty(), "{left:?}");
}
