//! Values of the extensions `ltree` and `hstore`: their operators and functions; whether composite values are equal.
//!
//! Input: typed operands and arguments. Output: calls of native functions. Invariants: a path is compared as its text, byte by byte; a text
//! beside such a value is read as one. Left out: patterns of paths, arrays of them, the order of `hstore` values.

use super::cast::{Context, convert};
use super::reader::Reader;
use super::typed::{Family, Typed, family};
use crate::catalog::{Outcome, Type};

fn is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Opaque(own) if own == name)
}

fn of(name: &str) -> Type {
    Type::Opaque(name.to_owned())
}

impl Reader<'_> {
    /// A value of the type, or a text that is read as one; nothing where it is of another type.
    fn read_as(&mut self, value: &Typed, name: &str) -> Outcome<Option<String>> {
        if is(&value.ty, name) {
            return Ok(Some(value.sql.clone()));
        }
        match family(&value.ty) {
            Family::Unknown | Family::Text => {
                Ok(Some(convert(value.clone(), &of(name), Context::Explicit, None, self.catalog())?.sql))
            }
            _ => Ok(None),
        }
    }

    fn as_text(&mut self, value: &Typed) -> Outcome<Option<String>> {
        match family(&value.ty) {
            Family::Unknown | Family::Text => {
                Ok(Some(convert(value.clone(), &Type::Text, Context::Implicit, None, self.catalog())?.sql))
            }
            _ => Ok(None),
        }
    }

    fn whole_number(&mut self, value: &Typed) -> Outcome<String> {
        let value = convert(value.clone(), &Type::Int4, Context::Implicit, None, self.catalog())?;
        Ok(format!("CAST({} AS VARCHAR)", value.sql))
    }

    /// An operator of such values; nothing where none takes part, or it isn't known here.
    pub(super) fn extension_operator(&mut self, name: &str, left: &Typed, right: &Typed) -> Outcome<Option<Typed>> {
        if let (Type::Composite(one), Type::Composite(other)) = (&left.ty, &right.ty)
            && one == other
            && self.is_told_by_text(&left.ty)
        {
            // A NULL in a field is like any other.
            let sign = if name == "=" { "=" } else { "<>" };
            let is_equality = ["=", "<>", "!="].contains(&name);
            return Ok(is_equality.then(|| Typed::new(format!("({} {sign} {})", left.sql, right.sql), Type::Bool)));
        }
        if is(&left.ty, "ltree") || is(&right.ty, "ltree") {
            let (Some(l), Some(r)) = (self.read_as(left, "ltree")?, self.read_as(right, "ltree")?) else {
                return Ok(None);
            };
            let texts = [left, right].iter().any(|side| family(&side.ty) == Family::Text && !is(&side.ty, "ltree"));
            return Ok(match name {
                "||" => Some(Typed::new(format!("pg_ltree_joined({l}, {r})"), of("ltree"))),
                // Beside a text the path is a text too, but for `||`.
                _ if texts => None,
                "<@" => Some(Typed::new(format!("pg_ltree_below({l}, {r})"), Type::Bool)),
                "@>" => Some(Typed::new(format!("pg_ltree_below({r}, {l})"), Type::Bool)),
                "=" | "<" | ">" | "<=" | ">=" => Some(Typed::new(format!("({l} {name} {r})"), Type::Bool)),
                "<>" | "!=" => Some(Typed::new(format!("({l} <> {r})"), Type::Bool)),
                _ => None,
            });
        }
        if !is(&left.ty, "hstore") {
            return Ok(None);
        }
        let l = &left.sql;
        let is_own = is(&right.ty, "hstore") || right.ty == Type::Unknown;
        Ok(match name {
            "->" | "?" | "-" if !is(&right.ty, "hstore") && (name != "-" || right.ty != Type::Unknown) => {
                let Some(key) = self.as_text(right)? else { return Ok(None) };
                Some(match name {
                    "->" => Typed::new(format!("pg_hstore_value({l}, {key})"), Type::Text),
                    "?" => Typed::new(format!("pg_hstore_has({l}, {key})"), Type::Bool),
                    _ => Typed::new(format!("pg_hstore_without({l}, {key})"), of("hstore")),
                })
            }
            "||" | "@>" | "<@" | "=" | "<>" | "!=" if is_own => {
                let Some(r) = self.read_as(right, "hstore")? else { return Ok(None) };
                Some(match name {
                    "||" => Typed::new(format!("pg_hstore_joined({l}, {r})"), of("hstore")),
                    "@>" => Typed::new(format!("pg_hstore_holds({l}, {r})"), Type::Bool),
                    "<@" => Typed::new(format!("pg_hstore_holds({r}, {l})"), Type::Bool),
                    "=" => Typed::new(format!("({l} = {r})"), Type::Bool),
                    _ => Typed::new(format!("({l} <> {r})"), Type::Bool),
                })
            }
            _ => None,
        })
    }

    /// A function of these extensions; nothing where it isn't known here.
    pub(super) fn function_of_values(&mut self, name: &str, args: &[Typed]) -> Outcome<Option<Typed>> {
        match (name, args) {
            ("nlevel", [path]) => {
                let Some(path) = self.read_as(path, "ltree")? else { return Ok(None) };
                Ok(Some(Typed::new(format!("CAST(pg_ltree_levels({path}) AS INTEGER)"), Type::Int4)))
            }
            ("text2ltree", [text]) => {
                let Some(path) = self.as_text(text)? else { return Ok(None) };
                Ok(Some(Typed::new(format!("pg_ltree_in({path})"), of("ltree"))))
            }
            ("ltree2text", [path]) if is(&path.ty, "ltree") => Ok(Some(Typed::new(path.sql.clone(), Type::Text))),
            ("subpath" | "subltree", [path, places @ ..]) if (1..=2).contains(&places.len()) => {
                if name == "subltree" && places.len() == 1 {
                    return Ok(None);
                }
                let Some(path) = self.read_as(path, "ltree")? else { return Ok(None) };
                let places = places.iter().map(|place| self.whole_number(place)).collect::<Outcome<Vec<_>>>()?;
                let native = if name == "subpath" { "pg_ltree_subpath" } else { "pg_ltree_part" };
                Ok(Some(Typed::new(format!("{native}({path}, {})", places.join(", ")), of("ltree"))))
            }
            ("index", [path, part, start @ ..]) if start.len() <= 1 => {
                let (Some(path), Some(part)) = (self.read_as(path, "ltree")?, self.read_as(part, "ltree")?) else {
                    return Ok(None);
                };
                let start = match start {
                    [start] => self.whole_number(start)?,
                    _ => "'0'".to_owned(),
                };
                Ok(Some(Typed::new(format!("CAST(pg_ltree_index({path}, {part}, {start}) AS INTEGER)"), Type::Int4)))
            }
            ("hstore", [keys, values]) if matches!(keys.ty, Type::Array(_)) || matches!(values.ty, Type::Array(_)) => {
                let list = Type::Text.array();
                let mut texts = Vec::new();
                for side in [keys, values] {
                    let side = convert(side.clone(), &list, Context::Implicit, None, self.catalog())?;
                    texts.push(convert(side, &Type::Text, Context::Explicit, None, self.catalog())?.sql);
                }
                Ok(Some(Typed::new(format!("pg_hstore_of({}, coalesce({}, ''))", texts[0], texts[1]), of("hstore"))))
            }
            ("hstore", [key, value]) => {
                let (Some(key), Some(value)) = (self.as_text(key)?, self.as_text(value)?) else { return Ok(None) };
                let sql = format!(
                    "CASE WHEN {value} IS NULL THEN pg_hstore_pair({key}) ELSE pg_hstore_pair({key}, {value}) END"
                );
                Ok(Some(Typed::new(sql, of("hstore"))))
            }
            ("akeys" | "avals", [pairs]) => {
                let Some(pairs) = self.read_as(pairs, "hstore")? else { return Ok(None) };
                let native = if name == "akeys" { "pg_hstore_keys" } else { "pg_hstore_values" };
                Ok(Some(Typed::new(format!("{native}({pairs})"), Type::Text.array())))
            }
            ("exist" | "delete", [pairs, key]) if !is(&key.ty, "hstore") => {
                let (Some(pairs), Some(key)) = (self.read_as(pairs, "hstore")?, self.as_text(key)?) else {
                    return Ok(None);
                };
                Ok(Some(match name {
                    "exist" => Typed::new(format!("pg_hstore_has({pairs}, {key})"), Type::Bool),
                    _ => Typed::new(format!("pg_hstore_without({pairs}, {key})"), of("hstore")),
                }))
            }
            _ => Ok(None),
        }
    }
}
