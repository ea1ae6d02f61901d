//! Functions of numbers.
//!
//! Input: arguments already typed. Output: calls of native functions that compute as the server does: with doubles where one of the
//! arguments is a float, else exactly.

use crate::catalog::{Outcome, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::number;
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family, is_integer, number_rank, physical, raise};

/// Functions that only doubles have.
const OF_DOUBLES: &[&str] = &[
    "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "degrees", "radians", "cot", "sind", "cosd", "tand", "cotd",
    "asind", "acosd", "atand", "atan2d", "sinh", "cosh", "tanh",
];

/// Functions of numbers that are read here.
pub(super) const NAMES: &[&str] = &[
    "abs",
    "ceil",
    "ceiling",
    "floor",
    "round",
    "sign",
    "trunc",
    "mod",
    "power",
    "pow",
    "sqrt",
    "exp",
    "ln",
    "log",
    "log10",
    "div",
    "gcd",
    "lcm",
    "scale",
    "min_scale",
    "trim_scale",
    "factorial",
    "width_bucket",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "atan2",
    "degrees",
    "radians",
    "pi",
    "cot",
    "sind",
    "cosd",
    "tand",
    "cotd",
    "asind",
    "acosd",
    "atand",
    "atan2d",
    "sinh",
    "cosh",
    "tanh",
    "pg_size_pretty",
];

impl Reader<'_> {
    pub(super) fn number_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let known = |arg: &&Typed| arg.ty != Type::Unknown;
        if !args.iter().filter(known).all(|a| family(&a.ty) == Family::Number) {
            return Err(self.no_function(name, &args));
        }
        // A literal is taken for a double, unless another argument says what it is.
        let widest = args.iter().filter(known).filter_map(|a| number_rank(&a.ty)).max();
        let literal = if widest.is_none_or(|rank| rank > 3) { Type::Float8 } else { Type::Numeric(None) };
        let mut typed = Vec::new();
        for arg in args {
            typed.push(match arg.ty {
                Type::Unknown => convert(arg, &literal, Context::Implicit, None, self.catalog())?,
                _ => arg,
            });
        }
        let args = typed;
        let has_float = args.iter().any(|a| matches!(a.ty, Type::Float4 | Type::Float8));
        let all_integers = args.iter().all(|a| is_integer(&a.ty));
        match (name, args.as_slice()) {
            ("pi", []) => Ok(Typed::new("CAST('3.141592653589793' AS DOUBLE)", Type::Float8)),
            ("abs", [a]) if is_integer(&a.ty) || has_float => Ok(Typed::new(format!("abs({})", a.sql), a.ty.clone())),
            ("mod", [a, b]) if !has_float => self.operator("%", a.clone(), b.clone()),
            ("gcd" | "lcm", [a, b]) if all_integers => self.integer_divisor(name, a, b),
            ("factorial", [a]) if all_integers => {
                Ok(Typed::new(format!("pg_numeric_factorial({})", number::text(a)), Type::Numeric(None)))
            }
            ("width_bucket", [_, _, _, count]) if is_integer(&count.ty) => {
                if has_float || all_integers {
                    let args: Vec<String> = args
                        .iter()
                        .take(3)
                        .map(|arg| format!("CAST({} AS VARCHAR)", number::convert(arg, &Type::Float8)))
                        .collect();
                    let sql = format!("pg_float_bucket({}, {})", args.join(", "), number::text(count));
                    return Ok(Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4));
                }
                let args: Vec<String> = args.iter().map(number::text).collect();
                Ok(Typed::new(format!("CAST(pg_numeric_bucket({}) AS INTEGER)", args.join(", ")), Type::Int4))
            }
            ("round" | "trunc", [a, digits]) if !has_float && is_integer(&digits.ty) => Ok(Typed::new(
                format!("pg_numeric_{name}({}, {})", number::text(a), number::text(digits)),
                Type::Numeric(None),
            )),
            ("div" | "gcd" | "lcm", [a, b]) if !has_float => {
                let word = if name == "div" { "idiv" } else { name };
                Ok(numeric(word, &[a, b]))
            }
            ("log", [base, a]) if !has_float => Ok(numeric("log", &[base, a])),
            ("scale" | "min_scale", [a]) if !has_float => {
                Ok(Typed::new(format!("CAST(pg_numeric_{name}({}) AS INTEGER)", number::text(a)), Type::Int4))
            }
            ("trim_scale", [a]) if !has_float => Ok(numeric("trim", &[a])),
            ("power" | "pow", [a, b]) => match has_float || all_integers {
                true => Ok(double("power", &[a, b])),
                false => Ok(numeric("power", &[a, b])),
            },
            ("atan2" | "atan2d", [a, b]) => Ok(double(name, &[a, b])),
            ("pg_size_pretty", [a]) if a.ty == Type::Int8 => {
                Ok(Typed::new(format!("pg_size_pretty(CAST({} AS VARCHAR))", a.sql), Type::Text))
            }
            // Of integers, the server takes the function of doubles; abs() and the like have their own.
            (_, [a]) if OF_DOUBLES.contains(&name) => Ok(double(name, &[a])),
            (
                "ceil" | "ceiling" | "floor" | "round" | "sign" | "trunc" | "sqrt" | "exp" | "ln" | "log" | "log10",
                [a],
            ) => {
                let word = match name {
                    "ceiling" => "ceil",
                    "log10" => "log",
                    name => name,
                };
                if has_float || all_integers {
                    return Ok(double(word, &[a]));
                }
                match word {
                    "log" => Ok(Typed::new(format!("pg_numeric_log('10', {})", number::text(a)), Type::Numeric(None))),
                    word => Ok(numeric(word, &[a])),
                }
            }
            ("abs", [a]) => Ok(numeric("abs", &[a])),
            _ => Err(self.no_function(name, &args)),
        }
    }

    /// The divisor or multiple of integers, in the wider of their types.
    fn integer_divisor(&mut self, name: &str, a: &Typed, b: &Typed) -> Outcome<Typed> {
        let ty = if number_rank(&a.ty) >= number_rank(&b.ty) { a.ty.clone() } else { b.ty.clone() };
        let exact = format!("pg_numeric_{name}({}, {})", number::text(a), number::text(b));
        let cast = format!("TRY_CAST({exact} AS {})", physical(&ty));
        let error = raise("22003", &format!("'{} out of range'", ty.name(self.catalog())), &ty);
        let present = format!("{} IS NOT NULL AND {} IS NOT NULL", a.sql, b.sql);
        Ok(Typed::new(format!("CASE WHEN {present} AND {cast} IS NULL THEN {error} ELSE {cast} END"), ty))
    }
}

fn numeric(word: &str, args: &[&Typed]) -> Typed {
    let args: Vec<String> = args.iter().map(|arg| number::text(arg)).collect();
    Typed::new(format!("pg_numeric_{word}({})", args.join(", ")), Type::Numeric(None))
}

fn double(word: &str, args: &[&Typed]) -> Typed {
    let args: Vec<String> =
        args.iter().map(|arg| format!("CAST({} AS VARCHAR)", number::convert(arg, &Type::Float8))).collect();
    Typed::new(format!("CAST(pg_float8_calc('{word}', {}) AS DOUBLE)", args.join(", ")), Type::Float8)
}
