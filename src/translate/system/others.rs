//! Relations of `pg_catalog` for functions, triggers, policies and what stands beside the schemas.

use super::{DATABASE, Rows, UNTOLD, number, oid, schema_number, text, truth};
use crate::catalog::lookup::quoted;
use crate::catalog::pg::Kind;
use crate::catalog::{Catalog, Function, Gives, Type, pg};

/// Roles that every server has.
const ROLES: &[&str] = &[
    "postgres",
    "pg_checkpoint",
    "pg_database_owner",
    "pg_execute_server_program",
    "pg_monitor",
    "pg_read_all_data",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_read_server_files",
    "pg_signal_backend",
    "pg_stat_scan_tables",
    "pg_write_all_data",
    "pg_write_server_files",
];

pub(super) fn relation(catalog: &Catalog, name: &str) -> Option<Rows> {
    Some(match name {
        "pg_trigger" => {
            let rows = catalog.triggers.iter().map(|t| {
                let enabled = text(if t.enabled { "O" } else { "D" });
                vec![text(&t.name), number(t.table), truth(false), enabled]
            });
            let columns = vec![
                ("tgname", Type::Name),
                ("tgrelid", oid()),
                ("tgisinternal", Type::Bool),
                ("tgenabled", Type::Text),
            ];
            Rows { columns, rows: rows.collect() }
        }
        "pg_policies" => {
            let rows = catalog.policies.iter().filter_map(|policy| {
                let table = catalog.tables.get(&policy.table)?;
                let command = text(&policy.command.to_uppercase());
                let permissive = text(if policy.permissive { "PERMISSIVE" } else { "RESTRICTIVE" });
                let mut row = vec![text(&table.schema), text(&table.name), text(&policy.name), command, permissive];
                row.extend([UNTOLD, UNTOLD].map(str::to_owned));
                Some(row)
            });
            let columns = vec![
                ("schemaname", Type::Name),
                ("tablename", Type::Name),
                ("policyname", Type::Name),
                ("cmd", Type::Text),
                ("permissive", Type::Text),
                ("qual", Type::Text),
                ("with_check", Type::Text),
            ];
            Rows { columns, rows: rows.collect() }
        }
        "pg_policy" => {
            let rows = catalog.policies.iter().map(|policy| vec![text(&policy.name), number(policy.table)]);
            Rows { columns: vec![("polname", Type::Name), ("polrelid", oid())], rows: rows.collect() }
        }
        "pg_extension" => {
            // Every database has this one.
            let names = catalog.extensions.iter().map(String::as_str).chain(["plpgsql"]);
            let names: std::collections::BTreeSet<&str> = names.collect();
            let rows = names.into_iter().map(|name| vec![text(name), UNTOLD.to_owned()]);
            Rows { columns: vec![("extname", Type::Name), ("extversion", Type::Text)], rows: rows.collect() }
        }
        "pg_available_extensions" => {
            let rows = pg::tables().extensions().map(|name| vec![text(name)]);
            Rows { columns: vec![("name", Type::Name)], rows: rows.collect() }
        }
        "pg_proc" => functions(catalog),
        "pg_roles" | "pg_authid" | "pg_user" | "pg_shadow" => {
            let column = if matches!(name, "pg_roles" | "pg_authid") { "rolname" } else { "usename" };
            let all = ROLES.iter().copied().chain(catalog.roles.iter().map(String::as_str));
            Rows { columns: vec![(column, Type::Name)], rows: all.map(|name| vec![text(name)]).collect() }
        }
        "pg_database" => {
            let names = [DATABASE, "template0", "template1"];
            Rows { columns: vec![("datname", Type::Name)], rows: names.map(|name| vec![text(name)]).to_vec() }
        }
        "pg_publication" => {
            let rows = catalog.publications.iter().map(|(name, p)| vec![text(name), truth(p.of_all)]);
            Rows { columns: vec![("pubname", Type::Name), ("puballtables", Type::Bool)], rows: rows.collect() }
        }
        "pg_publication_tables" => {
            let mut rows = Vec::new();
            for (name, publication) in &catalog.publications {
                let tables = catalog.tables.values().filter(|table| {
                    table.materialized.is_none() && (publication.of_all || publication.tables.contains(&table.oid))
                });
                rows.extend(tables.map(|table| vec![text(name), text(&table.schema), text(&table.name)]));
            }
            Rows { columns: vec![("pubname", Type::Name), ("schemaname", Type::Name), ("tablename", Type::Name)], rows }
        }
        "pg_event_trigger" => {
            let rows = catalog.event_triggers.iter().map(|name| vec![text(name)]);
            Rows { columns: vec![("evtname", Type::Name)], rows: rows.collect() }
        }
        _ => return None,
    })
}

/// A function's number: how `regprocedure` shows it, and behind [`super::BEHIND`] what `pg_get_function_identity_arguments` gives.
fn signature(catalog: &Catalog, function: &Function) -> Option<String> {
    let definition = function.definition.as_deref()?;
    let types: Vec<String> = definition.inputs().map(|parameter| parameter.ty.base_name(catalog)).collect();
    let named = definition.inputs().map(|parameter| match parameter.name.is_empty() {
        true => parameter.ty.base_name(catalog),
        false => format!("{} {}", quoted(&parameter.name), parameter.ty.base_name(catalog)),
    });
    let named: Vec<String> = named.collect();
    let path = match catalog.search_path.contains(&function.schema) {
        true => quoted(&function.name),
        false => format!("{}.{}", quoted(&function.schema), quoted(&function.name)),
    };
    Some(format!("{path}({}){}{}", types.join(","), super::BEHIND, named.join(", ")))
}

/// Functions of the database's own, those of its extensions, and the server's.
fn functions(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    for function in &catalog.functions {
        let definition = function.definition.as_deref();
        let kind = match definition {
            _ if function.language == "aggregate" => "a",
            Some(definition) if definition.is_procedure => "p",
            _ => "f",
        };
        let inputs = definition.map_or_else(|| UNTOLD.to_owned(), |d| text(&d.inputs().count().to_string()));
        let body = definition.and_then(|definition| definition.body.clone());
        let is_trigger = definition.is_some_and(|definition| definition.gives == Gives::Trigger);
        let result = if is_trigger { text("type trigger") } else { UNTOLD.to_owned() };
        rows.push(vec![
            super::told(signature(catalog, function)),
            text(&function.name),
            schema_number(&function.schema),
            text(kind),
            inputs,
            super::told(body),
            result,
        ]);
    }
    let untold = || UNTOLD.to_owned();
    for extension in &catalog.extensions {
        let schema = catalog.extension_schemas.get(extension).map_or("public", String::as_str);
        for name in pg::tables().functions_of_extension(extension) {
            rows.push(vec![untold(), text(name), schema_number(schema), untold(), untold(), untold(), untold()]);
        }
    }
    for name in pg::tables().function_names() {
        for function in pg::tables().functions(name) {
            let kind = match function.kind {
                Kind::Function => "f",
                Kind::Procedure => "p",
                Kind::Window => "w",
                Kind::Aggregate | Kind::OrderedSet => "a",
            };
            let inputs = text(&function.arguments.len().to_string());
            let schema = schema_number("pg_catalog");
            rows.push(vec![untold(), text(name), schema, text(kind), inputs, untold(), untold()]);
        }
    }
    let columns = vec![
        ("oid", oid()),
        ("proname", Type::Name),
        ("pronamespace", oid()),
        ("prokind", Type::Text),
        ("pronargs", Type::Int2),
        ("prosrc", Type::Text),
        ("prorettype", oid()),
    ];
    Rows { columns, rows }
}
