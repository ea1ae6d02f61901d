//! What becomes of a statement: carried out, refused by the server, or not to be told.
//!
//! Input: a statement, its result. Output: the verdict in its report, with the place of an error in the file and the way out.

use anyhow::Result;
use pg_query::NodeEnum;

use super::Session;
use crate::catalog::problem::{ServerError, Unsupported};
use crate::catalog::{Problem, TransactionState, tree};
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
            Err(Halt::Violation(violation)) => match self.unsure(&violation.error) {
                Some(unsupported) => self.give_up(statement, report, unsupported),
                None => {
                    self.reject(migration, statement, report, violation.error);
                    if let Some(error) = &mut report.error {
                        error.rows = Some(violation.rows);
                        error.samples = violation.samples;
                    }
                }
            },
            Err(Halt::Problem(Problem::Rejected(error))) => match self.doubt(&error) {
                Some(unsupported) => self.give_up(statement, report, unsupported),
                None => self.reject(migration, statement, report, error),
            },
            Err(Halt::Problem(Problem::Unsupported(unsupported))) => self.give_up(statement, report, unsupported),
            Err(Halt::Calls) => {
                let what = "functions called for each row in this place".to_owned();
                self.give_up(statement, report, Unsupported { what, position: None });
            }
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
        let hint = self.later_maker(migration, statement, &error);
        let hint = hint.or_else(|| error.hint.clone()).or_else(|| self.way_out(statement, &error));
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
            own: std::mem::take(&mut self.raised),
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

    /// What the server says is missing may have been made by a statement that couldn't be rehearsed.
    pub(super) fn doubt(&self, error: &ServerError) -> Option<Unsupported> {
        if !["42P01", "42703", "42704", "42883"].contains(&error.sqlstate) {
            return None;
        }
        let missing: Vec<&str> = error.message.split('"').skip(1).step_by(2).collect();
        let blamed = self.reports.iter().find(|report| {
            let makes = |name: &&str| {
                // Of a schema that couldn't be made or renamed, everything is missing.
                let schema = name.split_once('.').map(|(schema, _)| schema);
                let mut words = report.sql.split(|c: char| !(c.is_alphanumeric() || c == '_'));
                report.sql.contains(*name) || schema.is_some_and(|schema| words.any(|word| word == schema))
            };
            report.verdict == Verdict::Unsupported && missing.iter().any(makes)
        })?;
        let what = format!("what statement {} would have made ({})", blamed.index, error.message);
        Some(Unsupported { what, position: error.position })
    }

    /// A constraint on rows that can't be told is neither kept nor broken.
    pub(super) fn unsure(&self, error: &ServerError) -> Option<Unsupported> {
        let words = [Some(error.message.as_str()), error.detail.as_deref()];
        let named: Vec<&str> =
            words.into_iter().flatten().flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
        let (table, blamed) = self.unreliable.iter().find_map(|(table, statement)| {
            let name = &self.catalog.tables.get(table)?.name;
            named.contains(&name.as_str()).then_some((name, statement))
        })?;
        let what = format!(
            "a constraint on {table}, whose rows can't be told since statement {blamed} (on the rows that are known: {})",
            error.message
        );
        Some(Unsupported { what, position: None })
    }

    /// A hint where the order is to blame: what is missing is made further on.
    fn later_maker(&self, migration: &Migration, statement: &Statement, error: &ServerError) -> Option<String> {
        if !["42P01", "42703", "42704"].contains(&error.sqlstate) {
            return None;
        }
        let missing = error.message.split('"').nth(1)?;
        let later = migration
            .statements
            .iter()
            .filter(|s| s.index > statement.index)
            .find(|later| makes(&later.node, missing))?;
        Some(format!("statement {} ({}) makes it, and runs later: mind the order", later.index, migration.spot(later)))
    }

    /// A hint where the snapshot, not the migration, is to blame.
    fn way_out(&self, statement: &Statement, error: &ServerError) -> Option<String> {
        if !self.base.partial {
            return None;
        }
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

/// Does a statement make something of this name?
fn makes(node: &NodeEnum, name: &str) -> bool {
    let relation = match node {
        NodeEnum::CreateStmt(create) => create.relation.as_ref(),
        NodeEnum::CreateTableAsStmt(create) => create.into.as_ref().and_then(|into| into.rel.as_ref()),
        NodeEnum::ViewStmt(create) => create.view.as_ref(),
        NodeEnum::CreateEnumStmt(create) => {
            return create.type_name.last().and_then(tree::string).as_deref() == Some(name);
        }
        NodeEnum::RenameStmt(rename) => return rename.newname == name,
        NodeEnum::AlterTableStmt(alter) => {
            return alter.cmds.iter().any(|command| match &command.node {
                Some(NodeEnum::AlterTableCmd(command)) => {
                    match command.def.as_ref().and_then(|def| def.node.as_ref()) {
                        Some(NodeEnum::ColumnDef(column)) => column.colname == name,
                        _ => false,
                    }
                }
                _ => false,
            });
        }
        _ => None,
    };
    relation.is_some_and(|relation| relation.relname == name)
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
