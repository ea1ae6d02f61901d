//! The analysis: a migration is run, held against what was expected, rolled back, compared.
//!
//! Input: a snapshot, a migration and what else was asked for. Output: the [`DryRunReport`].

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::difference::{Side, difference};
use super::engine::Ran;
use super::expect::{Contract, promised};
use super::report::{
    ComparisonReport, DryRunReport, FileReport, RollbackReport, StatementReport, TableDifference, TableReport, Verdict,
};
use super::session::{self, Session, broken, shown};
use super::store::{columns_of, key_columns};
use super::{checks, findings, locks, recognition, schema};
use crate::catalog::delta::delta;
use crate::catalog::{Catalog, Oid};
use crate::migration::Migration;
use crate::query::quote_identifier;
use crate::snapshot::{Snapshot, write_parquet};
use crate::translate::{column_name, physical_type, table_name};

/// What to rehearse beside the migration itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the migration is sent, and how much is shown.
    pub session: session::Options,
    /// What is expected.
    pub contract: Option<Contract>,
    /// Write a contract of what happened, under this file name.
    pub write_contract: Option<String>,
    /// What takes the migration back.
    pub rollback: Option<Migration>,
    /// Queries to ask when the migration has run.
    pub checks: Option<Migration>,
    /// Another version of the migration.
    pub compare: Option<Migration>,
    /// The schema that a database has, under its snapshot's name: is it the one that the migration ends in?
    pub drift: Option<(String, Catalog)>,
    /// Folder for the tables as they end.
    pub tables: Option<PathBuf>,
}

/// Rehearses a migration on a snapshot.
///
/// # Errors
/// A snapshot without a catalog or that can't be read; an interrupt. What is wrong with the migration is in the report.
pub fn analyze(snapshot: &Snapshot, migration: &Migration, options: &Options) -> Result<DryRunReport> {
    let mut announced = vec![migration];
    announced.extend(options.rollback.as_ref());
    let mut session = Session::new(snapshot, "rehearsal_run", &announced, options.session.clone())?;
    session.run_all(migration)?;
    let mut report = DryRunReport {
        files: files(migration, session.reports()),
        schema_delta: delta(&session.base, session.catalog()),
        locks: locks::spans(&session),
        ..DryRunReport::default()
    };
    if let Some(contract) = &options.contract {
        report.expectations.extend(contract.evaluate(&mut session));
    }
    report.expectations.extend(promised(migration, &session));
    if let Some(name) = &options.write_contract {
        report.contract = Some(Contract::from_run(name, migration, &mut session).to_toml());
    }
    if let Some(checks) = &options.checks {
        report.checks = checks::run(&mut session, checks, options.session.samples)?;
    }
    report.tables = tables(&mut session)?;
    if let Some(folder) = &options.tables {
        write_tables(snapshot, &mut session, folder)?;
    }
    if let Some(other) = &options.compare {
        report.comparison = Some(compare(snapshot, &mut session, other, &options.session)?);
    }
    report.statements = session.take_reports();
    if snapshot.is_empty() {
        report.schema = Some(schema::describe(session.catalog(), &session.provenance, &report.statements));
    }
    if let Some((name, theirs)) = &options.drift {
        let catalogs = (session.catalog(), theirs);
        report.drift = Some(schema::drift(name, catalogs, &session.provenance, &report.statements));
    }
    if !snapshot.is_empty() {
        report.ladders = session.recognition.ladders(snapshot, migration, options.session.samples)?;
        report.walks = recognition::walks(migration, &mut report.statements);
    }
    findings::explain(&mut report, migration, options.contract.as_ref());
    report.findings = findings::findings(migration, &report, session.catalog(), &session.base);
    if snapshot.is_empty() {
        report.findings.retain(findings::concerns_history);
    }
    if let Some(manifest) = &snapshot.manifest {
        report.findings.extend(findings::of_snapshot(manifest, &session, &report));
    }
    report.findings.extend(report.drift.iter().flat_map(schema::findings));
    if let Some(rollback) = &options.rollback {
        let undone = roll_back(&mut session, rollback, options.session.samples)?;
        findings::add_rollback(&mut report.findings, &undone);
        report.rollback = Some(undone);
    }
    crate::report::sort_findings(&mut report.findings);
    Ok(report)
}

