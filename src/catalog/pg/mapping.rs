//! Types of the catalog and types of the server's tables: one into the other.
//!
//! Input: a [`Type`] or an [`Id`]. Output: the other. Invariant: lengths and precisions are lost on the way to an [`Id`], as they take
//! no part in choosing operators and functions; a type of an extension has no [`Id`].

use super::{Id, named, tables};
use crate::catalog::Type;

impl Id {
    /// The table's type for a type of the catalog; none for one of an extension.
    pub fn of(ty: &Type) -> Option<Id> {
        let name = match ty {
            Type::Bool => "bool",
            Type::Int2 => "int2",
            Type::Int4 => "int4",
            Type::Int8 => "int8",
            Type::Float4 => "float4",
            Type::Float8 => "float8",
            Type::Numeric(_) => "numeric",
            Type::Text => "text",
            Type::Varchar(_) => "varchar",
            Type::Char(_) => "bpchar",
            Type::Name => "name",
            Type::Bytea => "bytea",
            Type::Uuid => "uuid",
            Type::Json => "json",
            Type::Jsonb => "jsonb",
            Type::Date => "date",
            Type::Time(_) => "time",
            Type::Timestamp(_) => "timestamp",
            Type::Timestamptz(_) => "timestamptz",
            Type::Interval => "interval",
            Type::Unknown => "unknown",
            Type::Record => "record",
            Type::Void => "void",
            Type::Enum(oid) => return Some(Id::Enum(*oid)),
            Type::Domain(_, base) => return Id::of(base),
            Type::Composite(_) => return None,
            Type::Array(element) => return Id::of(element).and_then(Id::array),
            Type::Opaque(name) => {
                let base = name.split_once('(').map_or(name.as_str(), |(base, _)| base);
                return if base == "bpchar" { Some(named("bpchar")) } else { tables().by_shown(base) };
            }
        };
        Some(named(name))
    }

    /// The catalog's type, without length or precision. A pseudo-type has none.
    pub fn to_type(self) -> Option<Type> {
        let row = match self {
            Id::Enum(oid) => return Some(Type::Enum(oid)),
            Id::EnumArray(oid) => return Some(Type::Enum(oid).array()),
            Id::Known(_) => tables().row(self)?,
        };
        Some(match row.name {
            "bool" => Type::Bool,
            "int2" => Type::Int2,
            "int4" => Type::Int4,
            "int8" => Type::Int8,
            "float4" => Type::Float4,
            "float8" => Type::Float8,
            "numeric" => Type::Numeric(None),
            "text" => Type::Text,
            "varchar" => Type::Varchar(None),
            "bpchar" => Type::Opaque("bpchar".to_owned()),
            "name" => Type::Name,
            "bytea" => Type::Bytea,
            "uuid" => Type::Uuid,
            "json" => Type::Json,
            "jsonb" => Type::Jsonb,
            "date" => Type::Date,
            "time" => Type::Time(None),
            "timestamp" => Type::Timestamp(None),
            "timestamptz" => Type::Timestamptz(None),
            "interval" => Type::Interval,
            "unknown" => Type::Unknown,
            "record" => Type::Record,
            "void" => Type::Void,
            name if name.starts_with('_') => Type::Array(Box::new(row.element?.to_type()?)),
            _ if row.kind == b'p' => return None,
            _ => Type::Opaque(row.shown.to_owned()),
        })
    }

    /// The array type of this.
    pub fn array(self) -> Option<Id> {
        match self {
            Id::Enum(oid) => Some(Id::EnumArray(oid)),
            Id::EnumArray(_) => None,
            Id::Known(_) => tables().row(self)?.array,
        }
    }

    /// The element of an array type.
    pub fn element(self) -> Option<Id> {
        match self {
            Id::EnumArray(oid) => Some(Id::Enum(oid)),
            Id::Enum(_) => None,
            Id::Known(_) => tables().row(self).filter(|row| row.category == b'A').and_then(|row| row.element),
        }
    }

    /// The type of a range's bounds.
    pub(super) fn bounds(self) -> Option<Id> {
        tables().row(self).filter(|row| row.kind == b'r').and_then(|row| row.element)
    }

    /// `typcategory`
    pub(super) fn category(self) -> u8 {
        match self {
            Id::Enum(_) => b'E',
            Id::EnumArray(_) => b'A',
            Id::Known(_) => tables().row(self).map_or(b'U', |row| row.category),
        }
    }

    /// Preferred within its category.
    pub(super) fn is_preferred(self) -> bool {
        tables().row(self).is_some_and(|row| row.preferred)
    }

    pub(super) fn is_unknown(self) -> bool {
        self == named("unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn types_come_back() {
        let catalog = Catalog::empty();
        let check = |name: &str| {
            let ty = Type::parse(name, &catalog).expect(name);
            assert_eq!(Id::of(&ty).and_then(Id::to_type), Some(ty), "{name}");
        };
        for name in
            ["integer", "text[]", "numeric", "inet", "bit varying", "\"char\"", "regclass", "int4range", "bpchar"]
        {
            check(name);
        }
        assert_eq!(Id::of(&Type::Varchar(Some(3))), Some(named("varchar")));
        assert_eq!(Id::of(&Type::Opaque("ltree".to_owned())), None);
        assert_eq!(Id::of(&Type::Opaque("bit(3)".to_owned())), Some(named("bit")));
        assert_eq!(named("anyelement").to_type(), None);
    }
}
