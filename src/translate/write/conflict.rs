//! ON CONFLICT: which unique indexes decide, and what becomes of a row that is there already.
//!
//! Input: the clause and its table. Output: a [`Conflict`]. Invariants: an index is inferred where its key is the one named, columns
//! and expressions, and each term of its own condition stands in the clause's WHERE (infer_arbiter_indexes); a condition that might
//! follow from another is refused.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{BoolExprType, InferClause, Node, OnConflictAction, OnConflictClause};

use super::row_scope;
use crate::catalog::{AttNum, ConstraintKind, Index, IndexTarget, Oid, Outcome, Problem, Table};
use crate::translate::expression::{Site, words};
use crate::translate::reader::Reader;
use crate::translate::scope::{Scope, Source, SourceColumn};
use crate::translate::{Conflict, ConflictUpdate, column_name};

/// A part of an index's key.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum KeyPart {
    Column(AttNum),
    /// As SQL over the table's row.
    Expression(String),
}

impl Reader<'_> {
    pub(in crate::translate) fn conflict(
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
            None => Ok(reader.unique_indexes(table)),
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
        let is_renamed = alias.is_some();
        let source = |name: &str, alias: &str, letter: &str| Source {
            name: name.to_owned(),
            schema: (alias == "old" && !is_renamed).then(|| table.schema.clone()),
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
        let key = self.inferred_key(infer, table)?;
        let given = match infer.where_clause.as_deref() {
            Some(condition) => self.conjuncts(condition, table.oid)?,
            None => Vec::new(),
        };
        let mut found = Vec::new();
        let indexes = self.catalog().indexes.values().filter(|index| index.table == table.oid && index.unique);
        for index in indexes {
            if self.key_of(index, table.oid).ok().as_ref() != Some(&key) {
                continue;
            }
            let Some(predicate) = &index.predicate else {
                found.push(index.oid);
                continue;
            };
            let demanded = self.conjuncts(&predicate.node, table.oid)?;
            if demanded.iter().all(|term| given.contains(term)) {
                found.push(index.oid);
            } else if infer.where_clause.is_some() {
                // The server may see that one condition follows from another; here only the same terms are known to.
                return Err(Problem::unsupported(format!(
                    "ON CONFLICT … WHERE beside the other condition of the index {}",
                    index.name
                )));
            }
        }
        if found.is_empty() {
            return Err(Problem::rejected(
                "42P10",
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            ));
        }
        Ok(found)
    }

    /// The key that ON CONFLICT (…) names.
    fn inferred_key(&mut self, infer: &InferClause, table: &Table) -> Outcome<BTreeSet<KeyPart>> {
        let mut key = BTreeSet::new();
        for node in &infer.index_elems {
            let Some(NodeEnum::IndexElem(element)) = &node.node else { continue };
            if !element.opclass.is_empty() || !element.collation.is_empty() {
                return Err(Problem::unsupported("an operator class or collation in ON CONFLICT"));
            }
            let expression = element.expr.as_deref();
            let name = match expression.and_then(|node| node.node.as_ref()) {
                None => element.name.as_str(),
                Some(NodeEnum::ColumnRef(column)) if column.fields.len() == 1 => {
                    words(&column.fields).first().copied().unwrap_or_default()
                }
                Some(_) => {
                    let node = expression.ok_or_else(|| Problem::unsupported("an empty expression"))?;
                    key.insert(KeyPart::Expression(self.row_expression(table.oid, node, "ON CONFLICT")?.sql));
                    continue;
                }
            };
            match table.columns.iter().find(|c| c.name == name) {
                Some(column) => key.insert(KeyPart::Column(column.attnum)),
                // Named as in a query: the server looks for it among the table's columns.
                None => {
                    let missing = row_scope(table, column_name).find(None, None, name).err();
                    return Err(missing.unwrap_or_else(|| Problem::unsupported("this target of ON CONFLICT")));
                }
            };
        }
        Ok(key)
    }

    /// The key of an index, in the same form.
    fn key_of(&mut self, index: &Index, table: Oid) -> Outcome<BTreeSet<KeyPart>> {
        let mut key = BTreeSet::new();
        for part in &index.keys {
            key.insert(match &part.target {
                IndexTarget::Column(attnum) => KeyPart::Column(*attnum),
                IndexTarget::Expression(expression) => {
                    KeyPart::Expression(self.row_expression(table, &expression.node, "index expressions")?.sql)
                }
            });
        }
        Ok(key)
    }

    /// The terms of a condition that AND joins, as SQL over the table's row.
    fn conjuncts(&mut self, node: &Node, table: Oid) -> Outcome<Vec<String>> {
        if let Some(NodeEnum::BoolExpr(all)) = &node.node
            && all.boolop == BoolExprType::AndExpr as i32
        {
            let mut terms = Vec::new();
            for term in &all.args {
                terms.extend(self.conjuncts(term, table)?);
            }
            return Ok(terms);
        }
        let sql = self.row_expression(table, node, "WHERE")?.sql;
        let bare = sql.strip_prefix('(').and_then(|sql| sql.strip_suffix(" = true)"));
        Ok(vec![bare.map_or(sql.clone(), str::to_owned)])
    }

    /// All unique indexes of a table.
    fn unique_indexes(&self, table: &Table) -> Vec<Oid> {
        let indexes = self.catalog().indexes.values();
        indexes.filter(|index| index.table == table.oid && index.unique).map(|index| index.oid).collect()
    }
}
