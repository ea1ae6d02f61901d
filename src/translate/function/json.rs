//! Functions of json and jsonb that take documents apart or change them.
//!
//! Input: a call. Output: native functions over the document's text. Left out: those that build documents, see
//! [`super::document`]; those that give rows, see [`crate::translate::rows`]; jsonpath.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{self, Context, convert};
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

/// Functions of given arguments: name, what they take and give, and the native function. `d`: a document, `t`: text, `i`: an
/// integer, `l`: a list of texts; a capital stands for a list of one.
const PLAIN: &[(&str, &str, char, &str)] = &[
    ("jsonb_typeof", "d", 't', "pg_json_typeof"),
    ("json_typeof", "d", 't', "pg_json_typeof"),
    ("jsonb_array_length", "d", 'i', "pg_json_array_length"),
    ("json_array_length", "d", 'i', "pg_json_array_length"),
    ("jsonb_strip_nulls", "d", 'd', "pg_jsonb_strip_nulls"),
    ("json_strip_nulls", "d", 'd', "pg_json_strip_nulls"),
    ("jsonb_pretty", "d", 't', "pg_jsonb_pretty"),
    ("jsonb_concat", "dd", 'd', "pg_jsonb_concat"),
    ("jsonb_contains", "dd", 'b', "pg_jsonb_contains"),
    ("jsonb_exists", "dt", 'b', "pg_jsonb_exists"),
    ("jsonb_exists_any", "Dl", 'b', "pg_jsonb_exists_any"),
    ("jsonb_exists_all", "Dl", 'b', "pg_jsonb_exists_all"),
    ("jsonb_delete_path", "Dl", 'd', "pg_jsonb_delete_path"),
    ("jsonb_object_field", "dt", 'd', "pg_json_member"),
    ("jsonb_object_field_text", "dt", 't', "pg_json_member_text"),
];

