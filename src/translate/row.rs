//! Rows as values: `(a, b) = (c, d)`, `(a, b) IN (SELECT …)`, `(a, b) IS NULL`.
//!
//! Input: row constructors, queries of several columns. Output: DuckDB SQL over their fields, one by one. Invariants: a row is compared
//! from the left, and the first field that differs or isn't known decides; IN is NULL where a field that isn't known could make it
//! true. Left out: rows of tables as values, which are composite.

use pg_query::protobuf::Node;

use super::cast::{Context, convert};
use super::expression::Site;
use super::query::Query;
use super::reader::Reader;
use super::typed::Typed;
use crate::catalog::{Outcome, Problem, Type};

impl Reader<'_> {
    fn fields(&mut self, nodes: &[Node], site: Site<'_>) -> Outcome<Vec<Typed>> {
        nodes.iter().map(|node| self.expression(node, site)).collect()
    }

    /// `(a, b) < (c, d)`
    pub(super) fn compare_rows(&mut self, name: &str, left: &[Node], right: &[Node], site: Site<'_>) -> Outcome<Typed> {
        if left.len() != right.len() {
            return Err(Problem::rejected("42601", "unequal number of entries in row expressions"));
        }
        let (left, right) = (self.fields(left, site)?, self.fields(right, site)?);
        self.compare_fields(name, left, right)
    }

    fn compare_fields(&mut self, name: &str, left: Vec<Typed>, right: Vec<Typed>) -> Outcome<Typed> {
        let joint = match name {
            "=" => " AND ",
            "<>" | "!=" => " OR ",
            "<" | "<=" | ">" | ">=" => return self.order_fields(name, left, right),
            _ => return Err(Problem::unsupported(format!("the comparison {name} of rows"))),
        };
        let pairs = left.into_iter().zip(right);
        let terms = pairs.map(|(a, b)| Ok(self.operator(name, a, b)?.sql)).collect::<Outcome<Vec<_>>>()?;
        Ok(Typed::new(format!("({})", terms.join(joint)), Type::Bool))
    }

    fn order_fields(&mut self, name: &str, left: Vec<Typed>, right: Vec<Typed>) -> Outcome<Typed> {
        let strict = &name[..1];
        let last = left.len().saturating_sub(1);
        let (mut sql, mut open) = (String::new(), String::new());
        for (at, (a, b)) in left.into_iter().zip(right).enumerate() {
            if at == last {
                sql.push_str(&self.operator(name, a, b)?.sql);
            } else {
                let decided = self.operator(strict, a.clone(), b.clone())?.sql;
                let equal = self.operator("=", a, b)?.sql;
                sql.push_str(&format!("({decided} OR ({equal} AND "));
                open.push_str("))");
            }
        }
        Ok(Typed::new(format!("({sql}{open})"), Type::Bool))
    }

    /// `(a, b) IS NULL`: all of them; `IS NOT NULL`: none of them is.
    pub(super) fn null_test_of_row(&mut self, row: &[Node], word: &str, site: Site<'_>) -> Outcome<Typed> {
        let fields = self.fields(row, site)?;
        if fields.is_empty() || fields.iter().any(|field| field.ty == Type::Record) {
            return Err(Problem::unsupported("a NULL test of such a row"));
        }
        let terms: Vec<String> = fields.iter().map(|field| format!("{} {word}", field.sql)).collect();
        Ok(Typed::new(format!("({})", terms.join(" AND ")), Type::Bool))
    }

    /// `(a, b) IS DISTINCT FROM (c, d)`
    pub(super) fn rows_differ(&mut self, left: &Node, right: &Node, negated: bool, site: Site<'_>) -> Outcome<Typed> {
        use pg_query::NodeEnum::RowExpr;
        let (Some(RowExpr(left)), Some(RowExpr(right))) = (&left.node, &right.node) else {
            return Err(Problem::unsupported("a row constructor here"));
        };
        if left.args.len() != right.args.len() {
            return Err(Problem::rejected("42601", "unequal number of entries in row expressions"));
        }
        let (left, right) = (self.fields(&left.args, site)?, self.fields(&right.args, site)?);
        let mut terms = Vec::new();
        for (a, b) in left.into_iter().zip(right) {
            let (a, b) = self.comparable("=", a, b)?;
            terms.push(format!("{} IS DISTINCT FROM {}", a.sql, b.sql));
        }
        let sql = format!("({})", terms.join(" OR "));
        Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }

    /// `(a, b) IN (SELECT …)`, `(a, b) <> ALL (SELECT …)`.
    pub(super) fn row_in(&mut self, row: &[Node], query: &Query, negated: bool, site: Site<'_>) -> Outcome<Typed> {
        let subjects = self.fields(row, site)?;
        let given: Vec<String> = subjects.iter().map(|subject| format!("{} IS NULL", subject.sql)).collect();
        let (mut equal, mut open) = (Vec::new(), Vec::new());
        for (subject, output) in subjects.into_iter().zip(&query.outputs) {
            let column = format!("q.{}", output.column);
            open.push(format!("{column} IS NULL"));
            let ty = if output.ty == Type::Unknown { Type::Text } else { output.ty.clone() };
            let (subject, column) = self.comparable("=", subject, Typed::new(column, ty))?;
            equal.push(format!("{} = {}", subject.sql, column.sql));
        }
        let (equal, open, given) = (equal.join(" AND "), open.join(" OR "), given.join(" OR "));
        let sql = &query.sql;
        // What isn't known is looked at apart, so that the rest is a plain join.
        let found = format!(
            "CASE WHEN EXISTS (SELECT 1 FROM ({sql}) AS q WHERE {equal}) THEN true \
             WHEN EXISTS (SELECT 1 FROM ({sql}) AS q WHERE ({open}) AND ({equal}) IS NULL) THEN NULL \
             WHEN ({given}) AND EXISTS (SELECT 1 FROM ({sql}) AS q WHERE ({given}) AND ({equal}) IS NULL) THEN NULL ELSE false END"
        );
        Ok(Typed::new(if negated { format!("(NOT {found})") } else { format!("({found})") }, Type::Bool))
    }

    /// `(a, b) = (SELECT …)`: beside the query's one row.
    pub(super) fn row_beside(&mut self, name: &str, row: &[Node], query: &Query, site: Site<'_>) -> Outcome<Typed> {
        let left = self.fields(row, site)?;
        let mut right = Vec::new();
        for (output, beside) in query.outputs.iter().zip(&left) {
            let value =
                Typed::new(format!("(SELECT q.{} FROM ({}) AS q)", output.column, query.sql), output.ty.clone());
            right.push(match output.ty {
                Type::Unknown if beside.ty != Type::Unknown => {
                    let value = Typed::new(value.sql, Type::Text);
                    convert(value, &Type::Text, Context::Implicit, None, self.catalog())?
                }
                _ => value,
            });
        }
        self.compare_fields(name, left, right)
    }
}
