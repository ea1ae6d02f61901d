//! What a dry run says to a person: the answer, the expectations, the statements, then only what has something to say.

use anyhow::Result;
use serde_json::{Map, Value};

use super::findings::rows_kept;
use super::report::{ColumnChange, DryRunReport, StatementReport, TableDifference, Verdict};
use crate::render::count;
use crate::report::{Block, Cell, Finding, Report, Table, View};

/// Lines of a table of values.
const VALUES_SHOWN: usize = 6;

impl Report for DryRunReport {
    fn name(&self) -> &'static str {
        "dry-run"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let mut blocks = Vec::new();
        blocks.extend(expectations(self).map(Block::Table));
        blocks.push(Block::Table(statements(self)));
        for statement in &self.statements {
            blocks.extend(details(statement));
        }
        blocks.extend(locks(self).map(Block::Table));
        blocks.extend(schema(self).map(Block::Table));
        blocks.push(Block::Table(tables(self)));
        blocks.extend(checks(self));
        blocks.extend(rollback(self));
        blocks.extend(comparison(self));
        View { title: format!("Dry run: {}", names(self)), headline: headline(self), blocks }
    }
}

fn names(report: &DryRunReport) -> String {
    match report.files.as_slice() {
        [only] => only.migration.clone(),
        [first, .., last] => format!("{} migrations, {} to {}", report.files.len(), first.migration, last.migration),
        [] => "nothing".to_owned(),
    }
}

/// `1 row`, `2 rows`
fn plural(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{} {thing}s", count(number)) }
}

fn headline(report: &DryRunReport) -> Vec<String> {
    let mut lines = Vec::new();
    let failed: Vec<&StatementReport> = report.statements.iter().filter(|s| s.verdict == Verdict::Failed).collect();
    let unsupported = report.statements.iter().filter(|s| s.verdict == Verdict::Unsupported).count() as u64;
    let ran = plural(report.statements.len() as u64, "statement");
    let written = plural(rows_kept(report), "row");
    match failed.first() {
        Some(first) => lines.push(failure(report, first, failed.len())),
        None if unsupported > 0 => lines.push(format!(
            "The migration runs as far as can be told: {} of {ran} could not be rehearsed; {written} written by the others.",
            count(unsupported)
        )),
        None => lines.push(format!("The migration runs through: {ran}, {written} written.")),
    }
    let missed: Vec<_> = report.expectations.iter().filter(|e| !e.ok).collect();
    if !report.expectations.is_empty() && missed.is_empty() {
        let all = plural(report.expectations.len() as u64, "expectation");
        lines.push(format!("It does what is expected of it: {all} met."));
    } else if let Some(first) = missed.first() {
        let verb = if missed.len() == 1 { "is" } else { "are" };
        let difference = first.difference.map(|d| format!(" ({d:+})")).unwrap_or_default();
        let predicted = if first.predicted.is_null() {
            "can't be told".to_owned()
        } else {
            format!("is {}", said(&first.predicted))
        };
        lines.push(format!(
            "{} of {} {verb} missed: {} {predicted}, expected {}{difference}.",
            missed.len(),
            plural(report.expectations.len() as u64, "expectation"),
            first.name,
            said(&first.expected)
        ));
    }
    if let Some(rollback) = &report.rollback {
        lines.push(if rollback.restored {
            "The roll-back restores schema and rows.".to_owned()
        } else {
            "The roll-back doesn't restore everything.".to_owned()
        });
    }
    lines
}

fn failure(report: &DryRunReport, first: &StatementReport, failures: usize) -> String {
    let words = first.error.as_ref().map_or("", |error| error.message.as_str());
    let rows =
        first.error.as_ref().and_then(|e| e.rows).map(|rows| format!(" ({})", plural(rows, "row"))).unwrap_or_default();
    let undone = report.statements.iter().filter(|s| s.rolled_back).count() as u64;
    let missed = report.statements.iter().filter(|s| s.verdict == Verdict::NotReached).count() as u64;
    let mut line = format!("Statement {} ({}:{}) fails: {words}{rows}.", first.index, first.file, first.line);
    if failures > 1 {
        line.push_str(&format!(" {} statements fail in all.", count(failures as u64)));
    }
    if undone > 0 {
        line.push_str(&format!(" {} before it rolled back.", plural(undone, "statement")));
    }
    if missed > 0 {
        line.push_str(&format!(" {} never reached.", plural(missed, "statement")));
    }
    line
}

/// A JSON value as words.
fn said(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string(), count),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Null => Cell::Null,
        Value::Number(number) => number.as_u64().map_or_else(|| number.to_string().into(), Cell::Count),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

