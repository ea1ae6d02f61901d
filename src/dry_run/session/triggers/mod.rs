//! Triggers: what a write does on a table that has some.
//!
//! Input: an INSERT, UPDATE or DELETE. Output: the same with its triggers run in the server's order: BEFORE on the rows as they are
//! staged, the write, its constraints, AFTER on the rows that were written. Invariants: triggers of one kind run by name; a trigger
//! whose function isn't within reach makes the whole statement one that can't be told. Left out: triggers before referential
//! actions.

mod deferred;
mod instead;
mod rows;
mod simple;
mod stages;
mod transitions;
mod turn;

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateTrigStmt, DropBehavior};

use super::Session;
use crate::catalog::{
    Action, AttNum, Catalog, ConstraintKind, Definition, Function, Gives, Oid, Outcome, Problem, Type, tree,
};
use crate::dry_run::engine::Ran;
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::Statement;
use crate::plpgsql::run::{Answer, is_interpreted};
use crate::translate::{Named, Value, Variable};
pub(super) use deferred::Waiting;
use rows::Work;
pub(super) use turn::Returning;

const BEFORE: i32 = 1 << 1;
const INSERT: i32 = 1 << 2;
const DELETE: i32 = 1 << 3;
const UPDATE: i32 = 1 << 4;
const TRUNCATE: i32 = 1 << 5;
const INSTEAD: i32 = 1 << 6;

/// Statements within statements.
const DEPTH: usize = 8;

/// A trigger that fires.
#[derive(Clone)]
struct Fired {
    name: String,
    statement: std::sync::Arc<CreateTrigStmt>,
    /// Its function, where that is known.
    function: Option<Function>,
}

/// Something that triggers fire on.
#[derive(Clone)]
struct Event {
    table: Oid,
    kind: i32,
    /// Columns that an UPDATE writes.
    columns: Option<Vec<AttNum>>,
}

impl Fired {
    fn has_transitions(&self) -> bool {
        !self.statement.transition_rels.is_empty()
    }

    /// What it runs, with the trigger's own arguments in place.
    fn function(&self) -> Outcome<Function> {
        let refused = |what: &str| Problem::unsupported(format!("the trigger {}, {what},", self.name));
        let known = self.function.clone().or_else(|| self.function_of_extension());
        let mut function = known.ok_or_else(|| refused("whose function isn't known"))?;
        if let Some(definition) = &mut function.definition
            && let Some(body) = &definition.body
            && body.to_lowercase().contains("tg_argv")
        {
            let arguments = tree::strings(&self.statement.args);
            let body = with_arguments(body, &arguments).ok_or_else(|| refused("whose arguments are counted"))?;
            std::sync::Arc::make_mut(definition).body = Some(body);
        }
        Ok(function)
    }

    /// `moddatetime(column)`, which says when a row was updated.
    fn function_of_extension(&self) -> Option<Function> {
        let (names, arguments) = (tree::strings(&self.statement.funcname), tree::strings(&self.statement.args));
        let (Some("moddatetime"), [column]) = (names.last().map(String::as_str), arguments.as_slice()) else {
            return None;
        };
        let column = crate::query::quote_identifier(column);
        Some(Function {
            oid: 0,
            schema: "public".to_owned(),
            name: "moddatetime".to_owned(),
            language: "plpgsql".to_owned(),
            definition: Some(std::sync::Arc::new(Definition {
                parameters: Vec::new(),
                gives: Gives::Trigger,
                row_of: None,
                is_set: false,
                is_procedure: false,
                is_strict: false,
                is_volatile: true,
                is_immutable: false,
                search_path: None,
                body: Some(format!("BEGIN NEW.{column} := now(); RETURN NEW; END")),
                query: None,
            })),
        })
    }

    fn is_before(&self) -> bool {
        self.statement.timing & BEFORE != 0
    }
}

