//! The skeleton of an SQL text: where are its comments, its semicolons and its psql lines?
//!
//! Input: a text in PostgreSQL's lexical rules. Output: [`Piece`]s in order. Invariants: one pass; what stands in quotes, dollar
//! quotes and nested comments is skipped as the server's scanner does; every piece ends on a character boundary. This is needed
//! beside PostgreSQL's own scanner because psql lines aren't SQL and may hold what no scanner accepts, and because that scanner
//! doesn't say where an open quote begins. Left out: what the words mean; `standard_conforming_strings = off`.

/// A piece of the skeleton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Kinds of [`Piece`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// `-- …`, without the line break.
    LineComment,
    /// `/* … */`.
    BlockComment,
    /// A backslash command of psql, to the end of its line.
    Psql,
    /// The end of a statement, or of a part of a routine's body.
    Semicolon,
    /// What follows the statement `COPY … FROM STDIN`, from the next line to `\.` or the end of the text: data, not SQL.
    CopyData,
    /// A quote or comment that nothing closes, to the end of the text.
    Open,
}

/// Reads the skeleton.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut lexer = Lexer { bytes: text.as_bytes(), at: 0, pieces: Vec::new(), copy: CopyWatch::default() };
    lexer.run();
    lexer.pieces
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    pieces: Vec<Piece>,
    copy: CopyWatch,
}

/// Watches a statement's words for COPY … FROM STDIN.
#[derive(Default)]
struct CopyWatch {
    /// Where the statement's first word starts.
    first: Option<usize>,
    is_copy: bool,
    after_from: bool,
    from_stdin: bool,
}

impl CopyWatch {
    fn word(&mut self, word: &[u8], start: usize) {
        if self.first.is_none() {
            self.first = Some(start);
            self.is_copy = word.eq_ignore_ascii_case(b"copy");
        } else if self.is_copy {
            self.from_stdin |= self.after_from && word.eq_ignore_ascii_case(b"stdin");
            self.after_from = word.eq_ignore_ascii_case(b"from");
        }
    }
}

