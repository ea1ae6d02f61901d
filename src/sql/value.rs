//! Values: how one value of a result is written, as text and as JSON.
//!
//! Input: a column of an Arrow batch, what DuckDB says its type is, and a row. Output: characters. Invariants: every value is
//! written exactly; a type that Arrow can't carry exactly is refused by column name, never approximated. Left out: alignment,
//! quoting for CSV, escapes for a terminal (the formats').
//!
//! In JSON a number that not every reader can hold (an integer beyond 2^53, a decimal of more than 15 digits) is a string; so are
//! NaN and the infinities. A `json` column is embedded as the JSON it is.

use std::fmt::Write;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::{self as types, ArrowDictionaryKeyType, DataType, TimeUnit};
use duckdb::core::{LogicalTypeHandle, LogicalTypeId as Id};

use crate::snapshot::manifest::hex;

/// What a value is, as far as writing it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// An integer of up to 64 bits.
    Integer,
    /// An integer of 128 bits.
    HugeInteger {
        /// It has no sign.
        unsigned: bool,
    },
    /// A decimal with this many digits after the point.
    Decimal(usize),
    /// A floating-point number.
    Float,
    /// Words.
    Text,
    /// An enum label.
    Enum,
    /// A UUID.
    Uuid,
    /// JSON text.
    Json,
    /// Bytes.
    Blob,
    /// A bit string.
    Bit,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A day and a time; with a zone it is an instant in UTC.
    Timestamp {
        /// It is an instant.
        zone: bool,
    },
    /// Months, days and a time.
    Interval,
    /// NULL, whatever the row.
    Null,
    /// A list or array of values.
    List(Box<Kind>),
    /// Named values.
    Struct(Vec<(String, Kind)>),
    /// Keys with values.
    Map(Box<Kind>, Box<Kind>),
    /// One of several named values.
    Union(Vec<Kind>),
}

impl Kind {
    /// Is it aligned to the right?
    pub fn is_number(&self) -> bool {
        matches!(self, Kind::Integer | Kind::HugeInteger { .. } | Kind::Decimal(_) | Kind::Float)
    }

    /// Reads DuckDB's type: its name in SQL, and its kind.
    ///
    /// # Errors
    /// The name of a type whose values don't arrive exactly.
    pub fn read(handle: &LogicalTypeHandle, arrow: &DataType) -> Result<(String, Kind), String> {
        let name = |name: &str, kind: Kind| Ok((name.to_owned(), kind));
        match handle.id() {
            Id::Boolean => name("BOOLEAN", Kind::Boolean),
            Id::Tinyint => name("TINYINT", Kind::Integer),
            Id::Smallint => name("SMALLINT", Kind::Integer),
            Id::Integer | Id::IntegerLiteral => name("INTEGER", Kind::Integer),
            Id::Bigint => name("BIGINT", Kind::Integer),
            Id::UTinyint => name("UTINYINT", Kind::Integer),
            Id::USmallint => name("USMALLINT", Kind::Integer),
            Id::UInteger => name("UINTEGER", Kind::Integer),
            Id::UBigint => name("UBIGINT", Kind::Integer),
            Id::Hugeint => name("HUGEINT", Kind::HugeInteger { unsigned: false }),
            Id::UHugeint => name("UHUGEINT", Kind::HugeInteger { unsigned: true }),
            Id::Float => name("FLOAT", Kind::Float),
            Id::Double => name("DOUBLE", Kind::Float),
            Id::Decimal => {
                let (width, scale) = (handle.decimal_width(), handle.decimal_scale());
                Ok((format!("DECIMAL({width},{scale})"), Kind::Decimal(usize::from(scale))))
            }
            Id::Varchar | Id::StringLiteral => match handle.get_alias().as_deref() {
                Some("JSON") => name("JSON", Kind::Json),
                _ => name("VARCHAR", Kind::Text),
            },
            Id::Enum => name("ENUM", Kind::Enum),
            Id::Uuid => name("UUID", Kind::Uuid),
            Id::Blob => name("BLOB", Kind::Blob),
            Id::Bit => name("BIT", Kind::Bit),
            Id::Date => name("DATE", Kind::Date),
            Id::Time => name("TIME", Kind::Time),
            Id::TimeNs => name("TIME_NS", Kind::Time),
            Id::Timestamp => name("TIMESTAMP", Kind::Timestamp { zone: false }),
            Id::TimestampS => name("TIMESTAMP_S", Kind::Timestamp { zone: false }),
            Id::TimestampMs => name("TIMESTAMP_MS", Kind::Timestamp { zone: false }),
            Id::TimestampNs => name("TIMESTAMP_NS", Kind::Timestamp { zone: false }),
            Id::TimestampTZ => name("TIMESTAMP WITH TIME ZONE", Kind::Timestamp { zone: true }),
            Id::Interval => name("INTERVAL", Kind::Interval),
            Id::SqlNull => name("NULL", Kind::Null),
            _ => Kind::read_nested(handle, arrow),
        }
    }

