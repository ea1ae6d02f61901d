//! Locks: which table-level locks does a statement take, and what do they keep others from?
//!
//! Input: the catalog before a statement, and the statement. Output: the strongest mode per table. Source: PostgreSQL's chapter on
//! explicit locking, and `pg_locks` of a server. Invariant: tables made by the statement itself are left out: nobody else sees them.
//! Left out: row locks, and locks on indexes and on the system's own tables.

use std::collections::BTreeMap;
use std::fmt;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, Node, ObjectType, RangeVar, SelectStmt, WithClause,
};

use super::lookup::schema_of;
use super::{Action, Catalog, ConstraintKind, Effect, ForeignKey, Oid, RelationKind, TransactionState, tree};

/// A mode of a table-level lock, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Reading.
    AccessShare,
    /// SELECT … FOR UPDATE, and looking up the other side of a foreign key.
    RowShare,
    /// Writing.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY, VALIDATE CONSTRAINT.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// ADD FOREIGN KEY, CREATE TRIGGER.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most of ALTER TABLE, DROP, TRUNCATE.
    AccessExclusive,
}

impl LockMode {
    /// As the documentation writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// What other sessions can't do meanwhile.
    pub fn blocks(self) -> &'static str {
        match self {
            LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive | LockMode::ShareUpdateExclusive => {
                "schema changes"
            }
            LockMode::Share | LockMode::ShareRowExclusive | LockMode::Exclusive => "writes",
            LockMode::AccessExclusive => "reads and writes",
        }
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The strongest lock a statement takes on each table, by the table's number.
pub fn locks(catalog: &Catalog, node: &NodeEnum) -> Vec<(Oid, LockMode)> {
    let mut reader = Reader { catalog, held: BTreeMap::new() };
    reader.statement(node);
    reader.changes(node);
    reader.held.into_iter().collect()
}

struct Reader<'a> {
    catalog: &'a Catalog,
    held: BTreeMap<Oid, LockMode>,
}

