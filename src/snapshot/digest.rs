//! The logical content hash: do two tables hold the same rows, whatever their files look like?
//!
//! Input: Arrow batches of a table's columns. Output: 64 bits a row, and 128 bits for a set of rows in which duplicates count.
//! Invariant: the hash depends on column names, types and values alone: not on the order of rows or columns, nor on files, row
//! groups, encodings or how many connections read. Left out: proof against a forger, which the files' SHA-256 gives.
//!
//! # Specification, `xxh3-rows-1`
//!
//! `H(s, b)` is XXH3 of 64 bits with the seed `s` over the bytes `b`; integers are little-endian; sums are modulo 2^64 or 2^128.
//!
//! - A column's key is `k = H(0, name || 0x00 || type)`: UTF-8, the type as the manifest writes it.
//! - A value's hash is `H(k, bytes)`, with these bytes: `boolean` 1 or 0 in one; integers and floats their own 2, 4 or 8;
//!   `numeric(p,s)` of at most 38 digits the unscaled integer in 16; `date` days since 1970 in 4; `time`, `timestamp` and
//!   `timestamptz` microseconds in 8 (the largest and its negative are the infinities); `interval` months in 4, days in 4 and
//!   microseconds in 8; `uuid` and `bytea` themselves; everything else, and every column that the ledger names, the UTF-8 of its
//!   text. XXH3 takes the length in.
//! - NULL is `H(!k, "")`.
//! - An array is `H(k, e1 || e2 || …)`, the hashes of its elements in 8 bytes each, for which the key is `k + 1`.
//! - A row is the sum `r` of its values' hashes; the table's hash is the sum over all rows of XXH3 of 128 bits, seed 0, over `r`.
//!
//! Two tables that differ have the same hash by chance once in 2^64.

use anyhow::{Result, bail};
use arrow::array::{Array, ArrowPrimitiveType, AsArray, ListArray};
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, ToByteSlice,
};
use twox_hash::{XxHash3_64, XxHash3_128};

/// The specification's name, as the manifest writes it.
pub const ALGORITHM: &str = "xxh3-rows-1";

/// What is added to a column's key for the elements of its arrays.
const ELEMENT: u64 = 1;

/// A column's key.
pub fn column_key(name: &str, type_name: &str) -> u64 {
    hash(0, &[name.as_bytes(), &[0], type_name.as_bytes()].concat())
}

/// What a row whose values' hashes sum up to `row` adds to the table's hash.
pub fn of_row(row: u64) -> u128 {
    XxHash3_128::oneshot(&row.to_le_bytes())
}

/// The hashes of a column's values.
#[derive(Debug, Default)]
pub struct Hashes {
    /// Of each row's value.
    pub values: Vec<u64>,
    /// Of all elements, where the column is of arrays.
    pub elements: Vec<u64>,
}

/// Replaces `into` by the hashes of a column's values.
///
/// # Errors
/// For an Arrow type that no snapshot has.
pub fn of_column(array: &dyn Array, key: u64, into: &mut Hashes) -> Result<()> {
    if let DataType::List(_) = array.data_type() {
        of_flat(array.as_list::<i32>().values(), key.wrapping_add(ELEMENT), &mut into.elements)?;
        of_lists(array.as_list::<i32>(), key, into);
        return Ok(());
    }
    into.elements.clear();
    of_flat(array, key, &mut into.values)
}

fn of_flat(array: &dyn Array, key: u64, into: &mut Vec<u64>) -> Result<()> {
    into.clear();
    match array.data_type() {
        DataType::Boolean => {
            let (values, answers) = (array.as_boolean(), [hash(key, &[0]), hash(key, &[1])]);
            each(array, key, into, |row| answers[usize::from(values.value(row))]);
        }
        DataType::Int16 => fixed::<Int16Type>(array, key, into),
        DataType::Int32 => fixed::<Int32Type>(array, key, into),
        DataType::Int64 => fixed::<Int64Type>(array, key, into),
        DataType::Float32 => fixed::<Float32Type>(array, key, into),
        DataType::Float64 => fixed::<Float64Type>(array, key, into),
        DataType::Decimal128(..) => fixed::<Decimal128Type>(array, key, into),
        DataType::Date32 => fixed::<Date32Type>(array, key, into),
        DataType::Time64(_) => fixed::<Time64MicrosecondType>(array, key, into),
        DataType::Timestamp(..) => fixed::<TimestampMicrosecondType>(array, key, into),
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            each(array, key, into, |row| hash(key, values.value(row).as_bytes()));
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            each(array, key, into, |row| hash(key, values.value(row)));
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            each(array, key, into, |row| hash(key, values.value(row)));
        }
        DataType::Struct(_) => intervals(array, key, into),
        other => bail!("a snapshot has no columns of the Arrow type {other}"),
    }
    Ok(())
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

