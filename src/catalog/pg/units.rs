//! Numbers of parameters: what SET takes and SHOW writes, `'5min'`, `'64MB'`.
//!
//! Input: a text, and a parameter's unit and bounds. Output: the number in that unit, or why it is none; the text that the server shows.
//! Source: guc.c of PostgreSQL 15. Left out: floating numbers with exponents beyond what `f64` reads.

/// What units are worth in the least of their kind, the greatest first: bytes, microseconds.
const MEMORY: &[(&str, f64)] =
    &[("TB", 1_099_511_627_776.0), ("GB", 1_073_741_824.0), ("MB", 1_048_576.0), ("kB", 1024.0), ("B", 1.0)];
const TIME: &[(&str, f64)] = &[
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1000.0),
    ("us", 1.0),
];

/// The units that a parameter of this unit takes, and what its own is worth.
fn kin(unit: &str) -> Option<(&'static [(&'static str, f64)], f64)> {
    let blocks = unit.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let own = &unit[blocks.len()..];
    let count: f64 = if blocks.is_empty() { 1.0 } else { blocks.parse().ok()? };
    [MEMORY, TIME].into_iter().find_map(|kin| {
        let (_, worth) = kin.iter().find(|(name, _)| *name == own)?;
        Some((kin, worth * count))
    })
}

/// A number and what stands behind it.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start();
    let digits = text.trim_start_matches(['+', '-']);
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let number = i64::from_str_radix(&hex[..end], 16).ok()? as f64;
        return Some((if text.starts_with('-') { -number } else { number }, &hex[end..]));
    }
    let mut end = text.len() - digits.len();
    let bytes = text.as_bytes();
    let run = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let whole = run(end);
    let is_octal = whole > end + 1 && bytes[end] == b'0' && !matches!(bytes.get(whole), Some(b'.' | b'e' | b'E'));
    if is_octal {
        let number = i64::from_str_radix(&text[end..whole], 8).ok()? as f64;
        return Some((if text.starts_with('-') { -number } else { number }, &text[whole..]));
    }
    end = whole;
    if bytes.get(end) == Some(&b'.') {
        end = run(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = run(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A text as a number in the parameter's unit; of whole numbers rounded. `None` where it is no value of it.
pub(super) fn read(text: &str, unit: &str, is_whole: bool) -> Option<f64> {
    let (mut number, behind) = split(text)?;
    let behind = behind.trim();
    if !behind.is_empty() {
        let (kin, own) = kin(unit)?;
        let (_, worth) = kin.iter().find(|(name, _)| *name == behind)?;
        number *= worth / own;
        // A unit below the parameter's own is rounded to the next one down the scale.
        if *worth > own || !is_whole {
            return Some(if is_whole { number.round_ties_even() } else { number });
        }
    }
    if !is_whole {
        return Some(number);
    }
    let number = number.round_ties_even();
    (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number).then_some(number)
}

/// A number as SHOW writes it: in the greatest unit in which it is whole.
pub(super) fn shown(number: f64, unit: &str) -> String {
    let Some((kin, own)) = kin(unit).filter(|_| number > 0.0) else { return number.to_string() };
    let least = number * own;
    let fitting = kin.iter().find(|(_, worth)| (least / worth).fract() == 0.0);
    fitting.map_or_else(|| number.to_string(), |(name, worth)| format!("{}{name}", least / worth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_shown() {
        let check = |text: &str, unit: &str, expected: Option<&str>| {
            let found = read(text, unit, true).map(|number| shown(number, unit));
            assert_eq!(found.as_deref(), expected, "{text}");
        };
        check("5min", "ms", Some("5min"));
        check("1.5min", "ms", Some("90s"));
        check("1500", "ms", Some("1500ms"));
        check("2500us", "ms", Some("2ms"));
        check("60000", "ms", Some("1min"));
        check("0", "ms", Some("0"));
        check("-1", "ms", Some("-1"));
        check("1.5GB", "kB", Some("1536MB"));
        check(" 128kB ", "kB", Some("128kB"));
        check("128kb", "kB", None);
        check("0x100", "kB", Some("256kB"));
        check("1e3", "kB", Some("1000kB"));
        check("16MB", "8kB", Some("16MB"));
        check("1", "8kB", Some("8kB"));
        check("5 bananas", "ms", None);
        check("8kB", "", None);
        check("", "ms", None);
        check("10000000000", "ms", None);
        check("3", "", Some("3"));
    }
}
