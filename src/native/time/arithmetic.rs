//! Arithmetic of times and intervals, and times made of numbers.

use super::moment::{DAY, Fields, HOUR, Interval, MINUTE, Moment, SECOND, days_in_month, days_of};
use super::{clock, text, zone};
use crate::native::{Arguments, Failure, Given};

fn out_of_range() -> Failure {
    Failure::raised("22008", "timestamp out of range")
}

/// Months later: the last day of the month where it has no such day.
fn months_later(micros: i64, months: i64) -> i64 {
    if months == 0 {
        return micros;
    }
    let fields = Fields::of(micros);
    let count = fields.year * 12 + fields.month - 1 + months;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let day = fields.day.min(days_in_month(year, month));
    Fields { year, month, day, micros: fields.micros }.to_micros()
}

/// `pg_shift(moment, interval)`
pub(super) fn shift(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(moment), Some(by)] = arguments else { return Ok(None) };
    let by = Interval::read(by)?;
    Ok(Some(match Moment::read(moment)? {
        Moment::At(micros) => {
            let days = months_later(micros, by.months).checked_add(by.days * DAY);
            let moved = days.and_then(|micros| micros.checked_add(by.micros)).ok_or_else(out_of_range)?;
            Moment::At(moved).for_engine()
        }
        other => other.for_engine(),
    }))
}

/// `pg_shift_zoned(instant, interval, zone)`: months and days by the zone's calendar, the rest by the clock.
pub(super) fn shift_in_zone(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(instant), Some(by), Some(name)] = arguments else { return Ok(None) };
    let (instant, by) = (Moment::read(instant)?, Interval::read(by)?);
    let mut moved = instant;
    if by.months != 0 || by.days != 0 {
        let zone = zone::named(name)?;
        if let Moment::At(local) = zone::to_local(zone, instant)? {
            let local = months_later(local, by.months).checked_add(by.days * DAY).ok_or_else(out_of_range)?;
            moved = zone::to_instant(zone, Moment::At(local))?;
        }
    }
    Ok(Some(match moved {
        Moment::At(micros) => Moment::At(micros.checked_add(by.micros).ok_or_else(out_of_range)?).for_engine(),
        other => other.for_engine(),
    }))
}

/// `pg_between(later, earlier)`: days and the rest of a day.
pub(super) fn between(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(later), Some(earlier)] = arguments else { return Ok(None) };
    match (Moment::read(later)?, Moment::read(earlier)?) {
        (Moment::At(later), Moment::At(earlier)) => {
            let micros = later - earlier;
            Interval { months: 0, days: micros / DAY, micros: micros % DAY }.for_engine().map(Some)
        }
        _ => Err(Failure::raised("22008", "cannot subtract infinite timestamps")),
    }
}

/// `pg_age(later, earlier)`
pub(super) fn age(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(later), Some(earlier)] = arguments else { return Ok(None) };
    age_of(Moment::read(later)?, Moment::read(earlier)?)
}

/// `pg_age_zoned(later, earlier, zone)`
pub(super) fn age_in_zone(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(later), Some(earlier), Some(name)] = arguments else { return Ok(None) };
    let zone = zone::named(name)?;
    age_of(zone::to_local(zone, Moment::read(later)?)?, zone::to_local(zone, Moment::read(earlier)?)?)
}

fn age_of(later: Moment, earlier: Moment) -> Given<String> {
    let (Moment::At(a), Moment::At(b)) = (later, earlier) else {
        return Err(Failure::refused("age() of an infinite time"));
    };
    let (one, other) = (Fields::of(a), Fields::of(b));
    let sign = if a < b { -1 } else { 1 };
    let mut micros = sign * (one.micros - other.micros);
    let mut days = sign * (one.day - other.day);
    let mut months = sign * ((one.year - other.year) * 12 + one.month - other.month);
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    while days < 0 {
        let month = if a < b { one } else { other };
        days += days_in_month(month.year, month.month);
        months -= 1;
    }
    Interval { months: sign * months, days: sign * days, micros: sign * micros }.for_engine().map(Some)
}

fn two(arguments: &Arguments<'_>, sign: i64) -> Given<String> {
    let [Some(a), Some(b)] = arguments else { return Ok(None) };
    let (a, b) = (Interval::read(a)?, Interval::read(b)?);
    let sum = |a: i64, b: i64| a.checked_add(sign * b).ok_or_else(|| Failure::raised("22008", "interval out of range"));
    let found =
        Interval { months: sum(a.months, b.months)?, days: sum(a.days, b.days)?, micros: sum(a.micros, b.micros)? };
    found.for_engine().map(Some)
}

pub(super) fn add(arguments: &Arguments<'_>) -> Given<String> {
    two(arguments, 1)
}

pub(super) fn subtract(arguments: &Arguments<'_>) -> Given<String> {
    two(arguments, -1)
}

/// `pg_interval_sum(intervals)`: separated by bars.
pub(super) fn sum(arguments: &Arguments<'_>) -> Given<String> {
    let Some(list) = text(arguments, 0) else { return Ok(None) };
    let mut total = Interval::default();
    for value in list.split('|') {
        let value = Interval::read(value)?;
        total.months += value.months;
        total.days += value.days;
        total.micros += value.micros;
    }
    total.for_engine().map(Some)
}

