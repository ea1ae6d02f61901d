//! Dependencies: what else goes when an object goes, and what stands in the way?
//!
//! Input: objects to drop. Output: the catalog without them, or 2BP01 naming what depends on them. Invariants: as on the server,
//! what belongs to an object (its indexes, constraints, sequences) goes in silence; what only uses it goes with CASCADE alone.
//! Left out: bodies of functions, which the server doesn't look into either.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::NodeEnum;

use super::Change;
use super::columns::nextval_sequence;
use crate::catalog::{
    AttNum, Catalog, Constraint, ConstraintKind, Definition, Effect, Expression, Function, Gives, Index, IndexTarget,
    Oid, Outcome, Problem, Table, Trigger, Type, tree,
};

/// Something that can be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Object {
    Table(Oid),
    View(Oid),
    Column(Oid, AttNum),
    Default(Oid, AttNum),
    Constraint(Oid),
    Index(Oid),
    Sequence(Oid),
    Enum(Oid),
    Domain(Oid),
    Function(Oid),
    Composite(Oid),
    /// A CHECK of a domain or an attribute of a composite type, by its place.
    Part(Oid, u16),
    /// A trigger of a table, by its place among all.
    Trigger(Oid, u16),
    /// A policy of a table, by its place among all.
    Policy(Oid, u16),
}

impl Object {
    /// Its place among others, where it is known by that: it leaves it to the one behind it.
    fn place(self) -> Option<u16> {
        match self {
            Object::Part(_, place) | Object::Trigger(_, place) | Object::Policy(_, place) => Some(place),
            _ => None,
        }
    }
}

/// Why an object goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    /// It is part of the other.
    Belongs,
    /// It uses the other.
    Uses,
}

impl Change {
    /// Drops objects with what belongs to them, and with CASCADE what uses them.
    pub(super) fn remove(&mut self, targets: &[Object], cascade: bool) -> Outcome<()> {
        let mut gone: BTreeSet<Object> = targets.iter().copied().collect();
        // Each dependent with the first object that it was reached from; only those that nothing takes along in silence.
        let mut users: Vec<(Object, Object)> = Vec::new();
        let mut silent: BTreeSet<Object> = gone.clone();
        let mut queue: Vec<Object> = targets.to_vec();
        let mut index = 0;
        while let Some(object) = queue.get(index).copied() {
            index += 1;
            for (dependent, tie) in self.dependents(object) {
                match tie {
                    Tie::Belongs => {
                        silent.insert(dependent);
                    }
                    Tie::Uses => users.push((dependent, object)),
                }
                if gone.insert(dependent) {
                    queue.push(dependent);
                }
            }
        }
        let mut told = BTreeSet::new();
        users
            .retain(|(object, _)| !silent.contains(object) && !self.is_part_of(*object, &gone) && told.insert(*object));
        if !users.is_empty() && !cascade {
            return Err(self.refuse_drop(targets, &users));
        }
        for (object, _) in &users {
            let description = self.describe(*object);
            self.note(format!("drop cascades to {description}"));
        }
        // Parts go from the last to the first, so that their places hold.
        let (mut parts, others): (Vec<Object>, Vec<Object>) =
            queue.into_iter().partition(|object| object.place().is_some());
        parts.sort_by_key(|object| std::cmp::Reverse(object.place()));
        for object in parts.iter().chain(&others) {
            if !self.is_part_of(*object, &gone) || targets.contains(object) {
                self.expect_unheld_part(*object)?;
                self.delete(*object);
            }
        }
        Ok(())
    }

    /// A column or constraint whose table goes anyway.
    fn is_part_of(&self, object: Object, gone: &BTreeSet<Object>) -> bool {
        match object {
            Object::Column(table, _) => gone.contains(&Object::Table(table)),
            Object::Default(table, attnum) => {
                gone.contains(&Object::Table(table)) || gone.contains(&Object::Column(table, attnum))
            }
            Object::Constraint(oid) => {
                self.catalog.constraints.get(&oid).is_some_and(|c| gone.contains(&Object::Table(c.table)))
            }
            Object::Trigger(table, _) | Object::Policy(table, _) => gone.contains(&Object::Table(table)),
            Object::Part(oid, _) => gone.contains(&Object::Domain(oid)) || gone.contains(&Object::Composite(oid)),
            _ => false,
        }
    }

