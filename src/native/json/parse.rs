//! Reads JSON as PostgreSQL's `json` and `jsonb` read it.
//!
//! Input: a text. Output: a [`Json`] value, or the server's error: 22P02 for what isn't JSON, 22P05 for `\u0000`, 22003 for numbers
//! that no `numeric` can be. Invariants: a document nested more deeply than [`DEPTH`] is refused, as the server's own limit is its
//! stack. Left out: the DETAIL of errors.

use std::borrow::Cow;

use super::super::Failure;
use super::number;
use super::value::{Json, Members, settle};

/// Levels of nesting that are followed.
const DEPTH: usize = 500;

type Parsed<T> = Result<T, Failure>;

/// Reads a document as jsonb does.
pub(super) fn jsonb(text: &str) -> Parsed<Json<'_>> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.end()?;
    Ok(value)
}

/// Checks a document as json does: its escapes aren't looked into.
pub(super) fn check(text: &str) -> Parsed<()> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.skip_value()?;
    parser.end()
}

pub(super) fn invalid() -> Failure {
    Failure::raised("22P02", "invalid input syntax for type json")
}

fn unsupported_escape() -> Failure {
    Failure::raised("22P05", "unsupported Unicode escape sequence")
}

/// A place in a text.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Parser<'a> {
        Parser { text, at: 0, depth: 0 }
    }

    /// The next byte that isn't a blank.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn end(&mut self) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(invalid()),
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.peek() != Some(byte) {
            return Err(invalid());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Parsed<Json<'a>> {
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            _ => match self.word()? {
                "null" => Ok(Json::Null),
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                digits => Ok(Json::Number(number::canonical(digits)?)),
            },
        }
    }

    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Failure::refused(format!("a JSON document nested more than {DEPTH} levels deep")));
        }
        Ok(())
    }

    /// After an element: is there another?
    pub(super) fn more(&mut self, close: u8) -> Parsed<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            _ => Err(invalid()),
        }
    }

    /// Right after the opening: is it empty?
    pub(super) fn empty(&mut self, close: u8) -> bool {
        if self.peek() != Some(close) {
            return false;
        }
        self.at += 1;
        self.depth -= 1;
        true
    }

    fn array(&mut self) -> Parsed<Json<'a>> {
        self.enter()?;
        let mut elements = Vec::new();
        if !self.empty(b']') {
            loop {
                elements.push(self.value()?);
                if !self.more(b']')? {
                    break;
                }
            }
        }
        Ok(Json::Array(elements))
    }

    fn object(&mut self) -> Parsed<Json<'a>> {
        self.enter()?;
        let mut members: Members<'a> = Vec::new();
        if !self.empty(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(invalid());
                }
                let key = self.string()?;
                self.expect(b':')?;
                members.push((key, self.value()?));
                if !self.more(b'}')? {
                    break;
                }
            }
        }
        settle(&mut members);
        Ok(Json::Object(members))
    }

    /// A number, `true`, `false` or `null`.
    pub(super) fn word(&mut self) -> Parsed<&'a str> {
        let rest = &self.text[self.at..];
        let length =
            rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-._".contains(b) || *b >= 0x80).count();
        let word = &rest[..length];
        if !matches!(word, "null" | "true" | "false") && !is_number(word) {
            return Err(invalid());
        }
        self.at += length;
        Ok(word)
    }

    /// A string, its escapes resolved.
    pub(super) fn string(&mut self) -> Parsed<Cow<'a, str>> {
        let raw = self.raw_string()?;
        match raw.contains('\\') {
            false => Ok(Cow::Borrowed(raw)),
            true => Ok(Cow::Owned(unescaped(raw)?)),
        }
    }

    /// What stands between a string's quotes; the escapes are well formed.
    pub(super) fn raw_string(&mut self) -> Parsed<&'a str> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        loop {
            match bytes.get(at) {
                None | Some(0..=0x1f) => return Err(invalid()),
                Some(b'"') => break,
                Some(b'\\') => {
                    at += match bytes.get(at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => match bytes.get(at + 2..at + 6) {
                            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => 6,
                            _ => return Err(invalid()),
                        },
                        _ => return Err(invalid()),
                    };
                }
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(&self.text[start..at])
    }

    /// Reads over a value; returns its text.
    pub(super) fn skip_value(&mut self) -> Parsed<&'a str> {
        let close = match self.peek() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            Some(b'"') => {
                let start = self.at;
                self.raw_string()?;
                return Ok(&self.text[start..self.at]);
            }
            _ => return self.word(),
        };
        let start = self.at;
        self.enter()?;
        if !self.empty(close) {
            loop {
                if close == b'}' {
                    if self.peek() != Some(b'"') {
                        return Err(invalid());
                    }
                    self.raw_string()?;
                    self.expect(b':')?;
                }
                self.skip_value()?;
                if !self.more(close)? {
                    break;
                }
            }
        }
        Ok(&self.text[start..self.at])
    }
}

/// JSON's grammar of numbers.
fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

/// Resolves the escapes of a string that is well formed.
pub(super) fn unescaped(raw: &str) -> Parsed<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        rest = &rest[at + 2..];
        match escape {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => {
                let (unit, after) = unit(rest)?;
                rest = after;
                let code = match unit {
                    0 => return Err(unsupported_escape()),
                    0xd800..0xdc00 => {
                        let (low, after) = rest.strip_prefix("\\u").map(self::unit).transpose()?.ok_or_else(invalid)?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return Err(invalid());
                        }
                        rest = after;
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    unit => unit,
                };
                text.push(char::from_u32(code).ok_or_else(invalid)?);
            }
            other => text.push(char::from(other)),
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// The four digits behind `\u`.
fn unit(text: &str) -> Parsed<(u32, &str)> {
    let digits = text.get(..4).ok_or_else(invalid)?;
    Ok((u32::from_str_radix(digits, 16).map_err(|_| invalid())?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use super::super::write::canonical;
    use super::*;

    #[test]
    fn documents_are_read_as_jsonb() {
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = jsonb(text).map(|value| canonical(&value)).map_err(|failure| match failure {
                Failure::Raised(sqlstate, _) => sqlstate.to_owned(),
                Failure::Refused(what) => what,
            });
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        };
        check(r#"{"bb":1,"a":2}"#, Ok(r#"{"a": 2, "bb": 1}"#));
        check(r#" {"a":1,"b":0,"a":2} "#, Ok(r#"{"a": 2, "b": 0}"#));
        check(r#"[1.0,-0,"x\u00e9\/",null,true,{},[]]"#, Ok(r#"[1.0, 0, "xé/", null, true, {}, []]"#));
        check(r#""a\u0000""#, Err("22P05"));
        check(r#""\ud83d\ude00""#, Ok("\"😀\""));
        check(r#""\ud83d""#, Err("22P02"));
        check(r#""\ude00""#, Err("22P02"));
        check(r#""\ud83dx""#, Err("22P02"));
        check("1e3", Ok("1000"));
        for broken in
            ["", "{", "{\"a\":}", "[1,]", "01", "1.", ".5", "nul", "truex", "'a'", "\"a", "\"\t\"", "1 2", "\"\\x\""]
        {
            check(broken, Err("22P02"));
        }
        check(&"[".repeat(600), Err("a JSON document nested more than 500 levels deep"));
    }

    #[test]
    fn documents_are_checked_as_json() {
        assert!(check(r#"{"a": "\u0000 \ud83d"}"#).is_ok());
        assert!(check(r#"{"a": "\u00zz"}"#).is_err());
        assert!(check("[1 2]").is_err());
    }
}
