//! Looks into a JSON text without building its value: members, elements, paths, kinds.
//!
//! Input: the text of a `json` or `jsonb` value. Output: pieces of that text, which for `jsonb` are canonical where the text is.
//! Invariant: of equal keys of a `json` document the last is meant.

use std::borrow::Cow;

use super::super::Failure;
use super::parse::{Parser, unescaped};

type Found<'a> = Result<Option<&'a str>, Failure>;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    /// As `jsonb_typeof()` says.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Number => "number",
            Kind::Text => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }

    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Kind::Array | Kind::Object)
    }
}

pub(super) fn kind(text: &str) -> Kind {
    match Parser::new(text).peek() {
        Some(b'{') => Kind::Object,
        Some(b'[') => Kind::Array,
        Some(b'"') => Kind::Text,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'n') => Kind::Null,
        _ => Kind::Number,
    }
}

/// The value of a member; nothing where it isn't an object.
pub(super) fn member<'a>(text: &'a str, key: &str) -> Found<'a> {
    let mut found = None;
    each_member(text, |name, value| {
        if is_key(name, key)? {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

fn is_key(raw: &str, key: &str) -> Result<bool, Failure> {
    Ok(if raw.contains('\\') { unescaped(raw)? == key } else { raw == key })
}

/// Calls for each member with its key, escapes and all, and its value.
pub(super) fn each_member<'a>(
    text: &'a str,
    mut visit: impl FnMut(&'a str, &'a str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut parser = Parser::new(text);
    if parser.peek() != Some(b'{') {
        return Ok(());
    }
    parser.enter()?;
    if parser.empty(b'}') {
        return Ok(());
    }
    loop {
        parser.peek();
        let key = parser.raw_string()?;
        parser.expect(b':')?;
        visit(key, parser.skip_value()?)?;
        if !parser.more(b'}')? {
            return Ok(());
        }
    }
}

/// The elements of an array; nothing where it isn't one.
pub(super) fn elements(text: &str) -> Result<Vec<&str>, Failure> {
    let mut parser = Parser::new(text);
    let mut found = Vec::new();
    if parser.peek() != Some(b'[') {
        return Ok(found);
    }
    parser.enter()?;
    if parser.empty(b']') {
        return Ok(found);
    }
    loop {
        found.push(parser.skip_value()?);
        if !parser.more(b']')? {
            return Ok(found);
        }
    }
}

/// The element at a position; negative ones count from the end.
pub(super) fn element(text: &str, at: i64) -> Found<'_> {
    let elements = elements(text)?;
    let at = if at < 0 { at + elements.len() as i64 } else { at };
    Ok(usize::try_from(at).ok().and_then(|at| elements.get(at).copied()))
}

/// What a path leads to.
pub(super) fn path<'a>(text: &'a str, path: &[&str]) -> Found<'a> {
    let mut current = text;
    for step in path {
        let next = match kind(current) {
            Kind::Object => member(current, step)?,
            Kind::Array => match position(step) {
                Some(at) => element(current, at)?,
                None => None,
            },
            _ => None,
        };
        match next {
            Some(next) => current = next,
            None => return Ok(None),
        }
    }
    Ok(Some(current.trim_matches([' ', '\t', '\n', '\r'])))
}

/// A path's step as a position in an array, as C's `strtol` reads it.
pub(super) fn position(step: &str) -> Option<i64> {
    step.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']).parse::<i32>().ok().map(i64::from)
}

/// The text that `->>` gives of a value: a string without its quotes, nothing for `null`.
pub(super) fn text_of(value: &str) -> Result<Option<Cow<'_, str>>, Failure> {
    Ok(match kind(value) {
        Kind::Null => None,
        Kind::Text => {
            let mut parser = Parser::new(value);
            parser.peek();
            Some(parser.string()?)
        }
        _ => Some(Cow::Borrowed(value)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found() {
        let check = |text: &str, steps: &[&str], expected: Option<&str>| {
            assert_eq!(path(text, steps).expect("json"), expected, "{text} {steps:?}");
        };
        let document = r#"{"a": [1, {"b": "x"}], "ké\"y": null}"#;
        check(document, &["a", "1", "b"], Some("\"x\""));
        check(document, &["a", "-2"], Some("1"));
        check(document, &["a", "7"], None);
        check(document, &["a", "x"], None);
        check(document, &["a", " 0"], Some("1"));
        check(document, &["ké\"y"], Some("null"));
        check(document, &[], Some(document));
        check(r#"{"a": 1, "\u0061": 2}"#, &["a"], Some("2"));
        check("5", &["0"], None);
    }
}
