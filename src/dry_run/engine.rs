//! The engine of a dry run: DuckDB statements in, counts and JSON rows out, errors told apart.
//!
//! Input: SQL over physical names. Output: rows, or a [`Halt`]. Invariants: an error that the server would raise arrives as
//! [`Problem::Rejected`]; any other refusal of DuckDB is [`Problem::Unsupported`] with the engine's words, never a panic and
//! never a silent pass; only an interrupt or a broken machine ends the rehearsal. Left out: what the SQL means.

use std::cell::Cell;

use anyhow::{Context, Error, Result, anyhow};
use duckdb::{Connection, Row};
use serde_json::{Map, Value};

use super::decoding;
use crate::catalog::Problem;
use crate::catalog::problem::ServerError;
use crate::native::own_calls as calls;
use crate::ui;

/// Why a statement, or the whole rehearsal, doesn't go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The statement fails, or can't be told.
    Problem(Problem),
    /// Rows break a rule of the schema: the server's error, how many rows, and some of them.
    Violation(Box<Violation>),
    /// Nothing can go on: an interrupt, a file that can't be read.
    Broken(Error),
    /// Calls of the database's own functions must be made first; then it is begun anew.
    Calls,
}

/// Rows that the server would refuse.
#[derive(Debug)]
pub(super) struct Violation {
    /// The server's error.
    pub(super) error: ServerError,
    /// How many rows break the rule.
    pub(super) rows: u64,
    /// Some of them.
    pub(super) samples: Vec<Map<String, Value>>,
    /// The number of the first of them, where rows that come in are judged in their order.
    pub(super) first: Option<i64>,
}

/// The result of work on rows.
pub(super) type Ran<T> = Result<T, Halt>;

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Halt {
        Halt::Problem(problem)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        Halt::Broken(error)
    }
}

/// A database of its own inside the snapshot's DuckDB, so that two rehearsals of one snapshot don't meet.
pub(super) struct Engine<'s> {
    connection: &'s Connection,
    /// Name of the attached database.
    schema: String,
    /// The level on which calls of the database's own functions are looked up.
    calls: Cell<u64>,
}

impl Drop for Engine<'_> {
    /// Lets another rehearsal of the snapshot have the name, and whoever asks the snapshot next find its own tables.
    fn drop(&mut self) {
        // A rehearsal that broke off within a transaction can't be detached; it ends with the process.
        let _ = self.plain(&format!("USE memory; DETACH {}", self.schema));
    }
}

impl<'s> Engine<'s> {
    /// Attaches an empty database in memory and makes it the current one.
    pub(super) fn attach(connection: &'s Connection, schema: &str) -> Result<Engine<'s>> {
        let engine = Engine { connection, schema: schema.to_owned(), calls: Cell::new(0) };
        // JSON errors are the SQL shell's setting; here the words are wanted.
        engine.plain(&format!("SET errors_as_json = false; ATTACH ':memory:' AS {schema}; USE {schema}"))?;
        crate::native::register(connection)?;
        Ok(engine)
    }

    /// Name of the database, to qualify tables with.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Makes this database the current one again.
    pub(super) fn select(&self) -> Result<()> {
        self.plain(&format!("USE {}", self.schema))
    }

    /// Tells functions of times the session's time zone.
    pub(super) fn set_zone(&self, zone: &str) -> Result<()> {
        self.plain(&format!("SET VARIABLE pg_zone = {}", crate::query::quote_literal(zone)))
    }

    /// The time that `'now'` is about.
    pub(super) fn set_now(&self, now: &str) -> Result<()> {
        self.plain(&format!("SET VARIABLE pg_now = {}", crate::query::quote_literal(now)))
    }

    /// Forgets every table.
    pub(super) fn clear(&self) -> Result<()> {
        let schema = &self.schema;
        self.plain(&format!("USE memory; DETACH {schema}; ATTACH ':memory:' AS {schema}; USE {schema}"))
    }

    fn plain(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).with_context(|| format!("preparing the rehearsal: {sql}"))
    }

