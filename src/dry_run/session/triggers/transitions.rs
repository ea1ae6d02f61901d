//! Transition tables: the rows of a statement under the names that a trigger gives them.
//!
//! Input: a trigger with REFERENCING, and the rows of its statement. Output: the same as temporary tables while its function runs.
//! Invariant: what went by such a name before is there again afterwards.

use pg_query::NodeEnum;

use super::Fired;
use super::rows::Work;
use crate::catalog::lookup::TEMPORARY_SCHEMA;
use crate::catalog::{Column, Oid, Problem, Table};
use crate::dry_run::engine::Ran;
use crate::dry_run::session::Session;
use crate::translate::{column_name, table_name};

/// Tables that are there while a trigger's function runs, and those whose names they took.
#[derive(Default)]
pub(super) struct Transitions {
    made: Vec<Oid>,
    hidden: Vec<Table>,
}

impl Session<'_> {
    /// Makes the transition tables of a trigger.
    pub(super) fn make_transitions(&mut self, trigger: &Fired, work: Option<&Work>) -> Ran<Transitions> {
        let mut transitions = Transitions::default();
        for node in &trigger.statement.transition_rels {
            let Some(NodeEnum::TriggerTransition(transition)) = &node.node else { continue };
            let there = |work: &&Work| if transition.is_new { work.has_new } else { work.has_old };
            let Some(work) = work.filter(there) else {
                return Err(Problem::unsupported(format!("the transition table {}", transition.name)).into());
            };
            if let Some(oid) = self.catalog.table(Some(TEMPORARY_SCHEMA), &transition.name).map(|table| table.oid)
                && let Some(table) = self.catalog.tables.remove(&oid)
            {
                transitions.hidden.push(table);
            }
            self.catalog.last_oid += 1;
            let oid = self.catalog.last_oid;
            let columns: Vec<Column> = work
                .columns
                .iter()
                .map(|(attnum, name, ty)| Column::plain(*attnum, name.clone(), ty.clone()))
                .collect();
            let last_attnum = columns.iter().map(|column| column.attnum).max().unwrap_or(0);
            let letter = if transition.is_new { "n" } else { "o" };
            let (to, from): (Vec<String>, Vec<String>) = work
                .columns
                .iter()
                .map(|(c, _, _)| (format!(", {}", column_name(*c)), format!(", {letter}{c}")))
                .unzip();
            self.catalog.tables.insert(
                oid,
                Table {
                    oid,
                    schema: TEMPORARY_SCHEMA.to_owned(),
                    name: transition.name.clone(),
                    columns,
                    snapshot_table: None,
                    materialized: None,
                    populated: true,
                    last_attnum,
                },
            );
            transitions.made.push(oid);
            self.store.create(&self.catalog, oid)?;
            self.store.engine.run(&format!(
                "INSERT INTO {} (_r{}) SELECT _r{} FROM {}",
                table_name(oid),
                to.concat(),
                from.concat(),
                work.name
            ))?;
        }
        Ok(transitions)
    }

    /// Takes them away again.
    pub(super) fn drop_transitions(&mut self, transitions: Transitions) -> Ran<()> {
        for oid in transitions.made {
            self.catalog.tables.remove(&oid);
            self.store.drop_table(oid)?;
        }
        for table in transitions.hidden {
            self.catalog.tables.insert(table.oid, table);
        }
        Ok(())
    }
}
