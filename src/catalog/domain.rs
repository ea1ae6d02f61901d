//! Domains: types of the user's that are another type and rules for its values.
//!
//! Input: a name. Output: the domain. Invariants: a domain's rules hold wherever a value becomes one of it, in a column and in a cast;
//! those of a domain that it is based on come first. Left out: how a rule is judged, which is the translation's.

use super::lookup::quoted;
use super::{Catalog, Expression, Oid, Type};

/// A domain.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its number.
    pub oid: Oid,
    /// Its schema.
    pub schema: String,
    /// Its name, unquoted.
    pub name: String,
    /// What it is based on; another domain may be.
    pub base: Type,
    /// NULL is no value of it.
    pub not_null: bool,
    /// DEFAULT, for columns that have none of their own.
    pub default: Option<Expression>,
    /// CHECK constraints, in the order in which they were made.
    pub checks: Vec<DomainCheck>,
}

/// A CHECK of a domain, in which VALUE stands for the value.
#[derive(Debug, Clone)]
pub struct DomainCheck {
    /// Its name.
    pub name: String,
    /// Its condition.
    pub condition: Expression,
    /// False for NOT VALID: values that were there before may break it.
    pub validated: bool,
}

impl Catalog {
    /// The domain of a name, found as a type is.
    pub fn domain(&self, schema: Option<&str>, name: &str) -> Option<&Domain> {
        let of = |schema: &str| self.domains.values().find(|d| d.schema == schema && d.name == name);
        match schema {
            Some(schema) => of(schema),
            None => self.search_schemas().find_map(of),
        }
    }

    /// A domain as messages name it.
    pub fn domain_name(&self, oid: Oid) -> String {
        let Some(domain) = self.domains.get(&oid) else { return oid.to_string() };
        match self.domain(None, &domain.name).is_some_and(|found| found.oid == oid) {
            true => quoted(&domain.name),
            false => format!("{}.{}", quoted(&domain.schema), quoted(&domain.name)),
        }
    }

    /// A domain and those that it is based on, the innermost first.
    pub fn domains_of(&self, ty: &Type) -> Vec<&Domain> {
        let Type::Domain(oid, base) = ty else { return Vec::new() };
        let mut all = self.domains_of(base);
        all.extend(self.domains.get(oid));
        all
    }
}

impl Type {
    /// The type itself, or what a domain is based on in the end.
    pub fn plain(&self) -> &Type {
        match self {
            Type::Domain(_, base) => base.plain(),
            ty => ty,
        }
    }

    /// Has the domain as itself or as what it is based on.
    pub fn uses_domain(&self, oid: Oid) -> bool {
        match self {
            Type::Domain(own, base) => *own == oid || base.uses_domain(oid),
            _ => false,
        }
    }
}
