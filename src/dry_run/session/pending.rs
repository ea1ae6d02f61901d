//! Pending events: checks that wait for the end of the transaction, and what the server doesn't do to a table before they are made.
//!
//! Input: tables whose rows have been written, and a statement. Output: nothing, or 55006. Invariant: rows that came in and keys that are
//! gone wait for certain; of other updates it isn't known, and the statement is refused by name.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::{ObjectType, RangeVar};

use super::Session;
use crate::catalog::lookup::schema_of;
use crate::catalog::{Applied, Catalog, Effect, Oid, Problem};
use crate::dry_run::engine::Ran;

/// Tables with checks that wait; false, where it isn't certain.
pub(super) type Pending = BTreeMap<Oid, bool>;

impl Session<'_> {
    /// Checks that wait from here on.
    pub(super) fn note_pending(&mut self, pending: Pending) {
        for (table, certain) in pending {
            *self.pending.entry(table).or_insert(false) |= certain;
        }
    }

    /// 55006 of ALTER TABLE, which comes before anything else about the statement.
    pub(super) fn expect_none_pending(&self, node: &NodeEnum) -> Ran<()> {
        let NodeEnum::AlterTableStmt(alter) = node else { return Ok(()) };
        if alter.objtype != ObjectType::ObjectTable as i32 {
            return Ok(());
        }
        let Some(table) = alter.relation.as_ref().and_then(|relation| self.named_table(relation)) else {
            return Ok(());
        };
        self.expect_idle(table, "ALTER TABLE", &self.catalog)
    }

    /// 55006 of what else touches a table as a whole: such statements are refused for other reasons first.
    pub(super) fn expect_none_pending_on(&self, node: &NodeEnum, applied: &Applied, before: &Catalog) -> Ran<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if let (NodeEnum::IndexStmt(_), Some(table)) = (node, applied.table) {
            return self.expect_idle(table, "CREATE INDEX", before);
        }
        for effect in &applied.effects {
            match effect {
                Effect::Truncate(table) if matches!(node, NodeEnum::TruncateStmt(_)) => {
                    self.expect_idle(*table, "TRUNCATE", before)?;
                }
                Effect::DropTable(table) => self.expect_idle(*table, "DROP TABLE", before)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn named_table(&self, relation: &RangeVar) -> Option<Oid> {
        self.catalog.table(schema_of(relation), &relation.relname).map(|table| table.oid)
    }

    fn expect_idle(&self, table: Oid, action: &str, catalog: &Catalog) -> Ran<()> {
        // What is run again was committed: its transactions have ended, though nothing ends them now.
        if self.replaying {
            return Ok(());
        }
        let (Some(certain), Some(table)) = (self.pending.get(&table), catalog.tables.get(&table)) else {
            return Ok(());
        };
        if !certain {
            return Err(Problem::unsupported(format!(
                "{action} of {}, of which it isn't known whether a deferred check of its rows is pending",
                table.name
            ))
            .into());
        }
        let message = format!("cannot {action} \"{}\" because it has pending trigger events", table.name);
        Err(Problem::rejected("55006", message).into())
    }
}
