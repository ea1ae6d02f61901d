//! `to_date` and `to_timestamp` by a format.
//!
//! Invariant: formats and texts that the server reads by rules of its own (blanks, missing parts, names in other languages) are
//! refused.

use super::format::{Piece, has_unread, next_piece};
use super::moment::{DAY, HOUR, MINUTE, Moment, SECOND, days_in_month, days_of};
use super::zone;
use crate::native::{Arguments, Failure, Given};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// `pg_to_timestamp(text, format, zone)`
pub(super) fn to_timestamp(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(format), Some(name)] = arguments else { return Ok(None) };
    let local = Moment::At(scanned(text, format)?);
    Ok(Some(zone::to_instant(zone::named(name)?, local)?.for_engine()))
}

/// `pg_to_date(text, format)`
pub(super) fn to_date(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(format)] = arguments else { return Ok(None) };
    let micros = scanned(text, format)?;
    Ok(Some(Moment::At(micros.div_euclid(DAY) * DAY).for_engine()))
}

fn scanned(text: &str, format: &str) -> Result<i64, Failure> {
    let refused = || Failure::refused(format!("the text '{text}' by the format '{format}'"));
    if has_unread(format) {
        return Err(refused());
    }
    let (mut year, mut month, mut day, mut hour, mut minute, mut micros) = (1, 1, 1, 0, 0, 0);
    let mut afternoon = None;
    let mut has_year = false;
    let (mut rest, mut format_rest) = (text, format);
    while let Some((_, piece, after)) = next_piece(format_rest) {
        format_rest = after;
        match piece {
            Piece::Copied(c) if !c.is_ascii_alphanumeric() => {
                rest = rest.strip_prefix(c).ok_or_else(refused)?;
            }
            Piece::Text(wanted) => rest = rest.strip_prefix(wanted).ok_or_else(refused)?,
            Piece::Number(word) => {
                let width = match word {
                    "YYYY" => 4,
                    "MM" | "DD" | "HH24" | "HH12" | "HH" | "MI" | "SS" => 2,
                    "MS" => 3,
                    "US" => 6,
                    _ => return Err(refused()),
                };
                let digits = rest.bytes().take_while(u8::is_ascii_digit).take(width).count();
                let exact = digits == width || (digits > 0 && width == 2 && !format_rest.is_empty());
                if !exact || rest[digits..].starts_with(|c: char| c.is_ascii_digit() && digits < width) {
                    return Err(refused());
                }
                let number: i64 = rest[..digits].parse().map_err(|_| refused())?;
                rest = &rest[digits..];
                match word {
                    "YYYY" => (year, has_year) = (number, true),
                    "MM" => month = number,
                    "DD" => day = number,
                    "HH24" => hour = number,
                    "HH12" | "HH" => {
                        if !(1..=12).contains(&number) {
                            return Err(Failure::raised(
                                "22007",
                                format!("hour \"{number}\" is invalid for the 12-hour clock"),
                            ));
                        }
                        (hour, afternoon) = (number % 12, Some(afternoon.unwrap_or(false)));
                    }
                    "MI" => minute = number,
                    "SS" => micros += number * SECOND,
                    "MS" => micros += number * 1000,
                    _ => micros += number,
                }
                if matches!(word, "SS") && number > 59 {
                    return Err(out_of_range(text));
                }
            }
            Piece::Word(word) => match word.to_ascii_uppercase().as_str() {
                "MON" => {
                    let name = rest.get(..3).unwrap_or_default().to_ascii_uppercase();
                    let at = MONTHS.iter().position(|known| *known == name).ok_or_else(refused)?;
                    month = at as i64 + 1;
                    rest = &rest[3..];
                }
                "AM" | "PM" if afternoon.is_some() => {
                    let name = rest.get(..2).unwrap_or_default().to_ascii_uppercase();
                    afternoon = match name.as_str() {
                        "AM" => Some(false),
                        "PM" => Some(true),
                        _ => return Err(refused()),
                    };
                    rest = &rest[2..];
                }
                _ => return Err(refused()),
            },
            Piece::Copied(_) => return Err(refused()),
        }
    }
    if !has_year || year == 0 || !rest.is_empty() {
        return Err(refused());
    }
    if afternoon == Some(true) {
        hour += 12;
    }
    let known =
        (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month) && hour <= 23 && minute <= 59;
    if !known {
        return Err(out_of_range(text));
    }
    Ok(days_of(year, month, day) * DAY + hour * HOUR + minute * MINUTE + micros)
}

fn out_of_range(text: &str) -> Failure {
    Failure::raised("22008", format!("date/time field value out of range: \"{text}\""))
}
