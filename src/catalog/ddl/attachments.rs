//! Attachments: ATTACH PARTITION makes a table a partition, DETACH PARTITION a partition a table of its own.
//!
//! Input: one part of ALTER TABLE. Output: the same tables under another roof, and the rows that move. Invariants: a table that becomes a
//! partition has the columns and checks of its new parent (42804), and gets the keys, indexes and foreign keys that it lacks; rows of a
//! partition are kept with its parent. Left out: columns in another order, partitions that are partitioned, tables with triggers or
//! foreign keys to them.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableCmd, AlterTableStmt, AlterTableType, PartitionCmd};

use super::Change;
use super::tables::named;
use crate::catalog::lookup::schema_of;
use crate::catalog::partition::{Bound, Partition, Partitioning, Strategy};
use crate::catalog::{
    Catalog, Constraint, ConstraintKind, Effect, Index, IndexTarget, Oid, Outcome, Problem, RelationKind, Table,
};

/// The part of ALTER TABLE that attaches or detaches, which stands alone.
pub(crate) fn partition_command(statement: &AlterTableStmt) -> Option<(AlterTableType, &PartitionCmd)> {
    let [node] = statement.cmds.as_slice() else { return None };
    let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return None };
    let AlterTableCmd { def: Some(def), subtype, .. } = command.as_ref() else { return None };
    match &def.node {
        Some(NodeEnum::PartitionCmd(partition)) => Some((AlterTableType::try_from(*subtype).ok()?, partition)),
        _ => None,
    }
}

/// 42P16, where a bound is of another kind than its table is partitioned by.
pub(super) fn expect_kind(bound: &Bound, partitioning: &Partitioning) -> Outcome<()> {
    let word = match partitioning.strategy {
        Strategy::List => "list",
        Strategy::Range => "range",
        Strategy::Hash => "hash",
    };
    match (bound, partitioning.strategy) {
        (Bound::Default, Strategy::Hash) => {
            Err(Problem::rejected("42P16", "a hash-partitioned table may not have a default partition"))
        }
        (Bound::Default, _)
        | (Bound::List(..), Strategy::List)
        | (Bound::Range(..), Strategy::Range)
        | (Bound::Hash(..), Strategy::Hash) => Ok(()),
        _ => Err(Problem::rejected("42P16", format!("invalid bound specification for a {word} partition"))),
    }
}

impl Change {
    /// ATTACH and DETACH PARTITION; nothing for other statements.
    pub(super) fn change_partition(&mut self, parent: Oid, statement: &AlterTableStmt) -> Outcome<bool> {
        let Some((kind, command)) = partition_command(statement) else { return Ok(false) };
        match kind {
            AlterTableType::AtAttachPartition => self.attach(parent, command)?,
            AlterTableType::AtDetachPartition => self.detach(parent, command)?,
            _ => return Ok(false),
        }
        self.table = Some(parent);
        Ok(true)
    }

    fn attach(&mut self, parent: Oid, command: &PartitionCmd) -> Outcome<()> {
        let owner = self.catalog.tables[&parent].clone();
        let Some(partitioning) = self.catalog.partitioned.get(&parent).cloned() else {
            if owner.snapshot_table.is_some() {
                return Err(Problem::unsupported("a partition of a table that the snapshot holds as one"));
            }
            return Err(Problem::rejected("42P17", format!("table \"{}\" is not partitioned", owner.name)));
        };
        let spec = command.bound.as_ref().ok_or_else(|| Problem::unsupported("a partition without a bound"))?;
        let bound = Bound::read(spec)?;
        expect_kind(&bound, &partitioning)?;
        let relation = named(command.name.as_ref())?;
        let child = match self.catalog.find_relation(schema_of(relation), &relation.relname) {
            Some((RelationKind::Table, oid)) => self.catalog.tables[&oid].clone(),
            Some(_) => {
                let message =
                    format!("ALTER action ATTACH PARTITION cannot be performed on relation \"{}\"", relation.relname);
                return Err(Problem::rejected("42809", message));
            }
            None => return Err(self.catalog.missing_named(schema_of(relation), &relation.relname)),
        };
        if self.catalog.partitions.contains_key(&child.oid) {
            return Err(Problem::rejected("42809", format!("\"{}\" is already a partition", child.name)));
        }
        if child.oid == parent {
            return Err(Problem::rejected("42P07", "circular inheritance not allowed"));
        }
        self.expect_attachable(&owner, &child)?;
        self.catalog.partitions.insert(child.oid, Partition { parent, bound });
        self.complete_indexes(&owner, &child)?;
        let rules: Vec<Constraint> = self.catalog.constraints_of(parent).cloned().collect();
        for rule in rules.iter().filter(|rule| matches!(rule.kind, ConstraintKind::ForeignKey(_))) {
            if !self.catalog.constraints_of(child.oid).any(|own| same_key(own, rule)) {
                self.copy_constraint(rule, child.oid, rule.name.clone(), rule.kind.clone());
            }
        }
        self.effects.push(Effect::AttachRows(child.oid));
        let unique: Vec<Oid> = self.catalog.unique_indexes(parent).map(|index| index.oid).collect();
        self.effects.extend(unique.into_iter().map(Effect::VerifyUnique));
        let foreign = rules.iter().filter(|rule| matches!(rule.kind, ConstraintKind::ForeignKey(_)));
        self.effects.extend(foreign.map(|rule| Effect::VerifyConstraint(rule.oid)));
        Ok(())
    }

