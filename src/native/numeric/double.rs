//! Floating-point numbers: their text forms, their ways to and from `numeric`, and arithmetic that fails where the server's does.
//!
//! Input: numbers as the engine or the server writes them: both write the shortest text that is read back as the same number.

use num_bigint::BigInt;

use super::decimal::{Decimal, Number};
use crate::native::{Arguments, Failure, Given};

/// `1e+20`, `0.1`, `Infinity`: scientific from `from` on, and below 0.0001.
fn shortest(scientific: &str, finite: bool, from: i32) -> String {
    if !finite {
        return match scientific {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            _ => "NaN".to_owned(),
        };
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    if digits == "0" {
        return format!("{sign}0");
    }
    if exponent < -4 || exponent >= from {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// The shortest digits that are read back as the value and no other. The server's differ from Rust's in two ways: a text half way
/// to the next number isn't taken, and of two equally near ones it takes the even.
fn write_as(value: f64, shown: impl Fn(usize) -> String, length: usize, bits: i64, from: i32) -> String {
    if !value.is_finite() {
        return shortest(&value.to_string(), false, from);
    }
    let Some(half_ways) = half_ways(value, bits) else { return shortest(&shown(length), true, from) };
    let stands_half_way = |text: &String| match Number::read(text) {
        Ok(Number::Finite(found)) => {
            let four = Decimal::new(BigInt::from(found.digits.magnitude().clone()) * 4, found.scale);
            half_ways.iter().any(|half_way| four.compare(half_way).is_eq())
        }
        _ => false,
    };
    let text = (length..=17).map(&shown).find(|text| !stands_half_way(text)).unwrap_or_else(|| shown(length));
    shortest(&text, true, from)
}

/// Four times the points half way to a number's neighbours, where a decimal of few digits can stand there at all.
fn half_ways(value: f64, bits: i64) -> Option<[Decimal; 2]> {
    let unit = ((value.to_bits() >> 52) & 0x7ff) as i64 - 1023 - (bits - 1);
    if !(-1..=200).contains(&unit) {
        return None;
    }
    let twice = (value.abs() / 2_f64.powi(unit as i32)) as i64 * 2;
    Some([twice - 1, twice + 1].map(|odd| Decimal::new(BigInt::from(odd) << (unit + 1) as u64, 0)))
}

/// Digits of Rust's shortest form.
fn length_of(scientific: &str) -> usize {
    scientific.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count()
}

/// Scientific, without zeros at the end.
fn exact(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    format!("{mantissa}e{exponent}")
}

/// As the server writes a `double precision`.
pub(crate) fn write(value: f64) -> String {
    let length = length_of(&format!("{value:e}"));
    let shown = |digits: usize| {
        let even = format!("{value:.*e}", digits - 1);
        exact(&if even.parse() == Ok(value) { even } else { format!("{value:e}") })
    };
    write_as(value, shown, length, 53, 15)
}

/// As the server writes a `real`.
pub(crate) fn write_short(value: f32) -> String {
    let length = length_of(&format!("{value:e}"));
    let shown = |digits: usize| {
        let even = format!("{value:.*e}", digits - 1);
        exact(&if even.parse() == Ok(value) { even } else { format!("{value:e}") })
    };
    write_as(f64::from(value), shown, length, 24, 6)
}

fn parsed(text: &str) -> Result<f64, Failure> {
    text.parse().map_err(|_| Failure::refused(format!("the number {text}")))
}

pub(super) fn text(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(Some(write(parsed(x)?)))
}

pub(super) fn short_text(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(Some(write_short(x.parse().map_err(|_| Failure::refused(format!("the number {x}")))?)))
}

/// As `%.15g`, which is what the server reads back as a numeric.
fn to_digits(value: f64, digits: usize) -> Result<String, Failure> {
    if !value.is_finite() {
        return Ok(shortest(&value.to_string(), false, 0));
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    Ok(Number::read(&format!("{mantissa}e{exponent}"))?.write())
}

pub(super) fn to_numeric(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(Some(to_digits(parsed(x)?, 15)?))
}

pub(super) fn short_to_numeric(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    let value: f32 = x.parse().map_err(|_| Failure::refused(format!("the number {x}")))?;
    Ok(Some(to_digits(f64::from(value), 6)?))
}

/// `pg_numeric_double(x, type)`: the nearest double or real, as a text for the engine.
pub(super) fn from_numeric(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x), Some(ty)] = arguments else { return Ok(None) };
    read_as(x, x, ty)
}

pub(super) fn read(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    read_as(x.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']), x, "double precision")
}

pub(super) fn read_short(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    read_as(x.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']), x, "real")
}

fn read_as(text: &str, given: &str, ty: &str) -> Given<String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let word = unsigned.to_ascii_lowercase();
    if ["nan", "infinity", "inf"].contains(&word.as_str()) {
        let sign = if text.starts_with('-') && word != "nan" { "-" } else { "" };
        return Ok(Some(format!("{sign}{}", if word == "nan" { "NaN" } else { "Infinity" })));
    }
    if word.starts_with("0x") {
        return Err(Failure::refused(format!("the number {given}")));
    }
    let plain = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let Some(value) = text.parse::<f64>().ok().filter(|_| plain) else {
        return Err(Failure::raised("22P02", format!("invalid input syntax for type {ty}: \"{given}\"")));
    };
    let is_zero = !word.split('e').next().unwrap_or_default().bytes().any(|b| (b'1'..=b'9').contains(&b));
    let (infinite, zero, shown) = match ty {
        "real" => {
            let short: f32 = text.parse().unwrap_or_default();
            (short.is_infinite(), short == 0.0, write_short(short))
        }
        _ => (value.is_infinite(), value == 0.0, write(value)),
    };
    if infinite || (zero && !is_zero) {
        return Err(Failure::raised("22003", format!("\"{given}\" is out of range for type {ty}")));
    }
    Ok(Some(shown))
}

/// `pg_float8_calc(operation, x [, y])`; `real` in front of the operation computes with 24 bits.
pub(super) fn calculate(arguments: &Arguments<'_>) -> Given<String> {
    let (Some(Some(operation)), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
        return Ok(None);
    };
    let mut numbers = [0.0; 2];
    for (number, text) in numbers.iter_mut().zip(rest) {
        let Some(text) = text else { return Ok(None) };
        *number = parsed(text)?;
    }
    let [x, y] = numbers;
    if *operation == "real" {
        let result = x as f32;
        judged("cast", f64::from(result), x, 1.0)?;
        return Ok(Some(write_short(result)));
    }
    if let Some(operation) = operation.strip_prefix("real ") {
        let (x, y) = (x as f32, y as f32);
        let result = match operation {
            "+" => x + y,
            "-" => x - y,
            "*" => x * y,
            "/" if y == 0.0 && !x.is_nan() => return Err(super::division_by_zero()),
            "/" => x / y,
            _ => return Err(Failure::refused(format!("the operation {operation}"))),
        };
        judged(operation, f64::from(result), f64::from(x), f64::from(y))?;
        return Ok(Some(write_short(result)));
    }
    let result = double_operation(operation, x, y)?;
    judged(operation, result, x, y)?;
    Ok(Some(write(result)))
}

fn double_operation(operation: &str, x: f64, y: f64) -> Result<f64, Failure> {
    let out_of_range = || Failure::raised("22003", "input is out of range");
    Ok(match operation {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" if y == 0.0 && !x.is_nan() => return Err(super::division_by_zero()),
        "/" => x / y,
        "round" => x.round_ties_even(),
        "ceil" => x.ceil(),
        "floor" => x.floor(),
        "trunc" => x.trunc(),
        "abs" => x.abs(),
        "sign" if x > 0.0 => 1.0,
        "sign" if x < 0.0 => -1.0,
        "sign" => 0.0,
        "sqrt" if x < 0.0 => return Err(Failure::raised("2201F", "cannot take square root of a negative number")),
        "sqrt" => x.sqrt(),
        "exp" => x.exp(),
        "ln" | "log" if x == 0.0 => return Err(Failure::raised("2201E", "cannot take logarithm of zero")),
        "ln" | "log" if x < 0.0 => {
            return Err(Failure::raised("2201E", "cannot take logarithm of a negative number"));
        }
        "ln" => x.ln(),
        "log" => x.log10(),
        "power" if x == 0.0 && y < 0.0 => {
            return Err(Failure::raised("2201F", "zero raised to a negative power is undefined"));
        }
        "power" if x < 0.0 && y.is_finite() && y.fract() != 0.0 => {
            return Err(Failure::raised(
                "2201F",
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        "power" => x.powf(y),
        "sin" | "cos" | "tan" if x.is_infinite() => return Err(out_of_range()),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tan" => x.tan(),
        "asin" | "acos" if x.abs() > 1.0 => return Err(out_of_range()),
        "asin" => x.asin(),
        "acos" => x.acos(),
        "atan" => x.atan(),
        "atan2" => x.atan2(y),
        "degrees" => x / (std::f64::consts::PI / 180.0),
        "radians" => x * (std::f64::consts::PI / 180.0),
        _ => match super::degrees::operation(operation, x, y)? {
            Some(value) => value,
            None => return Err(Failure::refused(format!("the operation {operation}"))),
        },
    })
}

/// `pg_float_bucket(operand, low, high, count)`
pub(super) fn bucket(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(operand), Some(low), Some(high), Some(count)] = arguments else { return Ok(None) };
    let count = count.parse().map_err(|_| Failure::refused(format!("the number {count}")))?;
    super::degrees::bucket(parsed(operand)?, parsed(low)?, parsed(high)?, count).map(Some)
}

/// An infinity of finite numbers is an overflow, a zero of numbers that aren't an underflow.
fn judged(operation: &str, result: f64, x: f64, y: f64) -> Result<(), Failure> {
    let reaches = ["tand", "cotd", "cot", "sinh", "cosh"].contains(&operation);
    if result.is_infinite() && x.is_finite() && y.is_finite() && !reaches {
        return Err(Failure::raised("22003", "value out of range: overflow"));
    }
    let vanishes = match operation {
        "*" => x != 0.0 && y != 0.0,
        "/" => x != 0.0 && y.is_finite(),
        "exp" => x.is_finite(),
        "cast" => x != 0.0,
        "power" => x != 0.0 && x.is_finite() && y.is_finite(),
        _ => false,
    };
    if result == 0.0 && vanishes {
        return Err(Failure::raised("22003", "value out of range: underflow"));
    }
    Ok(())
}
