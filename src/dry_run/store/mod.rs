//! The physical tables of a rehearsal: rows of the snapshot, copied column by column when a statement first needs them.
//!
//! Input: the snapshot's files, the catalog they began with, and which columns a statement reads or writes. Output: tables
//! `t<oid>` with `_r` (a row's number for good), `c<attnum>` in the physical type and, once asked for, `w<attnum>` (the statement
//! that wrote the value last). Invariants: the snapshot is only read; a column that was never loaded was never written; every
//! change between [`Store::begin`] and [`Store::roll_back`] is undone. Left out: what statements mean.

mod undo;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow};
use serde_json::Value;

use crate::catalog::{AttNum, Catalog, Column, Oid, Problem, Type};
use crate::dry_run::engine::{Engine, Halt, Ran};
use crate::query::quote_literal;
use crate::snapshot::manifest::{Manifest, Table as SnapshotTable};
use crate::snapshot::types::PgType;
use crate::snapshot::{OpenTable, Snapshot};
use crate::translate::{Taken, column_name, physical_type, table_name};
pub(in crate::dry_run) use undo::Point;
use undo::Undo;

/// From this share of a table's rows on, a new copy is written faster than its rows are updated in place: measured at a million
/// rows, updating 72 % of a column in place took 250 ms, a copy of seven columns 100 ms.
const REBUILD_ABOVE: f64 = 0.2;
/// A column with more distinct values than this is one of ids: which of them are the most frequent says nothing.
const MANY_VALUES: u64 = 10_000;
/// Copies of wide tables cost more than they save.
const REBUILD_COLUMNS: usize = 16;

/// What exists of a table.
#[derive(Debug, Clone, Default)]
struct Physical {
    /// Columns that aren't here can still be read from the snapshot.
    from_snapshot: bool,
    columns: BTreeSet<AttNum>,
    writers: BTreeSet<AttNum>,
    /// The number of the next row.
    next_row: u64,
}

/// Rows that come in in a known order.
struct Listed {
    /// The number of the first.
    first: u64,
    rows: u64,
    /// Sequences that they take numbers from.
    sequences: Vec<(Oid, Taken)>,
}

/// The physical tables.
pub(in crate::dry_run) struct Store<'s> {
    /// Where they lie.
    pub(in crate::dry_run) engine: Engine<'s>,
    snapshot: &'s Snapshot,
    /// The catalog as the snapshot has it: which type a column has in the files.
    base: Catalog,
    tables: BTreeMap<Oid, Physical>,
    saved: BTreeMap<Oid, Physical>,
    /// The text of the statements to come, in lower case: a column whose name it holds is loaded with the table.
    outlook: String,
    /// What columns were last seen to hold: the state after one statement is the state before the next.
    values: BTreeMap<(Oid, AttNum), Values>,
    /// Numbers taken from sequences since they were last asked for; `None` where it isn't known how many. No roll-back gives
    /// them back.
    taken: BTreeMap<Oid, Option<u64>>,
    /// Rows of the statement under way that are listed.
    listed: Option<Listed>,
    /// What leads back to points within a transaction.
    undo: Undo,
}

/// NULLs of a column, and its most frequent values with their rows.
pub(in crate::dry_run) type Values = (u64, Vec<(Value, u64)>);

/// Rows to write: a temporary table with `_r` and `n<attnum>`.
pub(in crate::dry_run) struct Change<'a> {
    /// The temporary table.
    pub(in crate::dry_run) stage: &'a str,
    /// Rows in it.
    pub(in crate::dry_run) rows: u64,
    /// The columns written.
    pub(in crate::dry_run) columns: &'a [AttNum],
    /// Sets the column's last writer to this statement.
    pub(in crate::dry_run) writer: Option<usize>,
}

