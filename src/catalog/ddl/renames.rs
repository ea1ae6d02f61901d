//! Renames: ALTER … RENAME.
//!
//! Input: the parser's statement. Output: the catalog under the new names, stored expressions and queries along with them. Invariant: a
//! constraint and the index behind it bear the same name. Left out: functions' bodies, which the server leaves alone too.

use pg_query::protobuf::{ObjectType, RenameStmt};

use super::tables::named;
use super::{Change, object_type, qualified_list};
use crate::catalog::lookup::schema_of;
use crate::catalog::{ConstraintKind, Function, IndexTarget, Oid, Outcome, Problem, RelationKind, Trigger, tree};

impl Change {
    pub(super) fn rename(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        match object_type(statement.rename_type) {
            ObjectType::ObjectTable => self.rename_relation(statement, "ALTER TABLE"),
            ObjectType::ObjectView => self.rename_relation(statement, "ALTER VIEW"),
            ObjectType::ObjectMatview => self.rename_relation(statement, "ALTER MATERIALIZED VIEW"),
            ObjectType::ObjectIndex => self.rename_relation(statement, "ALTER INDEX"),
            ObjectType::ObjectSequence => self.rename_relation(statement, "ALTER SEQUENCE"),
            ObjectType::ObjectColumn => self.rename_column(statement),
            ObjectType::ObjectTabconstraint => self.rename_constraint(statement),
            ObjectType::ObjectType => self.rename_type(statement),
            ObjectType::ObjectAttribute => self.rename_attribute(statement),
            ObjectType::ObjectDomain => {
                let object = statement.object.as_deref();
                let object = object.ok_or_else(|| Problem::unsupported("RENAME without a name"))?;
                let (schema, name) = qualified_list(object)?;
                self.expect_domain(schema.as_deref(), &name)?;
                self.rename_type(statement).map(|_| "ALTER DOMAIN")
            }
            ObjectType::ObjectDomconstraint => self.rename_domain_check(statement),
            ObjectType::ObjectSchema => self.rename_schema(statement),
            ObjectType::ObjectTrigger => self.rename_of_table(statement, "trigger", "ALTER TRIGGER"),
            ObjectType::ObjectPolicy => self.rename_of_table(statement, "policy", "ALTER POLICY"),
            ObjectType::ObjectFunction | ObjectType::ObjectProcedure | ObjectType::ObjectRoutine => {
                self.rename_function(statement)
            }
            other => Err(Problem::unsupported(format!("RENAME of {}", super::records::object_words(other)))),
        }
    }

