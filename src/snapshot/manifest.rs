//! The manifest: everything about a snapshot that its Parquet files don't say.
//!
//! Input and output: `manifest.json`. Invariants: it is written last and describes only files that exist; types are written as
//! PostgreSQL's `format_type()` writes them; vectors keep the server's order (columns by attnum, enum labels by sort order).
//! The JSON is a public contract, versioned by `format_version`.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::certificate::Content;
use super::physical::{Capacity, Physical, Run};
use super::types::PgType;

/// Name of the file inside a snapshot folder. A folder without it isn't a snapshot.
pub const FILE_NAME: &str = "manifest.json";
/// Version of the manifest's own layout.
pub const FORMAT_VERSION: u32 = 1;
/// The layout of a manifest whose columns may be carried as text: a reader that doesn't know it would take them for their type.
pub const FORMAT_VERSION_WITH_TEXT: u32 = 2;

/// What a snapshot holds and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of the tool that wrote it.
    pub tool_version: String,
    /// First 16 hexadecimal digits of the SHA-256 over all file hashes: the content's name.
    pub id: String,
    /// When the server's snapshot was taken (RFC 3339, UTC); for synthetic data the time that its rows end.
    pub captured_at: String,
    /// Where it came from.
    pub source: Source,
    /// Enums that columns use, by name.
    pub enums: Vec<EnumType>,
    /// The tables, in the order asked for.
    pub tables: Vec<Table>,
}

/// Where a snapshot's rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Exported from a server.
    Postgres(Box<Server>),
    /// Made up by `rehearsal generate` or shipped as a fixture.
    Synthetic {
        /// How to make it again, or what it is.
        description: String,
    },
    /// Nothing: the database that a history of migrations begins with. Never written to a file.
    Empty,
}

/// The server an export was read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Host, port and database, without user or password.
    pub location: String,
    /// `server_version`, e.g. `15.18`.
    pub version: String,
    /// `pg_current_snapshot()` of the transaction that read everything.
    pub snapshot: String,
    /// `pg_current_wal_lsn()` (or the replay LSN on a standby) at its start; absent where the role may not ask.
    pub lsn: Option<String>,
    /// `server_encoding`.
    pub encoding: String,
    /// Collation of the database: decides how text sorts on the server.
    pub collation: Option<String>,
    /// The server's TimeZone setting.
    pub time_zone: String,
    /// The server was a standby.
    pub in_recovery: bool,
    /// Settings that a prediction of size and write-ahead log needs; absent in snapshots of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,
    /// How the export went; absent in snapshots of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

/// An enum type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumType {
    /// As `format_type` writes it with `public` alone on the search path: quoted where needed, with its schema where that is
    /// another one. So the name doesn't depend on who exports.
    pub name: String,
    /// Labels in sort order.
    pub labels: Vec<String>,
}

/// One table of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Schema on the server.
    pub schema: String,
    /// Name on the server, unquoted.
    pub name: String,
    /// Rows exported; for an export, equal to a `count(*)` in the same server snapshot.
    pub rows: u64,
    /// Columns by position.
    pub columns: Vec<Column>,
    /// Primary, unique, foreign-key, check and exclusion constraints.
    pub constraints: Vec<Constraint>,
    /// Indexes, those behind constraints included.
    pub indexes: Vec<Index>,
    /// Bytes on the server's disk at export; absent for synthetic data.
    pub sizes: Option<RelationSizes>,
    /// Parquet files, in row order.
    pub files: Vec<DataFile>,
    /// Columns whose values aren't carried in a type of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ledger: Vec<LedgerEntry>,
    /// What the rows hold, to be proven again; absent in snapshots of older versions and in synthetic ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// How the table lay on the server's disk; absent for views, in snapshots of older versions and in synthetic ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Physical>,
    /// Columns of the files that aren't the table's: no view shows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_columns: Vec<StorageColumn>,
}

