//! Guard: may this statement run?
//!
//! Input: one statement. Output: what kind it is, or a refusal that says what to do instead. Invariant: nothing that writes a
//! file gets through, so that no SQL can change a snapshot. It is a list of what is allowed, not of what isn't: a statement the
//! next DuckDB invents is refused until someone has thought about it.
//!
//! The engine has a lock of its own ([`crate::snapshot::Snapshot::lock`]): no file but the snapshot's can be opened at all, and
//! no setting changed. That lock can't tell reading from writing, and `COPY … TO` one of the snapshot's own files is what this
//! module is for. `COPY` hides well: DuckDB 2.0 takes it inside `EXPLAIN ANALYZE` and as the body of a CTE.

use anyhow::{Error, Result, anyhow};

use super::lexer::{self, TokenKind};
use crate::ui::hinted;

/// What a permitted statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Returns rows.
    Query,
    /// Changes tables, views and variables in this session's memory.
    Memory,
    /// No statement of this engine: it may be prepared, for the parser's message about it, but not run.
    Unknown,
}

/// Decides about one statement.
///
/// # Errors
/// For a statement that could write a file, load code or change settings; the hint names the tool's own way.
pub fn permitted(statement: &str) -> Result<Effect> {
    let tokens = lexer::tokens(statement);
    let foreign_tag = |text: &str| text.starts_with('$') && !text.split('$').nth(1).unwrap_or_default().is_ascii();
    if tokens.iter().any(|t| t.kind == TokenKind::Text && foreign_tag(&statement[t.range.clone()])) {
        // The engine looks for exotic spaces by simpler rules than it reads tags by: such text could mean two things.
        return Err(hinted(anyhow!("a dollar-quoted string has a tag that isn't plain ASCII"), "use $$ or $tag$"));
    }
    let words: Vec<String> = tokens
        .iter()
        .filter(|t| matches!(t.kind, TokenKind::Word | TokenKind::Operator))
        .map(|t| statement[t.range.clone()].to_ascii_uppercase())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(copy) = words.iter().position(|w| *w == "COPY")
        && words[copy..].contains(&"TO")
    {
        return Err(refusal("COPY"));
    }
    effect(&words)
}

fn effect(words: &[&str]) -> Result<Effect> {
    let rest = words.get(1..).unwrap_or_default();
    match words.first().copied().unwrap_or_default() {
        "(" | "SELECT" | "WITH" | "FROM" | "VALUES" | "TABLE" | "PIVOT" | "UNPIVOT" | "SUMMARIZE" | "DESCRIBE"
        | "DESC" | "SHOW" => Ok(Effect::Query),
        "EXPLAIN" => explained(rest),
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "DROP" | "ALTER" | "BEGIN" | "START" | "COMMIT"
        | "END" | "ROLLBACK" | "ABORT" | "ANALYZE" | "COMMENT" => Ok(Effect::Memory),
        "CREATE" => {
            let modifier = |w: &&str| ["OR", "REPLACE", "TEMP", "TEMPORARY", "UNIQUE", "RECURSIVE"].contains(w);
            match rest.iter().find(|w| !modifier(w)).copied() {
                Some("TABLE" | "VIEW" | "MACRO" | "FUNCTION" | "TYPE" | "SCHEMA" | "SEQUENCE" | "INDEX") => {
                    Ok(Effect::Memory)
                }
                Some(other @ ("SECRET" | "PERSISTENT" | "TRIGGER" | "EXTENSION" | "EXTERNAL")) => {
                    Err(refusal(&format!("CREATE {other}")))
                }
                _ => Ok(Effect::Unknown),
            }
        }
        "SET" | "RESET" if rest.first() == Some(&"VARIABLE") => Ok(Effect::Memory),
        known if REFUSED.contains(&known) => Err(refusal(known)),
        _ => Ok(Effect::Unknown),
    }
}

