//! Numbers: how values of PostgreSQL's number types become one another.
//!
//! Input: a number and a number type. Output: DuckDB SQL. Invariants: a `numeric` without precision, or with one that a decimal of
//! the engine can't hold, is PostgreSQL's own text, display scale included; `numeric(p,s)` that fits is a DECIMAL(p,s). A float
//! becomes an integer by rounding to the even neighbour, a numeric by rounding away from zero. Left out: operators and functions.

use super::typed::{Typed, is_integer, number_rank, physical, raise};
use crate::catalog::{Problem, Type};
use crate::native::{self, Failure};
use crate::query::quote_literal;

/// Is a value of this type PostgreSQL's text of a numeric?
pub(super) fn is_text(ty: &Type) -> bool {
    matches!(ty, Type::Numeric(_)) && physical(ty) == "VARCHAR"
}

/// A number as PostgreSQL's text of a numeric.
pub(super) fn text(value: &Typed) -> String {
    let sql = &value.sql;
    match &value.ty {
        ty if is_text(ty) => sql.clone(),
        Type::Float8 => format!("pg_float8_numeric(CAST({sql} AS VARCHAR))"),
        Type::Float4 => format!("pg_float4_numeric(CAST({sql} AS VARCHAR))"),
        _ => match sql.strip_prefix("CAST(").and_then(|rest| rest.split_once(" AS ")) {
            // A constant is its own text.
            Some((digits, _)) if digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') => quote_literal(digits),
            _ => format!("CAST({sql} AS VARCHAR)"),
        },
    }
}

/// What numbers are compared, grouped and sorted by.
pub(super) fn key(value: &Typed) -> String {
    let text = text(value);
    match constant(&text).and_then(|constant| native::numeric::key(&constant)) {
        Some(key) => quote_literal(&key),
        None => format!("pg_numeric_key({text})"),
    }
}

/// The same for any value: one that is equal by another text than its own has a key of its own.
pub(super) fn identity(sql: &str, ty: &Type) -> String {
    match ty {
        ty if is_text(ty) => format!("pg_numeric_key({sql})"),
        _ => sql.to_owned(),
    }
}

/// The text between the quotes of a constant.
fn constant(sql: &str) -> Option<String> {
    let inner = sql.strip_prefix('\'')?.strip_suffix('\'')?;
    (!inner.contains('\'')).then(|| inner.to_owned())
}

/// A constant that the engine can compare with integers and decimals itself.
fn plain_decimal(value: &Typed) -> Option<String> {
    let text = constant(&value.sql).filter(|_| is_text(&value.ty))?;
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (plain && whole.len() + fraction.len() <= 18)
        .then(|| format!("CAST('{text}' AS DECIMAL({},{}))", whole.len() + fraction.len(), fraction.len()))
}

/// Two numbers made comparable: as they are where the engine compares them exactly, else by their keys.
pub(super) fn comparable(left: Typed, right: Typed) -> (Typed, Typed) {
    let float = |ty: &Type| matches!(ty, Type::Float4 | Type::Float8);
    if float(&left.ty) || float(&right.ty) {
        let widen = |value: Typed| match float(&value.ty) {
            true => value,
            false => Typed::new(convert(&value, &Type::Float8), Type::Float8),
        };
        return (widen(left), widen(right));
    }
    let narrow = |ty: &Type| match ty {
        Type::Numeric(Some((precision, _))) => *precision <= 18,
        _ => true,
    };
    let as_decimal = |value: Typed| match plain_decimal(&value) {
        Some(sql) => Typed { sql, ty: Type::Numeric(Some((18, 0))), constant: None },
        None => value,
    };
    match (is_text(&left.ty), is_text(&right.ty)) {
        (false, false) => return (left, right),
        (true, false) if plain_decimal(&left).is_some() && narrow(&right.ty) => return (as_decimal(left), right),
        (false, true) if plain_decimal(&right).is_some() && narrow(&left.ty) => return (left, as_decimal(right)),
        _ => {}
    }
    (Typed::new(key(&left), Type::Numeric(None)), Typed::new(key(&right), Type::Numeric(None)))
}