impl<'s> Store<'s> {
    /// Nothing loaded yet.
    pub(in crate::dry_run) fn new(
        engine: Engine<'s>,
        snapshot: &'s Snapshot,
        base: Catalog,
        outlook: &str,
    ) -> Store<'s> {
        let outlook = outlook.to_lowercase();
        Store {
            engine,
            snapshot,
            base,
            tables: BTreeMap::new(),
            saved: BTreeMap::new(),
            outlook,
            values: BTreeMap::new(),
            taken: BTreeMap::new(),
            listed: None,
            undo: Undo::default(),
        }
    }

    /// Begins a statement: until [`Store::commit`], everything can be taken back.
    pub(in crate::dry_run) fn begin(&mut self) -> Ran<()> {
        self.saved = self.tables.clone();
        self.undo.note_statement();
        self.engine.run("BEGIN TRANSACTION")
    }

    /// Keeps what the statement did.
    pub(in crate::dry_run) fn commit(&mut self) -> Ran<()> {
        self.engine.run("COMMIT")
    }

    /// Takes back what the statement did.
    pub(in crate::dry_run) fn roll_back(&mut self) -> Ran<()> {
        self.tables = std::mem::take(&mut self.saved);
        self.values.clear();
        self.undo.forget_statement();
        self.engine.run("ROLLBACK")?;
        // A query that failed has left it on; settings aren't part of a transaction.
        self.engine.run("SET preserve_insertion_order = false")
    }

    /// Forgets everything: the state is the snapshot's again.
    pub(in crate::dry_run) fn reset(&mut self) -> Result<()> {
        self.tables.clear();
        self.values.clear();
        if let Err(Halt::Broken(error)) = self.forget_points() {
            return Err(error);
        }
        self.engine.clear()
    }

    /// Notes numbers taken by a statement that makes so many rows.
    pub(in crate::dry_run) fn take_numbers(&mut self, numbers: &BTreeMap<Oid, Taken>, rows: u64) {
        for (&sequence, taken) in numbers {
            let more = match taken {
                Taken::EachRow => Some(rows),
                Taken::Listed(places) => Some(places.len() as u64),
                Taken::Unknown => None,
            };
            let sum = self.taken.entry(sequence).or_insert(Some(0));
            *sum = sum.zip(more).map(|(sum, more)| sum + more);
        }
    }

    /// The last rows that came into a table are listed, and each has taken a number of these sequences in its turn.
    pub(in crate::dry_run) fn note_listed(&mut self, table: Oid, rows: u64, numbers: &BTreeMap<Oid, Taken>) {
        let first = self.take_row_numbers(table, 0) - rows;
        let known = numbers.iter().filter(|(_, taken)| **taken != Taken::Unknown);
        self.listed =
            Some(Listed { first, rows, sequences: known.map(|(oid, taken)| (*oid, taken.clone())).collect() });
    }

    /// The statement fails at one of those rows: the others have taken nothing.
    pub(in crate::dry_run) fn fail_at(&mut self, row: i64) {
        let Some(listed) = self.listed.take() else { return };
        let Some(before) = u64::try_from(row).ok().and_then(|row| row.checked_sub(listed.first)) else { return };
        let reached = before + 1;
        if reached > listed.rows {
            return;
        }
        for (sequence, numbers) in listed.sequences {
            let spared = match numbers {
                Taken::Listed(places) => places.iter().filter(|place| **place > before).count() as u64,
                _ => listed.rows - reached,
            };
            if let Some(Some(taken)) = self.taken.get_mut(&sequence) {
                *taken -= spared.min(*taken);
            }
        }
    }

    /// Numbers taken since this was last asked.
    pub(in crate::dry_run) fn taken_numbers(&mut self) -> BTreeMap<Oid, Option<u64>> {
        self.listed = None;
        std::mem::take(&mut self.taken)
    }

    /// The columns are there, loaded from the snapshot where they weren't yet.
    pub(in crate::dry_run) fn ensure(&mut self, table: Oid, columns: impl IntoIterator<Item = AttNum>) -> Ran<()> {
        let wanted: BTreeSet<AttNum> = columns.into_iter().collect();
        let Some(physical) = self.tables.get(&table) else { return self.load(table, wanted) };
        let missing: Vec<AttNum> = wanted.difference(&physical.columns).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        if !physical.from_snapshot {
            return Err(Halt::Broken(anyhow!("columns {missing:?} of table {table} were never made")));
        }
        let name = table_name(table);
        self.will_replace(table)?;
        let source = self.source_sql(table, &missing)?;
        let added: Vec<String> = missing.iter().map(|&c| format!("s.{}", column_name(c))).collect();
        self.engine.run(&format!(
            "CREATE OR REPLACE TABLE {name} AS SELECT t.*, {} FROM {name} AS t LEFT JOIN ({source}) AS s ON s._r = t._r",
            added.join(", ")
        ))?;
        self.physical(table).columns.extend(missing);
        Ok(())
    }

    /// The table is there with all its columns.
    pub(in crate::dry_run) fn ensure_all(&mut self, catalog: &Catalog, table: Oid) -> Ran<()> {
        let columns: Vec<AttNum> = columns_of(catalog, table).iter().map(|c| c.attnum).collect();
        self.ensure(table, columns)
    }

    /// Reads a table of the snapshot: the columns asked for, and those that later statements name.
    fn load(&mut self, table: Oid, mut wanted: BTreeSet<AttNum>) -> Ran<()> {
        let described = self.base.tables.get(&table).ok_or_else(|| anyhow!("table {table} was never made"))?;
        wanted.extend(
            described.columns.iter().filter(|c| self.outlook.contains(&c.name.to_lowercase())).map(|c| c.attnum),
        );
        wanted.extend(key_columns(&self.base, table));
        let columns: Vec<AttNum> = wanted.iter().copied().collect();
        let source = self.source_sql(table, &columns)?;
        self.will_make(table);
        self.engine.run(&format!("CREATE TABLE {} AS {source}", table_name(table)))?;
        let next_row = self.open_table(table)?.rows;
        let physical = Physical { from_snapshot: true, columns: wanted, writers: BTreeSet::new(), next_row };
        self.tables.insert(table, physical);
        Ok(())
    }

    fn open_table(&self, table: Oid) -> Result<&'s OpenTable> {
        let name = self.base.tables.get(&table).and_then(|t| t.snapshot_table.as_deref());
        name.and_then(|name| self.snapshot.tables.iter().find(|t| t.name == name))
            .ok_or_else(|| anyhow!("table {table} isn't in the snapshot"))
    }

    fn manifest(&self) -> Result<&'s Manifest> {
        self.snapshot.manifest.as_ref().ok_or_else(|| anyhow!("{} has no manifest", self.snapshot.source))
    }

    fn described(&self, table: Oid) -> Result<&'s SnapshotTable> {
        let name = &self.open_table(table)?.name;
        let found = self.manifest()?.tables.iter().find(|t| t.name == *name);
        found.ok_or_else(|| anyhow!("table {name} isn't in the manifest"))
    }

    /// A query for `_r` and these columns of the snapshot's rows, in their physical types.
    pub(in crate::dry_run) fn source_sql(&self, table: Oid, columns: &[AttNum]) -> Ran<String> {
        let manifest = self.described(table)?;
        let enums = self.manifest()?.enum_labels();
        let open = self.open_table(table)?;
        let mut selected = String::new();
        for &attnum in columns {
            let column = column(&self.base, table, attnum)?;
            let name = column.snapshot_column.as_deref().unwrap_or(&column.name);
            let stored = manifest.columns.iter().find(|c| c.name == name);
            let stored = stored.ok_or_else(|| anyhow!("column {name} isn't in the manifest"))?;
            let ty = stored.pg_type(&enums);
            let read = match &ty {
                // The view's ENUM would be undone at once.
                PgType::Enum { .. } => crate::query::quote_identifier(name),
                // Its text keeps the display scale.
                PgType::Numeric(_) => crate::query::quote_identifier(name),
                PgType::Array(element) if matches!(**element, PgType::Numeric(_)) => {
                    crate::query::quote_identifier(name)
                }
                _ => ty.duckdb_expression(name, stored.numeric_extent.as_ref()),
            };
            selected.push_str(&format!(", CAST({read} AS {}) AS {}", physical_type(&column.ty)?, column_name(attnum)));
        }
        let mut first_row = 0;
        let mut parts = Vec::new();
        for (path, file) in open.files.iter().zip(&manifest.files) {
            let path = quote_literal(&path.display().to_string());
            parts.push(format!(
                "SELECT CAST(file_row_number + {first_row} AS BIGINT) AS _r{selected} FROM read_parquet({path}, file_row_number = true)"
            ));
            first_row += file.rows;
        }
        Ok(parts.join(" UNION ALL "))
    }

    /// NULLs and most frequent values of a column.
    pub(in crate::dry_run) fn values(&mut self, table: Oid, attnum: AttNum, top: usize) -> Ran<Values> {
        if let Some(known) = self.values.get(&(table, attnum)) {
            return Ok(known.clone());
        }
        self.ensure(table, [attnum])?;
        let (name, column) = (table_name(table), column_name(attnum));
        let [nulls, distinct] = self.engine.counts(&format!(
            "SELECT count(*) FILTER ({column} IS NULL), approx_count_distinct({column}) FROM {name}"
        ))?;
        let frequent = if distinct > MANY_VALUES {
            Vec::new()
        } else {
            self.engine.counted_values(&format!(
                "SELECT to_json({column})::VARCHAR, rows FROM (SELECT {column}, count(*) AS rows FROM {name} GROUP BY ALL) WHERE {column} IS NOT NULL ORDER BY rows DESC, {column} LIMIT {top}"
            ))?
        };
        self.values.insert((table, attnum), (nulls, frequent.clone()));
        Ok((nulls, frequent))
    }

    fn forget_values(&mut self, table: Oid, columns: Option<&[AttNum]>) {
        self.values.retain(|(of, attnum), _| *of != table || columns.is_some_and(|list| !list.contains(attnum)));
    }

    fn physical(&mut self, table: Oid) -> &mut Physical {
        self.tables.entry(table).or_default()
    }

    /// Makes an empty table with all columns of the catalog.
    pub(in crate::dry_run) fn create(&mut self, catalog: &Catalog, table: Oid) -> Ran<()> {
        let mut columns = String::new();
        for column in columns_of(catalog, table) {
            columns.push_str(&format!(", {} {}", column_name(column.attnum), physical_type(&column.ty)?));
        }
        self.forget_values(table, None);
        match self.tables.contains_key(&table) {
            true => self.will_replace(table)?,
            false => self.will_make(table),
        }
        self.engine.run(&format!("CREATE OR REPLACE TABLE {} (_r BIGINT{columns})", table_name(table)))?;
        let columns = columns_of(catalog, table).iter().map(|c| c.attnum).collect();
        self.tables.insert(table, Physical { columns, ..Physical::default() });
        Ok(())
    }

    /// Drops a table.
    pub(in crate::dry_run) fn drop_table(&mut self, table: Oid) -> Ran<()> {
        if self.tables.contains_key(&table) {
            self.will_replace(table)?;
        }
        self.tables.remove(&table);
        self.engine.run(&format!("DROP TABLE IF EXISTS {}", table_name(table)))
    }

    /// Drops a column.
    pub(in crate::dry_run) fn drop_column(&mut self, table: Oid, attnum: AttNum) -> Ran<()> {
        if !self.tables.contains_key(&table) {
            return Ok(());
        }
        self.will_replace(table)?;
        let name = table_name(table);
        if self.physical(table).columns.remove(&attnum) {
            self.engine.run(&format!("ALTER TABLE {name} DROP COLUMN {}", column_name(attnum)))?;
        }
        if self.physical(table).writers.remove(&attnum) {
            self.engine.run(&format!("ALTER TABLE {name} DROP COLUMN w{attnum}"))?;
        }
        Ok(())
    }

    /// Adds a column of NULLs, or of a constant or volatile default.
    pub(in crate::dry_run) fn add_column(
        &mut self,
        table: Oid,
        attnum: AttNum,
        ty: &Type,
        default: Option<&str>,
    ) -> Ran<()> {
        self.ensure(table, [])?;
        self.will_add(table, column_name(attnum));
        let default = default.map(|sql| format!(" DEFAULT ({sql})")).unwrap_or_default();
        let (name, ty) = (table_name(table), physical_type(ty)?);
        self.engine.run(&format!("ALTER TABLE {name} ADD COLUMN {} {ty}{default}", column_name(attnum)))?;
        self.physical(table).columns.insert(attnum);
        Ok(())
    }

    /// Gives a column another type and other values: `value` is SQL over the table.
    pub(in crate::dry_run) fn replace_column(&mut self, table: Oid, attnum: AttNum, ty: &Type, value: &str) -> Ran<()> {
        self.forget_values(table, Some(&[attnum]));
        self.will_replace(table)?;
        let (name, column, ty) = (table_name(table), column_name(attnum), physical_type(ty)?);
        self.engine.run(&format!(
            "CREATE OR REPLACE TABLE {name} AS SELECT * REPLACE (CAST({value} AS {ty}) AS {column}) FROM {name}"
        ))
    }

    /// Rows of a table.
    pub(in crate::dry_run) fn row_count(&mut self, table: Oid) -> Ran<u64> {
        if !self.tables.contains_key(&table)
            && let Ok(open) = self.open_table(table)
        {
            return Ok(open.rows);
        }
        self.engine.count(&format!("SELECT count(*) FROM {}", table_name(table)))
    }

    /// Rows of a table in the snapshot.
    pub(in crate::dry_run) fn rows_in_snapshot(&self, table: Oid) -> Option<u64> {
        self.open_table(table).ok().map(|open| open.rows)
    }

    /// Has the table been read or written yet?
    pub(in crate::dry_run) fn is_loaded(&self, table: Oid) -> bool {
        self.tables.contains_key(&table)
    }

    /// Columns that are loaded.
    pub(in crate::dry_run) fn loaded(&self, table: Oid) -> Vec<AttNum> {
        self.tables.get(&table).map_or_else(Vec::new, |t| t.columns.iter().copied().collect())
    }

    /// Does a column know its last writers?
    pub(in crate::dry_run) fn has_writers(&self, table: Oid, attnum: AttNum) -> bool {
        self.tables.get(&table).is_some_and(|t| t.writers.contains(&attnum))
    }

    /// Numbers new rows: the first number, with `rows` of them taken.
    pub(in crate::dry_run) fn take_row_numbers(&mut self, table: Oid, rows: u64) -> u64 {
        let physical = self.physical(table);
        let first = physical.next_row;
        physical.next_row += rows;
        first
    }

    /// Writes new values into rows that exist.
    pub(in crate::dry_run) fn update(&mut self, table: Oid, change: &Change<'_>) -> Ran<()> {
        if change.rows == 0 || change.columns.is_empty() {
            return Ok(());
        }
        self.forget_values(table, Some(change.columns));
        let name = table_name(table);
        if change.writer.is_some() {
            for &attnum in change.columns {
                if self.physical(table).writers.insert(attnum) {
                    self.will_add(table, format!("w{attnum}"));
                    self.engine.run(&format!("ALTER TABLE {name} ADD COLUMN w{attnum} INTEGER"))?;
                }
            }
        }
        self.will_update(table, change.stage, change.columns, change.writer.is_some())?;
        let rows = self.engine.count(&format!("SELECT count(*) FROM {name}"))?;
        let loaded = self.physical(table).columns.len();
        let stage = change.stage;
        let mut targets: Vec<(String, String)> =
            change.columns.iter().map(|&c| (column_name(c), format!("s.n{c}"))).collect();
        if let Some(statement) = change.writer {
            targets.extend(change.columns.iter().map(|&c| (format!("w{c}"), statement.to_string())));
        }
        let sql = if loaded <= REBUILD_COLUMNS && change.rows as f64 > REBUILD_ABOVE * rows as f64 {
            let list: Vec<String> = targets
                .iter()
                .map(|(column, value)| format!("CASE WHEN s._r IS NULL THEN t.{column} ELSE {value} END AS {column}"))
                .collect();
            format!(
                "CREATE OR REPLACE TABLE {name} AS SELECT t.* REPLACE ({}) FROM {name} AS t LEFT JOIN {stage} AS s ON s._r = t._r",
                list.join(", ")
            )
        } else {
            let list: Vec<String> = targets.iter().map(|(column, value)| format!("{column} = {value}")).collect();
            format!("UPDATE {name} AS t SET {} FROM {stage} AS s WHERE s._r = t._r", list.join(", "))
        };
        self.engine.run(&sql)
    }

    /// Appends staged rows, which have `_r` and a value for every column.
    pub(in crate::dry_run) fn insert(&mut self, catalog: &Catalog, table: Oid, stage: &str) -> Ran<()> {
        self.forget_values(table, None);
        self.will_insert(table, stage)?;
        let columns = columns_of(catalog, table);
        let into: String = columns.iter().map(|c| format!(", {}", column_name(c.attnum))).collect();
        let from: String = columns.iter().map(|c| format!(", n{}", c.attnum)).collect();
        self.engine.run(&format!("INSERT INTO {} (_r{into}) SELECT _r{from} FROM {stage}", table_name(table)))
    }

    /// Deletes the rows whose `_r` is in the stage.
    pub(in crate::dry_run) fn delete(&mut self, table: Oid, stage: &str) -> Ran<()> {
        self.forget_values(table, None);
        self.will_delete(table, stage)?;
        self.engine.run(&format!("DELETE FROM {} WHERE _r IN (SELECT _r FROM {stage})", table_name(table)))
    }
}

