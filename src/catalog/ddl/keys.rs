//! Keys: PRIMARY KEY and UNIQUE, and the indexes behind them.
//!
//! Input: constraints as the parser read them. Output: a constraint with its index, and what it demands of the rows. Invariant: a
//! primary key's columns are NOT NULL. Left out: whether rows are unique.

use pg_query::protobuf::{self, ConstrType};

use super::Change;
use crate::catalog::lookup::missing_object;
use crate::catalog::{
    AttNum, Constraint, ConstraintKind, Effect, Index, IndexKey, IndexTarget, Oid, Outcome, Problem, Table, Timing,
    naming, tree,
};

impl Change {
    /// Adds a PRIMARY KEY or UNIQUE constraint, with an index of its own or the one it names.
    pub(super) fn add_key(&mut self, table: Oid, constraint: &protobuf::Constraint) -> Outcome<()> {
        let primary = constraint.contype == ConstrType::ConstrPrimary as i32;
        let second = || match primary && self.catalog.primary_key(table).is_some() {
            true => Err(self.second_primary_key(table).at(constraint.location)),
            false => Ok(()),
        };
        if !constraint.indexname.is_empty() {
            second()?;
            return self.adopt_index(table, constraint, primary);
        }
        let owner = &self.catalog.tables[&table];
        let columns = key_columns(owner, constraint, primary)?;
        let include = tree::strings(&constraint.including)
            .iter()
            .map(|name| named_in_key(owner, name, constraint.location))
            .collect::<Outcome<Vec<AttNum>>>()?;
        let held: Vec<Option<AttNum>> = columns.iter().map(|attnum| Some(*attnum)).collect();
        self.expect_partition_key(table, &held, if primary { "PRIMARY KEY" } else { "UNIQUE" })?;
        for attnum in &columns {
            let ty = owner.by_attnum(*attnum).map(|column| &column.ty);
            if let Some(ty) = ty.filter(|ty| !ty.has_operator_class("btree")) {
                return Err(self.no_operator_class(&ty.name(&self.catalog), "btree"));
            }
        }
        // The columns are looked up first.
        second()?;
        let schema = owner.schema.clone();
        let name = match constraint.conname.as_str() {
            "" if primary => self.catalog.choose_relation_name(&schema, &owner.name, None, "pkey", true),
            "" => {
                let all: Vec<AttNum> = columns.iter().chain(&include).copied().collect();
                let names = naming::distinct_names(owner.names_of(&all));
                self.catalog.choose_relation_name(&schema, &owner.name, Some(&naming::addition(&names)), "key", true)
            }
            given => given.to_owned(),
        };
        self.catalog.expect_free_relation(&schema, &name)?;
        self.expect_free_constraint(table, &name)?;
        let keys = columns.iter().map(|attnum| plain_key(*attnum)).collect();
        let index = self.catalog.new_oid();
        let oid = self.catalog.new_oid();
        self.catalog.indexes.insert(
            index,
            Index {
                oid: index,
                schema,
                name: name.clone(),
                table,
                method: "btree".to_owned(),
                unique: true,
                nulls_not_distinct: constraint.nulls_not_distinct,
                keys,
                include,
                predicate: None,
                constraint: Some(oid),
            },
        );
        let kind = if primary { ConstraintKind::PrimaryKey(index) } else { ConstraintKind::Unique(index) };
        let timing = Timing::of(constraint);
        self.catalog.constraints.insert(oid, Constraint { oid, table, name, kind, validated: true, timing });
        if primary {
            self.set_not_null(table, &columns);
        }
        self.demand(table, Effect::VerifyUnique(index));
        Ok(())
    }

    /// Refuses NULL in some columns from now on.
    pub(super) fn set_not_null(&mut self, table: Oid, columns: &[AttNum]) {
        for attnum in columns {
            let column = self.catalog.tables.get_mut(&table).and_then(|table| table.column_mut(*attnum));
            if let Some(column) = column.filter(|column| !column.not_null) {
                column.not_null = true;
                self.demand(table, Effect::VerifyNotNull(table, *attnum));
            }
        }
    }

