//! Runs of INSERTs of constant rows, carried out together.
//!
//! Input: consecutive statements of one file that insert literal rows into the same columns of one table: what a dump, a seed or a
//! generated migration holds by the hundred thousand. Output: the same rows, reports and state as one after the other. Invariants:
//! they run together only where no row can see another (no trigger, no reference to the table itself, no value that is new at every
//! call); at the least problem nothing has happened, and they go one by one, so that the server's error meets its own statement.

use std::time::Instant;

use anyhow::Result;
use pg_query::NodeEnum;
use pg_query::protobuf::{InsertStmt, Node, SelectStmt};

use super::Session;
use super::run::described;
use super::transaction::Block;
use crate::catalog::{ConstraintKind, Oid};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::{Migration, Statement};
use crate::translate::{InsertPlan, WritePlan};

/// Rows that go together: as many as the engine keeps in the order they are written in.
const MOST_ROWS: usize = 2000;

/// What has become of a batch.
pub(super) enum Batched {
    /// All of it is carried out.
    Done,
    /// Its statements can't go together; nothing is done.
    OneByOne,
    /// One of its statements fails or can't be told; nothing is done.
    Failed,
}

/// How many of these statements can go together, counted from the first; fewer than two is none.
pub(super) fn length(statements: &[Statement]) -> usize {
    let Some((first, rest)) = statements.split_first() else { return 0 };
    let Some((insert, rows)) = constant_rows(first) else { return 0 };
    let mut total = rows.len();
    let alike = rest.iter().take_while(|next| {
        let Some((other, rows)) = constant_rows(next) else { return false };
        total += rows.len();
        total <= MOST_ROWS && next.place.file == first.place.file && same_target(insert, other)
    });
    1 + alike.count()
}

/// An INSERT of literal rows and nothing else, and its rows.
fn constant_rows(statement: &Statement) -> Option<(&InsertStmt, &[Node])> {
    let NodeEnum::InsertStmt(insert) = &statement.node else { return None };
    let NodeEnum::SelectStmt(select) = insert.select_stmt.as_deref()?.node.as_ref()? else { return None };
    let plain = insert.with_clause.is_none()
        && insert.on_conflict_clause.is_none()
        && insert.returning_clause.is_none()
        && is_values(select)
        && select.values_lists.iter().all(|row| match &row.node {
            Some(NodeEnum::List(row)) => row.items.iter().all(is_constant),
            _ => false,
        });
    plain.then_some((insert.as_ref(), select.values_lists.as_slice()))
}

fn is_values(select: &SelectStmt) -> bool {
    !select.values_lists.is_empty()
        && select.with_clause.is_none()
        && select.sort_clause.is_empty()
        && select.limit_count.is_none()
        && select.limit_offset.is_none()
}

