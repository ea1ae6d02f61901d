//! Functions of text.
//!
//! Input: texts, positions as numbers in text form. Output: a text or a number. Invariants: characters are Unicode's code points;
//! case is changed character by character, as a UTF-8 locale of the server does; where locales differ, the row is refused.

mod bytes;
mod format;
mod names;
mod octets;
mod patterns;
mod uuid;

use super::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_initcap", Native::Text(initcap)),
    ("pg_upper", Native::Text(|a| each(a, |c| Ok(one_or_itself(c, c.to_uppercase()))))),
    ("pg_lower", Native::Text(|a| each(a, lower))),
    ("pg_reverse", Native::Text(|a| Ok(one(a).map(|text| text.chars().rev().collect())))),
    ("pg_substr", Native::Text(substring)),
    ("pg_name", Native::Text(|a| Ok(one(a).map(|text| cut_name(text).to_owned())))),
    ("pg_left", Native::Text(left)),
    ("pg_right", Native::Text(right)),
    ("pg_lpad", Native::Text(|a| pad(a, true))),
    ("pg_rpad", Native::Text(|a| pad(a, false))),
    ("pg_repeat", Native::Text(repeat)),
    ("pg_trim", Native::Text(trim)),
    ("pg_replace", Native::Text(replace)),
    ("pg_translate", Native::Text(translate)),
    ("pg_overlay", Native::Text(overlay)),
    ("pg_split_part", Native::Text(split_part)),
    ("pg_strpos", Native::Whole(position)),
    ("pg_ascii", Native::Whole(|a| Ok(one(a).map(|text| text.chars().next().map_or(0, |c| c as i64))))),
    ("pg_chr", Native::Text(chr)),
    ("pg_to_hex", Native::Text(to_hex)),
    ("pg_octet_length", Native::Whole(|a| Ok(one(a).map(|text| text.len() as i64)))),
    ("pg_quote_ident", Native::Text(|a| Ok(one(a).map(format::identifier)))),
    ("pg_quote_literal", Native::Text(|a| Ok(one(a).map(format::literal)))),
    ("pg_format", Native::Text(format::format)),
    ("pg_parse_ident", Native::Texts(names::parse)),
    ("pg_normalize", Native::Text(names::normalize)),
    ("pg_is_normalized", Native::Truth(names::is_normalized)),
    ("pg_unistr", Native::Text(names::unistr)),
    ("pg_bytea_substr", Native::Text(octets::substring)),
    ("pg_bytea_position", Native::Whole(octets::position)),
    ("pg_bytea_trim", Native::Text(octets::trim)),
    ("pg_get_byte", Native::Whole(octets::get)),
    ("pg_set_byte", Native::Text(octets::set)),
    ("pg_like", Native::Truth(|a| patterns::like(a, false))),
    ("pg_ilike", Native::Truth(|a| patterns::like(a, true))),
    ("pg_bytea_in", Native::Text(bytes::read)),
    ("pg_uuid_in", Native::Text(|a| one(a).map(uuid::from_text).transpose())),
    ("pg_encode", Native::Text(bytes::encode)),
    ("pg_decode", Native::Text(bytes::decode)),
    ("pg_digest", Native::Text(bytes::digest)),
    ("pg_convert_to", Native::Text(bytes::convert_to)),
    ("pg_convert_from", Native::Text(bytes::convert_from)),
    ("pg_utf8", Native::Text(bytes::as_text)),
    ("pg_char", Native::Text(fixed)),
];

pub(crate) use bytes::from_text as bytes_from_text;
pub(crate) use uuid::from_text as uuid_from_text;

/// The only argument.
fn one<'a>(arguments: &Arguments<'a>) -> Option<&'a str> {
    arguments.first().copied().flatten()
}

/// A number that the translation or the engine wrote.
fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::refused(format!("the number {text}")))
}

fn each(arguments: &Arguments<'_>, change: impl Fn(char) -> Result<char, Failure>) -> Given<String> {
    one(arguments).map(|text| text.chars().map(change).collect()).transpose()
}

