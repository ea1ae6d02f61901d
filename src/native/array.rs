//! Arrays: their text form, and what the engine's lists can't say.
//!
//! Input: elements as texts in PostgreSQL's own form, NULL among them. Output: array texts, or elements read from one. Invariant:
//! one dimension that begins at 1; others are refused. Left out: what elements mean, which is the translation's to convert.

use super::lists::{Lists, OfLists};
use super::{Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    (
        "pg_array_elements",
        Native::Texts(|arguments| match arguments {
            [Some(text)] => elements(text).map(Some),
            _ => Ok(None),
        }),
    ),
    (
        "pg_record_field",
        Native::Text(|arguments| {
            let [Some(record), Some(place)] = arguments else { return Ok(None) };
            let place: usize = place.parse().map_err(|_| Failure::refused("a field by this place"))?;
            let fields = record_fields(record).map_err(|_| Failure::refused("a value that is no row"))?;
            Ok(fields.into_iter().nth(place - 1).flatten())
        }),
    ),
];

pub(super) const OF_LISTS: &[(&str, OfLists)] = &[
    ("pg_array_text", OfLists::Text(|lists| Ok(lists.first().and_then(|list| list.as_ref()).map(|list| text(list))))),
    (
        "pg_record_text",
        OfLists::Text(|lists| Ok(lists.first().and_then(|list| list.as_ref()).map(|list| record(list)))),
    ),
    ("pg_mode_place", OfLists::Text(mode)),
    ("pg_array_to_string", OfLists::Text(to_string)),
    ("pg_string_to_array", OfLists::Texts(split)),
];

/// An array's text form: `{a,"b c",NULL}`.
pub(super) fn text(elements: &[Option<&str>]) -> String {
    let mut out = String::from("{");
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match element {
            None => out.push_str("NULL"),
            Some(text) if needs_quotes(text) => {
                out.push('"');
                for c in text.chars() {
                    if matches!(c, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
            Some(text) => out.push_str(text),
        }
    }
    out.push('}');
    out
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(['"', '\\', '{', '}', ',', ' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// The elements that an array's text holds.
///
/// # Errors
/// 22P02, as the server raises it; several dimensions and given bounds are refused.
pub(crate) fn elements(text: &str) -> Result<Vec<Option<String>>, Failure> {
    let malformed = || Failure::raised("22P02", format!("malformed array literal: \"{text}\""));
    let blank = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];
    let trimmed = text.trim_matches(blank);
    if trimmed.starts_with('[') {
        return Err(Failure::refused("an array with bounds of its own"));
    }
    let inner = trimmed.strip_prefix('{').ok_or_else(malformed)?;
    let mut rest = inner.trim_start_matches(blank);
    let mut found = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        return if after.is_empty() { Ok(found) } else { Err(malformed()) };
    }
    loop {
        if rest.starts_with('{') {
            return Err(Failure::refused("an array of several dimensions"));
        }
        let (element, after) = element(rest).ok_or_else(malformed)?;
        found.push(element);
        rest = after.trim_start_matches(blank);
        if let Some(more) = rest.strip_prefix(',') {
            rest = more.trim_start_matches(blank);
        } else {
            return if rest == "}" { Ok(found) } else { Err(malformed()) };
        }
    }
}

/// One element, and what stands behind it. A backslash takes what follows as it is, inside quotes and outside.
fn element(text: &str) -> Option<(Option<String>, &str)> {
    let mut word = String::new();
    // Blanks at the end of a word without quotes aren't part of it, unless they are escaped.
    let mut kept = 0;
    let mut escaped = false;
    let quoted = text.starts_with('"');
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                word.push(chars.next()?.1);
                kept = word.len();
                escaped = true;
            }
            '"' if quoted => return Some((Some(word), &text[at + 1..])),
            ',' | '}' if !quoted => {
                word.truncate(kept);
                if word.is_empty() {
                    return None;
                }
                let null = !escaped && word.eq_ignore_ascii_case("null");
                return Some(((!null).then_some(word), &text[at..]));
            }
            '"' | '{' if !quoted => return None,
            c => {
                word.push(c);
                if !c.is_ascii_whitespace() && c != '\x0b' {
                    kept = word.len();
                }
            }
        }
    }
    None
}

/// A row's text form: `(a,"b c",)`, nothing standing for NULL.
fn record(fields: &[Option<&str>]) -> String {
    let shown = |field: &Option<&str>| match field {
        None => String::new(),
        Some(text)
            if text.is_empty() || text.contains(['"', '\\', '(', ')', ',']) || text.contains(char::is_whitespace) =>
        {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
        }
        Some(text) => (*text).to_owned(),
    };
    format!("({})", fields.iter().map(shown).collect::<Vec<_>>().join(","))
}

