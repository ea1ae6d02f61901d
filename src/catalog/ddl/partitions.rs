//! Partitions: PARTITION BY and PARTITION OF, and what reaches the partitions of a table that is changed.
//!
//! Input: the parser's statements. Output: partitioned tables, and partitions with the columns, keys and constraints of theirs.
//! Invariants: a key that is unique holds all columns that the table is partitioned by (0A000); what is changed about a partitioned
//! table is changed about its partitions. Left out: partitions changed on their own, which are refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, CreateStmt, IndexStmt, Node, PartitionStrategy,
    RangeVar,
};

use super::Change;
use super::tables::named;
use crate::catalog::partition::{Bound, Partition, Partitioning, Strategy};
use crate::catalog::{
    AttNum, Column, Constraint, ConstraintKind, Index, IndexTarget, Oid, Outcome, Problem, Table, naming,
};

impl Change {
    /// PARTITION BY
    pub(super) fn note_partitioning(&mut self, table: Oid, statement: &CreateStmt) -> Outcome<()> {
        let Some(spec) = &statement.partspec else { return Ok(()) };
        let strategy = match PartitionStrategy::try_from(spec.strategy) {
            Ok(PartitionStrategy::List) => Strategy::List,
            Ok(PartitionStrategy::Range) => Strategy::Range,
            Ok(PartitionStrategy::Hash) => Strategy::Hash,
            _ => return Err(Problem::unsupported("this way of partitioning")),
        };
        let mut key = Vec::new();
        for node in &spec.part_params {
            let Some(NodeEnum::PartitionElem(element)) = &node.node else { continue };
            if element.expr.is_some() {
                return Err(Problem::unsupported("a table partitioned by an expression"));
            }
            let owner = &self.catalog.tables[&table];
            match owner.column(&element.name) {
                Some(column) => key.push(column.attnum),
                None => {
                    let message = format!("column \"{}\" named in partition key does not exist", element.name);
                    return Err(Problem::rejected("42703", message).at(element.location));
                }
            }
        }
        if key.len() > 1 && strategy != Strategy::Hash {
            return Err(Problem::unsupported("a table partitioned by several columns"));
        }
        self.catalog.partitioned.insert(table, Partitioning { strategy, key });
        Ok(())
    }

    /// A unique key of a partitioned table holds the columns it is partitioned by.
    pub(super) fn expect_partition_key(&self, table: Oid, columns: &[Option<AttNum>], word: &str) -> Outcome<()> {
        let Some(partitioning) = self.catalog.partitioned.get(&table) else { return Ok(()) };
        let Some(missing) = partitioning.key.iter().find(|attnum| !columns.contains(&Some(**attnum))) else {
            return Ok(());
        };
        let owner = &self.catalog.tables[&table];
        let column = owner.by_attnum(*missing).map_or("", |column| column.name.as_str());
        let message = "unique constraint on partitioned table must include all partitioning columns";
        Err(Problem::rejected("0A000", message).detail(format!(
            "{word} constraint on table \"{}\" lacks column \"{column}\" which is part of the partition key.",
            owner.name
        )))
    }

    /// CREATE TABLE … PARTITION OF
    pub(super) fn create_partition(&mut self, statement: &CreateStmt) -> Outcome<()> {
        let relation = named(statement.relation.as_ref())?;
        let [Node { node: Some(NodeEnum::RangeVar(of)) }] = statement.inh_relations.as_slice() else {
            return Err(Problem::unsupported("a partition of this form"));
        };
        let parent = self.catalog.expect_table(of)?.clone();
        let Some(partitioning) = self.catalog.partitioned.get(&parent.oid).cloned() else {
            if parent.snapshot_table.is_some() {
                return Err(Problem::unsupported("a partition of a table that the snapshot holds as one"));
            }
            return Err(Problem::rejected("42P17", format!("\"{}\" is not partitioned", parent.name)));
        };
        if statement.partspec.is_some() || !statement.table_elts.is_empty() || !statement.constraints.is_empty() {
            return Err(Problem::unsupported("a partition with columns, constraints or partitions of its own"));
        }
        let spec = statement.partbound.as_ref().ok_or_else(|| Problem::unsupported("a partition without a bound"))?;
        let bound = Bound::read(spec)?;
        super::attachments::expect_kind(&bound, &partitioning)?;
        let schema = self.schema_for(relation)?;
        if parent.columns.iter().enumerate().any(|(at, column)| usize::from(column.attnum) != at + 1) {
            return Err(Problem::unsupported("a partition of a table that has lost a column"));
        }
        let columns: Vec<Column> = parent
            .columns
            .iter()
            .map(|column| Column { identity: None, snapshot_column: None, ..column.clone() })
            .collect();
        let oid = self.insert_table(schema, &relation.relname, columns, None)?;
        self.catalog.partitions.insert(oid, Partition { parent: parent.oid, bound });
        self.copy_rules(&parent, oid);
        self.table = Some(oid);
        Ok(())
    }

