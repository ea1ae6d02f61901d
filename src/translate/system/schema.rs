//! Views of `information_schema`.

use super::{Rows, text};
use crate::catalog::expression::columns as columns_of_expression;
use crate::catalog::{Catalog, Constraint, ConstraintKind, Table, Type};

pub(super) fn relation(catalog: &Catalog, name: &str) -> Option<Rows> {
    Some(match name {
        "tables" => {
            let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
            let tables = tables.map(|t| vec![text(&t.schema), text(&t.name), text("BASE TABLE")]);
            let views = catalog.views.values().map(|v| vec![text(&v.schema), text(&v.name), text("VIEW")]);
            let columns =
                vec![("table_schema", Type::Name), ("table_name", Type::Name), ("table_type", Type::Varchar(None))];
            Rows { columns, rows: tables.chain(views).collect() }
        }
        "views" => {
            let rows = catalog.views.values().map(|v| vec![text(&v.schema), text(&v.name)]);
            Rows { columns: vec![("table_schema", Type::Name), ("table_name", Type::Name)], rows: rows.collect() }
        }
        "schemata" => {
            let system = ["pg_catalog", "information_schema", "pg_toast"];
            let schemas = catalog.schemas.iter().map(String::as_str).chain(system);
            Rows { columns: vec![("schema_name", Type::Name)], rows: schemas.map(|name| vec![text(name)]).collect() }
        }
        "sequences" => {
            let rows = catalog.sequences.values().map(|s| vec![text(&s.schema), text(&s.name)]);
            Rows { columns: vec![("sequence_schema", Type::Name), ("sequence_name", Type::Name)], rows: rows.collect() }
        }
        "columns" => columns(catalog),
        "table_constraints" => table_constraints(catalog),
        "key_column_usage" => {
            let mut rows = Vec::new();
            for (constraint, table) in constraints(catalog) {
                let keys = match &constraint.kind {
                    ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index) => {
                        catalog.indexes.get(index).and_then(|index| index.key_columns()).unwrap_or_default()
                    }
                    ConstraintKind::ForeignKey(key) => key.columns.clone(),
                    ConstraintKind::AbsentForeignKey(key) => key.columns.clone(),
                    _ => continue,
                };
                for (at, name) in table.names_of(&keys).iter().enumerate() {
                    rows.push(vec![
                        text(&table.schema),
                        text(&constraint.name),
                        text(&table.schema),
                        text(&table.name),
                        text(name),
                        (at + 1).to_string(),
                    ]);
                }
            }
            let columns = vec![
                ("constraint_schema", Type::Name),
                ("constraint_name", Type::Name),
                ("table_schema", Type::Name),
                ("table_name", Type::Name),
                ("column_name", Type::Name),
                ("ordinal_position", Type::Int4),
            ];
            Rows { columns, rows }
        }
        "constraint_column_usage" => constraint_columns(catalog),
        _ => return None,
    })
}

fn constraints(catalog: &Catalog) -> impl Iterator<Item = (&Constraint, &Table)> {
    catalog.constraints.values().filter_map(|c| Some((c, catalog.tables.get(&c.table)?)))
}

fn columns(catalog: &Catalog) -> Rows {
    let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
    let rows = tables.flat_map(|table| {
        table.columns.iter().enumerate().map(|(index, column)| {
            let length = match &column.ty {
                Type::Varchar(Some(length)) | Type::Char(length) => length.to_string(),
                _ => "NULL".to_owned(),
            };
            vec![
                text(&table.schema),
                text(&table.name),
                text(&column.name),
                (index + 1).to_string(),
                text(if column.not_null { "NO" } else { "YES" }),
                text(&data_type(&column.ty, catalog)),
                text(&own_name(&column.ty, catalog)),
                length,
            ]
        })
    });
    let columns = vec![
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("column_name", Type::Name),
        ("ordinal_position", Type::Int4),
        ("is_nullable", Type::Varchar(None)),
        ("data_type", Type::Varchar(None)),
        ("udt_name", Type::Name),
        ("character_maximum_length", Type::Int4),
    ];
    Rows { columns, rows: rows.collect() }
}

fn table_constraints(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    let mut add = |table: &Table, name: &str, kind: &str| {
        rows.push(vec![text(&table.schema), text(name), text(&table.schema), text(&table.name), text(kind)]);
    };
    for (constraint, table) in constraints(catalog) {
        let kind = match &constraint.kind {
            ConstraintKind::PrimaryKey(_) => "PRIMARY KEY",
            ConstraintKind::Unique(_) => "UNIQUE",
            ConstraintKind::ForeignKey(_) | ConstraintKind::AbsentForeignKey(_) => "FOREIGN KEY",
            ConstraintKind::Check(_) => "CHECK",
            ConstraintKind::Exclusion(_) => continue,
        };
        add(table, &constraint.name, kind);
    }
    // NOT NULL is a check here, under a name made of the server's own numbers.
    for table in catalog.tables.values().filter(|table| table.materialized.is_none()) {
        for column in table.columns.iter().filter(|column| column.not_null) {
            add(table, &format!("0_{}_{}_not_null", table.oid, column.attnum), "CHECK");
        }
    }
    let columns = vec![
        ("constraint_schema", Type::Name),
        ("constraint_name", Type::Name),
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("constraint_type", Type::Varchar(None)),
    ];
    Rows { columns, rows }
}

fn constraint_columns(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    for (constraint, table) in constraints(catalog) {
        let (of, names) = match &constraint.kind {
            ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index) => {
                let keys = catalog.indexes.get(index).and_then(|index| index.key_columns()).unwrap_or_default();
                (table, table.names_of(&keys))
            }
            ConstraintKind::ForeignKey(key) => match catalog.tables.get(&key.parent) {
                Some(parent) => (parent, parent.names_of(&key.parent_columns)),
                None => continue,
            },
            ConstraintKind::Check(expression) => (table, columns_of_expression(&expression.node)),
            _ => continue,
        };
        for name in names {
            rows.push(vec![text(&of.schema), text(&of.name), text(&name), text(&table.schema), text(&constraint.name)]);
        }
    }
    let columns = vec![
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("column_name", Type::Name),
        ("constraint_schema", Type::Name),
        ("constraint_name", Type::Name),
    ];
    Rows { columns, rows }
}

fn data_type(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(_) => "USER-DEFINED".to_owned(),
        Type::Opaque(name) if crate::catalog::types::extension_of(ty).is_some() || name.is_empty() => {
            "USER-DEFINED".to_owned()
        }
        Type::Array(_) => "ARRAY".to_owned(),
        other => other.base_name(catalog),
    }
}

/// The type's own name in `pg_type`.
fn own_name(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(oid) => catalog.enums.get(oid).map_or_else(String::new, |e| e.name.clone()),
        Type::Array(element) => format!("_{}", own_name(element, catalog)),
        other => {
            let shown = other.base_name(catalog);
            let known = crate::catalog::pg::tables().type_names().find(|(_, own, _)| *own == shown);
            known.map_or(shown.clone(), |(name, _, _)| name.to_owned())
        }
    }
}
