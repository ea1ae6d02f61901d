//! Functions of `numeric` over PostgreSQL's text form of its values.
//!
//! Input: numbers as the server writes them, with their display scale. Output: the same, or a key that sorts and compares as the
//! values do. Invariants: results are the server's digit for digit, or its error, or a refusal. Left out: numbers of other types,
//! which the translation turns into text first.

mod aggregate;
mod calculus;
mod decimal;
mod degrees;
mod double;
mod series;
mod shown;
mod statistics;
mod written;

pub(crate) use double::{write as double_text, write_short as real_text};

use decimal::{Decimal, Number, division_by_zero, overflow};
use num_bigint::{BigInt, Sign};

use super::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_float_spread", Native::Text(statistics::of_values)),
    ("pg_float_bucket", Native::Whole(double::bucket)),
    ("pg_numeric_series", Native::Texts(series::steps)),
    ("pg_to_char_number", Native::Text(shown::number)),
    ("pg_to_char_double", Native::Text(shown::double)),
    ("pg_to_number", Native::Text(written::read)),
    ("pg_size_pretty", Native::Text(series::size)),
    ("pg_float_pairs", Native::Text(statistics::of_pairs)),
    ("pg_numeric_in", Native::Text(|a| one(a, Ok))),
    ("pg_numeric_key", Native::Text(key_of)),
    ("pg_numeric_fit", Native::Text(fit)),
    ("pg_numeric_finite", Native::Text(only_finite)),
    ("pg_numeric_greatest", Native::Text(|a| extreme(a, true))),
    ("pg_numeric_least", Native::Text(|a| extreme(a, false))),
    ("pg_numeric_integer", Native::Whole(integer)),
    ("pg_numeric_double", Native::Text(double::from_numeric)),
    ("pg_numeric_add", Native::Text(|a| two(a, |x, y| Ok(add(&x, &y))))),
    ("pg_numeric_sub", Native::Text(|a| two(a, |x, y| Ok(add(&x, &negated(y)))))),
    ("pg_numeric_mul", Native::Text(|a| two(a, multiply))),
    ("pg_numeric_div", Native::Text(|a| two(a, |x, y| divide(&x, &y)))),
    ("pg_numeric_mod", Native::Text(|a| two(a, remainder))),
    ("pg_numeric_idiv", Native::Text(|a| two(a, whole_quotient))),
    ("pg_numeric_power", Native::Text(|a| two(a, power))),
    ("pg_numeric_log", Native::Text(|a| two(a, logarithm))),
    ("pg_numeric_gcd", Native::Text(|a| two(a, |x, y| common(&x, &y, false)))),
    ("pg_numeric_lcm", Native::Text(|a| two(a, |x, y| common(&x, &y, true)))),
    ("pg_numeric_neg", Native::Text(|a| one(a, |x| Ok(negated(x))))),
    ("pg_numeric_abs", Native::Text(|a| one(a, |x| Ok(if x.sign() == Some(-1) { negated(x) } else { x })))),
    ("pg_numeric_sign", Native::Text(|a| one(a, |x| Ok(x.sign().map_or(Number::NaN, whole))))),
    ("pg_numeric_ceil", Native::Text(|a| one(a, |x| finite(x, |d| Ok(towards(d, 1)))))),
    ("pg_numeric_floor", Native::Text(|a| one(a, |x| finite(x, |d| Ok(towards(d, -1)))))),
    ("pg_numeric_round", Native::Text(|a| at_scale(a, Decimal::rounded))),
    ("pg_numeric_trunc", Native::Text(|a| at_scale(a, Decimal::truncated))),
    ("pg_numeric_sqrt", Native::Text(|a| one(a, root))),
    ("pg_numeric_exp", Native::Text(|a| one(a, exponential))),
    ("pg_numeric_ln", Native::Text(|a| one(a, natural_logarithm))),
    ("pg_numeric_factorial", Native::Text(factorial)),
    ("pg_numeric_scale", Native::Whole(|a| scale(a, |d| d.scale))),
    ("pg_numeric_min_scale", Native::Whole(|a| scale(a, |d| trimmed(d).scale))),
    ("pg_numeric_trim", Native::Text(|a| one(a, |x| finite(x, |d| Ok(trimmed(&d)))))),
    ("pg_numeric_bucket", Native::Whole(bucket)),
    ("pg_numeric_sum", Native::Text(aggregate::sum)),
    ("pg_numeric_avg", Native::Text(aggregate::average)),
    ("pg_numeric_spread", Native::Text(aggregate::spread)),
    ("pg_float8_text", Native::Text(double::text)),
    ("pg_float4_text", Native::Text(double::short_text)),
    ("pg_float8_numeric", Native::Text(double::to_numeric)),
    ("pg_float4_numeric", Native::Text(double::short_to_numeric)),
    ("pg_float8_in", Native::Text(double::read)),
    ("pg_float4_in", Native::Text(double::read_short)),
    ("pg_float8_calc", Native::Text(double::calculate)),
];

