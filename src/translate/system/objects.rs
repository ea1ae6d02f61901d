//! Relations of `pg_catalog`.

use super::{Rows, UNTOLD, number, oid, schema_number, shown, text, told, truth};
use crate::catalog::{Action, AttNum, Catalog, ConstraintKind, Identity, IndexTarget, Oid, Timing, Type};

/// Columns that every table has beside its own.
const SYSTEM_COLUMNS: &[(&str, i32)] =
    &[("ctid", -1), ("xmin", -2), ("cmin", -3), ("xmax", -4), ("cmax", -5), ("tableoid", -6)];

pub(super) fn relation(catalog: &Catalog, name: &str) -> Option<Rows> {
    Some(match name {
        "pg_tables" => {
            let tables = catalog.tables.values().filter(|t| t.materialized.is_none());
            let rows = tables.map(|t| {
                let indexed = catalog.indexes_of(t.oid).next().is_some();
                let secured = truth(catalog.secured.contains(&t.oid));
                vec![text(&t.schema), text(&t.name), truth(indexed), secured]
            });
            let columns = vec![
                ("schemaname", Type::Name),
                ("tablename", Type::Name),
                ("hasindexes", Type::Bool),
                ("rowsecurity", Type::Bool),
            ];
            Rows { columns, rows: rows.collect() }
        }
        "pg_views" => {
            let rows = catalog.views.values().map(|v| vec![text(&v.schema), text(&v.name)]);
            Rows { columns: vec![("schemaname", Type::Name), ("viewname", Type::Name)], rows: rows.collect() }
        }
        "pg_matviews" => {
            let views = catalog.tables.values().filter(|t| t.materialized.is_some());
            let rows = views.map(|t| vec![text(&t.schema), text(&t.name)]);
            Rows { columns: vec![("schemaname", Type::Name), ("matviewname", Type::Name)], rows: rows.collect() }
        }
        "pg_sequences" => {
            let rows = catalog.sequences.values().map(|s| vec![text(&s.schema), text(&s.name)]);
            Rows { columns: vec![("schemaname", Type::Name), ("sequencename", Type::Name)], rows: rows.collect() }
        }
        "pg_indexes" => {
            let rows = catalog.indexes.values().map(|index| {
                let table = catalog.tables.get(&index.table).map_or("", |t| t.name.as_str());
                vec![text(&index.schema), text(table), text(&index.name), told(shown::index(catalog, index))]
            });
            let columns = vec![
                ("schemaname", Type::Name),
                ("tablename", Type::Name),
                ("indexname", Type::Name),
                ("indexdef", Type::Text),
            ];
            Rows { columns, rows: rows.collect() }
        }
        "pg_namespace" => {
            let system = ["pg_catalog", "information_schema", "pg_toast"];
            let schemas = catalog.schemas.iter().map(String::as_str).chain(system);
            let rows = schemas.map(|name| vec![schema_number(name), text(name)]);
            Rows { columns: vec![("oid", oid()), ("nspname", Type::Name)], rows: rows.collect() }
        }
        "pg_class" => classes(catalog),
        "pg_index" => {
            let rows = catalog.indexes.values().map(|index| {
                let primary = index.constraint.and_then(|c| catalog.constraints.get(&c));
                let primary = primary.is_some_and(|c| matches!(c.kind, ConstraintKind::PrimaryKey(_)));
                let keys: Vec<AttNum> = index
                    .keys
                    .iter()
                    .map(|key| match &key.target {
                        IndexTarget::Column(attnum) => *attnum,
                        IndexTarget::Expression(_) => 0,
                    })
                    .chain(index.include.iter().copied())
                    .collect();
                vec![
                    number(index.oid),
                    number(index.table),
                    truth(index.unique),
                    truth(primary),
                    truth(true),
                    numbers(&keys),
                    keys.len().to_string(),
                    index.keys.len().to_string(),
                    if index.predicate.is_some() { UNTOLD.to_owned() } else { "NULL".to_owned() },
                ]
            });
            let columns = vec![
                ("indexrelid", oid()),
                ("indrelid", oid()),
                ("indisunique", Type::Bool),
                ("indisprimary", Type::Bool),
                ("indisvalid", Type::Bool),
                ("indkey", small_numbers()),
                ("indnatts", Type::Int2),
                ("indnkeyatts", Type::Int2),
                ("indpred", Type::Text),
            ];
            Rows { columns, rows: rows.collect() }
        }
        "pg_constraint" => constraints(catalog),
        "pg_attribute" => attributes(catalog),
        "pg_type" => types(catalog),
        "pg_enum" => {
            let rows = catalog.enums.values().flat_map(|e| {
                e.labels.iter().enumerate().map(|(at, label)| vec![number(e.oid), text(label), (at + 1).to_string()])
            });
            let columns = vec![("enumtypid", oid()), ("enumlabel", Type::Name), ("enumsortorder", Type::Float4)];
            Rows { columns, rows: rows.collect() }
        }
        _ => return None,
    })
}