    /// The table has the columns and checks of its new parent, and nothing that isn't followed through the parent.
    fn expect_attachable(&self, parent: &Table, child: &Table) -> Outcome<()> {
        let differs = |message: String| Err(Problem::rejected("42804", message));
        let (own, other) = (&child.name, &parent.name);
        if let Some(extra) = child.columns.iter().find(|column| parent.column(&column.name).is_none()) {
            let message = format!("table \"{own}\" contains column \"{}\" not found in parent \"{other}\"", extra.name);
            return Err(Problem::rejected("42804", message)
                .detail("The new partition may contain only the columns present in parent."));
        }
        for column in &parent.columns {
            let Some(same) = child.column(&column.name) else {
                return differs(format!("child table is missing column \"{}\"", column.name));
            };
            if same.ty != column.ty {
                return differs(format!("child table \"{own}\" has different type for column \"{}\"", column.name));
            }
            if column.not_null && !same.not_null {
                return differs(format!("column \"{}\" in child table must be marked NOT NULL", column.name));
            }
            if column.generated != same.generated {
                return Err(Problem::unsupported("attaching a table whose generated columns are others"));
            }
        }
        for rule in self.catalog.constraints_of(parent.oid) {
            let ConstraintKind::Check(check) = &rule.kind else { continue };
            match self.catalog.constraint(child.oid, &rule.name).map(|own| &own.kind) {
                Some(ConstraintKind::Check(own)) if own == check || own.sql == check.sql => {}
                Some(ConstraintKind::Check(_)) => {
                    let what = "has different definition for check constraint";
                    return differs(format!("child table \"{own}\" {what} \"{}\"", rule.name));
                }
                _ => return differs(format!("child table is missing constraint \"{}\"", rule.name)),
            }
        }
        let places = |table: &Table| table.columns.iter().map(|c| (c.name.clone(), c.attnum)).collect::<Vec<_>>();
        if places(parent) != places(child) || parent.last_attnum != child.last_attnum {
            return Err(Problem::unsupported("attaching a table whose columns stand in another order"));
        }
        if child.materialized.is_some() || self.catalog.partitioned.contains_key(&child.oid) {
            return Err(Problem::unsupported("attaching a table that is partitioned itself"));
        }
        if self.catalog.triggers.iter().any(|trigger| trigger.table == child.oid) {
            return Err(Problem::unsupported("attaching a table that has triggers"));
        }
        if self.catalog.foreign_keys_to(child.oid).next().is_some() {
            return Err(Problem::unsupported("attaching a table that foreign keys refer to"));
        }
        Ok(())
    }

    /// Every index of the parent has one like it.
    fn complete_indexes(&mut self, parent: &Table, child: &Table) -> Outcome<()> {
        let indexes: Vec<Index> = self.catalog.indexes_of(parent.oid).cloned().collect();
        let mut taken: Vec<Oid> = Vec::new();
        for index in &indexes {
            let like = self.catalog.indexes_of(child.oid).find(|own| {
                !taken.contains(&own.oid)
                    && same_index(own, index)
                    && own.constraint.is_some() == index.constraint.is_some()
            });
            if let Some(own) = like {
                taken.push(own.oid);
                continue;
            }
            let rule = index.constraint.and_then(|rule| self.catalog.constraints.get(&rule)).cloned();
            let is_primary = matches!(rule.as_ref().map(|rule| &rule.kind), Some(ConstraintKind::PrimaryKey(_)));
            if is_primary && self.catalog.primary_key(child.oid).is_some() {
                let message = format!("multiple primary keys for table \"{}\" are not allowed", child.name);
                return Err(Problem::rejected("42P16", message));
            }
            self.copy_index(index, rule.as_ref(), child.oid);
        }
        Ok(())
    }

