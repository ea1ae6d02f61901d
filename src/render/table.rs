//! Character tables: aligned columns under a rule, numbers to the right, no boxes.

use std::io::Write;

use anyhow::Result;
use comfy_table::{Cell as GridCell, CellAlignment, ContentArrangement, LineStyle, Table as Grid, TableStyle};

use super::text::{cell, is_numeric};
use crate::report::Table;

/// Writes a table into `width` columns, wrapping long cells.
///
/// # Errors
/// When the writer fails.
pub fn write(out: &mut dyn Write, table: &Table, width: usize) -> Result<()> {
    let mut grid = Grid::new();
    // Only the rule under the headings and the gaps between columns are drawn.
    grid.load_style(TableStyle::new().header_separator(LineStyle::none().fill('-').junction('-')));
    grid.set_content_arrangement(ContentArrangement::Dynamic);
    grid.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    let aligned = |text: String, column: usize| {
        let alignment = if is_numeric(table, column) { CellAlignment::Right } else { CellAlignment::Left };
        GridCell::new(text).set_alignment(alignment)
    };
    grid.set_header(table.columns.iter().enumerate().map(|(i, c)| aligned(c.clone(), i)));
    for row in &table.rows {
        grid.add_row(row.iter().enumerate().map(|(i, c)| aligned(cell(c), i)));
    }
    for (index, column) in grid.column_iter_mut().enumerate() {
        let left = if index == 0 { 0 } else { 2 };
        column.set_padding((left, 0));
    }
    for line in grid.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