/// The fields of a row's text, as record_in reads it (src/backend/utils/adt/rowtypes.c).
///
/// # Errors
/// What is malformed about it, in the server's words.
pub(crate) fn record_fields(text: &str) -> Result<Vec<Option<String>>, &'static str> {
    let inner = text.trim_start().strip_prefix('(').ok_or("Missing left parenthesis.")?;
    let mut chars = inner.chars().peekable();
    let mut fields = Vec::new();
    loop {
        let (mut field, mut is_quoted, mut in_quotes) = (String::new(), false, false);
        loop {
            match chars.next() {
                None => return Err("Unexpected end of input."),
                Some('\\') => field.push(chars.next().ok_or("Unexpected end of input.")?),
                Some('"') if in_quotes && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                Some('"') => {
                    in_quotes = !in_quotes;
                    is_quoted = true;
                }
                Some(c @ (',' | ')')) if !in_quotes => {
                    let is_null = field.is_empty() && !is_quoted;
                    fields.push((!is_null).then_some(field));
                    if c == ',' {
                        break;
                    }
                    let rest_is_blank = chars.all(char::is_whitespace);
                    // A type without attributes has no field at all.
                    return if rest_is_blank { Ok(fields) } else { Err("Junk after right parenthesis.") };
                }
                Some(c) => field.push(c),
            }
        }
    }
}

/// Of sorted values, the place of the first of those that come most often.
fn mode(lists: &Lists<'_>) -> Given<String> {
    let Some(Some(values)) = lists.first() else { return Ok(None) };
    let (mut best, mut begun) = (None, 0);
    for at in 0..values.len() {
        if values[at] != values[begun] {
            begun = at;
        }
        let length = at - begun + 1;
        if best.is_none_or(|(_, most)| length > most) {
            best = Some((begun + 1, length));
        }
    }
    Ok(best.map(|(place, _)| place.to_string()))
}

/// `(elements, [separator], [text for NULL])`: without the last, NULLs are left out.
fn to_string(lists: &Lists<'_>) -> Given<String> {
    let [Some(elements), Some(separator), null] = lists else { return Ok(None) };
    let Some(separator) = separator.first().copied().flatten() else { return Ok(None) };
    let null = null.as_ref().and_then(|list| list.first().copied().flatten());
    let shown: Vec<&str> = elements.iter().filter_map(|element| element.or(null)).collect();
    Ok(Some(shown.join(separator)))
}

/// `([text], [separator], [text for NULL])`: a NULL separator cuts into characters.
fn split(lists: &Lists<'_>) -> Given<Vec<Option<String>>> {
    let argument =
        |at: usize| lists.get(at).and_then(|list| list.as_ref()).and_then(|list| list.first().copied().flatten());
    let Some(text) = argument(0) else { return Ok(None) };
    Ok(Some(pieces(text, argument(1), argument(2))))
}

fn pieces(text: &str, separator: Option<&str>, null: Option<&str>) -> Vec<Option<String>> {
    let own = |piece: &str| (Some(piece) != null).then(|| piece.to_owned());
    match separator {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(|c| own(c.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => vec![own(text)],
        Some(separator) => text.split(separator).map(own).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_written_and_read() {
        let check = |list: &[Option<&str>], expected: &str| {
            assert_eq!(text(list), expected);
            let read: Vec<Option<String>> = elements(expected).expect("an array");
            assert_eq!(read.iter().map(Option::as_deref).collect::<Vec<_>>(), list, "{expected}");
        };
        check(&[], "{}");
        check(&[Some("a"), Some("b c"), None], r#"{a,"b c",NULL}"#);
        check(&[Some(""), Some("null"), Some("a\"b\\c")], r#"{"","null","a\"b\\c"}"#);
        check(&[Some("{x}"), Some("é"), Some("a'b")], r#"{"{x}",é,a'b}"#);
    }

    #[test]
    fn array_literals_are_read() {
        let check = |literal: &str, expected: Option<&[Option<&str>]>| {
            let found = elements(literal).ok();
            let found = found.as_ref().map(|list| list.iter().map(Option::as_deref).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{literal}");
        };
        check(" { a , b c ,nUlL, \"x\" } ", Some(&[Some("a"), Some("b c"), None, Some("x")]));
        check(r"{a\,b,\ ,nu\ll}", Some(&[Some("a,b"), Some(" "), Some("null")]));
        for broken in
            ["", "a", "{a", "{a,}", "{,a}", "{a}b", "{\"a\"b}", "{a\"b\"}", "{a{b}", "{{1},{2}}", "[0:1]={1,2}"]
        {
            check(broken, None);
        }
    }
}
