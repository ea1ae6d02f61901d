//! PostgreSQL's `numeric`: a decimal of any length that keeps its display scale, or NaN, or an infinity.
//!
//! Input: PostgreSQL's text form. Output: the same. Invariants: sums, differences and products are exact; a quotient has the
//! scale that the server's `select_div_scale` gives it, and everything that is rounded is rounded half away from zero.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use crate::native::Failure;

/// Digits of a result that isn't exact, at least.
pub(super) const SIGNIFICANT: i64 = 16;
/// The most digits after the point that a computed result has.
pub(super) const MOST_SCALE: i64 = 1000;
/// The most digits after the point that a value has.
const MOST_STORED_SCALE: u32 = 16383;
/// The most digits before the point.
const MOST_WHOLE: i64 = 131_072;

/// A value of type numeric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    NaN,
    /// Negative?
    Infinity(bool),
    Finite(Decimal),
}

/// `digits` / 10^`scale`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    pub digits: BigInt,
    pub scale: u32,
}

pub(super) fn overflow() -> Failure {
    Failure::raised("22003", "value overflows numeric format")
}

pub(super) fn division_by_zero() -> Failure {
    Failure::raised("22012", "division by zero")
}

pub(super) fn power_of_ten(exponent: u32) -> BigInt {
    match exponent {
        0..=37 => BigInt::from(10_u128.pow(exponent)),
        _ => BigInt::from(10).pow(exponent),
    }
}

/// A quotient rounded half away from zero.
pub(super) fn rounded_quotient(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let quotient = dividend / divisor;
    let rest = dividend - &quotient * divisor;
    if rest.magnitude() * 2_u8 < *divisor.magnitude() {
        return quotient;
    }
    if (dividend.sign() == Sign::Minus) == (divisor.sign() == Sign::Minus) { quotient + 1 } else { quotient - 1 }
}

impl Number {
    /// Reads what `numeric_in` reads.
    pub fn read(text: &str) -> Result<Number, Failure> {
        let invalid = || Failure::raised("22P02", format!("invalid input syntax for type numeric: \"{text}\""));
        let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        let (negative, unsigned) = match trimmed.as_bytes().first() {
            Some(b'-') => (true, &trimmed[1..]),
            Some(b'+') => (false, &trimmed[1..]),
            _ => (false, trimmed),
        };
        if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return match unsigned.to_ascii_lowercase().as_str() {
                "nan" if unsigned.len() == trimmed.len() => Ok(Number::NaN),
                "infinity" | "inf" => Ok(Number::Infinity(negative)),
                _ => Err(invalid()),
            };
        }
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => {
                let exponent = &unsigned[at + 1..];
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(invalid());
                }
                let exponent: i64 = exponent.parse().map_err(|_| overflow())?;
                if exponent.abs() >= i64::from(i32::MAX / 2) {
                    return Err(overflow());
                }
                (&unsigned[..at], exponent)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return Err(invalid());
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0').len() as i64;
        let scale = fraction.len() as i64 - exponent;
        if significant > 0 && significant - scale > MOST_WHOLE {
            return Err(overflow());
        }
        let mut value = match digits.parse::<i128>() {
            Ok(small) => BigInt::from(small),
            Err(_) => digits.parse().map_err(|_| invalid())?,
        };
        if negative {
            value = -value;
        }
        if scale < 0 {
            if significant > 0 {
                value *= power_of_ten((-scale) as u32);
            }
            return Ok(Number::Finite(Decimal { digits: value, scale: 0 }));
        }
        let decimal = Decimal { digits: value, scale: u32::try_from(scale).map_err(|_| overflow())? };
        Ok(Number::Finite(if scale > i64::from(MOST_STORED_SCALE) {
            decimal.rounded(MOST_STORED_SCALE as i64)
        } else {
            decimal
        }))
    }

    pub fn write(&self) -> String {
        match self {
            Number::NaN => "NaN".to_owned(),
            Number::Infinity(true) => "-Infinity".to_owned(),
            Number::Infinity(false) => "Infinity".to_owned(),
            Number::Finite(decimal) => decimal.write(),
        }
    }

    /// NaN is equal to itself and greater than all else.
    pub fn compare(&self, other: &Number) -> Ordering {
        let rank = |number: &Number| match number {
            Number::Infinity(true) => 0,
            Number::Finite(_) => 1,
            Number::Infinity(false) => 2,
            Number::NaN => 3,
        };
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => a.compare(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }

    /// A text that sorts, byte by byte, as the values do; equal values have equal texts.
    pub fn key(&self) -> String {
        let decimal = match self {
            Number::NaN => return "5".to_owned(),
            Number::Infinity(true) => return "0".to_owned(),
            Number::Infinity(false) => return "4".to_owned(),
            Number::Finite(decimal) => decimal,
        };
        let text = decimal.digits.magnitude().to_string();
        let significant = text.trim_end_matches('0');
        if significant.is_empty() {
            return "2".to_owned();
        }
        let exponent = text.len() as i64 - i64::from(decimal.scale) + 200_000;
        if decimal.digits.sign() == Sign::Minus {
            let complement: String = significant.bytes().map(|b| (b'0' + b'9' - b) as char).collect();
            return format!("1{:06}{complement}~", 999_999 - exponent);
        }
        format!("3{exponent:06}{significant}")
    }

    /// -1, 0 or 1; nothing for NaN.
    pub fn sign(&self) -> Option<i32> {
        match self {
            Number::NaN => None,
            Number::Infinity(negative) => Some(if *negative { -1 } else { 1 }),
            Number::Finite(decimal) => Some(match decimal.digits.sign() {
                Sign::Minus => -1,
                Sign::NoSign => 0,
                Sign::Plus => 1,
            }),
        }
    }
}

