//! Aggregates of `numeric`: over all values of a group in one text, separated by blanks.

use std::collections::BTreeSet;

use super::calculus;
use super::decimal::{Decimal, Number};
use super::{add, divide};
use crate::native::{Arguments, Failure, Given};

/// The values of a group; of equal ones the first, where the aggregate is DISTINCT.
fn values(text: &str, distinct: bool) -> Result<Vec<Number>, Failure> {
    let mut seen = BTreeSet::new();
    let mut values = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let number = Number::read(word)?;
        if !distinct || seen.insert(number.key()) {
            values.push(number);
        }
    }
    Ok(values)
}

fn total(values: &[Number]) -> Number {
    values.iter().fold(Number::Finite(Decimal::new(0, 0)), |sum, value| add(&sum, value))
}

/// `pg_numeric_sum(values, distinct)`
pub(super) fn sum(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(distinct)] = arguments else { return Ok(None) };
    Ok(Some(total(&values(text, *distinct == "t")?).write()))
}

/// `pg_numeric_avg(values, distinct)`
pub(super) fn average(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(distinct)] = arguments else { return Ok(None) };
    let values = values(text, *distinct == "t")?;
    let count = Number::Finite(Decimal::new(values.len() as i64, 0));
    Ok(Some(divide(&total(&values), &count)?.write()))
}

/// `pg_numeric_spread(values, distinct, name)`: variances and standard deviations.
pub(super) fn spread(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(distinct), Some(name)] = arguments else { return Ok(None) };
    let values = values(text, *distinct == "t")?;
    let sample = !name.ends_with("_pop");
    let count = values.len() as i64;
    if count == 0 || (sample && count == 1) {
        return Ok(None);
    }
    let mut decimals = Vec::new();
    for value in values {
        let Number::Finite(decimal) = value else { return Ok(Some("NaN".to_owned())) };
        decimals.push(decimal);
    }
    let zero = Decimal::new(0, 0);
    let sum = decimals.iter().fold(zero.clone(), |sum, value| sum.plus(value));
    let squares = decimals.iter().fold(zero, |sum, value| sum.plus(&value.times(value)));
    let spread = squares.times(&Decimal::new(count, 0)).plus(&sum.times(&sum).negated());
    if spread.is_zero() || spread.is_negative() {
        return Ok(Some("0".to_owned()));
    }
    let divisor = Decimal::new(if sample { count * (count - 1) } else { count * count }, 0);
    let scale = spread.division_scale(&divisor);
    let variance = spread.over(&divisor, scale, true);
    let result = if name.starts_with("std") { calculus::root_at(&variance, scale) } else { variance };
    Ok(Some(result.write()))
}
