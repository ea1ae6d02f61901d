//! Functions and procedures: what they take and give, and which one a name and its arguments mean.
//!
//! Input: CREATE and DROP of FUNCTION, PROCEDURE and ROUTINE. Output: [`Function`]s, told apart by the types of what they take.
//! Invariant: a function of which a type isn't known is kept by its name alone. Left out: what the body means.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, AlterFunctionStmt, CreateFunctionStmt, CreateTrigStmt, DefElem, DefineStmt, DropStmt, FunctionParameter,
    FunctionParameterMode, Node, ObjectType, ObjectWithArgs, TypeName, VariableSetKind, a_const::Val,
};

use super::{Change, is_cascade, object_type, qualified};
use crate::catalog::lookup::{missing_schema, searched};
use crate::catalog::{
    Catalog, Definition, Function, Gives, Oid, Outcome, Parameter, Problem, Type, overload, pg, tree,
};

impl Function {
    /// Types of what the caller gives.
    pub fn inputs(&self) -> Option<Vec<Type>> {
        let definition = self.definition.as_ref()?;
        Some(definition.inputs().map(|parameter| parameter.ty.clone()).collect())
    }
}

impl Definition {
    /// What the caller gives.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.is_input)
    }

    /// What it gives beside or instead of a value.
    pub fn outputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.is_output)
    }
}

impl Catalog {
    /// Functions of a name that the search path finds.
    pub fn functions_named<'c>(&'c self, schema: Option<&'c str>, name: &'c str) -> impl Iterator<Item = &'c Function> {
        self.functions.iter().filter(move |function| {
            function.name == name
                && match schema {
                    Some(schema) => function.schema == schema,
                    None => self.search_schemas().any(|path| path == function.schema),
                }
        })
    }
}

