//! Findings of a dry run: what the user should know before the migration runs for good.
//!
//! Input: the report and the schema before and after. Output: findings with their place in the file. Invariant: every count is one
//! that the report has.

mod cause;
mod expectations;
mod held;
mod statements;

use std::collections::BTreeSet;

use pg_query::NodeEnum;

use super::locks::rows_written;
use super::recursion;
use super::report::{DryRunReport, RollbackReport, StatementReport, Verdict};
use super::session::{claims, shown};
use crate::catalog::{Catalog, ConstraintKind, IndexTarget, Oid};
use crate::migration::{Migration, Statement};
use crate::render::count;
use crate::report::{Finding, Location, Severity};

pub(super) use cause::explain;
pub(super) use held::findings as of_snapshot;

/// Everything worth saying about a migration.
pub(super) fn findings(
    migration: &Migration,
    report: &DryRunReport,
    catalog: &Catalog,
    base: &Catalog,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in &report.statements {
        findings.extend(statements::findings(statement));
    }
    findings.extend(expectations::findings(migration, report));
    findings.extend(checks(report));
    findings.extend(indexes_before_backfills(migration, report));
    findings.extend(held_locks(report));
    findings.extend(foreign_keys_without_index(catalog, base));
    findings.extend(rewrites(migration, report));
    findings.extend(broken_claims(migration, report));
    findings.extend(unindexed_recursions(migration, report, catalog));
    recognised(&mut findings, report);
    findings
}

/// Adds what ladders and walks found, and drops what says the same with less.
fn recognised(findings: &mut Vec<Finding>, report: &DryRunReport) {
    let found: Vec<&Finding> =
        report.ladders.iter().flat_map(|l| &l.findings).chain(report.walks.iter().flat_map(|w| &w.findings)).collect();
    let has = |list: &[&Finding], id: &str, other: &Finding| {
        list.iter().any(|f| f.id == id && f.location.as_ref().map(line) == other.location.as_ref().map(line))
    };
    let own: Vec<Finding> = findings.clone();
    let own: Vec<&Finding> = own.iter().collect();
    findings.retain(|f| match f.id {
        "plan-dependent" => !has(&found, "plan-dependent", f),
        // The comment's broken promise tells why.
        "statement-without-effect" => !has(&own, "comment-contradicts-sql", f) && !has(&found, "dead-rule", f),
        _ => true,
    });
    findings.extend(
        found.into_iter().filter(|f| f.id != "shadowed-rule" || !has(&own, "comment-contradicts-sql", f)).cloned(),
    );
}

fn line(location: &Location) -> (&str, usize) {
    (&location.file, location.line)
}

/// `1 row`, `2 rows`
pub(super) fn plural(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{} {thing}s", count(number)) }
}

/// `statement 3`, `statements 3, 4 and 7`
fn listed(noun: &str, items: &[String]) -> String {
    match items {
        [] => format!("no {noun}"),
        [only] => format!("{noun} {only}"),
        [first @ .., last] => format!("{noun}s {} and {last}", first.join(", ")),
    }
}

fn place(statement: &StatementReport) -> Location {
    Location {
        file: statement.file.clone(),
        line: statement.line,
        column: Some(statement.column),
        end_line: Some(statement.end_line),
    }
}

fn at(statement: &StatementReport) -> String {
    format!("Statement {} ({})", statement.index, statement.kind)
}

fn checks(report: &DryRunReport) -> Vec<Finding> {
    let failed = report.checks.iter().filter(|check| check.ok == Some(false));
    failed
        .map(|check| {
            let why = match (&check.error, &check.cause) {
                (Some(error), _) => error.message.clone(),
                (None, found) => {
                    format!("its rule is \"{}\", and it gives {}", check.rule, found.as_deref().unwrap_or(""))
                }
            };
            Finding::new(
                "check-failed",
                Severity::Error,
                check.row_count,
                format!("The check \"{}\" doesn't pass: {why}.", check.name),
                "Correct the migration, or the check.",
            )
            .with_samples(check.rows.clone())
            .at(Location { file: check.file.clone(), line: check.line, column: None, end_line: None })
        })
        .collect()
}

/// Columns that a CREATE INDEX names, with its table.
fn indexed(statement: &Statement) -> Option<(String, BTreeSet<String>)> {
    let NodeEnum::IndexStmt(index) = &statement.node else { return None };
    let columns = index.index_params.iter().filter_map(|param| match &param.node {
        Some(NodeEnum::IndexElem(element)) if !element.name.is_empty() => Some(element.name.clone()),
        _ => None,
    });
    let relation = index.relation.as_ref()?;
    Some((
        shown(if relation.schemaname.is_empty() { "public" } else { &relation.schemaname }, &relation.relname),
        columns.collect(),
    ))
}