impl Reader<'_> {
    fn hold(&mut self, oid: Oid, mode: LockMode) {
        if self.catalog.tables.contains_key(&oid) {
            let held = self.held.entry(oid).or_insert(mode);
            *held = mode.max(*held);
        }
    }

    /// Locks the table that is named; for a view, the tables it reads.
    fn relation(&mut self, relation: Option<&RangeVar>, mode: LockMode) -> Option<Oid> {
        let relation = relation?;
        let (kind, oid) = self.catalog.find_relation(schema_of(relation), &relation.relname)?;
        match kind {
            RelationKind::Index => {
                let table = self.catalog.indexes.get(&oid)?.table;
                self.hold(table, mode);
                return Some(table);
            }
            RelationKind::View => self.view(oid, mode),
            _ => self.hold(oid, mode),
        }
        Some(oid)
    }

    fn view(&mut self, oid: Oid, mode: LockMode) {
        let catalog = self.catalog;
        let Some(view) = catalog.views.get(&oid) else { return };
        for read in view.depends_on.keys() {
            match catalog.views.contains_key(read) {
                true => self.view(*read, mode),
                false => self.hold(*read, mode),
            }
        }
    }

    fn statement(&mut self, node: &NodeEnum) {
        use LockMode as L;
        match node {
            NodeEnum::SelectStmt(select) => self.query(select),
            NodeEnum::InsertStmt(s) => self.insert(s),
            NodeEnum::UpdateStmt(s) => self.update(s),
            NodeEnum::DeleteStmt(s) => self.delete(s),
            NodeEnum::MergeStmt(s) => {
                self.relation(s.relation.as_ref(), L::RowExclusive);
                self.reads(s.with_clause.as_ref(), s.source_relation.as_deref().into_iter().cloned().collect(), vec![]);
            }
            NodeEnum::CreateTableAsStmt(s) => self.node(s.query.as_deref()),
            NodeEnum::ViewStmt(s) => self.node(s.query.as_deref()),
            NodeEnum::RefreshMatViewStmt(s) => {
                let mode = if s.concurrent { L::Exclusive } else { L::AccessExclusive };
                let oid = self.relation(s.relation.as_ref(), mode);
                let query =
                    oid.and_then(|oid| self.catalog.tables.get(&oid)).and_then(|table| table.materialized.clone());
                self.node(query.as_ref().map(|query| &*query.node));
            }
            NodeEnum::IndexStmt(s) => {
                self.relation(s.relation.as_ref(), if s.concurrent { L::ShareUpdateExclusive } else { L::Share });
            }
            NodeEnum::AlterTableStmt(s) => self.alter_table(s),
            NodeEnum::RenameStmt(s) => self.rename(s),
            NodeEnum::AlterObjectSchemaStmt(s) => {
                self.relation(s.relation.as_ref(), L::AccessExclusive);
            }
            NodeEnum::DropStmt(s) => self.drop(s),
            NodeEnum::TruncateStmt(s) => self.named(&s.relations, L::AccessExclusive),
            NodeEnum::CreateTrigStmt(s) => {
                self.relation(s.relation.as_ref(), L::ShareRowExclusive);
            }
            NodeEnum::CreatePolicyStmt(s) => {
                self.relation(s.table.as_ref(), L::AccessExclusive);
            }
            NodeEnum::AlterPolicyStmt(s) => {
                self.relation(s.table.as_ref(), L::AccessExclusive);
            }
            NodeEnum::CommentStmt(s) => self.comment(s),
            NodeEnum::CreateStatsStmt(s) => self.named(&s.relations, L::ShareUpdateExclusive),
            NodeEnum::LockStmt(s) => self.named(&s.relations, mode_of(s.mode)),
            NodeEnum::VacuumStmt(s) => self.vacuum(s),
            NodeEnum::ReindexStmt(s) => {
                let mode = if has_option(&s.params, "concurrently") { L::ShareUpdateExclusive } else { L::Share };
                self.relation(s.relation.as_ref(), mode);
            }
            NodeEnum::ClusterStmt(s) => {
                self.relation(s.relation.as_ref(), L::AccessExclusive);
            }
            _ => {}
        }
    }

    fn node(&mut self, node: Option<&Node>) {
        if let Some(node) = node.and_then(|node| node.node.as_ref()) {
            self.statement(node);
        }
    }

    fn named(&mut self, nodes: &[Node], mode: LockMode) {
        for node in nodes {
            if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                self.relation(Some(relation), mode);
            }
        }
    }

    /// A query reads; FOR UPDATE locks the rows' tables a little more.
    fn query(&mut self, select: &SelectStmt) {
        let mode = if select.locking_clause.is_empty() { LockMode::AccessShare } else { LockMode::RowShare };
        let node = Node { node: Some(NodeEnum::SelectStmt(Box::new(select.clone()))) };
        for oid in self.catalog.dependencies(&node).into_keys() {
            match self.catalog.views.contains_key(&oid) {
                true => self.view(oid, mode),
                false => self.hold(oid, mode),
            }
        }
        // WITH queries that write.
        for node in select.with_clause.iter().flat_map(|with| &with.ctes) {
            if let Some(NodeEnum::CommonTableExpr(common)) = &node.node {
                match common.ctequery.as_deref().and_then(|query| query.node.as_ref()) {
                    Some(NodeEnum::SelectStmt(_)) | None => {}
                    Some(write) => self.statement(write),
                }
            }
        }
    }

    /// What a write reads beside its table.
    fn reads(&mut self, with: Option<&WithClause>, from: Vec<Node>, expressions: Vec<Node>) {
        let targets = expressions.into_iter().map(|node| {
            let target = protobuf::ResTarget { val: Some(Box::new(node)), ..Default::default() };
            Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }
        });
        let select = SelectStmt {
            with_clause: with.cloned(),
            from_clause: from,
            target_list: targets.collect(),
            ..Default::default()
        };
        self.query(&select);
    }

    fn insert(&mut self, statement: &protobuf::InsertStmt) {
        let oid = self.relation(statement.relation.as_ref(), LockMode::RowExclusive);
        let source: Vec<Node> = statement.select_stmt.as_deref().into_iter().map(subquery).collect();
        self.reads(statement.with_clause.as_ref(), source, vec![]);
        // The parent rows are looked up and kept.
        for key in self.keys(|child, _| Some(child) == oid) {
            self.hold(key.parent, LockMode::RowShare);
        }
    }

    fn update(&mut self, statement: &protobuf::UpdateStmt) {
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

    fn delete(&mut self, statement: &protobuf::DeleteStmt) {
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

    fn alter_table(&mut self, statement: &AlterTableStmt) {
        let relation = statement.relation.as_ref();
        let found = relation.and_then(|r| self.catalog.find_relation(schema_of(r), &r.relname));
        let Some((RelationKind::Table | RelationKind::MaterializedView, oid)) = found else { return };
        for node in &statement.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { continue };
            self.hold(oid, alter_mode(command));
            let validates = command.subtype == AlterTableType::AtValidateConstraint as i32;
            if let Some(ConstraintKind::ForeignKey(key)) =
                self.catalog.constraint(oid, &command.name).filter(|_| validates).map(|constraint| &constraint.kind)
            {
                self.hold(key.parent, LockMode::RowShare);
            }
        }
    }

    fn rename(&mut self, statement: &protobuf::RenameStmt) {
        let kind = ObjectType::try_from(statement.rename_type).unwrap_or(ObjectType::Undefined);
        // Renaming an index locks the index alone.
        let relation = statement.relation.as_ref();
        let found = relation.and_then(|r| self.catalog.find_relation(schema_of(r), &r.relname));
        if kind != ObjectType::ObjectIndex
            && let Some((RelationKind::Table | RelationKind::MaterializedView, oid)) = found
        {
            self.hold(oid, LockMode::AccessExclusive);
        }
    }

    fn drop(&mut self, statement: &protobuf::DropStmt) {
        let mode = if statement.concurrent { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
        let kind = ObjectType::try_from(statement.remove_type).unwrap_or(ObjectType::Undefined);
        for node in &statement.objects {
            let Some(NodeEnum::List(list)) = &node.node else { continue };
            let mut names = tree::strings(&list.items);
            if matches!(kind, ObjectType::ObjectTrigger | ObjectType::ObjectPolicy) {
                names.pop();
            }
            let relname = names.pop().unwrap_or_default();
            let relation = RangeVar { relname, schemaname: names.pop().unwrap_or_default(), ..Default::default() };
            let is_view = matches!(kind, ObjectType::ObjectView | ObjectType::ObjectSequence);
            if !is_view {
                self.relation(Some(&relation), mode);
            }
        }
    }

    fn comment(&mut self, statement: &protobuf::CommentStmt) {
        let kind = ObjectType::try_from(statement.objtype).unwrap_or(ObjectType::Undefined);
        let Some(NodeEnum::List(list)) = statement.object.as_deref().and_then(|node| node.node.as_ref()) else {
            return;
        };
        let mut names = tree::strings(&list.items);
        match kind {
            ObjectType::ObjectTable | ObjectType::ObjectMatview => {}
            ObjectType::ObjectColumn => {
                names.pop();
            }
            _ => return,
        }
        let relname = names.pop().unwrap_or_default();
        let relation = RangeVar { relname, schemaname: names.pop().unwrap_or_default(), ..Default::default() };
        self.relation(Some(&relation), LockMode::ShareUpdateExclusive);
    }

    fn vacuum(&mut self, statement: &protobuf::VacuumStmt) {
        let full = has_option(&statement.options, "full");
        let mode = if full { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
        if statement.rels.is_empty() {
            let all: Vec<Oid> = self.catalog.tables.keys().copied().collect();
            all.into_iter().for_each(|oid| self.hold(oid, mode));
        }
        for node in &statement.rels {
            if let Some(NodeEnum::VacuumRelation(of)) = &node.node {
                self.relation(of.relation.as_ref(), mode);
            }
        }
    }

    /// Foreign keys that come, go or are rebuilt lock the tables on both sides: told from what the statement does.
    fn changes(&mut self, node: &NodeEnum) {
        let defines = matches!(
            node,
            NodeEnum::CreateStmt(_) | NodeEnum::AlterTableStmt(_) | NodeEnum::DropStmt(_) | NodeEnum::TruncateStmt(_)
        );
        if !defines {
            return;
        }
        let mut after = self.catalog.clone();
        let Ok(Some(applied)) = after.apply(node, &TransactionState { in_block: false }) else { return };
        let before = self.catalog;
        for (oid, constraint) in &after.constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind
                && !before.constraints.contains_key(oid)
            {
                self.hold(constraint.table, LockMode::ShareRowExclusive);
                self.hold(key.parent, LockMode::ShareRowExclusive);
            }
        }
        for (oid, constraint) in &before.constraints {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            let rebuilt = applied.effects.iter().any(|effect| match effect {
                Effect::ConvertColumn { table, attnum, .. } => {
                    (*table == constraint.table && key.columns.contains(attnum))
                        || (*table == key.parent && key.parent_columns.contains(attnum))
                }
                _ => false,
            });
            if rebuilt || !after.constraints.contains_key(oid) {
                self.hold(constraint.table, LockMode::AccessExclusive);
                self.hold(key.parent, LockMode::AccessExclusive);
            }
        }
        for effect in &applied.effects {
            if let Effect::Truncate(oid) | Effect::DropTable(oid) | Effect::DropColumn(oid, _) = effect {
                self.hold(*oid, LockMode::AccessExclusive);
            }
        }
    }
}

/// AlterTableGetLockLevel.
fn alter_mode(command: &AlterTableCmd) -> LockMode {
    use AlterTableType as T;
    match AlterTableType::try_from(command.subtype).unwrap_or(T::Undefined) {
        T::AtSetStatistics
        | T::AtClusterOn
        | T::AtDropCluster
        | T::AtSetOptions
        | T::AtResetOptions
        | T::AtSetRelOptions
        | T::AtResetRelOptions
        | T::AtValidateConstraint => LockMode::ShareUpdateExclusive,
        T::AtEnableTrig
        | T::AtEnableAlwaysTrig
        | T::AtEnableReplicaTrig
        | T::AtEnableTrigAll
        | T::AtEnableTrigUser
        | T::AtDisableTrig
        | T::AtDisableTrigAll
        | T::AtDisableTrigUser => LockMode::ShareRowExclusive,
        T::AtAddConstraint => match command.def.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::Constraint(constraint)) if constraint.contype == ConstrType::ConstrForeign as i32 => {
                LockMode::ShareRowExclusive
            }
            _ => LockMode::AccessExclusive,
        },
        _ => LockMode::AccessExclusive,
    }
}

