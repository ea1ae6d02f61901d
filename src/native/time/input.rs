//! Literals of dates and timestamps.
//!
//! Input: a text. Output: the moment. Invariants: notations that mean one thing whatever the session's settings are read as the
//! server reads them; those that its DateStyle decides (`01/02/2024`) are refused.

use super::abbreviations::meaning;
use super::moment::{DAY, HOUR, MINUTE, Moment, SECOND, days_in_month, days_of};
use super::{text, zone};
use crate::native::{Arguments, Failure, Given};

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A literal's parts: days since 1970, microseconds of the day, and what it says of a zone.
pub(super) struct Parts {
    pub days: i64,
    pub micros: i64,
    pub zone: Option<Said>,
}

pub(super) enum Said {
    /// Seconds east.
    Offset(i64),
    Name(String),
}

pub(super) fn refused(text: &str) -> Failure {
    Failure::refused(format!("the date or time notation '{text}'"))
}

pub(super) fn invalid(text: &str, ty: &str) -> Failure {
    Failure::raised("22007", format!("invalid input syntax for type {ty}: \"{text}\""))
}

pub(super) fn range(text: &str) -> Failure {
    Failure::raised("22008", format!("date/time field value out of range: \"{text}\""))
}

/// A literal that is one word, as the server reads it: in lower case, without blanks and the punctuation that it passes over around a
/// word (`now()`); a sign counts.
pub(crate) fn word(text: &str) -> String {
    let passed_over = |c: char| c.is_ascii_whitespace() || (c.is_ascii_punctuation() && c != '+' && c != '-');
    text.trim_matches(passed_over).to_ascii_lowercase()
}

/// `infinity`, `-infinity` and `epoch`; words that need the clock are refused.
fn special(text: &str, ty: &str) -> Result<Option<Moment>, Failure> {
    let word = word(text);
    Ok(match word.as_str() {
        "infinity" | "+infinity" => Some(Moment::After),
        "-infinity" => Some(Moment::Before),
        "epoch" => Some(Moment::At(0)),
        "now" | "today" | "tomorrow" | "yesterday" => return Err(refused(text)),
        word if !word.contains(|c: char| c.is_ascii_digit()) => return Err(invalid(text, ty)),
        _ => None,
    })
}

pub(super) fn date(text: &str) -> Result<Moment, Failure> {
    if let Some(moment) = special(text, "date")? {
        return Ok(moment);
    }
    Ok(Moment::At(parse(text, "date")?.days * DAY))
}

pub(super) fn timestamp(text: &str) -> Result<Moment, Failure> {
    if let Some(moment) = special(text, "timestamp")? {
        return Ok(moment);
    }
    let parts = parse(text, "timestamp")?;
    Ok(Moment::At(parts.days * DAY + parts.micros))
}

/// `pg_timestamptz_in(text, zone)`
pub(super) fn zoned(arguments: &Arguments<'_>) -> Given<String> {
    let (Some(literal), Some(session)) = (text(arguments, 0), text(arguments, 1)) else { return Ok(None) };
    if let Some(moment) = special(literal, "timestamp with time zone")? {
        return Ok(Some(moment.for_engine()));
    }
    let parts = parse(literal, "timestamp with time zone")?;
    let local = Moment::At(parts.days * DAY + parts.micros);
    let instant = match parts.zone {
        Some(Said::Offset(offset)) => Moment::At(parts.days * DAY + parts.micros - offset * SECOND),
        Some(Said::Name(name)) => zone::instant_in(zone::spoken(&name)?, local)?,
        None => zone::to_instant(zone::named(session)?, local)?,
    };
    Ok(Some(instant.for_engine()))
}

pub(super) fn parse(text: &str, ty: &str) -> Result<Parts, Failure> {
    let trimmed = text.trim();
    let lower = trimmed.to_ascii_lowercase();
    let (body, bc) = match lower.strip_suffix("bc") {
        Some(rest) => (rest.trim_end(), true),
        None => (lower.strip_suffix("ad").map_or(lower.as_str(), str::trim_end), false),
    };
    // The date ends where the time of day begins.
    let iso = body.find('t').filter(|at| {
        body[..*at].ends_with(|c: char| c.is_ascii_digit()) && body[at + 1..].starts_with(|c: char| c.is_ascii_digit())
    });
    let clock_at = iso.map(|at| at + 1).or_else(|| {
        let colon = body.find(':')?;
        Some(body[..colon].rfind(' ').map_or(0, |at| at + 1))
    });
    let (date_text, clock_text) = match clock_at {
        Some(0) => return Err(refused(text)),
        Some(at) => (body[..at - 1].trim(), body[at..].trim()),
        None => (body, ""),
    };
    if clock_text.is_empty() && (3..=5).contains(&trimmed.len()) && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(text, ty));
    }
    let (year, month, day) = calendar_date(date_text).ok_or_else(|| refused(text))?;
    let year = if bc { 1 - year } else { year };
    if (!bc && year == 0) || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return Err(range(text));
    }
    let mut parts = Parts { days: days_of(year, month, day), micros: 0, zone: None };
    if !clock_text.is_empty() {
        let (micros, said) = clock(clock_text, text, ty)?;
        (parts.micros, parts.zone) = (micros, said);
    }
    Ok(parts)
}

