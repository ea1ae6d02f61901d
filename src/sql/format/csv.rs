//! CSV after RFC 4180, with lines that end in `\n`: NULL is nothing, the empty string is `""`.

use std::io::Write;

use anyhow::Result;

use crate::sql::session::Answer;
use crate::sql::value;

/// Writes the header and the rows; returns how many.
///
/// # Errors
/// When the engine or the writer fails.
pub fn write(out: &mut dyn Write, answer: &Answer<'_>) -> Result<u64> {
    let mut line = String::new();
    for (index, column) in answer.columns.iter().enumerate() {
        separate(&mut line, index);
        push(&mut line, &column.name);
    }
    line.push('\n');
    out.write_all(line.as_bytes())?;
    let mut text = String::new();
    answer.for_each_row(|batch, row| {
        line.clear();
        for (index, (column, array)) in answer.columns.iter().zip(batch.columns()).enumerate() {
            separate(&mut line, index);
            if !value::is_null(array.as_ref(), row) {
                text.clear();
                value::write_text(&mut text, array.as_ref(), &column.kind, row);
                push(&mut line, &text);
            }
        }
        line.push('\n');
        Ok(out.write_all(line.as_bytes())?)
    })
}

fn separate(line: &mut String, index: usize) {
    if index > 0 {
        line.push(',');
    }
}

fn push(line: &mut String, text: &str) {
    if text.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_only_where_needed() {
        for (text, expected) in
            [("a b", "a b"), ("", "\"\""), ("a,b", "\"a,b\""), ("say \"x\"", "\"say \"\"x\"\"\""), ("a\nb", "\"a\nb\"")]
        {
            let mut line = String::new();
            push(&mut line, text);
            assert_eq!(line, expected);
        }
    }
}
