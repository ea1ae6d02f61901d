//! An answer as a table for people.
//!
//! Widths come from the first rows: all that a terminal shows, or the first 10,000 of a file, after which a longer value pushes
//! its neighbours aside. So a million rows pass through without being held.

use std::io::Write;

use anyhow::Result;
use arrow::array::StructArray;
use console::Style;

use super::Layout;
use super::grid::{Cell, Grid, Heading, printable};
use crate::render::count;
use crate::sql::session::{Answer, Column};
use crate::sql::value::{self, Kind};

const SAMPLE: usize = 10_000;

/// Writes the title (where there is one), the table, and how many rows there are.
///
/// # Errors
/// When the engine or the writer fails.
pub fn write(out: &mut dyn Write, answer: &Answer<'_>, layout: Layout, title: Option<&str>) -> Result<u64> {
    if let Some(title) = title {
        let style = Style::new().bold().force_styling(layout.color);
        writeln!(out, "{}", style.apply_to(title))?;
    }
    let held = layout.max_rows.unwrap_or(SAMPLE);
    let mut sample: Vec<Vec<Cell>> = Vec::new();
    let mut grid: Option<Grid> = None;
    let rows = answer.for_each_row(|batch, row| {
        let cells = || cells(&answer.columns, batch, row);
        match &mut grid {
            Some(grid) => grid.row(out, &cells())?,
            None if sample.len() < held => sample.push(cells()),
            // More than a terminal shows: counted, not written.
            None if layout.max_rows.is_some() => {}
            None => grid.insert(begin(out, &answer.columns, &sample, layout)?).row(out, &cells())?,
        }
        Ok(())
    })?;
    let cut = match grid {
        Some(grid) => grid.cut,
        None => begin(out, &answer.columns, &sample, layout)?.cut,
    };
    write_footer(out, rows, sample.len() as u64, cut, layout)?;
    Ok(rows)
}

/// Writes the headings and the rows gathered so far.
fn begin(out: &mut dyn Write, columns: &[Column], sample: &[Vec<Cell>], layout: Layout) -> Result<Grid> {
    let mut grid = Grid::new(headings(columns, sample), sample, layout);
    grid.head(out)?;
    for row in sample {
        grid.row(out, row)?;
    }
    Ok(grid)
}

/// How many rows there are, and what was left out.
pub(super) fn write_footer(out: &mut dyn Write, rows: u64, shown: u64, cut: bool, layout: Layout) -> Result<()> {
    let unit = if rows == 1 { "row" } else { "rows" };
    let mut line = format!("{} {unit}", count(rows));
    if layout.max_rows.is_some() && shown < rows {
        line = format!("… {} more rows; {line} in all: --format csv or --output FILE writes them", count(rows - shown));
    }
    if cut {
        line += "; … marks what was cut to fit: --format csv or json has it whole";
    }
    let style = Style::new().dim().force_styling(layout.color);
    writeln!(out, "{}", style.apply_to(line))?;
    Ok(())
}

fn headings(columns: &[Column], sample: &[Vec<Cell>]) -> Vec<Heading> {
    let prose = |index: usize| sample.iter().any(|row: &Vec<Cell>| row[index].text.contains(' '));
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| Heading {
            name: printable(column.name.clone()),
            numeric: column.kind.is_number(),
            elastic: match column.kind {
                Kind::Text => prose(index),
                Kind::Json | Kind::Blob | Kind::List(_) | Kind::Struct(_) | Kind::Map(..) | Kind::Union(_) => true,
                _ => false,
            },
        })
        .collect()
}

fn cells(columns: &[Column], batch: &StructArray, row: usize) -> Vec<Cell> {
    columns
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| {
            let mut text = String::new();
            value::write_text(&mut text, array.as_ref(), &column.kind, row);
            Cell { text: printable(text), null: value::is_null(array.as_ref(), row) }
        })
        .collect()
}
