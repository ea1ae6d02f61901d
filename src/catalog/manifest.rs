//! From a snapshot: what did the server's catalog look like when the snapshot was taken?
//!
//! Input: a [`Manifest`]. Output: the [`Catalog`]. Invariants: every table, column, enum, index and constraint of the manifest is
//! there under its own name; a foreign key to a table that isn't in the snapshot is kept by that table's name. Left out: views,
//! functions, triggers, policies and extensions, which a manifest doesn't list ([`Catalog::partial`]).

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use pg_query::NodeEnum;
use pg_query::protobuf;

use super::ddl::{nextval_sequence, read_index, referential_action};
use super::lookup::schema_of;
use super::types::extension_of;
use super::{
    AbsentForeignKey, AttNum, Catalog, Column, Constraint, ConstraintKind, EnumType, Expression, ForeignKey, Identity,
    Index, Oid, Sequence, Table, Timing, Type, tree,
};
use crate::snapshot::manifest::{self, Manifest, Source};

impl Catalog {
    /// The catalog that a snapshot's manifest describes.
    ///
    /// # Errors
    /// For a type or definition that PostgreSQL's parser doesn't read, naming where it stands.
    pub fn from_manifest(manifest: &Manifest) -> Result<Catalog> {
        let version = match &manifest.source {
            Source::Postgres(server) => major(&server.version).unwrap_or_default(),
            Source::Synthetic { .. } | Source::Empty => 0,
        };
        let partial = manifest.source != Source::Empty;
        let (new_enums_are_open, is_newer) = (version >= 17, version > 15);
        let mut catalog = Catalog { partial, new_enums_are_open, is_newer, ..Catalog::empty() };
        for ty in &manifest.enums {
            catalog.load_enum(ty).with_context(|| format!("the enum {} of the snapshot", ty.name))?;
        }
        let mut oids = Vec::new();
        for table in &manifest.tables {
            oids.push(catalog.load_table(table).with_context(|| format!("the table {} of the snapshot", table.name))?);
        }
        for (table, oid) in manifest.tables.iter().zip(&oids) {
            for index in &table.indexes {
                let read = catalog.load_index(*oid, index);
                read.with_context(|| format!("the index {} of the snapshot: {}", index.name, index.definition))?;
            }
        }
        for (table, oid) in manifest.tables.iter().zip(&oids) {
            for constraint in &table.constraints {
                let read = catalog.load_constraint(*oid, constraint);
                read.with_context(|| {
                    format!("the constraint {} of the snapshot: {}", constraint.name, constraint.definition)
                })?;
            }
        }
        Ok(catalog)
    }

    fn load_enum(&mut self, ty: &manifest::EnumType) -> Result<()> {
        let (schema, name) = names(&ty.name)?;
        self.schemas.insert(schema.clone());
        let oid = self.new_oid();
        let labels = ty.labels.clone();
        let uncommitted = BTreeSet::new();
        self.enums.insert(oid, EnumType { oid, schema, name, labels, uncommitted, is_new: false });
        Ok(())
    }