fn one(arguments: &Arguments<'_>, function: impl Fn(Number) -> Result<Number, Failure>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(Some(function(Number::read(x)?)?.write()))
}

fn two(arguments: &Arguments<'_>, function: impl Fn(Number, Number) -> Result<Number, Failure>) -> Given<String> {
    let [Some(x), Some(y)] = arguments else { return Ok(None) };
    Ok(Some(function(Number::read(x)?, Number::read(y)?)?.write()))
}

fn finite(x: Number, function: impl Fn(Decimal) -> Result<Decimal, Failure>) -> Result<Number, Failure> {
    match x {
        Number::Finite(decimal) => Ok(Number::Finite(function(decimal)?)),
        other => Ok(other),
    }
}

fn whole(value: i32) -> Number {
    Number::Finite(Decimal::new(value, 0))
}

fn key_of(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(Some(Number::read(x)?.key()))
}

/// `pg_numeric_fit(x, precision, scale)`: what a column of numeric(precision, scale) keeps of a value.
fn fit(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x), Some(precision), Some(scale)] = arguments else { return Ok(None) };
    let (precision, scale) = (small(precision)?, small(scale)?);
    let overflow = |detail: String| {
        Failure::raised(
            "22003",
            format!("numeric field overflow|A field with precision {precision}, scale {scale} {detail}"),
        )
    };
    match Number::read(x)? {
        Number::NaN => Ok(Some("NaN".to_owned())),
        Number::Infinity(_) => Err(overflow("cannot hold an infinite value.".to_owned())),
        Number::Finite(decimal) => {
            let kept = decimal.rounded(scale);
            let room = precision - scale;
            if !kept.is_zero() && kept.exponent() >= room {
                let room = if room == 0 { "1".to_owned() } else { format!("10^{room}") };
                return Err(overflow(format!("must round to an absolute value less than {room}.")));
            }
            Ok(Some(kept.write()))
        }
    }
}

/// A value that a decimal of the engine can hold.
fn only_finite(arguments: &Arguments<'_>) -> Given<String> {
    match arguments {
        [Some("NaN")] => Err(Failure::refused("NaN in a numeric with precision")),
        [Some(x)] => Ok(Some((*x).to_owned())),
        _ => Ok(None),
    }
}

/// GREATEST and LEAST: NULLs, which come as empty texts, are passed over.
fn extreme(arguments: &Arguments<'_>, greatest: bool) -> Given<String> {
    let mut found: Option<Number> = None;
    for text in arguments.iter().flatten().filter(|text| !text.is_empty()) {
        let number = Number::read(text)?;
        let better = found.as_ref().is_none_or(|best| {
            let order = number.compare(best);
            if greatest { order.is_gt() } else { order.is_lt() }
        });
        if better {
            found = Some(number);
        }
    }
    Ok(found.map(|number| number.write()))
}

/// The server's text of a numeric.
///
/// # Errors
/// 22P02 and 22003, as `numeric_in`.
pub(crate) fn canonical(text: &str) -> Result<String, Failure> {
    Ok(Number::read(text)?.write())
}

/// The same, with a precision and a scale.
///
/// # Errors
/// As [`canonical`], and 22003 where it doesn't fit.
pub(crate) fn fitted(text: &str, precision: u32, scale: i32) -> Result<String, Failure> {
    let canonical = canonical(text)?;
    let (precision, scale) = (precision.to_string(), scale.to_string());
    Ok(fit(&[Some(&canonical), Some(&precision), Some(&scale)])?.unwrap_or_default())
}

