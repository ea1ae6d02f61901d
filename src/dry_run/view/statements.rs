//! The statements: one line each, then a paragraph for those that have something to say.

use serde_json::{Map, Value};

use super::super::report::{ColumnChange, DryRunReport, StatementReport, Verdict};
use super::{EXAMPLES_SHOWN, cell, maybe, place, said};
use crate::render::count;
use crate::report::{Block, Cell, Table};

/// Statements shown one by one; of more, runs of the same kind are shown together.
const SINGLY: usize = 60;
/// Lines of the table; JSON has every statement.
const LINES_SHOWN: usize = 200;
/// Statements that get a paragraph.
const PARAGRAPHS: usize = 60;
/// Characters of a sample row, and of one value in it.
const EXAMPLE_WIDTH: usize = 96;
const VALUE_WIDTH: usize = 40;
/// Values of a column that a statement changes.
const VALUES_SHOWN: usize = 8;
/// As many values as the report lists at most: a list of that length may not be all.
const VALUES_LISTED: usize = 10;

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

/// Statements side by side that a long table shows in one line.
fn runs(statements: &[StatementReport]) -> Vec<&[StatementReport]> {
    if statements.len() <= SINGLY {
        return statements.chunks(1).collect();
    }
    let alike = |a: &StatementReport, b: &StatementReport| {
        let quiet = |s: &StatementReport| !matches!(s.verdict, Verdict::Failed | Verdict::Unsupported);
        quiet(a) && quiet(b) && (&a.kind, verdict(a), &a.file, &a.table) == (&b.kind, verdict(b), &b.file, &b.table)
    };
    statements.chunk_by(alike).collect()
}

fn sum(run: &[StatementReport], figure: impl Fn(&StatementReport) -> Option<u64>) -> Option<u64> {
    run.iter().filter_map(figure).reduce(|a, b| a + b)
}

/// Every statement with its verdict and figures; how long it took here would tell nothing of the server.
pub(super) fn table(report: &DryRunReport) -> Vec<Block> {
    let runs = runs(&report.statements);
    let cascades = report.statements.iter().any(|s| s.rows_cascaded.is_some_and(|rows| rows > 0));
    let mut headings = vec!["no", "where", "statement", "on", "verdict", "rows", "changed"];
    headings.extend(cascades.then_some("cascaded"));
    let mut table = Table::new("Statements", &headings);
    let weight = |run: &[StatementReport]| {
        let grave = matches!(run[0].verdict, Verdict::Failed | Verdict::Unsupported);
        if grave { 0 } else { usize::from(sum(run, |s| s.rows_affected).is_none()) + 1 }
    };
    // Of very many, what fails or writes is shown before what only defines.
    let mut shown: Vec<usize> = (0..runs.len()).collect();
    shown.sort_by_key(|&at| (weight(runs[at]), at));
    shown.truncate(LINES_SHOWN);
    shown.sort_unstable();
    for run in shown.into_iter().map(|at| runs[at]) {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let number = if run.len() == 1 { first.index.to_string() } else { format!("{}-{}", first.index, last.index) };
        let mut row = vec![
            number.into(),
            place(report, &first.file, first.line).into(),
            first.kind.as_str().into(),
            first.table.as_deref().map_or(Cell::Empty, Cell::from),
            verdict(first).into(),
            maybe(sum(run, |s| s.rows_affected)),
            maybe(sum(run, |s| s.rows_changed)),
        ];
        row.extend(cascades.then(|| maybe(sum(run, |s| s.rows_cascaded))));
        table.push(row);
    }
    let hidden = runs.len() - table.rows.len();
    let mut blocks = vec![Block::Table(table)];
    if hidden > 0 {
        blocks.push(Block::Note(format!("… and {} more; --format json has all.", count(hidden as u64))));
    }
    blocks
}

/// The paragraphs of the statements that have something to say; of very many, those in trouble and some others.
pub(super) fn paragraphs(report: &DryRunReport) -> Vec<Block> {
    let told = report.statements.iter().map(|statement| (statement, details(report, statement)));
    let told: Vec<(&StatementReport, Vec<Block>)> = told.filter(|(_, blocks)| !blocks.is_empty()).collect();
    let grave = |s: &StatementReport| s.error.is_some() || s.unsupported.is_some();
    let mut room = PARAGRAPHS.saturating_sub(told.iter().filter(|(statement, _)| grave(statement)).count());
    let mut blocks = Vec::new();
    let mut hidden = 0;
    for (statement, paragraph) in told {
        if grave(statement) || room > 0 {
            room = room.saturating_sub(usize::from(!grave(statement)));
            blocks.extend(paragraph);
        } else {
            hidden += 1;
        }
    }
    if hidden > 0 {
        blocks.push(Block::Note(format!(
            "… and {} more statements that change rows; --format json has all.",
            count(hidden)
        )));
    }
    blocks
}

