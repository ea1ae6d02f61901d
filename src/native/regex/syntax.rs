//! PostgreSQL's advanced regular expressions, written as the `regex` crates write them.
//!
//! Input: a pattern and flags. Output: the pattern in the other dialect, and what must be known to match as the server does.
//! Invariants: a pattern that the server refuses is its error (2201B); a construct that can't be carried over is refused by name.
//! Left out: back references, look-around, collating elements, the older dialects.

use crate::native::Failure;

/// How a pattern is read and matched.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub ignores_case: bool,
    /// `.` and complements don't match a newline.
    pub lines_end_any: bool,
    /// `^` and `$` match at newlines, too.
    pub lines_anchor: bool,
    /// All matches.
    pub global: bool,
}

impl Flags {
    /// Reads the letters of the flags argument; `g` only where the function allows it.
    pub fn read(letters: &str, function: &str, may_be_global: bool) -> Result<Flags, Failure> {
        let mut flags = Flags::default();
        for letter in letters.chars() {
            match letter {
                'g' if may_be_global => flags.global = true,
                'g' => {
                    return Err(Failure::raised(
                        "22023",
                        format!("{function}() does not support the \"global\" option"),
                    ));
                }
                'i' => flags.ignores_case = true,
                'c' => flags.ignores_case = false,
                'n' | 'm' => (flags.lines_end_any, flags.lines_anchor) = (true, true),
                'p' => (flags.lines_end_any, flags.lines_anchor) = (true, false),
                'w' => (flags.lines_end_any, flags.lines_anchor) = (false, true),
                's' => (flags.lines_end_any, flags.lines_anchor) = (false, false),
                't' => {}
                'x' | 'q' | 'b' | 'e' => {
                    return Err(Failure::refused(format!("the regular expression option {letter}")));
                }
                other => {
                    return Err(Failure::raised("22023", format!("invalid regular expression option: \"{other}\"")));
                }
            }
        }
        Ok(flags)
    }
}

/// What a pattern prefers among matches that begin at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preference {
    Longest,
    Shortest,
    /// Greedy and non-greedy parts: the server's rules for the whole can't be carried over.
    Mixed,
}

/// A translated pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    pub text: String,
    pub groups: usize,
    pub preference: Preference,
    /// Why what a group matched can't be told, where that is so.
    pub unsure_groups: Option<&'static str>,
    /// Letters beyond ASCII are judged by the server's locale.
    pub by_locale: bool,
    /// Blanks beyond ASCII likewise.
    pub spaces_by_locale: bool,
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str, mut flags: Flags) -> Result<Pattern, Failure> {
    let mut rest = pattern;
    if rest.starts_with("***") {
        return Err(Failure::refused(format!("a director in the regular expression '{pattern}'")));
    }
    if let Some(options) = rest.strip_prefix("(?")
        && options.starts_with(|c: char| c.is_ascii_alphabetic())
        && let Some((letters, after)) = options.split_once(')')
    {
        let embedded = Flags::read(letters, "regexp", false)?;
        flags.ignores_case = if letters.contains(['i', 'c']) { embedded.ignores_case } else { flags.ignores_case };
        if letters.contains(['n', 'm', 'p', 'w', 's']) {
            (flags.lines_end_any, flags.lines_anchor) = (embedded.lines_end_any, embedded.lines_anchor);
        }
        rest = after;
    }
    let mut parser = Parser {
        pattern,
        chars: rest.chars().collect(),
        at: 0,
        flags,
        out: String::new(),
        groups: 0,
        depth: 0,
        greedy: false,
        lazy: false,
        unsure_groups: None,
        by_locale: false,
        spaces_by_locale: false,
        top_alternatives: false,
    };
    let flag = if flags.ignores_case { "(?i)" } else { "" };
    parser.out.push_str(flag);
    parser.alternatives()?;
    if parser.at < parser.chars.len() {
        return Err(parser.invalid("parentheses () not balanced"));
    }
    if flags.ignores_case && pattern.chars().any(|c| !c.is_ascii() && c.is_alphabetic()) {
        return Err(parser.refused("letters beyond ASCII without regard to case"));
    }
    let preference = match (parser.greedy || parser.top_alternatives, parser.lazy) {
        (_, false) => Preference::Longest,
        (false, true) => Preference::Shortest,
        (true, true) => Preference::Mixed,
    };
    Ok(Pattern {
        text: parser.out,
        groups: parser.groups,
        preference,
        unsure_groups: parser.unsure_groups,
        by_locale: parser.by_locale,
        spaces_by_locale: parser.spaces_by_locale,
    })
}