/// A literal, or a cast of one.
fn is_constant(value: &Node) -> bool {
    match &value.node {
        Some(NodeEnum::AConst(_) | NodeEnum::SetToDefault(_) | NodeEnum::SqlvalueFunction(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_constant),
        // A sign before a number, and now().
        Some(NodeEnum::AExpr(sign)) => sign.lexpr.is_none() && sign.rexpr.as_deref().is_some_and(is_constant),
        Some(NodeEnum::FuncCall(call)) => call.args.is_empty() && call.over.is_none(),
        _ => false,
    }
}

fn same_target(a: &InsertStmt, b: &InsertStmt) -> bool {
    let table = |insert: &InsertStmt| {
        insert.relation.as_ref().map(|r| (r.catalogname.clone(), r.schemaname.clone(), r.relname.clone()))
    };
    let name = |target: &Node| match &target.node {
        Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => Some(target.name.clone()),
        _ => None,
    };
    table(a) == table(b)
        && a.r#override == b.r#override
        && a.cols.len() == b.cols.len()
        && a.cols.iter().zip(&b.cols).all(|(a, b)| name(a).is_some() && name(a) == name(b))
}

/// One INSERT of all their rows, in order.
fn together(statements: &[Statement]) -> Option<Statement> {
    let mut all = statements.first()?.clone();
    let NodeEnum::InsertStmt(insert) = &mut all.node else { return None };
    let Some(NodeEnum::SelectStmt(select)) = insert.select_stmt.as_mut()?.node.as_mut() else { return None };
    for statement in &statements[1..] {
        select.values_lists.extend_from_slice(constant_rows(statement)?.1);
    }
    Some(all)
}

impl Session<'_> {
    /// Carries a batch out, or leaves everything as it was.
    pub(super) fn run_batch(&mut self, migration: &Migration, statements: &[Statement]) -> Result<Batched> {
        crate::ui::check_interrupt()?;
        let [first, ..] = statements else { return Ok(Batched::OneByOne) };
        self.enter_file(first)?;
        if self.stopped || self.block == Block::Failed {
            return Ok(Batched::OneByOne);
        }
        let Some(all) = together(statements) else { return Ok(Batched::OneByOne) };
        let begun = Instant::now();
        let numbers = self.standing(first);
        let mut report = described(migration, first);
        let plan = match self.write_plans(&all.node) {
            Ok((WritePlan::Insert(plan), None)) if self.is_blind(&plan) => plan,
            Ok(_) => return Ok(Batched::OneByOne),
            Err(_) => return Ok(Batched::Failed),
        };
        match self.insert_whole(&mut report, &plan) {
            Ok(()) => {}
            Err(Halt::Broken(error)) => return Err(error.context(format!("rehearsing {}", migration.spot(first)))),
            Err(_) => return Ok(Batched::Failed),
        }
        let elapsed_ms = begun.elapsed().as_secs_f64() * 1000.0 / statements.len() as f64;
        self.recognition.observe(&all, &self.catalog);
        let place = self.reports.len();
        for statement in statements {
            let mut own = described(migration, statement);
            self.take_locks(statement, &mut own);
            self.share_out(&plan, statement, &mut report, &mut own);
            own.elapsed_ms = elapsed_ms;
            self.reports.push(own);
            if self.block == Block::None {
                self.ended += 1;
            }
        }
        if self.block == Block::None {
            // The last of their transactions ends as any does.
            self.ended -= 1;
        }
        self.note_sent(all, place..self.reports.len(), false, numbers)?;
        Ok(Batched::Done)
    }

    /// Is it an INSERT whose rows can't see each other?
    fn is_blind(&self, plan: &InsertPlan) -> bool {
        // Statements that are transactions of their own have times of their own.
        let reads_time = plan.staging_sql.contains(&self.settings.now) || plan.staging_sql.contains("pg_now");
        if reads_time && !self.in_block() {
            return false;
        }
        plan.remarks.volatile.is_empty()
            && plan.remarks.numbers.is_empty()
            && plan.writes.is_empty()
            && !plan.remarks.reads.contains_key(&plan.table)
            && !self.catalog.triggers.iter().any(|trigger| trigger.table == plan.table)
            && !self.refers_to_itself(plan.table)
    }

    fn refers_to_itself(&self, table: Oid) -> bool {
        self.catalog.constraints.values().any(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => constraint.table == table && key.parent == table,
            ConstraintKind::Exclusion(_) => constraint.table == table,
            _ => false,
        })
    }

    /// All rows in their order, or none.
    fn insert_whole(&mut self, report: &mut StatementReport, plan: &InsertPlan) -> Ran<()> {
        let samples = self.options.samples;
        self.store.begin()?;
        let done = self.on_rows(report, |run| {
            run.keeps_order = true;
            run.samples = if samples == 0 { 0 } else { MOST_ROWS };
            run.write(&WritePlan::Insert(plan.clone()), None)?;
            run.verify_touched()
        });
        match done {
            Ok(()) => self.store.commit(),
            Err(halt) => {
                self.store.roll_back()?;
                Err(halt)
            }
        }
    }

    /// Gives a statement its part of the batch's report.
    fn share_out(
        &mut self,
        plan: &InsertPlan,
        statement: &Statement,
        batch: &mut StatementReport,
        own: &mut StatementReport,
    ) {
        let rows = constant_rows(statement).map_or(0, |(_, rows)| rows.len());
        own.verdict = Verdict::Executed;
        own.table = self.table_name(plan.table);
        own.rows_affected = Some(rows as u64);
        own.rows_inserted = Some(rows as u64);
        own.notes.clone_from(&batch.notes);
        own.samples = batch.samples.drain(..rows.min(batch.samples.len())).take(self.options.samples).collect();
        let reads: Vec<Oid> = plan.remarks.reads.keys().copied().chain([plan.table]).collect();
        self.depend_on(reads.into_iter(), Some(plan.table), own);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Transactions};
    use super::*;
    use crate::snapshot::{EngineOptions, Snapshot};

    #[test]
    fn statements_of_constant_rows_go_together() {
        fn check(sql: &str, expected: usize) {
            let migration = Migration::from_text("m.sql", sql).expect(sql);
            assert_eq!(length(&migration.statements), expected, "{sql}");
        }
        check("INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES (-2), ('x'::text)", 2);
        check("INSERT INTO t VALUES (1, now()); INSERT INTO t VALUES (2, DEFAULT); SELECT 1", 2);
        check("INSERT INTO t (a) VALUES (1); INSERT INTO t (b) VALUES (2)", 1);
        check("INSERT INTO t (a) VALUES (1); INSERT INTO s.t (a) VALUES (2)", 1);
        check("INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES ((SELECT 1))", 1);
        check("INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", 1);
        check("INSERT INTO t (a) SELECT 1; INSERT INTO t (a) VALUES (1)", 0);
    }

    /// All reports and the tables' rows, with batches and without.
    fn check_alike(sql: &str) {
        let run = |batches: bool| {
            let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
            let migration = Migration::from_text("m.sql", sql).expect(sql);
            let options = Options { transactions: Transactions::None, ..Options::default() };
            let mut session = Session::new(&snapshot, "run", &[&migration], options).expect("a session");
            if batches {
                session.run_all(&migration).expect("no interrupt");
            } else {
                for statement in &migration.statements {
                    session.run(&migration, statement).expect("no interrupt");
                }
                session.finish().expect("an end");
            }
            let mut reports = session.reports().to_vec();
            reports.iter_mut().for_each(|report| report.elapsed_ms = 0.0);
            reports
        };
        assert_eq!(run(true), run(false), "{sql}");
    }

    #[test]
    fn a_batch_reports_what_its_statements_would() {
        let table = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int PRIMARY KEY, b varchar(3) NOT NULL, p int REFERENCES p, at timestamp DEFAULT now());";
        let rows = "INSERT INTO p VALUES (1); INSERT INTO p VALUES (2);";
        let check = |more: &str| check_alike(&format!("{table} {rows} {more}; SELECT * FROM t ORDER BY a"));
        check("INSERT INTO t (a, b, p) VALUES (9, 'x', 1); INSERT INTO t (a, b, p) VALUES (3, 'yy', NULL), (4, '', 2)");
        check(
            "INSERT INTO t (a, b) VALUES (9, 'x'); INSERT INTO t (a, b) VALUES (9, 'y'); INSERT INTO t (a, b) VALUES (8, 'y')",
        );
        check("INSERT INTO t (a, b) VALUES (9, 'long'); INSERT INTO t (a, b) VALUES (8, 'y')");
        check("INSERT INTO t (a, b) VALUES (9, NULL); INSERT INTO t (a, b) VALUES (8, 'y')");
        check("INSERT INTO t (a, b, p) VALUES (9, 'x', 3); INSERT INTO t (a, b, p) VALUES (8, 'y', 1)");
        check_alike(
            "CREATE TABLE s (a int PRIMARY KEY, up int REFERENCES s); INSERT INTO s VALUES (1, 2); INSERT INTO s VALUES (2, NULL)",
        );
        check_alike(
            "CREATE TABLE s (a serial, b int); INSERT INTO s (b) VALUES (7); INSERT INTO s (b) VALUES (3); SELECT * FROM s ORDER BY b",
        );
        check_alike(
            "BEGIN; CREATE TABLE s (a int); INSERT INTO s VALUES (7); INSERT INTO s VALUES (3); SELECT nope; COMMIT",
        );
    }
}
