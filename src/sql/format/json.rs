//! JSON: the answer in the envelope every command uses, its rows streamed.
//!
//! `result` is `{columns: [{name, type}], rows: [{…}], row_count}`; a script with several results has `results` instead. Column
//! names are made unique, because an object can't hold two values of one name.

use std::cell::RefCell;
use std::io::Write;

use anyhow::{Error, Result};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::report::{Envelope, Outcome, SCHEMA_VERSION, SnapshotRef};
use crate::sql::session::Answer;
use crate::sql::value;

/// Writes one answer; `extra` are fields of `result` before the columns. Returns the number of rows.
///
/// # Errors
/// When the engine or the writer fails.
pub fn write(
    out: &mut dyn Write,
    answer: &Answer<'_>,
    snapshot: &SnapshotRef,
    extra: Map<String, Value>,
) -> Result<u64> {
    let streamed = Streamed { answer, extra, rows: RefCell::new(0), failure: RefCell::new(None) };
    let written = write_envelope(out, snapshot, &streamed);
    if let Some(failure) = streamed.failure.take() {
        return Err(failure);
    }
    written?;
    Ok(streamed.rows.take())
}

/// Writes the results of a script, gathered beforehand by [`gather`] so that a failing statement leaves nothing written.
///
/// # Errors
/// When the writer fails.
pub fn write_several(out: &mut dyn Write, results: &[Box<RawValue>], snapshot: &SnapshotRef) -> Result<()> {
    write_envelope(out, snapshot, &json!({ "results": results }))
}

/// One answer as the JSON text of its `result`.
///
/// # Errors
/// When the engine fails.
pub fn gather(answer: &Answer<'_>) -> Result<Box<RawValue>> {
    let streamed = Streamed { answer, extra: Map::new(), rows: RefCell::new(0), failure: RefCell::new(None) };
    let text = serde_json::to_string(&streamed);
    if let Some(failure) = streamed.failure.take() {
        return Err(failure);
    }
    Ok(RawValue::from_string(text?)?)
}

fn write_envelope<R: Serialize>(out: &mut dyn Write, snapshot: &SnapshotRef, result: &R) -> Result<()> {
    let envelope = Envelope {
        report: "sql",
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        snapshot: Some(snapshot),
        outcome: Outcome::Clean,
        findings: &[],
        result,
    };
    serde_json::to_writer_pretty(&mut *out, &envelope).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Serializes an answer while it arrives; what goes wrong meanwhile is kept aside, because serde has words for its own errors only.
struct Streamed<'a, 's> {
    answer: &'a Answer<'s>,
    extra: Map<String, Value>,
    rows: RefCell<u64>,
    failure: RefCell<Option<Error>>,
}

impl Serialize for Streamed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut result = serializer.serialize_map(None)?;
        for (key, value) in &self.extra {
            result.serialize_entry(key, value)?;
        }
        let names = self.answer.unique_names();
        let columns: Vec<Value> = names
            .iter()
            .zip(&self.answer.columns)
            .map(|(name, column)| json!({ "name": name, "type": column.type_name }))
            .collect();
        result.serialize_entry("columns", &columns)?;
        result.serialize_entry("rows", &Rows { names: &names, of: self })?;
        result.serialize_entry("row_count", &*self.rows.borrow())?;
        result.end()
    }
}

struct Rows<'a, 'b, 's> {
    names: &'a [String],
    of: &'a Streamed<'b, 's>,
}

impl Serialize for Rows<'_, '_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        let mut refused = None;
        let streamed = self.of.answer.for_each_row(|batch, row| {
            let mut text = String::from("{");
            for (index, (name, (column, array))) in
                self.names.iter().zip(self.of.answer.columns.iter().zip(batch.columns())).enumerate()
            {
                if index > 0 {
                    text.push_str(", ");
                }
                value::write_json_string(&mut text, name);
                text.push_str(": ");
                value::write_json(&mut text, array.as_ref(), &column.kind, row);
            }
            text.push('}');
            rows.serialize_element(&RawValue::from_string(text)?).map_err(|error| {
                let message = error.to_string();
                refused = Some(error);
                Error::msg(message)
            })
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        match streamed {
            Ok(count) => *self.of.rows.borrow_mut() = count,
            Err(error) => {
                let message = error.to_string();
                *self.of.failure.borrow_mut() = Some(error);
                return Err(serde::ser::Error::custom(message));
            }
        }
        rows.end()
    }
}
