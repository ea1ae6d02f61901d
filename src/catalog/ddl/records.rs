//! Records: statements that leave rows and their tables as they are.
//!
//! Input: functions, triggers, policies, extensions, schemas, comments, grants, settings, locks, maintenance. Output: the names they
//! make, and notes on what isn't run here. Invariant: a statement that isn't listed is refused by name. Left out: what functions and
//! triggers do.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, CommentStmt, CreateTrigStmt, Node, ObjectType, RangeVar, VariableSetKind, VariableSetStmt, a_const::Val,
};

use super::{Change, object_type, qualified_list};
use crate::catalog::lookup::schema_of;
use crate::catalog::{LOCAL, Oid, Outcome, Problem, RelationKind, Trigger, pg, tree};

impl Change {
    /// Records a statement; returns its command tag.
    pub(super) fn record(&mut self, node: &NodeEnum) -> Outcome<String> {
        let tag = match node {
            NodeEnum::CreateFunctionStmt(statement) => return self.create_function(statement),
            NodeEnum::CreateTrigStmt(statement) => self.create_trigger(node, statement)?,
            NodeEnum::CreatePolicyStmt(statement) => self.create_policy(statement)?,
            NodeEnum::AlterPolicyStmt(statement) => self.alter_policy(statement)?,
            NodeEnum::CreatePlangStmt(statement) => self.create_language(statement)?,
            NodeEnum::CreateExtensionStmt(statement) => self.create_extension(statement)?,
            NodeEnum::AlterExtensionStmt(_) => "ALTER EXTENSION",
            NodeEnum::CreateSchemaStmt(statement) => self.create_schema(statement)?,
            NodeEnum::CommentStmt(statement) => self.comment(statement)?,
            NodeEnum::GrantStmt(statement) => self.grant(statement)?,
            NodeEnum::GrantRoleStmt(statement) if statement.is_grant => "GRANT ROLE",
            NodeEnum::GrantRoleStmt(_) => "REVOKE ROLE",
            NodeEnum::AlterDefaultPrivilegesStmt(_) => "ALTER DEFAULT PRIVILEGES",
            NodeEnum::CreateRoleStmt(statement) => self.create_role(statement)?,
            NodeEnum::AlterRoleStmt(_) | NodeEnum::AlterRoleSetStmt(_) => "ALTER ROLE",
            NodeEnum::AlterOwnerStmt(statement) => {
                if let Some(relation) = &statement.relation {
                    self.touch(Some(relation))?;
                }
                self.note_roles(statement.newowner.iter());
                "ALTER OWNER"
            }
            NodeEnum::AlterFunctionStmt(statement) => self.alter_function(statement)?,
            NodeEnum::DefineStmt(statement) if statement.kind == ObjectType::ObjectAggregate as i32 => {
                self.create_aggregate(statement)?
            }
            NodeEnum::VariableSetStmt(statement) => self.set_variable(statement)?,
            NodeEnum::VariableShowStmt(statement) => {
                if statement.name != "all" {
                    self.expect_parameter(&statement.name)?;
                }
                "SHOW"
            }
            NodeEnum::ConstraintsSetStmt(statement) => {
                self.catalog.expect_constraints(statement)?;
                match statement.deferred {
                    true => self.catalog.defer_constraints(),
                    false => self.catalog.undefer_constraints(),
                }
                "SET CONSTRAINTS"
            }
            NodeEnum::LockStmt(statement) => self.lock(statement)?,
            NodeEnum::VacuumStmt(statement) => self.vacuum(statement)?,
            NodeEnum::ReindexStmt(statement) => self.reindex(statement)?,
            NodeEnum::ClusterStmt(statement) => {
                if statement.relation.is_some() {
                    self.touch(statement.relation.as_ref())?;
                } else {
                    self.expect_no_block("CLUSTER")?;
                }
                "CLUSTER"
            }
            NodeEnum::CreateStatsStmt(_) => "CREATE STATISTICS",
            NodeEnum::AlterStatsStmt(_) => "ALTER STATISTICS",
            NodeEnum::DiscardStmt(_) => "DISCARD",
            NodeEnum::CheckPointStmt(_) => "CHECKPOINT",
            NodeEnum::NotifyStmt(_) => "NOTIFY",
            NodeEnum::ListenStmt(_) => "LISTEN",
            NodeEnum::UnlistenStmt(_) => "UNLISTEN",
            // There is none to close: DECLARE is refused.
            NodeEnum::ClosePortalStmt(statement) if statement.portalname.is_empty() => "CLOSE CURSOR ALL",
            NodeEnum::DropRoleStmt(statement) => self.drop_roles(statement),
            NodeEnum::ReassignOwnedStmt(_) => "REASSIGN OWNED",
            NodeEnum::AlterSystemStmt(_) => {
                self.expect_no_block("ALTER SYSTEM")?;
                "ALTER SYSTEM"
            }
            NodeEnum::CreatedbStmt(_) => {
                self.expect_no_block("CREATE DATABASE")?;
                "CREATE DATABASE"
            }
            NodeEnum::DropdbStmt(_) => {
                self.expect_no_block("DROP DATABASE")?;
                "DROP DATABASE"
            }
            NodeEnum::CreateTableSpaceStmt(_) => {
                self.expect_no_block("CREATE TABLESPACE")?;
                "CREATE TABLESPACE"
            }
            NodeEnum::AlterDatabaseStmt(_) | NodeEnum::AlterDatabaseSetStmt(_) => "ALTER DATABASE",
            NodeEnum::CreateFdwStmt(_) => "CREATE FOREIGN DATA WRAPPER",
            NodeEnum::CreateForeignServerStmt(_) => "CREATE SERVER",
            NodeEnum::CreateUserMappingStmt(_) => "CREATE USER MAPPING",
            NodeEnum::CreateSubscriptionStmt(_) => "CREATE SUBSCRIPTION",
            NodeEnum::CreatePublicationStmt(statement) => self.create_publication(statement)?,
            NodeEnum::AlterPublicationStmt(statement) => self.alter_publication(statement)?,
            NodeEnum::CreateEventTrigStmt(statement) => self.create_event_trigger(statement)?,
            NodeEnum::AlterEventTrigStmt(_) => "ALTER EVENT TRIGGER",
            other => return Err(Problem::unsupported(statement_words(other))),
        };
        Ok(tag.to_owned())
    }

