//! Recursive queries that look a table up by a column without an index.
//!
//! Input: a statement and the schema it runs on. Output: table and column of each such join. Left out: joins by expressions.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt, WithClause};

use crate::catalog::{Catalog, IndexTarget, Table};

/// Tables that the recursive terms of a statement join by a column that no index begins with.
pub(super) fn unindexed(node: &NodeEnum, catalog: &Catalog) -> Vec<(String, String)> {
    let with = match node {
        NodeEnum::UpdateStmt(update) => update.with_clause.as_ref(),
        NodeEnum::InsertStmt(insert) => insert.with_clause.as_ref(),
        NodeEnum::DeleteStmt(delete) => delete.with_clause.as_ref(),
        NodeEnum::SelectStmt(select) => select.with_clause.as_ref(),
        _ => None,
    };
    let mut found = Vec::new();
    for (name, term) in with.map(recursive_terms).unwrap_or_default() {
        let (mut tables, mut conditions) = (Vec::new(), Vec::new());
        term.from_clause.iter().for_each(|item| relations(item, &mut tables, &mut conditions));
        conditions.extend(term.where_clause.as_deref());
        let mut columns = Vec::new();
        conditions.into_iter().for_each(|condition| equal_columns(condition, &mut columns));
        for (alias, relation) in tables.into_iter().filter(|(_, relation)| *relation != name) {
            let Some(table) = catalog.table(None, relation) else { continue };
            for (qualifier, column) in columns.iter().filter(|(qualifier, _)| *qualifier == alias) {
                let pair = (table.name.clone(), column.clone());
                if !has_index(catalog, table, column) && !found.contains(&pair) && !qualifier.is_empty() {
                    found.push(pair);
                }
            }
        }
    }
    found
}

fn recursive_terms(with: &WithClause) -> Vec<(&str, &SelectStmt)> {
    let ctes = with.ctes.iter().filter_map(|cte| match &cte.node {
        Some(NodeEnum::CommonTableExpr(cte)) if with.recursive => Some(cte),
        _ => None,
    });
    ctes.filter_map(|cte| match cte.ctequery.as_deref().and_then(|query| query.node.as_ref()) {
        Some(NodeEnum::SelectStmt(union)) => Some((cte.ctename.as_str(), union.rarg.as_deref()?)),
        _ => None,
    })
    .collect()
}

/// Alias and name of each table in FROM, and the conditions of its joins.
fn relations<'n>(item: &'n Node, tables: &mut Vec<(&'n str, &'n str)>, conditions: &mut Vec<&'n Node>) {
    match &item.node {
        Some(NodeEnum::RangeVar(relation)) => {
            let alias = relation.alias.as_ref().map_or(relation.relname.as_str(), |alias| alias.aliasname.as_str());
            tables.push((alias, &relation.relname));
        }
        Some(NodeEnum::JoinExpr(join)) => {
            for side in [&join.larg, &join.rarg].into_iter().flatten() {
                relations(side, tables, conditions);
            }
            conditions.extend(join.quals.as_deref());
        }
        _ => {}
    }
}

/// Qualifier and name of the columns that `=` compares, under AND.
fn equal_columns(condition: &Node, columns: &mut Vec<(String, String)>) {
    match &condition.node {
        Some(NodeEnum::BoolExpr(both)) => both.args.iter().for_each(|part| equal_columns(part, columns)),
        Some(NodeEnum::AExpr(comparison)) => {
            let operator = comparison.name.first().and_then(|name| name.node.as_ref());
            if !matches!(operator, Some(NodeEnum::String(name)) if name.sval == "=") {
                return;
            }
            for side in [&comparison.lexpr, &comparison.rexpr].into_iter().flatten() {
                let Some(NodeEnum::ColumnRef(reference)) = &side.node else { continue };
                let names: Vec<&str> = reference
                    .fields
                    .iter()
                    .filter_map(|field| match &field.node {
                        Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
                        _ => None,
                    })
                    .collect();
                if let [qualifier, column] = names.as_slice() {
                    columns.push(((*qualifier).to_owned(), (*column).to_owned()));
                }
            }
        }
        _ => {}
    }
}

fn has_index(catalog: &Catalog, table: &Table, column: &str) -> bool {
    let Some(column) = table.columns.iter().find(|c| c.name == column) else { return true };
    catalog.indexes.values().filter(|index| index.table == table.oid && index.predicate.is_none()).any(|index| {
        matches!(index.keys.first().map(|key| &key.target), Some(IndexTarget::Column(first)) if *first == column.attnum)
    })
}
