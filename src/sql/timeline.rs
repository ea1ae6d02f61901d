//! Timeline: the answer of the question `timeline` as trees of jobs, one branch a row.
//!
//! Input: its rows. Output: lines. Invariants: every row appears exactly once; a job stands under its parent at its real depth,
//! jobs and rows side by side in the order of time; what has no known origin says so. Left out: finding the rows (the question's SQL).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::{Context, Result};
use arrow::array::StructArray;

use super::format::Layout;
use super::format::grid::{Cell, Grid, Heading, printable};
use super::session::{Answer, Column};
use super::value;
use crate::render::count;

/// One row of the log, as the tree shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    at: String,
    depth: Option<u64>,
    operation: String,
    status: String,
    entity_type: String,
    entity_id: String,
    named: bool,
    duration_ms: String,
    error_code: String,
    origin: String,
    job: Option<String>,
    parent: Option<String>,
}

/// Writes the trees.
///
/// # Errors
/// When the engine or the writer fails, or a column is missing.
pub fn write(out: &mut dyn Write, answer: &Answer<'_>, layout: Layout, entity: &str) -> Result<u64> {
    let mut entries = Vec::new();
    answer.for_each_row(|batch, row| {
        entries.push(entry(&answer.columns, batch, row)?);
        Ok(())
    })?;
    writeln!(out, "{}", headline(&entries, entity))?;
    if entries.is_empty() {
        return Ok(0);
    }
    writeln!(out)?;
    let mixed = entries.iter().any(|e| !e.named);
    let whole: Vec<Vec<Cell>> = trees(&entries).iter().map(|(branch, entry)| cells(branch, entry, mixed)).collect();
    let names = ["time", "operation", "status", "entity", "ms", ""];
    let mut shown = headings(&names);
    let mut rows = whole;
    if !Grid::fits(&shown, &rows, layout) {
        // A narrow terminal does without durations and milliseconds before anything is cut.
        shown.truncate(4);
        rows = rows.into_iter().map(narrow).collect();
    }
    let mut grid = Grid::new(shown, &rows, layout);
    grid.head(out)?;
    for row in &rows {
        grid.row(out, row)?;
    }
    Ok(entries.len() as u64)
}

fn headings(names: &[&str]) -> Vec<Heading> {
    let heading = |name: &&str| Heading {
        name: (*name).to_owned(),
        numeric: *name == "ms",
        elastic: name.is_empty() || *name == "operation",
    };
    names.iter().map(heading).collect()
}

/// The row of a narrow terminal: whole seconds, no duration, remarks behind the entity.
fn narrow(mut cells: Vec<Cell>) -> Vec<Cell> {
    let remark = cells.pop().map(|cell| cell.text).unwrap_or_default();
    cells.truncate(4);
    let seconds = cells[0].text.rfind('.').unwrap_or(cells[0].text.len());
    cells[0].text.truncate(seconds);
    if !remark.is_empty() {
        cells[3].text.push_str(&format!(" {remark}"));
    }
    cells
}

fn entry(columns: &[Column], batch: &StructArray, row: usize) -> Result<Entry> {
    let read = |name: &str| -> Result<Option<String>> {
        let index = columns.iter().position(|c| c.name == name).with_context(|| format!("no column {name}"))?;
        let array = batch.column(index).as_ref();
        if value::is_null(array, row) {
            return Ok(None);
        }
        let mut text = String::new();
        value::write_text(&mut text, array, &columns[index].kind, row);
        Ok(Some(text))
    };
    let shown = |name: &str| -> Result<String> { Ok(printable(read(name)?.unwrap_or_default())) };
    Ok(Entry {
        at: shown("created_at")?,
        depth: read("depth")?.and_then(|d| d.parse().ok()),
        operation: shown("operation")?,
        status: shown("status")?,
        entity_type: shown("entity_type")?,
        entity_id: shown("entity_id")?,
        named: read("names_entity")?.as_deref() == Some("true"),
        duration_ms: shown("duration_ms")?,
        error_code: shown("error_code")?,
        origin: shown("origin")?,
        job: read("job_id")?,
        parent: read("parent_job_id")?,
    })
}

fn headline(entries: &[Entry], entity: &str) -> String {
    let created = entries.iter().find(|e| {
        e.entity_id == entity
            && e.status != "FAILED"
            && e.operation.to_lowercase().split(':').any(|part| part == "created")
    });
    let unknown = entries.iter().filter(|e| e.origin == "unknown").count();
    let origin = match (created, entries) {
        (_, []) => {
            return format!(
                "Nothing in the log names {entity}, neither as an entity nor as an album, artist or track."
            );
        }
        (Some(row), _) => format!("{entity} was created at {} by {}", row.at, row.operation),
        (None, [first, ..]) => format!("How {entity} was created isn't in the log; it goes back to {}", first.at),
    };
    let jobs: BTreeSet<&str> = entries.iter().filter_map(|e| e.job.as_deref()).collect();
    let mut line = format!("{origin}. {} rows of {} jobs", count(entries.len() as u64), count(jobs.len() as u64));
    if unknown > 0 {
        line += &format!(", {} of unknown origin", count(unknown as u64));
    }
    line += ".";
    if entries.iter().any(|e| !e.named) {
        line += " * marks the rows that name it.";
    }
    line
}