    /// `ADD CONSTRAINT … USING INDEX`: the index takes the constraint's name.
    fn adopt_index(&mut self, table: Oid, constraint: &protobuf::Constraint, primary: bool) -> Outcome<()> {
        let owner = &self.catalog.tables[&table];
        let shown = &constraint.indexname;
        let Some(index) = self.catalog.index(Some(&owner.schema), shown) else {
            return Err(missing_object("index", shown).at(constraint.location));
        };
        let refuse = |sqlstate, text: String| Err(Problem::rejected(sqlstate, text).at(constraint.location));
        if index.constraint.is_some() {
            return refuse("55000", format!("index \"{shown}\" is already associated with a constraint"));
        }
        if index.table != table {
            return refuse("55000", format!("index \"{shown}\" does not belong to table \"{}\"", owner.name));
        }
        let unusable = |text: String| {
            let problem = Problem::rejected("42809", text).at(constraint.location);
            Err(problem.detail("Cannot create a primary key or unique constraint using such an index."))
        };
        if !index.unique {
            return unusable(format!("\"{shown}\" is not a unique index"));
        }
        let Some(columns) = index.key_columns() else {
            return unusable(format!("index \"{shown}\" contains expressions"));
        };
        if index.predicate.is_some() {
            return unusable(format!("\"{shown}\" is a partial index"));
        }
        if let Some(place) = index.keys.iter().position(|key| key.descending || key.nulls_first) {
            let message =
                format!("index \"{shown}\" column number {} does not have default sorting behavior", place + 1);
            return unusable(message);
        }
        let (index, schema) = (index.oid, owner.schema.clone());
        let name = if constraint.conname.is_empty() { shown } else { &constraint.conname };
        if name != shown {
            self.catalog.expect_free_relation(&schema, name)?;
            self.note(format!("ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index \"{shown}\" to \"{name}\""));
        }
        self.expect_free_constraint(table, name)?;
        let oid = self.catalog.new_oid();
        let kind = if primary { ConstraintKind::PrimaryKey(index) } else { ConstraintKind::Unique(index) };
        self.catalog.constraints.insert(
            oid,
            Constraint { oid, table, name: name.clone(), kind, validated: true, timing: Timing::of(constraint) },
        );
        if let Some(index) = self.catalog.indexes.get_mut(&index) {
            index.name.clone_from(name);
            index.constraint = Some(oid);
        }
        if primary {
            self.set_not_null(table, &columns);
        }
        Ok(())
    }

    /// 42P16.
    pub(super) fn second_primary_key(&self, table: Oid) -> Problem {
        let name = &self.catalog.tables[&table].name;
        Problem::rejected("42P16", format!("multiple primary keys for table \"{name}\" are not allowed"))
    }

    /// 42710, where the table has a constraint of that name.
    pub(super) fn expect_free_constraint(&self, table: Oid, name: &str) -> Outcome<()> {
        match self.catalog.constraint(table, name) {
            Some(_) => {
                let table = &self.catalog.tables[&table].name;
                let message = format!("constraint \"{name}\" for relation \"{table}\" already exists");
                Err(Problem::rejected("42710", message))
            }
            None => Ok(()),
        }
    }

    pub(super) fn no_operator_class(&self, ty: &str, method: &str) -> Problem {
        let message = format!("data type {ty} has no default operator class for access method \"{method}\"");
        Problem::rejected("42704", message).hint(
            "You must specify an operator class for the index or define a default operator class for the data type.",
        )
    }
}

fn key_columns(table: &Table, constraint: &protobuf::Constraint, primary: bool) -> Outcome<Vec<AttNum>> {
    let mut columns = Vec::new();
    for name in tree::strings(&constraint.keys) {
        let attnum = named_in_key(table, &name, constraint.location)?;
        if columns.contains(&attnum) {
            let kind = if primary { "primary key" } else { "unique" };
            let message = format!("column \"{name}\" appears twice in {kind} constraint");
            return Err(Problem::rejected("42701", message).at(constraint.location));
        }
        columns.push(attnum);
    }
    Ok(columns)
}

fn named_in_key(table: &Table, name: &str, location: i32) -> Outcome<AttNum> {
    match table.column(name) {
        Some(column) => Ok(column.attnum),
        None => Err(Problem::rejected("42703", format!("column \"{name}\" named in key does not exist")).at(location)),
    }
}

fn plain_key(attnum: AttNum) -> IndexKey {
    IndexKey { target: IndexTarget::Column(attnum), descending: false, nulls_first: false, operator_class: None }
}
