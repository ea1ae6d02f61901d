//! Since: how is an earlier snapshot continued with the rows that have come after it?
//!
//! Input: an earlier snapshot, and the tables as the server has them now. Output: for each table the predicate of its new rows, and a
//! manifest entry with the old files beside the new one. Invariants: the shape, the selection and the masks are those of the earlier
//! snapshot, or the difference is named; as many rows as the earlier snapshot has stand on the server up to its last value, so that
//! a late arrival or a deletion is an error and not a gap. Left out, and said so: rows that were updated in the old part.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};

use super::catalog::Described;
use super::connection::Session;
use super::numeric;
use super::selection::Predicate;
use super::wanted::Wanted;
use crate::query::{quote_identifier, quote_literal};
use crate::render::count;
use crate::snapshot::certificate::Plan;
use crate::snapshot::manifest::{self, Column, Manifest, Table};
use crate::snapshot::part::Increment;
use crate::snapshot::types::PgType;
use crate::snapshot::writer::SnapshotWriter;
use crate::snapshot::{EngineOptions, Snapshot};
use crate::ui::hinted;

/// What to continue.
pub struct Options {
    /// The earlier snapshot's folder.
    pub snapshot: PathBuf,
    /// The column that only grows.
    pub column: String,
}

/// An earlier snapshot, proven intact.
pub struct Earlier {
    folder: PathBuf,
    column: String,
    snapshot: Snapshot,
    manifest: Manifest,
}

/// How a table goes on.
pub struct Continued {
    folder: PathBuf,
    earlier: Table,
    increment: Increment,
}

impl Earlier {
    /// Opens it; its files are proven against their hashes.
    ///
    /// # Errors
    /// When it isn't the folder of an export, or isn't intact.
    pub fn open(options: &Options) -> Result<Earlier> {
        let shown = options.snapshot.display().to_string();
        if !options.snapshot.join(manifest::FILE_NAME).is_file() {
            return Err(hinted(
                anyhow!("--since {shown}: that isn't a snapshot's folder"),
                "name the folder of an earlier export of the same tables",
            ));
        }
        let snapshot = Snapshot::open(&shown, &EngineOptions::default()).with_context(|| format!("--since {shown}"))?;
        let manifest = snapshot.manifest.clone().context("a snapshot's folder has a manifest")?;
        Ok(Earlier { folder: options.snapshot.clone(), column: options.column.clone(), snapshot, manifest })
    }

    /// How each table goes on; its predicate becomes that of the new rows.
    ///
    /// # Errors
    /// A table that isn't the earlier one's, or whose old rows aren't all there: the difference is named.
    pub fn continue_tables(
        &self,
        session: &Session,
        described: &[Described],
        wanted: &mut Wanted,
    ) -> Result<Vec<Continued>> {
        let mut continued = Vec::new();
        for (index, described) in described.iter().enumerate() {
            let named = || format!("continuing {} of {}", described.table.name, self.folder.display());
            continued.push(self.continue_table(session, described, index, wanted).with_context(named)?);
        }
        self.expect_masks(wanted)?;
        Ok(continued)
    }