/// A number in another number type, before precision and scale.
pub(super) fn convert(value: &Typed, to: &Type) -> String {
    let (from, sql) = (&value.ty, &value.sql);
    let float = |ty: &Type| matches!(ty, Type::Float4 | Type::Float8);
    match to {
        // Its precision is yet to be applied, which the engine does for what it holds itself.
        Type::Numeric(Some(_)) if !is_text(to) && (is_integer(from) || decimal(from)) => sql.clone(),
        Type::Numeric(_) => text(value),
        Type::Float4 | Type::Float8 if matches!(from, Type::Numeric(_)) => {
            let name = if *to == Type::Float4 { "real" } else { "double precision" };
            format!("CAST(pg_numeric_double({}, '{name}') AS {})", text(value), physical(to))
        }
        Type::Float4 if *from == Type::Float8 => {
            format!("CAST(pg_float8_calc('real', CAST({sql} AS VARCHAR)) AS FLOAT)")
        }
        to if is_integer(to) && is_text(from) => {
            format!("CAST(pg_numeric_integer({sql}, '{}') AS {})", integer_name(to), physical(to))
        }
        to if is_integer(to) && (float(from) || decimal(from) || number_rank(to) < number_rank(from)) => {
            let rounded = match from {
                from if float(from) => format!("round_even({sql}, 0)"),
                from if decimal(from) => format!("round({sql}, 0)"),
                _ => sql.clone(),
            };
            let cast = format!("TRY_CAST({rounded} AS {})", physical(to));
            let error = raise("22003", &quote_literal(&format!("{} out of range", integer_name(to))), to);
            format!("CASE WHEN {sql} IS NOT NULL AND {cast} IS NULL THEN {error} ELSE {cast} END")
        }
        to => format!("CAST({sql} AS {})", physical(to)),
    }
}

/// A numeric type whose values the engine holds as decimals.
fn decimal(ty: &Type) -> bool {
    matches!(ty, Type::Numeric(_)) && !is_text(ty)
}

fn integer_name(ty: &Type) -> &'static str {
    match ty {
        Type::Int2 => "smallint",
        Type::Int4 => "integer",
        _ => "bigint",
    }
}

/// Precision and scale applied to a converted number: rounded, or 22003.
pub(super) fn fit(sql: &str, from: &Type, to: &Type, precision: u32, scale: i32) -> String {
    if from == to {
        return sql.to_owned();
    }
    if !is_text(to) && (is_integer(from) || decimal(from)) {
        let cast = format!("TRY_CAST({sql} AS {})", physical(to));
        let room = match i64::from(precision) - i64::from(scale) {
            0 => "1".to_owned(),
            whole => format!("10^{whole}"),
        };
        let message = format!(
            "numeric field overflow|A field with precision {precision}, scale {scale} must round to an absolute value less than {room}."
        );
        let error = raise("22003", &quote_literal(&message), to);
        return format!("CASE WHEN {sql} IS NOT NULL AND {cast} IS NULL THEN {error} ELSE {cast} END");
    }
    let fitted = format!("pg_numeric_fit({sql}, '{precision}', '{scale}')");
    if is_text(to) {
        return fitted;
    }
    // A decimal of the engine has no NaN.
    format!("CAST(pg_numeric_finite({fitted}) AS {})", physical(to))
}

/// A literal of type numeric.
///
/// # Errors
/// The server's, for a text that isn't one or doesn't fit.
pub(super) fn literal(text: &str, ty: &Type) -> Result<String, Problem> {
    let canonical = match ty {
        Type::Numeric(Some((precision, scale))) => native::numeric::fitted(text, *precision, *scale),
        _ => native::numeric::canonical(text),
    };
    let canonical = canonical.map_err(Failure::into_problem)?;
    if is_text(ty) {
        return Ok(quote_literal(&canonical));
    }
    if canonical == "NaN" {
        return Err(Problem::unsupported("NaN in a numeric with precision"));
    }
    Ok(format!("CAST('{canonical}' AS {})", physical(ty)))
}
