//! New partitions: may their bounds stand beside those that are there?
//!
//! Input: CREATE TABLE … PARTITION OF or ATTACH PARTITION, before it is carried out. Output: nothing, or the server's refusal: bounds that overlap or take
//! nothing (42P17), rows of the default partition that would be the new one's (23514).

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableStmt, AlterTableType, CreateStmt, PartitionBoundSpec, RangeVar};

use super::Session;
use crate::catalog::ddl::partition_command;
use crate::catalog::lookup::schema_of;
use crate::catalog::partition::Bound;
use crate::catalog::{Oid, Problem};
use crate::dry_run::engine::Ran;
use crate::query::quote_identifier;

impl Session<'_> {
    /// Holds a new partition's bound against the others.
    pub(super) fn expect_bound(&mut self, create: &CreateStmt) -> Ran<()> {
        let (Some(spec), Some(NodeEnum::RangeVar(of))) =
            (&create.partbound, create.inh_relations.first().and_then(|node| node.node.as_ref()))
        else {
            return Ok(());
        };
        let name = create.relation.as_ref().map_or("", |relation| relation.relname.as_str());
        self.expect_bound_of(of, spec, name, true)
    }

    /// The same for a table that is to become a partition.
    pub(super) fn expect_attached_bound(&mut self, alter: &AlterTableStmt) -> Ran<()> {
        let Some((AlterTableType::AtAttachPartition, command)) = partition_command(alter) else { return Ok(()) };
        let (Some(of), Some(spec), Some(relation)) = (&alter.relation, &command.bound, &command.name) else {
            return Ok(());
        };
        let parent = self.catalog.table(schema_of(of), &of.relname);
        let child = self.catalog.table(schema_of(relation), &relation.relname);
        let (Some(parent), Some(child)) = (parent, child) else { return Ok(()) };
        // What is looked at before, and what only the catalog says.
        let is_extra = child.columns.iter().any(|column| parent.column(&column.name).is_none());
        if is_extra || child.oid == parent.oid || self.catalog.partitions.contains_key(&child.oid) {
            return Ok(());
        }
        // Rows of a default partition are looked at behind those of the table itself.
        self.expect_bound_of(of, spec, &relation.relname, false)
    }

    fn expect_bound_of(&mut self, of: &RangeVar, spec: &PartitionBoundSpec, name: &str, of_default: bool) -> Ran<()> {
        let Some(parent) = self.catalog.table(schema_of(of), &of.relname).cloned() else { return Ok(()) };
        let Some(partitioning) = self.catalog.partitioned.get(&parent.oid).cloned() else { return Ok(()) };
        let Some(column) = partitioning.key.first().and_then(|attnum| parent.by_attnum(*attnum)) else { return Ok(()) };
        let ty = column.ty.name(&self.catalog);
        let bound = Bound::read(spec)?;
        if let Bound::Range(Some(low), Some(high)) = &bound
            && self.holds(&format!("SELECT ({low})::{ty} >= ({high})::{ty}"))?
        {
            let message = format!("empty range bound specified for partition \"{name}\"");
            return Err(Problem::rejected("42P17", message).into());
        }
        let others: Vec<(Oid, Bound)> =
            self.catalog.partitions_of(parent.oid).map(|(oid, partition)| (oid, partition.bound.clone())).collect();
        for (oid, other) in &others {
            let shown = self.catalog.tables.get(oid).map_or_else(String::new, |table| table.name.clone());
            if bound == Bound::Default && *other == Bound::Default {
                let message = format!("partition \"{name}\" conflicts with existing default partition \"{shown}\"");
                return Err(Problem::rejected("42P17", message).into());
            }
            if self.overlap(&bound, other, &ty)? {
                let message = format!("partition \"{name}\" would overlap partition \"{shown}\"");
                return Err(Problem::rejected("42P17", message).into());
            }
            if of_default
                && *other == Bound::Default
                && let Some(condition) = self.catalog.bound_condition(parent.oid, &bound)
            {
                let table = format!("{}.{}", quote_identifier(&parent.schema), quote_identifier(&parent.name));
                if self.holds(&format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE {condition})"))? {
                    let message = format!(
                        "updated partition constraint for default partition \"{shown}\" would be violated by some row"
                    );
                    return Err(Problem::rejected("23514", message).into());
                }
            }
        }
        Ok(())
    }

    fn overlap(&mut self, one: &Bound, other: &Bound, ty: &str) -> Ran<bool> {
        match (one, other) {
            (Bound::Range(a, b), Bound::Range(c, d)) => {
                let before = |low: &Option<String>, high: &Option<String>| match (low, high) {
                    (Some(low), Some(high)) => format!("({low})::{ty} < ({high})::{ty}"),
                    _ => "true".to_owned(),
                };
                self.holds(&format!("SELECT {} AND {}", before(a, d), before(c, b)))
            }
            (Bound::List(a, null), Bound::List(b, also)) => {
                if *null && *also {
                    return Ok(true);
                }
                if a.is_empty() || b.is_empty() {
                    return Ok(false);
                }
                let typed = |values: &[String]| -> Vec<String> {
                    values.iter().map(|value| format!("({value})::{ty}")).collect()
                };
                let (a, b) = (typed(a), typed(b).join(", "));
                let terms: Vec<String> = a.iter().map(|value| format!("{value} IN ({b})")).collect();
                self.holds(&format!("SELECT {}", terms.join(" OR ")))
            }
            (Bound::Hash(a, rest), Bound::Hash(b, other)) if a == b => Ok(rest == other),
            (Bound::Hash(..), Bound::Hash(..)) => Err(Problem::unsupported("hash partitions of several moduli").into()),
            _ => Ok(false),
        }
    }

    /// Asks for one truth value.
    fn holds(&mut self, sql: &str) -> Ran<bool> {
        let parsed = pg_query::parse(sql, 0).map_err(|error| Problem::unsupported(format!("a bound ({error})")))?;
        let node = parsed.protobuf.stmts.into_iter().find_map(|statement| statement.stmt?.node);
        let node = node.ok_or_else(|| Problem::unsupported("a bound of this form"))?;
        let selected = self.ask(&node, 1)?;
        let value = selected.rows.first().and_then(|row| row.values().next().cloned());
        Ok(value == Some(serde_json::Value::Bool(true)))
    }
}