    fn refuse_drop(&self, targets: &[Object], users: &[(Object, Object)]) -> Problem {
        let message = match targets {
            [target] => format!("cannot drop {} because other objects depend on it", self.describe(*target)),
            _ => "cannot drop desired object(s) because other objects depend on them".to_owned(),
        };
        let lines: Vec<String> = users
            .iter()
            .map(|(user, used)| {
                // An array depends on the array type that every type has.
                let array = if self.is_array_of(*user, *used) { "[]" } else { "" };
                format!("{} depends on {}{array}", self.describe(*user), self.describe(*used))
            })
            .collect();
        Problem::rejected("2BP01", message)
            .detail(lines.join("\n"))
            .hint("Use DROP ... CASCADE to drop the dependent objects too.")
    }

    fn is_array_of(&self, user: Object, used: Object) -> bool {
        let (Object::Column(table, attnum), Object::Enum(_) | Object::Composite(_)) = (user, used) else {
            return false;
        };
        let column = self.catalog.tables.get(&table).and_then(|table| table.by_attnum(attnum));
        column.is_some_and(|column| matches!(column.ty, Type::Array(_)))
    }

    /// What depends on an object, directly.
    fn dependents(&self, object: Object) -> Vec<(Object, Tie)> {
        let catalog = &self.catalog;
        match object {
            Object::Table(oid) => self.dependents_of_table(oid),
            Object::View(oid) => users_of(catalog, oid, None),
            Object::Column(table, attnum) => self.dependents_of_column(table, attnum),
            Object::Constraint(oid) => match catalog.constraints.get(&oid).map(|constraint| &constraint.kind) {
                Some(ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index)) => {
                    vec![(Object::Index(*index), Tie::Belongs)]
                }
                Some(ConstraintKind::Exclusion(_)) => {
                    let behind = catalog.indexes.values().find(|index| index.constraint == Some(oid));
                    behind.map(|index| (Object::Index(index.oid), Tie::Belongs)).into_iter().collect()
                }
                _ => vec![],
            },
            Object::Index(oid) => {
                let Some(index) = catalog.indexes.get(&oid) else { return vec![] };
                let relies = |c: &&Constraint| match &c.kind {
                    ConstraintKind::ForeignKey(key) => self.referenced_index(key) == Some(oid),
                    _ => false,
                };
                catalog
                    .foreign_keys_to(index.table)
                    .filter(relies)
                    .map(|c| (Object::Constraint(c.oid), Tie::Uses))
                    .collect()
            }
            Object::Sequence(oid) => used(self.takers(oid)),
            Object::Enum(oid) => {
                let mut all = Vec::new();
                for table in catalog.tables.values() {
                    let uses = table.columns.iter().filter(|column| column.ty.uses_enum(oid));
                    all.extend(uses.map(|column| (Object::Column(table.oid, column.attnum), Tie::Uses)));
                }
                let based = catalog.domains.values().filter(|domain| domain.base.uses_enum(oid));
                all.extend(based.map(|domain| (Object::Domain(domain.oid), Tie::Uses)));
                all.extend(functions_of(catalog, |ty| ty.uses_enum(oid)));
                all.extend(attributes_of(catalog, |ty| ty.uses_enum(oid)));
                all.extend(used(self.casters(&|ty| ty.uses_enum(oid))));
                all
            }
            Object::Domain(oid) => {
                let mut all = Vec::new();
                for table in catalog.tables.values() {
                    let uses = table.columns.iter().filter(|column| column.ty.uses_domain(oid));
                    all.extend(uses.map(|column| (Object::Column(table.oid, column.attnum), Tie::Uses)));
                }
                let based = catalog.domains.values().filter(|domain| domain.base.uses_domain(oid));
                all.extend(based.map(|domain| (Object::Domain(domain.oid), Tie::Uses)));
                all.extend(functions_of(catalog, |ty| ty.uses_domain(oid)));
                all.extend(attributes_of(catalog, |ty| ty.uses_domain(oid)));
                all.extend(used(self.casters(&|ty| ty.uses_domain(oid))));
                all
            }
            Object::Composite(oid) => {
                let mut all = Vec::new();
                for table in catalog.tables.values() {
                    let uses = table.columns.iter().filter(|column| column.ty.uses_composite(oid));
                    all.extend(uses.map(|column| (Object::Column(table.oid, column.attnum), Tie::Uses)));
                }
                all.extend(attributes_of(catalog, |ty| ty.uses_composite(oid)));
                all.extend(functions_of(catalog, |ty| ty.uses_composite(oid)));
                all.extend(givers_of(catalog, oid));
                all.extend(used(self.casters(&|ty| ty.uses_composite(oid))));
                all
            }
            Object::Function(oid) => {
                let function = catalog.functions.iter().find(|function| function.oid == oid);
                used(function.map(|function| self.callers(function)).unwrap_or_default())
            }
            Object::Default(..) | Object::Part(..) | Object::Trigger(..) | Object::Policy(..) => vec![],
        }
    }

    fn dependents_of_table(&self, oid: Oid) -> Vec<(Object, Tie)> {
        let catalog = &self.catalog;
        let mut all: Vec<(Object, Tie)> = Vec::new();
        all.extend(catalog.indexes_of(oid).map(|index| (Object::Index(index.oid), Tie::Belongs)));
        all.extend(catalog.constraints_of(oid).map(|constraint| (Object::Constraint(constraint.oid), Tie::Belongs)));
        all.extend(owned_sequences(catalog, oid, None));
        all.extend(catalog.partitions_of(oid).map(|(partition, _)| (Object::Table(partition), Tie::Belongs)));
        let foreign = catalog.foreign_keys_to(oid).filter(|c| c.table != oid);
        all.extend(foreign.map(|constraint| (Object::Constraint(constraint.oid), Tie::Uses)));
        all.extend(users_of(catalog, oid, None));
        all.extend(givers_of(catalog, oid));
        all.extend(self.policies_on(oid).map(|policy| (policy, Tie::Uses)));
        all
    }

    fn dependents_of_column(&self, oid: Oid, attnum: AttNum) -> Vec<(Object, Tie)> {
        let catalog = &self.catalog;
        let Some(table) = catalog.tables.get(&oid) else { return vec![] };
        let name = table.by_attnum(attnum).map_or("", |column| &column.name);
        let mut all: Vec<(Object, Tie)> = Vec::new();
        let indexes = catalog.indexes_of(oid).filter(|index| index_reads(index, attnum, name));
        all.extend(indexes.map(|index| match index.constraint {
            Some(constraint) => (Object::Constraint(constraint), Tie::Belongs),
            None => (Object::Index(index.oid), Tie::Belongs),
        }));
        let own = catalog.constraints_of(oid).filter(|constraint| constraint_reads(constraint, attnum, name));
        all.extend(own.map(|constraint| (Object::Constraint(constraint.oid), Tie::Belongs)));
        let foreign = catalog.foreign_keys_to(oid).filter(|constraint| match &constraint.kind {
            ConstraintKind::ForeignKey(key) => key.parent_columns.contains(&attnum),
            _ => false,
        });
        all.extend(foreign.map(|constraint| (Object::Constraint(constraint.oid), Tie::Uses)));
        let generated = table.columns.iter().filter(|column| {
            column.generated.as_ref().is_some_and(|expression| expression.columns().iter().any(|read| read == name))
        });
        all.extend(generated.map(|column| (Object::Column(oid, column.attnum), Tie::Uses)));
        all.extend(owned_sequences(catalog, oid, Some(attnum)));
        all.extend(users_of(catalog, oid, Some(attnum)));
        all.extend(used(self.triggers_reading(oid, name)));
        all.extend(used(self.policies_reading(oid, attnum)));
        all
    }

    /// Triggers that are for changes of the column, or whose WHEN reads it.
    pub(super) fn triggers_reading(&self, table: Oid, name: &str) -> Vec<Object> {
        let reading = (0..).zip(self.catalog.triggers.iter());
        let reading = reading.filter(|(_, trigger)| trigger.table == table && trigger_reads(trigger, name));
        reading.map(|(place, _)| Object::Trigger(table, place)).collect()
    }

    /// Policies whose conditions read the column.
    pub(super) fn policies_reading(&self, table: Oid, attnum: AttNum) -> Vec<Object> {
        let reading = (0..).zip(self.catalog.policies.iter());
        let reading = reading.filter(|(_, policy)| policy.reads.get(&table).is_some_and(|c| c.contains(&attnum)));
        reading.map(|(place, policy)| Object::Policy(policy.table, place)).collect()
    }

    /// As the server calls it in messages.
    pub(super) fn describe(&self, object: Object) -> String {
        let catalog = &self.catalog;
        let of = |oid: Oid| catalog.tables.get(&oid).map_or_else(String::new, table_words);
        let column = |oid: Oid, attnum: AttNum| {
            let name = catalog.tables.get(&oid).and_then(|table| table.by_attnum(attnum)).map_or("", |c| &c.name);
            format!("column {name} of {}", of(oid))
        };
        match object {
            Object::Table(oid) => of(oid),
            Object::View(oid) => {
                catalog.views.get(&oid).map_or_else(String::new, |v| words("view", &v.schema, &v.name))
            }
            Object::Column(oid, attnum) => column(oid, attnum),
            Object::Default(oid, attnum) => format!("default value for {}", column(oid, attnum)),
            Object::Constraint(oid) => catalog
                .constraints
                .get(&oid)
                .map_or_else(String::new, |c| format!("constraint {} on {}", c.name, of(c.table))),
            Object::Index(oid) => {
                catalog.indexes.get(&oid).map_or_else(String::new, |i| words("index", &i.schema, &i.name))
            }
            Object::Sequence(oid) => {
                catalog.sequences.get(&oid).map_or_else(String::new, |s| words("sequence", &s.schema, &s.name))
            }
            Object::Enum(oid) => {
                catalog.enums.get(&oid).map_or_else(String::new, |e| words("type", &e.schema, &e.name))
            }
            Object::Domain(oid) => {
                catalog.domains.get(&oid).map_or_else(String::new, |d| words("type", &d.schema, &d.name))
            }
            Object::Composite(oid) => {
                catalog.composites.get(&oid).map_or_else(String::new, |c| words("type", &c.schema, &c.name))
            }
            Object::Function(oid) => {
                let function = catalog.functions.iter().find(|function| function.oid == oid);
                function.map_or_else(String::new, |function| format!("function {}", catalog.described(function)))
            }
            Object::Trigger(table, place) => {
                let name = self.catalog.triggers.get(usize::from(place)).map_or("", |trigger| &trigger.name);
                format!("trigger {name} on {}", of(table))
            }
            Object::Policy(table, place) => {
                let name = self.catalog.policies.get(usize::from(place)).map_or("", |policy| &policy.name);
                format!("policy {name} on {}", of(table))
            }
            Object::Part(oid, place) => {
                let check = catalog.domains.get(&oid).and_then(|domain| domain.checks.get(usize::from(place)));
                let composite = catalog.composites.get(&oid);
                let attribute = composite.and_then(|c| Some((c, c.attributes.get(usize::from(place))?)));
                match (check, attribute) {
                    (Some(check), _) => format!("constraint {}", check.name),
                    (_, Some((c, (name, _)))) => {
                        format!("column {name} of {}", words("composite type", &c.schema, &c.name))
                    }
                    _ => String::new(),
                }
            }
        }
    }

    fn delete(&mut self, object: Object) {
        let catalog = &mut self.catalog;
        match object {
            Object::Table(oid) => {
                catalog.tables.remove(&oid);
                catalog.triggers.retain(|trigger| trigger.table != oid);
                catalog.policies.retain(|policy| policy.table != oid);
                catalog.constraints.retain(|_, constraint| constraint.table != oid);
                let partition = catalog.partitions.get(&oid).cloned();
                let kept = partition.filter(|partition| catalog.tables.contains_key(&partition.parent));
                if let Some((parent, rows)) =
                    kept.and_then(|partition| Some((partition.parent, catalog.partition_condition(&partition)?)))
                {
                    self.effects.push(Effect::DropRows(parent, rows));
                }
                self.catalog.partitions.remove(&oid);
                self.catalog.partitioned.remove(&oid);
                self.effects.push(Effect::DropTable(oid));
            }
            Object::View(oid) => {
                catalog.views.remove(&oid);
                catalog.triggers.retain(|trigger| trigger.table != oid);
            }
            Object::Column(table, attnum) => self.delete_column(table, attnum),
            Object::Default(table, attnum) => {
                if let Some(column) = catalog.tables.get_mut(&table).and_then(|table| table.column_mut(attnum)) {
                    column.default = None;
                }
            }
            Object::Constraint(oid) => {
                catalog.constraints.remove(&oid);
            }
            Object::Index(oid) => {
                catalog.indexes.remove(&oid);
            }
            Object::Sequence(oid) => {
                catalog.sequences.remove(&oid);
            }
            Object::Enum(oid) => {
                catalog.enums.remove(&oid);
            }
            Object::Domain(oid) => {
                catalog.domains.remove(&oid);
            }
            Object::Composite(oid) => {
                catalog.composites.remove(&oid);
            }
            Object::Function(oid) => catalog.functions.retain(|function| function.oid != oid),
            Object::Trigger(_, place) => drop(catalog.triggers.remove(usize::from(place))),
            Object::Policy(_, place) => drop(catalog.policies.remove(usize::from(place))),
            Object::Part(oid, place) => {
                let place = usize::from(place);
                if let Some(domain) = catalog.domains.get_mut(&oid) {
                    domain.checks.remove(place);
                }
                if let Some(composite) = catalog.composites.get_mut(&oid) {
                    composite.attributes.remove(place);
                }
            }
        }
    }

    /// Stored values of a composite type hold every attribute.
    fn expect_unheld_part(&self, object: Object) -> Outcome<()> {
        match object {
            Object::Part(oid, _) if self.catalog.composites.contains_key(&oid) => self.expect_unheld(oid),
            _ => Ok(()),
        }
    }

    fn delete_column(&mut self, table: Oid, attnum: AttNum) {
        let Some(place) =
            self.catalog.tables.get(&table).and_then(|t| t.columns.iter().position(|c| c.attnum == attnum))
        else {
            return;
        };
        self.forget_view_column(table, place);
        if let Some(table) = self.catalog.tables.get_mut(&table) {
            table.columns.remove(place);
        }
        self.effects.push(Effect::DropColumn(table, attnum));
    }

    /// Drops one constraint by itself: DROP CONSTRAINT.
    pub(super) fn remove_constraint_checked(&mut self, oid: Oid, cascade: bool) -> Outcome<()> {
        self.remove(&[Object::Constraint(oid)], cascade)
    }
}

