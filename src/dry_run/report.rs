//! What a dry run reports: the JSON contract of `rehearsal dry-run`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::classify::ClassifyReport;
use crate::report::Finding;
use crate::roots::RootsReport;

/// A rehearsed migration.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DryRunReport {
    /// Files in the order they ran.
    pub files: Vec<FileReport>,
    /// Every statement.
    pub statements: Vec<StatementReport>,
    /// Expected and predicted figures.
    pub expectations: Vec<ExpectationReport>,
    /// What the migration does to the schema.
    pub schema_delta: SchemaDelta,
    /// The schema at the end; absent but for a history rehearsed from an empty database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaReport>,
    /// How that schema differs from a snapshot's; absent without `--drift`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftReport>,
    /// Rows of every table before and after.
    pub tables: Vec<TableReport>,
    /// Which lock each transaction holds on which table, from which statement to which.
    pub locks: Vec<LockSpan>,
    /// Runs of UPDATEs that are a ladder, classified as a whole.
    pub ladders: Vec<LadderReport>,
    /// Recursive walks up a chain of parents, beside the truth.
    pub walks: Vec<WalkReport>,
    /// What the roll-back leaves different; absent without `--rollback`.
    pub rollback: Option<RollbackReport>,
    /// Results of `--check`.
    pub checks: Vec<CheckReport>,
    /// Rows where `--compare`'s migration ends differently; absent without it.
    pub comparison: Option<ComparisonReport>,
    /// What the user should know.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// A contract of what happened, where one was asked for.
    #[serde(skip)]
    pub contract: Option<String>,
}

/// One file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct FileReport {
    /// Path, or `-`.
    pub file: String,
    /// The migration's name.
    pub migration: String,
    /// Statements in it.
    pub statements: u64,
    /// What becomes of its transaction: `committed`, `rolled back`, `not reached`.
    pub transaction: String,
}

/// How a statement fared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Ran on the rows.
    Executed,
    /// Changed the catalog only.
    Catalog,
    /// Changed the catalog, and its demand was verified on the rows.
    Checked,
    /// The server refuses it.
    Failed,
    /// What the server would do can't be told here.
    Unsupported,
    /// An earlier statement failed.
    #[default]
    NotReached,
}

/// One statement.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StatementReport {
    /// Position among all statements, from 1.
    pub index: usize,
    /// Its file.
    pub file: String,
    /// First line, from 1.
    pub line: usize,
    /// First column, from 1.
    pub column: usize,
    /// Last line.
    pub end_line: usize,
    /// What it is: `UPDATE`, `CREATE INDEX` …
    pub kind: String,
    /// Its text.
    pub sql: String,
    /// How it fared.
    pub verdict: Verdict,
    /// It ran, and a later failure of its transaction took it back.
    pub rolled_back: bool,
    /// Why it failed; absent otherwise.
    pub error: Option<ErrorReport>,
    /// Why it can't be told; absent otherwise.
    pub unsupported: Option<UnsupportedReport>,
    /// The table it is about.
    pub table: Option<String>,
    /// The command tag's row count: what `psql` would print. Absent for statements without one.
    pub rows_affected: Option<u64>,
    /// Rows whose values changed.
    pub rows_changed: Option<u64>,
    /// Rows written with the values they had.
    pub rows_unchanged: Option<u64>,
    /// Rows that came in.
    pub rows_inserted: Option<u64>,
    /// Rows that went.
    pub rows_deleted: Option<u64>,
    /// Rows changed or deleted in other tables by referential actions.
    pub rows_cascaded: Option<u64>,
    /// Rows whose new value is up to the server's plan.
    pub plan_dependent_rows: u64,
    /// Rows it would affect without its demand that a column it sets is NULL; absent where it makes none.
    pub unguarded_rows: Option<u64>,
    /// Written columns before and after.
    pub columns: Vec<ColumnChange>,
    /// Rows that an earlier statement of the migration had written, by column and statement.
    pub overlaps: Vec<Overlap>,
    /// Sample rows: key, and for each written column the old and the new value.
    pub samples: Vec<Map<String, Value>>,
    /// A query's rows, up to the number of samples.
    pub rows: Vec<Map<String, Value>>,
    /// Lock it takes, by table: (`public.llama_logs`, `ACCESS EXCLUSIVE`).
    pub locks: Vec<(String, String)>,
    /// Remarks in whole sentences.
    pub notes: Vec<String>,
    /// Milliseconds it took here.
    pub elapsed_ms: f64,
    /// The roots report of a walk, on its way to [`DryRunReport::walks`].
    #[serde(skip)]
    pub walk: Option<RootsReport>,
}

