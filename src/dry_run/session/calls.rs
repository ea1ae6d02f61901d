//! Calls of the database's own functions for each row of a statement.
//!
//! Input: a statement whose plan looks calls up. Output: its result, once every call that it makes is known. Invariants: the statement
//! is begun anew until nothing is left to ask for, each time from the state before; a function that writes isn't run this way, and
//! neither is one that would see what the statement itself has written. Left out: calls that the server makes exactly once, which are
//! made beforehand.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::SelectStmt;

use super::Session;
use super::body::Bodied;
use crate::catalog::{Function, Gives, Oid, Outcome, Problem, Sequence};
use crate::dry_run::engine::{Halt, Ran};
use crate::dry_run::report::StatementReport;
use crate::migration::{Place, Statement};
use crate::native::own_calls::{self as calls, Call, Gave};
use crate::plpgsql::run::{Given, Interpreter, is_interpreted};
use crate::translate::{Value, physical_type};

/// Rounds in which new calls turn up: calls of calls, or branches taken for what a call gave.
const ROUNDS: usize = 100;
/// Functions whose queries call functions.
const DEPTH: usize = 16;

/// What calls that are being made have done beside giving a value.
#[derive(Default)]
pub(super) struct CallEffects {
    /// Tables read.
    reads: BTreeSet<Oid>,
    /// Something new at every call.
    is_new: bool,
}

/// A level of calls, over when it is dropped.
struct Level(u64);

impl Drop for Level {
    fn drop(&mut self) {
        calls::end(self.0);
    }
}

impl Session<'_> {
    /// Does something as often as it takes until the calls it makes for each row are known.
    pub(super) fn with_calls<T>(
        &mut self,
        report: &mut StatementReport,
        mut work: impl FnMut(&mut Self, &mut StatementReport) -> Ran<T>,
    ) -> Ran<T> {
        if !self.catalog.functions.iter().any(is_interpreted) {
            return work(self, report);
        }
        let level = Level(calls::begin());
        let outer = std::mem::replace(&mut self.settings.calls, level.0);
        let read = std::mem::take(&mut self.read_by_calls);
        self.store.engine.watch(level.0);
        let done = self.work_with_calls(level.0, report, &mut work);
        self.settings.calls = outer;
        self.read_by_calls = read;
        self.store.engine.watch(outer);
        done
    }

    fn work_with_calls<T>(
        &mut self,
        level: u64,
        report: &mut StatementReport,
        work: &mut impl FnMut(&mut Self, &mut StatementReport) -> Ran<T>,
    ) -> Ran<T> {
        // Numbers that a statement around this one has taken are its own.
        self.advance_sequences();
        let before = report.clone();
        let sequences: Vec<Sequence> = self.catalog.sequences.values().cloned().collect();
        let last = self.catalog.last_sequence;
        let variables = self.settings.variables.clone();
        let mut notes = Vec::new();
        for _ in 0..ROUNDS {
            calls::rewind(level);
            let done = work(self, report);
            if !matches!(done, Err(Halt::Calls)) {
                report.notes.extend(notes);
                return done;
            }
            // Nothing of it has happened: numbers that it took are given back.
            for sequence in &sequences {
                if let Some(now) = self.catalog.sequences.get_mut(&sequence.oid) {
                    now.numbers = sequence.numbers;
                }
            }
            self.catalog.last_sequence = last;
            self.settings.variables.clone_from(&variables);
            *report = before.clone();
            self.make_calls(level, report, &mut notes)?;
        }
        Err(Problem::unsupported("functions whose calls lead to ever more calls").into())
    }

    /// Makes the calls that were asked for.
    fn make_calls(&mut self, level: u64, report: &mut StatementReport, notes: &mut Vec<String>) -> Ran<()> {
        if self.call_effects.len() >= DEPTH {
            return Err(Problem::unsupported("functions that call each other without end").into());
        }
        let wanted = calls::wanted(level);
        let statement = placeless(report.index);
        let mut aside = StatementReport { index: report.index, ..StatementReport::default() };
        let (outer_level, outer_variables) = (self.settings.calls, std::mem::take(&mut self.settings.variables));
        self.nesting += 1;
        self.bodies += 1;
        let mut left = self.options.step_budget;
        let mut made = Ok(());
        for call in wanted {
            made = self.make_call(level, call, &statement, &mut aside, &mut left, notes);
            if made.is_err() {
                break;
            }
        }
        self.bodies -= 1;
        self.nesting -= 1;
        self.settings.calls = outer_level;
        self.settings.variables = outer_variables;
        self.store.engine.watch(outer_level);
        for note in aside.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        made
    }

    fn make_call(
        &mut self,
        level: u64,
        call: Call,
        statement: &Statement,
        report: &mut StatementReport,
        left: &mut u64,
        notes: &mut Vec<String>,
    ) -> Ran<()> {
        let function = self.catalog.functions.get(call.0).cloned();
        let function = function.ok_or_else(|| Problem::unsupported("a function that isn't there any more"))?;
        let arguments = arguments(&function, &call)?;
        self.call_effects.push(CallEffects::default());
        let mut host = Bodied::new(self, statement, report).only_reading(&function.name);
        let mut interpreter = Interpreter::new(&mut host, *left);
        let given = interpreter.call_function(&function, arguments);
        *left = interpreter.left();
        let effects = self.call_effects.pop().unwrap_or_default();
        let volatile = function.definition.as_ref().is_some_and(|definition| definition.is_volatile);
        if let Some(outer) = self.call_effects.last_mut() {
            outer.reads.extend(&effects.reads);
            outer.is_new |= effects.is_new;
        }
        if volatile {
            self.read_by_calls.extend(effects.reads);
        }
        let gave: Gave = match given {
            Ok(given) => Ok(text_of(&function, given)?),
            Err(halt) => match halt {
                Halt::Problem(Problem::Rejected(error)) => Err(error),
                Halt::Violation(violation) => Err(violation.error),
                other => return Err(other),
            },
        };
        if effects.is_new {
            let note = format!("{}() gives new values at every run: the ones shown are examples.", function.name);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        calls::note(level, call, gave, effects.is_new);
        Ok(())
    }

    /// Takes note of what a query reads that is asked for a call.
    pub(super) fn note_call_reads(&mut self, reads: impl Iterator<Item = Oid>, is_new: bool) {
        if let Some(effects) = self.call_effects.last_mut() {
            effects.reads.extend(reads);
            effects.is_new |= is_new;
        }
    }

    /// A function that may see what a statement has written so far isn't called for its rows.
    pub(super) fn expect_calls_apart(&self, table: Oid) -> Outcome<()> {
        match self.read_by_calls.contains(&table) {
            true => Err(Problem::unsupported("a volatile function that reads the table that is written")),
            false => Ok(()),
        }
    }
}

