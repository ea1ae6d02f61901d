//! Expressions the catalog keeps: how are they read, written and renamed?
//!
//! Input: parse trees or SQL text. Output: [`Expression`]. Invariants: `sql` is always what `node` says; columns of a table's own
//! expression are named without the table, so that only renaming a column touches them. Left out: what they mean, and whether
//! their names exist: the translator binds them.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ResTarget, SelectStmt};

use super::tree;
use super::{Catalog, ConstraintKind, Expression, IndexTarget, Outcome, Problem};

const PREFIX: &str = "SELECT ";

impl Expression {
    /// Keeps an expression.
    ///
    /// # Errors
    /// Unsupported, where PostgreSQL's deparser can't write it.
    pub fn new(node: &Node) -> Outcome<Expression> {
        let sql = deparse(node).map_err(|_| Problem::unsupported("an expression of this form"))?;
        Ok(Expression { node: Arc::new(node.clone()), sql })
    }

    /// Keeps an expression over one table's columns; the table's name before a column's is left away.
    ///
    /// # Errors
    /// Unsupported, where PostgreSQL's deparser can't write it.
    pub fn of_table(node: &Node, table: &str) -> Outcome<Expression> {
        let mut node = node.clone();
        tree::walk_mut(&mut node, &mut |node| {
            if let NodeEnum::ColumnRef(column) = node {
                let names = tree::strings(&column.fields);
                if names.len() == column.fields.len() && names.len() >= 2 && names[names.len() - 2] == table {
                    column.fields.drain(..names.len() - 1);
                }
            }
        });
        Expression::new(&node)
    }

    /// Reads the text of an expression.
    ///
    /// # Errors
    /// Not one expression.
    pub fn parse(sql: &str) -> Result<Expression> {
        let node = parse(sql)?;
        Ok(Expression { sql: deparse(&node)?, node: Arc::new(node) })
    }

    /// Names of the columns it reads, each once, in reading order.
    pub fn columns(&self) -> Vec<String> {
        columns(&self.node)
    }

    /// Names a column anew.
    pub fn rename_column(&mut self, from: &str, to: &str) {
        if !self.columns().iter().any(|column| column == from) {
            return;
        }
        let mut renamed = false;
        tree::walk_mut(Arc::make_mut(&mut self.node), &mut |node| {
            if let NodeEnum::ColumnRef(column) = node
                && let [field] = column.fields.as_mut_slice()
                && tree::string(field).as_deref() == Some(from)
            {
                *field = tree::name(to);
                renamed = true;
            }
        });
        if renamed {
            self.rewrite();
        }
    }

    /// Brings `sql` up to what `node` says.
    pub(super) fn rewrite(&mut self) {
        if let Ok(sql) = deparse(&self.node) {
            self.sql = sql;
        }
    }
}

impl Catalog {
    /// Calls `change` for every expression and query kept in the catalog.
    pub(super) fn for_each_expression(&mut self, change: &mut dyn FnMut(&mut Expression)) {
        for table in self.tables.values_mut() {
            table.materialized.as_mut().into_iter().for_each(&mut *change);
            for column in &mut table.columns {
                column.default.as_mut().into_iter().chain(&mut column.generated).for_each(&mut *change);
            }
        }
        for index in self.indexes.values_mut() {
            index.predicate.as_mut().into_iter().for_each(&mut *change);
            for key in &mut index.keys {
                if let IndexTarget::Expression(expression) = &mut key.target {
                    change(expression);
                }
            }
        }
        for constraint in self.constraints.values_mut() {
            if let ConstraintKind::Check(expression) = &mut constraint.kind {
                change(expression);
            }
        }
        self.views.values_mut().for_each(|view| change(&mut view.query));
    }
}

/// Names of the columns that an expression reads, each once, in reading order.
pub fn columns(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    tree::walk(node, &mut |node| {
        if let NodeEnum::ColumnRef(column) = node
            && let Some(name) = column.fields.last().and_then(tree::string)
            && !found.contains(&name)
        {
            found.push(name);
        }
    });
    found
}

/// Reads one expression.
pub(super) fn parse(sql: &str) -> Result<Node> {
    let mut parsed =
        pg_query::parse(&format!("{PREFIX}{sql}"), 0).with_context(|| format!("{sql:?} isn't an expression"))?.protobuf;
    if let [statement] = parsed.stmts.as_mut_slice()
        && let Some(NodeEnum::SelectStmt(select)) = statement.stmt.as_mut().and_then(|node| node.node.as_mut())
        && let [target] = select.target_list.as_mut_slice()
        && let Some(NodeEnum::ResTarget(target)) = target.node.as_mut()
        && let Some(value) = target.val.take()
    {
        return Ok(*value);
    }
    bail!("{sql:?} isn't one expression")
}

/// An expression's or a query's text.
fn deparse(node: &Node) -> Result<String> {
    match &node.node {
        Some(query @ NodeEnum::SelectStmt(_)) => Ok(query.deparse(Default::default())?),
        Some(_) => {
            let target = ResTarget { val: Some(Box::new(node.clone())), ..Default::default() };
            let select = SelectStmt {
                target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
                limit_option: pg_query::protobuf::LimitOption::Default as i32,
                op: pg_query::protobuf::SetOperation::SetopNone as i32,
                ..Default::default()
            };
            let sql = NodeEnum::SelectStmt(Box::new(select)).deparse(Default::default())?;
            Ok(sql.strip_prefix(PREFIX).unwrap_or(&sql).to_owned())
        }
        None => bail!("an empty expression"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        let mut expression = Expression::of_table(&parse(sql).expect(sql), "t").expect(sql);
        expression.rename_column("a", "New");
        assert_eq!(expression.sql, expected, "{sql}");
    }

    #[test]
    fn columns_are_renamed_wherever_they_stand() {
        check("a > 0 AND t.a < b", "\"New\" > 0 AND \"New\" < b");
        check(
            "CASE WHEN lower(a) IN ('a', a) THEN ARRAY[a, b] END",
            "CASE WHEN lower(\"New\") IN ('a', \"New\") THEN ARRAY[\"New\", b] END",
        );
        check("coalesce(a, (b)::text, s.t.a)", "COALESCE(\"New\", b::text, \"New\")");
        check("'a'", "'a'");
    }

    #[test]
    fn columns_are_found() {
        assert_eq!(Expression::parse("a + b * a - f(c)").expect("an expression").columns(), ["a", "b", "c"]);
    }
}