/// An array of column numbers.
fn numbers(columns: &[AttNum]) -> String {
    let list: Vec<String> = columns.iter().map(ToString::to_string).collect();
    format!("CAST([{}] AS SMALLINT[])", list.join(", "))
}

fn small_numbers() -> Type {
    Type::Array(Box::new(Type::Int2))
}

fn action(action: Action) -> &'static str {
    match action {
        Action::NoAction => "a",
        Action::Restrict => "r",
        Action::Cascade => "c",
        Action::SetNull => "n",
        Action::SetDefault => "d",
    }
}

/// The number of a column's type.
fn type_of(ty: &Type, catalog: &Catalog) -> String {
    match ty {
        Type::Enum(oid) | Type::Composite(oid) => number(*oid),
        Type::Array(element) => match element.as_ref() {
            Type::Enum(oid) | Type::Composite(oid) => text(&format!("array of {oid}")),
            _ => text(&format!("type {}", ty.base_name(catalog))),
        },
        other => text(&format!("type {}", other.base_name(catalog))),
    }
}

fn classes(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    let mut add = |oid: u32, name: &str, schema: &str, kind: &str| {
        let secured = truth(catalog.secured.contains(&oid));
        let part = truth(catalog.partitions.contains_key(&oid));
        rows.push(vec![number(oid), text(name), schema_number(schema), text(kind), secured, part]);
    };
    for table in catalog.tables.values() {
        add(
            table.oid,
            &table.name,
            &table.schema,
            match () {
                () if table.materialized.is_some() => "m",
                () if catalog.partitioned.contains_key(&table.oid) => "p",
                () => "r",
            },
        );
    }
    for composite in catalog.composites.values() {
        add(composite.oid, &composite.name, &composite.schema, "c");
    }
    for view in catalog.views.values() {
        add(view.oid, &view.name, &view.schema, "v");
    }
    for index in catalog.indexes.values() {
        add(index.oid, &index.name, &index.schema, "i");
    }
    for sequence in catalog.sequences.values() {
        add(sequence.oid, &sequence.name, &sequence.schema, "S");
    }
    let columns = vec![
        ("oid", oid()),
        ("relname", Type::Name),
        ("relnamespace", oid()),
        ("relkind", Type::Text),
        ("relrowsecurity", Type::Bool),
        ("relispartition", Type::Bool),
    ];
    Rows { columns, rows }
}

fn constraints(catalog: &Catalog) -> Rows {
    let none = text("0");
    let rows = catalog.constraints.values().map(|constraint| {
        let schema = catalog.tables.get(&constraint.table).map_or("public", |table| table.schema.as_str());
        let (kind, index, parent) = match &constraint.kind {
            ConstraintKind::PrimaryKey(index) => ("p", number(*index), none.clone()),
            ConstraintKind::Unique(index) => ("u", number(*index), none.clone()),
            ConstraintKind::ForeignKey(key) => ("f", none.clone(), number(key.parent)),
            ConstraintKind::AbsentForeignKey(key) => ("f", none.clone(), text(&key.parent)),
            ConstraintKind::Check(_) => ("c", none.clone(), none.clone()),
            ConstraintKind::Exclusion(_) => ("x", none.clone(), none.clone()),
        };
        let key = match &constraint.kind {
            ConstraintKind::ForeignKey(key) => Some(key),
            _ => None,
        };
        let own = match &constraint.kind {
            ConstraintKind::PrimaryKey(index) | ConstraintKind::Unique(index) => {
                catalog.indexes.get(index).and_then(|index| index.key_columns())
            }
            ConstraintKind::ForeignKey(key) => Some(key.columns.clone()),
            ConstraintKind::AbsentForeignKey(key) => Some(key.columns.clone()),
            ConstraintKind::Check(check) => catalog.tables.get(&constraint.table).map(|table| {
                let named = crate::catalog::expression::columns(&check.node);
                let found = |name: &String| table.columns.iter().find(|c| c.name == *name).map(|c| c.attnum);
                named.iter().filter_map(found).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
            }),
            ConstraintKind::Exclusion(_) => None,
        };
        vec![
            number(constraint.oid),
            text(&constraint.name),
            schema_number(schema),
            text(kind),
            number(constraint.table),
            parent,
            index,
            truth(constraint.validated),
            own.map_or_else(|| "NULL".to_owned(), |columns| numbers(&columns)),
            key.map_or_else(|| "NULL".to_owned(), |key| numbers(&key.parent_columns)),
            text(key.map_or(" ", |key| action(key.on_delete))),
            text(key.map_or(" ", |key| action(key.on_update))),
            truth(constraint.timing != Timing::Immediate),
            truth(constraint.timing == Timing::Deferred),
        ]
    });
    let columns = vec![
        ("oid", oid()),
        ("conname", Type::Name),
        ("connamespace", oid()),
        ("contype", Type::Text),
        ("conrelid", oid()),
        ("confrelid", oid()),
        ("conindid", oid()),
        ("convalidated", Type::Bool),
        ("conkey", small_numbers()),
        ("confkey", small_numbers()),
        ("confdeltype", Type::Text),
        ("confupdtype", Type::Text),
        ("condeferrable", Type::Bool),
        ("condeferred", Type::Bool),
    ];
    Rows { columns, rows: rows.collect() }
}

