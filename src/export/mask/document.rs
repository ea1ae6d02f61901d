//! Documents: how are the values at some paths of a `json` text masked, and nothing else of it changed?
//!
//! Input: the text of a `json` or `jsonb` value, and paths with rules. Output: the text with other strings and numbers at those
//! paths, byte for byte the same elsewhere: digits of numbers, blanks and doubled keys of `json` included. Invariants: whatever
//! lies below a path is masked as well; a path's key reaches through arrays, so that a forgotten `[]` masks more, never less; what a
//! rule can't change (true, false, a number with a fraction) becomes null, so that no plain value passes.

use anyhow::{Result, bail};

use super::secret::Secret;
use super::{Limits, Rule, texts};

/// Levels that a document may have: each takes a place on the stack.
const DEEPEST: usize = 1000;

/// One step down a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The value of a key.
    Key(String),
    /// Every element of an array.
    Elements,
}

/// What happens at a path; an empty path is the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRule {
    /// The way there.
    pub path: Vec<Step>,
    /// What is done to every value there and below.
    pub rule: Rule,
}

/// Masks `text`; `counts` counts the values found at each path.
///
/// # Errors
/// When the text isn't JSON, or nested too deeply.
pub fn masked(secret: &Secret, limits: Limits, rules: &[PathRule], text: &str, counts: &mut [u64]) -> Result<String> {
    let mut walker = Walker { secret, limits, rules, counts, text, at: 0, out: String::with_capacity(text.len() + 16) };
    let start: Vec<Place> = (0..rules.len()).map(|rule| Place { rule, step: 0 }).collect();
    walker.blanks();
    walker.value(&start, None, 0)?;
    walker.blanks();
    if walker.at < text.len() {
        bail!("a document goes on after its end");
    }
    Ok(walker.out)
}

/// How far along its path a rule has come.
#[derive(Clone, Copy)]
struct Place {
    rule: usize,
    step: usize,
}

struct Walker<'a> {
    secret: &'a Secret,
    limits: Limits,
    rules: &'a [PathRule],
    counts: &'a mut [u64],
    text: &'a str,
    at: usize,
    out: String,
}

impl<'a> Walker<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Copies `bytes` bytes.
    fn copy(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn blanks(&mut self) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| blank(byte)).count();
        self.copy(count);
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            bail!("a document isn't JSON at byte {}", self.at + 1);
        }
        self.copy(1);
        self.blanks();
        Ok(())
    }

    /// One value. `under` is the rule of a path that has ended above it.
    fn value(&mut self, places: &[Place], under: Option<Rule>, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            bail!("a document is nested deeper than {DEEPEST} levels");
        }
        let mut under = under;
        let mut open = Vec::new();
        for place in places {
            if place.step == self.rules[place.rule].path.len() {
                self.counts[place.rule] += 1;
                // The rule of the longest path is the last one given, and wins.
                under = Some(self.rules[place.rule].rule);
            } else {
                open.push(*place);
            }
        }
        if under == Some(Rule::Null) {
            self.skip(depth)?;
            self.out.push_str("null");
            return Ok(());
        }
        match self.peek() {
            Some(b'{') => self.object(&open, under, depth),
            Some(b'[') => self.array(&open, under, depth),
            _ => self.leaf(under),
        }
    }

    fn object(&mut self, places: &[Place], under: Option<Rule>, depth: usize) -> Result<()> {
        self.expect(b'{')?;
        while self.peek() != Some(b'}') {
            let key = &self.text[self.at..self.at + self.string_length()?];
            self.copy(key.len());
            self.blanks();
            self.expect(b':')?;
            let name = unescaped(key);
            let further = places.iter().filter(|place| {
                matches!((&self.rules[place.rule].path[place.step], &name), (Step::Key(wanted), Some(name)) if wanted == name)
            });
            let further: Vec<Place> = further.map(|place| Place { step: place.step + 1, ..*place }).collect();
            self.value(&further, under, depth + 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.expect(b',')?,
                _ => break,
            }
        }
        self.close(b'}')
    }

    fn array(&mut self, places: &[Place], under: Option<Rule>, depth: usize) -> Result<()> {
        self.expect(b'[')?;
        let further = places.iter().map(|place| match self.rules[place.rule].path[place.step] {
            Step::Elements => Place { step: place.step + 1, ..*place },
            Step::Key(_) => *place,
        });
        let further: Vec<Place> = further.collect();
        while self.peek() != Some(b']') {
            self.value(&further, under, depth + 1)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.expect(b',')?,
                _ => break,
            }
        }
        self.close(b']')
    }

    fn close(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            bail!("a document isn't JSON at byte {}", self.at + 1);
        }
        self.copy(1);
        Ok(())
    }

    fn leaf(&mut self, under: Option<Rule>) -> Result<()> {
        let length = self.leaf_length()?;
        let Some(rule) = under else {
            self.copy(length);
            return Ok(());
        };
        let plain = &self.text[self.at..self.at + length];
        self.at += length;
        match plain.as_bytes()[0] {
            b'"' => {
                // Half a surrogate pair is no text: what is written there is masked instead.
                let text = unescaped(plain).unwrap_or_else(|| plain.to_owned());
                escape(&texts::masked(self.secret, self.limits, rule, &text), &mut self.out);
            }
            b't' | b'f' | b'n' => self.out.push_str("null"),
            _ => match (rule, plain.parse::<i64>()) {
                (Rule::Redact, _) => self.out.push('0'),
                (Rule::Hash, Ok(number)) => self.out.push_str(&self.secret.permute(number).to_string()),
                (_, Ok(number)) => self.out.push_str(&self.secret.permute_digits(number).to_string()),
                (_, Err(_)) => self.out.push_str("null"),
            },
        }
        Ok(())
    }

    /// Steps over a value without writing it.
    fn skip(&mut self, depth: usize) -> Result<()> {
        let kept = self.out.len();
        match self.peek() {
            Some(b'{') => self.object(&[], None, depth)?,
            Some(b'[') => self.array(&[], None, depth)?,
            _ => self.leaf(None)?,
        }
        self.out.truncate(kept);
        Ok(())
    }

    fn leaf_length(&self) -> Result<usize> {
        if self.peek() == Some(b'"') {
            return self.string_length();
        }
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        match self.text.as_bytes()[self.at..].iter().take_while(|byte| plain(byte)).count() {
            0 => bail!("a document isn't JSON at byte {}", self.at + 1),
            length => Ok(length),
        }
    }

    /// Bytes of the string that begins here, quotes included.
    fn string_length(&self) -> Result<usize> {
        let bytes = &self.text.as_bytes()[self.at..];
        let mut at = 1;
        if bytes.first() == Some(&b'"') {
            while let Some(byte) = bytes.get(at) {
                match byte {
                    b'"' => return Ok(at + 1),
                    b'\\' => at += 2,
                    _ => at += 1,
                }
            }
        }
        bail!("a document isn't JSON at byte {}", self.at + 1)
    }
}

