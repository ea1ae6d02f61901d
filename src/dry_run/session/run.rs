//! How a migration's statements are sent: batches of those that go together, else one by one, each with its report.

use anyhow::Result;

use super::batch::{self, Batched};
use super::{Session, TakenLock, statement};
use crate::catalog::locks::locks;
use crate::catalog::{Numbers, Oid};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::{Migration, Statement};

impl Session<'_> {
    /// Runs a migration to its end.
    ///
    /// # Errors
    /// An interrupt, or a snapshot that can't be read; what is wrong with a statement is in its report.
    pub fn run_all(&mut self, migration: &Migration) -> Result<()> {
        self.migrations += 1;
        let mut rest = migration.statements.as_slice();
        while !rest.is_empty() {
            let length = batch::length(rest).max(1);
            let (together, after) = rest.split_at(length);
            self.run_together(migration, together)?;
            rest = after;
        }
        self.finish()
    }

    /// Runs statements of which all that can go together do: where one of them fails, that one goes alone.
    fn run_together(&mut self, migration: &Migration, statements: &[Statement]) -> Result<()> {
        let outcome = if statements.len() > 1 && !self.held.leaves_out() {
            self.run_batch(migration, statements)?
        } else {
            Batched::OneByOne
        };
        match outcome {
            Batched::Done => self.progress(statements.len()),
            Batched::OneByOne => {
                for statement in statements {
                    self.run(migration, statement)?;
                    self.progress(1);
                }
            }
            Batched::Failed => {
                let (first, second) = statements.split_at(statements.len() / 2);
                self.run_together(migration, first)?;
                self.run_together(migration, second)?;
            }
        }
        Ok(())
    }

    fn progress(&self, statements: usize) {
        if let Some(progress) = &self.options.progress {
            progress.inc(statements as u64);
        }
    }

    /// Runs one statement and returns its report, which a later failure may still mark as rolled back.
    ///
    /// # Errors
    /// As [`Session::run_all`].
    pub fn run(&mut self, migration: &Migration, statement: &Statement) -> Result<StatementReport> {
        crate::ui::check_interrupt()?;
        self.enter_file(statement)?;
        let mut report = described(migration, statement);
        let mut numbers = Vec::new();
        if !self.stopped {
            self.take_locks(statement, &mut report);
            let begun = std::time::Instant::now();
            numbers = self.standing(statement);
            self.send(migration, statement, &mut report)?;
            report.elapsed_ms = begun.elapsed().as_secs_f64() * 1000.0;
            report.notes.extend(self.note_masked(statement));
        }
        let place = self.reports.len();
        let failed = report.verdict == Verdict::Failed;
        self.reports.push(report);
        if failed {
            self.fail()?;
        } else if !self.stopped {
            self.after(statement, place, numbers)?;
        }
        Ok(self.reports[place].clone())
    }

    /// Where the sequences stand before a statement that may take numbers.
    pub(super) fn standing(&self, statement: &Statement) -> Vec<(Oid, Option<Numbers>)> {
        use pg_query::NodeEnum::{CommentStmt, CreateStmt, IndexStmt, TransactionStmt};
        match &statement.node {
            CreateStmt(_) | IndexStmt(_) | TransactionStmt(_) | CommentStmt(_) => Vec::new(),
            _ => self.catalog.sequences.values().map(|sequence| (sequence.oid, sequence.numbers)).collect(),
        }
    }

    pub(super) fn take_locks(&mut self, statement: &Statement, report: &mut StatementReport) {
        for (table, mode) in locks(&self.catalog, &statement.node) {
            let Some(table) = self.table_name(table) else { continue };
            report.locks.push((table.clone(), mode.as_str().to_owned()));
            let transaction = self.ended;
            self.locks.push(TakenLock { statement: statement.index, transaction, table, mode });
        }
    }
}

/// A report with what the file says of a statement.
pub(super) fn described(migration: &Migration, statement: &Statement) -> StatementReport {
    StatementReport {
        index: statement.index,
        file: migration.files[statement.place.file].name.clone(),
        line: statement.place.line,
        column: statement.place.column,
        end_line: statement.end_line,
        kind: statement::kind(statement),
        sql: statement.sql.clone(),
        ..StatementReport::default()
    }
}