    fn read_nested(handle: &LogicalTypeHandle, arrow: &DataType) -> Result<(String, Kind), String> {
        type Fields = (Vec<String>, Vec<(String, Kind)>);
        let fields = |arrow: &DataType| -> Result<Fields, String> {
            let mut names = Vec::new();
            let mut kinds = Vec::new();
            for index in 0..handle.num_children() {
                let child_arrow = match arrow {
                    DataType::Struct(fields) => fields.get(index).map(|f| f.data_type().clone()),
                    DataType::Union(fields, _) => fields.iter().nth(index).map(|(_, f)| f.data_type().clone()),
                    _ => None,
                };
                let field = handle.child_name(index);
                let (name, kind) = Kind::read(&handle.child(index), &child_arrow.unwrap_or(DataType::Null))?;
                names.push(format!("{field} {name}"));
                kinds.push((field, kind));
            }
            Ok((names, kinds))
        };
        match (handle.id(), arrow) {
            (Id::List, DataType::List(child)) => {
                let (name, kind) = Kind::read(&handle.child(0), child.data_type())?;
                Ok((format!("{name}[]"), Kind::List(Box::new(kind))))
            }
            (Id::Array, DataType::FixedSizeList(child, size)) => {
                let (name, kind) = Kind::read(&handle.child(0), child.data_type())?;
                Ok((format!("{name}[{size}]"), Kind::List(Box::new(kind))))
            }
            (Id::Struct, DataType::Struct(_)) => {
                let (names, kinds) = fields(arrow)?;
                Ok((format!("STRUCT({})", names.join(", ")), Kind::Struct(kinds)))
            }
            (Id::Union, DataType::Union(..)) => {
                let (names, kinds) = fields(arrow)?;
                let kinds = kinds.into_iter().map(|(_, kind)| kind).collect();
                Ok((format!("UNION({})", names.join(", ")), Kind::Union(kinds)))
            }
            (Id::Map, DataType::Map(entries, _)) => {
                let DataType::Struct(entry) = entries.data_type() else { return Err("MAP".to_owned()) };
                let (key_name, key) = Kind::read(&handle.child(0), entry[0].data_type())?;
                let (value_name, value) = Kind::read(&handle.child(1), entry[1].data_type())?;
                Ok((format!("MAP({key_name}, {value_name})"), Kind::Map(Box::new(key), Box::new(value))))
            }
            (id, _) => Err(format!("{id:?}").to_uppercase()),
        }
    }
}

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

fn list_items(array: &dyn Array, row: usize) -> arrow::array::ArrayRef {
    match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => array.as_list::<i32>().value(row),
    }
}

fn union_value<'a>(array: &dyn Array, kinds: &'a [Kind], row: usize) -> (arrow::array::ArrayRef, &'a Kind, usize) {
    let union = array.as_union();
    let id = union.type_id(row);
    let kind = usize::try_from(id).ok().and_then(|i| kinds.get(i)).unwrap_or(&Kind::Null);
    (union.child(id).clone(), kind, union.value_offset(row))
}

