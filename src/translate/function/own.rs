//! Functions of the database's own that are nothing but a query: read in place of their call.
//!
//! Input: a call, and the query that its function gives. Output: the same query over the call's arguments. Invariants: parameters stand
//! for the arguments' values, and a column of the query's own hides them as on the server; a function that does anything else is
//! refused by name.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, SelectStmt};

use crate::catalog::{Definition, Function, Gives, Outcome, Problem, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::expression::{Site, words};
use crate::translate::query::Query;
use crate::translate::reader::Reader;
use crate::translate::scope::Scope;
use crate::translate::typed::{Typed, physical};
use crate::translate::variables::{Level, NameConflict, Named, Value, Variable, Variables};

/// Calls within calls.
const DEPTH: usize = 16;

impl Reader<'_> {
    /// A call of a function of the database's own, as a value.
    pub(in crate::translate) fn own_function(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let (function, select) = self.inlined(call)?;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let Some(definition) = function.definition.clone() else { return Err(refused("which isn't known")) };
        let Gives::Value(ty) = &definition.gives else { return Err(refused("which gives no value")) };
        if definition.is_set || call.over.is_some() || call.agg_filter.is_some() {
            return Err(refused("called in this place"));
        }
        let arguments = self.own_arguments(&function, &definition, call, site)?;
        let nulls: Vec<String> = arguments.iter().map(|argument| format!("{} IS NULL", argument.sql)).collect();
        let query = self.own_query(&function, &definition, &select, arguments)?;
        let [output] = query.outputs.as_slice() else { return Err(refused("whose query has several columns")) };
        let value = Typed::new(format!("q.{}", output.column), output.ty.clone());
        let value = convert(value, ty, Context::Assignment, None, self.catalog())?;
        // Of several rows the server takes the first.
        let one = match select.from_clause.is_empty() {
            true => String::new(),
            false => {
                if select.sort_clause.is_empty() {
                    self.choice(format!("the first row that {}() finds", function.name));
                    format!(" ORDER BY q.{} {} LIMIT 1", output.column, self.tie_direction())
                } else {
                    " LIMIT 1".to_owned()
                }
            }
        };
        let sql = format!("(SELECT CAST({} AS {}) FROM ({}) AS q{one})", value.sql, physical(ty), query.sql);
        Ok(Typed::new(
            match definition.is_strict && !nulls.is_empty() {
                true => format!("CASE WHEN {} THEN NULL ELSE {sql} END", nulls.join(" OR ")),
                false => sql,
            },
            ty.clone(),
        ))
    }

    /// A call in FROM: the query with the function's own column names.
    pub(in crate::translate) fn own_rows(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<(Query, bool)> {
        let (function, select) = self.inlined(call)?;
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let Some(definition) = function.definition.clone() else { return Err(refused("which isn't known")) };
        if definition.is_strict || !definition.is_set {
            return Err(refused("called in FROM"));
        }
        let (columns, is_value) = match &definition.gives {
            Gives::Value(ty) => (vec![(function.name.clone(), ty.clone())], true),
            Gives::Row(columns) => (columns.clone(), false),
            _ => return Err(refused("whose columns aren't known")),
        };
        let arguments = self.own_arguments(&function, &definition, call, site)?;
        let mut query = self.own_query(&function, &definition, &select, arguments)?;
        if query.outputs.len() != columns.len() {
            return Err(refused("whose query has other columns than it gives"));
        }
        let mut list = Vec::new();
        for (output, (name, ty)) in query.outputs.iter_mut().zip(columns) {
            let value = Typed::new(format!("q.{}", output.column), output.ty.clone());
            let value = convert(value, &ty, Context::Assignment, None, self.catalog())?;
            list.push(format!("CAST({} AS {}) AS {}", value.sql, physical(&ty), output.column));
            output.name = name;
            output.ty = ty;
        }
        query.sql = format!("SELECT {} FROM ({}) AS q", list.join(", "), query.sql);
        Ok((query, is_value))
    }

    /// The function that a call means, and its query.
    fn inlined(&self, call: &FuncCall) -> Outcome<(Function, SelectStmt)> {
        let path = words(&call.funcname);
        let shown = path.join(".");
        let (schema, name) = match path.as_slice() {
            [name] => (None, *name),
            [.., schema, name] => (Some(*schema), *name),
            [] => (None, ""),
        };
        let fits = |function: &&Function| match &function.definition {
            Some(definition) => {
                let inputs: Vec<_> = definition.inputs().collect();
                let needed = inputs.iter().filter(|parameter| parameter.default.is_none()).count();
                (needed..=inputs.len()).contains(&call.args.len())
            }
            None => true,
        };
        let mut found = self.catalog().functions_named(schema, name).filter(fits);
        let refused = || Problem::unsupported(format!("the function {shown}(), which the database defines itself,"));
        let (Some(function), None) = (found.next(), found.next()) else { return Err(refused()) };
        let query = function.definition.as_ref().and_then(|definition| definition.query.as_deref());
        match query {
            Some(NodeEnum::SelectStmt(select)) => Ok((function.clone(), (**select).clone())),
            _ => Err(refused()),
        }
    }

    fn own_arguments(
        &mut self,
        function: &Function,
        definition: &Definition,
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<Vec<Typed>> {
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let volatile = self.remarks.volatile.len();
        let mut arguments = Vec::new();
        for (at, parameter) in definition.inputs().enumerate() {
            if parameter.is_variadic || call.func_variadic {
                return Err(refused("which takes any number of arguments"));
            }
            let value = match (call.args.get(at), &parameter.default) {
                (Some(node), _) if matches!(node.node, Some(NodeEnum::NamedArgExpr(_))) => {
                    return Err(refused("called with names"));
                }
                (Some(node), _) => self.expression(node, site)?,
                (None, Some(default)) => {
                    let scope = Scope::default();
                    self.expression(default, Site::new(&scope, "DEFAULT"))?
                }
                (None, None) => return Err(refused("called with too few arguments")),
            };
            let value = match value.ty == parameter.ty {
                true => value,
                false => convert(value, &parameter.ty, Context::Implicit, None, self.catalog())
                    .map_err(|_| refused("called with arguments of other types"))?,
            };
            arguments.push(value);
        }
        if self.remarks.volatile.len() > volatile {
            return Err(refused("called with a value that is new at every call"));
        }
        Ok(arguments)
    }

    /// The function's query over its arguments.
    fn own_query(
        &mut self,
        function: &Function,
        definition: &Definition,
        select: &SelectStmt,
        arguments: Vec<Typed>,
    ) -> Outcome<Query> {
        if self.view_depth >= DEPTH {
            return Err(Problem::unsupported(format!("the function {}(), nested too deeply,", function.name)));
        }
        let (mut names, mut positional) = (Vec::new(), Vec::new());
        for ((number, parameter), argument) in (1..).zip(definition.inputs()).zip(arguments) {
            let value = Value::of(Typed { ty: parameter.ty.clone(), ..argument });
            positional.push((number, value.clone()));
            names.push(Named { name: parameter.name.clone(), variable: Variable::Scalar(value), not_null: false });
        }
        let conflict = if function.language == "sql" { NameConflict::Column } else { NameConflict::Error };
        let variables =
            Variables { levels: vec![Level { label: Some(function.name.clone()), names }], conflict, positional };
        let outer = self.variables.replace(Rc::new(variables));
        let named = std::mem::take(&mut self.named);
        let reads = std::mem::take(&mut self.remarks.reads);
        self.view_depth += 1;
        let query = self.query_in_order(select, None, true);
        self.view_depth -= 1;
        self.named = named;
        self.variables = outer;
        let inner = std::mem::replace(&mut self.remarks.reads, reads);
        if definition.is_volatile {
            self.volatile_reads.extend(inner.keys().copied());
        }
        for (table, columns) in inner {
            self.remarks.reads.entry(table).or_default().extend(columns);
        }
        let query = query?;
        match query.outputs.iter().any(|output| output.ty == Type::Record) {
            true => Err(Problem::unsupported(format!("the function {}(), which gives a record,", function.name))),
            false => Ok(query),
        }
    }
}