/// `EXPLAIN [ANALYZE] [(options)] statement`; with ANALYZE it runs the statement.
fn explained(words: &[&str]) -> Result<Effect> {
    match words {
        ["ANALYZE" | "ANALYSE", rest @ ..] => explained(rest),
        ["(", inner, ..] if effect(&[inner]).is_ok_and(|e| e == Effect::Query) => Ok(Effect::Query),
        ["(", rest @ ..] => match rest.iter().position(|w| *w == ")") {
            Some(close) => explained(&rest[close + 1..]),
            None => Ok(Effect::Unknown),
        },
        _ => effect(words).map(|e| if e == Effect::Unknown { e } else { Effect::Query }),
    }
}

/// The engine's statements that are refused by name; anything on no list is left to its parser's message.
const REFUSED: &[&str] = &[
    "ATTACH",
    "CALL",
    "CHECKPOINT",
    "CONNECT",
    "COPY",
    "DEALLOCATE",
    "DETACH",
    "DISCONNECT",
    "EXECUTE",
    "EXPORT",
    "FORCE",
    "IMPORT",
    "INSTALL",
    "LOAD",
    "PRAGMA",
    "PREPARE",
    "RESET",
    "SET",
    "USE",
    "VACUUM",
];

fn refusal(statement: &str) -> Error {
    let (reason, hint) = match statement {
        "COPY" | "EXPORT" => (
            "it could write over a snapshot",
            "to keep a result, use --output FILE with --format csv, json or markdown, or --parquet FILE",
        ),
        "SET" | "RESET" | "PRAGMA" => (
            "the engine's settings are fixed while SQL from outside runs",
            "use --threads and --memory-limit; SET VARIABLE, DESCRIBE and SHOW TABLES work",
        ),
        "ATTACH" | "CONNECT" | "IMPORT" => (
            "the SQL reads one snapshot and the files allowed by --read",
            "name another snapshot on the command line, or allow a file with --read FILE and query it by its path",
        ),
        "PREPARE" | "EXECUTE" | "DEALLOCATE" => {
            ("statements run one at a time", "use SET VARIABLE and getvariable('name')")
        }
        _ => (
            "it does more than read the snapshot",
            "queries, and tables and views of your own in memory, are what runs here",
        ),
    };
    hinted(anyhow!("{statement} isn't allowed here: {reason}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: Option<Effect>) {
        assert_eq!(permitted(sql).ok(), expected, "{sql}");
    }

    #[test]
    fn queries_and_work_in_memory_pass() {
        for sql in ["SELECT 1", "/* c */ with x AS (SELECT 1) FROM x", "(SELECT 1)", "EXPLAIN (FORMAT json) SELECT 1"] {
            check(sql, Some(Effect::Query));
        }
        check("EXPLAIN (SELECT 1)", Some(Effect::Query));
        check("SELECT 'COPY x TO y', \"copy\" -- copy to", Some(Effect::Query));
        for sql in ["CREATE OR REPLACE TEMP TABLE t AS SELECT 1", "insert into t values (1)", "SET VARIABLE x = 1"] {
            check(sql, Some(Effect::Memory));
        }
        check("SELEC 1", Some(Effect::Unknown));
    }

    #[test]
    fn whatever_writes_or_loads_is_refused_wherever_it_hides() {
        for sql in [
            "COPY t TO 'x'",
            "copy (SELECT 1) to 'x'",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x'",
            "EXPLAIN (ANALYZE) COPY (SELECT 1) TO 'x'",
            "WITH a AS (COPY (SELECT 1) TO 'x') SELECT 1",
            "CREATE TABLE t AS COPY (SELECT 1) TO 'x'",
            "PREPARE p AS COPY (SELECT 1) TO 'x'",
            "EXPORT DATABASE 'x'",
            "EXPLAIN ANALYZE LOAD x",
            "ATTACH 'x'",
            "SET threads = 1",
            "PRAGMA enable_profiling",
            "CREATE PERSISTENT SECRET s (TYPE http)",
            "SELECT $\u{e9}$ ' $\u{e9}$",
        ] {
            check(sql, None);
        }
    }
}
