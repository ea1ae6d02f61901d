//! Renderers: one file a format. They know only reports and views, never an analysis.
//!
//! Input: a [`Report`] with the snapshot it is about. Output: bytes on a writer.

mod json;
mod markdown;
pub mod plot;
pub mod table;
mod text;

use std::io::Write;

use anyhow::Result;
use clap::ValueEnum;

use crate::report::{Outcome, Report, SnapshotRef};

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal
    Table,
    /// The JSON envelope, for scripts
    Json,
    /// Markdown, for a pull request
    Markdown,
    /// Comma-separated values (`sql` only)
    Csv,
}

/// Where and how to write.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The format.
    pub format: Format,
    /// Colour is wanted.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Writes a report.
///
/// # Errors
/// When the writer fails, or the format isn't one for reports.
pub fn write_report(
    out: &mut dyn Write,
    report: &dyn Report,
    snapshot: Option<&SnapshotRef>,
    outcome: Outcome,
    target: Target,
) -> Result<()> {
    match target.format {
        Format::Json => json::write(out, report, snapshot, outcome),
        Format::Markdown => markdown::write(out, report, snapshot),
        Format::Table => text::write(out, report, snapshot, target),
        Format::Csv => anyhow::bail!("--format csv is for `rehearsal sql`; use table, json or markdown"),
    }
}

pub use text::{bytes, cell, count};
