//! Functions of text.
//!
//! Input: arguments already typed. Output: DuckDB SQL with the same result. Left out: regular expressions that the engines may read
//! differently, see [`pattern`].

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{Context, convert};
use crate::translate::expression::integer_constant;
use crate::translate::pattern::{self, Use};
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, is_integer};

impl Reader<'_> {
    /// Functions of text and positions that both engines compute alike.
    pub(super) fn text_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        // t: text, i: integer
        let (signature, template, ty) = match (name, args.len()) {
            ("replace", 3) => ("ttt", "CASE WHEN {1} = '' THEN {0} ELSE replace({0}, {1}, {2}) END", Type::Text),
            ("strpos", 2) => ("tt", "CAST(strpos({0}, {1}) AS INTEGER)", Type::Int4),
            ("position", 2) => ("tt", "CAST(strpos({0}, {1}) AS INTEGER)", Type::Int4),
            ("starts_with", 2) => ("tt", "starts_with({0}, {1})", Type::Bool),
            ("left", 2) => ("ti", "left({0}, {1})", Type::Text),
            ("right", 2) => ("ti", "right({0}, {1})", Type::Text),
            ("repeat", 2) => ("ti", "repeat({0}, {1})", Type::Text),
            ("lpad", 3) => ("tit", "lpad({0}, {1}, {2})", Type::Text),
            ("rpad", 3) => ("tit", "rpad({0}, {1}, {2})", Type::Text),
            ("lpad", 2) => ("ti", "lpad({0}, {1}, ' ')", Type::Text),
            ("rpad", 2) => ("ti", "rpad({0}, {1}, ' ')", Type::Text),
            ("chr", 1) => ("i", "chr({0})", Type::Text),
            ("split_part", 3) => match integer_constant(&args[2]) {
                // Without a delimiter, the text is the one field.
                Some(1) => ("tti", "CASE WHEN {1} = '' THEN {0} ELSE split_part({0}, {1}, {2}) END", Type::Text),
                Some(at) if at > 1 => {
                    ("tti", "CASE WHEN {1} = '' THEN '' ELSE split_part({0}, {1}, {2}) END", Type::Text)
                }
                _ => return Err(Problem::unsupported("split_part() with a position that isn't a constant from 1")),
            },
            _ => return Err(self.no_function(name, &args)),
        };
        let mut sql = template.to_owned();
        for (index, (value, kind)) in args.into_iter().zip(signature.chars()).enumerate() {
            let argument = if kind == 't' { self.text(value, name)? } else { self.integer(value, name)? };
            sql = sql.replace(&format!("{{{index}}}"), &argument);
        }
        Ok(Typed::new(sql, ty))
    }

    pub(super) fn trim(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let word = if name == "btrim" { "trim" } else { name };
        let mut parts = Vec::new();
        for value in args {
            parts.push(self.text(value, name)?);
        }
        if parts.len() == 1 {
            parts.push("' '".to_owned());
        }
        Ok(Typed::new(format!("{word}({})", parts.join(", ")), Type::Text))
    }

    /// Any value's text form; NULL is skipped.
    pub(super) fn any_text(&mut self, value: Typed) -> Outcome<String> {
        match (&value.ty, value.is_null()) {
            (_, true) => Ok("NULL".to_owned()),
            (Type::Bool, _) => Ok(format!("CASE WHEN {v} THEN 't' WHEN NOT {v} THEN 'f' END", v = value.sql)),
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

    pub(super) fn part_of_text(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        match (name, args.as_slice()) {
            ("substring" | "substr", [text, from]) if is_integer(&from.ty) => {
                let Some(at) = integer_constant(from).filter(|at| *at >= 1) else {
                    return Err(Problem::unsupported(format!("{name}() from a position that isn't a constant from 1")));
                };
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(format!("substring({text}, {at})"), Type::Text))
            }
            ("substring" | "substr", [text, from, length]) if is_integer(&from.ty) && is_integer(&length.ty) => {
                let (Some(at), Some(length)) = (integer_constant(from), integer_constant(length)) else {
                    return Err(Problem::unsupported(format!("{name}() with positions that aren't constants")));
                };
                if length < 0 {
                    return Err(Problem::rejected("22011", "negative substring length not allowed"));
                }
                // Positions before the first character count, and give nothing.
                let end = at + length;
                let text = self.text(text.clone(), name)?;
                let at = at.max(1);
                Ok(Typed::new(format!("substring({text}, {at}, {})", (end - at).max(0)), Type::Text))
            }
            ("substring", [text, pattern]) => {
                let Some(pattern) = pattern.text() else {
                    return Err(Problem::unsupported("a regular expression that isn't a constant"));
                };
                let group = usize::from(pattern::groups(pattern) > 0);
                let pattern = quote_literal(&pattern::translate(pattern, Use::Extent)?);
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(
                    format!(
                        "CASE WHEN regexp_matches({text}, {pattern}) THEN regexp_extract({text}, {pattern}, {group}) END"
                    ),
                    Type::Text,
                ))
            }
            ("regexp_replace", [text, pattern, replacement, flags @ ..]) if flags.len() <= 1 => {
                let flags = flags.first().map_or(Some(""), |f| f.text());
                let (Some(pattern), Some(replacement), Some(flags)) = (pattern.text(), replacement.text(), flags)
                else {
                    return Err(Problem::unsupported("a regular expression that isn't a constant"));
                };
                if !flags.chars().all(|f| "gi".contains(f)) {
                    return Err(Problem::unsupported(format!("the flags '{flags}' of regexp_replace()")));
                }
                let pattern = quote_literal(&pattern::translate(pattern, Use::Extent)?);
                let replacement = quote_literal(&pattern::replacement(replacement)?);
                let text = self.text(text.clone(), name)?;
                Ok(Typed::new(format!("regexp_replace({text}, {pattern}, {replacement}, '{flags}')"), Type::Text))
            }
            _ => Err(Problem::unsupported(format!("this form of {name}()"))),
        }
    }
}
