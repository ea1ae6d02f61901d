//! Numbers in steps, and sizes in words.

use super::decimal::Number;
use super::{add, canonical};
use crate::native::{Arguments, Failure, Given};

/// More steps than these aren't taken.
const MOST: usize = 1_000_000;

/// `pg_numeric_series(first, last, step)`
pub(super) fn steps(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let [Some(first), Some(last), Some(step)] = arguments else { return Ok(None) };
    let (mut at, last, by) = (Number::read(first)?, Number::read(last)?, Number::read(step)?);
    for (number, name) in [(&at, "start"), (&last, "stop"), (&by, "step")] {
        match number {
            Number::NaN => return Err(Failure::raised("22023", format!("{name} {} cannot be NaN", noun(name)))),
            Number::Finite(_) => {}
            _ => return Err(Failure::raised("22023", format!("{name} {} cannot be infinity", noun(name)))),
        }
    }
    if by.sign() == Some(0) {
        return Err(Failure::raised("22023", "step size cannot equal zero"));
    }
    let down = by.sign() == Some(-1);
    let end = last.key();
    let mut found = Vec::new();
    while if down { at.key() >= end } else { at.key() <= end } {
        if found.len() == MOST {
            return Err(Failure::refused("a series of more than a million numbers"));
        }
        found.push(Some(canonical(&at.write())?));
        at = add(&at, &by);
    }
    Ok(Some(found))
}

fn noun(name: &str) -> &'static str {
    if name == "step" { "size" } else { "value" }
}

/// `pg_size_pretty(bytes)`
pub(super) fn size(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(bytes)] = arguments else { return Ok(None) };
    let mut size: i64 = bytes.parse().map_err(|_| Failure::refused(format!("the size {bytes}")))?;
    let units = [("bytes", 10 * 1024, false), ("kB", 20 * 1024 - 1, true), ("MB", 20 * 1024 - 1, true)];
    let units =
        units.into_iter().chain([("GB", 20 * 1024 - 1, true), ("TB", 20 * 1024 - 1, true), ("PB", i64::MAX, true)]);
    let mut first = true;
    for (name, limit, halves) in units {
        // From kilobytes on, twice the size is held, so that it can be rounded at the end.
        if size.abs() < limit || name == "PB" {
            let shown = if halves { (size + size.signum()) / 2 } else { size };
            return Ok(Some(format!("{shown} {name}")));
        }
        size /= if first { 1 << 9 } else { 1 << 10 };
        first = false;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn sizes_have_units() {
        check("pg_size_pretty", &["10239"], "10239 bytes");
        check("pg_size_pretty", &["10240"], "10 kB");
        check("pg_size_pretty", &["1500000"], "1465 kB");
        check("pg_size_pretty", &["-1500000000"], "-1431 MB");
    }
}
