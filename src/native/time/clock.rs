//! Times of day, with a zone and without: text forms, parts, arithmetic.
//!
//! Input: a `time` as the engine writes it, a `time with time zone` as the server does. Output: the same. Invariants: a time of day is
//! between 0 and 24 hours, both counted; what leaves the day comes in again at its other end. Left out: literals.

use super::clock_input;
use super::moment::{self, DAY, HOUR, Interval, MINUTE, Moment, SECOND, clock_text};
use super::parts::{self, decimal};
use super::zone::{self, Zone};
use crate::native::{Arguments, Failure, Given};

fn unreadable(text: &str) -> Failure {
    Failure::refused(format!("the time {text}"))
}

/// A `time` as the engine writes it.
pub(super) fn micros_of(text: &str) -> Result<i64, Failure> {
    moment::clock(text).ok_or_else(|| unreadable(text))
}

/// A time of day on a clock so many seconds east of Greenwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Zoned {
    pub micros: i64,
    pub offset: i64,
}

impl Zoned {
    pub fn read(text: &str) -> Result<Zoned, Failure> {
        let at = text.find(['+', '-']).ok_or_else(|| unreadable(text))?;
        let sign = if text[at..].starts_with('-') { -1 } else { 1 };
        let mut offset = 0;
        for (part, unit) in text[at + 1..].split(':').zip([3600, 60, 1]) {
            offset += part.parse::<i64>().map_err(|_| unreadable(text))? * unit;
        }
        Ok(Zoned { micros: micros_of(&text[..at])?, offset: sign * offset })
    }

    pub fn shown(self) -> String {
        format!("{}{}", clock_text(self.micros), zone::shown(self.offset))
    }
}

/// `pg_time_text(time)`
pub(super) fn text(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(micros_of(time)?)))
}

/// `pg_time_in(text)`
pub(super) fn read(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(clock_input::read(text, "time")?.micros)))
}

/// Values of type `time with time zone`.
pub(in crate::native) mod zoned {
    use super::*;

    /// A literal: without a zone of its own, on the session's clock.
    pub(in crate::native) fn read(text: &str, session: &str) -> Result<String, Failure> {
        let found = clock_input::read(text, "time with time zone")?;
        let offset = match found.offset {
            Some(offset) => offset,
            None => own_offset(session)?,
        };
        Ok(Zoned { micros: found.micros, offset }.shown())
    }

    /// The instant, then the zone, the westernmost last.
    pub(in crate::native) fn key(text: &str) -> Result<String, Failure> {
        let time = Zoned::read(text)?;
        Ok(format!("{:013}{:06}", time.micros - time.offset * SECOND + DAY, 100_000 - time.offset))
    }
}

/// The session's offset, where it is the same on any day.
fn own_offset(session: &str) -> Result<i64, Failure> {
    match zone::named(session)? {
        chrono_tz::Tz::UTC => Ok(0),
        _ => Err(Failure::refused("a time of day with the offset that the session's time zone has today")),
    }
}

/// `pg_time_round(time, digits)`
pub(super) fn round(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(digits)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(rounded(micros_of(time)?, digits)?)))
}

/// `pg_timetz_round(time, digits)`
pub(super) fn round_zoned(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(digits)] = arguments else { return Ok(None) };
    let time = Zoned::read(time)?;
    Ok(Some(Zoned { micros: rounded(time.micros, digits)?, ..time }.shown()))
}

fn rounded(micros: i64, digits: &str) -> Result<i64, Failure> {
    let digits: u32 = digits.parse().map_err(|_| unreadable(digits))?;
    let unit = 10_i64.pow(6 - digits.min(6));
    Ok((micros + unit / 2) / unit * unit)
}

/// `pg_time_shift(time, interval)`: months and days move no clock.
pub(super) fn shift(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(by)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(shifted(micros_of(time)?, by)?)))
}

/// `pg_timetz_shift(time, interval)`
pub(super) fn shift_zoned(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(by)] = arguments else { return Ok(None) };
    let time = Zoned::read(time)?;
    Ok(Some(Zoned { micros: shifted(time.micros, by)?, ..time }.shown()))
}

fn shifted(micros: i64, by: &str) -> Result<i64, Failure> {
    let by = Interval::read(by)?.micros;
    Ok(micros.checked_add(by).ok_or_else(|| Failure::raised("22008", "interval out of range"))?.rem_euclid(DAY))
}

