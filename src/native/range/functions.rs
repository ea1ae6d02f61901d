//! What is asked of ranges, and made of them.

use super::text::{read, write};
use super::{Bound, Range, Span, make, point};
use crate::native::lists::{Lists, OfLists};
use crate::native::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_range_part", Native::Text(part)),
    ("pg_range_is", Native::Truth(is)),
    ("pg_range_test", Native::Truth(test)),
    ("pg_range_holds", Native::Truth(holds)),
    ("pg_range_joined", Native::Text(joined)),
];

pub(super) const OF_LISTS: &[(&str, OfLists)] =
    &[("pg_range_make", OfLists::Text(constructed)), ("pg_multirange", OfLists::Text(gathered))];

/// `pg_multirange([type], ranges)`: of no ranges, the empty one; NULL of no list.
fn gathered(lists: &Lists<'_>) -> Given<String> {
    let [Some(ty), Some(ranges)] = lists else { return Ok(None) };
    let Some(ty) = ty.first().copied().flatten() else { return Ok(None) };
    let mut found = Vec::new();
    for text in ranges {
        let Some(text) = text else {
            return Err(Failure::raised("22004", "multirange values cannot contain null members"));
        };
        found.push(read(text, ty, "UTC")?);
    }
    Ok(Some(super::many::of_ranges(found)))
}

/// `pg_range_make([type], [lower], [upper], [flags])`
fn constructed(lists: &Lists<'_>) -> Given<String> {
    let argument =
        |at: usize| lists.get(at).and_then(|list| list.as_ref()).and_then(|list| list.first().copied().flatten());
    let Some(ty) = argument(0) else { return Ok(None) };
    let Some(flags) = argument(3) else {
        return Err(Failure::raised("22000", "range constructor flags argument must not be null"));
    };
    let (low, high) = match flags {
        "[]" => (true, true),
        "[)" => (true, false),
        "(]" => (false, true),
        "()" => (false, false),
        _ => return Err(Failure::raised("42601", "invalid range bound flags")),
    };
    let end = |at: usize, inclusive: bool| {
        Ok(Bound { point: argument(at).map(|text| point(text, ty, "UTC")).transpose()?, inclusive })
    };
    Ok(Some(write(&make(end(1, low)?, end(2, high)?, ty)?)))
}

/// `pg_range_part('lower' | 'upper', type, range)`
fn part(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(side), Some(ty), Some(text)] = arguments else { return Ok(None) };
    let Some(span) = read(text, ty, "UTC")? else { return Ok(None) };
    let bound = if *side == "lower" { span.lower } else { span.upper };
    Ok(bound.point.map(|point| point.text))
}

/// `pg_range_is('lower_inc' | …, type, range)`
fn is(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(what), Some(ty), Some(text)] = arguments else { return Ok(None) };
    let range = read(text, ty, "UTC")?;
    Ok(Some(match (*what, range) {
        ("isempty", range) => range.is_none(),
        (_, None) => false,
        ("lower_inc", Some(span)) => span.lower.inclusive,
        ("upper_inc", Some(span)) => span.upper.inclusive,
        ("lower_inf", Some(span)) => span.lower.point.is_none(),
        ("upper_inf", Some(span)) => span.upper.point.is_none(),
        _ => return Err(Failure::refused(format!("{what}() of a range"))),
    }))
}

/// `pg_range_test(operator, type, left, right)`
fn test(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(operator), Some(ty), Some(left), Some(right)] = arguments else { return Ok(None) };
    let (left, right) = (read(left, ty, "UTC")?, read(right, ty, "UTC")?);
    if *operator == "@>" {
        return Ok(Some(contains(&left, &right)));
    }
    if *operator == "<@" {
        return Ok(Some(contains(&right, &left)));
    }
    let (Some(left), Some(right)) = (left, right) else { return Ok(Some(false)) };
    Ok(Some(match *operator {
        "&&" => left.overlaps(&right),
        "<<" => left.end() < right.begin(),
        ">>" => left.begin() > right.end(),
        "&<" => left.end() <= right.end(),
        "&>" => left.begin() >= right.begin(),
        "-|-" => left.touches(&right),
        _ => return Err(Failure::refused(format!("the operator {operator} of ranges"))),
    }))
}

