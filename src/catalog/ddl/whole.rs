//! Objects beside the schemas: publications, event triggers, roles.
//!
//! Input: CREATE, ALTER and DROP of them. Output: their names, and of publications their tables. Invariants: where the catalog comes
//! from a snapshot, which lists none of them, one that isn't known is taken as existing; roles belong to the server, so that only those
//! of the migration are known. Left out: what event triggers do, which is said.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterPublicationAction, AlterPublicationStmt, CreateEventTrigStmt, CreatePublicationStmt, CreateRoleStmt,
    DropRoleStmt, DropStmt, Node, PublicationObjSpecType,
};

use super::{Change, qualified, qualified_list};
use crate::catalog::{Oid, Outcome, Problem, Publication};

impl Change {
    pub(super) fn create_publication(&mut self, statement: &CreatePublicationStmt) -> Outcome<&'static str> {
        let name = &statement.pubname;
        if self.catalog.publications.contains_key(name) {
            return Err(Problem::rejected("42710", format!("publication \"{name}\" already exists")));
        }
        let (tables, is_whole) = self.published(&statement.pubobjects)?;
        let publication =
            Publication { tables: tables.into_iter().collect(), of_all: statement.for_all_tables, is_whole };
        self.catalog.publications.insert(name.clone(), publication);
        Ok("CREATE PUBLICATION")
    }

    /// The tables that a publication's objects name, and whether they are nothing but tables.
    fn published(&mut self, objects: &[Node]) -> Outcome<(Vec<Oid>, bool)> {
        let (mut tables, mut is_whole) = (Vec::new(), true);
        for node in objects {
            let Some(NodeEnum::PublicationObjSpec(object)) = &node.node else { continue };
            let relation = object.pubtable.as_ref().and_then(|table| table.relation.as_ref());
            match relation.filter(|_| object.pubobjtype == PublicationObjSpecType::PublicationobjTable as i32) {
                Some(relation) => {
                    let oid = self.touch(Some(relation))?;
                    if !self.catalog.tables.contains_key(&oid) {
                        let message = format!("cannot add relation \"{}\" to publication", relation.relname);
                        return Err(Problem::rejected("22023", message));
                    }
                    tables.push(oid);
                }
                None => is_whole = false,
            }
        }
        Ok((tables, is_whole))
    }

    pub(super) fn alter_publication(&mut self, statement: &AlterPublicationStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER PUBLICATION";
        let name = &statement.pubname;
        if !self.catalog.publications.contains_key(name) {
            return match self.catalog.partial {
                true => Ok(TAG),
                false => Err(missing("publication", name)),
            };
        }
        let (tables, is_whole) = self.published(&statement.pubobjects)?;
        let shown: Vec<String> = tables
            .iter()
            .map(|oid| self.catalog.tables.get(oid).map_or_else(String::new, |t| t.name.clone()))
            .collect();
        let Some(publication) = self.catalog.publications.get_mut(name) else { return Ok(TAG) };
        publication.is_whole &= is_whole;
        match AlterPublicationAction::try_from(statement.action) {
            Ok(AlterPublicationAction::ApAddObjects) => {
                for (oid, shown) in tables.into_iter().zip(shown) {
                    if !publication.tables.insert(oid) {
                        let message = format!("relation \"{shown}\" is already member of publication \"{name}\"");
                        return Err(Problem::rejected("42710", message));
                    }
                }
            }
            Ok(AlterPublicationAction::ApDropObjects) => {
                for (oid, shown) in tables.into_iter().zip(shown) {
                    if !publication.tables.remove(&oid) && publication.is_whole {
                        let message = format!("relation \"{shown}\" is not part of the publication");
                        return Err(Problem::rejected("42704", message));
                    }
                }
            }
            Ok(AlterPublicationAction::ApSetObjects) if !statement.pubobjects.is_empty() => {
                publication.tables = tables.into_iter().collect();
                publication.is_whole = is_whole;
            }
            _ => {}
        }
        Ok(TAG)
    }

    pub(super) fn create_event_trigger(&mut self, statement: &CreateEventTrigStmt) -> Outcome<&'static str> {
        let name = &statement.trigname;
        let known = ["ddl_command_start", "ddl_command_end", "sql_drop", "table_rewrite"];
        if !known.contains(&statement.eventname.as_str()) {
            let message = format!("unrecognized event name \"{}\"", statement.eventname);
            return Err(Problem::rejected("42601", message));
        }
        if self.catalog.event_triggers.contains(name) {
            return Err(Problem::rejected("42710", format!("event trigger \"{name}\" already exists")));
        }
        let (schema, function) = qualified(&statement.funcname)?;
        if self.catalog.functions_named(schema.as_deref(), &function).next().is_none() && !self.catalog.partial {
            return Err(Problem::rejected("42883", format!("function {function}() does not exist")));
        }
        self.catalog.event_triggers.insert(name.clone());
        self.note(format!("what the event trigger {name} does at later statements isn't rehearsed: it can't be told"));
        Ok("CREATE EVENT TRIGGER")
    }

    /// DROP PUBLICATION, DROP EVENT TRIGGER.
    pub(super) fn drop_whole(&mut self, statement: &DropStmt, what: &str, tag: &'static str) -> Outcome<&'static str> {
        for node in &statement.objects {
            let (_, name) = qualified_list(node)?;
            let was_there = match what {
                "publication" => self.catalog.publications.remove(&name).is_some(),
                _ => self.catalog.event_triggers.remove(&name),
            };
            match was_there || self.catalog.partial {
                true => {}
                false if statement.missing_ok => self.note(format!("{what} \"{name}\" does not exist, skipping")),
                false => return Err(missing(what, &name)),
            }
        }
        Ok(tag)
    }

    pub(super) fn create_role(&mut self, statement: &CreateRoleStmt) -> Outcome<&'static str> {
        let role = &statement.role;
        if !self.catalog.roles.insert(role.clone()) {
            return Err(Problem::rejected("42710", format!("role \"{role}\" already exists")));
        }
        Ok("CREATE ROLE")
    }

    pub(super) fn drop_roles(&mut self, statement: &DropRoleStmt) -> &'static str {
        for node in &statement.roles {
            let Some(NodeEnum::RoleSpec(role)) = &node.node else { continue };
            if !self.catalog.roles.remove(&role.rolename) && !statement.missing_ok {
                self.note_role(&role.rolename);
            }
        }
        "DROP ROLE"
    }

    /// 42883, where a function that COMMENT or GRANT names isn't there.
    pub(super) fn expect_function(&self, object: &pg_query::protobuf::ObjectWithArgs) -> Outcome<()> {
        let (_, name) = qualified(&object.objname)?;
        let of_system = !crate::catalog::pg::tables().functions(&name).is_empty();
        let listed = crate::catalog::pg::tables().extensions_with_function(&name);
        if self.catalog.partial || of_system || listed.iter().any(|name| self.catalog.extensions.contains(*name)) {
            return Ok(());
        }
        self.function_meant(object, "function").map(|_| ())
    }
}

/// 42704
fn missing(what: &str, name: &str) -> Problem {
    Problem::rejected("42704", format!("{what} \"{name}\" does not exist"))
}