fn event(node: &NodeEnum) -> i32 {
    match node {
        NodeEnum::InsertStmt(_) => INSERT,
        NodeEnum::DeleteStmt(_) => DELETE,
        _ => UPDATE,
    }
}

/// Does a write meet triggers, on its table or on those that its referential actions reach?
pub(super) fn meets_triggers(node: &NodeEnum, catalog: &Catalog) -> bool {
    if catalog.triggers.is_empty() {
        return false;
    }
    if instead::view_written(node, catalog).is_some() {
        return true;
    }
    let Some(table) = target_of(node, catalog) else { return false };
    let fires = |trigger: &crate::catalog::Trigger| trigger.enabled;
    let updates = matches!(node, NodeEnum::InsertStmt(insert) if insert.on_conflict_clause.is_some());
    let events = event(node) | if updates { UPDATE } else { 0 };
    let own = catalog.triggers.iter().any(|t| t.table == table && fires(t) && t.statement.events & events != 0);
    let reached = reached(catalog, table);
    own || (!matches!(node, NodeEnum::InsertStmt(_))
        && catalog.triggers.iter().any(|t| t.table != table && fires(t) && reached.contains(&t.table)))
}

/// The tables of a TRUNCATE, if one of them has a trigger for it.
pub(super) fn truncated(node: &NodeEnum, catalog: &Catalog) -> Vec<Oid> {
    let NodeEnum::TruncateStmt(truncate) = node else { return Vec::new() };
    let mut tables = Vec::new();
    for relation in &truncate.relations {
        let Some(NodeEnum::RangeVar(relation)) = &relation.node else { continue };
        let schema = crate::catalog::lookup::schema_of(relation);
        tables.extend(catalog.table(schema, &relation.relname).map(|table| table.oid));
    }
    let mut at = 0;
    while let Some(&parent) = tables.get(at).filter(|_| truncate.behavior == DropBehavior::DropCascade as i32) {
        at += 1;
        for constraint in catalog.foreign_keys_to(parent) {
            if !tables.contains(&constraint.table) {
                tables.push(constraint.table);
            }
        }
    }
    let fires =
        |t: &crate::catalog::Trigger| tables.contains(&t.table) && t.enabled && t.statement.events & TRUNCATE != 0;
    if catalog.triggers.iter().any(fires) { tables } else { Vec::new() }
}

/// Does a write fire triggers before each of its rows?
pub(super) fn fires_before_rows(node: &NodeEnum, catalog: &Catalog) -> bool {
    let table = target_of(node, catalog);
    let fires = |t: &crate::catalog::Trigger| {
        Some(t.table) == table
            && t.enabled
            && t.statement.row
            && t.statement.timing & BEFORE != 0
            && t.statement.events & event(node) != 0
    };
    catalog.triggers.iter().any(fires)
}

/// The table that a write names.
fn target_of(node: &NodeEnum, catalog: &Catalog) -> Option<Oid> {
    let relation = tree::relation_written(node)?;
    catalog.table(crate::catalog::lookup::schema_of(relation), &relation.relname).map(|table| table.oid)
}

/// Tables that the referential actions of a table write.
fn reached(catalog: &Catalog, table: Oid) -> Vec<Oid> {
    let mut found = vec![table];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        at += 1;
        for constraint in catalog.foreign_keys_to(parent) {
            let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
            let acts = |action: Action| !matches!(action, Action::NoAction | Action::Restrict);
            if (acts(key.on_delete) || acts(key.on_update)) && !found.contains(&constraint.table) {
                found.push(constraint.table);
            }
        }
    }
    found
}

