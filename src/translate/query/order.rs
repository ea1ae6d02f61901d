//! ORDER BY and LIMIT: sort keys, and the choice that a limit makes where the order leaves ties.

use pg_query::NodeEnum;
use pg_query::protobuf::{SelectStmt, SortBy, SortByDir, SortByNulls, a_const::Val};

use super::Query;
use super::targets::figure_name;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::Output;
use crate::translate::cast::{Context, convert};
use crate::translate::expression::{Site, contains_column, required, words};
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::Typed;

/// An ORDER BY, resolved.
pub(super) struct Order {
    /// Sort keys with their directions.
    pub keys: Vec<String>,
    /// The keys alone.
    pub bare: Vec<String>,
    /// As written.
    pub shown: Vec<String>,
}

impl Reader<'_> {
    /// ORDER BY and LIMIT over a query's outputs: for set operations and VALUES.
    pub(super) fn finish(&mut self, select: &SelectStmt, query: Query, ordered: bool) -> Outcome<Query> {
        if !ordered && select.limit_count.is_none() && select.limit_offset.is_none() {
            return Ok(query);
        }
        let mut order = Order { keys: Vec::new(), bare: Vec::new(), shown: Vec::new() };
        for node in &select.sort_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let Some(output) = self.sorted_output(sort, &query.outputs)? else {
                let node = required(&sort.node)?;
                if matches!(&node.node, Some(NodeEnum::ColumnRef(_))) {
                    // A name is looked for among the outputs, and nowhere else.
                    self.expression(node, Site::new(&Scope::default(), "ORDER BY"))?;
                }
                return Err(Problem::rejected("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                    .detail("Only result column names can be used, not expressions or functions.")
                    .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."));
            };
            let key = self.sort_key(&format!("q.{}", output.column), &output.ty)?;
            order.keys.push(format!("{key} {}", direction(sort)));
            order.bare.push(key);
            order.shown.push(output.name);
        }
        let limit = self.limit(select, &order, false)?;
        if !limit.is_empty() || ordered {
            order.keys.extend(query.outputs.iter().map(|o| format!("q.{} {}", o.column, self.tie_direction())));
        }
        let sql = format!("SELECT * FROM ({}) AS q ORDER BY {}{limit}", query.sql, order.keys.join(", "));
        Ok(Query { sql, outputs: query.outputs })
    }

    /// The output that an ORDER BY item names or numbers.
    pub(super) fn sorted_output(&self, sort: &SortBy, outputs: &[Output]) -> Outcome<Option<Output>> {
        match sort.node.as_deref().and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::ColumnRef(column)) => match words(&column.fields).as_slice() {
                [name] if column.fields.len() == 1 => {
                    let mut found = outputs.iter().filter(|o| o.name == *name);
                    Ok(found.next().cloned())
                }
                _ => Ok(None),
            },
            Some(NodeEnum::AConst(constant)) => match &constant.val {
                Some(Val::Ival(place)) => {
                    match usize::try_from(place.ival).ok().filter(|at| (1..=outputs.len()).contains(at)) {
                        Some(at) => Ok(Some(outputs[at - 1].clone())),
                        None => Err(Problem::rejected(
                            "42P10",
                            format!("ORDER BY position {} is not in select list", place.ival),
                        )),
                    }
                }
                _ => Err(Problem::rejected("42601", "non-integer constant in ORDER BY")),
            },
            _ => Ok(None),
        }
    }

    /// `LIMIT … OFFSET …`, and the choice that it makes where the order leaves ties.
    pub(super) fn limit(&mut self, select: &SelectStmt, order: &Order, is_total: bool) -> Outcome<String> {
        if select.limit_option == pg_query::protobuf::LimitOption::WithTies as i32 {
            return Err(Problem::unsupported("FETCH FIRST … WITH TIES"));
        }
        let scope = Scope::default();
        let mut clauses = String::new();
        for (word, node) in [("LIMIT", &select.limit_count), ("OFFSET", &select.limit_offset)] {
            let Some(node) = node.as_deref() else { continue };
            // A name may be a variable of the body around it; a column isn't in scope here.
            let value = match self.expression(node, Site::new(&scope, word)) {
                Err(Problem::Rejected(error))
                    if contains_column(node) && ["42703", "42P01"].contains(&error.sqlstate) =>
                {
                    return Err(Problem::rejected("42P10", format!("argument of {word} must not contain variables")));
                }
                value => value?,
            };
            if value.is_null() {
                continue;
            }
            let value = convert(value, &Type::Int8, Context::Implicit, None, self.catalog())?;
            clauses.push_str(&format!(" {word} {}", value.sql));
        }
        if !clauses.is_empty() && !is_total {
            let shown = match order.shown.as_slice() {
                [] => "LIMIT without ORDER BY".to_owned(),
                keys => format!("LIMIT with ORDER BY {}", keys.join(", ")),
            };
            self.choice(shown);
        }
        Ok(clauses)
    }

    pub(super) fn order(
        &mut self,
        select: &SelectStmt,
        outputs: &[Output],
        values: &[Typed],
        site: Site<'_>,
    ) -> Outcome<Order> {
        let mut order = Order { keys: Vec::new(), bare: Vec::new(), shown: Vec::new() };
        for node in &select.sort_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            if !sort.use_op.is_empty() {
                return Err(Problem::unsupported("ORDER BY … USING"));
            }
            let value = match self.sorted_output(sort, outputs)? {
                Some(output) => {
                    let at = outputs.iter().position(|o| o.column == output.column).unwrap_or_default();
                    values[at].clone()
                }
                None => self.expression(required(&sort.node)?, site)?,
            };
            let key = self.sort_key(&value.sql, &value.ty)?;
            // A constant orders nothing, and the engine refuses it.
            if value.constant.is_some() && select.distinct_clause.is_empty() {
                continue;
            }
            order.keys.push(format!("{key} {}", direction(sort)));
            order.bare.push(key);
            order.shown.push(shown(sort));
        }
        Ok(order)
    }
}

/// `DESC NULLS LAST` and the like, PostgreSQL's defaults spelled out.
pub(in crate::translate) fn direction(sort: &SortBy) -> &'static str {
    let descending = sort.sortby_dir == SortByDir::SortbyDesc as i32;
    match (descending, SortByNulls::try_from(sort.sortby_nulls)) {
        (false, Ok(SortByNulls::SortbyNullsFirst)) => "ASC NULLS FIRST",
        (false, _) => "ASC NULLS LAST",
        (true, Ok(SortByNulls::SortbyNullsLast)) => "DESC NULLS LAST",
        (true, _) => "DESC NULLS FIRST",
    }
}

/// An ORDER BY item as a person would name it.
pub(super) fn shown(sort: &SortBy) -> String {
    let name = sort.node.as_deref().map_or_else(String::new, figure_name);
    let descending = sort.sortby_dir == SortByDir::SortbyDesc as i32;
    if descending { format!("{name} DESC") } else { name }
}
