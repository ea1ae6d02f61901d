//! Faults of a function in SQL, which the server finds when the function is made.
//!
//! Input: a function that is one query. Output: nothing, or the server's error: a name that isn't there, or a value of another type than
//! the function gives. Left out: functions of several statements; what `check_function_bodies` has turned off.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use crate::catalog::{Function, Gives, Outcome, Problem, Type};
use crate::dry_run::session::Session;
use crate::translate::{Level, NameConflict, Named, Settings, Tie, Translator, Value, Variable, Variables};

impl Session<'_> {
    /// What the server finds wrong with a function in SQL that is one query.
    pub(super) fn fault_of_query(&self, node: &NodeEnum, function: &Function) -> Outcome<()> {
        let NodeEnum::CreateFunctionStmt(statement) = node else { return Ok(()) };
        let Some((definition, query)) = function.definition.as_ref().and_then(|d| Some((d, d.query.as_deref()?)))
        else {
            return Ok(());
        };
        let is_off = self.catalog.settings.get("check_function_bodies").is_some_and(|value| {
            let value = value.to_lowercase();
            ["off", "false", "no", "0"].iter().any(|off| value.contains(off))
        });
        let sets = |option: &Node| matches!(&option.node, Some(NodeEnum::DefElem(option)) if option.defname == "set");
        if is_off || definition.is_polymorphic() || statement.options.iter().any(sets) {
            return Ok(());
        }
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
        let translator = Translator { catalog: &self.catalog, settings: &settings, tie: Tie::Least };
        let plan = match translator.select(query) {
            // What a snapshot doesn't hold may exist.
            Err(Problem::Rejected(error))
                if self.catalog.partial && ["42P01", "42883", "42704", "3F000"].contains(&error.sqlstate) =>
            {
                return Ok(());
            }
            plan => plan?,
        };
        let Gives::Value(ty) = &definition.gives else { return Ok(()) };
        let mismatch = |detail: String| {
            let shown = ty.base_name(&self.catalog);
            let message = format!("return type mismatch in function declared to return {shown}");
            Err(Problem::rejected("42P13", message).detail(detail))
        };
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