/// The server's character types change one character into one.
fn one_or_itself(c: char, mut changed: impl Iterator<Item = char>) -> char {
    match (changed.next(), changed.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn lower(c: char) -> Result<char, Failure> {
    match c {
        'İ' => Err(Failure::refused("lower() of İ")),
        c => Ok(one_or_itself(c, c.to_lowercase())),
    }
}

/// What a `name` keeps of a text: 63 bytes, and no part of a character.
pub(crate) fn cut_name(text: &str) -> &str {
    let end = (0..=text.len().min(63)).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or_default()]
}

/// `initcap`: the first letter of each word in upper case, all others in lower case; a word is a run of letters and digits.
fn initcap(arguments: &Arguments<'_>) -> Given<String> {
    let Some(text) = one(arguments) else { return Ok(None) };
    let mut inside = false;
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        result.push(if inside { lower(c)? } else { one_or_itself(c, c.to_uppercase()) });
        inside = c.is_alphanumeric();
    }
    Ok(Some(result))
}

/// `pg_substr(text, from [, length])`: positions before the first character count, and give nothing.
fn substring(arguments: &Arguments<'_>) -> Given<String> {
    let (text, from, length) = match arguments {
        [Some(text), Some(from)] => (text, number(from)?, None),
        [Some(text), Some(from), Some(length)] => (text, number(from)?, Some(number(length)?)),
        _ => return Ok(None),
    };
    if length.is_some_and(|length| length < 0) {
        return Err(Failure::raised("22011", "negative substring length not allowed"));
    }
    let end = length.map_or(i64::MAX, |length| from + length);
    let start = from.max(1);
    if end <= start {
        return Ok(Some(String::new()));
    }
    let count = usize::try_from(end - start).unwrap_or(usize::MAX);
    Ok(Some(text.chars().skip(start as usize - 1).take(count).collect()))
}

/// How many characters `left` and `right` give: a negative number leaves out so many.
fn kept(text: &str, count: &str) -> Result<(usize, usize), Failure> {
    let (length, count) = (text.chars().count(), number(count)?);
    let kept = if count < 0 { length as i64 + count } else { count };
    Ok((length, kept.clamp(0, length as i64) as usize))
}

fn left(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(count)] = arguments else { return Ok(None) };
    let (_, kept) = kept(text, count)?;
    Ok(Some(text.chars().take(kept).collect()))
}

fn right(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(count)] = arguments else { return Ok(None) };
    let (length, kept) = kept(text, count)?;
    Ok(Some(text.chars().skip(length - kept).collect()))
}

/// A text may not become longer than a gigabyte.
fn within_reach(length: i64) -> Result<(), Failure> {
    match length > 0x3fff_fff0 {
        true => Err(Failure::raised("54000", "requested length too large")),
        false => Ok(()),
    }
}

fn pad(arguments: &Arguments<'_>, before: bool) -> Given<String> {
    let (text, length, fill) = match arguments {
        [Some(text), Some(length)] => (text, number(length)?, " "),
        [Some(text), Some(length), Some(fill)] => (text, number(length)?, *fill),
        _ => return Ok(None),
    };
    within_reach(length)?;
    let length = length.max(0) as usize;
    let own = text.chars().count();
    if own >= length || fill.is_empty() {
        return Ok(Some(text.chars().take(length).collect()));
    }
    let padding: String = fill.chars().cycle().take(length - own).collect();
    Ok(Some(if before { padding + text } else { (*text).to_owned() + &padding }))
}

fn repeat(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(count)] = arguments else { return Ok(None) };
    let count = number(count)?.max(0);
    within_reach(count.saturating_mul(text.len() as i64))?;
    Ok(Some(text.repeat(count as usize)))
}

/// `pg_trim(side, text [, characters])`
fn trim(arguments: &Arguments<'_>) -> Given<String> {
    let (side, text, set) = match arguments {
        [Some(side), Some(text)] => (*side, *text, " "),
        [Some(side), Some(text), Some(set)] => (*side, *text, *set),
        _ => return Ok(None),
    };
    let within = |c: char| set.contains(c);
    Ok(Some(
        match side {
            "ltrim" => text.trim_start_matches(within),
            "rtrim" => text.trim_end_matches(within),
            _ => text.trim_matches(within),
        }
        .to_owned(),
    ))
}

fn replace(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(from), Some(to)] = arguments else { return Ok(None) };
    Ok(Some(if from.is_empty() { (*text).to_owned() } else { text.replace(from, to) }))
}

fn translate(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(from), Some(to)] = arguments else { return Ok(None) };
    let to: Vec<char> = to.chars().collect();
    let change = |c: char| match from.chars().position(|known| known == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    Ok(Some(text.chars().filter_map(change).collect()))
}