    fn load_table(&mut self, table: &manifest::Table) -> Result<Oid> {
        self.schemas.insert(table.schema.clone());
        let oid = self.new_oid();
        let mut columns = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            let read = self.load_column(column, (index + 1) as AttNum);
            columns.push(read.with_context(|| format!("the column {}", column.name))?);
        }
        for column in &columns {
            self.load_sequence(table, oid, column);
            // A column of its type proves that the extension is there.
            self.extensions.extend(extension_of(&column.ty).map(str::to_owned));
        }
        let last_attnum = columns.len() as AttNum;
        let loaded = Table {
            oid,
            schema: table.schema.clone(),
            name: table.name.clone(),
            columns,
            snapshot_table: Some(table.name.clone()),
            materialized: None,
            populated: true,
            last_attnum,
        };
        self.tables.insert(oid, loaded);
        Ok(oid)
    }

    fn load_column(&self, column: &manifest::Column, attnum: AttNum) -> Result<Column> {
        let ty = match Type::parse(&column.type_name, self) {
            _ if column.carried_as_text.is_some() => Type::Opaque(column.type_name.clone()),
            Ok(known) => known,
            // A type that isn't known here is carried as text: domains, composites, types of extensions.
            Err(_) => match column.type_name.strip_suffix("[]") {
                Some(element) => Type::Opaque(element.to_owned()).array(),
                None => Type::Opaque(column.type_name.clone()),
            },
        };
        let expression = |text: &Option<String>| text.as_deref().map(Expression::parse).transpose();
        let (identity, generated) = match column.generated.as_deref() {
            Some("ALWAYS") => (Some(Identity::Always), None),
            Some("BY DEFAULT") => (Some(Identity::ByDefault), None),
            _ => (None, expression(&column.generated)?),
        };
        Ok(Column {
            attnum,
            name: column.name.clone(),
            ty,
            not_null: column.not_null,
            default: expression(&column.default)?,
            identity,
            generated,
            snapshot_column: Some(column.name.clone()),
        })
    }

    /// The sequence that a column's default or identity takes its values from; the manifest lists none by themselves.
    fn load_sequence(&mut self, table: &manifest::Table, oid: Oid, column: &Column) {
        let owner = Some((oid, column.attnum));
        let (schema, name) = match (&column.identity, column.default.as_ref().and_then(nextval_sequence)) {
            (_, Some(text)) if self.default_sequence(&text).is_some() => return,
            (_, Some(text)) => match names(&text) {
                Ok(named) => named,
                Err(_) => return,
            },
            (Some(_), None) => {
                let schema = table.schema.clone();
                let name = self.choose_relation_name(&schema, &table.name, Some(&column.name), "seq", false);
                (schema, name)
            }
            (None, None) => return,
        };
        let sequence = self.new_oid();
        self.sequences
            .insert(sequence, Sequence { oid: sequence, schema, name, owner, numbers: None, replaced: Vec::new() });
    }

    fn load_index(&mut self, table: Oid, index: &manifest::Index) -> Result<()> {
        let NodeEnum::IndexStmt(statement) = statement(&index.definition)? else {
            return Err(anyhow!("it isn't the definition of an index"));
        };
        let read = read_index(&self.tables[&table], &statement).map_err(|problem| anyhow!("{problem}"))?;
        let oid = self.new_oid();
        self.indexes.insert(oid, Index { oid, name: index.name.clone(), ..read });
        Ok(())
    }

    fn load_constraint(&mut self, table: Oid, constraint: &manifest::Constraint) -> Result<()> {
        let owner = &self.tables[&table];
        let columns: Vec<AttNum> =
            constraint.columns.iter().filter_map(|name| owner.column(name)).map(|column| column.attnum).collect();
        let oid = self.last_oid + 1;
        let kind = match constraint.kind.as_str() {
            kind @ ("primary key" | "unique") => {
                // The index behind it bears its name.
                let found =
                    self.indexes.values_mut().find(|index| index.table == table && index.name == constraint.name);
                let index = found.ok_or_else(|| anyhow!("the snapshot has no index of that name"))?;
                index.constraint = Some(oid);
                if kind == "unique" { ConstraintKind::Unique(index.oid) } else { ConstraintKind::PrimaryKey(index.oid) }
            }
            "foreign key" => self.read_foreign_key(columns, read_constraint(&constraint.definition)?, constraint),
            "check" => {
                let read = read_constraint(&constraint.definition)?;
                let condition = read.raw_expr.ok_or_else(|| anyhow!("it has no condition"))?;
                ConstraintKind::Check(
                    Expression::of_table(&condition, &owner.name).map_err(|problem| anyhow!("{problem}"))?,
                )
            }
            "exclusion" => {
                let name = &constraint.name;
                if let Some(index) = self.indexes.values_mut().find(|i| i.table == table && i.name == *name) {
                    index.constraint = Some(oid);
                }
                ConstraintKind::Exclusion(constraint.definition.clone())
            }
            // A constraint trigger demands nothing that is known here.
            _ => return Ok(()),
        };
        self.last_oid = oid;
        let validated = constraint.validated;
        let timing = if constraint.definition.ends_with("INITIALLY DEFERRED") {
            Timing::Deferred
        } else if constraint.definition.ends_with("DEFERRABLE") {
            Timing::Deferrable
        } else {
            Timing::Immediate
        };
        let name = constraint.name.clone();
        self.constraints.insert(oid, Constraint { oid, table, name, kind, validated, timing });
        Ok(())
    }

    fn read_foreign_key(
        &self,
        columns: Vec<AttNum>,
        read: protobuf::Constraint,
        constraint: &manifest::Constraint,
    ) -> ConstraintKind {
        let relation = read.pktable.unwrap_or_default();
        let absent = |columns| {
            let parent = match schema_of(&relation) {
                Some(schema) => format!("{schema}.{}", relation.relname),
                None => relation.relname.clone(),
            };
            ConstraintKind::AbsentForeignKey(AbsentForeignKey {
                columns,
                parent,
                definition: constraint.definition.clone(),
            })
        };
        let Some(parent) = self.table(schema_of(&relation), &relation.relname) else { return absent(columns) };
        let names = tree::strings(&read.pk_attrs);
        let parent_columns: Vec<AttNum> =
            names.iter().filter_map(|name| parent.column(name)).map(|column| column.attnum).collect();
        if parent_columns.len() != columns.len() {
            return absent(columns);
        }
        ConstraintKind::ForeignKey(ForeignKey {
            columns,
            parent: parent.oid,
            parent_columns,
            on_delete: referential_action(&read.fk_del_action),
            on_update: referential_action(&read.fk_upd_action),
        })
    }
}

