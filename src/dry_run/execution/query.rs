//! SELECT: a query of the migration or of a check, and its rows.
//!
//! Input: a [`SelectPlan`]. Output: the number of rows, and the first of them under the names the server gives.

use serde_json::{Map, Value};

use super::Run;
use crate::dry_run::engine::Ran;
use crate::query::quote_literal;
use crate::translate::SelectPlan;

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
        self.load(&plan.remarks)?;
        self.note(&plan.remarks);
        // The one place where an order is part of the answer.
        self.store.engine.run("SET preserve_insertion_order = true")?;
        // After an error the engine takes no statement before the roll-back, which resets this as well.
        let selected = self.fetch(plan, limit)?;
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
        Ok(selected)
    }

    fn fetch(&mut self, plan: &SelectPlan, limit: usize) -> Ran<Selected> {
        let (table, row_count) = self.stage_query(&plan.steps, &plan.sql)?;
        let fields: Vec<String> =
            plan.outputs.iter().map(|o| format!("{}, {}", quote_literal(&o.name), o.column)).collect();
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
