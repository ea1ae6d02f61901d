//! Callers: what stands in the way of dropping a function, and goes with it.
//!
//! Input: a function to drop. Output: views, defaults, generated columns, checks and indexes that call it. Invariant: where a call may mean
//! another function of the name, nothing is said. Left out: the bodies of other functions, which the server doesn't look into either.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::Change;
use super::dependencies::Object;
use crate::catalog::{ConstraintKind, Expression, Function, IndexTarget, Outcome, Problem, tree};

impl Change {
    /// Drops what calls a function, or refuses to drop the function where something does.
    pub(super) fn drop_callers(&mut self, function: &Function, shown: &str, cascade: bool) -> Outcome<()> {
        let callers = self.callers(function);
        if callers.is_empty() {
            return Ok(());
        }
        let same = |other: &&Function| other.schema == function.schema && other.name == function.name;
        if self.catalog.functions.iter().filter(same).count() > 1 {
            let what = format!("dropping one of several functions {}(), which something calls,", function.name);
            return Err(Problem::unsupported(what));
        }
        if cascade {
            return self.remove(&callers, true);
        }
        let lines: Vec<String> =
            callers.iter().map(|caller| format!("{} depends on function {shown}", self.describe(*caller))).collect();
        Err(Problem::rejected("2BP01", format!("cannot drop function {shown} because other objects depend on it"))
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }

    pub(super) fn callers(&self, function: &Function) -> Vec<Object> {
        let catalog = &self.catalog;
        let calls = |expression: &Expression| self.calls(&expression.node, function);
        let mut callers = Vec::new();
        for table in catalog.tables.values() {
            if table.materialized.as_ref().is_some_and(calls) {
                callers.push(Object::Table(table.oid));
            }
            for column in &table.columns {
                if column.default.as_ref().is_some_and(calls) {
                    callers.push(Object::Default(table.oid, column.attnum));
                }
                if column.generated.as_ref().is_some_and(calls) {
                    callers.push(Object::Column(table.oid, column.attnum));
                }
            }
        }
        for constraint in catalog.constraints.values() {
            if matches!(&constraint.kind, ConstraintKind::Check(check) if calls(check)) {
                callers.push(Object::Constraint(constraint.oid));
            }
        }
        for index in catalog.indexes.values().filter(|index| index.constraint.is_none()) {
            let key = index.keys.iter().any(|key| match &key.target {
                IndexTarget::Expression(expression) => calls(expression),
                IndexTarget::Column(_) => false,
            });
            if key || index.predicate.as_ref().is_some_and(calls) {
                callers.push(Object::Index(index.oid));
            }
        }
        callers.extend(catalog.views.values().filter(|view| calls(&view.query)).map(|view| Object::View(view.oid)));
        callers
    }

    fn calls(&self, node: &Node, function: &Function) -> bool {
        let mut found = false;
        tree::walk(node, &mut |node| {
            let NodeEnum::FuncCall(call) = node else { return };
            let names = tree::strings(&call.funcname);
            found |= match names.as_slice() {
                [name] => *name == function.name && self.catalog.search_path.contains(&function.schema),
                [.., schema, name] => *name == function.name && *schema == function.schema,
                [] => false,
            };
        });
        found
    }
}
