//! Writes through views: a view of one table's rows is written as the table is.
//!
//! Input: INSERT, UPDATE or DELETE of a view. Output: the table, and which of its columns the view's are. Invariants: the rules are those
//! of view_query_is_auto_updatable (src/backend/rewrite/rewriteHandler.c); a column of the view that is computed can be read,
//! not written. Left out: views on views, WITH CHECK OPTION, views with rules or triggers of their own.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar, ResTarget, SelectStmt};

use super::expression::{Site, required, words};
use super::function::contains_aggregate;
use super::reader::Reader;
use super::scope::{Scope, Source, SourceColumn};
use super::typed::Typed;
use crate::catalog::lookup::schema_of;
use crate::catalog::{AttNum, Column, Oid, Outcome, Problem, Table, View, tree};

/// A view's table as the target of a statement.
pub(super) struct Behind {
    /// The view's columns over the table's row.
    pub source: Source,
    /// DuckDB's FROM.
    pub from: String,
    /// The view's own condition.
    pub condition: Option<String>,
}

impl Reader<'_> {
    fn view_of(&self, relation: &RangeVar) -> Option<&View> {
        self.catalog().view(schema_of(relation), &relation.relname)
    }

    /// The query of a view whose rows are rows of one table, and that table.
    fn plain_view(&self, relation: &RangeVar) -> Outcome<(View, SelectStmt, RangeVar, Table)> {
        let name = &relation.relname;
        let view = self.view_of(relation).cloned();
        let view = view.ok_or_else(|| Problem::unsupported(format!("writing to the view {name}")))?;
        let refused =
            |why: &str| Err(Problem::unsupported(format!("writing to the view {name}, {why},")).at(relation.location));
        if self.catalog().checked_views.contains(&view.oid) {
            return refused("which has a CHECK OPTION");
        }
        if self.catalog().triggers.iter().any(|trigger| trigger.table == view.oid) {
            return refused("which has triggers of its own");
        }
        let Some(NodeEnum::SelectStmt(select)) = &view.query.node.node else {
            return refused("whose query isn't known");
        };
        let [Node { node: Some(NodeEnum::RangeVar(from)) }] = select.from_clause.as_slice() else {
            return refused("which isn't of one table");
        };
        let plain = select.distinct_clause.is_empty()
            && select.group_clause.is_empty()
            && select.having_clause.is_none()
            && select.limit_count.is_none()
            && select.limit_offset.is_none()
            && select.with_clause.is_none()
            && select.larg.is_none()
            && !select.target_list.iter().any(contains_aggregate);
        let mut gives_rows = false;
        for target in &select.target_list {
            tree::walk(target, &mut |node| {
                if let NodeEnum::FuncCall(call) = node {
                    let name = words(&call.funcname).last().copied().unwrap_or_default();
                    gives_rows |= call.over.is_some() || super::rows::gives_rows(name);
                }
            });
        }
        if !plain || gives_rows {
            return refused("which makes rows of its own");
        }
        let table = self.catalog().table(schema_of(from), &from.relname).filter(|t| t.materialized.is_none()).cloned();
        match table {
            Some(table) => Ok((view.clone(), (**select).clone(), from.clone(), table)),
            None => refused("which isn't of one table"),
        }
    }

    /// The table whose rows a view shows.
    pub(super) fn table_behind(&self, relation: &RangeVar) -> Outcome<Oid> {
        Ok(self.plain_view(relation)?.3.oid)
    }

    /// A view as what UPDATE and DELETE choose from; `None` for a table.
    pub(super) fn behind(&mut self, relation: &RangeVar) -> Outcome<Option<Behind>> {
        if self.view_of(relation).is_none() {
            return Ok(None);
        }
        let (view, select, from, table) = self.plain_view(relation)?;
        let (inner, sql) = self.table_source(&table, from.alias.as_ref())?;
        let mut columns: Vec<SourceColumn> = Vec::new();
        let scope = Scope { sources: vec![inner.clone()], ..Scope::default() };
        for target in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let value = required(&target.val)?;
            match plain_column(value) {
                Some("*") => columns.extend(inner.columns.iter().cloned()),
                Some(name) => columns.extend(inner.columns.iter().find(|c| c.name == name).cloned()),
                None => {
                    let Typed { sql, ty, .. } =
                        self.without_variables(|reader| reader.expression(value, Site::new(&scope, "SELECT")))?;
                    columns.push(SourceColumn { name: String::new(), ty, sql, origin: None });
                }
            }
        }
        if columns.len() != view.columns.len() {
            return Err(Problem::unsupported(format!("writing to the view {}", view.name)));
        }
        for (column, name) in columns.iter_mut().zip(&view.columns) {
            column.name.clone_from(name);
        }
        let condition = match select.where_clause.as_deref() {
            Some(node) => Some(self.without_variables(|reader| reader.condition(node, Site::new(&scope, "WHERE")))?),
            None => None,
        };
        let name = relation.alias.as_ref().map_or_else(|| view.name.clone(), |alias| alias.aliasname.clone());
        let schema = relation.alias.is_none().then(|| view.schema.clone());
        Ok(Some(Behind { source: Source { name, schema, columns, ..inner }, from: sql, condition }))
    }

    /// The table's column that a view's is; of a table, its own.
    pub(super) fn column_behind(
        &self,
        behind: Option<&Behind>,
        table: &Table,
        target: &ResTarget,
        word: &str,
    ) -> Outcome<ResTarget> {
        let Some(behind) = behind else { return Ok(target.clone()) };
        let view = &behind.source.name;
        let Some(found) = behind.source.columns.iter().find(|column| column.name == target.name) else {
            let message = format!("column \"{}\" of relation \"{view}\" does not exist", target.name);
            return Err(Problem::rejected("42703", message).at(target.location));
        };
        match found.origin.and_then(|(_, attnum)| of_number(table, attnum)) {
            Some(column) => Ok(ResTarget { name: column.name.clone(), ..target.clone() }),
            None => {
                let message = format!("cannot {word} column \"{}\" of view \"{view}\"", target.name);
                Err(Problem::rejected("0A000", message)
                    .detail("View columns that are not columns of their base relation are not updatable."))
            }
        }
    }

    /// The table's columns that a view's are, in the view's order.
    pub(super) fn columns_behind(&self, behind: &Behind, table: &Table) -> Outcome<Vec<Column>> {
        let of = |column: &SourceColumn| column.origin.and_then(|(_, attnum)| of_number(table, attnum)).cloned();
        let columns: Option<Vec<Column>> = behind.source.columns.iter().map(of).collect();
        columns.ok_or_else(|| Problem::unsupported("an INSERT into a view with computed columns"))
    }
}

fn of_number(table: &Table, attnum: AttNum) -> Option<&Column> {
    table.columns.iter().find(|column| column.attnum == attnum)
}

/// The name of a column that stands alone; `*` for all of them.
fn plain_column(node: &Node) -> Option<&str> {
    let Some(NodeEnum::ColumnRef(column)) = &node.node else { return None };
    match column.fields.last().and_then(|field| field.node.as_ref()) {
        Some(NodeEnum::AStar(_)) => Some("*"),
        Some(NodeEnum::String(name)) => Some(&name.sval),
        _ => None,
    }
}
