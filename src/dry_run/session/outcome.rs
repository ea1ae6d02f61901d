//! What becomes of a statement: carried out, refused by the server, or not to be told.
//!
//! Input: a statement, its result. Output: the verdict in its report, with the place of an error in the file and the way out.

use anyhow::Result;
use pg_query::NodeEnum;

use super::Session;
use crate::catalog::problem::{ServerError, Unsupported};
use crate::catalog::{ConstraintKind, Problem, TransactionState};
use crate::dry_run::engine::Halt;
use crate::dry_run::report::{ErrorReport, StatementReport, UnsupportedReport, Verdict};
use crate::migration::{Migration, Statement};

impl Session<'_> {
    /// Runs a statement and writes its verdict down.
    pub(super) fn send(
        &mut self,
        migration: &Migration,
        statement: &Statement,
        report: &mut StatementReport,
    ) -> Result<()> {
        let result = if self.refuses(statement) {
            let words = "current transaction is aborted, commands ignored until end of transaction block";
            Err(Halt::Problem(Problem::rejected("25P02", words)))
        } else if matches!(statement.node, NodeEnum::TransactionStmt(_)) {
            self.control(&statement.node, report)
        } else {
            self.execute(statement, report)
        };
        match result {
            Ok(verdict) => report.verdict = verdict,
            Err(Halt::Broken(error)) => {
                return Err(error.context(format!("rehearsing {}", migration.spot(statement))));
            }
            Err(Halt::Violation(violation)) if self.doubtful_rows(&violation.error).is_some() => {
                let doubt = self.doubtful_rows(&violation.error).unwrap_or_default();
                self.give_up(statement, report, Unsupported { what: doubt, position: None });
            }
            Err(Halt::Violation(violation)) => {
                self.reject(migration, statement, report, violation.error);
                if let Some(error) = &mut report.error {
                    error.rows = Some(violation.rows);
                    error.samples = violation.samples;
                }
            }
            Err(Halt::Problem(Problem::Rejected(error))) => match self.doubt(&error) {
                Some(unsupported) => self.give_up(statement, report, unsupported),
                None => self.reject(migration, statement, report, error),
            },
            Err(Halt::Problem(Problem::Unsupported(unsupported))) => self.give_up(statement, report, unsupported),
        }
        Ok(())
    }

    fn reject(
        &mut self,
        migration: &Migration,
        statement: &Statement,
        report: &mut StatementReport,
        error: ServerError,
    ) {
        let hint = error.hint.clone().or_else(|| self.way_out(statement, &error));
        let place = error.position.map(|at| migration.place(statement.place.file, at));
        clear_figures(report);
        report.verdict = Verdict::Failed;
        report.error = Some(ErrorReport {
            sqlstate: error.sqlstate.to_owned(),
            message: error.message,
            detail: error.detail,
            hint,
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            rows: None,
            samples: Vec::new(),
        });
    }

    fn give_up(&mut self, statement: &Statement, report: &mut StatementReport, unsupported: Unsupported) {
        clear_figures(report);
        report.verdict = Verdict::Unsupported;
        let tables = self.taint(statement);
        if statement.sql.to_lowercase().contains("setval") {
            for sequence in self.catalog.sequences.values_mut() {
                sequence.numbers = None;
            }
        }
        report.unsupported = Some(UnsupportedReport { what: unsupported.what, tables, dependents: Vec::new() });
    }

    /// Rows that break a rule may only be there, or a key only be missing, because an earlier statement couldn't be rehearsed.
    fn doubtful_rows(&self, error: &ServerError) -> Option<String> {
        let named: Vec<&str> = error.message.split('"').skip(1).step_by(2).collect();
        let mut concerned = Vec::new();
        for table in self.catalog.tables.values().filter(|table| named.contains(&table.name.as_str())) {
            concerned.push(table.oid);
        }
        for constraint in self.catalog.constraints.values().filter(|c| named.contains(&c.name.as_str())) {
            concerned.push(constraint.table);
            if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                concerned.push(key.parent);
            }
        }
        let indexes = self.catalog.indexes.values().filter(|index| named.contains(&index.name.as_str()));
        concerned.extend(indexes.map(|index| index.table));
        let (table, statement) = concerned.iter().find_map(|table| Some((table, self.unreliable.get(table)?)))?;
        let name = self.table_name(*table).unwrap_or_default();
        Some(format!(
            "a demand on the rows of {name}, which can't be told since statement {statement} ({}),",
            error.message
        ))
    }

    /// What the server says is missing may have been made by a statement that couldn't be rehearsed.
    fn doubt(&self, error: &ServerError) -> Option<Unsupported> {
        if !["42P01", "42703", "42704", "42883"].contains(&error.sqlstate) {
            return None;
        }
        let missing: Vec<&str> = error.message.split('"').skip(1).step_by(2).collect();
        let blamed = self.reports.iter().find(|report| {
            report.verdict == Verdict::Unsupported && missing.iter().any(|name| report.sql.contains(name))
        })?;
        let what = format!("what statement {} would have made ({})", blamed.index, error.message);
        Some(Unsupported { what, position: error.position })
    }

    /// A hint where the snapshot, not the migration, is to blame.
    fn way_out(&self, statement: &Statement, error: &ServerError) -> Option<String> {
        let first = self.reports.iter().all(|report| report.verdict != Verdict::Failed);
        if first && ["42P07", "42701", "42710"].contains(&error.sqlstate) {
            let on_snapshot = self.base.clone().apply(&statement.node, &TransactionState::default());
            let same = matches!(on_snapshot, Err(Problem::Rejected(e)) if e.sqlstate == error.sqlstate);
            return same.then(|| {
                "the snapshot is newer than this migration: it was taken after it was applied; rehearse on one from before"
                    .to_owned()
            });
        }
        if error.sqlstate == "42P01" {
            let name = error.message.split('"').nth(1)?;
            let gone = self.base.tables.values().any(|table| table.name == name);
            return (!gone).then(|| {
                format!("the snapshot doesn't hold it: export it as well, with `rehearsal export … --table {name}`")
            });
        }
        None
    }
}

/// A statement that didn't happen has no figures.
fn clear_figures(report: &mut StatementReport) {
    *report = StatementReport {
        index: report.index,
        file: std::mem::take(&mut report.file),
        line: report.line,
        column: report.column,
        end_line: report.end_line,
        kind: std::mem::take(&mut report.kind),
        sql: std::mem::take(&mut report.sql),
        table: report.table.take(),
        notes: std::mem::take(&mut report.notes),
        ..StatementReport::default()
    };
}