    fn rename_relation(&mut self, statement: &RenameStmt, tag: &'static str) -> Outcome<&'static str> {
        let relation = named(statement.relation.as_ref())?;
        let (schema, new) = (schema_of(relation), &statement.newname);
        let Some((kind, oid)) = self.catalog.find_relation(schema, &relation.relname) else {
            if statement.missing_ok {
                self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                return Ok(tag);
            }
            return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location));
        };
        expect_kind(kind, tag, &relation.relname)?;
        let schema = match kind {
            RelationKind::Table | RelationKind::MaterializedView => self.catalog.tables[&oid].schema.clone(),
            RelationKind::View => self.catalog.views[&oid].schema.clone(),
            RelationKind::Index => self.catalog.indexes[&oid].schema.clone(),
            RelationKind::Sequence => self.catalog.sequences[&oid].schema.clone(),
        };
        self.catalog.expect_free_relation(&schema, new)?;
        match kind {
            RelationKind::Table | RelationKind::MaterializedView => {
                self.expect_free_row_type(&schema, new)?;
                self.rename_in_queries(oid, &schema, new);
                self.table = Some(oid);
                self.catalog.tables.get_mut(&oid).expect("it was found by name").name.clone_from(new);
            }
            RelationKind::View => {
                self.expect_free_row_type(&schema, new)?;
                self.rename_in_queries(oid, &schema, new);
                self.catalog.views.get_mut(&oid).expect("it was found by name").name.clone_from(new);
            }
            RelationKind::Index => self.rename_index(oid, new)?,
            RelationKind::Sequence => self.rename_sequence(oid, &schema, new),
        }
        Ok(tag)
    }

    fn rename_index(&mut self, oid: Oid, new: &str) -> Outcome<()> {
        let index = self.catalog.indexes.get_mut(&oid).expect("it was found by name");
        new.clone_into(&mut index.name);
        self.table = Some(index.table);
        if let Some(constraint) = index.constraint.and_then(|oid| self.catalog.constraints.get_mut(&oid)) {
            new.clone_into(&mut constraint.name);
        }
        Ok(())
    }

    pub(super) fn rename_sequence(&mut self, oid: Oid, schema: &str, new: &str) {
        let reading: Vec<(Oid, u16)> = self.default_readers(oid);
        if let Some(sequence) = self.catalog.sequences.get_mut(&oid) {
            new.clone_into(&mut sequence.name);
            schema.clone_into(&mut sequence.schema);
        }
        for (table, attnum) in reading {
            if let Some(column) = self.catalog.tables.get_mut(&table).and_then(|table| table.column_mut(attnum)) {
                column.default = Some(super::columns::nextval(schema, new));
            }
        }
    }

    fn default_readers(&self, sequence: Oid) -> Vec<(Oid, u16)> {
        super::dependencies::default_columns(&self.catalog, sequence)
    }

    fn rename_column(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        const TAG: &str = "ALTER TABLE";
        let relation = named(statement.relation.as_ref())?;
        let schema = schema_of(relation);
        if let Some(table) = self.catalog.table(schema, &relation.relname).map(|table| table.oid)
            && (self.catalog.partitioned.contains_key(&table) || self.catalog.partitions.contains_key(&table))
        {
            return Err(Problem::unsupported("renaming a column of a partitioned table"));
        }
        let (old, new) = (&statement.subname, &statement.newname);
        let oid = match self.catalog.find_relation(schema, &relation.relname) {
            Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => oid,
            Some((RelationKind::View, oid)) => return self.rename_view_column(oid, old, new).map(|()| "ALTER VIEW"),
            Some(_) => return Err(Problem::unsupported("RENAME COLUMN of an index or sequence")),
            None if statement.missing_ok => {
                self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
                return Ok(TAG);
            }
            None => return Err(self.catalog.missing_named(schema, &relation.relname).at(relation.location)),
        };
        let table = &self.catalog.tables[&oid];
        let Some(attnum) = table.column(old).map(|column| column.attnum) else {
            // The server says it without the table here.
            return Err(match crate::catalog::lookup::missing_column(table, old) {
                Problem::Rejected(mut error) => {
                    error.message = format!("column \"{old}\" does not exist");
                    Problem::Rejected(error)
                }
                other => other,
            });
        };
        if table.column(new).is_some() {
            let message = format!("column \"{new}\" of relation \"{}\" already exists", table.name);
            return Err(Problem::rejected("42701", message));
        }
        self.keep_columns_in_queries(oid);
        self.rename_in_expressions(oid, old, new);
        let table = self.catalog.tables.get_mut(&oid).expect("it was found by name");
        table.column_mut(attnum).expect("it was found by name").name.clone_from(new);
        self.table = Some(oid);
        Ok(TAG)
    }

    fn rename_view_column(&mut self, oid: Oid, old: &str, new: &str) -> Outcome<()> {
        let view = &self.catalog.views[&oid];
        if view.types.is_empty() && !view.columns.iter().any(|column| column == old) {
            // Its query couldn't be read, and only that one knows the view's columns.
            return Err(Problem::unsupported(format!("RENAME COLUMN of the view {}", view.name)));
        }
        let Some(place) = view.columns.iter().position(|column| column == old) else {
            return Err(Problem::rejected("42703", format!("column \"{old}\" does not exist")));
        };
        if view.columns.iter().any(|column| column == new) {
            let message = format!("column \"{new}\" of relation \"{}\" already exists", view.name);
            return Err(Problem::rejected("42701", message));
        }
        self.keep_columns_in_queries(oid);
        let view = self.catalog.views.get_mut(&oid).expect("it was found by name");
        new.clone_into(&mut view.columns[place]);
        Ok(())
    }

    fn rename_in_expressions(&mut self, table: Oid, old: &str, new: &str) {
        for index in self.catalog.indexes.values_mut().filter(|index| index.table == table) {
            for key in &mut index.keys {
                if let IndexTarget::Expression(expression) = &mut key.target {
                    expression.rename_column(old, new);
                }
            }
            if let Some(predicate) = &mut index.predicate {
                predicate.rename_column(old, new);
            }
        }
        for constraint in self.catalog.constraints.values_mut().filter(|constraint| constraint.table == table) {
            if let ConstraintKind::Check(expression) = &mut constraint.kind {
                expression.rename_column(old, new);
            }
        }
        for trigger in self.catalog.triggers.iter_mut().filter(|trigger| trigger.table == table) {
            rename_in_trigger(trigger, old, new);
        }
        for column in self.catalog.tables.get_mut(&table).into_iter().flat_map(|table| &mut table.columns) {
            if let Some(generated) = &mut column.generated {
                generated.rename_column(old, new);
            }
        }
    }

    fn rename_constraint(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let relation = named(statement.relation.as_ref())?;
        let schema = schema_of(relation);
        let (old, new) = (&statement.subname, &statement.newname);
        if statement.missing_ok && self.catalog.find_relation(schema, &relation.relname).is_none() {
            self.note(format!("relation \"{}\" does not exist, skipping", relation.relname));
            return Ok("ALTER TABLE");
        }
        let table = self.catalog.expect_table(relation)?.oid;
        let Some(constraint) = self.catalog.constraint(table, old) else {
            return Err(match self.missing_constraint(table, old) {
                Problem::Rejected(mut error) => {
                    error.message = format!("constraint \"{old}\" for table \"{}\" does not exist", relation.relname);
                    Problem::Rejected(error)
                }
                other => other,
            });
        };
        let oid = constraint.oid;
        let behind = self.catalog.indexes.values().find(|index| index.constraint == Some(oid)).map(|index| index.oid);
        match behind {
            Some(index) => {
                let schema = self.catalog.indexes[&index].schema.clone();
                self.catalog.expect_free_relation(&schema, new)?;
                self.rename_index(index, new)?;
            }
            None => {
                self.expect_free_constraint(table, new)?;
                self.catalog.constraints.get_mut(&oid).expect("it was found by name").name.clone_from(new);
            }
        }
        self.table = Some(table);
        Ok("ALTER TABLE")
    }

    fn rename_type(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let object = statement.object.as_deref().ok_or_else(|| Problem::unsupported("RENAME without a name"))?;
        let (schema, name) = qualified_list(object)?;
        if let Some(domain) = self.catalog.domain(schema.as_deref(), &name) {
            let (oid, schema) = (domain.oid, domain.schema.clone());
            self.expect_free_type(&schema, &statement.newname)?;
            self.expect_unnamed(&name)?;
            self.catalog.domains.get_mut(&oid).expect("it was found by name").name.clone_from(&statement.newname);
            return Ok("ALTER TYPE");
        }
        if let Some(composite) = self.catalog.composite(schema.as_deref(), &name) {
            let (oid, schema) = (composite.oid, composite.schema.clone());
            self.catalog.expect_free_relation(&schema, &statement.newname)?;
            self.expect_free_type(&schema, &statement.newname)?;
            self.expect_unnamed(&name)?;
            self.catalog.composites.get_mut(&oid).expect("it was found by name").name.clone_from(&statement.newname);
            return Ok("ALTER TYPE");
        }
        let oid = self.expect_enum(schema.as_deref(), &name)?;
        let schema = self.catalog.enums[&oid].schema.clone();
        self.expect_free_type(&schema, &statement.newname)?;
        self.rename_type_in_expressions(oid, &statement.newname);
        self.catalog.enums.get_mut(&oid).expect("it was found by name").name.clone_from(&statement.newname);
        Ok("ALTER TYPE")
    }

    fn rename_domain_check(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let object = statement.object.as_deref().ok_or_else(|| Problem::unsupported("RENAME without a name"))?;
        let (schema, name) = qualified_list(object)?;
        let oid = self.expect_domain(schema.as_deref(), &name)?;
        let domain = self.catalog.domains.get_mut(&oid).expect("it was found by name");
        let (old, new) = (&statement.subname, &statement.newname);
        if domain.checks.iter().any(|check| check.name == *new) {
            let message = format!("constraint \"{new}\" for domain {name} already exists");
            return Err(Problem::rejected("42710", message));
        }
        match domain.checks.iter_mut().find(|check| check.name == *old) {
            Some(check) => check.name.clone_from(new),
            None => {
                let message = format!("constraint \"{old}\" for domain {name} does not exist");
                return Err(Problem::rejected("42704", message));
            }
        }
        Ok("ALTER DOMAIN")
    }

    /// Refuses where an expression of the catalog names the type: it isn't looked up in there.
    fn expect_unnamed(&self, name: &str) -> Outcome<()> {
        let names = |sql: &str| sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == name);
        let catalog = &self.catalog;
        let defaults = catalog.tables.values().flat_map(|table| &table.columns);
        let defaults = defaults.flat_map(|column| column.default.iter().chain(&column.generated));
        let checks = catalog.constraints.values().filter_map(|constraint| match &constraint.kind {
            ConstraintKind::Check(check) => Some(check),
            _ => None,
        });
        let rules = catalog.domains.values().flat_map(|domain| domain.checks.iter().map(|check| &check.condition));
        let views = catalog.views.values().any(|view| names(&view.query.sql));
        match views || defaults.chain(checks).chain(rules).any(|expression| names(&expression.sql)) {
            true => Err(Problem::unsupported(format!("renaming the type {name}, which expressions name,"))),
            false => Ok(()),
        }
    }

    fn rename_schema(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let (old, new) = (statement.subname.clone(), statement.newname.clone());
        if self.catalog.schemas.contains(&new) {
            return Err(Problem::rejected("42P06", format!("schema \"{new}\" already exists")));
        }
        if !self.catalog.schemas.contains(&old) {
            return Err(crate::catalog::lookup::missing_schema(&old));
        }
        if self.catalog.functions.iter().any(|function| function.schema == old) {
            return Err(Problem::unsupported("renaming a schema that holds functions"));
        }
        self.catalog.schemas.insert(new.clone());
        let catalog = &self.catalog;
        let tables = catalog.tables.values().filter(|t| t.schema == old);
        let tables = tables.map(|t| (RelationKind::Table, t.oid, t.name.clone()));
        let views = catalog.views.values().filter(|v| v.schema == old);
        let views = views.map(|v| (RelationKind::View, v.oid, v.name.clone()));
        let sequences = catalog.sequences.values().filter(|s| s.schema == old && s.owner.is_none());
        let sequences = sequences.map(|s| (RelationKind::Sequence, s.oid, s.name.clone()));
        let relations: Vec<(RelationKind, Oid, String)> = tables.chain(views).chain(sequences).collect();
        for (kind, oid, name) in relations {
            self.relocate(kind, oid, &name, &new);
        }
        self.rename_schema_of_types(&old, &new);
        for ty in self.catalog.composites.values_mut().filter(|ty| ty.schema == old) {
            ty.schema.clone_from(&new);
        }
        for ty in self.catalog.enums.values_mut().filter(|ty| ty.schema == old) {
            ty.schema.clone_from(&new);
        }
        self.catalog.schemas.remove(&old);
        self.table = None;
        Ok("ALTER SCHEMA")
    }

    fn rename_of_table(&mut self, statement: &RenameStmt, what: &str, tag: &'static str) -> Outcome<&'static str> {
        let table = self.catalog.expect_table(named(statement.relation.as_ref())?)?.oid;
        self.table = Some(table);
        let triggers = self.catalog.triggers.iter_mut().map(|trigger| (trigger.table, &mut trigger.name));
        let policies = self.catalog.policies.iter_mut().map(|policy| (policy.table, &mut policy.name));
        let mut all = triggers.filter(|_| what == "trigger").chain(policies.filter(|_| what == "policy"));
        if let Some((_, name)) = all.find(|(owner, name)| *owner == table && **name == statement.subname) {
            name.clone_from(&statement.newname);
            return Ok(tag);
        }
        let message = format!(
            "{what} \"{}\" for table \"{}\" does not exist",
            statement.subname, self.catalog.tables[&table].name
        );
        if self.catalog.partial {
            self.note(format!("the snapshot doesn't list the {what} {}: it is taken as existing", statement.subname));
            return Ok(tag);
        }
        Err(Problem::rejected("42704", message))
    }

    fn rename_function(&mut self, statement: &RenameStmt) -> Outcome<&'static str> {
        let object = statement.object.as_deref().ok_or_else(|| Problem::unsupported("RENAME without a name"))?;
        let Some(pg_query::NodeEnum::ObjectWithArgs(function)) = &object.node else {
            return Err(Problem::unsupported("RENAME of a function of this form"));
        };
        let new = &statement.newname;
        match self.function_meant(function, "function")? {
            Some(place) => {
                let Function { schema, .. } = &self.catalog.functions[place];
                let inputs = self.catalog.functions[place].inputs();
                let same = |other: &Function| other.schema == *schema && other.name == *new && other.inputs() == inputs;
                if inputs.is_some() && self.catalog.functions.iter().any(same) {
                    let shown = self
                        .catalog
                        .described(&Function { name: new.clone(), ..self.catalog.functions[place].clone() });
                    let (shown, schema) = (shown.replace(',', ", "), schema.clone());
                    let message = format!("function {shown} already exists in schema \"{schema}\"");
                    return Err(Problem::rejected("42723", message));
                }
                self.catalog.functions[place].name.clone_from(new);
            }
            None => self.note("the snapshot doesn't list functions: this one is taken as existing"),
        }
        Ok("ALTER FUNCTION")
    }

    /// Casts to types of the schema go along.
    fn rename_schema_of_types(&mut self, old: &str, new: &str) {
        let mut catalog = std::mem::take(&mut self.catalog);
        catalog.for_each_expression(&mut |expression| {
            let mut changed = false;
            crate::catalog::tree::walk_mut(std::sync::Arc::make_mut(&mut expression.node), &mut |node| {
                let pg_query::NodeEnum::TypeCast(cast) = node else { return };
                let Some(name) = cast.type_name.as_mut() else { return };
                let names = crate::catalog::tree::strings(&name.names);
                if let ([schema, _], Some(first)) = (names.as_slice(), name.names.first_mut())
                    && schema == old
                {
                    *first = crate::catalog::tree::name(new);
                    changed = true;
                }
            });
            if changed {
                expression.rewrite();
            }
        });
        self.catalog = catalog;
    }

    /// Casts to the type in defaults, checks, indexes and queries go along.
    fn rename_type_in_expressions(&mut self, oid: Oid, new: &str) {
        use pg_query::NodeEnum;
        let mut catalog = std::mem::take(&mut self.catalog);
        let (schema, old) = (catalog.enums[&oid].schema.clone(), catalog.enums[&oid].name.clone());
        let hidden = catalog.enum_type(None, &old).is_none_or(|found| found.oid != oid);
        catalog.for_each_expression(&mut |expression| {
            let mut casts = false;
            crate::catalog::tree::walk(&expression.node, &mut |node| casts |= matches!(node, NodeEnum::TypeCast(_)));
            if !casts {
                return;
            }
            let mut changed = false;
            crate::catalog::tree::walk_mut(std::sync::Arc::make_mut(&mut expression.node), &mut |node| {
                let NodeEnum::TypeCast(cast) = node else { return };
                let Some(name) = cast.type_name.as_mut() else { return };
                let names = crate::catalog::tree::strings(&name.names);
                let is_meant = match names.as_slice() {
                    [bare] => *bare == old && !hidden,
                    [s, bare] => *s == schema && *bare == old,
                    _ => false,
                };
                if let Some(last) = name.names.last_mut().filter(|_| is_meant) {
                    *last = crate::catalog::tree::name(new);
                    changed = true;
                }
            });
            if changed {
                expression.rewrite();
            }
        });
        self.catalog = catalog;
    }
}

