//! Sequences in queries: `nextval`, `setval` and their kin, and `set_config`, evaluated in the server's order.
//!
//! Input: a SELECT or an INSERT of given rows that calls them. Output: the same statement with numbers in their place, and the sequences
//! as it leaves them; or, over the rows of a query, its result. Invariants: calls are evaluated from left to right, row by row;
//! where the server may not evaluate one (CASE, COALESCE, AND), the statement is refused. Left out: defaults and other
//! statements, in which every row takes one number.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, Float, FuncCall, InsertStmt, LimitOption, Node, ResTarget, SelectStmt, SetOperation, TypeCast, TypeName,
    a_const::Val,
};
use serde_json::{Map, Value};

use super::Session;
use crate::catalog::naming::expression_name;
use crate::catalog::{Problem, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::StatementReport;

/// Functions that read or change a sequence.
const FUNCTIONS: [&str; 5] = ["nextval", "setval", "currval", "lastval", "set_config"];
/// Rows whose calls are evaluated one by one.
const MANY_ROWS: usize = 10_000;

impl Session<'_> {
    /// A SELECT with such calls and without FROM, with the numbers in place of the calls; `None` for any other.
    pub(super) fn settle_select(
        &mut self,
        select: &SelectStmt,
        report: &mut StatementReport,
    ) -> Ran<Option<SelectStmt>> {
        let plain = select.from_clause.is_empty()
            && select.larg.is_none()
            && select.where_clause.is_none()
            && select.values_lists.is_empty();
        if !plain || !select.target_list.iter().any(calls) {
            return Ok(None);
        }
        self.expect_settings_apart(select)?;
        let mut settled = select.clone();
        for target in &mut settled.target_list {
            let Some(NodeEnum::ResTarget(target)) = &mut target.node else { continue };
            name(target);
            if let Some(value) = &mut target.val {
                self.settle(value, report)?;
            }
        }
        Ok(Some(settled))
    }

    /// An INSERT of given rows with such calls, with the numbers in place of the calls; `None` for any other.
    pub(super) fn settle_insert(
        &mut self,
        insert: &InsertStmt,
        report: &mut StatementReport,
    ) -> Ran<Option<InsertStmt>> {
        let rows = match insert.select_stmt.as_deref().and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::SelectStmt(select)) => &select.values_lists,
            _ => return Ok(None),
        };
        if !rows.iter().any(calls) {
            return Ok(None);
        }
        let mut settled = insert.clone();
        if let Some(NodeEnum::SelectStmt(select)) = settled.select_stmt.as_mut().and_then(|node| node.node.as_mut()) {
            for row in &mut select.values_lists {
                let Some(NodeEnum::List(row)) = &mut row.node else { continue };
                for item in &mut row.items {
                    self.settle(item, report)?;
                }
            }
        }
        Ok(Some(settled))
    }

    /// A SELECT whose outputs call such functions for each row of its FROM; `None` for any other.
    pub(super) fn select_over_rows(
        &mut self,
        select: &SelectStmt,
        report: &mut StatementReport,
    ) -> Ran<Option<Vec<Map<String, Value>>>> {
        if select.from_clause.is_empty() || !select.target_list.iter().any(calls) {
            return Ok(None);
        }
        if select.op != SetOperation::SetopNone as i32 || !select.distinct_clause.is_empty() {
            return Err(Problem::unsupported("a sequence's number in a query of this form").into());
        }
        // Each call gives way to its arguments, under names of their own.
        let mut asked = SelectStmt { target_list: Vec::new(), ..select.clone() };
        let mut outputs: Vec<(String, Option<(String, usize)>)> = Vec::new();
        for target in &select.target_list {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { continue };
            let mut target = (**target).clone();
            name(&mut target);
            let label = if target.name.is_empty() { "?column?".to_owned() } else { target.name.clone() };
            match target.val.as_deref().and_then(call) {
                Some((function, arguments)) => {
                    for (number, argument) in arguments.iter().enumerate() {
                        let argument = ResTarget {
                            name: format!("_{}_{number}", outputs.len()),
                            val: Some(Box::new(bare(argument).clone())),
                            ..ResTarget::default()
                        };
                        asked.target_list.push(Node { node: Some(NodeEnum::ResTarget(Box::new(argument))) });
                    }
                    outputs.push((label, Some((function, arguments.len()))));
                }
                None if target.val.as_deref().is_some_and(calls) => {
                    return Err(Problem::unsupported("a sequence's number within an expression over rows").into());
                }
                None => {
                    let shown = format!("_{}", outputs.len());
                    asked
                        .target_list
                        .push(Node { node: Some(NodeEnum::ResTarget(Box::new(ResTarget { name: shown, ..target }))) });
                    outputs.push((label, None));
                }
            }
        }
        let rows = self.rows_of(&NodeEnum::SelectStmt(Box::new(asked)), report)?;
        let mut results = Vec::new();
        for row in rows {
            let mut result = Map::new();
            for (place, (label, called)) in outputs.iter().enumerate() {
                let value = match called {
                    Some((function, count)) => {
                        let arguments: Vec<Value> = (0..*count)
                            .map(|number| row.get(&format!("_{place}_{number}")).cloned().unwrap_or(Value::Null))
                            .collect();
                        self.call_sequence(function, &arguments)?
                    }
                    None => row.get(&format!("_{place}")).cloned().unwrap_or(Value::Null),
                };
                result.insert(label.clone(), value);
            }
            results.push(result);
        }
        Ok(Some(results))
    }

    /// Evaluates the calls in an expression without rows, innermost and leftmost first.
    fn settle(&mut self, node: &mut Node, report: &mut StatementReport) -> Ran<()> {
        if !calls(node) {
            return Ok(());
        }
        let Some(inner) = node.node.as_mut() else { return Ok(()) };
        if matches!(
            inner,
            NodeEnum::CaseExpr(_) | NodeEnum::CoalesceExpr(_) | NodeEnum::BoolExpr(_) | NodeEnum::SubLink(_)
        ) {
            return Err(Problem::unsupported("a sequence's number that may not be taken").into());
        }
        for child in tree::children_mut(inner) {
            self.settle(child, report)?;
        }
        if let Some((function, arguments)) = call(node) {
            let targets = arguments.iter().enumerate().map(|(number, argument)| Node {
                node: Some(NodeEnum::ResTarget(Box::new(ResTarget {
                    name: format!("_{number}"),
                    val: Some(Box::new(bare(argument).clone())),
                    ..ResTarget::default()
                }))),
            });
            let targets: Vec<Node> = targets.collect();
            let count = targets.len();
            let values = if targets.is_empty() {
                Vec::new()
            } else {
                let row = self.rows_of(&query_of(targets), report)?.into_iter().next().unwrap_or_default();
                (0..count).map(|number| row.get(&format!("_{number}")).cloned().unwrap_or(Value::Null)).collect()
            };
            let value = self.call_sequence(&function, &values)?;
            *node = constant(&value);
        }
        Ok(())
    }

    /// What reads a setting beside what sets one depends on the order in which both are evaluated.
    fn expect_settings_apart(&self, select: &SelectStmt) -> Ran<()> {
        let is_set = |node: &Node| call(node).is_some_and(|(name, _)| name == "set_config");
        let values = || {
            select.target_list.iter().filter_map(|target| match &target.node {
                Some(NodeEnum::ResTarget(target)) => target.val.as_deref(),
                _ => None,
            })
        };
        if !values().any(is_set) {
            return Ok(());
        }
        let mut reads = false;
        for value in values().filter(|value| !is_set(value)) {
            tree::walk(value, &mut |node| reads |= !matches!(node, NodeEnum::AConst(_)));
        }
        match reads {
            true => Err(Problem::unsupported("set_config() beside other expressions").into()),
            false => Ok(()),
        }
    }

    fn rows_of(&mut self, query: &NodeEnum, report: &mut StatementReport) -> Ran<Vec<Map<String, Value>>> {
        let (plan, _) = self.select_plans(query)?;
        self.depend_on(plan.remarks.reads.keys().copied(), None, report);
        let mut aside = StatementReport { index: report.index, ..StatementReport::default() };
        let selected = self.on_rows(&mut aside, |run| run.select(&plan, None, MANY_ROWS + 1))?;
        if selected.rows.len() > MANY_ROWS {
            return Err(Problem::unsupported("a sequence's numbers for very many rows").into());
        }
        Ok(selected.rows)
    }

    /// Carries one call out; like the server, it gives NULL for NULL.
    fn call_sequence(&mut self, function: &str, arguments: &[Value]) -> Ran<Value> {
        if function == "set_config" {
            return self.configure(arguments);
        }
        if arguments.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        if function == "lastval" {
            let last = self.catalog.last_sequence.and_then(|oid| self.catalog.sequences.get(&oid));
            let current = last.and_then(|sequence| sequence.numbers).and_then(|numbers| numbers.current);
            let none = || Problem::rejected("55000", "lastval is not yet defined in this session");
            return Ok(current.ok_or_else(none)?.into());
        }
        let text = arguments.first().and_then(Value::as_str).unwrap_or_default();
        let sequence = self.catalog.expect_sequence(text)?;
        let (oid, name) = (sequence.oid, sequence.name.clone());
        let Some(mut numbers) = sequence.numbers else {
            // What setval gives is known even where the sequence isn't.
            return match (function, arguments) {
                ("setval", [_, value, ..]) => Ok(value.clone()),
                _ => {
                    Err(Problem::unsupported(format!("the sequence {name}, whose state the snapshot doesn't hold,"))
                        .into())
                }
            };
        };
        let value = match (function, arguments) {
            ("nextval", _) => {
                self.catalog.last_sequence = Some(oid);
                numbers.take(&name)?
            }
            ("currval", _) => numbers.current.ok_or_else(|| {
                let message = format!("currval of sequence \"{name}\" is not yet defined in this session");
                Problem::rejected("55000", message)
            })?,
            ("setval", [_, value, called @ ..]) => {
                let value =
                    whole(value).ok_or_else(|| Problem::unsupported("setval() with anything but a whole number"))?;
                numbers.set(&name, value, called.first().and_then(Value::as_bool).unwrap_or(true))?;
                value
            }
            _ => return Err(Problem::unsupported(format!("the function {function}()")).into()),
        };
        if let Some(sequence) = self.catalog.sequences.get_mut(&oid) {
            sequence.numbers = Some(numbers);
        }
        Ok(value.into())
    }
}

