//! A write with its triggers, in the server's order.
//!
//! Input: an INSERT, UPDATE or DELETE. Output: its rows written, its triggers run: those before the statement, those before each row on the
//! rows as they are staged, the write with its referential actions, those after each row, those after the statement, and last those of
//! rows that referential actions wrote. Invariant: what a trigger can't be told of is refused only where there is a row for it.

use super::rows::{Olds, Shape};
use super::{DELETE, Event, Fired, INSERT, UPDATE, event, looks_at};
use crate::catalog::{AttNum, Oid, Problem, Type};
use crate::dry_run::engine::Ran;
use crate::dry_run::execution::{self, Cascaded, Staged};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::dry_run::session::Session;
use crate::migration::Statement;
use crate::plpgsql::run::Answer;
use crate::translate::WritePlan;
use pg_query::protobuf::{Node, RangeVar};

/// What RETURNING asks of the rows written.
pub(in crate::dry_run::session) struct Returning<'r> {
    pub relation: &'r RangeVar,
    pub list: &'r [Node],
    pub types: &'r [Type],
}

/// Rows of one table that were written, for the triggers that come after.
struct Written {
    event: Event,
    /// The temporary table with their `_r`.
    stage: String,
    rows: u64,
    olds: Option<Olds>,
}

/// What is carried through a write: temporary tables, and where its figures go.
struct Turn<'t> {
    statement: &'t Statement,
    kept: Vec<String>,
    before: Vec<Fired>,
    after: Vec<Fired>,
}