    fn detach(&mut self, parent: Oid, command: &PartitionCmd) -> Outcome<()> {
        if command.concurrent {
            self.expect_no_block("ALTER TABLE ... DETACH CONCURRENTLY")?;
        }
        let owner = self.catalog.tables[&parent].clone();
        if !self.catalog.partitioned.contains_key(&parent) {
            if owner.snapshot_table.is_some() {
                return Err(Problem::unsupported("a partition of a table that the snapshot holds as one"));
            }
            return Err(Problem::rejected("42P17", format!("table \"{}\" is not partitioned", owner.name)));
        }
        let has_default = self.catalog.partitions_of(parent).any(|(_, other)| other.bound == Bound::Default);
        if command.concurrent && has_default {
            let message = "cannot detach partitions concurrently when a default partition exists";
            return Err(Problem::rejected("55000", message));
        }
        let relation = named(command.name.as_ref())?;
        let child = self.catalog.expect_table(relation)?.clone();
        let partition = self.catalog.partitions.get(&child.oid).filter(|partition| partition.parent == parent).cloned();
        let Some(partition) = partition else {
            let message = format!("relation \"{}\" is not a partition of relation \"{}\"", child.name, owner.name);
            return Err(Problem::rejected("42P01", message));
        };
        if self.catalog.foreign_keys_to(parent).next().is_some() {
            return Err(Problem::unsupported("detaching a partition whose table foreign keys refer to"));
        }
        let condition = self.catalog.partition_condition(&partition);
        let condition = condition.ok_or_else(|| Problem::unsupported("detaching a partition by hash"))?;
        self.catalog.partitions.remove(&child.oid);
        self.effects.push(Effect::MoveRows { from: parent, to: child.oid, condition: condition.clone() });
        if command.concurrent {
            self.keep_bound(&child, &condition.sql)?;
        }
        Ok(())
    }

    /// DETACH CONCURRENTLY leaves the bound behind as a check.
    fn keep_bound(&mut self, child: &Table, condition: &str) -> Outcome<()> {
        use crate::query::quote_identifier;
        let name = format!("{}.{}", quote_identifier(&child.schema), quote_identifier(&child.name));
        let parsed = pg_query::parse(&format!("ALTER TABLE {name} ADD CHECK ({condition})"), 0);
        let parsed = parsed.map_err(|_| Problem::unsupported("a bound of this form"))?;
        let node = parsed.protobuf.stmts.into_iter().find_map(|statement| statement.stmt?.node);
        match node {
            Some(NodeEnum::AlterTableStmt(added)) => self.alter_table(&added).map(|_| ()),
            _ => Err(Problem::unsupported("a bound of this form")),
        }
    }
}

impl Catalog {
    /// A foreign key of a partition that its table hasn't.
    pub fn is_own_key(&self, constraint: &Constraint) -> bool {
        let parent = self.partitions.get(&constraint.table).map(|partition| partition.parent);
        parent.is_some_and(|parent| !self.constraints_of(parent).any(|other| same_key(constraint, other)))
    }

    /// A rule that a partition has and its table hasn't: rows that go through the table must keep it as well.
    pub fn own_rule(&self, partition: Oid) -> Option<&str> {
        let parent = self.partitions.get(&partition)?.parent;
        let unlike = |rule: &&Constraint| match &rule.kind {
            ConstraintKind::ForeignKey(_) => !self.constraints_of(parent).any(|other| same_key(rule, other)),
            ConstraintKind::Check(_) => self.constraint(parent, &rule.name).is_none(),
            ConstraintKind::Exclusion(_) | ConstraintKind::AbsentForeignKey(_) => true,
            // Keys are known by their indexes.
            ConstraintKind::PrimaryKey(_) | ConstraintKind::Unique(_) => false,
        };
        let unlike_key = |index: &&Index| !self.indexes_of(parent).any(|other| same_index(index, other));
        let rule = self.constraints_of(partition).find(unlike).map(|rule| rule.name.as_str());
        let key = || self.unique_indexes(partition).find(unlike_key).map(|index| index.name.as_str());
        let (table, owner) = (self.tables.get(&partition)?, self.tables.get(&parent)?);
        let strict = || {
            let strict = |column: &&crate::catalog::Column| {
                column.not_null && owner.by_attnum(column.attnum).is_some_and(|other| !other.not_null)
            };
            table.columns.iter().find(strict).map(|column| column.name.as_str())
        };
        rule.or_else(key).or_else(strict)
    }
}

fn same_key(one: &Constraint, other: &Constraint) -> bool {
    match (&one.kind, &other.kind) {
        (ConstraintKind::ForeignKey(one), ConstraintKind::ForeignKey(other)) => {
            one.columns == other.columns
                && one.parent == other.parent
                && one.parent_columns == other.parent_columns
                && one.on_delete == other.on_delete
                && one.on_update == other.on_update
        }
        _ => false,
    }
}

/// Two indexes of tables whose columns have the same numbers.
fn same_index(one: &Index, other: &Index) -> bool {
    let target = |one: &IndexTarget, other: &IndexTarget| match (one, other) {
        (IndexTarget::Column(one), IndexTarget::Column(other)) => one == other,
        (IndexTarget::Expression(one), IndexTarget::Expression(other)) => one.sql == other.sql,
        _ => false,
    };
    one.unique == other.unique
        && one.method == other.method
        && one.nulls_not_distinct == other.nulls_not_distinct
        && one.include == other.include
        && one.keys.len() == other.keys.len()
        && one
            .keys
            .iter()
            .zip(&other.keys)
            .all(|(one, other)| target(&one.target, &other.target) && one.operator_class == other.operator_class)
        && one.predicate.as_ref().map(|p| &p.sql) == other.predicate.as_ref().map(|p| &p.sql)
}
