//! Extremes: which are the least and the greatest value of a column?
//!
//! Input: Arrow arrays of one column, part by part. Output: two texts as PostgreSQL prints them. Invariants: numbers and times are
//! ordered as on the server (NaN above all, infinities at the ends), enums by their labels' order, texts, `uuid` and `bytea` by
//! their bytes (`COLLATE "C"`); the answer doesn't depend on the order of the parts. Left out: types without an order of their own
//! here: json, arrays, and what travels as the server's text.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use hashbrown::HashSet;

use super::manifest::hex;
use super::types::PgType;
use crate::native::{numeric, time};

/// Bytes of a text that the manifest shows at most.
pub const SHOWN_BYTES: usize = 128;
/// Bytes of a text that are compared: enough to see whether all is shown.
const KEPT_BYTES: usize = SHOWN_BYTES + 1;

/// The least and the greatest of what has been seen.
#[derive(Debug, Clone)]
pub struct Extremes {
    ty: PgType,
    seen: Seen,
    recent: Recent,
}

/// Hashes of values that were looked at lately: what comes again and again is looked at once.
#[derive(Debug, Clone)]
struct Recent(Vec<u64>);

impl Recent {
    const PLACES: usize = 256;

    /// None yet: what stands in a place at first is a hash that belongs into the next one.
    fn new(places: usize) -> Recent {
        Recent((1..=places as u64).collect())
    }

    /// Is it new?
    fn note(&mut self, hash: u64) -> bool {
        let place = &mut self.0[hash as usize % Recent::PLACES];
        std::mem::replace(place, hash) != hash
    }
}

#[derive(Debug, Clone)]
enum Seen {
    /// Values of this type have no order.
    Unordered,
    Whole(Range<i128>),
    Real(Range<f64>),
    Bytes(Range<Vec<u8>>),
    Numeric(Range<String>),
    /// Length in microseconds with months of 30 days, then months, days and microseconds.
    Interval(Range<(i128, i32, i32, i64)>),
    /// Hashes of the labels that are there, and which labels those are.
    Labels(HashSet<u64>, Vec<bool>),
}

type Range<T> = Option<(T, T)>;

/// What the manifest shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The least value.
    pub min: String,
    /// The greatest value.
    pub max: String,
    /// One of the two is only the beginning of a longer text.
    pub cut: bool,
}

impl Extremes {
    /// Nothing seen yet of a column of type `ty`.
    pub fn new(ty: &PgType) -> Extremes {
        let seen = match ty {
            PgType::Bool | PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Decimal(..) => Seen::Whole(None),
            PgType::Date | PgType::Time(_) | PgType::Timestamp(_) | PgType::Timestamptz(_) => Seen::Whole(None),
            PgType::Float4 | PgType::Float8 => Seen::Real(None),
            PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::Name => Seen::Bytes(None),
            PgType::Bytea | PgType::Uuid => Seen::Bytes(None),
            PgType::Numeric(_) => Seen::Numeric(None),
            PgType::Interval => Seen::Interval(None),
            PgType::Enum { labels, .. } => Seen::Labels(HashSet::new(), vec![false; labels.len()]),
            PgType::Json | PgType::Jsonb | PgType::Array(_) | PgType::Opaque(_) => Seen::Unordered,
        };
        let places =
            if matches!(seen, Seen::Bytes(_) | Seen::Numeric(_) | Seen::Labels(..)) { Recent::PLACES } else { 0 };
        Extremes { ty: ty.clone(), seen, recent: Recent::new(places) }
    }

    /// Looks at the values of an array, whose hashes are `hashes`.
    pub fn add(&mut self, array: &dyn Array, hashes: &[u64]) {
        if array.null_count() == array.len() {
            return;
        }
        match &mut self.seen {
            Seen::Unordered => {}
            Seen::Whole(range) => whole(range, array),
            Seen::Real(range) => match array.data_type() {
                DataType::Float32 => reals(range, array.as_primitive::<Float32Type>().iter().flatten().map(f64::from)),
                _ => reals(range, array.as_primitive::<Float64Type>().iter().flatten()),
            },
            Seen::Bytes(range) => match array.data_type() {
                DataType::Utf8 => {
                    let texts = array.as_string::<i32>();
                    let new =
                        texts.iter().zip(hashes).filter_map(|(text, hash)| text.filter(|_| self.recent.note(*hash)));
                    bytes(range, new.map(str::as_bytes));
                }
                DataType::Binary => bytes(range, array.as_binary::<i32>().iter().flatten()),
                _ => bytes(range, array.as_fixed_size_binary().iter().flatten()),
            },
            Seen::Numeric(range) => {
                let texts = array.as_string::<i32>().iter().zip(hashes);
                for text in texts.filter_map(|(text, hash)| text.filter(|_| self.recent.note(*hash))) {
                    let owned = || text.to_owned();
                    widen(range, owned, |held| numeric_order(text, held));
                }
            }
            Seen::Interval(range) => intervals(range, array),
            Seen::Labels(known, seen) => labels(&self.ty, known, seen, array, hashes, &mut self.recent),
        }
    }

