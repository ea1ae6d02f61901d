//! Execution: a plan becomes rows in the physical tables, and figures in the statement's report.
//!
//! Input: plans over the [`Store`]. Output: a filled [`StatementReport`] and the rows touched, for verification. Every write goes
//! the same way: what the plan wants is *staged* in temporary tables first, on the state before; the figures compare stage and
//! table; only then is the stage applied. So a data-modifying WITH and its main statement see the same rows, as on the server.
//! Left out: constraints ([`super::verification`]).

mod cascade;
mod conflict;
mod delete;
mod figures;
mod insert;
mod query;
mod steps;
mod update;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{Halt, Ran};
use super::report::StatementReport;
use super::store::{Store, columns_of};
use super::verification::Side;
use crate::catalog::{AttNum, Catalog, Oid, Problem};
use crate::render::count;
use crate::translate::{
    InsertPlan, NUMBERS_OF_SEQUENCE, Remarks, Returning, Settings, Step, Tie, Translator, UpdatePlan, WritePlan,
    table_name,
};

pub(super) use figures::describe_row;
pub(super) use query::Selected;
pub(super) use walk::Walk;

/// Rows a recursive query may make.
pub const DEFAULT_ROW_BUDGET: u64 = 50_000_000;

/// One statement under way.
pub(super) struct Run<'a, 's> {
    /// The rows.
    pub(super) store: &'a mut Store<'s>,
    /// The schema as the statement sees it.
    pub(super) catalog: &'a Catalog,
    /// What expressions depend on beside it.
    pub(super) settings: &'a Settings,
    /// Its number.
    pub(super) statement: usize,
    /// The texts of all later statements, in lower case: what they name is worth remembering.
    pub(super) later: &'a [String],
    /// Sample rows.
    pub(super) samples: usize,
    /// Rows a recursive query may make.
    pub(super) row_budget: u64,
    /// Where the figures go.
    pub(super) report: &'a mut StatementReport,
    /// Temporary tables, dropped at the end.
    pub(super) temporary: Vec<String>,
    /// Rows written, for verification.
    pub(super) touched: Vec<Touched>,
    /// Rows that come in are numbered as they are written down, not by their values.
    pub(super) keeps_order: bool,
    /// Statements that this one runs inside of: their temporary tables are still needed.
    pub(super) level: usize,
    /// Tables with triggers: what referential actions do there is remembered.
    pub(super) watched: BTreeSet<Oid>,
    /// What they did there.
    pub(super) cascaded: Vec<Cascaded>,
    /// The transaction goes on: constraints that are deferred wait for its end.
    pub(super) holds_deferred: bool,
    /// Committed statements are run again.
    pub(super) replaying: bool,
    /// Constraints that wait, each with the side that was written on.
    pub(super) deferred: BTreeMap<Oid, Side>,
    /// Tables with checks that wait; false, where the server may find that none has to.
    pub(super) pending: BTreeMap<Oid, bool>,
}

/// Rows that a referential action has changed or deleted.
#[derive(Debug, Clone)]
pub(super) struct Cascaded {
    /// Their table.
    pub(super) table: Oid,
    /// A temporary table with their `_r`, and the rows as they were: `o<attnum>`.
    pub(super) rows: String,
    /// How many they are.
    pub(super) count: u64,
    /// Columns written; `None` for rows that went.
    pub(super) columns: Option<Vec<AttNum>>,
}

/// Rows that a statement wrote.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    /// Their table.
    pub(super) table: Oid,
    /// A temporary table with their `_r`.
    pub(super) rows: String,
    /// The columns written; `None` for rows that came in.
    pub(super) columns: Option<BTreeSet<AttNum>>,
}

/// A write that is staged and not yet applied.
pub(super) enum Staged {
    /// UPDATE
    Update(update::StagedUpdate),
    /// DELETE
    Delete(delete::StagedDelete),
    /// INSERT
    Insert(insert::StagedInsert),
}

impl Staged {
    /// Its temporary table, and the rows in it.
    pub(super) fn stage(&self) -> (String, u64) {
        match self {
            Staged::Update(update) => (update.stage.clone(), update.rows),
            Staged::Delete(delete) => delete.stage(),
            Staged::Insert(insert) => (insert.stage.clone(), insert.rows),
        }
    }

    /// The table whose rows it changes or deletes, and the temporary table that names them.
    fn changed(&self) -> Option<(Oid, &str)> {
        match self {
            Staged::Update(update) => Some((update.table, &update.stage)),
            Staged::Delete(delete) => Some(delete.changed()),
            Staged::Insert(insert) => insert.update.as_ref().map(|update| (update.table, update.stage.as_str())),
        }
    }

