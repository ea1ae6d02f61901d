//! Functions of the database's own: those that are nothing but a query are read in place of their call, others are looked up.
//!
//! Input: a call, and the query that its function gives. Output: the same query over the call's arguments. Invariants: parameters stand
//! for the arguments' values, and a column of the query's own hides them as on the server; what is new at every call isn't read in
//! place.

mod called;
mod choice;

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, SelectStmt};

use crate::catalog::{Catalog, Definition, Function, Gives, Outcome, Problem, Type, tree};
use crate::translate::cast::{Context, convert};
use crate::translate::expression::Site;
use crate::translate::query::Query;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, physical};
use crate::translate::variables::{Level, NameConflict, Named, Value, Variable, Variables};

/// Calls within calls.
const DEPTH: usize = 16;

/// The query that a function is, where it is nothing else.
fn query_of(function: &Function, catalog: &Catalog) -> Option<SelectStmt> {
    let definition = function.definition.as_ref()?;
    // In other schemas than the caller's its names may mean something else.
    if definition.search_path.as_ref().is_some_and(|path| *path != catalog.search_path)
        && definition.body.as_deref().is_none_or(|body| has_bare_name(body, catalog))
    {
        return None;
    }
    match definition.query.as_deref()? {
        NodeEnum::SelectStmt(select) => Some((**select).clone()),
        _ => None,
    }
}

