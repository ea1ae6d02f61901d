//! Delta: how do two states of the catalog differ?
//!
//! Input: the catalog before and after. Output: [`SchemaDelta`]. Invariants: objects are matched by their numbers, so a rename shows as
//! a rename, and what was dropped and made again shows as both; what belongs to a table that came or went is told with it. Left out:
//! rows.

use std::collections::{BTreeMap, BTreeSet};

use super::lookup::TEMPORARY_SCHEMA;
use super::{Catalog, Column, Constraint, ConstraintKind, Identity, Index, IndexTarget, Oid, Table};
use crate::dry_run::report::{SchemaChange, SchemaDelta};

/// What the migration did to the schema.
pub fn delta(before: &Catalog, after: &Catalog) -> SchemaDelta {
    let mut changes = Changes { before, after, all: vec![] };
    changes.tables();
    changes.enums();
    changes.indexes();
    changes.constraints();
    changes.others();
    changes.all.sort();
    let new_indexes = after.indexes.values().filter(|index| !before.indexes.contains_key(&index.oid));
    let new_keys = after.constraints.values().filter(|c| !before.constraints.contains_key(&c.oid));
    let actions = new_keys.filter_map(|constraint| match &constraint.kind {
        ConstraintKind::ForeignKey(key) => Some(key.on_delete.as_str()),
        _ => None,
    });
    SchemaDelta {
        tables_before: before.tables.len() as u64,
        tables_after: after.tables.len() as u64,
        changes: changes.all,
        new_indexes: counted(new_indexes.map(|index| index_kind(after, index))),
        new_foreign_keys: counted(actions),
    }
}

/// What an index is for, by its columns.
pub fn index_kind(catalog: &Catalog, index: &Index) -> &'static str {
    let constraint = index.constraint.and_then(|oid| catalog.constraints.get(&oid));
    if matches!(constraint.map(|constraint| &constraint.kind), Some(ConstraintKind::PrimaryKey(_))) {
        return "primary key";
    }
    if index.unique {
        return "unique";
    }
    if index.predicate.is_some() {
        return "partial";
    }
    let Some(columns) = index.key_columns() else { return "expression" };
    let [column] = columns.as_slice() else { return "composite" };
    let refers = catalog.constraints_of(index.table).any(|constraint| match &constraint.kind {
        ConstraintKind::ForeignKey(key) => key.columns.contains(column),
        ConstraintKind::AbsentForeignKey(key) => key.columns.contains(column),
        _ => false,
    });
    if refers {
        return "foreign key";
    }
    let table = catalog.tables.get(&index.table);
    match table.and_then(|table| table.by_attnum(*column)) {
        Some(column) if column.ty.is_time() => "temporal",
        _ => "lookup",
    }
}

fn counted<'a>(words: impl Iterator<Item = &'a str>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    counts.into_iter().map(|(word, count)| (word.to_owned(), count)).collect()
}

struct Changes<'a> {
    before: &'a Catalog,
    after: &'a Catalog,
    all: Vec<SchemaChange>,
}

