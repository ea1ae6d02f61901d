//! Composite types: CREATE TYPE … AS (…), ALTER TYPE on attributes.
//!
//! Input: the parser's statements. Output: types and their attributes. Invariant: a type that a column holds isn't altered here, because
//! its stored values would be others. Left out: tables of a composite type.

use pg_query::NodeEnum;
use pg_query::protobuf::{AlterTableStmt, AlterTableType, ColumnDef, CompositeTypeStmt, RenameStmt};

use super::Change;
use super::tables::named;
use crate::catalog::composite::Composite;
use crate::catalog::lookup::schema_of;
use crate::catalog::types::missing_type;
use crate::catalog::{Oid, Outcome, Problem, Type};

impl Change {
    pub(super) fn create_composite(&mut self, statement: &CompositeTypeStmt) -> Outcome<&'static str> {
        let relation = named(statement.typevar.as_ref())?;
        let schema = self.catalog.creation_schema(schema_of(relation))?;
        self.expect_free_type(&schema, &relation.relname)?;
        self.catalog.expect_free_relation(&schema, &relation.relname)?;
        let mut attributes: Vec<(String, Type)> = Vec::new();
        for node in &statement.coldeflist {
            let Some(NodeEnum::ColumnDef(column)) = &node.node else { continue };
            let ty = self.attribute_type(column)?;
            if attributes.iter().any(|(name, _)| *name == column.colname) {
                let message = format!("column \"{}\" specified more than once", column.colname);
                return Err(Problem::rejected("42701", message));
            }
            attributes.push((column.colname.clone(), ty));
        }
        let oid = self.catalog.new_oid();
        let composite = Composite { oid, schema, name: relation.relname.clone(), attributes };
        self.catalog.composites.insert(oid, composite);
        Ok("CREATE TYPE")
    }

    fn attribute_type(&self, column: &ColumnDef) -> Outcome<Type> {
        if column.coll_clause.is_some() {
            return Err(Problem::unsupported("an attribute with a collation"));
        }
        let name = column.type_name.as_ref().ok_or_else(|| Problem::unsupported("an attribute without a type"))?;
        match Type::from_name(name, &self.catalog)? {
            Type::Domain(..) => Err(Problem::unsupported("a composite type with an attribute of a domain")),
            ty => Ok(ty),
        }
    }

    /// ALTER TYPE … ADD, DROP and ALTER ATTRIBUTE.
    pub(super) fn alter_composite(&mut self, statement: &AlterTableStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER TYPE";
        let relation = named(statement.relation.as_ref())?;
        let oid = self.composite_meant(schema_of(relation), &relation.relname)?;
        let mut attributes = self.catalog.composites[&oid].attributes.clone();
        for node in &statement.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { continue };
            let place = attributes.iter().position(|(name, _)| *name == command.name);
            let missing = || format!("column \"{}\" of relation \"{}\" does not exist", command.name, relation.relname);
            let definition = command.def.as_deref().and_then(|node| node.node.as_ref());
            match (AlterTableType::try_from(command.subtype), definition) {
                (Ok(AlterTableType::AtAddColumn), Some(NodeEnum::ColumnDef(column))) => {
                    if attributes.iter().any(|(name, _)| *name == column.colname) {
                        let message = format!(
                            "column \"{}\" of relation \"{}\" already exists",
                            column.colname, relation.relname
                        );
                        return Err(Problem::rejected("42701", message));
                    }
                    attributes.push((column.colname.clone(), self.attribute_type(column)?));
                }
                (Ok(AlterTableType::AtDropColumn), _) => match place {
                    Some(place) => drop(attributes.remove(place)),
                    None if command.missing_ok => self.note(format!("{}, skipping", missing())),
                    None => return Err(Problem::rejected("42703", missing())),
                },
                (Ok(AlterTableType::AtAlterColumnType), Some(NodeEnum::ColumnDef(column))) => match place {
                    Some(place) => {
                        self.expect_no_holder(oid, &relation.relname)?;
                        attributes[place].1 = self.attribute_type(column)?;
                    }
                    None => return Err(Problem::rejected("42703", missing())),
                },
                (Ok(AlterTableType::AtChangeOwner), _) => return Ok(TAG),
                _ => return Err(Problem::unsupported("this form of ALTER TYPE")),
            }
        }
        self.expect_unheld(oid)?;
        if let Some(composite) = self.catalog.composites.get_mut(&oid) {
            composite.attributes = attributes;
        }
        Ok(TAG)
    }

    pub(super) fn rename_attribute(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let relation = named(statement.relation.as_ref())?;
        let oid = self.composite_meant(schema_of(relation), &relation.relname)?;
        let composite = self.catalog.composites.get_mut(&oid).expect("it was found by name");
        let (old, new) = (&statement.subname, &statement.newname);
        let Some(place) = composite.attributes.iter().position(|(name, _)| name == old) else {
            return Err(Problem::rejected("42703", format!("column \"{old}\" does not exist")));
        };
        if composite.attributes.iter().any(|(name, _)| name == new) {
            let message = format!("column \"{new}\" of relation \"{}\" already exists", relation.relname);
            return Err(Problem::rejected("42701", message));
        }
        composite.attributes[place].0.clone_from(new);
        Ok("ALTER TYPE")
    }

    fn composite_meant(&self, schema: Option<&str>, name: &str) -> Outcome<Oid> {
        match self.catalog.composite(schema, name) {
            Some(composite) => Ok(composite.oid),
            None if self.catalog.find_relation(schema, name).is_some() => {
                Err(Problem::rejected("42809", format!("\"{name}\" is not a composite type")))
            }
            None if self.catalog.partial => Err(missing_type(schema, name, &self.catalog)),
            None => Err(self.catalog.missing_named(schema, name)),
        }
    }

    /// 0A000, where a column holds values of the type.
    fn expect_no_holder(&self, oid: Oid, name: &str) -> Outcome<()> {
        let holder = self.catalog.tables.values().find_map(|table| {
            let holder = table.columns.iter().find(|column| column.ty.uses_composite(oid))?;
            Some(format!("{}.{}", table.name, holder.name))
        });
        match holder {
            Some(holder) => {
                let message = format!("cannot alter type \"{name}\" because column \"{holder}\" uses it");
                Err(Problem::rejected("0A000", message))
            }
            None => Ok(()),
        }
    }

    /// Stored values of the type would be others.
    pub(super) fn expect_unheld(&self, oid: Oid) -> Outcome<()> {
        let holds = |ty: &Type| ty.uses_composite(oid);
        let in_tables = self.catalog.tables.values().any(|t| t.columns.iter().any(|column| holds(&column.ty)));
        let in_types = self.catalog.composites.values().any(|c| c.attributes.iter().any(|(_, ty)| holds(ty)));
        match in_tables || in_types {
            true => Err(Problem::unsupported("ALTER of a composite type that a column or another type holds")),
            false => Ok(()),
        }
    }
}
