//! The select list: `*` written out, and the names that the server gives to outputs without one.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt};

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::Output;
use crate::translate::expression::{Site, required, words};
use crate::translate::reader::Reader;
use crate::translate::scope::{Scope, Source, SourceColumn};
use crate::translate::typed::Typed;
use crate::translate::variables::Value;

/// An item of a select list.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Expression(Box<Node>),
    Column(StarColumn),
}

/// A column that `*` stands for.
#[derive(Debug, Clone)]
pub(super) struct StarColumn {
    pub value: Typed,
    /// Its type; a domain stays one.
    pub ty: Type,
    /// Its source at this level of the query.
    pub source: Option<usize>,
    /// For messages.
    pub shown: String,
}

impl Reader<'_> {
    /// A list of outputs over a scope, each as `value AS o<n>`.
    pub(in crate::translate) fn select_list(
        &mut self,
        targets: &[Node],
        scope: &Scope<'_>,
        clause: &'static str,
    ) -> Outcome<(Vec<String>, Vec<Output>)> {
        let select = SelectStmt { target_list: targets.to_vec(), ..Default::default() };
        let (mut list, mut outputs) = (Vec::new(), Vec::new());
        for (index, (name, target)) in self.expand(&select, scope)?.into_iter().enumerate() {
            let (value, ty) = match &target {
                Target::Expression(node) => {
                    let value = self.expression(node, Site::new(scope, clause))?;
                    let ty = self.output_type(node, &value, Site::new(scope, clause));
                    (value, ty)
                }
                Target::Column(column) => (column.value.clone(), column.ty.clone()),
            };
            let column = format!("o{}", index + 1);
            list.push(match value.ty {
                Type::Unknown => format!("CAST({} AS VARCHAR) AS {column}", value.sql),
                _ => format!("{} AS {column}", value.sql),
            });
            outputs.push(Output { name, ty, column });
        }
        Ok((list, outputs))
    }

    /// The select list with `*` written out.
    pub(super) fn expand(&mut self, select: &SelectStmt, scope: &Scope<'_>) -> Outcome<Vec<(String, Target)>> {
        let mut targets = Vec::new();
        for node in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let value = required(&target.val)?;
            if let Some(NodeEnum::ColumnRef(column)) = &value.node
                && column.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_))))
            {
                if let Some((path, Some(fields))) = self.variable_row(value, scope) {
                    let target = |(name, value): (String, Value)| {
                        let shown = format!("{}.{name}", path.join("."));
                        let value = value.typed();
                        (name, Target::Column(StarColumn { ty: value.ty.clone(), value, source: None, shown }))
                    };
                    targets.extend(fields.into_iter().map(target));
                    continue;
                }
                targets.extend(self.star(&words(&column.fields), scope)?);
                continue;
            }
            let name = if target.name.is_empty() { figure_name(value) } else { target.name.clone() };
            targets.push((name, Target::Expression(Box::new(value.clone()))));
        }
        Ok(targets)
    }

    fn star(&mut self, qualifier: &[&str], scope: &Scope<'_>) -> Outcome<Vec<(String, Target)>> {
        let mut found: Vec<(SourceColumn, Option<usize>, String)> = Vec::new();
        let of = |at: usize, source: &Source| -> Vec<(SourceColumn, Option<usize>, String)> {
            let shown = |column: &SourceColumn| format!("{}.{}", source.name, column.name);
            source.columns.iter().map(|column| (column.clone(), Some(at), shown(column))).collect()
        };
        if self.asks_system && !self.in_exists {
            return Err(Problem::unsupported("all columns of a system view"));
        }
        if qualifier.is_empty() {
            if scope.sources.is_empty() {
                return Err(Problem::rejected("42601", "SELECT * with no tables specified is not valid"));
            }
            found.extend(scope.merged.iter().map(|column| (column.clone(), None, column.name.clone())));
            let is_merged = |name: &str| scope.merged.iter().any(|merged| merged.name == name);
            let columns = scope.sources.iter().enumerate().flat_map(|(at, source)| of(at, source));
            found.extend(columns.filter(|(column, ..)| !is_merged(&column.name)));
        } else {
            let name = qualifier[qualifier.len() - 1];
            let mut current = Some(scope);
            while let Some(level) = current {
                if let Some(at) = level.sources.iter().position(|s| s.name == name) {
                    found.extend(of(at, &level.sources[at]));
                    break;
                }
                current = level.outer;
            }
            if current.is_none() {
                return Err(self.missing_source(name, scope));
            }
        }
        for (column, ..) in &found {
            self.reads(column.origin);
        }
        let target = |(column, source, shown): (SourceColumn, Option<usize>, String)| {
            let value = Typed::new(column.sql, column.ty.clone());
            (column.name, Target::Column(StarColumn { value, ty: column.ty, source, shown }))
        };
        Ok(found.into_iter().map(target).collect())
    }
}

/// The name that PostgreSQL gives to an output without one.
pub(super) fn figure_name(node: &Node) -> String {
    crate::catalog::naming::expression_name(node).unwrap_or_else(|| "?column?".to_owned())
}