fn cells(branch: &str, entry: &Entry, mixed: bool) -> Vec<Cell> {
    let cell = |text: String| Cell { text, null: false };
    let mut remarks = Vec::new();
    if !entry.error_code.is_empty() {
        remarks.push(entry.error_code.clone());
    }
    match entry.origin.as_str() {
        "unknown" => remarks.push("origin unknown".to_owned()),
        "circular" => remarks.push("circular parents".to_owned()),
        "missing parent" if entry.depth == Some(1) => {
            remarks.push(format!("parent {} is missing", printable(entry.parent.clone().unwrap_or_default())));
        }
        _ => {}
    }
    // Where the jobs did other things besides, what concerns the entity is marked.
    let mark = if mixed && entry.named { "* " } else { "" };
    let entity = format!("{mark}{} {}", entry.entity_type, entry.entity_id.get(..8).unwrap_or(&entry.entity_id));
    vec![
        cell(entry.at.clone()),
        cell(format!("{branch}{}", entry.operation)),
        cell(entry.status.clone()),
        cell(entity.trim_end().to_owned()),
        cell(entry.duration_ms.clone()),
        cell(remarks.join(", ")),
    ]
}

/// Rows that share a place in the tree: those of one job, or a single row without a job.
struct Node<'a> {
    rows: Vec<&'a Entry>,
    children: Vec<usize>,
}

/// Entries in the order of the tree, each with its branch.
fn trees(entries: &[Entry]) -> Vec<(String, &Entry)> {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut by_job: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        match entry.job.as_deref().filter(|_| entry.origin != "unknown") {
            Some(job) => match by_job.get(job) {
                Some(node) => nodes[*node].rows.push(entry),
                None => {
                    by_job.insert(job, nodes.len());
                    nodes.push(Node { rows: vec![entry], children: vec![] });
                }
            },
            None => nodes.push(Node { rows: vec![entry], children: vec![] }),
        }
    }
    let depth = |node: &Node<'_>| node.rows.iter().filter_map(|e| e.depth).min();
    let mut tops = Vec::new();
    for index in 0..nodes.len() {
        let own = depth(&nodes[index]).filter(|d| *d > 0);
        // Of several parents the one a level above counts: that is how the depth came about.
        let parent = own.and_then(|own| {
            let parents = nodes[index].rows.iter().filter_map(|e| by_job.get(e.parent.as_deref()?).copied());
            parents.filter(|p| depth(&nodes[*p]) == Some(own - 1)).min()
        });
        match parent {
            Some(parent) => nodes[parent].children.push(index),
            None => tops.push(index),
        }
    }
    let mut lines = Vec::new();
    for top in tops {
        lines.extend(nodes[top].rows.iter().map(|e| (String::new(), *e)));
        branches(&nodes, top, "", &mut lines);
    }
    lines
}

/// Appends what is under a node. Depth-first with its own stack: a chain of jobs may be longer than the program's.
fn branches<'a>(nodes: &[Node<'a>], top: usize, prefix: &str, lines: &mut Vec<(String, &'a Entry)>) {
    let mut stack: Vec<(usize, String, usize)> = vec![(top, prefix.to_owned(), 0)];
    while let Some((node, prefix, next)) = stack.pop() {
        let Some(child) = nodes[node].children.get(next).copied() else { continue };
        stack.push((node, prefix.clone(), next + 1));
        let last = next + 1 == nodes[node].children.len();
        let rows = &nodes[child].rows;
        for (index, entry) in rows.iter().enumerate() {
            let branch = if last && index + 1 == rows.len() { "└─ " } else { "├─ " };
            lines.push((format!("{prefix}{branch}"), entry));
        }
        stack.push((child, format!("{prefix}{}", if last { "   " } else { "│  " }), 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: &str, job: &str, parent: &str, depth: u64) -> Entry {
        let id = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Entry {
            operation: operation.to_owned(),
            job: id(job),
            parent: id(parent),
            depth: Some(depth),
            origin: "root job".to_owned(),
            ..Entry::default()
        }
    }

    fn check(entries: &[Entry], expected: &[&str]) {
        let lines: Vec<String> = trees(entries).iter().map(|(branch, e)| format!("{branch}{}", e.operation)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn jobs_stand_under_their_parents_at_their_depth() {
        check(
            &[
                entry("album:created", "r", "", 0),
                entry("enrichment:album", "e", "r", 1),
                entry("track:created", "t1", "e", 2),
                entry("artist:created", "a", "r", 1),
                entry("track:created 2", "t2", "e", 2),
                entry("enrichment:album again", "e", "r", 1),
                entry("album:done", "r", "", 0),
            ],
            &[
                "album:created",
                "album:done",
                "├─ enrichment:album",
                "├─ enrichment:album again",
                "│  ├─ track:created",
                "│  └─ track:created 2",
                "└─ artist:created",
            ],
        );
    }

    #[test]
    fn rows_without_origin_stand_alone() {
        let mut orphan = entry("cache:album", "", "", 0);
        (orphan.origin, orphan.depth) = ("unknown".to_owned(), None);
        check(
            &[orphan, entry("album:created", "r", "", 0), entry("x", "", "r", 1)],
            &["cache:album", "album:created", "└─ x"],
        );
    }

    #[test]
    fn a_long_chain_and_a_circle_end() {
        let chain: Vec<Entry> = (0..50_i32)
            .map(|i| entry(&format!("op {i}"), &format!("j{i}"), &format!("j{}", i - 1), i.unsigned_abs().into()))
            .collect();
        assert_eq!(trees(&chain).len(), 50);
        check(&[entry("a", "a", "b", 0), entry("b", "b", "a", 0)], &["a", "b"]);
    }
}
