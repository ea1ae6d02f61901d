//! Loops.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::{Answer, Flow, Frame, Host, Interpreter, scalar};
use crate::catalog::{Problem, Type};
use crate::plpgsql::tree::{Kind, Query, Sql, Statement, Target};
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

/// How a loop ends that a round has ended so; nothing where it goes on.
pub(super) fn round_of(flow: Flow, label: Option<&String>) -> Option<Flow> {
    match round(flow, label) {
        Round::Next => None,
        Round::Stop => Some(Flow::On),
        Round::Out(flow) => Some(flow),
    }
}

/// Does it matter in which order a loop's rows come? It does where a round may be the last, or rows come in that get numbers.
fn minds_order(body: &[Statement]) -> bool {
    body.iter().any(|statement| match &statement.kind {
        Kind::Leave { goes_on, .. } => !goes_on,
        Kind::Return(_) | Kind::ReturnNext(_) | Kind::ReturnQuery(_) | Kind::Execute { .. } => true,
        Kind::Sql(sql, _) => matches!(sql.node, NodeEnum::InsertStmt(_)),
        Kind::If(branches, otherwise) => branches.iter().any(|(_, body)| minds_order(body)) || minds_order(otherwise),
        Kind::Block(block) => minds_order(&block.body) || block.handlers.iter().any(|h| minds_order(&h.body)),
        Kind::Case(_, branches, otherwise) => {
            branches.iter().any(|(_, body)| minds_order(body)) || otherwise.as_deref().is_some_and(minds_order)
        }
        Kind::Loop { body, .. }
        | Kind::ForRange { body, .. }
        | Kind::ForQuery { body, .. }
        | Kind::ForEach { body, .. }
        | Kind::ForCursor { body, .. } => minds_order(body),
        _ => false,
    })
}

/// Is the order of a query's rows the server's to choose?
fn is_unordered(query: &Query) -> bool {
    let Query::Static(sql) = query else { return false };
    match &sql.node {
        NodeEnum::SelectStmt(select) => {
            let reads = |node: &Node| !matches!(node.node, Some(NodeEnum::RangeFunction(_)));
            select.sort_clause.is_empty() && select.from_clause.iter().any(reads)
        }
        _ => false,
    }
}

impl<H: Host> Interpreter<'_, H> {
    /// A round of a loop.
    pub(super) fn one_round(&mut self, body: &[Statement], frame: &mut Frame) -> Result<Flow, H::Halt> {
        self.spend("in a loop")?;
        self.rounds += 1;
        self.statements(body, frame)
    }

    fn round(
        &mut self,
        body: &[Statement],
        label: Option<&String>,
        frame: &mut Frame,
    ) -> Result<Option<Flow>, H::Halt> {
        Ok(round_of(self.one_round(body, frame)?, label))
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
            Query::Static(sql) if matches!(sql.node, NodeEnum::SelectStmt(_)) => self.ask(&sql.node, frame, into, ALL),
            Query::Static(sql) => {
                let done = self.run_command(&sql.node, &sql.text, Some(into), frame)?;
                done.returned.ok_or_else(|| Problem::unsupported("a loop over a statement without rows").into())
            }
            Query::Dynamic { text, using } => {
                let (mut statements, variables) = self.made_up(text, using, frame)?;
                match (statements.pop(), statements.is_empty()) {
                    (Some(sql), true) if matches!(sql.node, NodeEnum::SelectStmt(_)) => {
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
        if answer.rows.len() > 1 && is_unordered(query) && minds_order(body) {
            self.host.note(format!(
                "A loop over {} rows of a query without ORDER BY: the server chooses their order, and what depends on it may differ.",
                answer.rows.len()
            ));
        }
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
