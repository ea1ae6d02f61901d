//! The functions of regular expressions.

use super::syntax::{Flags, from_similar};
use super::{Matcher, Span, after, matcher};
use crate::native::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_regexp", Native::Truth(|a| test(a, ""))),
    ("pg_iregexp", Native::Truth(|a| test(a, "i"))),
    ("pg_similar", Native::Truth(similar)),
    ("pg_regexp_like", Native::Truth(like)),
    ("pg_regexp_substring", Native::Text(substring)),
    ("pg_regexp_replace", Native::Text(replace)),
    ("pg_regexp_replace_from", Native::Text(replace_from)),
    ("pg_regexp_match", Native::Texts(first_match)),
    ("pg_regexp_matches", Native::Texts(all_matches)),
    ("pg_regexp_split", Native::Texts(split)),
    ("pg_regexp_count", Native::Whole(count)),
    ("pg_regexp_substr", Native::Text(nth)),
    ("pg_regexp_instr", Native::Whole(position)),
];

fn test(arguments: &Arguments<'_>, flags: &str) -> Given<bool> {
    let [Some(text), Some(pattern)] = arguments else { return Ok(None) };
    matcher(pattern, Flags::read(flags, "", false)?)?.is_match(text).map(Some)
}

/// `pg_similar(text, pattern [, escape])`
fn similar(arguments: &Arguments<'_>) -> Given<bool> {
    let (text, pattern, escape) = match arguments {
        [Some(text), Some(pattern)] => (text, pattern, Some('\\')),
        [Some(text), Some(pattern), Some(escape)] => {
            let mut chars = escape.chars();
            let first = chars.next();
            if chars.next().is_some() {
                return Err(Failure::raised("22025", "invalid escape string"));
            }
            (text, pattern, first)
        }
        _ => return Ok(None),
    };
    if escape.is_some_and(|escape| pattern.contains(&format!("{escape}\""))) {
        return Err(Failure::refused("a separator in a SIMILAR TO pattern"));
    }
    matcher(&from_similar(pattern, escape), Flags::default())?.is_match(text).map(Some)
}

/// Text, matcher and flags.
type Call<'a> = (&'a str, std::rc::Rc<Matcher>, Flags);

/// A call with optional flags.
fn with_flags<'a>(arguments: &Arguments<'a>, function: &str, may_be_global: bool) -> Result<Option<Call<'a>>, Failure> {
    let (text, pattern, letters) = match arguments {
        [Some(text), Some(pattern)] => (*text, *pattern, ""),
        [Some(text), Some(pattern), Some(letters)] => (*text, *pattern, *letters),
        _ => return Ok(None),
    };
    let flags = Flags::read(letters, function, may_be_global)?;
    Ok(Some((text, matcher(pattern, flags)?, flags)))
}

fn like(arguments: &Arguments<'_>) -> Given<bool> {
    let Some((text, matcher, _)) = with_flags(arguments, "regexp_like", false)? else { return Ok(None) };
    matcher.is_match(text).map(Some)
}

/// `substring(text from pattern)`: the first group, or the whole match.
fn substring(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(pattern)] = arguments else { return Ok(None) };
    let matcher = matcher(pattern, Flags::default())?;
    let Some(span) = matcher.find(text, 0)? else { return Ok(None) };
    let span = match matcher.groups(text, span)?.first() {
        Some(group) => *group,
        None => Some(span),
    };
    Ok(span.map(|(start, end)| text[start..end].to_owned()))
}

/// `regexp_replace(text, pattern, replacement [, flags])`
fn replace(arguments: &Arguments<'_>) -> Given<String> {
    let (text, pattern, replacement, letters) = match arguments {
        [Some(text), Some(pattern), Some(replacement)] => (text, pattern, replacement, ""),
        [Some(text), Some(pattern), Some(replacement), Some(letters)] => (text, pattern, replacement, *letters),
        _ => return Ok(None),
    };
    if letters.starts_with(|c: char| c.is_ascii_digit()) {
        let first = letters.chars().next().unwrap_or_default();
        return Err(Failure::raised("22023", format!("invalid regular expression option: \"{first}\"")));
    }
    let flags = Flags::read(letters, "regexp_replace", true)?;
    let matcher = matcher(pattern, flags)?;
    replaced(text, &matcher, replacement, 0, if flags.global { 0 } else { 1 }).map(Some)
}

/// `regexp_replace(text, pattern, replacement, start [, n [, flags]])`
fn replace_from(arguments: &Arguments<'_>) -> Given<String> {
    let mut given = Vec::new();
    for argument in arguments {
        let Some(argument) = argument else { return Ok(None) };
        given.push(*argument);
    }
    let [text, pattern, replacement, start, rest @ ..] = given.as_slice() else { return Ok(None) };
    let from = start_of(text, start)?;
    let nth = rest.first().map_or(Ok(1), |n| at_least("n", n, 0))?;
    let flags = Flags::read(rest.get(1).copied().unwrap_or_default(), "regexp_replace", true)?;
    let matcher = matcher(pattern, flags)?;
    let Some(from) = from else { return Ok(Some((*text).to_owned())) };
    replaced(text, &matcher, replacement, from, nth).map(Some)
}

