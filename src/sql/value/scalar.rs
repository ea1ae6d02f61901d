//! Scalars: numbers, words, bytes and times as text.
//!
//! Input: a column of an Arrow batch, its kind and a row that isn't NULL. Output: characters. Times are written one way:
//! `YYYY-MM-DD HH:MM:SS.mmm`, with finer digits only where they aren't zero.

use std::fmt::Write;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::{self as types, ArrowDictionaryKeyType, DataType, TimeUnit};

use super::Kind;
use crate::snapshot::manifest::hex;

/// Appends a value that has no parts and isn't NULL.
pub(super) fn write_scalar(out: &mut String, array: &dyn Array, kind: &Kind, row: usize) {
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
pub(super) fn is_safe_number(number: &str, kind: &Kind) -> bool {
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
