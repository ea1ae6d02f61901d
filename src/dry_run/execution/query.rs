//! SELECT: a query of the migration or of a check, and its rows.
//!
//! Input: a [`SelectPlan`]. Output: the number of rows, and the first of them under the names the server gives.

use serde_json::{Map, Value};

use super::Run;
use crate::dry_run::engine::Ran;
use crate::plpgsql::run::Answer;
use crate::query::quote_literal;
use crate::translate::{SelectPlan, Value as Held, shown};

/// As many rows as there are.
const ALL: usize = u32::MAX as usize;

/// A query's answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::dry_run) struct Selected {
    /// Output columns.
    pub(in crate::dry_run) columns: Vec<String>,
    /// The first rows.
    pub(in crate::dry_run) rows: Vec<Map<String, Value>>,
    /// How many there are.
    pub(in crate::dry_run) row_count: u64,
}

impl Run<'_, '_> {
    /// Runs a query; `limit` rows are decoded.
    pub(in crate::dry_run) fn select(
        &mut self,
        plan: &SelectPlan,
        other: Option<&SelectPlan>,
        limit: usize,
    ) -> Ran<Selected> {
        self.compute(&plan.remarks)?;
        let writes = self.stage_with(&super::flattened(&plan.writes))?;
        self.load(&plan.remarks)?;
        self.note(&plan.remarks, false);
        // The one place where an order is part of the answer.
        self.store.engine.run("SET preserve_insertion_order = true")?;
        // After an error the engine takes no statement before the roll-back, which resets this as well.
        let selected = self.fetch(plan, limit).map_err(|halt| self.doubt_order(halt, &plan.remarks))?;
        self.store.take_numbers(&plan.remarks.numbers, selected.row_count);
        self.store.engine.run("SET preserve_insertion_order = false")?;
        if let Some(other) = other {
            let again = self.fetch(other, limit)?;
            if again != selected {
                self.report.notes.push(format!(
                    "{} leaves the choice between equal rows to the server's plan: the answer may be another.",
                    plan.remarks.choices.join(" and ")
                ));
            }
        }
        self.apply_with(writes)?;
        Ok(selected)
    }

    /// The rows of a query as values, at most so many, and their number; with none wanted all are made and counted.
    pub(in crate::dry_run) fn answer(&mut self, plan: &SelectPlan, most: usize) -> Ran<Answer> {
        self.compute(&plan.remarks)?;
        let writes = self.stage_with(&super::flattened(&plan.writes))?;
        self.load(&plan.remarks)?;
        self.note(&plan.remarks, false);
        let made = self.run_steps(&plan.steps)?;
        self.temporary.extend(made);
        let list: Vec<String> =
            plan.outputs.iter().map(|o| format!("typeof(q.{0}), CAST(q.{0} AS VARCHAR)", o.column)).collect();
        let list = if list.is_empty() { "1".to_owned() } else { list.join(", ") };
        let limit = if most == 0 || most > ALL { String::new() } else { format!(" LIMIT {most}") };
        let sql = format!("SELECT {list} FROM ({}) AS q{limit}", plan.sql);
        // Rows of a table have an order; one row has none.
        let in_order = !plan.remarks.reads.is_empty() || !plan.steps.is_empty();
        if in_order {
            self.store.engine.run("SET preserve_insertion_order = true")?;
        }
        let rows = self.store.engine.rows(&sql, |row| {
            let mut values = Vec::new();
            if most > 0 {
                for (at, output) in plan.outputs.iter().enumerate() {
                    let held_as: String = row.get(2 * at)?;
                    values.push(Held::read(output.ty.clone(), &held_as, row.get(2 * at + 1)?));
                }
            }
            Ok(values)
        });
        if in_order {
            self.store.engine.run("SET preserve_insertion_order = false")?;
        }
        let mut rows = rows?;
        let total = rows.len() as u64;
        if most == 0 {
            rows.clear();
        }
        self.store.take_numbers(&plan.remarks.numbers, total);
        self.apply_with(writes)?;
        let columns = plan.outputs.iter().map(|o| (o.name.clone(), o.ty.clone())).collect();
        Ok(Answer { columns, rows, total })
    }

    fn fetch(&mut self, plan: &SelectPlan, limit: usize) -> Ran<Selected> {
        let (table, row_count) = self.stage_query(&plan.steps, &plan.sql)?;
        let fields: Vec<String> =
            plan.outputs.iter().map(|o| format!("{}, {}", quote_literal(&o.name), shown(&o.column, &o.ty))).collect();
        let rows = if plan.outputs.is_empty() {
            Vec::new()
        } else {
            self.store
                .engine
                .objects(&format!("SELECT json_object({}) FROM {table} LIMIT {limit}", fields.join(", ")))?
        };
        Ok(Selected { columns: plan.outputs.iter().map(|o| o.name.clone()).collect(), rows, row_count })
    }
}
