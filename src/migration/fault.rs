//! A syntax error's place: where does PostgreSQL's parser stop?
//!
//! Input: a text that doesn't parse. Output: an error as the server words it, at file, line and column, with the line and a caret.
//! The parser's own errors carry no position. Every prefix of the text that lacks the offending token fails, if at all, at its
//! end; so the place is the shortest run of tokens that fails otherwise, found by bisection. Left out: errors of meaning.

use anyhow::{Error, anyhow};

use super::Fault;
use super::decode::line_and_column;
use super::lexer::{Piece, PieceKind};
use crate::ui::hinted;

/// Characters of a source line shown on either side of the caret.
const SHOWN: usize = 60;

/// The error of a text that doesn't parse.
pub(super) fn syntax_error(name: &str, text: &str, pieces: &[Piece], message: &str) -> Error {
    if let Some(open) = pieces.iter().find(|p| p.kind == PieceKind::Open) {
        let words = match text.as_bytes()[open.start] {
            b'"' => "unterminated quoted identifier",
            b'/' => "unterminated /* comment",
            b'$' => "unterminated dollar-quoted string",
            _ => "unterminated quoted string",
        };
        return at(name, text, open.start, words, "close it; everything from here to the end of the file is inside");
    }
    for (start, end) in segments(text, pieces) {
        let Some(found) = failure(&text[start..end]) else { continue };
        return match found {
            Failure::TooDeep => at(
                name,
                text,
                start + leading(text, pieces, start),
                "the statement nests deeper than can be read here",
                "put parentheses around halves of a long chain of || or +, so that it isn't one deep tree",
            ),
            Failure::Syntax(message) => {
                let offset = start + offending(&text[start..end], &message);
                at(name, text, offset, &clipped(&message), hint(text, offset))
            }
        };
    }
    anyhow!("{name}: {}", clipped(message))
}

/// Where the same text doesn't parse, as a fault in a statement's place: its range, and what it is.
pub(super) fn of_file(text: &str, pieces: &[Piece], message: &str) -> (usize, usize, Fault) {
    if let Some(open) = pieces.iter().find(|p| p.kind == PieceKind::Open) {
        // The parser meets the open quote at the end of the text.
        let from = pieces.iter().filter(|p| p.kind == PieceKind::Semicolon && p.end <= open.start).map(|p| p.end).max();
        let fault = Fault::Syntax { message: message.to_owned(), at: open.start };
        return (from.unwrap_or(0), text.len(), fault);
    }
    for (start, end) in segments(text, pieces) {
        let first = start + leading(text, pieces, start);
        match failure(&text[start..end]) {
            None => {}
            Some(Failure::TooDeep) => {
                return (first, end, Fault::Foreign("a statement nested deeper than can be read".to_owned()));
            }
            Some(Failure::Syntax(message)) => {
                let at = start + offending(&text[start..end], &message);
                let fault = match text[at..].starts_with(':') {
                    true => Fault::Foreign("a variable of psql".to_owned()),
                    false => Fault::Syntax { message, at },
                };
                return (first, end, fault);
            }
        }
    }
    (0, text.len(), Fault::Syntax { message: message.to_owned(), at: 0 })
}

enum Failure {
    /// As PostgreSQL words it.
    Syntax(String),
    /// The tree is deeper than its decoder goes.
    TooDeep,
}

fn failure(sql: &str) -> Option<Failure> {
    match pg_query::parse(sql, 0) {
        Ok(_) => None,
        Err(pg_query::Error::Parse(message)) => Some(Failure::Syntax(message)),
        Err(pg_query::Error::Decode(_)) => Some(Failure::TooDeep),
        Err(error) => Some(Failure::Syntax(error.to_string())),
    }
}

/// The text cut at its semicolons, each with its end; parts of a routine's body stay together.
fn segments(text: &str, pieces: &[Piece]) -> Vec<(usize, usize)> {
    let mut segments = Vec::new();
    let mut start = 0;
    let ends = pieces.iter().filter(|p| p.kind == PieceKind::Semicolon).map(|p| p.end).chain([text.len()]);
    for end in ends {
        let sql = &text[start..end];
        let in_body = contains_word(sql, "atomic") && end < text.len() && failure(sql).is_some();
        if !in_body {
            segments.push((start, end));
            start = end;
        }
    }
    if start < text.len() {
        segments.push((start, text.len()));
    }
    segments
}

fn contains_word(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()))
}

/// Byte offset of the token at which the parser stops.
fn offending(sql: &str, message: &str) -> usize {
    let Ok(tokens) = pg_query::scan(sql) else { return 0 };
    let tokens: Vec<(usize, usize)> = tokens
        .tokens
        .iter()
        .filter(|t| !matches!(t.token(), pg_query::protobuf::Token::SqlComment | pg_query::protobuf::Token::CComment))
        .map(|t| (usize::try_from(t.start).unwrap_or(0), usize::try_from(t.end).unwrap_or(0)))
        .collect();
    if message.ends_with("at end of input") {
        return tokens.last().map_or(0, |t| t.1);
    }
    let fails = |count: usize| match failure(&sql[..tokens[count - 1].1]) {
        Some(Failure::Syntax(message)) => !message.ends_with("at end of input"),
        Some(Failure::TooDeep) | None => false,
    };
    let (mut good, mut bad) = (0, tokens.len());
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fails(middle) { bad = middle } else { good = middle }
    }
    bad.checked_sub(1).and_then(|i| tokens.get(i)).map_or(0, |t| t.0)
}

