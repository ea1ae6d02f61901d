//! Native functions: PostgreSQL's functions in Rust, called from DuckDB's SQL where SQL can't say the same.
//!
//! Input: rows of texts (a value in PostgreSQL's own text form, or `None` for NULL). Output: a text, a truth value, a whole number
//! or a list of texts for each row. Invariants: a function is pure; what the server would raise is a [`Raised`] error with its
//! SQLSTATE, what can't be answered as the server would is a [`Refused`] one; a panic fails the query, never the process.
//! Left out: which function a statement means (the translation decides), and every name a user may write: native functions are
//! registered under names that begin with `pg_`.

mod array;
mod bits;
mod call;
pub(crate) mod carried;
mod hstore;
mod json;
mod lists;
mod ltree;
mod network;
pub(crate) mod numeric;
pub(crate) mod own_calls;
pub(crate) mod range;
mod regex;
pub(crate) mod text;
pub(crate) mod time;

pub(crate) use array::{elements as array_elements, record_fields};
pub(crate) use json::{canonical_text as jsonb_text, check_text as check_json};

use std::error::Error;
use std::fmt;

use anyhow::Result;
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use duckdb::Connection;

use call::Takes;

use crate::catalog::Problem;

/// Why a function gives no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server's error: SQLSTATE and message.
    Raised(&'static str, String),
    /// What can't be told.
    Refused(String),
}

impl Failure {
    /// The server's error.
    pub(crate) fn raised(sqlstate: &'static str, message: impl Into<String>) -> Failure {
        Failure::Raised(sqlstate, message.into())
    }

    /// The same, noticed before any row is read.
    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Failure::Raised(sqlstate, message) => match message.split_once('|') {
                Some((message, detail)) if sqlstate == "22003" => Problem::rejected(sqlstate, message).detail(detail),
                _ => Problem::rejected(sqlstate, message),
            },
            Failure::Refused(what) => Problem::unsupported(what),
        }
    }

    /// Something whose treatment on the server can't be told.
    pub(crate) fn refused(what: impl Into<String>) -> Failure {
        Failure::Refused(what.into())
    }
}

impl fmt::Display for Failure {
    /// As the dry run's engine reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Raised(sqlstate, message) => write!(f, "PG|{sqlstate}|{message}"),
            Failure::Refused(what) => write!(f, "NS|{what}"),
        }
    }
}

impl Error for Failure {}

/// What a function gives for one row.
pub(crate) type Given<T> = std::result::Result<Option<T>, Failure>;

/// One row's arguments.
pub(crate) type Arguments<'a> = [Option<&'a str>];

/// A function by what it gives.
#[derive(Clone, Copy)]
pub(crate) enum Native {
    /// A text.
    Text(fn(&Arguments<'_>) -> Given<String>),
    /// A truth value.
    Truth(fn(&Arguments<'_>) -> Given<bool>),
    /// A whole number.
    Whole(fn(&Arguments<'_>) -> Given<i64>),
    /// A list of texts.
    Texts(fn(&Arguments<'_>) -> Given<Vec<Option<String>>>),
}

/// The functions by name, room by room.
const FUNCTIONS: &[&[(&str, Native)]] = &[
    array::FUNCTIONS,
    bits::FUNCTIONS,
    carried::FUNCTIONS,
    hstore::FUNCTIONS,
    json::FUNCTIONS,
    ltree::FUNCTIONS,
    network::FUNCTIONS,
    numeric::FUNCTIONS,
    range::FUNCTIONS,
    regex::FUNCTIONS,
    text::FUNCTIONS,
    time::FUNCTIONS,
];

/// Registers every native function with a database.
///
/// # Errors
/// The engine's, where it refuses a registration.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    for (name, native) in FUNCTIONS.iter().flat_map(|list| list.iter()) {
        match native {
            Native::Text(function) => call::register::<Texts, _>(connection, name, *function),
            Native::Truth(function) => call::register::<Texts, _>(connection, name, *function),
            Native::Whole(function) => call::register::<Texts, _>(connection, name, *function),
            Native::Texts(function) => call::register::<Texts, _>(connection, name, *function),
        }?;
    }
    own_calls::register(connection)?;
    lists::register(connection)
}

/// A row of texts.
struct Texts;

impl Takes for Texts {
    type Function<T: 'static> = fn(&Arguments<'_>) -> Given<T>;

    fn ty() -> DataType {
        DataType::Utf8
    }

    fn each_row<T: 'static>(
        batch: &RecordBatch,
        function: fn(&Arguments<'_>) -> Given<T>,
    ) -> std::result::Result<Vec<Option<T>>, Box<dyn Error>> {
        let columns: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
        let mut arguments = vec![None; columns.len()];
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            for (argument, column) in arguments.iter_mut().zip(&columns) {
                *argument = column.is_valid(row).then(|| column.value(row));
            }
            rows.push(function(&arguments)?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a query of one value gives, as text.
    pub(super) fn answer(sql: &str) -> std::result::Result<Option<String>, String> {
        let connection = Connection::open_in_memory().expect("an engine");
        register(&connection).expect("registration");
        connection
            .query_row(&format!("SELECT CAST(({sql}) AS VARCHAR)"), [], |row| row.get(0))
            .map_err(|error| error.to_string())
    }

    /// Calls a function of a room; errors by their state.
    pub(super) fn check(room: &[(&str, Native)], name: &str, arguments: &[&str], expected: &str) {
        let (_, native) = room.iter().find(|(known, _)| *known == name).expect(name);
        let arguments: Vec<Option<&str>> = arguments.iter().map(|argument| Some(*argument)).collect();
        let shown = match native {
            Native::Text(function) => function(&arguments),
            Native::Truth(function) => function(&arguments).map(|found| found.map(|found| found.to_string())),
            Native::Whole(function) => function(&arguments).map(|found| found.map(|found| found.to_string())),
            _ => panic!("{name} gives something else"),
        };
        let shown = match shown {
            Ok(found) => found.unwrap_or_else(|| "NULL".to_owned()),
            Err(Failure::Raised(sqlstate, _)) => sqlstate.to_owned(),
            Err(Failure::Refused(_)) => "refused".to_owned(),
        };
        assert_eq!(shown, expected, "{name}{arguments:?}");
    }

    #[test]
    fn nulls_and_errors_come_through() {
        assert_eq!(answer("SELECT pg_initcap('foo bar')"), Ok(Some("Foo Bar".to_owned())));
        assert_eq!(answer("SELECT pg_initcap(NULL)"), Ok(None));
        assert_eq!(
            answer("SELECT pg_initcap(x) FROM (VALUES (NULL), ('ab')) AS v(x) ORDER BY x LIMIT 1"),
            Ok(Some("Ab".into()))
        );
        assert_eq!(answer("SELECT count(pg_initcap(x)) FROM (VALUES (NULL), ('ab')) AS v(x)"), Ok(Some("1".into())));
    }
}