/// The server's text of a double, or of a real.
///
/// # Errors
/// 22P02 and 22003, as `float8in`.
pub(crate) fn float(text: &str, short: bool) -> Result<String, Failure> {
    let read = if short { double::read_short } else { double::read };
    Ok(read(&[Some(text)])?.unwrap_or_default())
}

/// A numeric rounded to a scale.
///
/// # Errors
/// As [`canonical`].
pub(crate) fn rounded(text: &str, scale: i64) -> Result<String, Failure> {
    Ok(finite(Number::read(text)?, |decimal| Ok(decimal.rounded(scale)))?.write())
}

/// What a numeric sorts by; nothing for a text that isn't one.
pub(crate) fn key(text: &str) -> Option<String> {
    Number::read(text).ok().map(|number| number.key())
}

/// A parameter of the translation's own making.
fn small(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::refused(format!("the parameter {text}")))
}

/// `pg_numeric_integer(x, type)`
fn integer(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(x), Some(ty)] = arguments else { return Ok(None) };
    let decimal = match Number::read(x)? {
        Number::NaN => return Err(Failure::raised("0A000", format!("cannot convert NaN to {ty}"))),
        Number::Infinity(_) => return Err(Failure::raised("0A000", format!("cannot convert infinity to {ty}"))),
        Number::Finite(decimal) => decimal,
    };
    let value = i64::try_from(&decimal.rounded(0).digits).ok().filter(|value| match *ty {
        "smallint" => i16::try_from(*value).is_ok(),
        "integer" => i32::try_from(*value).is_ok(),
        _ => true,
    });
    value.map(Some).ok_or_else(|| Failure::raised("22003", format!("{ty} out of range")))
}

fn negated(x: Number) -> Number {
    match x {
        Number::NaN => Number::NaN,
        Number::Infinity(negative) => Number::Infinity(!negative),
        Number::Finite(decimal) => Number::Finite(decimal.negated()),
    }
}

fn add(x: &Number, y: &Number) -> Number {
    match (x, y) {
        (Number::NaN, _) | (_, Number::NaN) => Number::NaN,
        (Number::Infinity(a), Number::Infinity(b)) if a != b => Number::NaN,
        (Number::Infinity(negative), _) | (_, Number::Infinity(negative)) => Number::Infinity(*negative),
        (Number::Finite(a), Number::Finite(b)) => Number::Finite(a.plus(b)),
    }
}

fn multiply(x: Number, y: Number) -> Result<Number, Failure> {
    Ok(match (&x, &y) {
        (Number::Finite(a), Number::Finite(b)) => Number::Finite(a.times(b).checked()?),
        _ => match (x.sign(), y.sign()) {
            (Some(a), Some(b)) if a * b != 0 => Number::Infinity(a * b < 0),
            _ => Number::NaN,
        },
    })
}

fn divide(x: &Number, y: &Number) -> Result<Number, Failure> {
    match (x, y) {
        (Number::Finite(a), Number::Finite(b)) => Ok(Number::Finite(a.divided_by(b)?)),
        (Number::NaN, _) | (_, Number::NaN) | (Number::Infinity(_), Number::Infinity(_)) => Ok(Number::NaN),
        (Number::Infinity(negative), Number::Finite(b)) => match b.is_zero() {
            true => Err(division_by_zero()),
            false => Ok(Number::Infinity(*negative != b.is_negative())),
        },
        (Number::Finite(_), Number::Infinity(_)) => Ok(whole(0)),
    }
}

fn remainder(x: Number, y: Number) -> Result<Number, Failure> {
    match (&x, &y) {
        (Number::Finite(a), Number::Finite(b)) => Ok(Number::Finite(a.remainder(b)?)),
        (Number::NaN, _) | (_, Number::NaN) => Ok(Number::NaN),
        (Number::Infinity(_), Number::Finite(b)) if b.is_zero() => Err(division_by_zero()),
        (Number::Infinity(_), _) => Ok(Number::NaN),
        (Number::Finite(_), Number::Infinity(_)) => Ok(x),
    }
}

