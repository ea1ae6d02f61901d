//! Queries: SELECT, VALUES and set operations.
//!
//! Every output column gets the physical name `o<n>`. An order that PostgreSQL leaves open is completed by all output columns, one
//! way or the other as [`Tie`](super::Tie) says, and noted as a choice.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt, SetOperation, SortBy, SortByDir, SortByNulls, WindowDef, a_const::Val};

use super::Output;
use super::cast::{Context, convert};
use super::expression::{Site, contains_column, words};
use super::function::contains_aggregate;
use super::number;
use super::reader::Reader;
use super::scope::{Scope, Source, SourceColumn};
use super::typed::{Typed, physical};
use crate::catalog::{Outcome, Problem, Type};

/// A translated query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub sql: String,
    pub outputs: Vec<Output>,
}

/// The groups of a query.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    keys: Vec<(String, Type)>,
    /// Some key isn't a bare column.
    computed: bool,
    /// Sources whose row a group determines: their key is among the group's.
    pub determined: BTreeSet<usize>,
}

impl Grouping {
    pub fn contains(&self, sql: &str) -> bool {
        self.keys.iter().any(|(key, _)| key == sql)
    }

    /// The value of a group's key: of equal numerics that are written differently, one.
    pub fn value(&self, key: Typed) -> Typed {
        match number::is_text(&key.ty) {
            true => Typed::new(format!("min({})", key.sql), key.ty),
            false => key,
        }
    }
}

/// A window as DuckDB needs it.
pub(super) struct Window {
    /// As written, without its frame: peers share a rank.
    pub ranked: String,
    /// With ties broken, without its frame.
    pub total: String,
    /// As written, with its frame; one of ROWS has ties broken.
    pub framed: String,
    /// With ties broken and with its frame.
    pub total_framed: String,
    /// All sort keys, with ties broken.
    pub keys: Vec<String>,
    /// The frame counts rows.
    pub in_rows: bool,
    /// The frame is the whole partition.
    pub is_whole: bool,
    /// The order as written leaves no ties.
    pub is_total: bool,
    /// For messages.
    pub shown: String,
}

/// Bits of `WindowDef::frame_options` (src/include/nodes/parsenodes.h).
mod frame {
    pub const NON_DEFAULT: i32 = 0x1;
    pub const ROWS: i32 = 0x4;
    pub const GROUPS: i32 = 0x8;
    pub const START_UNBOUNDED: i32 = 0x20;
    pub const END_UNBOUNDED: i32 = 0x100;
    pub const START_PRECEDING: i32 = 0x800;
    pub const END_PRECEDING: i32 = 0x1000;
    pub const START_FOLLOWING: i32 = 0x2000;
    pub const END_FOLLOWING: i32 = 0x4000;
    pub const EXCLUDE: i32 = 0x8000 | 0x10000 | 0x20000;
}

/// `DESC NULLS LAST` and the like, PostgreSQL's defaults spelled out.
pub(super) fn direction(sort: &SortBy) -> &'static str {
    let descending = sort.sortby_dir == SortByDir::SortbyDesc as i32;
    match (descending, SortByNulls::try_from(sort.sortby_nulls)) {
        (false, Ok(SortByNulls::SortbyNullsFirst)) => "ASC NULLS FIRST",
        (false, _) => "ASC NULLS LAST",
        (true, Ok(SortByNulls::SortbyNullsLast)) => "DESC NULLS LAST",
        (true, _) => "DESC NULLS FIRST",
    }
}

/// An ORDER BY, resolved.
struct Order {
    /// Sort keys with their directions.
    keys: Vec<String>,
    /// The keys alone.
    bare: Vec<String>,
    /// As written.
    shown: Vec<String>,
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