/// An error of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorReport {
    /// e.g. `42703`.
    pub sqlstate: String,
    /// The server's message.
    pub message: String,
    /// Its DETAIL.
    pub detail: Option<String>,
    /// The way out.
    pub hint: Option<String>,
    /// Line in the file, where known.
    pub line: Option<usize>,
    /// Column in characters, where known.
    pub column: Option<usize>,
    /// The migration raises it itself: its author's own check stops it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// Rows that cause it.
    pub rows: Option<u64>,
    /// Some of them.
    pub samples: Vec<Map<String, Value>>,
}

/// A statement that can't be rehearsed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UnsupportedReport {
    /// What can't be read.
    pub what: String,
    /// Tables whose rows are unreliable from here on.
    pub tables: Vec<String>,
    /// Later statements that depend on it.
    pub dependents: Vec<usize>,
}

/// A written column before and after a statement, over the whole table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ColumnChange {
    /// Its name.
    pub column: String,
    /// NULLs before.
    pub nulls_before: u64,
    /// NULLs after.
    pub nulls_after: u64,
    /// Most frequent values before, with their rows; NULL as null.
    pub before: Vec<(Value, u64)>,
    /// Most frequent values after.
    pub after: Vec<(Value, u64)>,
}

/// Rows that an earlier statement had written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The column.
    pub column: String,
    /// The earlier statement.
    pub statement: usize,
    /// Rows of this statement that it had written last.
    pub rows: u64,
    /// Of those, rows whose value this statement changes.
    pub overridden_rows: u64,
}

/// An expected figure beside the predicted one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ExpectationReport {
    /// Its name.
    pub name: String,
    /// Where it is written: `expect.toml:12`, `migration.sql:63`.
    pub source: String,
    /// What was expected; a number, or `no rows`.
    pub expected: Value,
    /// What the rehearsal gives; null where it could not be told.
    pub predicted: Value,
    /// predicted − expected, for numbers.
    pub difference: Option<i64>,
    /// They agree.
    pub ok: bool,
    /// What accounts for the difference.
    pub cause: Option<String>,
}

/// Rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableReport {
    /// Its name, with its schema where that isn't `public`.
    pub table: String,
    /// Rows before; absent for a new table.
    pub rows_before: Option<u64>,
    /// Rows after; absent for a dropped table.
    pub rows_after: Option<u64>,
    /// A statement that couldn't be rehearsed writes it, so its rows can't be told.
    pub unreliable: bool,
}

/// What a migration does to the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaDelta {
    /// Tables before.
    pub tables_before: u64,
    /// Tables after.
    pub tables_after: u64,
    /// What came, went or changed, sorted by kind and name.
    pub changes: Vec<SchemaChange>,
    /// New indexes by kind: `foreign key`, `temporal`, `lookup`, `composite`, `unique`, `partial`, `expression`, `primary key`.
    pub new_indexes: Vec<(String, u64)>,
    /// New foreign keys by ON DELETE action.
    pub new_foreign_keys: Vec<(String, u64)>,
}

/// One change of the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SchemaChange {
    /// `table`, `column`, `enum`, `index`, `constraint`, `view`, `sequence`, `function`, `trigger`, `extension`, `comment`.
    pub object: String,
    /// `added`, `dropped`, `renamed`, `changed`.
    pub change: String,
    /// Its name, qualified by its table where it has one.
    pub name: String,
    /// What changed, in a few words: `uuid → text`, `was enrichment_logs`.
    pub detail: String,
}

/// A lock, from the statement that takes it to the end of its transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LockSpan {
    /// The table.
    pub table: String,
    /// The strongest mode held: `ACCESS EXCLUSIVE` …
    pub mode: String,
    /// What the mode blocks: `reads and writes`, `writes`, `schema changes`.
    pub blocks: String,
    /// Statement that takes it.
    pub from_statement: usize,
    /// Last statement of the transaction.
    pub to_statement: usize,
    /// Rows written by statements while it is held.
    pub rows_written_meanwhile: u64,
}

/// A run of UPDATEs of one column, read as a ladder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LadderReport {
    /// The table, as the snapshot names it.
    pub table: String,
    /// The column it fills.
    pub column: String,
    /// The statements, in order.
    pub statements: Vec<usize>,
    /// What each rule matches and wins. Rules are named by their line.
    pub classification: ClassifyReport,
    /// Its findings, each at its statement.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// A recursive walk up a chain of parents, beside the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WalkReport {
    /// The table, as the snapshot names it.
    pub table: String,
    /// The column it fills.
    pub column: String,
    /// The statement.
    pub statement: usize,
    /// Replay and oracle.
    pub roots: RootsReport,
    /// Its findings, at the statement.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// What the roll-back leaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RollbackReport {
    /// The file.
    pub file: String,
    /// Its statements.
    pub statements: Vec<StatementReport>,
    /// Everything is as it was.
    pub restored: bool,
    /// What isn't: schema changes that remain.
    pub schema: Vec<SchemaChange>,
    /// Tables whose rows differ: name, rows missing, rows too many or different.
    pub tables: Vec<TableDifference>,
}

