//! What a dry run says to a person: the answer, the expectations, the statements, then only what has something to say.

mod after;
mod history;
mod recognised;
mod state;
mod statements;

use anyhow::Result;
use serde_json::Value;

use super::findings::rows_kept;
use super::report::{DryRunReport, ExpectationReport, StatementReport, Verdict};
use crate::render::count;
use crate::report::{Block, Cell, Finding, Report, Table, View};

/// Characters of a migration's name where it stands beside a line.
const NAME_SHOWN: usize = 28;
/// Sample rows of a statement or a finding.
const EXAMPLES_SHOWN: usize = 2;

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
        blocks.extend(statements::table(self));
        blocks.extend(self.ladders.iter().map(|ladder| recognised::ladder(self, ladder)).map(Block::Table));
        blocks.extend(recognised::walks(&self.walks).map(Block::Table));
        blocks.extend(recognised::overlaps(self).map(Block::Table));
        blocks.extend(statements::paragraphs(self));
        blocks.extend(state::locks(self).map(Block::Table));
        match &self.schema {
            Some(schema) => blocks.extend(history::schema(schema)),
            None => blocks.extend(state::schema(self)),
        }
        blocks.extend(self.drift.iter().flat_map(history::drift));
        blocks.extend(state::tables(self));
        blocks.extend(after::checks(self));
        blocks.extend(after::rollback(self));
        blocks.extend(after::comparison(self));
        View { title: format!("Dry run: {}", names(self)), headline: headline(self), blocks }
    }

    fn samples_shown(&self) -> usize {
        EXAMPLES_SHOWN
    }
}

/// A line of a file, as short as it can be told apart: by the migration's name, not by the path.
fn place(report: &DryRunReport, file: &str, line: usize) -> String {
    match report.files.iter().find(|known| known.file == file) {
        Some(_) if report.files.len() == 1 => format!("line {line}"),
        Some(known) => format!("{}:{line}", shortened(&known.migration)),
        None => format!("{}:{line}", file.rsplit(['/', '\\']).next().unwrap_or(file)),
    }
}

/// A name without its middle, where it is long: both ends tell migrations apart.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= NAME_SHOWN {
        return name.to_owned();
    }
    let half = (NAME_SHOWN - 1) / 2;
    let (head, tail) = (&letters[..half], &letters[letters.len() - half..]);
    head.iter().chain(&['…']).chain(tail).collect()
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
    lines.extend(report.schema.is_some().then(|| history::headline(report)));
    lines.extend(report.drift.as_ref().map(history::drift_headline));
    lines.extend(kept_or_missed(report));
    let unhappy = report.checks.iter().filter(|check| check.ok == Some(false)).count() as u64;
    if unhappy > 0 {
        lines.push(format!("{} of {} fail.", count(unhappy), plural(report.checks.len() as u64, "check")));
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

/// How the expectations fare.
fn kept_or_missed(report: &DryRunReport) -> Option<String> {
    let all = report.expectations.len() as u64;
    let missed: Vec<&ExpectationReport> = report.expectations.iter().filter(|e| !e.ok).collect();
    if all == 0 {
        return None;
    }
    if missed.is_empty() {
        return Some(format!("It does what is expected of it: {} met.", plural(all, "expectation")));
    }
    let Some(first) = missed.iter().find(|e| !e.predicted.is_null()) else {
        let number = missed.len() as u64;
        return Some(format!("{} of {} can't be told.", count(number), plural(all, "expectation")));
    };
    let difference = first.difference.map(|d| format!(" ({})", signed(d))).unwrap_or_default();
    Some(format!(
        "{} of {} {} missed: {} is {}, expected {}{difference}.",
        missed.len(),
        plural(all, "expectation"),
        are(missed.len() as u64),
        first.name,
        said(&first.predicted),
        said(&first.expected)
    ))
}

fn failure(report: &DryRunReport, first: &StatementReport, failures: usize) -> String {
    let words = first.error.as_ref().map_or("", |error| error.message.as_str());
    let rows =
        first.error.as_ref().and_then(|e| e.rows).map(|rows| format!(" ({})", plural(rows, "row"))).unwrap_or_default();
    let undone = report.statements.iter().filter(|s| s.rolled_back).count() as u64;
    let missed = report.statements.iter().filter(|s| s.verdict == Verdict::NotReached).count() as u64;
    let mut line =
        format!("Statement {} ({}) fails: {words}{rows}.", first.index, place(report, &first.file, first.line));
    if let (Some(_), Some(error)) = (&report.schema, &first.error) {
        line =
            format!("Statement {} ({}:{}) fails: {words} ({}).", first.index, first.file, first.line, error.sqlstate);
    }
    if failures > 1 {
        line.push_str(&format!(" {} statements fail in all.", count(failures as u64)));
    }
    if undone > 0 {
        line.push_str(&format!(" {} before it {} rolled back.", plural(undone, "statement"), are(undone)));
    }
    if missed > 0 {
        line.push_str(&format!(" {} {} never reached.", plural(missed, "statement"), are(missed)));
    }
    line
}

fn are(number: u64) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// A JSON value as words.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
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

/// `+2,443`, `-1`
fn signed(difference: i64) -> String {
    crate::render::cell(&Cell::Delta(difference))
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
        let (file, line) = e.source.rsplit_once(':').unwrap_or((e.source.as_str(), ""));
        table.push(vec![
            Cell::Flag(e.ok),
            e.name.as_str().into(),
            cell(&e.expected),
            if e.predicted.is_null() { "can't be told".into() } else { cell(&e.predicted) },
            e.difference.filter(|d| *d != 0).map_or(Cell::Empty, Cell::Delta),
            line.parse().map_or_else(|_| e.source.clone(), |line| place(report, file, line)).into(),
        ]);
    }
    Some(table)
}
