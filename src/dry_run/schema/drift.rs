//! Drift: does a database have the schema that its migrations make?
//!
//! Input: the catalog that the migrations end in, and a snapshot's. Output: [`DriftReport`]. Invariants: objects are matched by name;
//! expressions are compared in their canonical form, because the server shows them rewritten; what the snapshot doesn't hold is said
//! to be left out, never called equal. Left out: the order of columns, rights, views, functions, triggers.

use std::collections::{BTreeMap, BTreeSet};

use super::Provenance;
use crate::catalog::definition::{Style, qualified};
use crate::catalog::lookup::TEMPORARY_SCHEMA;
use crate::catalog::{Catalog, Column, Identity, Oid, Table, Type};
use crate::dry_run::report::{DriftDifference, DriftReport, StatementReport, Verdict};
use crate::report::{Finding, Location, Severity};

/// Tables in which runners of migrations keep their own books.
const BOOKS: &[&str] = &[
    "_prisma_migrations",
    "__diesel_schema_migrations",
    "_sqlx_migrations",
    "ar_internal_metadata",
    "databasechangelog",
    "databasechangeloglock",
    "django_migrations",
    "flyway_schema_history",
    "goose_db_version",
    "knex_migrations",
    "knex_migrations_lock",
    "pgmigrations",
    "schema_migrations",
    "typeorm_metadata",
];

/// Compares what the migrations make with a snapshot's catalog.
pub(in crate::dry_run) fn drift(
    snapshot: &str,
    (ours, theirs): (&Catalog, &Catalog),
    makers: &Provenance,
    statements: &[StatementReport],
) -> DriftReport {
    let mut report = DriftReport { snapshot: snapshot.to_owned(), ..DriftReport::default() };
    if let Some(failed) = statements.iter().find(|statement| statement.verdict == Verdict::Failed) {
        report.not_compared.push(format!(
            "The migrations stop at statement {} ({}:{}), so the schema they make isn't known.",
            failed.index, failed.file, failed.line
        ));
        return report;
    }
    let mut comparison = Comparison { ours, theirs, makers, statements, found: Vec::new() };
    report.tables_compared = comparison.tables(&mut report.not_compared);
    comparison.enums(&mut report.not_compared);
    report.not_compared.extend(left_out(ours, statements));
    report.differences = comparison.found;
    report.differences.sort_by(|a, b| (&a.table, &a.object, &a.name).cmp(&(&b.table, &b.object, &b.name)));
    report.equal = report.differences.is_empty();
    report
}

/// One finding a table, at the statement that made what differs.
pub(in crate::dry_run) fn findings(report: &DriftReport) -> Vec<Finding> {
    let mut all = Vec::new();
    if !report.equal && report.differences.is_empty() {
        all.extend(report.not_compared.iter().map(|why| {
            Finding::new("schema-drift", Severity::Error, 1, why.clone(), "Make the migrations run through first.")
        }));
    }
    for differences in report.differences.chunk_by(|a, b| a.table == b.table) {
        let words: Vec<String> = differences.iter().map(words).collect();
        let message = format!(
            "{} isn't in {} as the migrations make it: {}.",
            differences[0].table,
            report.snapshot,
            words.join("; ")
        );
        let action = "Write a migration for what was done by hand, or apply the migrations that the database lacks.";
        let mut finding = Finding::new("schema-drift", Severity::Error, differences.len() as u64, message, action);
        let placed = differences.iter().find_map(|d| d.file.clone().zip(d.line));
        if let Some((file, line)) = placed {
            finding = finding.at(Location { file, line, column: None, end_line: None });
        }
        all.push(finding);
    }
    all
}

fn words(difference: &DriftDifference) -> String {
    let name = format!("{} {}", difference.object, difference.name);
    match (&difference.ours, &difference.theirs) {
        (Some(ours), Some(theirs)) => format!("{name} is {theirs} there, {ours} here"),
        _ => format!("{name} is {}", difference.change),
    }
}

