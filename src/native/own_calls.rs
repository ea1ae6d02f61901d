//! Calls of the database's own functions for each row: what a call gives is looked up, and what nobody knows yet is asked for.
//!
//! Input: a level (one statement's calls), a function and its arguments as texts. Output: what the function gives, where that is known.
//! Invariants: a call that isn't known gives NULL and is written down, and whoever runs the query throws its result away, has the
//! function run, and asks again; a function whose values are new at every call gives each of its values once. Left out: running
//! functions, which only a session can.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use super::call::{Takes, list_of_texts};
use super::lists::{Lists, ListsOfTexts};
use super::{Failure, Given};
use crate::catalog::problem::ServerError;

/// A call: which function, and its arguments in the engine's text form.
pub(crate) type Call = (usize, Vec<Option<String>>);

/// What a call gave: a text in the engine's form, or the error it ended in.
pub(crate) type Gave = std::result::Result<Option<String>, ServerError>;

/// What is known of a call.
#[derive(Default)]
struct Known {
    gave: Vec<Gave>,
    /// Every call gives another value.
    is_new: bool,
    /// Calls so far in this run of the query.
    used: usize,
}

/// The calls of one statement.
#[derive(Default)]
struct Level {
    known: BTreeMap<Call, Known>,
    wanted: Vec<Call>,
    asked: BTreeSet<Call>,
    failed: Option<ServerError>,
}

static LEVELS: Mutex<BTreeMap<u64, Level>> = Mutex::new(BTreeMap::new());
static LAST: AtomicU64 = AtomicU64::new(0);

fn levels() -> MutexGuard<'static, BTreeMap<u64, Level>> {
    // What is behind the lock is whole at any time.
    LEVELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new level, on which nothing is known.
pub(crate) fn begin() -> u64 {
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    levels().insert(number, Level::default());
    number
}

/// Forgets a level.
pub(crate) fn end(level: u64) {
    levels().remove(&level);
}

/// The query is run once more.
pub(crate) fn rewind(level: u64) {
    if let Some(level) = levels().get_mut(&level) {
        level.known.values_mut().for_each(|known| known.used = 0);
        level.failed = None;
    }
}

/// Calls that nobody knew the answer to.
pub(crate) fn wanted(level: u64) -> Vec<Call> {
    let mut levels = levels();
    let Some(level) = levels.get_mut(&level) else { return Vec::new() };
    level.asked.clear();
    std::mem::take(&mut level.wanted)
}

/// Is there a call that nobody knew the answer to?
pub(crate) fn is_wanting(level: u64) -> bool {
    level != 0 && levels().get(&level).is_some_and(|level| !level.wanted.is_empty())
}

/// The error of the call that made the query fail.
pub(crate) fn failed(level: u64) -> Option<ServerError> {
    levels().get_mut(&level).and_then(|level| level.failed.take())
}

/// Takes note of what a call gave.
pub(crate) fn note(level: u64, call: Call, gave: Gave, is_new: bool) {
    if let Some(level) = levels().get_mut(&level) {
        let known = level.known.entry(call).or_default();
        known.is_new |= is_new;
        known.gave.push(gave);
    }
}

fn look_up(row: &Lists<'_>) -> Given<String> {
    let refused = || Failure::refused("a call of a function of the database's own in this place");
    let [Some(place), Some(arguments), ..] = row else { return Err(refused()) };
    let [Some(level), Some(function)] = place.as_slice() else { return Err(refused()) };
    let (Ok(level), Ok(function)) = (level.parse::<u64>(), function.parse::<usize>()) else { return Err(refused()) };
    let mut levels = levels();
    let Some(level) = levels.get_mut(&level) else { return Err(refused()) };
    let call: Call = (function, arguments.iter().map(|argument| argument.map(str::to_owned)).collect());
    let anew = match level.known.get_mut(&call) {
        Some(known) => {
            let at = if known.is_new { known.used } else { 0 };
            known.used += 1;
            match known.gave.get(at) {
                Some(Ok(value)) => return Ok(value.clone()),
                Some(Err(error)) => {
                    let failure = Failure::raised(error.sqlstate, error.message.clone());
                    level.failed.get_or_insert_with(|| error.clone());
                    return Err(failure);
                }
                None => true,
            }
        }
        None => false,
    };
    if anew || level.asked.insert(call.clone()) {
        level.wanted.push(call);
    }
    Ok(None)
}

/// Registers the look-up: `pg_call` for functions that give the same for the same arguments, `pg_call_anew` for those that may not.
///
/// # Errors
/// The engine's, where it refuses a registration.
pub(super) fn register(connection: &Connection) -> Result<()> {
    connection.register_scalar_function::<Same>("pg_call").context("registering the function pg_call")?;
    connection.register_scalar_function::<Anew>("pg_call_anew").context("registering the function pg_call_anew")
}

struct Same;
struct Anew;

fn invoke(input: &RecordBatch) -> std::result::Result<ArrayRef, Box<dyn Error>> {
    Ok(Arc::new(StringArray::from(ListsOfTexts::each_row(input, look_up)?)))
}

fn signatures() -> Vec<ArrowFunctionSignature> {
    vec![ArrowFunctionSignature::variadic(list_of_texts(), DataType::Utf8)]
}

impl VArrowScalar for Same {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> std::result::Result<ArrayRef, Box<dyn Error>> {
        invoke(&input)
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        signatures()
    }
}

impl VArrowScalar for Anew {
    type State = ();

    fn invoke(_: &(), input: RecordBatch) -> std::result::Result<ArrayRef, Box<dyn Error>> {
        invoke(&input)
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        signatures()
    }

    fn volatile() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::tests::answer;

    #[test]
    fn calls_are_asked_for_and_then_known() {
        let level = begin();
        let sum = format!(
            "SELECT sum(CAST(pg_call(['{level}', '3'], [CAST(i AS VARCHAR)]) AS INTEGER)) FROM range(4) AS r(i)"
        );
        assert_eq!(answer(&sum), Ok(None));
        assert!(is_wanting(level));
        for call in wanted(level) {
            let doubled = call.1[0].as_ref().and_then(|text| text.parse::<i64>().ok()).map(|n| (n * 2).to_string());
            note(level, call, Ok(doubled), false);
        }
        rewind(level);
        assert_eq!(answer(&sum), Ok(Some("12".to_owned())));
        assert!(!is_wanting(level));
        end(level);
        assert!(answer(&sum).is_err_and(|error| error.contains("NS|")));
    }

    #[test]
    fn new_values_are_given_once() {
        let level = begin();
        let list = format!(
            "SELECT list_sort(list(pg_call_anew(['{level}', '1'], CAST([] AS VARCHAR[]), [CAST(random() AS VARCHAR)]))) FROM range(2)"
        );
        for text in ["a", "b"] {
            assert!(answer(&list).is_ok());
            for call in wanted(level) {
                note(level, call, Ok(Some(text.to_owned())), true);
            }
            rewind(level);
        }
        assert_eq!(answer(&list), Ok(Some("[a, b]".to_owned())));
        end(level);
    }
}
