//! Arrival: in which order do rows come to an aggregate that doesn't say?
//!
//! Input: the sources of a query. Output: sort keys. A function in FROM gives its rows in their order, and the server's plans keep
//! it: `jsonb_agg(e) FROM jsonb_array_elements(…) e` is how documents are rewritten in place. Of tables' rows nobody knows the order:
//! beside a function they come in the order they have in the snapshot, or the other way round. VALUES and a subquery with ORDER BY keep
//! their order as well, as long as nothing is joined to them; where there are groups they come in it here, and the server may sort them
//! otherwise. Left out: DISTINCT in such a subquery, and WITH.

use std::collections::BTreeMap;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, LimitOption, Node, ResTarget, SelectStmt, SetOperation};

use super::expression::words;
use super::function::is_aggregate;
use super::reader::Reader;
use super::rows::gives_rows;
use super::scope::Scope;
use crate::catalog::tree;

/// The functions in FROM whose rows can be numbered, by alias: a column is added to those that are asked for.
#[derive(Default)]
pub(super) struct Numberings(BTreeMap<String, Numbering>);

struct Numbering {
    /// The column `o0`; empty where it is there anyway.
    column: String,
    wanted: bool,
    of: Numbered,
}

/// What is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbered {
    /// The rows of a function.
    Function,
    /// Those of VALUES, or of a subquery whose ORDER BY leaves no ties.
    Rows,
    /// Those of a subquery whose ORDER BY may leave ties.
    RowsWithTies,
}

impl Numberings {
    /// Says how rows are numbered; returns what stands in the SQL where the column may come to be.
    pub fn offer(&mut self, alias: &str, column: String, of: Numbered) -> String {
        self.0.insert(alias.to_owned(), Numbering { column, wanted: false, of });
        place(alias)
    }

    /// The rows of `alias` are those of the one source `inner`, in its order where that is known.
    pub fn pass_on(&mut self, inner: &str, alias: &str) -> String {
        let Some(numbering) = self.0.get_mut(inner).filter(|numbering| numbering.of != Numbered::Function) else {
            return String::new();
        };
        numbering.wanted = true;
        let of = numbering.of;
        self.offer(alias, format!("{inner}.o0 AS o0"), of)
    }

    /// The query with the columns that were asked for.
    pub fn settle(&self, sql: String) -> String {
        let wanted = self.0.iter().filter(|(_, numbering)| numbering.wanted && !numbering.column.is_empty());
        wanted.fold(sql, |sql, (alias, numbering)| sql.replace(&place(alias), &format!(", {}", numbering.column)))
    }
}

/// To the engine this is a comment.
fn place(alias: &str) -> String {
    format!(" /* {alias} */")
}

/// How rows arrive.
pub(super) struct Arrival {
    /// Sort keys; none where only the values themselves can be sorted.
    pub keys: Vec<String>,
    /// Nothing but functions' rows: the order is known.
    pub is_known: bool,
}

impl Reader<'_> {
    /// How the rows of these sources arrive at an aggregate.
    pub(super) fn arrival(&mut self, scope: &Scope<'_>, has_groups: bool) -> Arrival {
        let tie = self.tie_direction();
        let unknown = Arrival { keys: Vec::new(), is_known: false };
        let mut keys = Vec::new();
        let (mut functions, mut tables) = (0, 0);
        for source in &scope.sources {
            match (self.numberings.0.get_mut(&source.alias), &source.row) {
                (Some(numbering), _) => {
                    numbering.wanted = true;
                    let of_function = numbering.of == Numbered::Function;
                    let settled = numbering.of != Numbered::RowsWithTies && !has_groups && scope.sources.len() == 1;
                    // Ties of a subquery go both ways within it; what else is open goes both ways here.
                    let is_open = !of_function && (has_groups || scope.sources.len() > 1);
                    let direction = if is_open { tie } else { "ASC" };
                    keys.push(format!("{}.o0 {direction}", source.alias));
                    functions += 1;
                    tables += usize::from(!of_function && !settled);
                }
                (None, Some(row)) => {
                    keys.push(format!("{row} {tie}"));
                    tables += 1;
                }
                (None, None) => return unknown,
            }
        }
        if functions == 0 { unknown } else { Arrival { keys, is_known: tables == 0 } }
    }
}

/// `ARRAY(SELECT x FROM f(…))` as `SELECT array_agg(x) FROM f(…)`, where the two mean the same: one column and no clause that comes
/// after the rows.
pub(super) fn as_aggregate(select: &SelectStmt) -> Option<SelectStmt> {
    let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else { return None };
    let [Node { node: Some(NodeEnum::RangeFunction(_)) }] = select.from_clause.as_slice() else { return None };
    let plain = select.sort_clause.is_empty()
        && select.distinct_clause.is_empty()
        && select.group_clause.is_empty()
        && select.having_clause.is_none()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
        && select.with_clause.is_none()
        && select.op == SetOperation::SetopNone as i32;
    let value = target.val.as_deref()?;
    let mut counts = false;
    tree::walk(value, &mut |node| match node {
        NodeEnum::FuncCall(call) => {
            let rows = words(&call.funcname).last().is_some_and(|name| gives_rows(name));
            counts |= rows || call.over.is_some() || is_aggregate(call);
        }
        NodeEnum::ColumnRef(column) => counts |= tree::strings(&column.fields).len() < column.fields.len(),
        _ => {}
    });
    if !plain || counts {
        return None;
    }
    let call = FuncCall { funcname: vec![tree::name("array_agg")], args: vec![value.clone()], ..FuncCall::default() };
    let call = Node { node: Some(NodeEnum::FuncCall(Box::new(call))) };
    let target = ResTarget { val: Some(Box::new(call)), name: "array".to_owned(), ..(**target).clone() };
    Some(SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        limit_option: LimitOption::Default as i32,
        ..select.clone()
    })
}
