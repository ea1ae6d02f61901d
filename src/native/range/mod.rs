//! Range types: their texts, their order, and what is computed with them.
//!
//! Input: ranges and bounds as the server writes them, and the name of the range type. Output: the same. Invariants: a range of whole
//! numbers or days is canonical, `[` below and `)` above; of two ranges the empty one is less, then the lower bound decides. Left out:
//! ranges that a migration defines, operators of multiranges.

mod functions;
mod many;
mod text;

use super::lists::OfLists;
use super::time::point_of_range;
use super::{Failure, Native, numeric};

pub(super) const FUNCTIONS: &[(&str, Native)] = functions::FUNCTIONS;
pub(super) const OF_LISTS: &[(&str, OfLists)] = functions::OF_LISTS;

/// Range types and the types of their bounds.
pub(crate) const RANGES: &[(&str, &str)] = &[
    ("int4range", "integer"),
    ("int8range", "bigint"),
    ("numrange", "numeric"),
    ("daterange", "date"),
    ("tsrange", "timestamp without time zone"),
    ("tstzrange", "timestamp with time zone"),
];

pub(super) use many::{key_of_many, of_multirange, read_many};

pub(crate) fn is_range(ty: &str) -> bool {
    RANGES.iter().any(|(name, _)| *name == ty)
}

/// What a bound is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Whole(i64),
    /// The key of a `numeric`.
    Number(String),
    /// Days or microseconds; the infinities are the ends.
    Time(i64),
}

/// A bound's value: as the server writes it, and as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub text: String,
    pub key: Key,
}

/// One end of a range; no point is no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub point: Option<Point>,
    pub inclusive: bool,
}

/// A range that isn't empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub lower: Bound,
    pub upper: Bound,
}

/// A range; none is the empty one.
pub(super) type Range = Option<Span>;

/// Where a bound lies: before everything, at a point or just beside it, behind everything.
type Place<'a> = (i8, Option<&'a Key>, i8);

impl Span {
    pub fn begin(&self) -> Place<'_> {
        match &self.lower.point {
            None => (-1, None, 0),
            Some(point) => (0, Some(&point.key), i8::from(!self.lower.inclusive)),
        }
    }

    pub fn end(&self) -> Place<'_> {
        match &self.upper.point {
            None => (1, None, 0),
            Some(point) => (0, Some(&point.key), -i8::from(!self.upper.inclusive)),
        }
    }

    pub fn overlaps(&self, other: &Span) -> bool {
        self.begin() <= other.end() && other.begin() <= self.end()
    }

    pub fn contains(&self, other: &Span) -> bool {
        self.begin() <= other.begin() && other.end() <= self.end()
    }

    /// The end of one is the beginning of the other, with nothing between and nothing shared.
    pub fn touches(&self, other: &Span) -> bool {
        let meet = |upper: &Bound, lower: &Bound| match (&upper.point, &lower.point) {
            (Some(upper_point), Some(lower_point)) => {
                upper_point.key == lower_point.key && upper.inclusive != lower.inclusive
            }
            _ => false,
        };
        meet(&self.upper, &other.lower) || meet(&other.upper, &self.lower)
    }
}

/// A bound's value, read from a text.
pub(super) fn point(text: &str, ty: &str, zone: &str) -> Result<Point, Failure> {
    match ty {
        "int4range" | "int8range" => {
            let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
            let name = if ty == "int4range" { "integer" } else { "bigint" };
            let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                let message = format!("invalid input syntax for type {name}: \"{text}\"");
                return Err(Failure::raised("22P02", message));
            }
            let number = trimmed.parse::<i64>().ok().filter(|n| ty != "int4range" || i32::try_from(*n).is_ok());
            let number = number
                .ok_or_else(|| Failure::raised("22003", format!("value \"{text}\" is out of range for type {name}")))?;
            Ok(whole(number))
        }
        "numrange" => {
            let text = numeric::canonical(text)?;
            let key = numeric::key(&text).ok_or_else(|| Failure::refused(format!("the number {text}")))?;
            Ok(Point { text, key: Key::Number(key) })
        }
        _ => {
            let (text, key) = point_of_range(text, ty, zone)?;
            Ok(Point { text, key: Key::Time(key) })
        }
    }
}

fn whole(number: i64) -> Point {
    Point { text: number.to_string(), key: Key::Whole(number) }
}

/// A range of two bounds.
pub(super) fn make(lower: Bound, upper: Bound, ty: &str) -> Result<Range, Failure> {
    let mut span = Span { lower: of_bound(lower), upper: of_bound(upper) };
    if let (Some(low), Some(high)) = (&span.lower.point, &span.upper.point)
        && low.key > high.key
    {
        return Err(Failure::raised("22000", "range lower bound must be less than or equal to range upper bound"));
    }
    if is_void(&span) {
        return Ok(None);
    }
    if ["int4range", "int8range", "daterange"].contains(&ty) {
        if !span.lower.inclusive && span.lower.point.is_some() {
            next(&mut span.lower, ty)?;
        }
        if span.upper.inclusive {
            next(&mut span.upper, ty)?;
        }
    }
    Ok(Some(span).filter(|span| !is_void(span)))
}

/// An end that is none excludes nothing and includes nothing.
fn of_bound(bound: Bound) -> Bound {
    Bound { inclusive: bound.inclusive && bound.point.is_some(), ..bound }
}

fn is_void(span: &Span) -> bool {
    match (&span.lower.point, &span.upper.point) {
        (Some(low), Some(high)) => low.key == high.key && !(span.lower.inclusive && span.upper.inclusive),
        _ => false,
    }
}

/// A bound of whole numbers or days, moved on by one, and included the other way round.
fn next(bound: &mut Bound, ty: &str) -> Result<(), Failure> {
    let Some(point) = &mut bound.point else { return Ok(()) };
    match &point.key {
        Key::Whole(number) => {
            let most = if ty == "int4range" { i64::from(i32::MAX) } else { i64::MAX };
            let name = if ty == "int4range" { "integer" } else { "bigint" };
            if *number == most {
                return Err(Failure::raised("22003", format!("{name} out of range")));
            }
            *point = whole(number + 1);
        }
        Key::Time(day) if *day != i64::MAX && *day != -i64::MAX => {
            *point = Point { text: super::time::date_text(day + 1), key: Key::Time(day + 1) };
        }
        _ => return Ok(()),
    }
    bound.inclusive = !bound.inclusive;
    Ok(())
}

/// A literal as the server writes it.
pub(super) fn read(text: &str, ty: &str, zone: &str) -> Result<String, Failure> {
    Ok(text::write(&text::read(text, ty, zone)?))
}

/// What a range is compared by: a text.
pub(super) fn key(text: &str, ty: &str) -> Result<String, Failure> {
    let Some(span) = text::read(text, ty, "UTC")? else { return Ok("0".to_owned()) };
    let shown = |(side, key, beside): Place<'_>| {
        let key = match key {
            None => String::new(),
            Some(Key::Number(key)) => key.clone(),
            Some(Key::Whole(number) | Key::Time(number)) => format!("{:020}", i128::from(*number) + (1 << 63)),
        };
        format!("{}{key}\u{1}{}", side + 1, beside + 1)
    };
    Ok(format!("1{}{}", shown(span.begin()), shown(span.end())))
}
