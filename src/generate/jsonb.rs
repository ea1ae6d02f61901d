//! `jsonb` text as PostgreSQL prints it.
//!
//! Input: keys and values. Output: one line with the keys sorted by length, then bytes, `": "` and `", "` between. Left out:
//! nesting beyond what the log's metadata has, and numbers other than integers and short decimals.

use std::fmt::Write;

/// An object in the making.
#[derive(Debug, Default)]
pub struct Object {
    members: Vec<(&'static str, String)>,
}

impl Object {
    /// An empty object.
    pub fn new() -> Self {
        Object { members: Vec::with_capacity(6) }
    }

    /// Adds a string.
    pub fn text(mut self, key: &'static str, value: &str) -> Self {
        let mut shown = String::with_capacity(value.len() + 2);
        write_string(&mut shown, value);
        self.members.push((key, shown));
        self
    }

    /// Adds anything that prints as its JSON: an integer, `true`, `null`, a finished array.
    pub fn plain(mut self, key: &'static str, value: impl ToString) -> Self {
        self.members.push((key, value.to_string()));
        self
    }

    /// Adds an object.
    pub fn object(self, key: &'static str, value: Object) -> Self {
        self.plain(key, value.finish())
    }

    /// Adds an array of strings.
    pub fn texts(mut self, key: &'static str, values: &[&str]) -> Self {
        let mut shown = String::from("[");
        for (index, value) in values.iter().enumerate() {
            shown.push_str(if index > 0 { ", " } else { "" });
            write_string(&mut shown, value);
        }
        shown.push(']');
        self.members.push((key, shown));
        self
    }

    /// The text PostgreSQL would print. A key must not be given twice.
    pub fn finish(mut self) -> String {
        self.members.sort_unstable_by_key(|(key, _)| (key.len(), *key));
        let mut out = String::with_capacity(self.members.iter().map(|(k, v)| k.len() + v.len() + 6).sum());
        out.push('{');
        for (index, (key, value)) in self.members.iter().enumerate() {
            out.push_str(if index > 0 { ", " } else { "" });
            write_string(&mut out, key);
            out.push_str(": ");
            out.push_str(value);
        }
        out.push('}');
        out
    }
}

/// Escapes as PostgreSQL's `escape_json` does.
fn write_string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_length_then_bytes() {
        let text = Object::new().plain("trackNumber", 3).text("b", "é \"x\"\n").plain("a", true).plain("zz", "null");
        assert_eq!(text.finish(), r#"{"a": true, "b": "é \"x\"\n", "zz": null, "trackNumber": 3}"#);
        assert_eq!(Object::new().texts("k", &["x", "y"]).finish(), r#"{"k": ["x", "y"]}"#);
        assert_eq!(Object::new().finish(), "{}");
    }
}
