//! Sizes as people write them: `500MB`, `1GiB`, `1.5 GB`.
//!
//! Input: text from the command line or `rehearsal.toml`. Output: bytes. Invariants: decimal units are powers of ten and binary
//! units powers of two, in any letter case; a number without a unit is refused, because `500` could mean bytes or megabytes.

use anyhow::{Result, anyhow};

use crate::ui::hinted;

/// The units, the longest spelling first so that `MiB` isn't read as `B`.
const UNITS: [(&str, f64); 9] = [
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
    ("tib", 1_099_511_627_776.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("b", 1.0),
];

/// Reads a size of at least one byte.
///
/// # Errors
/// No number, no unit, an unknown unit, or less than one byte: the text is quoted and the spelling explained.
pub fn parse(text: &str) -> Result<u64> {
    let refused = |why: &str| {
        Err(hinted(
            anyhow!("\"{}\" isn't a size: {why}", text.trim()),
            "write a number and a unit, e.g. 500MB, 1.5GB (powers of ten) or 1GiB (powers of two)",
        ))
    };
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let Ok(number) = number.replace('_', "").parse::<f64>() else {
        return refused("it doesn't begin with a number");
    };
    let unit = unit.trim().to_ascii_lowercase();
    if unit.is_empty() {
        return refused("it has no unit");
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return refused("its unit isn't one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
    };
    let bytes = (number * scale).round();
    if bytes < 1.0 {
        return refused("it is less than one byte");
    }
    // Above 2^53 a float skips integers; no table is that large, and one that is doesn't cross such a threshold.
    if bytes > 9e15 {
        return refused("it is larger than any table");
    }
    Ok(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: u64) {
        assert_eq!(parse(text).expect(text), expected, "{text}");
    }

    #[test]
    fn reads_decimal_and_binary_units() {
        check("500MB", 500_000_000);
        check("500 mb", 500_000_000);
        check(" 1.5GB ", 1_500_000_000);
        check("1GiB", 1_073_741_824);
        check("8 KiB", 8192);
        check("1_000 kB", 1_000_000);
        check("17B", 17);
        check("2TB", 2_000_000_000_000);
    }

    #[test]
    fn says_what_is_wrong_with_a_bad_one() {
        for (text, why) in [
            ("500", "no unit"),
            ("MB", "doesn't begin with a number"),
            ("-5MB", "doesn't begin with a number"),
            ("1.2.3MB", "doesn't begin with a number"),
            ("5XB", "its unit isn't one of"),
            ("5M", "its unit isn't one of"),
            ("0MB", "less than one byte"),
            ("0.1B", "less than one byte"),
            ("99999999TB", "larger than any table"),
            ("", "doesn't begin with a number"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(why) && error.contains(text), "{text}: {error}");
        }
    }
}
