//! Relocations: ALTER … SET SCHEMA.
//!
//! Input: the parser's statement. Output: the object in its new schema, and what belongs to it with it. Left out: functions and
//! extensions, which are recorded.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterObjectSchemaStmt, ObjectType};

use super::tables::named;
use super::{Change, object_type, qualified_list};
use crate::catalog::lookup::{missing_schema, schema_of};
use crate::catalog::{Oid, Outcome, Problem, RelationKind};

impl Change {
    pub(super) fn set_schema(&mut self, statement: &AlterObjectSchemaStmt) -> Outcome<&'static str> {
        let new = &statement.newschema;
        let expect_schema = |change: &Change| match change.catalog.schemas.contains(new) {
            true => Ok(()),
            false => Err(missing_schema(new)),
        };
        match object_type(statement.object_type) {
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectSequence => {
                let relation = named(statement.relation.as_ref())?;
                let schema = schema_of(relation);
                let Some((kind, oid)) = self.catalog.find_relation(schema, &relation.relname) else {
                    if statement.missing_ok {
                        self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                        return Ok("ALTER TABLE");
                    }
                    return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location));
                };
                expect_schema(self)?;
                self.catalog.expect_free_relation(new, &relation.relname)?;
                self.relocate(kind, oid, &relation.relname, new);
                Ok("ALTER TABLE")
            }
            ObjectType::ObjectType | ObjectType::ObjectDomain => {
                let object =
                    statement.object.as_deref().ok_or_else(|| Problem::unsupported("SET SCHEMA without a name"))?;
                let (schema, name) = qualified_list(object)?;
                if let Some(domain) = self.catalog.domain(schema.as_deref(), &name).map(|domain| domain.oid) {
                    expect_schema(self)?;
                    self.expect_free_type(new, &name)?;
                    self.catalog.domains.get_mut(&domain).expect("it was found by name").schema.clone_from(new);
                    return Ok("ALTER DOMAIN");
                }
                if let Some(composite) = self.catalog.composite(schema.as_deref(), &name).map(|found| found.oid) {
                    expect_schema(self)?;
                    self.expect_free_type(new, &name)?;
                    self.catalog.composites.get_mut(&composite).expect("it was found by name").schema.clone_from(new);
                    return Ok("ALTER TYPE");
                }
                let oid = self.expect_enum(schema.as_deref(), &name)?;
                expect_schema(self)?;
                self.expect_free_type(new, &name)?;
                self.catalog.enums.get_mut(&oid).expect("it was found by name").schema.clone_from(new);
                Ok("ALTER TYPE")
            }
            ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
                let Some(NodeEnum::ObjectWithArgs(function)) =
                    statement.object.as_deref().and_then(|object| object.node.as_ref())
                else {
                    return Err(Problem::unsupported("SET SCHEMA of a function of this form"));
                };
                let place = self.function_meant(function, "function")?;
                expect_schema(self)?;
                if let Some(place) = place {
                    let (name, inputs) = (&self.catalog.functions[place].name, self.catalog.functions[place].inputs());
                    let taken = self.catalog.functions_named(Some(new), name).any(|other| other.inputs() == inputs);
                    if taken || !self.callers(&self.catalog.functions[place].clone()).is_empty() {
                        return Err(Problem::unsupported("SET SCHEMA of a function that something calls or hides"));
                    }
                    self.catalog.functions[place].schema.clone_from(new);
                }
                Ok("ALTER FUNCTION")
            }
            other => Err(Problem::unsupported(format!("SET SCHEMA of {}", super::records::object_words(other)))),
        }
    }

    pub(super) fn relocate(&mut self, kind: RelationKind, oid: Oid, name: &str, schema: &str) {
        match kind {
            RelationKind::Table | RelationKind::MaterializedView => {
                self.rename_in_queries(oid, schema, name);
                self.catalog.tables.get_mut(&oid).expect("it was found by name").schema = schema.to_owned();
                for index in self.catalog.indexes.values_mut().filter(|index| index.table == oid) {
                    index.schema = schema.to_owned();
                }
                let owned: Vec<(Oid, String)> = self
                    .catalog
                    .sequences
                    .values()
                    .filter(|sequence| sequence.owner.is_some_and(|(table, _)| table == oid))
                    .map(|sequence| (sequence.oid, sequence.name.clone()))
                    .collect();
                for (sequence, name) in owned {
                    self.rename_sequence(sequence, schema, &name);
                }
                self.table = Some(oid);
            }
            RelationKind::View => {
                self.rename_in_queries(oid, schema, name);
                self.catalog.views.get_mut(&oid).expect("it was found by name").schema = schema.to_owned();
            }
            RelationKind::Sequence => self.rename_sequence(oid, schema, name),
            RelationKind::Index => {}
        }
    }
}