/// A column of a table's files that says how the server stored the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageColumn {
    /// Its name in the file: `ctid` (the row's address), `tableoid` (the partition or child it is in) or `pg_column_size(…)`.
    pub column: String,
    /// The column whose stored size in bytes it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// A column whose values aren't carried in a type of their own, and what was done instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The column.
    pub column: String,
    /// Its type on the server.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What was done.
    pub rule: String,
    /// Values that it was done to: all that aren't NULL.
    pub values: u64,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name on the server, unquoted.
    pub name: String,
    /// `format_type(atttypid, atttypmod)`, with `public` alone on the search path.
    #[serde(rename = "type")]
    pub type_name: String,
    /// NOT NULL holds.
    pub not_null: bool,
    /// Default expression, as `pg_get_expr` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The column is generated from this expression or is an identity (`ALWAYS` or `BY DEFAULT`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// For `numeric` carried as text: the widest value seen, so that a reader can choose a decimal that holds all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_extent: Option<NumericExtent>,
    /// Why its values are PostgreSQL's own text, though most of them fit its type: the first value that doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_as_text: Option<String>,
}

impl Column {
    /// The type that its values have in the snapshot.
    pub fn pg_type(&self, enums: &HashMap<String, Vec<String>>) -> PgType {
        match self.carried_as_text {
            Some(_) => PgType::Opaque(self.type_name.clone()),
            None => PgType::parse(&self.type_name, enums),
        }
    }
}

/// What the values of an unbounded `numeric` column need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumericExtent {
    /// Most digits before the decimal point, leading zeros aside.
    pub integer_digits: u32,
    /// Most digits after it, trailing zeros aside.
    pub scale: u32,
    /// Values that are NaN or infinite, which no decimal can hold.
    pub special_values: u64,
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// `primary key`, `unique`, `foreign key`, `check`, `exclusion` or `trigger`.
    pub kind: String,
    /// `pg_get_constraintdef`.
    pub definition: String,
    /// Columns it constrains, in key order; empty for a check over expressions only.
    pub columns: Vec<String>,
    /// False for NOT VALID.
    pub validated: bool,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Access method: `btree`, `hash`, `gin` …
    pub method: String,
    /// Uniqueness is enforced.
    pub unique: bool,
    /// It backs the primary key.
    pub primary: bool,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// Size on disk in bytes; absent for synthetic data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// Bytes a table occupies on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationSizes {
    /// The table's own pages.
    pub heap_bytes: u64,
    /// All indexes together, TOAST's excluded.
    pub index_bytes: u64,
    /// Out-of-line values with their index.
    pub toast_bytes: u64,
    /// `pg_total_relation_size`: the above with the free space and visibility maps.
    pub total_bytes: u64,
}

/// One Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Path below the snapshot folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// SHA-256 of its bytes, hexadecimal (`sha256sum` prints the same).
    pub sha256: String,
}

impl Manifest {
    /// Reads and checks `manifest.json` text; `path` is for messages.
    ///
    /// # Errors
    /// Not JSON, not this layout, or written by a newer layout.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } =
            serde_json::from_str(text).with_context(|| format!("{} isn't a snapshot manifest", path.display()))?;
        if format_version > FORMAT_VERSION_WITH_TEXT {
            bail!(
                "{} has layout {format_version}; this rehearsal reads up to {FORMAT_VERSION_WITH_TEXT}: use a newer version",
                path.display()
            );
        }
        serde_json::from_str(text).with_context(|| format!("reading {}", path.display()))
    }

    /// The manifest as it is written: indented JSON with a final newline.
    ///
    /// # Errors
    /// None in practice: the types always serialize.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Enums by the name that column types use.
    pub fn enum_labels(&self) -> HashMap<String, Vec<String>> {
        self.enums.iter().map(|e| (e.name.clone(), e.labels.clone())).collect()
    }

    /// The content's name: derived from the hashes of all files, in order.
    pub fn content_id<'a>(hashes: impl IntoIterator<Item = &'a str>) -> String {
        use sha2::{Digest, Sha256};
        let mut hasher = Sha256::new();
        for hash in hashes {
            hasher.update(hash.as_bytes());
        }
        hex(&hasher.finalize())[..16].to_owned()
    }
}

impl Table {
    /// The Parquet schema and DuckDB types of this table's columns, in order.
    pub fn types(&self, enums: &HashMap<String, Vec<String>>) -> Vec<PgType> {
        self.columns.iter().map(|column| column.pg_type(enums)).collect()
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