fn indexes_before_backfills(migration: &Migration, report: &DryRunReport) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place_of_index, statement) in migration.statements.iter().enumerate() {
        let Some((table, columns)) = indexed(statement) else { continue };
        let Some(index) = report.statements.get(place_of_index) else { continue };
        let later = report.statements.iter().skip(place_of_index + 1).filter(|later| {
            later.table.as_deref() == Some(&table) && later.columns.iter().any(|c| columns.contains(&c.column))
        });
        let later: Vec<&StatementReport> = later.collect();
        let rows: u64 = later.iter().map(|later| later.rows_affected.unwrap_or(0)).sum();
        if rows == 0 {
            continue;
        }
        let numbers: Vec<String> = later.iter().map(|later| later.index.to_string()).collect();
        found.push(
            Finding::new(
                "index-before-backfill",
                Severity::Note,
                rows,
                format!(
                    "{} makes an index that {} then {} for {}.",
                    at(index),
                    listed("statement", &numbers),
                    if numbers.len() == 1 { "maintains" } else { "maintain" },
                    plural(rows, "written row")
                ),
                format!(
                    "Create the index after statement {}: one sorted build is faster, and the index is denser.",
                    numbers.last().map_or("", String::as_str)
                ),
            )
            .at(place(index)),
        );
    }
    found
}

fn held_locks(report: &DryRunReport) -> Vec<Finding> {
    let held = report.locks.iter().filter(|span| span.mode == "ACCESS EXCLUSIVE" && span.rows_written_meanwhile > 0);
    held.filter_map(|span| {
        let taker = report.statements.iter().find(|s| s.index == span.from_statement)?;
        // A lock on a table that the migration makes blocks nobody.
        let existed = report.tables.iter().any(|t| t.table == span.table && t.rows_before.is_some())
            || report.schema_delta.changes.iter().any(|c| c.object == "table" && c.change == "renamed" && c.name == span.table);
        existed.then(|| {
            Finding::new(
                "lock-held-through-backfill",
                Severity::Warning,
                span.rows_written_meanwhile,
                format!(
                    "{} takes ACCESS EXCLUSIVE on {} and keeps it to statement {}: nobody reads or writes the table while {} rows are written.",
                    at(taker),
                    span.table,
                    span.to_statement,
                    count(span.rows_written_meanwhile)
                ),
                "Split the schema change and the backfill into two migrations, or keep the change for the end.",
            )
            .at(place(taker))
        })
    })
    .collect()
}

fn foreign_keys_without_index(catalog: &Catalog, base: &Catalog) -> Vec<Finding> {
    let added = catalog.constraints.values().filter(|constraint| !base.constraints.contains_key(&constraint.oid));
    added
        .filter_map(|constraint| {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { return None };
            let leads = |table: Oid| {
                catalog.indexes.values().filter(move |i| i.table == table && i.predicate.is_none()).any(|index| {
                    let lead: BTreeSet<_> = index
                        .keys
                        .iter()
                        .take(key.columns.len())
                        .filter_map(|k| if let IndexTarget::Column(c) = k.target { Some(c) } else { None })
                        .collect();
                    key.columns.iter().all(|c| lead.contains(c))
                })
            };
            let table = catalog.tables.get(&constraint.table)?;
            (!leads(constraint.table)).then(|| {
                let columns: Vec<&str> = table
                    .columns
                    .iter()
                    .filter(|c| key.columns.contains(&c.attnum))
                    .map(|c| c.name.as_str())
                    .collect();
                Finding::new(
                    "missing-fk-index",
                    Severity::Note,
                    1,
                    format!(
                        "The foreign key {} has no index on {} ({}): every DELETE in the referenced table scans the whole table.",
                        constraint.name,
                        table.name,
                        columns.join(", ")
                    ),
                    "Add an index on the referencing columns.",
                )
            })
        })
        .collect()
}

