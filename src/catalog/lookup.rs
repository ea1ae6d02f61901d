//! Names: what does a name in a statement mean, and what does the server say when it means nothing?
//!
//! Input: names as the parser folded them. Output: objects of the catalog, or the server's error with the way out.
//! Invariants: names are case-sensitive; without a schema the search path decides, temporary tables first; tables, views, indexes
//! and sequences of a schema share their names. Left out: names inside queries, which the translator resolves.

use pg_query::protobuf::RangeVar;

use super::{
    AttNum, Catalog, Column, Constraint, ConstraintKind, EnumType, Index, IndexKey, IndexTarget, Oid, Outcome, Problem,
};
use super::{Sequence, Table, View};
use crate::snapshot::suggestion;

/// Schema of temporary tables, searched before all others.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// What a name of a relation stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A table.
    Table,
    /// A materialized view.
    MaterializedView,
    /// A view.
    View,
    /// An index.
    Index,
    /// A sequence.
    Sequence,
}

impl RelationKind {
    /// As messages call it.
    pub fn as_str(self) -> &'static str {
        match self {
            RelationKind::Table => "table",
            RelationKind::MaterializedView => "materialized view",
            RelationKind::View => "view",
            RelationKind::Index => "index",
            RelationKind::Sequence => "sequence",
        }
    }
}

impl Catalog {
    /// Schemas that a name without one is looked up in, in order.
    pub fn search_schemas(&self) -> impl Iterator<Item = &str> {
        std::iter::once(TEMPORARY_SCHEMA).chain(self.search_path.iter().map(String::as_str))
    }

    /// The schema that new objects go to.
    ///
    /// # Errors
    /// 3F000, where the search path names no schema that exists.
    pub fn creation_schema(&self, schema: Option<&str>) -> Outcome<String> {
        match schema {
            Some(schema) if self.schemas.contains(schema) || schema == TEMPORARY_SCHEMA => Ok(schema.to_owned()),
            Some(schema) => Err(missing_schema(schema)),
            None => self
                .search_path
                .iter()
                .find(|schema| self.schemas.contains(*schema))
                .cloned()
                .ok_or_else(|| Problem::rejected("3F000", "no schema has been selected to create in")),
        }
    }

    /// The relation of that name in a schema.
    pub fn relation(&self, schema: &str, name: &str) -> Option<(RelationKind, Oid)> {
        let is = |s: &str, n: &str| s == schema && n == name;
        if let Some(table) = self.tables.values().find(|t| is(&t.schema, &t.name)) {
            let kind = if table.materialized.is_some() { RelationKind::MaterializedView } else { RelationKind::Table };
            return Some((kind, table.oid));
        }
        if let Some(view) = self.views.values().find(|v| is(&v.schema, &v.name)) {
            return Some((RelationKind::View, view.oid));
        }
        if let Some(index) = self.indexes.values().find(|i| is(&i.schema, &i.name)) {
            return Some((RelationKind::Index, index.oid));
        }
        self.sequences.values().find(|s| is(&s.schema, &s.name)).map(|s| (RelationKind::Sequence, s.oid))
    }

    /// The relation a name means.
    pub fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<(RelationKind, Oid)> {
        match schema {
            Some(schema) => self.relation(schema, name),
            None => self.search_schemas().find_map(|schema| self.relation(schema, name)),
        }
    }