impl Change {
    pub(super) fn create_function(&mut self, statement: &CreateFunctionStmt) -> Outcome<String> {
        let (schema, name) = qualified(&statement.funcname)?;
        let schema = self.catalog.creation_schema(schema.as_deref())?;
        let option = |wanted: &str| {
            statement.options.iter().find_map(|node| match &node.node {
                Some(NodeEnum::DefElem(option)) if option.defname == wanted => option.arg.as_deref(),
                _ => None,
            })
        };
        let language = option("language").and_then(tree::string).unwrap_or_else(|| "sql".to_owned()).to_lowercase();
        expect_value(statement, &language)?;
        let definition = match definition(statement, &self.catalog) {
            Ok(definition) => Some(Arc::new(definition)),
            Err(Problem::Unsupported(_)) => None,
            Err(problem) => return Err(problem),
        };
        let oid = self.catalog.new_oid();
        let mut new = Function { oid, schema, name, language, definition };
        let same = |old: &Function| {
            old.schema == new.schema && old.name == new.name && (old.inputs() == new.inputs() || old.inputs().is_none())
        };
        if let Some(old) = self.catalog.functions.iter().position(same) {
            if !statement.replace {
                let message = format!("function \"{}\" already exists with same argument types", new.name);
                return Err(Problem::rejected("42723", message));
            }
            let (before, now) = (self.catalog.functions[old].definition.clone(), new.definition.clone());
            if let (Some(before), Some(now)) = (&before, &now)
                && before.is_procedure != now.is_procedure
            {
                let kind = if before.is_procedure { "procedure" } else { "function" };
                return Err(Problem::rejected("42809", "cannot change routine kind")
                    .detail(format!("\"{}\" is a {kind}.", new.name)));
            }
            if let (Some(before), Some(now)) = (before, now)
                && (before.is_set != now.is_set || before.row_of != now.row_of || before.gives != now.gives)
                && !now.is_procedure
            {
                return Err(Problem::rejected("42P13", "cannot change return type of existing function")
                    .hint(format!("Use DROP FUNCTION {} first.", self.catalog.described(&new))));
            }
            self.expect_same_face(&self.catalog.functions[old], &new)?;
            new.oid = self.catalog.functions.remove(old).oid;
        }
        self.catalog.functions.push(new);
        Ok(if statement.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" }.to_owned())
    }

    /// What calls a function knows it by the names of its parameters and their defaults: none may be lost.
    fn expect_same_face(&self, old: &Function, new: &Function) -> Outcome<()> {
        let (Some(before), Some(now)) = (&old.definition, &new.definition) else { return Ok(()) };
        let word = if now.is_procedure { "PROCEDURE" } else { "FUNCTION" };
        let hint = || format!("Use DROP {word} {} first.", self.catalog.described(new));
        let mut pairs = before.inputs().zip(now.inputs());
        if let Some((was, _)) = pairs.find(|(was, is)| !was.name.is_empty() && was.name != is.name) {
            let message = format!("cannot change name of input parameter \"{}\"", was.name);
            return Err(Problem::rejected("42P13", message).hint(hint()));
        }
        let defaults = |definition: &Definition| definition.inputs().filter(|p| p.default.is_some()).count();
        if defaults(now) < defaults(before) {
            let message = "cannot remove parameter defaults from existing function";
            return Err(Problem::rejected("42P13", message).hint(hint()));
        }
        Ok(())
    }

    /// ALTER FUNCTION: what a function is said to be; what it is run with is recorded.
    pub(super) fn alter_function(&mut self, statement: &AlterFunctionStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER FUNCTION";
        let Some(object) = &statement.func else { return Ok(TAG) };
        let what = if object_type(statement.objtype) == ObjectType::ObjectProcedure { "procedure" } else { "function" };
        let Some(one) = self.function_meant(object, what)? else { return Ok(TAG) };
        let path = self.catalog.search_path.clone();
        let Some(definition) = self.catalog.functions[one].definition.as_mut() else { return Ok(TAG) };
        for node in &statement.actions {
            let Some(NodeEnum::DefElem(option)) = &node.node else { continue };
            describe(Arc::make_mut(definition), option, &path);
        }
        Ok(TAG)
    }

    /// An aggregate is known by its name; calls of it are refused.
    pub(super) fn create_aggregate(&mut self, statement: &DefineStmt) -> Outcome<&'static str> {
        let (schema, name) = qualified(&statement.defnames)?;
        let schema = self.catalog.creation_schema(schema.as_deref())?;
        let (oid, language) = (self.catalog.new_oid(), "aggregate".to_owned());
        self.catalog.functions.push(Function { oid, schema, name, language, definition: None });
        Ok("CREATE AGGREGATE")
    }

