//! Writes JSON as PostgreSQL writes it.
//!
//! Input: a [`Json`] value or a text. Output: jsonb's text form, `jsonb_pretty()`'s, or a quoted string.

use super::value::Json;

/// jsonb's text form: one blank behind `:` and `,`.
pub(super) fn canonical(value: &Json<'_>) -> String {
    let mut out = String::new();
    push(value, &mut out);
    out
}

fn push(value: &Json<'_>, out: &mut String) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Json::Number(text) => out.push_str(text),
        Json::Text(text) => quote(text, out),
        Json::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                push(element, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                quote(key, out);
                out.push_str(": ");
                push(value, out);
            }
            out.push('}');
        }
    }
}

/// `jsonb_pretty()`: four blanks a level; nothing but a line break in what is empty.
pub(super) fn pretty(value: &Json<'_>, level: usize, out: &mut String) {
    let indent = |level: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', 4 * level));
    };
    match value {
        Json::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                indent(level + 1, out);
                pretty(element, level + 1, out);
            }
            indent(level, out);
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                indent(level + 1, out);
                quote(key, out);
                out.push_str(": ");
                pretty(value, level + 1, out);
            }
            indent(level, out);
            out.push('}');
        }
        scalar => push(scalar, out),
    }
}

/// A string between quotes.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x8 => "\\b",
            0xc => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        match escape {
            "" => out.push_str(&format!("\\u{byte:04x}")),
            escape => out.push_str(escape),
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
