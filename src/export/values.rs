//! Values: how do the binary values of PostgreSQL become an Arrow column?
//!
//! Input: the bytes a type's `send` function writes (`src/backend/utils/adt/*.c` in PostgreSQL). Output: Arrow arrays of the type
//! that [`PgType::arrow_field`] declares. Invariants: a value arrives exactly or is an error that says why ([`Unheld`] where the
//! server's text would hold it); no value is allocated on its own. Left out: rows and their framing (`copy`).
//!
//! Each kind of column is a type of its own behind one trait, so that a column's many values are read in a loop that knows what
//! they are.

use std::sync::Arc;

use anyhow::{Error, Result, anyhow, bail};
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, FixedSizeBinaryArray, Int32Array, Int64Array,
    ListArray, PrimitiveArray, StringBuilder, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow::error::ArrowError;

use super::fallback::Unheld;
use super::nulls::Nulls;
use super::numeric::{self, Numeric};
use super::texts::Texts;
use crate::snapshot::manifest::NumericExtent;
use crate::snapshot::types::{PgType, interval_fields};

/// Days from 1970-01-01, where Arrow counts from, to 2000-01-01, where PostgreSQL does.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROSECONDS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// Something went wrong at the value with this index.
pub type At = (usize, Error);

/// A growing Arrow array of one type.
pub trait Values {
    /// Appends NULL.
    fn append_null(&mut self);

    /// Appends the value that `bytes` are.
    ///
    /// # Errors
    /// When the bytes aren't a value of this type, or one that a snapshot can't hold.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Appends a column of many rows.
    ///
    /// # Errors
    /// As [`Values::append`], with the place of the value among `fields`.
    fn extend(&mut self, fields: Fields<'_>) -> Result<(), At> {
        for (index, field) in fields.enumerate() {
            match field {
                None => self.append_null(),
                Some(bytes) => self.append(bytes).map_err(|error| (index, error))?,
            }
        }
        Ok(())
    }

    /// The array so far; what follows begins a new one, for about as many values.
    ///
    /// # Errors
    /// When a text isn't UTF-8: the index of its value, and why.
    fn finish(&mut self) -> Result<ArrayRef, At>;

    /// What the values of an unbounded `numeric` have needed so far.
    fn numeric_extent(&self) -> Option<NumericExtent> {
        None
    }
}

/// Where the bytes of a field begin, and how many there are: -1 for NULL, as on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The first byte's index.
    pub begin: u32,
    /// Bytes.
    pub length: i32,
}

/// The fields of one column in many rows.
pub struct Fields<'a> {
    bytes: &'a [u8],
    places: std::iter::StepBy<std::slice::Iter<'a, Place>>,
}

impl<'a> Fields<'a> {
    /// The column with this index, of rows of `width` columns whose places are given row after row.
    pub fn of_column(bytes: &'a [u8], places: &'a [Place], column: usize, width: usize) -> Fields<'a> {
        Fields { bytes, places: places.get(column..).unwrap_or_default().iter().step_by(width) }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        let place = self.places.next()?;
        let length = usize::try_from(place.length).ok();
        Some(length.map(|length| &self.bytes[place.begin as usize..][..length]))
    }
}