/// `overlay(text placing new from start [for count])`
fn overlay(arguments: &Arguments<'_>) -> Given<String> {
    let (text, new, start, count) = match arguments {
        [Some(text), Some(new), Some(start)] => (text, new, number(start)?, new.chars().count() as i64),
        [Some(text), Some(new), Some(start), Some(count)] => (text, new, number(start)?, number(count)?),
        _ => return Ok(None),
    };
    if start <= 0 {
        return Err(Failure::raised("22011", "negative substring length not allowed"));
    }
    let before: String = text.chars().take(start as usize - 1).collect();
    let after = text.chars().skip((start + count - 1).max(0) as usize);
    Ok(Some(before + new + &after.collect::<String>()))
}

fn split_part(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(delimiter), Some(field)] = arguments else { return Ok(None) };
    let field = number(field)?;
    if field == 0 {
        return Err(Failure::raised("22023", "field position must not be zero"));
    }
    if text.is_empty() {
        return Ok(Some(String::new()));
    }
    let fields: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    let at = if field > 0 { field - 1 } else { fields.len() as i64 + field };
    let found = usize::try_from(at).ok().and_then(|at| fields.get(at));
    Ok(Some(found.copied().unwrap_or_default().to_owned()))
}

fn position(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(text), Some(part)] = arguments else { return Ok(None) };
    Ok(Some(text.find(part).map_or(0, |at| text[..at].chars().count() as i64 + 1)))
}

fn chr(arguments: &Arguments<'_>) -> Given<String> {
    let Some(code) = one(arguments) else { return Ok(None) };
    let code = number(code)?;
    match u32::try_from(code) {
        Err(_) => Err(Failure::raised("22023", "character number must be positive")),
        Ok(0) => Err(Failure::raised("54000", "null character not permitted")),
        Ok(known) if known > 0x10_ffff => {
            Err(Failure::raised("54000", format!("requested character too large for encoding: {code}")))
        }
        Ok(known) => match char::from_u32(known) {
            Some(c) => Ok(Some(c.to_string())),
            None => Err(Failure::raised("54000", format!("requested character not valid for encoding: {code}"))),
        },
    }
}

/// `pg_to_hex(number, type)`: a negative number as the bits of its type.
fn to_hex(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(value), Some(ty)] = arguments else { return Ok(None) };
    let value = number(value)?;
    Ok(Some(if *ty == "bigint" { format!("{value:x}") } else { format!("{:x}", value as i32) }))
}

/// `pg_char(text, length, explicit)`: character(length), padded with blanks.
fn fixed(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(length), Some(explicit)] = arguments else { return Ok(None) };
    let limit = number(length)? as usize;
    let cut = shortened(text, limit, *explicit == "t", &format!("character({length})"))?;
    let own = cut.chars().count();
    Ok(Some(cut + &" ".repeat(limit - own)))
}

/// Cut by an explicit cast; elsewhere, only blanks may be lost.
fn shortened(text: &str, limit: usize, explicit: bool, name: &str) -> Result<String, Failure> {
    let mut rest = text.chars();
    let kept: String = rest.by_ref().take(limit).collect();
    match explicit || rest.all(|c| c == ' ') {
        true => Ok(kept),
        false => Err(Failure::raised("22001", format!("value too long for type {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        check("pg_initcap", &["o'neill-SMITH éa"], "O'Neill-Smith Éa");
        check("pg_substr", &["日本語", "-1", "4"], "日本");
        check("pg_lpad", &["é", "3", "xy"], "xyé");
        check("pg_split_part", &["a,b,c", ",", "-1"], "c");
        check("pg_upper", &["straße"], "STRAßE");
    }

    #[test]
    fn patterns_and_quoting() {
        check("pg_like", &["abc", "a\\", "\\"], "22025");
        check("pg_like", &["10%", "10\\%", "\\"], "true");
        check("pg_format", &["%2$L|%1$-3s|", "=a", "=it's"], "'it''s'|a  |");
        check("pg_format", &["%I", "-"], "22004");
        check("pg_encode", &["616263", "base64"], "YWJj");
        check("pg_convert_to", &["äb", "utf-8"], "c3a462");
        check("pg_convert_to", &["äb", "LATIN1"], "e462");
        check("pg_convert_from", &["e4", "latin1"], "ä");
        check("pg_convert_from", &["c3a4", "UTF8"], "ä");
    }
}
