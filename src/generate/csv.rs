//! The log's rows as CSV, byte for byte what PostgreSQL's `COPY llama_logs TO … (FORMAT csv, HEADER)` writes.
//!
//! Input: [`Row`]s, or CSV text. Output: CSV, or fields. Invariant: NULL is an unquoted nothing, the empty string is `""`: the two
//! never meet. Left out: other tables, and other dialects of CSV.

use std::fmt::Write;

use anyhow::{Result, bail};
use chrono::DateTime;

use super::shape::{self, Row, Strings};

/// The rows under a header line.
pub fn write(rows: &[Row]) -> String {
    let names: Vec<String> = shape::columns().into_iter().map(|column| column.name).collect();
    let mut out = names.join(",") + "\n";
    for row in rows {
        write_row(&mut out, row);
    }
    out
}

fn write_row(out: &mut String, row: &Row) {
    let _ = write!(out, "{},", row.id);
    plain(out, row.entity_type.map(|e| e.label()));
    plain(out, row.entity_id);
    text(out, Some(&row.operation));
    text(out, row.sources.map(array).as_deref());
    plain(out, Some(row.status.label()));
    text(out, row.fields_enriched.map(array).as_deref());
    plain(out, row.data_quality_before.map(|q| q.label()));
    plain(out, row.data_quality_after.map(|q| q.label()));
    text(out, row.error_message.as_deref());
    text(out, row.error_code.as_deref());
    plain(out, Some(row.retry_count));
    plain(out, row.duration_ms);
    plain(out, Some(row.api_call_count));
    text(out, row.metadata.as_deref());
    text(out, row.triggered_by.as_deref());
    plain(out, row.artist_id);
    plain(out, row.album_id);
    plain(out, row.track_id);
    text(out, row.job_id.as_deref());
    plain(out, Some(timestamp(row.created_at_us)));
    text(out, row.user_id.as_deref());
    text(out, row.reason.as_deref());
    text(out, row.preview_data.as_deref());
    text(out, row.parent_job_id.as_deref());
    out.push_str(if row.is_root_job { "t\n" } else { "f\n" });
}

/// A field that never needs quotes.
fn plain(out: &mut String, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        let _ = write!(out, "{value}");
    }
    out.push(',');
}

fn text(out: &mut String, value: Option<&str>) {
    if let Some(value) = value {
        if value.is_empty() || value.contains([',', '"', '\n', '\r']) {
            let _ = write!(out, "\"{}\"", value.replace('"', "\"\""));
        } else {
            out.push_str(value);
        }
    }
    out.push(',');
}

/// `{a,"b c",NULL}` as PostgreSQL's `array_out` writes it.
fn array(elements: Strings) -> String {
    let shown: Vec<String> = elements
        .iter()
        .map(|element| match element {
            None => "NULL".to_owned(),
            Some(text) => {
                let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
                if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special) {
                    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
                } else {
                    (*text).to_owned()
                }
            }
        })
        .collect();
    format!("{{{}}}", shown.join(","))
}

/// `2026-02-09 19:41:07.12`: trailing zeros of the fraction are left out, as the server does.
pub fn timestamp(us: i64) -> String {
    let time = DateTime::from_timestamp_micros(us).unwrap_or_default();
    let mut shown = time.format("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = us.rem_euclid(1_000_000);
    if fraction != 0 {
        shown.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    shown
}

/// Reads CSV text: one vector of fields a line, the header included, `None` for NULL.
///
/// # Errors
/// A quote that doesn't end, or text behind a closing quote; the line is named.
pub fn read(source: &str) -> Result<Vec<Vec<Option<String>>>> {
    let mut records = Vec::new();
    let mut fields = Vec::new();
    let mut chars = source.chars().peekable();
    let mut line = 1;
    while chars.peek().is_some() {
        let mut field = None;
        if chars.next_if_eq(&'"').is_some() {
            let mut value = String::new();
            loop {
                match chars.next() {
                    Some('"') if chars.next_if_eq(&'"').is_some() => value.push('"'),
                    Some('"') => break,
                    Some(c) => value.push(c),
                    None => bail!("line {line}: a quote isn't closed"),
                }
            }
            field = Some(value);
        } else {
            while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\n')) {
                field.get_or_insert_with(String::new).push(c);
            }
        }
        fields.push(field);
        match chars.next() {
            Some(',') if chars.peek().is_none_or(|c| *c == '\n') => {
                // A comma at the end of a line opens one more field, a NULL.
                fields.push(None);
                chars.next();
                records.push(std::mem::take(&mut fields));
            }
            Some(',') => continue,
            Some('\n') | None => records.push(std::mem::take(&mut fields)),
            Some(c) => bail!("line {line}: {c:?} behind a closing quote"),
        }
        line += 1;
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_apart() {
        let records = read("a,b,c\n,\"\",x y \n\"q\"\"\",é,\n").expect("csv");
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(records[1], vec![None, text(""), text("x y ")]);
        assert_eq!(records[2], vec![text("q\""), text("é"), None]);
        assert!(read("a,\"b").expect_err("open quote").to_string().contains("line 1"));
        assert!(read("a\n\"b\"c\n").expect_err("text behind").to_string().contains("line 2"));
    }

    #[test]
    fn arrays_and_times_read_as_the_server_writes_them() {
        assert_eq!(array(&[Some("A"), None, Some("NULL"), Some(""), Some("b c")]), r#"{A,NULL,"NULL","","b c"}"#);
        assert_eq!(array(&[]), "{}");
        assert_eq!(timestamp(1_770_666_067_120_000), "2026-02-09 19:41:07.12");
        assert_eq!(timestamp(1_770_666_067_000_000), "2026-02-09 19:41:07");
    }
}
