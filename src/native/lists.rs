//! Native functions of lists of texts: arrays, and arguments of which NULL is one among others.
//!
//! Input: for each row one list of texts, or none, an argument. Output: as every native function. Invariant: a single text is
//! passed as a list of one, so that a NULL reaches the function: the engine takes functions of NULL to be NULL.

use std::error::Error;

use anyhow::Result;
use arrow::array::{Array, AsArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use duckdb::Connection;

use super::call::{self, Takes};
use super::{Given, array, json, range, time};

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

const FUNCTIONS: &[&[(&str, OfLists)]] = &[json::OF_LISTS, array::OF_LISTS, range::OF_LISTS, time::OF_LISTS];

/// Registers the functions of lists.
///
/// # Errors
/// The engine's, where it refuses a registration.
pub(super) fn register(connection: &Connection) -> Result<()> {
    for (name, function) in FUNCTIONS.iter().flat_map(|list| list.iter()) {
        match function {
            OfLists::Text(function) => call::register::<ListsOfTexts, _>(connection, name, *function),
            OfLists::Truth(function) => call::register::<ListsOfTexts, _>(connection, name, *function),
            OfLists::Texts(function) => call::register::<ListsOfTexts, _>(connection, name, *function),
        }?;
    }
    Ok(())
}

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

/// A row of lists of texts.
pub(super) struct ListsOfTexts;

impl Takes for ListsOfTexts {
    type Function<T: 'static> = fn(&Lists<'_>) -> Given<T>;

    fn ty() -> DataType {
        call::list_of_texts()
    }

    fn each_row<T: 'static>(
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
}

#[cfg(test)]
mod tests {
    use super::super::tests::answer;

    #[test]
    fn lists_come_through_with_their_nulls() {
        let check = |sql: &str, expected: Option<&str>| {
            assert_eq!(answer(sql), Ok(expected.map(str::to_owned)), "{sql}");
        };
        check("SELECT pg_array_text(['a b', NULL, ''])", Some(r#"{"a b",NULL,""}"#));
        check("SELECT pg_array_text(CAST([] AS VARCHAR[]))", Some("{}"));
        check("SELECT pg_array_text(CAST(NULL AS VARCHAR[]))", None);
        check(
            "SELECT pg_jsonb_array(list(x ORDER BY x)) FROM (VALUES ('1'), (NULL), ('\"a\"')) AS v(x)",
            Some(r#"["a", 1, null]"#),
        );
        check("SELECT pg_jsonb_object(['k', 'a'], [NULL, '1'], ['f'])", Some(r#"{"a": 1, "k": null}"#));
        check("SELECT pg_string_to_array(['a,,b'], [','], [''])", Some("[a, NULL, b]"));
        check(
            "SELECT pg_jsonb_set([x], ['a'], ['1'], ['true']) FROM (VALUES (NULL), ('{}')) AS v(x) ORDER BY 1 LIMIT 1",
            Some(r#"{"a": 1}"#),
        );
        let error = answer("SELECT pg_jsonb_delete_path(['1'], ['a'])").expect_err("a scalar");
        assert!(error.contains("PG|22023|cannot delete path in scalar"), "{error}");
    }
}