impl Session<'_> {
    /// Carries out a write whose table has triggers, or whose referential actions reach some.
    pub(super) fn write_in_turn(
        &mut self,
        statement: &Statement,
        returning: Option<&Returning<'_>>,
        report: &mut StatementReport,
    ) -> Ran<(Verdict, Option<Answer>)> {
        if let Some(view) = super::instead::view_written(&statement.node, &self.catalog).cloned() {
            if returning.is_some() {
                return Err(Problem::unsupported("RETURNING of a view that a trigger stands for").into());
            }
            return Ok((self.write_instead(statement, &view, report)?, None));
        }
        let (plan, other) = self.write_plans(&statement.node)?;
        let table = execution::table_of(&plan);
        self.expect_calls_apart(table)?;
        report.table = self.table_name(table);
        let reads: Vec<Oid> = execution::remarks(&plan).reads.keys().copied().collect();
        self.depend_on(reads.into_iter().chain([table]), Some(table), report);
        if !execution::with_queries(&plan).is_empty() {
            return Err(Problem::unsupported("triggers of a statement whose WITH writes").into());
        }
        let main = Event { table, kind: event(&statement.node), columns: written_columns(&plan) };
        let upsert = conflict_columns(&plan).map(|columns| Event { table, kind: UPDATE, columns: Some(columns) });
        let mut turn = Turn { statement, kept: Vec::new(), before: self.fired(&main)?, after: Vec::new() };
        let second = upsert.as_ref().map(|event| self.fired(event)).transpose()?.unwrap_or_default();
        let staged = self.on_rows(report, |run| {
            let staged = match &plan {
                WritePlan::Insert(plan) if plan.conflict.is_some() => run.stage_proposed(plan)?,
                plan => run.stage_main(plan, other.as_ref())?,
            };
            turn.kept = std::mem::take(&mut run.temporary);
            Ok(staged)
        })?;
        for (event, fired) in [(Some(&main), &turn.before.clone()), (upsert.as_ref(), &second)] {
            let Some(event) = event else { continue };
            self.run_once(&of(fired, true, false), event, None, &mut turn.kept, statement, report)?;
        }
        turn.after = turn.before.clone();
        let (staged, pieces) = self.stage_in_turn(staged, &plan, &main, &second, upsert.as_ref(), &mut turn, report)?;
        let mut written = self.remember(&staged, &main, upsert.as_ref(), &second, &mut turn, report)?;
        let watched = self.watched_tables(table);
        let (cascaded, answer) = self.on_rows(report, |run| {
            run.temporary = std::mem::take(&mut turn.kept);
            run.watched = watched;
            run.apply(staged)?;
            run.verify_touched()?;
            let answer = match returning {
                Some(returning) => {
                    let own = run.touched.iter().filter(|touched| touched.table == table).take(if upsert.is_some() {
                        2
                    } else {
                        1
                    });
                    let stages: Vec<String> = own.map(|touched| format!("SELECT _r FROM {}", touched.rows)).collect();
                    let rows = format!("({})", stages.join(" UNION ALL "));
                    let plan =
                        run.translator().returning(returning.relation, returning.list, &rows, returning.types)?;
                    Some(run.answer(&plan, usize::MAX >> 1)?)
                }
                None => None,
            };
            turn.kept = std::mem::take(&mut run.temporary);
            Ok((std::mem::take(&mut run.cascaded), answer))
        })?;
        if let Some((rows, stages)) = pieces {
            if let Some(first) = written.first_mut() {
                first.rows = rows;
                first.stage = self.keep_table(&stages, &mut turn.kept, report)?.0;
            }
            report.rows_affected = Some(rows);
            report.rows_inserted = Some(rows);
        }
        let (parent_rows, cascades) = (written.iter().map(|w| w.rows).sum::<u64>(), !cascaded.is_empty());
        if cascades && parent_rows > 1 {
            self.expect_order_is_open(&turn.after, &cascaded)?;
        }
        self.run_afterwards(written, &turn.after.clone(), &second, &mut turn, report)?;
        for cascade in cascaded {
            self.run_cascaded(cascade, &mut turn, report)?;
        }
        for name in std::mem::take(&mut turn.kept) {
            self.store.engine.run(&format!("DROP TABLE IF EXISTS temp.{name}"))?;
        }
        Ok((Verdict::Executed, answer))
    }

    /// BEFORE triggers of each row, and what ON CONFLICT makes of the rows they leave. A trigger that looks at its own table sees the
    /// rows before its own: such an INSERT goes row by row, and its rows but the last are written already.
    #[allow(clippy::type_complexity, clippy::too_many_arguments, reason = "the parts of one write")]
    fn stage_in_turn(
        &mut self,
        staged: Staged,
        plan: &WritePlan,
        main: &Event,
        second: &[Fired],
        upsert: Option<&Event>,
        turn: &mut Turn<'_>,
        report: &mut StatementReport,
    ) -> Ran<(Staged, Option<(u64, String)>)> {
        let before = of(&turn.before, true, true);
        let (stage, rows) = staged.stage();
        let name = self.table_name(main.table).unwrap_or_default();
        let looking = before.iter().find(|trigger| looks_at(trigger, &name));
        let mut pieces = None;
        let mut staged = match looking {
            Some(trigger) if rows > 1 => {
                let listed = matches!(plan, WritePlan::Insert(plan) if plan.is_listed && plan.conflict.is_none());
                if !listed {
                    return Err(Problem::unsupported(format!(
                        "the trigger {}, which looks at the table it is on before its rows are written,",
                        trigger.name
                    ))
                    .into());
                }
                let sql = format!("SELECT _r FROM {stage} ORDER BY _r");
                let numbers = self.store.engine.rows(&sql, |row| row.get::<_, i64>(0))?;
                let mut stages = Vec::new();
                let mut one = self.piece(&staged, numbers[0], turn, report)?;
                for (at, number) in numbers.iter().enumerate() {
                    one = self.piece(&staged, *number, turn, report)?;
                    one = self.before_rows(one, main, &before, turn, report)?;
                    stages.push(format!("SELECT _r FROM {}", one.stage().0));
                    if at + 1 < numbers.len() {
                        let last = self.piece_of(&one, turn, report)?;
                        self.on_rows(report, |run| {
                            run.temporary = std::mem::take(&mut turn.kept);
                            run.apply(last)?;
                            run.verify_touched()?;
                            turn.kept = std::mem::take(&mut run.temporary);
                            Ok(())
                        })?;
                    }
                }
                let count = stages.len() as u64;
                pieces = Some((count, stages.join(" UNION ALL ")));
                one
            }
            _ => self.before_rows(staged, main, &before, turn, report)?,
        };
        if let WritePlan::Insert(plan) = plan
            && plan.conflict.is_some()
        {
            staged = self.on_rows(report, |run| {
                run.temporary = std::mem::take(&mut turn.kept);
                let staged = run.resolve_proposed(plan, staged)?;
                turn.kept = std::mem::take(&mut run.temporary);
                Ok(staged)
            })?;
        }
        if let (Staged::Insert(insert), Some(event)) = (&mut staged, upsert)
            && let Some(update) = insert.take_update()
        {
            let updated = self.before_rows(Staged::Update(update), event, &of(second, true, true), turn, report)?;
            if let (Staged::Update(update), Staged::Insert(insert)) = (updated, &mut staged) {
                insert.put_update(update);
            }
        }
        Ok((staged, pieces))
    }

    /// One row of what is staged.
    fn piece(
        &mut self,
        staged: &Staged,
        number: i64,
        turn: &mut Turn<'_>,
        report: &mut StatementReport,
    ) -> Ran<Staged> {
        let sql = format!("SELECT * FROM {} WHERE _r = {number}", staged.stage().0);
        let (stage, rows) = self.keep_table(&sql, &mut turn.kept, report)?;
        Ok(staged.piece(stage, rows).ok_or_else(|| Problem::unsupported("a write that goes row by row"))?)
    }

    fn piece_of(&mut self, staged: &Staged, turn: &mut Turn<'_>, report: &mut StatementReport) -> Ran<Staged> {
        let (stage, _) = staged.stage();
        let (stage, rows) = self.keep_table(&format!("SELECT * FROM {stage}"), &mut turn.kept, report)?;
        Ok(staged.piece(stage, rows).ok_or_else(|| Problem::unsupported("a write that goes row by row"))?)
    }

    /// The write as the triggers before each row leave it.
    fn before_rows(
        &mut self,
        staged: Staged,
        event: &Event,
        before: &[Fired],
        turn: &mut Turn<'_>,
        report: &mut StatementReport,
    ) -> Ran<Staged> {
        let (stage, rows) = staged.stage();
        if before.is_empty() || rows == 0 {
            return Ok(staged);
        }
        let shape = Shape {
            stage: &stage,
            columns: event.columns.as_deref(),
            has_new: event.kind != DELETE,
            has_old: event.kind != INSERT,
        };
        let mut work = self.work(event.table, &shape, &mut turn.kept, report)?;
        for trigger in before {
            self.run_before(trigger, &mut work, &mut turn.kept, turn.statement, report)?;
        }
        self.restage(staged, &work, &mut turn.kept, report)
    }

    /// Remembers the rows as they were, for the triggers that run afterwards.
    fn remember(
        &mut self,
        staged: &Staged,
        main: &Event,
        upsert: Option<&Event>,
        second: &[Fired],
        turn: &mut Turn<'_>,
        report: &mut StatementReport,
    ) -> Ran<Vec<Written>> {
        let mut written = Vec::new();
        let mut remember = |session: &mut Self, event: &Event, stage: String, rows: u64, fired: &[Fired]| -> Ran<()> {
            let needed = event.kind != INSERT && fired.iter().any(|f| !f.is_before());
            let olds = match needed {
                true => Some(session.olds(event.table, &stage, &mut turn.kept, report)?),
                false => None,
            };
            written.push(Written { event: event.clone(), stage, rows, olds });
            Ok(())
        };
        let (stage, rows) = staged.stage();
        remember(self, main, stage, rows, &turn.before)?;
        if let (Staged::Insert(insert), Some(event)) = (staged, upsert)
            && let Some((stage, rows)) = insert.updated()
        {
            remember(self, event, stage, rows, second)?;
        }
        if let (Some(event), 1) = (upsert, written.len()) {
            // Its triggers of the statement fire for no row as well.
            written.push(Written { event: event.clone(), stage: written[0].stage.clone(), rows: 0, olds: None });
        }
        Ok(written)
    }

    /// Triggers after each row, then those after the statement.
    fn run_afterwards(
        &mut self,
        written: Vec<Written>,
        after: &[Fired],
        second: &[Fired],
        turn: &mut Turn<'_>,
        report: &mut StatementReport,
    ) -> Ran<()> {
        let mut works = Vec::new();
        for (at, written) in written.into_iter().enumerate() {
            let fired = if at == 0 { after } else { second };
            let wanted = fired.iter().any(|f| !f.is_before() && (f.statement.row || f.has_transitions()));
            let work = match wanted {
                true => Some(self.work_after(
                    &written.event,
                    &written.stage,
                    written.rows,
                    written.olds.as_ref(),
                    &mut turn.kept,
                    report,
                )?),
                false => None,
            };
            works.push((written.event, work, fired));
        }
        for (_, work, fired) in &works {
            let Some(work) = work else { continue };
            for trigger in &of(fired, false, true) {
                self.run_after(trigger, work, turn.statement, report)?;
            }
        }
        // Of INSERT … ON CONFLICT DO UPDATE the server runs those of UPDATE first.
        for (event, work, fired) in works.iter().rev() {
            self.run_once(&of(fired, false, false), event, work.as_ref(), &mut turn.kept, turn.statement, report)?;
        }
        Ok(())
    }

    /// Triggers of rows that a referential action has written.
    fn run_cascaded(&mut self, cascade: Cascaded, turn: &mut Turn<'_>, report: &mut StatementReport) -> Ran<()> {
        let kind = if cascade.columns.is_some() { UPDATE } else { DELETE };
        let event = Event { table: cascade.table, kind, columns: cascade.columns };
        let fired = self.fired(&event)?;
        if let Some(trigger) = fired.iter().find(|f| f.is_before() && (cascade.count > 0 || !f.statement.row)) {
            let what = format!("the trigger {}, fired before a referential action,", trigger.name);
            return Err(Problem::unsupported(what).into());
        }
        let olds = Some(Olds { name: cascade.rows.clone() });
        let written = Written { event, stage: cascade.rows, rows: cascade.count, olds };
        self.run_afterwards(vec![written], &fired, &[], turn, report)
    }

    /// The server runs the triggers of one deleted row before it looks for those that refer to the next: where a trigger looks at such
    /// a table, that can be told from outside.
    fn expect_order_is_open(&self, after: &[Fired], cascaded: &[Cascaded]) -> Ran<()> {
        for cascade in cascaded {
            let name = self.table_name(cascade.table).unwrap_or_default();
            if let Some(trigger) = after.iter().find(|f| !f.is_before() && f.statement.row && looks_at(f, &name)) {
                return Err(Problem::unsupported(format!(
                    "the trigger {}, which looks at {name} while a referential action empties it row by row,",
                    trigger.name
                ))
                .into());
            }
        }
        Ok(())
    }
}

/// Triggers of one timing and level, in their order.
fn of(fired: &[Fired], before: bool, row: bool) -> Vec<Fired> {
    fired.iter().filter(|f| f.is_before() == before && f.statement.row == row).cloned().collect()
}

fn written_columns(plan: &WritePlan) -> Option<Vec<AttNum>> {
    match plan {
        WritePlan::Update(plan) => Some(plan.columns.clone()),
        _ => None,
    }
}

/// Columns that ON CONFLICT DO UPDATE writes.
fn conflict_columns(plan: &WritePlan) -> Option<Vec<AttNum>> {
    let WritePlan::Insert(plan) = plan else { return None };
    let update = plan.conflict.as_ref()?.update.as_ref()?;
    Some(update.columns.clone())
}
