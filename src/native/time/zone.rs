//! Named time zones, from the IANA database that the binary carries.

use std::str::FromStr;

use chrono::{Offset, TimeZone, Utc};
use chrono_tz::Tz;

use super::abbreviations::{Abbreviation, meaning};
use super::moment::{DAY, Moment, SECOND};
use crate::native::Failure;

/// A zone as a statement names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// One of the IANA database.
    Named(Tz),
    /// Seconds east of Greenwich, at any time.
    Fixed(i64),
}

/// A zone that AT TIME ZONE or a literal names: an abbreviation before a zone.
pub(super) fn spoken(name: &str) -> Result<Zone, Failure> {
    match meaning(name) {
        Some(Abbreviation::Offset(offset)) => return Ok(Zone::Fixed(offset)),
        Some(Abbreviation::OfZone) => return Err(Failure::refused(format!("the time zone {name}"))),
        None => {}
    }
    if let Some(offset) = posix_offset(name) {
        return Ok(Zone::Fixed(offset));
    }
    match by_name(name) {
        Some(zone) => Ok(Zone::Named(zone)),
        // What is left may be a rule of its own, as `CET-1CEST`.
        None if name.contains(|c: char| c.is_ascii_digit() || "<>,+-".contains(c)) => {
            Err(Failure::refused(format!("the time zone {name}")))
        }
        None => Err(Failure::raised("22023", format!("time zone \"{name}\" not recognized"))),
    }
}

/// `UTC+3`, `-04:30`: hours west of Greenwich, as POSIX counts them.
fn posix_offset(name: &str) -> Option<i64> {
    let letters = name.bytes().take_while(u8::is_ascii_alphabetic).count();
    let rest = name[letters..].strip_prefix(['+', '-'])?;
    let sign = if name[letters..].starts_with('-') { 1 } else { -1 };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let number = |text: &str, most: i64| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i64>().ok().filter(|number| plain && *number <= most)
    };
    let seconds = number(hours, 24)? * 3600 + number(minutes, 59)? * 60;
    Some(sign * seconds)
}

fn by_name(name: &str) -> Option<Tz> {
    Tz::from_str(name)
        .ok()
        .or_else(|| chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name)))
}

/// A session's zone. Names without a slash are refused: many are rules of their own.
pub(super) fn named(name: &str) -> Result<Tz, Failure> {
    if ["utc", "gmt", "z", "etc/utc"].contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(Tz::UTC);
    }
    let plain = name.contains('/') && !name.starts_with(['+', '-']);
    if !plain {
        return Err(Failure::refused(format!("the time zone {name}")));
    }
    by_name(name).ok_or_else(|| Failure::raised("22023", format!("time zone \"{name}\" not recognized")))
}

/// Seconds east of Greenwich at an instant.
pub(super) fn offset_at(zone: Tz, micros: i64) -> Result<i64, Failure> {
    let instant = Utc
        .timestamp_opt(micros.div_euclid(SECOND), 0)
        .single()
        .ok_or_else(|| Failure::refused("a time beyond the calendar of time zones"))?;
    Ok(i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()))
}

/// An instant on a clock of a zone that a statement names.
pub(super) fn local_in(zone: Zone, instant: Moment) -> Result<Moment, Failure> {
    match (zone, instant) {
        (Zone::Named(zone), instant) => to_local(zone, instant),
        (Zone::Fixed(offset), Moment::At(micros)) => Ok(Moment::At(micros + offset * SECOND)),
        (Zone::Fixed(_), instant) => Ok(instant),
    }
}

/// The instant at which a clock of such a zone shows a time.
pub(super) fn instant_in(zone: Zone, local: Moment) -> Result<Moment, Failure> {
    match (zone, local) {
        (Zone::Named(zone), local) => to_instant(zone, local),
        (Zone::Fixed(offset), Moment::At(micros)) => Ok(Moment::At(micros - offset * SECOND)),
        (Zone::Fixed(_), local) => Ok(local),
    }
}

/// An instant on a clock of the zone.
pub(super) fn to_local(zone: Tz, instant: Moment) -> Result<Moment, Failure> {
    match instant {
        Moment::At(micros) => Ok(Moment::At(micros + offset_at(zone, micros)? * SECOND)),
        other => Ok(other),
    }
}

/// The instant at which a clock of the zone shows a time: where it never does, by the offset before the gap; where it does so
/// twice, the later one.
pub(super) fn to_instant(zone: Tz, local: Moment) -> Result<Moment, Failure> {
    let Moment::At(micros) = local else { return Ok(local) };
    let (before, after) = (offset_at(zone, micros - DAY)?, offset_at(zone, micros + DAY)?);
    if before == after {
        return Ok(Moment::At(micros - before * SECOND));
    }
    let holds = |offset: i64| Ok(offset_at(zone, micros - offset * SECOND)? == offset);
    let offset = match (holds(before)?, holds(after)?) {
        (true, false) => before,
        (_, true) => after,
        (false, false) => before,
    };
    Ok(Moment::At(micros - offset * SECOND))
}

/// `+00`, `+05:30`, `-07:52:58`
pub(super) fn shown(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let mut text = format!("{sign}{:02}", offset / 3600);
    if offset % 3600 != 0 {
        text.push_str(&format!(":{:02}", offset / 60 % 60));
    }
    if offset % 60 != 0 {
        text.push_str(&format!(":{:02}", offset % 60));
    }
    text
}