/// An empty array for values of `ty`.
pub fn for_type(ty: &PgType) -> Box<dyn Values> {
    match ty {
        PgType::Bool => Box::new(Booleans(BooleanBuilder::new())),
        PgType::Int2 => numbers::<Int16Type, _>(ty, |b| Ok(i16::from_be_bytes(fixed(b)?))),
        PgType::Int4 => numbers::<Int32Type, _>(ty, |b| Ok(i32::from_be_bytes(fixed(b)?))),
        PgType::Int8 => numbers::<Int64Type, _>(ty, |b| Ok(i64::from_be_bytes(fixed(b)?))),
        PgType::Float4 => numbers::<Float32Type, _>(ty, |b| Ok(f32::from_be_bytes(fixed(b)?))),
        PgType::Float8 => numbers::<Float64Type, _>(ty, |b| Ok(f64::from_be_bytes(fixed(b)?))),
        PgType::Decimal(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            numbers::<Decimal128Type, _>(ty, move |b| Numeric::read(b)?.decimal(precision, scale))
        }
        PgType::Date => numbers::<Date32Type, _>(ty, |b| date(i32::from_be_bytes(fixed(b)?))),
        PgType::Time(_) => numbers::<Time64MicrosecondType, _>(ty, |b| Ok(i64::from_be_bytes(fixed(b)?))),
        PgType::Timestamp(_) | PgType::Timestamptz(_) => {
            numbers::<TimestampMicrosecondType, _>(ty, |b| timestamp(i64::from_be_bytes(fixed(b)?)))
        }
        PgType::Numeric(_) => Box::new(Numerics::default()),
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Name | PgType::Json => Box::new(Texts::default()),
        PgType::Enum { .. } | PgType::Opaque(_) => Box::new(Texts::default()),
        PgType::Jsonb => Box::new(Documents(Texts::default())),
        PgType::Bytea => Box::new(Binaries(BinaryBuilder::new())),
        PgType::Uuid => Box::new(Uuids { bytes: vec![], nulls: Nulls::default() }),
        PgType::Interval => {
            Box::new(Intervals { months: vec![], days: vec![], microseconds: vec![], nulls: Nulls::default() })
        }
        PgType::Array(element) => Box::new(Lists {
            field: Arc::new(element.arrow_field("element", true)),
            elements: for_type(element),
            ends: vec![],
            nulls: Nulls::default(),
        }),
    }
}

/// Takes a vector; in its place stands an empty one with as much room.
pub(super) fn taken<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

/// Numbers of fixed width, or what is one for Arrow.
struct Numbers<T: ArrowPrimitiveType, F> {
    values: Vec<T::Native>,
    nulls: Nulls,
    data_type: DataType,
    read: F,
}

fn numbers<T, F>(ty: &PgType, read: F) -> Box<dyn Values>
where
    T: ArrowPrimitiveType,
    F: Fn(&[u8]) -> Result<T::Native> + 'static,
{
    let data_type = ty.arrow_field("", true).data_type().clone();
    Box::new(Numbers::<T, F> { values: vec![], nulls: Nulls::default(), data_type, read })
}

impl<T: ArrowPrimitiveType, F: Fn(&[u8]) -> Result<T::Native>> Values for Numbers<T, F> {
    #[inline]
    fn append_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append(true);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.values.push((self.read)(bytes)?);
        self.nulls.append(false);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        let values = ScalarBuffer::from(taken(&mut self.values));
        let array = PrimitiveArray::<T>::try_new(values, self.nulls.finish()).map_err(at_first)?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

/// `boolean`
struct Booleans(BooleanBuilder);

impl Values for Booleans {
    #[inline]
    fn append_null(&mut self) {
        self.0.append_null();
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append_value(u8::from_be_bytes(fixed(bytes)?) != 0);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        Ok(Arc::new(self.0.finish()))
    }
}

/// `numeric` of any size, as text.
#[derive(Default)]
struct Numerics {
    builder: StringBuilder,
    /// What the values need, since the beginning.
    extent: NumericExtent,
    /// Reused for each value.
    text: String,
}

impl Values for Numerics {
    fn append_null(&mut self) {
        self.builder.append_null();
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let value = Numeric::read(bytes)?;
        self.text.clear();
        value.write(&mut self.text);
        numeric::widen(&mut self.extent, &value);
        self.builder.append_value(&self.text);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        Ok(Arc::new(self.builder.finish()))
    }

    fn numeric_extent(&self) -> Option<NumericExtent> {
        Some(self.extent)
    }
}

/// Whatever travels as its text.
impl Values for Texts {
    #[inline]
    fn append_null(&mut self) {
        Texts::append_null(self);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        Texts::append(self, bytes)
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        Ok(Arc::new(Texts::finish(self)?))
    }
}

/// `jsonb`: a version byte, then text.
struct Documents(Texts);

impl Values for Documents {
    #[inline]
    fn append_null(&mut self) {
        self.0.append_null();
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match bytes.split_first() {
            Some((1, text)) => self.0.append(text),
            _ => bail!("the server sends jsonb in a version that isn't known"),
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        Ok(Arc::new(self.0.finish()?))
    }
}

/// `bytea`
struct Binaries(BinaryBuilder);

impl Values for Binaries {
    fn append_null(&mut self) {
        self.0.append_null();
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.append_value(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        Ok(Arc::new(self.0.finish()))
    }
}

const UUID_BYTES: usize = 16;

struct Uuids {
    bytes: Vec<u8>,
    nulls: Nulls,
}

impl Values for Uuids {
    #[inline]
    fn append_null(&mut self) {
        self.bytes.extend_from_slice(&[0; UUID_BYTES]);
        self.nulls.append(true);
    }

