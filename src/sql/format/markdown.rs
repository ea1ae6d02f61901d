//! A Markdown table, for a pull request.

use std::io::Write;

use anyhow::Result;

use crate::sql::session::Answer;
use crate::sql::value;

/// Writes the heading (where there is one), the table and the number of rows.
///
/// # Errors
/// When the engine or the writer fails.
pub fn write(out: &mut dyn Write, answer: &Answer<'_>, title: Option<&str>) -> Result<u64> {
    if let Some(title) = title {
        writeln!(out, "### {}\n", escape(title))?;
    }
    let names: Vec<String> = answer.columns.iter().map(|c| escape(&c.name)).collect();
    writeln!(out, "| {} |", names.join(" | "))?;
    let rules: Vec<&str> = answer.columns.iter().map(|c| if c.kind.is_number() { "---:" } else { "---" }).collect();
    writeln!(out, "| {} |", rules.join(" | "))?;
    let rows = answer.for_each_row(|batch, row| {
        let cells = answer.columns.iter().zip(batch.columns()).map(|(column, array)| {
            let mut text = String::new();
            value::write_text(&mut text, array.as_ref(), &column.kind, row);
            escape(&text)
        });
        writeln!(out, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
        Ok(())
    })?;
    Ok(rows)
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}
