//! Renderers: one file a format. They know only reports and views, never an analysis.
//!
//! Input: a [`Report`] with the snapshot it is about. Output: bytes on a writer.

mod github;
mod json;
mod markdown;
pub mod plot;
mod sarif;
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
    /// Annotations of a GitHub workflow run
    Github,
    /// SARIF 2.1.0, for code scanning and editors
    Sarif,
}

impl Format {
    /// The word the user writes (`--format`).
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Json => "json",
            Format::Markdown => "markdown",
            Format::Csv => "csv",
            Format::Github => "github",
            Format::Sarif => "sarif",
        }
    }

    /// The format of a report about files of a repository: what was asked for, else annotations inside a GitHub workflow
    /// (`github_actions` is that variable's value), else tables.
    pub fn for_files(asked: Option<Format>, github_actions: Option<&str>) -> Format {
        asked.unwrap_or(if github_actions == Some("true") { Format::Github } else { Format::Table })
    }
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
        Format::Github => github::write(out, report),
        Format::Sarif => sarif::write(out, report, snapshot, outcome),
        Format::Csv => anyhow::bail!("--format csv is for `rehearsal sql`; use table, json, markdown, github or sarif"),
    }
}

pub use text::{bytes, cell, count};

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_workflow_gets_annotations_unless_asked_otherwise() {
        for (asked, variable, expected) in [
            (None, None, Format::Table),
            (None, Some("true"), Format::Github),
            (None, Some(""), Format::Table),
            (Some(Format::Json), Some("true"), Format::Json),
        ] {
            assert_eq!(Format::for_files(asked, variable), expected);
        }
    }
}
