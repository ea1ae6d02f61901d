//! Cursors: queries whose rows are taken one by one.
//!
//! Input: OPEN, FETCH, MOVE, CLOSE, FOR over a cursor. Output: rows in variables. Invariant: a cursor gives the rows of the moment it was
//! opened, as the server's do. Left out: directions other than forward, WHERE CURRENT OF, cursors that leave their routine.

use super::loops::round_of;
use super::{Answer, Flow, Frame, Host, Interpreter, Value, scalar};
use crate::catalog::{Problem, Type};
use crate::plpgsql::tree::{CursorQuery, Into, Query, Sql, Statement, Target};
use crate::translate::{Level, Named, Variable};

/// The cursors of a routine.
#[derive(Default)]
pub(super) struct Cursors {
    defined: Vec<(String, CursorQuery)>,
    open: Vec<Open>,
}

/// A cursor that is open.
struct Open {
    name: String,
    answer: Answer,
    next: usize,
}

impl Cursors {
    /// Takes note of a cursor's query.
    pub(super) fn define(&mut self, name: &str, query: &CursorQuery) {
        self.defined.retain(|(known, _)| known != name);
        self.defined.push((name.to_owned(), query.clone()));
    }
}

fn missing(name: &str) -> Problem {
    Problem::rejected("34000", format!("cursor \"{name}\" does not exist"))
}

impl<H: Host> Interpreter<'_, H> {
    /// OPEN
    pub(super) fn open(
        &mut self,
        name: &str,
        arguments: &[Sql],
        query: Option<&Query>,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        if frame.cursors.open.iter().any(|open| open.name == name) {
            return Err(Problem::rejected("42P03", format!("cursor \"{name}\" already in use")).into());
        }
        let answer = match query {
            Some(query) => self.rows_of(query, &[], frame)?,
            None => {
                let defined = frame.cursors.defined.iter().find(|(known, _)| known == name);
                let Some((_, defined)) = defined.cloned() else {
                    return Err(Problem::unsupported(format!("the cursor {name}, whose query isn't known")).into());
                };
                if defined.parameters.len() != arguments.len() {
                    return Err(Problem::unsupported(format!("arguments of the cursor {name} by name")).into());
                }
                let mut names = Vec::new();
                for ((parameter, ty), argument) in defined.parameters.iter().zip(arguments) {
                    let ty = Type::parse(ty, self.host.catalog())?;
                    names.push(scalar(parameter, self.evaluate(argument, frame, Some(&ty))?));
                }
                frame.variables.levels.push(Level { label: None, names });
                let answer = self.rows_of(&defined.query, &[], frame);
                frame.variables.levels.pop();
                answer?
            }
        };
        frame.cursors.open.push(Open { name: name.to_owned(), answer, next: 0 });
        Ok(())
    }

    /// FETCH, or without targets MOVE.
    pub(super) fn fetch(&mut self, name: &str, into: Option<&Into>, frame: &mut Frame) -> Result<(), H::Halt> {
        let Some(open) = frame.cursors.open.iter_mut().find(|open| open.name == name) else {
            return Err(missing(name).into());
        };
        let row = open.answer.rows.get(open.next).cloned();
        open.next += usize::from(row.is_some());
        let shape = Answer { columns: open.answer.columns.clone(), ..Answer::default() };
        frame.set_found(row.is_some());
        frame.row_count = u64::from(row.is_some());
        match into {
            Some(into) => self.store_fetched(&into.targets, &shape, row, frame),
            None => Ok(()),
        }
    }

    fn store_fetched(
        &mut self,
        targets: &[Target],
        shape: &Answer,
        row: Option<Vec<Value>>,
        frame: &mut Frame,
    ) -> Result<(), H::Halt> {
        let wanted = self.wanted(targets, frame)?;
        let row = match row {
            Some(row) => {
                let mut converted = Vec::new();
                for (at, value) in row.into_iter().enumerate() {
                    converted.push(match wanted.get(at) {
                        Some(ty) => self.converted(value, ty)?,
                        None => value,
                    });
                }
                Some(converted)
            }
            None => None,
        };
        self.store_row(targets, shape, row.as_ref(), frame)
    }

    /// A value as an assignment to a type takes it.
    pub(super) fn converted(&mut self, value: Value, ty: &Type) -> Result<Value, H::Halt> {
        if value.ty == *ty {
            return Ok(value);
        }
        let variables = crate::translate::Variables { positional: vec![(1, value)], ..Default::default() };
        let query = crate::plpgsql::parse::expression("$1")?;
        let answer = self.host.query(&query.node, &variables, std::slice::from_ref(ty), 1)?;
        Ok(super::calls::first_value(&answer.rows, ty))
    }

    /// CLOSE
    pub(super) fn close(&mut self, name: &str, frame: &mut Frame) -> Result<(), H::Halt> {
        let before = frame.cursors.open.len();
        frame.cursors.open.retain(|open| open.name != name);
        match frame.cursors.open.len() < before {
            true => Ok(()),
            false => Err(missing(name).into()),
        }
    }

    /// FOR record IN cursor
    pub(super) fn over_cursor(
        &mut self,
        label: Option<&String>,
        record: &str,
        (name, arguments): (&str, &[Sql]),
        body: &[Statement],
        frame: &mut Frame,
    ) -> Result<Flow, H::Halt> {
        self.open(name, arguments, None, frame)?;
        let rows = frame.cursors.open.last().map(|open| open.answer.clone()).unwrap_or_default();
        let depth = frame.variables.levels.len();
        let mut flow = Flow::On;
        for row in &rows.rows {
            let fields = rows.columns.iter().map(|(name, _)| name.clone()).zip(row.iter().cloned()).collect();
            let named = Named { name: record.to_owned(), variable: Variable::Record(Some(fields)), not_null: false };
            frame.variables.levels.push(Level { label: label.cloned(), names: vec![named] });
            let ended = self.one_round(body, frame);
            frame.variables.levels.truncate(depth);
            if let Some(other) = round_of(ended?, label) {
                flow = other;
                break;
            }
        }
        frame.cursors.open.retain(|open| open.name != name);
        frame.set_found(!rows.rows.is_empty());
        Ok(flow)
    }
}