impl Changes<'_> {
    fn add(&mut self, object: &str, change: &str, name: impl Into<String>, detail: impl Into<String>) {
        let (object, change) = (object.to_owned(), change.to_owned());
        self.all.push(SchemaChange { object, change, name: name.into(), detail: detail.into() });
    }

    fn tables(&mut self) {
        let (before, after) = (self.before, self.after);
        for table in after.tables.values().filter(|table| table.schema != TEMPORARY_SCHEMA) {
            match before.tables.get(&table.oid) {
                None => {
                    let columns = table.columns.len();
                    let plural = if columns == 1 { "" } else { "s" };
                    self.add(kind_of(table), "added", table.shown(), format!("{columns} column{plural}"));
                }
                Some(old) => {
                    if old.shown() != table.shown() {
                        self.add(kind_of(table), "renamed", table.shown(), format!("was {}", old.shown()));
                    }
                    self.columns(old, table);
                }
            }
        }
        for table in before.tables.values().filter(|table| !after.tables.contains_key(&table.oid)) {
            self.add(kind_of(table), "dropped", table.shown(), "");
        }
    }

    fn columns(&mut self, old: &Table, new: &Table) {
        let name = |table: &Table, column: &Column| format!("{}.{}", table.shown(), column.name);
        for column in &new.columns {
            let Some(before) = old.by_attnum(column.attnum) else {
                self.add("column", "added", name(new, column), described(column, self.after));
                continue;
            };
            if before.name != column.name {
                self.add("column", "renamed", name(new, column), format!("was {}", before.name));
            }
            let details = differences(before, self.before, column, self.after);
            if !details.is_empty() {
                self.add("column", "changed", name(new, column), details.join(", "));
            }
        }
        for column in old.columns.iter().filter(|column| new.by_attnum(column.attnum).is_none()) {
            self.add("column", "dropped", name(new, column), described(column, self.before));
        }
    }

    fn enums(&mut self) {
        let shown = |ty: &super::EnumType| qualified(&ty.schema, &ty.name);
        let (before, after) = (self.before, self.after);
        for ty in after.enums.values() {
            let Some(old) = before.enums.get(&ty.oid) else {
                self.add("enum", "added", shown(ty), ty.labels.join(", "));
                continue;
            };
            if shown(old) != shown(ty) {
                self.add("enum", "renamed", shown(ty), format!("was {}", shown(old)));
            }
            if old.labels != ty.labels {
                let new =
                    ty.labels.iter().filter(|label| !old.labels.contains(label)).map(|label| format!("+ {label}"));
                let gone =
                    old.labels.iter().filter(|label| !ty.labels.contains(label)).map(|label| format!("− {label}"));
                self.add("enum", "changed", shown(ty), new.chain(gone).collect::<Vec<_>>().join(", "));
            }
        }
        for ty in before.enums.values().filter(|ty| !after.enums.contains_key(&ty.oid)) {
            self.add("enum", "dropped", shown(ty), ty.labels.join(", "));
        }
    }

    fn indexes(&mut self) {
        let (before, after) = (self.before, self.after);
        for index in after.indexes.values() {
            let Some(old) = before.indexes.get(&index.oid) else {
                self.add("index", "added", index_name(after, index), index_words(after, index));
                continue;
            };
            // A rename of both is told with the constraint.
            if old.name != index.name && index.constraint.is_none() {
                self.add("index", "renamed", index_name(after, index), format!("was {}", old.name));
            }
        }
        for index in before.indexes.values().filter(|index| !after.indexes.contains_key(&index.oid)) {
            if after.tables.contains_key(&index.table) {
                self.add("index", "dropped", index_name(before, index), index_words(before, index));
            }
        }
    }

    fn constraints(&mut self) {
        let (before, after) = (self.before, self.after);
        for constraint in after.constraints.values() {
            let name = owned_name(after, constraint.table, &constraint.name);
            let Some(old) = before.constraints.get(&constraint.oid) else {
                self.add("constraint", "added", name, constraint_words(after, constraint));
                continue;
            };
            if old.name != constraint.name {
                self.add("constraint", "renamed", name.clone(), format!("was {}", old.name));
            }
            if old.validated != constraint.validated {
                self.add("constraint", "changed", name, "validated");
            }
        }
        for constraint in before.constraints.values().filter(|c| !after.constraints.contains_key(&c.oid)) {
            if after.tables.contains_key(&constraint.table) {
                let name = owned_name(after, constraint.table, &constraint.name);
                self.add("constraint", "dropped", name, constraint_words(before, constraint));
            }
        }
    }

    fn others(&mut self) {
        let (before, after) = (self.before, self.after);
        let views = |c: &Catalog| -> BTreeMap<Oid, String> {
            c.views.values().map(|view| (view.oid, qualified(&view.schema, &view.name))).collect()
        };
        self.numbered("view", &views(before), &views(after));
        // A column's own sequence is told with its column.
        let sequences = |c: &Catalog| -> BTreeMap<Oid, String> {
            let free = c.sequences.values().filter(|sequence| sequence.owner.is_none());
            free.map(|sequence| (sequence.oid, qualified(&sequence.schema, &sequence.name))).collect()
        };
        self.numbered("sequence", &sequences(before), &sequences(after));
        let functions = |c: &Catalog| c.functions.iter().map(|f| qualified(&f.schema, &f.name)).collect();
        self.named("function", functions(before), functions(after));
        let triggers = |c: &Catalog| c.triggers.iter().map(|t| owned_name(c, t.table, &t.name)).collect();
        self.named("trigger", triggers(before), triggers(after));
        let policies = |c: &Catalog| c.policies.iter().map(|p| owned_name(c, p.table, &p.name)).collect();
        self.named("policy", policies(before), policies(after));
        let names = |names: &BTreeSet<String>| names.clone();
        self.named("extension", names(&before.extensions), names(&after.extensions));
        self.named("schema", names(&before.schemas), names(&after.schemas));
        let comments = |c: &Catalog| c.comments.keys().cloned().collect();
        self.named("comment", comments(before), comments(after));
    }

    fn numbered(&mut self, object: &str, before: &BTreeMap<Oid, String>, after: &BTreeMap<Oid, String>) {
        for (oid, name) in after {
            match before.get(oid) {
                None => self.add(object, "added", name, ""),
                Some(old) if old != name => self.add(object, "renamed", name, format!("was {old}")),
                Some(_) => {}
            }
        }
        for (_, name) in before.iter().filter(|(oid, _)| !after.contains_key(oid)) {
            self.add(object, "dropped", name, "");
        }
    }

    fn named(&mut self, object: &str, before: BTreeSet<String>, after: BTreeSet<String>) {
        for name in after.difference(&before) {
            self.add(object, "added", name, "");
        }
        for name in before.difference(&after) {
            self.add(object, "dropped", name, "");
        }
    }
}