    /// Runs SQL without a result.
    pub(super) fn run(&self, sql: &str) -> Ran<()> {
        let ran = self.connection.execute_batch(sql);
        self.known(ran, sql)
    }

    /// The server's error that a query ends in, asked beside the transaction under way, which no error may meet.
    pub(super) fn error_of(&self, sql: &str) -> Option<ServerError> {
        let error = self.connection.try_clone().ok()?.execute_batch(sql).err()?;
        match halt(&error, sql) {
            Halt::Problem(Problem::Rejected(error)) => Some(error),
            _ => None,
        }
    }

    /// Calls of functions are looked up on this level from here on.
    pub(super) fn watch(&self, level: u64) {
        self.calls.set(level);
    }

    /// A result, unless it was made without knowing what a call gives.
    fn known<T>(&self, ran: duckdb::Result<T>, sql: &str) -> Ran<T> {
        let level = self.calls.get();
        if calls::is_wanting(level) {
            return Err(Halt::Calls);
        }
        ran.map_err(|error| match halt(&error, sql) {
            Halt::Problem(problem) => match calls::failed(level) {
                Some(error) => Halt::Problem(Problem::Rejected(error)),
                None => Halt::Problem(problem),
            },
            other => other,
        })
    }

    /// Runs a query and decodes its rows.
    pub(super) fn rows<T>(&self, sql: &str, mut decode: impl FnMut(&Row<'_>) -> duckdb::Result<T>) -> Ran<Vec<T>> {
        let mut run = || -> duckdb::Result<Vec<T>> {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            let mut decoded = Vec::new();
            while let Some(row) = rows.next()? {
                decoded.push(decode(row)?);
            }
            Ok(decoded)
        };
        let ran = run();
        self.known(ran, sql)
    }

    /// The connection, for analyses that ask on their own.
    pub(super) fn connection(&self) -> &'s Connection {
        self.connection
    }

    /// Appends rows of two texts and a flag to a temporary table.
    pub(super) fn fill<'r>(
        &self,
        table: &str,
        rows: impl Iterator<Item = (&'r str, Option<&'r str>, bool)>,
    ) -> Ran<()> {
        let fill = || -> duckdb::Result<()> {
            let mut appender = self.connection.appender_to_catalog_and_db(table, "temp", "main")?;
            for (first, second, flag) in rows {
                appender.append_row(duckdb::params![first, second, flag])?;
            }
            appender.flush()
        };
        fill().map_err(|error| halt(&error, table))
    }

    /// Runs a query of one row of counts.
    pub(super) fn counts<const N: usize>(&self, sql: &str) -> Ran<[u64; N]> {
        let rows = self.rows(sql, |row| {
            let mut counts = [0; N];
            for (index, count) in counts.iter_mut().enumerate() {
                *count = row.get::<_, Option<i64>>(index)?.unwrap_or(0).unsigned_abs();
            }
            Ok(counts)
        })?;
        rows.into_iter().next().ok_or_else(|| Halt::Broken(anyhow!("a count without a row: {sql}")))
    }

    /// Runs a query of one count.
    pub(super) fn count(&self, sql: &str) -> Ran<u64> {
        Ok(self.counts::<1>(sql)?[0])
    }

    /// Runs a query whose first column is a JSON object.
    pub(super) fn objects(&self, sql: &str) -> Ran<Vec<Map<String, Value>>> {
        self.rows(sql, |row| row.get::<_, String>(0))?
            .iter()
            .map(|text| decoding::object(text).with_context(|| format!("reading a sample row: {text}")))
            .collect::<Result<_>>()
            .map_err(Halt::Broken)
    }

    /// Runs a query of a JSON value and a count.
    pub(super) fn counted_values(&self, sql: &str) -> Ran<Vec<(Value, u64)>> {
        self.rows(sql, |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
            .into_iter()
            .map(|(text, rows)| {
                let value = text.map_or(Ok(Value::Null), |text| decoding::value(&text))?;
                Ok((value, rows))
            })
            .collect::<Result<_>>()
            .map_err(Halt::Broken)
    }
}

