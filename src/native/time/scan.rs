//! `to_date` and `to_timestamp` by a format, and `to_char` of numbers.
//!
//! Invariant: formats and texts that the server reads by rules of its own (blanks, missing parts, names in other languages) are
//! refused.

use super::format::{Piece, has_unread, next_piece};
use super::moment::{DAY, HOUR, MINUTE, Moment, SECOND, days_in_month, days_of};
use super::zone;
use crate::native::{Arguments, Failure, Given, numeric};

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

/// `pg_to_char_number(number, format)`: digits, group and decimal marks, FM.
pub(super) fn number(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value), Some(format)] = arguments else { return Ok(None) };
    let refused = || Failure::refused(format!("the format '{format}' of a number"));
    let fill = !format.to_ascii_uppercase().starts_with("FM");
    let pattern = if fill { *format } else { &format[2..] };
    if pattern.is_empty() || !pattern.chars().all(|c| "90.,".contains(c)) || pattern.matches('.').count() > 1 {
        return Err(refused());
    }
    let (whole, fraction) = pattern.split_once('.').unwrap_or((pattern, ""));
    let half = pattern.contains('.') && (fraction.is_empty() || whole.is_empty());
    if fraction.contains(',') || whole.starts_with(',') || half {
        return Err(refused());
    }
    let places = whole.chars().filter(|c| *c != ',').count();
    let rounded = numeric::rounded(value, fraction.len() as i64)?;
    if !rounded.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return Err(refused());
    }
    let (negative, digits) = match rounded.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, rounded.as_str()),
    };
    let (integer, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let integer = integer.trim_start_matches('0');
    let mut out = String::new();
    if integer.len() > places {
        let hashes: String = pattern.chars().map(|c| if c == '9' || c == '0' { '#' } else { c }).collect();
        return Ok(Some(match (fill, negative) {
            (true, true) => format!("-{hashes}"),
            (true, false) => format!(" {hashes}"),
            (false, true) => format!("-{hashes}"),
            (false, false) => hashes,
        }));
    }
    // Without any digit before the point, the server shows a zero only where nothing follows it.
    let first_zero = whole.chars().filter(|c| *c != ',').position(|c| c == '0');
    let mut shown_from = (places - integer.len()).min(first_zero.unwrap_or(places));
    if integer.is_empty() && first_zero.is_none() && fraction.is_empty() && places > 0 {
        shown_from = places - 1;
    }
    let mut at = 0;
    let padded = format!("{integer:0>places$}");
    let mut signed = false;
    for c in whole.chars() {
        if c == ',' {
            match at > shown_from {
                true => out.push(','),
                false if fill => out.push(' '),
                false => {}
            }
            continue;
        }
        if at < shown_from {
            if fill {
                out.push(' ');
            }
        } else {
            if !signed {
                signed = true;
                if fill || negative {
                    out.push(if negative { '-' } else { ' ' });
                }
            }
            out.push(char::from(padded.as_bytes()[at]));
        }
        at += 1;
    }
    if !signed && (fill || negative) {
        out.push(if negative { '-' } else { ' ' });
    }
    if pattern.contains('.') {
        // Zeros at the end that a 9 stands for go with FM; where nothing else is left, one comes back.
        let kept = fraction.rfind('0').map_or(0, |at| at + 1);
        let needed = decimals.trim_end_matches('0').len().max(kept);
        if !fill && needed == 0 && shown_from == places {
            out.push('0');
        }
        out.push('.');
        out.push_str(if fill { decimals } else { &decimals[..needed.min(decimals.len())] });
    }
    Ok(Some(out))
}