impl Lexer<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            let start = self.at;
            match byte {
                b'-' if self.peek(1) == Some(b'-') => {
                    self.at = self.line_end();
                    self.push(PieceKind::LineComment, start);
                }
                b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
                b'\'' => self.quoted(b'\'', false),
                b'"' => self.quoted(b'"', false),
                b'$' => self.dollar(),
                b'\\' => {
                    self.at = self.line_end();
                    self.push(PieceKind::Psql, start);
                }
                b';' => {
                    self.at += 1;
                    self.push(PieceKind::Semicolon, start);
                    let copy = std::mem::take(&mut self.copy);
                    if copy.from_stdin {
                        self.copy_data();
                    }
                }
                _ if is_word_start(byte) => self.word(),
                _ => self.at += 1,
            }
        }
    }

    fn push(&mut self, kind: PieceKind, start: usize) {
        self.pieces.push(Piece { kind, start, end: self.at });
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn copy_data(&mut self) {
        self.at = self.line_end();
        while self.peek(0).is_some_and(|byte| byte == b'\r' || byte == b'\n') {
            self.at += 1;
            if self.bytes[self.at - 1] == b'\n' {
                break;
            }
        }
        let start = self.at;
        while self.at < self.bytes.len() {
            let end = self.line_end();
            let ends = &self.bytes[self.at..end] == b"\\.";
            self.at = end;
            while !ends && self.peek(0).is_some_and(|byte| byte == b'\r') {
                self.at += 1;
            }
            if ends {
                break;
            }
            self.at = (self.at + 1).min(self.bytes.len());
        }
        self.push(PieceKind::CopyData, start);
    }

    fn line_end(&self) -> usize {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let carriage = length > 0 && rest[length - 1] == b'\r';
        self.at + length - usize::from(carriage)
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.bytes[self.at], self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return self.push(PieceKind::BlockComment, start);
                    }
                }
                _ => self.at += 1,
            }
        }
        self.push(PieceKind::Open, start);
    }

    /// A quote; a doubled one inside is a character of it.
    fn quoted(&mut self, quote: u8, escapes: bool) {
        let start = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            if byte == quote {
                if self.peek(0) == Some(quote) {
                    self.at += 1;
                    continue;
                }
                return;
            }
            if escapes && byte == b'\\' {
                self.at = (self.at + 1).min(self.bytes.len());
            }
        }
        self.push(PieceKind::Open, start);
    }

    /// `$tag$ … $tag$`; a lone `$` is a parameter or an operator.
    fn dollar(&mut self) {
        let start = self.at;
        let tag_end = (start + 1..self.bytes.len()).find(|&i| !is_word_part(self.bytes[i]) || self.bytes[i] == b'$');
        let tag_end = tag_end.filter(|&end| self.bytes[end] == b'$' && !self.bytes[start + 1].is_ascii_digit());
        let Some(tag_end) = tag_end else {
            self.at += 1;
            return;
        };
        let tag = &self.bytes[start..=tag_end];
        let body = &self.bytes[tag_end + 1..];
        match find(body, tag) {
            Some(length) => self.at = tag_end + 1 + length + tag.len(),
            None => {
                self.at = self.bytes.len();
                self.push(PieceKind::Open, start);
            }
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(|b| is_word_part(*b)) {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        if word.eq_ignore_ascii_case(b"e") && self.peek(0) == Some(b'\'') {
            return self.quoted(b'\'', true);
        }
        self.copy.word(word, start);
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|b| *b == wanted[0]) {
        if text[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(PieceKind, &str)]) {
        let found: Vec<(PieceKind, &str)> = pieces(text).iter().map(|p| (p.kind, &text[p.start..p.end])).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn semicolons_in_quotes_end_nothing() {
        use PieceKind::Semicolon;
        check("SELECT ';' , \";\", $$;$$, $a$ $b$;$b$ $a$ ;", &[(Semicolon, ";")]);
        check(r"SELECT E'it\';s', 'a\' ;", &[(Semicolon, ";")]);
        check(r"SELECT e'a''\';', U&'\;' ;", &[(Semicolon, ";")]);
        check("SELECT a$b$c;$1 ;", &[(Semicolon, ";"), (Semicolon, ";")]);
    }

    #[test]
    fn comments_nest_and_hide_what_they_hold() {
        use PieceKind::{BlockComment, LineComment, Semicolon};
        check(
            "-- it's; one\r\nSELECT 1; /* a /* ; */ ' */",
            &[(LineComment, "-- it's; one"), (Semicolon, ";"), (BlockComment, "/* a /* ; */ ' */")],
        );
    }

    #[test]
    fn psql_lines_and_copy_data_are_not_sql() {
        use PieceKind::{CopyData, Psql, Semicolon};
        check("\\echo it's on\nSELECT 1;", &[(Psql, "\\echo it's on"), (Semicolon, ";")]);
        check("copy \"t\" (a) FROM stdin;\n1\tit's\n\\.\n", &[(Semicolon, ";"), (CopyData, "1\tit's\n\\.")]);
        check("COPY t FROM stdin;\n\\.\nSELECT 1;", &[(Semicolon, ";"), (CopyData, "\\."), (Semicolon, ";")]);
        check("COPY t FROM 'stdin';", &[(Semicolon, ";")]);
    }

    #[test]
    fn what_nothing_closes_is_said_to_be_open() {
        use PieceKind::Open;
        check("SELECT 'a", &[(Open, "'a")]);
        check("SELECT 'it''s", &[(Open, "'it''s")]);
        check("DO $x$ BEGIN", &[(Open, "$x$ BEGIN")]);
        check("/* /* */", &[(Open, "/* /* */")]);
        check(r"SELECT E'\", &[(Open, r"'\")]);
    }
}
