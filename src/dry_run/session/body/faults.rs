//! Faults of a function in SQL, which the server finds when the function is made.
//!
//! Input: a function. Output: nothing, or the server's error: a name that isn't there, or a value of another type than the function gives.
//! Invariant: as on the server, no statement sees what those before it would make. Left out: statements that neither read nor write
//! rows, which the server doesn't look into either; what RETURNING gives; what `check_function_bodies` has turned off.

use std::borrow::Cow;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, VariableSetKind, a_const::Val};

use crate::catalog::lookup::searched;
use crate::catalog::{Catalog, Definition, Function, Gives, Outcome, Problem, Type};
use crate::dry_run::session::Session;
use crate::translate::{Level, NameConflict, Named, Settings, Tie, Translator, Value, Variable, Variables};

impl Session<'_> {
    /// What the server finds wrong with a function in SQL.
    pub(super) fn fault_of_sql(&self, node: &NodeEnum, function: &Function) -> Outcome<()> {
        let NodeEnum::CreateFunctionStmt(statement) = node else { return Ok(()) };
        let Some(definition) = function.definition.as_ref() else { return Ok(()) };
        let is_off = self.catalog.settings.get("check_function_bodies").is_some_and(|value| {
            let value = value.to_lowercase();
            ["off", "false", "no", "0"].iter().any(|off| value.contains(off))
        });
        let Some(path) = path_set(&statement.options) else { return Ok(()) };
        if is_off || definition.is_polymorphic() {
            return Ok(());
        }
        let catalog = match path {
            Some(path) => {
                let mut catalog = self.catalog.clone();
                catalog.search_path = searched(path);
                Cow::Owned(catalog)
            }
            None => Cow::Borrowed(&self.catalog),
        };
        let values =
            definition.inputs().map(|parameter| (parameter.name.clone(), Value::column("NULL", parameter.ty.clone())));
        let values: Vec<(String, Value)> = values.collect();
        let names = values.iter().map(|(name, value)| Named {
            name: name.clone(),
            variable: Variable::Scalar(value.clone()),
            not_null: false,
        });
        let variables = Variables {
            levels: vec![Level { label: Some(function.name.clone()), names: names.collect() }],
            conflict: NameConflict::Column,
            positional: (1..).zip(values.iter().map(|(_, value)| value.clone())).collect(),
        };
        let settings = Settings { variables, ..self.settings.clone() };
        let translator = Translator { catalog: catalog.as_ref(), settings: &settings, tie: Tie::Least };
        let Some(query) = definition.query.as_deref() else {
            return fault_of_statements(&translator, definition, self.catalog.partial);
        };
        let plan = match translator.select(query) {
            Err(problem) if self.catalog.partial && may_be_unlisted(&problem) => return Ok(()),
            plan => plan?,
        };
        let Gives::Value(ty) = &definition.gives else { return Ok(()) };
        let mismatch = |detail: String| Err(mismatch(ty, &self.catalog).detail(detail));
        let [output] = plan.outputs.as_slice() else {
            return mismatch("Final statement must return exactly one column.".to_owned());
        };
        let actual = if output.ty == Type::Unknown { Type::Text } else { output.ty.clone() };
        let is_own = |ty: &Type| matches!(ty, Type::Opaque(_) | Type::Record | Type::Void);
        if is_own(&actual) || is_own(ty) || actual == *ty || actual.assigns_to(ty) {
            return Ok(());
        }
        mismatch(format!("Actual return type is {}.", actual.base_name(&self.catalog)))
    }
}

/// What a snapshot doesn't hold may exist.
fn may_be_unlisted(problem: &Problem) -> bool {
    matches!(problem, Problem::Rejected(error) if ["42P01", "42883", "42704", "3F000"].contains(&error.sqlstate))
}

fn mismatch(ty: &Type, catalog: &Catalog) -> Problem {
    let shown = ty.base_name(catalog);
    Problem::rejected("42P13", format!("return type mismatch in function declared to return {shown}"))
}

/// The same of a function that is several statements, or writes.
fn fault_of_statements(translator: &Translator<'_>, definition: &Definition, partial: bool) -> Outcome<()> {
    let Some(parsed) = definition.body.as_ref().and_then(|text| pg_query::parse(text, 0).ok()) else { return Ok(()) };
    let nodes: Vec<NodeEnum> = parsed.protobuf.stmts.into_iter().filter_map(|raw| raw.stmt?.node).collect();
    for node in &nodes {
        let found = match node {
            NodeEnum::SelectStmt(_) => translator.select_or_write(node).map(|_| ()),
            NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) => {
                translator.write(node).map(|_| ())
            }
            _ => Ok(()),
        };
        match found {
            Err(problem) if partial && may_be_unlisted(&problem) => {}
            // What only a row could cause is met when the function is called.
            Err(Problem::Rejected(error)) if error.sqlstate.starts_with("42") => return Err(Problem::Rejected(error)),
            _ => {}
        }
    }
    let gives = match nodes.last() {
        Some(NodeEnum::SelectStmt(_)) => true,
        Some(NodeEnum::InsertStmt(insert)) => insert.returning_clause.is_some(),
        Some(NodeEnum::UpdateStmt(update)) => update.returning_clause.is_some(),
        Some(NodeEnum::DeleteStmt(delete)) => delete.returning_clause.is_some(),
        _ => false,
    };
    match &definition.gives {
        Gives::Value(ty) if !gives && !definition.is_procedure && !matches!(ty, Type::Void) => {
            let detail = "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.";
            Err(mismatch(ty, translator.catalog).detail(detail))
        }
        _ => Ok(()),
    }
}

/// The search path that a function sets for itself, if it does; nothing where it sets what may change how its query is read.
fn path_set(options: &[Node]) -> Option<Option<Vec<String>>> {
    let mut path = None;
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
        if option.defname != "set" {
            continue;
        }
        let Some(NodeEnum::VariableSetStmt(set)) = option.arg.as_deref().and_then(|arg| arg.node.as_ref()) else {
            return None;
        };
        match (set.name.as_str(), set.kind()) {
            ("search_path", VariableSetKind::VarSetValue) => {
                path = Some(set.args.iter().map(text).collect::<Option<Vec<String>>>()?);
            }
            (_, VariableSetKind::VarSetCurrent) => {}
            _ => return None,
        }
    }
    Some(path)
}

fn text(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match &constant.val {
            Some(Val::Sval(text)) => Some(text.sval.clone()),
            _ => None,
        },
        _ => None,
    }
}