fn each(array: &dyn Array, key: u64, into: &mut Vec<u64>, of: impl Fn(usize) -> u64) {
    let rows = array.len();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => into.extend((0..rows).map(of)),
        Some(nulls) => {
            let null = hash(!key, &[]);
            if nulls.null_count() == rows {
                into.resize(rows, null);
            } else {
                into.extend((0..rows).map(|row| if nulls.is_valid(row) { of(row) } else { null }));
            }
        }
    }
}

fn fixed<T: ArrowPrimitiveType>(array: &dyn Array, key: u64, into: &mut Vec<u64>)
where
    T::Native: ArrowNativeType + ToByteSlice,
{
    // Every machine that Arrow's Rust crates are built for keeps numbers little-endian.
    let values = array.as_primitive::<T>().values();
    each(array, key, into, |row| hash(key, values[row].to_byte_slice()));
}

/// An interval is the only struct a snapshot has.
fn intervals(array: &dyn Array, key: u64, into: &mut Vec<u64>) {
    let parts = array.as_struct();
    let part = |index: usize| parts.column(index);
    let (months, days) = (part(0).as_primitive::<Int32Type>(), part(1).as_primitive::<Int32Type>());
    let microseconds = part(2).as_primitive::<Int64Type>();
    each(array, key, into, |row| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&months.value(row).to_le_bytes());
        bytes[4..8].copy_from_slice(&days.value(row).to_le_bytes());
        bytes[8..].copy_from_slice(&microseconds.value(row).to_le_bytes());
        hash(key, &bytes)
    });
}

/// The hashes of arrays, from those of their elements.
fn of_lists(lists: &ListArray, key: u64, into: &mut Hashes) {
    let Hashes { values, elements } = into;
    let offsets = lists.value_offsets();
    let null = hash(!key, &[]);
    let mut bytes = Vec::new();
    values.clear();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            values.push(null);
            continue;
        }
        bytes.clear();
        for element in &elements[offsets[row].as_usize()..offsets[row + 1].as_usize()] {
            bytes.extend_from_slice(&element.to_le_bytes());
        }
        values.push(hash(key, &bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Int32Array, StringArray};
    use arrow::datatypes::Int32Type;

    fn check(array: &dyn Array, expected: &[&[u8]]) {
        let key = column_key("a", "b");
        let mut found = Hashes::default();
        of_column(array, key, &mut found).expect("a snapshot's type");
        let expected: Vec<u64> = expected.iter().map(|bytes| hash(key, bytes)).collect();
        assert_eq!(found.values, expected);
    }

    #[test]
    fn values_are_hashed_as_specified() {
        check(&StringArray::from(vec!["", "ß"]), &[b"", "ß".as_bytes()]);
        check(&Int32Array::from(vec![1, -1]), &[&[1, 0, 0, 0], &[255; 4]]);
        check(&BooleanArray::from(vec![true, false]), &[&[1], &[0]]);
        let element = |n: i32| hash(column_key("a", "b").wrapping_add(1), &n.to_le_bytes()).to_le_bytes();
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), Some(vec![])]);
        check(&lists, &[&[element(1), element(2)].concat(), &[]]);
    }

    /// Numbers that any implementation of XXH3 gives: the specification may not change by accident.
    #[test]
    fn the_hashes_are_xxh3() {
        assert_eq!(hash(0, b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(XxHash3_128::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    }

    #[test]
    fn nothing_null_and_the_column_are_told_apart() {
        let hashes = |array: &dyn Array, name: &str| {
            let mut found = Hashes::default();
            of_column(array, column_key(name, "text"), &mut found).expect("text");
            found.values
        };
        let texts = hashes(&StringArray::from(vec![Some(""), None, Some("a")]), "a");
        assert!(texts[0] != texts[1] && texts[1] != texts[2]);
        assert_ne!(texts, hashes(&StringArray::from(vec![Some(""), None, Some("a")]), "b"));
    }
}
