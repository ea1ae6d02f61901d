//! Values: how one value of a result is written, as text and as JSON.
//!
//! Input: a column of an Arrow batch, what DuckDB says its type is, and a row. Output: characters. Invariants: every value is
//! written exactly; a type that Arrow can't carry exactly is refused by column name, never approximated. Left out: alignment,
//! quoting for CSV, escapes for a terminal (the formats').
//!
//! In JSON a number that not every reader can hold (an integer beyond 2^53, a decimal of more than 15 digits) is a string; so are
//! NaN and the infinities. A `json` column is embedded as the JSON it is.

mod kind;
mod scalar;

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

pub use kind::Kind;
pub use scalar::text_at;
use scalar::{is_safe_number, write_scalar};

/// Is there a value?
pub fn is_null(array: &dyn Array, row: usize) -> bool {
    match array.data_type() {
        DataType::Null => true,
        DataType::Union(..) => {
            let union = array.as_union();
            is_null(union.child(union.type_id(row)).as_ref(), union.value_offset(row))
        }
        _ => array.is_null(row),
    }
}

/// Appends a value as text; NULL is `NULL`.
pub fn write_text(out: &mut String, array: &dyn Array, kind: &Kind, row: usize) {
    if is_null(array, row) {
        out.push_str("NULL");
        return;
    }
    match kind {
        Kind::List(inner) => {
            let items = list_items(array, row);
            write_sequence(out, ('[', ']'), items.len(), |out, i| write_nested(out, items.as_ref(), inner, i));
        }
        Kind::Struct(fields) => {
            let columns = array.as_struct().columns();
            write_sequence(out, ('{', '}'), fields.len(), |out, i| {
                let _ = write!(out, "'{}': ", fields[i].0.replace('\'', "''"));
                write_nested(out, columns[i].as_ref(), &fields[i].1, row);
            });
        }
        Kind::Map(key, value) => {
            let entries = array.as_map().value(row);
            write_sequence(out, ('{', '}'), entries.len(), |out, i| {
                write_nested(out, entries.column(0).as_ref(), key, i);
                out.push('=');
                write_nested(out, entries.column(1).as_ref(), value, i);
            });
        }
        Kind::Union(kinds) => {
            let (child, inner, offset) = union_value(array, kinds, row);
            write_text(out, child.as_ref(), inner, offset);
        }
        _ => write_scalar(out, array, kind, row),
    }
}

/// Appends a value as JSON.
pub fn write_json(out: &mut String, array: &dyn Array, kind: &Kind, row: usize) {
    if is_null(array, row) {
        out.push_str("null");
        return;
    }
    match kind {
        Kind::Boolean => write_scalar(out, array, kind, row),
        Kind::Integer | Kind::HugeInteger { .. } | Kind::Decimal(_) | Kind::Float => {
            let mut number = String::new();
            write_scalar(&mut number, array, kind, row);
            if is_safe_number(&number, kind) { out.push_str(&number) } else { write_json_string(out, &number) }
        }
        Kind::Json => {
            let text = text_at(array, row);
            let valid = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            if valid { out.push_str(text.trim()) } else { write_json_string(out, text) }
        }
        Kind::Text | Kind::Enum | Kind::Uuid => write_json_string(out, text_at(array, row)),
        Kind::List(inner) => {
            let items = list_items(array, row);
            write_sequence(out, ('[', ']'), items.len(), |out, i| write_json(out, items.as_ref(), inner, i));
        }
        Kind::Struct(fields) => {
            let columns = array.as_struct().columns();
            write_sequence(out, ('{', '}'), fields.len(), |out, i| {
                write_json_string(out, &fields[i].0);
                out.push_str(": ");
                write_json(out, columns[i].as_ref(), &fields[i].1, row);
            });
        }
        Kind::Map(key, value) => {
            let entries = array.as_map().value(row);
            write_sequence(out, ('{', '}'), entries.len(), |out, i| {
                let mut name = String::new();
                write_text(&mut name, entries.column(0).as_ref(), key, i);
                write_json_string(out, &name);
                out.push_str(": ");
                write_json(out, entries.column(1).as_ref(), value, i);
            });
        }
        Kind::Union(kinds) => {
            let (child, inner, offset) = union_value(array, kinds, row);
            write_json(out, child.as_ref(), inner, offset);
        }
        _ => {
            let mut text = String::new();
            write_scalar(&mut text, array, kind, row);
            write_json_string(out, &text);
        }
    }
}