    /// The same for some of its rows; only rows that come in can be parted.
    pub(super) fn piece(&self, stage: String, rows: u64) -> Option<Staged> {
        match self {
            Staged::Insert(insert) if insert.update.is_none() => Some(Staged::Insert(insert::StagedInsert {
                table: insert.table,
                stage,
                rows,
                update: None,
                shown: insert.shown.clone(),
            })),
            _ => None,
        }
    }

    /// Columns that an UPDATE writes.
    pub(super) fn columns(&self) -> Vec<AttNum> {
        match self {
            Staged::Update(update) => update.columns.clone(),
            _ => Vec::new(),
        }
    }
}

impl<'a> Run<'a, '_> {
    /// Reads expressions against the statement's schema.
    pub(super) fn translator(&self) -> Translator<'a> {
        Translator { catalog: self.catalog, settings: self.settings, tie: Tie::Least }
    }

    /// Carries out INSERT, UPDATE or DELETE. `alternative` is the same plan with ties the other way, where the plan has choices.
    pub(super) fn write(&mut self, plan: &WritePlan, alternative: Option<&WritePlan>) -> Ran<()> {
        let staged = self.stage_with(&with_queries(plan))?;
        let main = self.stage(plan, alternative)?;
        if let Some(changed) = main.changed() {
            self.check_apart(&staged, changed)?;
        }
        self.apply_with(staged)?;
        self.apply_one(main, true)
    }

    /// Stages WITH queries that write, and what they return to those after them.
    pub(super) fn stage_with(&mut self, plans: &[&WritePlan]) -> Ran<Vec<Staged>> {
        let mut staged = Vec::new();
        for plan in plans {
            for choice in &remarks(plan).choices {
                self.report.notes.push(format!(
                    "{choice} in a WITH query leaves the choice between equal rows to the server's plan, and what it writes can't be told for certain."
                ));
            }
            let write = self.stage(plan, None)?;
            if let Some(changed) = write.changed() {
                self.check_apart(&staged, changed)?;
            }
            self.keep_returned(plan, &write)?;
            staged.push(write);
        }
        Ok(staged)
    }

    /// Of two writes of one statement to the same row the server carries out one, and doesn't say which.
    fn check_apart(&self, before: &[Staged], (table, stage): (Oid, &str)) -> Ran<()> {
        for (_, other) in before.iter().filter_map(Staged::changed).filter(|(other, _)| *other == table) {
            let common = format!("SELECT count(*) FROM {stage} WHERE _r IN (SELECT _r FROM {other})");
            let rows = self.store.engine.count(&common)?;
            if rows > 0 {
                let name = self.catalog.tables.get(&table).map_or("a table", |table| table.name.as_str());
                return Err(Problem::unsupported(format!(
                    "a statement that writes {} row(s) of {name} twice, of which the server carries out one without saying which,",
                    count(rows)
                ))
                .into());
            }
        }
        Ok(())
    }

    fn keep_returned(&mut self, plan: &WritePlan, staged: &Staged) -> Ran<()> {
        let (WritePlan::Update(UpdatePlan { returning: Some(returning), .. })
        | WritePlan::Insert(InsertPlan { returning: Some(returning), .. })) = plan
        else {
            return Ok(());
        };
        let rows = match staged {
            Staged::Update(update) => self.updated_shape(update)?,
            Staged::Insert(insert) => {
                let fresh = self.in_table_shape(insert.table, &insert.stage);
                match &insert.update {
                    Some(update) => {
                        format!(
                            "(SELECT * FROM {fresh} UNION ALL BY NAME SELECT * FROM {})",
                            self.updated_shape(update)?
                        )
                    }
                    None => fresh,
                }
            }
            Staged::Delete(_) => return Ok(()),
        };
        let Returning { table, sql, .. } = returning;
        self.temporary.push(table.clone());
        self.store
            .engine
            .run(&format!("CREATE OR REPLACE TEMP TABLE {table} AS {}", sql.replace(Returning::ROWS, &rows)))
    }

    /// Rows as an UPDATE leaves them, under the table's own column names.
    fn updated_shape(&mut self, update: &update::StagedUpdate) -> Ran<String> {
        self.store.ensure_all(self.catalog, update.table)?;
        let columns: String = columns_of(self.catalog, update.table)
            .iter()
            .map(|c| match update.columns.contains(&c.attnum) {
                true => format!(", n.n{0} AS c{0}", c.attnum),
                false => format!(", o.c{0} AS c{0}", c.attnum),
            })
            .collect();
        Ok(format!(
            "(SELECT n._r{columns} FROM {} AS n JOIN {} AS o ON o._r = n._r)",
            update.stage,
            table_name(update.table)
        ))
    }

    fn apply_one(&mut self, write: Staged, main: bool) -> Ran<()> {
        match write {
            Staged::Update(update) => self.apply_update(update, main),
            Staged::Delete(delete) => self.apply_delete(&delete, main),
            Staged::Insert(insert) => self.apply_insert(insert, main),
        }
    }

    /// Stages a write by itself; [`Run::apply`] carries it out.
    pub(super) fn stage_main(&mut self, plan: &WritePlan, alternative: Option<&WritePlan>) -> Ran<Staged> {
        self.stage(plan, alternative)
    }

    /// Stages the rows that an INSERT proposes; [`Run::resolve_proposed`] holds them against what is there.
    pub(super) fn stage_proposed(&mut self, plan: &InsertPlan) -> Ran<Staged> {
        self.compute(&plan.remarks)?;
        self.note(&plan.remarks, plan.is_listed);
        Ok(Staged::Insert(self.stage_rows_to_insert(plan, None)?))
    }

    /// What ON CONFLICT makes of the rows that are proposed.
    pub(super) fn resolve_proposed(&mut self, plan: &InsertPlan, staged: Staged) -> Ran<Staged> {
        match (staged, &plan.conflict) {
            (Staged::Insert(mut insert), Some(conflict)) => {
                self.resolve_conflicts(plan, conflict, &mut insert)?;
                Ok(Staged::Insert(insert))
            }
            (staged, _) => Ok(staged),
        }
    }

    /// Carries out what WITH queries have staged.
    pub(super) fn apply_with(&mut self, staged: Vec<Staged>) -> Ran<()> {
        staged.into_iter().try_for_each(|write| self.apply_one(write, false))
    }

    /// Carries out what was staged.
    pub(super) fn apply(&mut self, staged: Staged) -> Ran<()> {
        self.apply_one(staged, true)
    }

    /// The same write with other rows.
    pub(super) fn restaged(&mut self, staged: Staged, stage: String, rows: u64, columns: Vec<AttNum>) -> Ran<Staged> {
        Ok(match staged {
            Staged::Update(update) => Staged::Update(self.finish_update(update.table, stage, rows, columns)?),
            Staged::Delete(delete) => Staged::Delete(delete.with(stage, rows)),
            Staged::Insert(insert) => Staged::Insert(insert::StagedInsert { stage, rows, ..insert }),
        })
    }

    /// Computes values that need no row, for the errors they may end in.
    pub(super) fn compute(&mut self, remarks: &Remarks) -> Ran<()> {
        if !remarks.constants.is_empty() {
            self.store.engine.run(&format!("SELECT {}", remarks.constants.join(", ")))?;
        }
        if remarks.doubtful.is_empty() {
            return Ok(());
        }
        if let Some(error) = self.store.engine.error_of(&format!("SELECT {}", remarks.doubtful.join(", "))) {
            self.report.notes.push(format!(
                "The server may compute constants of a query inside this one while it plans, whether or not a row needs them, and may fail with {}: {}.",
                error.sqlstate, error.message
            ));
        }
        Ok(())
    }

    fn stage(&mut self, plan: &WritePlan, alternative: Option<&WritePlan>) -> Ran<Staged> {
        self.compute(remarks(plan))?;
        self.note(remarks(plan), matches!(plan, WritePlan::Insert(plan) if plan.is_listed));
        self.stage_as(plan, alternative).map_err(|halt| self.doubt_order(halt, remarks(plan)))
    }

    /// Which rows of a join the server computes a value for is its plan's choice: an error may be one that it doesn't meet.
    fn doubt_order(&mut self, halt: Halt, remarks: &Remarks) -> Halt {
        if let Halt::Problem(Problem::Rejected(error)) = &halt
            && error.sqlstate.starts_with("22")
            && remarks.reads.len() > 1
        {
            self.report.notes.push(
                "The server may compute the parts of this query in another order, and not for the row that fails here."
                    .to_owned(),
            );
        }
        halt
    }

    fn stage_as(&mut self, plan: &WritePlan, alternative: Option<&WritePlan>) -> Ran<Staged> {
        Ok(match (plan, alternative) {
            (WritePlan::Update(plan), Some(WritePlan::Update(other))) => {
                Staged::Update(self.stage_update(plan, Some(other))?)
            }
            (WritePlan::Update(plan), _) => Staged::Update(self.stage_update(plan, None)?),
            (WritePlan::Delete(plan), Some(WritePlan::Delete(other))) => {
                Staged::Delete(self.stage_delete(plan, Some(other))?)
            }
            (WritePlan::Delete(plan), _) => Staged::Delete(self.stage_delete(plan, None)?),
            (WritePlan::Insert(plan), Some(WritePlan::Insert(other))) => {
                Staged::Insert(self.stage_insert(plan, Some(other))?)
            }
            (WritePlan::Insert(plan), _) => Staged::Insert(self.stage_insert(plan, None)?),
        })
    }

    /// Everything a plan reads is loaded.
    fn load(&mut self, remarks: &Remarks) -> Ran<()> {
        for (&table, columns) in &remarks.reads {
            self.store.ensure(table, columns.iter().copied())?;
        }
        Ok(())
    }

    fn note(&mut self, remarks: &Remarks, is_listed: bool) {
        let mut notes = remarks.caveats.clone();
        for volatile in &remarks.volatile {
            notes.push(match volatile.as_str() {
                // Rows that are given get them in their order, from where the history itself has left the sequence.
                NUMBERS_OF_SEQUENCE if is_listed && !self.catalog.partial => continue,
                NUMBERS_OF_SEQUENCE if !self.catalog.partial => {
                    "Rows get numbers of a sequence in the order in which the server finds them: which row gets which is an example."
                        .to_owned()
                }
                NUMBERS_OF_SEQUENCE => {
                    "Numbers of a sequence go on from where it stands at the time of the run: the ones shown are examples."
                        .to_owned()
                }
                other => format!("{other} gives new values at every run: the ones shown are examples."),
            });
        }
        for note in notes {
            if !self.report.notes.contains(&note) {
                self.report.notes.push(note);
            }
        }
    }

    /// A fresh name for a temporary table, which will be dropped at the end.
    pub(super) fn temporary(&mut self) -> String {
        let name = format!("g{}_{}", self.level, self.temporary.len() + 1);
        self.temporary.push(name.clone());
        name
    }

    /// Makes a temporary table of a query; returns its name and rows.
    pub(super) fn keep(&mut self, sql: &str) -> Ran<(String, u64)> {
        let name = self.temporary();
        self.store.engine.run(&format!("CREATE OR REPLACE TEMP TABLE {name} AS {sql}"))?;
        let rows = self.store.engine.count(&format!("SELECT count(*) FROM {name}"))?;
        Ok((name, rows))
    }

    /// Runs a plan's steps and then its query into a temporary table. The steps' own tables stay: what a WITH query returns is
    /// read by the statement around it.
    fn stage_query(&mut self, plan_steps: &[Step], sql: &str) -> Ran<(String, u64)> {
        let made = self.run_steps(plan_steps)?;
        self.temporary.extend(made);
        self.keep(sql)
    }

    /// As [`Run::stage_query`], with what the plan reads loaded and its remarks noted.
    pub(super) fn stage_plan(&mut self, remarks: &Remarks, steps: &[Step], sql: &str) -> Ran<(String, u64)> {
        self.load(remarks)?;
        self.note(remarks, false);
        self.stage_query(steps, sql)
    }

    /// Drops what was temporary.
    pub(super) fn tidy(&mut self) -> Ran<()> {
        for table in std::mem::take(&mut self.temporary) {
            self.store.engine.run(&format!("DROP TABLE IF EXISTS temp.{table}"))?;
        }
        Ok(())
    }
}