impl Decimal {
    pub fn new(digits: impl Into<BigInt>, scale: u32) -> Decimal {
        Decimal { digits: digits.into(), scale }
    }

    pub fn is_zero(&self) -> bool {
        self.digits.sign() == Sign::NoSign
    }

    pub fn is_negative(&self) -> bool {
        self.digits.sign() == Sign::Minus
    }

    pub fn write(&self) -> String {
        let magnitude = self.digits.magnitude().to_string();
        let scale = self.scale as usize;
        let mut text = String::with_capacity(magnitude.len() + 3);
        if self.is_negative() {
            text.push('-');
        }
        if scale == 0 {
            text.push_str(&magnitude);
        } else if magnitude.len() > scale {
            text.push_str(&magnitude[..magnitude.len() - scale]);
            text.push('.');
            text.push_str(&magnitude[magnitude.len() - scale..]);
        } else {
            text.push_str("0.");
            text.extend(std::iter::repeat_n('0', scale - magnitude.len()));
            text.push_str(&magnitude);
        }
        text
    }

    /// The digits at a scale that is at least its own.
    pub fn at_scale(&self, scale: u32) -> BigInt {
        if scale == self.scale { self.digits.clone() } else { &self.digits * power_of_ten(scale - self.scale) }
    }

    pub fn compare(&self, other: &Decimal) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.at_scale(scale).cmp(&other.at_scale(scale))
    }

    /// The decimal exponent of its first digit.
    pub fn exponent(&self) -> i64 {
        self.digits.magnitude().to_string().len() as i64 - 1 - i64::from(self.scale)
    }

    /// The exponent, to the base 10000, of its first digit in that base, and the digit: the server stores it so.
    pub fn weight(&self) -> (i64, i64) {
        if self.is_zero() {
            return (0, 0);
        }
        let text = self.digits.magnitude().to_string();
        let exponent = text.len() as i64 - 1 - i64::from(self.scale);
        let weight = exponent.div_euclid(4);
        let places = (exponent - weight * 4 + 1) as usize;
        let mut first = text;
        first.extend(std::iter::repeat_n('0', 4));
        (weight, first[..places].parse().unwrap_or_default())
    }

    /// Rounded to so many digits after the point, which may be negative; the scale becomes that.
    pub fn rounded(&self, scale: i64) -> Decimal {
        self.shortened(scale, rounded_quotient)
    }

    /// The same, cut.
    pub fn truncated(&self, scale: i64) -> Decimal {
        self.shortened(scale, |dividend, divisor| dividend / divisor)
    }

    fn shortened(&self, scale: i64, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Decimal {
        let own = i64::from(self.scale);
        let kept = scale.max(0) as u32;
        if scale >= own {
            return Decimal::new(self.at_scale(kept), kept);
        }
        let away = own - scale;
        if away > self.digits.magnitude().bits() as i64 + 1 {
            return Decimal::new(0, kept);
        }
        let digits = divide(&self.digits, &power_of_ten(away as u32));
        if scale < 0 { Decimal::new(digits * power_of_ten((-scale) as u32), 0) } else { Decimal::new(digits, kept) }
    }

    pub fn plus(&self, other: &Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        Decimal::new(self.at_scale(scale) + other.at_scale(scale), scale)
    }

    pub fn negated(&self) -> Decimal {
        Decimal::new(-self.digits.clone(), self.scale)
    }

    pub fn times(&self, other: &Decimal) -> Decimal {
        let product = Decimal::new(&self.digits * &other.digits, self.scale + other.scale);
        if product.scale > MOST_STORED_SCALE { product.rounded(i64::from(MOST_STORED_SCALE)) } else { product }
    }

    /// The quotient at a scale.
    pub fn over(&self, other: &Decimal, scale: i64, round: bool) -> Decimal {
        let shift = scale + i64::from(other.scale) - i64::from(self.scale);
        let (mut dividend, mut divisor) = (self.digits.clone(), other.digits.clone());
        if shift >= 0 {
            dividend *= power_of_ten(shift as u32);
        } else {
            divisor *= power_of_ten((-shift) as u32);
        }
        let digits = if round { rounded_quotient(&dividend, &divisor) } else { dividend / divisor };
        Decimal::new(digits, scale as u32)
    }

    /// The scale that the server gives a quotient.
    pub fn division_scale(&self, other: &Decimal) -> i64 {
        let ((weight, first), (other_weight, other_first)) = (self.weight(), other.weight());
        let mut quotient_weight = weight - other_weight;
        if first <= other_first {
            quotient_weight -= 1;
        }
        (SIGNIFICANT - quotient_weight * 4).max(i64::from(self.scale)).max(i64::from(other.scale)).clamp(0, MOST_SCALE)
    }

    pub fn divided_by(&self, other: &Decimal) -> Result<Decimal, Failure> {
        if other.is_zero() {
            return Err(division_by_zero());
        }
        Ok(self.over(other, self.division_scale(other), true))
    }

    pub fn remainder(&self, other: &Decimal) -> Result<Decimal, Failure> {
        if other.is_zero() {
            return Err(division_by_zero());
        }
        let scale = self.scale.max(other.scale);
        Ok(Decimal::new(self.at_scale(scale) % other.at_scale(scale), scale))
    }

    /// Refused where it has more digits before the point than a numeric may have.
    pub fn checked(self) -> Result<Decimal, Failure> {
        if self.digits.magnitude().bits() > 300_000 && self.exponent() >= MOST_WHOLE {
            return Err(overflow());
        }
        Ok(self)
    }

    /// The nearest double.
    pub fn to_double(&self) -> f64 {
        self.write().parse().unwrap_or(f64::NAN)
    }

    /// The whole number it is, where it is one.
    pub fn as_whole(&self) -> Option<BigInt> {
        let whole = self.truncated(0);
        (whole.compare(self) == Ordering::Equal).then_some(whole.digits)
    }
}
