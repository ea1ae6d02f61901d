//! Trigonometry in degrees, and what else only doubles have.
//!
//! Input: finite numbers. Output: exact values where the angle is one of those that have one: 30, 45, 60, 90 degrees.

use std::f64::consts::PI;

use crate::native::Failure;

const DEGREE: f64 = PI / 180.0;

fn sine_to_30(x: f64) -> f64 {
    (x * DEGREE).sin() / (30.0 * DEGREE).sin() / 2.0
}

fn cosine_to_60(x: f64) -> f64 {
    1.0 - ((1.0 - (x * DEGREE).cos()) / (1.0 - (60.0 * DEGREE).cos())) / 2.0
}

/// The sine of 0 to 90 degrees.
fn sine_to_90(x: f64) -> f64 {
    if x <= 30.0 { sine_to_30(x) } else { cosine_to_60(90.0 - x) }
}

/// The cosine of 0 to 90 degrees.
fn cosine_to_90(x: f64) -> f64 {
    if x <= 60.0 { cosine_to_60(x) } else { sine_to_30(90.0 - x) }
}

/// Of an angle, the sign of its sine and the same place between 0 and 180 degrees.
fn half_turn(x: f64) -> (f64, f64) {
    let mut x = x % 360.0;
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    (sign, x)
}

fn sine(x: f64) -> f64 {
    let (sign, x) = half_turn(x);
    sign * sine_to_90(if x > 90.0 { 180.0 - x } else { x })
}

fn cosine(x: f64) -> f64 {
    let mut x = (x % 360.0).abs();
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 { -cosine_to_90(180.0 - x) } else { cosine_to_90(x) }
}

/// Of an angle, the sign and the same place between 0 and 90 degrees, for functions that repeat at 180.
fn folded(x: f64) -> (f64, f64) {
    let (sign, x) = half_turn(x);
    if x > 90.0 { (-sign, 180.0 - x) } else { (sign, x) }
}

fn arc_sine(x: f64) -> f64 {
    match x <= 0.5 {
        true => x.asin() / 0.5_f64.asin() * 30.0,
        false => 90.0 - x.acos() / 0.5_f64.acos() * 60.0,
    }
}

fn arc_cosine(x: f64) -> f64 {
    match x <= 0.5 {
        true => 90.0 - x.asin() / 0.5_f64.asin() * 30.0,
        false => x.acos() / 0.5_f64.acos() * 60.0,
    }
}

/// A function of degrees, or one of the hyperbolic ones; nothing for any other name.
pub(super) fn operation(name: &str, x: f64, y: f64) -> Result<Option<f64>, Failure> {
    let endless = x.is_infinite() && !["sinh", "cosh", "tanh", "atand", "atan2d"].contains(&name);
    let beyond = ["asind", "acosd"].contains(&name) && x.abs() > 1.0;
    let known =
        ["sind", "cosd", "tand", "cotd", "asind", "acosd", "atand", "atan2d", "cot", "sinh", "cosh", "tanh", "cbrt"];
    if known.contains(&name) && (endless || beyond) {
        return Err(Failure::raised("22003", "input is out of range"));
    }
    Ok(Some(match name {
        "sind" => sine(x),
        "cosd" => cosine(x),
        "tand" => {
            let (sign, x) = folded(x);
            plus_zero(sign * ((sine_to_90(x) / cosine_to_90(x)) / (sine_to_90(45.0) / cosine_to_90(45.0))))
        }
        "cotd" => {
            let (sign, x) = folded(x);
            plus_zero(sign * ((cosine_to_90(x) / sine_to_90(x)) / (cosine_to_90(45.0) / sine_to_90(45.0))))
        }
        "asind" if x >= 0.0 => arc_sine(x),
        "asind" => -arc_sine(-x),
        "acosd" if x >= 0.0 => arc_cosine(x),
        "acosd" => 90.0 + arc_sine(-x),
        "atand" => x.atan() / 1.0_f64.atan() * 45.0,
        "atan2d" => x.atan2(y) / 1.0_f64.atan() * 45.0,
        "cot" => 1.0 / x.tan(),
        "sinh" => x.sinh(),
        "cosh" => x.cosh(),
        "tanh" => x.tanh(),
        _ => return Ok(None),
    }))
}

fn plus_zero(value: f64) -> f64 {
    if value == 0.0 { 0.0 } else { value }
}

/// `width_bucket(operand, low, high, count)` of doubles.
pub(super) fn bucket(operand: f64, low: f64, high: f64, count: i64) -> Result<i64, Failure> {
    let wrong = |message: &str| Err(Failure::raised("2201G", message));
    if count <= 0 {
        return wrong("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return wrong("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return wrong("lower and upper bounds must be finite");
    }
    if low == high {
        return wrong("lower bound cannot equal upper bound");
    }
    let (from, to) = if low < high { (operand - low, high - low) } else { (low - operand, low - high) };
    let before = if low < high { operand < low } else { operand > low };
    let behind = if low < high { operand >= high } else { operand <= high };
    Ok(match (before, behind) {
        (true, _) => 0,
        (_, true) => count + 1,
        _ => ((count as f64 * (from / to)) as i64).min(count - 1) + 1,
    })
}
