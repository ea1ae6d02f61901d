//! Failure: the engine's error, told so that the reader finds the place and the way out.
//!
//! Input: DuckDB's error (as JSON: the session asks for that) and the script the statement stood in. Output: an error whose
//! message shows line, column and the text with a mark under it, and whose hint names near tables or columns.

use std::sync::Arc;

use anyhow::{Error, anyhow};
use serde::Deserialize;

use super::lexer;
use super::questions;
use super::session::Session;
use crate::snapshot::suggestion;
use crate::ui::{self, hinted};

/// SQL text with a name, and the place in it where the statement at hand begins.
#[derive(Debug, Clone)]
pub struct Script {
    name: Arc<str>,
    text: Arc<str>,
    offset: usize,
    first_line: usize,
}

impl Script {
    /// A script; `name` is what messages call it.
    pub fn new(name: &str, text: &str) -> Self {
        Script { name: name.into(), text: lexer::plain_spaces(text).into(), offset: 0, first_line: 1 }
    }

    /// The same script as part of a longer text, in which it begins at this line.
    pub fn from_line(self, first_line: usize) -> Self {
        Script { first_line, ..self }
    }

    /// The same script, seen from a statement that begins at this byte.
    pub fn at(&self, offset: usize) -> Self {
        Script { offset, ..self.clone() }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// ` --> name:line:column`, the line and a mark under the place.
    fn excerpt(&self, position: usize, length: usize) -> Option<String> {
        const WIDTH: usize = 100;
        let at = self.offset.checked_add(position).filter(|at| self.text.is_char_boundary(*at))?;
        let start = self.text[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |i| at + i);
        let number = self.text[..start].matches('\n').count() + self.first_line;
        let before: Vec<char> = self.text[start..at].chars().collect();
        let line: Vec<char> = self.text[start..end].trim_end().replace('\t', " ").chars().collect();
        // A long line is shown from a little before the place.
        let skipped = if line.len() > WIDTH { before.len().saturating_sub(WIDTH / 2) } else { 0 };
        let shown: String = line.iter().skip(skipped).take(WIDTH).collect();
        let lead: String = line.iter().take(before.len()).skip(skipped).collect();
        let marked: String = line.iter().skip(before.len()).take(length.max(1)).collect();
        let mark = "^".repeat(console::measure_text_width(&marked).clamp(1, WIDTH));
        let pad = " ".repeat(console::measure_text_width(&lead));
        let gutter = " ".repeat(number.to_string().len());
        let column = before.len() + 1;
        Some(format!(
            "{gutter}--> {}:{number}:{column}\n{gutter} |\n{number} | {shown}\n{gutter} | {pad}{mark}",
            self.name
        ))
    }
}

/// DuckDB's error under `errors_as_json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EngineError {
    exception_type: String,
    exception_message: String,
    position: Option<String>,
    location: Option<String>,
    error_subtype: String,
    #[serde(rename = "type")]
    entry: String,
    name: String,
    candidates: String,
}

impl EngineError {
    fn read(error: &duckdb::Error) -> Option<EngineError> {
        let duckdb::Error::DuckDBFailure(_, Some(message)) = error else { return None };
        serde_json::from_str(&message[message.find('{')?..]).ok()
    }

    /// The message without the suggestions, which become the hint.
    fn message(&self) -> String {
        let file = self.exception_message.split('"').nth(1).filter(|_| self.exception_type == "Permission");
        if let Some(file) = file {
            return format!("{file} may not be opened from SQL");
        }
        let lines = self.exception_message.lines();
        let kept = lines.take_while(|l| !(l.starts_with("Did you mean") || l.starts_with("Candidate")));
        let text: Vec<&str> = kept.map(str::trim).filter(|l| !l.is_empty()).collect();
        let mut message = text.join(" ");
        if let Some(cut) = message.find("Please try installing") {
            message.truncate(cut);
        }
        message.trim_end_matches(['!', ' ']).to_owned()
    }

    /// Byte and length of the place, where known: `[14,2]`.
    fn place(&self) -> Option<(usize, usize)> {
        let position: usize = self.position.as_deref()?.parse().ok()?;
        let length = self.location.as_deref().and_then(|l| l.trim_matches(['[', ']']).split_once(',')?.1.parse().ok());
        Some((position, length.unwrap_or(1)))
    }

    fn hint(&self, session: &Session<'_>) -> Option<String> {
        if self.exception_type == "Permission" {
            return Some(
                "SQL reads the snapshot and nothing else; let it read a file or folder with --read PATH".to_owned(),
            );
        }
        if self.exception_message.contains("INSTALL ") {
            return Some("the engine has its built-in functions only: it never downloads an extension".to_owned());
        }
        if self.error_subtype == "MISSING_ENTRY" && self.entry == "Table" {
            if questions::find(&self.name).is_ok() {
                return Some(format!("{0} is a named question, not a table: run it with --named {0}", self.name));
            }
            let relations = session.relations();
            let names: Vec<&str> = relations.iter().map(String::as_str).collect();
            return suggestion(&self.name, &names).or_else(|| Some(format!("there are {}", names.join(", "))));
        }
        let candidates: Vec<&str> = self.candidates.split(',').map(|c| c.trim().trim_matches('"')).collect();
        match candidates.as_slice() {
            [] | [""] => None,
            candidates => {
                let near = suggestion(&self.name, candidates);
                near.or_else(|| Some(format!("did you mean {}?", candidates.join(" or "))))
            }
        }
    }
}

/// The error with its place in the script and a hint.
pub fn explain(error: duckdb::Error, script: &Script, session: &Session<'_>) -> Error {
    let hint = EngineError::read(&error).and_then(|e| e.hint(session));
    match hint {
        Some(hint) => hinted(plainly(error, script), hint),
        None => plainly(error, script),
    }
}

/// The error with its place in the script.
pub fn plainly(error: duckdb::Error, script: &Script) -> Error {
    let Some(engine) = EngineError::read(&error) else { return error.into() };
    if ui::interrupted() || engine.exception_type.eq_ignore_ascii_case("interrupt") {
        return anyhow!("interrupted");
    }
    let message = engine.message();
    match engine.place().and_then(|(position, length)| script.excerpt(position, length)) {
        Some(excerpt) => anyhow!("{message}\n{excerpt}"),
        None => anyhow!(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, offset: usize, position: usize, length: usize, expected: &str) {
        let script = Script::new("query", text).at(offset);
        assert_eq!(script.excerpt(position, length).expect("a place"), expected);
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        check("SELECT x", 0, 7, 1, " --> query:1:8\n  |\n1 | SELECT x\n  |        ^");
        check("SELECT 1;\nSELECT xy FROM t", 10, 7, 2, " --> query:2:8\n  |\n2 | SELECT xy FROM t\n  |        ^^");
        check("SELECT 'né', x", 0, 14, 1, " --> query:1:14\n  |\n1 | SELECT 'né', x\n  |              ^");
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = format!("SELECT {} x", "1,".repeat(200));
        let script = Script::new("query", &text);
        let excerpt = script.excerpt(text.len() - 1, 1).expect("a place");
        assert!(excerpt.lines().all(|l| l.len() < 130), "{excerpt}");
        let mark = excerpt.lines().last().expect("a mark").find('^').expect("there");
        assert_eq!(excerpt.lines().nth(2).expect("the line").as_bytes()[mark], b'x');
    }
}