    pub(super) fn drop_functions(&mut self, statement: &DropStmt, tag: &'static str) -> Outcome<&'static str> {
        for node in &statement.objects {
            let Some(NodeEnum::ObjectWithArgs(object)) = &node.node else {
                return Err(Problem::unsupported(format!("{tag} of this form")));
            };
            let what = match tag {
                "DROP PROCEDURE" => "procedure",
                "DROP AGGREGATE" => "aggregate",
                _ => "function",
            };
            let shown = tree::strings(&object.objname).join(".");
            let found = match self.function_meant(object, what) {
                Err(Problem::Rejected(error))
                    if statement.missing_ok && ["42883", "3F000"].contains(&error.sqlstate) =>
                {
                    self.note(format!("{what} {shown} does not exist, skipping"));
                    continue;
                }
                found => found?,
            };
            let Some(place) = found else {
                self.note(format!("the snapshot doesn't list functions: {shown} is taken as existing"));
                continue;
            };
            self.drop_triggers_of(place, statement)?;
            let function = self.catalog.functions[place].clone();
            let shown = self.catalog.described(&function);
            self.drop_callers(&function, &shown, is_cascade(statement.behavior))?;
            self.catalog.functions.retain(|other| other.oid != function.oid);
        }
        Ok(tag)
    }

    /// Triggers that run a function go with it, or forbid that it goes.
    fn drop_triggers_of(&mut self, function: usize, statement: &DropStmt) -> Outcome<()> {
        let function = self.catalog.functions[function].clone();
        let runs = |trigger: &crate::catalog::Trigger| {
            let names = tree::strings(&trigger.statement.funcname);
            names.last() == Some(&function.name)
                && (names.len() == 1 || names.first() == Some(&function.schema))
                && function.definition.as_ref().is_none_or(|d| d.gives == Gives::Trigger)
        };
        let Some(trigger) = self.catalog.triggers.iter().find(|trigger| runs(trigger)) else { return Ok(()) };
        if is_cascade(statement.behavior) {
            self.catalog.triggers.retain(|trigger| !runs(trigger));
            return Ok(());
        }
        let shown = self.catalog.described(&function);
        let table = self.catalog.tables.get(&trigger.table).map_or("", |table| table.name.as_str());
        Err(Problem::rejected("2BP01", format!("cannot drop function {shown} because other objects depend on it"))
            .detail(format!("trigger {} on table {table} depends on function {shown}", trigger.name))
            .hint("Use DROP ... CASCADE to drop the dependent objects too."))
    }

    /// A trigger's function must exist, and be one for triggers.
    pub(super) fn expect_trigger_function(&self, statement: &CreateTrigStmt) -> Outcome<()> {
        let (schema, name) = qualified(&statement.funcname)?;
        if let Some(schema) = schema.as_deref().filter(|schema| !self.catalog.knows_schema(schema)) {
            return Err(missing_schema(schema));
        }
        let shown = tree::strings(&statement.funcname).join(".");
        let mut found = self.catalog.functions_named(schema.as_deref(), &name).peekable();
        let of_system = schema.as_deref() == Some("pg_catalog")
            || name.starts_with("suppress_")
            || name.starts_with("tsvector_")
            || (name == "moddatetime" && self.catalog.extensions.contains(&name))
            || pg::tables().extensions_with_function(&name).iter().any(|by| self.catalog.extensions.contains(*by));
        if found.peek().is_none() && !self.catalog.partial && !of_system {
            return Err(Problem::rejected("42883", format!("function {shown}() does not exist")));
        }
        let fits = |function: &Function| function.definition.as_ref().is_none_or(|d| d.inputs().next().is_none());
        let candidates: Vec<&Function> = found.filter(|function| fits(function)).collect();
        if candidates.is_empty() && !self.catalog.partial && !of_system {
            return Err(Problem::rejected("42883", format!("function {shown}() does not exist")));
        }
        if let Some(function) = candidates.first()
            && function.definition.as_ref().is_some_and(|d| d.gives != Gives::Trigger)
        {
            return Err(Problem::rejected("42P17", format!("function {shown} must return type trigger")));
        }
        Ok(())
    }
}

pub(super) fn argument_types(object: &ObjectWithArgs, catalog: &Catalog) -> Option<Vec<Type>> {
    let mut types = Vec::new();
    for node in &object.objargs {
        let Some(NodeEnum::TypeName(name)) = &node.node else { return None };
        types.push(without_modifiers(type_of(name, catalog).ok()?));
    }
    Some(types)
}

fn definition(statement: &CreateFunctionStmt, catalog: &Catalog) -> Outcome<Definition> {
    let mut parameters = Vec::new();
    for node in &statement.parameters {
        let Some(NodeEnum::FunctionParameter(given)) = &node.node else { continue };
        parameters.push(parameter(given, catalog)?);
    }
    let outputs: Vec<(String, Type)> =
        parameters.iter().filter(|p| p.is_output).map(|p| (p.name.clone(), p.ty.clone())).collect();
    let (mut gives, mut is_set) = match &statement.return_type {
        Some(name) => (given(name, catalog)?, name.setof),
        None => (Gives::Nothing, false),
    };
    let row_of = statement.return_type.as_ref().and_then(|name| table_of_rows(name, &gives, catalog));
    let is_table = statement.parameters.iter().any(|node| {
        matches!(&node.node, Some(NodeEnum::FunctionParameter(p)) if p.mode == FunctionParameterMode::FuncParamTable as i32)
    });
    is_set |= is_table;
    match outputs.as_slice() {
        [] => {}
        [(_, ty)] if !is_table && !statement.is_procedure => gives = Gives::Value(ty.clone()),
        _ => gives = Gives::Row(outputs),
    }
    let mut made = Definition {
        parameters,
        gives,
        row_of,
        is_set,
        is_procedure: statement.is_procedure,
        is_strict: false,
        is_volatile: true,
        is_immutable: false,
        search_path: None,
        body: None,
        query: None,
    };
    for node in &statement.options {
        let Some(NodeEnum::DefElem(option)) = &node.node else { continue };
        match (option.defname.as_str(), option.arg.as_deref().and_then(|arg| arg.node.as_ref())) {
            ("as", Some(NodeEnum::List(list))) => {
                let texts = tree::strings(&list.items);
                made.body = texts.into_iter().next();
            }
            _ => describe(&mut made, option, &catalog.search_path),
        }
    }
    if let Some(body) = &statement.sql_body {
        made.body = written_body(body);
    }
    let language = statement.options.iter().find_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) if option.defname == "language" => option.arg.as_deref().and_then(tree::string),
        _ => None,
    });
    if language.is_none_or(|language| language.eq_ignore_ascii_case("sql")) {
        made.query = made.body.as_deref().and_then(only_query);
    }
    Ok(made)
}

