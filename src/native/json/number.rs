//! Numbers of jsonb: `numeric` values kept as text.
//!
//! Input: a number as JSON writes it. Output: its text as `numeric` writes it (exponent written out, trailing zeros kept, no minus
//! zero), and comparisons of such texts. Left out: arithmetic.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::Failure;

/// Digits that a numeric may have before and behind its point.
const WHOLE_DIGITS: i64 = 131_072;
const FRACTION_DIGITS: i64 = 16_383;

/// A JSON number's canonical text.
pub(super) fn canonical(text: &str) -> Result<Cow<'_, str>, Failure> {
    if !text.contains(['e', 'E']) {
        let digits = text.trim_start_matches('-');
        let zero = digits.len() < text.len() && digits.bytes().all(|b| b == b'0' || b == b'.');
        return Ok(Cow::Borrowed(if zero { digits } else { text }));
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let overflow = || Failure::raised("22003", "value overflows numeric format");
    let exponent: i64 = exponent
        .parse::<i64>()
        .ok()
        .filter(|e| e.abs() < i64::from(i32::MAX / 2))
        .ok_or_else(|| Failure::raised("22P02", format!("invalid input syntax for type numeric: \"{text}\"")))?;
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = (fraction.len() as i64 - exponent).max(0);
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i64 + exponent;
    let zero = digits.bytes().all(|b| b == b'0');
    if scale > FRACTION_DIGITS || (!zero && point > WHOLE_DIGITS) {
        return Err(overflow());
    }
    let digit =
        |at: i64| usize::try_from(at).ok().and_then(|at| digits.as_bytes().get(at)).map_or('0', |b| char::from(*b));
    let mut result = String::new();
    if !zero {
        result.push_str(sign);
    }
    let before: String = if zero { String::new() } else { (0..point.max(0)).map(digit).collect() };
    match before.trim_start_matches('0') {
        "" => result.push('0'),
        before => result.push_str(before),
    }
    if scale > 0 {
        result.push('.');
        result.extend((point..point + scale).map(digit));
    }
    Ok(Cow::Owned(result))
}

/// Sign, digits before the point without leading zeros, digits behind it without trailing ones.
fn parts(text: &str) -> (bool, &str, &str) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (negative, whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// Compares two numbers by value.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    let ((a_negative, a_whole, a_fraction), (b_negative, b_whole, b_fraction)) = (parts(a), parts(b));
    let size =
        a_whole.len().cmp(&b_whole.len()).then_with(|| a_whole.cmp(b_whole)).then_with(|| a_fraction.cmp(b_fraction));
    match (a_negative, b_negative) {
        (false, false) => size,
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// Appends digits whose order by bytes is the order of the numbers.
pub(super) fn push_sort_key(text: &str, key: &mut String) {
    let (negative, whole, fraction) = parts(text);
    if whole.is_empty() && fraction.is_empty() {
        key.push('1');
        return;
    }
    let leading = fraction.len() - fraction.trim_start_matches('0').len();
    // The power of ten of the first digit, made positive.
    let power = 500_000 + if whole.is_empty() { -(leading as i64) } else { whole.len() as i64 };
    let digits = if whole.is_empty() { fraction[leading..].to_owned() } else { format!("{whole}{fraction}") };
    let digits = digits.trim_end_matches('0');
    if negative {
        key.push_str(&format!("0{:07}", 9_999_999 - power));
        key.extend(digits.bytes().map(|b| char::from(b'0' + b'9' - b)));
        key.push('~');
    } else {
        key.push_str(&format!("2{power:07}{digits} "));
    }
}

/// The number rounded to a whole one, halves away from zero, as digits with their sign.
pub(super) fn rounded(text: &str) -> Option<i128> {
    let (negative, whole, fraction) = parts(text);
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let up = fraction.as_bytes().first().is_some_and(|digit| *digit >= b'5');
    let size = whole + i128::from(up);
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_numeric() {
        let check = |text: &str, expected: &str| assert_eq!(canonical(text).expect("a number"), expected, "{text}");
        check("1.50", "1.50");
        check("-0", "0");
        check("-0.00", "0.00");
        check("1e3", "1000");
        check("1.5E-3", "0.0015");
        check("1.000e1", "10.00");
        check("-12.5e1", "-125");
        check("0e5", "0");
        check("0e-2", "0.00");
        check("-0.0e-1", "0.00");
        check("12e-1", "1.2");
        assert!(canonical("1e131072").is_err());
        assert!(canonical("1e131071").is_ok());
        assert!(canonical("1e-16384").is_err());
    }

    #[test]
    fn numbers_are_rounded_away_from_zero() {
        let check = |text: &str, expected: Option<i128>| assert_eq!(rounded(text), expected, "{text}");
        check("1.5", Some(2));
        check("-2.5", Some(-3));
        check("0.49", Some(0));
        check("10", Some(10));
    }
}
