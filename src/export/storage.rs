//! Storage columns: where does each row lie, and how long are its long values, as the server stores them?
//!
//! Input: a described relation. Output: further columns of its Parquet file, with what to ask the server for. Invariants: a snapshot's
//! tables never show them (their views name the table's own columns only), and neither content hash nor ledger counts them; asking
//! for a stored size doesn't read the value. Left out: relations without rows of their own (views), which have no addresses.

use anyhow::{Result, bail};

use super::catalog::Described;
use crate::query::quote_identifier;
use crate::snapshot::manifest::{Column, StorageColumn};
use crate::snapshot::types::PgType;

/// A column that is read beside the table's own.
pub struct Beside {
    /// The manifest's entry.
    pub entry: StorageColumn,
    /// What the server is asked for.
    pub select: String,
    /// The type of what it answers.
    pub ty: PgType,
}

impl Beside {
    /// The column of the Parquet file.
    pub fn column(&self) -> Column {
        Column {
            name: self.entry.column.clone(),
            type_name: if self.ty == PgType::Int4 { "integer" } else { "text" }.to_owned(),
            not_null: false,
            default: None,
            generated: None,
            numeric_extent: None,
            carried_as_text: None,
        }
    }
}

/// Adds to a relation: the address of each row, the partition or child it is in where there are several, and the stored size of
/// each value that may be long.
///
/// # Errors
/// When the table has a column of such a name.
pub fn add(described: &mut Described) -> Result<()> {
    let Some(physical) = &described.table.physical else { return Ok(()) };
    let row = |name: &str, select: &str| Beside {
        entry: StorageColumn { column: name.to_owned(), of: None },
        select: select.to_owned(),
        ty: PgType::Text,
    };
    let mut all = vec![row("ctid", "ctid::pg_catalog.text")];
    if physical.relations().len() != 1 {
        all.push(row("tableoid", "tableoid::pg_catalog.regclass::pg_catalog.text"));
    }
    for (column, _) in described.table.columns.iter().zip(&described.types).filter(|(_, ty)| may_be_long(ty)) {
        all.push(Beside {
            entry: StorageColumn { column: format!("pg_column_size({})", column.name), of: Some(column.name.clone()) },
            select: format!("pg_catalog.pg_column_size({})", quote_identifier(&column.name)),
            ty: PgType::Int4,
        });
    }
    for beside in &all {
        let name = beside.entry.column.to_lowercase();
        if let Some(column) = described.table.columns.iter().find(|column| column.name.to_lowercase() == name) {
            bail!("table {} has a column {}, whose name --row-storage needs", described.table.name, column.name);
        }
    }
    described.storage = all;
    Ok(())
}

/// Values that the server may compress or keep out of line.
fn may_be_long(ty: &PgType) -> bool {
    matches!(
        ty,
        PgType::Text
            | PgType::Varchar(_)
            | PgType::Json
            | PgType::Jsonb
            | PgType::Bytea
            | PgType::Array(_)
            | PgType::Opaque(_)
    )
}
