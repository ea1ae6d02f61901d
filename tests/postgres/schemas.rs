//! Whole histories on a real server and in a rehearsal from an empty database: every statement must fare alike, and both must end with
//! the same catalog. The schema is compared by the product itself, with `--drift` on an export; sequences, views and the rest by
//! what the server's catalog says of them.

use std::path::PathBuf;

use postgres::Client;
use rehearsal::catalog::{Catalog, definition::qualified};
use rehearsal::dry_run::session::{Options, Session};
use rehearsal::migration::Migration;
use rehearsal::snapshot::{EngineOptions, Snapshot};

use crate::{cases, fixtures, server};

/// Sequences with their options and where they stand, views with their columns, enums with their labels.
const OTHERS: &str = "
SELECT format('sequence %s.%s start %s increment %s from %s to %s cycle %s cache %s next %s owned by %s', s.schemaname, s.sequencename,
       s.start_value, s.increment_by, s.min_value, s.max_value, s.cycle, s.cache_size,
       coalesce(s.last_value + s.increment_by, s.start_value),
       (SELECT format('%s.%s', d.refobjid::regclass::text, a.attname)
        FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass AND d.classid = 'pg_class'::regclass
          AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')))
FROM pg_sequences s
UNION ALL
SELECT format('view %s.%s %s', n.nspname, c.relname,
       (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT format('enum %s.%s %s', n.nspname, t.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder))
FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid JOIN pg_namespace n ON n.oid = t.typnamespace
GROUP BY n.nspname, t.typname";

fn on_server(client: &mut Client) -> Vec<String> {
    let mut lines: Vec<String> = client.query(OTHERS, &[]).expect("the catalog").iter().map(|row| row.get(0)).collect();
    lines.sort();
    lines
}

fn in_catalog(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    for sequence in catalog.sequences.values() {
        let numbers = sequence.numbers.expect("a sequence of the history");
        let owner = sequence.owner.map_or_else(String::new, |(table, attnum)| {
            let table = &catalog.tables[&table];
            let column = &table.by_attnum(attnum).expect("its column").name;
            format!("{}.{column}", qualified(&table.schema, &table.name))
        });
        lines.push(format!(
            "sequence {}.{} start {} increment {} from {} to {} cycle {} cache {} next {} owned by {owner}",
            sequence.schema,
            sequence.name,
            numbers.start,
            numbers.step,
            numbers.min,
            numbers.max,
            if numbers.cycle { "t" } else { "f" },
            numbers.cache,
            numbers.next
        ));
    }
    let columns = |names: Vec<(&str, String)>| {
        names.iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", ")
    };
    for view in catalog.views.values() {
        let types = view.types.iter().map(|ty| ty.name(catalog));
        let named = view.columns.iter().map(String::as_str).zip(types).collect();
        lines.push(format!("view {}.{} {}", view.schema, view.name, columns(named)));
    }
    for table in catalog.tables.values().filter(|table| table.materialized.is_some()) {
        let named = table.columns.iter().map(|column| (column.name.as_str(), column.ty.name(catalog))).collect();
        lines.push(format!("view {}.{} {}", table.schema, table.name, columns(named)));
    }
    lines.extend(catalog.enums.values().map(|ty| format!("enum {}.{} {}", ty.schema, ty.name, ty.labels.join(","))));
    lines.sort();
    lines
}

/// The migration in a rehearsal: how each statement fared, and the catalog at the end.
fn rehearse(migration: &Migration) -> (Vec<String>, Vec<String>) {
    let snapshot = Snapshot::empty(&EngineOptions::default()).expect("an empty database");
    let mut session = Session::new(&snapshot, "history", &[migration], Options::default()).expect("a session");
    session.run_all(migration).expect("no interrupt");
    let troubles = session.reports().iter().filter_map(|report| {
        let trouble = match (&report.error, &report.unsupported) {
            (Some(error), _) => format!("{} {}", error.sqlstate, error.message),
            (None, Some(unsupported)) => format!("not rehearsed: {}", unsupported.what),
            (None, None) => return None,
        };
        Some(format!("{}:{} {trouble}", report.file, report.line))
    });
    (troubles.collect(), in_catalog(session.catalog()))
}

fn check(name: &str) {
    let folder: PathBuf = fixtures::folder("schemas").join(name);
    let folder = if folder.join("migrations").is_dir() { folder.join("migrations") } else { folder };
    let migration = cases::read(std::slice::from_ref(&folder));
    let database = server::database();
    let mut client = database.client();
    let ran = cases::run(&mut client, &migration);
    assert!(ran.iter().all(|statement| statement.error.is_none()), "{name} on the server: {:?}", ran.last());
    let (troubles, here) = rehearse(&migration);
    assert!(troubles.is_empty(), "{name}:\n{}", troubles.join("\n"));
    let there = on_server(&mut database.client());
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    assert_eq!(
        there,
        here,
        "{name}: only on the server {:#?}, only here {:#?}",
        only(&there, &here),
        only(&here, &there)
    );
    no_drift(name, &database, &folder);
}

/// Exports every table of the server and compares the schema that the history makes with it.
fn no_drift(name: &str, database: &server::Database, folder: &std::path::Path) {
    let tables = database.client().query(
        "SELECT schemaname || '.\"' || tablename || '\"' FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
        &[],
    );
    let tables: Vec<String> = tables.expect("the tables").iter().map(|row| row.get(0)).collect();
    let work = tempfile::tempdir().expect("a folder");
    let mut args = vec!["export", "--url", &database.url, "--out", "snap"];
    for table in &tables {
        args.extend(["--table", table]);
    }
    let output = fixtures::rehearsal(work.path(), &args);
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let history = folder.display().to_string();
    let args = ["dry-run", &history, "--on", "empty", "--drift", "snap"];
    let report = fixtures::json(work.path(), &[&args[..], &["--fail-on", "never"]].concat(), 0);
    let drift = &report["result"]["drift"];
    assert_eq!(drift["equal"], true, "{name}: {:#}", drift["differences"]);
    assert_eq!(drift["tables_compared"], tables.len(), "{name}");
    fixtures::json(work.path(), &args, 0);
    // What is changed by hand is found, with the statement that made it.
    let first = &tables[0];
    database.run(&format!("ALTER TABLE {first} ADD COLUMN by_hand int"));
    let mut again = vec!["export", "--url", &database.url, "--out", "drifted", "--table", first];
    let output = fixtures::rehearsal(work.path(), &std::mem::take(&mut again));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let args = ["dry-run", &history, "--on", "empty", "--drift", "drifted"];
    let report = fixtures::json(work.path(), &args, 1);
    let found = &report["result"]["drift"]["differences"];
    assert_eq!(
        (found[0]["name"].as_str(), found[0]["change"].as_str()),
        (Some("by_hand"), Some("only in the snapshot"))
    );
    assert_eq!(report["findings"][0]["id"], "schema-drift");
}

#[test]
fn a_prisma_history_ends_in_the_servers_catalog() {
    check("orders-prisma");
}

#[test]
fn a_handwritten_history_ends_in_the_servers_catalog() {
    check("billing-handwritten");
}

#[test]
fn a_dump_and_what_follows_end_in_the_servers_catalog() {
    check("library-dump");
}