/// ALTER TABLE … TYPE, and defaults that are new for every row, write the whole table again under ACCESS EXCLUSIVE.
fn rewrites(migration: &Migration, report: &DryRunReport) -> Vec<Finding> {
    use pg_query::protobuf::AlterTableType;
    let mut found = Vec::new();
    for (statement, run) in migration.statements.iter().zip(&report.statements) {
        let NodeEnum::AlterTableStmt(alter) = &statement.node else { continue };
        let converts = alter.cmds.iter().any(|command| match &command.node {
            Some(NodeEnum::AlterTableCmd(command)) => command.subtype() == AlterTableType::AtAlterColumnType,
            _ => false,
        });
        let rows = run.table.as_ref().and_then(|name| report.tables.iter().find(|t| t.table == *name));
        let rows = rows.and_then(|table| table.rows_before).unwrap_or(0);
        if converts && run.verdict == Verdict::Executed && rows > 0 {
            found.push(
                Finding::new(
                    "table-rewrite",
                    Severity::Note,
                    rows,
                    format!(
                        "{} may write all {} rows again under ACCESS EXCLUSIVE, indexes included.",
                        at(run),
                        count(rows)
                    ),
                    "On a large table add a column, backfill it, and swap the names.",
                )
                .at(place(run)),
            );
        }
    }
    found
}

/// A comment says that its UPDATE overrides, and its WHERE clause lets it take only rows that nothing has written yet.
fn broken_claims(migration: &Migration, report: &DryRunReport) -> Vec<Finding> {
    let mut found = Vec::new();
    for (statement, run) in migration.statements.iter().zip(&report.statements) {
        let (Some(claim), Some(unguarded), Some(affected)) =
            (claims::claim(statement), run.unguarded_rows, run.rows_affected)
        else {
            continue;
        };
        if unguarded <= affected {
            continue;
        }
        found.push(
            Finding::new(
                "comment-contradicts-sql",
                Severity::Warning,
                unguarded - affected,
                format!(
                    "{}: its comment says \"{claim}\", but its WHERE clause takes only rows that are still NULL: {} rows instead of {}.",
                    at(run),
                    count(affected),
                    count(unguarded)
                ),
                "Drop the IS NULL from the WHERE clause, or the claim from the comment.",
            )
            .at(place(run)),
        );
    }
    found
}

/// Each level of a recursion looks a table up; without an index it scans it.
fn unindexed_recursions(migration: &Migration, report: &DryRunReport, catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    let runs = migration.statements.iter().zip(&report.statements);
    for (statement, run) in runs.filter(|(_, run)| run.verdict != Verdict::NotReached) {
        for (table, column) in recursion::unindexed(&statement.node, catalog) {
            let rows = report.tables.iter().find(|t| t.table == table).and_then(|t| t.rows_after).unwrap_or(0);
            found.push(
                Finding::new(
                    "unindexed-recursion",
                    Severity::Note,
                    rows,
                    format!("{} joins {table} on {column} at every level, and no index begins with {column}.", at(run)),
                    format!("On a large table create an index on {table} ({column}) first; drop it afterwards."),
                )
                .at(place(run)),
            );
        }
    }
    found
}

/// Does a finding say something of a history that began with no rows? What many rows would cost, it can't tell.
pub(super) fn concerns_history(finding: &Finding) -> bool {
    const IDS: [&str; 6] = [
        "check-failed",
        "expectation-missed",
        "rollback-incomplete",
        "row-budget",
        "statement-failed",
        "statement-unsupported",
    ];
    IDS.contains(&finding.id)
}

/// What the roll-back leaves.
pub(super) fn add_rollback(findings: &mut Vec<Finding>, rollback: &RollbackReport) {
    if rollback.restored {
        return;
    }
    let failed = rollback.statements.iter().filter(|s| matches!(s.verdict, Verdict::Failed | Verdict::Unsupported));
    let mut left: Vec<String> =
        failed.map(|s| format!("statement {} ({}:{}) doesn't run", s.index, s.file, s.line)).collect();
    left.extend(rollback.schema.iter().map(|change| format!("{} {} {}", change.object, change.name, change.change)));
    left.extend(rollback.tables.iter().map(|table| {
        format!("{} of {} rows differ", count(table.only_before + table.only_after + table.differing), table.table)
    }));
    let rows = rollback.tables.iter().map(|t| t.only_before + t.only_after + t.differing).sum::<u64>();
    findings.push(Finding::new(
        "rollback-incomplete",
        Severity::Error,
        rows.max(left.len() as u64),
        format!("{} doesn't bring everything back: {}.", rollback.file, left.join("; ")),
        "Complete the roll-back, or keep what it needs before the migration runs.",
    ));
}

/// Rows that the migration writes and that stay written.
pub(super) fn rows_kept(report: &DryRunReport) -> u64 {
    report.statements.iter().filter(|statement| !statement.rolled_back).map(rows_written).sum()
}