/// Schema and name out of a qualified name's text.
fn names(text: &str) -> Result<(String, String)> {
    let node = super::expression::parse(text)?;
    let Some(NodeEnum::ColumnRef(names)) = &node.node else { return Err(anyhow!("{text:?} isn't a name")) };
    let mut names = tree::strings(&names.fields);
    let name = names.pop().ok_or_else(|| anyhow!("{text:?} isn't a name"))?;
    Ok((names.pop().unwrap_or_else(|| "public".to_owned()), name))
}

fn statement(sql: &str) -> Result<NodeEnum> {
    let parsed = pg_query::parse(sql, 0)?.protobuf;
    let first = parsed.stmts.into_iter().next().and_then(|statement| statement.stmt);
    first.and_then(|node| node.node).ok_or_else(|| anyhow!("it is empty"))
}

/// Reads what `pg_get_constraintdef` writes.
fn read_constraint(definition: &str) -> Result<protobuf::Constraint> {
    let NodeEnum::AlterTableStmt(alter) = statement(&format!("ALTER TABLE ONLY t ADD CONSTRAINT c {definition}"))?
    else {
        return Err(anyhow!("it isn't the definition of a constraint"));
    };
    let command = alter.cmds.into_iter().next().and_then(|node| node.node);
    if let Some(NodeEnum::AlterTableCmd(command)) = command
        && let Some(NodeEnum::Constraint(constraint)) = command.def.and_then(|node| node.node)
    {
        return Ok(*constraint);
    }
    Err(anyhow!("it isn't the definition of a constraint"))
}

