//! Decoding: the engine's JSON as values of a report.
//!
//! Input: text that the engine made of a row or a value. Output: the same as a JSON value. Invariants: a number with a fraction is the
//! double nearest to what is written, to its last bit; `NaN` and the infinities, which aren't JSON, become texts.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Number, Result, Value};

/// An object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>> {
    exact_object(text).or_else(|_| serde_json::from_str(&quoted_numbers(text)))
}

/// Any value.
pub(super) fn value(text: &str) -> Result<Value> {
    exact(text).or_else(|_| serde_json::from_str(&quoted_numbers(text)))
}

fn exact(text: &str) -> Result<Value> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => exact_object(text).map(Value::Object),
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text)?;
            items.iter().map(|item| exact(item.get())).collect()
        }
        // The parser's own doubles may be off by one in the last bit.
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
            let read = text.trim().parse().ok().and_then(Number::from_f64);
            read.map_or_else(|| serde_json::from_str(text), |number| Ok(Value::Number(number)))
        }
        _ => serde_json::from_str(text),
    }
}

fn exact_object(text: &str) -> Result<Map<String, Value>> {
    let mut object: Map<String, Value> = serde_json::from_str(text)?;
    let parts: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
    for (name, value) in &mut object {
        if let Some(part) = parts.get(name).filter(|_| !value.is_string()) {
            *value = exact(part.get())?;
        }
    }
    Ok(object)
}

/// The engine's JSON with `NaN` and `Infinity`, which aren't JSON, as texts.
fn quoted_numbers(json: &str) -> String {
    let (mut out, mut quoted, mut escaped, mut word) = (String::new(), false, false, String::new());
    for c in json.chars() {
        if !quoted && (c.is_alphabetic() || (c == '-' && word.is_empty())) {
            word.push(c);
            continue;
        }
        end_word(&mut out, &mut word);
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        out.push(c);
    }
    end_word(&mut out, &mut word);
    out
}

/// Writes a word down, between quotes where it is no word of JSON.
fn end_word(out: &mut String, word: &mut String) {
    match word.as_str() {
        "NaN" | "Infinity" | "-Infinity" => out.push_str(&format!("\"{word}\"")),
        other => out.push_str(other),
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_ones_written() {
        let check = |text: &str, expected: &str| {
            let read = object(text).expect(text);
            assert_eq!(Value::Object(read).to_string(), expected, "{text}");
        };
        check(
            r#"{"b":14.142135623730951,"a":[0.1,{"c":2.5e-3}],"d":7}"#,
            r#"{"b":14.142135623730951,"a":[0.1,{"c":0.0025}],"d":7}"#,
        );
        check(r#"{"a":NaN,"b":-Infinity,"c":"NaN"}"#, r#"{"a":"NaN","b":"-Infinity","c":"NaN"}"#);
        check(r#"{"a":true,"b":null,"c":"1.5 \" e"}"#, r#"{"a":true,"b":null,"c":"1.5 \" e"}"#);
        assert_eq!(value("14.142135623730951").expect("a number").to_string(), "14.142135623730951");
    }
}
