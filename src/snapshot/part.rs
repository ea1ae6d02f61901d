//! What a snapshot doesn't hold as the server has it: rows and columns left out, values masked.
//!
//! Input and output: pieces of the manifest. Invariant: a table without a [`Part`] holds all rows and columns of the server's, and one
//! without [`MaskedColumn`]s holds its values.

use serde::{Deserialize, Serialize};

/// Which part of a table was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Part {
    /// Only rows for which this holds were exported, as SQL.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Columns of the server's table that weren't exported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutColumn>,
    /// Constraints and indexes that need those columns, by name: they aren't in the manifest otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out_objects: Vec<String>,
}

/// Rows that were added to an earlier snapshot's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increment {
    /// The earlier snapshot's id.
    pub since: String,
    /// The column that tells what is new.
    pub column: String,
    /// Its last value there, as SQL; absent where there were no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Rows that were added.
    pub rows: u64,
}

/// A column that wasn't exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutColumn {
    /// Its name.
    pub name: String,
    /// Its type on the server.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// A column, or a path in a document, whose values were masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskedColumn {
    /// The column.
    pub column: String,
    /// The path in its document, e.g. `user.email` or `items[].name`; absent for the whole column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `hash`, `null`, `redact`, `keep-length` or `fake`.
    pub rule: String,
    /// Values that it was done to.
    pub values: u64,
}

/// How the masks of an export were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masking {
    /// `given`, or `random` where the salt was made for one export.
    pub salt: String,
    /// Two snapshots with one fingerprint were masked with one salt: their hashes can be compared.
    pub salt_fingerprint: String,
    /// Characters of a hashed text.
    pub hash_characters: u64,
}

impl MaskedColumn {
    /// `email`, `metadata.user.email`
    pub fn shown(&self) -> String {
        match &self.path {
            Some(path) if path.starts_with('[') => format!("{}{path}", self.column),
            Some(path) => format!("{}.{path}", self.column),
            None => self.column.clone(),
        }
    }
}