fn write_scalar(out: &mut String, array: &dyn Array, kind: &Kind, row: usize) {
    // Writing to a String never fails.
    let _ = match kind {
        Kind::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        Kind::Integer => write_integer(out, array, row),
        Kind::HugeInteger { unsigned } => {
            let value = array.as_primitive::<types::Decimal128Type>().value(row);
            if *unsigned { write!(out, "{}", value.cast_unsigned()) } else { write!(out, "{value}") }
        }
        Kind::Decimal(scale) => write_decimal(out, decimal_at(array, row), *scale),
        Kind::Float => write_float(out, array, row),
        Kind::Blob => write!(out, "\\x{}", hex(array.as_binary::<i32>().value(row))),
        Kind::Bit => write_bits(out, array.as_binary::<i32>().value(row)),
        Kind::Date => write_date(out, i64::from(array.as_primitive::<types::Date32Type>().value(row))),
        Kind::Time => match array.data_type() {
            DataType::Time64(TimeUnit::Nanosecond) => {
                write_time(out, array.as_primitive::<types::Time64NanosecondType>().value(row), false)
            }
            _ => write_time(out, array.as_primitive::<types::Time64MicrosecondType>().value(row) * 1000, false),
        },
        Kind::Timestamp { zone } => write_timestamp(out, array, row, *zone),
        Kind::Interval => {
            let value = array.as_primitive::<types::IntervalMonthDayNanoType>().value(row);
            write_interval(out, value.months, value.days, value.nanoseconds)
        }
        _ => {
            out.push_str(text_at(array, row));
            Ok(())
        }
    };
}

/// A text, whatever its layout; an enum's label.
pub fn text_at(array: &dyn Array, row: usize) -> &str {
    fn label<K: ArrowDictionaryKeyType>(array: &dyn Array, row: usize) -> &str {
        let dictionary: &DictionaryArray<K> = array.as_dictionary();
        dictionary.key(row).map_or("", |key| text_at(dictionary.values().as_ref(), key))
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row),
        DataType::Utf8View => array.as_string_view().value(row),
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::UInt8 => label::<types::UInt8Type>(array, row),
            DataType::UInt16 => label::<types::UInt16Type>(array, row),
            _ => label::<types::UInt32Type>(array, row),
        },
        _ => "",
    }
}

fn write_integer(out: &mut String, array: &dyn Array, row: usize) -> std::fmt::Result {
    match array.data_type() {
        DataType::Int8 => write!(out, "{}", array.as_primitive::<types::Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<types::Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<types::Int32Type>().value(row)),
        DataType::UInt8 => write!(out, "{}", array.as_primitive::<types::UInt8Type>().value(row)),
        DataType::UInt16 => write!(out, "{}", array.as_primitive::<types::UInt16Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<types::UInt32Type>().value(row)),
        DataType::UInt64 => write!(out, "{}", array.as_primitive::<types::UInt64Type>().value(row)),
        _ => write!(out, "{}", array.as_primitive::<types::Int64Type>().value(row)),
    }
}

fn decimal_at(array: &dyn Array, row: usize) -> i128 {
    match array.data_type() {
        DataType::Decimal32(..) => i128::from(array.as_primitive::<types::Decimal32Type>().value(row)),
        DataType::Decimal64(..) => i128::from(array.as_primitive::<types::Decimal64Type>().value(row)),
        _ => array.as_primitive::<types::Decimal128Type>().value(row),
    }
}

fn write_decimal(out: &mut String, value: i128, scale: usize) -> std::fmt::Result {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { write!(out, "{sign}{whole}") } else { write!(out, "{sign}{whole}.{fraction}") }
}

