//! Values: how does one binary value of PostgreSQL become one value of an Arrow column?
//!
//! Input: the bytes a type's `send` function writes (`src/backend/utils/adt/*.c` in PostgreSQL). Output: Arrow arrays of the type
//! that [`PgType::arrow_field`] declares. Invariants: a value arrives exactly or is an error that says why ([`Unheld`] where the
//! server's text would hold it); no value is allocated on its own. Left out: rows and their framing (`copy`).

use std::sync::Arc;

use anyhow::{Error, Result, anyhow, bail};
use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, StringBuilder, StructArray,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;

use super::fallback::Unheld;
use super::numeric::{self, Numeric};
use super::texts::Texts;
use crate::snapshot::manifest::NumericExtent;
use crate::snapshot::types::{PgType, interval_fields};

/// Days from 1970-01-01, where Arrow counts from, to 2000-01-01, where PostgreSQL does.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// A growing Arrow array of one type.
pub enum Values {
    /// `boolean`
    Bool(BooleanBuilder),
    /// `smallint`
    Int2(Int16Builder),
    /// `integer`
    Int4(Int32Builder),
    /// `bigint`
    Int8(Int64Builder),
    /// `real`
    Float4(Float32Builder),
    /// `double precision`
    Float8(Float64Builder),
    /// `numeric` with a precision that a decimal holds
    Decimal {
        /// The values, as integers.
        builder: Decimal128Builder,
        /// Digits.
        precision: u8,
        /// Digits after the decimal point.
        scale: i8,
    },
    /// `numeric` of any size, as text
    Numeric {
        /// The texts.
        builder: StringBuilder,
        /// What the values need, since the beginning.
        extent: NumericExtent,
        /// Reused for each value.
        text: String,
    },
    /// Whatever travels as its text
    Text(Texts),
    /// `jsonb`: a version byte, then text
    Jsonb(Texts),
    /// `bytea`
    Bytea(BinaryBuilder),
    /// `uuid`
    Uuid(FixedSizeBinaryBuilder),
    /// `date`
    Date(Date32Builder),
    /// `time`
    Time(Time64MicrosecondBuilder),
    /// `timestamp` and `timestamptz`
    Timestamp(TimestampMicrosecondBuilder),
    /// `interval`
    Interval {
        /// Months.
        months: Vec<i32>,
        /// Days.
        days: Vec<i32>,
        /// Microseconds.
        microseconds: Vec<i64>,
        /// Which are not NULL.
        valid: Vec<bool>,
    },
    /// An array of one dimension
    Array {
        /// The element's Arrow field.
        field: FieldRef,
        /// All elements of all arrays, one after the other.
        elements: Box<Values>,
        /// Where each array ends.
        ends: Vec<i32>,
        /// Which are not NULL.
        valid: Vec<bool>,
    },
}