/// Columns of a table, none where it is unknown.
pub(in crate::dry_run) fn columns_of(catalog: &Catalog, table: Oid) -> &[Column] {
    catalog.tables.get(&table).map_or(&[], |t| t.columns.as_slice())
}

/// A column by number.
pub(in crate::dry_run) fn column(catalog: &Catalog, table: Oid, attnum: AttNum) -> Ran<&Column> {
    columns_of(catalog, table).iter().find(|c| c.attnum == attnum).ok_or_else(|| {
        Problem::unsupported(format!("column {attnum} of table {table}, which isn't in the catalog")).into()
    })
}

/// Columns of the primary key, or of the first unique key on columns that are never NULL: what names a row to a person.
pub(in crate::dry_run) fn key_columns(catalog: &Catalog, table: Oid) -> Vec<AttNum> {
    use crate::catalog::ConstraintKind;
    let not_null = |attnum: &AttNum| columns_of(catalog, table).iter().any(|c| c.attnum == *attnum && c.not_null);
    let primary = catalog.constraints.values().filter(|c| c.table == table).find_map(|c| match c.kind {
        ConstraintKind::PrimaryKey(index) => Some(index),
        _ => None,
    });
    let mut candidates: Vec<Oid> = primary.into_iter().collect();
    candidates.extend(catalog.indexes.values().filter(|i| i.table == table && i.unique).map(|i| i.oid));
    for index in candidates.iter().filter_map(|oid| catalog.indexes.get(oid)) {
        let Some(plain) = index.key_columns() else { continue };
        if index.predicate.is_none() && (Some(index.oid) == primary || plain.iter().all(not_null)) {
            return plain;
        }
    }
    Vec::new()
}

/// The columns `c<n>` that an SQL text over one table reads.
pub(in crate::dry_run) fn columns_in(sql: &str) -> BTreeSet<AttNum> {
    let mut found = BTreeSet::new();
    let mut quoted = false;
    let mut word = String::new();
    for c in sql.chars().chain(" ".chars()) {
        if c == '\'' {
            quoted = !quoted;
        }
        if !quoted && (c.is_alphanumeric() || c == '_') {
            word.push(c);
        } else {
            found.extend(word.strip_prefix('c').and_then(|digits| digits.parse::<AttNum>().ok()));
            word.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_columns_an_expression_reads() {
        fn check(sql: &str, expected: &[AttNum]) {
            assert_eq!(columns_in(sql).into_iter().collect::<Vec<_>>(), expected, "{sql}");
        }
        check("(c1 > 0) AND t7.c12 IS NOT NULL", &[1, 12]);
        check("'c3' || c4 || concat(c5x, xc6)", &[4]);
        check("'it''s c3' = c2", &[2]);
        check("1", &[]);
    }
}
