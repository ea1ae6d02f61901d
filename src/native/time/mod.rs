//! Dates, times and intervals: parts of them, arithmetic, text forms, time zones.
//!
//! Input: values as the engine writes them, names of units and zones. Output: values as the engine reads them, or the server's text.
//! Invariants: times with time zone come and go as UTC; a unit that the server doesn't know is its error (22023).

mod abbreviations;
mod arithmetic;
mod bins;
mod clock;
mod clock_input;
mod format;
mod input;
mod interval;
mod moment;
mod parts;
mod scan;
mod zone;

use super::{Arguments, Failure, Given, Native};
pub(super) use bins::OF_LISTS;
pub(super) use clock::zoned as zoned_clock;
pub(crate) use input::word;
pub(crate) use moment::clock_text;
use moment::{Interval, Moment};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_timestamp_text", Native::Text(|a| one(a, |m| Ok(m.shown(""))))),
    ("pg_timestamptz_text", Native::Text(zoned_text)),
    ("pg_date_text", Native::Text(|a| one(a, |m| Ok(m.shown_date())))),
    ("pg_interval_text", Native::Text(|a| one_interval(a, |v| Ok(v.shown())))),
    ("pg_interval_in", Native::Text(|a| text(a, 0).map(|text| interval::read(text)?.for_engine()).transpose())),
    ("pg_interval_key", Native::Text(|a| one_interval(a, |v| Ok(v.span().to_string())))),
    ("pg_timestamp_in", Native::Text(|a| read(a, input::timestamp))),
    ("pg_timestamptz_in", Native::Text(input::zoned)),
    ("pg_date_in", Native::Text(|a| read(a, input::date))),
    ("pg_to_local", Native::Text(|a| in_zone(a, zone::local_in))),
    ("pg_to_instant", Native::Text(|a| in_zone(a, zone::instant_in))),
    ("pg_extract", Native::Text(parts::of_moment)),
    ("pg_extract_zoned", Native::Text(parts::of_instant)),
    ("pg_extract_interval", Native::Text(parts::of_interval)),
    ("pg_trunc", Native::Text(parts::truncated)),
    ("pg_trunc_zoned", Native::Text(parts::truncated_in_zone)),
    ("pg_trunc_interval", Native::Text(parts::truncated_interval)),
    ("pg_shift", Native::Text(arithmetic::shift)),
    ("pg_shift_zoned", Native::Text(arithmetic::shift_in_zone)),
    ("pg_between", Native::Text(arithmetic::between)),
    ("pg_age", Native::Text(arithmetic::age)),
    ("pg_age_zoned", Native::Text(arithmetic::age_in_zone)),
    ("pg_interval_add", Native::Text(arithmetic::add)),
    ("pg_interval_sub", Native::Text(arithmetic::subtract)),
    ("pg_interval_neg", Native::Text(|a| one_interval(a, |v| v.negated().for_engine()))),
    ("pg_interval_mul", Native::Text(arithmetic::multiply)),
    ("pg_interval_div", Native::Text(arithmetic::divide)),
    ("pg_interval_sum", Native::Text(arithmetic::sum)),
    ("pg_justify_days", Native::Text(|a| one_interval(a, |v| interval::justify_days(v).for_engine()))),
    ("pg_justify_hours", Native::Text(|a| one_interval(a, |v| interval::justify_hours(v).for_engine()))),
    ("pg_justify_interval", Native::Text(|a| one_interval(a, |v| interval::justify(v).for_engine()))),
    ("pg_time_text", Native::Text(clock::text)),
    ("pg_time_in", Native::Text(clock::read)),
    ("pg_time_round", Native::Text(clock::round)),
    ("pg_time_shift", Native::Text(clock::shift)),
    ("pg_time_between", Native::Text(clock::between)),
    ("pg_time_span", Native::Text(clock::span)),
    ("pg_time_of_span", Native::Text(clock::of_span)),
    ("pg_time_of_moment", Native::Text(clock::of_moment)),
    ("pg_time_on", Native::Text(clock::on_day)),
    ("pg_timetz_round", Native::Text(clock::round_zoned)),
    ("pg_timetz_shift", Native::Text(clock::shift_zoned)),
    ("pg_timetz_on", Native::Text(clock::zoned_on_day)),
    ("pg_timetz_bare", Native::Text(clock::bare)),
    ("pg_timetz_of_time", Native::Text(clock::with_zone)),
    ("pg_timetz_of_moment", Native::Text(clock::zoned_of_moment)),
    ("pg_timetz_at", Native::Text(clock::at_zone)),
    ("pg_timetz_at_span", Native::Text(clock::at_span)),
    ("pg_local_at_span", Native::Text(clock::local_at_span)),
    ("pg_instant_at_span", Native::Text(clock::instant_at_span)),
    ("pg_extract_time", Native::Text(clock::extract)),
    ("pg_extract_timetz", Native::Text(clock::extract_zoned)),
    ("pg_make_time", Native::Text(clock::make)),
    ("pg_make_timestamptz", Native::Text(arithmetic::make_instant)),
    ("pg_date_bin", Native::Text(bins::bin)),
    ("pg_make_date", Native::Text(arithmetic::make_date)),
    ("pg_make_timestamp", Native::Text(arithmetic::make_timestamp)),
    ("pg_make_interval", Native::Text(arithmetic::make_interval)),
    ("pg_to_char_time", Native::Text(format::time)),
    ("pg_to_char_zoned", Native::Text(format::zoned)),
    ("pg_to_char_interval", Native::Text(format::interval)),
    ("pg_to_timestamp", Native::Text(scan::to_timestamp)),
    ("pg_to_date", Native::Text(scan::to_date)),
];