impl Values {
    /// An empty array for values of `ty`.
    pub fn new(ty: &PgType) -> Values {
        match ty {
            PgType::Bool => Values::Bool(BooleanBuilder::new()),
            PgType::Int2 => Values::Int2(Int16Builder::new()),
            PgType::Int4 => Values::Int4(Int32Builder::new()),
            PgType::Int8 => Values::Int8(Int64Builder::new()),
            PgType::Float4 => Values::Float4(Float32Builder::new()),
            PgType::Float8 => Values::Float8(Float64Builder::new()),
            PgType::Decimal(precision, scale) => Values::Decimal {
                builder: Decimal128Builder::new().with_data_type(arrow_type(ty)),
                precision: *precision,
                scale: *scale,
            },
            PgType::Numeric(_) => {
                Values::Numeric { builder: StringBuilder::new(), extent: NumericExtent::default(), text: String::new() }
            }
            PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Name | PgType::Json => {
                Values::Text(Texts::default())
            }
            PgType::Enum { .. } | PgType::Opaque(_) => Values::Text(Texts::default()),
            PgType::Jsonb => Values::Jsonb(Texts::default()),
            PgType::Bytea => Values::Bytea(BinaryBuilder::new()),
            PgType::Uuid => Values::Uuid(FixedSizeBinaryBuilder::new(16)),
            PgType::Date => Values::Date(Date32Builder::new()),
            PgType::Time(_) => Values::Time(Time64MicrosecondBuilder::new()),
            PgType::Timestamp(_) | PgType::Timestamptz(_) => {
                Values::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(arrow_type(ty)))
            }
            PgType::Interval => Values::Interval { months: vec![], days: vec![], microseconds: vec![], valid: vec![] },
            PgType::Array(element) => Values::Array {
                field: Arc::new(element.arrow_field("element", true)),
                elements: Box::new(Values::new(element)),
                ends: vec![],
                valid: vec![],
            },
        }
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        match self {
            Values::Bool(b) => b.append_null(),
            Values::Int2(b) => b.append_null(),
            Values::Int4(b) => b.append_null(),
            Values::Int8(b) => b.append_null(),
            Values::Float4(b) => b.append_null(),
            Values::Float8(b) => b.append_null(),
            Values::Decimal { builder, .. } => builder.append_null(),
            Values::Numeric { builder, .. } => builder.append_null(),
            Values::Text(b) | Values::Jsonb(b) => b.append_null(),
            Values::Bytea(b) => b.append_null(),
            Values::Uuid(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Time(b) => b.append_null(),
            Values::Timestamp(b) => b.append_null(),
            Values::Interval { months, days, microseconds, valid } => {
                months.push(0);
                days.push(0);
                microseconds.push(0);
                valid.push(false);
            }
            Values::Array { ends, valid, .. } => {
                ends.push(ends.last().copied().unwrap_or(0));
                valid.push(false);
            }
        }
    }

