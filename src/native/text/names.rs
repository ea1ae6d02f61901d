//! Names cut into parts, characters by their number, normal forms.

use unicode_normalization::UnicodeNormalization;

use crate::native::{Arguments, Failure, Given};

/// `pg_parse_ident(text, strict)`
pub(super) fn parse(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let [Some(text), Some(strict)] = arguments else { return Ok(None) };
    let invalid = || Failure::raised("22023", format!("string is not a valid identifier: \"{text}\""));
    let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let (mut parts, mut rest, mut after_dot) = (Vec::new(), text.trim_start_matches(blank), false);
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted_name(quoted).ok_or_else(invalid)?;
            if name.is_empty() {
                return Err(invalid());
            }
            parts.push(Some(name));
            rest = after;
        } else {
            let starts = |c: char| c == '_' || c.is_ascii_alphabetic() || !c.is_ascii();
            let end = rest.find(|c: char| !(starts(c) || c.is_ascii_digit() || c == '$')).unwrap_or(rest.len());
            if end == 0 || !rest.starts_with(starts) {
                return match after_dot || rest.starts_with('.') || !parts.is_empty() || rest.is_empty() {
                    _ if *strict == "false" && !after_dot && !parts.is_empty() => Ok(Some(parts)),
                    _ => Err(invalid()),
                };
            }
            parts.push(Some(super::cut_name(&rest[..end].to_ascii_lowercase()).to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches(blank);
        match rest.strip_prefix('.') {
            Some(more) => (rest, after_dot) = (more.trim_start_matches(blank), true),
            None if rest.is_empty() || *strict == "false" => return Ok(Some(parts)),
            None => return Err(invalid()),
        }
    }
}

/// What stands between the quotes, and what behind them.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '"') {
            chars.next();
            name.push('"');
        } else {
            return Some((name, &text[at + 1..]));
        }
    }
    None
}

fn in_form(text: &str, form: &str) -> Result<String, Failure> {
    Ok(match form.to_ascii_lowercase().as_str() {
        "nfc" => text.nfc().collect(),
        "nfd" => text.nfd().collect(),
        "nfkc" => text.nfkc().collect(),
        "nfkd" => text.nfkd().collect(),
        _ => return Err(Failure::raised("22023", format!("invalid normalization form: {form}"))),
    })
}

/// `pg_normalize(text, form)`
pub(super) fn normalize(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(form)] = arguments else { return Ok(None) };
    in_form(text, form).map(Some)
}

/// `pg_is_normalized(text, form)`
pub(super) fn is_normalized(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(text), Some(form)] = arguments else { return Ok(None) };
    Ok(Some(in_form(text, form)? == **text))
}

/// `pg_unistr(text)`: `\0061`, `\+000061`, `\u0061`, `\U00000061`, `\\`
pub(super) fn unistr(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    let invalid = || Failure::raised("42601", "invalid Unicode escape");
    let mut units: Vec<u16> = Vec::new();
    let mut rest: &str = text;
    let mut buffer = [0; 2];
    while let Some(c) = rest.chars().next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let after = &rest[1..];
        if let Some(more) = after.strip_prefix('\\') {
            units.push(u16::from(b'\\'));
            rest = more;
            continue;
        }
        let (skip, digits) = match after.as_bytes().first() {
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            Some(b'+') => (1, 6),
            _ => (0, 4),
        };
        let number = after.get(skip..skip + digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = u32::from_str_radix(number.ok_or_else(invalid)?, 16).map_err(|_| invalid())?;
        match u16::try_from(number) {
            Ok(0) => return Err(Failure::raised("22023", "invalid Unicode code point: 0000")),
            Ok(unit) => units.push(unit),
            Err(_) => {
                let c = char::from_u32(number);
                let c =
                    c.ok_or_else(|| Failure::raised("22023", format!("invalid Unicode code point: {number:04X}")))?;
                units.extend_from_slice(c.encode_utf16(&mut buffer));
            }
        }
        rest = &after[skip + digits..];
    }
    String::from_utf16(&units).map(Some).map_err(|_| Failure::raised("42601", "invalid Unicode surrogate pair"))
}