impl Session<'_> {
    /// Carries out a write whose table has triggers; what it did is undone where it fails.
    pub(super) fn write_with_triggers(
        &mut self,
        statement: &Statement,
        returning: Option<&Returning<'_>>,
        report: &mut StatementReport,
    ) -> Ran<(Verdict, Option<Answer>)> {
        if self.nesting >= DEPTH {
            return Err(Problem::unsupported("triggers that fire each other without end").into());
        }
        let point = self.set_point();
        let variables = self.settings.variables.clone();
        self.bodies += 1;
        let done = self.write_in_turn(statement, returning, report);
        self.bodies -= 1;
        self.settings.variables = variables;
        if done.is_err() {
            self.go_back(&point)?;
        }
        self.release(point)?;
        self.advance_sequences();
        done
    }

    /// The triggers that an event fires, by name.
    fn fired(&self, event: &Event) -> Outcome<Vec<Fired>> {
        let mut fired = Vec::new();
        for trigger in self.catalog.triggers.iter().filter(|t| t.table == event.table && t.enabled) {
            let statement = &trigger.statement;
            if statement.events & event.kind == 0 {
                continue;
            }
            if let (Some(written), false) = (&event.columns, statement.columns.is_empty()) {
                let named = tree::strings(&statement.columns);
                let columns = &self.catalog.tables[&event.table].columns;
                let written = columns.iter().filter(|column| written.contains(&column.attnum));
                if !written.into_iter().any(|column| named.contains(&column.name)) {
                    continue;
                }
            }
            let names = tree::strings(&statement.funcname);
            let (schema, name) = match names.as_slice() {
                [name] => (None, name.as_str()),
                [schema, name] => (Some(schema.as_str()), name.as_str()),
                _ => (None, ""),
            };
            let function = self.catalog.functions_named(schema, name).find(|function| is_interpreted(function));
            fired.push(Fired {
                name: trigger.name.clone(),
                statement: trigger.statement.clone(),
                function: function.filter(|function| function.definition.is_some()).cloned(),
            });
        }
        fired.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(fired)
    }

    /// Tables with triggers that the referential actions of a table reach.
    fn watched_tables(&self, table: Oid) -> BTreeSet<Oid> {
        let reached = reached(&self.catalog, table);
        let fires = |t: &&crate::catalog::Trigger| t.enabled && reached.contains(&t.table);
        self.catalog.triggers.iter().filter(fires).map(|t| t.table).collect()
    }

    /// TRUNCATE of tables with triggers for it.
    pub(super) fn truncate_with_triggers(
        &mut self,
        statement: &Statement,
        tables: &[Oid],
        report: &mut StatementReport,
        truncate: impl FnOnce(&mut Self, &mut StatementReport) -> Ran<Verdict>,
    ) -> Ran<Verdict> {
        let point = self.set_point();
        self.bodies += 1;
        let done = self.truncate_in_turn(statement, tables, report, truncate);
        self.bodies -= 1;
        if done.is_err() {
            self.go_back(&point)?;
        }
        self.release(point)?;
        done
    }

    fn truncate_in_turn(
        &mut self,
        statement: &Statement,
        tables: &[Oid],
        report: &mut StatementReport,
        truncate: impl FnOnce(&mut Self, &mut StatementReport) -> Ran<Verdict>,
    ) -> Ran<Verdict> {
        if self.nesting >= DEPTH {
            return Err(Problem::unsupported("triggers that fire each other without end").into());
        }
        let mut kept = Vec::new();
        let mut verdict = None;
        let mut truncate = Some(truncate);
        for before in [true, false] {
            for table in tables {
                let event = Event { table: *table, kind: TRUNCATE, columns: None };
                let fired: Vec<Fired> =
                    self.fired(&event)?.into_iter().filter(|trigger| trigger.is_before() == before).collect();
                self.run_once(&fired, &event, None, &mut kept, statement, report)?;
            }
            if let Some(truncate) = truncate.take() {
                verdict = Some(truncate(self, report)?);
            }
        }
        Ok(verdict.unwrap_or(Verdict::Executed))
    }

    /// The variables that every trigger function has.
    fn trigger_variables(&self, trigger: &Fired, table: Oid, event: i32) -> Vec<Named> {
        let described = self.catalog.tables.get(&table);
        let (schema, name) = described.map_or(("", ""), |t| (t.schema.as_str(), t.name.as_str()));
        let scalar = |name: &str, value: Value| Named {
            name: name.to_owned(),
            variable: Variable::Scalar(value),
            not_null: false,
        };
        let text = |name: &str, value: &str| scalar(name, Value::text_of(value));
        let op = match event {
            INSERT => "INSERT",
            DELETE => "DELETE",
            TRUNCATE => "TRUNCATE",
            _ => "UPDATE",
        };
        vec![
            text("tg_op", op),
            text("tg_name", &trigger.name),
            text("tg_when", if trigger.is_before() { "BEFORE" } else { "AFTER" }),
            text("tg_level", if trigger.statement.row { "ROW" } else { "STATEMENT" }),
            text("tg_table_name", name),
            text("tg_relname", name),
            text("tg_table_schema", schema),
            scalar("tg_nargs", Value::integer(trigger.statement.args.len() as i64, Type::Int4)),
        ]
    }

    /// Statement-level triggers: no row is at hand.
    fn run_once(
        &mut self,
        triggers: &[Fired],
        event: &Event,
        work: Option<&Work>,
        kept: &mut Vec<String>,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<()> {
        for trigger in triggers {
            let function = trigger.function()?;
            if let Some(when) = trigger.statement.when_clause.as_deref() {
                let answer = self.answer(&rows::query_of(when), &[Type::Bool], 1, report)?;
                if !answer.rows.first().and_then(|row| row.first()).is_some_and(Value::is_true) {
                    continue;
                }
            }
            let mut variables = self.trigger_variables(trigger, event.table, event.kind);
            let columns = columns_of(&self.catalog, event.table);
            for name in ["new", "old"] {
                let variable = rows::absent(columns.iter().map(|(_, name, ty)| (name, ty)));
                variables.push(Named { name: name.to_owned(), variable, not_null: false });
            }
            let empty = match trigger.has_transitions() && work.is_none() {
                true => Some(self.empty_work(event, kept, report)?),
                false => None,
            };
            let transitions = self.make_transitions(trigger, work.or(empty.as_ref()))?;
            self.run_function(&function, vec![variables], statement, report)?;
            self.drop_transitions(transitions)?;
        }
        Ok(())
    }
}

