//! DDL on a real server and on the catalog: each statement must fare alike, and both must end with the same schema.

use std::collections::BTreeMap;

use postgres::Client;
use rehearsal::catalog::{Catalog, ConstraintKind, Problem, TransactionState, Type};

use crate::server;

/// One line per column, constraint, index, enum and sequence.
const SCHEMA: &str = "
SELECT format('column %s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attnotnull THEN ' not null' END, CASE WHEN d.oid IS NOT NULL AND a.attgenerated = '' THEN ' default' END,
       CASE WHEN a.attgenerated <> '' THEN ' generated' WHEN a.attidentity <> '' THEN ' identity' END)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm', 'p')
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('constraint %s on %s %s%s', n.conname, c.relname, n.contype, CASE WHEN NOT n.convalidated THEN ' not valid' END)
FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
WHERE n.connamespace::regnamespace::text !~ '^(pg_|information_schema$)'
UNION ALL
SELECT format('index %s on %s%s %s', i.relname, c.relname, CASE WHEN x.indisunique THEN ' unique' END, x.indnkeyatts)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
WHERE i.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
UNION ALL
SELECT format('enum %s %s', t.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder))
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid GROUP BY t.typname
UNION ALL
SELECT format('%s %s', CASE relkind WHEN 'S' THEN 'sequence' ELSE 'view' END, relname)
FROM pg_class WHERE relkind IN ('S', 'v') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'";

/// The schema as the server has it.
pub fn on_server(client: &mut Client) -> Vec<String> {
    let mut lines: Vec<String> = client.query(SCHEMA, &[]).expect("the schema").iter().map(|row| row.get(0)).collect();
    lines.sort();
    lines
}

/// The schema as the catalog has it.
pub fn in_catalog(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    // Temporary tables are nobody else's, and left out on the server as well.
    for table in catalog.tables.values().filter(|table| !table.schema.starts_with("pg_")) {
        for column in &table.columns {
            let mut line = format!("column {}.{} {}", table.name, column.name, column.ty.name(catalog));
            for (said, holds) in [
                (" not null", column.not_null),
                (" default", column.default.is_some()),
                (" generated", column.generated.is_some()),
                (" identity", column.identity.is_some()),
            ] {
                line += if holds { said } else { "" };
            }
            lines.push(line);
        }
    }
    for trigger in catalog.triggers.iter().filter(|trigger| trigger.statement.isconstraint) {
        let table = catalog.tables.get(&trigger.table).map_or("", |table| table.name.as_str());
        lines.push(format!("constraint {} on {table} t", trigger.name));
    }
    for constraint in catalog.constraints.values() {
        let letter = match constraint.kind {
            ConstraintKind::PrimaryKey(_) => 'p',
            ConstraintKind::Unique(_) => 'u',
            ConstraintKind::ForeignKey(_) | ConstraintKind::AbsentForeignKey(_) => 'f',
            ConstraintKind::Check(_) => 'c',
            ConstraintKind::Exclusion(_) => 'x',
        };
        let not_valid = if constraint.validated { "" } else { " not valid" };
        lines.push(format!(
            "constraint {} on {} {letter}{not_valid}",
            constraint.name, catalog.tables[&constraint.table].name
        ));
    }
    for index in catalog.indexes.values() {
        let unique = if index.unique { " unique" } else { "" };
        lines.push(format!(
            "index {} on {}{unique} {}",
            index.name,
            catalog.tables[&index.table].name,
            index.keys.len()
        ));
    }
    lines.extend(catalog.enums.values().map(|ty| format!("enum {} {}", ty.name, ty.labels.join(","))));
    lines.extend(catalog.sequences.values().map(|sequence| format!("sequence {}", sequence.name)));
    lines.extend(catalog.views.values().map(|view| format!("view {}", view.name)));
    lines.sort();
    lines
}

/// What a statement came to: its SQLSTATE with message and detail, or nothing.
fn outcome_on_server(client: &mut Client, sql: &str) -> Option<(String, String, String)> {
    let error = client.batch_execute(sql).err()?;
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}")).clone();
    let detail = sorted(error.detail().unwrap_or_default());
    Some((error.code().code().to_owned(), error.message().to_owned(), detail))
}

/// The order in which dependents are listed is the server's own affair.
fn sorted(detail: &str) -> String {
    let mut lines: Vec<&str> = detail.lines().collect();
    lines.sort();
    lines.join("\n")
}

fn outcome_here(catalog: &mut Catalog, sql: &str) -> Option<(String, String, String)> {
    let parsed = pg_query::parse(sql, 0).unwrap_or_else(|error| panic!("{sql}: {error}")).protobuf;
    let node = parsed.stmts[0].stmt.as_ref().and_then(|node| node.node.clone()).expect("a statement");
    let before = in_catalog(catalog);
    let state = TransactionState { in_block: false };
    // The columns that the translator would tell.
    let columns = vec![("id".to_owned(), Type::Int4), ("a".to_owned(), Type::Text)];
    let applied = match catalog.apply(&node, &state) {
        Ok(None) => catalog.create_table_as(&node, columns, &state),
        other => other,
    };
    catalog.commit_transaction();
    match applied {
        Ok(applied) => {
            assert!(applied.is_some(), "{sql} isn't DDL");
            None
        }
        Err(Problem::Rejected(error)) => {
            assert_eq!(in_catalog(catalog), before, "{sql} failed and left something behind");
            Some((error.sqlstate.to_owned(), error.message, sorted(&error.detail.unwrap_or_default())))
        }
        Err(problem) => panic!("{sql}: {problem}"),
    }
}

/// Scripts end at an empty line; statements at a semicolon that ends a line.
fn check(scripts: &str) {
    let database = server::database();
    let mut differences = Vec::new();
    for script in scripts.split("\n\n").map(str::trim).filter(|script| !script.is_empty()) {
        let mut client = database.client();
        client
            .batch_execute(
                "DROP SCHEMA IF EXISTS public, app CASCADE; CREATE SCHEMA public; SET client_min_messages = error",
            )
            .expect("an empty database");
        let mut catalog = Catalog::empty();
        for sql in script.split(";\n").map(|sql| sql.trim().trim_end_matches(';')).filter(|sql| !sql.is_empty()) {
            let (server, here) = (outcome_on_server(&mut client, sql), outcome_here(&mut catalog, sql));
            if server != here {
                differences.push(format!("{sql}\n  server: {server:?}\n  here:   {here:?}"));
            }
        }
        let (server, here) = (on_server(&mut client), in_catalog(&catalog));
        if server != here {
            let count = |lines: &[String]| -> BTreeMap<String, usize> {
                lines.iter().fold(BTreeMap::new(), |mut all, line| {
                    *all.entry(line.clone()).or_default() += 1;
                    all
                })
            };
            let (there, own) = (count(&server), count(&here));
            let only = |one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>| -> Vec<String> {
                one.iter().filter(|(line, n)| other.get(*line) != Some(n)).map(|(line, _)| line.clone()).collect()
            };
            let (missing, extra) = (only(&there, &own), only(&own, &there));
            differences.push(format!("{script}\n  only on the server: {missing:#?}\n  only here: {extra:#?}"));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn tables_and_implicit_names() {
    check(include_str!("ddl/tables.sql"));
}

#[test]
fn alterations() {
    check(include_str!("ddl/alterations.sql"));
}

#[test]
fn foreign_keys() {
    check(include_str!("ddl/foreign_keys.sql"));
}

#[test]
fn types_views_and_the_rest() {
    check(include_str!("ddl/others.sql"));
}
