//! Partitions: which one does a row go to?

use super::{concerns, violation};
use crate::catalog::partition::Routing;
use crate::catalog::{Expression, Oid, Problem, Type};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::{Run, Touched};
use crate::dry_run::store::columns_in;
use crate::translate::table_name;

impl Run<'_, '_> {
    /// Every row of a partitioned table has a partition.
    pub(super) fn verify_routing(&mut self, touched: &Touched) -> Ran<()> {
        let Some(partitioning) = self.catalog.partitioned.get(&touched.table).cloned() else { return Ok(()) };
        let strict = self.catalog.partitions_of(touched.table).find_map(|(oid, _)| self.catalog.own_rule(oid));
        if let Some(rule) = strict
            && self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))? > 0
        {
            let what = format!("a write of a partitioned table of which one partition alone has the rule {rule}");
            return Err(Problem::unsupported(what).into());
        }
        if !concerns(touched, &partitioning.key.iter().copied().collect()) {
            return Ok(());
        }
        let condition = match self.catalog.routing(touched.table) {
            Routing::All => return Ok(()),
            Routing::Rows(condition) => condition,
            Routing::Unknown => {
                let any = self.store.engine.count(&format!("SELECT count(*) FROM {}", touched.rows))?;
                return match any {
                    0 => Ok(()),
                    _ => Err(Problem::unsupported("which partition rows go to by their hash").into()),
                };
            }
        };
        let (sql, _) = self.translator().table_expression(touched.table, &condition.node, Some(&Type::Bool))?;
        self.store.ensure(touched.table, columns_in(&sql))?;
        let name = table_name(touched.table);
        let lost = format!(
            "FROM (SELECT * FROM {name} WHERE _r IN (SELECT _r FROM {}) AND ({sql}) IS NOT TRUE) AS t",
            touched.rows
        );
        let rows = self.store.engine.count(&format!("SELECT count(*) {lost}"))?;
        if rows == 0 {
            return Ok(());
        }
        let message = format!("no partition of relation \"{}\" found for row", self.relation(touched.table));
        self.refuse(touched.table, &partitioning.key, &lost, violation("23514", message, None, rows))
    }

    /// The partition that the least of these rows is in.
    pub(super) fn partition_of_rows(&mut self, table: Oid, from: &str) -> Ran<Option<Oid>> {
        if !self.catalog.partitioned.contains_key(&table) {
            return Ok(None);
        }
        let partitions: Vec<(Oid, Option<Expression>)> = self
            .catalog
            .partitions_of(table)
            .map(|(oid, partition)| (oid, self.catalog.partition_condition(partition)))
            .collect();
        for (oid, condition) in partitions {
            let Some(condition) = condition else { continue };
            let (sql, _) = self.translator().table_expression(table, &condition.node, Some(&Type::Bool))?;
            self.store.ensure(table, columns_in(&sql))?;
            let rows =
                format!("SELECT count(*) FROM {} WHERE _r = (SELECT min(t._r) {from}) AND {sql}", table_name(table));
            if self.store.engine.count(&rows)? > 0 {
                return Ok(Some(oid));
            }
        }
        Ok(None)
    }

    /// A message about a partitioned table, as the server words it: of the partition that the row is in.
    pub(super) fn of_partition(&self, table: Oid, partition: Oid, message: &str) -> String {
        let named = |word: &str, oid: Oid| format!("{word} \"{}\"", self.relation(oid));
        let mut message = message.to_owned();
        for word in ["relation", "on table"] {
            message = message.replacen(&named(word, table), &named(word, partition), 1);
        }
        for index in self.catalog.indexes_of(table) {
            let columns = index.key_columns();
            let same = self.catalog.indexes_of(partition).find(|own| {
                own.unique == index.unique
                    && own.key_columns() == columns
                    && own.constraint.is_some() == index.constraint.is_some()
            });
            if let Some(own) = same {
                message = message.replacen(&format!("\"{}\"", index.name), &format!("\"{}\"", own.name), 1);
            }
        }
        message
    }
}