/// `15.18 (Debian 15.18-1)` -> 15
fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn column(name: &str, ty: &str, default: Option<&str>, generated: Option<&str>) -> serde_json::Value {
        json!({"name": name, "type": ty, "not_null": false, "default": default, "generated": generated})
    }

    fn constraint(name: &str, kind: &str, definition: &str, columns: &[&str]) -> serde_json::Value {
        json!({"name": name, "kind": kind, "definition": definition, "columns": columns, "validated": true})
    }

    fn index(name: &str, definition: &str) -> serde_json::Value {
        json!({"name": name, "method": "btree", "unique": true, "primary": false, "definition": definition})
    }

    fn manifest() -> Manifest {
        let text = json!({
            "format_version": 1, "tool_version": "", "id": "", "captured_at": "", "source": {"kind": "synthetic", "description": ""},
            "enums": [{"name": "\"Role\"", "labels": ["A", "B"]}, {"name": "app.mood", "labels": ["x"]}],
            "tables": [{
                "schema": "public", "name": "child", "rows": 0, "sizes": null, "files": [],
                "columns": [
                    column("id", "integer", Some("nextval('child_id_seq'::regclass)"), None),
                    column("parent", "uuid", None, None),
                    column("User", "text", Some("'it''s'::text"), None),
                    column("role", "\"Role\"[]", None, None),
                    column("double", "bigint", None, Some("(id * 2)")),
                    column("n", "app.mood", None, None),
                    column("i", "integer", None, Some("BY DEFAULT")),
                ],
                "constraints": [
                    constraint("child_pkey", "primary key", "PRIMARY KEY (id)", &["id"]),
                    constraint("to_parent", "foreign key", "FOREIGN KEY (parent) REFERENCES parent(id) ON DELETE CASCADE", &["parent"]),
                    constraint("to_user", "foreign key", "FOREIGN KEY (\"User\") REFERENCES app.users(name)", &["User"]),
                    constraint("positive", "check", "CHECK ((id > 0)) NOT VALID", &["id"]),
                ],
                "indexes": [
                    index("child_pkey", "CREATE UNIQUE INDEX child_pkey ON public.child USING btree (id)"),
                    index("u", "CREATE UNIQUE INDEX u ON public.child USING btree (lower(\"User\"), id DESC) WHERE (parent IS NOT NULL)"),
                ],
            }, {
                "schema": "public", "name": "parent", "rows": 0, "sizes": null, "files": [],
                "columns": [column("id", "uuid", None, None)],
                "constraints": [constraint("parent_pkey", "primary key", "PRIMARY KEY (id)", &["id"])],
                "indexes": [index("parent_pkey", "CREATE UNIQUE INDEX parent_pkey ON public.parent USING btree (id)")],
            }],
        });
        serde_json::from_value(text).expect("a manifest")
    }

    #[test]
    fn a_manifest_says_what_the_server_knew() {
        let catalog = Catalog::from_manifest(&manifest()).expect("a catalog");
        let child = catalog.table(None, "child").expect("the table");
        let types: Vec<String> = child.columns.iter().map(|column| column.ty.name(&catalog)).collect();
        assert_eq!(types, ["integer", "uuid", "text", "\"Role\"[]", "bigint", "app.mood", "integer"]);
        assert_eq!(child.column("User").and_then(|c| c.default.as_ref()).expect("a default").sql, "'it''s'::text");
        assert_eq!(child.column("double").and_then(|c| c.generated.as_ref()).expect("generated").sql, "id * 2");
        assert_eq!(child.column("i").expect("the column").identity, Some(Identity::ByDefault));
        let sequences: Vec<&str> = catalog.sequences.values().map(|sequence| sequence.name.as_str()).collect();
        assert_eq!(sequences, ["child_id_seq", "child_i_seq"]);
        assert!(catalog.primary_key(child.oid).is_some());
        let index = catalog.index(None, "u").expect("the index");
        assert!(index.predicate.is_some() && index.keys[1].descending && index.key_columns().is_none());
    }

    #[test]
    fn foreign_keys_out_of_the_snapshot_keep_their_parents_name() {
        let mut catalog = Catalog::from_manifest(&manifest()).expect("a catalog");
        let child = catalog.table(None, "child").expect("the table").oid;
        let parent = catalog.table(None, "parent").expect("the table").oid;
        assert_eq!(catalog.foreign_keys_to(parent).map(|c| c.name.as_str()).collect::<Vec<_>>(), ["to_parent"]);
        match &catalog.constraint(child, "to_user").expect("the constraint").kind {
            ConstraintKind::AbsentForeignKey(key) => {
                assert_eq!((key.parent.as_str(), key.columns.len()), ("app.users", 1))
            }
            other => panic!("{other:?}"),
        }
        let drop = statement("ALTER TABLE child DROP CONSTRAINT to_user").expect("SQL");
        catalog.apply(&drop, &crate::catalog::TransactionState::default()).expect("it can be dropped");
        assert!(catalog.constraint(child, "to_user").is_none());
    }
}
