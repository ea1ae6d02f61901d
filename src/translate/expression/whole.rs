//! Whole rows: a table's name as the value of its row, `SELECT t FROM t`.
//!
//! Input: the name of a source in scope. Output: a composite value of the table's row type. Invariants: where an outer join found no row,
//! the value is NULL, and not a row of NULLs. Left out: rows of views and of queries, whose types have no name here.

use super::Site;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::output_form;
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

impl Reader<'_> {
    /// The row of a source as a value.
    pub(super) fn whole_row(&mut self, name: &str, site: Site<'_>) -> Outcome<Typed> {
        let refused = || Problem::unsupported(format!("the row of {name} as a value"));
        let mut named = site.scope.sources.iter().filter(|source| source.name == name);
        let (Some(source), None) = (named.next().cloned(), named.next()) else { return Err(refused()) };
        let (Some(table), Some(row)) = (source.table, &source.row) else { return Err(refused()) };
        let catalog = self.catalog();
        let described = catalog.tables.get(&table).ok_or_else(refused)?;
        let names = described.columns.iter().map(|column| &column.name);
        // An alias that names the columns anew gives the fields other names.
        if site.grouping.is_some() || !names.eq(source.columns.iter().map(|column| &column.name)) {
            return Err(refused());
        }
        let mut fields = Vec::new();
        for column in &source.columns {
            self.reads(column.origin);
            fields.push(output_form(&column.sql, &column.ty, self.catalog())?);
        }
        self.note_level(Some(0));
        let text = format!("pg_record_text(CAST([{}] AS VARCHAR[]))", fields.join(", "));
        let sql = match site.scope.sources.len() {
            1 => text,
            _ => format!("CASE WHEN {row} IS NOT NULL THEN {text} END"),
        };
        Ok(Typed::new(sql, Type::Composite(table)))
    }
}
