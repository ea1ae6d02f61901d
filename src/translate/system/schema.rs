//! Views of `information_schema`.

use super::{DATABASE, Rows, maybe, shown, text, told, yes};
use crate::catalog::expression::columns as columns_of_expression;
use crate::catalog::{Catalog, Constraint, ConstraintKind, Identity, Table, Timing, Type};

pub(super) fn relation(catalog: &Catalog, name: &str) -> Option<Rows> {
    Some(match name {
        "tables" => {
            let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
            let row = |schema: &str, name: &str, kind: &str| {
                let temporary = schema == crate::catalog::lookup::TEMPORARY_SCHEMA;
                let kind = if temporary { "LOCAL TEMPORARY" } else { kind };
                vec![text(schema), text(name), text(kind), text(DATABASE)]
            };
            let tables = tables.map(|t| row(&t.schema, &t.name, "BASE TABLE"));
            let views = catalog.views.values().map(|v| row(&v.schema, &v.name, "VIEW"));
            let columns = vec![
                ("table_schema", Type::Name),
                ("table_name", Type::Name),
                ("table_type", Type::Varchar(None)),
                ("table_catalog", Type::Name),
            ];
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
                        text(DATABASE),
                        text(DATABASE),
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
                ("constraint_catalog", Type::Name),
                ("table_catalog", Type::Name),
            ];
            Rows { columns, rows }
        }
        "constraint_column_usage" => constraint_columns(catalog),
        _ => return None,
    })
}

pub(super) fn constraints(catalog: &Catalog) -> impl Iterator<Item = (&Constraint, &Table)> {
    catalog.constraints.values().filter_map(|c| Some((c, catalog.tables.get(&c.table)?)))
}

fn columns(catalog: &Catalog) -> Rows {
    let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
    let own = tables.flat_map(|table| {
        table.columns.iter().enumerate().map(|(index, column)| {
            let default = match (&column.generated, &column.default) {
                (None, Some(default)) => told(shown::default(default, &column.ty, catalog)),
                _ => "NULL".to_owned(),
            };
            let identity = column.identity.map(|identity| match identity {
                Identity::Always => "ALWAYS".to_owned(),
                Identity::ByDefault => "BY DEFAULT".to_owned(),
            });
            let mut row = described(&table.schema, &table.name, &column.name, index, &column.ty, catalog);
            row.extend([
                yes(!column.not_null),
                default,
                yes(column.identity.is_some()),
                maybe(identity),
                text(if column.generated.is_some() { "ALWAYS" } else { "NEVER" }),
            ]);
            row
        })
    });
    let of_views = catalog.views.values().flat_map(|view| {
        view.columns.iter().zip(&view.types).enumerate().map(|(index, (name, ty))| {
            let mut row = described(&view.schema, &view.name, name, index, ty, catalog);
            row.extend([yes(true), "NULL".to_owned(), yes(false), "NULL".to_owned(), text("NEVER")]);
            row
        })
    });
    let columns = vec![
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("column_name", Type::Name),
        ("ordinal_position", Type::Int4),
        ("data_type", Type::Varchar(None)),
        ("udt_name", Type::Name),
        ("udt_schema", Type::Name),
        ("character_maximum_length", Type::Int4),
        ("numeric_precision", Type::Int4),
        ("numeric_scale", Type::Int4),
        ("datetime_precision", Type::Int4),
        ("table_catalog", Type::Name),
        ("is_nullable", Type::Varchar(None)),
        ("column_default", Type::Varchar(None)),
        ("is_identity", Type::Varchar(None)),
        ("identity_generation", Type::Varchar(None)),
        ("is_generated", Type::Varchar(None)),
    ];
    Rows { columns, rows: own.chain(of_views).collect() }
}

