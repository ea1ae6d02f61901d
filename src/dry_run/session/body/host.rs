//! The session as a body sees it.
//!
//! Input: what the interpreter asks for. Output: answers, and what commands did, summed up. Invariant: a body that is run for each row of
//! another statement only reads.

use pg_query::NodeEnum;

use super::{Bodied, Point};
use crate::catalog::problem::ServerError;
use crate::catalog::{Catalog, Problem, Type};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::StatementReport;
use crate::dry_run::session::statement;
use crate::migration::Statement;
use crate::plpgsql::run::{Answer, Command, Done, Host};
use crate::plpgsql::tree::Level;
use crate::translate::Variables;

/// Does a WITH of the query write?
fn writes(query: &NodeEnum) -> bool {
    let NodeEnum::SelectStmt(select) = query else { return false };
    select.with_clause.iter().flat_map(|with| &with.ctes).any(|cte| match &cte.node {
        Some(NodeEnum::CommonTableExpr(cte)) => matches!(
            cte.ctequery.as_deref().and_then(|query| query.node.as_ref()),
            Some(NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_))
        ),
        _ => false,
    })
}

impl Bodied<'_, '_> {
    fn query_that_writes(
        &mut self,
        query: &NodeEnum,
        variables: &Variables,
        into: &[Type],
        most: usize,
    ) -> Ran<Answer> {
        self.expect_no_reader()?;
        let kind = "SELECT".to_owned();
        let mut report = StatementReport { index: self.report.index, kind, ..StatementReport::default() };
        self.session.settings.variables.clone_from(variables);
        let answer = self.session.answer_writing(query, into, most, &mut report);
        self.session.settings.variables = Variables::default();
        let answer = answer?;
        self.sums.add(&report);
        self.keep_notes(report.notes);
        Ok(answer)
    }

    /// A function that is run for each row of a statement may not write.
    fn expect_no_reader(&self) -> Ran<()> {
        match &self.reader {
            Some(function) => {
                Err(Problem::unsupported(format!("the function {function}(), which writes, called for each row,"))
                    .into())
            }
            None => Ok(()),
        }
    }

    fn keep_notes(&mut self, notes: Vec<String>) {
        for note in notes {
            if !self.report.notes.contains(&note) {
                self.report.notes.push(note);
            }
        }
    }
}

impl Host for Bodied<'_, '_> {
    type Halt = Halt;
    type Point = Point;

    fn catalog(&self) -> &Catalog {
        &self.session.catalog
    }

    fn change_search_path(&mut self, path: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut self.session.catalog.search_path, path)
    }

    fn query(&mut self, query: &NodeEnum, variables: &Variables, into: &[Type], most: usize) -> Ran<Answer> {
        if writes(query) {
            return self.query_that_writes(query, variables, into, most);
        }
        self.session.settings.variables.clone_from(variables);
        let answer = self.session.answer(query, into, most, self.report);
        self.session.settings.variables = Variables::default();
        answer
    }

    fn command(&mut self, command: &Command<'_>, variables: &Variables) -> Ran<Done> {
        self.expect_no_reader()?;
        let inner = Statement {
            node: command.node.clone(),
            sql: command.text.to_owned(),
            comments: Vec::new(),
            ..self.statement.clone()
        };
        let mut report =
            StatementReport { index: self.report.index, kind: statement::kind(&inner), ..StatementReport::default() };
        self.session.settings.variables.clone_from(variables);
        self.session.take_locks(&inner, &mut report);
        let done = match command.returning {
            Some(types) if !types.is_empty() || returns(command.node) => {
                self.session.write_returning(&inner, types, &mut report).map(|(rows, answer)| (rows, Some(answer)))
            }
            _ => self.session.execute_plain(&inner, &mut report).map(|_| (report.rows_affected.unwrap_or(0), None)),
        };
        self.session.settings.variables = Variables::default();
        let (rows, returned) = done?;
        self.sums.add(&report);
        self.keep_notes(report.notes);
        for lock in report.locks {
            if !self.report.locks.contains(&lock) {
                self.report.locks.push(lock);
            }
        }
        Ok(Done { rows, returned })
    }

    fn set_point(&mut self) -> Point {
        Point { session: self.session.set_point(), sums: self.sums.clone() }
    }

    fn go_back(&mut self, point: Point) -> Ran<()> {
        self.sums = point.sums;
        self.session.raised = false;
        self.session.go_back(&point.session)?;
        self.session.release(point.session)
    }

    fn release(&mut self, point: Point) -> Ran<()> {
        self.session.release(point.session)
    }

    fn caught(&self, halt: Halt) -> Ran<ServerError> {
        let error = match halt {
            Halt::Problem(Problem::Rejected(error)) => error,
            Halt::Violation(violation) => match self.session.unsure(&violation.error) {
                Some(unsupported) => return Err(Problem::Unsupported(unsupported).into()),
                None => violation.error,
            },
            other => return Err(other),
        };
        match self.session.doubt(&error) {
            Some(unsupported) => Err(Problem::Unsupported(unsupported).into()),
            None => Ok(error),
        }
    }

    fn say(&mut self, level: Level, message: &str) {
        let word = match level {
            Level::Hidden => return,
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warning | Level::Exception => "WARNING",
        };
        /// More of them than anybody reads are only counted.
        const MOST: usize = 20;
        let said = self.report.notes.iter().filter(|note| note.starts_with(word)).count();
        match said.cmp(&MOST) {
            std::cmp::Ordering::Less => self.report.notes.push(format!("{word}: {message}")),
            std::cmp::Ordering::Equal => self.report.notes.push(format!("{word}: … and so on")),
            std::cmp::Ordering::Greater => {}
        }
    }

    fn note(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    fn pause(&self) -> Ran<()> {
        Ok(crate::ui::check_interrupt()?)
    }
}
fn returns(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::InsertStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::UpdateStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::DeleteStmt(statement) => statement.returning_clause.is_some(),
        _ => false,
    }
}