/// Rows of a table that differ between two states.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableDifference {
    /// Its name.
    pub table: String,
    /// Rows only the first state has (by key, or as a whole where there is none).
    pub only_before: u64,
    /// Rows only the second state has.
    pub only_after: u64,
    /// Rows both have, with different values.
    pub differing: u64,
    /// Differing rows by column.
    pub columns: Vec<(String, u64)>,
    /// Some of them.
    pub samples: Vec<Map<String, Value>>,
}

/// One validation query.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckReport {
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// Its name: the comment above it, or its text.
    pub name: String,
    /// Its rows, up to the number of samples.
    pub rows: Vec<Map<String, Value>>,
    /// How many rows it has.
    pub row_count: u64,
    /// The rule it is judged by: `no rows`, `expected total_tables=15, new_tables=7`, `true`, `shown only`.
    pub rule: String,
    /// It passes; absent where nothing says what to expect.
    pub ok: Option<bool>,
    /// What it gives instead, as the rule reads it: `3 rows`, `total_tables=14, new_tables=7`; absent where it passes.
    pub cause: Option<String>,
    /// Why it couldn't be run.
    pub error: Option<ErrorReport>,
}

/// Two versions of a migration, compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ComparisonReport {
    /// The other version.
    pub other: String,
    /// Schema changes from this version's end to the other's.
    pub schema: Vec<SchemaChange>,
    /// Tables that end differently.
    pub tables: Vec<TableDifference>,
    /// Statements of the other version that failed or couldn't be told.
    pub problems: Vec<StatementReport>,
}

/// A schema: what a history ends in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaReport {
    /// Tables and materialized views, by name.
    pub tables: Vec<TableSchema>,
    /// Enum types, by name.
    pub enums: Vec<EnumReport>,
    /// Views, by name.
    pub views: Vec<DefinitionReport>,
    /// Sequences, by name.
    pub sequences: Vec<SequenceReport>,
}

/// A table of a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableSchema {
    /// Its name, with its schema where that isn't `public`, quoted where it must be.
    pub name: String,
    /// `table` or `materialized view`.
    pub kind: String,
    /// Its columns, in order.
    pub columns: Vec<ColumnReport>,
    /// Its constraints, by name.
    pub constraints: Vec<DefinitionReport>,
    /// Its indexes, those behind constraints included, by name.
    pub indexes: Vec<DefinitionReport>,
    /// The statement that made it: `3_b/migration.sql:12`.
    pub made_by: Option<String>,
}

/// A column of a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ColumnReport {
    /// Its name.
    pub name: String,
    /// Its type, as `format_type` writes it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// NULL is refused.
    pub not_null: bool,
    /// Its default, as its statement wrote it.
    pub default: Option<String>,
    /// The expression it is generated from.
    pub generated: Option<String>,
    /// `ALWAYS` or `BY DEFAULT`, for an identity column.
    pub identity: Option<String>,
}

/// An object with its definition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DefinitionReport {
    /// Its name.
    pub name: String,
    /// Its definition.
    pub definition: String,
    /// The statement that made it, where the table doesn't say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
}

/// An enum type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EnumReport {
    /// Its name.
    pub name: String,
    /// Its labels, in sort order.
    pub labels: Vec<String>,
}

/// A sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SequenceReport {
    /// Its name.
    pub name: String,
    /// The column that owns it: `t.id`.
    pub owner: Option<String>,
}

/// How the schema at the end differs from a snapshot's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    /// The snapshot.
    pub snapshot: String,
    /// All that could be compared is the same.
    pub equal: bool,
    /// Tables compared.
    pub tables_compared: u64,
    /// What differs, by table.
    pub differences: Vec<DriftDifference>,
    /// What couldn't be compared, in whole sentences.
    pub not_compared: Vec<String>,
}

/// One difference between the migrations and a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DriftDifference {
    /// `table`, `column`, `constraint`, `index`, `enum`.
    pub object: String,
    /// Its name, behind its table's where it has one.
    pub name: String,
    /// The table it belongs to; its own name for a table or an enum.
    pub table: String,
    /// `only in the migrations`, `only in the snapshot`, `different`.
    pub change: String,
    /// What the migrations make.
    pub ours: Option<String>,
    /// What the snapshot has.
    pub theirs: Option<String>,
    /// The statement that made ours.
    pub statement: Option<usize>,
    /// Its file.
    pub file: Option<String>,
    /// Its line.
    pub line: Option<usize>,
}
