//! Intervals: how they are written, and how their parts are folded into each other.

use super::moment::{DAY, HOUR, Interval, MINUTE, SECOND, clock};
use crate::native::Failure;

/// Reads an interval's literal: numbers with units, a time of day, ISO 8601.
pub(super) fn read(text: &str) -> Result<Interval, Failure> {
    let refused = || Failure::refused(format!("the interval notation '{text}'"));
    let trimmed = text.trim().to_ascii_lowercase();
    if let Some(iso) = trimmed.strip_prefix('p') {
        return iso_8601(iso).ok_or_else(refused);
    }
    let invalid = || Failure::raised("22007", format!("invalid input syntax for type interval: \"{text}\""));
    let mut words = split(&trimmed);
    if words.is_empty() {
        return Err(invalid());
    }
    let ago = words.last().is_some_and(|word| word == "ago");
    if ago {
        words.pop();
    }
    if words.first().is_some_and(|word| word == "@") {
        words.remove(0);
    }
    if let ([word], false) = (words.as_slice(), ago)
        && let Some(months) = years_and_months(word)
    {
        return Ok(Interval { months: months.ok_or_else(refused)?, ..Interval::default() });
    }
    let mut found = Interval::default();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        if word.contains(':') {
            let (sign, digits) = match word.strip_prefix(['+', '-']) {
                Some(digits) => (if word.starts_with('-') { -1 } else { 1 }, digits),
                None => (1, word.as_str()),
            };
            // Of two parts alone, the server takes them for hours and minutes.
            found.micros += sign * clock(digits).ok_or_else(invalid)?;
            continue;
        }
        let is_number =
            |word: &str| word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
        if !is_number(word) {
            return Err(if unit(word).is_some() { refused() } else { invalid() });
        }
        let Some((whole, fraction)) = number(word) else { return Err(refused()) };
        let name = match rest.peek() {
            Some(next) if !is_number(next) && !next.contains(':') => rest.next().map_or("", |name| name.as_str()),
            // A bare number before a time of day is one of days; alone, of seconds.
            Some(next) if next.contains(':') => "day",
            None => "second",
            Some(_) => return Err(refused()),
        };
        add(&mut found, whole, fraction, unit(name).ok_or_else(invalid)?).ok_or_else(refused)?;
    }
    Ok(if ago { found.negated() } else { found })
}

/// Words, with a unit that touches its number apart (`3days`), and a sign with the number behind it (`- 3 days`).
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut sign = String::new();
    for word in text.split_whitespace() {
        if sign.is_empty() && ["+", "-"].contains(&word) {
            word.clone_into(&mut sign);
            continue;
        }
        let word = format!("{}{word}", std::mem::take(&mut sign));
        let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        if end > 0 && end < word.len() && !word.contains(':') {
            words.push(word[..end].to_owned());
            words.push(word[end..].to_owned());
        } else {
            words.push(word);
        }
    }
    words.extend(Some(sign).filter(|sign| !sign.is_empty()));
    words
}

/// `1-2`, `-1-2`: years and months under one sign; nothing inside where that isn't a number of months.
fn years_and_months(word: &str) -> Option<Option<i64>> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (years, months) = digits.split_once('-')?;
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten();
    let sum = number(months).filter(|months| *months < 12).zip(number(years).and_then(|years| years.checked_mul(12)));
    Some(sum.map(|(months, years)| if negative { -years - months } else { years + months }))
}

/// The whole part, and the fraction in millionths; none for more digits than those.
fn number(word: &str) -> Option<(i64, i64)> {
    let negative = word.starts_with('-');
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 6 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(if negative { (-whole, -fraction) } else { (whole, fraction) })
}

/// The units of a calendar and a clock, under all their names: an interval is written in them, and a time has parts of them.
pub(super) fn unit_of_both(name: &str) -> Option<&'static str> {
    Some(match name {
        "second" | "seconds" | "s" | "sec" | "secs" => "second",
        "minute" | "minutes" | "m" | "min" | "mins" => "minute",
        "hour" | "hours" | "h" | "hr" | "hrs" => "hour",
        "day" | "days" | "d" => "day",
        "week" | "weeks" | "w" => "week",
        "month" | "months" | "mon" | "mons" => "month",
        "year" | "years" | "y" | "yr" | "yrs" => "year",
        "decade" | "decades" | "dec" | "decs" => "decade",
        "century" | "centuries" | "c" | "cent" => "century",
        "millennium" | "millennia" | "mil" | "mils" => "millennium",
        _ => return None,
    })
}

fn unit(name: &str) -> Option<&'static str> {
    match name {
        "microsecond" | "microseconds" | "us" | "usec" | "usecs" => Some("microsecond"),
        "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => Some("millisecond"),
        name => unit_of_both(name),
    }
}

