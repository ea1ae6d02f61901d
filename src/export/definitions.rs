//! Definitions: which columns do a table's indexes, constraints and expressions need?
//!
//! Input: the texts of the catalog (`pg_get_indexdef`, `pg_get_constraintdef`, `pg_get_expr`). Output: names of columns. Invariant: a
//! text that can't be read counts as one that needs every name in it.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::Constraint;

use crate::catalog::tree;
use crate::snapshot::manifest::{Index, Table};

/// A foreign key.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// Columns that refer.
    pub columns: Vec<String>,
    /// Schema of the table they refer to, where the text names it.
    pub schema: Option<String>,
    /// The table they refer to.
    pub table: String,
    /// Its columns.
    pub keys: Vec<String>,
}

/// Columns that an expression reads.
pub fn columns_of(expression: &str) -> Vec<String> {
    let sql = format!("SELECT {expression}");
    match statement(&sql) {
        Some(node) => names_in(&node),
        None => words(expression),
    }
}

/// Columns that an index needs, its expressions and its predicate included.
pub fn index_columns(index: &Index) -> Vec<String> {
    let Some(NodeEnum::IndexStmt(read)) = statement(&index.definition) else { return words(&index.definition) };
    let mut names = Vec::new();
    for parameter in read.index_params.iter().chain(&read.index_including_params) {
        if let Some(NodeEnum::IndexElem(element)) = &parameter.node {
            names.push(element.name.clone());
            names.extend(element.expr.iter().filter_map(|node| node.node.as_ref()).flat_map(names_in));
        }
    }
    names.extend(read.where_clause.iter().filter_map(|node| node.node.as_ref()).flat_map(names_in));
    names.retain(|name| !name.is_empty());
    names
}

/// Columns that unique indexes hold apart.
pub fn unique_columns(table: &Table) -> BTreeSet<String> {
    table.indexes.iter().filter(|index| index.unique).flat_map(index_columns).collect()
}

/// Columns that a constraint needs: those it names, and those its condition reads.
pub fn constraint_columns(constraint: &crate::snapshot::manifest::Constraint) -> Vec<String> {
    let mut names = constraint.columns.clone();
    if constraint.kind == "check" {
        match definition(&constraint.definition) {
            Some(read) => {
                names.extend(read.raw_expr.iter().filter_map(|node| node.node.as_ref()).flat_map(names_in));
            }
            None => names.extend(words(&constraint.definition)),
        }
    }
    names
}

/// The foreign keys of a table.
pub fn references(table: &Table) -> Vec<Reference> {
    let keys = table.constraints.iter().filter(|constraint| constraint.kind == "foreign key");
    keys.filter_map(|constraint| {
        let read = definition(&constraint.definition)?;
        let parent = read.pktable?;
        Some(Reference {
            columns: constraint.columns.clone(),
            schema: Some(parent.schemaname).filter(|schema| !schema.is_empty()),
            table: parent.relname,
            keys: tree::strings(&read.pk_attrs),
        })
    })
    .collect()
}

fn statement(sql: &str) -> Option<NodeEnum> {
    pg_query::parse(sql, 0).ok()?.protobuf.stmts.into_iter().next()?.stmt?.node
}

fn definition(text: &str) -> Option<Constraint> {
    let Some(NodeEnum::AlterTableStmt(alter)) = statement(&format!("ALTER TABLE ONLY t ADD CONSTRAINT c {text}"))
    else {
        return None;
    };
    let Some(NodeEnum::AlterTableCmd(command)) = alter.cmds.into_iter().next()?.node else { return None };
    match command.def?.node? {
        NodeEnum::Constraint(constraint) => Some(*constraint),
        _ => None,
    }
}

/// Names of columns at any depth, whole rows by the name of their table.
fn names_in(node: &NodeEnum) -> Vec<String> {
    let mut names = Vec::new();
    tree::walk(&pg_query::protobuf::Node { node: Some(node.clone()) }, &mut |node| {
        if let NodeEnum::ColumnRef(column) = node {
            names.extend(tree::strings(&column.fields).pop());
        }
    });
    names
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(definition: &str, expected: &[&str]) {
        let index = Index { definition: definition.to_owned(), ..Index::default() };
        assert_eq!(index_columns(&index), expected, "{definition}");
    }

    #[test]
    fn indexes_name_what_they_need() {
        check("CREATE INDEX i ON public.t USING btree (a, lower(b)) INCLUDE (c) WHERE (d > 0)", &["a", "b", "c", "d"]);
        check("CREATE UNIQUE INDEX i ON t USING btree (\"Id\" DESC)", &["Id"]);
        assert_eq!(columns_of("(amount * (2)::numeric)"), ["amount"]);
    }

    #[test]
    fn foreign_keys_name_both_ends() {
        let constraint = crate::snapshot::manifest::Constraint {
            kind: "foreign key".into(),
            definition: "FOREIGN KEY (a, b) REFERENCES app.t(x, y) ON DELETE CASCADE".into(),
            columns: vec!["a".into(), "b".into()],
            ..Default::default()
        };
        let table = Table { constraints: vec![constraint], ..Table::default() };
        let expected = Reference {
            columns: vec!["a".into(), "b".into()],
            schema: Some("app".into()),
            table: "t".into(),
            keys: vec!["x".into(), "y".into()],
        };
        assert_eq!(references(&table), [expected]);
    }
}
