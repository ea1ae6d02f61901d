//! What comes after the migration: the checks, the roll-back, the other version.

use super::super::report::{DryRunReport, SchemaChange, TableDifference};
use super::statements::{details, sample_table};
use super::{place, plural};
use crate::render::count;
use crate::report::{Block, Table};

/// Each check with its verdict, then the rows of those that have any.
pub(super) fn checks(report: &DryRunReport) -> Vec<Block> {
    let mut blocks = Vec::new();
    if report.checks.is_empty() {
        return blocks;
    }
    let mut table = Table::new("Checks", &["", "check", "rule", "rows", "where"]);
    for check in &report.checks {
        let verdict = match (check.ok, &check.error) {
            (_, Some(error)) => error.message.as_str(),
            (Some(true), None) => "ok",
            (Some(false), None) => "FAILS",
            (None, None) => "",
        };
        table.push(vec![
            verdict.into(),
            check.name.as_str().into(),
            check.rule.as_str().into(),
            check.row_count.into(),
            place(report, &check.file, check.line).into(),
        ]);
    }
    blocks.push(Block::Table(table));
    for check in report.checks.iter().filter(|check| !check.rows.is_empty()) {
        let shown = check.rows.len() as u64;
        let number = if shown < check.row_count {
            format!("{} of {}", count(shown), plural(check.row_count, "row"))
        } else {
            plural(shown, "row")
        };
        blocks.push(Block::Table(sample_table(&format!("{}: {number}", check.name), &check.rows)));
    }
    blocks
}

fn differences(title: &str, tables: &[TableDifference]) -> Vec<Block> {
    let mut blocks = Vec::new();
    if tables.is_empty() {
        return blocks;
    }
    let mut table = Table::new(title, &["table", "only before", "only after", "differing", "columns"]);
    for t in tables {
        let columns: Vec<String> = t.columns.iter().map(|(name, rows)| format!("{name} {}", count(*rows))).collect();
        table.push(vec![
            t.table.as_str().into(),
            t.only_before.into(),
            t.only_after.into(),
            t.differing.into(),
            columns.join(", ").into(),
        ]);
    }
    blocks.push(Block::Table(table));
    for t in tables.iter().filter(|t| !t.samples.is_empty()) {
        blocks.push(Block::Table(sample_table(&format!("{}: examples", t.table), &t.samples)));
    }
    blocks
}

fn changes(title: &str, changes: &[SchemaChange]) -> Option<Block> {
    let lines: Vec<String> = changes
        .iter()
        .map(|c| format!("{} {} {} {}", c.object, c.name, c.change, c.detail).trim_end().to_owned())
        .collect();
    (!lines.is_empty()).then(|| Block::Text { title: title.to_owned(), lines })
}

pub(super) fn rollback(report: &DryRunReport) -> Vec<Block> {
    let Some(rollback) = &report.rollback else { return Vec::new() };
    let mut blocks = Vec::new();
    for statement in rollback.statements.iter().filter(|s| s.error.is_some() || s.unsupported.is_some()) {
        blocks.extend(details(report, statement));
    }
    blocks.extend(changes("What the roll-back leaves of the schema", &rollback.schema));
    blocks.extend(differences("Rows that the roll-back doesn't restore", &rollback.tables));
    if rollback.restored {
        blocks.push(Block::Note(format!("{}: schema and rows are as in the snapshot.", rollback.file)));
    }
    blocks
}

pub(super) fn comparison(report: &DryRunReport) -> Vec<Block> {
    let Some(comparison) = &report.comparison else { return Vec::new() };
    let mut blocks = Vec::new();
    for statement in &comparison.problems {
        blocks.extend(details(report, statement));
    }
    blocks.extend(changes(&format!("Schema: from this version to {}", comparison.other), &comparison.schema));
    blocks.extend(differences(
        &format!("Rows: this version (before) and {} (after)", comparison.other),
        &comparison.tables,
    ));
    if comparison.tables.is_empty() && comparison.schema.is_empty() && comparison.problems.is_empty() {
        blocks.push(Block::Note(format!("{} ends in the same schema and the same rows.", comparison.other)));
    }
    blocks
}
