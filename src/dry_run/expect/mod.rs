//! The contract: what must a migration do, in a file kept beside it in git?
//!
//! Input: `expect.toml` and the migration it is about; the figures of a rehearsal. Output: [`ExpectationReport`]s, one an expected
//! figure. Invariants: unknown keys and unknown statements are refused when the file is read, because a misspelt expectation would
//! never fail; a figure that can't be told is never right. What comments promise is judged by the same rules.
//! Left out: why a figure differs (the analysis knows its data).
//!
//! ```toml
//! [counts]                                   # one number each, asked after the migration, in PostgreSQL's SQL
//! filled = { sql = "SELECT count(*) FROM llama_logs WHERE root_job_id IS NOT NULL", equals = 1567 }
//!
//! [statements]                               # by position, by file:line, or by migration/position
//! "4" = { rows = 1537 }
//! "migration.sql:22" = { changed = 30, verdict = "executed" }
//!
//! [queries.no-orphans]                       # returns = "no rows", or rows = 3, or value = 15
//! sql = "SELECT id FROM llama_logs WHERE root_job_id IS NULL"
//! returns = "no rows"
//!
//! [distribution.llama_logs.category]         # every value of a column, with its rows; NULL is "NULL"
//! ENRICHED = 3770
//! ```

mod evaluate;
mod parse;
mod promised;
mod write;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::report::{StatementReport, Verdict};
use crate::catalog::Outcome;
use crate::migration::Migration;
use crate::query::quote_identifier;

pub(super) use evaluate::whole;
pub use promised::promised;

/// A row by column name, as reports show it.
pub type Row = Map<String, Value>;

/// What a rehearsal can be asked after it ended.
pub trait Figures {
    /// The rows of a PostgreSQL query on the tables as the migration leaves them.
    ///
    /// # Errors
    /// What the server would refuse, or what can't be told here.
    fn query(&mut self, sql: &str) -> Outcome<Vec<Row>>;

    /// The statements, in order: the report of statement `n` stands at `n - 1`.
    fn statements(&self) -> &[StatementReport];

    /// The first row that a query of the migration gave, when it ran.
    fn first_row(&self, statement: usize) -> Option<Row> {
        self.statements().get(statement.checked_sub(1)?)?.rows.first().cloned()
    }

    /// Every value of a column with its rows, as text; NULL as nothing.
    ///
    /// # Errors
    /// As [`Figures::query`].
    fn distribution(&mut self, table: &str, column: &str) -> Outcome<Vec<(Option<String>, u64)>> {
        let table: Vec<String> = table.split('.').map(quote_identifier).collect();
        let column = quote_identifier(column);
        let sql = format!(
            "SELECT {column}::text AS value, count(*) AS rows FROM {} GROUP BY {column}::text ORDER BY 1",
            table.join(".")
        );
        let rows = self.query(&sql)?;
        Ok(rows
            .iter()
            .map(|row| {
                let value = row.get("value").and_then(Value::as_str).map(str::to_owned);
                (value, row.get("rows").and_then(evaluate::whole).and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
            })
            .collect())
    }
}

/// Everything that is expected of a migration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contract {
    /// The file, as the user named it.
    pub file: String,
    /// In the order of the file.
    pub expectations: Vec<Expectation>,
}

/// One thing that is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// What the user calls it.
    pub name: String,
    /// Line in the contract, from 1.
    pub line: usize,
    /// What is demanded.
    pub demand: Demand,
}

