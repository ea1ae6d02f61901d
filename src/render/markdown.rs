//! Markdown, for a pull request: the headline, the findings, then every table.

use std::io::Write;

use anyhow::Result;

use super::plot;
use super::text::cell;
use crate::report::{Block, Cell, Report, SnapshotRef, Table};

pub(super) fn write(out: &mut dyn Write, report: &dyn Report, snapshot: Option<&SnapshotRef>) -> Result<()> {
    let view = report.view();
    writeln!(out, "## {}\n", view.title)?;
    for line in &view.headline {
        writeln!(out, "**{}**\n", escape(line))?;
    }
    if let Some(snapshot) = snapshot {
        writeln!(out, "{}\n", escape(&super::text::provenance(snapshot)))?;
    }
    for finding in report.findings() {
        let place = finding.location.as_ref().map_or_else(String::new, |location| format!(" at `{location}`"));
        writeln!(
            out,
            "- **{}** `{}`{place}: {} _{}_",
            finding.severity.as_str(),
            finding.id,
            escape(&finding.message),
            escape(&finding.action)
        )?;
    }
    if !report.findings().is_empty() {
        writeln!(out)?;
    }
    for block in &view.blocks {
        match block {
            Block::Facts(facts) => {
                for (label, value) in facts {
                    writeln!(out, "- {}: {}", escape(label), escape(&cell(value)))?;
                }
                writeln!(out)?;
            }
            Block::Table(table) => write_table(out, table)?,
            Block::Plot(drawing) => {
                writeln!(out, "```text")?;
                for line in plot::draw(drawing, 72) {
                    writeln!(out, "{line}")?;
                }
                writeln!(out, "```\n")?;
            }
            Block::Text { title, lines } => {
                writeln!(out, "{}\n\n```text", escape(title))?;
                for line in lines {
                    writeln!(out, "{line}")?;
                }
                writeln!(out, "```\n")?;
            }
            Block::Note(note) => writeln!(out, "> {}\n", escape(note))?,
        }
    }
    Ok(())
}

/// Writes one Markdown table.
///
/// # Errors
/// When the writer fails.
pub(super) fn write_table(out: &mut dyn Write, table: &Table) -> Result<()> {
    if !table.title.is_empty() {
        writeln!(out, "### {}\n", escape(&table.title))?;
    }
    let headings: Vec<String> = table.columns.iter().map(|c| escape(c)).collect();
    writeln!(out, "| {} |", headings.join(" | "))?;
    let rules: Vec<&str> =
        (0..table.columns.len()).map(|i| if super::text::is_numeric(table, i) { "---:" } else { "---" }).collect();
    writeln!(out, "| {} |", rules.join(" | "))?;
    for row in &table.rows {
        let cells: Vec<String> =
            row.iter().map(|c| if *c == Cell::Empty { String::new() } else { escape(&cell(c)) }).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)?;
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}
