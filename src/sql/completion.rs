//! Completion: what could stand at the cursor?
//!
//! Input: the text before the cursor and what the session knows. Output: where the word begins, and words to replace it by.
//! Invariant: nothing is offered inside a string or a comment. Left out: grammar; the word before decides what is likely.

use super::lexer::{self, TokenKind};
use crate::query::quote_identifier;

/// The shell's own commands, with what they take and do.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    (".format", "table|csv|json|markdown", "how results are written"),
    (".help", "", "this list"),
    (".named", "[NAME [PARAM=VALUE …]]", "the named questions, or the answer to one"),
    (".output", "[FILE]", "write the following results to FILE; without FILE, back to the screen"),
    (".quit", "", "leave (so does Ctrl-D)"),
    (".schema", "[TABLE]", "columns and their types"),
    (".tables", "", "tables and views"),
    (".timer", "on|off", "how long each statement takes"),
];

const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "ANTI",
    "ANY",
    "AS",
    "ASC",
    "ASOF",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLUMNS",
    "CREATE",
    "CROSS",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXCLUDE",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FILTER",
    "FIRST",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NATURAL",
    "NOT",
    "NULL",
    "NULLS",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PIVOT",
    "POSITIONAL",
    "QUALIFY",
    "RECURSIVE",
    "REPLACE",
    "RIGHT",
    "SELECT",
    "SEMI",
    "SET",
    "SHOW",
    "SUMMARIZE",
    "TABLE",
    "TABLES",
    "TEMP",
    "THEN",
    "TRUE",
    "UNION",
    "UNNEST",
    "UPDATE",
    "USING",
    "VALUES",
    "VARIABLE",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
];

/// Words after which a table is meant.
const BEFORE_TABLES: &[&str] =
    &["FROM", "JOIN", "INTO", "UPDATE", "DESCRIBE", "DESC", "SUMMARIZE", "TABLE", "PIVOT", "SHOW"];

/// What the session knows by name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Tables and views, each with its columns.
    pub relations: Vec<(String, Vec<String>)>,
    /// Named questions, each with its parameters.
    pub questions: Vec<(String, Vec<String>)>,
}

/// Where the word at the end of `text` begins, and what it may become.
pub fn complete(text: &str, names: &Names) -> (usize, Vec<String>) {
    if text.trim_start().starts_with('.') {
        return command(text, names);
    }
    let tokens = lexer::tokens(text);
    let inside = tokens.last().is_some_and(|t| {
        let line_comment = t.kind == TokenKind::Comment && !text[t.range.clone()].ends_with(['\n', '/']);
        line_comment || (t.unterminated && t.kind != TokenKind::QuotedName)
    });
    if inside {
        return (text.len(), vec![]);
    }
    let start = word_start(text);
    let word = &text[start..];
    let mut before = tokens.iter().rev().filter(|t| t.range.end <= start).map(|t| &text[t.range.clone()]);
    let (previous, owner) = (before.next().unwrap_or_default(), before.next().unwrap_or_default());
    let mut found = if previous == "." {
        columns(names, Some(owner))
    } else if BEFORE_TABLES.contains(&previous.to_ascii_uppercase().as_str()) {
        relations(names)
    } else if word.is_empty() {
        // After a space nearly anything may follow; only names are worth reading.
        [columns(names, None), relations(names)].concat()
    } else {
        [columns(names, None), relations(names), keywords(word)].concat()
    };
    found.retain(|name| starts_with(name, word));
    found.sort_by_key(|name| name.to_lowercase());
    found.dedup();
    (start, found)
}