/// Appends a JSON string with its quotes.
pub fn write_json_string(out: &mut String, text: &str) {
    // Strings always serialize.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

fn write_sequence(
    out: &mut String,
    (open, close): (char, char),
    length: usize,
    mut item: impl FnMut(&mut String, usize),
) {
    out.push(open);
    for index in 0..length {
        if index > 0 {
            out.push_str(", ");
        }
        item(out, index);
    }
    out.push(close);
}

/// An element of a list or struct: quoted where it would otherwise be read as something else.
fn write_nested(out: &mut String, array: &dyn Array, kind: &Kind, row: usize) {
    let start = out.len();
    write_text(out, array, kind, row);
    if is_null(array, row) || !matches!(kind, Kind::Text | Kind::Enum | Kind::Json) {
        return;
    }
    let text = &out[start..];
    let plain = !text.is_empty()
        && text.trim() == text
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(['[', ']', '{', '}', '(', ')', ',', '=', ':', '\'', '"', '\\', '\n']);
    // A colon alone is no ambiguity in a list, and operations are full of them.
    let plain = plain || (text.contains(':') && !text.replace(':', "").contains(|c| "[]{}(),='\"\\\n ".contains(c)));
    if !plain {
        let quoted = format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        out.replace_range(start.., &quoted);
    }
}

fn list_items(array: &dyn Array, row: usize) -> ArrayRef {
    match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => array.as_list::<i32>().value(row),
    }
}

