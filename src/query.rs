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
    /// Columns of the log in physical order.
    GROWTH_COLUMNS = "duckdb/growth/columns";
    /// Histogram of rows per album.
    GROWTH_ROWS_PER_ALBUM = "duckdb/growth/rows_per_album";
    /// Rows by day.
    GROWTH_ROWS_PER_DAY = "duckdb/growth/rows_per_day";
    /// Job, parent and stored root of each row.
    ROOTS_EDGES = "duckdb/roots/edges";
    /// Every row by id, with its job and parent.
    ROOTS_ROWS = "duckdb/roots/rows";
    /// A few rows of each of the given classes of rows.
    ROOTS_SAMPLES = "duckdb/roots/samples";
    /// Named question: rows by what triggered them.
    SQL_ACTIVITY_BY_TRIGGER = "duckdb/sql/activity-by-trigger";
    /// Named question: albums whose tracks have no rows.
    SQL_ALBUMS_WITHOUT_TRACK_LOGS = "duckdb/sql/albums-without-track-logs";
    /// Named question: calls to other services by day.
    SQL_API_CALLS_BY_DAY = "duckdb/sql/api-calls-by-day";
    /// Named question: jobs by rows.
    SQL_BUSIEST_JOBS = "duckdb/sql/busiest-jobs";
    /// Named question: corrections by hand.
    SQL_CORRECTIONS = "duckdb/sql/corrections";
    /// Named question: entities with several creations.
    SQL_CREATED_TWICE = "duckdb/sql/created-twice";
    /// Named question: failures by error code.
    SQL_FAILURES_BY_ERROR_CODE = "duckdb/sql/failures-by-error-code";
    /// Named question: fields filled in.
    SQL_FIELDS_ENRICHED = "duckdb/sql/fields-enriched";
    /// Named question: first creation per entity.
    SQL_FIRST_CREATED = "duckdb/sql/first-created";
    /// Named question: first link per entity.
    SQL_FIRST_LINKED = "duckdb/sql/first-linked";
    /// Named question: links without a creation.
    SQL_LINKED_NEVER_CREATED = "duckdb/sql/linked-never-created";
    /// Named question: creations without enrichment.
    SQL_NEVER_ENRICHED = "duckdb/sql/never-enriched";
    /// Named question: rows without a job by month.
    SQL_ORPHANS_BY_MONTH = "duckdb/sql/orphans-by-month";
    /// Named question: data quality before and after.
    SQL_QUALITY_CHANGES = "duckdb/sql/quality-changes";
    /// Named question: retries by operation.
    SQL_RETRIES = "duckdb/sql/retries";
    /// Named question: rows by day.
    SQL_ROWS_BY_DAY = "duckdb/sql/rows-by-day";
    /// Named question: operations by duration.
    SQL_SLOWEST_OPERATIONS = "duckdb/sql/slowest-operations";
    /// Named question: sources asked by operation.
    SQL_SOURCES_BY_OPERATION = "duckdb/sql/sources-by-operation";
    /// Named question: how operations end.
    SQL_STATUS_BY_OPERATION = "duckdb/sql/status-by-operation";
    /// Named question: entities whose latest row failed.
    SQL_STILL_FAILING = "duckdb/sql/still-failing";
    /// Named question: the history of one entity.
    SQL_TIMELINE = "duckdb/sql/timeline";
    /// Who serves the transaction.
    EXPORT_BACKEND = "postgres/export/backend";
    /// Begins the transaction of an export.
    EXPORT_BEGIN = "postgres/export/begin";
    /// Settings that decide about pages and write-ahead log.
    EXPORT_CAPACITY_SETTINGS = "postgres/export/capacity_settings";
    /// Columns of a relation.
    EXPORT_COLUMNS = "postgres/export/columns";
    /// Constraints of a relation.
    EXPORT_CONSTRAINTS = "postgres/export/constraints";
    /// Ends the transaction that looks names up.
    EXPORT_END = "postgres/export/end";
    /// Enums of some relations.
    EXPORT_ENUMS = "postgres/export/enums";
    /// Files of a relation, and how they can be read.
    EXPORT_EXTENT = "postgres/export/extent";
    /// How long the transaction held back the removal of dead rows.
    EXPORT_HORIZON = "postgres/export/horizon";
    /// Indexes of a relation.
    EXPORT_INDEXES = "postgres/export/indexes";
    /// Doesn't queue behind a migration.
    EXPORT_LOCK_TIMEOUT = "postgres/export/lock_timeout";
    /// Place in the write-ahead log.
    EXPORT_LSN = "postgres/export/lsn";
    /// Statements take as long as they need.
    EXPORT_NO_TIMEOUT = "postgres/export/no_timeout";
    /// How long a question to the catalog may take.
    EXPORT_PATIENCE = "postgres/export/patience";
    /// How a relation lies on the disk.
    EXPORT_PHYSICAL = "postgres/export/physical";
    /// One relation by its exact name.
    EXPORT_RELATION = "postgres/export/relation";
    /// Everything a table's name may mean.
    EXPORT_RELATIONS = "postgres/export/relations";
    /// Readers that hold back the write-ahead log.
    EXPORT_REPLICATION_SLOTS = "postgres/export/replication_slots";
    /// Tables that were truncated or rewritten since the snapshot.
    EXPORT_REWRITTEN = "postgres/export/rewritten";
    /// After a statement that was refused.
    EXPORT_ROLLBACK_TO_SAVEPOINT = "postgres/export/rollback_to_savepoint";
    /// Before a statement that may be refused.
    EXPORT_SAVEPOINT = "postgres/export/savepoint";
    /// The server and its snapshot.
    EXPORT_SERVER = "postgres/export/server";
    /// Settings that the transaction's answers depend on.
    EXPORT_SETTINGS = "postgres/export/settings";
    /// Names the snapshot for other connections.
    EXPORT_SHARE_SNAPSHOT = "postgres/export/share_snapshot";
    /// Bytes of a relation.
    EXPORT_SIZES = "postgres/export/sizes";
    /// The recursive backfill as it was applied.
    ROOTS_BACKFILL_APPLIED = "postgres/roots/backfill_applied";
    /// The recursive backfill of Example 3.
    ROOTS_BACKFILL_EXAMPLE_3 = "postgres/roots/backfill_example_3";
    /// The recursive backfill of Pattern 2.
    ROOTS_BACKFILL_PATTERN_2 = "postgres/roots/backfill_pattern_2";
    /// The backfill's first statement, in all forms: rows with a job and no parent.
    ROOTS_BACKFILL_ROOT_ROWS = "postgres/roots/backfill_root_rows";
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