/// The trigger is for changes of the column, or its WHEN reads it.
fn trigger_reads(trigger: &Trigger, name: &str) -> bool {
    let statement = &trigger.statement;
    let mut found = tree::strings(&statement.columns).iter().any(|column| column == name);
    if let Some(condition) = &statement.when_clause {
        tree::walk(condition, &mut |node| {
            if let NodeEnum::ColumnRef(column) = node {
                found |= matches!(tree::strings(&column.fields).as_slice(), [_, read] if read == name);
            }
        });
    }
    found
}

/// The index is computed from the column.
pub(super) fn index_reads(index: &Index, attnum: AttNum, name: &str) -> bool {
    let reads = |expression: &Expression| expression.columns().iter().any(|read| read == name);
    index.include.contains(&attnum)
        || index.predicate.as_ref().is_some_and(reads)
        || index.keys.iter().any(|key| match &key.target {
            IndexTarget::Column(own) => *own == attnum,
            IndexTarget::Expression(expression) => reads(expression),
        })
}

/// The constraint is about the column of its own table.
pub(super) fn constraint_reads(constraint: &Constraint, attnum: AttNum, name: &str) -> bool {
    match &constraint.kind {
        ConstraintKind::Check(expression) => expression.columns().iter().any(|read| read == name),
        ConstraintKind::ForeignKey(key) => key.columns.contains(&attnum),
        ConstraintKind::AbsentForeignKey(key) => key.columns.contains(&attnum),
        // Keys go with their index; what an exclusion reads isn't known.
        ConstraintKind::PrimaryKey(_) | ConstraintKind::Unique(_) | ConstraintKind::Exclusion(_) => false,
    }
}

