//! Roots, powers, exponentials and logarithms of decimals.
//!
//! The scale of each result is chosen as the server chooses it (`numeric.c`: `numeric_sqrt`, `power_var`, `numeric_exp`,
//! `numeric_ln`, `log_var`); the digits are computed with room to spare and rounded half away from zero. Invariant: arguments are
//! finite; those that a function isn't defined for are the server's errors.

use num_bigint::BigInt;

use super::decimal::{Decimal, MOST_SCALE, SIGNIFICANT, division_by_zero, overflow, power_of_ten};
use crate::native::Failure;

/// Bits beyond those that a result needs.
const SPARE_BITS: i64 = 96;
/// Digits of an exact power beyond which it is computed by logarithms.
const EXACT_DIGITS: i64 = 60_000;

pub(super) fn square_root(value: &Decimal) -> Result<Decimal, Failure> {
    if value.is_negative() {
        return Err(Failure::raised("2201F", "cannot take square root of a negative number"));
    }
    let (weight, _) = value.weight();
    let result_weight = if weight >= 0 { weight * 4 / 2 + 1 } else { 1 - (1 - weight * 4) / 2 };
    let scale = (SIGNIFICANT - result_weight).max(i64::from(value.scale)).clamp(0, MOST_SCALE);
    Ok(root_at(value, scale))
}

/// The root at a scale.
pub(super) fn root_at(value: &Decimal, scale: i64) -> Decimal {
    // One digit more than asked for decides the rounding: a root is never exactly half way.
    let root = value.at_or_cut(2 * (scale + 1)).sqrt();
    Decimal::new(root, scale as u32 + 1).rounded(scale)
}

pub(super) fn exponential(value: &Decimal) -> Result<Decimal, Failure> {
    let estimate = value.to_double() * std::f64::consts::LOG10_E;
    let scale = SIGNIFICANT - estimate.clamp(-2000.0, 2000.0) as i64;
    let scale = scale.max(i64::from(value.scale)).clamp(0, MOST_SCALE);
    let estimate = value.to_double();
    if estimate.abs() >= 6000.0 {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Decimal::new(0, scale as u32)) };
    }
    let fixed = Fixed::for_result(estimate * std::f64::consts::LOG2_E, scale);
    Ok(fixed.decimal(&fixed.exponential(&fixed.fixed(value)), scale))
}

fn needs_logarithm(value: &Decimal) -> Result<(), Failure> {
    if value.is_zero() {
        return Err(Failure::raised("2201E", "cannot take logarithm of zero"));
    }
    if value.is_negative() {
        return Err(Failure::raised("2201E", "cannot take logarithm of a negative number"));
    }
    Ok(())
}

pub(super) fn natural_logarithm(value: &Decimal) -> Result<Decimal, Failure> {
    needs_logarithm(value)?;
    let scale = (SIGNIFICANT - logarithm_weight(value)).max(i64::from(value.scale)).clamp(0, MOST_SCALE);
    let fixed = Fixed::for_result(0.0, scale);
    Ok(fixed.decimal(&fixed.logarithm(value), scale))
}

pub(super) fn logarithm(base: &Decimal, value: &Decimal) -> Result<Decimal, Failure> {
    needs_logarithm(base)?;
    needs_logarithm(value)?;
    let weight = logarithm_weight(value) - logarithm_weight(base);
    let scale = SIGNIFICANT - weight;
    let scale = scale.max(i64::from(base.scale)).max(i64::from(value.scale)).clamp(0, MOST_SCALE);
    // Logarithms near zero make large quotients: as many digits again.
    let fixed = Fixed::for_result(0.0, 2 * scale + logarithm_weight(base).abs() + 20);
    let (numerator, denominator) = (fixed.logarithm(value), fixed.logarithm(base));
    if denominator == BigInt::ZERO {
        return Err(division_by_zero());
    }
    Ok(Decimal::new(numerator, 0).over(&Decimal::new(denominator, 0), scale, true))
}