struct Parser<'p> {
    pattern: &'p str,
    chars: Vec<char>,
    at: usize,
    flags: Flags,
    out: String,
    groups: usize,
    depth: usize,
    greedy: bool,
    lazy: bool,
    unsure_groups: Option<&'static str>,
    by_locale: bool,
    spaces_by_locale: bool,
    top_alternatives: bool,
}

/// A branch: the text it is, where it is nothing but letters.
type Literal = Option<String>;

/// What an atom is to the quantifier behind it.
#[derive(PartialEq)]
enum Atom {
    Plain(char),
    Set,
    Group {
        captures: bool,
    },
    /// `^`, `\m` and the like: nothing may repeat it.
    Constraint,
}

impl Parser<'_> {
    fn invalid(&self, why: &str) -> Failure {
        Failure::raised("2201B", format!("invalid regular expression: {why}"))
    }

    fn refused(&self, what: &str) -> Failure {
        Failure::refused(format!("{what} in the regular expression '{}'", self.pattern))
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn takes(&mut self, text: &str) -> bool {
        let found = self.chars[self.at..].iter().copied().take(text.len()).eq(text.chars());
        if found {
            self.at += text.len();
        }
        found
    }

    fn alternatives(&mut self) -> Result<(), Failure> {
        let mut branches = vec![self.branch()?];
        while self.peek() == Some('|') {
            self.at += 1;
            self.out.push('|');
            branches.push(self.branch()?);
        }
        if branches.len() > 1 {
            self.top_alternatives |= self.depth == 0;
            // Words of which none begins another: at most one of them matches at a place.
            let apart = branches.iter().enumerate().all(|(n, one)| {
                one.as_ref().is_some_and(|one| {
                    branches.iter().enumerate().all(|(m, other)| {
                        n == m || other.as_ref().is_some_and(|other| !one.starts_with(other.as_str()))
                    })
                })
            });
            if !apart {
                self.unsure_groups = Some("groups beside alternatives");
            }
        }
        Ok(())
    }

    fn branch(&mut self) -> Result<Literal, Failure> {
        let mut literal: Literal = Some(String::new());
        while let Some(c) = self.peek() {
            if c == '|' || (c == ')' && self.depth > 0) {
                break;
            }
            let before = self.groups;
            let start = self.out.len();
            let atom = self.atom()?;
            let quantified = self.quantifier(&atom, start)?;
            if quantified && (self.groups > before || matches!(atom, Atom::Group { captures: true })) {
                self.unsure_groups = Some("repeated groups");
            }
            literal = match (literal, &atom) {
                (Some(text), Atom::Plain(c)) if !quantified => Some(text + &c.to_string()),
                _ => None,
            };
        }
        Ok(literal)
    }

    /// A quantifier, where one follows.
    fn quantifier(&mut self, atom: &Atom, start: usize) -> Result<bool, Failure> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit) => self.bounds()?,
            _ => return Ok(false),
        };
        if self.peek() != Some('}') && self.chars.get(self.at.wrapping_sub(1)) != Some(&'}') {
            self.at += 1;
        }
        if *atom == Atom::Constraint {
            return Err(self.invalid("quantifier operand invalid"));
        }
        let lazy = self.peek() == Some('?');
        self.at += usize::from(lazy);
        if matches!(self.peek(), Some('*' | '+' | '?'))
            || (self.peek() == Some('{') && self.chars.get(self.at + 1).is_some_and(char::is_ascii_digit))
        {
            return Err(self.invalid("quantifier operand invalid"));
        }
        // An exact count has no preference of its own.
        if most != Some(least) {
            self.greedy |= !lazy;
            self.lazy |= lazy;
        }
        let atom = self.out.split_off(start);
        let bounds = match most {
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        self.out.push_str(&format!("(?:{atom}){bounds}{}", if lazy { "?" } else { "" }));
        Ok(true)
    }

    /// `{m}`, `{m,}`, `{m,n}`; ends on the closing brace.
    fn bounds(&mut self) -> Result<(u32, Option<u32>), Failure> {
        let closing = self.chars[self.at..].iter().position(|c| *c == '}').map(|length| self.at + length);
        let Some(closing) = closing else { return Err(self.invalid("braces {} not balanced")) };
        let inner: String = self.chars[self.at + 1..closing].iter().collect();
        let number =
            |text: &str| text.parse::<u32>().ok().filter(|n| *n <= 255 && text.bytes().all(|b| b.is_ascii_digit()));
        let invalid = || self.invalid("invalid repetition count(s)");
        let bounds = match inner.split_once(',') {
            None => number(&inner).map(|n| (n, Some(n))),
            Some((least, "")) => number(least).map(|n| (n, None)),
            Some((least, most)) => number(least).zip(number(most)).map(|(m, n)| (m, Some(n))),
        };
        let (least, most) = bounds.ok_or_else(invalid)?;
        if most.is_some_and(|most| most < least) {
            return Err(invalid());
        }
        self.at = closing + 1;
        Ok((least, most))
    }

    fn atom(&mut self) -> Result<Atom, Failure> {
        let Some(c) = self.next() else { return Ok(Atom::Constraint) };
        match c {
            '*' | '+' | '?' => Err(self.invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => Err(self.invalid("quantifier operand invalid")),
            '(' => self.group(),
            ')' => Err(self.invalid("parentheses () not balanced")),
            '[' => self.set().map(|()| Atom::Set),
            '.' => {
                self.out.push_str(if self.flags.lines_end_any { "[^\\n]" } else { "(?s:.)" });
                Ok(Atom::Set)
            }
            '^' => {
                self.out.push_str(if self.flags.lines_anchor { "(?m:^)" } else { "\\A" });
                Ok(Atom::Constraint)
            }
            '$' => {
                self.out.push_str(if self.flags.lines_anchor { "(?m:$)" } else { "\\z" });
                Ok(Atom::Constraint)
            }
            '\\' => self.escape(),
            c => {
                self.literal(c);
                Ok(Atom::Plain(c))
            }
        }
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn group(&mut self) -> Result<Atom, Failure> {
        let captures = !self.takes("?:");
        if captures && self.peek() == Some('?') {
            return Err(match self.chars.get(self.at + 1) {
                Some('=' | '!' | '<') => self.refused("a look-around"),
                _ => self.invalid("quantifier operand invalid"),
            });
        }
        self.groups += usize::from(captures);
        self.depth += 1;
        self.out.push_str(if captures { "(" } else { "(?:" });
        self.alternatives()?;
        if self.next() != Some(')') {
            return Err(self.invalid("parentheses () not balanced"));
        }
        self.depth -= 1;
        self.out.push(')');
        Ok(Atom::Group { captures })
    }

    fn escape(&mut self) -> Result<Atom, Failure> {
        let Some(c) = self.next() else { return Err(self.invalid("invalid escape \\ sequence")) };
        let constraint = match c {
            'A' => Some("\\A"),
            'Z' => Some("\\z"),
            'm' => Some("(?-u:\\b{start})"),
            'M' => Some("(?-u:\\b{end})"),
            'y' => Some("(?-u:\\b)"),
            'Y' => Some("(?-u:\\B)"),
            _ => None,
        };
        if let Some(constraint) = constraint {
            self.by_locale |= c.is_ascii_lowercase() || c == 'M' || c == 'Y';
            self.out.push_str(constraint);
            return Ok(Atom::Constraint);
        }
        if let Some(class) = self.shorthand(c) {
            self.out.push_str(&class);
            return Ok(Atom::Set);
        }
        let literal = self.escaped_character(c)?;
        self.literal(literal);
        Ok(Atom::Plain(literal))
    }

    /// `\d` and its kin.
    fn shorthand(&mut self, c: char) -> Option<String> {
        let inner = match c.to_ascii_lowercase() {
            'd' => "0-9",
            's' => {
                self.spaces_by_locale = true;
                " \\t\\n\\r\\x0B\\x0C"
            }
            'w' => {
                self.by_locale = true;
                "0-9A-Za-z_"
            }
            _ => return None,
        };
        // A complement doesn't match a newline where `.` doesn't: but for \S, which never does.
        let newline = if c.is_ascii_uppercase() && self.flags.lines_end_any { "\\n" } else { "" };
        Some(format!("[{}{inner}{newline}]", if c.is_ascii_uppercase() { "^" } else { "" }))
    }

    fn escaped_character(&mut self, c: char) -> Result<char, Failure> {
        Ok(match c {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'u' | 'U' => {
                let length = if c == 'u' { 4 } else { 8 };
                let digits: String = self.chars.iter().skip(self.at).take(length).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == length);
                self.at += length;
                code.and_then(char::from_u32).ok_or_else(|| self.invalid("invalid escape \\ sequence"))?
            }
            c if c.is_ascii_digit() => return Err(self.refused("a back reference")),
            'c' | 'x' => return Err(self.refused("an escape")),
            c if c.is_ascii_alphabetic() => return Err(self.invalid("invalid escape \\ sequence")),
            c => c,
        })
    }

    /// `[…]`
    fn set(&mut self) -> Result<(), Failure> {
        let negated = self.takes("^");
        let mut items = String::new();
        let mut first = true;
        loop {
            let Some(c) = self.next() else { return Err(self.invalid("brackets [] not balanced")) };
            if c == ']' && !first {
                break;
            }
            first = false;
            let low = match c {
                '[' if matches!(self.peek(), Some(':')) => {
                    self.at += 1;
                    let class = self.named_class()?;
                    items.push_str(&class);
                    continue;
                }
                '[' if matches!(self.peek(), Some('.' | '=')) => return Err(self.refused("a collating element")),
                '\\' => {
                    let Some(escaped) = self.next() else { return Err(self.invalid("brackets [] not balanced")) };
                    if escaped.is_ascii_uppercase() && "DSW".contains(escaped) {
                        return Err(self.refused("a complement within brackets"));
                    }
                    if let Some(class) = self.shorthand(escaped) {
                        items.push_str(&class);
                        continue;
                    }
                    self.escaped_character(escaped)?
                }
                c => c,
            };
            // A range, unless the hyphen is the last.
            if self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']') {
                self.at += 1;
                let high = match self.next() {
                    Some('[') if matches!(self.peek(), Some(':' | '.' | '=')) => {
                        return Err(self.refused("a range that ends in a class"));
                    }
                    Some('\\') => match self.next() {
                        Some(escaped) if "dswDSW".contains(escaped) => {
                            return Err(self.invalid("invalid character range"));
                        }
                        Some(escaped) => self.escaped_character(escaped)?,
                        None => return Err(self.invalid("brackets [] not balanced")),
                    },
                    Some(c) => c,
                    None => return Err(self.invalid("brackets [] not balanced")),
                };
                if high < low {
                    return Err(self.invalid("invalid character range"));
                }
                items.push_str(&format!("{}-{}", set_member(low), set_member(high)));
                continue;
            }
            items.push_str(&set_member(low));
        }
        if negated && self.flags.lines_end_any {
            items.push_str("\\n");
        }
        self.out.push_str(&format!("[{}{items}]", if negated { "^" } else { "" }));
        Ok(())
    }

    fn named_class(&mut self) -> Result<String, Failure> {
        let mut name = String::new();
        while let Some(c) = self.next() {
            if c == ':' && self.takes("]") {
                let known = [
                    "alpha", "digit", "alnum", "upper", "lower", "space", "blank", "punct", "print", "graph", "cntrl",
                    "xdigit", "word",
                ];
                if !known.contains(&name.as_str()) {
                    return Err(self.invalid("invalid character class"));
                }
                match name.as_str() {
                    "digit" | "xdigit" => {}
                    "space" | "blank" => self.spaces_by_locale = true,
                    _ => self.by_locale = true,
                }
                return Ok(format!("[:{name}:]"));
            }
            name.push(c);
        }
        Err(self.invalid("brackets [] not balanced"))
    }
}

fn set_member(c: char) -> String {
    if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() }
}

/// SIMILAR TO: the pattern as a regular expression (`similar_escape`).
pub(super) fn from_similar(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?:");
    let mut in_set = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(next) = chars.next() {
                    out.push('\\');
                    out.push(next);
                }
            }
            c if in_set => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
                in_set = c != ']';
            }
            '[' => {
                out.push('[');
                in_set = true;
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out + ")$"
}