/// Replaces the n-th match from a position on; all of them for 0.
fn replaced(text: &str, matcher: &Matcher, replacement: &str, from: usize, nth: i64) -> Result<String, Failure> {
    let pieces = pieces(replacement);
    let (mut out, mut copied, mut at, mut seen) = (String::new(), 0, Some(from), 0);
    while let Some(start) = at {
        let Some(span) = matcher.find(text, start)? else { break };
        seen += 1;
        at = after(text, span);
        if nth > 0 && seen != nth {
            continue;
        }
        out.push_str(&text[copied..span.0]);
        let groups = match pieces.iter().any(|piece| matches!(piece, Piece::Group(1..))) {
            true => matcher.groups(text, span)?,
            false => Vec::new(),
        };
        for piece in &pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(0) => out.push_str(&text[span.0..span.1]),
                Piece::Group(group) => {
                    if let Some(Some((start, end))) = groups.get(group - 1) {
                        out.push_str(&text[*start..*end]);
                    }
                }
            }
        }
        copied = span.1;
        if nth > 0 {
            break;
        }
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// A part of a replacement.
enum Piece {
    Text(String),
    Group(usize),
}

/// `\1`, `\&` and `\\` mean something; any other backslash is one.
fn pieces(replacement: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut chars = replacement.chars().peekable();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        let group = match (c, chars.peek()) {
            ('\\', Some('&')) => Some(0),
            ('\\', Some(digit @ '1'..='9')) => digit.to_digit(10).map(|n| n as usize),
            ('\\', Some('\\')) => {
                chars.next();
                None
            }
            _ => None,
        };
        match group {
            Some(group) => {
                chars.next();
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Group(group));
            }
            None => text.push(c),
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// `regexp_match`: the groups, or the whole match.
fn first_match(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let Some((text, matcher, _)) = with_flags(arguments, "regexp_match", false)? else { return Ok(None) };
    let Some(span) = matcher.find(text, 0)? else { return Ok(None) };
    let groups = matcher.groups(text, span)?;
    let groups = if groups.is_empty() { vec![Some(span)] } else { groups };
    Ok(Some(groups.into_iter().map(|group| group.map(|(start, end)| text[start..end].to_owned())).collect()))
}

/// `regexp_matches`: for each match its groups as the text of an array; only the first without the flag `g`.
fn all_matches(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let Some((text, matcher, flags)) = with_flags(arguments, "regexp_matches", true)? else { return Ok(None) };
    let spans = match flags.global {
        true => matcher.all(text, 0)?,
        false => matcher.find(text, 0)?.into_iter().collect(),
    };
    let mut rows = Vec::new();
    for span in spans {
        let groups = matcher.groups(text, span)?;
        let groups = if groups.is_empty() { vec![Some(span)] } else { groups };
        let found: Vec<Option<&str>> = groups.into_iter().map(|group| group.map(|(a, b)| &text[a..b])).collect();
        rows.push(Some(crate::native::array::text(&found)));
    }
    Ok(Some(rows))
}

/// `regexp_split_to_array`: empty matches at the ends, or right behind another match, don't count.
fn split(arguments: &Arguments<'_>) -> Given<Vec<Option<String>>> {
    let Some((text, matcher, _)) = with_flags(arguments, "regexp_split_to_array", false)? else { return Ok(None) };
    let (mut parts, mut begun, mut behind) = (Vec::new(), 0, 0);
    for (start, end) in matcher.all(text, 0)? {
        if start < text.len() && end > behind {
            parts.push(Some(text[begun..start].to_owned()));
            begun = end;
        }
        behind = end;
    }
    parts.push(Some(text[begun..].to_owned()));
    Ok(Some(parts))
}

fn at_least(name: &str, text: &str, least: i64) -> Result<i64, Failure> {
    let number: i64 = text.parse().map_err(|_| Failure::refused(format!("the number {text}")))?;
    match number >= least {
        true => Ok(number),
        false => Err(Failure::raised("22023", format!("invalid value for parameter \"{name}\": {number}"))),
    }
}

/// The byte position of a character's position; nothing beyond the end.
fn start_of(text: &str, start: &str) -> Result<Option<usize>, Failure> {
    let start = at_least("start", start, 1)?;
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    Ok(places.nth(start as usize - 1))
}

/// All matches of a call `(text, pattern, start, …)`.
fn matches_from(arguments: &Arguments<'_>, letters: &str) -> Result<Option<Vec<Span>>, Failure> {
    let (Some(Some(text)), Some(Some(pattern))) = (arguments.first(), arguments.get(1)) else { return Ok(None) };
    let from = match arguments.get(2) {
        Some(Some(start)) => start_of(text, start)?,
        Some(None) => return Ok(None),
        None => Some(0),
    };
    let matcher = matcher(pattern, Flags::read(letters, "regexp_count", false)?)?;
    Ok(Some(from.map_or(Ok(Vec::new()), |from| matcher.all(text, from))?))
}

/// `regexp_count(text, pattern [, start [, flags]])`
fn count(arguments: &Arguments<'_>) -> Given<i64> {
    let letters = match arguments.get(3) {
        Some(Some(letters)) => letters,
        Some(None) => return Ok(None),
        None => "",
    };
    Ok(matches_from(arguments, letters)?.map(|found| found.len() as i64))
}

/// `regexp_substr(text, pattern [, start [, n]])`
fn nth(arguments: &Arguments<'_>) -> Given<String> {
    Ok(nth_match(arguments)?
        .flatten()
        .map(|(start, end)| arguments.first().copied().flatten().unwrap_or_default()[start..end].to_owned()))
}

/// `regexp_instr(text, pattern [, start [, n]])`
fn position(arguments: &Arguments<'_>) -> Given<i64> {
    let text = arguments.first().copied().flatten().unwrap_or_default();
    Ok(nth_match(arguments)?.map(|found| found.map_or(0, |(start, _)| text[..start].chars().count() as i64 + 1)))
}

fn nth_match(arguments: &Arguments<'_>) -> Result<Option<Option<Span>>, Failure> {
    let n = match arguments.get(3) {
        Some(Some(n)) => at_least("n", n, 1)?,
        Some(None) => return Ok(None),
        None => 1,
    };
    Ok(matches_from(arguments, "")?.map(|found| found.get(n as usize - 1).copied()))
}