fn kind_of(table: &Table) -> &'static str {
    if table.materialized.is_some() { "materialized view" } else { "table" }
}

fn qualified(schema: &str, name: &str) -> String {
    if schema == "public" { name.to_owned() } else { format!("{schema}.{name}") }
}

fn owned_name(catalog: &Catalog, table: Oid, name: &str) -> String {
    catalog.tables.get(&table).map_or_else(|| name.to_owned(), |table| format!("{}.{name}", table.shown()))
}

fn index_name(catalog: &Catalog, index: &Index) -> String {
    owned_name(catalog, index.table, &index.name)
}

fn index_words(catalog: &Catalog, index: &Index) -> String {
    let table = catalog.tables.get(&index.table);
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|key| match &key.target {
            IndexTarget::Column(attnum) => {
                table.and_then(|table| table.by_attnum(*attnum)).map_or_else(String::new, |column| column.name.clone())
            }
            IndexTarget::Expression(expression) => expression.sql.clone(),
        })
        .collect();
    format!("{} ({})", index_kind(catalog, index), keys.join(", "))
}

fn constraint_words(catalog: &Catalog, constraint: &Constraint) -> String {
    let names = |oid: Oid, columns: &[super::AttNum]| {
        catalog.tables.get(&oid).map_or_else(String::new, |table| table.names_of(columns).join(", "))
    };
    let of_index = |oid: &Oid| {
        let columns = catalog.indexes.get(oid).and_then(|index| index.key_columns()).unwrap_or_default();
        names(constraint.table, &columns)
    };
    match &constraint.kind {
        ConstraintKind::PrimaryKey(index) => format!("primary key ({})", of_index(index)),
        ConstraintKind::Unique(index) => format!("unique ({})", of_index(index)),
        ConstraintKind::ForeignKey(key) => {
            let parent = catalog.tables.get(&key.parent).map_or_else(String::new, Table::shown);
            let columns = names(constraint.table, &key.columns);
            let action = key.on_delete.as_str();
            format!(
                "foreign key ({columns}) → {parent} ({}), on delete {action}",
                names(key.parent, &key.parent_columns)
            )
        }
        ConstraintKind::AbsentForeignKey(key) => {
            format!(
                "foreign key ({}) → {}, which the snapshot doesn't hold",
                names(constraint.table, &key.columns),
                key.parent
            )
        }
        ConstraintKind::Check(expression) => format!("check ({})", expression.sql),
        ConstraintKind::Exclusion(text) => text.clone(),
    }
}

fn described(column: &Column, catalog: &Catalog) -> String {
    let mut words = column.ty.name(catalog);
    if column.not_null {
        words.push_str(" not null");
    }
    if let Some(default) = &column.default {
        words.push_str(&format!(" default {}", default.sql));
    }
    words
}

