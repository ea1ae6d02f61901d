//! Running a body: its statements one after the other, on a [`Host`] that knows the rows.
//!
//! Input: a [`Body`], values of its parameters. Output: what it gives back, and what it has the host do. Invariants: an error
//! undoes what its block did where the block handles errors, and nothing is caught but what the server would raise; every statement
//! counts against a budget. Left out: COMMIT.

mod assign;
mod calls;
mod cursors;
mod loops;
mod over_rows;
mod plain;
mod raise;
mod routine;
mod rows;
mod statements;

use pg_query::NodeEnum;

use super::tree::{Level as Severity, Sql};
use crate::catalog::problem::ServerError;
use crate::catalog::{Catalog, Problem, Type};
use crate::translate::{Named, Value, Variable, Variables};

pub use routine::{Given, Row, is_interpreted};

/// Calls within calls: what goes deeper isn't going to end.
const DEPTH: usize = 24;

/// Where a body runs.
pub trait Host {
    /// Why it doesn't go on.
    type Halt: From<Problem>;
    /// A point to go back to.
    type Point;

    /// The schema now.
    fn catalog(&self) -> &Catalog;

    /// Looks for names in these schemas from here on; gives those in which they were looked for.
    fn change_search_path(&mut self, path: Vec<String>) -> Vec<String>;

    /// Answers a query, its columns cast to the types of the variables they go into; at most so many rows are given.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    fn query(
        &mut self,
        query: &NodeEnum,
        variables: &Variables,
        into: &[Type],
        most: usize,
    ) -> Result<Answer, Self::Halt>;

    /// Runs a statement that isn't a query.
    ///
    /// # Errors
    /// The server's, or what can't be told.
    fn command(&mut self, command: &Command<'_>, variables: &Variables) -> Result<Done, Self::Halt>;

    /// Sets a point.
    fn set_point(&mut self) -> Self::Point;

    /// Goes back to a point, and gives it up.
    ///
    /// # Errors
    /// The engine's.
    fn go_back(&mut self, point: Self::Point) -> Result<(), Self::Halt>;

    /// Gives a point up.
    ///
    /// # Errors
    /// The engine's.
    fn release(&mut self, point: Self::Point) -> Result<(), Self::Halt>;

    /// The server's error that a halt is.
    ///
    /// # Errors
    /// The halt itself, where it is none.
    fn caught(&self, halt: Self::Halt) -> Result<ServerError, Self::Halt>;

    /// RAISE below an exception.
    fn say(&mut self, level: Severity, message: &str);

    /// Takes note of what a reader of the report should know.
    fn note(&mut self, note: String);

    /// A moment to stop at.
    ///
    /// # Errors
    /// An interrupt.
    fn pause(&self) -> Result<(), Self::Halt>;
}

/// A statement for the host.
pub struct Command<'c> {
    /// As the parser read it.
    pub node: &'c NodeEnum,
    /// Its text.
    pub text: &'c str,
    /// Its RETURNING is wanted, cast to these types.
    pub returning: Option<&'c [Type]>,
}

/// Rows of a query.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Names and types of its columns.
    pub columns: Vec<(String, Type)>,
    /// The first rows.
    pub rows: Vec<Vec<Value>>,
    /// How many there are.
    pub total: u64,
}

/// What a statement did.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Rows of its command tag.
    pub rows: u64,
    /// What it returns, where that was asked for.
    pub returned: Option<Answer>,
}

/// How a statement ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Flow {
    On,
    Exit(Option<String>),
    Continue(Option<String>),
    Return,
}

/// A routine under way.
struct Frame {
    variables: Variables,
    /// GET DIAGNOSTICS … = ROW_COUNT
    row_count: u64,
    /// The error that is being handled.
    handled: Option<ServerError>,
    given: Given,
    cursors: cursors::Cursors,
    /// Types of what it gives; none where it gives nothing.
    gives: crate::catalog::Gives,
}

