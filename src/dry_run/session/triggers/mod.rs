//! Triggers: what a write does on a table that has some.
//!
//! Input: an INSERT, UPDATE or DELETE. Output: the same with its triggers run in the server's order: BEFORE on the rows as they are
//! staged, the write, its constraints, AFTER on the rows that were written. Invariants: triggers of one kind run by name; a trigger
//! whose function isn't within reach makes the whole statement one that can't be told. Left out: constraint triggers that are deferred,
//! transition tables, triggers fired by referential actions, BEFORE triggers that look at the table they are on.

mod rows;
mod simple;

use pg_query::NodeEnum;
use pg_query::protobuf::CreateTrigStmt;

use super::Session;
use crate::catalog::{Action, AttNum, Catalog, ConstraintKind, Function, Oid, Outcome, Problem, Type, tree};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::{self, Staged};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::Statement;
use crate::plpgsql::run::is_interpreted;
use crate::translate::{Named, Value, Variable, WritePlan};
use rows::Work;

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
    function: Function,
}

impl Fired {
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
    let relation = match node {
        NodeEnum::InsertStmt(insert) => insert.relation.as_ref(),
        NodeEnum::UpdateStmt(update) => update.relation.as_ref(),
        NodeEnum::DeleteStmt(delete) => delete.relation.as_ref(),
        _ => None,
    };
    let Some(relation) = relation else { return false };
    let schema = crate::catalog::lookup::schema_of(relation);
    let Some(table) = catalog.table(schema, &relation.relname).map(|table| table.oid) else { return false };
    let fires = |trigger: &crate::catalog::Trigger| trigger.enabled;
    let own = catalog.triggers.iter().any(|t| t.table == table && fires(t) && t.statement.events & event(node) != 0);
    let reached = reached(catalog, table);
    own || (!matches!(node, NodeEnum::InsertStmt(_))
        && catalog.triggers.iter().any(|t| t.table != table && fires(t) && reached.contains(&t.table)))
}