/// As the server writes a `timestamp` of microseconds since 1970; the largest number and its negative are the infinities.
/// `zone` is what follows the time of day.
pub(crate) fn timestamp_text(micros: i64, zone: &str) -> String {
    moment_of(micros).shown(zone)
}

/// As the server writes a `date` of days since 1970, with the same infinities.
pub(crate) fn date_text(days: i64) -> String {
    match moment_of(days) {
        Moment::At(days) => moment::shown_day(days),
        endless => endless.shown_date(),
    }
}

/// As the server writes an `interval`.
pub(crate) fn interval_text(months: i32, days: i32, micros: i64) -> String {
    Interval { months: months.into(), days: days.into(), micros }.shown()
}

/// A bound of a range of times: as the server writes it, and what it is compared by.
pub(super) fn point_of_range(text: &str, ty: &str, zone: &str) -> Result<(String, i64), Failure> {
    let number = |moment: Moment| match moment {
        Moment::At(micros) => micros,
        Moment::Before => -i64::MAX,
        Moment::After => i64::MAX,
    };
    match ty {
        "daterange" => {
            let moment = input::date(text)?;
            let key = match moment {
                Moment::At(micros) => micros.div_euclid(moment::DAY),
                endless => number(endless),
            };
            Ok((moment.shown_date(), key))
        }
        "tsrange" => {
            let moment = input::timestamp(text)?;
            Ok((moment.shown(""), number(moment)))
        }
        _ => {
            let instant = Moment::read(&input::zoned(&[Some(text), Some(zone)])?.unwrap_or_default())?;
            let shown = instant.shown(if matches!(instant, Moment::At(_)) { "+00" } else { "" });
            Ok((shown, number(instant)))
        }
    }
}

fn moment_of(number: i64) -> Moment {
    match number {
        i64::MAX => Moment::After,
        number if number == -i64::MAX => Moment::Before,
        number => Moment::At(number),
    }
}

fn text<'a>(arguments: &Arguments<'a>, at: usize) -> Option<&'a str> {
    arguments.get(at).copied().flatten()
}

fn one(arguments: &Arguments<'_>, function: impl Fn(Moment) -> Result<String, Failure>) -> Given<String> {
    text(arguments, 0).map(|text| function(Moment::read(text)?)).transpose()
}

fn one_interval(arguments: &Arguments<'_>, function: impl Fn(Interval) -> Result<String, Failure>) -> Given<String> {
    text(arguments, 0).map(|text| function(Interval::read(text)?)).transpose()
}

/// A literal, read row by row.
fn read(arguments: &Arguments<'_>, function: impl Fn(&str) -> Result<Moment, Failure>) -> Given<String> {
    text(arguments, 0).map(|text| Ok(function(text)?.for_engine())).transpose()
}