    fn continue_table(
        &self,
        session: &Session,
        described: &Described,
        index: usize,
        wanted: &mut Wanted,
    ) -> Result<Continued> {
        let table = &described.table;
        let found = self.manifest.tables.iter().find(|t| t.schema == table.schema && t.name == table.name);
        let Some(earlier) = found else {
            let names: Vec<&str> = self.manifest.tables.iter().map(|t| t.name.as_str()).collect();
            bail!("the earlier snapshot doesn't hold it, but {}", names.join(", "));
        };
        if let Some(difference) = difference(earlier, table) {
            return Err(hinted(
                anyhow!("the earlier snapshot isn't of the same shape: {difference}"),
                "export anew, without --since",
            ));
        }
        let stored = |table: &Table| table.storage_columns.iter().map(|c| c.column.clone()).collect::<Vec<_>>();
        let beside: Vec<String> = described.storage.iter().map(|beside| beside.entry.column.clone()).collect();
        if stored(earlier) != beside {
            bail!("--row-storage was given for only one of them");
        }
        let carried = |column: &Column| column.carried_as_text.is_some();
        let both = earlier.columns.iter().zip(&table.columns);
        if let Some((column, _)) = both.clone().find(|(old, now)| carried(old) != carried(now)) {
            bail!("{} is carried as text in only one of them", column.name);
        }
        let masked = wanted.rules(index);
        let earlier_masks: Vec<(String, String)> =
            earlier.masked.iter().map(|masked| (masked.shown(), masked.rule.clone())).collect();
        if masked != earlier_masks {
            bail!("the earlier snapshot was masked otherwise: {}", listed(&earlier_masks));
        }
        let at = table.columns.iter().position(|column| column.name == self.column);
        let at = at.ok_or_else(|| {
            let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            hinted(
                anyhow!("it has no column {}", self.column),
                format!("name one that only grows with --since-column: {}", names.join(", ")),
            )
        })?;
        if masked.iter().any(|(column, _)| *column == self.column) {
            bail!("{} is masked: its values tell no order", self.column);
        }
        let after = self.last(earlier, &described.types[at])?;
        let own = wanted.predicates[index].as_ref();
        let column = quote_identifier(&self.column);
        let condition = own.map_or_else(|| "true".to_owned(), Predicate::condition);
        let number = |condition: String| {
            session.number(&format!("SELECT count(*) FROM {} WHERE {condition}", described.qualified))
        };
        let nulls = number(format!("{condition} AND {column} IS NULL"))?;
        if nulls > 0 {
            bail!("{} of its rows have no {}: whether they are new can't be told", count(nulls), self.column);
        }
        let calls = own.is_some_and(|own| own.calls);
        if let Some(after) = &after {
            let old = number(format!("{condition} AND {column} <= {after}"))?;
            if old != earlier.rows {
                return Err(hinted(
                    anyhow!(
                        "up to {} {} the earlier snapshot has {} rows, and the server has {}: rows came late, or were deleted",
                        self.column,
                        after,
                        count(earlier.rows),
                        count(old)
                    ),
                    "what is new alone wouldn't be the whole: export anew, without --since",
                ));
            }
            wanted.predicates[index] = Some(Predicate { sql: format!("{condition} AND {column} > {after}"), calls });
        }
        let increment = Increment { since: self.manifest.id.clone(), column: self.column.clone(), after, rows: 0 };
        Ok(Continued { folder: self.folder.clone(), earlier: earlier.clone(), increment })
    }

    /// The last value as SQL; `None` where there are no rows.
    fn last(&self, table: &Table, ty: &PgType) -> Result<Option<String>> {
        let (suffix, cast) = match ty {
            PgType::Timestamptz(_) => ("+00", "timestamptz"),
            PgType::Timestamp(_) => ("", "timestamp"),
            PgType::Date => ("", "date"),
            PgType::Int2 | PgType::Int4 | PgType::Int8 => ("", "int8"),
            _ => bail!("{} isn't a date, a timestamp or a whole number", self.column),
        };
        let sql = format!(
            "SELECT CAST(max({}) AS VARCHAR) FROM {}",
            quote_identifier(&self.column),
            quote_identifier(&table.name)
        );
        let last: Option<String> = self.snapshot.connection().query_row(&sql, [], |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        if last.contains("BC") || last.contains("infinity") {
            bail!("the last {} is {last}: nothing comes after it that could be told", self.column);
        }
        Ok(Some(format!("{}::pg_catalog.{cast}", quote_literal(&format!("{last}{suffix}")))))
    }

    fn expect_masks(&self, wanted: &Wanted) -> Result<()> {
        let (Some(now), Some(then)) = (wanted.masking(), &self.manifest.masking) else { return Ok(()) };
        if now.salt_fingerprint != then.salt_fingerprint || now.hash_characters != then.hash_characters {
            return Err(hinted(
                anyhow!("{} was masked with another salt: one value would have two masks", self.folder.display()),
                "give the salt of that export (REHEARSAL_SALT, --salt-env or --salt-file)",
            ));
        }
        Ok(())
    }
}

impl Continued {
    /// A name for the file of the new rows, beside those there are.
    pub fn file_name(&self, plain: &str) -> String {
        let stem = plain.trim_end_matches(".parquet");
        let taken = |name: &String| self.earlier.files.iter().any(|file| file.path == *name);
        let names = (2..).map(|number| format!("{stem}-since-{number}.parquet"));
        names.into_iter().find(|name| !taken(name)).unwrap_or_else(|| plain.to_owned())
    }

