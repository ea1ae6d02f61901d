//! Transactions: what is taken back when a statement fails.
//!
//! Input: how the migration is sent, BEGIN and its kin, failures. Output: which statements are committed, rolled back or never
//! reached. Invariants: a file sent as one query is one transaction, and BEGIN in it makes what came before part of its block;
//! a failed block refuses everything (25P02) until it ends.

use crate::dry_run::recognition::Recognition;
use clap::ValueEnum;
use pg_query::NodeEnum;
use pg_query::protobuf::TransactionStmtKind;

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::Result;

use super::points::Point;
use super::{Sent, Session, broken};
use crate::catalog::{Numbers, Oid, Problem};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::{ErrorReport, StatementReport, UnsupportedReport, Verdict};
use crate::dry_run::schema::Provenance;
use crate::migration::Statement;

/// What makes a transaction (`--transaction`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Transactions {
    /// Each file, as Prisma and `psql -1` send it
    #[default]
    PerFile,
    /// Each statement; the first error ends the run, as with `psql -v ON_ERROR_STOP=1`
    PerStatement,
    /// Each statement; the run goes on after errors, as plain `psql` does
    None,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Between transactions.
    None,
    /// In the transaction that a file is.
    Implicit,
    /// After BEGIN.
    Explicit,
    /// After an error in a block.
    Failed,
}

/// SAVEPOINT
pub(super) struct Savepoint {
    name: String,
    point: Point,
    /// Statements of the transaction that ran before it.
    open: usize,
}

