//! Casts: which types does PostgreSQL turn into which by itself, and which can a foreign key compare?
//!
//! Input: two types. Output: yes or no. The answers are those of `pg_cast` and of the btree operator families, taken from a server;
//! values decide nothing here. Left out: explicit casts, which the translator carries out.

use super::Type;

impl Type {
    /// Stored values of this type may become `to` without a word: ALTER COLUMN TYPE without USING, INSERT … SELECT.
    pub fn assigns_to(&self, to: &Type) -> bool {
        use Type::*;
        if self.same_base(to) || self.coerces_to(to) {
            return true;
        }
        match (self, to) {
            // Any value's text may be stored in a string.
            (_, Text | Varchar(_) | Char(_) | Name) => true,
            (_, Opaque(name)) if is_string(name) => true,
            (Array(from), Array(to)) => from.assigns_to(to),
            (from, to) if from.is_number() && to.is_number() => true,
            (Json, Jsonb) | (Jsonb, Json) => true,
            (Timestamp(_) | Timestamptz(_), Date | Time(_)) | (Timestamptz(_), Timestamp(_)) | (Interval, Time(_)) => {
                true
            }
            (Opaque(from), to) => assigns_from_opaque(base(from), to),
            (from, Opaque(to)) => {
                base(to) == "money" && (from.is_integer() || matches!(from, Numeric(_))) && *from != Int2
            }
            _ => false,
        }
    }

    /// The server converts this to `to` wherever that is asked for (an implicit cast).
    pub fn coerces_to(&self, to: &Type) -> bool {
        use Type::*;
        if self.same_base(to) {
            return true;
        }
        match (self, to) {
            (Unknown, _) => true,
            (Array(from), Array(to)) => from.coerces_to(to),
            (Int2, Int4 | Int8 | Float4 | Float8 | Numeric(_)) => true,
            (Int4, Int8 | Float4 | Float8 | Numeric(_)) | (Int8, Float4 | Float8 | Numeric(_)) => true,
            (Float4, Float8) | (Numeric(_), Float4 | Float8) => true,
            (Text | Varchar(_) | Char(_), Text | Varchar(_) | Char(_) | Name) | (Name, Text) => true,
            (Date, Timestamp(_) | Timestamptz(_)) | (Timestamp(_), Timestamptz(_)) | (Time(_), Interval) => true,
            (Int2 | Int4 | Int8, Opaque(to)) => base(to) == "oid" || base(to).starts_with("reg"),
            (Text | Varchar(_), Opaque(to)) => base(to) == "regclass",
            (Time(_), Opaque(to)) => base(to) == "time with time zone",
            (Opaque(from), Text) => matches!(base(from), "\"char\"" | "bpchar" | "citext"),
            (Opaque(from), Varchar(_) | Name | Char(_)) => matches!(base(from), "bpchar" | "citext"),
            (Opaque(from), Opaque(to)) => matches!(
                (base(from), base(to)),
                ("cidr", "inet")
                    | ("macaddr", "macaddr8")
                    | ("macaddr8", "macaddr")
                    | ("bit", "bit varying")
                    | ("bit varying", "bit")
            ),
            _ => false,
        }
    }

    /// A foreign key of this type may refer to a key of type `key`: the key's index has an operator for the two, or this is
    /// converted implicitly to what the index compares.
    pub fn references(&self, key: &Type) -> bool {
        use Type::*;
        if self.same_base(key) || self.coerces_to(key) {
            return true;
        }
        match (key, self) {
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
        match (self, other) {
            (Type::Array(one), Type::Array(other)) => one.same_base(other),
            (Type::Opaque(one), Type::Opaque(other)) => base(one) == base(other),
            (Type::Enum(_), _) => self == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// An index of this access method can hold it without being told how.
    pub fn has_operator_class(&self, method: &str) -> bool {
        match (method, self) {
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
}

fn assigns_from_opaque(from: &str, to: &Type) -> bool {
    match (from, to) {
        ("oid", Type::Int4 | Type::Int8) | ("money", Type::Numeric(_)) | ("time with time zone", Type::Time(_)) => true,
        ("inet", Type::Opaque(to)) => base(to) == "cidr",
        _ => false,
    }
}

fn is_string(name: &str) -> bool {
    matches!(base(name), "\"char\"" | "bpchar" | "citext")
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
