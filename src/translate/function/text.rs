//! Functions of any number of values of any type: their text forms, put together.
//!
//! Input: arguments already typed. Output: DuckDB SQL over their texts, in which NULL is passed over or shown as the function does.

use crate::catalog::{Outcome, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    /// Any value's text form; NULL is skipped.
    pub(super) fn any_text(&mut self, value: Typed) -> Outcome<String> {
        match (&value.ty, value.is_null()) {
            (_, true) => Ok("NULL".to_owned()),
            (Type::Bool, _) => Ok(format!("CASE WHEN {v} THEN 't' WHEN NOT {v} THEN 'f' END", v = value.sql)),
            // The functions write a value as it is, without the cast.
            (Type::Opaque(name), _) if name == "inet" => Ok(value.sql),
            _ => Ok(convert(value, &Type::Text, Context::Explicit, None, self.catalog())?.sql),
        }
    }

    pub(super) fn concat(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let parts = args.into_iter().map(|a| self.any_text(a)).collect::<Outcome<Vec<_>>>()?;
        let parts: Vec<String> = parts.iter().map(|p| format!("coalesce({p}, '')")).collect();
        Ok(Typed::new(format!("({})", parts.join(" || ")), Type::Text))
    }

    pub(super) fn concat_with_separator(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let mut args = args.into_iter();
        let separator = args.next().expect("two arguments or more");
        let separator = self.text(separator, "concat_ws")?;
        let parts = args.map(|a| self.any_text(a)).collect::<Outcome<Vec<_>>>()?;
        Ok(Typed::new(format!("concat_ws({separator}, {})", parts.join(", ")), Type::Text))
    }

    pub(super) fn format(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let mut args = args.into_iter();
        let pattern = args.next().map(|pattern| self.text(pattern, "format")).transpose()?.unwrap_or_default();
        let mut parts = vec![pattern];
        for value in args {
            let text = self.any_text(value)?;
            parts.push(format!("coalesce('=' || CAST({text} AS VARCHAR), '-')"));
        }
        Ok(Typed::new(format!("pg_format({})", parts.join(", ")), Type::Text))
    }
}