fn files(migration: &Migration, reports: &[StatementReport]) -> Vec<FileReport> {
    let mut files: Vec<FileReport> = migration
        .files
        .iter()
        .map(|file| FileReport { file: file.name.clone(), migration: file.migration.clone(), ..FileReport::default() })
        .collect();
    for (index, file) in files.iter_mut().enumerate() {
        let of_file = migration.statements.iter().zip(reports).filter(|(s, _)| s.place.file == index);
        let reports: Vec<&StatementReport> = of_file.map(|(_, report)| report).collect();
        file.statements = reports.len() as u64;
        let reached = reports.iter().any(|report| report.verdict != Verdict::NotReached);
        let lost = reports.iter().any(|report| report.rolled_back || report.verdict == Verdict::Failed);
        let kept = reports
            .iter()
            .any(|r| !r.rolled_back && matches!(r.verdict, Verdict::Executed | Verdict::Catalog | Verdict::Checked));
        file.transaction = match (reached, lost, kept) {
            (false, _, _) if !reports.is_empty() => "not reached",
            (_, true, true) => "partly committed",
            (_, true, false) => "rolled back",
            _ => "committed",
        }
        .to_owned();
    }
    files
}

fn tables(session: &mut Session<'_>) -> Result<Vec<TableReport>> {
    let mut reports = Vec::new();
    let before: Vec<(Oid, String)> = named(&session.base);
    let after: Vec<(Oid, String)> = named(session.catalog());
    for (oid, name) in &after {
        let rows_before = before.iter().any(|(b, _)| b == oid).then(|| session.rows_in_snapshot(*oid)).flatten();
        let rows_after = Some(session.row_count(*oid)?);
        let unreliable = session.is_unreliable(*oid);
        reports.push(TableReport { table: name.clone(), rows_before, rows_after, unreliable });
    }
    for (oid, name) in before.iter().filter(|(oid, _)| after.iter().all(|(a, _)| a != oid)) {
        let rows_before = session.rows_in_snapshot(*oid);
        reports.push(TableReport { table: name.clone(), rows_before, rows_after: None, unreliable: false });
    }
    reports.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(reports)
}

fn named(catalog: &Catalog) -> Vec<(Oid, String)> {
    catalog.tables.values().map(|table| (table.oid, shown(&table.schema, &table.name))).collect()
}

/// Runs the roll-back on the state that the migration left, and looks for what isn't as it was.
fn roll_back(session: &mut Session<'_>, rollback: &Migration, samples: usize) -> Result<RollbackReport> {
    session.go_on();
    session.run_all(rollback)?;
    let schema = delta(&session.base, session.catalog()).changes;
    let mut differing = Vec::new();
    for (oid, name) in named(&session.base) {
        let found = unrestored(session, oid, &name, samples);
        differing.extend(found.map_err(|halt| broken(halt, "comparing with the snapshot"))?);
    }
    let statements = session.take_reports();
    let ran = statements
        .iter()
        .all(|s| !s.rolled_back && matches!(s.verdict, Verdict::Executed | Verdict::Catalog | Verdict::Checked));
    Ok(RollbackReport {
        file: rollback.files.first().map_or_else(String::new, |file| file.name.clone()),
        restored: ran && schema.is_empty() && differing.is_empty(),
        statements,
        schema,
        tables: differing,
    })
}

/// What of a table of the snapshot isn't as it was.
fn unrestored(session: &mut Session<'_>, oid: Oid, name: &str, samples: usize) -> Ran<Option<TableDifference>> {
    let now = named(session.catalog()).into_iter().find(|(_, now)| now == name);
    let Some((now, _)) = now else {
        let only_before = session.rows_in_snapshot(oid).unwrap_or(0);
        let lost = TableDifference { table: name.to_owned(), only_before, ..TableDifference::default() };
        return Ok((only_before > 0).then_some(lost));
    };
    if now == oid && !session.store.is_loaded(oid) {
        return Ok(None);
    }
    if now != oid {
        session.store.ensure_all(&session.catalog, now)?;
    }
    let loaded = session.store.loaded(now);
    let after = side(session.catalog(), now, &table_name(now), &loaded)?;
    let names: Vec<&str> = after.columns.iter().map(|(name, _, _)| name.as_str()).collect();
    let columns: Vec<u16> = columns_of(&session.base, oid)
        .iter()
        .filter(|column| names.contains(&column.name.as_str()))
        .map(|column| column.attnum)
        .collect();
    let source = session.store.source_sql(oid, &columns)?;
    let before = side(&session.base, oid, &format!("({source})"), &columns)?;
    let key = key_names(&session.base, oid);
    difference(&session.store.engine, name, (&before, &after), &key, samples)
}

