//! Parts of times: EXTRACT, date_part(), date_trunc().

use super::interval::unit_of_both;
use super::moment::{DAY, Fields, HOUR, Interval, MINUTE, Moment, SECOND, days_of};
use super::zone;
use crate::native::{Arguments, Failure, Given};

/// The server's name of a unit.
pub(super) fn unit(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "microsecs" => "microseconds",
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "millisecs" => "milliseconds",
        "quarter" | "qtr" => "quarter",
        "epoch" => "epoch",
        "dow" => "dow",
        "isodow" => "isodow",
        "doy" => "doy",
        "isoyear" => "isoyear",
        "julian" => "julian",
        "timezone" => "timezone",
        "timezone_hour" | "timezone_h" => "timezone_hour",
        "timezone_minute" | "timezone_m" => "timezone_minute",
        name => return unit_of_both(name),
    })
}

pub(super) fn unknown(name: &str, ty: &str) -> Failure {
    Failure::raised("22023", format!("unit \"{name}\" not recognized for type {ty}"))
}

pub(super) fn unsupported(name: &str, ty: &str) -> Failure {
    Failure::raised("0A000", format!("unit \"{name}\" not supported for type {ty}"))
}

/// A number of millionths as a decimal.
pub(super) fn decimal(value: i128, scale: u32) -> String {
    let unit = 10_i128.pow(scale);
    let sign = if value < 0 { "-" } else { "" };
    match scale {
        0 => value.to_string(),
        _ => format!("{sign}{}.{:0width$}", value.abs() / unit, value.abs() % unit, width = scale as usize),
    }
}

/// Week and year of ISO 8601.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let weekday = (days + 3).rem_euclid(7);
    let thursday = days - weekday + 3;
    let year = Fields::of(thursday * DAY).year;
    ((thursday - days_of(year, 1, 1)) / 7 + 1, year)
}

/// `pg_extract(unit, moment, type)`
pub(super) fn of_moment(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(moment), Some(ty)] = arguments else { return Ok(None) };
    extract(name, Moment::read(moment)?, ty, None)
}

/// `pg_extract_zoned(unit, instant, zone)`
pub(super) fn of_instant(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(instant), Some(zone)] = arguments else { return Ok(None) };
    let instant = Moment::read(instant)?;
    let zone = zone::named(zone)?;
    let offset = match instant {
        Moment::At(micros) => zone::offset_at(zone, micros)?,
        _ => 0,
    };
    extract(name, zone::to_local(zone, instant)?, "timestamp with time zone", Some(offset))
}

fn extract(name: &str, moment: Moment, ty: &str, offset: Option<i64>) -> Given<String> {
    let Some(unit) = unit(name) else { return Err(unknown(name, ty)) };
    let clock = ["microseconds", "milliseconds", "second", "minute", "hour"].contains(&unit);
    // Of an infinite timestamp, the server asks no more than this.
    let judged = ty == "date" || matches!(moment, Moment::At(_));
    if (ty == "date" && clock) || (offset.is_none() && judged && unit.starts_with("timezone")) {
        return Err(unsupported(name, ty));
    }
    let micros = match moment {
        Moment::At(micros) => micros,
        other => {
            let grows = ["year", "decade", "century", "millennium", "epoch", "isoyear", "julian"].contains(&unit);
            let sign = if other == Moment::Before { "-" } else { "" };
            return Ok(grows.then(|| format!("{sign}Infinity")));
        }
    };
    let fields = Fields::of(micros);
    let whole = |value: i64| Ok(Some(value.to_string()));
    let year = fields.year;
    let days = fields.days();
    match unit {
        "microseconds" => whole(fields.micros % MINUTE),
        "milliseconds" => Ok(Some(decimal(i128::from(fields.micros % MINUTE), 3))),
        "second" => Ok(Some(decimal(i128::from(fields.micros % MINUTE), 6))),
        "minute" => whole(fields.micros / MINUTE % 60),
        "hour" => whole(fields.micros / HOUR),
        "day" => whole(fields.day),
        "week" => whole(iso_week(days).0),
        "month" => whole(fields.month),
        "quarter" => whole((fields.month - 1) / 3 + 1),
        "year" => whole(if year > 0 { year } else { year - 1 }),
        "isoyear" => {
            let year = iso_week(days).1;
            whole(if year > 0 { year } else { year - 1 })
        }
        "decade" => whole(year.div_euclid(10)),
        "century" => whole(if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }),
        "millennium" => whole(if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) }),
        "dow" => whole((days + 4).rem_euclid(7)),
        "isodow" => whole((days + 3).rem_euclid(7) + 1),
        "doy" => whole(days - days_of(year, 1, 1) + 1),
        "epoch" if ty == "date" => whole(days * 86_400),
        "epoch" => {
            let offset = offset.unwrap_or_default() * SECOND;
            Ok(Some(decimal(i128::from(micros - offset), 6)))
        }
        "julian" if ty == "date" => whole(days + 2_440_588),
        "timezone" => whole(offset.unwrap_or_default()),
        "timezone_hour" => whole(offset.unwrap_or_default() / 3600),
        "timezone_minute" => whole(offset.unwrap_or_default() / 60 % 60),
        _ => Err(Failure::refused(format!("extract({name}) of a {ty}"))),
    }
}