/// What is demanded.
#[derive(Debug, Clone, PartialEq)]
pub enum Demand {
    /// A query gives this number.
    Count {
        /// PostgreSQL's SQL.
        sql: String,
        /// The number.
        equals: i64,
    },
    /// A statement touches this many rows.
    Rows {
        /// The statement as the contract names it.
        reference: String,
        /// Its [`crate::migration::Statement::index`].
        statement: usize,
        /// Which figure.
        figure: Figure,
        /// The rows.
        equals: u64,
    },
    /// A statement ends like this.
    Verdict {
        /// The statement as the contract names it.
        reference: String,
        /// Its [`crate::migration::Statement::index`].
        statement: usize,
        /// The verdict.
        equals: Verdict,
    },
    /// A query gives this.
    Query {
        /// PostgreSQL's SQL.
        sql: String,
        /// What it gives.
        returns: Returns,
    },
    /// A column holds this value in so many rows.
    Share {
        /// The table, with its schema where that isn't `public`.
        table: String,
        /// The column.
        column: String,
        /// The value as text; nothing is NULL.
        value: Option<String>,
        /// The rows.
        equals: u64,
    },
    /// A column holds no other values than these.
    NothingElse {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The values that have expectations of their own.
        known: Vec<Option<String>>,
    },
}

/// Figures of a statement that a contract can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// What `psql` would print.
    Rows,
    /// Rows whose values change.
    Changed,
    /// Rows written with the values they had.
    Unchanged,
    /// Rows that come in.
    Inserted,
    /// Rows that go.
    Deleted,
    /// Rows of other tables that referential actions touch.
    Cascaded,
}

/// What a query must give.
#[derive(Debug, Clone, PartialEq)]
pub enum Returns {
    /// Nothing.
    NoRows,
    /// So many rows.
    Rows(u64),
    /// One row with one value.
    Value(Value),
}

impl Figure {
    const ALL: [Figure; 6] =
        [Figure::Rows, Figure::Changed, Figure::Unchanged, Figure::Inserted, Figure::Deleted, Figure::Cascaded];

    /// Its key in a contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Figure::Rows => "rows",
            Figure::Changed => "changed",
            Figure::Unchanged => "unchanged",
            Figure::Inserted => "inserted",
            Figure::Deleted => "deleted",
            Figure::Cascaded => "cascaded",
        }
    }

    /// The figure of a statement, where it has one.
    pub fn of(self, statement: &StatementReport) -> Option<u64> {
        match self {
            Figure::Rows => statement.rows_affected,
            Figure::Changed => statement.rows_changed,
            Figure::Unchanged => statement.rows_unchanged,
            Figure::Inserted => statement.rows_inserted,
            Figure::Deleted => statement.rows_deleted,
            Figure::Cascaded => statement.rows_cascaded,
        }
    }
}

const VERDICTS: [(&str, Verdict); 6] = [
    ("executed", Verdict::Executed),
    ("catalog", Verdict::Catalog),
    ("checked", Verdict::Checked),
    ("failed", Verdict::Failed),
    ("unsupported", Verdict::Unsupported),
    ("not-reached", Verdict::NotReached),
];

fn verdict_name(verdict: Verdict) -> &'static str {
    VERDICTS.iter().find(|(_, v)| *v == verdict).map_or("", |(name, _)| name)
}

impl Contract {
    /// Reads a contract for a migration.
    ///
    /// # Errors
    /// A file that can't be read, isn't valid, or names a statement that the migration hasn't.
    pub fn read(path: &Path, migration: &Migration) -> Result<Contract> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading the contract {}", path.display()))?;
        Contract::parse(&path.display().to_string(), &text, migration)
    }
}

/// A rehearsal made of fixed answers.
#[cfg(test)]
#[derive(Default)]
struct Fake {
    statements: Vec<StatementReport>,
    answers: std::collections::BTreeMap<String, Outcome<Vec<Row>>>,
}

#[cfg(test)]
impl Fake {
    fn answer(mut self, sql: &str, rows: Value) -> Fake {
        let rows = rows.as_array().expect("a list of rows");
        let rows = rows.iter().map(|row| row.as_object().expect("a row").clone()).collect();
        self.answers.insert(sql.to_owned(), Ok(rows));
        self
    }
}

#[cfg(test)]
impl Figures for Fake {
    fn query(&mut self, sql: &str) -> Outcome<Vec<Row>> {
        self.answers.get(sql).cloned().unwrap_or_else(|| Err(crate::catalog::Problem::unsupported(format!("`{sql}`"))))
    }

    fn statements(&self) -> &[StatementReport] {
        &self.statements
    }
}
