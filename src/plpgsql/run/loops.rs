//! Loops.

use super::{Answer, Flow, Frame, Host, Interpreter, scalar};
use crate::catalog::{Problem, Type};
use crate::plpgsql::tree::{Query, Sql, Statement, Target};
use crate::translate::{Level, Value};

/// Rows that a loop over a query may have; each round counts against the step budget anyway.
pub(super) const ALL: usize = usize::MAX >> 1;

/// What a round's end means for its loop.
enum Round {
    Next,
    Stop,
    Out(Flow),
}

fn round(flow: Flow, label: Option<&String>) -> Round {
    match flow {
        Flow::On | Flow::Continue(None) => Round::Next,
        Flow::Exit(None) => Round::Stop,
        Flow::Continue(Some(name)) if Some(&name) == label => Round::Next,
        Flow::Exit(Some(name)) if Some(&name) == label => Round::Stop,
        other => Round::Out(other),
    }
}

impl<H: Host> Interpreter<'_, H> {
    fn round(
        &mut self,
        body: &[Statement],
        label: Option<&String>,
        frame: &mut Frame,
    ) -> Result<Option<Flow>, H::Halt> {
        self.spend("in a loop")?;
        self.rounds += 1;
        let flow = self.statements(body, frame)?;
        Ok(match round(flow, label) {
            Round::Next => None,
            Round::Stop => Some(Flow::On),
            Round::Out(flow) => Some(flow),
        })
    }

    pub(super) fn endless(
        &mut self,
        label: Option<&String>,
        condition: Option<&Sql>,
        body: &[Statement],
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        loop {
            if let Some(condition) = condition
                && !self.holds(condition, frame)?
            {
                return Ok(Flow::On);
            }
            if let Some(flow) = self.round(body, label, frame)? {
                return Ok(flow);
            }
        }
    }

    /// FOR i IN from .. to
    pub(super) fn range(
        &mut self,
        label: Option<&String>,
        name: &str,
        reverse: bool,
        bounds: &[Option<Box<Sql>>; 3],
        body: &[Statement],
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        let mut ends = [0, 0, 1];
        for ((end, bound), what) in ends.iter_mut().zip(bounds).zip(["lower bound", "upper bound", "BY value"]) {
            let Some(bound) = bound else { continue };
            let value = self.evaluate(bound, frame, Some(&Type::Int4))?;
            let Some(number) = value.text().and_then(|text| text.parse::<i64>().ok()) else {
                return Err(Problem::rejected("22004", format!("{what} of FOR loop cannot be null")).into());
            };
            *end = number;
        }
        let [mut at, last, step] = ends;
        if step <= 0 {
            return Err(Problem::rejected("22023", "BY value of FOR loop must be greater than zero").into());
        }
        let depth = frame.variables.levels.len();
        let mut found = false;
        let mut flow = Flow::On;
        while if reverse { at >= last } else { at <= last } {
            found = true;
            // What the body assigns to the variable lasts to the end of the round.
            let level = Level { label: label.cloned(), names: vec![scalar(name, Value::integer(at, Type::Int4))] };
            frame.variables.levels.push(level);
            let ended = self.round(body, label, frame);
            frame.variables.levels.truncate(depth);
            if let Some(other) = ended? {
                flow = other;
                break;
            }
            at += if reverse { -step } else { step };
            if i32::try_from(at).is_err() {
                break;
            }
        }
        frame.set_found(found);
        Ok(flow)
    }

    /// The rows of a query that is written out or made up.
    pub(super) fn rows_of(&mut self, query: &Query, into: &[Type], frame: &mut Frame) -> Result<Answer, H::Halt> {
        match query {
            Query::Static(sql) if matches!(sql.node, pg_query::NodeEnum::SelectStmt(_)) => {
                self.ask(&sql.node, frame, into, ALL)
            }
            Query::Static(sql) => {
                let done = self.run_command(&sql.node, &sql.text, Some(into), frame)?;
                done.returned.ok_or_else(|| Problem::unsupported("a loop over a statement without rows").into())
            }
            Query::Dynamic { text, using } => {
                let (mut statements, variables) = self.made_up(text, using, frame)?;
                match (statements.pop(), statements.is_empty()) {
                    (Some(sql), true) if matches!(sql.node, pg_query::NodeEnum::SelectStmt(_)) => {
                        let outer = std::mem::replace(&mut frame.variables, variables);
                        let answer = self.ask(&sql.node, frame, into, ALL);
                        frame.variables = outer;
                        answer
                    }
                    _ => Err(Problem::unsupported("EXECUTE of anything but one query for its rows").into()),
                }
            }
        }
    }

    pub(super) fn over_rows(
        &mut self,
        label: Option<&String>,
        targets: &[Target],
        query: &Query,
        body: &[Statement],
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        let wanted = self.wanted(targets, frame)?;
        let answer = self.rows_of(query, &wanted, frame)?;
        if answer.rows.is_empty() {
            self.store_row(targets, &answer, None, frame)?;
        }
        let mut flow = Flow::On;
        for row in &answer.rows {
            self.store_row(targets, &answer, Some(row), frame)?;
            if let Some(other) = self.round(body, label, frame)? {
                flow = other;
                break;
            }
        }
        frame.set_found(!answer.rows.is_empty());
        Ok(flow)
    }

    pub(super) fn over_elements(
        &mut self,
        label: Option<&String>,
        target: &Target,
        array: &Sql,
        body: &[Statement],
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        let value = self.evaluate(array, frame, None)?;
        if value.is_null() {
            return Err(Problem::rejected("22004", "FOREACH expression must not be null").into());
        }
        if !matches!(value.ty, Type::Array(_)) {
            let name = value.ty.name(self.host.catalog());
            let message = format!("FOREACH expression must yield an array, not type {name}");
            return Err(Problem::rejected("42804", message).into());
        }
        let targets = std::slice::from_ref(target);
        let wanted = self.wanted(targets, frame)?;
        let outer = std::mem::take(&mut frame.variables.positional);
        frame.variables.positional.push((1, value));
        let query = crate::plpgsql::parse::statement("SELECT e FROM unnest($1) WITH ORDINALITY AS u(e, n) ORDER BY n");
        let answer = match query {
            Ok(query) => self.ask(&query.node, frame, &wanted, ALL),
            Err(problem) => Err(problem.into()),
        };
        frame.variables.positional = outer;
        let answer = answer?;
        let mut flow = Flow::On;
        for row in &answer.rows {
            self.store_row(targets, &answer, Some(row), frame)?;
            if let Some(other) = self.round(body, label, frame)? {
                flow = other;
                break;
            }
        }
        frame.set_found(!answer.rows.is_empty());
        Ok(flow)
    }
}
