//! `to_char` of numbers.
//!
//! Input: a number and a format of digits, marks and signs. Output: its text. Left out: `D`, `G` and `L`, which a locale decides; `V`,
//! `TH`, `EEEE`, and texts between the digits.

use crate::native::{Arguments, Failure, Given, numeric};

/// `pg_to_char_number(number, format)`
pub(super) fn number(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value), Some(format)] = arguments else { return Ok(None) };
    let upper = format.to_ascii_uppercase();
    let (fill, pattern) = match upper.strip_prefix("FM") {
        Some(pattern) => (false, pattern),
        None => (true, upper.as_str()),
    };
    if pattern == "RN" {
        return roman(value, fill).map(Some);
    }
    let negative = value.starts_with('-') && value.contains(|c: char| ('1'..='9').contains(&c));
    let (sign, mark) = (if negative { "-" } else { "+" }, if negative { "-" } else { " " });
    let unsigned = |pattern: &str| written(value, pattern, format, fill, Some(("", "")));
    let blank = |text: &'static str| if fill { text } else { "" };
    Ok(Some(if let Some(rest) = pattern.strip_prefix('S') {
        written(value, rest, format, fill, Some(("+", "-")))?
    } else if let Some(rest) = pattern.strip_suffix('S') {
        format!("{}{sign}", unsigned(rest)?)
    } else if let Some(rest) = pattern.strip_suffix("MI") {
        format!("{}{}", unsigned(rest)?, if negative { mark } else { blank(" ") })
    } else if let Some(rest) = pattern.strip_prefix("MI") {
        format!("{}{}", if negative { mark } else { blank(" ") }, unsigned(rest)?)
    } else if let Some(rest) = pattern.strip_suffix("PR") {
        let slot = if fill { (" ", "<") } else { ("", "<") };
        format!("{}{}", written(value, rest, format, fill, Some(slot))?, if negative { ">" } else { blank(" ") })
    } else {
        written(value, pattern, format, fill, None)?
    }))
}

/// `pg_to_char_double(number, format, digits)`: as many digits as a float is sure of.
pub(super) fn double(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value), Some(format), Some(sure)] = arguments else { return Ok(None) };
    let refused = || Failure::refused(format!("the format '{format}' of a floating-point number"));
    let (number, sure): (f64, usize) = (value.parse().map_err(|_| refused())?, sure.parse().map_err(|_| refused())?);
    if !number.is_finite() {
        return Err(refused());
    }
    let after = format.split_once('.').map_or("", |(_, after)| after);
    let places = after.chars().filter(|c| "90".contains(*c)).count();
    let whole = format!("{:.0}", number.abs()).len();
    if whole + places > sure {
        return Err(refused());
    }
    self::number(&[Some(&format!("{number:.places$}")), Some(format)])
}

/// Roman digits, in a column of fifteen.
fn roman(value: &str, fill: bool) -> Result<String, Failure> {
    const DIGITS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let number = numeric::rounded(value, 0)?.parse::<i64>().unwrap_or_default();
    if !(1..=3999).contains(&number) {
        return Ok("#".repeat(15));
    }
    let (mut rest, mut text) = (number, String::new());
    for (worth, digits) in DIGITS {
        while rest >= worth {
            text.push_str(digits);
            rest -= worth;
        }
    }
    Ok(if fill { format!("{text:>15}") } else { text })
}

/// Digits, group and decimal marks; `signs` stand in front of the first digit, else a blank or a minus.
fn written(
    value: &str,
    pattern: &str,
    format: &str,
    fill: bool,
    signs: Option<(&str, &str)>,
) -> Result<String, Failure> {
    let refused = || Failure::refused(format!("the format '{format}' of a number"));
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
    let sign = match (signs, negative) {
        (Some((_, minus)), true) => minus,
        (Some((plus, _)), false) => plus,
        (None, true) => "-",
        (None, false) => {
            if fill {
                " "
            } else {
                ""
            }
        }
    };
    let mut out = String::new();
    if integer.len() > places {
        let hashes: String = pattern.chars().map(|c| if c == '9' || c == '0' { '#' } else { c }).collect();
        return Ok(format!("{sign}{hashes}"));
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
                out.push_str(sign);
            }
            out.push(char::from(padded.as_bytes()[at]));
        }
        at += 1;
    }
    if !signed {
        out.push_str(sign);
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
    Ok(out)
}

#[cfg(test)]
mod tests {
    fn check(arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::super::FUNCTIONS, "pg_to_char_number", arguments, expected);
    }

    #[test]
    fn signs_stand_where_the_format_says() {
        check(&["1234.5", "FM9,999.00"], "1,234.50");
        check(&["12", "S9999"], "  +12");
        check(&["-12", "9999S"], "  12-");
        check(&["-12", "9999PR"], "  <12>");
        check(&["12", "9999PR"], "   12 ");
        check(&["-12", "MI9999"], "-  12");
        check(&["485", "RN"], "        CDLXXXV");
    }
}
