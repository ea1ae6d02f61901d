//! Parse trees: what lies below a node, to find and to rename what is named in an expression or a query.
//!
//! Input: a node. Output: its children, or the nodes below it in reading order. Invariants: every form of expression and query
//! is descended into; what isn't listed here has no column below it. Left out: statements other than queries.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, RangeVar, SelectStmt};

/// The relation that an INSERT, UPDATE or DELETE names.
pub fn relation_written(node: &NodeEnum) -> Option<&RangeVar> {
    match node {
        NodeEnum::InsertStmt(insert) => insert.relation.as_ref(),
        NodeEnum::UpdateStmt(update) => update.relation.as_ref(),
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref(),
        _ => None,
    }
}

/// Lists the nodes right below one, shared or mutable: the same list must serve the one who looks and the one who renames.
macro_rules! children {
    ($node:expr, $deref:ident, $iter:ident, $as:ident, $select:ident, [$($mutable:tt)?]) => {{
        let mut all: Vec<&$($mutable)? Node> = Vec::new();
        match $node {
            NodeEnum::AExpr(e) => {
                all.extend(e.lexpr.$deref());
                all.extend(e.rexpr.$deref());
            }
            NodeEnum::BoolExpr(e) => all.extend(e.args.$iter()),
            NodeEnum::FuncCall(e) => {
                all.extend(e.args.$iter());
                all.extend(e.agg_order.$iter());
                all.extend(e.agg_filter.$deref());
                if let Some(over) = e.over.$deref() {
                    all.extend(over.partition_clause.$iter());
                    all.extend(over.order_clause.$iter());
                    all.extend(over.start_offset.$deref());
                    all.extend(over.end_offset.$deref());
                }
            }
            NodeEnum::TypeCast(e) => all.extend(e.arg.$deref()),
            NodeEnum::CollateClause(e) => all.extend(e.arg.$deref()),
            NodeEnum::NullTest(e) => all.extend(e.arg.$deref()),
            NodeEnum::BooleanTest(e) => all.extend(e.arg.$deref()),
            NodeEnum::CaseExpr(e) => {
                all.extend(e.arg.$deref());
                all.extend(e.args.$iter());
                all.extend(e.defresult.$deref());
            }
            NodeEnum::CaseWhen(e) => {
                all.extend(e.expr.$deref());
                all.extend(e.result.$deref());
            }
            NodeEnum::CoalesceExpr(e) => all.extend(e.args.$iter()),
            NodeEnum::MinMaxExpr(e) => all.extend(e.args.$iter()),
            NodeEnum::XmlExpr(e) => {
                all.extend(e.named_args.$iter());
                all.extend(e.args.$iter());
            }
            NodeEnum::List(e) => all.extend(e.items.$iter()),
            NodeEnum::AArrayExpr(e) => all.extend(e.elements.$iter()),
            NodeEnum::AIndirection(e) => {
                all.extend(e.arg.$deref());
                all.extend(e.indirection.$iter());
            }
            NodeEnum::AIndices(e) => {
                all.extend(e.lidx.$deref());
                all.extend(e.uidx.$deref());
            }
            NodeEnum::RowExpr(e) => all.extend(e.args.$iter()),
            NodeEnum::NamedArgExpr(e) => all.extend(e.arg.$deref()),
            NodeEnum::SubLink(e) => {
                all.extend(e.testexpr.$deref());
                all.extend(e.subselect.$deref());
            }
            NodeEnum::GroupingSet(e) => all.extend(e.content.$iter()),
            NodeEnum::GroupingFunc(e) => all.extend(e.args.$iter()),
            NodeEnum::ResTarget(e) => {
                all.extend(e.val.$deref());
                all.extend(e.indirection.$iter());
            }
            NodeEnum::SortBy(e) => all.extend(e.node.$deref()),
            NodeEnum::WindowDef(e) => {
                all.extend(e.partition_clause.$iter());
                all.extend(e.order_clause.$iter());
                all.extend(e.start_offset.$deref());
                all.extend(e.end_offset.$deref());
            }
            NodeEnum::JoinExpr(e) => {
                all.extend(e.larg.$deref());
                all.extend(e.rarg.$deref());
                all.extend(e.quals.$deref());
            }
            NodeEnum::RangeSubselect(e) => all.extend(e.subquery.$deref()),
            NodeEnum::RangeFunction(e) => all.extend(e.functions.$iter()),
            NodeEnum::CommonTableExpr(e) => all.extend(e.ctequery.$deref()),
            NodeEnum::SelectStmt(e) => $select(e, &mut all),
            _ => {}
        }
        all
    }};
}

/// The nodes of a SELECT, its set operations' sides included.
macro_rules! select_children {
    ($name:ident, $deref:ident, $iter:ident, $as:ident, [$($mutable:tt)?]) => {
        fn $name<'a>(select: &'a $($mutable)? SelectStmt, all: &mut Vec<&'a $($mutable)? Node>) {
            if let Some(with) = select.with_clause.$as() {
                all.extend(with.ctes.$iter());
            }
            all.extend(select.distinct_clause.$iter());
            all.extend(select.target_list.$iter());
            all.extend(select.from_clause.$iter());
            all.extend(select.where_clause.$deref());
            all.extend(select.group_clause.$iter());
            all.extend(select.having_clause.$deref());
            all.extend(select.window_clause.$iter());
            all.extend(select.values_lists.$iter());
            all.extend(select.sort_clause.$iter());
            all.extend(select.limit_offset.$deref());
            all.extend(select.limit_count.$deref());
            for side in [select.larg.$deref(), select.rarg.$deref()].into_iter().flatten() {
                $name(side, all);
            }
        }
    };
}

select_children!(select_nodes, as_deref, iter, as_ref, []);
select_children!(select_nodes_mut, as_deref_mut, iter_mut, as_mut, [mut]);

/// The nodes right below `node`.
pub fn children(node: &NodeEnum) -> Vec<&Node> {
    children!(node, as_deref, iter, as_ref, select_nodes, [])
}

/// The same, to change them.
pub fn children_mut(node: &mut NodeEnum) -> Vec<&mut Node> {
    children!(node, as_deref_mut, iter_mut, as_mut, select_nodes_mut, [mut])
}

/// Calls `visit` for `node` and everything below it.
pub fn walk<'a>(node: &'a Node, visit: &mut dyn FnMut(&'a NodeEnum)) {
    let Some(node) = &node.node else { return };
    visit(node);
    for child in children(node) {
        walk(child, visit);
    }
}

/// Calls `visit` for `node` and everything below it, to change it.
pub fn walk_mut(node: &mut Node, visit: &mut dyn FnMut(&mut NodeEnum)) {
    let Some(node) = &mut node.node else { return };
    visit(node);
    for child in children_mut(node) {
        walk_mut(child, visit);
    }
}

/// The strings of a list of names; a `*` is left out.
pub fn strings(nodes: &[Node]) -> Vec<String> {
    nodes.iter().filter_map(string).collect()
}

/// The text of a name or string node.
pub fn string(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::String(text)) => Some(text.sval.clone()),
        _ => None,
    }
}

/// A name node.
pub fn name(text: &str) -> Node {
    Node { node: Some(NodeEnum::String(pg_query::protobuf::String { sval: text.to_owned() })) }
}
