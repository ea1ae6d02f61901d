//! Constraints: CHECK and EXCLUDE, and how a constraint is validated, altered, deferred and dropped.
//!
//! Input: the parts of ALTER TABLE and CREATE TABLE. Output: constraints, and what they demand of the rows. Left out: keys and foreign
//! keys, which have files of their own; whether a CHECK's expression binds, which the translator tells.

use pg_query::NodeEnum;
use pg_query::protobuf::{self, ConstrType, Node};

use super::Change;
use crate::catalog::lookup::{missing_constraint, missing_schema, schema_of};
use crate::catalog::{
    Catalog, Constraint, ConstraintKind, Effect, Expression, Oid, Outcome, Problem, Table, Timing, tree,
};

impl Catalog {
    /// The constraints that SET CONSTRAINTS names are there, and can be deferred where they are to be.
    ///
    /// # Errors
    /// 42704, 3F000, 42809 as the server has them.
    pub fn expect_constraints(&self, statement: &protobuf::ConstraintsSetStmt) -> Outcome<()> {
        let names = statement.constraints.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::RangeVar(name)) => Some(name),
            _ => None,
        });
        for named in names {
            let schema = schema_of(named);
            if let Some(schema) = schema.filter(|schema| !self.schemas.contains(*schema)) {
                return Err(missing_schema(schema));
            }
            let (timings, triggers) = match schema {
                Some(schema) => self.timings_of(schema, &named.relname),
                None => {
                    let all = self.search_schemas().map(|schema| self.timings_of(schema, &named.relname));
                    all.into_iter().find(|(timings, triggers)| !timings.is_empty() || *triggers).unwrap_or_default()
                }
            };
            // What a snapshot doesn't hold may exist.
            if timings.is_empty() && !triggers && !self.partial {
                let message = format!("constraint \"{}\" does not exist", named.relname);
                return Err(Problem::rejected("42704", message));
            }
            if statement.deferred && timings.contains(&Timing::Immediate) {
                let message = format!("constraint \"{}\" is not deferrable", named.relname);
                return Err(Problem::rejected("42809", message));
            }
        }
        Ok(())
    }

    /// When the constraints of a name in a schema are checked, and whether a trigger has the name.
    fn timings_of(&self, schema: &str, name: &str) -> (Vec<Timing>, bool) {
        let is_here = |table: &Oid| self.tables.get(table).is_some_and(|table| table.schema == schema);
        let found = self.constraints.values().filter(|c| c.name == name && is_here(&c.table)).map(|c| c.timing);
        (found.collect(), self.triggers.iter().any(|trigger| trigger.name == name && is_here(&trigger.table)))
    }
}

