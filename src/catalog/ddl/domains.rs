//! Domains: CREATE DOMAIN and ALTER DOMAIN.
//!
//! Input: the parser's statements. Output: domains, and what is to be asked of the rows that hold them. Invariants: a rule is named as the
//! server names it; a new rule is asked of every column of the domain. Left out: domains over arrays and enums, collations.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterDomainStmt, ConstrType, Constraint, CreateDomainStmt};

use super::{Change, qualified};
use crate::catalog::domain::{Domain, DomainCheck};
use crate::catalog::types::missing_type;
use crate::catalog::{Effect, Expression, Oid, Outcome, Problem, Type};

impl Change {
    pub(super) fn create_domain(&mut self, statement: &CreateDomainStmt) -> Outcome<&'static str> {
        let (schema, name) = qualified(&statement.domainname)?;
        let schema = self.catalog.creation_schema(schema.as_deref())?;
        self.expect_free_type(&schema, &name)?;
        if statement.coll_clause.is_some() {
            return Err(Problem::unsupported("a domain with a collation"));
        }
        let ty = statement.type_name.as_ref().ok_or_else(|| Problem::unsupported("a domain without a type"))?;
        let base = Type::from_name(ty, &self.catalog)?;
        if matches!(base.plain(), Type::Enum(_) | Type::Array(_) | Type::Record | Type::Void | Type::Unknown) {
            return Err(Problem::unsupported("a domain over this type"));
        }
        let oid = self.catalog.new_oid();
        let mut domain = Domain { oid, schema, name, base, not_null: false, default: None, checks: Vec::new() };
        let mut nullable = None;
        for node in &statement.constraints {
            let Some(NodeEnum::Constraint(constraint)) = &node.node else { continue };
            match ConstrType::try_from(constraint.contype) {
                Ok(kind @ (ConstrType::ConstrNotnull | ConstrType::ConstrNull)) => {
                    let wanted = kind == ConstrType::ConstrNotnull;
                    if nullable.is_some_and(|had| had != wanted) {
                        return Err(Problem::rejected("42601", "conflicting NULL/NOT NULL constraints"));
                    }
                    nullable = Some(wanted);
                    domain.not_null = wanted;
                }
                Ok(ConstrType::ConstrDefault) => domain.default = default(constraint)?,
                Ok(ConstrType::ConstrCheck) => add_check(&mut domain, constraint)?,
                _ => {
                    return Err(Problem::rejected(
                        "0A000",
                        "specifying constraint of this form not supported for domains",
                    ));
                }
            }
        }
        self.catalog.domains.insert(oid, domain);
        Ok("CREATE DOMAIN")
    }

    pub(super) fn alter_domain(&mut self, statement: &AlterDomainStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER DOMAIN";
        let (schema, name) = qualified(&statement.type_name)?;
        let oid = self.expect_domain(schema.as_deref(), &name)?;
        // Messages name the domain as the statement does.
        let name = crate::catalog::tree::strings(&statement.type_name).join(".");
        let domain = self.catalog.domains.get_mut(&oid).expect("it was found by name");
        match statement.subtype.as_str() {
            "T" => {
                domain.default = match statement.def.as_deref() {
                    Some(node) => Some(Expression::new(node)?),
                    None => None,
                }
            }
            "N" => domain.not_null = false,
            "O" => {
                domain.not_null = true;
                self.effects.push(Effect::VerifyDomain(oid, None));
            }
            "C" => {
                let Some(NodeEnum::Constraint(constraint)) = statement.def.as_deref().and_then(|def| def.node.as_ref())
                else {
                    return Err(Problem::unsupported("ALTER DOMAIN ADD of this form"));
                };
                if ConstrType::try_from(constraint.contype) != Ok(ConstrType::ConstrCheck) {
                    return Err(Problem::unsupported("ALTER DOMAIN ADD of this form"));
                }
                if domain.checks.iter().any(|check| check.name == constraint.conname) {
                    let message = format!("constraint \"{}\" for domain \"{name}\" already exists", constraint.conname);
                    return Err(Problem::rejected("42710", message));
                }
                add_check(domain, constraint)?;
                let added = domain.checks.last().filter(|check| check.validated).map(|check| check.name.clone());
                self.effects.extend(added.map(|name| Effect::VerifyDomain(oid, Some(name))));
            }
            "X" => {
                let before = domain.checks.len();
                domain.checks.retain(|check| check.name != statement.name);
                if domain.checks.len() == before {
                    let words = format!("constraint \"{}\" of domain \"{name}\" does not exist", statement.name);
                    match statement.missing_ok {
                        true => self.note(format!("{words}, skipping")),
                        false => return Err(Problem::rejected("42704", words)),
                    }
                }
            }
            "V" => {
                let Some(check) = domain.checks.iter_mut().find(|check| check.name == statement.name) else {
                    let words = format!("constraint \"{}\" of domain \"{name}\" does not exist", statement.name);
                    return Err(Problem::rejected("42704", words));
                };
                check.validated = true;
                self.effects.push(Effect::VerifyDomain(oid, Some(statement.name.clone())));
            }
            _ => return Err(Problem::unsupported("ALTER DOMAIN of this form")),
        }
        Ok(TAG)
    }

    pub(super) fn expect_domain(&self, schema: Option<&str>, name: &str) -> Outcome<Oid> {
        match self.catalog.domain(schema, name) {
            Some(found) => Ok(found.oid),
            None if self.catalog.enum_type(schema, name).is_some() || self.catalog.table(schema, name).is_some() => {
                Err(Problem::rejected("42809", format!("{name} is not a domain")))
            }
            None => Err(missing_type(schema, name, &self.catalog)),
        }
    }
}

fn default(constraint: &Constraint) -> Outcome<Option<Expression>> {
    constraint.raw_expr.as_deref().map(Expression::new).transpose()
}

/// Adds a CHECK: one without a name is `d_check`, `d_check1` …
fn add_check(domain: &mut Domain, constraint: &Constraint) -> Outcome<()> {
    let node = constraint.raw_expr.as_deref().ok_or_else(|| Problem::unsupported("CHECK without a condition"))?;
    let condition = Expression::new(node)?;
    let taken = |name: &str| domain.checks.iter().any(|check| check.name == name);
    let name = match constraint.conname.as_str() {
        "" => {
            let mut names = std::iter::once(format!("{}_check", domain.name))
                .chain((1..).map(|number| format!("{}_check{number}", domain.name)));
            names.find(|name| !taken(name)).unwrap_or_default()
        }
        given => given.to_owned(),
    };
    domain.checks.push(DomainCheck { name, condition, validated: !constraint.skip_validation });
    Ok(())
}
