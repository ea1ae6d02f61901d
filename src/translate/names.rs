//! Which relations a parse tree names.

use pg_query::NodeEnum;
use pg_query::NodeRef;
use pg_query::protobuf::SelectStmt;

/// Does the query read a relation of this name, unqualified?
pub(super) fn reads_relation(select: &SelectStmt, name: &str) -> bool {
    let node = NodeEnum::SelectStmt(Box::new(select.clone()));
    node.nodes()
        .iter()
        .any(|(node, ..)| matches!(node, NodeRef::RangeVar(r) if r.relname == name && r.schemaname.is_empty()))
}