/// `pg_time_between(later, earlier)`
pub(super) fn between(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(later), Some(earlier)] = arguments else { return Ok(None) };
    Interval { micros: micros_of(later)? - micros_of(earlier)?, ..Interval::default() }.for_engine().map(Some)
}

/// `pg_time_span(time)`: the time since midnight.
pub(super) fn span(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time)] = arguments else { return Ok(None) };
    Interval { micros: micros_of(time)?, ..Interval::default() }.for_engine().map(Some)
}

/// `pg_time_of_span(interval)`
pub(super) fn of_span(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(Interval::read(value)?.micros.rem_euclid(DAY))))
}

/// `pg_time_of_moment(moment)`: NULL for an infinite one.
pub(super) fn of_moment(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(moment)] = arguments else { return Ok(None) };
    Ok(match Moment::read(moment)? {
        Moment::At(micros) => Some(clock_text(micros.rem_euclid(DAY))),
        _ => None,
    })
}

/// `pg_time_on(date, time)`
pub(super) fn on_day(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(day), Some(time)] = arguments else { return Ok(None) };
    Ok(Some(match Moment::read(day)? {
        Moment::At(day) => Moment::At(day + micros_of(time)?).for_engine(),
        endless => endless.for_engine(),
    }))
}

/// `pg_timetz_on(date, time)`
pub(super) fn zoned_on_day(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(day), Some(time)] = arguments else { return Ok(None) };
    let time = Zoned::read(time)?;
    Ok(Some(match Moment::read(day)? {
        Moment::At(day) => Moment::At(day + time.micros - time.offset * SECOND).for_engine(),
        endless => endless.for_engine(),
    }))
}

/// `pg_timetz_bare(time)`: without its zone.
pub(super) fn bare(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time)] = arguments else { return Ok(None) };
    Ok(Some(clock_text(Zoned::read(time)?.micros)))
}

/// `pg_timetz_of_time(time, zone)`
pub(super) fn with_zone(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(session)] = arguments else { return Ok(None) };
    Ok(Some(Zoned { micros: micros_of(time)?, offset: own_offset(session)? }.shown()))
}

/// `pg_timetz_of_moment(instant, zone)`
pub(super) fn zoned_of_moment(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(instant), Some(session)] = arguments else { return Ok(None) };
    let Moment::At(micros) = Moment::read(instant)? else { return Ok(None) };
    let offset = zone::offset_at(zone::named(session)?, micros)?;
    Ok(Some(Zoned { micros: (micros + offset * SECOND).rem_euclid(DAY), offset }.shown()))
}

/// `pg_timetz_at(time, zone)`: only a zone with one offset; others depend on the day.
pub(super) fn at_zone(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(name)] = arguments else { return Ok(None) };
    let offset = match zone::spoken(name)? {
        Zone::Fixed(offset) => offset,
        Zone::Named(chrono_tz::Tz::UTC) => 0,
        Zone::Named(_) => return Err(Failure::refused(format!("today's offset of the time zone {name}"))),
    };
    Ok(Some(moved(Zoned::read(time)?, offset).shown()))
}

/// `pg_timetz_at_span(time, interval)`
pub(super) fn at_span(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(time), Some(span)] = arguments else { return Ok(None) };
    Ok(Some(moved(Zoned::read(time)?, offset_of_span(span)?).shown()))
}

/// `pg_local_at_span(instant, interval)`
pub(super) fn local_at_span(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(instant), Some(span)] = arguments else { return Ok(None) };
    let zone = Zone::Fixed(offset_of_span(span)?);
    Ok(Some(zone::local_in(zone, Moment::read(instant)?)?.for_engine()))
}

/// `pg_instant_at_span(moment, interval)`
pub(super) fn instant_at_span(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(moment), Some(span)] = arguments else { return Ok(None) };
    let zone = Zone::Fixed(offset_of_span(span)?);
    Ok(Some(zone::instant_in(zone, Moment::read(moment)?)?.for_engine()))
}

fn offset_of_span(span: &str) -> Result<i64, Failure> {
    let span = Interval::read(span)?;
    if span.months != 0 || span.days != 0 {
        let message = format!("interval time zone \"{}\" must not include months or days", span.shown());
        return Err(Failure::raised("22023", message));
    }
    Ok(span.micros / SECOND)
}

