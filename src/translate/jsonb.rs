//! jsonb text as PostgreSQL writes it: keys by length, then bytes; the last of equal keys; one blank after `:` and `,`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The canonical text of a JSON document; `None` where it isn't one, or holds what jsonb can't (`\u0000`, numbers in exponent
/// notation, whose digits PostgreSQL writes out).
pub(super) fn canonical(text: &str) -> Option<String> {
    let raw: Box<RawValue> = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len());
    write(raw.get().trim(), &mut out)?;
    Some(out)
}

fn write(text: &str, out: &mut String) -> Option<()> {
    match text.as_bytes().first()? {
        b'{' => {
            let members: Members = serde_json::from_str(text).ok()?;
            let mut members: Vec<(String, Box<RawValue>)> = members.0.into_iter().collect();
            members.sort_by(|a, b| a.0.len().cmp(&b.0.len()).then_with(|| a.0.cmp(&b.0)));
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                string(key, out)?;
                out.push_str(": ");
                write(value.get().trim(), out)?;
            }
            out.push('}');
        }
        b'[' => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
            out.push('[');
            for (index, value) in elements.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(value.get().trim(), out)?;
            }
            out.push(']');
        }
        b'"' => string(&serde_json::from_str::<String>(text).ok()?, out)?,
        b't' | b'f' | b'n' => out.push_str(text),
        _ if text.contains(['e', 'E']) => return None,
        // Minus zero is written as zero.
        _ if text.trim_start_matches('-').bytes().all(|b| b == b'0' || b == b'.') => {
            out.push_str(text.trim_start_matches('-'));
        }
        _ => out.push_str(text),
    }
    Some(())
}

fn string(text: &str, out: &mut String) -> Option<()> {
    if text.contains('\0') {
        return None;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    Some(())
}

/// An object's members, the last of equal keys winning.
struct Members(BTreeMap<String, Box<RawValue>>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_jsonb_writes() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(canonical(text).as_deref(), expected, "{text}");
        check(r#"{"bb":1,"a":2}"#, Some(r#"{"a": 2, "bb": 1}"#));
        check(r#" {"a":1,"a":2} "#, Some(r#"{"a": 2}"#));
        check(r#"[1.0,-0,"x\u00e9\/",null,true,{}]"#, Some(r#"[1.0, 0, "xé/", null, true, {}]"#));
        check(r#""a\u0000""#, None);
        check("1e3", None);
        check("{", None);
    }
}