    /// The table a statement is about.
    pub(super) fn touch(&mut self, relation: Option<&RangeVar>) -> Outcome<Oid> {
        let relation = super::tables::named(relation)?;
        let schema = schema_of(relation);
        match self.catalog.find_relation(schema, &relation.relname) {
            Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => {
                self.table = Some(oid);
                Ok(oid)
            }
            Some((_, oid)) => Ok(oid),
            None => Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location)),
        }
    }

    fn create_trigger(&mut self, node: &NodeEnum, statement: &CreateTrigStmt) -> Outcome<&'static str> {
        let table = self.touch(statement.relation.as_ref())?;
        let name = &statement.trigname.clone();
        self.expect_timing(statement, table)?;
        self.expect_trigger_function(statement)?;
        let is = |trigger: &Trigger| trigger.table == table && trigger.name == *name;
        if self.catalog.triggers.iter().any(is) {
            if !statement.replace {
                let relation = statement.relation.as_ref().map_or("", |relation| &relation.relname);
                let message = format!("trigger \"{name}\" for relation \"{relation}\" already exists");
                return Err(Problem::rejected("42710", message));
            }
            self.catalog.triggers.retain(|trigger| !is(trigger));
        }
        let sql = node.deparse(Default::default()).unwrap_or_default();
        let statement = std::sync::Arc::new(statement.clone());
        self.catalog.triggers.push(Trigger { table, name: name.clone(), sql, statement, enabled: true });
        Ok("CREATE TRIGGER")
    }

    /// A table's triggers come before or after a row, a view's in its place.
    fn expect_timing(&self, statement: &CreateTrigStmt, relation: Oid) -> Outcome<()> {
        const INSTEAD: i32 = 64;
        let stands = statement.timing & INSTEAD != 0;
        let refused = |name: &str, what: &str, detail: &str| {
            Err(Problem::rejected("42809", format!("\"{name}\" is {what}")).detail(detail.to_owned()))
        };
        match (self.catalog.tables.get(&relation), self.catalog.views.get(&relation)) {
            (Some(table), _) if stands => refused(&table.name, "a table", "Tables cannot have INSTEAD OF triggers."),
            (_, Some(view)) if !stands && statement.row => {
                refused(&view.name, "a view", "Views cannot have row-level BEFORE or AFTER triggers.")
            }
            (_, Some(_)) if stands && !statement.row => {
                Err(Problem::rejected("0A000", "INSTEAD OF triggers must be FOR EACH ROW"))
            }
            _ => Ok(()),
        }
    }

    fn create_extension(&mut self, statement: &protobuf::CreateExtensionStmt) -> Outcome<&'static str> {
        let name = &statement.extname;
        let wanted = statement.options.iter().find_map(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) if option.defname == "schema" => {
                option.arg.as_deref().and_then(tree::string)
            }
            _ => None,
        });
        let schema = match self.catalog.creation_schema(wanted.as_deref()) {
            Err(problem) if wanted.is_some() && !self.catalog.extensions.contains(name) => return Err(problem),
            schema => schema.unwrap_or_else(|_| "public".to_owned()),
        };
        if !self.catalog.extensions.insert(name.clone()) {
            if !statement.if_not_exists {
                return Err(Problem::rejected("42710", format!("extension \"{name}\" already exists")));
            }
            self.note(format!("extension \"{name}\" already exists, skipping"));
        } else {
            self.catalog.extension_schemas.insert(name.clone(), schema);
        }
        if !pg::tables().knows_extension(name) {
            self.note(format!(
                "whether the server has the extension \"{name}\" isn't known here: without it, the statement may fail"
            ));
        }
        Ok("CREATE EXTENSION")
    }

    fn create_schema(&mut self, statement: &protobuf::CreateSchemaStmt) -> Outcome<&'static str> {
        let name = match (&statement.schemaname, &statement.authrole) {
            (name, _) if !name.is_empty() => name.clone(),
            (_, Some(role)) => role.rolename.clone(),
            _ => return Err(Problem::unsupported("CREATE SCHEMA without a name")),
        };
        if name.starts_with("pg_") {
            return Err(Problem::rejected("42939", format!("unacceptable schema name \"{name}\""))
                .detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        if !self.catalog.schemas.insert(name.clone()) {
            if !statement.if_not_exists {
                return Err(Problem::rejected("42P06", format!("schema \"{name}\" already exists")));
            }
            self.note(format!("schema \"{name}\" already exists, skipping"));
        }
        if !statement.schema_elts.is_empty() {
            // They are made in the new schema, whatever the search path says.
            let path = std::mem::replace(&mut self.catalog.search_path, vec![name]);
            for element in statement.schema_elts.iter().filter_map(|node| node.node.as_ref()) {
                if matches!(element, NodeEnum::CreateTrigStmt(_)) {
                    return Err(Problem::unsupported("CREATE SCHEMA with a trigger in it"));
                }
                self.apply(element)?;
            }
            self.catalog.search_path = path;
        }
        Ok("CREATE SCHEMA")
    }

    fn comment(&mut self, statement: &CommentStmt) -> Outcome<&'static str> {
        let object = statement.object.as_deref().ok_or_else(|| Problem::unsupported("COMMENT without an object"))?;
        let kind = object_type(statement.objtype);
        let key = match (kind, &object.node) {
            (ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectMatview, _) => {
                let (schema, name) = qualified_list(object)?;
                if self.catalog.find_relation(schema.as_deref(), &name).is_none() {
                    return Err(self.catalog.missing_named(schema.as_deref(), &name));
                }
                name
            }
            (ObjectType::ObjectColumn, _) => {
                let Some(((schema, relation), column)) = super::drops::name_behind_table(object) else {
                    return Err(Problem::unsupported("COMMENT ON COLUMN of this form"));
                };
                match self.catalog.find_relation(schema.as_deref(), &relation) {
                    Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => {
                        self.attnum(oid, &column)?;
                        self.table = Some(oid);
                    }
                    Some(_) => {}
                    None => return Err(self.catalog.missing_named(schema.as_deref(), &relation)),
                }
                format!("{relation}.{column}")
            }
            (ObjectType::ObjectTabconstraint, _) if super::drops::name_behind_table(object).is_some() => {
                let ((schema, relation), name) = super::drops::name_behind_table(object).expect("it was just read");
                let Some(table) = self.catalog.table(schema.as_deref(), &relation).map(|table| table.oid) else {
                    return Err(self.catalog.missing_named(schema.as_deref(), &relation));
                };
                if self.catalog.constraint(table, &name).is_none() {
                    let message = format!("constraint \"{name}\" for table \"{relation}\" does not exist");
                    return Err(Problem::rejected("42704", message));
                }
                format!("{relation}.{name}")
            }
            (ObjectType::ObjectType, _) => {
                let (schema, name) = qualified_list(object)?;
                let catalog = &self.catalog;
                if catalog.domain(schema.as_deref(), &name).is_none()
                    && catalog.composite(schema.as_deref(), &name).is_none()
                {
                    self.expect_enum(schema.as_deref(), &name)?;
                }
                name
            }
            (ObjectType::ObjectFunction, Some(NodeEnum::ObjectWithArgs(function))) => {
                self.expect_function(function)?;
                qualified_list(object)?.1
            }
            (_, Some(NodeEnum::List(list))) => tree::strings(&list.items).join("."),
            (_, Some(_)) => qualified_list(object)?.1,
            (_, None) => String::new(),
        };
        let key = format!("{} {key}", object_words(kind).to_uppercase());
        if statement.comment.is_empty() {
            self.catalog.comments.remove(&key);
        } else {
            self.catalog.comments.insert(key, statement.comment.clone());
        }
        Ok("COMMENT")
    }

    fn grant(&mut self, statement: &protobuf::GrantStmt) -> Outcome<&'static str> {
        let roles = statement.grantees.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::RoleSpec(role)) => Some(role),
            _ => None,
        });
        self.note_roles(roles);
        if object_type(statement.objtype) == ObjectType::ObjectFunction
            && statement.targtype == protobuf::GrantTargetType::AclTargetObject as i32
        {
            for node in &statement.objects {
                if let Some(NodeEnum::ObjectWithArgs(function)) = &node.node {
                    self.expect_function(function)?;
                }
            }
        }
        if object_type(statement.objtype) == ObjectType::ObjectTable {
            for node in &statement.objects {
                if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                    let table = self.touch(Some(relation))?;
                    self.expect_granted_columns(statement, table)?;
                }
            }
        }
        Ok(if statement.is_grant { "GRANT" } else { "REVOKE" })
    }

    /// `GRANT SELECT (a, b)`: the columns are the table's.
    fn expect_granted_columns(&self, statement: &protobuf::GrantStmt, table: Oid) -> Outcome<()> {
        let Some(table) = self.catalog.tables.get(&table) else { return Ok(()) };
        for node in &statement.privileges {
            let Some(NodeEnum::AccessPriv(privilege)) = &node.node else { continue };
            for column in tree::strings(&privilege.cols) {
                self.catalog.expect_column(table, &column)?;
            }
        }
        Ok(())
    }

    /// 42704, where the server has no such parameter; of a newer one that isn't known.
    fn expect_parameter(&mut self, name: &str) -> Outcome<()> {
        match pg::settings::is_known(name) {
            false if !self.catalog.is_newer => Err(pg::settings::unrecognized(name)),
            false => {
                self.note(format!("whether the server has the parameter \"{name}\" isn't known here"));
                Ok(())
            }
            true => Ok(()),
        }
    }

    /// Which roles a server has isn't in a snapshot.
    pub(super) fn note_role(&mut self, role: &str) {
        if !self.catalog.roles.contains(role) {
            self.note(format!(
                "whether the role \"{role}\" exists isn't known here: without it, the statement may fail"
            ));
        }
    }

    /// The same for roles in a list; PUBLIC and the current one are always there.
    pub(super) fn note_roles<'n>(&mut self, roles: impl Iterator<Item = &'n protobuf::RoleSpec>) {
        for role in roles.filter(|role| role.roletype() == protobuf::RoleSpecType::RolespecCstring) {
            self.note_role(&role.rolename);
        }
    }

    fn set_variable(&mut self, statement: &VariableSetStmt) -> Outcome<&'static str> {
        let kind = VariableSetKind::try_from(statement.kind).unwrap_or(VariableSetKind::Undefined);
        let is_path = statement.name == "search_path";
        let values: Vec<String> = statement.args.iter().filter_map(text).collect();
        let resets_all = matches!(kind, VariableSetKind::VarResetAll | VariableSetKind::VarSetMulti);
        if !resets_all && !statement.name.is_empty() {
            self.expect_parameter(&statement.name)?;
            let value = values.first().filter(|_| kind == VariableSetKind::VarSetValue);
            pg::settings::expect_settable(&statement.name, value.map(String::as_str))?;
        }
        if let ("role" | "session_authorization", [role]) = (statement.name.as_str(), values.as_slice())
            && role != "none"
        {
            self.note_role(role);
        }
        let local = if statement.is_local { LOCAL } else { "" };
        match kind {
            VariableSetKind::VarSetValue if statement.is_local && !self.in_block => {
                self.note("SET LOCAL can only be used in transaction blocks: it changes nothing");
                // A parameter that nobody has but this statement stays, without a value.
                if statement.name.contains('.') {
                    self.catalog.settings.entry(statement.name.clone()).or_default();
                }
            }
            VariableSetKind::VarSetValue => {
                let shown = match is_path {
                    true => values.iter().map(|schema| crate::catalog::lookup::quoted(schema)).collect(),
                    false => values.clone(),
                };
                self.catalog.settings.remove(&format!("{LOCAL}{}", statement.name));
                self.catalog.settings.insert(format!("{local}{}", statement.name), shown.join(", "));
                if is_path {
                    self.catalog.search_path = crate::catalog::lookup::searched(values);
                }
            }
            // A parameter that somebody has invented stays, without a value.
            VariableSetKind::VarReset | VariableSetKind::VarSetDefault if statement.name.contains('.') => {
                if let Some(value) = self.catalog.settings.get_mut(&statement.name) {
                    value.clear();
                }
            }
            VariableSetKind::VarReset | VariableSetKind::VarSetDefault if is_path => {
                self.catalog.settings.remove(&statement.name);
                self.catalog.search_path = vec!["public".to_owned()];
            }
            VariableSetKind::VarReset | VariableSetKind::VarSetDefault => {
                self.catalog.settings.remove(&statement.name);
            }
            VariableSetKind::VarResetAll => {
                self.catalog.search_path = vec!["public".to_owned()];
                self.catalog.settings.clear();
            }
            _ => {}
        }
        let resets = matches!(kind, VariableSetKind::VarReset | VariableSetKind::VarResetAll);
        Ok(if resets { "RESET" } else { "SET" })
    }

    fn lock(&mut self, statement: &protobuf::LockStmt) -> Outcome<&'static str> {
        if !self.in_block {
            return Err(Problem::rejected("25P01", "LOCK TABLE can only be used in transaction blocks"));
        }
        for node in &statement.relations {
            if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                self.touch(Some(relation))?;
            }
        }
        Ok("LOCK TABLE")
    }

    fn vacuum(&mut self, statement: &protobuf::VacuumStmt) -> Outcome<&'static str> {
        if statement.is_vacuumcmd {
            self.expect_no_block("VACUUM")?;
        }
        for node in &statement.rels {
            if let Some(NodeEnum::VacuumRelation(of)) = &node.node {
                self.touch(of.relation.as_ref())?;
            }
        }
        Ok(if statement.is_vacuumcmd { "VACUUM" } else { "ANALYZE" })
    }

    fn reindex(&mut self, statement: &protobuf::ReindexStmt) -> Outcome<&'static str> {
        let concurrent = statement.params.iter().any(|node| match &node.node {
            Some(NodeEnum::DefElem(option)) => option.defname == "concurrently",
            _ => false,
        });
        if concurrent {
            self.expect_no_block("REINDEX CONCURRENTLY")?;
        }
        match &statement.relation {
            Some(relation) => {
                let oid = self.touch(Some(relation))?;
                if let Some(index) = self.catalog.indexes.get(&oid) {
                    self.table = Some(index.table);
                }
            }
            None => self.expect_no_block("REINDEX")?,
        }
        Ok("REINDEX")
    }
}

