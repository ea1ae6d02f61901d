//! Tables whose rows can't be told, and the statements that depend on them.
//!
//! Input: a statement that couldn't be rehearsed; what later statements read. Output: marks on tables, and `dependents`.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::RangeVar;

use super::Session;
use crate::catalog::{Oid, tree};
use crate::dry_run::report::StatementReport;
use crate::migration::Statement;

impl Session<'_> {
    /// Marks the tables that a statement may have written; returns their names.
    pub(super) fn taint(&mut self, statement: &Statement) -> Vec<String> {
        let target = match &statement.node {
            NodeEnum::SelectStmt(select) if select.into_clause.is_none() => {
                let bodies = self.bodies_named(&statement.sql);
                return self.mark(self.mentioned(&bodies), statement);
            }
            node => tree::relation_written(node),
        };
        let mut tables = match target {
            Some(relation) => self.named(relation),
            // Anything it names may have been written: a DO block, a function, a form of DDL that isn't read.
            None => self.mentioned(&statement.sql),
        };
        // So may what its functions and its table's triggers name.
        let mut bodies = self.bodies_named(&statement.sql);
        for trigger in self.catalog.triggers.iter().filter(|trigger| tables.contains(&trigger.table)) {
            bodies.push_str(&self.bodies_named(&trigger.sql));
        }
        tables.extend(self.mentioned(&bodies));
        self.mark(tables, statement)
    }

    /// The texts of the functions that a text names, and of those that they name.
    pub(super) fn bodies_named(&self, sql: &str) -> String {
        let mut text = sql.to_lowercase();
        let mut bodies = String::new();
        let mut taken = BTreeSet::new();
        loop {
            let next = self
                .catalog
                .functions
                .iter()
                .enumerate()
                .find(|(at, function)| !taken.contains(at) && text.contains(&function.name.to_lowercase()));
            let Some((at, function)) = next else { return bodies };
            taken.insert(at);
            if let Some(body) = function.definition.as_ref().and_then(|definition| definition.body.as_ref()) {
                text.push_str(&body.to_lowercase());
                bodies.push_str(body);
                bodies.push('\n');
            }
        }
    }

    fn mark(&mut self, tables: BTreeSet<Oid>, statement: &Statement) -> Vec<String> {
        for &table in &tables {
            self.unreliable.entry(table).or_insert(statement.index);
        }
        tables.into_iter().filter_map(|table| self.table_name(table)).collect()
    }

    fn named(&self, relation: &RangeVar) -> BTreeSet<Oid> {
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        self.catalog.table(schema, &relation.relname).map(|table| table.oid).into_iter().collect()
    }

    fn mentioned(&self, sql: &str) -> BTreeSet<Oid> {
        let words: BTreeSet<String> =
            sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_lowercase).collect();
        let tables = self.catalog.tables.values();
        tables.filter(|table| words.contains(&table.name.to_lowercase())).map(|table| table.oid).collect()
    }

    /// Notes that a statement reads marked tables; the table it writes is then marked, too.
    pub(super) fn depend_on(
        &mut self,
        reads: impl Iterator<Item = Oid>,
        writes: Option<Oid>,
        report: &mut StatementReport,
    ) {
        let blamed: BTreeSet<(Oid, usize)> =
            reads.filter_map(|table| self.unreliable.get(&table).map(|&statement| (table, statement))).collect();
        for (table, statement) in blamed {
            if let Some(earlier) = self.reports.iter_mut().find(|earlier| earlier.index == statement)
                && let Some(unsupported) = &mut earlier.unsupported
                && !unsupported.dependents.contains(&report.index)
            {
                unsupported.dependents.push(report.index);
            }
            let name = self.table_name(table).unwrap_or_default();
            let note = format!(
                "It depends on {name}, whose rows can't be told since statement {statement}: its figures may be wrong."
            );
            if !report.notes.contains(&note) {
                report.notes.push(note);
            }
            if let Some(written) = writes {
                self.unreliable.entry(written).or_insert(statement);
            }
        }
    }
}
