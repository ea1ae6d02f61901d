//! Rewrite rules: CREATE RULE and DROP RULE.
//!
//! Input: the parser's statements. Output: which tables and views have which rules. Invariant: a rule is recorded, never followed: whoever
//! writes to what has one can't be rehearsed. Left out: rules on SELECT.

use pg_query::protobuf::{CmdType, DropStmt, RuleStmt};

use super::{Change, drops::name_behind_table, tables::named};
use crate::catalog::{Oid, Outcome, Problem, Rule};

impl Change {
    pub(super) fn create_rule(&mut self, statement: &RuleStmt) -> Outcome<&'static str> {
        let relation = named(statement.relation.as_ref())?;
        let schema = Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty());
        let missing = || self.catalog.missing_named(schema, &relation.relname).at(relation.location);
        let (_, oid) = self.catalog.find_relation(schema, &relation.relname).ok_or_else(missing)?;
        let event = match CmdType::try_from(statement.event) {
            Ok(CmdType::CmdInsert) => "INSERT",
            Ok(CmdType::CmdUpdate) => "UPDATE",
            Ok(CmdType::CmdDelete) => "DELETE",
            _ => return Err(Problem::unsupported("a rewrite rule on SELECT")),
        };
        let name = &statement.rulename;
        let is_same = |rule: &Rule| rule.relation == oid && rule.name == *name;
        if self.catalog.rules.iter().any(is_same) {
            if !statement.replace {
                let message = format!("rule \"{name}\" for relation \"{}\" already exists", relation.relname);
                return Err(Problem::rejected("42710", message));
            }
            self.catalog.rules.retain(|rule| !is_same(rule));
        }
        self.catalog.rules.push(Rule { relation: oid, name: name.clone(), event: event.to_owned() });
        self.note(format!("the rule {name} isn't followed here: {event} of {} can't be rehearsed", relation.relname));
        self.table = Some(oid).filter(|oid| self.catalog.tables.contains_key(oid));
        Ok("CREATE RULE")
    }

    pub(super) fn drop_rules(&mut self, statement: &DropStmt) -> Outcome<&'static str> {
        const TAG: &str = "DROP RULE";
        for node in &statement.objects {
            let ((schema, relation), name) =
                name_behind_table(node).ok_or_else(|| Problem::unsupported("DROP RULE of this form"))?;
            let Some(oid) = self.relation_of_rule(schema.as_deref(), &relation) else {
                if statement.missing_ok {
                    self.note(format!("relation \"{relation}\" does not exist, skipping"));
                    continue;
                }
                return Err(self.catalog.missing_named(schema.as_deref(), &relation));
            };
            let before = self.catalog.rules.len();
            self.catalog.rules.retain(|rule| (rule.relation, &rule.name) != (oid, &name));
            if self.catalog.rules.len() < before {
                continue;
            }
            let message = format!("rule \"{name}\" for relation \"{relation}\" does not exist");
            match (statement.missing_ok, self.catalog.partial) {
                (true, _) => self.note(format!("{message}, skipping")),
                (false, true) => self.note(format!("the snapshot lists no rules: {name} is taken as existing")),
                (false, false) => return Err(Problem::rejected("42704", message)),
            }
        }
        Ok(TAG)
    }

    fn relation_of_rule(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        self.catalog.find_relation(schema, name).map(|(_, oid)| oid)
    }
}