/// `(moment, zone)`
fn in_zone(
    arguments: &Arguments<'_>,
    function: impl Fn(zone::Zone, Moment) -> Result<Moment, Failure>,
) -> Given<String> {
    let [Some(moment), Some(name)] = arguments else { return Ok(None) };
    Ok(Some(function(zone::spoken(name)?, Moment::read(moment)?)?.for_engine()))
}

/// `pg_timestamptz_text(instant, zone)`
fn zoned_text(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(instant), Some(name)] = arguments else { return Ok(None) };
    let instant = Moment::read(instant)?;
    let Moment::At(micros) = instant else { return Ok(Some(instant.shown(""))) };
    let zone = zone::named(name)?;
    let offset = zone::offset_at(zone, micros)?;
    Ok(Some(zone::to_local(zone, instant)?.shown(&zone::shown(offset))))
}

/// A literal of a type of times, or of type interval, as the engine reads it.
///
/// # Errors
/// The server's, or a refusal of a notation that isn't known here.
pub(crate) fn literal(text: &str, kind: &str, zone: &str) -> Result<String, Failure> {
    Ok(match kind {
        "date" => input::date(text)?.for_engine(),
        "timestamp" => input::timestamp(text)?.for_engine(),
        "time" => clock::read(&[Some(text)])?.unwrap_or_default(),
        "timestamptz" => input::zoned(&[Some(text), Some(zone)])?.unwrap_or_default(),
        _ => interval::read(text)?.for_engine()?,
    })
}

/// A session's zone, as SET names it.
///
/// # Errors
/// The server's, or a refusal of a zone that is a rule of its own.
pub(crate) fn expect_zone(name: &str) -> Result<(), Failure> {
    if zone::named(name).is_err() && !name.contains(|c: char| c.is_ascii_digit()) {
        // Abbreviations aren't zones here, though some zones are named like them.
        return match zone::spoken(name) {
            Ok(_) | Err(Failure::Refused(_)) => Err(Failure::refused(format!("the time zone {name}"))),
            Err(other) => Err(other),
        };
    }
    zone::named(name).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn intervals_are_read_and_written() {
        let written = |text: &str| interval::read(text).map(|value| value.shown());
        assert_eq!(written("1 year 2 mons -3 days 04:05:06.5").as_deref(), Ok("1 year 2 mons -3 days +04:05:06.5"));
        assert_eq!(written("P1Y2M3DT4H").as_deref(), Ok("1 year 2 mons 3 days 04:00:00"));
        check("pg_interval_in", &["3 foos"], "22007");
        check("pg_interval_key", &["1 month -1 days"], "2505600000000");
    }

    #[test]
    fn zones_have_summer_time() {
        check("pg_to_local", &["2024-07-05 10:00:00", "Europe/Berlin"], "2024-07-05 12:00:00");
        check("pg_to_instant", &["2024-03-31 02:30:00", "Europe/Berlin"], "2024-03-31 01:30:00");
        check("pg_to_instant", &["2024-10-27 02:30:00", "Europe/Berlin"], "2024-10-27 01:30:00");
        check("pg_timestamptz_text", &["2024-01-05 10:00:00", "Asia/Kolkata"], "2024-01-05 15:30:00+05:30");
        check("pg_to_local", &["2024-07-05 10:00:00", "CET"], "2024-07-05 11:00:00");
        check("pg_to_local", &["2024-07-05 10:00:00", "UTC+3"], "2024-07-05 07:00:00");
        check("pg_to_local", &["2024-07-05 10:00:00", "MSK"], "refused");
        check("pg_to_local", &["2024-07-05 10:00:00", "nowhere"], "22023");
    }

    #[test]
    fn parts_and_formats() {
        check("pg_extract", &["week", "2021-01-03", "date"], "53");
        check("pg_extract", &["second", "2024-05-06 07:08:09.25", "timestamp without time zone"], "9.250000");
        check("pg_age", &["2024-03-31 00:00:00", "2024-02-29 00:00:00"], "1 months 2 days 0 microseconds");
        check(
            "pg_to_char_time",
            &["2024-01-05 13:04:05", "FMDay, FMDDth FMMonth HH12 AM"],
            "Friday, 5th January 01 PM",
        );
        check("pg_to_date", &["2024-02-30", "YYYY-MM-DD"], "22008");
        check("pg_timestamp_in", &["01/02/2024"], "refused");
    }
}