/// `pg_extract_interval(unit, interval)`
pub(super) fn of_interval(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(value)] = arguments else { return Ok(None) };
    let value = Interval::read(value)?;
    let Some(unit) = unit(name) else { return Err(unknown(name, "interval")) };
    let whole = |value: i64| Ok(Some(value.to_string()));
    match unit {
        "microseconds" => whole(value.micros % MINUTE),
        "milliseconds" => Ok(Some(decimal(i128::from(value.micros % MINUTE), 3))),
        "second" => Ok(Some(decimal(i128::from(value.micros % MINUTE), 6))),
        "minute" => whole(value.micros / MINUTE % 60),
        "hour" => whole(value.micros / HOUR),
        "day" => whole(value.days),
        "month" => whole(value.months % 12),
        "quarter" => whole(value.months % 12 / 3 + 1),
        "year" => whole(value.months / 12),
        "decade" => whole(value.months / 120),
        "century" => whole(value.months / 1200),
        "millennium" => whole(value.months / 12_000),
        "epoch" => {
            // A year has 365.25 days, a month that is left over 30.
            let days = i128::from(value.months / 12) * 1461 * i128::from(DAY) / 4
                + (i128::from(value.months % 12) * 30 + i128::from(value.days)) * i128::from(DAY);
            Ok(Some(decimal(days + i128::from(value.micros), 6)))
        }
        _ => Err(unsupported(name, "interval")),
    }
}

fn cut(name: &str, micros: i64, ty: &str) -> Result<i64, Failure> {
    let Some(unit) = unit(name) else { return Err(unknown(name, ty)) };
    let fields = Fields::of(micros);
    let first_day = |year: i64, month: i64| days_of(year, month, 1) * DAY;
    let year = fields.year;
    Ok(match unit {
        "microseconds" => micros,
        "milliseconds" => micros - micros.rem_euclid(1000),
        "second" => micros - micros.rem_euclid(SECOND),
        "minute" => micros - micros.rem_euclid(MINUTE),
        "hour" => micros - micros.rem_euclid(HOUR),
        "day" => fields.days() * DAY,
        "week" => (fields.days() - (fields.days() + 3).rem_euclid(7)) * DAY,
        "month" => first_day(year, fields.month),
        "quarter" => first_day(year, (fields.month - 1) / 3 * 3 + 1),
        "year" => first_day(year, 1),
        "decade" => first_day(year.div_euclid(10) * 10, 1),
        "century" if year > 0 => first_day((year + 99) / 100 * 100 - 99, 1),
        "millennium" if year > 0 => first_day((year + 999) / 1000 * 1000 - 999, 1),
        "century" | "millennium" => return Err(Failure::refused(format!("date_trunc({name}) before our era"))),
        "timezone" | "timezone_hour" | "timezone_minute" => return Err(unsupported(name, ty)),
        _ => return Err(unknown(name, ty)),
    })
}

/// `pg_trunc(unit, moment)`
pub(super) fn truncated(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(moment)] = arguments else { return Ok(None) };
    Ok(Some(match Moment::read(moment)? {
        Moment::At(micros) => Moment::At(cut(name, micros, "timestamp without time zone")?).for_engine(),
        other => other.for_engine(),
    }))
}

/// `pg_trunc_zoned(unit, instant, zone)`
pub(super) fn truncated_in_zone(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(instant), Some(zone)] = arguments else { return Ok(None) };
    let instant = Moment::read(instant)?;
    let zone = zone::named(zone)?;
    let Moment::At(micros) = zone::to_local(zone, instant)? else { return Ok(Some(instant.for_engine())) };
    let cut = cut(name, micros, "timestamp with time zone")?;
    // Within a day, the offset stays what it was.
    let below_day =
        ["microseconds", "milliseconds", "second", "minute", "hour"].contains(&unit(name).unwrap_or_default());
    let back = match (below_day, instant) {
        (true, Moment::At(utc)) => Moment::At(cut - (micros - utc)),
        _ => zone::to_instant(zone, Moment::At(cut))?,
    };
    Ok(Some(back.for_engine()))
}

/// `pg_trunc_interval(unit, interval)`
pub(super) fn truncated_interval(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(name), Some(value)] = arguments else { return Ok(None) };
    let value = Interval::read(value)?;
    let Some(unit) = unit(name) else { return Err(unknown(name, "interval")) };
    let months = |unit: i64| Interval { months: value.months / unit * unit, ..Interval::default() };
    let micros = |unit: i64| Interval { micros: value.micros / unit * unit, ..value };
    match unit {
        "microseconds" => value,
        "milliseconds" => micros(1000),
        "second" => micros(SECOND),
        "minute" => micros(MINUTE),
        "hour" => micros(HOUR),
        "day" => Interval { micros: 0, ..value },
        "month" => months(1),
        "quarter" => months(3),
        "year" => months(12),
        "decade" => months(120),
        "century" => months(1200),
        "millennium" => months(12_000),
        _ => return Err(unsupported(name, "interval")),
    }
    .for_engine()
    .map(Some)
}