/// What a plan found out.
pub(super) fn remarks(plan: &WritePlan) -> &Remarks {
    match plan {
        WritePlan::Update(plan) => &plan.remarks,
        WritePlan::Delete(plan) => &plan.remarks,
        WritePlan::Insert(plan) => &plan.remarks,
    }
}

/// The table a plan writes.
pub(super) fn table_of(plan: &WritePlan) -> Oid {
    match plan {
        WritePlan::Update(plan) => plan.table,
        WritePlan::Delete(plan) => plan.table,
        WritePlan::Insert(plan) => plan.table,
    }
}

/// WITH queries that write, those inside them first.
pub(super) fn with_queries(plan: &WritePlan) -> Vec<&WritePlan> {
    flattened(match plan {
        WritePlan::Update(plan) => &plan.writes,
        WritePlan::Delete(plan) => &plan.writes,
        WritePlan::Insert(plan) => &plan.writes,
    })
}

/// Writes and those inside them, which come first.
pub(super) fn flattened(writes: &[WritePlan]) -> Vec<&WritePlan> {
    writes.iter().flat_map(|write| with_queries(write).into_iter().chain([write])).collect()
}

/// `row(n1, n2)` over a stage's columns.
fn row_of(columns: &[AttNum], alias: &str) -> String {
    let list: Vec<String> = columns.iter().map(|c| format!("{alias}n{c}")).collect();
    format!("row({})", list.join(", "))
}

/// A condition that holds where two stages, `a` and `b`, disagree on a column.
fn differs(columns: &[AttNum]) -> String {
    let list: Vec<String> = columns.iter().map(|c| format!("a.n{c} IS DISTINCT FROM b.n{c}")).collect();
    if list.is_empty() { "false".to_owned() } else { list.join(" OR ") }
}
