//! A history from an empty database: how its files fared, and the schema they end in.
//!
//! Input: the report. Output: lines and blocks. Invariant: JSON has all; here long lists are cut and say so.

use super::super::report::{DriftReport, DryRunReport, SchemaReport, TableSchema, Verdict};
use super::plural;
use crate::render::count;
use crate::report::{Block, Cell, Table};

/// Tables shown; JSON has all.
const TABLES_SHOWN: usize = 40;
/// Enums shown.
const ENUMS_SHOWN: usize = 20;

/// `12 files: 7 committed, 5 not reached. 140 statements: 31 executed, 104 catalog, 5 not reached.`
pub(super) fn headline(report: &DryRunReport) -> String {
    let files = counted(report.files.iter().map(|file| file.transaction.as_str()));
    let statements = counted(report.statements.iter().map(|statement| match statement.verdict {
        Verdict::Executed => "executed",
        Verdict::Catalog => "catalog only",
        Verdict::Checked => "verified",
        Verdict::Failed => "failed",
        Verdict::Unsupported => "not rehearsed",
        Verdict::NotReached => "not reached",
    }));
    format!(
        "{}: {files}. {}: {statements}.",
        plural(report.files.len() as u64, "file"),
        plural(report.statements.len() as u64, "statement")
    )
}

/// The words with their numbers, in the order in which they first come.
fn counted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for word in words {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, number)) => *number += 1,
            None => counts.push((word, 1)),
        }
    }
    counts.iter().map(|(word, number)| format!("{} {word}", count(*number))).collect::<Vec<_>>().join(", ")
}

/// The schema at the end, a line a table.
pub(super) fn schema(schema: &SchemaReport) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !schema.tables.is_empty() {
        let mut table = Table::new(
            "Schema at the end",
            &["table", "columns", "primary key", "foreign keys", "unique", "checks", "indexes"],
        );
        for described in schema.tables.iter().take(TABLES_SHOWN) {
            table.push(line(described));
        }
        blocks.push(Block::Table(table));
        blocks.extend(rest(schema.tables.len(), TABLES_SHOWN));
    }
    if !schema.enums.is_empty() {
        let shown = schema.enums.iter().take(ENUMS_SHOWN);
        let lines = shown.map(|ty| format!("{}: {}", ty.name, ty.labels.join(", "))).collect();
        blocks.push(Block::Text { title: "Enums".to_owned(), lines });
        blocks.extend(rest(schema.enums.len(), ENUMS_SHOWN));
    }
    let others = [("view", schema.views.len()), ("sequence", schema.sequences.len())];
    let others: Vec<String> =
        others.into_iter().filter(|(_, n)| *n > 0).map(|(noun, n)| plural(n as u64, noun)).collect();
    if !others.is_empty() {
        blocks.push(Block::Note(format!("{}; --format json has the whole schema.", others.join(", "))));
    }
    blocks
}

fn rest(all: usize, shown: usize) -> Option<Block> {
    let hidden = all.checked_sub(shown).filter(|hidden| *hidden > 0)?;
    Some(Block::Note(format!("… and {} more; --format json has all.", count(hidden as u64))))
}

fn line(table: &TableSchema) -> Vec<Cell> {
    let of = |start: &str| table.constraints.iter().filter(|c| c.definition.starts_with(start)).count() as u64;
    let number = |n: u64| if n == 0 { Cell::Empty } else { Cell::Count(n) };
    let key = table.constraints.iter().find_map(|c| c.definition.strip_prefix("PRIMARY KEY "));
    let key = key.map(|key| key.split(')').next().unwrap_or(key).trim_start_matches('('));
    // Indexes behind keys are told with them.
    let own = table.indexes.iter().filter(|index| table.constraints.iter().all(|c| c.name != index.name)).count();
    vec![
        table.name.as_str().into(),
        (table.columns.len() as u64).into(),
        key.map_or(Cell::Empty, Cell::from),
        number(of("FOREIGN KEY")),
        number(of("UNIQUE")),
        number(of("CHECK")),
        number(own as u64),
    ]
}

/// The answer to `--drift`.
pub(super) fn drift_headline(drift: &DriftReport) -> String {
    let compared = plural(drift.tables_compared, "table");
    match drift.differences.len() as u64 {
        0 if drift.equal => format!("No drift: {compared} of {} are as the migrations make them.", drift.snapshot),
        0 => format!("{} can't be compared.", drift.snapshot),
        number => format!("{} has drifted: {} in {compared} compared.", drift.snapshot, plural(number, "difference")),
    }
}

/// Every difference, with the statement that made ours.
pub(super) fn drift(drift: &DriftReport) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !drift.differences.is_empty() {
        let mut table =
            Table::new("Drift", &["table", "what", "name", "the migrations make", "the snapshot has", "made at"]);
        for difference in &drift.differences {
            let made = difference.file.as_ref().zip(difference.line).map(|(file, line)| format!("{file}:{line}"));
            table.push(vec![
                difference.table.as_str().into(),
                difference.object.as_str().into(),
                difference.name.as_str().into(),
                difference.ours.as_deref().map_or(Cell::Empty, Cell::from),
                difference.theirs.as_deref().map_or(Cell::Empty, Cell::from),
                made.map_or(Cell::Empty, Cell::from),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    blocks.extend(drift.not_compared.iter().cloned().map(Block::Note));
    blocks
}
