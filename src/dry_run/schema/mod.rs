//! The schema that a history ends in: what is there, and which statement made it.
//!
//! Input: the catalog, and notes on who made what. Output: [`SchemaReport`], and what differs from a snapshot's. Invariant: all lists
//! are sorted by name, but columns and labels, which keep the server's order. Left out: rows, rights, functions' bodies.

mod drift;
mod provenance;

pub(super) use drift::{drift, findings};
pub(super) use provenance::Provenance;

use super::report::{
    ColumnReport, DefinitionReport, EnumReport, SchemaReport, SequenceReport, StatementReport, TableSchema,
};
use crate::catalog::definition::{Style, qualified};
use crate::catalog::lookup::TEMPORARY_SCHEMA;
use crate::catalog::{Catalog, Column, Identity, Table};

/// Describes a schema. `statements` say where the makers stand.
pub(super) fn describe(catalog: &Catalog, makers: &Provenance, statements: &[StatementReport]) -> SchemaReport {
    let maker = |oid| makers.maker(oid).and_then(|index| spot(statements, index));
    let mut tables: Vec<TableSchema> = catalog
        .tables
        .values()
        .filter(|table| table.schema != TEMPORARY_SCHEMA)
        .map(|table| TableSchema { made_by: maker(table.oid), ..table_schema(catalog, table) })
        .collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let mut enums: Vec<EnumReport> = catalog
        .enums
        .values()
        .map(|ty| EnumReport { name: qualified(&ty.schema, &ty.name), labels: ty.labels.clone() })
        .collect();
    enums.sort_by(|a, b| a.name.cmp(&b.name));
    let mut views: Vec<DefinitionReport> = catalog
        .views
        .values()
        .map(|view| DefinitionReport {
            name: qualified(&view.schema, &view.name),
            definition: view.query.sql.clone(),
            made_by: maker(view.oid),
        })
        .collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    let mut sequences: Vec<SequenceReport> = catalog
        .sequences
        .values()
        .map(|sequence| SequenceReport {
            name: qualified(&sequence.schema, &sequence.name),
            owner: sequence.owner.and_then(|(table, attnum)| {
                let table = catalog.tables.get(&table)?;
                Some(format!("{}.{}", qualified(&table.schema, &table.name), table.by_attnum(attnum)?.name))
            }),
        })
        .collect();
    sequences.sort_by(|a, b| a.name.cmp(&b.name));
    SchemaReport { tables, enums, views, sequences }
}

/// `migrations/3_b/migration.sql:12`
pub(super) fn spot(statements: &[StatementReport], index: usize) -> Option<String> {
    let at = statements.binary_search_by_key(&index, |statement| statement.index).ok()?;
    Some(format!("{}:{}", statements[at].file, statements[at].line))
}

fn table_schema(catalog: &Catalog, table: &Table) -> TableSchema {
    let mut constraints: Vec<DefinitionReport> = catalog
        .constraints_of(table.oid)
        .map(|constraint| DefinitionReport {
            name: constraint.name.clone(),
            definition: catalog.constraint_definition(constraint, Style::Written),
            made_by: None,
        })
        .collect();
    constraints.sort_by(|a, b| a.name.cmp(&b.name));
    let mut indexes: Vec<DefinitionReport> = catalog
        .indexes_of(table.oid)
        .map(|index| DefinitionReport {
            name: index.name.clone(),
            definition: catalog.index_definition(index, Style::Written),
            made_by: None,
        })
        .collect();
    indexes.sort_by(|a, b| a.name.cmp(&b.name));
    TableSchema {
        name: qualified(&table.schema, &table.name),
        kind: if table.materialized.is_some() { "materialized view" } else { "table" }.to_owned(),
        columns: table.columns.iter().map(|column| column_report(catalog, column)).collect(),
        constraints,
        indexes,
        made_by: None,
    }
}

fn column_report(catalog: &Catalog, column: &Column) -> ColumnReport {
    ColumnReport {
        name: column.name.clone(),
        type_name: column.ty.name(catalog),
        not_null: column.not_null,
        default: column.default.as_ref().map(|expression| expression.sql.clone()),
        generated: column.generated.as_ref().map(|expression| expression.sql.clone()),
        identity: column.identity.map(|identity| match identity {
            Identity::Always => "ALWAYS".to_owned(),
            Identity::ByDefault => "BY DEFAULT".to_owned(),
        }),
    }
}
