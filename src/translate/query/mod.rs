//! Queries: SELECT, VALUES and set operations.
//!
//! Every output column gets the physical name `o<n>`. An order that PostgreSQL leaves open is completed by all output columns, one
//! way or the other as [`Tie`](super::Tie) says, and noted as a choice.

mod distinct;
mod grouping;
mod order;
mod set_operation;
mod targets;
mod window;

use pg_query::NodeEnum;
use pg_query::protobuf::{SelectStmt, SetOperation};

use super::Output;
use super::arrival::Numbered;
use super::expression::Site;
use super::reader::Reader;
use super::scope::Scope;
use super::typed::{Typed, physical};
use crate::catalog::{Outcome, Problem, Type};
pub(super) use grouping::Grouping;
pub(super) use order::direction;
pub(super) use window::Window;

use distinct::{Distinct, distinct};
use order::Order;
use targets::Target;

/// A translated query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub sql: String,
    pub outputs: Vec<Output>,
}

/// What comes behind the columns of listed rows, whose numbers are `o0`.
pub(super) const VALUES_LISTED: &str = " FROM (VALUES";

/// A plain SELECT, before DISTINCT and ORDER BY.
struct Plain<'q> {
    list: Vec<String>,
    values: &'q [Typed],
    clauses: String,
    order: Order,
    scope: &'q Scope<'q>,
    grouped: bool,
    /// Of several sets of keys.
    has_sets: bool,
}

impl Plain<'_> {
    fn list(&self) -> String {
        if self.list.is_empty() { "1 AS o0".to_owned() } else { self.list.join(", ") }
    }

    /// An aggregate without GROUP BY, or no FROM: one row, whatever the order.
    fn single_row(&self) -> bool {
        (self.grouped && !self.clauses.contains(" GROUP BY ")) || self.scope.sources.is_empty()
    }
}