    /// Appends the value that `bytes` are.
    ///
    /// # Errors
    /// When the bytes aren't a value of this type, or one that a snapshot can't hold.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Values::Bool(b) => b.append_value(u8::from_be_bytes(fixed(bytes)?) != 0),
            Values::Int2(b) => b.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Values::Int4(b) => b.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Values::Int8(b) => b.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::Float4(b) => b.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Values::Float8(b) => b.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Values::Decimal { builder, precision, scale } => {
                builder.append_value(Numeric::read(bytes)?.decimal(*precision, *scale)?);
            }
            Values::Numeric { builder, extent, text } => {
                let value = Numeric::read(bytes)?;
                text.clear();
                value.write(text);
                numeric::widen(extent, &value);
                builder.append_value(&*text);
            }
            Values::Text(b) => b.append(bytes)?,
            Values::Jsonb(b) => match bytes.split_first() {
                Some((1, text)) => b.append(text)?,
                _ => bail!("the server sends jsonb in a version that isn't known"),
            },
            Values::Bytea(b) => b.append_value(bytes),
            Values::Uuid(b) => b.append_value(fixed::<16>(bytes)?)?,
            Values::Date(b) => b.append_value(date(i32::from_be_bytes(fixed(bytes)?))?),
            Values::Time(b) => b.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::Timestamp(b) => b.append_value(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
            Values::Interval { months, days, microseconds, valid } => {
                let (m, d, us) = interval(bytes)?;
                months.push(m);
                days.push(d);
                microseconds.push(us);
                valid.push(true);
            }
            Values::Array { elements, ends, valid, .. } => {
                let count = append_elements(elements, bytes)?;
                let end = ends.last().copied().unwrap_or(0).checked_add(count);
                ends.push(end.ok_or_else(|| anyhow!("the arrays of one batch have too many elements"))?);
                valid.push(true);
            }
        }
        Ok(())
    }

    /// The array so far; what follows begins a new one, for about as many values.
    ///
    /// # Errors
    /// When a text isn't UTF-8: the index of its value, and why.
    pub fn finish(&mut self) -> Result<ArrayRef, (usize, Error)> {
        let somewhere = |error: ArrowError| (0, Error::new(error));
        Ok(match self {
            Values::Bool(b) => Arc::new(taken(b, BooleanBuilder::with_capacity).finish()),
            Values::Int2(b) => Arc::new(taken(b, Int16Builder::with_capacity).finish()),
            Values::Int4(b) => Arc::new(taken(b, Int32Builder::with_capacity).finish()),
            Values::Int8(b) => Arc::new(taken(b, Int64Builder::with_capacity).finish()),
            Values::Float4(b) => Arc::new(taken(b, Float32Builder::with_capacity).finish()),
            Values::Float8(b) => Arc::new(taken(b, Float64Builder::with_capacity).finish()),
            Values::Decimal { builder, .. } => Arc::new(builder.finish()),
            Values::Numeric { builder, .. } => Arc::new(builder.finish()),
            Values::Text(texts) | Values::Jsonb(texts) => Arc::new(texts.finish()?),
            Values::Bytea(b) => Arc::new(b.finish()),
            Values::Uuid(b) => Arc::new(taken(b, |rows| FixedSizeBinaryBuilder::with_capacity(rows, 16)).finish()),
            Values::Date(b) => Arc::new(taken(b, Date32Builder::with_capacity).finish()),
            Values::Time(b) => Arc::new(taken(b, Time64MicrosecondBuilder::with_capacity).finish()),
            Values::Timestamp(b) => Arc::new(b.finish()),
            Values::Interval { months, days, microseconds, valid } => {
                let parts: Vec<ArrayRef> = vec![
                    Arc::new(arrow::array::Int32Array::from(std::mem::take(months))),
                    Arc::new(arrow::array::Int32Array::from(std::mem::take(days))),
                    Arc::new(arrow::array::Int64Array::from(std::mem::take(microseconds))),
                ];
                let nulls = NullBuffer::from(std::mem::take(valid));
                Arc::new(StructArray::try_new(interval_fields(), parts, Some(nulls)).map_err(somewhere)?)
            }
            Values::Array { field, elements, ends, valid } => {
                let ends = std::mem::take(ends);
                // An element's index is not a row's.
                let row_of = |element: usize| ends.partition_point(|end| *end as usize <= element);
                let elements = elements.finish().map_err(|(element, error)| (row_of(element), error))?;
                let offsets: ScalarBuffer<i32> = std::iter::once(0).chain(ends).collect();
                let nulls = NullBuffer::from(std::mem::take(valid));
                let list = ListArray::try_new(field.clone(), OffsetBuffer::new(offsets), elements, Some(nulls));
                Arc::new(list.map_err(somewhere)?)
            }
        })
    }

    /// What the values of an unbounded `numeric` have needed so far.
    pub fn numeric_extent(&self) -> Option<NumericExtent> {
        match self {
            Values::Numeric { extent, .. } => Some(*extent),
            Values::Array { elements, .. } => elements.numeric_extent(),
            _ => None,
        }
    }
}

/// A builder with its values; in its place stands an empty one with as much room.
fn taken<B: ArrayBuilder>(builder: &mut B, with_capacity: impl Fn(usize) -> B) -> B {
    let rows = builder.len();
    std::mem::replace(builder, with_capacity(rows))
}

fn arrow_type(ty: &PgType) -> arrow::datatypes::DataType {
    ty.arrow_field("", true).data_type().clone()
}

/// The bytes of a value of fixed width.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| anyhow!("the server sends {} bytes where the type has {N}", bytes.len()))
}

/// Infinities become DuckDB's: the largest number and its negative (not the smallest, as in PostgreSQL).
fn date(days: i32) -> Result<i32> {
    match days {
        i32::MAX => Ok(i32::MAX),
        i32::MIN => Ok(-i32::MAX),
        days => days.checked_add(EPOCH_DAYS).ok_or_else(|| Unheld("a date is out of range".to_owned()).into()),
    }
}

fn timestamp(microseconds: i64) -> Result<i64> {
    match microseconds {
        i64::MAX => Ok(i64::MAX),
        i64::MIN => Ok(-i64::MAX),
        finite => finite.checked_add(EPOCH_MICROSECONDS).filter(|t| *t != i64::MAX).ok_or_else(|| {
            let last = "294247-01-10 04:00:54.775806";
            Unheld(format!("a timestamp lies after {last}, the last that microseconds since 1970 can hold")).into()
        }),
    }
}