    /// UNION, INTERSECT, EXCEPT.
    fn set_operation(
        &mut self,
        select: &SelectStmt,
        operation: SetOperation,
        outer: Option<&Scope<'_>>,
    ) -> Outcome<Query> {
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else {
            return Err(Problem::unsupported("a set operation with one side"));
        };
        let (left, right) = (self.query(left, outer)?, self.query(right, outer)?);
        let (word, name) = match (operation, select.all) {
            (SetOperation::SetopUnion, true) => ("UNION ALL", "UNION"),
            (SetOperation::SetopUnion, false) => ("UNION", "UNION"),
            (SetOperation::SetopIntersect, true) => ("INTERSECT ALL", "INTERSECT"),
            (SetOperation::SetopIntersect, false) => ("INTERSECT", "INTERSECT"),
            (_, true) => ("EXCEPT ALL", "EXCEPT"),
            (_, false) => ("EXCEPT", "EXCEPT"),
        };
        if left.outputs.len() != right.outputs.len() {
            return Err(Problem::rejected("42601", format!("each {name} query must have the same number of columns")));
        }
        let mut outputs = Vec::new();
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (l, r) in left.outputs.iter().zip(&right.outputs) {
            let ty = self.common_type(&[l.ty.clone(), r.ty.clone()], name)?;
            if ty == Type::Json && word != "UNION ALL" {
                return Err(Problem::rejected("42883", "could not identify an equality operator for type json"));
            }
            for (side, output, list) in [("l", l, &mut a), ("r", r, &mut b)] {
                let value = Typed::new(format!("{side}.{}", output.column), output.ty.clone());
                let value = self.unified(value, &ty, name)?;
                let sql = if ty == Type::Jsonb && word != "UNION ALL" {
                    format!("pg_jsonb_settled({})", value.sql)
                } else {
                    value.sql
                };
                list.push(format!("{sql} AS {}", l.column));
            }
            outputs.push(Output { ty, ..l.clone() });
        }
        let by_value = word != "UNION ALL" && outputs.iter().any(|output| number::is_text(&output.ty));
        if by_value && word != "UNION" {
            return Err(Problem::unsupported(format!("{word} of numeric values without a scale")));
        }
        let word = if by_value { "UNION ALL" } else { word };
        let sql = format!(
            "(SELECT {} FROM ({}) AS l) {word} (SELECT {} FROM ({}) AS r)",
            a.join(", "),
            left.sql,
            b.join(", "),
            right.sql
        );
        let sql = if by_value { distinct_rows(&sql, &outputs) } else { sql };
        Ok(Query { sql, outputs })
    }