/// TRUNCATE of a table with a trigger for it isn't run.
pub(super) fn expect_no_truncation(node: &NodeEnum, catalog: &Catalog) -> Outcome<()> {
    let NodeEnum::TruncateStmt(truncate) = node else { return Ok(()) };
    for relation in &truncate.relations {
        let Some(NodeEnum::RangeVar(relation)) = &relation.node else { continue };
        let schema = crate::catalog::lookup::schema_of(relation);
        let Some(table) = catalog.table(schema, &relation.relname) else { continue };
        let fires = |t: &&crate::catalog::Trigger| t.table == table.oid && t.enabled;
        if let Some(trigger) = catalog.triggers.iter().filter(fires).find(|t| t.statement.events & TRUNCATE != 0) {
            return Err(Problem::unsupported(format!("the trigger {}, which fires on TRUNCATE,", trigger.name)));
        }
    }
    Ok(())
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
    pub(super) fn write_with_triggers(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        if self.nesting >= DEPTH {
            return Err(Problem::unsupported("triggers that fire each other without end").into());
        }
        let point = self.set_point();
        let variables = self.settings.variables.clone();
        self.bodies += 1;
        let done = self.write_in_turn(statement, report);
        self.bodies -= 1;
        self.settings.variables = variables;
        if done.is_err() {
            self.go_back(&point)?;
        }
        self.release(point)?;
        self.advance_sequences();
        done
    }

    fn write_in_turn(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let (plan, other) = self.write_plans(&statement.node)?;
        let table = execution::table_of(&plan);
        self.expect_calls_apart(table)?;
        report.table = self.table_name(table);
        let reads: Vec<Oid> = execution::remarks(&plan).reads.keys().copied().collect();
        self.depend_on(reads.into_iter().chain([table]), Some(table), report);
        let fired = self.fired(table, event(&statement.node), &plan)?;
        self.expect_reach(table, &plan, &fired)?;
        let (mut staged, mut kept) = self.on_rows(report, |run| {
            run.level = 0;
            let staged = run.stage_main(&plan, other.as_ref())?;
            Ok((staged, std::mem::take(&mut run.temporary)))
        })?;
        let of = |before: bool, row: bool| {
            fired.iter().filter(move |f| f.is_before() == before && f.statement.row == row).cloned().collect::<Vec<_>>()
        };
        self.run_once(&of(true, false), table, statement, report)?;
        let before_row = of(true, true);
        let after_row = of(false, true);
        let mut work = None;
        if !before_row.is_empty() || !after_row.is_empty() {
            let mut made = self.work(table, &plan, &staged, &mut kept, report)?;
            for trigger in &before_row {
                self.run_before(trigger, &mut made, &mut kept, statement, report)?;
            }
            if !before_row.is_empty() {
                staged = self.restage(staged, &made, &mut kept, report)?;
            }
            work = Some(made);
        }
        let cascaded = report.rows_cascaded.unwrap_or(0);
        kept = self.on_rows(report, |run| {
            run.temporary = kept;
            run.apply(staged)?;
            run.verify_touched()?;
            Ok(std::mem::take(&mut run.temporary))
        })?;
        if report.rows_cascaded.unwrap_or(0) > cascaded {
            let reached = reached(&self.catalog, table);
            if self.catalog.triggers.iter().any(|t| t.enabled && reached.contains(&t.table)) {
                return Err(Problem::unsupported("triggers fired by referential actions").into());
            }
        }
        if let Some(work) = &work {
            for trigger in &after_row {
                self.run_after(trigger, work, statement, report)?;
            }
        }
        self.run_once(&of(false, false), table, statement, report)?;
        for name in kept {
            self.store.engine.run(&format!("DROP TABLE IF EXISTS temp.{name}"))?;
        }
        Ok(Verdict::Executed)
    }

    /// The triggers that a write fires, by name.
    fn fired(&self, table: Oid, event: i32, plan: &WritePlan) -> Outcome<Vec<Fired>> {
        let mut fired = Vec::new();
        for trigger in self.catalog.triggers.iter().filter(|t| t.table == table && t.enabled) {
            let statement = &trigger.statement;
            if statement.events & event == 0 {
                continue;
            }
            if let (WritePlan::Update(plan), false) = (plan, statement.columns.is_empty()) {
                let named = tree::strings(&statement.columns);
                let columns = &self.catalog.tables[&table].columns;
                let written = columns.iter().filter(|column| plan.columns.contains(&column.attnum));
                if !written.into_iter().any(|column| named.contains(&column.name)) {
                    continue;
                }
            }
            let refused = |what: &str| Problem::unsupported(format!("the trigger {}, {what},", trigger.name));
            if statement.timing & INSTEAD != 0 || !statement.transition_rels.is_empty() {
                return Err(refused("which isn't of a form that is run here"));
            }
            if statement.initdeferred {
                return Err(refused("which is deferred"));
            }
            let names = tree::strings(&statement.funcname);
            let (schema, name) = match names.as_slice() {
                [name] => (None, name),
                [schema, name] => (Some(schema.as_str()), name),
                _ => return Err(refused("whose function isn't known")),
            };
            let function = self.catalog.functions_named(schema, name).find(|function| is_interpreted(function));
            let Some(function) = function.filter(|function| function.definition.is_some()) else {
                return Err(refused("whose function isn't known"));
            };
            fired.push(Fired {
                name: trigger.name.clone(),
                statement: trigger.statement.clone(),
                function: function.clone(),
            });
        }
        fired.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(fired)
    }

    /// What isn't run in the server's order is refused before anything happens.
    fn expect_reach(&self, table: Oid, plan: &WritePlan, fired: &[Fired]) -> Outcome<()> {
        if !execution::with_queries(plan).is_empty() {
            return Err(Problem::unsupported("triggers of a statement whose WITH writes"));
        }
        let before_row = |f: &&Fired| f.is_before() && f.statement.row;
        if let WritePlan::Insert(plan) = plan
            && let Some(conflict) = &plan.conflict
            && (conflict.update.is_some() || fired.iter().any(|f| before_row(&f)))
        {
            return Err(Problem::unsupported("ON CONFLICT on a table with triggers"));
        }
        let described = &self.catalog.tables[&table];
        if fired.iter().any(|f| before_row(&f)) && described.columns.iter().any(|c| c.generated.is_some()) {
            return Err(Problem::unsupported("BEFORE triggers on a table with generated columns"));
        }
        for trigger in fired.iter().filter(before_row) {
            let body = trigger.function.definition.as_ref().and_then(|d| d.body.as_deref()).unwrap_or_default();
            let body = body.to_lowercase();
            let mut words = body.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if words.any(|word| word == described.name.to_lowercase()) {
                return Err(Problem::unsupported(format!(
                    "the trigger {}, which looks at the table it is on before its rows are written,",
                    trigger.name
                )));
            }
        }
        Ok(())
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
        table: Oid,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Ran<()> {
        for trigger in triggers {
            if trigger.statement.when_clause.is_some() {
                return Err(Problem::unsupported("a condition of a statement's trigger").into());
            }
            let mut variables = self.trigger_variables(trigger, table, event(&statement.node));
            for name in ["new", "old"] {
                let variable = Variable::Record(None);
                variables.push(Named { name: name.to_owned(), variable, not_null: false });
            }
            self.run_function(&trigger.function, vec![variables], statement, report)?;
        }
        Ok(())
    }
}

/// Columns of a table with their types.
fn columns_of(catalog: &Catalog, table: Oid) -> Vec<(AttNum, String, Type)> {
    catalog
        .tables
        .get(&table)
        .map_or_else(Vec::new, |table| table.columns.iter().map(|c| (c.attnum, c.name.clone(), c.ty.clone())).collect())
}

/// What a write has staged, under the names that a trigger's rows have.
fn has(plan: &WritePlan) -> (bool, bool) {
    match plan {
        WritePlan::Insert(_) => (true, false),
        WritePlan::Update(_) => (true, true),
        WritePlan::Delete(_) => (false, true),
    }
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

/// The stage of a write, for those who put another in its place.
fn stage_of(staged: &Staged) -> (String, u64) {
    staged.stage()
}