/// A constant of SET, as text.
fn text(node: &Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref()? {
            Val::Sval(text) => Some(text.sval.clone()),
            Val::Ival(number) => Some(number.ival.to_string()),
            Val::Fval(number) => Some(number.fval.clone()),
            Val::Boolval(value) => Some(value.boolval.to_string()),
            Val::Bsval(bits) => Some(bits.bsval.clone()),
        },
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().and_then(text),
        _ => None,
    }
}

/// `materialized view`, out of the parser's `OBJECT_MATVIEW`.
pub(super) fn object_words(kind: ObjectType) -> String {
    match kind {
        ObjectType::ObjectMatview => "materialized view".to_owned(),
        ObjectType::ObjectTabconstraint => "constraint".to_owned(),
        other => other.as_str_name().trim_start_matches("OBJECT_").to_lowercase().replace('_', " "),
    }
}

/// What a statement that isn't read is called.
fn statement_words(node: &NodeEnum) -> String {
    let words = match node {
        NodeEnum::DoStmt(_) => "a DO block",
        NodeEnum::CallStmt(_) => "CALL of a procedure",
        NodeEnum::CopyStmt(_) => "COPY",
        NodeEnum::ExplainStmt(_) => "EXPLAIN",
        NodeEnum::CreateRangeStmt(_) => "a range type",
        NodeEnum::CreateForeignTableStmt(_) => "a foreign table",
        NodeEnum::DefineStmt(_) => "CREATE of an operator or base type",
        NodeEnum::CreateCastStmt(_) => "CREATE CAST",
        NodeEnum::DropOwnedStmt(_) => "DROP OWNED",
        _ => "a statement of this kind",
    };
    words.to_owned()
}