impl Reader<'_> {
    /// A call of a function of the database's own, as a value: in place where it is nothing but a query, else looked up.
    pub(in crate::translate) fn own_function(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let chosen = self.chosen_function(call, site)?;
        let call = &chosen.call;
        // The server looks into functions in SQL, and takes others at their word.
        let is_immutable = chosen.function.definition.as_ref().is_some_and(|definition| definition.is_immutable);
        self.is_mutable |= chosen.function.language != "sql" && !is_immutable;
        if self.settings().trusts_functions {
            return self.trusted_value(&chosen.function, call, site);
        }
        let Some(select) = query_of(&chosen.function, self.catalog()) else {
            return self.called_value(&chosen, call, site);
        };
        let (remarks, steps) = (self.remarks.clone(), self.steps.len());
        let inlined = self.inlined_value(&chosen.function, &select, call, site);
        // A query in place may be computed once for all rows: what is new at every call isn't.
        let is_new = self.remarks.new_at_every_call() > remarks.new_at_every_call();
        match inlined {
            Ok(value) if !is_new => Ok(value),
            // A body in another language is read when it is called, if it ever is.
            Err(problem @ Problem::Rejected(_)) if chosen.function.language == "sql" => Err(problem),
            inlined => {
                self.remarks = remarks;
                self.steps.truncate(steps);
                match self.called_value(&chosen, call, site) {
                    Err(Problem::Unsupported(_)) if self.settings().calls == 0 => inlined,
                    called => called,
                }
            }
        }
    }

    /// A value of the function's type, whatever its body says.
    fn trusted_value(&mut self, function: &Function, call: &FuncCall, site: Site<'_>) -> Outcome<Typed> {
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let Some(definition) = function.definition.clone() else { return Err(refused("which isn't known")) };
        let Gives::Value(ty) = &definition.gives else { return Err(refused("which gives no value")) };
        self.own_arguments(function, &definition, call, site)?;
        self.is_mutable |= !definition.is_immutable;
        Ok(Typed::new(format!("CAST(NULL AS {})", physical(ty)), ty.clone()))
    }

    fn inlined_value(
        &mut self,
        function: &Function,
        select: &SelectStmt,
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let Some(definition) = function.definition.clone() else { return Err(refused("which isn't known")) };
        let Gives::Value(ty) = &definition.gives else { return Err(refused("which gives no value")) };
        if definition.is_set || call.over.is_some() || call.agg_filter.is_some() {
            return Err(refused("called in this place"));
        }
        let arguments = self.own_arguments(function, &definition, call, site)?;
        let nulls: Vec<String> = arguments.iter().map(|argument| format!("{} IS NULL", argument.sql)).collect();
        let asks = !select.from_clause.is_empty() || has_query(select);
        let (arguments, given) = if asks { self.apart(arguments) } else { (arguments, String::new()) };
        let query = self.own_query(function, &definition, select, arguments)?;
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
        let sql = format!("(SELECT CAST({} AS {}) FROM {given}({}) AS q{one})", value.sql, physical(ty), query.sql);
        Ok(Typed::new(
            match definition.is_strict && !nulls.is_empty() {
                true => format!("CASE WHEN {} THEN NULL ELSE {sql} END", nulls.join(" OR ")),
                false => sql,
            },
            ty.clone(),
        ))
    }

    /// Arguments under names that no table of the function's has: a bare column of the row that is judged would be one of theirs.
    fn apart(&mut self, arguments: Vec<Typed>) -> (Vec<Typed>, String) {
        if !arguments.iter().any(|argument| has_bare_column(&argument.sql)) {
            return (arguments, String::new());
        }
        let alias = format!("g{}", self.number());
        let list: Vec<String> =
            (1..).zip(&arguments).map(|(n, argument)| format!("{} AS a{n}", argument.sql)).collect();
        let named =
            (1..).zip(arguments).map(|(n, argument)| Typed::new(format!("{alias}.a{n}"), argument.ty)).collect();
        (named, format!("(SELECT {}) AS {alias}, LATERAL ", list.join(", ")))
    }

    /// A call in FROM: the query with the function's own column names.
    pub(in crate::translate) fn own_rows(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<(Query, bool)> {
        let chosen = self.chosen_function(call, site)?;
        let call = &chosen.call;
        let is_plain = |definition: &Definition| definition.is_set && !definition.is_strict;
        let select = query_of(&chosen.function, self.catalog())
            .filter(|_| chosen.function.definition.as_deref().is_some_and(is_plain));
        let Some(select) = select else { return self.called_rows(&chosen, call, site) };
        let (remarks, steps) = (self.remarks.clone(), self.steps.len());
        match self.inlined_rows(&chosen.function, &select, call, site) {
            Err(Problem::Unsupported(unsupported)) => {
                self.remarks = remarks;
                self.steps.truncate(steps);
                match self.called_rows(&chosen, call, site) {
                    Err(Problem::Unsupported(_)) if self.settings().calls == 0 => {
                        Err(Problem::Unsupported(unsupported))
                    }
                    called => called,
                }
            }
            inlined => inlined,
        }
    }

    fn inlined_rows(
        &mut self,
        function: &Function,
        select: &SelectStmt,
        call: &FuncCall,
        site: Site<'_>,
    ) -> Outcome<(Query, bool)> {
        let refused = |what: &str| Problem::unsupported(format!("the function {}(), {what},", function.name));
        let Some(definition) = function.definition.clone() else { return Err(refused("which isn't known")) };
        let (columns, is_value) = match &definition.gives {
            Gives::Value(ty) => (vec![(function.name.clone(), ty.clone())], true),
            Gives::Row(columns) => (columns.clone(), false),
            _ => return Err(refused("whose columns aren't known")),
        };
        let arguments = self.own_arguments(function, &definition, call, site)?;
        let mut query = self.own_query(function, &definition, select, arguments)?;
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
        let is_mutable = self.is_mutable;
        self.view_depth += 1;
        let query = self.query_in_order(select, None, true);
        self.view_depth -= 1;
        if function.language != "sql" {
            self.is_mutable = is_mutable;
        }
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

/// Does a body name, without a schema, what a schema of the user's has?
fn has_bare_name(body: &str, catalog: &Catalog) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let known = |word: &str| {
        catalog.tables.values().any(|table| table.name == word)
            || catalog.views.values().any(|view| view.name == word)
            || catalog.sequences.values().any(|sequence| sequence.name == word)
            || catalog.enums.values().any(|ty| ty.name == word)
            || catalog.domains.values().any(|ty| ty.name == word)
            || catalog.composites.values().any(|ty| ty.name == word)
            || catalog.functions.iter().any(|function| function.name == word)
    };
    let mut at = 0;
    while let Some(start) = body[at..].find(is_part).map(|found| at + found) {
        let end = body[start..].find(|c: char| !is_part(c)).map_or(body.len(), |found| start + found);
        let before = body[..start].trim_end_matches('"').chars().next_back();
        let word = &body[start..end];
        if before != Some('.') && (known(word) || known(&word.to_lowercase())) {
            return true;
        }
        at = end;
    }
    false
}

/// Does a query hold another?
fn has_query(select: &SelectStmt) -> bool {
    let mut found = false;
    let node = pg_query::protobuf::Node { node: Some(NodeEnum::SelectStmt(Box::new(select.clone()))) };
    tree::walk(&node, &mut |node| found |= matches!(node, NodeEnum::SubLink(_)));
    found
}

/// Does SQL name a column of the row that is judged, `c<attnum>` without a source before it?
fn has_bare_column(sql: &str) -> bool {
    let mut before = ' ';
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        if c == '\'' || c == '"' {
            let end = rest[1..].find(c).map_or(rest.len(), |end| end + 2);
            rest = &rest[end..];
            before = c;
            continue;
        }
        if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let digits = rest[..end].strip_prefix('c').unwrap_or_default();
            if before != '.' && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
                return true;
            }
            before = 'x';
            rest = &rest[end..];
            continue;
        }
        before = c;
        rest = &rest[c.len_utf8()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_columns_are_told_from_others() {
        let check = |sql: &str, expected: bool| assert_eq!(has_bare_column(sql), expected, "{sql}");
        check("c1", true);
        check("lower(c12)", true);
        check("s1.c1", false);
        check("'c1'", false);
        check("abc1 + count(s.c2) || \"c1\"", false);
        check("CAST(c3 AS VARCHAR)", true);
    }
}
