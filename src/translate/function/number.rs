//! Functions of numbers.
//!
//! Input: arguments already typed. Output: DuckDB SQL that rounds as the server does; what isn't known to is refused.

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::expression::integer_constant;
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, family, is_integer, physical, raise};

impl Reader<'_> {
    pub(super) fn number_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let numbers = args.iter().all(|a| family(&a.ty) == Family::Number);
        if !numbers {
            return Err(self.no_function(name, &args));
        }
        match (name, args.as_slice()) {
            ("abs", [a]) => Ok(Typed::new(format!("abs({})", a.sql), a.ty.clone())),
            ("mod", [a, b]) if is_integer(&a.ty) && is_integer(&b.ty) => {
                let (a, b) = (a.clone(), b.clone());
                self.operator("%", a, b)
            }
            ("round", [a]) if matches!(a.ty, Type::Float8) => {
                Ok(Typed::new(format!("round_even({}, 0)", a.sql), Type::Float8))
            }
            ("round", [a]) if !matches!(a.ty, Type::Float4) => {
                Ok(Typed::new(format!("round(CAST({} AS {}), 0)", a.sql, decimal_of(a)), Type::Numeric(None)))
            }
            ("round", [a, digits]) if matches!(a.ty, Type::Numeric(_)) && integer_constant(digits).is_some() => Ok(
                Typed::new(format!("round({}, {})", a.sql, integer_constant(digits).unwrap_or(0)), Type::Numeric(None)),
            ),
            ("floor" | "ceil" | "ceiling", [a]) if matches!(a.ty, Type::Float8) => {
                let word = if name == "floor" { "floor" } else { "ceil" };
                Ok(Typed::new(format!("{word}({})", a.sql), Type::Float8))
            }
            ("sqrt", [a]) if matches!(a.ty, Type::Float8) => {
                let error = raise("2201F", "'cannot take square root of a negative number'", &Type::Float8);
                Ok(Typed::new(format!("CASE WHEN {a} < 0 THEN {error} ELSE sqrt({a}) END", a = a.sql), Type::Float8))
            }
            _ => Err(Problem::unsupported(format!("the function {name}() of these numbers"))),
        }
    }
}

/// The decimal type that holds an integer or decimal value.
fn decimal_of(value: &Typed) -> String {
    if is_integer(&value.ty) { "DECIMAL(38,0)".to_owned() } else { physical(&value.ty) }
}