    /// The checks, keys, indexes and foreign keys of a partitioned table, for a partition.
    fn copy_rules(&mut self, parent: &Table, oid: Oid) {
        let rules: Vec<Constraint> = self.catalog.constraints_of(parent.oid).cloned().collect();
        let is_check = |rule: &&Constraint| matches!(rule.kind, ConstraintKind::Check(_));
        for rule in rules.iter().filter(is_check) {
            self.copy_constraint(rule, oid, rule.name.clone(), rule.kind.clone());
        }
        let indexes: Vec<Index> = self.catalog.indexes_of(parent.oid).cloned().collect();
        for index in &indexes {
            let rule = index.constraint.and_then(|rule| rules.iter().find(|other| other.oid == rule));
            self.copy_index(index, rule, oid);
        }
        let is_foreign = |rule: &&Constraint| matches!(rule.kind, ConstraintKind::ForeignKey(_));
        for rule in rules.iter().filter(is_foreign) {
            self.copy_constraint(rule, oid, rule.name.clone(), rule.kind.clone());
        }
    }

    pub(super) fn copy_constraint(&mut self, rule: &Constraint, table: Oid, name: String, kind: ConstraintKind) -> Oid {
        let oid = self.catalog.new_oid();
        self.catalog.constraints.insert(oid, Constraint { oid, table, name, kind, ..rule.clone() });
        oid
    }

    pub(super) fn copy_index(&mut self, index: &Index, rule: Option<&Constraint>, table: Oid) {
        let owner = &self.catalog.tables[&table];
        let names: Vec<String> = index
            .keys
            .iter()
            .map(|key| match &key.target {
                IndexTarget::Column(attnum) => {
                    owner.by_attnum(*attnum).map_or_else(String::new, |column| column.name.clone())
                }
                IndexTarget::Expression(expression) => {
                    naming::expression_name(&expression.node).unwrap_or_else(|| "expr".to_owned())
                }
            })
            .collect();
        let addition = naming::addition(&naming::distinct_names(names));
        let (addition, suffix) = match rule.map(|rule| &rule.kind) {
            Some(ConstraintKind::PrimaryKey(_)) => (None, "pkey"),
            Some(_) => (Some(addition.as_str()), "key"),
            None => (Some(addition.as_str()), "idx"),
        };
        let (schema, shown) = (owner.schema.clone(), owner.name.clone());
        let name = self.catalog.choose_relation_name(&schema, &shown, addition, suffix, rule.is_some());
        let oid = self.catalog.new_oid();
        let constraint = rule.map(|rule| {
            let kind = match rule.kind {
                ConstraintKind::PrimaryKey(_) => ConstraintKind::PrimaryKey(oid),
                _ => ConstraintKind::Unique(oid),
            };
            self.copy_constraint(rule, table, name.clone(), kind)
        });
        self.catalog.indexes.insert(oid, Index { oid, schema, name, table, constraint, ..index.clone() });
    }

    /// The partitions of a table as statements name them.
    fn partitions_named(&self, parent: Oid) -> Vec<RangeVar> {
        let tables = self.catalog.partitions_of(parent).filter_map(|(oid, _)| self.catalog.tables.get(&oid));
        tables
            .map(|table| RangeVar {
                schemaname: table.schema.clone(),
                relname: table.name.clone(),
                inh: true,
                relpersistence: "p".to_owned(),
                ..RangeVar::default()
            })
            .collect()
    }

    /// The rows that a partition's own key would judge are its table's.
    pub(super) fn expect_no_key_of_partition(&self, statement: &IndexStmt) -> Outcome<()> {
        let Some(relation) = statement.relation.as_ref().filter(|_| statement.unique) else { return Ok(()) };
        let table = self.catalog.table(crate::catalog::lookup::schema_of(relation), &relation.relname);
        match table.is_some_and(|table| self.catalog.partitions.contains_key(&table.oid)) {
            true => Err(Problem::unsupported("a unique index of a partition on its own")),
            false => Ok(()),
        }
    }

    /// CREATE INDEX on a partitioned table, for each of its partitions.
    pub(super) fn index_partitions(&mut self, table: Oid, statement: &IndexStmt) -> Outcome<()> {
        for relation in self.partitions_named(table) {
            let own = IndexStmt {
                relation: Some(relation),
                idxname: String::new(),
                if_not_exists: false,
                ..statement.clone()
            };
            self.create_index(&own)?;
        }
        self.table = Some(table);
        Ok(())
    }

