//! `to_char` of times.

use super::moment::{DAY, Fields, HOUR, Interval, MINUTE, Moment, SECOND, days_of};
use super::parts::iso_week;
use super::zone;
use crate::native::{Arguments, Failure, Given};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Keywords that are numbers, whatever their case; the longest of one beginning first.
pub(super) const NUMBERS: [&str; 36] = [
    "SSSSS", "SSSS", "SS", "HH24", "HH12", "HH", "MI", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "Y,YYY",
    "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I", "MM", "DDD", "DD", "D", "WW", "W", "CC",
    "J", "Q",
];
/// Keywords that are words, written in the case that is wanted.
const WORDS: [&str; 32] = [
    "A.M.", "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm", "B.C.", "A.D.", "b.c.", "a.d.", "BC", "AD", "bc", "ad",
    "MONTH", "Month", "month", "MON", "Mon", "mon", "DAY", "Day", "day", "DY", "Dy", "dy", "RM", "rm", "OF", "TZH",
];

/// `pg_to_char_time(moment, format)`
pub(super) fn time(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(moment), Some(format)] = arguments else { return Ok(None) };
    let Moment::At(micros) = Moment::read(moment)? else { return Ok(None) };
    if format.is_empty() {
        return Ok(None);
    }
    shown(micros, format, None).map(Some)
}

/// `pg_to_char_zoned(instant, format, zone)`
pub(super) fn zoned(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(instant), Some(format), Some(name)] = arguments else { return Ok(None) };
    let Moment::At(micros) = Moment::read(instant)? else { return Ok(None) };
    if format.is_empty() {
        return Ok(None);
    }
    let offset = zone::offset_at(zone::named(name)?, micros)?;
    shown(micros + offset * SECOND, format, Some(offset)).map(Some)
}