/// A statement's own paragraph; most have nothing to say.
pub(super) fn details(report: &DryRunReport, statement: &StatementReport) -> Vec<Block> {
    let mut lines = trouble(statement);
    lines.extend(statement.columns.iter().filter_map(values));
    lines.extend(statement.notes.iter().cloned());
    // In a long run of inserts each row is as good an example as the next.
    let few = report.statements.len() <= SINGLY || !lines.is_empty();
    if few && statement.error.is_none() && !statement.rolled_back && written(statement) > 0 {
        lines.extend(statement.samples.iter().take(EXAMPLES_SHOWN).map(example));
    }
    let title =
        format!("{} · {} · {}", statement.index, statement.kind, place(report, &statement.file, statement.line));
    // The rows that cause an error stand with its finding.
    let rows = &statement.rows;
    let mut blocks = Vec::new();
    if rows.is_empty() {
        if !lines.is_empty() {
            blocks.push(Block::Text { title, lines });
        }
        return blocks;
    }
    if !lines.is_empty() {
        blocks.push(Block::Text { title: title.clone(), lines });
    }
    let shown = rows.len() as u64;
    let all = statement.rows_affected.unwrap_or(shown);
    let part = if all > shown { format!("{} of {} ", count(shown), count(all)) } else { String::new() };
    blocks.push(Block::Table(sample_table(&format!("{title} · {part}rows"), rows)));
    blocks
}

/// Rows that a statement leaves other than they were.
fn written(statement: &StatementReport) -> u64 {
    let figures = [statement.rows_changed, statement.rows_inserted, statement.rows_deleted];
    let known = figures.into_iter().flatten().reduce(|a, b| a + b);
    known.or(statement.rows_affected).unwrap_or(0)
}