/// What a column's place, name and type say.
fn described(schema: &str, table: &str, name: &str, index: usize, ty: &Type, catalog: &Catalog) -> Vec<String> {
    let number = |number: Option<i64>| number.map_or_else(|| "NULL".to_owned(), |number| number.to_string());
    let length = match ty {
        Type::Varchar(Some(length)) | Type::Char(length) => Some(i64::from(*length)),
        _ => None,
    };
    let (precision, scale) = match ty {
        Type::Int2 => (Some(16), Some(0)),
        Type::Int4 => (Some(32), Some(0)),
        Type::Int8 => (Some(64), Some(0)),
        Type::Float4 => (Some(24), None),
        Type::Float8 => (Some(53), None),
        Type::Numeric(Some((precision, scale))) => (Some(i64::from(*precision)), Some(i64::from(*scale))),
        _ => (None, None),
    };
    let time = match ty {
        Type::Date => Some(0),
        Type::Time(precision) | Type::Timestamp(precision) | Type::Timestamptz(precision) => {
            Some(precision.map_or(6, i64::from))
        }
        Type::Interval => Some(6),
        _ => None,
    };
    let of_type = match ty {
        Type::Composite(oid) => catalog.composites.get(oid).map_or("pg_catalog", |c| c.schema.as_str()),
        Type::Enum(oid) => catalog.enums.get(oid).map_or("pg_catalog", |e| e.schema.as_str()),
        Type::Array(element) => match element.as_ref() {
            Type::Composite(oid) => catalog.composites.get(oid).map_or("pg_catalog", |c| c.schema.as_str()),
            Type::Enum(oid) => catalog.enums.get(oid).map_or("pg_catalog", |e| e.schema.as_str()),
            _ => "pg_catalog",
        },
        _ => "pg_catalog",
    };
    vec![
        text(schema),
        text(table),
        text(name),
        (index + 1).to_string(),
        text(&data_type(ty, catalog)),
        text(&own_name(ty, catalog)),
        text(of_type),
        number(length),
        number(precision),
        number(scale),
        number(time),
        text(DATABASE),
    ]
}

fn table_constraints(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    let mut add = |table: &Table, name: &str, kind: &str, timing: Timing| {
        rows.push(vec![
            text(&table.schema),
            text(name),
            text(&table.schema),
            text(&table.name),
            text(kind),
            text(DATABASE),
            text(DATABASE),
            yes(timing != Timing::Immediate),
            yes(timing == Timing::Deferred),
        ]);
    };
    for (constraint, table) in constraints(catalog) {
        let kind = match &constraint.kind {
            ConstraintKind::PrimaryKey(_) => "PRIMARY KEY",
            ConstraintKind::Unique(_) => "UNIQUE",
            ConstraintKind::ForeignKey(_) | ConstraintKind::AbsentForeignKey(_) => "FOREIGN KEY",
            ConstraintKind::Check(_) => "CHECK",
            ConstraintKind::Exclusion(_) => continue,
        };
        add(table, &constraint.name, kind, constraint.timing);
    }
    // NOT NULL is a check here, under a name made of the server's own numbers.
    for table in catalog.tables.values().filter(|table| table.materialized.is_none()) {
        for column in table.columns.iter().filter(|column| column.not_null) {
            add(table, &format!("0_{}_{}_not_null", table.oid, column.attnum), "CHECK", Timing::Immediate);
        }
    }
    let columns = vec![
        ("constraint_schema", Type::Name),
        ("constraint_name", Type::Name),
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("constraint_type", Type::Varchar(None)),
        ("constraint_catalog", Type::Name),
        ("table_catalog", Type::Name),
        ("is_deferrable", Type::Varchar(None)),
        ("initially_deferred", Type::Varchar(None)),
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
            rows.push(vec![
                text(&of.schema),
                text(&of.name),
                text(&name),
                text(&table.schema),
                text(&constraint.name),
                text(DATABASE),
                text(DATABASE),
            ]);
        }
    }
    let columns = vec![
        ("table_schema", Type::Name),
        ("table_name", Type::Name),
        ("column_name", Type::Name),
        ("constraint_schema", Type::Name),
        ("constraint_name", Type::Name),
        ("constraint_catalog", Type::Name),
        ("table_catalog", Type::Name),
    ];
    Rows { columns, rows }
}

pub(super) fn data_type(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(_) | Type::Composite(_) => "USER-DEFINED".to_owned(),
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
        Type::Composite(oid) => catalog.composites.get(oid).map_or_else(String::new, |c| c.name.clone()),
        Type::Array(element) => format!("_{}", own_name(element, catalog)),
        other => {
            let shown = other.base_name(catalog);
            let known = crate::catalog::pg::tables().type_names().find(|(_, own, _)| *own == shown);
            known.map_or(shown.clone(), |(name, _, _)| name.to_owned())
        }
    }
}
