//! Functions that write, called for each row of a query.
//!
//! Input: a query whose outputs call them. Output: the calls made, row by row, and a query of what they gave. Invariants: the rows are those
//! of before the first call, in the query's order, as the server evaluates volatile outputs after sorting; where it has none, that
//! order is the server's to choose, which is said. Left out: such calls anywhere but as an output of their own.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, ResTarget, SelectStmt, SetOperation};

use super::calls::{first_value, one_value, target};
use super::{Frame, Given, Host, Interpreter};
use crate::catalog::{Function, Gives, Problem, Type, tree};
use crate::query::quote_identifier;
use crate::translate::{Value, Variables};

/// Words of a body that may write, or run something that does.
const WRITES: &[&str] = &[
    "insert", "update", "delete", "merge", "create", "alter", "drop", "truncate", "execute", "refresh", "nextval",
    "setval", "call", "perform",
];

/// May it do more than give a value?
fn may_write(function: &Function) -> bool {
    let body = function.definition.as_ref().and_then(|definition| definition.body.as_deref()).unwrap_or_default();
    let body = body.to_lowercase();
    body.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| WRITES.contains(&word))
}

/// An output of the query.
enum Part {
    /// A call, and how many columns of the rows are its arguments.
    Call { name: String, function: Function, given: Vec<usize> },
    /// Any other.
    Other { name: String },
}

