//! The registry of embedded SQL, and the only place that quotes an identifier or a literal.
//!
//! Input: the files under `queries/`, embedded at build. Output: [`Query`] values and typed rows.
//! Invariants: one statement a file; each file opens with the fixed header (title, `params`, `returns`, `order`); values are
//! bound, never pasted. Names of tables and columns never appear in a query either: every query reads the view `log`, which
//! [`crate::snapshot::Snapshot::open_log`] lays over the user's table under canonical column names.

use anyhow::{Context, Result, anyhow};
use duckdb::{Connection, Params, Row};

/// One SQL statement of the tool.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Path below `queries/`, without the ending: `<engine>/<analysis>/<question>`.
    pub path: &'static str,
    /// The whole file, header included.
    pub text: &'static str,
}

macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* pub const $name: Query = Query { path: $path, text: include_str!(concat!("../queries/", $path, ".sql")) };)*
        /// Every query, in the order of registration.
        pub const ALL: &[Query] = &[$($name),*];
    };
}

queries! {
    /// The youngest row of each of the given (job, parent) pairs.
    CYCLES_EDGE_AGES = "duckdb/cycles/edge_ages";
    /// Rows for each distinct combination of job, parent and stored root.
    ROOTS_EDGES = "duckdb/roots/edges";
    /// A few rows of each of the given classes of rows.
    ROOTS_SAMPLES = "duckdb/roots/samples";
    /// Every row with its outcome.
    ROOTS_ROWS = "duckdb/roots/rows";
    /// The backfill's first statement, in all forms: rows with a job and no parent.
    ROOTS_BACKFILL_ROOT_ROWS = "postgres/roots/backfill_root_rows";
    /// The recursive backfill as it was applied.
    ROOTS_BACKFILL_APPLIED = "postgres/roots/backfill_applied";
    /// The recursive backfill of Example 3.
    ROOTS_BACKFILL_EXAMPLE_3 = "postgres/roots/backfill_example_3";
    /// The recursive backfill of Pattern 2.
    ROOTS_BACKFILL_PATTERN_2 = "postgres/roots/backfill_pattern_2";
}

impl Query {
    /// The question it answers: the first comment line.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().and_then(|line| line.strip_prefix("-- ")).unwrap_or(self.path)
    }

    /// A header field (`params`, `returns`, `order`), or `None` where the file lacks it.
    pub fn header(&self, field: &str) -> Option<&'static str> {
        self.text
            .lines()
            .take_while(|line| line.starts_with("--"))
            .find_map(|line| line.strip_prefix("-- ")?.strip_prefix(field)?.strip_prefix(": "))
    }

    /// Runs the query in DuckDB and decodes each row by column name.
    ///
    /// # Errors
    /// When DuckDB refuses the statement, or a column is missing, NULL or of another type than `decode` reads.
    pub fn fetch<T>(
        &self,
        connection: &Connection,
        params: impl Params,
        mut decode: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<Vec<T>> {
        let run = || -> duckdb::Result<Vec<T>> {
            let mut statement = connection.prepare(self.text)?;
            let mut rows = statement.query(params)?;
            let mut decoded = Vec::new();
            while let Some(row) = rows.next()? {
                decoded.push(decode(row)?);
            }
            Ok(decoded)
        };
        run().with_context(|| format!("running the query {}", self.path))
    }

    /// Runs a query that returns exactly one row.
    ///
    /// # Errors
    /// As [`Query::fetch`]; also when there is no row or more than one.
    pub fn fetch_one<T>(
        &self,
        connection: &Connection,
        params: impl Params,
        decode: impl FnMut(&Row<'_>) -> duckdb::Result<T>,
    ) -> Result<T> {
        let mut rows = self.fetch(connection, params, decode)?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(anyhow!("the query {} didn't return exactly one row", self.path)),
        }
    }
}

/// Quotes a name for PostgreSQL and DuckDB alike: `my"col` -> `"my""col"`.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a string literal for PostgreSQL (standard_conforming_strings) and DuckDB alike.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive_quoting() {
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote_literal("O'Hara"), "'O''Hara'");
    }

    #[test]
    fn every_query_has_its_header() {
        for query in ALL {
            assert!(query.text.starts_with("-- "), "{}: no title", query.path);
            for field in ["params", "returns", "order"] {
                assert!(query.header(field).is_some(), "{}: header field {field} is missing", query.path);
            }
        }
    }
}
