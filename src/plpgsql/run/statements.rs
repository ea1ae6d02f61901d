//! Statements and blocks.

use pg_query::NodeEnum;

use super::raise::handler;
use super::{Command, Done, Flow, Frame, Host, Interpreter, scalar};
use crate::catalog::problem::ServerError;
use crate::catalog::{Problem, Type};
use crate::plpgsql::tree::{Block, Into, Kind, Sql, Statement, Target};
use crate::translate::{Level, Named, Value, Variable, Variables};

/// The variable that CASE keeps its subject in.
const SUBJECT: i32 = 900_000;

impl<H: Host> Interpreter<'_, H> {
    pub(super) fn statements(&mut self, list: &[Statement], frame: &mut Frame) -> Result<Flow, H::Halt> {
        for statement in list {
            self.spend("one after the other")?;
            let ended = self.statement(statement, frame);
            if ended.is_err() && self.depth == 1 && self.failed_at.is_none() {
                self.failed_at = Some(statement.at);
            }
            match ended? {
                Flow::On => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::On)
    }

    /// A block: its variables, its statements, and what it does about errors.
    pub(super) fn block(&mut self, block: &Block, frame: &mut Frame) -> Result<Flow, H::Halt> {
        let depth = frame.variables.levels.len();
        frame.variables.levels.push(Level { label: block.label.clone(), names: Vec::new() });
        let flow = self.block_within(block, frame);
        frame.variables.levels.truncate(depth);
        Ok(match flow? {
            Flow::Exit(Some(label)) if Some(&label) == block.label.as_ref() => Flow::On,
            other => other,
        })
    }

    fn block_within(&mut self, block: &Block, frame: &mut Frame) -> Result<Flow, H::Halt> {
        for declaration in &block.declarations {
            let declared = self.declare(declaration, frame);
            if declared.is_err() && self.depth == 1 && self.failed_at.is_none() {
                self.failed_at = Some(declaration.at);
            }
            declared?;
        }
        if block.handlers.is_empty() {
            return self.statements(&block.body, frame);
        }
        let levels = frame.variables.levels.len();
        let point = self.host.set_point();
        let halt = match self.statements(&block.body, frame) {
            Ok(flow) => {
                self.host.release(point)?;
                return Ok(flow);
            }
            Err(halt) => halt,
        };
        let error = self.host.caught(halt)?;
        let Some(handler) = handler(&block.handlers, &error) else {
            return Err(Problem::Rejected(error).into());
        };
        self.host.go_back(point)?;
        self.failed_at = None;
        self.raised = false;
        frame.variables.levels.truncate(levels);
        self.handle(&handler.body, error, frame)
    }

    fn handle(&mut self, body: &[Statement], error: ServerError, frame: &mut Frame) -> Result<Flow, H::Halt> {
        let names = vec![
            scalar("sqlstate", Value::text_of(error.sqlstate)),
            scalar("sqlerrm", Value::text_of(error.message.clone())),
        ];
        let depth = frame.variables.levels.len();
        frame.variables.levels.push(Level { label: None, names });
        let before = frame.handled.replace(error);
        let flow = self.statements(body, frame);
        frame.handled = before;
        frame.variables.levels.truncate(depth);
        flow
    }

    fn statement(&mut self, statement: &Statement, frame: &mut Frame) -> Result<Flow, H::Halt> {
        match &statement.kind {
            Kind::Block(block) => return self.block(block, frame),
            Kind::Assign(target, value) => self.assign(target, value, frame)?,
            Kind::If(branches, otherwise) => {
                for (condition, body) in branches {
                    if self.holds(condition, frame)? {
                        return self.statements(body, frame);
                    }
                }
                return self.statements(otherwise, frame);
            }
            Kind::Case(subject, branches, otherwise) => {
                return self.case(subject.as_ref(), branches, otherwise.as_deref(), frame);
            }
            Kind::Loop { label, condition, body } => {
                return self.endless(label.as_ref(), condition.as_ref(), body, frame);
            }
            Kind::ForRange { label, name, reverse, bounds, body } => {
                return self.range(label.as_ref(), name, *reverse, bounds, body, frame);
            }
            Kind::ForQuery { label, targets, query, body } => {
                return self.over_rows(label.as_ref(), targets, query, body, frame);
            }
            Kind::ForEach { label, target, array, body } => {
                return self.over_elements(label.as_ref(), target, array, body, frame);
            }
            Kind::Leave { goes_on, label, when } => {
                if let Some(when) = when
                    && !self.holds(when, frame)?
                {
                    return Ok(Flow::On);
                }
                return Ok(if *goes_on { Flow::Continue(label.clone()) } else { Flow::Exit(label.clone()) });
            }
            Kind::Return(value) => {
                self.give(value.as_ref(), frame)?;
                return Ok(Flow::Return);
            }
            Kind::ReturnNext(value) => self.give_next(value.as_ref(), frame)?,
            Kind::ReturnQuery(query) => self.give_query(query, frame)?,
            Kind::Raise(raise) => self.raise(raise, frame)?,
            Kind::Assert(condition, message) => self.assert(condition, message.as_ref(), frame)?,
            Kind::Sql(sql, into) => self.sql(sql, into.as_ref(), frame)?,
            Kind::Execute { text, into, using } => self.execute(text, into.as_ref(), using, frame)?,
            Kind::Perform(sql) => {
                let answer = self.ask(&sql.node, frame, &[], 0)?;
                frame.row_count = answer.total;
                frame.set_found(answer.total > 0);
            }
            Kind::ForCursor { label, name, cursor, arguments, body } => {
                return self.over_cursor(label.as_ref(), name, (cursor, arguments), body, frame);
            }
            Kind::Open { cursor, arguments, query } => self.open(cursor, arguments, query.as_ref(), frame)?,
            Kind::Fetch { cursor, into } => self.fetch(cursor, into.as_ref(), frame)?,
            Kind::Close(cursor) => self.close(cursor, frame)?,
            Kind::Diagnostics { stacked, items } => self.diagnostics(*stacked, items, frame)?,
            Kind::Nothing => {}
            Kind::Unsupported(what) => return Err(Problem::unsupported(*what).into()),
        }
        Ok(Flow::On)
    }

    fn case(
        &mut self,
        subject: Option<&Sql>,
        branches: &[(Vec<Sql>, Vec<Statement>)],
        otherwise: Option<&[Statement]>,
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        if let Some(subject) = subject {
            let value = self.evaluate(subject, frame, None)?;
            frame.variables.positional.push((SUBJECT, value));
        }
        let chosen = self.choose(subject.is_some(), branches, frame);
        frame.variables.positional.retain(|(number, _)| *number != SUBJECT);
        match (chosen?, otherwise) {
            (Some(body), _) => self.statements(body, frame),
            (None, Some(body)) => self.statements(body, frame),
            (None, None) => {
                Err(Problem::rejected("20000", "case not found").hint("CASE statement is missing ELSE part.").into())
            }
        }
    }

    fn choose<'b>(
        &mut self,
        has_subject: bool,
        branches: &'b [(Vec<Sql>, Vec<Statement>)],
        frame: &mut Frame,
    ) -> Result<Option<&'b [Statement]>, H::Halt> {
        for (values, body) in branches {
            for value in values {
                let holds = if has_subject {
                    let test = crate::plpgsql::parse::expression(&format!("${SUBJECT} IN ({})", value.text))?;
                    self.holds(&test, frame)?
                } else {
                    self.holds(value, frame)?
                };
                if holds {
                    return Ok(Some(body));
                }
            }
        }
        Ok(None)
    }

    /// An SQL statement, which sees the variables.
    fn sql(&mut self, sql: &Sql, into: Option<&Into>, frame: &mut Frame) -> Result<(), H::Halt> {
        match (&sql.node, into) {
            (NodeEnum::SelectStmt(_), Some(into)) => {
                let wanted = self.wanted(&into.targets, frame)?;
                let answer = self.ask(&sql.node, frame, &wanted, 2)?;
                frame.row_count = answer.total.min(1);
                frame.set_found(answer.total > 0);
                self.store_into(into, &answer, false, frame)
            }
            (NodeEnum::SelectStmt(select), None) if select.into_clause.is_none() => {
                // It runs before anybody asks where its rows go.
                self.ask(&sql.node, frame, &[], 0)?;
                Err(Problem::rejected("42601", "query has no destination for result data")
                    .hint("If you want to discard the results of a SELECT, use PERFORM instead.")
                    .into())
            }
            (NodeEnum::TransactionStmt(_), _) => {
                Err(Problem::rejected("0A000", "unsupported transaction command in PL/pgSQL").into())
            }
            (node, into) => {
                let wanted = into.map(|into| self.wanted(&into.targets, frame)).transpose()?;
                let done = self.run_command(node, &sql.text, wanted.as_deref(), frame)?;
                frame.row_count = done.rows;
                if writes(node) {
                    frame.set_found(done.rows > 0);
                }
                match (into, done.returned) {
                    (Some(into), Some(answer)) => self.store_into(into, &answer, true, frame),
                    (Some(_), None) => {
                        Err(Problem::rejected("42601", "INTO used with a command that cannot return data").into())
                    }
                    (None, _) if has_returning(node) => {
                        Err(Problem::rejected("42601", "query has no destination for result data").into())
                    }
                    (None, _) => Ok(()),
                }
            }
        }
    }

    /// A statement that isn't a query.
    pub(super) fn run_command(
        &mut self,
        node: &NodeEnum,
        text: &str,
        returning: Option<&[Type]>,
        frame: &mut Frame,
    ) -> Result<Done, H::Halt> {
        match node {
            NodeEnum::CallStmt(call) => {
                self.call_procedure(call, frame)?;
                Ok(Done::default())
            }
            NodeEnum::DoStmt(block) => {
                self.inline_block(block)?;
                Ok(Done::default())
            }
            node => match self.with_calls_made(node, frame)? {
                Some((node, variables)) => self.host.command(&Command { node: &node, text, returning }, &variables),
                None => self.host.command(&Command { node, text, returning }, &frame.variables),
            },
        }
    }

    /// The statements that a text holds, and the only variables they see: those of USING.
    pub(super) fn made_up(
        &mut self,
        text: &Sql,
        using: &[Sql],
        frame: &mut Frame,
    ) -> Result<(Vec<Sql>, Variables), H::Halt> {
        let value = self.evaluate(text, frame, Some(&Type::Text))?;
        let Some(text) = value.text().map(str::to_owned) else {
            return Err(Problem::rejected("22004", "query string argument of EXECUTE is null").into());
        };
        let mut positional = Vec::new();
        for (number, sql) in (1..).zip(using) {
            positional.push((number, self.evaluate(sql, frame, None)?));
        }
        Ok((crate::plpgsql::parse::all(&text)?, Variables { positional, ..Variables::default() }))
    }

    fn execute(&mut self, text: &Sql, into: Option<&Into>, using: &[Sql], frame: &mut Frame) -> Result<(), H::Halt> {
        let (statements, variables) = self.made_up(text, using, frame)?;
        let wanted = into.map(|into| self.wanted(&into.targets, frame)).transpose()?;
        for sql in &statements {
            let outer = std::mem::replace(&mut frame.variables, variables.clone());
            let ran = self.execute_one(sql, wanted.as_deref(), frame);
            frame.variables = outer;
            let done = ran?;
            frame.row_count = done.rows;
            match (into, done.returned) {
                (Some(into), Some(answer)) => self.store_into(into, &answer, false, frame)?,
                (Some(_), None) => {
                    let words = "INTO used with a command that cannot return data";
                    return Err(Problem::rejected("42601", words).into());
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn execute_one(&mut self, sql: &Sql, wanted: Option<&[Type]>, frame: &mut Frame) -> Result<Done, H::Halt> {
        match &sql.node {
            NodeEnum::SelectStmt(select) if select.into_clause.is_some() => {
                Err(Problem::rejected("0A000", "EXECUTE of SELECT ... INTO is not implemented")
                    .hint("You might want to use EXECUTE ... INTO or EXECUTE CREATE TABLE ... AS instead.")
                    .into())
            }
            NodeEnum::SelectStmt(_) => {
                let answer = self.ask(&sql.node, frame, wanted.unwrap_or_default(), 2)?;
                Ok(Done { rows: answer.total, returned: Some(answer) })
            }
            NodeEnum::TransactionStmt(_) => {
                Err(Problem::rejected("0A000", "EXECUTE of transaction commands is not implemented").into())
            }
            node => self.run_command(node, &sql.text, wanted, frame),
        }
    }

    fn diagnostics(&mut self, stacked: bool, items: &[(Target, String)], frame: &mut Frame) -> Result<(), H::Halt> {
        if stacked && frame.handled.is_none() {
            let words = "GET STACKED DIAGNOSTICS cannot be used outside an exception handler";
            return Err(Problem::rejected("0Z002", words).into());
        }
        for (target, item) in items {
            let error = frame.handled.as_ref();
            let value = match item.as_str() {
                "row_count" => Value::integer(i64::try_from(frame.row_count).unwrap_or(i64::MAX), Type::Int8),
                "returned_sqlstate" => Value::text_of(error.map_or("", |error| error.sqlstate)),
                "message_text" => Value::text_of(error.map_or("", |error| error.message.as_str())),
                "pg_exception_detail" => {
                    Value::text_of(error.and_then(|error| error.detail.clone()).unwrap_or_default())
                }
                "pg_exception_hint" => Value::text_of(error.and_then(|error| error.hint.clone()).unwrap_or_default()),
                "constraint_name" if error.is_some_and(|error| error.sqlstate.starts_with("23")) => {
                    let message = error.map_or("", |error| error.message.as_str());
                    let name = message.split_once("constraint \"").and_then(|(_, rest)| rest.split('"').next());
                    Value::text_of(name.unwrap_or_default())
                }
                other => return Err(Problem::unsupported(format!("the diagnostics item {other}")).into()),
            };
            // Assigned as any other value is.
            frame.variables.positional.push((SUBJECT, value));
            let assigned = match crate::plpgsql::parse::expression(&format!("${SUBJECT}")) {
                Ok(sql) => self.assign(target, &sql, frame),
                Err(problem) => Err(problem.into()),
            };
            frame.variables.positional.retain(|(number, _)| *number != SUBJECT);
            assigned?;
        }
        Ok(())
    }
}

fn writes(node: &NodeEnum) -> bool {
    matches!(node, NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::MergeStmt(_))
}

pub(super) fn has_returning(node: &NodeEnum) -> bool {
    match node {
        NodeEnum::InsertStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::UpdateStmt(statement) => statement.returning_clause.is_some(),
        NodeEnum::DeleteStmt(statement) => statement.returning_clause.is_some(),
        _ => false,
    }
}

/// A level of a routine's parameters.
pub(super) fn outermost(label: Option<String>, mut names: Vec<Named>) -> Level {
    names.push(Named { name: "found".to_owned(), variable: Variable::Scalar(Value::boolean(false)), not_null: false });
    Level { label, names }
}