fn maybe(rows: Option<u64>) -> Cell {
    rows.map_or(Cell::Empty, Cell::Count)
}

fn expectations(report: &DryRunReport) -> Option<Table> {
    if report.expectations.is_empty() {
        return None;
    }
    let mut table = Table::new("Expectations", &["", "expectation", "expected", "predicted", "difference", "where"]);
    for e in &report.expectations {
        table.push(vec![
            Cell::Flag(e.ok),
            e.name.as_str().into(),
            cell(&e.expected),
            if e.predicted.is_null() { "can't be told".into() } else { cell(&e.predicted) },
            e.difference.filter(|d| *d != 0).map_or(Cell::Empty, Cell::Delta),
            e.source.as_str().into(),
        ]);
    }
    Some(table)
}

fn verdict(statement: &StatementReport) -> &'static str {
    match (statement.verdict, statement.rolled_back) {
        (Verdict::Executed | Verdict::Catalog | Verdict::Checked, true) => "rolled back",
        (Verdict::Executed, _) => "ran",
        (Verdict::Catalog, _) => "ok",
        (Verdict::Checked, _) => "ok, verified",
        (Verdict::Failed, _) => "FAILS",
        (Verdict::Unsupported, _) => "can't be told",
        (Verdict::NotReached, _) => "not reached",
    }
}

fn statements(report: &DryRunReport) -> Table {
    let several = report.files.len() > 1;
    let mut table =
        Table::new("Statements", &["no", "line", "statement", "on", "verdict", "rows", "changed", "cascaded", "ms"]);
    for s in &report.statements {
        let line = if several { format!("{}:{}", s.file, s.line) } else { s.line.to_string() };
        table.push(vec![
            Cell::Count(s.index as u64),
            line.into(),
            s.kind.as_str().into(),
            s.table.as_deref().map_or(Cell::Empty, Cell::from),
            verdict(s).into(),
            maybe(s.rows_affected),
            maybe(s.rows_changed),
            maybe(s.rows_cascaded),
            Cell::Number(s.elapsed_ms, 0),
        ]);
    }
    table
}

/// A statement's own paragraph; most have nothing to say.
fn details(statement: &StatementReport) -> Vec<Block> {
    let mut lines = Vec::new();
    if let Some(error) = &statement.error {
        lines.push(format!("ERROR {}: {}", error.sqlstate, error.message));
        lines.extend(error.detail.iter().map(|detail| format!("DETAIL: {detail}")));
        if let (Some(line), column) = (error.line, error.column.unwrap_or(1)) {
            lines.push(format!("at {}:{line}:{column}", statement.file));
        }
        lines.extend(error.hint.iter().map(|hint| format!("hint: {hint}")));
    }
    if let Some(unsupported) = &statement.unsupported {
        lines.push(format!("not rehearsed: {}", unsupported.what));
        if !unsupported.tables.is_empty() {
            lines.push(format!("rows that can't be told from here on: {}", unsupported.tables.join(", ")));
        }
        if !unsupported.dependents.is_empty() {
            let list: Vec<String> = unsupported.dependents.iter().map(ToString::to_string).collect();
            lines.push(format!("statements that depend on it: {}", list.join(", ")));
        }
    }
    lines.extend(statement.columns.iter().map(values));
    for overlap in &statement.overlaps {
        lines.push(format!(
            "{}: {} had been written by statement {}; {} overridden",
            overlap.column,
            plural(overlap.rows, "row"),
            overlap.statement,
            count(overlap.overridden_rows)
        ));
    }
    lines.extend(statement.notes.iter().cloned());
    let rows = if statement.error.is_some() {
        statement.error.as_ref().map_or(&[][..], |e| &e.samples)
    } else if statement.rows.is_empty() {
        &statement.samples
    } else {
        &statement.rows
    };
    let mut blocks = Vec::new();
    let title = format!("{} · {} · {}:{}", statement.index, statement.kind, statement.file, statement.line);
    if !lines.is_empty() {
        blocks.push(Block::Text { title: title.clone(), lines });
    }
    if !rows.is_empty() {
        let what = if statement.kind == "SELECT" { "rows" } else { "examples" };
        blocks.push(Block::Table(sample_table(&format!("{title}: {what}"), rows)));
    }
    blocks
}