/// VOLATILE and its kin, STRICT, SET search_path; `path` is the session's own.
fn describe(definition: &mut Definition, option: &DefElem, path: &[String]) {
    match (option.defname.as_str(), option.arg.as_deref().and_then(|arg| arg.node.as_ref())) {
        ("volatility", Some(NodeEnum::String(word))) => {
            definition.is_volatile = word.sval == "volatile";
            definition.is_immutable = word.sval == "immutable";
        }
        ("strict", Some(NodeEnum::Boolean(value))) => definition.is_strict = value.boolval,
        ("set", Some(NodeEnum::VariableSetStmt(set))) => match VariableSetKind::try_from(set.kind) {
            Ok(VariableSetKind::VarSetValue) if set.name == "search_path" => {
                definition.search_path = Some(searched(set.args.iter().filter_map(text_of).collect()));
            }
            Ok(VariableSetKind::VarSetCurrent) if set.name == "search_path" => {
                definition.search_path = Some(path.to_vec());
            }
            Ok(VariableSetKind::VarResetAll) => definition.search_path = None,
            Ok(VariableSetKind::VarReset | VariableSetKind::VarSetDefault) if set.name == "search_path" => {
                definition.search_path = None;
            }
            _ => {}
        },
        _ => {}
    }
}

/// The text of a constant.
fn text_of(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(AConst { val: Some(Val::Sval(text)), .. })) => Some(text.sval.clone()),
        _ => None,
    }
}

/// The query that a text is, where it is one.
fn only_query(text: &str) -> Option<Box<NodeEnum>> {
    let mut statements = pg_query::parse(text, 0).ok()?.protobuf.stmts;
    let node = statements.pop()?.stmt?.node?;
    let is_query = matches!(&node, NodeEnum::SelectStmt(select) if select.into_clause.is_none());
    (statements.is_empty() && is_query).then(|| Box::new(node))
}

/// RETURN and BEGIN ATOMIC as the text that they stand for.
fn written_body(body: &Node) -> Option<String> {
    match &body.node {
        Some(NodeEnum::ReturnStmt(returned)) => {
            let value = crate::catalog::Expression::new(returned.returnval.as_deref()?).ok()?;
            Some(format!("SELECT {}", value.sql))
        }
        Some(NodeEnum::List(list)) => {
            let mut texts = Vec::new();
            for node in &list.items {
                texts.push(match &node.node {
                    Some(NodeEnum::List(_)) => written_body(node)?,
                    Some(node) => node.deparse(Default::default()).ok()?,
                    None => continue,
                });
            }
            Some(texts.join(";\n"))
        }
        _ => None,
    }
}

