//! Provenance: which statement made an object, and which one last changed a column?
//!
//! Input: statements that ran, with the catalogs before and after. Output: statement numbers. Invariant: a statement taken back has
//! made nothing. Left out: what a statement changed about an object other than a column.

use std::collections::BTreeMap;

use pg_query::NodeEnum;

use crate::catalog::{AttNum, Catalog, Oid};
use crate::migration::Statement;

/// Who made what.
#[derive(Debug, Clone, Default)]
pub(in crate::dry_run) struct Provenance {
    /// The first number given out by a statement, with the statement: numbers only grow.
    made: BTreeMap<Oid, usize>,
    /// The statement that made or last altered a column.
    columns: BTreeMap<(Oid, AttNum), usize>,
}

impl Provenance {
    /// Notes a statement that ran.
    pub(in crate::dry_run) fn observe(&mut self, statement: &Statement, before: &Catalog, after: &Catalog) {
        if after.last_oid > before.last_oid {
            self.made.insert(before.last_oid + 1, statement.index);
        }
        let NodeEnum::AlterTableStmt(alter) = &statement.node else { return };
        let Some(relation) = &alter.relation else { return };
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        let Some(table) = after.table(schema, &relation.relname) else { return };
        for command in &alter.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &command.node else { continue };
            let defined = command.def.as_deref().and_then(|def| match &def.node {
                Some(NodeEnum::ColumnDef(column)) if !column.colname.is_empty() => Some(&column.colname),
                _ => None,
            });
            if let Some(column) = table.column(defined.unwrap_or(&command.name)) {
                self.columns.insert((table.oid, column.attnum), statement.index);
            }
        }
    }

    /// The statement that made an object.
    pub(in crate::dry_run) fn maker(&self, oid: Oid) -> Option<usize> {
        self.made.range(..=oid).next_back().map(|(_, statement)| *statement)
    }

    /// The statement that made or last altered a column.
    pub(in crate::dry_run) fn of_column(&self, table: Oid, column: AttNum) -> Option<usize> {
        self.columns.get(&(table, column)).copied().or_else(|| self.maker(table))
    }
}