/// `category: NULL 4,052 → 282; ENRICHED 3,770`
fn values(change: &ColumnChange) -> String {
    let side = |nulls: u64, values: &[(Value, u64)]| {
        let mut parts: Vec<String> =
            values.iter().take(VALUES_SHOWN).map(|(value, rows)| format!("{} {}", said(value), count(*rows))).collect();
        if values.len() > VALUES_SHOWN {
            parts.push("…".to_owned());
        }
        if nulls > 0 {
            parts.push(format!("NULL {}", count(nulls)));
        }
        if parts.is_empty() { "no rows".to_owned() } else { parts.join(", ") }
    };
    let unique = |values: &[(Value, u64)]| values.len() > 1 && values.iter().all(|(_, rows)| *rows == 1);
    if unique(&change.after) {
        return format!("{}: NULL {} → {}", change.column, count(change.nulls_before), count(change.nulls_after));
    }
    format!(
        "{}: {} → {}",
        change.column,
        side(change.nulls_before, &change.before),
        side(change.nulls_after, &change.after)
    )
}

fn sample_table(title: &str, rows: &[Map<String, Value>]) -> Table {
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    let mut table = Table::new(title, &columns);
    for row in rows {
        table.push(columns.iter().map(|name| row.get(*name).map_or(Cell::Empty, cell)).collect());
    }
    table
}

fn locks(report: &DryRunReport) -> Option<Table> {
    if report.locks.is_empty() {
        return None;
    }
    let last = report.statements.len();
    let mut table = Table::new("Locks", &["table", "mode", "blocks", "statements", "rows written meanwhile", ""]);
    for span in &report.locks {
        let strip: String = (1..=last.min(60))
            .map(|n| if (span.from_statement..=span.to_statement).contains(&n) { '█' } else { '·' })
            .collect();
        table.push(vec![
            span.table.as_str().into(),
            span.mode.as_str().into(),
            span.blocks.as_str().into(),
            format!("{} to {}", span.from_statement, span.to_statement).into(),
            span.rows_written_meanwhile.into(),
            strip.into(),
        ]);
    }
    Some(table)
}

fn schema(report: &DryRunReport) -> Option<Table> {
    let changes = &report.schema_delta.changes;
    if changes.is_empty() {
        return None;
    }
    let mut table = Table::new("Schema", &["what", "change", "name", "detail"]);
    for change in changes {
        table.push(vec![
            change.object.as_str().into(),
            change.change.as_str().into(),
            change.name.as_str().into(),
            change.detail.as_str().into(),
        ]);
    }
    Some(table)
}

fn tables(report: &DryRunReport) -> Table {
    let mut table = Table::new("Tables", &["table", "rows before", "rows after", "difference"]);
    for t in &report.tables {
        let difference = match (t.rows_before, t.rows_after) {
            (Some(before), Some(after)) if before != after => Cell::Delta(after as i64 - before as i64),
            _ => Cell::Empty,
        };
        let after =
            if t.unreliable { "can't be told".into() } else { t.rows_after.map_or("dropped".into(), Cell::Count) };
        table.push(vec![t.table.as_str().into(), t.rows_before.map_or("new".into(), Cell::Count), after, difference]);
    }
    table
}

fn checks(report: &DryRunReport) -> Vec<Block> {
    let mut blocks = Vec::new();
    for check in &report.checks {
        let title = format!("Check {} ({}:{}): {}", check.name, check.file, check.line, plural(check.row_count, "row"));
        match &check.error {
            Some(error) => blocks.push(Block::Text { title, lines: vec![error.message.clone()] }),
            None if check.rows.is_empty() => blocks.push(Block::Note(title)),
            None => blocks.push(Block::Table(sample_table(&title, &check.rows))),
        }
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

fn changes(title: &str, changes: &[super::report::SchemaChange]) -> Option<Block> {
    let lines: Vec<String> = changes
        .iter()
        .map(|c| format!("{} {} {} {}", c.object, c.name, c.change, c.detail).trim_end().to_owned())
        .collect();
    (!lines.is_empty()).then(|| Block::Text { title: title.to_owned(), lines })
}

fn rollback(report: &DryRunReport) -> Vec<Block> {
    let Some(rollback) = &report.rollback else { return Vec::new() };
    let mut blocks = Vec::new();
    for statement in rollback.statements.iter().filter(|s| s.error.is_some() || s.unsupported.is_some()) {
        blocks.extend(details(statement));
    }
    blocks.extend(changes("What the roll-back leaves of the schema", &rollback.schema));
    blocks.extend(differences("Rows that the roll-back doesn't restore", &rollback.tables));
    if rollback.restored {
        blocks.push(Block::Note(format!("{}: schema and rows are as in the snapshot.", rollback.file)));
    }
    blocks
}

fn comparison(report: &DryRunReport) -> Vec<Block> {
    let Some(comparison) = &report.comparison else { return Vec::new() };
    let mut blocks = Vec::new();
    for statement in &comparison.problems {
        blocks.extend(details(statement));
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