/// Bytes of white space and comments before the first word.
fn leading(text: &str, pieces: &[Piece], start: usize) -> usize {
    let mut at = start;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        match pieces.iter().find(|p| p.start == at && p.kind != PieceKind::Semicolon) {
            Some(comment) if comment.end > at => at = comment.end,
            _ => return at - start,
        }
    }
}

/// A message whose quoted text may run to the end of the file.
fn clipped(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    if first.chars().count() <= 120 && first.len() == message.len() {
        return message.to_owned();
    }
    first.chars().take(100).collect::<String>() + "…\""
}

fn hint(text: &str, offset: usize) -> &'static str {
    let rest = &text[offset..];
    if rest.starts_with("<<") || rest.starts_with("==") || rest.starts_with(">>") {
        return "that looks like a conflict that a merge has left: resolve it";
    }
    let line_start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
    match rest.as_bytes().first() {
        _ if text[line_start..].lines().next().is_some_and(|line| line.contains('`')) => {
            "PostgreSQL quotes identifiers with \"double quotes\""
        }
        Some(b':') => "psql's variables aren't filled in here: write the value",
        _ => "this is PostgreSQL's own parser: the server would refuse the whole file",
    }
}

/// An error at a place of a file, with the source line and a caret under the place.
pub(super) fn at(name: &str, text: &str, offset: usize, message: &str, hint: &str) -> Error {
    let (line, column) = line_and_column(&text[..offset]);
    let line_start = text[..offset].rfind('\n').map_or(0, |i| i + 1);
    let source: Vec<char> = text[line_start..].lines().next().unwrap_or_default().chars().collect();
    let from = (column - 1).saturating_sub(SHOWN);
    let to = (column - 1 + SHOWN).min(source.len());
    let shown = |range: &[char]| range.iter().map(|c| if c.is_control() { ' ' } else { *c }).collect::<String>();
    let before = shown(&source[from..(column - 1).min(source.len())]);
    let after = shown(&source[(column - 1).min(source.len())..to]);
    let indent = console::measure_text_width(&before);
    let line_text = format!("{before}{after}");
    hinted(
        anyhow!("{name}:{line}:{column}: {message}\n  {}\n  {}^", line_text.trim_end(), " ".repeat(indent)),
        hint.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::lexer::pieces;

    fn check(sql: &str, expected: &str) {
        let message = match pg_query::parse(sql, 0) {
            Ok(_) => panic!("{sql} parses"),
            Err(pg_query::Error::Parse(message)) => message,
            Err(error) => error.to_string(),
        };
        assert_eq!(syntax_error("m.sql", sql, &pieces(sql), &message).to_string(), expected);
    }

    #[test]
    fn the_caret_stands_under_the_token() {
        check(
            "SELECT 1;\n-- é\nSELECT 'é' FORM t WHERE x;\n",
            "m.sql:3:17: syntax error at or near \"t\"\n  SELECT 'é' FORM t WHERE x;\n                  ^",
        );
        check(
            "UPDATE t SET a = b WHERE a = 1 AND WHERE b = 2;",
            "m.sql:1:36: syntax error at or near \"WHERE\"\n  UPDATE t SET a = b WHERE a = 1 AND WHERE b = 2;\n  \
             \u{20}                                  ^",
        );
    }

    #[test]
    fn a_word_that_occurs_before_is_not_taken_for_the_place() {
        check(
            "SELECT a, b, FROM t, FROM u;",
            "m.sql:1:14: syntax error at or near \"FROM\"\n  SELECT a, b, FROM t, FROM u;\n               ^",
        );
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        check("SELECT (1", "m.sql:1:10: syntax error at end of input\n  SELECT (1\n           ^");
    }

    #[test]
    fn open_quotes_are_shown_where_they_open() {
        check("SELECT 1;\nSELECT 'a;\nSELECT 2;", "m.sql:2:8: unterminated quoted string\n  SELECT 'a;\n         ^");
        check("DO $a$ BEGIN", "m.sql:1:4: unterminated dollar-quoted string\n  DO $a$ BEGIN\n     ^");
    }

    #[test]
    fn statements_inside_a_routine_are_not_cut() {
        check(
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nSELEC 3;",
            "m.sql:2:1: syntax error at or near \"SELEC\"\n  SELEC 3;\n  ^",
        );
    }

    #[test]
    fn a_statement_too_deep_for_the_decoder_is_named() {
        let sql = format!("SELECT 1;\n-- long\nSELECT a{};", " || a".repeat(80));
        let error = syntax_error("m.sql", &sql, &pieces(&sql), "").to_string();
        assert!(error.starts_with("m.sql:3:1: the statement nests deeper"), "{error}");
    }
}