/// What an error says beside its message, which is a finding; or what can't be told.
fn trouble(statement: &StatementReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = statement.error.as_ref().filter(|e| e.detail.is_some() || e.line.is_some()) {
        lines.push(format!("ERROR {}: {}", error.sqlstate, error.message));
        lines.extend(error.detail.iter().map(|detail| format!("DETAIL: {detail}")));
        if let Some(line) = error.line {
            lines.push(format!("at {}:{line}:{}", statement.file, error.column.unwrap_or(1)));
            lines.extend(caret(statement, line, error.column));
        }
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
    lines
}

/// The line of the statement that an error points at, with a mark below.
fn caret(statement: &StatementReport, line: usize, column: Option<usize>) -> Vec<String> {
    let Some(text) = line.checked_sub(statement.line).and_then(|at| statement.sql.lines().nth(at)) else {
        return Vec::new();
    };
    let Some(column) = column else { return vec![format!("  {text}")] };
    // The first line's text begins where the statement does.
    let before = if line == statement.line { statement.column } else { 1 };
    let Some(indent) = column.checked_sub(before).filter(|&indent| indent <= text.chars().count()) else {
        return Vec::new();
    };
    let pad: String = text.chars().take(indent).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    vec![format!("  {text}"), format!("  {pad}^")]
}

/// What a statement changes in a column: `category: NULL 4,036 → 266, ENRICHED 0 → 3,770`.
///
/// Where the report lists only the most frequent values, as of a column of ids, there is nothing to say of the others.
fn values(change: &ColumnChange) -> Option<String> {
    // A list that isn't whole is cut at its length, or left empty where there are very many values.
    let total = |nulls: u64, list: &[(Value, u64)]| nulls + list.iter().map(|(_, rows)| rows).sum::<u64>();
    let whole = change.before.len() < VALUES_LISTED
        && change.after.len() < VALUES_LISTED
        && total(change.nulls_before, &change.before) == total(change.nulls_after, &change.after);
    let rows =
        |list: &[(Value, u64)], value: &Value| list.iter().find(|(v, _)| v == value).map_or(0, |(_, rows)| *rows);
    let mut parts = Vec::new();
    if change.nulls_before != change.nulls_after {
        parts.push(format!("NULL {} → {}", count(change.nulls_before), count(change.nulls_after)));
    }
    if whole {
        let gone = change.before.iter().filter(|(value, _)| rows(&change.after, value) == 0);
        let values = change.after.iter().chain(gone).map(|(value, _)| value);
        let moved = values.filter(|value| rows(&change.before, value) != rows(&change.after, value));
        let moved: Vec<String> = moved
            .map(|value| {
                let (before, after) = (rows(&change.before, value), rows(&change.after, value));
                format!("{} {} → {}", cut(&said(value), VALUE_WIDTH), count(before), count(after))
            })
            .collect();
        parts.extend(moved.iter().take(VALUES_SHOWN).cloned());
        if moved.len() > VALUES_SHOWN {
            parts.push("…".to_owned());
        }
    }
    (!parts.is_empty()).then(|| format!("{}: {}", change.column, parts.join(", ")))
}

/// A sample row in one line: `id 3f2a: category NULL → ENRICHED`.
fn example(row: &Map<String, Value>) -> String {
    let mut key = Vec::new();
    let mut changes = Vec::new();
    for (name, value) in row {
        let shown = cut(&said(value), VALUE_WIDTH);
        if let Some(column) = name.strip_suffix(" before") {
            let after = row.get(&format!("{column} after")).map_or_else(String::new, |v| cut(&said(v), VALUE_WIDTH));
            changes.push(format!("{column} {shown} → {after}"));
        } else if !name.ends_with(" after") {
            key.push(format!("{name} {shown}"));
        }
    }
    let line = if changes.is_empty() { key.join(", ") } else { format!("{}: {}", key.join(", "), changes.join(", ")) };
    format!("e.g. {}", cut(&line, EXAMPLE_WIDTH))
}

/// A text in one line and of a certain length at most.
fn cut(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    line.chars().take(width - 1).chain(['…']).collect()
}

/// Rows as a table, with the columns in the order they come.
pub(super) fn sample_table(title: &str, rows: &[Map<String, Value>]) -> Table {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changed_is_said_of_a_column() {
        fn check(before: (u64, &[(&str, u64)]), after: (u64, &[(&str, u64)]), expected: Option<&str>) {
            let list = |values: &[(&str, u64)]| values.iter().map(|(v, n)| (json!(v), *n)).collect();
            let change = ColumnChange {
                column: "c".into(),
                nulls_before: before.0,
                nulls_after: after.0,
                before: list(before.1),
                after: list(after.1),
            };
            assert_eq!(values(&change).as_deref(), expected);
        }
        check((4036, &[("A", 1)]), (266, &[("E", 3770), ("A", 1)]), Some("c: NULL 4,036 → 266, E 0 → 3,770"));
        check((3, &[("A", 1)]), (0, &[]), Some("c: NULL 3 → 0"));
        check((0, &[("A", 1), ("B", 2)]), (0, &[("B", 3)]), Some("c: B 2 → 3, A 1 → 0"));
        check((3, &[("A", 1)]), (3, &[("A", 1)]), None);
        let ids: Vec<String> = (0..VALUES_LISTED).map(|n| n.to_string()).collect();
        let ids: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 7)).collect();
        check((4052, &[]), (42, &ids), Some("c: NULL 4,052 → 42"));
    }

    #[test]
    fn a_sample_is_one_line() {
        fn check(row: Value, expected: &str) {
            assert_eq!(example(row.as_object().expect("a row")), expected);
        }
        check(json!({"id": 7, "c before": null, "c after": "A\n B"}), "e.g. id 7: c NULL → A B");
        check(json!({"id": 7, "name": "x"}), "e.g. id 7, name x");
    }

    #[test]
    fn the_mark_stands_below_the_fault() {
        fn check(column: usize, sql: &str, at: (usize, Option<usize>), expected: &[&str]) {
            let statement = StatementReport { line: 4, column, sql: sql.into(), ..Default::default() };
            assert_eq!(caret(&statement, at.0, at.1), expected, "{sql}");
        }
        check(1, "SELECT nope", (4, Some(8)), &["  SELECT nope", "         ^"]);
        check(11, "SELECT nope", (4, Some(18)), &["  SELECT nope", "         ^"]);
        check(11, "SELECT\n\tnope", (5, Some(2)), &["  \tnope", "  \t^"]);
        check(1, "SELECT nope", (9, Some(2)), &[]);
    }
}
