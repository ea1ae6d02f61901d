//! Walking expressions: the direct parts of a node, subqueries aside.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

/// The expressions that an expression is made of, one level down. A subquery's inside isn't one of them.
pub fn children(node: &Node) -> Vec<&Node> {
    let mut found: Vec<&Node> = Vec::new();
    match &node.node {
        Some(NodeEnum::AExpr(e)) => found.extend([&e.lexpr, &e.rexpr].into_iter().filter_map(|n| n.as_deref())),
        Some(NodeEnum::BoolExpr(e)) => found.extend(&e.args),
        Some(NodeEnum::NullTest(e)) => found.extend(e.arg.as_deref()),
        Some(NodeEnum::BooleanTest(e)) => found.extend(e.arg.as_deref()),
        Some(NodeEnum::CaseExpr(e)) => {
            found.extend(e.arg.as_deref());
            found.extend(&e.args);
            found.extend(e.defresult.as_deref());
        }
        Some(NodeEnum::CaseWhen(e)) => found.extend([&e.expr, &e.result].into_iter().filter_map(|n| n.as_deref())),
        Some(NodeEnum::CoalesceExpr(e)) => found.extend(&e.args),
        Some(NodeEnum::MinMaxExpr(e)) => found.extend(&e.args),
        Some(NodeEnum::TypeCast(e)) => found.extend(e.arg.as_deref()),
        Some(NodeEnum::FuncCall(e)) => {
            found.extend(&e.args);
            found.extend(&e.agg_order);
            found.extend(e.agg_filter.as_deref());
            if let Some(over) = e.over.as_deref() {
                found.extend(&over.partition_clause);
                found.extend(&over.order_clause);
            }
        }
        Some(NodeEnum::SortBy(e)) => found.extend(e.node.as_deref()),
        Some(NodeEnum::SubLink(e)) => found.extend(e.testexpr.as_deref()),
        Some(NodeEnum::AArrayExpr(e)) => found.extend(&e.elements),
        Some(NodeEnum::AIndirection(e)) => {
            found.extend(e.arg.as_deref());
            found.extend(&e.indirection);
        }
        Some(NodeEnum::AIndices(e)) => found.extend([&e.lidx, &e.uidx].into_iter().filter_map(|n| n.as_deref())),
        Some(NodeEnum::CollateClause(e)) => found.extend(e.arg.as_deref()),
        Some(NodeEnum::RowExpr(e)) => found.extend(&e.args),
        Some(NodeEnum::List(e)) => found.extend(&e.items),
        Some(NodeEnum::ResTarget(e)) => found.extend(e.val.as_deref()),
        Some(NodeEnum::NamedArgExpr(e)) => found.extend(e.arg.as_deref()),
        _ => {}
    }
    found
}
