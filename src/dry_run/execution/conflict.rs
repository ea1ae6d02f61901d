//! ON CONFLICT: which of the rows to insert meet a row with the same key, in the table or among themselves.
//!
//! Input: numbered source rows and the arbiters. Output: the rows that come in, and for DO UPDATE the rows that get new values.
//! Invariants: a NULL in a key meets nothing (unless the index says otherwise); of several source rows with one key DO NOTHING
//! keeps the first, in the order of VALUES or else by value and counted as plan-dependent; DO UPDATE fails on them as the server does.

use super::insert::StagedInsert;
use super::{Run, row_of};
use crate::catalog::{ConstraintKind, Index, Oid, Problem};
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
        let Some(update) = &conflict.update else { return self.skip_conflicts(plan, conflict, staged) };
        for arbiter in &conflict.arbiters {
            let (index, key) = self.arbiter(plan.table, *arbiter)?;
            let (old, new) = self.key_tables(plan.table, &key, &staged.stage)?;
            let (pairs, _) = self.keep(&format!(
                "SELECT a._r AS old_row, b._r AS new_row FROM {old} AS a JOIN {new} AS b ON {}",
                key.join("a", "b")
            ))?;
            self.stage_conflict_update(plan, update, &index, &pairs, &new, &key, staged)?;
        }
        Ok(())
    }

    fn arbiter(&mut self, table: Oid, arbiter: Oid) -> Ran<(Index, KeySql)> {
        let index = self.catalog.indexes.get(&arbiter).cloned();
        let index =
            index.ok_or_else(|| Problem::unsupported(format!("ON CONFLICT by an index {arbiter} that isn't known")))?;
        let key = KeySql::of(&self.translator(), &index)?;
        self.store.ensure(table, key.columns.iter().copied())?;
        Ok((index, key))
    }

    /// DO NOTHING: rows that meet one of the table's go first, whichever key they meet it by; then those that meet another row of the
    /// source. A row that is skipped meets nobody, so that by several keys it would matter who goes first.
    fn skip_conflicts(&mut self, plan: &InsertPlan, conflict: &Conflict, staged: &mut StagedInsert) -> Ran<()> {
        let exclusions = self.catalog.constraints_of(plan.table);
        if exclusions.into_iter().any(|constraint| matches!(constraint.kind, ConstraintKind::Exclusion(_))) {
            let what = "ON CONFLICT DO NOTHING in a table with an exclusion constraint";
            return Err(Problem::unsupported(what).into());
        }
        let all = staged.rows;
        let mut keys = Vec::new();
        for arbiter in &conflict.arbiters {
            let (_, key) = self.arbiter(plan.table, *arbiter)?;
            let (old, new) = self.key_tables(plan.table, &key, &staged.stage)?;
            let matching = key.join("a", "b");
            (staged.stage, staged.rows) = self.keep(&format!(
                "SELECT s.* FROM {} AS s WHERE s._r NOT IN (SELECT b._r FROM {new} AS b SEMI JOIN {old} AS a ON {matching})",
                staged.stage
            ))?;
            keys.push(key);
        }
        let mut meeting = 0;
        for key in keys {
            let (_, new) = self.key_tables(plan.table, &key, &staged.stage)?;
            let before = staged.rows;
            (staged.stage, staged.rows) = self.one_for_each_key(plan, &key, &staged.stage, &new)?;
            meeting += u32::from(staged.rows < before);
        }
        if meeting > 1 {
            return Err(
                Problem::unsupported("ON CONFLICT DO NOTHING whose rows meet each other by several keys").into()
            );
        }
        if staged.rows < all {
            let skipped = count(all - staged.rows);
            self.report.notes.push(format!("ON CONFLICT DO NOTHING skips {skipped} rows."));
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

    /// The first row of each key; where it isn't known which comes first, and they differ, the server's plan decides.
    fn one_for_each_key(&mut self, plan: &InsertPlan, key: &KeySql, stage: &str, new: &str) -> Ran<(String, u64)> {
        let keys = key.names();
        if !plan.columns.is_empty() && !plan.is_listed {
            let torn = self.store.engine.count(&format!(
                "SELECT count(*) FROM (SELECT 1 FROM {new} AS f JOIN {stage} AS s ON s._r = f._r GROUP BY {keys} HAVING count(DISTINCT {}) > 1)",
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
            "SELECT s.* FROM {stage} AS s WHERE s._r NOT IN (SELECT _r FROM {new}) OR s._r IN (SELECT min(_r) FROM {new} GROUP BY {keys})"
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