fn union_value<'a>(array: &dyn Array, kinds: &'a [Kind], row: usize) -> (ArrayRef, &'a Kind, usize) {
    let union = array.as_union();
    let id = union.type_id(row);
    let kind = usize::try_from(id).ok().and_then(|i| kinds.get(i)).unwrap_or(&Kind::Null);
    (union.child(id).clone(), kind, union.value_offset(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use duckdb::Connection;

    fn check(expression: &str, type_name: &str, text: &str, json: &str) {
        let connection = Connection::open_in_memory().expect("DuckDB");
        let mut statement = connection.prepare(&format!("SELECT {expression} AS v")).expect(expression);
        let _ = statement.stream_arrow([]).expect(expression);
        let schema = statement.schema();
        let (name, kind) =
            Kind::read(&statement.column_logical_type(0), schema.field(0).data_type()).expect("a known type");
        let batch = statement.step().expect(expression).expect("a row");
        let (mut as_text, mut as_json) = (String::new(), String::new());
        write_text(&mut as_text, batch.column(0).as_ref(), &kind, 0);
        write_json(&mut as_json, batch.column(0).as_ref(), &kind, 0);
        assert_eq!((name.as_str(), as_text.as_str(), as_json.as_str()), (type_name, text, json), "{expression}");
        serde_json::from_str::<serde_json::Value>(&as_json).expect("valid JSON");
    }

    #[test]
    fn numbers_keep_every_digit() {
        check("42", "INTEGER", "42", "42");
        check("9007199254740991", "BIGINT", "9007199254740991", "9007199254740991");
        check("9007199254740992", "BIGINT", "9007199254740992", "\"9007199254740992\"");
        check("18446744073709551615::UBIGINT", "UBIGINT", "18446744073709551615", "\"18446744073709551615\"");
        let huge = "170141183460469231731687303715884105727";
        check(&format!("{huge}::HUGEINT"), "HUGEINT", huge, &format!("\"{huge}\""));
        let largest = "340282366920938463463374607431768211455";
        check(&format!("{largest}::UHUGEINT"), "UHUGEINT", largest, &format!("\"{largest}\""));
        check("-0.05::DECIMAL(5,2)", "DECIMAL(5,2)", "-0.05", "-0.05");
        check("1234567890123456.5::DECIMAL(38,1)", "DECIMAL(38,1)", "1234567890123456.5", "\"1234567890123456.5\"");
        check("0.1::DOUBLE", "DOUBLE", "0.1", "0.1");
        check("1e300::DOUBLE", "DOUBLE", "1e+300", "1e+300");
        check("0.1::FLOAT", "FLOAT", "0.1", "0.1");
        check("'nan'::DOUBLE", "DOUBLE", "NaN", "\"NaN\"");
        check("'-inf'::DOUBLE", "DOUBLE", "-Infinity", "\"-Infinity\"");
    }

    #[test]
    fn times_are_written_one_way() {
        check("TIMESTAMP '2026-02-10 10:30:00'", "TIMESTAMP", "2026-02-10 10:30:00.000", "\"2026-02-10 10:30:00.000\"");
        check(
            "TIMESTAMP '1969-12-31 23:59:59.999999'",
            "TIMESTAMP",
            "1969-12-31 23:59:59.999999",
            "\"1969-12-31 23:59:59.999999\"",
        );
        check("'infinity'::TIMESTAMP", "TIMESTAMP", "infinity", "\"infinity\"");
        check(
            "TIMESTAMP_NS '2020-01-01 00:00:00.123456789'",
            "TIMESTAMP_NS",
            "2020-01-01 00:00:00.123456789",
            "\"2020-01-01 00:00:00.123456789\"",
        );
        check("DATE '0044-03-15 (BC)'", "DATE", "0044-03-15 (BC)", "\"0044-03-15 (BC)\"");
        check("DATE '2024-02-29'", "DATE", "2024-02-29", "\"2024-02-29\"");
        check("TIME '01:02:03.5'", "TIME", "01:02:03.500", "\"01:02:03.500\"");
        check(
            "INTERVAL '14 months 3 days 4 seconds'",
            "INTERVAL",
            "1 year 2 months 3 days 00:00:04",
            "\"1 year 2 months 3 days 00:00:04\"",
        );
        check("INTERVAL '-1 second'", "INTERVAL", "-00:00:01", "\"-00:00:01\"");
    }

    #[test]
    fn nested_values_stay_readable() {
        check(
            "['a', NULL, 'b c', 'd,e', '', 'null', 'x:y']",
            "VARCHAR[]",
            "[a, NULL, b c, 'd,e', '', 'null', x:y]",
            r#"["a", null, "b c", "d,e", "", "null", "x:y"]"#,
        );
        check("[1, 2]::INTEGER[2]", "INTEGER[2]", "[1, 2]", "[1, 2]");
        check(
            "{'a': 1, 'b': ['x']}",
            "STRUCT(a INTEGER, b VARCHAR[])",
            "{'a': 1, 'b': [x]}",
            r#"{"a": 1, "b": ["x"]}"#,
        );
        check("MAP {'k': 1.5}", "MAP(VARCHAR, DECIMAL(2,1))", "{k=1.5}", r#"{"k": 1.5}"#);
        check("union_value(n := 7)", "UNION(n INTEGER)", "7", "7");
        check("['a'::ENUM('a', 'b')]", "ENUM[]", "[a]", r#"["a"]"#);
    }

    #[test]
    fn everything_else() {
        check("true", "BOOLEAN", "true", "true");
        check("NULL", "NULL", "NULL", "null");
        check("'\\x00\\xFF'::BLOB", "BLOB", "\\x00ff", r#""\\x00ff""#);
        check("'0101100000'::BIT", "BIT", "0101100000", "\"0101100000\"");
        check("'b'::ENUM('a', 'b')", "ENUM", "b", "\"b\"");
        check("'{\"a\": [1, 2.50]}'::JSON", "JSON", "{\"a\": [1, 2.50]}", "{\"a\": [1, 2.50]}");
        check("'\"quoted\"'", "VARCHAR", "\"quoted\"", r#""\"quoted\"""#);
    }
}
