//! Row security policies: CREATE POLICY and ALTER POLICY.
//!
//! Input: the parser's statements. Output: policies, with what their conditions read. Invariant: a policy is in the way of whoever drops or
//! converts a column that it reads. Left out: whom it keeps from which rows: a migration's owner sees all of them.

use pg_query::protobuf::{AlterPolicyStmt, CreatePolicyStmt, Node};

use super::{Change, reads::Reads};
use crate::catalog::{Expression, Oid, Outcome, Policy, Problem};

impl Change {
    pub(super) fn create_policy(&mut self, statement: &CreatePolicyStmt) -> Outcome<&'static str> {
        let table = self.touch(statement.table.as_ref())?;
        let name = statement.policy_name.clone();
        if self.catalog.policies.iter().any(|old| (old.table, &old.name) == (table, &name)) {
            let relation = statement.table.as_ref().map_or("", |relation| &relation.relname);
            let message = format!("policy \"{name}\" for table \"{relation}\" already exists");
            return Err(Problem::rejected("42710", message));
        }
        let policy = Policy {
            table,
            name,
            command: statement.cmd_name.clone(),
            permissive: statement.permissive,
            using: kept(statement.qual.as_deref()),
            check: kept(statement.with_check.as_deref()),
            reads: Reads::new(),
        };
        let reads = self.read_by(&policy);
        self.catalog.policies.push(Policy { reads, ..policy });
        Ok("CREATE POLICY")
    }

    pub(super) fn alter_policy(&mut self, statement: &AlterPolicyStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER POLICY";
        let table = self.touch(statement.table.as_ref())?;
        let name = &statement.policy_name;
        let is_meant = |policy: &Policy| (policy.table, &policy.name) == (table, name);
        let Some(place) = self.catalog.policies.iter().position(is_meant) else {
            if self.catalog.partial {
                return Ok(TAG);
            }
            let relation = statement.table.as_ref().map_or("", |relation| &relation.relname);
            let message = format!("policy \"{name}\" for table \"{relation}\" does not exist");
            return Err(Problem::rejected("42704", message));
        };
        let mut policy = self.catalog.policies[place].clone();
        if statement.qual.is_some() {
            policy.using = kept(statement.qual.as_deref());
        }
        if statement.with_check.is_some() {
            policy.check = kept(statement.with_check.as_deref());
        }
        policy.reads = self.read_by(&policy);
        self.catalog.policies[place] = policy;
        Ok(TAG)
    }

    /// What the conditions of a policy read.
    fn read_by(&self, policy: &Policy) -> Reads {
        let mut reads = Reads::new();
        for condition in [&policy.using, &policy.check].into_iter().flatten() {
            for (relation, columns) in self.catalog.dependencies_of_condition(policy.table, &condition.node) {
                reads.entry(relation).or_default().extend(columns);
            }
        }
        reads
    }

    /// Policies of other tables that read a relation.
    pub(super) fn policies_on(&self, relation: Oid) -> impl Iterator<Item = super::dependencies::Object> + '_ {
        let reading = (0..).zip(self.catalog.policies.iter());
        let reading = reading.filter(move |(_, p)| p.table != relation && p.reads.contains_key(&relation));
        reading.map(|(place, policy)| super::dependencies::Object::Policy(policy.table, place))
    }
}

/// A condition; one that can't be written again is in nobody's way.
fn kept(condition: Option<&Node>) -> Option<Expression> {
    condition.and_then(|node| Expression::new(node).ok())
}
