//! Functions of json and jsonb.
//!
//! Input: a call. Output: DuckDB SQL over the document's text.

use crate::catalog::{Outcome, Type};
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, raise};

impl Reader<'_> {
    pub(super) fn json_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let [value] = args.as_slice() else { return Err(self.no_function(name, &args)) };
        let v = &value.sql;
        match name {
            "jsonb_typeof" | "json_typeof" => Ok(Typed::new(
                format!(
                    "CASE json_type({v}) WHEN 'OBJECT' THEN 'object' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string' WHEN 'BOOLEAN' THEN 'boolean' WHEN 'NULL' THEN 'null' WHEN NULL THEN NULL ELSE CASE WHEN {v} IS NOT NULL THEN 'number' END END"
                ),
                Type::Text,
            )),
            "jsonb_array_length" | "json_array_length" => {
                let error = raise("22023", "'cannot get array length of a scalar or an object'", &Type::Int4);
                Ok(Typed::new(
                    format!(
                        "CASE WHEN {v} IS NULL THEN NULL WHEN json_type({v}) = 'ARRAY' THEN CAST(json_array_length({v}) AS INTEGER) ELSE {error} END"
                    ),
                    Type::Int4,
                ))
            }
            _ => Err(self.no_function(name, &args)),
        }
    }
}
