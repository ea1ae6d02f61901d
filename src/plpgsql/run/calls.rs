//! Calls of the database's own functions inside of queries.
//!
//! Input: a query or statement and the variables it sees. Output: the same with each call that can be made beforehand replaced by
//! what it gave. Invariants: only calls that the server makes exactly once are made here: those of a query without FROM, in a
//! place that is always reached, and those in FROM whose arguments are known. Any other is left for the translation, which inlines
//! it or refuses it by name.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CallStmt, FuncCall, Node, ParamRef, RangeFunction, RangeSubselect, ResTarget, SelectStmt, a_const::Val,
};

use super::routine::is_interpreted;
use super::{Frame, Given, Host, Interpreter};
use crate::catalog::{Function, Gives, Problem, Type, overload, tree};
use crate::translate::{Value, Variables};

/// Numbers of the parameters that stand for what calls gave.
const FIRST: i32 = 1_000_000;

impl<H: Host> Interpreter<'_, H> {
    /// The query with its calls made, and the variables with what they gave; nothing where there is no call to make.
    pub(super) fn with_calls_made(
        &mut self,
        node: &NodeEnum,
        frame: &mut Frame,
    ) -> Result<Option<(NodeEnum, Variables)>, H::Halt> {
        if !self.host.catalog().functions.iter().any(is_interpreted) {
            return Ok(None);
        }
        let mut copy = node.clone();
        let before = frame.variables.positional.len();
        let made = match &mut copy {
            NodeEnum::SelectStmt(select) => self.calls_of_query(select, frame),
            NodeEnum::InsertStmt(insert) => match insert.select_stmt.as_mut().and_then(|node| node.node.as_mut()) {
                Some(NodeEnum::SelectStmt(select)) => self.calls_of_query(select, frame),
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        let values = frame.variables.positional.split_off(before);
        made?;
        if values.is_empty() && copy == *node {
            return Ok(None);
        }
        let mut variables = frame.variables.clone();
        variables.positional.extend(values);
        Ok(Some((copy, variables)))
    }

    fn calls_of_query(&mut self, select: &mut SelectStmt, frame: &mut Frame) -> Result<(), H::Halt> {
        if select.larg.is_some() || select.with_clause.is_some() {
            return Ok(());
        }
        if select.from_clause.is_empty() {
            if let [row] = select.values_lists.as_mut_slice()
                && let Some(NodeEnum::List(list)) = &mut row.node
            {
                for item in &mut list.items {
                    self.calls_of(item, frame)?;
                }
            }
            if select.where_clause.is_none() && select.group_clause.is_empty() {
                self.single_row_call(select, frame)?;
                for target in &mut select.target_list {
                    if let Some(NodeEnum::ResTarget(target)) = &mut target.node
                        && let Some(value) = target.val.as_deref_mut()
                    {
                        if target.name.is_empty()
                            && let Some(NodeEnum::FuncCall(call)) = &value.node
                        {
                            target.name = tree::strings(&call.funcname).pop().unwrap_or_default();
                        }
                        self.calls_of(value, frame)?;
                    }
                }
            }
            return Ok(());
        }
        if self.calls_over_rows(select, frame)? {
            return Ok(());
        }
        for item in &mut select.from_clause {
            let Some(NodeEnum::RangeFunction(function)) = &item.node else { continue };
            if let Some(rows) = self.rows_in_from(&function.clone(), frame)? {
                item.node = Some(NodeEnum::RangeSubselect(Box::new(rows)));
            }
        }
        Ok(())
    }

    /// `SELECT f()` of a function that gives a set: the same as `SELECT * FROM f()`.
    fn single_row_call(&mut self, select: &mut SelectStmt, frame: &mut Frame) -> Result<(), H::Halt> {
        let [Node { node: Some(NodeEnum::ResTarget(target)) }] = select.target_list.as_slice() else { return Ok(()) };
        let Some(NodeEnum::FuncCall(call)) = target.val.as_deref().and_then(|node| node.node.as_ref()) else {
            return Ok(());
        };
        let Some(function) = self.meant(call, frame)? else { return Ok(()) };
        let definition = function.definition.as_ref();
        let gives_set = definition.is_some_and(|d| d.is_set && matches!(d.gives, Gives::Value(_)));
        if !gives_set {
            return Ok(());
        }
        let name = if target.name.is_empty() { function.name.clone() } else { target.name.clone() };
        let call = call.clone();
        let arguments = self.arguments(&function, &call, frame)?;
        if let Some(rows) = self.set_of(&function, arguments, &name, frame)? {
            *select = rows;
        }
        Ok(())
    }

    /// Makes the calls in an expression that is always evaluated, once.
    fn calls_of(&mut self, node: &mut Node, frame: &mut Frame) -> Result<(), H::Halt> {
        let Some(inner) = &mut node.node else { return Ok(()) };
        match inner {
            NodeEnum::FuncCall(call) => {
                let Some(function) = self.meant(call, frame)? else {
                    for argument in &mut call.args {
                        self.calls_of(argument, frame)?;
                    }
                    return Ok(());
                };
                let call = call.clone();
                let arguments = self.arguments(&function, &call, frame)?;
                let value = match self.call(&function, arguments)? {
                    Given::Value(value) => value,
                    // void is an empty text, and in SQL NULL.
                    Given::Nothing if function.language == "sql" => Value::null(Type::Text),
                    Given::Nothing => Value::text_of(""),
                    _ => {
                        let words = format!("the row that {}() gives, as a value,", function.name);
                        return Err(Problem::unsupported(words).into());
                    }
                };
                node.node = Some(self.stands_for(value, frame));
            }
            // What stands first is always evaluated, the rest only where it must be.
            NodeEnum::BoolExpr(expression) => {
                if let Some(first) = expression.args.first_mut() {
                    self.calls_of(first, frame)?;
                }
            }
            NodeEnum::CoalesceExpr(expression) => {
                if let Some(first) = expression.args.first_mut() {
                    self.calls_of(first, frame)?;
                }
            }
            // A field of a row that a function gives is read where it stands.
            NodeEnum::AIndirection(_) | NodeEnum::CaseExpr(_) | NodeEnum::SubLink(_) => {}
            other => {
                for child in tree::children_mut(other) {
                    self.calls_of(child, frame)?;
                }
            }
        }
        Ok(())
    }

    /// A parameter that stands for a value.
    pub(super) fn stands_for(&mut self, value: Value, frame: &mut Frame) -> NodeEnum {
        let number = FIRST + i32::try_from(frame.variables.positional.len()).unwrap_or(0);
        frame.variables.positional.push((number, value));
        NodeEnum::ParamRef(ParamRef { number, location: -1 })
    }

    /// The function of the database that a call means, where it means one that is run here and that can be told from here.
    pub(super) fn meant(&mut self, call: &FuncCall, frame: &mut Frame) -> Result<Option<Function>, H::Halt> {
        let names = tree::strings(&call.funcname);
        let (schema, name) = match names.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return Ok(None),
        };
        // The translator tells them apart.
        if self.host.catalog().may_mean_built_in(schema, name) {
            return Ok(None);
        }
        let fits = |function: &&Function| match &function.definition {
            Some(definition) => {
                let inputs: Vec<_> = definition.inputs().collect();
                let needed = inputs.iter().filter(|p| p.default.is_none()).count();
                let given = definition.gathered(call).args.len();
                given <= inputs.len() && given >= needed
            }
            None => true,
        };
        let is_plain = |function: &&Function| function.definition.as_ref().is_none_or(|d| !d.is_polymorphic());
        let all = self.host.catalog().functions_named(schema, name).filter(is_plain);
        let found: Vec<Function> = all.filter(|function| is_interpreted(function)).filter(fits).cloned().collect();
        let place = match found.as_slice() {
            [_] => Some(0),
            [] => None,
            several => {
                let mut types = Vec::new();
                for node in &call.args {
                    types.push(match is_open(node) {
                        true => Type::Unknown,
                        false => {
                            let answer = self.ask(&one_value(node), frame, &[], 1)?;
                            answer.columns.first().map_or(Type::Unknown, |(_, ty)| ty.clone())
                        }
                    });
                }
                overload::nearest(&several.iter().collect::<Vec<_>>(), &types)
            }
        };
        Ok(place.and_then(|place| found.into_iter().nth(place)).filter(|function| function.definition.is_some()))
    }

    /// The values of a call's arguments, in the order of the parameters.
    fn arguments(&mut self, function: &Function, call: &FuncCall, frame: &mut Frame) -> Result<Vec<Value>, H::Halt> {
        self.rows_given.clear();
        let Some(definition) = function.definition.clone() else { return Ok(Vec::new()) };
        let inputs: Vec<_> = definition.inputs().cloned().collect();
        let call = &definition.gathered(call);
        let mut given: Vec<Option<Value>> = vec![None; inputs.len()];
        for (at, argument) in call.args.iter().enumerate() {
            let (at, node) = match &argument.node {
                Some(NodeEnum::NamedArgExpr(named)) => {
                    let Some(at) = inputs.iter().position(|parameter| parameter.name == named.name) else {
                        return Err(self.no_function(function, &[]).into());
                    };
                    (at, named.arg.as_deref())
                }
                _ => (at, Some(argument)),
            };
            if let Some(node) = node
                && inputs[at].ty == Type::Record
            {
                let row = self.row_of(node, frame)?;
                self.rows_given.push((at, row));
                given[at] = Some(Value::null(Type::Record));
            } else if let Some(node) = node {
                given[at] = Some(self.argument(function, node, &inputs[at].ty, frame)?);
            }
        }
        let mut values = Vec::new();
        for (value, parameter) in given.into_iter().zip(&inputs) {
            values.push(match (value, &parameter.default) {
                (Some(value), _) => value,
                (None, Some(default)) => {
                    let query = one_value(default);
                    let variables = Variables::default();
                    let answer = self.host.query(&query, &variables, std::slice::from_ref(&parameter.ty), 1)?;
                    first_value(&answer.rows, &parameter.ty)
                }
                (None, None) => return Err(self.no_function(function, &[]).into()),
            });
        }
        Ok(values)
    }

    fn argument(&mut self, function: &Function, node: &Node, ty: &Type, frame: &mut Frame) -> Result<Value, H::Halt> {
        let query = one_value(node);
        if *ty == Type::Opaque("regclass".to_owned()) {
            let answer = self.ask(&query, frame, &[Type::Text], 1)?;
            return Ok(self.relation_named(first_value(&answer.rows, &Type::Text))?);
        }
        if is_open(node) {
            let answer = self.ask(&query, frame, std::slice::from_ref(ty), 1)?;
            return Ok(first_value(&answer.rows, ty));
        }
        let answer = self.ask(&query, frame, &[], 1)?;
        let own = answer.columns.first().map_or(Type::Text, |(_, own)| own.clone());
        let value = first_value(&answer.rows, &own);
        if own == *ty || own.same_base(ty) {
            return Ok(value);
        }
        if !own.coerces_to(ty) {
            return Err(self.no_function(function, &[own]).into());
        }
        let variables = Variables { positional: vec![(1, value)], ..Variables::default() };
        let query = crate::plpgsql::parse::expression("$1")?;
        let answer = self.host.query(&query.node, &variables, std::slice::from_ref(ty), 1)?;
        Ok(first_value(&answer.rows, ty))
    }

    /// A relation by its name, as it is written where it is shown.
    fn relation_named(&self, name: Value) -> Result<Value, Problem> {
        let Some(text) = name.text() else { return Ok(name) };
        let catalog = self.host.catalog();
        let words: Vec<String> = text.split('.').map(crate::plpgsql::parse::folded).collect();
        let (schema, relation) = match words.as_slice() {
            [relation] => (None, relation),
            [schema, relation] => (Some(schema.as_str()), relation),
            _ => return Err(Problem::unsupported(format!("the relation {text}"))),
        };
        if catalog.find_relation(schema, relation).is_none() {
            return Err(catalog.missing_relation(schema, relation));
        }
        let shown = crate::catalog::lookup::quoted(relation);
        Ok(Value::text_of(match schema.filter(|schema| !catalog.search_path.iter().any(|path| path == schema)) {
            Some(schema) => format!("{}.{shown}", crate::catalog::lookup::quoted(schema)),
            None => shown.to_string(),
        }))
    }

    fn no_function(&self, function: &Function, types: &[Type]) -> Problem {
        match types {
            [ty] if function.inputs().is_some_and(|inputs| inputs.len() == 1) => {
                let name = ty.base_name(self.host.catalog());
                Problem::rejected("42883", format!("function {}({name}) does not exist", function.name)).hint(
                    "No function matches the given name and argument types. You might need to add explicit type casts.",
                )
            }
            _ => Problem::unsupported(format!("this call of {}()", function.name)),
        }
    }

    /// A function in FROM, as a query of the rows it gives.
    fn rows_in_from(&mut self, item: &RangeFunction, frame: &mut Frame) -> Result<Option<RangeSubselect>, H::Halt> {
        let [Node { node: Some(NodeEnum::List(list)) }] = item.functions.as_slice() else { return Ok(None) };
        let Some(NodeEnum::FuncCall(call)) = list.items.first().and_then(|node| node.node.as_ref()) else {
            return Ok(None);
        };
        let Some(function) = self.meant(call, frame)? else { return Ok(None) };
        // The translation reads it in place, whatever its arguments are.
        if function.definition.as_ref().is_some_and(|definition| definition.query.is_some()) {
            return Ok(None);
        }
        let names_columns = call.args.iter().any(|argument| {
            let mut found = false;
            tree::walk(argument, &mut |node| {
                if let NodeEnum::ColumnRef(column) = node {
                    let path = tree::strings(&column.fields);
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    found |= !matches!(frame.variables.find(&path), Ok(Some(_)));
                }
            });
            found
        });
        // What depends on rows is left for the translation.
        if names_columns || item.ordinality || !item.coldeflist.is_empty() {
            return Ok(None);
        }
        // Its arguments may name what stands before it in FROM; then they aren't known here.
        let arguments = self.arguments(&function, call, frame)?;
        let column = item.alias.as_ref().map_or(function.name.as_str(), |alias| alias.aliasname.as_str()).to_owned();
        let Some(select) = self.set_of(&function, arguments, &column, frame)? else { return Ok(None) };
        let mut alias = item.alias.clone().unwrap_or_default();
        if alias.aliasname.is_empty() {
            alias.aliasname.clone_from(&function.name);
        }
        Ok(Some(RangeSubselect {
            subquery: Some(Box::new(Node { node: Some(NodeEnum::SelectStmt(Box::new(select))) })),
            alias: Some(alias),
            ..RangeSubselect::default()
        }))
    }

    /// The rows that a function gives, as a query.
    fn set_of(
        &mut self,
        function: &Function,
        arguments: Vec<Value>,
        column: &str,
        frame: &mut Frame,
    ) -> Result<Option<SelectStmt>, H::Halt> {
        let Some(definition) = function.definition.clone() else { return Ok(None) };
        let columns = match &definition.gives {
            Gives::Value(ty) => vec![(column.to_owned(), ty.clone())],
            Gives::Row(columns) => columns.clone(),
            _ => return Err(Problem::unsupported(format!("what {}() gives, in FROM,", function.name)).into()),
        };
        let rows = match self.call(function, arguments)? {
            Given::Rows(rows) => rows,
            Given::Value(value) => vec![vec![value]],
            Given::Row(Some(row)) => vec![row.into_iter().map(|(_, value)| value).collect()],
            // A row that is NULL is one of NULLs.
            Given::Row(None) if !definition.is_set => {
                vec![columns.iter().map(|(_, ty)| Value::null(ty.clone())).collect()]
            }
            Given::Row(None) | Given::Nothing => Vec::new(),
        };
        Ok(Some(self.rows_as_query(&columns, rows, frame)?))
    }

    /// CALL
    pub(super) fn call_procedure(&mut self, statement: &CallStmt, frame: &mut Frame) -> Result<(), H::Halt> {
        let Some(call) = &statement.funccall else { return Ok(()) };
        let name = tree::strings(&call.funcname).join(".");
        let Some(function) = self.meant(call, frame)? else {
            return Err(match self.host.catalog().partial {
                true => Problem::unsupported(format!("the procedure {name}()")).into(),
                false => Problem::rejected("42883", format!("procedure {name}() does not exist")).into(),
            });
        };
        let definition = function.definition.as_ref();
        if definition.is_some_and(|d| !d.is_procedure) {
            let message = format!("{name} is not a procedure");
            return Err(Problem::rejected("42809", message).hint("To call a function, use SELECT.").into());
        }
        if definition.is_some_and(|d| d.outputs().next().is_some()) {
            return Err(Problem::unsupported("CALL of a procedure with output parameters").into());
        }
        let arguments = self.arguments(&function, call, frame)?;
        self.call(&function, arguments)?;
        Ok(())
    }

    /// CALL as a statement of its own.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    pub fn call_statement(&mut self, statement: &CallStmt) -> Result<(), H::Halt> {
        self.call_procedure(statement, &mut Frame::bare())
    }

    /// A query or INSERT on its own whose calls are made first; nothing where there are none.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    pub fn prepare(&mut self, node: &NodeEnum) -> Result<Option<(NodeEnum, Variables)>, H::Halt> {
        self.with_calls_made(node, &mut Frame::bare())
    }
}

impl Frame {
    /// No variables.
    fn bare() -> Frame {
        Frame::of(Variables::default())
    }
}

pub(super) fn first_value(rows: &[Vec<Value>], ty: &Type) -> Value {
    rows.first().and_then(|row| row.first()).cloned().unwrap_or_else(|| Value::null(ty.clone()))
}

fn plain_select() -> SelectStmt {
    SelectStmt {
        op: pg_query::protobuf::SetOperation::SetopNone as i32,
        limit_option: pg_query::protobuf::LimitOption::Default as i32,
        ..SelectStmt::default()
    }
}

pub(super) fn target(name: &str, value: Node) -> Node {
    let target = ResTarget { name: name.to_owned(), val: Some(Box::new(value)), ..ResTarget::default() };
    Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }
}

/// `SELECT expression`
pub(super) fn one_value(node: &Node) -> NodeEnum {
    let mut select = plain_select();
    select.target_list.push(target("", node.clone()));
    NodeEnum::SelectStmt(Box::new(select))
}

/// A literal whose type is left open.
pub(super) fn is_open(node: &Node) -> bool {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => constant.isnull || matches!(constant.val, Some(Val::Sval(_))),
        _ => false,
    }
}