/// `div`: the quotient without its fraction.
fn whole_quotient(x: Number, y: Number) -> Result<Number, Failure> {
    match (&x, &y) {
        (Number::Finite(_), Number::Finite(b)) if b.is_zero() => Err(division_by_zero()),
        (Number::Finite(a), Number::Finite(b)) => Ok(Number::Finite(a.over(b, 0, false))),
        _ => divide(&x, &y),
    }
}

fn power(x: Number, y: Number) -> Result<Number, Failure> {
    match (&x, &y) {
        (Number::Finite(a), Number::Finite(b)) => Ok(Number::Finite(calculus::power(a, b)?)),
        (Number::NaN, Number::Finite(b)) if b.is_zero() => Ok(whole(1)),
        (Number::Finite(a), Number::NaN) if a.compare(&Decimal::new(1, 0)).is_eq() => Ok(whole(1)),
        (Number::NaN, _) | (_, Number::NaN) => Ok(Number::NaN),
        _ => Err(Failure::refused("a power of infinity")),
    }
}

fn logarithm(base: Number, x: Number) -> Result<Number, Failure> {
    match (&base, &x) {
        (Number::Finite(base), Number::Finite(x)) => Ok(Number::Finite(calculus::logarithm(base, x)?)),
        (Number::NaN, _) | (_, Number::NaN) => Ok(Number::NaN),
        _ => Err(Failure::refused("a logarithm of infinity")),
    }
}

fn root(x: Number) -> Result<Number, Failure> {
    match x {
        Number::Infinity(true) => Err(Failure::raised("2201F", "cannot take square root of a negative number")),
        x => finite(x, |d| calculus::square_root(&d)),
    }
}

fn exponential(x: Number) -> Result<Number, Failure> {
    match x {
        Number::Infinity(true) => Ok(whole(0)),
        x => finite(x, |d| calculus::exponential(&d)),
    }
}

fn natural_logarithm(x: Number) -> Result<Number, Failure> {
    match x {
        Number::Infinity(true) => Err(Failure::raised("2201E", "cannot take logarithm of a negative number")),
        x => finite(x, |d| calculus::natural_logarithm(&d)),
    }
}

/// The nearest whole number above (1) or below (-1).
fn towards(decimal: Decimal, direction: i32) -> Decimal {
    let cut = decimal.truncated(0);
    let beyond = match direction {
        1 => decimal.compare(&cut).is_gt(),
        _ => decimal.compare(&cut).is_lt(),
    };
    if beyond { Decimal::new(cut.digits + direction, 0) } else { cut }
}

/// `round(x, n)` and `trunc(x, n)`; without `n`, to a whole number.
fn at_scale(arguments: &Arguments<'_>, function: impl Fn(&Decimal, i64) -> Decimal) -> Given<String> {
    let (x, scale) = match arguments {
        [Some(x)] => (x, 0),
        [Some(x), Some(scale)] => (x, small(scale)?.clamp(-2000, 2000)),
        _ => return Ok(None),
    };
    Ok(Some(finite(Number::read(x)?, |decimal| Ok(function(&decimal, scale)))?.write()))
}

fn trimmed(decimal: &Decimal) -> Decimal {
    let text = decimal.digits.magnitude().to_string();
    let zeros = (text.len() - text.trim_end_matches('0').len()) as u32;
    let scale = if decimal.is_zero() { 0 } else { decimal.scale - zeros.min(decimal.scale) };
    decimal.truncated(i64::from(scale))
}

fn scale(arguments: &Arguments<'_>, function: impl Fn(&Decimal) -> u32) -> Given<i64> {
    let [Some(x)] = arguments else { return Ok(None) };
    Ok(match Number::read(x)? {
        Number::Finite(decimal) => Some(i64::from(function(&decimal))),
        _ => None,
    })
}