fn write_float(out: &mut String, array: &dyn Array, row: usize) -> std::fmt::Result {
    let (wide, shortest) = match array.data_type() {
        DataType::Float32 => {
            let value = array.as_primitive::<types::Float32Type>().value(row);
            (f64::from(value), serde_json::to_string(&value))
        }
        _ => {
            let value = array.as_primitive::<types::Float64Type>().value(row);
            (value, serde_json::to_string(&value))
        }
    };
    match shortest {
        Ok(shortest) if wide.is_finite() => out.write_str(&shortest),
        _ if wide.is_nan() => out.write_str("NaN"),
        _ => out.write_str(if wide > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// Can every reader hold this number, also one that knows only doubles?
fn is_safe_number(number: &str, kind: &Kind) -> bool {
    const LARGEST: i128 = (1 << 53) - 1;
    match kind {
        Kind::Float => number.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b)),
        Kind::Decimal(_) => number.bytes().filter(u8::is_ascii_digit).skip_while(|b| *b == b'0').count() <= 15,
        _ => number.parse::<i128>().is_ok_and(|n| (-LARGEST..=LARGEST).contains(&n)),
    }
}

/// DuckDB stores a bit string as the number of unused bits at its front, and then the bits.
fn write_bits(out: &mut String, bytes: &[u8]) -> std::fmt::Result {
    let unused = usize::from(bytes.first().copied().unwrap_or(0));
    let bits = bytes.iter().skip(1).flat_map(|b| (0..8).rev().map(move |i| if b >> i & 1 == 1 { '1' } else { '0' }));
    out.extend(bits.skip(unused));
    Ok(())
}

fn write_timestamp(out: &mut String, array: &dyn Array, row: usize, zone: bool) -> std::fmt::Result {
    let (value, per_second) = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => (array.as_primitive::<types::TimestampSecondType>().value(row), 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            (array.as_primitive::<types::TimestampMillisecondType>().value(row), 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            (array.as_primitive::<types::TimestampNanosecondType>().value(row), 1_000_000_000)
        }
        _ => (array.as_primitive::<types::TimestampMicrosecondType>().value(row), 1_000_000),
    };
    if let Some(word) = infinity(value, i64::MAX) {
        return out.write_str(word);
    }
    let per_day = 86_400 * per_second;
    let (year, month, day) = civil(value.div_euclid(per_day));
    write_day(out, year, month, day)?;
    out.push(' ');
    write_time(out, value.rem_euclid(per_day) * (1_000_000_000 / per_second), true)?;
    if zone {
        out.push_str("+00");
    }
    if year <= 0 { out.write_str(" (BC)") } else { Ok(()) }
}

fn write_date(out: &mut String, days: i64) -> std::fmt::Result {
    if let Some(word) = infinity(days, i64::from(i32::MAX)) {
        return out.write_str(word);
    }
    let (year, month, day) = civil(days);
    write_day(out, year, month, day)?;
    if year <= 0 { out.write_str(" (BC)") } else { Ok(()) }
}

fn infinity(value: i64, largest: i64) -> Option<&'static str> {
    if value == largest {
        Some("infinity")
    } else if value == -largest {
        Some("-infinity")
    } else {
        None
    }
}

fn write_day(out: &mut String, year: i64, month: i64, day: i64) -> std::fmt::Result {
    // There is no year 0: the one before 1 is 1 BC.
    write!(out, "{:04}-{month:02}-{day:02}", if year <= 0 { 1 - year } else { year })
}

/// Days since 1970-01-01 as a date of the proleptic Gregorian calendar (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Nanoseconds of a day; `always` keeps the milliseconds when they are zero. Finer digits appear when they aren't zero.
fn write_time(out: &mut String, nanos: i64, always: bool) -> std::fmt::Result {
    let seconds = nanos / 1_000_000_000;
    write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    let fraction = nanos % 1_000_000_000;
    match fraction {
        0 if !always => Ok(()),
        _ if fraction % 1_000_000 == 0 => write!(out, ".{:03}", fraction / 1_000_000),
        _ if fraction % 1_000 == 0 => write!(out, ".{:06}", fraction / 1_000),
        _ => write!(out, ".{fraction:09}"),
    }
}

fn write_interval(out: &mut String, months: i32, days: i32, nanos: i64) -> std::fmt::Result {
    let mut parts = Vec::new();
    for (amount, unit) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
        if amount != 0 {
            parts.push(format!("{amount} {unit}{}", if amount.abs() == 1 { "" } else { "s" }));
        }
    }
    if nanos != 0 || parts.is_empty() {
        let mut time = String::from(if nanos < 0 { "-" } else { "" });
        write_time(&mut time, nanos.saturating_abs(), false)?;
        parts.push(time);
    }
    out.write_str(&parts.join(" "))
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
        check("1e300::DOUBLE", "DOUBLE", "1e300", "1e300");
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
        check("NULL", "INTEGER", "NULL", "null");
        check("'\\x00\\xFF'::BLOB", "BLOB", "\\x00ff", r#""\\x00ff""#);
        check("'0101100000'::BIT", "BIT", "0101100000", "\"0101100000\"");
        check("'b'::ENUM('a', 'b')", "ENUM", "b", "\"b\"");
        check("'{\"a\": [1, 2.50]}'::JSON", "JSON", "{\"a\": [1, 2.50]}", "{\"a\": [1, 2.50]}");
        check("'\"quoted\"'", "VARCHAR", "\"quoted\"", r#""\"quoted\"""#);
    }
}
