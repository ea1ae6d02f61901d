//! Stretches of time: bins of a fixed width, and whether two stretches overlap.

use super::clock;
use super::moment::{DAY, Interval, Moment};
use crate::native::lists::{Lists, OfLists};
use crate::native::{Arguments, Failure, Given};

pub(in crate::native) const OF_LISTS: &[(&str, OfLists)] = &[("pg_overlaps", OfLists::Truth(overlaps))];

/// `pg_date_bin(width, moment, origin)`
pub(super) fn bin(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(width), Some(moment), Some(origin)] = arguments else { return Ok(None) };
    let (width, moment, origin) = (Interval::read(width)?, Moment::read(moment)?, Moment::read(origin)?);
    let Moment::At(at) = moment else { return Ok(Some(moment.for_engine())) };
    let Moment::At(from) = origin else { return Err(Failure::raised("22008", "origin out of range")) };
    if width.months != 0 {
        let message = "timestamps cannot be binned into intervals containing months or years";
        return Err(Failure::raised("0A000", message));
    }
    let wide = i128::from(width.days) * i128::from(DAY) + i128::from(width.micros);
    if wide <= 0 {
        return Err(Failure::raised("22008", "stride must be greater than zero"));
    }
    let begun = i128::from(from) + (i128::from(at) - i128::from(from)).div_euclid(wide) * wide;
    let begun = i64::try_from(begun).map_err(|_| Failure::raised("22008", "timestamp out of range"))?;
    Ok(Some(Moment::At(begun).for_engine()))
}

/// `pg_overlaps([begin], [end], [begin], [end])` of moments or times of day: NULL where what is missing decides.
fn overlaps(lists: &Lists<'_>) -> Given<bool> {
    let mut ends = [None; 4];
    for (end, list) in ends.iter_mut().zip(lists) {
        let text = list.as_ref().and_then(|list| list.first().copied().flatten());
        *end = text.map(point).transpose()?;
    }
    let (Some((a, a_end)), Some((b, b_end))) = (ordered(ends[0], ends[1]), ordered(ends[2], ends[3])) else {
        return Ok(None);
    };
    Ok(match a.cmp(&b) {
        std::cmp::Ordering::Equal => (a_end.is_some() && b_end.is_some()).then_some(true),
        std::cmp::Ordering::Greater => meets(a, a_end, b_end),
        std::cmp::Ordering::Less => meets(b, b_end, a_end),
    })
}

/// The later stretch begins before the earlier one ends.
fn meets(later: Moment, later_end: Option<Moment>, earlier_end: Option<Moment>) -> Option<bool> {
    match (earlier_end, later_end) {
        (None, _) => None,
        (Some(end), _) if later < end => Some(true),
        (_, None) => None,
        _ => Some(false),
    }
}

/// The two ends, the earlier first; none where neither is known.
fn ordered(one: Option<Moment>, other: Option<Moment>) -> Option<(Moment, Option<Moment>)> {
    match (one, other) {
        (None, None) => None,
        (None, Some(end)) | (Some(end), None) => Some((end, None)),
        (Some(one), Some(other)) => Some((one.min(other), Some(one.max(other)))),
    }
}

fn point(text: &str) -> Result<Moment, Failure> {
    match text.contains('-') || text.contains("infinity") {
        true => Moment::read(text),
        false => Ok(Moment::At(clock::micros_of(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_overlap() {
        let check = |ends: [Option<&str>; 4], expected: Option<bool>| {
            let lists: Vec<_> = ends.iter().map(|end| Some(vec![*end])).collect();
            assert_eq!(overlaps(&lists), Ok(expected), "{ends:?}");
        };
        check([Some("10:00:00"), Some("12:00:00"), Some("11:00:00"), Some("13:00:00")], Some(true));
        check([Some("10:00:00"), Some("11:00:00"), Some("11:00:00"), Some("13:00:00")], Some(false));
        check([Some("2024-03-01"), None, Some("2024-02-01"), Some("2024-04-05")], Some(true));
        check([Some("2024-01-01"), None, Some("2024-02-01"), Some("2024-02-05")], None);
    }
}