impl Reader<'_> {
    pub(super) fn json_function(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        if name.contains("_path_") && !name.contains("extract_path") {
            return Err(Problem::unsupported(format!("the jsonpath function {name}()")));
        }
        let document = if name.starts_with("jsonb_") { Type::Jsonb } else { Type::Json };
        if let Some((_, takes, gives, native)) = PLAIN.iter().find(|f| f.0 == name) {
            let args = self.arguments(name, takes, &document, args)?;
            let (sql, ty) = (format!("{native}({})", args.join(", ")), document);
            return Ok(match gives {
                'i' => Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4),
                't' => Typed::new(sql, Type::Text),
                'b' => Typed::new(sql, Type::Bool),
                _ => Typed::new(sql, ty),
            });
        }
        match (name, args.len()) {
            (
                "jsonb_extract_path" | "json_extract_path" | "jsonb_extract_path_text" | "json_extract_path_text",
                1..,
            ) => self.extract_path(name, document, args),
            ("jsonb_set" | "jsonb_insert", 3 | 4) => self.jsonb_set(name, args),
            ("jsonb_set_lax", 3..=5) => self.jsonb_set_lax(args),
            ("jsonb_object" | "json_object", 1 | 2) => {
                let takes = if args.len() == 1 { "l" } else { "ll" };
                let args = self.arguments(name, takes, &document, args)?;
                Ok(Typed::new(format!("pg_json_object_of_texts({}, ['{name}'])", args.join(", ")), document))
            }
            ("jsonb_delete", 2) => {
                let mut args = args.into_iter();
                let (Some(left), Some(right)) = (args.next(), args.next()) else {
                    return Err(Problem::unsupported("jsonb_delete()"));
                };
                self.operator("-", left, right)
            }
            _ => Err(self.no_function(name, &args)),
        }
    }

    /// Arguments converted to what a function takes.
    fn arguments(&mut self, name: &str, takes: &str, document: &Type, args: Vec<Typed>) -> Outcome<Vec<String>> {
        if args.len() != takes.len() {
            return Err(self.no_function(name, &args));
        }
        let given: Vec<Typed> = args.iter().map(|arg| Typed::new("", arg.ty.clone())).collect();
        let mut sql = Vec::new();
        for (value, kind) in args.into_iter().zip(takes.chars()) {
            let ty = match kind.to_ascii_lowercase() {
                'd' => document.clone(),
                'l' => Type::Text.array(),
                'b' => Type::Bool,
                _ => Type::Text,
            };
            if !cast::exists(&value.ty, &ty, Context::Implicit) {
                return Err(self.no_function(name, &given));
            }
            let value = convert(value, &ty, Context::Implicit, None, self.catalog())?.sql;
            sql.push(match kind {
                'B' => format!("[CAST({value} AS VARCHAR)]"),
                kind if kind.is_ascii_uppercase() => format!("[{value}]"),
                _ => value,
            });
        }
        Ok(sql)
    }

    fn extract_path(&mut self, name: &str, document: Type, mut args: Vec<Typed>) -> Outcome<Typed> {
        let function = if name.ends_with("_text") { "pg_json_path_text" } else { "pg_json_path" };
        let ty = if name.ends_with("_text") { Type::Text } else { document.clone() };
        let steps = args.split_off(1);
        let variadic = matches!(steps.as_slice(), [Typed { ty: Type::Array(_), .. }]);
        let of = self.arguments(name, "D", &document, args)?.join(", ");
        let path = match variadic {
            true => self.arguments(name, "l", &document, steps)?.join(", "),
            false => {
                let takes = "t".repeat(steps.len());
                let steps = self.arguments(name, &takes, &document, steps)?;
                super::document::text_list(&steps)
            }
        };
        Ok(Typed::new(format!("{function}({of}, {path})"), ty))
    }

    fn jsonb_set(&mut self, name: &str, mut args: Vec<Typed>) -> Outcome<Typed> {
        if args.len() == 3 {
            args.push(Typed::new(if name == "jsonb_set" { "true" } else { "false" }, Type::Bool));
        }
        let args = self.arguments(name, "DlDB", &Type::Jsonb, args)?;
        Ok(Typed::new(format!("pg_{name}({})", args.join(", ")), Type::Jsonb))
    }

    /// `jsonb_set_lax()`: what a NULL means is a constant, as it is in every call worth having.
    fn jsonb_set_lax(&mut self, mut args: Vec<Typed>) -> Outcome<Typed> {
        let treatment = if args.len() == 5 { args.pop() } else { None };
        let treatment = match &treatment {
            None => "use_json_null",
            Some(constant) => constant
                .text()
                .ok_or_else(|| Problem::unsupported("jsonb_set_lax() with a treatment that isn't a constant"))?,
        };
        if args.len() == 3 {
            args.push(Typed::new("true", Type::Bool));
        }
        let args = self.arguments("jsonb_set_lax", "DlDB", &Type::Jsonb, args)?;
        let [document, path, new, create] = args.as_slice() else {
            return Err(Problem::unsupported("jsonb_set_lax()"));
        };
        let bare = format!("({new})[1]");
        let set = format!("pg_jsonb_set({})", args.join(", "));
        let on_null = match treatment {
            "use_json_null" => format!("pg_jsonb_set({document}, {path}, ['null'], {create})"),
            "delete_key" => format!("pg_jsonb_delete_path({document}, {path})"),
            "return_target" => format!("({document})[1]"),
            "raise_exception" => {
                let message = quote_literal("JSON value must not be null");
                crate::translate::typed::raise("22004", &message, &Type::Jsonb)
            }
            _ => {
                return Err(Problem::rejected(
                    "22023",
                    "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
                ));
            }
        };
        let given = format!("({document})[1] IS NOT NULL AND {path} IS NOT NULL AND ({create})[1] IS NOT NULL");
        Ok(Typed::new(
            format!("CASE WHEN {given} THEN CASE WHEN {bare} IS NULL THEN {on_null} ELSE {set} END END"),
            Type::Jsonb,
        ))
    }
}