fn parameter(given: &FunctionParameter, catalog: &Catalog) -> Outcome<Parameter> {
    let name = given.arg_type.as_ref().ok_or_else(|| Problem::unsupported("a parameter without a type"))?;
    let mode = FunctionParameterMode::try_from(given.mode).unwrap_or_default();
    use FunctionParameterMode as Mode;
    Ok(Parameter {
        name: given.name.clone(),
        ty: without_modifiers(type_of(name, catalog).map_err(of_parameter)?),
        is_input: !matches!(mode, Mode::FuncParamOut | Mode::FuncParamTable),
        is_output: matches!(mode, Mode::FuncParamOut | Mode::FuncParamTable | Mode::FuncParamInout),
        is_variadic: mode == Mode::FuncParamVariadic,
        default: given.defexpr.clone(),
    })
}

/// Of a parameter the server words it without quotes.
fn of_parameter(problem: Problem) -> Problem {
    match problem {
        Problem::Rejected(mut error) if error.sqlstate == "42704" && error.message.starts_with("type ") => {
            error.message = error.message.replace('"', "");
            Problem::Rejected(error)
        }
        problem => problem,
    }
}

/// A type, polymorphic ones among them.
fn type_of(name: &TypeName, catalog: &Catalog) -> Outcome<Type> {
    let names = tree::strings(&name.names);
    match names.last().and_then(|name| overload::polymorphic(name)) {
        Some(ty) if name.array_bounds.is_empty() => Ok(ty),
        _ => Type::from_name(name, catalog),
    }
}

/// Lengths and precisions of a function's types are ignored.
fn without_modifiers(ty: Type) -> Type {
    match ty {
        Type::Varchar(_) => Type::Varchar(None),
        Type::Numeric(_) => Type::Numeric(None),
        Type::Time(_) => Type::Time(None),
        Type::Timestamp(_) => Type::Timestamp(None),
        Type::Timestamptz(_) => Type::Timestamptz(None),
        Type::Array(element) => Type::Array(Box::new(without_modifiers(*element))),
        other => other,
    }
}

/// Types that are none of a value: what the server itself calls gives them.
const HANDLERS: &[&str] = &[
    "language_handler",
    "fdw_handler",
    "index_am_handler",
    "table_am_handler",
    "tsm_handler",
    "internal",
    "cstring",
    "opaque",
];

/// What only the server calls is written in none of the languages that a migration's functions are.
fn expect_value(statement: &CreateFunctionStmt, language: &str) -> Outcome<()> {
    let name = statement.return_type.as_ref().and_then(|name| tree::strings(&name.names).pop()).unwrap_or_default();
    if !HANDLERS.contains(&name.as_str()) {
        return Ok(());
    }
    match language {
        "c" | "internal" => Ok(()),
        _ if name == "opaque" => Err(Problem::rejected("42704", "type \"opaque\" does not exist")),
        "sql" if name == "internal" => Err(Problem::rejected("42P13", "unsafe use of pseudo-type \"internal\"")),
        "sql" => Err(Problem::rejected("42P13", format!("SQL functions cannot return type {name}"))),
        "plpgsql" => Err(Problem::rejected("0A000", format!("PL/pgSQL functions cannot return type {name}"))),
        _ => Err(Problem::unsupported(format!("a function that returns {name}, which is written in {language},"))),
    }
}

fn given(name: &TypeName, catalog: &Catalog) -> Outcome<Gives> {
    let plain = TypeName { setof: false, ..name.clone() };
    let names = tree::strings(&name.names);
    match names.last().map(String::as_str) {
        Some("trigger") => return Ok(Gives::Trigger),
        Some("event_trigger") => return Err(Problem::unsupported("an event trigger")),
        Some(handler) if HANDLERS.contains(&handler) => {
            return Err(Problem::unsupported("a function that only the server itself calls"));
        }
        _ => {}
    }
    match type_of(&plain, catalog) {
        Ok(Type::Void) => Ok(Gives::Nothing),
        Ok(Type::Record) => Ok(Gives::Record),
        Ok(Type::Composite(oid)) => Ok(Gives::Row(catalog.row_columns(oid).unwrap_or_default())),
        Ok(ty) => Ok(Gives::Value(without_modifiers(ty))),
        Err(problem) => {
            let (schema, base) = match names.as_slice() {
                [base] => (None, base.as_str()),
                [schema, base] => (Some(schema.as_str()), base.as_str()),
                _ => return Err(problem),
            };
            match catalog.table(schema, base).filter(|_| name.array_bounds.is_empty()) {
                Some(table) => Ok(Gives::Row(catalog.row_columns(table.oid).unwrap_or_default())),
                None => Err(problem),
            }
        }
    }
}

