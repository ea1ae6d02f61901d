//! Views of `information_schema` for foreign keys, checks, triggers and functions.

use pg_query::protobuf::CreateTrigStmt;

use super::schema::{constraints, data_type};
use super::{DATABASE, Rows, UNTOLD, text};
use crate::catalog::lookup::quoted;
use crate::catalog::{Action, AttNum, Catalog, ConstraintKind, ForeignKey, Gives, Type, tree};
use crate::query::quote_literal;

/// `tgtype`'s bits for what fires a trigger and when.
const EVENTS: &[(i32, &str)] = &[(4, "INSERT"), (8, "DELETE"), (16, "UPDATE")];
const BEFORE: i32 = 2;
const INSTEAD: i32 = 64;

pub(super) fn relation(catalog: &Catalog, name: &str) -> Option<Rows> {
    Some(match name {
        "referential_constraints" => foreign_keys(catalog),
        "check_constraints" => {
            let checks = constraints(catalog).filter(|(c, _)| matches!(c.kind, ConstraintKind::Check(_)));
            let own = checks.map(|(c, table)| (table.schema.clone(), c.name.clone()));
            let of_nulls = catalog.tables.values().filter(|table| table.materialized.is_none()).flat_map(|table| {
                let columns = table.columns.iter().filter(|column| column.not_null);
                columns.map(|column| (table.schema.clone(), format!("0_{}_{}_not_null", table.oid, column.attnum)))
            });
            let rows = own.chain(of_nulls).map(|(schema, name)| vec![text(&schema), text(&name), UNTOLD.to_owned()]);
            let columns =
                vec![("constraint_schema", Type::Name), ("constraint_name", Type::Name), ("check_clause", Type::Text)];
            Rows { columns, rows: rows.collect() }
        }
        "triggers" => triggers(catalog),
        "routines" => {
            let rows = catalog.functions.iter().filter(|function| function.language != "aggregate").map(|function| {
                let definition = function.definition.as_deref();
                let kind = if definition.is_some_and(|d| d.is_procedure) { "PROCEDURE" } else { "FUNCTION" };
                let data = match definition.map(|definition| &definition.gives) {
                    Some(Gives::Trigger) => text("trigger"),
                    Some(Gives::Record) => text("record"),
                    Some(Gives::Row(_)) if definition.is_some_and(|d| d.outputs().next().is_some()) => text("record"),
                    Some(Gives::Value(Type::Void)) => text("void"),
                    Some(Gives::Value(ty)) => text(&data_type(ty, catalog)),
                    _ => UNTOLD.to_owned(),
                };
                vec![text(&function.schema), text(&function.name), text(kind), data, text(DATABASE)]
            });
            let columns = vec![
                ("routine_schema", Type::Name),
                ("routine_name", Type::Name),
                ("routine_type", Type::Varchar(None)),
                ("data_type", Type::Varchar(None)),
                ("routine_catalog", Type::Name),
            ];
            Rows { columns, rows: rows.collect() }
        }
        _ => return None,
    })
}

fn foreign_keys(catalog: &Catalog) -> Rows {
    let rows = constraints(catalog).filter_map(|(constraint, table)| {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else { return None };
        let (schema, name) = referred(catalog, key).unwrap_or_else(|| (UNTOLD.to_owned(), UNTOLD.to_owned()));
        Some(vec![
            text(DATABASE),
            text(&table.schema),
            text(&constraint.name),
            schema,
            name,
            text("NONE"),
            text(action(key.on_update)),
            text(action(key.on_delete)),
        ])
    });
    let columns = vec![
        ("constraint_catalog", Type::Name),
        ("constraint_schema", Type::Name),
        ("constraint_name", Type::Name),
        ("unique_constraint_schema", Type::Name),
        ("unique_constraint_name", Type::Name),
        ("match_option", Type::Varchar(None)),
        ("update_rule", Type::Varchar(None)),
        ("delete_rule", Type::Varchar(None)),
    ];
    Rows { columns, rows: rows.collect() }
}

/// Schema and name of the only key that a foreign key can refer to.
fn referred(catalog: &Catalog, key: &ForeignKey) -> Option<(String, String)> {
    let sorted = |columns: &[AttNum]| {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns
    };
    let wanted = sorted(&key.parent_columns);
    let mut found = catalog.indexes_of(key.parent).filter(|index| {
        index.unique
            && index.predicate.is_none()
            && index.key_columns().is_some_and(|columns| sorted(&columns) == wanted)
    });
    let (first, None) = (found.next()?, found.next()) else { return None };
    let name = match first.constraint.and_then(|oid| catalog.constraints.get(&oid)) {
        Some(constraint) => text(&constraint.name),
        None => "NULL".to_owned(),
    };
    Some((text(&first.schema), name))
}

fn action(action: Action) -> &'static str {
    match action {
        Action::NoAction => "NO ACTION",
        Action::Restrict => "RESTRICT",
        Action::Cascade => "CASCADE",
        Action::SetNull => "SET NULL",
        Action::SetDefault => "SET DEFAULT",
    }
}

/// A trigger's function with its arguments.
fn called(statement: &CreateTrigStmt) -> String {
    let path: Vec<String> = tree::strings(&statement.funcname).iter().map(|name| quoted(name)).collect();
    let path: Vec<String> = path.into_iter().skip_while(|name| name == "public").collect();
    let arguments: Vec<String> = tree::strings(&statement.args).iter().map(|text| quote_literal(text)).collect();
    format!("{}({})", path.join("."), arguments.join(", "))
}

/// A row for each event of a trigger.
fn triggers(catalog: &Catalog) -> Rows {
    let mut rows = Vec::new();
    for trigger in &catalog.triggers {
        let Some(table) = catalog.tables.get(&trigger.table) else { continue };
        let statement = &trigger.statement;
        let when = match statement.timing {
            timing if timing & BEFORE != 0 => "BEFORE",
            timing if timing & INSTEAD != 0 => "INSTEAD OF",
            _ => "AFTER",
        };
        for (_, event) in EVENTS.iter().filter(|(bit, _)| statement.events & bit != 0) {
            rows.push(vec![
                text(&table.schema),
                text(&trigger.name),
                text(event),
                text(&table.schema),
                text(&table.name),
                text(when),
                text(if statement.row { "ROW" } else { "STATEMENT" }),
                text(&format!("EXECUTE FUNCTION {}", called(statement))),
                text(DATABASE),
            ]);
        }
    }
    let columns = vec![
        ("trigger_schema", Type::Name),
        ("trigger_name", Type::Name),
        ("event_manipulation", Type::Varchar(None)),
        ("event_object_schema", Type::Name),
        ("event_object_table", Type::Name),
        ("action_timing", Type::Varchar(None)),
        ("action_orientation", Type::Varchar(None)),
        ("action_statement", Type::Varchar(None)),
        ("trigger_catalog", Type::Name),
    ];
    Rows { columns, rows }
}
