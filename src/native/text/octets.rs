//! Functions of `bytea`, carried as hexadecimal digits: parts and single bytes.

use crate::native::{Arguments, Failure, Given};

fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::refused(format!("the number {text}")))
}

/// `pg_bytea_substr(hex, start [, length])`
pub(super) fn substring(arguments: &Arguments<'_>) -> Given<String> {
    let (digits, start, length) = match arguments {
        [Some(digits), Some(start)] => (*digits, number(start)?, None),
        [Some(digits), Some(start), Some(length)] => (*digits, number(start)?, Some(number(length)?)),
        _ => return Ok(None),
    };
    if length.is_some_and(|length| length < 0) {
        return Err(Failure::raised("22011", "negative substring length not allowed"));
    }
    let all = digits.len() as i64 / 2;
    let from = (start - 1).clamp(0, all);
    let to = length.map_or(all, |length| (start - 1).saturating_add(length).clamp(from, all));
    Ok(Some(digits[2 * from as usize..2 * to as usize].to_owned()))
}

/// `pg_bytea_position(hay, needle)`, both as digits.
pub(super) fn position(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(hay), Some(needle)] = arguments else { return Ok(None) };
    let (hay, needle) = (hay.to_ascii_lowercase(), needle.to_ascii_lowercase());
    let found = (0..=hay.len()).step_by(2).find(|at| hay[*at..].starts_with(&needle));
    Ok(Some(found.map_or(0, |at| at as i64 / 2 + 1)))
}

fn place(digits: &str, at: &str) -> Result<usize, Failure> {
    let (at, most) = (number(at)?, digits.len() as i64 / 2 - 1);
    match (0..=most).contains(&at) {
        true => Ok(2 * at as usize),
        false => Err(Failure::raised("2202E", format!("index {at} out of valid range, 0..{most}"))),
    }
}

/// `pg_get_byte(hex, place)`
pub(super) fn get(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(digits), Some(at)] = arguments else { return Ok(None) };
    let at = place(digits, at)?;
    i64::from_str_radix(&digits[at..at + 2], 16).map(Some).map_err(|_| Failure::refused("a byte"))
}

/// `pg_set_byte(hex, place, value)`
pub(super) fn set(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(digits), Some(at), Some(value)] = arguments else { return Ok(None) };
    let at = place(digits, at)?;
    Ok(Some(format!("{}{:02x}{}", &digits[..at], number(value)? as u8, &digits[at + 2..])))
}

/// `pg_bytea_trim(which, hex, bytes)`
pub(super) fn trim(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(which), Some(digits), Some(set)] = arguments else { return Ok(None) };
    let (digits, set) = (digits.to_ascii_lowercase(), set.to_ascii_lowercase());
    let pairs: Vec<&str> = (0..digits.len() / 2).map(|at| &digits[2 * at..2 * at + 2]).collect();
    let goes = |pair: &&str| (0..set.len() / 2).any(|at| set[2 * at..2 * at + 2] == **pair);
    let mut kept = pairs.as_slice();
    while let [first, rest @ ..] = kept
        && *which != "rtrim"
        && goes(first)
    {
        kept = rest;
    }
    while let [rest @ .., last] = kept
        && *which != "ltrim"
        && goes(last)
    {
        kept = rest;
    }
    Ok(Some(kept.concat()))
}
