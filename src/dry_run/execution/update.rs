//! UPDATE: which rows get which values, and what becomes of them.
//!
//! Input: an [`UpdatePlan`]. Output: a stage with one row for each row updated. Invariant: a row that FROM reaches several times
//! is counted once, and as plan-dependent where the values disagree: the server takes whichever its plan finds first.

use super::{Run, Touched, differs, row_of};
use crate::catalog::{AttNum, Oid};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::ColumnChange;
use crate::dry_run::store::{Change, column};
use crate::render::count;
use crate::translate::UpdatePlan;

/// An UPDATE, ready to be applied.
pub(in crate::dry_run) struct StagedUpdate {
    pub(super) table: Oid,
    pub(super) stage: String,
    pub(super) rows: u64,
    pub(super) columns: Vec<AttNum>,
    pub(super) changed: u64,
    values: Vec<ColumnChange>,
}

impl Run<'_, '_> {
    pub(super) fn stage_update(&mut self, plan: &UpdatePlan, other: Option<&UpdatePlan>) -> Ran<StagedUpdate> {
        self.load(&plan.remarks)?;
        self.store.ensure(plan.table, plan.columns.iter().copied())?;
        let (stage, rows, torn) = self.stage_once(plan)?;
        self.store.take_numbers(&plan.remarks.numbers, rows);
        let mut plan_dependent = torn;
        if let Some(other) = other {
            let (second, _, _) = self.stage_once(other)?;
            plan_dependent += self.disagreeing(&stage, &second, &plan.columns)?;
            self.note_choices(&plan.remarks.choices, plan_dependent);
        } else if torn > 0 {
            self.report.notes.push(format!(
                "FROM reaches {} rows several times with different values: the server takes whichever its plan finds first.",
                count(torn)
            ));
        }
        self.report.plan_dependent_rows += plan_dependent;
        self.finish_update(plan.table, stage, rows, plan.columns.clone())
    }

    /// How many rows a plan would update; nothing is written.
    pub(in crate::dry_run) fn count_update(&mut self, plan: &UpdatePlan) -> Ran<u64> {
        self.load(&plan.remarks)?;
        self.store.ensure(plan.table, plan.columns.iter().copied())?;
        Ok(self.stage_once(plan)?.1)
    }

    /// Takes the figures of a stage.
    pub(super) fn finish_update(
        &mut self,
        table: Oid,
        stage: String,
        rows: u64,
        columns: Vec<AttNum>,
    ) -> Ran<StagedUpdate> {
        let values = self.values_before(table, &columns)?;
        let changed = self.compare(table, &stage, &columns)?;
        Ok(StagedUpdate { table, stage, rows, columns, changed, values })
    }

    /// Runs the plan's query: stage, rows, and how many of them come several times with different values.
    fn stage_once(&mut self, plan: &UpdatePlan) -> Ran<(String, u64, u64)> {
        let (stage, rows) = self.stage_query(&plan.steps, &plan.staging_sql)?;
        if !plan.joins {
            return Ok((stage, rows, 0));
        }
        let distinct = self.store.engine.count(&format!("SELECT count(DISTINCT _r) FROM {stage}"))?;
        if distinct == rows {
            return Ok((stage, rows, 0));
        }
        let torn = self.store.engine.count(&format!(
            "SELECT count(*) FROM (SELECT _r FROM {stage} GROUP BY _r HAVING count(DISTINCT {}) > 1)",
            row_of(&plan.columns, "")
        ))?;
        let order: Vec<String> = plan.columns.iter().map(|c| format!("n{c}")).collect();
        let (single, rows) = self.keep(&format!(
            "SELECT * FROM {stage} QUALIFY row_number() OVER (PARTITION BY _r ORDER BY {}) = 1",
            order.join(", ")
        ))?;
        Ok((single, rows, torn))
    }

    /// Rows on which two runs of a plan disagree.
    pub(super) fn disagreeing(&mut self, first: &str, second: &str, columns: &[AttNum]) -> Ran<u64> {
        self.store.engine.count(&format!(
            "SELECT count(*) FROM {first} AS a FULL JOIN {second} AS b ON a._r = b._r WHERE a._r IS NULL OR b._r IS NULL OR {}",
            differs(columns)
        ))
    }

    pub(super) fn note_choices(&mut self, choices: &[String], rows: u64) {
        if rows > 0 {
            self.report.notes.push(format!(
                "{} leaves the choice between equal rows to the server's plan: {} rows get another value when it chooses otherwise.",
                choices.join(" and "),
                count(rows)
            ));
        }
    }

    pub(super) fn apply_update(&mut self, update: StagedUpdate, main: bool) -> Ran<()> {
        let StagedUpdate { table, stage, rows, columns, changed, mut values } = update;
        if main {
            self.sample_changes(table, &stage, &columns)?;
        }
        self.warn_of_shifted_keys(table, &stage, &columns)?;
        let cascade = self.prepare_key_update(table, &stage, &columns)?;
        self.store
            .update(table, &Change { stage: &stage, rows, columns: &columns, writer: self.writer(table, &columns) })?;
        self.touched.push(Touched { table, rows: stage, columns: Some(columns.iter().copied().collect()) });
        self.cascade(cascade)?;
        if main {
            self.values_after(table, &columns, &mut values)?;
            self.report.columns = values;
            self.report.rows_affected = Some(rows);
            self.report.rows_changed = Some(changed);
            self.report.rows_unchanged = Some(rows - changed);
        } else {
            let name = &self.catalog.tables[&table].name;
            self.report.notes.push(format!("A WITH query updates {} rows of {name}.", count(rows)));
        }
        Ok(())
    }

    /// The statement's number, where a later statement may write the same columns again.
    pub(super) fn writer(&self, table: Oid, columns: &[AttNum]) -> Option<usize> {
        let named = |attnum: &AttNum| {
            column(self.catalog, table, *attnum).is_ok_and(|c| {
                let name = c.name.to_lowercase();
                self.later.iter().any(|text| text.contains(&name))
            })
        };
        columns.iter().any(named).then_some(self.statement)
    }
}