fn contains(left: &Range, right: &Range) -> bool {
    match (left, right) {
        (_, None) => true,
        (None, _) => false,
        (Some(left), Some(right)) => left.contains(right),
    }
}

/// `pg_range_holds(type, range, element)`
fn holds(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(ty), Some(text), Some(element)] = arguments else { return Ok(None) };
    let Some(span) = read(text, ty, "UTC")? else { return Ok(Some(false)) };
    let bound = Bound { point: Some(point(element, ty, "UTC")?), inclusive: true };
    let alone = Span { lower: bound.clone(), upper: bound };
    Ok(Some(span.begin() <= alone.begin() && alone.end() <= span.end()))
}

/// `pg_range_joined(operator, type, left, right)`
fn joined(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(operator), Some(ty), Some(left), Some(right)] = arguments else { return Ok(None) };
    let (left, right) = (read(left, ty, "UTC")?, read(right, ty, "UTC")?);
    let result = match *operator {
        "+" => union(left, right, true),
        "range_merge" => union(left, right, false),
        "*" => Ok(intersection(left, right)),
        "-" => difference(left, right, ty),
        _ => Err(Failure::refused(format!("the operator {operator} of ranges"))),
    }?;
    Ok(Some(write(&result)))
}

fn apart(what: &str) -> Failure {
    Failure::raised("22000", format!("result of range {what} would not be contiguous"))
}

fn union(left: Range, right: Range, strict: bool) -> Result<Range, Failure> {
    let (Some(left), Some(right)) = (&left, &right) else { return Ok(left.or(right)) };
    if strict && !left.overlaps(right) && !left.touches(right) {
        return Err(apart("union"));
    }
    let lower = if left.begin() <= right.begin() { &left.lower } else { &right.lower };
    let upper = if left.end() >= right.end() { &left.upper } else { &right.upper };
    Ok(Some(Span { lower: lower.clone(), upper: upper.clone() }))
}

fn intersection(left: Range, right: Range) -> Range {
    let (left, right) = (left?, right?);
    if !left.overlaps(&right) {
        return None;
    }
    let lower = if left.begin() >= right.begin() { &left.lower } else { &right.lower };
    let upper = if left.end() <= right.end() { &left.upper } else { &right.upper };
    Some(Span { lower: lower.clone(), upper: upper.clone() })
}

fn difference(left: Range, right: Range, ty: &str) -> Result<Range, Failure> {
    let (Some(one), Some(other)) = (&left, &right) else { return Ok(left) };
    if one.begin() < other.begin() && one.end() > other.end() {
        return Err(apart("difference"));
    }
    if !one.overlaps(other) {
        return Ok(left);
    }
    if other.contains(one) {
        return Ok(None);
    }
    let turned = |bound: &Bound| Bound { inclusive: !bound.inclusive, ..bound.clone() };
    match one.begin() < other.begin() {
        true => make(one.lower.clone(), turned(&other.lower), ty),
        false => make(turned(&other.upper), one.upper.clone(), ty),
    }
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn ranges_meet_and_part() {
        check("pg_range_test", &["&&", "int4range", "[1,5)", "[5,9)"], "false");
        check("pg_range_test", &["-|-", "int4range", "[1,5)", "[5,9)"], "true");
        check("pg_range_test", &["-|-", "numrange", "[1,5)", "(5,9)"], "false");
        check("pg_range_test", &["@>", "int4range", "[1,5)", "empty"], "true");
        check("pg_range_holds", &["numrange", "(1,2.5]", "2.50"], "true");
        check("pg_range_joined", &["-", "int4range", "[1,9)", "[3,5)"], "22000");
        check("pg_range_joined", &["-", "int4range", "[1,9)", "[4,12)"], "[1,4)");
        check("pg_range_joined", &["+", "int4range", "[1,5)", "[7,9)"], "22000");
        check("pg_range_joined", &["*", "int4range", "[1,3)", "[4,12)"], "empty");
        check("pg_range_part", &["lower", "numrange", "[1.50,2]"], "1.50");
    }
}
