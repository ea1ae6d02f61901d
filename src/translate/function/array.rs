//! Functions of arrays.
//!
//! Input: arguments already typed. Output: DuckDB SQL over lists; an empty array has no length to PostgreSQL.

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::expression::integer_constant;
use crate::translate::reader::Reader;
use crate::translate::typed::{Family, Typed, base, family};

impl Reader<'_> {
    pub(super) fn array_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let list = args.first().map(|a| a.sql.clone()).unwrap_or_default();
        match (name, args.as_slice()) {
            ("array_length", [array, dimension])
                if matches!(array.ty, Type::Array(_)) && integer_constant(dimension) == Some(1) =>
            {
                Ok(Typed::new(format!("CAST(nullif(len({list}), 0) AS INTEGER)"), Type::Int4))
            }
            ("cardinality", [array]) if matches!(array.ty, Type::Array(_)) => {
                Ok(Typed::new(format!("CAST(len({list}) AS INTEGER)"), Type::Int4))
            }
            ("array_append", [array, element]) => {
                let (array, mut element) = (array.clone(), element.clone());
                // A bare literal beside `||` is an array, here it is an element.
                if let (Type::Array(ty), Type::Unknown) = (&array.ty, &element.ty) {
                    element = convert(element, ty, Context::Implicit, None, self.catalog())?;
                }
                self.operator("||", array, element)
            }
            ("array_to_string", [array, separator]) if matches!(&array.ty, Type::Array(e) if family(e) == Family::Text) =>
            {
                let separator = self.text(separator.clone(), name)?;
                Ok(Typed::new(
                    format!("array_to_string(list_filter({list}, lambda x: x IS NOT NULL), {separator})"),
                    Type::Text,
                ))
            }
            ("array_position", [array, element]) => {
                let Type::Array(ty) = &array.ty else { return Err(self.no_function(name, &args)) };
                let element = convert(element.clone(), &base(ty), Context::Implicit, None, self.catalog())?;
                Ok(Typed::new(
                    format!("nullif(CAST(list_position({list}, {}) AS INTEGER), 0)", element.sql),
                    Type::Int4,
                ))
            }
            _ => Err(Problem::unsupported(format!("this form of {name}()"))),
        }
    }
}