/// What changed about a column, each in a few words.
fn differences(old: &Column, before: &Catalog, new: &Column, after: &Catalog) -> Vec<String> {
    let mut all = Vec::new();
    // An enum under another name is still the same type.
    if old.ty != new.ty {
        all.push(format!("{} → {}", old.ty.name(before), new.ty.name(after)));
    }
    match (old.not_null, new.not_null) {
        (false, true) => all.push("not null".to_owned()),
        (true, false) => all.push("null allowed".to_owned()),
        _ => {}
    }
    match (&old.default, &new.default) {
        (old, Some(new)) if old.as_ref().is_none_or(|old| old.sql != new.sql) => {
            all.push(format!("default {}", new.sql))
        }
        (Some(_), None) => all.push("no default".to_owned()),
        _ => {}
    }
    if old.identity != new.identity {
        all.push(match new.identity {
            Some(Identity::Always) => "identity always".to_owned(),
            Some(Identity::ByDefault) => "identity by default".to_owned(),
            None => "no identity".to_owned(),
        });
    }
    if old.generated.is_some() && new.generated.is_none() {
        all.push("no longer generated".to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::TransactionState;

    fn run(catalog: &mut Catalog, sql: &str) {
        for statement in pg_query::parse(sql, 0).expect(sql).protobuf.stmts {
            let node = statement.stmt.and_then(|node| node.node).expect("a statement");
            catalog.apply(&node, &TransactionState::default()).expect(sql);
        }
    }

    fn check(setup: &str, migration: &str, expected: &[&str]) {
        let mut before = Catalog::empty();
        run(&mut before, setup);
        let mut after = before.clone();
        run(&mut after, migration);
        let lines: Vec<String> = delta(&before, &after)
            .changes
            .iter()
            .map(|c| format!("{} {} {}: {}", c.object, c.change, c.name, c.detail))
            .collect();
        assert_eq!(lines, expected, "{migration}");
    }

    #[test]
    fn renames_show_as_renames() {
        check(
            "CREATE TABLE a (id int PRIMARY KEY, x text); CREATE TYPE e AS ENUM ('1')",
            "ALTER TABLE a RENAME TO b; ALTER TABLE b RENAME x TO y; ALTER TYPE e RENAME TO f; \
             ALTER TABLE b RENAME CONSTRAINT a_pkey TO b_pkey",
            &[
                "column renamed b.y: was x",
                "constraint renamed b.b_pkey: was a_pkey",
                "enum renamed f: was e",
                "table renamed b: was a",
            ],
        );
    }

    #[test]
    fn changes_are_said_in_a_few_words() {
        check(
            "CREATE TABLE a (id int, x uuid DEFAULT gen_random_uuid(), z int); CREATE TYPE e AS ENUM ('1', '2')",
            "ALTER TABLE a ALTER x DROP DEFAULT, ALTER x TYPE text, ALTER id SET NOT NULL, DROP z, ADD w int DEFAULT 3; \
             ALTER TYPE e ADD VALUE '3'; CREATE INDEX ON a (w, id)",
            &[
                "column added a.w: integer default 3",
                "column changed a.id: not null",
                "column changed a.x: uuid → text, no default",
                "column dropped a.z: integer",
                "enum changed e: + 3",
                "index added a.a_w_id_idx: composite (w, id)",
            ],
        );
        check("", "CREATE TABLE a (id int); DROP TABLE a", &[]);
    }

    #[test]
    fn new_indexes_are_counted_by_what_they_are_for() {
        let mut after = Catalog::empty();
        run(
            &mut after,
            "CREATE TABLE p (id int PRIMARY KEY); \
             CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, at timestamptz, name text UNIQUE); \
             CREATE INDEX ON t (p); CREATE INDEX ON t (at); CREATE INDEX ON t (name); CREATE INDEX ON t (p, at); \
             CREATE INDEX ON t (lower(name)); CREATE INDEX ON t (at) WHERE name = 'a'",
        );
        let delta = delta(&Catalog::empty(), &after);
        let expected = [
            ("composite", 1),
            ("expression", 1),
            ("foreign key", 1),
            ("lookup", 1),
            ("partial", 1),
            ("primary key", 2),
            ("temporal", 1),
            ("unique", 1),
        ];
        let counts: Vec<(&str, u64)> = delta.new_indexes.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(counts, expected);
        assert_eq!(delta.new_foreign_keys, [("CASCADE".to_owned(), 1)]);
        assert_eq!((delta.tables_before, delta.tables_after), (0, 2));
    }
}