fn command(text: &str, names: &Names) -> (usize, Vec<String>) {
    let start = text.rfind(char::is_whitespace).map_or(0, |i| i + 1);
    let word = &text[start..];
    let said: Vec<&str> = text[..start].split_whitespace().collect();
    let words = |all: &[&str]| -> Vec<String> { all.iter().map(|w| (*w).to_owned()).collect() };
    let mut found: Vec<String> = match said.as_slice() {
        [] => COMMANDS.iter().map(|(name, _, _)| (*name).to_owned()).collect(),
        [".format"] => words(&["table", "csv", "json", "markdown"]),
        [".timer"] => words(&["on", "off"]),
        [".schema"] => names.relations.iter().map(|(name, _)| name.clone()).collect(),
        [".named"] => names.questions.iter().map(|(name, _)| name.clone()).collect(),
        [".named", question, ..] => {
            let known = names.questions.iter().find(|(name, _)| name == question);
            known.map(|(_, params)| params.iter().map(|p| format!("{p}=")).collect()).unwrap_or_default()
        }
        _ => vec![],
    };
    found.retain(|name| starts_with(name, word));
    (start, found)
}

/// A word ends at what no name holds; an opening quote belongs to it.
fn word_start(text: &str) -> usize {
    let start = text
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
        .map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
    if text[..start].ends_with('"') && !text[..start - 1].ends_with('"') { start - 1 } else { start }
}

fn starts_with(name: &str, word: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('"').to_lowercase();
    bare(name).starts_with(&bare(word))
}

fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { quote_identifier(name) }
}

fn relations(names: &Names) -> Vec<String> {
    names.relations.iter().map(|(name, _)| quoted(name)).collect()
}

/// The columns of a relation; of all where the name is an alias, or there is none.
fn columns(names: &Names, owner: Option<&str>) -> Vec<String> {
    let owner = owner.map(|o| o.trim_matches('"').to_lowercase());
    let known = names.relations.iter().find(|(name, _)| owner.as_deref() == Some(&name.to_lowercase()));
    match known {
        Some((_, columns)) => columns.iter().map(|c| quoted(c)).collect(),
        None => names.relations.iter().flat_map(|(_, columns)| columns.iter().map(|c| quoted(c))).collect(),
    }
}

/// Keywords in the case the word is typed in.
fn keywords(word: &str) -> Vec<String> {
    let lower = word.chars().all(|c| c.is_lowercase());
    KEYWORDS.iter().map(|k| if lower { k.to_lowercase() } else { (*k).to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, start: usize, expected: &[&str]) {
        let columns = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<String>>();
        let names = Names {
            relations: vec![
                ("llama_logs".to_owned(), columns(&["id", "job_id", "status"])),
                ("Odd Name".to_owned(), columns(&["jobId"])),
            ],
            questions: vec![("retries".to_owned(), vec![]), ("timeline".to_owned(), vec!["entity".to_owned()])],
        };
        let (found_start, found) = complete(text, &names);
        assert_eq!(
            (found_start, found.iter().map(String::as_str).collect::<Vec<_>>()),
            (start, expected.to_vec()),
            "{text}"
        );
    }

    #[test]
    fn tables_come_after_from() {
        check("SELECT * FROM ll", 14, &["llama_logs"]);
        check("SELECT * FROM llama_logs JOIN ", 30, &["\"Odd Name\"", "llama_logs"]);
        check("SELECT * FROM \"Od", 14, &["\"Odd Name\""]);
    }

    #[test]
    fn columns_come_after_a_dot_and_elsewhere() {
        check("SELECT llama_logs.j", 18, &["job_id"]);
        check("SELECT l.job", 9, &["\"jobId\"", "job_id"]);
        check("SELECT stat", 7, &["status"]);
    }

    #[test]
    fn keywords_follow_the_case_of_the_word() {
        check("sel", 0, &["select"]);
        check("SEL", 0, &["SELECT"]);
        check("SELECT 1 -- sel", 15, &[]);
        check("SELECT 'sel", 11, &[]);
    }

    #[test]
    fn dot_commands_complete_what_they_take() {
        check(".t", 0, &[".tables", ".timer"]);
        check(".named ti", 7, &["timeline"]);
        check(".named timeline en", 16, &["entity="]);
        check(".format c", 8, &["csv"]);
    }
}