/// Columns of a view or attributes of a type, which only have names, numbers and types.
fn plain_attributes<'c>(
    of: Oid,
    named: impl Iterator<Item = (&'c String, Option<&'c Type>)>,
    catalog: &Catalog,
) -> Vec<Vec<String>> {
    let row = |(at, (name, ty)): (usize, (&String, Option<&Type>))| {
        vec![
            number(of),
            text(name),
            (at + 1).to_string(),
            truth(false),
            truth(false),
            truth(false),
            ty.map_or_else(|| UNTOLD.to_owned(), |ty| type_of(ty, catalog)),
            text(""),
            text(""),
        ]
    };
    named.enumerate().map(row).collect()
}

fn attributes(catalog: &Catalog) -> Rows {
    let of_tables = catalog.tables.values().flat_map(|table| {
        let own = table.columns.iter().map(|column| {
            let has_default = column.default.is_some() || column.generated.is_some();
            vec![
                number(table.oid),
                text(&column.name),
                column.attnum.to_string(),
                truth(column.not_null),
                truth(false),
                truth(has_default),
                type_of(&column.ty, catalog),
                text(column.identity.map_or("", |identity| if identity == Identity::Always { "a" } else { "d" })),
                text(if column.generated.is_some() { "s" } else { "" }),
            ]
        });
        let system = SYSTEM_COLUMNS.iter().map(|(name, at)| {
            vec![
                number(table.oid),
                text(name),
                at.to_string(),
                truth(true),
                truth(false),
                truth(false),
                UNTOLD.to_owned(),
                text(""),
                text(""),
            ]
        });
        own.chain(system)
    });
    let of_views = catalog.views.values().flat_map(|view| {
        plain_attributes(
            view.oid,
            view.columns.iter().enumerate().map(|(at, name)| (name, view.types.get(at))),
            catalog,
        )
    });
    let of_composites = catalog.composites.values().flat_map(|composite| {
        plain_attributes(composite.oid, composite.attributes.iter().map(|(name, ty)| (name, Some(ty))), catalog)
    });
    let rows = of_tables.chain(of_views).chain(of_composites);
    let columns = vec![
        ("attrelid", oid()),
        ("attname", Type::Name),
        ("attnum", Type::Int2),
        ("attnotnull", Type::Bool),
        ("attisdropped", Type::Bool),
        ("atthasdef", Type::Bool),
        ("atttypid", oid()),
        ("attidentity", Type::Text),
        ("attgenerated", Type::Text),
    ];
    Rows { columns, rows: rows.collect() }
}

fn types(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    let none = text("0");
    let mut add = |id: String, name: &str, schema: &str, kind: &str, relation: &str| {
        rows.push(vec![id, text(name), schema_number(schema), text(kind), relation.to_owned()]);
    };
    for ty in catalog.enums.values() {
        add(number(ty.oid), &ty.name, &ty.schema, "e", &none);
        add(text(&format!("array of {}", ty.oid)), &format!("_{}", ty.name), &ty.schema, "b", &none);
    }
    let relations = catalog.tables.values().map(|t| (t.oid, &t.name, &t.schema));
    for (oid, name, schema) in relations.chain(catalog.views.values().map(|v| (v.oid, &v.name, &v.schema))) {
        add(text(&format!("row of {oid}")), name, schema, "c", &number(oid));
        add(text(&format!("rows of {oid}")), &format!("_{name}"), schema, "b", &none);
    }
    for ty in catalog.composites.values() {
        add(number(ty.oid), &ty.name, &ty.schema, "c", &number(ty.oid));
        add(text(&format!("array of {}", ty.oid)), &format!("_{}", ty.name), &ty.schema, "b", &none);
    }
    for (name, shown, kind) in crate::catalog::pg::tables().type_names() {
        add(text(&format!("type {shown}")), name, "pg_catalog", kind, &none);
    }
    let columns = vec![
        ("oid", oid()),
        ("typname", Type::Name),
        ("typnamespace", oid()),
        ("typtype", Type::Text),
        ("typrelid", oid()),
    ];
    Rows { columns, rows }
}