/// Views and materialized views that read a relation, or one of its columns.
fn users_of(catalog: &Catalog, oid: Oid, attnum: Option<AttNum>) -> Vec<(Object, Tie)> {
    let reads = |depends: &BTreeMap<Oid, BTreeSet<AttNum>>| match (depends.get(&oid), attnum) {
        (Some(columns), Some(attnum)) => columns.contains(&attnum),
        (found, _) => found.is_some(),
    };
    let views = catalog.views.values().filter(|view| reads(&view.depends_on)).map(|view| Object::View(view.oid));
    let materialized = catalog
        .tables
        .values()
        .filter(|table| table.materialized.as_ref().is_some_and(|query| reads(&catalog.dependencies(&query.node))))
        .map(|table| Object::Table(table.oid));
    views.chain(materialized).map(|object| (object, Tie::Uses)).collect()
}

/// Functions that take or give a value of such a type.
fn functions_of(catalog: &Catalog, uses: impl Fn(&Type) -> bool) -> Vec<(Object, Tie)> {
    let named = |definition: &Definition| {
        definition.parameters.iter().any(|parameter| uses(&parameter.ty))
            || matches!(&definition.gives, Gives::Value(ty) if uses(ty))
    };
    let functions = catalog.functions.iter().filter(|f| f.definition.as_ref().is_some_and(|d| named(d)));
    functions.map(|function| (Object::Function(function.oid), Tie::Uses)).collect()
}