/// Adds so many units; a fraction goes into the next smaller ones. None where the server's own rounding would decide.
fn add(found: &mut Interval, whole: i64, fraction: i64, unit: &str) -> Option<()> {
    // Millionths of a unit of so many microseconds.
    let part = |unit: i64| {
        let exact = i128::from(fraction) * i128::from(unit);
        (exact % 1_000_000 == 0).then_some((exact / 1_000_000) as i64)
    };
    let months = |found: &mut Interval, unit: i64| {
        found.months += whole.checked_mul(unit)? + part(unit)?;
        Some(())
    };
    match unit {
        "microsecond" => found.micros += whole + part(1)?,
        "millisecond" => found.micros += whole.checked_mul(1000)? + part(1000)?,
        "second" => found.micros += whole.checked_mul(SECOND)? + part(SECOND)?,
        "minute" => found.micros += whole.checked_mul(MINUTE)? + part(MINUTE)?,
        "hour" => found.micros += whole.checked_mul(HOUR)? + part(HOUR)?,
        "day" => {
            found.days += whole;
            found.micros += part(DAY)?;
        }
        "week" => {
            found.days += whole.checked_mul(7)? + fraction * 7 / 1_000_000;
            let rest = fraction * 7 % 1_000_000;
            let micros = i128::from(rest) * i128::from(DAY);
            found.micros += (micros % 1_000_000 == 0).then_some((micros / 1_000_000) as i64)?;
        }
        "month" => {
            found.months += whole;
            found.days += fraction * 30 / 1_000_000;
            let micros = i128::from(fraction * 30 % 1_000_000) * i128::from(DAY);
            found.micros += (micros % 1_000_000 == 0).then_some((micros / 1_000_000) as i64)?;
        }
        "year" => months(found, 12)?,
        "decade" => months(found, 120)?,
        "century" => months(found, 1200)?,
        _ => months(found, 12_000)?,
    }
    Some(())
}

/// `1y2m3dt4h5m6s`, behind the P.
fn iso_8601(text: &str) -> Option<Interval> {
    let mut found = Interval::default();
    let (mut in_time, mut digits, mut any) = (false, String::new(), false);
    for c in text.chars() {
        match c {
            't' if digits.is_empty() && !in_time => in_time = true,
            '0'..='9' | '.' | '-' | '+' => digits.push(c),
            c => {
                let unit = match (c, in_time) {
                    ('y', false) => "year",
                    ('m', false) => "month",
                    ('w', false) => "week",
                    ('d', false) => "day",
                    ('h', true) => "hour",
                    ('m', true) => "minute",
                    ('s', true) => "second",
                    _ => return None,
                };
                let (whole, fraction) = number(&std::mem::take(&mut digits))?;
                add(&mut found, whole, fraction, unit)?;
                any = true;
            }
        }
    }
    (any && digits.is_empty()).then_some(found)
}

/// `justify_hours`: 24 hours become a day.
pub(super) fn justify_hours(value: Interval) -> Interval {
    let mut found = Interval { days: value.days + value.micros / DAY, micros: value.micros % DAY, ..value };
    if found.days > 0 && found.micros < 0 {
        found = Interval { days: found.days - 1, micros: found.micros + DAY, ..found };
    } else if found.days < 0 && found.micros > 0 {
        found = Interval { days: found.days + 1, micros: found.micros - DAY, ..found };
    }
    found
}

/// `justify_days`: 30 days become a month.
pub(super) fn justify_days(value: Interval) -> Interval {
    let mut found = Interval { months: value.months + value.days / 30, days: value.days % 30, ..value };
    if found.months > 0 && found.days < 0 {
        found = Interval { months: found.months - 1, days: found.days + 30, ..found };
    } else if found.months < 0 && found.days > 0 {
        found = Interval { months: found.months + 1, days: found.days - 30, ..found };
    }
    found
}

/// `justify_interval`: both, and all signs alike.
pub(super) fn justify(value: Interval) -> Interval {
    let mut found = Interval { days: value.days + value.micros / DAY, micros: value.micros % DAY, ..value };
    found = Interval { months: found.months + found.days / 30, days: found.days % 30, ..found };
    let lower = |v: &Interval| v.days < 0 || (v.days == 0 && v.micros < 0);
    let higher = |v: &Interval| v.days > 0 || (v.days == 0 && v.micros > 0);
    if found.months > 0 && lower(&found) {
        found = Interval { months: found.months - 1, days: found.days + 30, ..found };
    } else if found.months < 0 && higher(&found) {
        found = Interval { months: found.months + 1, days: found.days - 30, ..found };
    }
    if found.days > 0 && found.micros < 0 {
        found = Interval { days: found.days - 1, micros: found.micros + DAY, ..found };
    } else if found.days < 0 && found.micros > 0 {
        found = Interval { days: found.days + 1, micros: found.micros - DAY, ..found };
    }
    found
}
