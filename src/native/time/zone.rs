//! Named time zones, from the IANA database that the binary carries.

use std::str::FromStr;

use chrono::{Offset, TimeZone, Utc};
use chrono_tz::Tz;

use super::moment::{DAY, Moment, SECOND};
use crate::native::Failure;

/// A zone by the name the server knows it by. Abbreviations are refused: the server reads them by a list of its own.
pub(super) fn named(name: &str) -> Result<Tz, Failure> {
    if ["utc", "gmt", "z", "etc/utc"].contains(&name.to_ascii_lowercase().as_str()) {
        return Ok(Tz::UTC);
    }
    let plain = name.contains('/') && !name.starts_with(['+', '-']);
    if !plain {
        return Err(Failure::refused(format!("the time zone {name}")));
    }
    Tz::from_str(name)
        .ok()
        .or_else(|| chrono_tz::TZ_VARIANTS.iter().copied().find(|zone| zone.name().eq_ignore_ascii_case(name)))
        .ok_or_else(|| Failure::raised("22023", format!("time zone \"{name}\" not recognized")))
}

/// Seconds east of Greenwich at an instant.
pub(super) fn offset_at(zone: Tz, micros: i64) -> Result<i64, Failure> {
    let instant = Utc
        .timestamp_opt(micros.div_euclid(SECOND), 0)
        .single()
        .ok_or_else(|| Failure::refused("a time beyond the calendar of time zones"))?;
    Ok(i64::from(zone.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()))
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
