//! Composite types: types of the user's that are a row of attributes.
//!
//! Input: a name. Output: the type. Invariant: its values are carried as the server's text of a row, `(1,"a b",)`. Left out: columns of
//! the type of a table's rows, which are refused.

use super::lookup::quoted;
use super::{Catalog, Oid, Type};

/// A composite type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// Its attributes in order.
    pub attributes: Vec<(String, Type)>,
}

impl Catalog {
    /// The composite type of a name, found as a type is.
    pub fn composite(&self, schema: Option<&str>, name: &str) -> Option<&Composite> {
        let of = |schema: &str| self.composites.values().find(|c| c.schema == schema && c.name == name);
        match schema {
            Some(schema) => of(schema),
            None => self.search_schemas().find_map(of),
        }
    }

    /// A composite type as messages name it.
    pub fn composite_name(&self, oid: Oid) -> String {
        let Some(composite) = self.composites.get(&oid) else {
            return self.tables.get(&oid).map_or_else(|| oid.to_string(), |table| quoted(&table.name));
        };
        match self.composite(None, &composite.name).is_some_and(|found| found.oid == oid) {
            true => quoted(&composite.name),
            false => format!("{}.{}", quoted(&composite.schema), quoted(&composite.name)),
        }
    }
}

impl Type {
    /// Has the composite type as itself or as its element.
    pub fn uses_composite(&self, oid: Oid) -> bool {
        match self {
            Type::Composite(own) => *own == oid,
            Type::Array(element) => element.uses_composite(oid),
            Type::Domain(_, base) => base.uses_composite(oid),
            _ => false,
        }
    }
}
