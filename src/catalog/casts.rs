//! Casts: which types does PostgreSQL turn into which by itself, and which can a foreign key compare?
//!
//! Input: two types. Output: yes or no. The answers are those of `pg_cast` (see [`super::pg`]) and of the btree operator families;
//! values decide nothing here. Left out: explicit casts, which the translator carries out.

use super::Type;
use super::pg::coercion::converts;
use super::pg::{Context, Id};

impl Type {
    /// Stored values of this type may become `to` without a word: ALTER COLUMN TYPE without USING, INSERT … SELECT.
    pub fn assigns_to(&self, to: &Type) -> bool {
        self.becomes(to, Context::Assignment)
    }

    /// The server converts this to `to` wherever that is asked for (an implicit cast).
    pub fn coerces_to(&self, to: &Type) -> bool {
        self.becomes(to, Context::Implicit)
    }

    fn becomes(&self, to: &Type, context: Context) -> bool {
        if self.same_base(to) {
            return true;
        }
        match (Id::of(self), Id::of(to)) {
            (Some(from), Some(to)) => converts(from, to, context),
            _ => becomes_foreign(self, to, context),
        }
    }

    /// A foreign key of this type may refer to a key of type `key`: the key's index has an operator for the two, or this is
    /// converted implicitly to what the index compares.
    pub fn references(&self, key: &Type) -> bool {
        use Type::*;
        if self.same_base(key) || self.coerces_to(key) {
            return true;
        }
        match (key.plain(), self.plain()) {
            // One operator family each: any member may be compared with any other.
            (key, own) if key.is_integer() && own.is_integer() => true,
            (Float4 | Float8, Float4 | Float8) => true,
            (Text | Varchar(_) | Name, Text | Varchar(_) | Name | Char(_)) => true,
            (Date | Timestamp(_) | Timestamptz(_), Date | Timestamp(_) | Timestamptz(_)) => true,
            // varchar has no index operators of its own: its keys are compared as text.
            (Varchar(_), own) => own.coerces_to(&Text),
            _ => false,
        }
    }

    /// The same type but for length and precision.
    pub fn same_base(&self, other: &Type) -> bool {
        match (self.plain(), other.plain()) {
            (Type::Array(one), Type::Array(other)) => one.same_base(other),
            (Type::Opaque(one), Type::Opaque(other)) => base(one) == base(other),
            (one @ (Type::Enum(_) | Type::Composite(_)), other) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    /// An index of this access method can hold it without being told how.
    pub fn has_operator_class(&self, method: &str) -> bool {
        match (method, self.plain()) {
            ("btree" | "hash", Type::Json | Type::Record | Type::Void) => false,
            ("btree" | "hash", Type::Opaque(name)) => !matches!(
                base(name),
                "xml"
                    | "point"
                    | "line"
                    | "lseg"
                    | "box"
                    | "path"
                    | "polygon"
                    | "circle"
                    | "jsonpath"
                    | "txid_snapshot"
            ),
            ("btree" | "hash", Type::Array(element)) => element.has_operator_class(method),
            ("gin", Type::Array(_) | Type::Jsonb) => true,
            ("gin", Type::Opaque(name)) => matches!(base(name), "tsvector" | "hstore"),
            ("gin", _) => false,
            ("gist", Type::Opaque(_)) => true,
            ("gist", _) => false,
            _ => true,
        }
    }

    /// The extension whose operator classes let an index of this access method hold it, where it is one of plain values.
    pub fn operator_class_extension(&self, method: &str) -> Option<&'static str> {
        let extension = match method {
            "gin" => "btree_gin",
            "gist" => "btree_gist",
            _ => return None,
        };
        let holds = match self.plain() {
            Type::Name => method == "gin",
            Type::Opaque(name) => matches!(
                base(name),
                "money"
                    | "oid"
                    | "inet"
                    | "cidr"
                    | "macaddr"
                    | "macaddr8"
                    | "bit"
                    | "bit varying"
                    | "time with time zone"
            ),
            Type::Json | Type::Jsonb | Type::Array(_) | Type::Record | Type::Void | Type::Unknown => false,
            _ => true,
        };
        holds.then_some(extension)
    }
}

/// Where one is a type of an extension: of those, citext alone is a string and has casts of its own.
fn becomes_foreign(from: &Type, to: &Type, context: Context) -> bool {
    let is_citext = |ty: &Type| matches!(ty, Type::Opaque(name) if base(name) == "citext");
    match (from, to) {
        (Type::Array(from), Type::Array(to)) => from.becomes(to, context),
        (from, Type::Text | Type::Varchar(_)) if is_citext(from) => true,
        (_, to) => context >= Context::Assignment && (to.is_text() || is_citext(to)),
    }
}

fn base(name: &str) -> &str {
    name.split_once('(').map_or(name, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use crate::catalog::{Catalog, Type};

    fn types(names: &str) -> Vec<Type> {
        let catalog = Catalog::empty();
        names.split(", ").map(|name| Type::parse(name, &catalog).expect(name)).collect()
    }

    #[test]
    fn a_stored_value_becomes_another_type_only_where_pg_cast_says_so() {
        let check = |from: &str, to: &str, expected: bool| {
            for from in types(from) {
                for to in types(to) {
                    assert_eq!(from.assigns_to(&to), expected, "{from:?} to {to:?}");
                }
            }
        };
        check("uuid, integer, boolean, jsonb, date, integer[], inet", "text, varchar(3), char(2)", true);
        check("text, varchar(9)", "integer, uuid, boolean, jsonb, date, timestamp, text[], inet", false);
        check("smallint, bigint, real, numeric(3,1)", "integer, numeric, double precision", true);
        check("integer", "boolean, date, uuid", false);
        check("boolean", "integer", false);
        check("timestamp, timestamptz", "date, time, timestamp, timestamptz", true);
        check("date", "time", false);
        check("integer[]", "text[], bigint[]", true);
        check("text[]", "integer[]", false);
    }

    #[test]
    fn keys_are_compared_as_their_index_compares() {
        let check = |own: &str, key: &str, expected: bool| {
            let (own, key) = (types(own).remove(0), types(key).remove(0));
            assert_eq!(own.references(&key), expected, "{own:?} references {key:?}");
        };
        check("integer", "bigint", true);
        check("bigint", "smallint", true);
        check("integer", "numeric", true);
        check("numeric", "integer", false);
        check("text", "varchar(3)", true);
        check("varchar", "text", true);
        check("text", "uuid", false);
        check("uuid", "text", false);
        check("char(3)", "text", true);
        check("text", "char(3)", true);
        check("date", "timestamptz", true);
        check("timestamp", "date", true);
        check("integer", "text", false);
    }
}