/// A body with the trigger's arguments for `TG_ARGV[0]` and so on; none where it asks for them in another way.
fn with_arguments(body: &str, arguments: &[String]) -> Option<String> {
    let mut text = String::new();
    let mut rest = body;
    while let Some(at) = rest.to_lowercase().find("tg_argv") {
        let behind = rest.get(at + "tg_argv".len()..)?.trim_start().strip_prefix('[')?;
        let (index, after) = behind.split_once(']')?;
        let index: usize = index.trim().parse().ok()?;
        text.push_str(rest.get(..at)?);
        text.push_str(&match arguments.get(index) {
            Some(argument) => format!("({}::text)", crate::query::quote_literal(argument)),
            None => "(NULL::text)".to_owned(),
        });
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

/// Does a trigger's function name a table?
fn looks_at(trigger: &Fired, table: &str) -> bool {
    let body = trigger.function.as_ref().and_then(|f| f.definition.as_ref()).and_then(|d| d.body.as_deref());
    let body = body.unwrap_or_default().to_lowercase();
    let table = table.rsplit('.').next().unwrap_or(table).to_lowercase();
    body.contains("execute") || body.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == table)
}

/// Columns of a table with their types.
fn columns_of(catalog: &Catalog, table: Oid) -> Vec<(AttNum, String, Type)> {
    catalog
        .tables
        .get(&table)
        .map_or_else(Vec::new, |table| table.columns.iter().map(|c| (c.attnum, c.name.clone(), c.ty.clone())).collect())
}

impl Work {
    fn event(&self) -> i32 {
        match (self.has_new, self.has_old) {
            (true, false) => INSERT,
            (false, _) => DELETE,
            _ => UPDATE,
        }
    }
}