pub(super) fn power(base: &Decimal, exponent: &Decimal) -> Result<Decimal, Failure> {
    let whole = exponent.as_whole();
    if base.is_zero() && exponent.is_negative() {
        return Err(Failure::raised("2201F", "zero raised to a negative power is undefined"));
    }
    if base.is_negative() && whole.is_none() {
        return Err(Failure::raised(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    if let Some(whole) = whole.as_ref().and_then(|whole| i32::try_from(whole).ok()) {
        return whole_power(base, i64::from(whole));
    }
    if base.is_zero() {
        return Ok(Decimal::new(0, SIGNIFICANT as u32));
    }
    let negative = base.is_negative() && whole.is_some_and(|whole| whole.bit(0));
    let magnitude = if base.is_negative() { base.negated() } else { base.clone() };
    let estimate = ln_estimate(&magnitude) * exponent.to_double();
    if estimate.abs() > 2000.0 * 3.01 {
        return if estimate > 0.0 { Err(overflow()) } else { Ok(Decimal::new(0, MOST_SCALE as u32)) };
    }
    let scale = SIGNIFICANT - (estimate * std::f64::consts::LOG10_E) as i64;
    let scale = scale.max(i64::from(base.scale)).max(i64::from(exponent.scale)).clamp(0, MOST_SCALE);
    let result = by_logarithm(&magnitude, exponent, estimate, scale);
    Ok(if negative { result.negated() } else { result })
}

fn by_logarithm(base: &Decimal, exponent: &Decimal, estimate: f64, scale: i64) -> Decimal {
    let bits = (estimate.abs() * std::f64::consts::LOG2_E).max(0.0) + exponent.digits.magnitude().bits() as f64;
    let fixed = Fixed::for_result(bits, scale);
    let product = (fixed.logarithm(base) * &exponent.digits) / power_of_ten(exponent.scale);
    fixed.decimal(&fixed.exponential(&product), scale)
}

fn whole_power(base: &Decimal, exponent: i64) -> Result<Decimal, Failure> {
    let mut estimate = 0.0;
    if !base.is_zero() {
        let text = base.digits.magnitude().to_string();
        let shown = &text[..text.len().min(16)];
        let mantissa: f64 = shown.parse().unwrap_or(1.0);
        let places = text.len() as i64 - shown.len() as i64 - i64::from(base.scale);
        estimate = exponent as f64 * (mantissa.log10() + places as f64);
    }
    let scale = SIGNIFICANT.max(i64::from(base.scale)).clamp(0, MOST_SCALE);
    if estimate > 3.0 * 32767.0 * 4.0 {
        return Err(overflow());
    }
    if estimate + 1.0 < -(scale as f64) && exponent.abs() > 2 {
        return Ok(Decimal::new(0, scale as u32));
    }
    match exponent {
        0 => return Ok(Decimal::new(1, 0).rounded(scale)),
        1 => return Ok(base.rounded(scale)),
        _ if base.is_zero() && exponent < 0 => return Err(division_by_zero()),
        _ if base.is_zero() => return Ok(Decimal::new(0, scale as u32)),
        _ => {}
    }
    let length = base.digits.magnitude().bits() as i64 / 3 + 1;
    let result = if length * exponent.abs() <= EXACT_DIGITS {
        let scale_of_power = u64::from(base.scale) * exponent.unsigned_abs();
        let power = Decimal::new(base.digits.pow(exponent.unsigned_abs() as u32), scale_of_power as u32);
        match exponent {
            0.. => power.rounded(scale),
            _ => Decimal::new(1, 0).over(&power, scale, true),
        }
    } else {
        let magnitude = if base.is_negative() { base.negated() } else { base.clone() };
        let natural = ln_estimate(&magnitude) * exponent as f64;
        let result = by_logarithm(&magnitude, &Decimal::new(exponent, 0), natural, scale);
        if base.is_negative() && exponent % 2 != 0 { result.negated() } else { result }
    };
    result.checked()
}

/// A natural logarithm, roughly, of a number that a double may not hold.
fn ln_estimate(value: &Decimal) -> f64 {
    let text = value.digits.magnitude().to_string();
    let shown = &text[..text.len().min(16)];
    let mantissa: f64 = shown.parse().unwrap_or(1.0);
    let places = text.len() as i64 - shown.len() as i64 - i64::from(value.scale);
    let near = mantissa * 10_f64.powi(places.clamp(-300, 300) as i32);
    // Close to one, the digits that are left out matter.
    if (0.9..=1.1).contains(&near) {
        let one = Decimal::new(1, 0);
        return value.plus(&one.negated()).to_double().ln_1p();
    }
    mantissa.ln() + places as f64 * std::f64::consts::LN_10
}

/// The exponent of the first digit of a logarithm, as the server estimates it.
fn logarithm_weight(value: &Decimal) -> i64 {
    let near_one = value.compare(&Decimal::new(9, 1)).is_ge() && value.compare(&Decimal::new(11, 1)).is_le();
    if near_one {
        let rest = value.plus(&Decimal::new(-1, 0));
        if rest.is_zero() {
            return 0;
        }
        let (weight, first) = rest.weight();
        return weight * 4 + (first as f64).log10() as i64;
    }
    let (weight, first) = value.weight();
    let mut digits = first as f64;
    let mut places = weight * 4;
    let text = value.digits.magnitude().to_string();
    let exponent = text.len() as i64 - 1 - i64::from(value.scale);
    let taken = (exponent - weight * 4 + 1) as usize;
    // A second digit counts only where there is one.
    if text.len() > taken && text[taken..].bytes().any(|b| b != b'0') {
        let mut second: String = text[taken..].chars().take(4).collect();
        second.extend(std::iter::repeat_n('0', 4 - second.len()));
        digits = digits * 10_000.0 + second.parse::<f64>().unwrap_or(0.0);
        places -= 4;
    }
    let logarithm = digits.ln() + places as f64 * std::f64::consts::LN_10;
    logarithm.abs().log10() as i64
}

impl Decimal {
    /// The digits at any scale, cut where that is smaller.
    fn at_or_cut(&self, scale: i64) -> BigInt {
        if scale >= i64::from(self.scale) { self.at_scale(scale as u32) } else { self.truncated(scale).digits }
    }
}

/// Numbers with a fixed count of bits after the point.
struct Fixed {
    bits: u64,
}

impl Fixed {
    /// Room for a result of so many bits before the point and so many decimal digits after it.
    fn for_result(whole_bits: f64, scale: i64) -> Fixed {
        Fixed { bits: (whole_bits.max(0.0) as i64 + scale * 3322 / 1000 + SPARE_BITS) as u64 }
    }

    fn one(&self) -> BigInt {
        BigInt::from(1) << self.bits
    }

    fn fixed(&self, value: &Decimal) -> BigInt {
        (&value.digits << self.bits) / power_of_ten(value.scale)
    }

    fn decimal(&self, value: &BigInt, scale: i64) -> Decimal {
        // Half is added by hand: a shift cuts towards minus infinity.
        let scaled: BigInt = value * power_of_ten(scale as u32);
        let half = BigInt::from(1) << (self.bits - 1);
        let negative = scaled < BigInt::ZERO;
        let magnitude: BigInt = if negative { -scaled } else { scaled };
        let rounded: BigInt = (magnitude + half) >> self.bits;
        Decimal::new(if negative { -rounded } else { rounded }, scale as u32)
    }

    /// 2 · artanh(n / d)
    fn twice_artanh(&self, numerator: &BigInt, denominator: &BigInt) -> BigInt {
        let z: BigInt = (numerator << self.bits) / denominator;
        let square: BigInt = (&z * &z) >> self.bits;
        let (mut term, mut sum, mut n) = (z.clone(), z, 1_u32);
        while term != BigInt::ZERO {
            term = (&term * &square) >> self.bits;
            n += 2;
            let part: BigInt = &term / n;
            if part == BigInt::ZERO {
                break;
            }
            sum += part;
        }
        sum * 2
    }

    fn ln_two(&self) -> BigInt {
        self.twice_artanh(&BigInt::from(1), &BigInt::from(3))
    }

    fn logarithm(&self, value: &Decimal) -> BigInt {
        // value = m · 2^k with m between 3/4 and 3/2
        let denominator = power_of_ten(value.scale);
        let mut shift = value.digits.magnitude().bits() as i64 - denominator.magnitude().bits() as i64;
        let scaled = |shift: i64| -> BigInt {
            if shift >= 0 {
                (&value.digits << self.bits) / (&denominator << shift as u64)
            } else {
                (&value.digits << (self.bits + shift.unsigned_abs())) / &denominator
            }
        };
        let mut mantissa = scaled(shift);
        if mantissa > self.one() * 3 / 2 {
            shift += 1;
            mantissa = scaled(shift);
        } else if mantissa < self.one() * 3 / 4 {
            shift -= 1;
            mantissa = scaled(shift);
        }
        let one = self.one();
        self.twice_artanh(&(&mantissa - &one), &(&mantissa + &one)) + self.ln_two() * shift
    }

    fn exponential(&self, value: &BigInt) -> BigInt {
        let ln_two = self.ln_two();
        let mut shift: BigInt = value / &ln_two;
        if *value < BigInt::ZERO {
            shift -= 1;
        }
        // Halved eight times, then squared as often.
        const HALVINGS: u32 = 8;
        let rest: BigInt = (value - &shift * &ln_two) >> HALVINGS;
        let one = self.one();
        let (mut term, mut sum, mut n) = (one.clone(), one, 0_u32);
        loop {
            n += 1;
            term = ((&term * &rest) >> self.bits) / n;
            if term == BigInt::ZERO || term == BigInt::from(-1) {
                break;
            }
            sum += &term;
        }
        for _ in 0..HALVINGS {
            sum = (&sum * &sum) >> self.bits;
        }
        match i64::try_from(&shift) {
            Ok(shift @ 0..) => sum << shift as u64,
            Ok(shift) => sum >> shift.unsigned_abs(),
            Err(_) => BigInt::ZERO,
        }
    }
}
