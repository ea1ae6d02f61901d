//! ON CONFLICT: which of the rows to insert meet a row with the same key, in the table or among themselves.
//!
//! Input: numbered source rows and the arbiters. Output: the rows that come in, and for DO UPDATE the rows that get new values.
//! Invariants: a NULL in a key meets nothing (unless the index says otherwise); of several source rows with one key DO NOTHING
//! keeps the first by value and counts them as plan-dependent where they differ; DO UPDATE fails on them as the server does.

use super::insert::StagedInsert;
use super::{Run, row_of};
use crate::catalog::{Index, Oid, Problem};
use crate::dry_run::engine::Ran;
use crate::dry_run::store::columns_of;
use crate::dry_run::verification::keys::KeySql;
use crate::render::count;
use crate::translate::{Conflict, ConflictUpdate, InsertPlan, table_name};

impl Run<'_, '_> {
    pub(super) fn resolve_conflicts(
        &mut self,
        plan: &InsertPlan,
        conflict: &Conflict,
        staged: &mut StagedInsert,
    ) -> Ran<()> {
        // The server judges each row before it looks for one that it meets: a row that would be skipped fails as well.
        self.verify_proposed(plan.table, &staged.stage)?;
        let mut skipped = 0;
        for arbiter in &conflict.arbiters {
            let index = self.catalog.indexes.get(arbiter).cloned();
            let index = index
                .ok_or_else(|| Problem::unsupported(format!("ON CONFLICT by an index {arbiter} that isn't known")))?;
            let key = KeySql::of(&self.translator(), &index)?;
            self.store.ensure(plan.table, key.columns.iter().copied())?;
            let (old, new) = self.key_tables(plan.table, &key, &staged.stage)?;
            let matching = key.join("a", "b");
            match &conflict.update {
                None => {
                    let (stage, rows) = self.without_conflicts(plan, &key, &staged.stage, &old, &new)?;
                    skipped += staged.rows - rows;
                    (staged.stage, staged.rows) = (stage, rows);
                }
                Some(update) => {
                    let (pairs, _) = self.keep(&format!(
                        "SELECT a._r AS old_row, b._r AS new_row FROM {old} AS a JOIN {new} AS b ON {matching}"
                    ))?;
                    self.stage_conflict_update(plan, update, &index, &pairs, &new, &key, staged)?;
                }
            }
        }
        if skipped > 0 {
            self.report.notes.push(format!("ON CONFLICT DO NOTHING skips {} rows.", count(skipped)));
        }
        Ok(())
    }

    /// Keys of the table's rows and of the source's, each with `_r` and `k<n>`; rows that can't conflict are left out.
    fn key_tables(&mut self, table: Oid, key: &KeySql, stage: &str) -> Ran<(String, String)> {
        let name = table_name(table);
        let shape = self.in_table_shape(table, stage);
        let (old, _) = self.keep(&key.select(&name, &name))?;
        let (new, _) = self.keep(&key.select(&shape, &name))?;
        Ok((old, new))
    }

    /// A stage's rows under the table's own column names.
    pub(in crate::dry_run) fn in_table_shape(&self, table: Oid, stage: &str) -> String {
        let columns: String =
            columns_of(self.catalog, table).iter().map(|c| format!(", n{0} AS c{0}", c.attnum)).collect();
        format!("(SELECT _r{columns} FROM {stage})")
    }

    /// DO NOTHING: rows without a counterpart in the table, one for each key.
    fn without_conflicts(
        &mut self,
        plan: &InsertPlan,
        key: &KeySql,
        stage: &str,
        old: &str,
        new: &str,
    ) -> Ran<(String, u64)> {
        let matching = key.join("a", "b");
        let (fresh, _) = self.keep(&format!("SELECT b.* FROM {new} AS b ANTI JOIN {old} AS a ON {matching}"))?;
        let keys = key.names();
        if !plan.columns.is_empty() {
            let torn = self.store.engine.count(&format!(
                "SELECT count(*) FROM (SELECT 1 FROM {fresh} AS f JOIN {stage} AS s ON s._r = f._r GROUP BY {keys} HAVING count(DISTINCT {}) > 1)",
                row_of(&plan.columns, "s.")
            ))?;
            if torn > 0 {
                self.report.plan_dependent_rows += torn;
                self.report.notes.push(format!(
                    "The source has several different rows for {} keys: ON CONFLICT DO NOTHING keeps whichever the server meets first.",
                    count(torn)
                ));
            }
        }
        self.keep(&format!(
            "SELECT s.* FROM {stage} AS s WHERE s._r NOT IN (SELECT _r FROM {new}) OR s._r IN (SELECT min(_r) FROM {fresh} GROUP BY {keys})"
        ))
    }

    /// DO UPDATE: rows with a counterpart update it, all others come in.
    #[allow(clippy::too_many_arguments, reason = "the parts of one join")]
    fn stage_conflict_update(
        &mut self,
        plan: &InsertPlan,
        update: &ConflictUpdate,
        index: &Index,
        pairs: &str,
        new: &str,
        key: &KeySql,
        staged: &mut StagedInsert,
    ) -> Ran<()> {
        let condition = update.condition.as_deref().unwrap_or("true");
        let values: String =
            update.columns.iter().zip(&update.values).map(|(c, value)| format!(", {value} AS n{c}")).collect();
        self.store.ensure(plan.table, update.columns.iter().copied())?;
        let (rows_updated, rows) = self.keep(&format!(
            "SELECT old._r AS _r{values} FROM {pairs} AS p JOIN {} AS old ON old._r = p.old_row JOIN {} AS new ON new._r = p.new_row WHERE {condition}",
            table_name(plan.table),
            staged.stage
        ))?;
        let twice = self.store.engine.count(&format!(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM {pairs} WHERE old_row IN (SELECT _r FROM {rows_updated}) GROUP BY old_row HAVING count(*) > 1)) \
             + (SELECT count(*) FROM (SELECT 1 FROM {new} WHERE _r NOT IN (SELECT new_row FROM {pairs}) GROUP BY {} HAVING count(*) > 1))",
            key.names()
        ))?;
        if twice > 0 {
            return Err(Problem::rejected("21000", "ON CONFLICT DO UPDATE command cannot affect row a second time")
                .detail(format!("{} keys of index {} come several times in the source.", count(twice), index.name))
                .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
                .into());
        }
        let (fresh, fresh_rows) =
            self.keep(&format!("SELECT * FROM {} WHERE _r NOT IN (SELECT new_row FROM {pairs})", staged.stage))?;
        (staged.stage, staged.rows) = (fresh, fresh_rows);
        staged.update = Some(self.finish_update(plan.table, rows_updated, rows, update.columns.clone())?);
        Ok(())
    }
}
