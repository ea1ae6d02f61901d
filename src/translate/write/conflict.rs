//! ON CONFLICT: the unique indexes that decide, and the update that is made instead.

use pg_query::NodeEnum;
use pg_query::protobuf::{InferClause, OnConflictAction, OnConflictClause};

use super::row_scope;
use crate::catalog::{AttNum, ConstraintKind, IndexTarget, Oid, Outcome, Problem, Table};
use crate::translate::expression::Site;
use crate::translate::reader::Reader;
use crate::translate::scope::{Scope, Source, SourceColumn};
use crate::translate::{Conflict, ConflictUpdate, column_name};

impl Reader<'_> {
    pub(super) fn conflict(
        &mut self,
        clause: &OnConflictClause,
        table: &Table,
        alias: Option<&str>,
    ) -> Outcome<Conflict> {
        let does_update = clause.action == OnConflictAction::OnconflictUpdate as i32;
        if clause.infer.is_none() && does_update {
            let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
            return Err(Problem::rejected("42601", message));
        }
        // The keys are chosen when all has been read.
        let arbiters = |reader: &mut Self| match clause.infer.as_deref() {
            Some(infer) => reader.arbiters(infer, table),
            None => reader.unique_indexes(table, None),
        };
        if !does_update {
            return Ok(Conflict { arbiters: arbiters(self)?, update: None });
        }
        let columns = |prefix: &str, letter: &str| -> Vec<SourceColumn> {
            table
                .columns
                .iter()
                .map(|c| SourceColumn {
                    name: c.name.clone(),
                    ty: c.ty.clone(),
                    sql: format!("{prefix}.{letter}{}", c.attnum),
                    origin: (prefix == "old").then_some((table.oid, c.attnum)),
                })
                .collect()
        };
        let source = |name: &str, alias: &str, letter: &str| Source {
            name: name.to_owned(),
            schema: None,
            columns: columns(alias, letter),
            row: None,
            table: None,
            alias: alias.to_owned(),
            scalar: false,
        };
        // Both offer the same names, so that one without the table's is ambiguous.
        let sources = vec![source(alias.unwrap_or(&table.name), "old", "c"), source("excluded", "new", "n")];
        let scope = Scope { sources, ..Scope::default() };
        let assigned = self.assignments(&clause.target_list, table, &scope)?;
        let condition = match clause.where_clause.as_deref() {
            Some(node) => Some(self.condition(node, Site::new(&scope, "WHERE"))?),
            None => None,
        };
        if table.columns.iter().any(|c| c.generated.is_some()) {
            return Err(Problem::unsupported("ON CONFLICT DO UPDATE on a table with generated columns"));
        }
        let (columns, values) = assigned.into_iter().unzip();
        let arbiters = arbiters(self)?;
        Ok(Conflict { arbiters, update: Some(ConflictUpdate { columns, values, condition }) })
    }

    /// The unique indexes that ON CONFLICT (…) infers.
    fn arbiters(&mut self, infer: &InferClause, table: &Table) -> Outcome<Vec<Oid>> {
        if !infer.conname.is_empty() {
            let found = self.catalog().constraints.values().find(|c| c.table == table.oid && c.name == infer.conname);
            return match found.map(|c| &c.kind) {
                Some(ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index)) => Ok(vec![*index]),
                Some(_) => Err(Problem::rejected("42809", "constraint in ON CONFLICT clause has no associated index")),
                None => Err(Problem::rejected(
                    "42704",
                    format!("constraint \"{}\" for table \"{}\" does not exist", infer.conname, table.name),
                )),
            };
        }
        let mut wanted = Vec::new();
        for node in &infer.index_elems {
            let Some(NodeEnum::IndexElem(element)) = &node.node else { continue };
            if element.expr.is_some() {
                return Err(Problem::unsupported("ON CONFLICT on an expression"));
            }
            match table.columns.iter().find(|c| c.name == element.name) {
                Some(column) => wanted.push(column.attnum),
                // Named as in a query: the server looks for it among the table's columns.
                None => {
                    let missing = row_scope(table, column_name).find(None, None, &element.name).err();
                    return Err(missing.unwrap_or_else(|| Problem::unsupported("this target of ON CONFLICT")));
                }
            }
        }
        if infer.where_clause.is_some() {
            return Err(Problem::unsupported("ON CONFLICT … WHERE, for a partial index"));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.unique_indexes(table, Some(&wanted))?;
        if found.is_empty() {
            return Err(Problem::rejected(
                "42P10",
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            ));
        }
        Ok(found)
    }

    /// Unique indexes over plain columns: exactly these, or all of the table's.
    fn unique_indexes(&self, table: &Table, wanted: Option<&[AttNum]>) -> Outcome<Vec<Oid>> {
        let mut found = Vec::new();
        for index in self.catalog().indexes.values().filter(|i| i.table == table.oid && i.unique) {
            let columns: Option<Vec<AttNum>> = index
                .keys
                .iter()
                .map(|key| match &key.target {
                    IndexTarget::Column(attnum) => Some(*attnum),
                    IndexTarget::Expression(_) => None,
                })
                .collect();
            match (columns, wanted) {
                (Some(mut columns), Some(wanted)) if index.predicate.is_none() => {
                    columns.sort_unstable();
                    if columns == wanted {
                        found.push(index.oid);
                    }
                }
                (_, Some(_)) => {}
                (Some(_), None) if index.predicate.is_none() => found.push(index.oid),
                (_, None) => {
                    return Err(Problem::unsupported(format!(
                        "ON CONFLICT with the partial or computed index {}",
                        index.name
                    )));
                }
            }
        }
        Ok(found)
    }
}