impl Change {
    /// ALTER TABLE … ADD CONSTRAINT.
    pub(super) fn add_constraint(&mut self, table: Oid, constraint: &protobuf::Constraint) -> Outcome<()> {
        if self.catalog.tables[&table].materialized.is_some() {
            let name = &self.catalog.tables[&table].name;
            let message = format!("ALTER action ADD CONSTRAINT cannot be performed on relation \"{name}\"");
            return Err(
                Problem::rejected("42809", message).detail("This operation is not supported for materialized views.")
            );
        }
        match ConstrType::try_from(constraint.contype) {
            Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique) => {
                // Its columns are made NOT NULL first, so that it is there that one is missed.
                let owner = &self.catalog.tables[&table];
                let keys = tree::strings(&constraint.keys);
                if let Some(missing) = keys.iter().find(|name| owner.column(name).is_none())
                    && constraint.contype == ConstrType::ConstrPrimary as i32
                {
                    return Err(crate::catalog::lookup::missing_column(owner, missing));
                }
                self.add_key(table, constraint)
            }
            Ok(ConstrType::ConstrForeign) => self.add_foreign_key(table, constraint),
            Ok(ConstrType::ConstrCheck) => self.add_check(table, constraint, &mut vec![]),
            Ok(ConstrType::ConstrExclusion) => self.add_exclusion(table, constraint),
            _ => Err(Problem::unsupported("a table constraint of this form").at(constraint.location)),
        }
    }

    /// Adds a CHECK; `taken` are names that the same statement uses.
    pub(super) fn add_check(
        &mut self,
        table: Oid,
        constraint: &protobuf::Constraint,
        taken: &mut Vec<String>,
    ) -> Outcome<()> {
        let owner = &self.catalog.tables[&table];
        let node = constraint.raw_expr.as_deref().ok_or_else(|| Problem::unsupported("CHECK without a condition"))?;
        expect_row_expression(owner, node, "check constraints")?;
        let expression = Expression::of_table(node, &owner.name)?;
        let name = match constraint.conname.as_str() {
            "" => {
                let columns = expression.columns();
                let only = match columns.as_slice() {
                    [column] => Some(column.as_str()),
                    _ => None,
                };
                let name = self.catalog.choose_constraint_name(&owner.schema, &owner.name, only, "check", taken);
                taken.push(name.clone());
                name
            }
            given => given.to_owned(),
        };
        self.expect_free_constraint(table, &name)?;
        let validated = !constraint.skip_validation;
        let oid = self.catalog.new_oid();
        let kind = ConstraintKind::Check(expression);
        self.catalog
            .constraints
            .insert(oid, Constraint { oid, table, name, kind, validated, timing: Timing::Immediate });
        if validated {
            self.demand(table, Effect::VerifyConstraint(oid));
        }
        Ok(())
    }

    /// Adds an EXCLUDE constraint, with the index behind it.
    pub(super) fn add_exclusion(&mut self, table: Oid, constraint: &protobuf::Constraint) -> Outcome<()> {
        let element = |node: &Node| match &node.node {
            Some(NodeEnum::List(list)) => list.items.first().cloned(),
            _ => None,
        };
        // The index behind it, as CREATE INDEX would make it.
        let mut statement = protobuf::IndexStmt {
            access_method: constraint.access_method.clone(),
            index_params: constraint.exclusions.iter().filter_map(element).collect(),
            index_including_params: Vec::new(),
            where_clause: constraint.where_clause.clone(),
            ..protobuf::IndexStmt::default()
        };
        let owner = &self.catalog.tables[&table];
        let schema = owner.schema.clone();
        let name = match constraint.conname.as_str() {
            "" => {
                let addition = crate::catalog::naming::addition(&super::indexes::index_column_names(&statement));
                self.catalog.choose_relation_name(&schema, &owner.name, Some(&addition), "excl", true)
            }
            given => given.to_owned(),
        };
        self.catalog.expect_free_relation(&schema, &name)?;
        self.expect_free_constraint(table, &name)?;
        statement.idxname.clone_from(&name);
        let mut index = super::indexes::read_index(&self.catalog.tables[&table], &statement)?;
        let (of_index, oid) = (self.catalog.new_oid(), self.catalog.new_oid());
        (index.oid, index.constraint) = (of_index, Some(oid));
        let operators = constraint.exclusions.iter().filter_map(exclusion_operator);
        let mut definition = self.catalog.exclusion_definition(&index, &operators.collect::<Vec<_>>());
        self.catalog.indexes.insert(of_index, index);
        let timing = Timing::of(constraint);
        definition.push_str(timing.as_str());
        let kind = ConstraintKind::Exclusion(definition);
        self.catalog
            .constraints
            .insert(oid, Constraint { oid, table, name: name.clone(), kind, validated: true, timing });
        self.demand(table, Effect::VerifyConstraint(oid));
        Ok(())
    }

    pub(super) fn validate_constraint(&mut self, table: Oid, name: &str) -> Outcome<()> {
        let constraint = self.expect_constraint(table, name)?;
        let oid = constraint.oid;
        match constraint.kind {
            ConstraintKind::ForeignKey(_) | ConstraintKind::Check(_) => {}
            ConstraintKind::AbsentForeignKey(_) => {
                self.note(format!("{name} isn't verified: the table it refers to isn't in the snapshot"));
            }
            _ => {
                let table = &self.catalog.tables[&table].name;
                let message =
                    format!("constraint \"{name}\" of relation \"{table}\" is not a foreign key or check constraint");
                return Err(Problem::rejected("42809", message));
            }
        }
        if let Some(constraint) = self.catalog.constraints.get_mut(&oid).filter(|c| !c.validated) {
            constraint.validated = true;
            self.demand(table, Effect::VerifyConstraint(oid));
        }
        Ok(())
    }

    /// ALTER CONSTRAINT: when a foreign key is checked.
    pub(super) fn alter_constraint(&mut self, table: Oid, altered: &protobuf::Constraint) -> Outcome<()> {
        let oid = self.expect_constraint(table, &altered.conname)?.oid;
        match self.catalog.constraints.get_mut(&oid) {
            Some(Constraint { kind: ConstraintKind::ForeignKey(_), timing, .. }) => *timing = Timing::of(altered),
            Some(Constraint { kind: ConstraintKind::AbsentForeignKey(_), .. }) => {}
            _ => {
                let (name, table) = (&altered.conname, &self.catalog.tables[&table].name);
                let message = format!("constraint \"{name}\" of relation \"{table}\" is not a foreign key constraint");
                return Err(Problem::rejected("42809", message));
            }
        }
        Ok(())
    }

    pub(super) fn drop_constraint(&mut self, table: Oid, name: &str, missing_ok: bool, cascade: bool) -> Outcome<()> {
        let owner = &self.catalog.tables[&table];
        let Some(constraint) = self.catalog.constraint(table, name) else {
            if missing_ok {
                self.note(format!("constraint \"{name}\" of relation \"{}\" does not exist, skipping", owner.name));
                return Ok(());
            }
            return Err(self.missing_constraint(table, name));
        };
        let oid = constraint.oid;
        self.remove_constraint_checked(oid, cascade)
    }

    pub(super) fn expect_constraint(&self, table: Oid, name: &str) -> Outcome<&Constraint> {
        self.catalog.constraint(table, name).ok_or_else(|| self.missing_constraint(table, name))
    }

    /// 42704, with the name that may have been meant.
    pub(super) fn missing_constraint(&self, table: Oid, name: &str) -> Problem {
        let problem = missing_constraint(&self.catalog.tables[&table], name);
        let names: Vec<&str> = self.catalog.constraints_of(table).map(|c| c.name.as_str()).collect();
        match crate::catalog::lookup::near_name("constraint", name, &names) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// An expression over one row of a table: its columns exist and it holds no query.
pub(super) fn expect_row_expression(table: &Table, node: &Node, place: &str) -> Outcome<()> {
    let mut problem = None;
    tree::walk(node, &mut |node| {
        let found = match node {
            NodeEnum::SubLink(link) => {
                let message = match place {
                    "check constraints" => "cannot use subquery in check constraint".to_owned(),
                    place => format!("cannot use subquery in {place}"),
                };
                Some(Problem::rejected("0A000", message).at(link.location))
            }
            NodeEnum::ColumnRef(column) => match tree::strings(&column.fields).as_slice() {
                [name] if column.fields.len() == 1 && !is_known(table, name) => {
                    let message = format!("column \"{name}\" does not exist");
                    let missing = Problem::rejected("42703", message).at(column.location);
                    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
                    Some(match crate::catalog::lookup::near_name("column", name, &names) {
                        Some(hint) => missing.hint(hint),
                        None => missing,
                    })
                }
                _ => None,
            },
            _ => None,
        };
        if problem.is_none() {
            problem = found;
        }
    });
    problem.map_or(Ok(()), Err)
}

fn is_known(table: &Table, name: &str) -> bool {
    // The table's own name is its whole row.
    table.column(name).is_some() || name == table.name || ["tableoid", "ctid", "xmin"].contains(&name)
}

fn exclusion_operator(node: &Node) -> Option<String> {
    let Some(NodeEnum::List(list)) = &node.node else { return None };
    match list.items.get(1)?.node.as_ref()? {
        NodeEnum::List(names) => tree::strings(&names.items).pop(),
        _ => None,
    }
}