/// `pg_to_char_interval(interval, format)`
pub(super) fn interval(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value), Some(format)] = arguments else { return Ok(None) };
    let value = Interval::read(value)?;
    let known = ["HH24", "MI", "SS", "DD", "MS", "US"];
    let mut out = String::new();
    let mut rest = *format;
    if value.micros < 0 || value.days < 0 || value.months != 0 {
        return Err(Failure::refused("to_char() of an interval with months or negative parts"));
    }
    while let Some(c) = rest.chars().next() {
        match known.iter().find(|word| rest.to_ascii_uppercase().starts_with(**word)) {
            Some(word) => {
                rest = &rest[word.len()..];
                out.push_str(&match *word {
                    "HH24" => format!("{:02}", value.micros / HOUR),
                    "MI" => format!("{:02}", value.micros / MINUTE % 60),
                    "SS" => format!("{:02}", value.micros / SECOND % 60),
                    "MS" => format!("{:03}", value.micros % SECOND / 1000),
                    "US" => format!("{:06}", value.micros % SECOND),
                    _ => format!("{:02}", value.days),
                });
                if rest.to_ascii_lowercase().starts_with("th") {
                    return Err(refused(format));
                }
            }
            None if c.is_ascii_alphabetic() || c == '"' || c == '\\' => return Err(refused(format)),
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Ok(Some(out))
}

fn refused(format: &str) -> Failure {
    Failure::refused(format!("the format '{format}'"))
}

/// A keyword of a format, or what is copied.
pub(super) enum Piece<'f> {
    Number(&'static str),
    Word(&'static str),
    Copied(char),
    /// Between quotes.
    Text(&'f str),
}

/// The next piece, with the rest of the format; a prefix `FM` is taken with it.
pub(super) fn next_piece(format: &str) -> Option<(bool, Piece<'_>, &str)> {
    let upper = format.to_ascii_uppercase();
    let fill = upper.starts_with("FM");
    let rest = if fill { &format[2..] } else { format };
    let upper = rest.to_ascii_uppercase();
    if let Some(word) = WORDS.iter().find(|word| rest.starts_with(**word)) {
        return Some((fill, Piece::Word(word), &rest[word.len()..]));
    }
    if let Some(word) = NUMBERS.iter().find(|word| upper.starts_with(**word)) {
        return Some((fill, Piece::Number(word), &rest[word.len()..]));
    }
    let c = rest.chars().next()?;
    if c == '"' {
        let inner = &rest[1..];
        let end = inner.find('"').unwrap_or(inner.len());
        return Some((fill, Piece::Text(&inner[..end]), inner.get(end + 1..).unwrap_or_default()));
    }
    Some((fill, Piece::Copied(c), &rest[c.len_utf8()..]))
}

/// Keywords in a format that are read here neither as a number nor as a word.
pub(super) fn has_unread(format: &str) -> bool {
    let upper = format.to_ascii_uppercase();
    format.contains('\\') || ["TZ", "TM", "FX", "SP"].iter().any(|word| upper.replace("TZH", "").contains(word))
}

fn shown(micros: i64, format: &str, offset: Option<i64>) -> Result<String, Failure> {
    if has_unread(format) {
        return Err(refused(format));
    }
    let fields = Fields::of(micros);
    let mut out = String::new();
    let mut rest = format;
    while let Some((fill, piece, after)) = next_piece(rest) {
        rest = after;
        let (text, is_number) = match piece {
            Piece::Copied(c) => (c.to_string(), false),
            Piece::Text(text) => (text.to_owned(), false),
            Piece::Number(word) => (number(word, &fields, fill), true),
            Piece::Word(word) => (named(word, &fields, fill, offset).ok_or_else(|| refused(format))?, false),
        };
        out.push_str(&text);
        // An ordinal's ending.
        if is_number && let Some(suffix) = rest.get(..2).filter(|suffix| *suffix == "TH" || *suffix == "th") {
            let ending = ordinal(&text);
            out.push_str(&if suffix == "TH" { ending.to_uppercase() } else { ending.to_owned() });
            rest = &rest[2..];
        }
    }
    Ok(out)
}

fn ordinal(digits: &str) -> &'static str {
    let tens = digits.len() >= 2 && digits.as_bytes()[digits.len() - 2] == b'1';
    match digits.bytes().last() {
        Some(b'1') if !tens => "st",
        Some(b'2') if !tens => "nd",
        Some(b'3') if !tens => "rd",
        _ => "th",
    }
}

fn number(word: &str, fields: &Fields, fill: bool) -> String {
    let (micros, days) = (fields.micros, fields.days());
    let fraction = micros % SECOND;
    let hour = micros / HOUR;
    let (iso_week, iso_year) = iso_week(days);
    let of_year = days - days_of(fields.year, 1, 1) + 1;
    let padded = |value: i64, width: usize| if fill { value.to_string() } else { format!("{value:0width$}") };
    let shown = |year: i64| if year > 0 { year } else { 1 - year };
    let year = shown(fields.year);
    let of_iso_year = |year: i64| {
        days - {
            let first = days_of(year, 1, 4);
            first - (first + 3).rem_euclid(7)
        } + 1
    };
    match word {
        "SSSS" | "SSSSS" => (micros / SECOND).to_string(),
        "SS" => padded(micros / SECOND % 60, 2),
        "HH24" => padded(hour, 2),
        "HH12" | "HH" => padded(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
        "MI" => padded(micros / MINUTE % 60, 2),
        "MS" | "FF3" => format!("{:03}", fraction / 1000),
        "US" | "FF6" => format!("{fraction:06}"),
        "FF1" => format!("{}", fraction / 100_000),
        "FF2" => format!("{:02}", fraction / 10_000),
        "FF4" => format!("{:04}", fraction / 100),
        "FF5" => format!("{:05}", fraction / 10),
        "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
        "YYYY" => padded(year, 4),
        "YYY" => padded(year % 1000, 3),
        "YY" => padded(year % 100, 2),
        "Y" => (year % 10).to_string(),
        "IYYY" => padded(shown(iso_year), 4),
        "IYY" => padded(shown(iso_year) % 1000, 3),
        "IY" => padded(shown(iso_year) % 100, 2),
        "I" => (shown(iso_year) % 10).to_string(),
        "IDDD" => padded(of_iso_year(iso_year), 3),
        "ID" => ((days + 3).rem_euclid(7) + 1).to_string(),
        "IW" => padded(iso_week, 2),
        "MM" => padded(fields.month, 2),
        "DDD" => padded(of_year, 3),
        "DD" => padded(fields.day, 2),
        "D" => ((days + 4).rem_euclid(7) + 1).to_string(),
        "WW" => padded((of_year - 1) / 7 + 1, 2),
        "W" => ((fields.day - 1) / 7 + 1).to_string(),
        "CC" if fields.year > 0 => padded((fields.year + 99) / 100, 2),
        "CC" => format!("-{}", padded((99 - (fields.year - 1)) / 100, 2)),
        "J" => (days + 2_440_588).to_string(),
        _ => ((fields.month - 1) / 3 + 1).to_string(),
    }
}

fn named(word: &str, fields: &Fields, fill: bool, offset: Option<i64>) -> Option<String> {
    let cased = |name: &str| match word {
        word if word == word.to_uppercase() => name.to_uppercase(),
        word if word == word.to_lowercase() => name.to_lowercase(),
        _ => name.to_owned(),
    };
    let wide = |name: String, width: usize| if fill { name } else { format!("{name:width$}") };
    let month = MONTHS[fields.month as usize - 1];
    let weekday = DAYS[(fields.micros.div_euclid(DAY) + fields.days() + 4).rem_euclid(7) as usize];
    Some(match word.to_ascii_uppercase().as_str() {
        "AM" | "PM" => cased(if fields.micros / HOUR >= 12 { "PM" } else { "AM" }),
        "A.M." | "P.M." => cased(if fields.micros / HOUR >= 12 { "P.M." } else { "A.M." }),
        "BC" | "AD" => cased(if fields.year <= 0 { "BC" } else { "AD" }),
        "B.C." | "A.D." => cased(if fields.year <= 0 { "B.C." } else { "A.D." }),
        "MONTH" => wide(cased(month), 9),
        "MON" => cased(&month[..3]),
        "DAY" => wide(cased(weekday), 9),
        "DY" => cased(&weekday[..3]),
        "RM" => wide(cased(ROMAN[fields.month as usize - 1]), 4),
        "OF" => zone::shown(offset?),
        _ => zone::shown(offset?).chars().take(3).collect(),
    })
}
