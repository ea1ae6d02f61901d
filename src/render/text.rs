//! Text for a terminal: the answer first, the findings next, the evidence below.

use std::io::Write;

use anyhow::Result;
use console::Style;

use super::{Target, plot, table};
use crate::report::{Block, Cell, Finding, Report, Severity, SnapshotRef, Table};

pub(super) fn write(
    out: &mut dyn Write,
    report: &dyn Report,
    snapshot: Option<&SnapshotRef>,
    target: Target,
) -> Result<()> {
    let paint = Paint { on: target.color };
    let view = report.view();
    if !view.title.is_empty() {
        writeln!(out, "{}", paint.bold(&view.title))?;
    }
    for line in &view.headline {
        write_wrapped(out, line, "", target.width)?;
    }
    if !report.findings().is_empty() {
        writeln!(out)?;
        for index in 0..report.findings().len() {
            write_finding(out, report, index, paint, target)?;
        }
    }
    for block in &view.blocks {
        writeln!(out)?;
        match block {
            Block::Facts(facts) => write_facts(out, facts)?,
            Block::Table(content) => {
                if !content.title.is_empty() {
                    writeln!(out, "{}", paint.bold(&content.title))?;
                }
                table::write(out, content, target.width)?;
            }
            Block::Plot(drawing) => {
                writeln!(out, "{}", paint.bold(&drawing.title))?;
                for line in plot::draw(drawing, target.width.min(100)) {
                    writeln!(out, "{line}")?;
                }
            }
            Block::Text { title, lines } => {
                if !title.is_empty() {
                    writeln!(out, "{}", paint.bold(title))?;
                }
                for line in lines {
                    writeln!(out, "{line}")?;
                }
            }
            Block::Note(note) => write_wrapped(out, note, "", target.width)?,
        }
    }
    if let Some(snapshot) = snapshot {
        writeln!(out, "\n{}", paint.dim(&provenance(snapshot)))?;
    }
    Ok(())
}

/// One line on where the rows come from.
pub(super) fn provenance(snapshot: &SnapshotRef) -> String {
    let mut line = format!("snapshot {}", snapshot.id);
    if let Some(table) = &snapshot.table {
        line += &format!(", table {table}");
    }
    line += &format!(", {} rows", count(snapshot.rows));
    match &snapshot.captured_at {
        Some(at) if snapshot.synthetic => line += &format!(", synthetic (as of {at})"),
        Some(at) => line += &format!(", captured {at}"),
        None => line += ", bare Parquet without a manifest",
    }
    line
}

/// Writes the finding at `index`; rows that another finding shows with all that is said of them here aren't repeated.
fn write_finding(out: &mut dyn Write, report: &dyn Report, index: usize, paint: Paint, target: Target) -> Result<()> {
    let findings = report.findings();
    let finding = &findings[index];
    let label = format!("{:7}", finding.severity.as_str());
    write!(out, "{}  {}", paint.severity(&label, finding.severity), paint.bold(finding.id))?;
    let place = finding.location.as_ref().map_or_else(String::new, |location| format!("  {location}"));
    writeln!(out, " ({}){place}", count(finding.count))?;
    write_wrapped(out, &finding.message, "         ", target.width)?;
    write_wrapped(out, &format!("-> {}", finding.action), "         ", target.width)?;
    if let Some((place, other)) = shown_elsewhere(findings, index) {
        writeln!(out, "         Sample rows: as under {} ({}) {place}.", other.id, count(other.count))?;
    } else if !finding.samples.is_empty() {
        let samples = samples_table(finding, report.samples_shown());
        let mut lines = Vec::new();
        table::write(&mut lines, &samples, target.width.saturating_sub(9))?;
        for line in String::from_utf8_lossy(&lines).lines() {
            writeln!(out, "         {line}")?;
        }
    }
    Ok(())
}

/// Where another finding shows the samples of the finding at `index`, and more of them or sooner.
fn shown_elsewhere(findings: &[Finding], index: usize) -> Option<(&'static str, &Finding)> {
    let covers = |a: &Finding, b: &Finding| {
        !b.samples.is_empty()
            && b.samples
                .iter()
                .all(|row| a.samples.iter().any(|other| row.iter().all(|(k, v)| other.get(k) == Some(v))))
    };
    let own = &findings[index];
    findings.iter().enumerate().find_map(|(place, other)| {
        let instead = place != index && covers(other, own) && (place < index || !covers(own, other));
        instead.then_some((if place < index { "above" } else { "below" }, other))
    })
}