    #[inline]
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(&fixed::<UUID_BYTES>(bytes)?);
        self.nulls.append(false);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        let bytes = Buffer::from_vec(taken(&mut self.bytes));
        let array = FixedSizeBinaryArray::try_new(UUID_BYTES as i32, bytes, self.nulls.finish());
        Ok(Arc::new(array.map_err(at_first)?))
    }
}

/// `interval`
struct Intervals {
    months: Vec<i32>,
    days: Vec<i32>,
    microseconds: Vec<i64>,
    nulls: Nulls,
}

impl Intervals {
    fn push(&mut self, (months, days, microseconds): (i32, i32, i64)) {
        self.months.push(months);
        self.days.push(days);
        self.microseconds.push(microseconds);
    }
}

impl Values for Intervals {
    fn append_null(&mut self) {
        self.push((0, 0, 0));
        self.nulls.append(true);
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.push(interval(bytes)?);
        self.nulls.append(false);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        let parts: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(taken(&mut self.months))),
            Arc::new(Int32Array::from(taken(&mut self.days))),
            Arc::new(Int64Array::from(taken(&mut self.microseconds))),
        ];
        let array = StructArray::try_new(interval_fields(), parts, self.nulls.finish());
        Ok(Arc::new(array.map_err(at_first)?))
    }
}

/// Arrays of one dimension.
struct Lists {
    /// The element's Arrow field.
    field: FieldRef,
    /// All elements of all arrays, one after the other.
    elements: Box<dyn Values>,
    /// Where each array ends.
    ends: Vec<i32>,
    nulls: Nulls,
}

impl Values for Lists {
    fn append_null(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.nulls.append(true);
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let count = append_elements(&mut *self.elements, bytes)?;
        let end = self.ends.last().copied().unwrap_or(0).checked_add(count);
        self.ends.push(end.ok_or_else(|| anyhow!("the arrays of one batch have too many elements"))?);
        self.nulls.append(false);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, At> {
        let ends = taken(&mut self.ends);
        // An element's index is not a row's.
        let row_of = |element: usize| ends.partition_point(|end| *end as usize <= element);
        let elements = self.elements.finish().map_err(|(element, error)| (row_of(element), error))?;
        let offsets: ScalarBuffer<i32> = std::iter::once(0).chain(ends).collect();
        let list = ListArray::try_new(self.field.clone(), OffsetBuffer::new(offsets), elements, self.nulls.finish());
        Ok(Arc::new(list.map_err(at_first)?))
    }

    fn numeric_extent(&self) -> Option<NumericExtent> {
        self.elements.numeric_extent()
    }
}

/// Arrow's own complaint about an array, which names no value.
fn at_first(error: ArrowError) -> At {
    (0, Error::new(error))
}

/// The bytes of a value of fixed width.
#[inline]
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
fn append_elements(elements: &mut dyn Values, bytes: &[u8]) -> Result<i32> {
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
        let mut values = for_type(&PgType::Array(Box::new(PgType::Int4)));
        values.append(&array(1, 1)).expect("an ordinary array");
        assert!(values.append(&array(1, 0)).expect_err("lower bound").to_string().contains("index 0"));
        assert!(values.append(&array(2, 1)).expect_err("dimensions").to_string().contains("2 dimensions"));
        assert!(values.append(&array(1, 1)[..22]).is_err());
        assert!(values.append(&[array(1, 1), vec![0]].concat()).is_err());
    }

    #[test]
    fn finishing_begins_anew() {
        let mut values = for_type(&PgType::Array(Box::new(PgType::Text)));
        values.append_null();
        assert_eq!(values.finish().expect("equal lengths").len(), 1);
        assert_eq!(values.finish().expect("equal lengths").len(), 0);
    }
}
