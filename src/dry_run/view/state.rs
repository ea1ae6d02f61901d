//! What the migration leaves: the locks it held, the schema it made, the rows in each table.

use super::super::locks::rows_written;
use super::super::report::{DryRunReport, LockSpan, SchemaChange, SchemaDelta, TableReport};
use super::plural;
use crate::render::count;
use crate::report::{Block, Cell, Table};

/// Cells of the strip that shows a lock from its first statement to its last.
const STRIP: usize = 24;
/// Changes of the schema shown; JSON has all.
const CHANGES_SHOWN: usize = 40;

/// Locks on tables that were there before: on a new one nobody waits.
pub(super) fn locks(report: &DryRunReport) -> Option<Table> {
    let old = |span: &&LockSpan| {
        let new = |t: &TableReport| t.table == span.table && t.rows_before.is_none();
        !report.tables.iter().any(new)
            && !report
                .schema_delta
                .changes
                .iter()
                .any(|c| (c.object.as_str(), c.change.as_str()) == ("table", "added") && c.name == span.table)
    };
    let spans: Vec<&LockSpan> = report.locks.iter().filter(old).collect();
    if spans.is_empty() {
        return None;
    }
    let last = report.statements.len();
    let headings = ["table", "mode", "blocks", "statements", "rows meanwhile", ""];
    let mut table = Table::new("Locks, each to the end of its transaction", &headings);
    for span in spans {
        table.push(vec![
            span.table.as_str().into(),
            span.mode.as_str().into(),
            span.blocks.as_str().into(),
            if span.from_statement == span.to_statement {
                span.from_statement.to_string().into()
            } else {
                format!("{}-{}", span.from_statement, span.to_statement).into()
            },
            span.rows_written_meanwhile.into(),
            strip(last, span.from_statement, span.to_statement).into(),
        ]);
    }
    Some(table)
}

/// `··███·`: which part of all statements a lock spans.
fn strip(statements: usize, from: usize, to: usize) -> String {
    let cells = statements.min(STRIP);
    // Cell n stands for the statements after n·statements/cells, up to (n+1)·statements/cells.
    (0..cells)
        .map(|n| {
            let (first, last) = (n * statements / cells + 1, (n + 1) * statements / cells);
            if from <= last && to >= first { '█' } else { '·' }
        })
        .collect()
}

/// The schema in numbers, then its changes; what belongs to a new table is told with the table.
pub(super) fn schema(report: &DryRunReport) -> Vec<Block> {
    let delta = &report.schema_delta;
    if delta.changes.is_empty() {
        return Vec::new();
    }
    let changes: Vec<SchemaChange> = gathered(&delta.changes);
    let mut table = Table::new("Schema changes", &["what", "change", "name", "detail"]);
    for change in changes.iter().take(CHANGES_SHOWN) {
        table.push(vec![
            change.object.as_str().into(),
            change.change.as_str().into(),
            change.name.as_str().into(),
            change.detail.as_str().into(),
        ]);
    }
    let mut blocks = Vec::from_iter(summary(delta).map(Block::Note));
    blocks.push(Block::Table(table));
    if changes.len() > CHANGES_SHOWN {
        let hidden = (changes.len() - CHANGES_SHOWN) as u64;
        blocks.push(Block::Note(format!("… and {} more; --format json has all.", count(hidden))));
    }
    blocks
}

/// `Schema: 8 tables → 15; 22 new indexes: 9 foreign key, 8 temporal; 9 new foreign keys: 3 CASCADE, 3 SET NULL`
fn summary(delta: &SchemaDelta) -> Option<String> {
    let mut parts = Vec::new();
    if delta.tables_before != delta.tables_after {
        parts.push(format!("{} → {}", plural(delta.tables_before, "table"), count(delta.tables_after)));
    }
    let list = |kinds: &[&(String, u64)]| {
        kinds.iter().map(|(kind, number)| format!("{} {kind}", count(*number))).collect::<Vec<_>>().join(", ")
    };
    // A primary key brings its index along.
    let (keys, mut indexes): (Vec<&(String, u64)>, Vec<_>) =
        delta.new_indexes.iter().partition(|(kind, _)| kind == "primary key");
    indexes.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    let total: u64 = indexes.iter().map(|(_, number)| number).sum();
    if total > 0 {
        let noun = if total == 1 { "index" } else { "indexes" };
        parts.push(format!("{} new {noun}: {}", count(total), list(&indexes)));
    }
    if let [(_, number)] = keys.as_slice() {
        parts.push(plural(*number, "new primary key"));
    }
    let total: u64 = delta.new_foreign_keys.iter().map(|(_, number)| number).sum();
    if total > 0 {
        let actions: Vec<&(String, u64)> = delta.new_foreign_keys.iter().collect();
        parts.push(format!("{}, on delete: {}", plural(total, "new foreign key"), list(&actions)));
    }
    (!parts.is_empty()).then(|| format!("Schema: {}.", parts.join("; ")))
}

