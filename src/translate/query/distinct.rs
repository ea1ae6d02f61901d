//! DISTINCT and DISTINCT ON.

use pg_query::protobuf::{Node, SelectStmt, SortBy};

use super::Plain;
use super::order::shown;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::expression::Site;
use crate::translate::reader::Reader;
use crate::translate::{Output, number};

pub(super) enum Distinct<'n> {
    No,
    All,
    On(&'n [Node]),
}

impl Reader<'_> {
    /// Can values of the type be told apart here as the server tells them?
    pub(super) fn has_equality(&self, ty: &Type) -> Outcome<()> {
        match ty {
            Type::Json => Err(Problem::rejected("42883", "could not identify an equality operator for type json")),
            Type::Opaque(_) => Err(Problem::unsupported(format!("a comparison of {}", ty.name(self.catalog())))),
            _ => Ok(()),
        }
    }

    pub(super) fn distinct_all(
        &mut self,
        select: &SelectStmt,
        query: &Plain<'_>,
        outputs: &[Output],
        ordered: bool,
    ) -> Outcome<String> {
        for output in outputs {
            self.has_equality(&output.ty)?;
        }
        let keyed = |key: &String| query.values.iter().any(|v| v.sql == *key || key.contains(v.sql.as_str()));
        if !query.order.bare.iter().all(keyed) {
            return Err(Problem::rejected(
                "42P10",
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
            ));
        }
        let limit = self.limit(select, &query.order, false)?;
        let list = query.values.iter().zip(outputs).map(|(value, output)| match value.ty {
            Type::Unknown => format!("CAST({} AS VARCHAR) AS {}", value.sql, output.column),
            Type::Jsonb => format!("pg_jsonb_settled({}) AS {}", value.sql, output.column),
            _ => format!("{} AS {}", value.sql, output.column),
        });
        let list = list.collect::<Vec<_>>().join(", ");
        if outputs.iter().any(|output| number::is_text(&output.ty)) {
            if !limit.is_empty() || (ordered && !query.order.keys.is_empty()) {
                return Err(Problem::unsupported("SELECT DISTINCT of numeric values without a scale, in an order"));
            }
            return Ok(distinct_rows(&format!("SELECT {list}{}", query.clauses), outputs));
        }
        let mut sql = format!("SELECT DISTINCT {list}{}", query.clauses);
        if (ordered && !query.order.keys.is_empty()) || !limit.is_empty() {
            let mut keys = query.order.keys.clone();
            keys.extend((1..=query.values.len()).map(|n| format!("{n} {}", self.tie_direction())));
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        Ok(sql + &limit)
    }

    pub(super) fn distinct_on(
        &mut self,
        select: &SelectStmt,
        nodes: &[Node],
        query: &Plain<'_>,
        outputs: &[Output],
        site: Site<'_>,
        ordered: bool,
    ) -> Outcome<String> {
        let mut groups = Vec::new();
        let mut names = Vec::new();
        for node in nodes {
            let sort = SortBy { node: Some(Box::new(node.clone())), ..Default::default() };
            let value = match self.sorted_output(&sort, outputs)? {
                Some(output) => {
                    let at = outputs.iter().position(|o| o.column == output.column).unwrap_or_default();
                    query.values[at].clone()
                }
                None => self.expression(node, site)?,
            };
            if value.ty == Type::Jsonb {
                return Err(Problem::unsupported("DISTINCT ON a jsonb value"));
            }
            groups.push(number::identity(&value.sql, &value.ty));
            names.push(shown(&sort));
        }
        let leading = query.order.bare.iter().take(groups.len());
        if !query.order.bare.is_empty() && !leading.clone().all(|key| groups.iter().any(|g| key.contains(g.as_str()))) {
            return Err(Problem::rejected(
                "42P10",
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            ));
        }
        let mut all = groups.clone();
        all.extend(query.order.bare.iter().cloned());
        if !self.covers_key(query.scope, &all) {
            let order = if query.order.shown.is_empty() {
                String::new()
            } else {
                format!(" with ORDER BY {}", query.order.shown.join(", "))
            };
            self.choice(format!("DISTINCT ON ({}){order}", names.join(", ")));
        }
        let tie = self.tie_direction();
        // Sorted and grouped are columns of an inner query: a cast that may raise an error can't stand in a window.
        let mut inner: Vec<String> = groups.iter().enumerate().map(|(n, group)| format!(", {group} AS g{n}")).collect();
        inner.extend(query.order.bare.iter().enumerate().map(|(n, key)| format!(", {key} AS k{n}")));
        let ordered_by = query.order.keys.iter().zip(&query.order.bare).enumerate();
        let mut keys: Vec<String> =
            ordered_by.skip(groups.len()).map(|(n, (key, bare))| format!("p.k{n}{}", &key[bare.len()..])).collect();
        let untold = query.values.iter().zip(outputs).filter(|(value, _)| !groups.contains(&value.sql));
        keys.extend(untold.map(|(_, output)| format!("p.{} {tie}", output.column)));
        if keys.is_empty() {
            keys.push("1".to_owned());
        }
        let columns: Vec<String> = outputs.iter().map(|o| format!("q.{}", o.column)).collect();
        let partition: Vec<String> = (0..groups.len()).map(|n| format!("p.g{n}")).collect();
        let mut sql = format!(
            "SELECT {} FROM (SELECT p.*, row_number() OVER (PARTITION BY {} ORDER BY {}) AS rank \
             FROM (SELECT {}{}{}) AS p) AS q WHERE q.rank = 1",
            columns.join(", "),
            partition.join(", "),
            keys.join(", "),
            query.list(),
            inner.concat(),
            query.clauses
        );
        let limit = self.limit(select, &query.order, true)?;
        if (ordered || !limit.is_empty()) && !query.order.keys.is_empty() {
            let keys: Vec<String> = query
                .order
                .keys
                .iter()
                .zip(&query.order.bare)
                .enumerate()
                .map(|(n, (key, bare))| format!("q.k{n}{}", &key[bare.len()..]))
                .collect();
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        Ok(sql + &limit)
    }
}

/// Each row once, where equal numerics may be written differently.
pub(super) fn distinct_rows(sql: &str, outputs: &[Output]) -> String {
    let (mut shown, mut keys) = (Vec::new(), Vec::new());
    for Output { ty, column, .. } in outputs {
        keys.push(number::identity(&format!("d.{column}"), ty));
        shown.push(match number::is_text(ty) {
            true => format!("min(d.{column}) AS {column}"),
            false => format!("d.{column} AS {column}"),
        });
    }
    format!("SELECT {} FROM ({sql}) AS d GROUP BY {}", shown.join(", "), keys.join(", "))
}

pub(super) fn distinct(select: &SelectStmt) -> Distinct<'_> {
    match select.distinct_clause.as_slice() {
        [] => Distinct::No,
        [Node { node: None }] => Distinct::All,
        nodes => Distinct::On(nodes),
    }
}