impl<H: Host> Interpreter<'_, H> {
    /// Makes the calls of functions that write, and puts what they gave in the query's place; false where there are none.
    pub(super) fn calls_over_rows(&mut self, select: &mut SelectStmt, frame: &mut Frame) -> Result<bool, H::Halt> {
        let plain = select.op == SetOperation::SetopNone as i32
            && select.with_clause.is_none()
            && select.distinct_clause.is_empty()
            && select.group_clause.is_empty()
            && select.having_clause.is_none()
            && select.window_clause.is_empty();
        let by_place = select.sort_clause.iter().any(|node| match &node.node {
            Some(NodeEnum::SortBy(sort)) => {
                matches!(sort.node.as_deref().and_then(|node| node.node.as_ref()), Some(NodeEnum::AConst(_)))
            }
            _ => true,
        });
        if !plain || by_place {
            return Ok(false);
        }
        let mut calls = Vec::new();
        for node in &select.target_list {
            calls.push(match output_call(node) {
                Some(call) => self.meant_by_name(call).filter(may_write),
                None => None,
            });
        }
        if calls.iter().all(Option::is_none) {
            return Ok(false);
        }
        let (asked, into, parts) = self.parts(select, calls)?;
        let answer = self.ask(&asked, frame, &into, usize::MAX >> 1)?;
        let called: Vec<String> = parts.iter().filter_map(Part::called).collect();
        if answer.rows.len() > 1 && select.sort_clause.is_empty() {
            let names = called.join(" and ");
            self.host.note(format!(
                "The server chooses the order in which it calls {names} for {} rows: what depends on it may differ.",
                answer.rows.len()
            ));
        }
        let first = into.len();
        let mut columns: Vec<(String, Type)> = Vec::new();
        let mut others = answer.columns.iter().skip(first);
        for part in &parts {
            columns.push(match part {
                Part::Call { name, function, .. } => (name.clone(), gives(function)),
                Part::Other { name } => (name.clone(), others.next().map_or(Type::Text, |(_, ty)| ty.clone())),
            });
        }
        let mut rows = Vec::new();
        for row in answer.rows {
            let mut others = row.iter().skip(first);
            let mut made = Vec::new();
            for part in &parts {
                made.push(match part {
                    Part::Call { function, given, .. } => {
                        self.spend("called for each row of a query")?;
                        let arguments = self.in_place(function, given.iter().map(|at| row[*at].clone()).collect())?;
                        match self.call(function, arguments)? {
                            Given::Value(value) => value,
                            Given::Nothing if function.language == "sql" => Value::null(Type::Text),
                            Given::Nothing => Value::text_of(""),
                            _ => {
                                let words = format!("the rows that {}() gives for each row of a query", function.name);
                                return Err(Problem::unsupported(words).into());
                            }
                        }
                    }
                    Part::Other { .. } => others.next().cloned().unwrap_or_else(|| Value::null(Type::Text)),
                });
            }
            rows.push(made);
        }
        *select = self.rows_as_query(&columns, rows, frame)?;
        Ok(true)
    }

    /// The one function of a name that a call may mean.
    fn meant_by_name(&self, call: &FuncCall) -> Option<Function> {
        let names = tree::strings(&call.funcname);
        let (schema, name) = match names.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return None,
        };
        if self.host.catalog().may_mean_built_in(schema, name) {
            return None;
        }
        let mut found = self.host.catalog().functions_named(schema, name).filter(|f| super::is_interpreted(f));
        let (function, None) = (found.next()?, found.next()) else { return None };
        let definition = function.definition.as_ref()?;
        let plain = !definition.is_set && matches!(definition.gives, Gives::Value(_) | Gives::Nothing);
        let named = call.args.iter().any(|node| matches!(node.node, Some(NodeEnum::NamedArgExpr(_))));
        let count = definition.inputs().count();
        (plain && !named && !call.func_variadic && call.args.len() <= count).then(|| function.clone())
    }

    /// The query of the calls' arguments, first, and of all other outputs.
    fn parts(
        &self,
        select: &SelectStmt,
        calls: Vec<Option<Function>>,
    ) -> Result<(NodeEnum, Vec<Type>, Vec<Part>), Problem> {
        let (mut arguments, mut others) = (Vec::new(), Vec::new());
        let (mut into, mut parts) = (Vec::new(), Vec::new());
        for (node, function) in select.target_list.iter().zip(calls) {
            match (function, output_call(node)) {
                (Some(function), Some(call)) => {
                    let types = function.inputs().unwrap_or_default();
                    let mut given = Vec::new();
                    for (argument, ty) in call.args.iter().zip(types) {
                        given.push(arguments.len());
                        arguments.push(target(&format!("_{}", arguments.len()), argument.clone()));
                        into.push(ty);
                    }
                    let name = match &node.node {
                        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => target.name.clone(),
                        _ => function.name.clone(),
                    };
                    parts.push(Part::Call { name, function, given });
                }
                _ => {
                    let Some(name) = plain_name(node) else {
                        return Err(Problem::unsupported("a function that writes, beside outputs of this form"));
                    };
                    others.push(node.clone());
                    parts.push(Part::Other { name });
                }
            }
        }
        arguments.append(&mut others);
        if arguments.is_empty() {
            arguments.push(target("_", Node { node: Some(NodeEnum::AConst(Default::default())) }));
        }
        let asked = SelectStmt { target_list: arguments, ..select.clone() };
        Ok((NodeEnum::SelectStmt(Box::new(asked)), into, parts))
    }

    /// Arguments with the defaults of those that aren't given.
    fn in_place(&mut self, function: &Function, mut given: Vec<Value>) -> Result<Vec<Value>, H::Halt> {
        let Some(definition) = function.definition.clone() else { return Ok(given) };
        for parameter in definition.inputs().skip(given.len()) {
            let Some(default) = &parameter.default else {
                return Err(Problem::unsupported(format!("this call of {}()", function.name)).into());
            };
            let types = std::slice::from_ref(&parameter.ty);
            let answer = self.host.query(&one_value(default), &Variables::default(), types, 1)?;
            given.push(first_value(&answer.rows, &parameter.ty));
        }
        Ok(given)
    }

    /// Rows that are known, as a query.
    pub(super) fn rows_as_query(
        &mut self,
        columns: &[(String, Type)],
        rows: Vec<Vec<Value>>,
        frame: &mut Frame,
    ) -> Result<SelectStmt, H::Halt> {
        let none = rows.is_empty();
        let rows = if none { vec![columns.iter().map(|(_, ty)| Value::null(ty.clone())).collect()] } else { rows };
        let mut lines = Vec::new();
        for row in rows {
            let mut values = Vec::new();
            for value in row {
                if let NodeEnum::ParamRef(parameter) = self.stands_for(value, frame) {
                    values.push(format!("${}", parameter.number));
                }
            }
            lines.push(format!("({})", values.join(", ")));
        }
        let names: Vec<String> = (1..=columns.len()).map(|n| format!("c{n}")).collect();
        let list: Vec<String> =
            names.iter().zip(columns).map(|(c, (name, _))| format!("v.{c} AS {}", quote_identifier(name))).collect();
        let text = format!(
            "SELECT {} FROM (VALUES {}) AS v({}){}",
            list.join(", "),
            lines.join(", "),
            names.join(", "),
            if none { " WHERE false" } else { "" }
        );
        match crate::plpgsql::parse::statement(&text)?.node {
            NodeEnum::SelectStmt(select) => Ok(*select),
            _ => Err(Problem::unsupported("rows of this form").into()),
        }
    }
}

impl Part {
    fn called(&self) -> Option<String> {
        match self {
            Part::Call { function, .. } => Some(format!("{}()", function.name)),
            Part::Other { .. } => None,
        }
    }
}

fn gives(function: &Function) -> Type {
    match function.definition.as_ref().map(|definition| &definition.gives) {
        Some(Gives::Value(ty)) => ty.clone(),
        _ => Type::Text,
    }
}

/// The call that an output is.
fn output_call(node: &Node) -> Option<&FuncCall> {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
    match target.val.as_deref()?.node.as_ref()? {
        NodeEnum::FuncCall(call) => Some(call),
        _ => None,
    }
}

/// The name of an output that is a column or has a name of its own.
fn plain_name(node: &Node) -> Option<String> {
    let Some(NodeEnum::ResTarget(target)) = &node.node else { return None };
    let ResTarget { name, val, .. } = target.as_ref();
    if !name.is_empty() {
        return Some(name.clone());
    }
    match val.as_deref()?.node.as_ref()? {
        NodeEnum::ColumnRef(column) => {
            let path = tree::strings(&column.fields);
            path.last().filter(|_| path.len() == column.fields.len()).cloned()
        }
        _ => None,
    }
}