impl Reader<'_> {
    /// A query whose rows have no order.
    pub(super) fn query(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>) -> Outcome<Query> {
        self.query_in_order(select, outer, false)
    }

    /// A query; `ordered` keeps its ORDER BY where nothing depends on it but the order of the rows.
    pub(super) fn query_in_order(
        &mut self,
        select: &SelectStmt,
        outer: Option<&Scope<'_>>,
        ordered: bool,
    ) -> Outcome<Query> {
        if select.into_clause.is_some() {
            return Err(Problem::unsupported("SELECT INTO"));
        }
        let visible = self.named.len();
        if let Some(with) = &select.with_clause {
            self.with(with)?;
        }
        let query = match SetOperation::try_from(select.op) {
            Ok(SetOperation::SetopNone | SetOperation::Undefined) if !select.values_lists.is_empty() => {
                let query = self.values(select, outer)?;
                self.finish(select, query, ordered)
            }
            Ok(SetOperation::SetopNone | SetOperation::Undefined) => self.plain(select, outer, ordered),
            Ok(operation) => {
                let query = self.set_operation(select, operation, outer)?;
                self.finish(select, query, ordered)
            }
            Err(_) => Err(Problem::unsupported("this form of query")),
        };
        self.named.truncate(visible);
        query
    }

    fn values(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>) -> Outcome<Query> {
        self.is_whole = false;
        let scope = Scope::inside(outer);
        let site = Site::new(&scope, "VALUES");
        let mut rows: Vec<Vec<Typed>> = Vec::new();
        for row in &select.values_lists {
            let Some(NodeEnum::List(list)) = &row.node else { continue };
            let items = self.spelled_out(&list.items, &scope);
            let row = items.iter().map(|item| self.expression(item, site)).collect::<Outcome<Vec<_>>>()?;
            if rows.first().is_some_and(|first| first.len() != row.len()) {
                return Err(Problem::rejected("42601", "VALUES lists must all be the same length"));
            }
            rows.push(row);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut columns: Vec<Vec<String>> = Vec::new();
        let mut outputs = Vec::new();
        for index in 0..width {
            let values: Vec<Typed> = rows.iter().map(|row| row[index].clone()).collect();
            let all_unknown = values.iter().all(|v| v.ty == Type::Unknown);
            let (values, ty) = self.unify(values, "VALUES")?;
            columns.push(values.into_iter().map(|v| format!("CAST({v} AS {})", physical(&ty))).collect());
            outputs.push(Output {
                name: format!("column{}", index + 1),
                ty: if all_unknown { Type::Unknown } else { ty },
                column: format!("o{}", index + 1),
            });
        }
        let rows: Vec<String> = (0..rows.len())
            .map(|row| format!("({}, {row})", columns.iter().map(|c| c[row].as_str()).collect::<Vec<_>>().join(", ")))
            .collect();
        let names = outputs.iter().map(|o| o.column.as_str()).collect::<Vec<_>>().join(", ");
        let sql = format!("SELECT {names}{VALUES_LISTED} {}) AS v({names}, o0)", rows.join(", "));
        Ok(Query { sql, outputs })
    }

    /// SELECT … FROM … WHERE … GROUP BY …
    fn plain(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, ordered: bool) -> Outcome<Query> {
        let windows = select.window_clause.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::WindowDef(window)) => Some(window.as_ref().clone()),
            _ => None,
        });
        let windows = std::mem::replace(&mut self.windows, windows.collect());
        let query = self.plain_in(select, outer, ordered);
        self.windows = windows;
        query
    }

    fn plain_in(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>, ordered: bool) -> Outcome<Query> {
        let numbered = self.numbered.take();
        let mut scope = Scope::inside(outer);
        let is_whole = std::mem::replace(&mut self.is_whole, false);
        let from = self.read_from(&select.from_clause, &mut scope)?;
        let mut clauses = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
        if let Some(node) = select.where_clause.as_deref() {
            let condition = self
                .condition(node, Site::new(&scope, "WHERE"))
                .map_err(|problem| self.problem_of_outputs(select, &scope).unwrap_or(problem))?;
            if is_whole && select.limit_count.is_none() {
                self.note_gates(node);
            }
            clauses.push_str(&format!(" WHERE {condition}"));
        }
        expect_locked(select, &scope)?;
        let targets = self.expand(select, &scope)?;
        let grouping = self.grouping(select, &scope, &targets)?;
        let site =
            |clause| Site { grouping: grouping.as_ref(), aggregates: true, windows: true, ..Site::new(&scope, clause) };
        let in_groups = std::mem::replace(&mut self.in_groups, !select.group_clause.is_empty());
        let mut values = Vec::new();
        let mut outputs = Vec::new();
        let constants = self.constants();
        for (index, (name, node)) in targets.iter().enumerate() {
            let (value, ty) = match node {
                Target::Expression(node) => {
                    let value = self.expression(node, site("SELECT"))?;
                    let ty = self.output_type(node, &value, site("SELECT"));
                    (value, ty)
                }
                Target::Column(column) => {
                    let value = self.grouped(&column.value, column.source, &column.shown, site("SELECT"))?;
                    (value, column.ty.clone())
                }
            };
            outputs.push(Output { name: name.clone(), ty, column: format!("o{}", index + 1) });
            values.push(value);
        }
        match (self.outputs_unread, self.in_exists) {
            (true, true) => self.forget_constants(constants),
            (true, false) => self.doubt_constants(constants),
            _ => {}
        }
        let having = match select.having_clause.as_deref() {
            Some(having) => Some(self.condition(having, Site { windows: false, ..site("HAVING") })?),
            None => None,
        };
        let order = self.order(select, &outputs, &values, site("ORDER BY"))?;
        if let Some(grouping) = &grouping {
            if !grouping.items.is_empty() {
                let keys = [grouping.items.clone(), self.determined_keys(grouping, &scope)].concat();
                clauses.push_str(&format!(" GROUP BY {}", keys.join(", ")));
            }
            if let Some(condition) = having {
                clauses.push_str(&format!(" HAVING {condition}"));
            }
        }
        self.in_groups = in_groups;
        let list: Vec<String> = values
            .iter()
            .zip(&outputs)
            .map(|(value, output)| match value.ty {
                Type::Unknown => format!("CAST({} AS VARCHAR) AS {}", value.sql, output.column),
                _ => format!("{} AS {}", value.sql, output.column),
            })
            .collect();
        let has_sets = grouping.as_ref().is_some_and(|grouping| grouping.has_sets);
        let grouped = grouping.is_some();
        let whole = Plain { list, values: &values, clauses, order, scope: &scope, grouped, has_sets };
        let sql = match distinct(select) {
            Distinct::No => self.undistinct(select, &whole, ordered, numbered)?,
            Distinct::All => self.distinct_all(select, &whole, &outputs, ordered)?,
            Distinct::On(nodes) => self.distinct_on(select, nodes, &whole, &outputs, site("DISTINCT ON"), ordered)?,
        };
        Ok(Query { sql: self.numberings.settle(sql), outputs })
    }

    /// The server's error in the outputs, which it reads before WHERE: of two errors it reports that one.
    fn problem_of_outputs(&mut self, select: &SelectStmt, scope: &Scope<'_>) -> Option<Problem> {
        let targets = match self.expand(select, scope) {
            Ok(targets) => targets,
            Err(problem) => return Some(problem),
        };
        let site = Site { aggregates: true, windows: true, ..Site::new(scope, "SELECT") };
        targets.iter().find_map(|(_, target)| match target {
            Target::Expression(node) => self.expression(node, site).err(),
            Target::Column(_) => None,
        })
    }

    fn undistinct(
        &mut self,
        select: &SelectStmt,
        query: &Plain<'_>,
        ordered: bool,
        numbered: Option<String>,
    ) -> Outcome<String> {
        let is_total = !query.has_sets && self.covers_key(query.scope, &query.order.bare) || query.single_row();
        let limit = self.limit(select, &query.order, is_total)?;
        let number = match numbered {
            Some(alias) if query.order.keys.is_empty() => match query.scope.sources.as_slice() {
                [source] if !query.grouped => self.numberings.pass_on(&source.alias, &alias),
                _ => String::new(),
            },
            Some(alias) => {
                let mut keys = query.order.keys.clone();
                if !is_total {
                    keys.extend(query.values.iter().map(|value| format!("{} {}", value.sql, self.tie_direction())));
                }
                let of = if is_total { Numbered::Rows } else { Numbered::RowsWithTies };
                let column = format!("row_number() OVER (ORDER BY {}) AS o0", keys.join(", "));
                self.numberings.offer(&alias, column, of)
            }
            None => String::new(),
        };
        let mut sql = format!("SELECT {}{number}{}", query.list(), query.clauses);
        if (ordered && !query.order.keys.is_empty()) || !limit.is_empty() {
            let mut keys = query.order.keys.clone();
            if !is_total || keys.is_empty() {
                let outputs = (1..=query.values.len()).map(|n| format!("{n} {}", self.tie_direction()));
                keys.extend(outputs);
            }
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        Ok(sql + &limit)
    }
}

/// FOR UPDATE OF names what FROM has.
fn expect_locked(select: &SelectStmt, scope: &Scope<'_>) -> Outcome<()> {
    for node in &select.locking_clause {
        let Some(NodeEnum::LockingClause(clause)) = &node.node else { continue };
        for relation in &clause.locked_rels {
            let Some(NodeEnum::RangeVar(relation)) = &relation.node else { continue };
            if !scope.sources.iter().any(|source| source.name == relation.relname) {
                let word = match pg_query::protobuf::LockClauseStrength::try_from(clause.strength) {
                    Ok(pg_query::protobuf::LockClauseStrength::LcsForkeyshare) => "FOR KEY SHARE",
                    Ok(pg_query::protobuf::LockClauseStrength::LcsForshare) => "FOR SHARE",
                    Ok(pg_query::protobuf::LockClauseStrength::LcsFornokeyupdate) => "FOR NO KEY UPDATE",
                    _ => "FOR UPDATE",
                };
                let message = format!("relation \"{}\" in {word} clause not found in FROM clause", relation.relname);
                return Err(Problem::rejected("42P01", message).at(relation.location));
            }
        }
    }
    Ok(())
}