    /// The table or materialized view a name means.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        match self.find_relation(schema, name)? {
            (RelationKind::Table | RelationKind::MaterializedView, oid) => self.tables.get(&oid),
            _ => None,
        }
    }

    /// The view a name means.
    pub fn view(&self, schema: Option<&str>, name: &str) -> Option<&View> {
        match self.find_relation(schema, name)? {
            (RelationKind::View, oid) => self.views.get(&oid),
            _ => None,
        }
    }

    /// The index a name means.
    pub fn index(&self, schema: Option<&str>, name: &str) -> Option<&Index> {
        match self.find_relation(schema, name)? {
            (RelationKind::Index, oid) => self.indexes.get(&oid),
            _ => None,
        }
    }

    /// The sequence a name means.
    pub fn sequence(&self, schema: Option<&str>, name: &str) -> Option<&Sequence> {
        match self.find_relation(schema, name)? {
            (RelationKind::Sequence, oid) => self.sequences.get(&oid),
            _ => None,
        }
    }

    /// The table a statement names.
    ///
    /// # Errors
    /// 42P01, or 42809 where the name is another relation's.
    pub fn expect_table(&self, relation: &RangeVar) -> Outcome<&Table> {
        let schema = schema_of(relation);
        match self.find_relation(schema, &relation.relname) {
            Some((RelationKind::Table | RelationKind::MaterializedView, oid)) => Ok(&self.tables[&oid]),
            Some((kind, _)) => Err(Problem::rejected("42809", format!("\"{}\" is not a table", relation.relname))
                .hint(format!("it is {} {}", article(kind), kind.as_str()))
                .at(relation.location)),
            None => Err(self.missing_named(schema, &relation.relname).at(relation.location)),
        }
    }

    /// A column of a table that a statement names.
    ///
    /// # Errors
    /// 42703.
    pub fn expect_column<'a>(&self, table: &'a Table, name: &str) -> Outcome<&'a Column> {
        table.column(name).ok_or_else(|| missing_column(table, name))
    }

    /// 42P01 for a relation that doesn't exist, with the name that may have been meant; unsupported for the system's own.
    pub fn missing_relation(&self, schema: Option<&str>, name: &str) -> Problem {
        let shown = schema.map_or_else(|| name.to_owned(), |schema| format!("{schema}.{name}"));
        if matches!(schema, Some("pg_catalog" | "information_schema")) || (schema.is_none() && name.starts_with("pg_"))
        {
            return Problem::unsupported(format!("the system catalog {shown}"));
        }
        let mut problem = Problem::rejected("42P01", format!("relation \"{shown}\" does not exist"));
        let names: Vec<&str> = self
            .tables
            .values()
            .map(|t| (t.schema.as_str(), t.name.as_str()))
            .chain(self.views.values().map(|v| (v.schema.as_str(), v.name.as_str())))
            .filter(|(s, _)| schema.map_or_else(|| self.search_schemas().any(|path| path == *s), |wanted| wanted == *s))
            .map(|(_, n)| n)
            .collect();
        if let Some(hint) = near_name("table", name, &names) {
            problem = problem.hint(hint);
        } else if let Some(table) = self.tables.values().find(|t| t.name == name) {
            problem = problem.hint(format!("there is {}.{name}", table.schema));
        }
        problem
    }

    /// The same, where a statement defines something: of a schema that isn't there, that is said.
    pub(super) fn missing_named(&self, schema: Option<&str>, name: &str) -> Problem {
        match schema {
            Some(schema) if !self.schemas.contains(schema) && !self.partial && !schema.starts_with("pg_") => {
                match schema {
                    "information_schema" => self.missing_relation(Some(schema), name),
                    _ => missing_schema(schema),
                }
            }
            _ => self.missing_relation(schema, name),
        }
    }

    /// The enum of that name.
    pub fn enum_type(&self, schema: Option<&str>, name: &str) -> Option<&EnumType> {
        let of = |schema: &str| self.enums.values().find(|e| e.schema == schema && e.name == name);
        match schema {
            Some(schema) => of(schema),
            None => self.search_schemas().find_map(of),
        }
    }

    /// An enum's labels in sort order.
    pub fn enum_labels(&self, oid: Oid) -> &[String] {
        self.enums.get(&oid).map_or(&[], |e| &e.labels)
    }

    /// The table's unique indexes, those behind constraints included, oldest first.
    pub fn unique_indexes(&self, table: Oid) -> impl Iterator<Item = &Index> {
        self.indexes_of(table).filter(|index| index.unique)
    }

    /// The table's indexes, oldest first.
    pub fn indexes_of(&self, table: Oid) -> impl Iterator<Item = &Index> {
        self.indexes.values().filter(move |index| index.table == table)
    }

    /// The table's constraints, oldest first.
    pub fn constraints_of(&self, table: Oid) -> impl Iterator<Item = &Constraint> {
        self.constraints.values().filter(move |constraint| constraint.table == table)
    }

    /// The constraint of that name on a table.
    pub fn constraint(&self, table: Oid, name: &str) -> Option<&Constraint> {
        self.constraints_of(table).find(|constraint| constraint.name == name)
    }

    /// Foreign keys that refer to the table, its own included.
    pub fn foreign_keys_to(&self, table: Oid) -> impl Iterator<Item = &Constraint> {
        self.constraints
            .values()
            .filter(move |c| matches!(&c.kind, ConstraintKind::ForeignKey(fk) if fk.parent == table))
    }

    /// The primary key's index.
    pub fn primary_key(&self, table: Oid) -> Option<&Index> {
        self.constraints_of(table).find_map(|constraint| match constraint.kind {
            ConstraintKind::PrimaryKey(index) => self.indexes.get(&index),
            _ => None,
        })
    }

    /// The next number.
    pub(super) fn new_oid(&mut self) -> Oid {
        self.last_oid += 1;
        self.last_oid
    }

    /// 42P07, where a relation of that name exists.
    pub(super) fn expect_free_relation(&self, schema: &str, name: &str) -> Outcome<()> {
        match self.relation(schema, name) {
            Some(_) => Err(Problem::rejected("42P07", format!("relation \"{name}\" already exists"))),
            None => Ok(()),
        }
    }
}

