//! DISTINCT and DISTINCT ON.

use pg_query::protobuf::{Node, SelectStmt, SortBy};

use super::Plain;
use super::order::shown;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::expression::Site;
use crate::translate::reader::Reader;
use crate::translate::typed::{is_citext, is_place};
use crate::translate::{Output, carried, equality};

pub(super) enum Distinct<'n> {
    No,
    All,
    On(&'n [Node]),
}

impl Reader<'_> {
    /// Can values of the type be told apart here as the server tells them?
    pub(in crate::translate) fn has_equality(&self, ty: &Type) -> Outcome<()> {
        match ty {
            Type::Json => Err(Problem::rejected("42883", "could not identify an equality operator for type json")),
            Type::Composite(_) => Err(Problem::unsupported("a comparison of composite values")),
            Type::Array(element) if matches!(**element, Type::Composite(_)) => {
                Err(Problem::unsupported("a comparison of composite values"))
            }
            Type::Opaque(_) if !is_citext(ty) && !is_place(ty) && carried::name(ty).is_none() => {
                Err(Problem::unsupported(format!("a comparison of {}", ty.name(self.catalog()))))
            }
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
            _ => format!("{} AS {}", value.sql, output.column),
        });
        let list = list.collect::<Vec<_>>().join(", ");
        if outputs.iter().any(|output| equality::is_loose(&output.ty)) {
            let rows = self.distinct_rows(&format!("SELECT {list}{}", query.clauses), outputs);
            return self.ordered_rows(&rows, query, outputs, ordered, &limit);
        }
        let mut sql = format!("SELECT DISTINCT {list}{}", query.clauses);
        if (ordered && !query.order.keys.is_empty()) || !limit.is_empty() {
            let mut keys = query.order.keys.clone();
            keys.extend((1..=query.values.len()).map(|n| format!("{n} {}", self.tie_direction())));
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        Ok(sql + &limit)
    }

    /// Rows of their own in the order of a query, whose keys are outputs.
    fn ordered_rows(
        &mut self,
        rows: &str,
        query: &Plain<'_>,
        outputs: &[Output],
        ordered: bool,
        limit: &str,
    ) -> Outcome<String> {
        let in_order = ordered && !query.order.keys.is_empty();
        if limit.is_empty() && !in_order {
            return Ok(rows.to_owned());
        }
        let mut keys = Vec::new();
        for (key, bare) in query.order.keys.iter().zip(&query.order.bare) {
            let mut found = None;
            for (value, output) in query.values.iter().zip(outputs) {
                if self.sort_key(&value.sql, &value.ty)? == *bare {
                    found = Some(self.sort_key(&format!("e.{}", output.column), &output.ty)?);
                    break;
                }
            }
            let found = found.ok_or_else(|| Problem::unsupported("SELECT DISTINCT in this order"))?;
            keys.push(format!("{found}{}", &key[bare.len()..]));
        }
        keys.extend(outputs.iter().map(|output| format!("e.{} {}", output.column, self.tie_direction())));
        Ok(format!("SELECT * FROM ({rows}) AS e ORDER BY {}{limit}", keys.join(", ")))
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
            self.has_equality(&value.ty)?;
            groups.push(equality::key(&value.sql, &value.ty));
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

pub(super) fn distinct(select: &SelectStmt) -> Distinct<'_> {
    match select.distinct_clause.as_slice() {
        [] => Distinct::No,
        [Node { node: None }] => Distinct::All,
        nodes => Distinct::On(nodes),
    }
}
