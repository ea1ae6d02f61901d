//! DuckDB's side of a native function: batches of columns in, one column out.
//!
//! Input: a function by what it [`Takes`] of a row and what it [`Gives`]. Output: its registration. Invariants: the function is
//! called once a row, in order; its failure fails the query. Left out: what the functions are, and what they mean.

use std::error::Error;
use std::marker::PhantomData;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use duckdb::Connection;
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

/// What a function takes of a row: arguments of one type, however many.
pub(super) trait Takes: 'static {
    /// A function of such arguments.
    type Function<T: 'static>: Copy + Send + Sync + 'static;

    /// The type of each argument.
    fn ty() -> DataType;

    /// Calls a function for each row of a batch.
    fn each_row<T: 'static>(
        batch: &RecordBatch,
        function: Self::Function<T>,
    ) -> std::result::Result<Vec<Option<T>>, Box<dyn Error>>;
}

/// What a function gives for a row.
pub(super) trait Gives: Sized + 'static {
    /// Its type in the engine.
    fn ty() -> DataType;

    /// What was given for the rows of a batch, as a column.
    fn collect(rows: Vec<Option<Self>>) -> ArrayRef;
}

impl Gives for String {
    fn ty() -> DataType {
        DataType::Utf8
    }

    fn collect(rows: Vec<Option<String>>) -> ArrayRef {
        Arc::new(StringArray::from(rows))
    }
}

impl Gives for bool {
    fn ty() -> DataType {
        DataType::Boolean
    }

    fn collect(rows: Vec<Option<bool>>) -> ArrayRef {
        Arc::new(BooleanArray::from(rows))
    }
}

impl Gives for i64 {
    fn ty() -> DataType {
        DataType::Int64
    }

    fn collect(rows: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(Int64Array::from(rows))
    }
}

impl Gives for Vec<Option<String>> {
    fn ty() -> DataType {
        list_of_texts()
    }

    fn collect(rows: Vec<Option<Vec<Option<String>>>>) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for row in rows {
            builder.append_option(row);
        }
        Arc::new(builder.finish())
    }
}

/// The engine's type of a list of texts.
pub(super) fn list_of_texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// Registers a function under a name.
///
/// # Errors
/// The engine's, where it refuses the registration.
pub(super) fn register<A: Takes, T: Gives>(
    connection: &Connection,
    name: &str,
    function: A::Function<T>,
) -> Result<()> {
    connection
        .register_scalar_function_with_state::<Call<A, T>>(name, &State::<A, T>(Some(function)))
        .with_context(|| format!("registering the function {name}"))
}

/// A function as the engine asks for it: by a type, not a value.
struct Call<A, T>(PhantomData<(A, T)>);

/// The function that a registration stands for.
struct State<A: Takes, T: 'static>(Option<A::Function<T>>);

impl<A: Takes, T: 'static> Default for State<A, T> {
    fn default() -> Self {
        State(None)
    }
}

impl<A: Takes, T: 'static> Clone for State<A, T> {
    fn clone(&self) -> Self {
        State(self.0)
    }
}

impl<A: Takes, T: Gives> VArrowScalar for Call<A, T> {
    type State = State<A, T>;

    fn invoke(state: &State<A, T>, input: RecordBatch) -> std::result::Result<ArrayRef, Box<dyn Error>> {
        let Some(function) = state.0 else { return Err("a native function that was never registered".into()) };
        Ok(T::collect(A::each_row(&input, function)?))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![ArrowFunctionSignature::variadic(A::ty(), T::ty())]
    }
}
