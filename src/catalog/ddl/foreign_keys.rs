//! Foreign keys: may these columns refer to those?
//!
//! Input: constraints as the parser read them. Output: a foreign key, or the server's refusal: no unique key to refer to, or types
//! that its index can't compare. Left out: whether every row finds its parent.

use pg_query::protobuf::{self, RangeVar};

use super::Change;
use crate::catalog::lookup::{TEMPORARY_SCHEMA, schema_of};
use crate::catalog::{
    Action, AttNum, Constraint, ConstraintKind, Effect, ForeignKey, Oid, Outcome, Problem, RelationKind, Table, Timing,
    naming, tree,
};

impl Change {
    pub(super) fn add_foreign_key(&mut self, table: Oid, constraint: &protobuf::Constraint) -> Outcome<()> {
        let key = self.read_foreign_key(table, constraint)?;
        let owner = &self.catalog.tables[&table];
        let name = match constraint.conname.as_str() {
            "" => {
                let addition = naming::addition(&owner.names_of(&key.columns));
                self.catalog.choose_constraint_name(&owner.schema, &owner.name, Some(&addition), "fkey", &[])
            }
            given => given.to_owned(),
        };
        self.expect_free_constraint(table, &name)?;
        self.expect_comparable(&name, table, &key)?;
        let validated = !constraint.skip_validation;
        let oid = self.catalog.new_oid();
        let kind = ConstraintKind::ForeignKey(key);
        self.catalog
            .constraints
            .insert(oid, Constraint { oid, table, name, kind, validated, timing: Timing::of(constraint) });
        if validated {
            self.demand(table, Effect::VerifyConstraint(oid));
        }
        Ok(())
    }

    fn read_foreign_key(&self, table: Oid, constraint: &protobuf::Constraint) -> Outcome<ForeignKey> {
        let relation = super::tables::named(constraint.pktable.as_ref())?;
        let owner = &self.catalog.tables[&table];
        let parent = self.referenced_table(relation)?;
        if (owner.schema == TEMPORARY_SCHEMA) != (parent.schema == TEMPORARY_SCHEMA) {
            let kind = if owner.schema == TEMPORARY_SCHEMA { "temporary" } else { "permanent" };
            let message = format!("constraints on {kind} tables may reference only {kind} tables");
            return Err(Problem::rejected("42P16", message));
        }
        let columns = referenced_columns(owner, &tree::strings(&constraint.fk_attrs))?;
        let given = tree::strings(&constraint.pk_attrs);
        let parent_columns = if given.is_empty() {
            let key = self.catalog.primary_key(parent.oid).and_then(|index| index.key_columns());
            key.ok_or_else(|| {
                let message = format!("there is no primary key for referenced table \"{}\"", parent.name);
                Problem::rejected("42704", message)
            })?
        } else {
            referenced_columns(parent, &given)?
        };
        if !given.is_empty() && !self.is_unique_key(parent.oid, &parent_columns) {
            let message =
                format!("there is no unique constraint matching given keys for referenced table \"{}\"", parent.name);
            return Err(Problem::rejected("42830", message).hint(format!(
                "add a primary key or a unique constraint on {} ({}) first",
                parent.name,
                given.join(", ")
            )));
        }
        if columns.len() != parent_columns.len() {
            let message = "number of referencing and referenced columns for foreign key disagree";
            return Err(Problem::rejected("42830", message));
        }
        // Of one column it says the same as MATCH SIMPLE.
        if constraint.fk_matchtype == "f" && columns.len() > 1 {
            return Err(Problem::unsupported("a foreign key of several columns with MATCH FULL"));
        }
        Ok(ForeignKey {
            columns,
            parent: parent.oid,
            parent_columns,
            on_delete: action(&constraint.fk_del_action),
            on_update: action(&constraint.fk_upd_action),
        })
    }

    fn referenced_table(&self, relation: &RangeVar) -> Outcome<&Table> {
        let schema = schema_of(relation);
        match self.catalog.find_relation(schema, &relation.relname) {
            Some((RelationKind::Table, oid)) => Ok(&self.catalog.tables[&oid]),
            Some(_) => {
                let message = format!("referenced relation \"{}\" is not a table", relation.relname);
                Err(Problem::rejected("42809", message).at(relation.location))
            }
            None => Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location)),
        }
    }

    /// Some whole unique index has just these columns, in any order.
    fn is_unique_key(&self, table: Oid, columns: &[AttNum]) -> bool {
        self.catalog.unique_indexes(table).any(|index| is_key(index, columns))
    }

    /// The key's index that a foreign key depends on: the oldest that fits.
    pub(super) fn referenced_index(&self, key: &ForeignKey) -> Option<Oid> {
        self.catalog.unique_indexes(key.parent).find(|index| is_key(index, &key.parent_columns)).map(|index| index.oid)
    }

    /// 42804, where the key's index can't compare the two types.
    pub(super) fn expect_comparable(&self, name: &str, table: Oid, key: &ForeignKey) -> Outcome<()> {
        let (child, parent) = (&self.catalog.tables[&table], &self.catalog.tables[&key.parent]);
        for (own, referenced) in key.columns.iter().zip(&key.parent_columns) {
            let (Some(own), Some(referenced)) = (child.by_attnum(*own), parent.by_attnum(*referenced)) else {
                continue;
            };
            if own.ty.references(&referenced.ty) {
                continue;
            }
            let (own_type, key_type) = (own.ty.base_name(&self.catalog), referenced.ty.base_name(&self.catalog));
            let message = format!("foreign key constraint \"{name}\" cannot be implemented");
            let detail = format!(
                "Key columns \"{}\" and \"{}\" are of incompatible types: {own_type} and {key_type}.",
                own.name, referenced.name
            );
            return Err(Problem::rejected("42804", message).detail(detail).hint(format!(
                "give {}.{} the type of {}.{}: {key_type}",
                child.name, own.name, parent.name, referenced.name
            )));
        }
        Ok(())
    }
}

fn is_key(index: &crate::catalog::Index, columns: &[AttNum]) -> bool {
    let Some(keys) = index.key_columns().filter(|_| index.predicate.is_none()) else { return false };
    keys.len() == columns.len() && keys.iter().all(|key| columns.contains(key))
}

fn referenced_columns(table: &Table, names: &[String]) -> Outcome<Vec<AttNum>> {
    let mut columns = Vec::new();
    for name in names {
        let Some(column) = table.column(name) else {
            let message = format!("column \"{name}\" referenced in foreign key constraint does not exist");
            return Err(Problem::rejected("42703", message));
        };
        columns.push(column.attnum);
    }
    Ok(columns)
}

/// The parser's letter for a referential action.
pub(crate) fn action(letter: &str) -> Action {
    match letter {
        "r" => Action::Restrict,
        "c" => Action::Cascade,
        "n" => Action::SetNull,
        "d" => Action::SetDefault,
        _ => Action::NoAction,
    }
}