/// The changes without those that come with a new table, which names how many there are, and without the indexes that come with
/// a key.
fn gathered(changes: &[SchemaChange]) -> Vec<SchemaChange> {
    let is = |c: &SchemaChange, object: &str| c.object == object && c.change == "added";
    let new: Vec<&SchemaChange> = changes.iter().filter(|c| is(c, "table")).collect();
    let owner = |c: &SchemaChange| {
        let owners = new.iter().filter(|t| c.name.strip_prefix(&t.name).is_some_and(|rest| rest.starts_with('.')));
        owners.map(|t| t.name.clone()).next().filter(|_| c.object == "index" || c.object == "constraint")
    };
    let of_key = |c: &SchemaChange| {
        c.object == "index"
            && changes.iter().any(|k| k.object == "constraint" && k.name == c.name && k.change == c.change)
    };
    let mut list: Vec<SchemaChange> = Vec::new();
    for change in changes.iter().filter(|c| owner(c).is_none() && !of_key(c)) {
        let mut change = change.clone();
        if is(&change, "table") {
            let own: Vec<&SchemaChange> =
                changes.iter().filter(|c| !of_key(c) && owner(c).as_ref() == Some(&change.name)).collect();
            let keys = own.iter().filter(|c| c.detail.starts_with("foreign key") && c.object == "constraint").count();
            let indexes = own.iter().filter(|c| c.object == "index").count();
            for (number, noun) in [(keys, "foreign key"), (indexes, "index")] {
                match number {
                    0 => {}
                    1 => change.detail += &format!(", 1 {noun}"),
                    n => change.detail += &format!(", {n} {noun}{}", if noun == "index" { "es" } else { "s" }),
                }
            }
        }
        list.push(change);
    }
    list
}

/// Tables that came, went or were written; the others in one line.
pub(super) fn tables(report: &DryRunReport) -> Vec<Block> {
    let written = |t: &TableReport| -> u64 {
        let own = report.statements.iter().filter(|s| !s.rolled_back && s.table.as_deref() == Some(t.table.as_str()));
        own.map(rows_written).sum()
    };
    // Of a history's tables, all of them new, those with rows are told.
    let empty = |t: &TableReport| report.schema.is_some() && t.rows_after.unwrap_or(0) == 0;
    let told = |t: &&TableReport| t.unreliable || (t.rows_before != t.rows_after && !empty(t)) || written(t) > 0;
    let mut table = Table::new("Rows", &["table", "before", "after", "difference", "written"]);
    for t in report.tables.iter().filter(told) {
        let difference = match (t.rows_before, t.rows_after) {
            (Some(before), Some(after)) if before != after && !t.unreliable => {
                Cell::Delta(after as i64 - before as i64)
            }
            _ => Cell::Empty,
        };
        let after =
            if t.unreliable { "can't be told".into() } else { t.rows_after.map_or("dropped".into(), Cell::Count) };
        table.push(vec![
            t.table.as_str().into(),
            t.rows_before.map_or("new".into(), Cell::Count),
            after,
            difference,
            Some(written(t)).filter(|rows| *rows > 0).map_or(Cell::Empty, Cell::Count),
        ]);
    }
    let kept = report.tables.iter().filter(|t| !told(t)).count() as u64;
    let mut blocks = Vec::new();
    let which = if table.rows.is_empty() { "table" } else { "other table" };
    if !table.rows.is_empty() {
        blocks.push(Block::Table(table));
    }
    if kept > 0 && report.schema.is_none() {
        let verb = if kept == 1 { "keeps its" } else { "keep their" };
        blocks.push(Block::Note(format!("{} {verb} rows.", plural(kept, which))));
    }
    blocks
}