fn side(catalog: &Catalog, table: Oid, from: &str, columns: &[u16]) -> Ran<Side> {
    let mut list = Vec::new();
    for column in columns_of(catalog, table).iter().filter(|column| columns.contains(&column.attnum)) {
        list.push((column.name.clone(), column_name(column.attnum), physical_type(&column.ty)?));
    }
    Ok(Side { from: from.to_owned(), columns: list })
}

fn key_names(catalog: &Catalog, table: Oid) -> Vec<String> {
    let key = key_columns(catalog, table);
    columns_of(catalog, table).iter().filter(|c| key.contains(&c.attnum)).map(|c| c.name.clone()).collect()
}

/// Runs another version of the migration on the same snapshot.
fn compare<'s>(
    snapshot: &'s Snapshot,
    session: &mut Session<'s>,
    other: &Migration,
    options: &session::Options,
) -> Result<ComparisonReport> {
    let mut second = Session::new(snapshot, "rehearsal_other", &[other], options.clone())?;
    second.run_all(other)?;
    let mut differing = Vec::new();
    for (oid, name) in named(session.catalog()) {
        let Some((theirs, _)) = named(second.catalog()).into_iter().find(|(_, n)| *n == name) else { continue };
        let found = compare_table(session, &mut second, (oid, theirs), &name, options.samples);
        differing.extend(found.map_err(|halt| broken(halt, "comparing the two versions"))?);
    }
    let schema = delta(session.catalog(), second.catalog()).changes;
    let problems = second
        .take_reports()
        .into_iter()
        .filter(|report| matches!(report.verdict, Verdict::Failed | Verdict::Unsupported))
        .collect();
    // With it goes its database, and the choice of one.
    drop(second);
    session.store.engine.select()?;
    let other = other.files.first().map_or_else(String::new, |file| file.name.clone());
    Ok(ComparisonReport { other, schema, tables: differing, problems })
}

fn compare_table<'s>(
    first: &mut Session<'s>,
    second: &mut Session<'s>,
    (ours, theirs): (Oid, Oid),
    name: &str,
    samples: usize,
) -> Ran<Option<TableDifference>> {
    if !first.store.is_loaded(ours) && !second.store.is_loaded(theirs) {
        return Ok(None);
    }
    // Columns that only one of the two has touched are loaded by the other: they are the snapshot's there.
    let wanted: Vec<String> = loaded_names(first, ours).into_iter().chain(loaded_names(second, theirs)).collect();
    for (session, table) in [(&mut *first, ours), (&mut *second, theirs)] {
        session.store.engine.select()?;
        let columns: Vec<u16> = columns_of(&session.catalog, table)
            .iter()
            .filter(|column| wanted.contains(&column.name))
            .map(|column| column.attnum)
            .collect();
        session.store.ensure(table, columns)?;
    }
    let place = |session: &Session<'s>, table: Oid| -> Ran<Side> {
        let from = format!("{}.main.{}", session.store.engine.schema(), table_name(table));
        side(&session.catalog, table, &from, &session.store.loaded(table))
    };
    let (before, after) = (place(first, ours)?, place(second, theirs)?);
    let key = key_names(&first.catalog, ours);
    difference(&first.store.engine, name, (&before, &after), &key, samples)
}

fn loaded_names(session: &Session<'_>, table: Oid) -> Vec<String> {
    let loaded = session.store.loaded(table);
    let columns = columns_of(&session.catalog, table).iter();
    columns.filter(|c| loaded.contains(&c.attnum)).map(|c| c.name.clone()).collect()
}

/// Writes the tables as they end, each to `<schema>.<name>.parquet`, sorted by key where there is one.
fn write_tables(snapshot: &Snapshot, session: &mut Session<'_>, folder: &std::path::Path) -> Result<()> {
    let catalog = session.catalog().clone();
    for table in catalog.tables.values() {
        session.store.ensure_all(&catalog, table.oid).map_err(|halt| broken(halt, "loading a table"))?;
        let columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("{} AS {}", column_name(c.attnum), quote_identifier(&c.name)))
            .collect();
        let mut key: Vec<String> = key_columns(&catalog, table.oid).into_iter().map(column_name).collect();
        key.push("_r".to_owned());
        let sql = format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), table_name(table.oid), key.join(", "));
        let path = folder.join(format!("{}.{}.parquet", table.schema, table.name));
        write_parquet(snapshot.connection(), &sql, &path)
            .with_context(|| format!("writing the rows of {}.{} as they end", table.schema, table.name))?;
    }
    Ok(())
}
