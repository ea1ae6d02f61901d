//! Drops: DROP TABLE, VIEW, INDEX, SEQUENCE, TYPE, SCHEMA and of what is only recorded.
//!
//! Input: the parser's statement. Output: the catalog without the objects. Invariants: what a snapshot doesn't list (views, functions,
//! triggers, policies, extensions) is taken as existing where the catalog comes from one, and said so.

use pg_query::NodeEnum;
use pg_query::protobuf::{DropStmt, Node, ObjectType};

use super::dependencies::Object;
use super::{Change, is_cascade, object_type, qualified_list};
use crate::catalog::lookup::{missing_schema, near_name};
use crate::catalog::types::{extension_of, missing_type};
use crate::catalog::{Gives, Index, IndexKey, Oid, Outcome, Problem, RelationKind, Type, pg, tree};

impl Change {
    pub(super) fn drop(&mut self, statement: &DropStmt) -> Outcome<&'static str> {
        match object_type(statement.remove_type) {
            ObjectType::ObjectTable => self.drop_relations(statement, RelationKind::Table, "DROP TABLE"),
            ObjectType::ObjectView => self.drop_relations(statement, RelationKind::View, "DROP VIEW"),
            ObjectType::ObjectMatview => {
                self.drop_relations(statement, RelationKind::MaterializedView, "DROP MATERIALIZED VIEW")
            }
            ObjectType::ObjectSequence => self.drop_relations(statement, RelationKind::Sequence, "DROP SEQUENCE"),
            ObjectType::ObjectIndex => self.drop_relations(statement, RelationKind::Index, "DROP INDEX"),
            ObjectType::ObjectType => self.drop_types(statement, "DROP TYPE"),
            ObjectType::ObjectDomain => self.drop_types(statement, "DROP DOMAIN"),
            ObjectType::ObjectSchema => self.drop_schemas(statement),
            ObjectType::ObjectFunction => self.drop_functions(statement, "DROP FUNCTION"),
            ObjectType::ObjectProcedure => self.drop_functions(statement, "DROP PROCEDURE"),
            ObjectType::ObjectRoutine => self.drop_functions(statement, "DROP ROUTINE"),
            ObjectType::ObjectAggregate => self.drop_functions(statement, "DROP AGGREGATE"),
            ObjectType::ObjectTrigger => self.drop_of_table(statement, "trigger", "DROP TRIGGER"),
            ObjectType::ObjectRule => self.drop_rules(statement),
            ObjectType::ObjectPolicy => self.drop_of_table(statement, "policy", "DROP POLICY"),
            ObjectType::ObjectExtension => self.drop_extensions(statement),
            ObjectType::ObjectStatisticExt => Ok("DROP STATISTICS"),
            ObjectType::ObjectPublication => self.drop_whole(statement, "publication", "DROP PUBLICATION"),
            ObjectType::ObjectEventTrigger => self.drop_whole(statement, "event trigger", "DROP EVENT TRIGGER"),
            ObjectType::ObjectLanguage => self.drop_languages(statement),
            ObjectType::ObjectForeignServer => Ok("DROP SERVER"),
            ObjectType::ObjectFdw => Ok("DROP FOREIGN DATA WRAPPER"),
            other => Err(Problem::unsupported(format!("DROP of {}", super::records::object_words(other)))),
        }
    }

    fn drop_relations(&mut self, statement: &DropStmt, kind: RelationKind, tag: &'static str) -> Outcome<&'static str> {
        if statement.concurrent {
            self.expect_no_block("DROP INDEX CONCURRENTLY")?;
        }
        let mut targets = Vec::new();
        for node in &statement.objects {
            let (schema, name) = qualified_list(node)?;
            match self.catalog.find_relation(schema.as_deref(), &name) {
                Some((found, oid)) if found == kind => targets.push(self.drop_target(found, oid)?),
                Some((found, _)) => {
                    let (wanted, found) = (article(kind), article(found));
                    let command = found.split_once(' ').map_or("", |(_, kind)| kind).to_uppercase();
                    return Err(Problem::rejected("42809", format!("\"{name}\" is not {wanted}"))
                        .hint(format!("Use DROP {command} to remove {found}.")));
                }
                None => self.miss_relation(kind, schema.as_deref(), &name, statement.missing_ok)?,
            }
        }
        if let Some(Object::Table(oid)) = targets.first() {
            self.table = Some(*oid);
        }
        self.remove(&targets, is_cascade(statement.behavior))?;
        Ok(tag)
    }

    fn drop_target(&mut self, kind: RelationKind, oid: Oid) -> Outcome<Object> {
        Ok(match kind {
            RelationKind::Table | RelationKind::MaterializedView => {
                if let Some(partition) = self.catalog.partitions.get(&oid)
                    && (self.catalog.partition_condition(partition).is_none()
                        || self.catalog.foreign_keys_to(partition.parent).next().is_some())
                {
                    return Err(Problem::unsupported(
                        "DROP of a partition whose rows can't be told or are referred to",
                    ));
                }
                Object::Table(oid)
            }
            RelationKind::View => Object::View(oid),
            RelationKind::Sequence => self.drop_sequence_target(oid)?,
            RelationKind::Index
                if self.catalog.indexes.get(&oid).is_some_and(|index| {
                    self.catalog.partitioned.contains_key(&index.table)
                        || self.catalog.partitions.contains_key(&index.table)
                }) =>
            {
                return Err(Problem::unsupported("DROP INDEX of a partitioned table"));
            }
            RelationKind::Index => {
                self.table = self.catalog.indexes.get(&oid).map(|index| index.table);
                let constraint = self.catalog.indexes.get(&oid).and_then(|index| index.constraint);
                if let Some(constraint) = constraint {
                    let (index, constraint) =
                        (self.describe(Object::Index(oid)), self.describe(Object::Constraint(constraint)));
                    return Err(Problem::rejected(
                        "2BP01",
                        format!("cannot drop {index} because {constraint} requires it"),
                    )
                    .hint(format!("You can drop {constraint} instead.")));
                }
                Object::Index(oid)
            }
        })
    }

    /// An identity column's sequence goes with its column alone.
    fn drop_sequence_target(&self, oid: Oid) -> Outcome<Object> {
        let owner = self.catalog.sequences.get(&oid).and_then(|sequence| sequence.owner);
        let column = owner.and_then(|(table, attnum)| {
            let column = self.catalog.tables.get(&table)?.by_attnum(attnum)?;
            column.identity.map(|_| Object::Column(table, attnum))
        });
        let Some(column) = column else { return Ok(Object::Sequence(oid)) };
        let (sequence, column) = (self.describe(Object::Sequence(oid)), self.describe(column));
        Err(Problem::rejected("2BP01", format!("cannot drop {sequence} because {column} requires it"))
            .hint(format!("You can drop {column} instead.")))
    }

    fn miss_relation(&mut self, kind: RelationKind, schema: Option<&str>, name: &str, missing_ok: bool) -> Outcome<()> {
        if let Some(schema) = schema.filter(|schema| !self.catalog.schemas.contains(*schema)) {
            if missing_ok {
                self.note(format!("schema \"{schema}\" does not exist, skipping"));
                return Ok(());
            }
            return Err(missing_schema(schema));
        }
        let what = kind.as_str();
        if missing_ok {
            self.note(format!("{what} \"{name}\" does not exist, skipping"));
            return Ok(());
        }
        // A snapshot lists the indexes of its tables and no other.
        let listed = matches!(kind, RelationKind::Table | RelationKind::Index);
        if self.catalog.partial && !listed {
            self.note(format!("the snapshot doesn't list {what}s: {name} is taken as existing"));
            return Ok(());
        }
        let sqlstate = if kind == RelationKind::Index { "42704" } else { "42P01" };
        let problem = Problem::rejected(sqlstate, format!("{what} \"{name}\" does not exist"));
        let names: Vec<&str> = match kind {
            RelationKind::Index => self.catalog.indexes.values().map(|index| index.name.as_str()).collect(),
            RelationKind::Sequence => self.catalog.sequences.values().map(|sequence| sequence.name.as_str()).collect(),
            RelationKind::View => self.catalog.views.values().map(|view| view.name.as_str()).collect(),
            RelationKind::Table | RelationKind::MaterializedView => {
                self.catalog.tables.values().map(|table| table.name.as_str()).collect()
            }
        };
        Err(match near_name(what, name, &names) {
            Some(hint) => problem.hint(hint),
            None => problem,
        })
    }

    fn drop_types(&mut self, statement: &DropStmt, tag: &'static str) -> Outcome<&'static str> {
        let mut targets = Vec::new();
        for node in &statement.objects {
            let (schema, name) = qualified_list(node)?;
            if let Some(domain) = self.catalog.domain(schema.as_deref(), &name) {
                targets.push(Object::Domain(domain.oid));
                continue;
            }
            if let Some(composite) = self.catalog.composite(schema.as_deref(), &name).filter(|_| tag == "DROP TYPE") {
                targets.push(Object::Composite(composite.oid));
                continue;
            }
            match self.catalog.enum_type(schema.as_deref(), &name) {
                Some(_) if tag == "DROP DOMAIN" => {
                    return Err(Problem::rejected("42809", format!("\"{name}\" is not a domain")));
                }
                Some(found) => targets.push(Object::Enum(found.oid)),
                None if statement.missing_ok => self.note(format!("type \"{name}\" does not exist, skipping")),
                None if self.catalog.partial => {
                    self.note(format!("no table of the snapshot uses a type {name}: it is taken as existing"));
                }
                None => return Err(missing_type(schema.as_deref(), &name, &self.catalog)),
            }
        }
        self.remove(&targets, is_cascade(statement.behavior))?;
        Ok(tag)
    }

    fn drop_schemas(&mut self, statement: &DropStmt) -> Outcome<&'static str> {
        for node in &statement.objects {
            let (_, name) = qualified_list(node)?;
            if !self.catalog.schemas.contains(&name) {
                if statement.missing_ok {
                    self.note(format!("schema \"{name}\" does not exist, skipping"));
                    continue;
                }
                return Err(missing_schema(&name));
            }
            let targets = self.objects_of_schema(&name);
            if let Some(first) = targets.first().filter(|_| !is_cascade(statement.behavior)) {
                let message = format!("cannot drop schema {name} because other objects depend on it");
                return Err(Problem::rejected("2BP01", message)
                    .detail(format!("{} depends on schema {name}", self.describe(*first)))
                    .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            self.remove(&targets, true)?;
            self.catalog.functions.retain(|function| function.schema != name);
            self.catalog.schemas.remove(&name);
        }
        Ok("DROP SCHEMA")
    }

    fn objects_of_schema(&self, schema: &str) -> Vec<Object> {
        let catalog = &self.catalog;
        let tables = catalog.tables.values().filter(|t| t.schema == schema).map(|t| Object::Table(t.oid));
        let views = catalog.views.values().filter(|v| v.schema == schema).map(|v| Object::View(v.oid));
        let domains = catalog.domains.values().filter(|d| d.schema == schema).map(|d| Object::Domain(d.oid));
        let enums = catalog.enums.values().filter(|e| e.schema == schema).map(|e| Object::Enum(e.oid)).chain(domains);
        let sequences = catalog.sequences.values().filter(|s| s.schema == schema && s.owner.is_none());
        let composites = catalog.composites.values().filter(|c| c.schema == schema).map(|c| Object::Composite(c.oid));
        let enums = enums.chain(composites);
        let functions = catalog.functions.iter().filter(|f| f.schema == schema).map(|f| Object::Function(f.oid));
        tables.chain(views).chain(enums).chain(sequences.map(|s| Object::Sequence(s.oid))).chain(functions).collect()
    }

    /// Triggers and policies: the name stands behind its table's.
    fn drop_of_table(&mut self, statement: &DropStmt, what: &str, tag: &'static str) -> Outcome<&'static str> {
        for node in &statement.objects {
            let Some((relation, name)) = name_behind_table(node) else {
                return Err(Problem::unsupported(format!("{tag} of this form")));
            };
            let Some((_, table)) = self.catalog.find_relation(relation.0.as_deref(), &relation.1) else {
                if statement.missing_ok {
                    self.note(format!("relation \"{}\" does not exist, skipping", relation.1));
                    continue;
                }
                return Err(self.catalog.missing_named(relation.0.as_deref(), &relation.1));
            };
            self.table = Some(table).filter(|table| self.catalog.tables.contains_key(table));
            let before = self.catalog.triggers.len() + self.catalog.policies.len();
            if what == "trigger" {
                self.catalog.triggers.retain(|trigger| (trigger.table, &trigger.name) != (table, &name));
            } else {
                self.catalog.policies.retain(|policy| (policy.table, &policy.name) != (table, &name));
            }
            if self.catalog.triggers.len() + self.catalog.policies.len() < before {
                continue;
            }
            let message = format!("{what} \"{name}\" for table \"{}\" does not exist", relation.1);
            if statement.missing_ok {
                self.note(format!("{message}, skipping"));
            } else if self.catalog.partial {
                self.note(format!(
                    "the snapshot doesn't list what belongs to its tables' rules: {what} {name} is taken as existing"
                ));
            } else {
                return Err(Problem::rejected("42704", message));
            }
        }
        Ok(tag)
    }

    fn drop_extensions(&mut self, statement: &DropStmt) -> Outcome<&'static str> {
        for node in &statement.objects {
            let (_, name) = qualified_list(node)?;
            if self.catalog.extensions.contains(&name) {
                let users = self.users_of_extension(&name);
                self.catalog.extensions.remove(&name);
                self.catalog.extension_schemas.remove(&name);
                if let Some(first) = users.first().filter(|_| !is_cascade(statement.behavior)) {
                    let message = format!("cannot drop extension {name} because other objects depend on it");
                    return Err(Problem::rejected("2BP01", message)
                        .detail(format!("{} depends on extension {name}", self.describe(*first)))
                        .hint("Use DROP ... CASCADE to drop the dependent objects too."));
                }
                self.remove(&users, true)?;
            } else if statement.missing_ok {
                self.note(format!("extension \"{name}\" does not exist, skipping"));
            } else if self.catalog.partial {
                self.note(format!("the snapshot doesn't list extensions: {name} is taken as existing"));
            } else {
                return Err(Problem::rejected("42704", format!("extension \"{name}\" does not exist")));
            }
        }
        Ok("DROP EXTENSION")
    }
}

impl Change {
    /// Columns and functions of an extension's types, what calls its functions, indexes with its operator classes.
    fn users_of_extension(&self, name: &str) -> Vec<Object> {
        let catalog = &self.catalog;
        let is_its = |ty: &Type| extension_of(ty) == Some(name);
        let mut users = Vec::new();
        for table in catalog.tables.values() {
            let uses = table.columns.iter().filter(|column| is_its(&column.ty));
            users.extend(uses.map(|column| Object::Column(table.oid, column.attnum)));
        }
        for function in catalog.functions.iter() {
            let mut types = function.definition.iter().flat_map(|d| d.parameters.iter().map(|p| &p.ty));
            let gives =
                function.definition.as_ref().is_some_and(|d| matches!(&d.gives, Gives::Value(ty) if is_its(ty)));
            if gives || types.any(is_its) {
                users.push(Object::Function(function.oid));
            }
        }
        users.extend(self.casters(&is_its));
        let brings = |called: &str| {
            let tables = pg::tables();
            tables.extensions_with_function(called).contains(&name)
                && tables.functions(called).is_empty()
                && catalog.functions_named(None, called).next().is_none()
        };
        users.extend(self.mentioned_by(&|node| {
            let mut found = false;
            tree::walk(node, &mut |node| {
                if let NodeEnum::FuncCall(call) = node {
                    found |= tree::strings(&call.funcname).last().is_some_and(|called| brings(called));
                }
            });
            found
        }));
        for index in catalog.indexes.values() {
            if index.keys.iter().any(|key| self.class_extension(index, key) == Some(name)) {
                users.push(index.constraint.map_or(Object::Index(index.oid), Object::Constraint));
            }
        }
        users.sort_unstable();
        users.dedup();
        users
    }

    /// The extension that the operator class of an index's key comes with.
    fn class_extension(&self, index: &Index, key: &IndexKey) -> Option<&'static str> {
        if let Some(class) = &key.operator_class {
            let class = class.rsplit('.').next().unwrap_or(class);
            return OPERATOR_CLASSES.iter().find(|(own, _)| *own == class).map(|(_, extension)| *extension);
        }
        let column = key.column().and_then(|attnum| self.catalog.tables.get(&index.table)?.by_attnum(attnum))?;
        // What these access methods take of their own has no order.
        let is_ordered = matches!(
            column.ty.plain(),
            Type::Int2 | Type::Int4 | Type::Int8 | Type::Text | Type::Varchar(_) | Type::Uuid | Type::Date | Type::Bool
        ) || column.ty.is_number()
            || matches!(column.ty.plain(), Type::Timestamp(_) | Type::Timestamptz(_) | Type::Time(_) | Type::Enum(_));
        match index.method.as_str() {
            "gin" if is_ordered => Some("btree_gin"),
            "gist" if is_ordered => Some("btree_gist"),
            _ => None,
        }
    }
}

/// Operator classes that extensions bring.
const OPERATOR_CLASSES: &[(&str, &str)] = &[
    ("gin_trgm_ops", "pg_trgm"),
    ("gist_trgm_ops", "pg_trgm"),
    ("gist_ltree_ops", "ltree"),
    ("gist__ltree_ops", "ltree"),
    ("gin_hstore_ops", "hstore"),
    ("gist_hstore_ops", "hstore"),
    ("gin__int_ops", "intarray"),
    ("gist__int_ops", "intarray"),
    ("gist__intbig_ops", "intarray"),
    ("citext_ops", "citext"),
    ("citext_pattern_ops", "citext"),
];

/// `DROP TRIGGER name ON schema.table` comes as one list of names.
pub(super) fn name_behind_table(node: &Node) -> Option<((Option<String>, String), String)> {
    let Some(NodeEnum::List(list)) = &node.node else { return None };
    let mut names = tree::strings(&list.items);
    let name = names.pop()?;
    let table = names.pop()?;
    Some(((names.pop(), table), name))
}

fn article(kind: RelationKind) -> String {
    format!("{} {}", if kind == RelationKind::Index { "an" } else { "a" }, kind.as_str())
}
