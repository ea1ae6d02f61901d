//! Domains: a value that becomes one of a domain is judged by the domain's rules.
//!
//! Input: a value, the domain. Output: the same value, or the server's error in the row that has a value beyond the rules. Invariants: the
//! rules of a domain that it is based on come first, NOT NULL before any CHECK; a value that comes out of a domain is one of its
//! base type. Left out: rows that were there before a rule.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::Translator;
use super::cast::{self, Context};
use super::expression::{Site, contains_column, words};
use super::reader::Reader;
use super::scope::{Scope, Source, SourceColumn};
use super::typed::{Typed, raise};
use crate::catalog::domain::Domain;
use crate::catalog::pg::Id;
use crate::catalog::{Expression, Oid, Outcome, Problem, Type};
use crate::query::quote_literal;

impl Reader<'_> {
    /// Converts a value and judges it.
    pub(super) fn coerce_to_domain(
        &mut self,
        value: Typed,
        to: &Type,
        context: Context,
        column: Option<&str>,
    ) -> Outcome<Typed> {
        let plain = to.plain();
        let known = Id::of(&value.ty).is_some() && value.ty != Type::Unknown;
        if known && !cast::exists(&value.ty, plain, context) {
            return Err(cast::refusal(&value.ty, to, context, column, self.catalog()));
        }
        let value = self.coerce(value, plain, context, column)?;
        Ok(Typed::new(self.judged(&value.sql, to)?, plain.clone()))
    }

    /// A value of the base type, judged by the rules of a domain and those that it is based on.
    fn judged(&mut self, sql: &str, ty: &Type) -> Outcome<String> {
        let catalog = self.catalog();
        let name = ty.base_name(catalog);
        let held = format!("d{}", self.number());
        let mut cases = String::new();
        for domain in catalog.domains_of(ty) {
            if domain.not_null {
                let message = quote_literal(&format!("domain {name} does not allow null values"));
                cases.push_str(&format!(" WHEN {held} IS NULL THEN {}", raise("23502", &message, ty.plain())));
            }
            let mut checks: Vec<_> = domain.checks.iter().collect();
            checks.sort_by(|a, b| a.name.cmp(&b.name));
            for check in checks {
                let broken = self.broken(domain, &check.condition, &held)?;
                let message = format!("value for domain {name} violates check constraint \"{}\"", check.name);
                let error = raise("23514", &quote_literal(&message), ty.plain());
                cases.push_str(&format!(" WHEN {broken} THEN {error}"));
            }
        }
        Ok(match cases.is_empty() {
            true => sql.to_owned(),
            false => format!("list_transform([{sql}], lambda {held}: CASE{cases} ELSE {held} END)[1]"),
        })
    }

    /// The condition of a CHECK, turned round, over a value.
    fn broken(&mut self, domain: &Domain, condition: &Expression, value: &str) -> Outcome<String> {
        let column = SourceColumn {
            name: "value".to_owned(),
            ty: domain.base.plain().clone(),
            sql: value.to_owned(),
            origin: None,
        };
        let source = Source {
            name: String::new(),
            schema: None,
            columns: vec![column],
            row: None,
            table: None,
            alias: String::new(),
            scalar: false,
        };
        let scope = Scope { sources: vec![source], ..Scope::default() };
        let site = Site { place: "check constraints", ..Site::new(&scope, "CHECK") };
        let constants = self.constants();
        let condition = self.without_variables(|reader| reader.condition(&condition.node, site))?;
        self.forget_constants(constants);
        Ok(format!("NOT ({condition})"))
    }

    /// What a column of the domain holds where neither the statement nor the column says it.
    pub(super) fn domain_default(&mut self, ty: &Type) -> Option<Expression> {
        let domains = self.catalog().domains_of(ty);
        domains.into_iter().rev().find_map(|domain| domain.default.clone())
    }

    /// The type that an output has: a column's domain, or the one that is cast to, stays.
    pub(super) fn output_type(&self, node: &Node, value: &Typed, site: Site<'_>) -> Type {
        let domain = match &node.node {
            Some(NodeEnum::ColumnRef(column)) => {
                let names = words(&column.fields);
                let found = match names.as_slice() {
                    [name] => site.scope.find(None, None, name),
                    [source, name] => site.scope.find(None, Some(source), name),
                    [schema, source, name] => site.scope.find(Some(schema), Some(source), name),
                    _ => return value.ty.clone(),
                };
                found.ok().map(|found| found.column.ty)
            }
            Some(NodeEnum::TypeCast(cast)) => {
                cast.type_name.as_ref().and_then(|name| Type::from_name(name, self.catalog()).ok())
            }
            _ => None,
        };
        domain.filter(|ty| matches!(ty, Type::Domain(..))).unwrap_or_else(|| value.ty.clone())
    }

    /// Is it a value whose domain `pg_typeof` would tell?
    pub(super) fn is_of_domain(&self, node: &Node, site: Site<'_>) -> bool {
        let unknown = Typed::new("", Type::Unknown);
        matches!(self.output_type(node, &unknown, site), Type::Domain(..))
    }
}

impl Translator<'_> {
    /// Reads a domain's rules and its default.
    ///
    /// # Errors
    /// What the server says of them when the domain is made, or [`Problem::Unsupported`].
    pub fn bind_domain(&self, oid: Oid) -> Outcome<()> {
        let Some(domain) = self.catalog.domains.get(&oid) else { return Ok(()) };
        let mut reader = Reader::new(self);
        for check in &domain.checks {
            reader.broken(domain, &check.condition, "v")?;
        }
        let Some(default) = &domain.default else { return Ok(()) };
        if contains_column(&default.node) {
            return Err(Problem::rejected("0A000", "cannot use column reference in DEFAULT expression"));
        }
        let scope = Scope::default();
        let value = reader.expression(&default.node, Site::new(&scope, "DEFAULT expressions"))?;
        reader.coerce(value, domain.base.plain(), Context::Assignment, None).map(|_| ())
    }

    /// SQL that says whether a value breaks a rule of a domain: one of its checks, or NOT NULL.
    ///
    /// # Errors
    /// As [`Translator::select`].
    pub fn breaks_domain(&self, oid: Oid, check: Option<&str>, value: &str) -> Outcome<String> {
        let gone = || Problem::unsupported("a domain that has been dropped");
        let domain = self.catalog.domains.get(&oid).ok_or_else(gone)?;
        let Some(name) = check else { return Ok(format!("{value} IS NULL")) };
        let check = domain.checks.iter().find(|check| check.name == name).ok_or_else(gone)?;
        Reader::new(self).broken(domain, &check.condition, value)
    }
}
