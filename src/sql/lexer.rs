//! Lexer: where does a statement end, and what are its words?
//!
//! Input: SQL text. Output: tokens with byte ranges, and the statements between semicolons. Invariant: strings, names and
//! comments begin and end exactly where DuckDB 2.0's tokenizer (`base_tokenizer.cpp`) has them begin and end, because
//! [`super::guard`] relies on it. Left out: whether the text is valid.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A bare word: keyword or unquoted name.
    Word,
    /// A name in double quotes or backticks.
    QuotedName,
    /// A string, with its quotes or dollar tags.
    Text,
    /// A number.
    Number,
    /// Punctuation.
    Operator,
    /// `--` or `/* */`.
    Comment,
    /// `;`
    End,
}

/// A piece of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Bytes in the text.
    pub range: Range<usize>,
    /// The text ends inside it.
    pub unterminated: bool,
}

/// One statement of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// Its text, without the semicolon and without white space and comments around it.
    pub text: &'a str,
    /// Where it begins in the script, in bytes.
    pub offset: usize,
}

/// The statements of a script, without empty ones.
pub fn statements(sql: &str) -> Vec<Statement<'_>> {
    let tokens = tokens(sql);
    let mut found = Vec::new();
    for part in tokens.split(|t| t.kind == TokenKind::End) {
        let mut code = part.iter().filter(|t| t.kind != TokenKind::Comment);
        let Some(first) = code.next() else { continue };
        let end = code.next_back().unwrap_or(first).range.end;
        found.push(Statement { text: &sql[first.range.start..end], offset: first.range.start });
    }
    found
}

/// Is the text a whole number of statements: does its last one end with a semicolon?
pub fn is_complete(sql: &str) -> bool {
    let tokens = tokens(sql);
    let last = tokens.iter().rev().find(|t| t.kind != TokenKind::Comment || t.unterminated);
    last.is_none_or(|t| t.kind == TokenKind::End)
}

/// The text with every exotic space between tokens (pasted from a web page, say) replaced by as many plain ones. The engine
/// would do the same, but only after looking for strings by simpler rules than its tokenizer's.
pub fn plain_spaces(sql: &str) -> String {
    let mut plain = String::with_capacity(sql.len());
    let gap = |text: &str, plain: &mut String| {
        for c in text.chars() {
            if c.is_ascii() { plain.push(c) } else { plain.extend(std::iter::repeat_n(' ', c.len_utf8())) }
        }
    };
    let mut at = 0;
    for token in tokens(sql) {
        gap(&sql[at..token.range.start], &mut plain);
        plain.push_str(&sql[token.range.clone()]);
        at = token.range.end;
    }
    gap(&sql[at..], &mut plain);
    plain
}

