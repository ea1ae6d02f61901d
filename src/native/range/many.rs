//! Multiranges: texts of several ranges, in order, none of which meets another.

use super::text::{read, write};
use super::{Range, Span, key};
use crate::native::Failure;

/// The range type of a multirange type.
pub(in crate::native) fn of_multirange(ty: &str) -> Option<&'static str> {
    let range = ty.strip_suffix("multirange")?;
    super::RANGES.iter().map(|(name, _)| *name).find(|name| name.strip_suffix("range") == Some(range))
}

/// A literal as the server writes it.
pub(in crate::native) fn read_many(text: &str, ty: &str, zone: &str) -> Result<String, Failure> {
    let shown: Vec<String> = spans(text, ty, zone)?.into_iter().map(|span| write(&Some(span))).collect();
    Ok(format!("{{{}}}", shown.join(",")))
}

/// What a multirange is compared by.
pub(in crate::native) fn key_of_many(text: &str, ty: &str) -> Result<String, Failure> {
    let range = of_multirange(ty).unwrap_or_default();
    let keys = spans(text, ty, "UTC")?.into_iter().map(|span| key(&write(&Some(span)), range));
    Ok(keys.collect::<Result<Vec<String>, Failure>>()?.join("\u{2}"))
}

fn spans(text: &str, ty: &str, zone: &str) -> Result<Vec<Span>, Failure> {
    let malformed = || Failure::raised("22P02", format!("malformed multirange literal: \"{text}\""));
    let range = of_multirange(ty).ok_or_else(malformed)?;
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?;
    let mut found = Vec::new();
    for piece in pieces(inner).ok_or_else(malformed)? {
        if let Some(span) = read(piece, range, zone)? {
            found.push(span);
        }
    }
    Ok(joined(found))
}

/// The ranges between the commas that are no part of one.
fn pieces(text: &str) -> Option<Vec<&str>> {
    let (mut found, mut begun, mut inside, mut quoted) = (Vec::new(), 0, false, false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => quoted = !quoted,
            '[' | '(' if !quoted => inside = true,
            ']' | ')' if !quoted => inside = false,
            ',' if !quoted && !inside => {
                found.push(text[begun..at].trim());
                begun = at + 1;
            }
            _ => {}
        }
    }
    if inside || quoted {
        return None;
    }
    let last = text[begun..].trim();
    if !last.is_empty() || !found.is_empty() {
        found.push(last);
    }
    Some(found)
}

/// Ranges in order, those that overlap or touch as one.
pub(super) fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.begin().cmp(&b.begin()).then_with(|| a.end().cmp(&b.end())));
    let mut found: Vec<Span> = Vec::new();
    for span in spans {
        match found.last_mut() {
            Some(last) if last.overlaps(&span) || last.touches(&span) => {
                if span.end() > last.end() {
                    last.upper = span.upper;
                }
            }
            _ => found.push(span),
        }
    }
    found
}

/// Several ranges as a multirange.
pub(super) fn of_ranges(ranges: Vec<Range>) -> String {
    let shown: Vec<String> =
        joined(ranges.into_iter().flatten().collect()).into_iter().map(|span| write(&Some(span))).collect();
    format!("{{{}}}", shown.join(","))
}
