//! Locks of writes: the table written, what is read beside it, and the tables on the other side of its foreign keys.
//!
//! Input: INSERT, UPDATE and DELETE. Output: locks held. Left out: whether a row there is to look up; the lock is counted if one may be.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, Node};

use super::{LockMode, Reader};
use crate::catalog::{Action, ConstraintKind, ForeignKey, Oid};

impl Reader<'_> {
    pub(super) fn insert(&mut self, statement: &protobuf::InsertStmt) {
        let oid = self.relation(statement.relation.as_ref(), LockMode::RowExclusive);
        let source: Vec<Node> = statement.select_stmt.as_deref().into_iter().map(subquery).collect();
        self.reads(statement.with_clause.as_ref(), source, vec![]);
        // The parent rows are looked up and kept.
        for key in self.keys(|child, _| Some(child) == oid) {
            self.hold(key.parent, LockMode::RowShare);
        }
    }

    pub(super) fn update(&mut self, statement: &protobuf::UpdateStmt) {
        let oid = self.relation(statement.relation.as_ref(), LockMode::RowExclusive);
        let expressions = statement.target_list.iter().chain(statement.where_clause.as_deref()).cloned().collect();
        self.reads(statement.with_clause.as_ref(), statement.from_clause.clone(), expressions);
        let Some(table) = oid.and_then(|oid| self.catalog.tables.get(&oid)) else { return };
        let written: Vec<u16> = statement
            .target_list
            .iter()
            .filter_map(|node| match &node.node {
                Some(NodeEnum::ResTarget(target)) => table.column(&target.name).map(|column| column.attnum),
                _ => None,
            })
            .collect();
        let writes = |columns: &[u16]| columns.iter().any(|column| written.contains(column));
        for key in self.keys(|child, key| Some(child) == oid && writes(&key.columns)) {
            self.hold(key.parent, LockMode::RowShare);
        }
        let children: Vec<(Oid, Action)> = self.children(oid, |key| writes(&key.parent_columns), |key| key.on_update);
        self.hold_children(children);
    }

    pub(super) fn delete(&mut self, statement: &protobuf::DeleteStmt) {
        let oid = self.relation(statement.relation.as_ref(), LockMode::RowExclusive);
        let condition = statement.where_clause.as_deref().into_iter().cloned().collect();
        self.reads(statement.with_clause.as_ref(), statement.using_clause.clone(), condition);
        let children = self.children(oid, |_| true, |key| key.on_delete);
        self.hold_children(children);
    }

    fn keys(&self, wanted: impl Fn(Oid, &ForeignKey) -> bool) -> Vec<ForeignKey> {
        let keys = self.catalog.constraints.values().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) if wanted(constraint.table, key) => Some(key.clone()),
            _ => None,
        });
        keys.collect()
    }

    fn children(
        &self,
        parent: Option<Oid>,
        wanted: impl Fn(&ForeignKey) -> bool,
        action: impl Fn(&ForeignKey) -> Action,
    ) -> Vec<(Oid, Action)> {
        let Some(parent) = parent else { return vec![] };
        let keys = self.catalog.foreign_keys_to(parent).filter_map(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) if wanted(key) => Some((constraint.table, action(key))),
            _ => None,
        });
        keys.collect()
    }

    /// The children's rows are looked up, or written where the action says so.
    fn hold_children(&mut self, children: Vec<(Oid, Action)>) {
        for (child, action) in children {
            let looks = matches!(action, Action::NoAction | Action::Restrict);
            self.hold(child, if looks { LockMode::RowShare } else { LockMode::RowExclusive });
        }
    }
}

fn subquery(query: &Node) -> Node {
    let sub = protobuf::RangeSubselect { subquery: Some(Box::new(query.clone())), ..Default::default() };
    Node { node: Some(NodeEnum::RangeSubselect(Box::new(sub))) }
}
