//! Aggregates of floating-point numbers: over all values of a group in one text, separated by blanks.
//!
//! Input: the values, in the order in which the rows come. Output: a number as the server writes it. Invariant: sums are carried on row
//! by row, as the server carries them (Youngs and Cramer), so that the last digits are its own where the order is.

use super::double::{write, write_short};
use crate::native::{Arguments, Failure, Given};

fn values(text: &str) -> Result<Vec<f64>, Failure> {
    let number = |word: &str| word.parse::<f64>().map_err(|_| Failure::refused(format!("the number {word}")));
    text.split(' ').filter(|word| !word.is_empty()).map(number).collect()
}

fn overflow() -> Failure {
    Failure::raised("22003", "value out of range: overflow")
}

/// Sums over pairs, or over single values as pairs with themselves.
#[derive(Default)]
struct Sums {
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

impl Sums {
    fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Result<Sums, Failure> {
        let mut sums = Sums::default();
        let mut finite = true;
        for (x, y) in pairs {
            finite &= x.is_finite() && y.is_finite();
            let before = sums.count;
            sums.count += 1.0;
            sums.x += x;
            sums.y += y;
            if before > 0.0 {
                let (from_x, from_y) = (x * sums.count - sums.x, y * sums.count - sums.y);
                let scale = 1.0 / (sums.count * before);
                sums.xx += from_x * from_x * scale;
                sums.yy += from_y * from_y * scale;
                sums.xy += from_x * from_y * scale;
            } else if !(x.is_finite() && y.is_finite()) {
                (sums.xx, sums.yy, sums.xy) = (f64::NAN, f64::NAN, f64::NAN);
            }
        }
        let infinite = [sums.x, sums.xx, sums.y, sums.yy, sums.xy].iter().any(|sum| sum.is_infinite());
        if finite && infinite { Err(overflow()) } else { Ok(sums) }
    }
}

/// `pg_float_spread(values, name)`: variances, standard deviations, sums and averages of single values.
pub(super) fn of_values(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(name)] = arguments else { return Ok(None) };
    let values = values(text)?;
    if *name == "sum of real" {
        let sum = values.iter().fold(None, |sum: Option<f32>, value| Some(sum.unwrap_or_default() + *value as f32));
        return match sum {
            Some(sum) if sum.is_infinite() && values.iter().all(|value| value.is_finite()) => Err(overflow()),
            sum => Ok(sum.map(write_short)),
        };
    }
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for value in &values {
        let before = count;
        count += 1.0;
        sum += value;
        if before > 0.0 {
            let from = value * count - sum;
            squares += from * from / (count * before);
        } else if !value.is_finite() {
            squares = f64::NAN;
        }
    }
    if values.iter().all(|value| value.is_finite()) && (f64::is_infinite(sum) || f64::is_infinite(squares)) {
        return Err(overflow());
    }
    let sample = !name.ends_with("_pop") && *name != "avg";
    if count < 1.0 || (sample && count < 2.0) {
        return Ok(None);
    }
    let spread = squares / if sample { count - 1.0 } else { count };
    Ok(Some(write(match *name {
        "avg" => sum / count,
        name if name.starts_with("std") => spread.sqrt(),
        _ => spread,
    })))
}

/// `pg_float_pairs(ys, xs, name)`: correlation and regression.
pub(super) fn of_pairs(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(ys), Some(xs), Some(name)] = arguments else { return Ok(None) };
    let sums = Sums::of(values(xs)?.into_iter().zip(values(ys)?))?;
    let Sums { count, x, xx, y, yy, xy } = sums;
    let least = if *name == "covar_samp" { 2.0 } else { 1.0 };
    if count < least {
        return Ok(None);
    }
    let result = match *name {
        "covar_pop" => Some(xy / count),
        "covar_samp" => Some(xy / (count - 1.0)),
        "corr" => (xx != 0.0 && yy != 0.0).then(|| xy / (xx * yy).sqrt()),
        "regr_r2" if xx == 0.0 => None,
        "regr_r2" if yy == 0.0 => Some(1.0),
        "regr_r2" => Some((xy * xy) / (xx * yy)),
        "regr_slope" => (xx != 0.0).then(|| xy / xx),
        "regr_intercept" => (xx != 0.0).then(|| (y - x * xy / xx) / count),
        "regr_avgx" => Some(x / count),
        "regr_avgy" => Some(y / count),
        "regr_sxx" => Some(xx),
        "regr_syy" => Some(yy),
        "regr_sxy" => Some(xy),
        _ => return Err(Failure::refused(format!("the aggregate {name}()"))),
    };
    Ok(result.map(write))
}

#[cfg(test)]
mod tests {
    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(super::super::FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn values_spread() {
        check("pg_float_spread", &["1 2 4", "variance"], "2.3333333333333335");
        check("pg_float_spread", &["1 2 4", "stddev"], "1.5275252316519468");
        check("pg_float_spread", &["1", "stddev"], "NULL");
        check("pg_float_pairs", &["1 2 3", "2 4 7", "covar_samp"], "2.5");
        check("pg_float_pairs", &["2 4 7", "1 2 3", "regr_intercept"], "-0.6666666666666666");
        check("pg_float_pairs", &["2 4 7", "1 2 3", "regr_r2"], "0.986842105263158");
    }
}