impl Table {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column of that number.
    pub fn by_attnum(&self, attnum: AttNum) -> Option<&Column> {
        self.columns.iter().find(|column| column.attnum == attnum)
    }

    pub(crate) fn column_mut(&mut self, attnum: AttNum) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.attnum == attnum)
    }

    /// Its name as reports write it: with the schema where that isn't `public`.
    pub fn shown(&self) -> String {
        if self.schema == "public" { self.name.clone() } else { format!("{}.{}", self.schema, self.name) }
    }

    /// Names of some columns, in order.
    pub fn names_of(&self, attnums: &[AttNum]) -> Vec<String> {
        attnums.iter().filter_map(|attnum| self.by_attnum(*attnum)).map(|column| column.name.clone()).collect()
    }
}

impl Index {
    /// Its key columns, where all keys are columns.
    pub fn key_columns(&self) -> Option<Vec<AttNum>> {
        self.keys.iter().map(IndexKey::column).collect()
    }
}

impl IndexKey {
    /// The column that it is, where it is one.
    pub fn column(&self) -> Option<AttNum> {
        match self.target {
            IndexTarget::Column(attnum) => Some(attnum),
            IndexTarget::Expression(_) => None,
        }
    }
}

/// 42703 for a column that a table doesn't have.
pub fn missing_column(table: &Table, name: &str) -> Problem {
    let problem =
        Problem::rejected("42703", format!("column \"{name}\" of relation \"{}\" does not exist", table.name));
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    match near_name("column", name, &names) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// 42704 for a constraint that a table doesn't have.
pub fn missing_constraint(table: &Table, name: &str) -> Problem {
    Problem::rejected("42704", format!("constraint \"{name}\" of relation \"{}\" does not exist", table.name))
}

/// 3F000.
pub fn missing_schema(schema: &str) -> Problem {
    Problem::rejected("3F000", format!("schema \"{schema}\" does not exist"))
}

/// 42704 for any other object.
pub fn missing_object(kind: &str, name: &str) -> Problem {
    Problem::rejected("42704", format!("{kind} \"{name}\" does not exist"))
}

/// The name that may have been meant: the same in another case, which PostgreSQL folds where it isn't quoted, or one like it.
pub fn near_name(kind: &str, wanted: &str, names: &[&str]) -> Option<String> {
    if let Some(name) = names.iter().find(|name| name.to_lowercase() == wanted.to_lowercase() && **name != wanted) {
        return Some(format!(
            "the {kind} is {}: PostgreSQL folds names without quotes to lower case",
            quoted_if_needed(name, true)
        ));
    }
    suggestion(wanted, names)
}

/// The schema a statement names, if it does.
pub fn schema_of(relation: &RangeVar) -> Option<&str> {
    (!relation.schemaname.is_empty()).then_some(relation.schemaname.as_str())
}

/// The schemas of a search path as its parameter's text has them; nothing where that isn't a list of names.
pub(crate) fn path_of(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').filter(|end| *end > 0 && !quoted[end + 1..].starts_with('"'))?;
                (quoted[..end].to_owned(), &quoted[end + 1..])
            }
            None => {
                let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
                (rest[..end].to_lowercase(), &rest[end..])
            }
        };
        if name.is_empty() || name.contains('"') {
            return None;
        }
        names.push(name);
        match behind.trim_start() {
            "" => return Some(names),
            more => rest = more.strip_prefix(',')?.trim_start(),
        }
    }
}