/// `2024-01-05`, `2024-1-5`, `20240105`, `2024/01/05`, `5 jan 2024`, `jan 5, 2024`
fn calendar_date(text: &str) -> Option<(i64, i64, i64)> {
    let digits = |part: &str| {
        (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i64>().ok()).flatten()
    };
    if text.len() == 8
        && let Some(number) = digits(text)
    {
        return Some((number / 10_000, number / 100 % 100, number % 100));
    }
    let parts: Vec<&str> = text.split([' ', '-', '/', ',']).filter(|part| !part.is_empty()).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let month = |part: &str| {
        let at = MONTHS.iter().position(|name| part.starts_with(name))?;
        let full = [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ];
        (part.len() == 3 || part == full[at] || part == "sept").then_some(at as i64 + 1)
    };
    let long = |part: &str| digits(part).filter(|_| part.len() >= 3);
    let short = |part: &str| digits(part).filter(|_| part.len() <= 2);
    match (long(a), month(b), month(a), long(c)) {
        (Some(year), Some(month), ..) => Some((year, month, short(c)?)),
        (Some(year), None, ..) if !text.contains(' ') => Some((year, short(b)?, short(c)?)),
        (None, Some(month), None, Some(year)) => Some((year, month, short(a)?)),
        (None, None, Some(month), Some(year)) => Some((year, month, short(b)?)),
        _ => None,
    }
}

/// `10:00`, `10:00:00.5`, with AM or PM and a zone.
pub(super) fn clock(text: &str, literal: &str, ty: &str) -> Result<(i64, Option<Said>), Failure> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(text.len());
    let (digits, mut rest) = (&text[..end], text[end..].trim());
    let mut parts = digits.split(':');
    let number = |part: Option<&str>| {
        part.filter(|part| (1..=2).contains(&part.len())).and_then(|part| part.parse::<i64>().ok())
    };
    let (Some(mut hours), Some(minutes)) = (number(parts.next()), number(parts.next())) else {
        return Err(refused(literal));
    };
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
            let whole = number(Some(whole)).ok_or_else(|| refused(literal))?;
            let exact: f64 = format!("0.{fraction}0").parse().map_err(|_| refused(literal))?;
            (whole, (exact * 1e6).round_ties_even() as i64)
        }
    };
    if parts.next().is_some() {
        return Err(invalid(literal, ty));
    }
    for (word, afternoon) in [("am", false), ("pm", true)] {
        if let Some(after) =
            rest.strip_prefix(word).filter(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
        {
            if hours > 12 {
                return Err(range(literal));
            }
            hours = hours % 12 + if afternoon { 12 } else { 0 };
            rest = after.trim();
        }
    }
    let micros = hours * HOUR + minutes * MINUTE + seconds * SECOND + fraction;
    if minutes > 59 || seconds > 60 || hours > 24 || (hours == 24 && micros > DAY) {
        return Err(range(literal));
    }
    Ok((micros, said(rest, literal)?))
}

pub(super) fn said(text: &str, literal: &str) -> Result<Option<Said>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    if ["z", "utc", "gmt", "zulu"].contains(&text) {
        return Ok(Some(Said::Offset(0)));
    }
    if !text.starts_with(['+', '-']) {
        return match text.contains('/') || meaning(text).is_some() {
            true => Ok(Some(Said::Name(text.to_owned()))),
            false => Err(refused(literal)),
        };
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = &text[1..];
    let parts: Vec<&str> = match digits.contains(':') {
        true => digits.split(':').collect(),
        false if digits.len() == 4 && digits.is_ascii() => vec![&digits[..2], &digits[2..]],
        false => vec![digits],
    };
    let mut seconds = 0;
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        let number: i64 = part.parse().ok().filter(|_| part.len() <= 2).ok_or_else(|| refused(literal))?;
        if (unit == 3600 && number > 15) || (unit < 3600 && number > 59) {
            return Err(Failure::raised("22009", format!("time zone displacement out of range: \"{literal}\"")));
        }
        seconds += number * unit;
    }
    Ok(Some(Said::Offset(sign * seconds)))
}
