//! Bodies: DO blocks, CALL, and statements that call functions of the database, run by the interpreter of PL/pgSQL.
//!
//! Input: a statement. Output: what its body did, summed over its own statements, as the report of the one statement it is. Invariants: it
//! happens as a whole or not at all; an answer that depends on rows that can't be told isn't used.

mod asking;
mod faults;
mod host;
mod returned;
mod sums;

use pg_query::NodeEnum;

use super::Session;
use crate::catalog::problem::ServerError;
use crate::catalog::{Catalog, Gives, Outcome, Problem, tree};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::migration::Statement;
use crate::plpgsql::parse;
use crate::plpgsql::run::{Interpreter, is_interpreted};
use crate::translate::Variables;
use sums::Sums;

/// Statements and rounds of loops that a body may run.
pub const DEFAULT_STEP_BUDGET: u64 = 100_000;

/// A session that a body runs on.
pub(super) struct Bodied<'a, 's> {
    session: &'a mut Session<'s>,
    statement: &'a Statement,
    report: &'a mut StatementReport,
    sums: Sums,
    /// The function that is run for each row of a statement: it may only read.
    reader: Option<String>,
}

/// A point within a body.
pub(super) struct Point {
    session: super::points::Point,
    sums: Sums,
}

/// Does the statement run a body?
pub(super) fn runs_body(statement: &Statement, catalog: &Catalog) -> bool {
    match &statement.node {
        NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_) => true,
        NodeEnum::SelectStmt(_) | NodeEnum::InsertStmt(_) => {
            let sql = statement.sql.to_lowercase();
            catalog.functions.iter().any(|f| {
                is_interpreted(f)
                    && f.definition.as_ref().is_some_and(|d| d.gives != Gives::Trigger)
                    && sql.contains(&f.name.to_lowercase())
            })
        }
        _ => false,
    }
}

impl Session<'_> {
    /// Runs a statement that runs a body; what it did is undone where it fails.
    pub(super) fn run_body(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let point = self.set_point();
        self.raised = false;
        self.bodies += 1;
        let done = self.run_within(statement, report);
        self.bodies -= 1;
        self.settings.variables = Variables::default();
        if done.is_err() {
            self.go_back(&point)?;
        }
        self.release(point)?;
        done
    }

    fn run_within(&mut self, statement: &Statement, report: &mut StatementReport) -> Ran<Verdict> {
        let budget = self.options.step_budget;
        let mut host = Bodied::new(self, statement, report);
        let mut interpreter = Interpreter::new(&mut host, budget);
        let prepared = match &statement.node {
            NodeEnum::DoStmt(block) => interpreter.inline_block(block).map(|()| None),
            NodeEnum::CallStmt(call) => interpreter.call_statement(call).map(|()| None),
            node => interpreter.prepare(node),
        };
        let (failed_at, raised, rounds) = (interpreter.failed_at, interpreter.raised, interpreter.rounds);
        let sums = std::mem::take(&mut host.sums);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(halt) => {
                self.raised |= raised;
                return Err(located(halt, statement, failed_at));
            }
        };
        let is_body = matches!(statement.node, NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_));
        sums.tell(report, rounds);
        if is_body {
            return Ok(Verdict::Executed);
        }
        let statement = match prepared {
            Some((node, variables)) => {
                self.settings.variables = variables;
                Statement { node, ..statement.clone() }
            }
            None => statement.clone(),
        };
        self.execute_plain(&statement, report)
    }

    /// The body of a function must be one, as the server checks when it is made.
    pub(super) fn check_body(&self, node: &NodeEnum) -> Outcome<()> {
        if !matches!(node, NodeEnum::CreateFunctionStmt(_)) {
            return Ok(());
        }
        let mut catalog = self.catalog.clone();
        let known = catalog.apply(node, &crate::catalog::TransactionState { in_block: true });
        let (Ok(_), Some(function)) = (known, catalog.functions.last()) else { return Ok(()) };
        let Some((definition, text)) = function.definition.as_ref().and_then(|d| Some((d, d.body.as_ref()?))) else {
            return Ok(());
        };
        let refused = match function.language.as_str() {
            "plpgsql" => {
                let mut names: Vec<String> = definition.parameters.iter().map(|p| p.name.clone()).collect();
                let kind = match &definition.gives {
                    _ if definition.is_set => parse::Kind::Set,
                    Gives::Trigger => {
                        names.extend(["new", "old"].map(str::to_owned));
                        parse::Kind::Trigger
                    }
                    Gives::Nothing => parse::Kind::Void,
                    _ => parse::Kind::Scalar,
                };
                parse::body(text, &names, kind).err()
            }
            "sql" => parse::statements(text).err().or_else(|| self.fault_of_sql(node, function).err()),
            _ => None,
        };
        match refused {
            Some(Problem::Rejected(error)) => Err(Problem::Rejected(ServerError { position: None, ..error })),
            _ => Ok(()),
        }
    }

    /// A function in PL/pgSQL that only returns an expression, or one of several, is as good as the query of it.
    pub(super) fn note_query(&mut self, node: &NodeEnum) {
        let NodeEnum::CreateFunctionStmt(statement) = node else { return };
        let Some(function) = self.catalog.functions.last_mut() else { return };
        let Some(definition) = function.definition.as_mut().filter(|_| function.language == "plpgsql") else { return };
        let names: Vec<String> = definition.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let Some(Ok(body)) = definition.body.as_ref().map(|text| parse::body(text, &names, parse::Kind::Scalar)) else {
            return;
        };
        let block = &body.block;
        let plain = matches!(definition.gives, Gives::Value(_))
            && !definition.is_set
            && block.declarations.is_empty()
            && block.handlers.is_empty();
        let ty = statement.return_type.as_ref().filter(|_| !definition.is_polymorphic());
        if let Some(node) = plain.then(|| returned::query(&block.body, ty)).flatten() {
            std::sync::Arc::make_mut(definition).query = Some(Box::new(node));
        }
    }
}

impl<'a, 's> Bodied<'a, 's> {
    pub(super) fn new(
        session: &'a mut Session<'s>,
        statement: &'a Statement,
        report: &'a mut StatementReport,
    ) -> Bodied<'a, 's> {
        Bodied { session, statement, report, sums: Sums::default(), reader: None }
    }

    /// The same for a function that is run for each row of a statement.
    pub(super) fn only_reading(self, function: &str) -> Bodied<'a, 's> {
        Bodied { reader: Some(function.to_owned()), ..self }
    }

    /// What was done, in a sentence, beside the figures of the statement itself.
    pub(super) fn told_of(self, who: &str, rounds: u64) {
        let mut own = StatementReport::default();
        self.sums.tell(&mut own, rounds);
        for note in own.notes {
            self.report.notes.push(note.replacen("Its body", who, 1));
        }
    }
}
/// An error at its line of the file, where the block's text stands there as it is.
fn located(halt: Halt, statement: &Statement, failed_at: Option<usize>) -> Halt {
    let text = match &statement.node {
        NodeEnum::DoStmt(block) => block.args.iter().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "as" => option.arg.as_deref().and_then(tree::string),
            _ => None,
        }),
        _ => None,
    };
    let start = text.and_then(|text| statement.sql.find(&text));
    let place = start.zip(failed_at).map_or(statement.offset, |(start, at)| statement.offset + start + at);
    match halt {
        Halt::Problem(Problem::Rejected(mut error)) => {
            error.position = Some(place);
            Problem::Rejected(error).into()
        }
        Halt::Violation(mut violation) => {
            violation.error.position = Some(place);
            Halt::Violation(violation)
        }
        other => other,
    }
}
