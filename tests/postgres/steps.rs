//! The migration fixtures in a rehearsal and on a real server: after each statement, every row of every table.
//!
//! Rows are compared as multisets of texts. Rows whose value is up to the server's plan, which the rehearsal counts, may differ.

use std::collections::{BTreeMap, BTreeSet};

use postgres::{Client, SimpleQueryMessage};
use rehearsal::dry_run::expect::Figures;
use rehearsal::dry_run::session::{Options, Session};
use rehearsal::snapshot::{EngineOptions, Snapshot};
use serde_json::Value;

use crate::cases::{self, Case};
use crate::{fixtures, server};

/// A table's rows, each as its values by column, with how often it is there.
type Rows = BTreeMap<Vec<(String, Option<String>)>, i64>;

/// Tables of the schema `public`.
fn tables(client: &mut Client) -> BTreeSet<String> {
    let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    client.query(sql, &[]).expect("tables").iter().map(|row| row.get(0)).collect()
}

fn server_rows(client: &mut Client, sql: &str) -> Rows {
    let mut rows = Rows::new();
    for message in client.simple_query(sql).expect(sql) {
        if let SimpleQueryMessage::Row(row) = message {
            let names = row.columns().iter().map(|column| column.name().to_owned());
            let values = (0..row.len()).map(|at| row.get(at).map(settled));
            let mut row: Vec<_> = names.zip(values).collect();
            row.sort();
            *rows.entry(row).or_default() += 1;
        }
    }
    rows
}

fn our_rows(session: &mut Session<'_>, sql: &str) -> Rows {
    let mut rows = Rows::new();
    for row in session.query(sql).unwrap_or_else(|problem| panic!("{sql}: {problem}")) {
        let text = |value: &Value| match value {
            Value::Null => None,
            Value::Bool(yes) => Some(if *yes { "t" } else { "f" }.to_owned()),
            Value::String(text) => Some(settled(text)),
            other => Some(settled(&other.to_string())),
        };
        let mut row: Vec<_> = row.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        row.sort();
        *rows.entry(row).or_default() += 1;
    }
    rows
}

/// A value without what the two sides write differently: blanks in documents, zeros behind a point, the braces of arrays.
fn settled(text: &str) -> String {
    // An empty array and an empty document look alike.
    if text == "{}" {
        return "[]".to_owned();
    }
    if let Ok(document @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text) {
        return document.to_string();
    }
    if let Some(items) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let items: Vec<Value> = match items {
            "" => Vec::new(),
            _ => items
                .split(',')
                .map(|item| match item {
                    "NULL" => Value::Null,
                    item => Value::String(item.trim_matches('"').to_owned()),
                })
                .collect(),
        };
        return Value::Array(items).to_string();
    }
    let moment = text.len() > 18 && text.as_bytes()[4] == b'-' && text.as_bytes()[13] == b':';
    if moment {
        let text = text.trim_end_matches("+00");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        };
    }
    match text.parse::<f64>() {
        Ok(_) if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => text.to_owned(),
    }
}

/// Runs a case on both sides and compares after each of its statements.
fn check(case: &Case) {
    let database = server::database();
    let mut client = database.client();
    cases::load(&mut client, &case.base);
    let paths: Vec<_> = case.after.iter().chain([&case.name]).map(|name| cases::path(name, "migration.sql")).collect();
    let migration = cases::read(&paths);
    let base = if case.base == "demo" { case.base.clone() } else { fixtures::folder(&case.base).display().to_string() };
    let snapshot = Snapshot::open(&base, &EngineOptions::default()).expect("the snapshot");
    let mut session = Session::new(&snapshot, "run", &[&migration], Options::default()).expect("a session");
    // Rows whose value may differ, by table.
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    let mut compared = 0;
    cases::run_with(&mut client, &migration, |client, statement, _| {
        let report = session.run(&migration, statement).expect("no interrupt");
        if let Some(table) = &report.table {
            *open.entry(table.trim_matches('"').to_owned()).or_default() += report.plan_dependent_rows;
        }
        let theirs = tables(client);
        let ours: BTreeSet<String> =
            session.catalog().tables.values().filter(|t| t.schema == "public").map(|t| t.name.clone()).collect();
        let place = format!("{}, after statement {} ({})", case.name, statement.index, report.kind);
        assert_eq!(ours, theirs, "{place}: tables");
        for table in theirs {
            let sql = format!("SELECT * FROM \"{table}\"");
            let (server, here) = (server_rows(client, &sql), our_rows(&mut session, &sql));
            let (total, total_here) = (server.values().sum::<i64>(), here.values().sum::<i64>());
            assert_eq!(total_here, total, "{place}: rows of {table}");
            let other: Vec<_> = server.iter().filter(|(row, times)| here.get(*row) != Some(times)).collect();
            let allowed = open.get(&table).copied().unwrap_or(0);
            let near = || here.keys().find(|row| row.first() == other.first().and_then(|(row, _)| row.first()));
            assert!(
                other.len() as u64 <= allowed,
                "{place}: {} rows of {table} are others on the server, {allowed} are up to its plan, e.g.\n{:?}\nhere {:?}",
                other.len(),
                other.first(),
                near()
            );
            compared += total;
        }
    });
    assert!(compared > 0, "{}: no row was compared", case.name);
}

/// One test a group, so that they run beside each other.
fn check_all(prefix: &str) {
    cases::all().iter().filter(|case| case.name.starts_with(prefix)).for_each(check);
}

#[test]
fn categories_step_by_step() {
    check_all("category");
}

#[test]
fn renames_step_by_step() {
    check_all("rename");
}

#[test]
fn roots_step_by_step() {
    check_all("roots");
}

#[test]
fn batches_step_by_step() {
    check_all("batch");
}