impl Session<'_> {
    pub(super) fn in_block(&self) -> bool {
        self.block != Block::None
    }

    /// A new file ends the transaction of the one before.
    pub(super) fn enter_file(&mut self, statement: &Statement) -> Result<()> {
        let file = (self.migrations, statement.place.file);
        if self.file == Some(file) {
            return Ok(());
        }
        self.file = Some(file);
        if self.block == Block::Implicit {
            self.commit_file()?;
        }
        if self.options.transactions == Transactions::PerFile && self.block == Block::None && !self.stopped {
            self.block = Block::Implicit;
        }
        Ok(())
    }

    /// The end of the last file; a block that is still open is lost with the connection.
    pub(super) fn finish(&mut self) -> Result<()> {
        match self.block {
            Block::Implicit => self.commit_file()?,
            Block::Explicit | Block::Failed => self.abort()?,
            Block::None => {}
        }
        self.file = None;
        Ok(())
    }

    /// BEGIN, COMMIT, ROLLBACK.
    pub(super) fn control(&mut self, node: &NodeEnum, report: &mut StatementReport) -> Ran<Verdict> {
        let NodeEnum::TransactionStmt(statement) = node else {
            return Err(Problem::unsupported("this kind of statement").into());
        };
        match statement.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => match self.block {
                Block::Explicit | Block::Failed => {
                    report.notes.push("WARNING: there is already a transaction in progress".to_owned());
                }
                Block::None | Block::Implicit => self.block = Block::Explicit,
            },
            TransactionStmtKind::TransStmtCommit => match self.block {
                Block::Explicit => {
                    self.commit_checked(report)?;
                }
                Block::Failed => {
                    report.notes.push("The transaction has failed: COMMIT rolls it back.".to_owned());
                    self.abort_or_break()?;
                }
                Block::None | Block::Implicit => {
                    report.notes.push("WARNING: there is no transaction in progress".to_owned());
                    self.commit_checked(report)?;
                }
            },
            TransactionStmtKind::TransStmtRollback => {
                if matches!(self.block, Block::None | Block::Implicit) {
                    report.notes.push("WARNING: there is no transaction in progress".to_owned());
                }
                self.abort_or_break()?;
            }
            TransactionStmtKind::TransStmtSavepoint => self.savepoint(&statement.savepoint_name)?,
            TransactionStmtKind::TransStmtRollbackTo => self.roll_back_to(&statement.savepoint_name)?,
            TransactionStmtKind::TransStmtRelease => self.release_savepoint(&statement.savepoint_name)?,
            _ => return Err(Problem::unsupported("two-phase commit").into()),
        }
        // After COMMIT, the rest of a file is a transaction of its own.
        if self.block == Block::None && self.options.transactions == Transactions::PerFile {
            self.block = Block::Implicit;
        }
        Ok(Verdict::Catalog)
    }

    /// A block that has failed takes nothing but its end.
    pub(super) fn refuses(&self, statement: &Statement) -> bool {
        let ends = match &statement.node {
            NodeEnum::TransactionStmt(node) => {
                use TransactionStmtKind::{TransStmtCommit, TransStmtRollback, TransStmtRollbackTo};
                matches!(node.kind(), TransStmtCommit | TransStmtRollback | TransStmtRollbackTo)
            }
            _ => false,
        };
        self.block == Block::Failed && !ends
    }

    /// Takes note of a statement that ran.
    pub(super) fn after(
        &mut self,
        statement: &Statement,
        report: usize,
        numbers: Vec<(Oid, Option<Numbers>)>,
    ) -> Result<()> {
        if matches!(statement.node, NodeEnum::TransactionStmt(_)) {
            return Ok(());
        }
        let unsupported = self.reports[report].verdict == Verdict::Unsupported;
        let statement = statement.clone();
        self.note_sent(statement, report..report + 1, unsupported, numbers)
    }

    /// Takes note of what ran; outside a transaction, it is committed.
    pub(super) fn note_sent(
        &mut self,
        statement: Statement,
        reports: Range<usize>,
        unsupported: bool,
        numbers: Vec<(Oid, Option<Numbers>)>,
    ) -> Result<()> {
        let (in_block, moment) = (self.in_block(), self.ended);
        self.open.push(Sent { statement, reports, unsupported, numbers, in_block, ends: false, moment });
        if self.block == Block::None {
            self.commit()?;
        }
        Ok(())
    }

    /// Takes back what the server takes back when a statement fails, and stops where the run stops.
    pub(super) fn fail(&mut self) -> Result<()> {
        let goes_on = self.options.transactions == Transactions::None;
        match self.block {
            // A savepoint may still be gone back to.
            Block::Explicit if goes_on && !self.savepoints.is_empty() => self.block = Block::Failed,
            Block::Explicit if goes_on => {
                // The block lasts until ROLLBACK, but what it did is lost already.
                self.abort()?;
                self.block = Block::Failed;
            }
            Block::Failed if goes_on => {}
            _ => {
                self.abort()?;
                self.stopped = !goes_on;
            }
        }
        Ok(())
    }

    fn expect_block(&self, command: &str) -> Ran<()> {
        match self.block {
            Block::Explicit | Block::Failed => Ok(()),
            Block::None | Block::Implicit => {
                let words = format!("{command} can only be used in transaction blocks");
                Err(Problem::rejected("25P01", words).into())
            }
        }
    }

    fn savepoint(&mut self, name: &str) -> Ran<()> {
        self.expect_block("SAVEPOINT")?;
        let point = self.set_point();
        self.savepoints.push(Savepoint { name: name.to_owned(), point, open: self.open.len() });
        Ok(())
    }

    fn find_savepoint(&self, name: &str) -> Ran<usize> {
        let found = self.savepoints.iter().rposition(|savepoint| savepoint.name == name);
        let missing = || Problem::rejected("3B001", format!("savepoint \"{name}\" does not exist"));
        Ok(found.ok_or_else(missing)?)
    }

    fn roll_back_to(&mut self, name: &str) -> Ran<()> {
        self.expect_block("ROLLBACK TO SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        for later in self.savepoints.split_off(at + 1) {
            self.release(later.point)?;
        }
        if let Some(savepoint) = self.savepoints.pop() {
            self.go_back(&savepoint.point)?;
            for sent in self.open.split_off(savepoint.open) {
                self.reports[sent.reports.clone()].iter_mut().for_each(|report| report.rolled_back = true);
            }
            self.savepoints.push(savepoint);
        }
        self.block = Block::Explicit;
        Ok(())
    }

    fn release_savepoint(&mut self, name: &str) -> Ran<()> {
        self.expect_block("RELEASE SAVEPOINT")?;
        let at = self.find_savepoint(name)?;
        for savepoint in self.savepoints.split_off(at) {
            self.release(savepoint.point)?;
        }
        Ok(())
    }

    /// The end of a transaction ends its savepoints.
    fn forget_savepoints(&mut self) {
        while let Some(savepoint) = self.savepoints.pop() {
            // What was kept for it is only in the way; that it can't be dropped harms nobody.
            let _ = self.release(savepoint.point);
        }
    }

    /// Deferred constraints that rows have broken: does each of them hold by now?
    pub(super) fn check_deferred(&mut self, report: &mut StatementReport) -> Ran<()> {
        self.run_waiting(report)?;
        for (constraint, side) in std::mem::take(&mut self.deferred) {
            self.on_rows(report, |run| run.verify_deferred(constraint, side))?;
        }
        self.pending.clear();
        Ok(())
    }

    /// COMMIT, where what was deferred holds. Where that can't be told, what was written stays and is marked.
    fn commit_checked(&mut self, report: &mut StatementReport) -> Ran<()> {
        let constraints: Vec<Oid> = self.deferred.keys().copied().collect();
        let Err(halt) = self.check_deferred(report) else {
            return Ok(self.commit()?);
        };
        if super::statement::is_unsupported(&halt) {
            self.mark_written(&constraints, report.index);
            self.commit()?;
        } else {
            self.abort_or_break()?;
        }
        Err(halt)
    }

    /// Marks the tables of some constraints, and those that the transaction under way has written: whether it stays isn't known.
    fn mark_written(&mut self, constraints: &[Oid], statement: usize) {
        let constrained = constraints.iter().filter_map(|oid| self.catalog.constraints.get(oid)).map(|c| c.table);
        let reports = self.open.iter().flat_map(|sent| self.reports[sent.reports.clone()].iter());
        let written: BTreeSet<&String> = reports.filter_map(|report| report.table.as_ref()).collect();
        let named = self.catalog.tables.keys().copied();
        let named = named.filter(|oid| self.table_name(*oid).is_some_and(|name| written.contains(&name)));
        let tables: Vec<Oid> = constrained.chain(named).collect();
        for table in tables {
            self.unreliable.entry(table).or_insert(statement);
        }
    }

    /// The end of a file's transaction; what it finds is its last statement's error.
    fn commit_file(&mut self) -> Result<()> {
        let last = self.reports.len().checked_sub(1).filter(|_| !(self.deferred.is_empty() && self.waiting.is_empty()));
        let Some(last) = last else {
            return self.commit();
        };
        let constraints: Vec<Oid> = self.deferred.keys().copied().collect();
        let mut report = std::mem::take(&mut self.reports[last]);
        let checked = self.check_deferred(&mut report);
        let error = match checked {
            Ok(()) => None,
            Err(Halt::Problem(Problem::Unsupported(problem))) => {
                report.verdict = Verdict::Unsupported;
                report.notes.push("What can't be told is checked at the end of the file's transaction.".to_owned());
                report.unsupported = Some(UnsupportedReport { what: problem.what, ..UnsupportedReport::default() });
                let statement = report.index;
                self.reports[last] = report;
                self.mark_written(&constraints, statement);
                return self.commit();
            }
            Err(Halt::Violation(violation)) => Some(violation.error),
            Err(Halt::Problem(Problem::Rejected(error))) => Some(error),
            Err(halt) => return Err(broken(halt, "checking deferred constraints")),
        };
        if let Some(error) = &error {
            report.verdict = Verdict::Failed;
            report.notes.push("The error comes at the end of the file's transaction.".to_owned());
            report.error = Some(ErrorReport {
                sqlstate: error.sqlstate.to_owned(),
                message: error.message.clone(),
                detail: error.detail.clone(),
                hint: error.hint.clone(),
                ..ErrorReport::default()
            });
        }
        self.reports[last] = report;
        match error {
            Some(_) => self.fail(),
            None => self.commit(),
        }
    }

    fn commit(&mut self) -> Result<()> {
        self.deferred.clear();
        self.waiting.clear();
        self.pending.clear();
        self.forget_savepoints();
        self.end_temporary()?;
        if let Some(last) = self.open.last_mut() {
            last.ends = true;
        }
        self.committed.append(&mut self.open);
        self.unreliable_before = self.unreliable.clone();
        self.ended += 1;
        self.set_moment(self.ended)?;
        self.catalog.commit_transaction();
        self.block = Block::None;
        Ok(())
    }

    /// What COMMIT does to temporary tables, as statements of the transaction that ends.
    fn end_temporary(&mut self) -> Result<()> {
        for (oid, drops) in self.catalog.on_commit.clone() {
            let Some(table) = self.catalog.tables.get(&oid) else { continue };
            let name = crate::query::quote_identifier(&table.name);
            let sql = match drops {
                true => format!("DROP TABLE pg_temp.{name} CASCADE"),
                false => format!("TRUNCATE pg_temp.{name}"),
            };
            let migration = crate::migration::Migration::from_text("commit.sql", &sql)?;
            for statement in &migration.statements {
                let mut report = StatementReport::default();
                self.execute(statement, &mut report).map_err(|halt| broken(halt, "ending a transaction"))?;
                let place = self.reports.len();
                self.open.push(Sent {
                    statement: statement.clone(),
                    reports: place..place,
                    unsupported: false,
                    numbers: Vec::new(),
                    in_block: true,
                    ends: false,
                    moment: self.ended,
                });
            }
        }
        Ok(())
    }

    fn abort_or_break(&mut self) -> Ran<()> {
        Ok(self.abort()?)
    }

    /// Back to the last commit: from the snapshot, with the committed statements run again.
    fn abort(&mut self) -> Result<()> {
        self.forget_savepoints();
        self.deferred.clear();
        self.waiting.clear();
        self.pending.clear();
        let undone = std::mem::take(&mut self.open);
        self.ended += 1;
        self.set_moment(self.ended)?;
        self.block = Block::None;
        for sent in &undone {
            self.reports[sent.reports.clone()].iter_mut().for_each(|report| report.rolled_back = true);
        }
        if undone.is_empty() {
            return Ok(());
        }
        let standing = std::mem::take(&mut self.catalog.sequences);
        self.store.reset()?;
        self.recognition = Recognition::default();
        self.provenance = Provenance::default();
        self.catalog = self.base.clone();
        // What was marked later is no reason against a statement that was told the first time.
        self.unreliable.clear();
        self.replaying = true;
        let replayed = self.replay();
        self.replaying = false;
        self.block = Block::None;
        self.set_moment(self.ended)?;
        self.unreliable = self.unreliable_before.clone();
        self.deferred.clear();
        self.waiting.clear();
        self.pending.clear();
        replayed?;
        // Numbers taken from a sequence aren't given back.
        self.catalog.keep_numbers(&standing);
        Ok(())
    }

    /// Runs the committed statements again; what couldn't be told the first time has done nothing.
    fn replay(&mut self) -> Result<()> {
        for sent in self.committed.clone() {
            crate::ui::check_interrupt()?;
            if sent.unsupported {
                if sent.ends {
                    self.catalog.commit_transaction();
                }
                continue;
            }
            for (oid, stood) in &sent.numbers {
                if let Some(sequence) = self.catalog.sequences.get_mut(oid) {
                    sequence.numbers = *stood;
                }
            }
            let mut report = StatementReport { index: sent.statement.index, ..StatementReport::default() };
            // As it was sent the first time: what holds for a transaction ends with it.
            self.block = if sent.in_block { Block::Explicit } else { Block::None };
            self.set_moment(sent.moment)?;
            match self.execute(&sent.statement, &mut report) {
                Ok(_) => {}
                // It couldn't be told the first time either.
                Err(halt) if super::statement::is_unsupported(&halt) => {}
                Err(halt) => return Err(broken(halt, "restoring the state before the failed transaction")),
            }
            if sent.ends {
                self.catalog.commit_transaction();
            }
        }
        Ok(())
    }
}