    /// Those of two parts together.
    pub fn join(&mut self, other: Extremes) {
        match (&mut self.seen, other.seen) {
            (Seen::Whole(a), Seen::Whole(b)) => join(a, b, i128::cmp),
            (Seen::Real(a), Seen::Real(b)) => join(a, b, real_order),
            (Seen::Bytes(a), Seen::Bytes(b)) => join(a, b, Vec::cmp),
            (Seen::Numeric(a), Seen::Numeric(b)) => join(a, b, |a, b| numeric_order(a, b)),
            (Seen::Interval(a), Seen::Interval(b)) => join(a, b, Ord::cmp),
            (Seen::Labels(known, seen), Seen::Labels(others, there)) => {
                known.extend(others);
                seen.iter_mut().zip(there).for_each(|(seen, there)| *seen |= there);
            }
            _ => {}
        }
    }

    /// As texts; `None` where there is no value, or no order.
    pub fn shown(&self) -> Option<Shown> {
        let whole = |(min, max): (String, String)| Shown { min, max, cut: false };
        match &self.seen {
            Seen::Unordered => None,
            Seen::Whole(range) => range.as_ref().map(|r| whole(both(r, |n| self.whole_text(*n)))),
            Seen::Real(range) => range.as_ref().map(|r| whole(both(r, |n| self.real_text(*n)))),
            Seen::Numeric(range) => range.clone().map(whole),
            Seen::Interval(range) => {
                range.as_ref().map(|r| whole(both(r, |(_, months, days, us)| time::interval_text(*months, *days, *us))))
            }
            Seen::Bytes(range) => range.as_ref().map(|r| {
                let cut = |bytes: &Vec<u8>| bytes.len() > SHOWN_BYTES;
                let (min, max) = both(r, |bytes| self.bytes_text(bytes));
                Shown { min, max, cut: cut(&r.0) || cut(&r.1) }
            }),
            Seen::Labels(_, seen) => {
                let PgType::Enum { labels, .. } = &self.ty else { return None };
                let there: Vec<&String> = labels.iter().zip(seen).filter(|(_, seen)| **seen).map(|(l, _)| l).collect();
                Some(whole(((*there.first()?).clone(), (*there.last()?).clone())))
            }
        }
    }

    fn whole_text(&self, value: i128) -> String {
        // What doesn't fit came from a narrower column: it always does.
        let small = i64::try_from(value).unwrap_or(i64::MAX);
        match &self.ty {
            PgType::Bool => if value == 0 { "false" } else { "true" }.to_owned(),
            PgType::Date => time::date_text(small),
            PgType::Time(_) => time::clock_text(small),
            PgType::Timestamp(_) => time::timestamp_text(small, ""),
            PgType::Timestamptz(_) => time::timestamp_text(small, "+00"),
            PgType::Decimal(_, scale) => decimal_text(value, usize::try_from(*scale).unwrap_or(0)),
            _ => value.to_string(),
        }
    }

    fn real_text(&self, value: f64) -> String {
        if self.ty == PgType::Float4 { numeric::real_text(value as f32) } else { numeric::double_text(value) }
    }

    fn bytes_text(&self, bytes: &[u8]) -> String {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
        match &self.ty {
            PgType::Bytea => format!("\\x{}", hex(shown)),
            PgType::Uuid => uuid::Uuid::from_slice(shown).unwrap_or_default().to_string(),
            _ => match std::str::from_utf8(shown) {
                Ok(text) => text.to_owned(),
                // The cut went through a character.
                Err(error) => String::from_utf8_lossy(&shown[..error.valid_up_to()]).into_owned(),
            },
        }
    }
}

fn both<T>((min, max): &(T, T), text: impl Fn(&T) -> String) -> (String, String) {
    (text(min), text(max))
}

/// Makes room for a value; `order` is its order against one that is held.
fn widen<T: Clone>(range: &mut Range<T>, value: impl Fn() -> T, order: impl Fn(&T) -> Ordering) {
    match range {
        None => *range = Some((value(), value())),
        Some((min, max)) => {
            if order(min).is_lt() {
                *min = value();
            } else if order(max).is_gt() {
                *max = value();
            }
        }
    }
}

fn join<T: Clone>(range: &mut Range<T>, other: Range<T>, order: impl Fn(&T, &T) -> Ordering) {
    if let Some((min, max)) = other {
        widen(range, || min.clone(), |held| order(&min, held));
        widen(range, || max.clone(), |held| order(&max, held));
    }
}

