//! Callers: what stands in the way of dropping what an expression mentions, and goes with it.
//!
//! Input: a function, type or sequence to drop. Output: views, defaults, generated columns, checks, indexes, domains and functions whose
//! expressions call it, convert to it or name it. Invariant: where a call may mean another function of the name, nothing is said. Left
//! out: the bodies of functions, which the server doesn't look into either.

use pg_query::NodeEnum;
use pg_query::protobuf::a_const::Val;
use pg_query::protobuf::{AConst, Node};

use super::Change;
use super::dependencies::Object;
use crate::catalog::{ConstraintKind, Expression, Function, IndexTarget, Oid, Outcome, Problem, Type, tree};

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
        self.mentioned_by(&|node| self.calls(node, function))
    }

    /// What has an expression in which the type is converted to; the label of an enum in a default is one of its values, whatever
    /// type its column has come to be of.
    pub(super) fn casters(&self, uses: &dyn Fn(&Type) -> bool) -> Vec<Object> {
        self.mentioned_by(&|node| {
            let mut found = false;
            tree::walk(node, &mut |node| {
                let NodeEnum::TypeCast(cast) = node else { return };
                let Some(name) = cast.type_name.as_ref().filter(|_| !found) else { return };
                found = Type::from_name(name, &self.catalog).is_ok_and(|ty| uses(&ty));
            });
            found
        })
    }

    /// What has an expression that names the sequence, as a constant of its kind or as what a sequence's function takes.
    pub(super) fn takers(&self, sequence: Oid) -> Vec<Object> {
        self.mentioned_by(&|node| {
            let mut found = false;
            tree::walk(node, &mut |node| {
                let name = match node {
                    NodeEnum::TypeCast(_) => sequence_constant(node),
                    NodeEnum::FuncCall(call) => {
                        let name = tree::strings(&call.funcname).pop().unwrap_or_default();
                        let takes = ["nextval", "currval", "setval"].contains(&name.as_str());
                        let argument = call.args.first().and_then(|argument| argument.node.as_ref());
                        argument.filter(|_| takes).and_then(text_constant)
                    }
                    _ => None,
                };
                found |= name.and_then(|name| self.catalog.default_sequence(&name)) == Some(sequence);
            });
            found
        })
    }

    /// Everything that keeps an expression in which something is mentioned.
    pub(super) fn mentioned_by(&self, mentions: &dyn Fn(&Node) -> bool) -> Vec<Object> {
        let catalog = &self.catalog;
        let mentioned = |expression: &Expression| mentions(&expression.node);
        let mut all = Vec::new();
        for table in catalog.tables.values() {
            if table.materialized.as_ref().is_some_and(mentioned) {
                all.push(Object::Table(table.oid));
            }
            for column in &table.columns {
                if column.default.as_ref().is_some_and(mentioned) {
                    all.push(Object::Default(table.oid, column.attnum));
                }
                if column.generated.as_ref().is_some_and(mentioned) {
                    all.push(Object::Column(table.oid, column.attnum));
                }
            }
        }
        for constraint in catalog.constraints.values() {
            if matches!(&constraint.kind, ConstraintKind::Check(check) if mentioned(check)) {
                all.push(Object::Constraint(constraint.oid));
            }
        }
        for index in catalog.indexes.values().filter(|index| index.constraint.is_none()) {
            let key = index.keys.iter().any(|key| match &key.target {
                IndexTarget::Expression(expression) => mentioned(expression),
                IndexTarget::Column(_) => false,
            });
            if key || index.predicate.as_ref().is_some_and(mentioned) {
                all.push(Object::Index(index.oid));
            }
        }
        all.extend(catalog.views.values().filter(|view| mentioned(&view.query)).map(|view| Object::View(view.oid)));
        for (place, policy) in (0..).zip(catalog.policies.iter()) {
            if [&policy.using, &policy.check].into_iter().flatten().any(mentioned) {
                all.push(Object::Policy(policy.table, place));
            }
        }
        for (place, trigger) in (0..).zip(catalog.triggers.iter()) {
            if trigger.statement.when_clause.as_deref().is_some_and(mentions) {
                all.push(Object::Trigger(trigger.table, place));
            }
        }
        for domain in catalog.domains.values() {
            if domain.default.as_ref().is_some_and(mentioned) {
                all.push(Object::Domain(domain.oid));
            }
            let checks = (0..).zip(&domain.checks).filter(|(_, check)| mentioned(&check.condition));
            all.extend(checks.map(|(place, _)| Object::Part(domain.oid, place)));
        }
        for function in &catalog.functions {
            let defaults = function.definition.iter().flat_map(|definition| &definition.parameters);
            if defaults.filter_map(|parameter| parameter.default.as_deref()).any(mentions) {
                all.push(Object::Function(function.oid));
            }
        }
        all
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

/// The text of `'…'::regclass`.
fn sequence_constant(node: &NodeEnum) -> Option<String> {
    let NodeEnum::TypeCast(cast) = node else { return None };
    let name = cast.type_name.as_ref().and_then(|name| tree::strings(&name.names).pop())?;
    cast.arg.as_deref()?.node.as_ref().filter(|_| name == "regclass").and_then(text_constant)
}

fn text_constant(node: &NodeEnum) -> Option<String> {
    match node {
        NodeEnum::AConst(AConst { val: Some(Val::Sval(text)), .. }) => Some(text.sval.clone()),
        _ => None,
    }
}