/// (months, days, microseconds)
fn interval(bytes: &[u8]) -> Result<(i32, i32, i64)> {
    let bytes = fixed::<16>(bytes)?;
    let microseconds = i64::from_be_bytes(fixed(&bytes[..8])?);
    let days = i32::from_be_bytes(fixed(&bytes[8..12])?);
    let months = i32::from_be_bytes(fixed(&bytes[12..])?);
    match (months, days, microseconds) {
        (i32::MAX, i32::MAX, i64::MAX) | (i32::MIN, i32::MIN, i64::MIN) => {
            Err(Unheld("an interval is infinite".to_owned()).into())
        }
        parts => Ok(parts),
    }
}

/// Appends an array's elements and returns their number. `array_send`: dimensions, a flag for NULLs, the element's type, then
/// per dimension its length and lower bound, then the elements as in a row.
fn append_elements(elements: &mut Values, bytes: &[u8]) -> Result<i32> {
    let mut rest = bytes;
    let dimensions = take_i32(&mut rest)?;
    let (_has_nulls, _element_type) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
    match dimensions {
        0 => return Ok(0),
        1 => {}
        n => return Err(Unheld(format!("an array has {n} dimensions")).into()),
    }
    let (count, lower_bound) = (take_i32(&mut rest)?, take_i32(&mut rest)?);
    if lower_bound != 1 {
        return Err(Unheld(format!("an array begins at index {lower_bound}")).into());
    }
    for _ in 0..count {
        match take_i32(&mut rest)? {
            -1 => elements.append_null(),
            length => {
                let length =
                    usize::try_from(length).map_err(|_| anyhow!("an array's element has a negative length"))?;
                let (value, behind) = rest
                    .split_at_checked(length)
                    .ok_or_else(|| anyhow!("an array ends in the middle of an element"))?;
                elements.append(value)?;
                rest = behind;
            }
        }
    }
    if !rest.is_empty() {
        bail!("an array is longer than it says");
    }
    Ok(count)
}

fn take_i32(rest: &mut &[u8]) -> Result<i32> {
    let (head, behind) = rest.split_first_chunk::<4>().ok_or_else(|| anyhow!("an array ends before its elements"))?;
    *rest = behind;
    Ok(i32::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn infinities_are_duckdbs() {
        assert_eq!(date(i32::MIN).expect("in range"), -i32::MAX);
        assert_eq!(date(0).expect("in range"), EPOCH_DAYS);
        assert_eq!(timestamp(i64::MIN).expect("in range"), -i64::MAX);
        assert_eq!(timestamp(-EPOCH_MICROSECONDS).expect("in range"), 0);
        // 294276-12-31, which PostgreSQL can hold and microseconds since 1970 can't.
        assert!(timestamp(9_223_371_244_800_000_000).is_err());
        // This one would read as infinity.
        assert!(timestamp(i64::MAX - EPOCH_MICROSECONDS).is_err());
    }

    #[test]
    fn arrays_of_other_shapes_are_refused() {
        let array = |dimensions: i32, lower: i32| -> Vec<u8> {
            [dimensions, 0, 23, 1, lower, 4, 7].iter().flat_map(|n: &i32| n.to_be_bytes()).collect()
        };
        let mut values = Values::new(&PgType::Array(Box::new(PgType::Int4)));
        values.append(&array(1, 1)).expect("an ordinary array");
        assert!(values.append(&array(1, 0)).expect_err("lower bound").to_string().contains("index 0"));
        assert!(values.append(&array(2, 1)).expect_err("dimensions").to_string().contains("2 dimensions"));
        assert!(values.append(&array(1, 1)[..22]).is_err());
        assert!(values.append(&[array(1, 1), vec![0]].concat()).is_err());
    }

    #[test]
    fn finishing_begins_anew() {
        let mut values = Values::new(&PgType::Array(Box::new(PgType::Text)));
        values.append_null();
        assert_eq!(values.finish().expect("equal lengths").len(), 1);
        assert_eq!(values.finish().expect("equal lengths").len(), 0);
    }
}