fn whole(range: &mut Range<i128>, array: &dyn Array) {
    let found = match array.data_type() {
        DataType::Boolean => {
            let (rows, trues) = (array.len() - array.null_count(), array.as_boolean().true_count());
            Some((i128::from(trues == rows), i128::from(trues > 0)))
        }
        DataType::Int16 => ends::<Int16Type>(array),
        DataType::Int32 => ends::<Int32Type>(array),
        DataType::Int64 => ends::<Int64Type>(array),
        DataType::Date32 => ends::<Date32Type>(array).map(|(min, max)| (endless_date(min), endless_date(max))),
        DataType::Time64(_) => ends::<Time64MicrosecondType>(array),
        DataType::Decimal128(..) => ends::<Decimal128Type>(array),
        _ => ends::<TimestampMicrosecondType>(array),
    };
    join(range, found, i128::cmp);
}

/// An infinite date, told as an infinite timestamp is.
fn endless_date(days: i128) -> i128 {
    match i32::try_from(days) {
        Ok(i32::MAX) => i128::from(i64::MAX),
        Ok(days) if days == -i32::MAX => i128::from(-i64::MAX),
        _ => days,
    }
}

fn ends<T: ArrowPrimitiveType>(array: &dyn Array) -> Range<i128>
where
    T::Native: Into<i128> + Ord,
{
    let array = array.as_primitive::<T>();
    let mut found: Range<T::Native> = None;
    let mut take = |value: T::Native| {
        let (min, max) = found.unwrap_or((value, value));
        found = Some((min.min(value), max.max(value)));
    };
    if array.null_count() == 0 {
        array.values().iter().for_each(|value| take(*value));
    } else {
        array.iter().flatten().for_each(take);
    }
    found.map(|(min, max)| (min.into(), max.into()))
}

/// PostgreSQL's: NaN is above everything. The zeros are told apart only to have one answer.
fn real_order(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a, b) => a.cmp(&b),
    }
}

fn reals(range: &mut Range<f64>, values: impl Iterator<Item = f64>) {
    for value in values {
        widen(range, || value, |held| real_order(&value, held));
    }
}

fn bytes<'a>(range: &mut Range<Vec<u8>>, values: impl Iterator<Item = &'a [u8]>) {
    let mut found: Option<([u64; 2], [&'a [u8]; 2])> = None;
    for value in values {
        let value = &value[..value.len().min(KEPT_BYTES)];
        let head = head(value);
        let Some((heads, held)) = &mut found else {
            found = Some(([head; 2], [value; 2]));
            continue;
        };
        // Most values are told from both by their first eight bytes.
        if head < heads[0] || head == heads[0] && value < held[0] {
            (heads[0], held[0]) = (head, value);
        }
        if head > heads[1] || head == heads[1] && value > held[1] {
            (heads[1], held[1]) = (head, value);
        }
    }
    join(range, found.map(|(_, [min, max])| (min.to_vec(), max.to_vec())), Vec::cmp);
}

/// The first eight bytes as a number that sorts as they do.
pub(super) fn head(value: &[u8]) -> u64 {
    match value.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => value.iter().rev().fold(0, |head, byte| head >> 8 | u64::from(*byte) << 56),
    }
}

fn intervals(range: &mut Range<(i128, i32, i32, i64)>, array: &dyn Array) {
    let parts = array.as_struct();
    let (months, days) = (parts.column(0).as_primitive::<Int32Type>(), parts.column(1).as_primitive::<Int32Type>());
    let microseconds = parts.column(2).as_primitive::<Int64Type>();
    for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
        let (months, days, rest) = (months.value(row), days.value(row), microseconds.value(row));
        let all_days = i128::from(months) * 30 + i128::from(days);
        let value = (all_days * 86_400_000_000 + i128::from(rest), months, days, rest);
        widen(range, || value, |held| value.cmp(held));
    }
}

fn labels(
    ty: &PgType,
    known: &mut HashSet<u64>,
    seen: &mut [bool],
    array: &dyn Array,
    hashes: &[u64],
    recent: &mut Recent,
) {
    let PgType::Enum { labels, .. } = ty else { return };
    let texts = array.as_string::<i32>();
    for (row, hash) in hashes.iter().enumerate() {
        if !recent.note(*hash) || known.contains(hash) || texts.is_null(row) {
            continue;
        }
        known.insert(*hash);
        if let Some(place) = labels.iter().position(|label| label == texts.value(row)) {
            seen[place] = true;
        }
    }
}