/// A trigger names columns that it is for, and those that its WHEN reads.
fn rename_in_trigger(trigger: &mut Trigger, old: &str, new: &str) {
    use pg_query::NodeEnum;
    let statement = std::sync::Arc::make_mut(&mut trigger.statement);
    for column in &mut statement.columns {
        if tree::string(column).as_deref() == Some(old) {
            *column = tree::name(new);
        }
    }
    if let Some(condition) = &mut statement.when_clause {
        tree::walk_mut(condition, &mut |node| {
            if let NodeEnum::ColumnRef(column) = node
                && let [_, field] = column.fields.as_mut_slice()
                && tree::string(field).as_deref() == Some(old)
            {
                *field = tree::name(new);
            }
        });
    }
    let node = NodeEnum::CreateTrigStmt(Box::new(statement.clone()));
    trigger.sql = node.deparse(Default::default()).unwrap_or_default();
}

/// ALTER TABLE … RENAME renames any relation; the others their own kind alone.
fn expect_kind(kind: RelationKind, tag: &str, name: &str) -> Outcome<()> {
    let wanted = match tag {
        "ALTER VIEW" => RelationKind::View,
        "ALTER MATERIALIZED VIEW" => RelationKind::MaterializedView,
        "ALTER SEQUENCE" => RelationKind::Sequence,
        // ALTER INDEX renames tables as well, for the sake of old scripts.
        _ => return Ok(()),
    };
    if kind == wanted {
        return Ok(());
    }
    Err(Problem::rejected("42809", format!("\"{name}\" is not a {}", wanted.as_str())))
}
