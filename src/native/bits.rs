//! Bit strings: zeros and ones.
//!
//! Input: texts of `0` and `1`. Output: the same. Invariant: `bit(n)` has n of them, `bit varying(n)` at most as many. Left out: bytes.

use super::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_bit_fit", Native::Text(fit)),
    ("pg_bit_calc", Native::Text(calculate)),
    (
        "pg_bit_not",
        Native::Text(|a| Ok(text(a, 0).map(|bits| bits.chars().map(|c| if c == '0' { '1' } else { '0' }).collect()))),
    ),
    ("pg_bit_shift", Native::Text(shift)),
    ("pg_bit_of_integer", Native::Text(of_integer)),
    ("pg_bit_to_integer", Native::Text(to_integer)),
    ("pg_bit_count", Native::Whole(|a| Ok(text(a, 0).map(|bits| bits.matches('1').count() as i64)))),
    ("pg_bit_at", Native::Whole(at)),
];

fn text<'a>(arguments: &Arguments<'a>, at: usize) -> Option<&'a str> {
    arguments.get(at).copied().flatten()
}

/// A literal; `x` in front makes it hexadecimal.
pub(super) fn read(text: &str, _ty: &str) -> Result<String, Failure> {
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        let mut bits = String::new();
        for c in digits.chars() {
            let digit = c
                .to_digit(16)
                .ok_or_else(|| Failure::raised("22P02", format!("\"{c}\" is not a valid hexadecimal digit")))?;
            bits.push_str(&format!("{digit:04b}"));
        }
        return Ok(bits);
    }
    let digits = text.strip_prefix(['b', 'B']).unwrap_or(text);
    match digits.chars().find(|c| !"01".contains(*c)) {
        Some(c) => Err(Failure::raised("22P02", format!("\"{c}\" is not a valid binary digit"))),
        None => Ok(digits.to_owned()),
    }
}

/// `pg_bit_fit(bits, type, length, explicit)`
fn fit(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(bits), Some(ty), Some(length), Some(explicit)] = arguments else { return Ok(None) };
    let length: usize = length.parse().map_err(|_| Failure::refused(format!("the length {length}")))?;
    let explicit = *explicit == "t";
    if *ty == "bit varying" {
        if bits.len() > length && !explicit {
            return Err(Failure::raised("22001", format!("bit string too long for type bit varying({length})")));
        }
        return Ok(Some(bits.chars().take(length).collect()));
    }
    if bits.len() != length && !explicit {
        let message = format!("bit string length {} does not match type bit({length})", bits.len());
        return Err(Failure::raised("22026", message));
    }
    Ok(Some(format!("{:0<length$}", bits.chars().take(length).collect::<String>())))
}

/// `pg_bit_calc(operator, left, right)`
fn calculate(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(operator), Some(left), Some(right)] = arguments else { return Ok(None) };
    let (word, one): (&str, fn(bool, bool) -> bool) = match *operator {
        "&" => ("AND", |a, b| a & b),
        "|" => ("OR", |a, b| a | b),
        _ => ("XOR", |a, b| a ^ b),
    };
    if left.len() != right.len() {
        return Err(Failure::raised("22026", format!("cannot {word} bit strings of different sizes")));
    }
    let pairs = left.bytes().zip(right.bytes());
    Ok(Some(pairs.map(|(a, b)| if one(a == b'1', b == b'1') { '1' } else { '0' }).collect()))
}

/// `pg_bit_shift(operator, bits, places)`
fn shift(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(operator), Some(bits), Some(places)] = arguments else { return Ok(None) };
    let places: i64 = places.parse().map_err(|_| Failure::refused(format!("the number {places}")))?;
    let left = if *operator == "<<" { places } else { -places };
    let length = bits.len();
    let by = usize::try_from(left.unsigned_abs()).unwrap_or(length).min(length);
    Ok(Some(match left >= 0 {
        true => format!("{}{}", &bits[by..], "0".repeat(by)),
        false => format!("{}{}", "0".repeat(by), &bits[..length - by]),
    }))
}

/// `pg_bit_of_integer(number, width, length)`: the lowest bits, and the sign in front of them.
fn of_integer(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(number), Some(length)] = arguments else { return Ok(None) };
    let number: i64 = number.parse().map_err(|_| Failure::refused(format!("the number {number}")))?;
    let length: usize = length.parse().map_err(|_| Failure::refused(format!("the length {length}")))?;
    let bit = |at: usize| if (number >> at.min(63)) & 1 == 1 { '1' } else { '0' };
    Ok(Some((0..length).rev().map(bit).collect()))
}

/// `pg_bit_to_integer(bits, 'integer' | 'bigint')`
fn to_integer(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(bits), Some(ty)] = arguments else { return Ok(None) };
    let width = if *ty == "integer" { 32 } else { 64 };
    if bits.len() > width {
        return Err(Failure::raised("22003", format!("{ty} out of range")));
    }
    let value = u64::from_str_radix(if bits.is_empty() { "0" } else { bits }, 2);
    let value = value.map_err(|_| Failure::refused("a bit string"))?;
    Ok(Some(if width == 32 { i64::from(value as u32 as i32) } else { value as i64 }.to_string()))
}

/// `pg_bit_at(bits, place)`
fn at(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(bits), Some(place)] = arguments else { return Ok(None) };
    let bit = place.parse::<usize>().ok().and_then(|at| bits.as_bytes().get(at));
    match bit {
        Some(bit) => Ok(Some(i64::from(*bit == b'1'))),
        None => {
            let most = bits.len() as i64 - 1;
            Err(Failure::raised("2202E", format!("bit index {place} out of valid range (0..{most})")))
        }
    }
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn bits_are_computed_with() {
        check("pg_bit_calc", &["&", "101", "110"], "100");
        check("pg_bit_calc", &["&", "101", "1"], "22026");
        check("pg_bit_fit", &["101", "bit", "5", "t"], "10100");
        check("pg_bit_fit", &["101", "bit", "5", "f"], "22026");
        check("pg_bit_of_integer", &["-2", "4"], "1110");
        check("pg_bit_to_integer", &["11111111111111111111111111111110", "integer"], "-2");
        check("pg_bit_shift", &["<<", "1010", "1"], "0100");
    }
}
