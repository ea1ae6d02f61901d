//! One table: how do its rows come into the snapshot's file, and what is said of them?
//!
//! Input: a described table and its parts. Output: its Parquet file and its entry in the manifest. Invariant: the rows written are as
//! many as `count(*)` says of its parts in the same snapshot of the server. Left out: which connections read ([`super::crew`]).

use anyhow::{Result, bail};

use super::catalog::Described;
use super::crew::{Crew, Relation};
use super::parts::Parts;
use super::storage;
use super::wanted::Wanted;
use crate::snapshot::certificate::Plan;
use crate::snapshot::manifest::{Column, LedgerEntry, Table};
use crate::snapshot::types::PgType;
use crate::snapshot::writer::SnapshotWriter;
use crate::ui::Ui;

/// The ledger's rule for a type that has no counterpart.
const AS_TEXT: &str = "carried as PostgreSQL's own text";

/// Counts a table and writes its rows to its Parquet file.
///
/// # Errors
/// When reading, encoding or writing fails, or the server counts other rows than it sends.
pub fn export(
    crew: &Crew,
    snapshot: &SnapshotWriter,
    described: Described,
    parts: &Parts,
    (wanted, index): (&Wanted, usize),
    file: &str,
    ui: &Ui,
) -> Result<Table> {
    let Described { mut table, types, storage, .. } = described;
    let all_types: Vec<PgType> = types.iter().chain(storage.iter().map(|beside| &beside.ty)).cloned().collect();
    let all_columns: Vec<Column> =
        table.columns.iter().cloned().chain(storage.iter().map(storage::Beside::column)).collect();
    let predicate = wanted.predicates[index].as_ref();
    let mask = wanted.masker(index, &types);
    let relation = Relation {
        pieces: &parts.pieces,
        types: &all_types,
        mask: mask.as_ref(),
        alone: predicate.is_some_and(|predicate| predicate.calls),
    };
    let plan = Plan::new(&table, &types);
    let mut writer = snapshot.table_file(file, &all_columns, &all_types)?.into_groups(plan)?;
    let bar = ui.bar(parts.estimated_rows, "rows", &table.name);
    let read = crew.read(&relation, &mut writer, &bar);
    bar.finish_and_clear();
    let read = read?;
    let (data_file, content) = writer.finish(&snapshot.staged_file(file))?;
    if data_file.rows != read.counted {
        bail!("the server counts {} rows and sends {}", read.counted, data_file.rows);
    }
    for ((column, ty), facts) in table.columns.iter_mut().zip(&types).zip(read.columns) {
        column.numeric_extent = facts.numeric_extent;
        if ty.is_opaque() {
            table.ledger.push(LedgerEntry {
                column: column.name.clone(),
                type_name: column.type_name.clone(),
                rule: match &column.carried_as_text {
                    Some(reason) => format!("{AS_TEXT}: {reason}"),
                    None => AS_TEXT.to_owned(),
                },
                values: data_file.rows - facts.nulls,
            });
        }
    }
    wanted.mark(index, &mut table);
    table.storage_columns = storage.into_iter().map(|beside| beside.entry).collect();
    table.rows = data_file.rows;
    table.content = Some(content);
    table.files = vec![data_file];
    Ok(table)
}

/// A file name that no file system and no glob trips over. The number keeps two odd names apart.
pub fn file_name(table: &str, index: usize) -> String {
    let plain = !table.is_empty() && table.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if plain && table.len() <= 63 {
        return format!("{table}.parquet");
    }
    let safe: String = table.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    format!("{safe}-{}.parquet", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, expected: &str) {
        assert_eq!(file_name(table, 1), expected);
    }

    #[test]
    fn file_names_are_safe() {
        check("llama_logs", "llama_logs.parquet");
        check("LlamaLog", "LlamaLog-2.parquet");
        check("../etc/*", "---etc---2.parquet");
        check("größe", "gr--e-2.parquet");
    }
}