/// What DuckDB's error means for the statement.
fn halt(error: &duckdb::Error, sql: &str) -> Halt {
    if let Err(interrupt) = ui::check_interrupt() {
        return Halt::Broken(interrupt);
    }
    let text = error.to_string();
    match server_error(&text) {
        Some(problem) => Halt::Problem(problem),
        None if text.contains("Out of Memory") || text.contains("IO Error") => {
            Halt::Broken(anyhow!("{}", first_line(&text)).context("rehearsing the statement"))
        }
        None => {
            let words = first_line(&text);
            Halt::Problem(Problem::unsupported(format!("a statement that the engine refuses ({words}): {}", cut(sql))))
        }
    }
}

/// The server's error inside DuckDB's: `PG|22001|value too long for type character varying(3)`; a DETAIL that is the same for
/// all rows may follow after another bar.
fn server_error(text: &str) -> Option<Problem> {
    if text.contains("More than one row returned by a subquery used as an expression") {
        return Some(Problem::rejected("21000", "more than one row returned by a subquery used as an expression"));
    }
    if let Some(problem) = overflow(text) {
        return Some(problem);
    }
    if let Some((before, what)) = text.split_once("NS|")
        && !before.contains("PG|")
    {
        return Some(Problem::unsupported(first_line(what).trim_end()));
    }
    let (_, raised) = text.split_once("PG|")?;
    let (sqlstate, message) = raised.split_once('|')?;
    let message = message.split("\n\nLINE ").next().unwrap_or(message).trim_end();
    let sqlstate = known_state(sqlstate)?;
    // A bar may as well be part of a value that the message quotes.
    match message.split_once('|').filter(|_| sqlstate == "22003" && message.starts_with("numeric field overflow|")) {
        Some((message, detail)) => Some(Problem::rejected(sqlstate, message).detail(detail)),
        None => Some(Problem::rejected(sqlstate, message)),
    }
}

/// A whole number that its type can't hold: in arithmetic the two engines' types are the same.
fn overflow(text: &str) -> Option<Problem> {
    let (_, behind) = text.split_once("Out of Range Error: Overflow in ")?;
    let behind = ["addition", "subtraction", "multiplication"].iter().find_map(|name| behind.strip_prefix(name))?;
    let names = [(" of INT16 ", "smallint"), (" of INT32 ", "integer"), (" of INT64 ", "bigint")];
    let (_, name) = names.iter().find(|(engine, _)| behind.starts_with(engine))?;
    Some(Problem::rejected("22003", format!("{name} out of range")))
}

/// SQLSTATEs are part of the binary; only those that rows can raise come out of the engine.
fn known_state(text: &str) -> Option<&'static str> {
    const STATES: &[&str] = &[
        "0A000", "21000", "22001", "22003", "22004", "22007", "22008", "22012", "22023", "22026", "2201B", "2202E",
        "22P02", "22P03", "22P05", "22021", "22025", "2200H", "23502", "23503", "23505", "23514", "42804", "42846",
        "42883", "55P04", "P0001", "42601", "428C9", "54000", "22030", "22032", "22033", "22011", "2201E", "2201F",
        "22015", "22009", "2201W", "2201X", "22013", "22014", "2201G", "22016",
    ];
    STATES.iter().copied().find(|state| *state == text)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn cut(sql: &str) -> String {
    let mut words: String = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(160) {
        words.truncate(end);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        fn check(sql: &str, expected: &str) {
            let connection = Connection::open_in_memory().expect("an engine");
            let engine = Engine::attach(&connection, "run").expect("a database");
            match engine.run(sql).expect_err(sql) {
                Halt::Problem(problem) => assert!(problem.to_string().contains(expected), "{problem}"),
                other => panic!("{other:?}"),
            }
        }
        check("SELECT error('PG|22001|value too long')", "value too long (22001)");
        check("SELECT (SELECT i FROM range(2) AS r(i))", "returned by a subquery used as an expression (21000)");
        check("SELECT no_such_function(1)", "can't be rehearsed");
        check("SELECT error('NS|the function f()')", "the function f() can't be rehearsed");
        check("SELECT error('PG|nonsense')", "can't be rehearsed");
    }
}