    /// What ALTER TABLE may do about a table that is a partition or has some.
    pub(super) fn expect_alterable(&self, table: Oid, statement: &AlterTableStmt, mirrored: bool) -> Outcome<()> {
        use AlterTableType as T;
        let is_partition = self.catalog.partitions.contains_key(&table) && !mirrored;
        let partitioning = self.catalog.partitioned.get(&table);
        let has_partitions = partitioning.is_some() && self.catalog.partitions_of(table).next().is_some();
        if !is_partition && partitioning.is_none() {
            return Ok(());
        }
        for command in commands(statement) {
            let kind = AlterTableType::try_from(command.subtype).unwrap_or(AlterTableType::Undefined);
            let harmless = matches!(
                kind,
                T::AtChangeOwner
                    | T::AtEnableRowSecurity
                    | T::AtDisableRowSecurity
                    | T::AtForceRowSecurity
                    | T::AtNoForceRowSecurity
                    | T::AtSetRelOptions
                    | T::AtResetRelOptions
                    | T::AtSetStatistics
                    | T::AtReplicaIdentity
            );
            let refused = |what: &str| Err(Problem::unsupported(format!("{what} of a partitioned table")));
            if harmless {
                continue;
            }
            if is_partition {
                return Err(Problem::unsupported("changing a partition on its own"));
            }
            let keyed = partitioning.is_some_and(|partitioning| {
                let column = self.catalog.tables[&table].column(&command.name);
                column.is_some_and(|column| partitioning.key.contains(&column.attnum))
            });
            if keyed && matches!(kind, T::AtDropColumn | T::AtAlterColumnType) {
                return refused("changing the key");
            }
            let plain = match kind {
                T::AtColumnDefault | T::AtSetNotNull | T::AtDropNotNull | T::AtAlterColumnType => true,
                T::AtAddColumn => column_is_plain(command),
                T::AtDropColumn => !has_partitions,
                T::AtAddConstraint => constraint_of(command).is_some_and(|rule| rule.indexname.is_empty()),
                T::AtDropConstraint => {
                    let rule = self.catalog.constraint(table, &command.name).map(|rule| &rule.kind);
                    !has_partitions
                        || matches!(rule, None | Some(ConstraintKind::Check(_) | ConstraintKind::ForeignKey(_)))
                }
                _ => !has_partitions,
            };
            if !plain || matches!(kind, T::AtAttachPartition | T::AtDetachPartition) {
                return refused("this change");
            }
        }
        Ok(())
    }

    /// ALTER TABLE of a partitioned table, for each of its partitions.
    pub(super) fn alter_partitions(&mut self, table: Oid, statement: &AlterTableStmt) -> Outcome<()> {
        if !self.catalog.partitioned.contains_key(&table) {
            return Ok(());
        }
        for relation in self.partitions_named(table) {
            let mut own = AlterTableStmt { relation: Some(relation), ..statement.clone() };
            for node in &mut own.cmds {
                let Some(NodeEnum::AlterTableCmd(command)) = &mut node.node else { continue };
                if let Some(NodeEnum::Constraint(rule)) = command.def.as_deref_mut().and_then(|def| def.node.as_mut()) {
                    let keyed = [ConstrType::ConstrPrimary as i32, ConstrType::ConstrUnique as i32];
                    if keyed.contains(&rule.contype) {
                        rule.conname.clear();
                    }
                }
            }
            self.alter_mirrored(&own)?;
        }
        self.table = Some(table);
        Ok(())
    }
}

fn commands(statement: &AlterTableStmt) -> impl Iterator<Item = &AlterTableCmd> {
    statement.cmds.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => Some(command.as_ref()),
        _ => None,
    })
}

fn constraint_of(command: &AlterTableCmd) -> Option<&protobuf::Constraint> {
    match command.def.as_deref().and_then(|def| def.node.as_ref()) {
        Some(NodeEnum::Constraint(rule)) => Some(rule),
        _ => None,
    }
}

/// A column with nothing but a default and NOT NULL.
fn column_is_plain(command: &AlterTableCmd) -> bool {
    let Some(NodeEnum::ColumnDef(column)) = command.def.as_deref().and_then(|def| def.node.as_ref()) else {
        return false;
    };
    let kinds = [ConstrType::ConstrNotnull as i32, ConstrType::ConstrNull as i32, ConstrType::ConstrDefault as i32];
    let serial = column
        .type_name
        .as_ref()
        .is_some_and(|ty| crate::catalog::tree::strings(&ty.names).last().is_some_and(|name| name.contains("serial")));
    !serial
        && column.constraints.iter().all(|node| match &node.node {
            Some(NodeEnum::Constraint(rule)) => kinds.contains(&rule.contype),
            _ => false,
        })
}