/// Cuts the text into tokens; white space is left out.
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut lexer = Lexer { bytes: sql.as_bytes(), at: 0, tokens: Vec::new() };
    while lexer.at < lexer.bytes.len() {
        lexer.step(sql);
    }
    lexer.tokens
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: TokenKind, start: usize, end: usize, unterminated: bool) {
        let end = end.min(self.bytes.len());
        self.tokens.push(Token { kind, range: start..end, unterminated });
        self.at = end;
    }

    fn step(&mut self, sql: &str) {
        let start = self.at;
        match self.peek(0) {
            b'\'' => self.text(start, start + 1, false),
            quote @ (b'"' | b'`') => self.quoted(start, quote),
            b';' => self.push(TokenKind::End, start, start + 1, false),
            b'$' => self.dollar(start),
            b'-' if self.peek(1) == b'-' => self.line_comment(start),
            b'/' if self.peek(1) == b'*' => self.block_comment(start),
            b if is_space(b) => self.at += 1,
            b':' if matches!(self.peek(1), b':' | b'=') && !is_operator(self.peek(2)) => {
                self.push(TokenKind::Operator, start, start + 2, false);
            }
            b':' if matches!(self.peek(1), b':' | b'=') => self.operator(start),
            b if is_single(b) => self.push(TokenKind::Operator, start, start + 1, false),
            b'0'..=b'9' | b'.' => self.number(start),
            b if b"nNxXeEbB".contains(&b) && self.peek(1) == b'\'' => {
                self.text(start, start + 2, matches!(b, b'e' | b'E'));
            }
            b if is_punctuation(b) => self.operator(start),
            _ => match sql[start..].chars().next().filter(|c| is_unicode_space(*c)) {
                Some(space) => self.at += space.len_utf8(),
                None => self.word(sql, start),
            },
        }
    }

    fn text(&mut self, start: usize, from: usize, escapes: bool) {
        let mut at = from;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'\\' if escapes => at += 1,
                b'\'' if self.bytes.get(at + 1) == Some(&b'\'') => at += 1,
                b'\'' => return self.push(TokenKind::Text, start, at + 1, false),
                _ => {}
            }
            at += 1;
        }
        self.push(TokenKind::Text, start, at, true);
    }

    fn quoted(&mut self, start: usize, quote: u8) {
        let mut at = start + 1;
        while at < self.bytes.len() {
            if self.bytes[at] == quote {
                if self.bytes.get(at + 1) != Some(&quote) {
                    return self.push(TokenKind::QuotedName, start, at + 1, false);
                }
                at += 1;
            }
            at += 1;
        }
        self.push(TokenKind::QuotedName, start, at, true);
    }

    /// `$1` and `$name` are parameters, `$$` and `$tag$` open a string that ends at the same tag.
    fn dollar(&mut self, start: usize) {
        let rest = &self.bytes[start + 1..];
        let tag_length = rest.iter().position(|b| !is_tag(*b)).unwrap_or(rest.len());
        let opens = rest.get(tag_length) == Some(&b'$') && !rest[0].is_ascii_digit();
        if !opens {
            return self.push(TokenKind::Operator, start, start + 1, false);
        }
        let delimiter = &self.bytes[start..start + tag_length + 2];
        let body = start + delimiter.len();
        let close = self.bytes[body..].windows(delimiter.len()).position(|w| w == delimiter);
        match close {
            Some(close) => self.push(TokenKind::Text, start, body + close + delimiter.len(), false),
            None => self.push(TokenKind::Text, start, self.bytes.len(), true),
        }
    }

    fn line_comment(&mut self, start: usize) {
        let length = self.bytes[start..].iter().position(|b| matches!(b, b'\n' | b'\r'));
        self.push(TokenKind::Comment, start, length.map_or(self.bytes.len(), |l| start + l + 1), false);
    }

    fn block_comment(&mut self, start: usize) {
        let mut depth = 0;
        let mut at = start;
        while at + 1 < self.bytes.len() {
            match &self.bytes[at..at + 2] {
                b"/*" => (depth, at) = (depth + 1, at + 2),
                b"*/" => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
            if depth == 0 {
                return self.push(TokenKind::Comment, start, at, false);
            }
        }
        self.push(TokenKind::Comment, start, self.bytes.len(), true);
    }

    /// The engine reads digits, dots, separators and exponents greedily, then gives back what doesn't end in a digit or dot.
    fn number(&mut self, start: usize) {
        let bytes = self.bytes;
        let mut at = start + 1;
        while at < bytes.len() {
            let previous = bytes[at - 1];
            let goes_on = match bytes[at] {
                b'0'..=b'9' | b'.' => true,
                b'_' => previous.is_ascii_digit() && bytes.get(at + 1).is_some_and(u8::is_ascii_digit),
                b'e' | b'E' => {
                    !matches!(previous, b'e' | b'E') && (bytes[start].is_ascii_digit() || previous.is_ascii_digit())
                }
                b'+' | b'-' => matches!(previous, b'e' | b'E'),
                _ => false,
            };
            if !goes_on {
                break;
            }
            at += 1;
        }
        while !matches!(bytes[at - 1], b'0'..=b'9' | b'.') {
            at -= 1;
        }
        self.push(TokenKind::Number, start, at, false);
    }

    fn operator(&mut self, start: usize) {
        let mut at = start + 1;
        while at < self.bytes.len() && is_operator(self.bytes[at]) {
            if matches!(&self.bytes[at..(at + 2).min(self.bytes.len())], b"--" | b"/*") {
                break;
            }
            at += 1;
        }
        self.push(TokenKind::Operator, start, at, false);
    }

    fn word(&mut self, sql: &str, start: usize) {
        let end = sql[start..]
            .char_indices()
            .skip(1)
            .find(|(_, c)| !(*c == '$' || is_word(*c)))
            .map_or(sql.len(), |(index, _)| start + index);
        self.push(TokenKind::Word, start, end, false);
    }
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// The spaces that the engine replaces by a plain one before it reads the text.
fn is_unicode_space(c: char) -> bool {
    matches!(c, '\u{a0}' | '\u{2000}'..='\u{200b}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}')
}

fn is_single(b: u8) -> bool {
    b"(){}[],:?$#".contains(&b)
}

/// Bytes that an operator may go on with.
fn is_operator(b: u8) -> bool {
    b"+-*/%^<>=~!@&|".contains(&b)
}

/// Bytes that no word holds, and that begin an operator where nothing else claims them.
fn is_punctuation(b: u8) -> bool {
    b.is_ascii_punctuation() && b != b'_'
}

fn is_word(c: char) -> bool {
    match u8::try_from(c) {
        Ok(b) if b.is_ascii() => !(is_punctuation(b) || is_space(b)),
        _ => !is_unicode_space(c),
    }
}

fn is_tag(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &[&str]) {
        let found: Vec<&str> = statements(sql).iter().map(|s| s.text).collect();
        assert_eq!(found, expected, "{sql}");
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_outside_quotes_and_comments() {
        check("SELECT 1; SELECT 2;", &["SELECT 1", "SELECT 2"]);
        check("SELECT ';' ; -- ; no\nSELECT \";\"", &["SELECT ';'", "SELECT \";\""]);
        check("SELECT 'it''s;'; /* ; /* nested ; */ */ SELECT 2", &["SELECT 'it''s;'", "SELECT 2"]);
        check("SELECT $$;$$; SELECT $a$;$$;$a$; SELECT $1", &["SELECT $$;$$", "SELECT $a$;$$;$a$", "SELECT $1"]);
        check(r"SELECT E'\';'; SELECT '\'; SELECT 3", &[r"SELECT E'\';'", r"SELECT '\'", "SELECT 3"]);
        check("SELECT 1e5e'\\';'", &["SELECT 1e5e'\\';'"]);
        check("SELECT 5-->x;\n6; SELECT 1", &["SELECT 5-->x;\n6", "SELECT 1"]);
        check(";; \u{feff} ; -- nothing", &[]);
        check("SELECT 1 -- last", &["SELECT 1"]);
    }

    #[test]
    fn offsets_point_into_the_script() {
        let script = "SELECT 1;\n  SELECT 2";
        assert_eq!(statements(script)[1].offset, script.rfind("SELECT").expect("there"));
    }

    #[test]
    fn exotic_spaces_become_plain_ones_of_the_same_length() {
        assert_eq!(plain_spaces("SELECT\u{a0}'\u{a0}'\u{feff};"), "SELECT  '\u{a0}'   ;");
    }

    #[test]
    fn completeness_needs_the_semicolon() {
        for (sql, complete) in [
            ("SELECT 1;", true),
            ("SELECT 1; -- done", true),
            ("SELECT 1", false),
            ("SELECT ';", false),
            ("SELECT 1; /* open", false),
            ("", true),
        ] {
            assert_eq!(is_complete(sql), complete, "{sql}");
        }
    }

    #[test]
    fn every_byte_is_in_a_token_or_a_space() {
        let sql = "SELECT a.b::INT, 'x', \"y\", $p, 1.5e-3, é >= 2 /* c */ -- d";
        let mut rest = sql.to_owned();
        for token in tokens(sql).iter().rev() {
            rest.replace_range(token.range.clone(), "");
        }
        assert_eq!(rest.trim(), "");
    }
}