/// The table whose rows a function gives by its type.
fn table_of_rows(name: &TypeName, gives: &Gives, catalog: &Catalog) -> Option<Oid> {
    let (Gives::Row(_), Ok((schema, base))) = (gives, qualified(&name.names)) else { return None };
    let composite = catalog.composite(schema.as_deref(), &base).map(|composite| composite.oid);
    composite.or_else(|| catalog.table(schema.as_deref(), &base).map(|table| table.oid))
}

impl Catalog {
    /// The columns of a table's or a composite type's rows.
    pub(crate) fn row_columns(&self, oid: Oid) -> Option<Vec<(String, Type)>> {
        if let Some(composite) = self.composites.get(&oid) {
            return Some(composite.attributes.clone());
        }
        self.tables.get(&oid).map(|table| table.columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect())
    }

    /// Functions that give rows of a table give its columns as they are now.
    pub(super) fn settle_rows(&mut self) {
        let columns = |oid: Oid| self.row_columns(oid).map(Gives::Row);
        let mut stale = Vec::new();
        for (place, function) in self.functions.iter().enumerate() {
            let Some(definition) = &function.definition else { continue };
            if let Some(gives) = definition.row_of.and_then(columns).filter(|gives| *gives != definition.gives) {
                stale.push((place, gives));
            }
        }
        for (place, gives) in stale {
            if let Some(definition) = self.functions[place].definition.as_mut() {
                Arc::make_mut(definition).gives = gives;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TransactionState;

    fn check(sql: &str, expected: &str) {
        let mut catalog = Catalog::empty();
        let mut said = "done".to_owned();
        for statement in pg_query::parse(sql, 0).expect(sql).protobuf.stmts {
            let node = *statement.stmt.expect("a statement");
            if let Err(problem) = catalog.apply(&node.node.expect("a node"), &TransactionState::default()) {
                said = problem.to_string();
            }
        }
        let names: Vec<String> = catalog.functions.iter().map(|f| catalog.described(f)).collect();
        assert_eq!(format!("{}: {said}", names.join(" ")), expected, "{sql}");
    }

    #[test]
    fn functions_are_told_apart_by_what_they_take() {
        let f = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
        let g = "CREATE FUNCTION f(a text, OUT b int) LANGUAGE sql AS 'SELECT 1'";
        check(&format!("{f}; {g}"), "f(integer) f(text): done");
        check(&format!("{f}; {f}"), "f(integer): function \"f\" already exists with same argument types (42723)");
        check(&format!("{f}; {g}; DROP FUNCTION f"), "f(integer) f(text): function name \"f\" is not unique (42725)");
        check(&format!("{f}; {g}; DROP FUNCTION f(text)"), "f(integer): done");
        check(&format!("{f}; DROP FUNCTION f(bigint)"), "f(integer): function f(bigint) does not exist (42883)");
        check("DROP FUNCTION f", ": could not find a function named \"f\" (42883)");
        check(
            &format!("{f}; CREATE OR REPLACE FUNCTION f(a int) RETURNS text LANGUAGE sql AS 'SELECT 1'"),
            "f(integer): cannot change return type of existing function (42P13)",
        );
    }

    #[test]
    fn a_function_stays_while_a_trigger_runs_it() {
        let setup = "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
            CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
        check(
            &format!("{setup}; DROP FUNCTION f()"),
            "f(): cannot drop function f() because other objects depend on it (2BP01)",
        );
        check(&format!("{setup}; DROP FUNCTION f() CASCADE"), ": done");
        check(&format!("{setup}; DROP TABLE t; DROP FUNCTION f()"), ": done");
        check(
            "CREATE TABLE t (a int); CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            ": function f() does not exist (42883)",
        );
    }
}