    /// Puts the old files beside the new one, and what is known of their rows into the entry.
    ///
    /// # Errors
    /// When a file can be neither linked nor copied.
    pub fn join(mut self, table: &mut Table, types: &[PgType], writer: &SnapshotWriter) -> Result<()> {
        self.increment.rows = table.rows;
        let mut files = self.earlier.files;
        for file in &files {
            writer.adopt(&self.folder.join(&file.path), &file.path)?;
        }
        files.append(&mut table.files);
        table.files = files;
        table.rows += self.earlier.rows;
        for (column, old) in table.columns.iter_mut().zip(&self.earlier.columns) {
            column.numeric_extent = numeric::joined(column.numeric_extent, old.numeric_extent);
        }
        for (entry, old) in table.ledger.iter_mut().zip(&self.earlier.ledger) {
            entry.values += old.values;
        }
        for (entry, old) in table.masked.iter_mut().zip(&self.earlier.masked) {
            entry.values += old.values;
        }
        table.increments = self.earlier.increments;
        table.increments.push(self.increment);
        // What is certified is certified of all rows.
        let staged: Vec<PathBuf> = table.files.iter().map(|file| writer.staged_file(&file.path)).collect();
        table.content = Some(Plan::new(table, types).read(&staged)?);
        Ok(())
    }
}

/// What is told of a table that was continued: a whole sentence.
pub fn note(table: &Table) -> Option<String> {
    let last = table.increments.last()?;
    let after = last.after.as_deref().unwrap_or("the beginning");
    Some(format!(
        "{}: {} new rows after {} {after}; the {} rows before it are those of snapshot {}, as many as the server has. What was \
         updated among them since then isn't seen.",
        table.name,
        count(last.rows),
        last.column,
        count(table.rows - last.rows),
        last.since
    ))
}

/// How two tables differ in shape or selection, if they do.
fn difference(earlier: &Table, now: &Table) -> Option<String> {
    for column in &now.columns {
        match earlier.columns.iter().find(|old| old.name == column.name) {
            None => return Some(format!("the column {} is new", column.name)),
            Some(old) if old.type_name != column.type_name => {
                return Some(format!("{} was {} and is {}", column.name, old.type_name, column.type_name));
            }
            Some(old) if old.not_null != column.not_null => {
                return Some(format!("{} is NOT NULL in only one of them", column.name));
            }
            Some(_) => {}
        }
    }
    if let Some(old) = earlier.columns.iter().find(|old| now.columns.iter().all(|column| column.name != old.name)) {
        return Some(format!("the column {} is gone", old.name));
    }
    let names = |table: &Table| table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    if names(earlier) != names(now) {
        return Some("the columns stand in another order".to_owned());
    }
    let predicate = |table: &Table| table.part.as_ref().and_then(|part| part.predicate.clone());
    (predicate(earlier) != predicate(now)).then(|| match predicate(earlier) {
        Some(sql) => format!("it holds the rows where {sql}"),
        None => "it holds all rows".to_owned(),
    })
}

fn listed(masks: &[(String, String)]) -> String {
    match masks {
        [] => "not at all".to_owned(),
        masks => masks.iter().map(|(column, rule)| format!("{column}={rule}")).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::manifest::Column;
    use crate::snapshot::part::Part;

    fn table(columns: &[(&str, &str)], predicate: Option<&str>) -> Table {
        let column = |(name, ty): &(&str, &str)| Column {
            name: (*name).to_owned(),
            type_name: (*ty).to_owned(),
            ..Column::default()
        };
        let part = predicate.map(|sql| Part { predicate: Some(sql.to_owned()), ..Part::default() });
        Table { columns: columns.iter().map(column).collect(), part, ..Table::default() }
    }

    #[test]
    fn differences_are_named() {
        fn check(earlier: &Table, now: &Table, expected: Option<&str>) {
            assert_eq!(difference(earlier, now).as_deref(), expected);
        }
        let plain = table(&[("id", "integer"), ("at", "date")], None);
        check(&plain, &plain, None);
        check(&plain, &table(&[("id", "bigint"), ("at", "date")], None), Some("id was integer and is bigint"));
        check(&plain, &table(&[("id", "integer"), ("at", "date"), ("x", "text")], None), Some("the column x is new"));
        check(&plain, &table(&[("id", "integer")], None), Some("the column at is gone"));
        check(&plain, &table(&[("at", "date"), ("id", "integer")], None), Some("the columns stand in another order"));
        check(
            &table(&[("id", "integer")], Some("id > 1")),
            &table(&[("id", "integer")], None),
            Some("it holds the rows where id > 1"),
        );
    }
}
