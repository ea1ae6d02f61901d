//! Formats: one file a format, each writing an [`Answer`] as its rows arrive.
//!
//! Input: an answer and a writer. Output: bytes. Invariant: nothing but `table` and the JSON of a script with several results
//! holds rows back. NULL and the empty string look different in each of them.

pub mod csv;
pub mod grid;
pub mod json;
pub mod markdown;
pub mod parquet;
pub mod table;

use std::io::Write;

use anyhow::{Result, anyhow};
use serde_json::{Map, json};

use super::questions::Question;
use super::session::Answer;
use super::timeline;
use crate::render::Format;
use crate::report::SnapshotRef;
use crate::ui::hinted;

/// How much room there is, and whose eyes it is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// Columns of the terminal; absent where the answer goes to a file or a pipe, which have room for everything.
    pub width: Option<usize>,
    /// Most rows to show; absent for all.
    pub max_rows: Option<usize>,
    /// Colour is wanted.
    pub color: bool,
}

/// What an answer is an answer to, where that is a named question.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Its parameters with their values, as text.
    pub params: Vec<(String, String)>,
}

/// Refuses formats that are for findings.
///
/// # Errors
/// A format that rows can't be written in.
pub fn permitted(format: Format) -> Result<()> {
    match format {
        Format::Table | Format::Json | Format::Markdown | Format::Csv => Ok(()),
        Format::Github | Format::Sarif => Err(hinted(
            anyhow!("--format {} is for findings, and a query has none", format.as_str()),
            "rows are written as table, csv, json or markdown",
        )),
    }
}

/// Writes one answer in the format asked for; returns the number of rows.
///
/// # Errors
/// When the engine or the writer fails.
pub fn write(
    out: &mut dyn Write,
    answer: &Answer<'_>,
    asked: Option<&Asked>,
    snapshot: &SnapshotRef,
    format: Format,
    layout: Layout,
) -> Result<u64> {
    let title = asked.map(|asked| asked.question.title);
    permitted(format)?;
    match format {
        Format::Csv => csv::write(out, answer),
        Format::Markdown => markdown::write(out, answer, title),
        // The last two have just been refused.
        Format::Table | Format::Github | Format::Sarif => match asked {
            Some(Asked { question, params }) if question.name == "timeline" => {
                let entity = params.first().map_or("", |(_, value)| value.as_str());
                timeline::write(out, answer, layout, entity)
            }
            _ => table::write(out, answer, layout, title),
        },
        Format::Json => {
            let mut extra = Map::new();
            if let Some(Asked { question, params }) = asked {
                let params: Map<_, _> = params.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                extra.insert("question".to_owned(), json!(question.name));
                extra.insert("params".to_owned(), json!(params));
            }
            json::write(out, answer, snapshot, extra)
        }
    }
}