/// To a millionth, as the server does it.
fn to_millionths(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// The product with a number, or the quotient: what is left of months goes into days, of days into the time.
fn scaled(arguments: &Arguments<'_>, by: impl Fn(f64, f64) -> f64) -> Given<String> {
    let [Some(value), Some(factor)] = arguments else { return Ok(None) };
    let value = Interval::read(value)?;
    let factor: f64 = factor.parse().map_err(|_| Failure::refused(format!("the number {factor}")))?;
    let range = || Failure::raised("22008", "interval out of range");
    let whole = |exact: f64| match exact.is_nan() || exact.abs() > f64::from(i32::MAX) {
        true => Err(range()),
        false => Ok(exact as i64),
    };
    let (exact_months, exact_days) = (by(value.months as f64, factor), by(value.days as f64, factor));
    let (months, mut days) = (whole(exact_months)?, whole(exact_days)?);
    let month_days = to_millionths((exact_months - months as f64) * 30.0);
    let mut seconds = to_millionths((exact_days - days as f64 + month_days - month_days.trunc()) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let over = (seconds / 86_400.0).trunc();
        days += over as i64;
        seconds -= over * 86_400.0;
    }
    days += month_days as i64;
    let micros = (by(value.micros as f64, factor) + seconds * 1e6).round_ties_even();
    if micros.is_nan() || micros.abs() >= i64::MAX as f64 {
        return Err(range());
    }
    Interval { months, days, micros: micros as i64 }.for_engine().map(Some)
}

pub(super) fn multiply(arguments: &Arguments<'_>) -> Given<String> {
    scaled(arguments, |value, factor| value * factor)
}

pub(super) fn divide(arguments: &Arguments<'_>) -> Given<String> {
    if text(arguments, 1).is_some_and(|factor| factor.parse() == Ok(0.0)) && text(arguments, 0).is_some() {
        return Err(Failure::raised("22012", "division by zero"));
    }
    scaled(arguments, |value, factor| value / factor)
}

fn numbers<const N: usize>(arguments: &Arguments<'_>) -> Result<Option<[f64; N]>, Failure> {
    let mut found = [0.0; N];
    for (at, number) in found.iter_mut().enumerate() {
        let Some(text) = text(arguments, at) else { return Ok(None) };
        *number = text.parse().map_err(|_| Failure::refused(format!("the number {text}")))?;
    }
    Ok(Some(found))
}

fn date(year: i64, month: i64, day: i64) -> Option<i64> {
    let astronomical = if year < 0 { year + 1 } else { year };
    let known = year != 0 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(astronomical, month);
    (known && astronomical.abs() < 200_000).then(|| days_of(astronomical, month, day))
}

/// `pg_make_date(year, month, day)`
pub(super) fn make_date(arguments: &Arguments<'_>) -> Given<String> {
    let Some([year, month, day]) = numbers::<3>(arguments)? else { return Ok(None) };
    let (year, month, day) = (year as i64, month as i64, day as i64);
    let range = || Failure::raised("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    let days = date(year, month, day).ok_or_else(range)?;
    Ok(Some(Moment::At(days * DAY).for_engine()))
}

/// `pg_make_timestamp(year, month, day, hour, minute, seconds)`
pub(super) fn make_timestamp(arguments: &Arguments<'_>) -> Given<String> {
    Ok(made_moment(arguments)?.map(Moment::for_engine))
}

/// `pg_make_timestamptz(year, month, day, hour, minute, seconds, zone)`
pub(super) fn make_instant(arguments: &Arguments<'_>) -> Given<String> {
    let Some(name) = text(arguments, 6) else { return Ok(None) };
    let Some(local) = made_moment(arguments)? else { return Ok(None) };
    let zone = match (name.starts_with(['+', '-']), name.starts_with(|c: char| c.is_ascii_digit())) {
        (true, _) => match super::input::said(name, name)? {
            Some(super::input::Said::Offset(offset)) => zone::Zone::Fixed(offset),
            _ => return Err(Failure::refused(format!("the time zone {name}"))),
        },
        (_, true) => {
            let message = format!("invalid input syntax for type numeric time zone: \"{name}\"");
            return Err(Failure::raised("22023", message));
        }
        _ => zone::spoken(name)?,
    };
    Ok(Some(zone::instant_in(zone, local)?.for_engine()))
}

fn made_moment(arguments: &Arguments<'_>) -> Result<Option<Moment>, Failure> {
    let Some([year, month, day, hour, minute, seconds]) = numbers::<6>(arguments)? else { return Ok(None) };
    let (year, month, day) = (year as i64, month as i64, day as i64);
    let range = || Failure::raised("22008", format!("date field value out of range: {year}-{month:02}-{day:02}"));
    let days = date(year, month, day).ok_or_else(range)?;
    Ok(Some(Moment::At(days * DAY + clock::made(hour, minute, seconds)?)))
}

/// `pg_make_interval(years, months, weeks, days, hours, minutes, seconds)`
pub(super) fn make_interval(arguments: &Arguments<'_>) -> Given<String> {
    let Some([years, months, weeks, days, hours, minutes, seconds]) = numbers::<7>(arguments)? else {
        return Ok(None);
    };
    if !seconds.is_finite() {
        return Err(Failure::raised("22008", "interval out of range"));
    }
    let micros = hours as i64 * HOUR + minutes as i64 * MINUTE + (seconds * SECOND as f64).round_ties_even() as i64;
    let found = Interval { months: years as i64 * 12 + months as i64, days: weeks as i64 * 7 + days as i64, micros };
    found.for_engine().map(Some)
}
