//! INSERT: which rows come in, and which meet a row that is there already.
//!
//! Input: an [`InsertPlan`]. Output: staged new rows, numbered, and for ON CONFLICT DO UPDATE a staged update of old ones.

use super::update::StagedUpdate;
use super::{Run, row_of};
use crate::catalog::{AttNum, Oid};
use crate::dry_run::engine::Ran;
use crate::dry_run::store::{columns_of, key_columns};
use crate::render::count;
use crate::translate::InsertPlan;

/// An INSERT, ready to be applied.
pub(in crate::dry_run) struct StagedInsert {
    pub(super) table: Oid,
    /// Rows that come in: `_r` and every `n<attnum>`.
    pub(super) stage: String,
    pub(super) rows: u64,
    /// Rows that are there already, and get new values.
    pub(super) update: Option<StagedUpdate>,
    pub(super) shown: Vec<AttNum>,
}

impl StagedInsert {
    /// Takes out the update of rows that are there already.
    pub(in crate::dry_run) fn take_update(&mut self) -> Option<StagedUpdate> {
        self.update.take()
    }

    /// Puts it back.
    pub(in crate::dry_run) fn put_update(&mut self, update: StagedUpdate) {
        self.update = Some(update);
    }

    /// The stage of the rows that are updated, and their number.
    pub(in crate::dry_run) fn updated(&self) -> Option<(String, u64)> {
        self.update.as_ref().map(|update| (update.stage.clone(), update.rows))
    }
}

impl Run<'_, '_> {
    pub(super) fn stage_insert(&mut self, plan: &InsertPlan, other: Option<&InsertPlan>) -> Ran<StagedInsert> {
        let mut staged = self.stage_rows_to_insert(plan, other)?;
        if let Some(conflict) = &plan.conflict {
            self.resolve_conflicts(plan, conflict, &mut staged)?;
        }
        Ok(staged)
    }

    /// The rows as they are proposed, before ON CONFLICT looks at them.
    pub(super) fn stage_rows_to_insert(&mut self, plan: &InsertPlan, other: Option<&InsertPlan>) -> Ran<StagedInsert> {
        self.load(&plan.remarks)?;
        self.store.ensure_all(self.catalog, plan.table)?;
        let (source, rows) = self.stage_source(plan)?;
        self.store.take_numbers(&plan.remarks.numbers, rows);
        if plan.is_listed {
            self.store.note_listed(plan.table, rows, &plan.remarks.numbers);
        }
        if let Some(other) = other {
            let (second, _) = self.stage_source(other)?;
            self.compare_sources(plan, &source, &second)?;
        }
        Ok(StagedInsert { table: plan.table, stage: source, rows, update: None, shown: plan.columns.clone() })
    }

    /// The plan's rows, numbered: as they are listed, or else by their values, so that the numbers are the same at every run.
    fn stage_source(&mut self, plan: &InsertPlan) -> Ran<(String, u64)> {
        let order: Vec<String> = columns_of(self.catalog, plan.table)
            .iter()
            .filter(|c| plan.columns.contains(&c.attnum))
            .map(|c| format!("n{}", c.attnum))
            .collect();
        let order = if order.is_empty() || self.keeps_order || plan.is_listed {
            String::new()
        } else {
            format!("ORDER BY {}", order.join(", "))
        };
        let first = self.store.take_row_numbers(plan.table, 0);
        let (stage, rows) = self.stage_query(
            &plan.steps,
            &format!(
                "SELECT CAST(row_number() OVER ({order}) - 1 + {first} AS BIGINT) AS _r, s.* FROM ({}) AS s",
                plan.staging_sql
            ),
        )?;
        self.store.take_row_numbers(plan.table, rows);
        Ok((stage, rows))
    }

    /// Counts the rows on which two runs of a plan disagree, by the columns that the statement names.
    fn compare_sources(&mut self, plan: &InsertPlan, first: &str, second: &str) -> Ran<()> {
        if plan.columns.is_empty() || !plan.remarks.volatile.is_empty() {
            return Ok(());
        }
        let row = row_of(&plan.columns, "");
        let rows = self.store.engine.count(&format!(
            "SELECT count(*) FROM (SELECT {row} FROM {first} EXCEPT ALL SELECT {row} FROM {second})"
        ))?;
        self.report.plan_dependent_rows += rows;
        self.note_choices(&plan.remarks.choices, rows);
        Ok(())
    }

    pub(super) fn apply_insert(&mut self, insert: StagedInsert, main: bool) -> Ran<()> {
        let StagedInsert { table, stage, rows, update, shown } = insert;
        self.store.insert(self.catalog, table, &stage)?;
        self.touch_inserted(table, &stage);
        let updated = update.as_ref().map_or(0, |u| u.rows);
        let changed = update.as_ref().map_or(0, |u| u.changed);
        let upserts = update.is_some();
        if main && rows > 0 {
            let mut columns = key_columns(self.catalog, table);
            columns.extend(shown);
            self.sample_rows(table, &stage, &columns)?;
        }
        let samples = self.report.samples.clone();
        if let Some(update) = update {
            self.apply_update(update, main)?;
        }
        if !main {
            let name = &self.catalog.tables[&table].name;
            self.report.notes.push(format!("A WITH query inserts {} rows into {name}.", count(rows)));
            return Ok(());
        }
        if !samples.is_empty() {
            self.report.samples = samples;
        }
        self.report.rows_affected = Some(rows + updated);
        self.report.rows_inserted = Some(rows);
        if upserts {
            self.report.rows_changed = Some(changed);
            self.report.rows_unchanged = Some(updated - changed);
        }
        Ok(())
    }
}