/// The greatest common divisor, or the least common multiple.
fn common(x: &Number, y: &Number, multiple: bool) -> Result<Number, Failure> {
    let (Number::Finite(a), Number::Finite(b)) = (x, y) else { return Ok(Number::NaN) };
    let scale = a.scale.max(b.scale);
    let (mut p, mut q) = (a.at_scale(scale), b.at_scale(scale));
    if multiple && (a.is_zero() || b.is_zero()) {
        return Ok(Number::Finite(Decimal::new(0, scale)));
    }
    let product = &p * &q;
    while q.sign() != Sign::NoSign {
        (p, q) = (q.clone(), p % q);
    }
    let digits = if multiple { product / p } else { p };
    let digits = BigInt::from(digits.magnitude().clone());
    Ok(Number::Finite(Decimal::new(digits, scale).checked()?))
}

fn factorial(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(x)] = arguments else { return Ok(None) };
    let n = small(x)?;
    if n < 0 {
        return Err(Failure::raised("22003", "factorial of a negative number is undefined"));
    }
    if n > 32177 {
        return Err(overflow());
    }
    Ok(Some((2..=n).fold(BigInt::from(1), |product, factor| product * factor).to_string()))
}

/// `width_bucket(x, low, high, count)`
fn bucket(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(x), Some(low), Some(high), Some(count)] = arguments else { return Ok(None) };
    let count = small(count)?;
    if count <= 0 {
        return Err(Failure::raised("2201G", "count must be greater than zero"));
    }
    let (x, low, high) = (Number::read(x)?, Number::read(low)?, Number::read(high)?);
    if [&x, &low, &high].contains(&&Number::NaN) {
        return Err(Failure::raised("2201G", "operand, lower bound, and upper bound cannot be NaN"));
    }
    let (Number::Finite(low), Number::Finite(high)) = (&low, &high) else {
        return Err(Failure::raised("2201G", "lower and upper bounds must be finite"));
    };
    let order = low.compare(high);
    if order.is_eq() {
        return Err(Failure::raised("2201G", "lower bound cannot equal upper bound"));
    }
    let bounds = (Number::Finite(low.clone()), Number::Finite(high.clone()));
    let (before, after) = match order.is_lt() {
        true => (x.compare(&bounds.0).is_lt(), x.compare(&bounds.1).is_ge()),
        false => (x.compare(&bounds.0).is_gt(), x.compare(&bounds.1).is_le()),
    };
    if before || after {
        return Ok(Some(if before { 0 } else { count + 1 }));
    }
    let Number::Finite(x) = x else { return Ok(None) };
    let (distance, width) = (x.plus(&low.negated()), high.plus(&low.negated()));
    let place = distance.times(&Decimal::new(count, 0)).over(&width, 0, false);
    Ok(i64::try_from(&place.digits).ok().map(|place| place + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn quotients_have_the_servers_scale() {
        check("pg_numeric_div", &["10", "3.0"], "3.3333333333333333");
        check("pg_numeric_div", &["1", "3"], "0.33333333333333333333");
        check("pg_numeric_div", &["123456789012345678901234567890", "7"], "17636684144620811271604938270");
        check("pg_numeric_div", &["1", "0"], "22012");
        check("pg_numeric_mod", &["-5.5", "2"], "-1.5");
        check("pg_numeric_power", &["2.0", "0.5"], "1.4142135623730950");
    }

    #[test]
    fn the_display_scale_is_kept_and_the_key_ignores_it() {
        check("pg_numeric_in", &[" 1.50e1 "], "15.0");
        check("pg_numeric_mul", &["1.50", "2.00"], "3.0000");
        check("pg_numeric_fit", &["99.995", "4", "2"], "22003");
        check("pg_numeric_round", &["-2.5"], "-3");
        let keys: Vec<String> =
            ["-10", "-9.5", "0.0", "0.05", "1.10", "9.50", "10", "NaN"].iter().filter_map(|n| key(n)).collect();
        assert!(keys.is_sorted() && keys.len() == 8, "{keys:?}");
        assert_eq!(key("1.10"), key("1.1"));
    }

    #[test]
    fn doubles_are_written_as_the_server_writes_them() {
        check("pg_float8_text", &["1e15"], "1e+15");
        check("pg_float8_text", &["0.00001"], "1e-05");
        check("pg_float8_text", &["29537365490414848"], "2.9537365490414848e+16");
        check("pg_float4_text", &["1e6"], "1e+06");
        check("pg_float8_calc", &["*", "1e308", "10"], "22003");
        check("pg_float8_calc", &["round", "2.5"], "2");
    }
}