fn samples_table(finding: &Finding, most: usize) -> Table {
    let shown = &finding.samples[..finding.samples.len().min(most)];
    let mut columns: Vec<String> = Vec::new();
    for sample in shown {
        for key in sample.keys() {
            if !columns.contains(key) {
                columns.push(key.clone());
            }
        }
    }
    let rows = shown
        .iter()
        .map(|sample| columns.iter().map(|c| sample.get(c).map_or(Cell::Empty, json_cell)).collect())
        .collect();
    Table { title: String::new(), columns, rows }
}

/// A JSON value as a cell; lists are joined with commas.
pub(super) fn json_cell(value: &serde_json::Value) -> Cell {
    use serde_json::Value;
    match value {
        Value::Null => Cell::Null,
        Value::Bool(b) => Cell::Text(b.to_string()),
        Value::Number(n) => n.as_u64().map_or_else(|| Cell::Text(n.to_string()), Cell::Count),
        Value::String(s) => Cell::Text(s.clone()),
        Value::Array(items) => Cell::Text(items.iter().map(|i| cell(&json_cell(i))).collect::<Vec<_>>().join(", ")),
        Value::Object(_) => Cell::Text(value.to_string()),
    }
}

fn write_facts(out: &mut dyn Write, facts: &[(String, Cell)]) -> Result<()> {
    let width = facts.iter().map(|(label, _)| console::measure_text_width(label)).max().unwrap_or(0);
    for (label, value) in facts {
        let pad = " ".repeat(width - console::measure_text_width(label));
        writeln!(out, "{label}{pad}  {}", cell(value))?;
    }
    Ok(())
}

fn write_wrapped(out: &mut dyn Write, text: &str, indent: &str, width: usize) -> Result<()> {
    let room = width.saturating_sub(indent.len()).max(40);
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = console::measure_text_width(&line) + 1 + console::measure_text_width(word);
        if !line.is_empty() && length > room {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{indent}{line}")?;
    Ok(())
}

/// Is every filled cell of this column a number? Such columns are aligned to the right.
pub(super) fn is_numeric(table: &Table, column: usize) -> bool {
    let mut cells = table.rows.iter().map(|r| &r[column]).filter(|c| !matches!(c, Cell::Empty | Cell::Null)).peekable();
    cells.peek().is_some()
        && cells
            .all(|c| matches!(c, Cell::Count(_) | Cell::Delta(_) | Cell::Bytes(_) | Cell::Share(_) | Cell::Number(..)))
}

/// A cell as text.
pub fn cell(value: &Cell) -> String {
    match value {
        Cell::Empty => String::new(),
        Cell::Null => "NULL".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Count(n) => count(*n),
        Cell::Delta(n) if *n < 0 => format!("-{}", count(n.unsigned_abs())),
        Cell::Delta(n) => format!("+{}", count(n.unsigned_abs())),
        Cell::Bytes(n) => bytes(*n),
        Cell::Share(share) => format!("{:.1} %", share * 100.0),
        Cell::Number(n, decimals) => format!("{n:.decimals$}"),
        Cell::Flag(true) => "yes".to_owned(),
        Cell::Flag(false) => "no".to_owned(),
    }
}

/// `1234567` -> `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size in decimal units (1 MB = 10^6 bytes), three significant digits.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if unit == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {}", UNITS[unit])
}

#[derive(Debug, Clone, Copy)]
struct Paint {
    on: bool,
}

impl Paint {
    fn apply(self, text: &str, style: Style) -> String {
        if self.on { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.apply(text, Style::new().bold())
    }

    fn dim(self, text: &str) -> String {
        self.apply(text, Style::new().dim())
    }

    fn severity(self, text: &str, severity: Severity) -> String {
        let style = match severity {
            Severity::Error => Style::new().red().bold(),
            Severity::Warning => Style::new().yellow().bold(),
            Severity::Note => Style::new().cyan(),
        };
        self.apply(text, style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_in_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (4052, "4,052"), (1234567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
    }

    #[test]
    fn sizes_have_three_significant_digits() {
        for (n, text) in [
            (17, "17 B"),
            (1500, "1.50 kB"),
            (86_777_856, "86.8 MB"),
            (999_999_999, "1.00 GB"),
            (150_000_000, "150 MB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }
}
