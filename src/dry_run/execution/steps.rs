//! What runs before a plan's own query: temporary tables and recursive queries, level by level.
//!
//! Input: [`Step`]s. Output: their temporary tables. Invariants: a level is never materialized beyond the row budget; a
//! recursion whose level repeats an earlier one is stopped, because neither it nor the server's would ever end.

use std::collections::BTreeMap;

use super::Run;
use crate::catalog::Problem;
use crate::dry_run::engine::Ran;
use crate::render::count;
use crate::translate::{Recursion, Step, identity};
use crate::ui;

/// Rows of a level that are written down without being counted first.
const UNCOUNTED: u64 = 2_000_000;
/// No chain of real data is this long; a recursion that goes on beyond isn't going to end.
const LEVELS: u64 = 100_000;

impl Run<'_, '_> {
    /// Runs the steps in order; returns the tables they made.
    pub(super) fn run_steps(&mut self, steps: &[Step]) -> Ran<Vec<String>> {
        let mut made = Vec::new();
        for step in steps {
            ui::check_interrupt()?;
            match step {
                Step::Materialize { table, sql } => {
                    self.store.engine.run(&format!("CREATE OR REPLACE TEMP TABLE {table} AS {sql}"))?;
                    made.push(table.clone());
                }
                Step::Recurse(recursion) => {
                    self.recurse(recursion)?;
                    made.push(recursion.table.clone());
                }
            }
        }
        Ok(made)
    }

    /// Runs a recursive query as the server does: the working table holds the level before.
    fn recurse(&mut self, recursion: &Recursion) -> Ran<()> {
        let Recursion { name, table, working, .. } = recursion;
        let columns = recursion.columns.join(", ");
        let next = format!("{working}_next");
        self.level(recursion, &recursion.base_sql, working, false, self.row_budget)?;
        self.store.engine.run(&format!("CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM {working}"))?;
        let mut rows = self.store.engine.count(&format!("SELECT count(*) FROM {table}"))?;
        let mut levels = 1;
        let mut seen: BTreeMap<(u64, String), u64> = BTreeMap::new();
        loop {
            ui::check_interrupt()?;
            let (last, mark) = self.fingerprint(working, &columns)?;
            if last == 0 {
                break;
            }
            if let Some(before) = seen.insert((last, mark), levels) {
                return Err(self.endless(name, levels, before, rows));
            }
            if levels >= LEVELS {
                return Err(self.over_budget(name, levels, rows));
            }
            let left = self.row_budget.saturating_sub(rows);
            if self.level(recursion, &recursion.step_sql, &next, recursion.distinct, left)?.is_none() {
                return Err(self.over_budget(name, levels, rows));
            }
            rows += self.store.engine.count(&format!("SELECT count(*) FROM {next}"))?;
            self.store.engine.run(&format!(
                "INSERT INTO {table} SELECT * FROM {next}; DROP TABLE temp.{working}; ALTER TABLE temp.{next} RENAME TO {working}"
            ))?;
            levels += 1;
        }
        self.store.engine.run(&format!("DROP TABLE temp.{working}"))?;
        let note = format!(
            "The recursive query {name} makes {} rows in {} levels.",
            count(rows),
            count(levels.saturating_sub(1).max(1))
        );
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
        Ok(())
    }

    /// Writes a level into `target`; `None` where it has more rows than are left.
    fn level(&self, recursion: &Recursion, sql: &str, target: &str, new_only: bool, left: u64) -> Ran<Option<()>> {
        let names = recursion.columns.join(", ");
        let mut query = format!("SELECT * FROM ({sql}) AS level({names})");
        if recursion.distinct {
            let keys = |alias: &str| -> Vec<String> {
                let columns = recursion.columns.iter().zip(&recursion.types);
                columns.map(|(column, ty)| identity(&format!("{alias}.{column}"), ty)).collect()
            };
            query = format!(
                "SELECT * FROM ({query}) AS level QUALIFY row_number() OVER (PARTITION BY {} ORDER BY {names}) = 1",
                keys("level").join(", ")
            );
            if new_only {
                let same = keys("level").into_iter().zip(keys("had"));
                let same: Vec<String> = same.map(|(new, had)| format!("{new} IS NOT DISTINCT FROM {had}")).collect();
                query = format!(
                    "SELECT level.* FROM ({query}) AS level ANTI JOIN {} AS had ON {}",
                    recursion.table,
                    same.join(" AND ")
                );
            }
        }
        let make = |limit: u64| {
            self.store
                .engine
                .run(&format!("CREATE OR REPLACE TEMP TABLE {target} AS SELECT * FROM ({query}) LIMIT {limit}"))
        };
        let guess = left.min(UNCOUNTED);
        make(guess + 1)?;
        let rows = self.store.engine.count(&format!("SELECT count(*) FROM {target}"))?;
        if rows <= guess {
            return Ok(Some(()));
        }
        let rows =
            self.store.engine.count(&format!("SELECT count(*) FROM (SELECT 1 FROM ({query}) LIMIT {})", left + 1))?;
        if rows > left {
            return Ok(None);
        }
        make(left + 1)?;
        Ok(Some(()))
    }

    /// Rows of a table and a hash that doesn't depend on their order.
    fn fingerprint(&self, table: &str, columns: &str) -> Ran<(u64, String)> {
        let sql = format!("SELECT count(*), coalesce(sum(hash({columns})), 0)::VARCHAR FROM {table}");
        let rows = self.store.engine.rows(&sql, |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)))?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    fn over_budget(&self, name: &str, levels: u64, rows: u64) -> crate::dry_run::engine::Halt {
        Problem::unsupported(format!(
            "the recursive query {name}: after {} levels and {} rows the next level goes beyond the row budget of {}; the server has no such limit and would go on",
            count(levels),
            count(rows),
            count(self.row_budget)
        ))
        .into()
    }

    fn endless(&self, name: &str, level: u64, before: u64, rows: u64) -> crate::dry_run::engine::Halt {
        Problem::unsupported(format!(
            "the recursive query {name}, which never ends: after {} rows, level {} has the same rows as level {}; the server would not end it either",
            count(rows),
            count(level),
            count(before)
        ))
        .into()
    }
}