/// A statement that stands nowhere.
fn placeless(index: usize) -> Statement {
    Statement {
        index,
        place: Place { file: 0, line: 1, column: 1 },
        end_line: 1,
        offset: 0,
        sql: String::new(),
        comments: Vec::new(),
        node: NodeEnum::SelectStmt(Box::<SelectStmt>::default()),
        fault: None,
    }
}

fn arguments(function: &Function, call: &Call) -> Outcome<Vec<Value>> {
    let types = function.inputs().unwrap_or_default();
    types
        .into_iter()
        .zip(&call.1)
        .map(|(ty, text)| {
            let held_as = physical_type(&ty)?;
            Ok(Value::read(ty, &held_as, text.clone()))
        })
        .collect()
}

/// What a call gave as a text: of a value its own, of rows a list of lists.
fn text_of(function: &Function, given: Given) -> Outcome<Option<String>> {
    let definition = function.definition.as_ref();
    let is_value = definition.is_some_and(|d| matches!(d.gives, Gives::Value(_)) && !d.is_set);
    let rows = match given {
        Given::Value(value) if is_value => return Ok(value.text().map(str::to_owned)),
        Given::Nothing if is_value => return Ok(None),
        Given::Value(value) => vec![vec![value]],
        Given::Row(Some(row)) => vec![row.into_iter().map(|(_, value)| value).collect()],
        Given::Rows(rows) => rows,
        // A row that is NULL is one of NULLs.
        Given::Row(None) => match definition.map(|definition| &definition.gives) {
            Some(Gives::Row(columns)) => vec![columns.iter().map(|(_, ty)| Value::null(ty.clone())).collect()],
            _ => Vec::new(),
        },
        Given::Nothing => Vec::new(),
    };
    let rows: Vec<String> = rows
        .iter()
        .map(|row| {
            let fields: Vec<String> = row.iter().map(|value| value.text().map_or("NULL".to_owned(), quoted)).collect();
            format!("[{}]", fields.join(", "))
        })
        .collect();
    Ok(Some(format!("[{}]", rows.join(", "))))
}

/// A text as a list's text form has it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