/// Those of them in which names are looked for: nobody has a schema named like the user here.
pub(crate) fn searched(path: Vec<String>) -> Vec<String> {
    path.into_iter().filter(|schema| schema != "$user" && !schema.is_empty()).collect()
}

/// A name as PostgreSQL prints it: quoted where it must be.
pub fn quoted(name: &str) -> String {
    quoted_if_needed(name, false)
}

fn quoted_if_needed(name: &str, always: bool) -> String {
    let plain =
        name.chars().enumerate().all(|(i, c)| c == '_' || c.is_ascii_lowercase() || (i > 0 && c.is_ascii_digit()));
    if !always && plain && !name.is_empty() && !KEYWORDS.split(' ').any(|word| word == name) {
        name.to_owned()
    } else {
        crate::query::quote_identifier(name)
    }
}

fn article(kind: RelationKind) -> &'static str {
    if kind == RelationKind::Index { "an" } else { "a" }
}

/// PostgreSQL's keywords that can't stand as a name without quotes everywhere (pg_get_keywords(), all but the unreserved).
const KEYWORDS: &str = "\
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case \
    cast char character check coalesce collate collation column concurrently constraint create cross current_catalog \
    current_date current_role current_schema current_time current_timestamp current_user dec decimal default \
    deferrable desc distinct do else end except exists extract false fetch float for foreign freeze from full grant \
    greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join \
    lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull \
    null nullif numeric offset on only or order out outer overlaps overlay placing position precision primary real \
    references returning right row select session_user setof similar smallint some substring symmetric table \
    tablesample then time timestamp to trailing treat trim true union unique user using values varchar variadic \
    verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse \
    xmlpi xmlroot xmlserialize xmltable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_they_must_be() {
        let check = |name: &str, expected: &str| assert_eq!(quoted(name), expected);
        check("llama_logs", "llama_logs");
        check("User", "\"User\"");
        check("user", "\"user\"");
        check("a b", "\"a b\"");
        check("1a", "\"1a\"");
        check("a1", "a1");
        check("zone", "zone");
    }

    #[test]
    fn the_case_is_the_first_thing_to_doubt() {
        let check = |wanted: &str, expected: &str| {
            let hint = near_name("table", wanted, &["User", "llama_logs"]).expect(wanted);
            assert!(hint.contains(expected), "{hint}");
        };
        check("user", "the table is \"User\"");
        check("lama_logs", "llama_logs");
        assert_eq!(near_name("table", "zzzz", &["User"]), None);
    }
}