fn mode_of(number: i32) -> LockMode {
    // LOCK TABLE's number counts from 1 in the order of the modes.
    match number {
        1 => LockMode::AccessShare,
        2 => LockMode::RowShare,
        3 => LockMode::RowExclusive,
        4 => LockMode::ShareUpdateExclusive,
        5 => LockMode::Share,
        6 => LockMode::ShareRowExclusive,
        7 => LockMode::Exclusive,
        _ => LockMode::AccessExclusive,
    }
}

fn has_option(options: &[Node], name: &str) -> bool {
    options.iter().any(|node| matches!(&node.node, Some(NodeEnum::DefElem(option)) if option.defname == name))
}

fn subquery(query: &Node) -> Node {
    let sub = protobuf::RangeSubselect { subquery: Some(Box::new(query.clone())), ..Default::default() };
    Node { node: Some(NodeEnum::RangeSubselect(Box::new(sub))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Vec<NodeEnum> {
        let parsed = pg_query::parse(sql, 0).expect(sql).protobuf;
        parsed.stmts.into_iter().filter_map(|statement| statement.stmt?.node).collect()
    }

    /// The expected modes were read from `pg_locks` of a PostgreSQL 15.
    fn check(sql: &str, expected: &str) {
        let mut catalog = Catalog::empty();
        let setup = "CREATE TABLE p (id int PRIMARY KEY, n int); \
            CREATE TABLE c (id int PRIMARY KEY, p int CONSTRAINT cfk REFERENCES p, x int); \
            CREATE TABLE d (id int, p int, x text); CREATE INDEX dx ON d (x); CREATE VIEW v AS SELECT id FROM p; \
            ALTER TABLE d ADD CONSTRAINT nv FOREIGN KEY (p) REFERENCES p NOT VALID";
        for node in parsed(setup) {
            catalog.apply(&node, &TransactionState::default()).expect(setup);
        }
        let held = locks(&catalog, &parsed(sql)[0]);
        let shown: Vec<String> =
            held.iter().map(|(oid, mode)| format!("{} {mode}", catalog.tables[oid].name)).collect();
        assert_eq!(shown.join(", "), expected, "{sql}");
    }

    #[test]
    fn the_modes_are_the_servers() {
        check("ALTER TABLE c ADD y int REFERENCES p", "p SHARE ROW EXCLUSIVE, c ACCESS EXCLUSIVE");
        check("ALTER TABLE d ADD FOREIGN KEY (p) REFERENCES p", "p SHARE ROW EXCLUSIVE, d SHARE ROW EXCLUSIVE");
        check("ALTER TABLE d VALIDATE CONSTRAINT nv", "p ROW SHARE, d SHARE UPDATE EXCLUSIVE");
        check("ALTER TABLE c DROP CONSTRAINT cfk", "p ACCESS EXCLUSIVE, c ACCESS EXCLUSIVE");
        check("ALTER TABLE d ALTER x SET STATISTICS 10", "d SHARE UPDATE EXCLUSIVE");
        check("ALTER TABLE d DISABLE TRIGGER USER", "d SHARE ROW EXCLUSIVE");
        check("ALTER TABLE d ADD CHECK (id > 0) NOT VALID", "d ACCESS EXCLUSIVE");
        check("ALTER INDEX dx RENAME TO dy", "");
        check("ALTER TABLE d RENAME x TO y", "d ACCESS EXCLUSIVE");
        check("CREATE INDEX ON d (id)", "d SHARE");
        check("CREATE INDEX CONCURRENTLY ON d (id)", "d SHARE UPDATE EXCLUSIVE");
        check("DROP INDEX dx", "d ACCESS EXCLUSIVE");
        check("DROP TABLE c", "p ACCESS EXCLUSIVE, c ACCESS EXCLUSIVE");
        check("DROP TABLE p CASCADE", "p ACCESS EXCLUSIVE, c ACCESS EXCLUSIVE, d ACCESS EXCLUSIVE");
        check("TRUNCATE c", "c ACCESS EXCLUSIVE");
        check("REINDEX INDEX dx", "d SHARE");
        check("COMMENT ON COLUMN d.x IS 'x'", "d SHARE UPDATE EXCLUSIVE");
        check("ANALYZE d", "d SHARE UPDATE EXCLUSIVE");
        check("INSERT INTO c VALUES (2, 1, 1)", "p ROW SHARE, c ROW EXCLUSIVE");
        check("UPDATE c SET x = 2", "c ROW EXCLUSIVE");
        check("DELETE FROM p", "p ROW EXCLUSIVE, c ROW SHARE, d ROW SHARE");
        check(
            "UPDATE c SET x = d.id FROM d WHERE d.p IN (SELECT id FROM v)",
            "p ACCESS SHARE, c ROW EXCLUSIVE, d ACCESS SHARE",
        );
        check("SELECT * FROM v FOR UPDATE", "p ROW SHARE");
        check("CREATE TABLE n (a int REFERENCES p)", "p SHARE ROW EXCLUSIVE");
        check("CREATE TABLE ct AS SELECT * FROM d", "d ACCESS SHARE");
        check("LOCK TABLE d IN EXCLUSIVE MODE", "d EXCLUSIVE");
    }
}