/// Functions that give rows of a table or a composite type.
fn givers_of(catalog: &Catalog, oid: Oid) -> impl Iterator<Item = (Object, Tie)> + '_ {
    let gives = move |f: &&Function| f.definition.as_ref().is_some_and(|d| d.row_of == Some(oid));
    catalog.functions.iter().filter(gives).map(|function| (Object::Function(function.oid), Tie::Uses))
}

fn owned_sequences(catalog: &Catalog, table: Oid, attnum: Option<AttNum>) -> impl Iterator<Item = (Object, Tie)> + '_ {
    catalog
        .sequences
        .values()
        .filter(move |s| s.owner.is_some_and(|(t, a)| t == table && attnum.is_none_or(|wanted| wanted == a)))
        .map(|sequence| (Object::Sequence(sequence.oid), Tie::Belongs))
}

fn used(users: Vec<Object>) -> Vec<(Object, Tie)> {
    users.into_iter().map(|user| (user, Tie::Uses)).collect()
}

/// Attributes of such a type.
fn attributes_of(catalog: &Catalog, uses: impl Fn(&Type) -> bool) -> Vec<(Object, Tie)> {
    let mut all = Vec::new();
    for composite in catalog.composites.values() {
        let parts = (0..).zip(&composite.attributes).filter(|(_, (_, ty))| uses(ty));
        all.extend(parts.map(|(place, _)| (Object::Part(composite.oid, place), Tie::Uses)));
    }
    all
}

/// Columns whose default takes values from a sequence.
pub(super) fn default_columns(catalog: &Catalog, sequence: Oid) -> Vec<(Oid, AttNum)> {
    let mut all = Vec::new();
    for table in catalog.tables.values() {
        for column in &table.columns {
            let name = column.default.as_ref().and_then(nextval_sequence);
            if name.and_then(|name| catalog.default_sequence(&name)).is_some_and(|found| found == sequence) {
                all.push((table.oid, column.attnum));
            }
        }
    }
    all
}

fn table_words(table: &Table) -> String {
    let kind = if table.materialized.is_some() { "materialized view" } else { "table" };
    words(kind, &table.schema, &table.name)
}

fn words(kind: &str, schema: &str, name: &str) -> String {
    use crate::catalog::lookup::quoted;
    if schema == "public" {
        format!("{kind} {}", quoted(name))
    } else {
        format!("{kind} {}.{}", quoted(schema), quoted(name))
    }
}
