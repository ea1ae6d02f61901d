//! Figures of a write: what changed, whose values were overridden, what the columns hold before and after, sample rows.
//!
//! Input: a stage (`_r`, `n<attnum>`) beside its table. Output: the fields of the statement's report. Invariant: figures are
//! taken before the stage is applied, but for the values after.

use crate::catalog::{AttNum, Catalog, Oid};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::{ColumnChange, Overlap};
use crate::dry_run::store::{column, key_columns};
use crate::query::quote_literal;
use crate::translate::{column_name, shown, table_name};

use super::Run;

/// Most frequent values shown of a column.
const TOP_VALUES: usize = 10;
/// Rows of a stage that samples are looked for in first.
const FIRST_ROWS: usize = 1000;

impl Run<'_, '_> {
    /// Compares a stage with its table: changed rows, and rows that an earlier statement had written.
    pub(super) fn compare(&mut self, table: Oid, stage: &str, columns: &[AttNum]) -> Ran<u64> {
        let name = table_name(table);
        let tracked: Vec<AttNum> =
            columns.iter().copied().filter(|&attnum| self.store.has_writers(table, attnum)).collect();
        let changed: Vec<String> = columns.iter().map(|c| format!("s.n{c} IS DISTINCT FROM t.c{c}")).collect();
        let joined = format!("FROM {stage} AS s JOIN {name} AS t ON s._r = t._r");
        // One scan gives everything where one column is written, which is the usual backfill.
        let mut total = None;
        for &attnum in &tracked {
            let sql = format!(
                "SELECT t.w{attnum}, count(*), count(*) FILTER (s.n{attnum} IS DISTINCT FROM t.c{attnum}) {joined} GROUP BY ALL ORDER BY ALL"
            );
            let groups = self.store.engine.rows(&sql, |row| {
                Ok((
                    row.get::<_, Option<i32>>(0)?,
                    row.get::<_, i64>(1)?.unsigned_abs(),
                    row.get::<_, i64>(2)?.unsigned_abs(),
                ))
            })?;
            if columns.len() == 1 {
                total = Some(groups.iter().map(|(_, _, changed)| changed).sum());
            }
            let column = column(self.catalog, table, attnum)?.name.clone();
            for (writer, rows, overridden_rows) in groups {
                let Some(writer) = writer else { continue };
                let statement = writer.unsigned_abs() as usize;
                if statement != self.statement {
                    self.report.overlaps.push(Overlap { column: column.clone(), statement, rows, overridden_rows });
                }
            }
        }
        match total {
            Some(total) => Ok(total),
            None => self.store.engine.count(&format!("SELECT count(*) {joined} WHERE {}", changed.join(" OR "))),
        }
    }

    /// The columns' most frequent values and NULLs now, as the values before.
    pub(super) fn values_before(&mut self, table: Oid, columns: &[AttNum]) -> Ran<Vec<ColumnChange>> {
        let mut changes = Vec::new();
        for &attnum in columns {
            let column = column(self.catalog, table, attnum)?.name.clone();
            let (nulls_before, before) = self.store.values(table, attnum, TOP_VALUES)?;
            changes.push(ColumnChange { column, nulls_before, before, ..ColumnChange::default() });
        }
        Ok(changes)
    }

    /// The same after the write.
    pub(super) fn values_after(&mut self, table: Oid, columns: &[AttNum], changes: &mut [ColumnChange]) -> Ran<()> {
        for (&attnum, change) in columns.iter().zip(changes) {
            (change.nulls_after, change.after) = self.store.values(table, attnum, TOP_VALUES)?;
        }
        Ok(())
    }

    /// Rows whose values change: key, value before, value after.
    pub(super) fn sample_changes(&mut self, table: Oid, stage: &str, columns: &[AttNum]) -> Ran<()> {
        if self.samples == 0 || columns.is_empty() {
            return Ok(());
        }
        let mut fields = describe_key(self.catalog, table, "t");
        for &attnum in columns {
            let column = column(self.catalog, table, attnum)?;
            for (side, when) in [("t.c", "before"), ("s.n", "after")] {
                let label = quote_literal(&format!("{} {when}", column.name));
                fields.push(format!("{label}, {}", shown(&format!("{side}{attnum}"), &column.ty)));
            }
        }
        let changed: Vec<String> = columns.iter().map(|c| format!("s.n{c} IS DISTINCT FROM t.c{c}")).collect();
        // The first rows nearly always show enough; only where they don't is the whole stage looked through.
        let first = format!("(SELECT * FROM {stage} ORDER BY _r LIMIT {FIRST_ROWS})");
        for rows in [first.as_str(), stage] {
            let sql = format!(
                "SELECT json_object({}) FROM {rows} AS s JOIN {} AS t ON s._r = t._r WHERE {} ORDER BY s._r LIMIT {}",
                fields.join(", "),
                table_name(table),
                changed.join(" OR "),
                self.samples
            );
            self.report.samples = self.store.engine.objects(&sql)?;
            if self.report.samples.len() == self.samples {
                break;
            }
        }
        Ok(())
    }

    /// Rows of the table whose `_r` is in `rows`: their loaded key, and these columns.
    pub(super) fn sample_rows(&mut self, table: Oid, rows: &str, columns: &[AttNum]) -> Ran<()> {
        if self.samples == 0 {
            return Ok(());
        }
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE t._r IN (SELECT _r FROM {rows}) ORDER BY t._r LIMIT {}",
            describe_row(self.catalog, table, columns, "t"),
            table_name(table),
            self.samples
        );
        self.report.samples = self.store.engine.objects(&sql)?;
        Ok(())
    }
}

fn describe_key(catalog: &Catalog, table: Oid, alias: &str) -> Vec<String> {
    describe(catalog, table, &key_columns(catalog, table), alias)
}

fn describe(catalog: &Catalog, table: Oid, columns: &[AttNum], alias: &str) -> Vec<String> {
    columns
        .iter()
        .filter_map(|&attnum| column(catalog, table, attnum).ok())
        .map(|c| {
            let value = format!("{alias}.{}", column_name(c.attnum));
            format!("{}, {}", quote_literal(&c.name), shown(&value, &c.ty))
        })
        .collect()
}

/// A JSON object of a row's key and some of its columns, under the names a person knows; the table is called `alias`.
pub(in crate::dry_run) fn describe_row(catalog: &Catalog, table: Oid, columns: &[AttNum], alias: &str) -> String {
    let mut shown = key_columns(catalog, table);
    shown.extend(columns.iter().filter(|c| !shown.contains(c)).copied().collect::<Vec<_>>());
    format!("json_object({})", describe(catalog, table, &shown, alias).join(", "))
}
