//! Literals of `time` and `time with time zone`.
//!
//! Input: a text. Output: the time of day, and the zone that it names. Invariant: a date in front of the time is read and left out again,
//! save that it says which offset a named zone has. Left out: words that need the clock.

use super::abbreviations::{Abbreviation, meaning};
use super::input::{Said, clock, invalid, parse, range, refused, word};
use super::moment::{DAY, HOUR, MINUTE, Moment, SECOND};
use super::zone::{self, Zone};
use crate::native::Failure;

/// A time of day, and seconds east of Greenwich where the text says so.
pub(super) struct Read {
    pub micros: i64,
    pub offset: Option<i64>,
}

/// Reads a literal of one of the two types.
pub(super) fn read(text: &str, ty: &str) -> Result<Read, Failure> {
    let lower = text.trim().to_ascii_lowercase();
    let word = word(text);
    if word == "allballs" {
        return Ok(Read { micros: 0, offset: Some(0) });
    }
    if word == "now" {
        return Err(refused(text));
    }
    if !lower.contains(|c: char| c.is_ascii_digit()) {
        return Err(invalid(text, ty));
    }
    if let Some(read) = run_together(&lower, text)? {
        return Ok(read);
    }
    let bare = lower.strip_prefix('t').unwrap_or(&lower);
    let Some(colon) = bare.find(':') else {
        // Digits without any mark between them mean a time only by their number.
        return Err(if bare.bytes().all(|b| b.is_ascii_digit()) { invalid(text, ty) } else { refused(text) });
    };
    let dated = bare[..colon].contains([' ', '-', '/', 't']);
    if dated {
        let parts = parse(text, ty)?;
        let day = parts.days * DAY + parts.micros;
        return Ok(Read { micros: parts.micros, offset: offset_of(parts.zone, Some(day), text)? });
    }
    let (micros, said) = clock(bare, text, ty).map_err(|failure| match failure {
        Failure::Refused(_) if is_nonsense(bare) => invalid(text, ty),
        failure => failure,
    })?;
    if micros > DAY {
        return Err(range(text));
    }
    let named = matches!(&said, Some(Said::Name(name)) if meaning(name).is_none());
    if named {
        return Err(invalid(text, ty));
    }
    Ok(Read { micros, offset: offset_of(said, None, text)? })
}

/// A word behind the time that nothing is known by.
fn is_nonsense(text: &str) -> bool {
    let word = text.trim_start_matches(|c: char| c.is_ascii_digit() || ":. ".contains(c));
    let spoken = ["am", "pm", "ad", "bc", "dst", "on", "at"];
    !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_alphabetic())
        && !spoken.contains(&word)
        && meaning(word).is_none()
}

/// `0405`, `040506`, `040506.5-08`
fn run_together(lower: &str, text: &str) -> Result<Option<Read>, Failure> {
    let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
    if digits != 4 && digits != 6 {
        return Ok(None);
    }
    let (clocked, mut rest) = lower.split_at(digits);
    let pair = |at: usize| clocked.get(at..at + 2).and_then(|two| two.parse::<i64>().ok()).unwrap_or_default();
    let mut micros = pair(0) * HOUR + pair(2) * MINUTE + pair(4) * SECOND;
    if digits == 6 && rest.starts_with('.') {
        let end = 1 + rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        let fraction: f64 = format!("0{}", &rest[..end]).parse().map_err(|_| refused(text))?;
        micros += (fraction * 1e6).round_ties_even() as i64;
        rest = &rest[end..];
    }
    let zoned = rest.starts_with(['+', '-']) && !rest[1..].contains('-');
    if !rest.is_empty() && !zoned {
        return Ok(None);
    }
    if pair(2) > 59 || pair(4) > 60 || micros > DAY {
        return Err(range(text));
    }
    Ok(Some(Read { micros, offset: offset_of(super::input::said(rest, text)?, None, text)? }))
}

fn offset_of(said: Option<Said>, local: Option<i64>, text: &str) -> Result<Option<i64>, Failure> {
    Ok(match said {
        None => None,
        Some(Said::Offset(offset)) => Some(offset),
        Some(Said::Name(name)) => match (zone::spoken(&name)?, local) {
            (Zone::Fixed(offset), _) => Some(offset),
            (Zone::Named(zone), Some(local)) => {
                let Moment::At(instant) = zone::to_instant(zone, Moment::At(local))? else { return Err(refused(text)) };
                Some((local - instant) / SECOND)
            }
            (Zone::Named(_), None) => match meaning(&name) {
                Some(Abbreviation::Offset(offset)) => Some(offset),
                _ => return Err(refused(text)),
            },
        },
    })
}