/// Does an expression call one of the functions?
fn calls(node: &Node) -> bool {
    let mut found = false;
    tree::walk(node, &mut |node| {
        if let NodeEnum::FuncCall(call) = node {
            found |= is_sequence_function(call);
        }
    });
    found
}

fn is_sequence_function(call: &FuncCall) -> bool {
    tree::strings(&call.funcname).last().is_some_and(|name| FUNCTIONS.contains(&name.as_str()))
}

/// The call that an expression is.
fn call(node: &Node) -> Option<(String, &[Node])> {
    match &node.node {
        Some(NodeEnum::FuncCall(call)) if is_sequence_function(call) => {
            Some((tree::strings(&call.funcname).pop()?, &call.args))
        }
        _ => None,
    }
}

/// `'s'::regclass` is the name.
fn bare(node: &Node) -> &Node {
    match &node.node {
        Some(NodeEnum::TypeCast(cast))
            if cast
                .type_name
                .as_ref()
                .is_some_and(|name| tree::strings(&name.names).last().is_some_and(|name| name == "regclass")) =>
        {
            cast.arg.as_deref().unwrap_or(node)
        }
        _ => node,
    }
}

/// An output keeps the name that its call gave it.
fn name(target: &mut ResTarget) {
    if target.name.is_empty()
        && let Some(name) = target.val.as_deref().and_then(expression_name)
    {
        target.name = name;
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn query_of(target_list: Vec<Node>) -> NodeEnum {
    NodeEnum::SelectStmt(Box::new(SelectStmt {
        target_list,
        limit_option: LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..SelectStmt::default()
    }))
}

/// `5::bigint`, `'UTC'::text`
fn constant(value: &Value) -> Node {
    let (ty, inner) = match (value.as_i64(), value.as_str()) {
        (Some(number), _) => ("int8", Some(Val::Fval(Float { fval: number.to_string() }))),
        (None, Some(text)) => ("text", Some(Val::Sval(pg_query::protobuf::String { sval: text.to_owned() }))),
        (None, None) => ("int8", None),
    };
    let inner = AConst { isnull: inner.is_none(), location: -1, val: inner };
    let type_name = TypeName {
        names: vec![tree::name("pg_catalog"), tree::name(ty)],
        typemod: -1,
        location: -1,
        ..TypeName::default()
    };
    let cast = TypeCast {
        arg: Some(Box::new(Node { node: Some(NodeEnum::AConst(inner)) })),
        type_name: Some(type_name),
        location: -1,
    };
    Node { node: Some(NodeEnum::TypeCast(Box::new(cast))) }
}
