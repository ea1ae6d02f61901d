//! DELETE: which rows go, and what their going does to the rows that refer to them.
//!
//! Input: a [`DeletePlan`]. Output: a stage with the `_r` of each row deleted, once.

use super::{Run, Touched};
use crate::catalog::Oid;
use crate::dry_run::engine::Ran;
use crate::render::count;
use crate::translate::DeletePlan;

/// A DELETE, ready to be applied.
pub(in crate::dry_run) struct StagedDelete {
    table: Oid,
    stage: String,
    rows: u64,
}

impl StagedDelete {
    pub(super) fn stage(&self) -> (String, u64) {
        (self.stage.clone(), self.rows)
    }

    pub(super) fn changed(&self) -> (Oid, &str) {
        (self.table, &self.stage)
    }

    pub(super) fn with(self, stage: String, rows: u64) -> StagedDelete {
        StagedDelete { stage, rows, ..self }
    }
}

impl Run<'_, '_> {
    pub(super) fn stage_delete(&mut self, plan: &DeletePlan, other: Option<&DeletePlan>) -> Ran<StagedDelete> {
        self.load(&plan.remarks)?;
        self.store.ensure(plan.table, [])?;
        let (stage, rows) = self.stage_rows(plan)?;
        if let Some(other) = other {
            let (second, _) = self.stage_rows(other)?;
            let rows = self.disagreeing(&stage, &second, &[])?;
            self.report.plan_dependent_rows += rows;
            if rows > 0 {
                self.report.notes.push(format!(
                    "{} leaves the choice between equal rows to the server's plan: {} rows go or stay when it chooses otherwise.",
                    plan.remarks.choices.join(" and "),
                    count(rows)
                ));
            }
        }
        Ok(StagedDelete { table: plan.table, stage, rows })
    }

    fn stage_rows(&mut self, plan: &DeletePlan) -> Ran<(String, u64)> {
        self.stage_query(&plan.steps, &format!("SELECT DISTINCT _r FROM ({})", plan.staging_sql))
    }

    pub(super) fn apply_delete(&mut self, delete: &StagedDelete, main: bool) -> Ran<()> {
        let StagedDelete { table, stage, rows } = delete;
        if main {
            let columns: Vec<_> = self.loaded_columns(*table);
            self.sample_rows(*table, stage, &columns)?;
        }
        let cascade = self.prepare_deletion(*table, stage)?;
        self.store.delete(*table, stage)?;
        self.cascade(cascade)?;
        if main {
            self.report.rows_affected = Some(*rows);
            self.report.rows_deleted = Some(*rows);
        } else {
            let name = &self.catalog.tables[table].name;
            self.report.notes.push(format!("A WITH query deletes {} rows of {name}.", count(*rows)));
        }
        Ok(())
    }

    /// Rows inserted by a statement, as touched rows.
    pub(super) fn touch_inserted(&mut self, table: Oid, stage: &str) {
        self.touched.push(Touched { table, rows: stage.to_owned(), columns: None });
    }
}