/// What no snapshot holds, where the migrations make any of it.
fn left_out(ours: &Catalog, statements: &[StatementReport]) -> Vec<String> {
    let mut all = Vec::new();
    let kinds = [
        ("views", ours.views.len()),
        ("functions", ours.functions.len()),
        ("triggers", ours.triggers.len()),
        ("policies", ours.policies.len()),
    ];
    let kinds: Vec<&str> = kinds.into_iter().filter(|(_, number)| *number > 0).map(|(kind, _)| kind).collect();
    if !kinds.is_empty() {
        all.push(format!("A snapshot doesn't hold {}: they aren't compared.", kinds.join(", ")));
    }
    let unsupported: Vec<String> = statements
        .iter()
        .filter(|statement| statement.verdict == Verdict::Unsupported)
        .map(|statement| statement.index.to_string())
        .collect();
    if !unsupported.is_empty() {
        all.push(format!(
            "Statements that couldn't be rehearsed may make what is missing here: {}.",
            unsupported.join(", ")
        ));
    }
    all
}

struct Comparison<'a> {
    ours: &'a Catalog,
    theirs: &'a Catalog,
    makers: &'a Provenance,
    statements: &'a [StatementReport],
    found: Vec<DriftDifference>,
}

/// Where something is: its table, what it is, its name, and the statement that made ours.
struct Place<'p> {
    table: &'p str,
    object: &'p str,
    name: &'p str,
    statement: Option<usize>,
}

impl Comparison<'_> {
    fn tables(&mut self, not_compared: &mut Vec<String>) -> u64 {
        let (ours, theirs) = (by_name(self.ours), by_name(self.theirs));
        let mut compared = 0;
        for (name, their) in &theirs {
            if BOOKS.contains(&their.name.as_str()) {
                continue;
            }
            match ours.get(name) {
                Some(our) => {
                    compared += 1;
                    self.table(name, our, their);
                }
                None => self.add(&Place { table: name, object: "table", name, statement: None }, None, Some("there")),
            }
        }
        let absent: Vec<&str> = ours.keys().filter(|name| !theirs.contains_key(*name)).map(String::as_str).collect();
        if !absent.is_empty() {
            not_compared.push(format!(
                "The snapshot doesn't hold {}: a table that wasn't exported can't be told from one that doesn't exist.",
                absent.join(", ")
            ));
        }
        compared
    }

    fn table(&mut self, name: &str, our: &Table, their: &Table) {
        for column in &our.columns {
            let words = column_words(self.ours, column);
            let found = their.column(&column.name).map(|column| column_words(self.theirs, column));
            let statement = self.makers.of_column(our.oid, column.attnum);
            let place = Place { table: name, object: "column", name: &column.name, statement };
            self.compare(&place, Some(&words), found.as_ref());
        }
        for column in their.columns.iter().filter(|column| our.column(&column.name).is_none()) {
            let place = Place { table: name, object: "column", name: &column.name, statement: None };
            self.compare(&place, None, Some(&column_words(self.theirs, column)));
        }
        self.named(name, "constraint", constraints(self.ours, our.oid), constraints(self.theirs, their.oid));
        self.named(name, "index", indexes(self.ours, our.oid), indexes(self.theirs, their.oid));
    }

    fn named(
        &mut self,
        table: &str,
        object: &str,
        ours: BTreeMap<String, (Oid, String)>,
        theirs: BTreeMap<String, (Oid, String)>,
    ) {
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for name in names {
            let (our, their) = (ours.get(name), theirs.get(name));
            let statement = our.and_then(|(oid, _)| self.makers.maker(*oid));
            let place = Place { table, object, name, statement };
            self.compare(&place, our.map(|(_, words)| words), their.map(|(_, words)| words));
        }
    }

    fn enums(&mut self, not_compared: &mut Vec<String>) {
        let labels = |catalog: &Catalog| -> BTreeMap<String, (Oid, String)> {
            let all = catalog.enums.values();
            all.map(|ty| (qualified(&ty.schema, &ty.name), (ty.oid, ty.labels.join(", ")))).collect()
        };
        let (ours, theirs) = (labels(self.ours), labels(self.theirs));
        for (name, (_, their)) in &theirs {
            let our = ours.get(name);
            let statement = our.and_then(|(oid, _)| self.makers.maker(*oid));
            let place = Place { table: name, object: "enum", name, statement };
            self.compare(&place, our.map(|(_, labels)| labels), Some(their));
        }
        let absent: Vec<&str> = ours.keys().filter(|name| !theirs.contains_key(*name)).map(String::as_str).collect();
        if !absent.is_empty() {
            not_compared.push(format!("No table of the snapshot uses the enums {}.", absent.join(", ")));
        }
    }

    fn compare(&mut self, place: &Place<'_>, ours: Option<&String>, theirs: Option<&String>) {
        if ours != theirs {
            self.add(place, ours.map(String::as_str), theirs.map(String::as_str));
        }
    }

    fn add(&mut self, place: &Place<'_>, ours: Option<&str>, theirs: Option<&str>) {
        let change = match (ours, theirs) {
            (Some(_), None) => "only in the migrations",
            (None, Some(_)) => "only in the snapshot",
            _ => "different",
        };
        let made = place.statement.and_then(|index| self.statements.iter().find(|s| s.index == index));
        self.found.push(DriftDifference {
            object: place.object.to_owned(),
            name: place.name.to_owned(),
            table: place.table.to_owned(),
            change: change.to_owned(),
            ours: ours.map(str::to_owned),
            theirs: theirs.map(str::to_owned),
            statement: made.map(|statement| statement.index),
            file: made.map(|statement| statement.file.clone()),
            line: made.map(|statement| statement.line),
        });
    }
}

