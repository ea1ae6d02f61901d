//! Rows that are variables: `r.*` written out, and whole rows compared.
//!
//! Input: nodes that name a variable's row, as NEW and OLD of a trigger. Output: its fields in its place. Invariants: a row compared with
//! another is compared field by field, NULL being like NULL, as the server's operators of rows do; a source of the query's own hides a
//! variable. Left out: rows as values of their own.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, AExpr, AExprKind, Node};

use super::{Site, words};
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{Context, output_form};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;
use crate::translate::variables::{Value, Variable};

/// A row's fields by name.
type Fields = Vec<(String, Value)>;

impl Reader<'_> {
    /// The fields of a variable's row, and the path to it; none of a record that is NULL.
    pub(in crate::translate) fn variable_row(
        &self,
        node: &Node,
        scope: &Scope<'_>,
    ) -> Option<(Vec<String>, Option<Fields>)> {
        let Some(NodeEnum::ColumnRef(column)) = &node.node else { return None };
        let path: Vec<String> = words(&column.fields).iter().map(|word| (*word).to_owned()).collect();
        let first = path.first()?;
        let mut around = Some(scope);
        while let Some(level) = around {
            if level.sources.iter().any(|source| source.name == *first) {
                return None;
            }
            around = level.outer;
        }
        let variables = self.variables.as_deref()?;
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = variables.find(&names).ok()??;
        if variables.value(place).is_some() {
            return None;
        }
        let fields = match &variables.named(place).variable {
            Variable::Row(fields) => Some(fields.clone()),
            Variable::Record(fields) => fields.clone(),
            Variable::Absent(_) => None,
            Variable::Scalar(_) => return None,
        };
        Some((path, fields))
    }

    /// The text of `ROW(…)`.
    pub(super) fn row_text(&mut self, items: &[Node], site: Site<'_>) -> Outcome<Typed> {
        let mut fields = Vec::new();
        for node in self.spelled_out(items, site.scope) {
            let value = self.expression(&node, site)?;
            fields.push(match value.ty {
                Type::Unknown => self.coerce(value, &Type::Text, Context::Implicit, None)?.sql,
                _ => output_form(&value.sql, &value.ty, self.catalog())?,
            });
        }
        Ok(Typed::new(format!("pg_record_text(CAST([{}] AS VARCHAR[]))", fields.join(", ")), Type::Text))
    }

    /// A list of values with `r.*` written out.
    pub(in crate::translate) fn spelled_out(&self, items: &[Node], scope: &Scope<'_>) -> Vec<Node> {
        let mut list = Vec::new();
        for item in items {
            let star = matches!(&item.node, Some(NodeEnum::ColumnRef(column))
                if column.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_)))));
            match self.variable_row(item, scope).filter(|_| star) {
                Some((path, Some(fields))) => list.extend(fields.iter().map(|(name, _)| field(&path, name))),
                _ => list.push(item.clone()),
            }
        }
        list
    }

    /// Two whole rows compared; nothing where they aren't both rows.
    pub(super) fn rows_compared(
        &mut self,
        kind: AExprKind,
        name: &str,
        sides: (&Node, &Node),
        site: Site<'_>,
    ) -> Outcome<Option<Typed>> {
        let differ = match (kind, name) {
            (AExprKind::AexprDistinct, _) | (AExprKind::AexprOp, "<>" | "!=") => true,
            (AExprKind::AexprNotDistinct, _) | (AExprKind::AexprOp, "=") => false,
            _ => return Ok(None),
        };
        let is_operator = kind == AExprKind::AexprOp;
        let (Some(left), Some(right)) =
            (self.row_values(sides.0, is_operator, site), self.row_values(sides.1, is_operator, site))
        else {
            return Ok(None);
        };
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (None, None) if !is_operator => return Ok(Some(Typed::new((!differ).to_string(), Type::Bool))),
            _ if !is_operator => return Ok(Some(Typed::new(differ.to_string(), Type::Bool))),
            _ => return Ok(Some(Typed::new("CAST(NULL AS BOOLEAN)", Type::Bool))),
        };
        if left.len() != right.len() {
            return Err(Problem::unsupported("a comparison of rows with different numbers of columns"));
        }
        let mut terms = Vec::new();
        for (left, right) in left.into_iter().zip(right) {
            let kind = if differ { AExprKind::AexprDistinct } else { AExprKind::AexprNotDistinct };
            let equal = Node { node: Some(NodeEnum::String(protobuf::String { sval: "=".to_owned() })) };
            let expression = AExpr {
                kind: kind as i32,
                name: vec![equal],
                lexpr: Some(Box::new(left)),
                rexpr: Some(Box::new(right)),
                ..AExpr::default()
            };
            terms.push(self.operator_expression(&expression, site)?.sql);
        }
        let sql = match (terms.is_empty(), differ) {
            (true, _) => (!differ).to_string(),
            (false, true) => format!("({})", terms.join(" OR ")),
            (false, false) => format!("({})", terms.join(" AND ")),
        };
        Ok(Some(Typed::new(sql, Type::Bool)))
    }

    /// The values of a row; `ROW(…)` is left to the operators, which treat NULLs in it in their own way.
    pub(super) fn row_values(&self, node: &Node, variables_only: bool, site: Site<'_>) -> Option<Option<Vec<Node>>> {
        if let Some(NodeEnum::RowExpr(row)) = &node.node {
            return (!variables_only).then(|| Some(self.spelled_out(&row.args, site.scope)));
        }
        let (path, fields) = self.variable_row(node, site.scope)?;
        Some(fields.map(|fields| fields.iter().map(|(name, _)| field(&path, name)).collect()))
    }
}

/// `path.name`
fn field(path: &[String], name: &str) -> Node {
    let fields = path
        .iter()
        .map(String::as_str)
        .chain([name])
        .map(|word| Node { node: Some(NodeEnum::String(protobuf::String { sval: word.to_owned() })) })
        .collect();
    Node { node: Some(NodeEnum::ColumnRef(protobuf::ColumnRef { fields, location: -1 })) }
}
