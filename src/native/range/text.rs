//! Ranges as texts: `[1,10)`, `("2024-01-01 00:00:00",)`, `empty`.

use super::{Bound, Range, make, point};
use crate::native::Failure;

fn malformed(text: &str) -> Failure {
    Failure::raised("22P02", format!("malformed range literal: \"{text}\""))
}

/// Reads a literal, and what the server writes.
pub(super) fn read(text: &str, ty: &str, zone: &str) -> Result<Range, Failure> {
    let blank = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    let trimmed = text.trim_matches(blank);
    if trimmed.eq_ignore_ascii_case("empty") {
        return Ok(None);
    }
    let begins = trimmed.strip_prefix(['[', '(']).ok_or_else(|| malformed(text))?;
    let (lower, rest) = bound(begins, text)?;
    let rest = rest.strip_prefix(',').ok_or_else(|| malformed(text))?;
    let (upper, rest) = bound(rest, text)?;
    if rest != "]" && rest != ")" {
        return Err(malformed(text));
    }
    let end = |value: Option<String>, inclusive: bool| {
        Ok(Bound { point: value.map(|value| point(&value, ty, zone)).transpose()?, inclusive })
    };
    make(end(lower, trimmed.starts_with('['))?, end(upper, rest == "]")?, ty)
}

/// One bound and what follows it; nothing at all is no bound.
fn bound<'a>(from: &'a str, text: &str) -> Result<(Option<String>, &'a str), Failure> {
    if from.starts_with([',', ']', ')']) {
        return Ok((None, from));
    }
    let mut value = String::new();
    let mut quoted = false;
    let mut chars = from.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next().ok_or_else(|| malformed(text))?.1),
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                value.push('"');
            }
            '"' => quoted = !quoted,
            ',' | ']' | ')' | '[' | '(' if !quoted => return Ok((Some(value), &from[at..])),
            c => value.push(c),
        }
    }
    Err(malformed(text))
}

/// As the server writes it.
pub(super) fn write(range: &Range) -> String {
    let Some(span) = range else { return "empty".to_owned() };
    let shown = |bound: &Bound| bound.point.as_ref().map_or_else(String::new, |point| quoted(&point.text));
    let (open, close) = (if span.lower.inclusive { '[' } else { '(' }, if span.upper.inclusive { ']' } else { ')' });
    format!("{open}{},{}{close}", shown(&span.lower), shown(&span.upper))
}

fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && !text.contains(['"', '\\', '(', ')', '[', ']', ',']) && !text.contains(char::is_whitespace);
    match plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_canonical() {
        let check = |text: &str, ty: &str, expected: &str| {
            let shown = read(text, ty, "UTC").map(|range| write(&range));
            let shown = shown.unwrap_or_else(|failure| failure.to_string());
            assert!(shown == expected || shown.starts_with(&format!("PG|{expected}|")), "{text}: {shown}");
        };
        check("(1,10]", "int4range", "[2,11)");
        check("(1,2)", "int4range", "empty");
        check("[,]", "int4range", "(,)");
        check("[1.50,2.5]", "numrange", "[1.50,2.5]");
        check("[2024-01-01,2024-01-31]", "daterange", "[2024-01-01,2024-02-01)");
        check("[2024-01-01,infinity]", "daterange", "[2024-01-01,infinity]");
        check("[2024-01-01 10:00+02,)", "tstzrange", "[\"2024-01-01 08:00:00+00\",)");
        check("[10,1]", "int4range", "22000");
        check("[1;10]", "int4range", "22P02");
        check("[1,2147483647]", "int4range", "22003");
    }
}
