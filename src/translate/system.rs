//! System views that checks of a migration ask: answered from the catalog.

use super::Output;
use crate::catalog::{Catalog, Type};
use crate::query::quote_literal;

/// The SQL of a system view and its columns, where it is one of those known here.
pub(super) fn relation(catalog: &Catalog, schema: Option<&str>, name: &str) -> Option<(String, Vec<Output>)> {
    match (schema, name) {
        (None | Some("pg_catalog"), "pg_tables") => {
            let rows = catalog
                .tables
                .values()
                .filter(|t| t.materialized.is_none())
                .map(|t| vec![text(&t.schema), text(&t.name)]);
            Some(view(&[("schemaname", Type::Name), ("tablename", Type::Name)], rows))
        }
        (None | Some("pg_catalog"), "pg_views") => {
            let rows = catalog.views.values().map(|v| vec![text(&v.schema), text(&v.name)]);
            Some(view(&[("schemaname", Type::Name), ("viewname", Type::Name)], rows))
        }
        (None | Some("pg_catalog"), "pg_indexes") => {
            let rows = catalog.indexes.values().map(|index| {
                let table = catalog.tables.get(&index.table).map_or("", |t| t.name.as_str());
                vec![text(&index.schema), text(table), text(&index.name)]
            });
            Some(view(&[("schemaname", Type::Name), ("tablename", Type::Name), ("indexname", Type::Name)], rows))
        }
        (Some("information_schema"), "tables") => {
            let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
            let tables = tables.map(|t| vec![text(&t.schema), text(&t.name), text("BASE TABLE")]);
            let views = catalog.views.values().map(|v| vec![text(&v.schema), text(&v.name), text("VIEW")]);
            let columns =
                [("table_schema", Type::Name), ("table_name", Type::Name), ("table_type", Type::Varchar(None))];
            Some(view(&columns, tables.chain(views)))
        }
        (Some("information_schema"), "columns") => {
            let rows = catalog.tables.values().filter(|t| t.materialized.is_none()).flat_map(|table| {
                table.columns.iter().enumerate().map(|(index, column)| {
                    vec![
                        text(&table.schema),
                        text(&table.name),
                        text(&column.name),
                        (index + 1).to_string(),
                        text(if column.not_null { "NO" } else { "YES" }),
                        text(&data_type(&column.ty, catalog)),
                    ]
                })
            });
            let columns = [
                ("table_schema", Type::Name),
                ("table_name", Type::Name),
                ("column_name", Type::Name),
                ("ordinal_position", Type::Int4),
                ("is_nullable", Type::Varchar(None)),
                ("data_type", Type::Varchar(None)),
            ];
            Some(view(&columns, rows))
        }
        _ => None,
    }
}

fn data_type(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(_) | Type::Opaque(_) => "USER-DEFINED".to_owned(),
        Type::Array(_) => "ARRAY".to_owned(),
        other => super::typed::base(other).name(catalog),
    }
}

fn text(value: &str) -> String {
    quote_literal(value)
}

fn view(columns: &[(&str, Type)], rows: impl Iterator<Item = Vec<String>>) -> (String, Vec<Output>) {
    let outputs: Vec<Output> = columns
        .iter()
        .enumerate()
        .map(|(n, (name, ty))| Output { name: (*name).to_owned(), ty: ty.clone(), column: format!("o{}", n + 1) })
        .collect();
    let names: Vec<&str> = outputs.iter().map(|o| o.column.as_str()).collect();
    let rows: Vec<String> = rows.map(|row| format!("({})", row.join(", "))).collect();
    let sql = if rows.is_empty() {
        let nulls: Vec<String> = names.iter().map(|n| format!("NULL AS {n}")).collect();
        format!("SELECT {} WHERE false", nulls.join(", "))
    } else {
        format!("SELECT * FROM (VALUES {}) AS v({})", rows.join(", "), names.join(", "))
    };
    (sql, outputs)
}