/// Of what the server prints: by value; of equal values the shorter text comes first, only to have one answer.
fn numeric_order(a: &str, b: &str) -> Ordering {
    let rank = |text: &str| match text {
        "NaN" => 3,
        "Infinity" => 2,
        "-Infinity" => -2,
        text => match text.strip_prefix('-') {
            Some(_) => -1,
            None => 1,
        },
    };
    let by_size = |a: &str, b: &str| {
        let (whole_a, fraction_a) = a.split_once('.').unwrap_or((a, ""));
        let (whole_b, fraction_b) = b.split_once('.').unwrap_or((b, ""));
        let fractions = fraction_a.trim_end_matches('0').cmp(fraction_b.trim_end_matches('0'));
        whole_a.len().cmp(&whole_b.len()).then_with(|| whole_a.cmp(whole_b)).then(fractions)
    };
    let by_value = rank(a).cmp(&rank(b)).then_with(|| match rank(a) {
        1 => by_size(a, b),
        -1 => by_size(&b[1..], &a[1..]),
        _ => Ordering::Equal,
    });
    by_value.then_with(|| a.len().cmp(&b.len()))
}

fn decimal_text(value: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray,
    };

    /// In one part and in two, either way round.
    fn check(ty: PgType, array: ArrayRef, expected: Option<(&str, &str)>) {
        let mut hashes = super::super::digest::Hashes::default();
        super::super::digest::of_column(&array, 0, &mut hashes).expect("a snapshot's type");
        let hashes = hashes.values;
        let of = |slices: &[(usize, usize)]| {
            let mut all = Extremes::new(&ty);
            for (from, length) in slices {
                let mut one = Extremes::new(&ty);
                one.add(&array.slice(*from, *length), &hashes[*from..from + length]);
                all.join(one);
            }
            all.shown().map(|shown| (shown.min, shown.max))
        };
        let expected = expected.map(|(min, max)| (min.to_owned(), max.to_owned()));
        let half = array.len() / 2;
        let (first, second) = ((0, half), (half, array.len() - half));
        assert_eq!(of(&[(0, array.len())]), expected, "{ty:?}");
        assert_eq!(of(&[first, second]), expected, "{ty:?}");
        assert_eq!(of(&[second, first]), expected, "{ty:?}");
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn values_are_ordered_as_on_the_server() {
        check(PgType::Int4, Arc::new(Int32Array::from(vec![Some(3), None, Some(-7), Some(5)])), Some(("-7", "5")));
        check(PgType::Float8, Arc::new(Float64Array::from(vec![1e300, f64::NAN, -0.5])), Some(("-0.5", "NaN")));
        check(PgType::Text, texts(&[Some("b"), Some("ä"), Some(""), None, Some("b\0")]), Some(("", "ä")));
        check(
            PgType::Text,
            texts(&[Some("longer than eight b"), Some("longer than eight a")]),
            Some(("longer than eight a", "longer than eight b")),
        );
        let decimals = Decimal128Array::from(vec![-5, 1250]).with_precision_and_scale(10, 2).expect("in range");
        check(PgType::Decimal(10, 2), Arc::new(decimals), Some(("-0.05", "12.50")));
        let numbers = [Some("10"), Some("9.5"), Some("-Infinity"), Some("NaN"), Some("Infinity")];
        check(PgType::Numeric(None), texts(&numbers), Some(("-Infinity", "NaN")));
        check(PgType::Numeric(None), texts(&[Some("1.50"), Some("1.5"), Some("0.3")]), Some(("0.3", "1.50")));
        let labels = ["low", "mid", "high"].map(str::to_owned).to_vec();
        let level = PgType::Enum { name: "level".into(), labels };
        check(level, texts(&[Some("high"), Some("mid"), None]), Some(("mid", "high")));
    }

    #[test]
    fn infinities_are_at_the_ends() {
        let days = vec![i32::MAX, 0, -i32::MAX];
        check(PgType::Date, Arc::new(Date32Array::from(days)), Some(("-infinity", "infinity")));
        let moments = TimestampMicrosecondArray::from(vec![i64::MAX, 500_000]);
        check(PgType::Timestamp(None), Arc::new(moments), Some(("1970-01-01 00:00:00.5", "infinity")));
    }

    #[test]
    fn what_has_no_value_or_no_order_has_no_extremes() {
        check(PgType::Int4, Arc::new(Int32Array::from(vec![None, None])), None);
        check(PgType::Jsonb, texts(&[Some("1")]), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let long = format!("{}ß tail", "x".repeat(SHOWN_BYTES - 1));
        let array = StringArray::from(vec![long.as_str()]);
        let mut extremes = Extremes::new(&PgType::Text);
        extremes.add(&array, &[0]);
        let shown = extremes.shown().expect("a value");
        assert_eq!((shown.min.len(), shown.cut), (SHOWN_BYTES - 1, true));
    }
}