fn moved(time: Zoned, offset: i64) -> Zoned {
    Zoned { micros: (time.micros + (offset - time.offset) * SECOND).rem_euclid(DAY), offset }
}

/// `pg_extract_time(unit, time)`
pub(super) fn extract(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(time)] = arguments else { return Ok(None) };
    part(name, micros_of(time)?, None)
}

/// `pg_extract_timetz(unit, time)`
pub(super) fn extract_zoned(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(time)] = arguments else { return Ok(None) };
    let time = Zoned::read(time)?;
    part(name, time.micros, Some(time.offset))
}

fn part(name: &str, micros: i64, offset: Option<i64>) -> Given<String> {
    let ty = if offset.is_some() { "time with time zone" } else { "time without time zone" };
    let Some(unit) = parts::unit(name) else { return Err(parts::unknown(name, ty)) };
    let whole = |value: i64| Ok(Some(value.to_string()));
    match (unit, offset) {
        ("microseconds", _) => whole(micros % MINUTE),
        ("milliseconds", _) => Ok(Some(decimal(i128::from(micros % MINUTE), 3))),
        ("second", _) => Ok(Some(decimal(i128::from(micros % MINUTE), 6))),
        ("minute", _) => whole(micros / MINUTE % 60),
        ("hour", _) => whole(micros / HOUR),
        ("epoch", offset) => Ok(Some(decimal(i128::from(micros - offset.unwrap_or_default() * SECOND), 6))),
        ("timezone", Some(offset)) => whole(offset),
        ("timezone_hour", Some(offset)) => whole(offset / 3600),
        ("timezone_minute", Some(offset)) => whole(offset / 60 % 60),
        _ => Err(parts::unsupported(name, ty)),
    }
}

/// `pg_make_time(hour, minute, seconds)`
pub(super) fn make(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(hour), Some(minute), Some(seconds)] = arguments else { return Ok(None) };
    let number = |text: &str| text.parse::<f64>().map_err(|_| unreadable(text));
    let (hour, minute, seconds) = (number(hour)?, number(minute)?, number(seconds)?);
    Ok(Some(clock_text(made(hour, minute, seconds)?)))
}

/// A time of day of its parts.
pub(super) fn made(hour: f64, minute: f64, seconds: f64) -> Result<i64, Failure> {
    let micros = (seconds * 1e6).round_ties_even();
    let known = (0.0..=24.0).contains(&hour) && (0.0..60.0).contains(&minute) && (0.0..=6e7).contains(&micros);
    let time = hour as i64 * HOUR + minute as i64 * MINUTE + micros as i64;
    if !known || time > DAY {
        let seconds = match seconds.fract() == 0.0 {
            true => format!("{:02}", seconds as i64),
            false => seconds.to_string(),
        };
        let message = format!("time field value out of range: {}:{:02}:{seconds}", hour as i64, minute as i64);
        return Err(Failure::raised("22008", message));
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn times_of_day_are_read() {
        check("pg_time_in", &["3:04 PM"], "15:04:00");
        check("pg_time_in", &["040506"], "04:05:06");
        check("pg_time_in", &["23:59:60"], "24:00:00");
        check("pg_time_in", &["2024-01-05 10:00 Europe/Berlin"], "10:00:00");
        check("pg_time_in", &["10:00 xyz"], "22007");
        check("pg_time_in", &["25:00"], "22008");
        let zoned = |text: &str, session: &str, expected: Option<&str>| {
            assert_eq!(super::zoned::read(text, session).ok().as_deref(), expected, "{text}");
        };
        zoned("10:00 EST", "UTC", Some("10:00:00-05"));
        zoned("10:00", "Europe/Berlin", None);
        zoned("2024-07-05 10:00 Europe/Berlin", "UTC", Some("10:00:00+02"));
    }

    #[test]
    fn times_of_day_are_reckoned_with() {
        check("pg_time_shift", &["23:00:00", "0 months 0 days 7200000000 microseconds"], "01:00:00");
        check("pg_timetz_at", &["10:00:00+02", "EST"], "03:00:00-05");
        check("pg_extract_timetz", &["timezone_minute", "10:00:00-02:30"], "-30");
        check("pg_extract_time", &["day", "10:00:00"], "0A000");
        check("pg_make_time", &["8", "15", "61"], "22008");
    }
}
