//! Constants, which the server computes before any row is read.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt, a_const::Val};

use crate::catalog::{Column, Outcome, tree};
use crate::translate::expression::Site;
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;

impl Reader<'_> {
    /// Reads something, and tells whether a function in it may give another value at another time: the server computes only what
    /// can't before any row is read.
    pub(super) fn observed<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = std::mem::replace(&mut self.is_mutable, false);
        let volatile = self.remarks.volatile.len();
        let read = read(self);
        let mutable = self.is_mutable || self.remarks.volatile.len() > volatile;
        self.is_mutable |= before;
        (read, mutable)
    }

    /// Constants among the outputs of the query that is inserted.
    pub(super) fn constant_outputs(&mut self, select: &SelectStmt, columns: &[Column]) -> Outcome<()> {
        for (node, column) in select.target_list.iter().zip(columns) {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { continue };
            let Some(node) = target.val.as_deref().filter(|value| is_constant(value, "error(")) else { continue };
            let scope = Scope::default();
            // A function of rows can't be read here, and isn't a constant.
            let (Ok(value), mutable) = self.observed(|this| this.expression(node, Site::new(&scope, "SELECT"))) else {
                continue;
            };
            if value.ty.assigns_to(&column.ty) && !mutable {
                let sql = self.store(value, column)?;
                self.remarks.constants.push(sql);
            }
        }
        Ok(())
    }
}

/// Does an expression read no row, as far as its form tells? `sql` is what became of it: a literal that was read without an error
/// needn't be computed.
pub(super) fn is_constant(node: &Node, sql: &str) -> bool {
    let text = |val: &Option<Val>| !matches!(val, Some(Val::Ival(_) | Val::Fval(_)));
    if matches!(&node.node, Some(NodeEnum::AConst(constant)) if text(&constant.val)) {
        return sql.contains("error(");
    }
    let reads = |node: &NodeEnum| match node {
        NodeEnum::FuncCall(call) => call.agg_star || call.over.is_some(),
        NodeEnum::ColumnRef(_)
        | NodeEnum::SubLink(_)
        | NodeEnum::SetToDefault(_)
        | NodeEnum::ParamRef(_)
        | NodeEnum::SqlvalueFunction(_)
        | NodeEnum::MultiAssignRef(_) => true,
        _ => false,
    };
    let mut constant = true;
    tree::walk(node, &mut |node| constant &= !reads(node));
    constant
}
