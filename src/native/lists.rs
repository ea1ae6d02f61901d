//! Native functions of lists of texts: arrays, and arguments of which NULL is one among others.
//!
//! Input: for each row one list of texts, or none, an argument. Output: as every native function. Invariant: a single text is
//! passed as a list of one, so that a NULL reaches the function: the engine takes functions of NULL to be NULL.

use std::error::Error;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field};
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use super::{Given, array, json};

/// A list of texts, or NULL.
pub(super) type List<'a> = Option<Vec<Option<&'a str>>>;

/// One row's arguments.
pub(super) type Lists<'a> = [List<'a>];

/// A function by what it gives.
#[derive(Clone, Copy)]
pub(super) enum OfLists {
    Text(fn(&Lists<'_>) -> Given<String>),
    Truth(fn(&Lists<'_>) -> Given<bool>),
    Texts(fn(&Lists<'_>) -> Given<Vec<Option<String>>>),
}

const FUNCTIONS: &[&[(&str, OfLists)]] = &[json::OF_LISTS, array::OF_LISTS];

/// Registers the functions of lists.
///
/// # Errors
/// The engine's, where it refuses a registration.
pub(super) fn register(connection: &Connection) -> Result<()> {
    for (name, function) in FUNCTIONS.iter().flat_map(|list| list.iter()) {
        let state = State(Some(*function));
        let registered = match function {
            OfLists::Text(_) => connection.register_scalar_function_with_state::<GivesText>(name, &state),
            OfLists::Truth(_) => connection.register_scalar_function_with_state::<GivesTruth>(name, &state),
            OfLists::Texts(_) => connection.register_scalar_function_with_state::<GivesTexts>(name, &state),
        };
        registered.with_context(|| format!("registering the function {name}"))?;
    }
    Ok(())
}

/// The function that a registration stands for.
#[derive(Clone, Copy, Default)]
struct State(Option<OfLists>);

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

macro_rules! gives {
    ($name:ident, $kind:ident, $ty:expr, $collect:expr) => {
        struct $name;

        impl VArrowScalar for $name {
            type State = State;

            fn invoke(state: &State, input: RecordBatch) -> std::result::Result<ArrayRef, Box<dyn Error>> {
                let State(Some(OfLists::$kind(function))) = state else {
                    return Err("a native function that was never registered".into());
                };
                let rows = each_row(&input, *function)?;
                let collect: fn(_) -> ArrayRef = $collect;
                Ok(collect(rows))
            }

            fn signatures() -> Vec<ArrowFunctionSignature> {
                vec![ArrowFunctionSignature::variadic(texts(), $ty)]
            }
        }
    };
}

gives!(GivesText, Text, DataType::Utf8, |rows: Vec<Option<String>>| Arc::new(StringArray::from(rows)));
gives!(GivesTruth, Truth, DataType::Boolean, |rows: Vec<Option<bool>>| Arc::new(BooleanArray::from(rows)));
gives!(GivesTexts, Texts, texts(), |rows: Vec<Option<Vec<Option<String>>>>| {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in rows {
        builder.append_option(row);
    }
    Arc::new(builder.finish())
});

/// A column of lists, with the texts they are made of.
struct Column<'a> {
    lists: &'a ListArray,
    texts: &'a StringArray,
}

impl<'a> Column<'a> {
    fn row(&self, row: usize) -> List<'a> {
        if self.lists.is_null(row) {
            return None;
        }
        let offsets = self.lists.value_offsets();
        let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        Some((start..end).map(|at| self.texts.is_valid(at).then(|| self.texts.value(at))).collect())
    }
}

/// Calls a function for each row of a batch of lists.
fn each_row<T>(
    batch: &RecordBatch,
    function: fn(&Lists<'_>) -> Given<T>,
) -> std::result::Result<Vec<Option<T>>, Box<dyn Error>> {
    let columns: Vec<Column<'_>> = batch
        .columns()
        .iter()
        .map(|column| Column {
            lists: column.as_list::<i32>(),
            texts: column.as_list::<i32>().values().as_string::<i32>(),
        })
        .collect();
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let lists: Vec<List<'_>> = columns.iter().map(|column| column.row(row)).collect();
        rows.push(function(&lists)?);
    }
    Ok(rows)
}