/// Runs bodies.
pub struct Interpreter<'h, H: Host> {
    host: &'h mut H,
    /// Statements that may still run.
    left: u64,
    budget: u64,
    /// Rounds of loops so far.
    pub rounds: u64,
    depth: usize,
    /// Whole rows among the arguments of the call that is next, by their place.
    rows_given: Vec<(usize, Option<Row>)>,
    /// Where in the outermost body the statement stands that failed.
    pub failed_at: Option<usize>,
    /// The error that isn't caught is one that the body raised itself.
    pub raised: bool,
}

impl<'h, H: Host> Interpreter<'h, H> {
    /// Runs on a host, at most `budget` statements.
    pub fn new(host: &'h mut H, budget: u64) -> Interpreter<'h, H> {
        Interpreter {
            host,
            left: budget,
            budget,
            rounds: 0,
            depth: 0,
            rows_given: Vec::new(),
            failed_at: None,
            raised: false,
        }
    }

    /// Counts a statement or a round of a loop.
    fn spend(&mut self, doing: &str) -> Result<(), H::Halt> {
        self.host.pause()?;
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Problem::unsupported(format!(
                "a body that goes on after {} statements ({doing}), beyond the step budget",
                self.budget
            ))
            .into()),
        }
    }

    /// The value of an expression as a type; of its own where none is wanted.
    fn evaluate(&mut self, sql: &Sql, frame: &mut Frame, ty: Option<&Type>) -> Result<Value, H::Halt> {
        if let Some(value) = plain::plain_value(&sql.node, &frame.variables, ty) {
            return Ok(value);
        }
        let types: Vec<Type> = ty.into_iter().cloned().collect();
        let answer = self.ask(&sql.node, frame, &types, 2)?;
        if answer.columns.len() > 1 {
            let message = format!("query \"{}\" returned {} columns", sql.text, answer.columns.len());
            return Err(Problem::rejected("42601", message).into());
        }
        if answer.total > 1 {
            let message = format!("query \"{}\" returned more than one row", sql.text);
            return Err(Problem::rejected("21000", message).into());
        }
        let own = answer.columns.first().map_or(Type::Text, |(_, own)| own.clone());
        let row = answer.rows.into_iter().next().and_then(|row| row.into_iter().next());
        Ok(row.unwrap_or_else(|| Value::null(ty.cloned().unwrap_or(own))))
    }

    /// The answer to a query whose calls of the database's own functions are made first.
    fn ask(&mut self, query: &NodeEnum, frame: &mut Frame, into: &[Type], most: usize) -> Result<Answer, H::Halt> {
        match self.with_calls_made(query, frame)? {
            Some((query, variables)) => self.host.query(&query, &variables, into, most),
            None => self.host.query(query, &frame.variables, into, most),
        }
    }

    /// A condition; NULL is not true.
    fn holds(&mut self, sql: &Sql, frame: &mut Frame) -> Result<bool, H::Halt> {
        Ok(self.evaluate(sql, frame, Some(&Type::Bool))?.is_true())
    }

    /// A value as the server's output function writes it; `None` for NULL.
    fn shown(&mut self, value: &Value) -> Result<Option<String>, H::Halt> {
        let Some(text) = value.text() else { return Ok(None) };
        Ok(Some(match &value.ty {
            Type::Bool => if text == "true" { "t" } else { "f" }.to_owned(),
            ty if ty.is_text() || ty.is_integer() => text.to_owned(),
            Type::Uuid | Type::Date | Type::Enum(_) => text.to_owned(),
            _ => {
                let variables = Variables { positional: vec![(1, value.clone())], ..Variables::default() };
                let query = super::parse::expression("$1::text")?;
                let answer = self.host.query(&query.node, &variables, &[Type::Text], 1)?;
                let text = answer.rows.first().and_then(|row| row.first()).and_then(Value::text);
                text.unwrap_or_default().to_owned()
            }
        }))
    }
}

impl Frame {
    fn set_found(&mut self, found: bool) {
        let names = self.variables.levels.first_mut().map(|level| &mut level.names);
        if let Some(named) = names.and_then(|names| names.iter_mut().find(|named| named.name == "found")) {
            named.variable = Variable::Scalar(Value::boolean(found));
        }
    }
}

fn scalar(name: &str, value: Value) -> Named {
    Named { name: name.to_owned(), variable: Variable::Scalar(value), not_null: false }
}