    fn values(&mut self, select: &SelectStmt, outer: Option<&Scope<'_>>) -> Outcome<Query> {
        let scope = Scope::inside(outer);
        let site = Site::new(&scope, "VALUES");
        let mut rows: Vec<Vec<Typed>> = Vec::new();
        for row in &select.values_lists {
            let Some(NodeEnum::List(list)) = &row.node else { continue };
            let row = list.items.iter().map(|item| self.expression(item, site)).collect::<Outcome<Vec<_>>>()?;
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
            .map(|row| format!("({})", columns.iter().map(|c| c[row].as_str()).collect::<Vec<_>>().join(", ")))
            .collect();
        let names: Vec<&str> = outputs.iter().map(|o| o.column.as_str()).collect();
        let sql = format!("SELECT * FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", "));
        Ok(Query { sql, outputs })
    }

    /// ORDER BY and LIMIT over a query's outputs: for set operations and VALUES.
    fn finish(&mut self, select: &SelectStmt, query: Query, ordered: bool) -> Outcome<Query> {
        if !ordered && select.limit_count.is_none() && select.limit_offset.is_none() {
            return Ok(query);
        }
        let mut order = Order { keys: Vec::new(), bare: Vec::new(), shown: Vec::new() };
        for node in &select.sort_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let Some(output) = self.sorted_output(sort, &query.outputs)? else {
                let node = super::expression::required(&sort.node)?;
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
    fn sorted_output(&self, sort: &SortBy, outputs: &[Output]) -> Outcome<Option<Output>> {
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
    fn limit(&mut self, select: &SelectStmt, order: &Order, is_total: bool) -> Outcome<String> {
        if select.limit_option == pg_query::protobuf::LimitOption::WithTies as i32 {
            return Err(Problem::unsupported("FETCH FIRST … WITH TIES"));
        }
        let scope = Scope::default();
        let mut clauses = String::new();
        for (word, node) in [("LIMIT", &select.limit_count), ("OFFSET", &select.limit_offset)] {
            let Some(node) = node.as_deref() else { continue };
            if contains_column(node) {
                return Err(Problem::rejected("42P10", format!("argument of {word} must not contain variables")));
            }
            let value = self.expression(node, Site::new(&scope, word))?;
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
        let mut scope = Scope::inside(outer);
        let from = self.read_from(&select.from_clause, &mut scope)?;
        let mut clauses = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
        if let Some(condition) = select.where_clause.as_deref() {
            let condition = self
                .condition(condition, Site::new(&scope, "WHERE"))
                .map_err(|problem| self.problem_of_outputs(select, &scope).unwrap_or(problem))?;
            clauses.push_str(&format!(" WHERE {condition}"));
        }
        expect_locked(select, &scope)?;
        let targets = self.expand(select, &scope)?;
        let grouping = self.grouping(select, &scope, &targets)?;
        let site =
            |clause| Site { grouping: grouping.as_ref(), aggregates: true, windows: true, ..Site::new(&scope, clause) };
        let mut values = Vec::new();
        let mut outputs = Vec::new();
        for (index, (name, node)) in targets.iter().enumerate() {
            let value = match node {
                Target::Expression(node) => self.expression(node, site("SELECT"))?,
                Target::Column(column) => self.grouped(&column.value, column.source, &column.shown, site("SELECT"))?,
            };
            outputs.push(Output { name: name.clone(), ty: value.ty.clone(), column: format!("o{}", index + 1) });
            values.push(value);
        }
        if let Some(grouping) = &grouping {
            // A document is a group of its own unless it is equal to one written otherwise.
            let settled = grouping.keys.iter().filter(|(_, ty)| *ty == Type::Jsonb);
            let settled: Vec<String> = settled.map(|(sql, _)| format!("pg_jsonb_settled({sql})")).collect();
            let keys = grouping.keys.iter().map(|(sql, ty)| number::identity(sql, ty));
            let keys: Vec<String> = keys.chain(settled).collect();
            if !keys.is_empty() {
                clauses.push_str(&format!(" GROUP BY {}", keys.join(", ")));
            }
            if let Some(having) = select.having_clause.as_deref() {
                let condition = self.condition(having, Site { windows: false, ..site("HAVING") })?;
                clauses.push_str(&format!(" HAVING {condition}"));
            }
        }
        let order = self.order(select, &outputs, &values, site("ORDER BY"))?;
        let list: Vec<String> = values
            .iter()
            .zip(&outputs)
            .map(|(value, output)| match value.ty {
                Type::Unknown => format!("CAST({} AS VARCHAR) AS {}", value.sql, output.column),
                _ => format!("{} AS {}", value.sql, output.column),
            })
            .collect();
        let whole = Plain { list, values: &values, clauses, order, scope: &scope, grouped: grouping.is_some() };
        let sql = match distinct(select) {
            Distinct::No => self.undistinct(select, &whole, ordered)?,
            Distinct::All => self.distinct_all(select, &whole, &outputs, ordered)?,
            Distinct::On(nodes) => self.distinct_on(select, nodes, &whole, &outputs, site("DISTINCT ON"), ordered)?,
        };
        Ok(Query { sql, outputs })
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

    fn order(&mut self, select: &SelectStmt, outputs: &[Output], values: &[Typed], site: Site<'_>) -> Outcome<Order> {
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
                None => self.expression(super::expression::required(&sort.node)?, site)?,
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

    fn undistinct(&mut self, select: &SelectStmt, query: &Plain<'_>, ordered: bool) -> Outcome<String> {
        let is_total = self.covers_key(query.scope, &query.order.bare) || query.single_row();
        let limit = self.limit(select, &query.order, is_total)?;
        let mut sql = format!("SELECT {}{}", query.list(), query.clauses);
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

    /// Can values of the type be told apart here as the server tells them?
    fn has_equality(&self, ty: &Type) -> Outcome<()> {
        match ty {
            Type::Json => Err(Problem::rejected("42883", "could not identify an equality operator for type json")),
            Type::Opaque(_) => Err(Problem::unsupported(format!("a comparison of {}", ty.name(self.catalog())))),
            _ => Ok(()),
        }
    }

    fn distinct_all(
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

    fn distinct_on(
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

    /// Does every source have a key among these columns, so that they identify a row?
    pub(super) fn covers_key(&self, scope: &Scope<'_>, columns: &[String]) -> bool {
        !scope.sources.is_empty()
            && scope.sources.iter().all(|source| {
                let Some(table) = source.table.and_then(|oid| self.catalog().tables.get(&oid)) else { return false };
                self.catalog().indexes.values().any(|index| {
                    index.table == table.oid
                        && index.unique
                        && index.predicate.is_none()
                        && index.keys.iter().all(|key| match &key.target {
                            crate::catalog::IndexTarget::Column(attnum) => table.columns.iter().any(|column| {
                                column.attnum == *attnum
                                    && column.not_null
                                    && columns.contains(&format!("{}.{}", source.alias, super::column_name(*attnum)))
                            }),
                            crate::catalog::IndexTarget::Expression(_) => false,
                        })
                })
            })
    }

    /// GROUP BY, HAVING or an aggregate makes a query a grouped one.
    fn grouping(
        &mut self,
        select: &SelectStmt,
        scope: &Scope<'_>,
        targets: &[(String, Target)],
    ) -> Outcome<Option<Grouping>> {
        let aggregates = targets.iter().any(|(_, t)| matches!(t, Target::Expression(node) if contains_aggregate(node)))
            || select.sort_clause.iter().any(contains_aggregate);
        if select.group_clause.is_empty() && select.having_clause.is_none() && !aggregates {
            return Ok(None);
        }
        let mut grouping = Grouping::default();
        for node in &select.group_clause {
            if matches!(node.node, Some(NodeEnum::GroupingSet(_))) {
                return Err(Problem::unsupported("GROUPING SETS"));
            }
            let value = self.group_key(node, scope, targets)?;
            self.has_equality(&value.ty)?;
            grouping.computed |= !is_column(&value.sql);
            grouping.keys.push((value.sql, value.ty));
        }
        let keys: Vec<String> = grouping.keys.iter().map(|(sql, _)| sql.clone()).collect();
        for (index, source) in scope.sources.iter().enumerate() {
            let alone = Scope { sources: vec![source.clone()], ..Scope::default() };
            let primary = source.table.is_some_and(|oid| {
                self.catalog()
                    .constraints
                    .values()
                    .any(|c| c.table == oid && matches!(c.kind, crate::catalog::ConstraintKind::PrimaryKey(_)))
            });
            if primary && self.covers_key(&alone, &keys) {
                grouping.determined.insert(index);
            }
        }
        Ok(Some(grouping))
    }

    /// A GROUP BY item: a column of the sources before an output's name, or an output's number.
    fn group_key(&mut self, node: &Node, scope: &Scope<'_>, targets: &[(String, Target)]) -> Outcome<Typed> {
        let site = Site::new(scope, "GROUP BY");
        let read = |this: &mut Self, target: &Target| match target {
            Target::Expression(node) => this.expression(node, site),
            Target::Column(column) => Ok(column.value.clone()),
        };
        match &node.node {
            Some(NodeEnum::AConst(constant)) => {
                let Some(Val::Ival(place)) = &constant.val else {
                    return Err(Problem::rejected("42601", "non-integer constant in GROUP BY"));
                };
                let target = usize::try_from(place.ival).ok().and_then(|at| targets.get(at.wrapping_sub(1)));
                match target {
                    Some((_, target)) => read(self, target),
                    None => Err(Problem::rejected(
                        "42P10",
                        format!("GROUP BY position {} is not in select list", place.ival),
                    )),
                }
            }
            Some(NodeEnum::ColumnRef(column)) if column.fields.len() == 1 => {
                let name = words(&column.fields).first().copied().unwrap_or_default();
                let inner = Scope { outer: None, ..scope.clone() };
                match inner.find(None, None, name) {
                    Ok(_) => self.expression(node, site),
                    Err(problem) => match targets.iter().find(|(output, _)| output == name) {
                        Some((_, target)) => read(self, target),
                        None if scope.outer.is_some() => self.expression(node, site),
                        None => Err(problem),
                    },
                }
            }
            _ => self.expression(node, site),
        }
    }

    /// An expression that is itself a group's key.
    pub(super) fn grouping_key(&mut self, node: &NodeEnum, site: Site<'_>) -> Option<Typed> {
        let grouping = site.grouping.filter(|g| g.computed)?;
        if matches!(node, NodeEnum::SubLink(_) | NodeEnum::ColumnRef(_) | NodeEnum::AConst(_)) {
            return None;
        }
        let node = Node { node: Some(node.clone()) };
        if contains_aggregate(&node) {
            return None;
        }
        let value = self.expression(&node, site.ungrouped()).ok()?;
        grouping.contains(&value.sql).then(|| grouping.value(value))
    }

    /// A list of outputs over a scope, each as `value AS o<n>`.
    pub(super) fn select_list(
        &mut self,
        targets: &[Node],
        scope: &Scope<'_>,
        clause: &'static str,
    ) -> Outcome<(Vec<String>, Vec<Output>)> {
        let select = SelectStmt { target_list: targets.to_vec(), ..Default::default() };
        let (mut list, mut outputs) = (Vec::new(), Vec::new());
        for (index, (name, target)) in self.expand(&select, scope)?.into_iter().enumerate() {
            let value = match &target {
                Target::Expression(node) => self.expression(node, Site::new(scope, clause))?,
                Target::Column(column) => column.value.clone(),
            };
            let column = format!("o{}", index + 1);
            list.push(match value.ty {
                Type::Unknown => format!("CAST({} AS VARCHAR) AS {column}", value.sql),
                _ => format!("{} AS {column}", value.sql),
            });
            outputs.push(Output { name, ty: value.ty, column });
        }
        Ok((list, outputs))
    }

    /// The select list with `*` written out.
    fn expand(&mut self, select: &SelectStmt, scope: &Scope<'_>) -> Outcome<Vec<(String, Target)>> {
        let mut targets = Vec::new();
        for node in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let value = super::expression::required(&target.val)?;
            if let Some(NodeEnum::ColumnRef(column)) = &value.node
                && column.fields.last().is_some_and(|f| matches!(f.node, Some(NodeEnum::AStar(_))))
            {
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
            let value = Typed::new(column.sql, column.ty);
            (column.name, Target::Column(StarColumn { value, source, shown }))
        };
        Ok(found.into_iter().map(target).collect())
    }

    /// OVER (…)
    pub(super) fn window(&mut self, over: &WindowDef, site: Site<'_>) -> Outcome<Window> {
        let over = &self.named_window(over)?;
        let inner = Site { windows: false, place: "window definitions", ..site };
        let mut partition = Vec::new();
        for node in &over.partition_clause {
            let value = self.expression(node, inner)?;
            partition.push(match value.ty {
                Type::Jsonb => self.sort_key(&value.sql, &value.ty)?,
                _ => number::identity(&value.sql, &value.ty),
            });
        }
        let (mut keys, mut bare) = (Vec::new(), partition.clone());
        let mut names = Vec::new();
        for node in &over.order_clause {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let value = self.expression(super::expression::required(&sort.node)?, inner)?;
            let key = self.sort_key(&value.sql, &value.ty)?;
            keys.push(format!("{key} {}", direction(sort)));
            bare.push(value.sql);
            names.push(shown(sort));
        }
        let is_total = self.covers_key(site.scope, &bare);
        let prefix =
            if partition.is_empty() { String::new() } else { format!("PARTITION BY {} ", partition.join(", ")) };
        let clause = |keys: &[String]| match keys {
            [] => prefix.trim_end().to_owned(),
            keys => format!("{prefix}ORDER BY {}", keys.join(", ")),
        };
        let ranked = clause(&keys);
        if !is_total && site.grouping.is_none() {
            let tie = self.tie_direction();
            for source in &site.scope.sources {
                match &source.row {
                    Some(row) => keys.push(format!("{row} {tie}")),
                    None => keys.extend(source.columns.iter().map(|c| format!("{} {tie}", c.sql))),
                }
            }
        }
        let shown = match names.as_slice() {
            [] => "rows without ORDER BY".to_owned(),
            names => format!("ORDER BY {}", names.join(", ")),
        };
        let frame = self.frame(over)?;
        let total = clause(&keys);
        let in_rows = frame.contains("ROWS");
        let framed = format!("{}{frame}", if in_rows { &total } else { &ranked });
        let is_whole = frame.ends_with("BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING");
        let total_framed = format!("{total}{frame}");
        Ok(Window { ranked, total, framed, total_framed, keys, in_rows, is_whole, is_total, shown })
    }

    /// The window that a name stands for, with what OVER adds to it.
    fn named_window(&self, over: &WindowDef) -> Outcome<WindowDef> {
        let name = if over.name.is_empty() { over.refname.as_str() } else { over.name.as_str() };
        if name.is_empty() {
            return Ok(over.clone());
        }
        let found = self.windows.iter().find(|window| window.name == name);
        let found = found
            .ok_or_else(|| Problem::rejected("42704", format!("window \"{name}\" does not exist")).at(over.location))?;
        let mut found = WindowDef { name: String::new(), ..found.clone() };
        if !found.refname.is_empty() {
            found = self.named_window(&found)?;
        }
        if over.name.is_empty() {
            let overridden = |what: &str| {
                Err(Problem::rejected("42P20", format!("cannot override {what} clause of window \"{name}\"")))
            };
            if !over.partition_clause.is_empty() {
                return overridden("PARTITION BY");
            }
            if !over.order_clause.is_empty() && !found.order_clause.is_empty() {
                return overridden("ORDER BY");
            }
            if found.frame_options & frame::NON_DEFAULT != 0 {
                let message = format!("cannot copy window \"{name}\" because it has a frame clause");
                return Err(Problem::rejected("42P20", message));
            }
            if !over.order_clause.is_empty() {
                found.order_clause.clone_from(&over.order_clause);
            }
            found.frame_options = over.frame_options;
            found.start_offset.clone_from(&over.start_offset);
            found.end_offset.clone_from(&over.end_offset);
        }
        Ok(found)
    }

    /// The frame, as both engines write it; empty where it is the usual one.
    fn frame(&mut self, over: &WindowDef) -> Outcome<String> {
        let has = |option: i32| over.frame_options & option != 0;
        if !has(frame::NON_DEFAULT) {
            return Ok(String::new());
        }
        if has(frame::EXCLUDE) || has(frame::GROUPS) {
            return Err(Problem::unsupported("a window frame of GROUPS or with EXCLUDE"));
        }
        let offsets = frame::START_PRECEDING | frame::START_FOLLOWING | frame::END_PRECEDING | frame::END_FOLLOWING;
        if has(offsets) && !has(frame::ROWS) {
            return Err(Problem::unsupported("a window frame of RANGE with an offset"));
        }
        let mut offset = |node: &Option<Box<Node>>| -> Outcome<String> {
            let scope = Scope::default();
            let value = self.expression(super::expression::required(node)?, Site::new(&scope, "ROWS"))?;
            match super::expression::integer_constant(&value) {
                Some(offset) if offset >= 0 => Ok(offset.to_string()),
                _ => Err(Problem::unsupported("a window frame whose offset isn't a constant")),
            }
        };
        let start = match () {
            () if has(frame::START_UNBOUNDED) => "UNBOUNDED PRECEDING".to_owned(),
            () if has(frame::START_PRECEDING) => format!("{} PRECEDING", offset(&over.start_offset)?),
            () if has(frame::START_FOLLOWING) => format!("{} FOLLOWING", offset(&over.start_offset)?),
            () => "CURRENT ROW".to_owned(),
        };
        let end = match () {
            () if has(frame::END_UNBOUNDED) => "UNBOUNDED FOLLOWING".to_owned(),
            () if has(frame::END_PRECEDING) => format!("{} PRECEDING", offset(&over.end_offset)?),
            () if has(frame::END_FOLLOWING) => format!("{} FOLLOWING", offset(&over.end_offset)?),
            () => "CURRENT ROW".to_owned(),
        };
        let unit = if has(frame::ROWS) { "ROWS" } else { "RANGE" };
        Ok(format!(" {unit} BETWEEN {start} AND {end}"))
    }
}

/// Each row once, where equal numerics may be written differently.
fn distinct_rows(sql: &str, outputs: &[Output]) -> String {
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

/// A plain SELECT, before DISTINCT and ORDER BY.
struct Plain<'q> {
    list: Vec<String>,
    values: &'q [Typed],
    clauses: String,
    order: Order,
    scope: &'q Scope<'q>,
    grouped: bool,
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

/// An item of a select list.
#[derive(Debug, Clone)]
enum Target {
    Expression(Box<Node>),
    Column(StarColumn),
}

/// A column that `*` stands for.
#[derive(Debug, Clone)]
struct StarColumn {
    value: Typed,
    /// Its source at this level of the query.
    source: Option<usize>,
    /// For messages.
    shown: String,
}

enum Distinct<'n> {
    No,
    All,
    On(&'n [Node]),
}

fn distinct(select: &SelectStmt) -> Distinct<'_> {
    match select.distinct_clause.as_slice() {
        [] => Distinct::No,
        [Node { node: None }] => Distinct::All,
        nodes => Distinct::On(nodes),
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

/// `s3.c5`
fn is_column(sql: &str) -> bool {
    sql.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
}

/// The name that PostgreSQL gives to an output without one.
fn figure_name(node: &Node) -> String {
    fn figure(node: &Node) -> Option<String> {
        match &node.node {
            Some(NodeEnum::ColumnRef(column)) => words(&column.fields).last().map(|w| (*w).to_owned()),
            Some(NodeEnum::FuncCall(call)) => words(&call.funcname).last().map(|w| (*w).to_owned()),
            Some(NodeEnum::TypeCast(cast)) => cast
                .arg
                .as_deref()
                .and_then(figure)
                .or_else(|| cast.type_name.as_ref().and_then(|t| words(&t.names).last().map(|w| (*w).to_owned()))),
            Some(NodeEnum::CaseExpr(case)) => {
                case.defresult.as_deref().and_then(figure).or_else(|| Some("case".to_owned()))
            }
            Some(NodeEnum::CoalesceExpr(_)) => Some("coalesce".to_owned()),
            Some(NodeEnum::MinMaxExpr(e)) => Some(
                if e.op == pg_query::protobuf::MinMaxOp::IsGreatest as i32 { "greatest" } else { "least" }.to_owned(),
            ),
            Some(NodeEnum::AArrayExpr(_)) => Some("array".to_owned()),
            Some(NodeEnum::RowExpr(_)) => Some("row".to_owned()),
            Some(NodeEnum::AIndirection(e)) => match words(&e.indirection).last() {
                Some(field) => Some((*field).to_owned()),
                None => e.arg.as_deref().and_then(figure),
            },
            Some(NodeEnum::CollateClause(e)) => e.arg.as_deref().and_then(figure),
            Some(NodeEnum::AExpr(e)) if e.kind == pg_query::protobuf::AExprKind::AexprNullif as i32 => {
                Some("nullif".to_owned())
            }
            Some(NodeEnum::SubLink(link)) => {
                use pg_query::protobuf::SubLinkType;
                match SubLinkType::try_from(link.sub_link_type) {
                    Ok(SubLinkType::ExistsSublink) => Some("exists".to_owned()),
                    Ok(SubLinkType::ArraySublink) => Some("array".to_owned()),
                    Ok(SubLinkType::ExprSublink) => match link.subselect.as_deref().and_then(|n| n.node.as_ref()) {
                        Some(NodeEnum::SelectStmt(select)) => {
                            match select.target_list.first().and_then(|n| n.node.as_ref()) {
                                Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => {
                                    Some(target.name.clone())
                                }
                                Some(NodeEnum::ResTarget(target)) => target.val.as_deref().and_then(figure),
                                _ => None,
                            }
                        }
                        _ => None,
                    },
                    _ => None,
                }
            }
            Some(NodeEnum::SqlvalueFunction(f)) => {
                use pg_query::protobuf::SqlValueFunctionOp as Op;
                match Op::try_from(f.op) {
                    Ok(Op::SvfopCurrentDate) => Some("current_date".to_owned()),
                    Ok(Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN) => Some("current_timestamp".to_owned()),
                    Ok(Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN) => Some("localtimestamp".to_owned()),
                    _ => None,
                }
            }
            _ => None,
        }
    }
    figure(node).unwrap_or_else(|| "?column?".to_owned())
}

/// An ORDER BY item as a person would name it.
fn shown(sort: &SortBy) -> String {
    let name = sort.node.as_deref().map_or_else(String::new, figure_name);
    let descending = sort.sortby_dir == SortByDir::SortbyDesc as i32;
    if descending { format!("{name} DESC") } else { name }
}