fn by_name(catalog: &Catalog) -> BTreeMap<String, &Table> {
    let tables = catalog.tables.values().filter(|t| t.schema != TEMPORARY_SCHEMA && t.materialized.is_none());
    tables.map(|table| (qualified(&table.schema, &table.name), table)).collect()
}

/// `integer not null default 1`
fn column_words(catalog: &Catalog, column: &Column) -> String {
    let mut words = type_words(catalog, &column.ty);
    if column.not_null {
        words.push_str(" not null");
    }
    if let Some(default) = &column.default {
        words.push_str(&format!(" default {}", default.canonical()));
    }
    if let Some(generated) = &column.generated {
        words.push_str(&format!(" generated as ({})", generated.canonical()));
    }
    match column.identity {
        Some(Identity::Always) => words.push_str(" generated always as identity"),
        Some(Identity::ByDefault) => words.push_str(" generated by default as identity"),
        None => {}
    }
    words
}

/// The type's name whatever the search path says: an enum stands with its schema where that isn't `public`.
fn type_words(catalog: &Catalog, ty: &Type) -> String {
    match ty {
        Type::Enum(oid) => catalog.enums.get(oid).map_or_else(|| ty.name(catalog), |e| qualified(&e.schema, &e.name)),
        Type::Array(element) => format!("{}[]", type_words(catalog, element)),
        other => other.name(catalog),
    }
}

fn constraints(catalog: &Catalog, table: Oid) -> BTreeMap<String, (Oid, String)> {
    let all = catalog.constraints_of(table);
    all.map(|c| (c.name.clone(), (c.oid, catalog.constraint_definition(c, Style::Canonical)))).collect()
}

/// Indexes that don't stand behind a constraint, which would say the same twice.
fn indexes(catalog: &Catalog, table: Oid) -> BTreeMap<String, (Oid, String)> {
    let all = catalog.indexes_of(table).filter(|index| index.constraint.is_none());
    all.map(|index| (index.name.clone(), (index.oid, catalog.index_definition(index, Style::Canonical)))).collect()
}