fn unescaped(string: &str) -> Option<String> {
    serde_json::from_str(string).ok()
}

/// A string as PostgreSQL writes it in a document.
fn escape(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &[&str], rule: Rule) -> PathRule {
        let step = |step: &&str| if *step == "[]" { Step::Elements } else { Step::Key((*step).to_owned()) };
        PathRule { path: path.iter().map(step).collect(), rule }
    }

    fn check(rules: &[PathRule], text: &str, expected: &str) {
        let limits = Limits { hash: 26, fake: 100 };
        let mut counts = vec![0; rules.len()];
        let made = masked(&Secret::new(b"a salt of sixteen bytes"), limits, rules, text, &mut counts).expect(text);
        assert_eq!(made, expected);
    }

    #[test]
    fn paths_are_masked_and_nothing_else() {
        let email = [rule(&["user", "email"], Rule::Redact)];
        check(
            &email,
            r#"{"a": 1.50, "user": {"email": "x\"y", "id": 7}}"#,
            r#"{"a": 1.50, "user": {"email": "***", "id": 7}}"#,
        );
        check(
            &email,
            r#"{ "user":[{"email" :"x"},{"email":12.5}] , "email":"kept"}"#,
            r#"{ "user":[{"email" :"***"},{"email":0}] , "email":"kept"}"#,
        );
        check(
            &email,
            r#"{"us\u0065r": {"email": {"deep": ["x", true, null]}}}"#,
            r#"{"us\u0065r": {"email": {"deep": ["***", null, null]}}}"#,
        );
        check(&email, "null", "null");
        check(&email, "[]", "[]");
        check(
            &[rule(&["items", "[]", "name"], Rule::Null)],
            r#"{"items": [{"name": {"x": [1]}}, {}]}"#,
            r#"{"items": [{"name": null}, {}]}"#,
        );
        check(&[rule(&[], Rule::Redact)], r#"{"a": ["b", 1, false, -2e400]}"#, r#"{"a": ["***", 0, null, 0]}"#);
        check(&[rule(&["[]"], Rule::Redact)], r#"["a", {"b": "c"}]"#, r#"["***", {"b": "***"}]"#);
    }

    #[test]
    fn what_a_rule_cannot_change_becomes_null() {
        check(&[rule(&["n"], Rule::Hash)], r#"{"n": 1.5}"#, r#"{"n": null}"#);
        check(&[rule(&["n"], Rule::KeepLength)], r#"{"n": true}"#, r#"{"n": null}"#);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let limits = Limits { hash: 26, fake: 100 };
        for text in ["", "{", "{\"a\"}", "[1,", "\"a", "1 2", "{\"a\": }"] {
            let made = masked(&Secret::new(b"salt"), limits, &[rule(&["a"], Rule::Null)], text, &mut [0]);
            assert!(made.is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(masked(&Secret::new(b"salt"), limits, &[], &deep, &mut []).is_err());
    }
}
