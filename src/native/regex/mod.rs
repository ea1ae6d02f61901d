//! Regular expressions as PostgreSQL matches them: of the matches that begin leftmost, the longest (or the shortest).
//!
//! Input: text, pattern, flags. Output: truth, positions, parts of the text. Invariants: where a match ends is found among all its
//! ends, not by a backtracker's preference; what a group matched is only told where both ways of matching agree on the whole match
//! and nothing in the pattern lets them differ within it; all else is refused by name.

mod functions;
mod syntax;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex_automata::nfa::thompson::{self, pikevm::PikeVM};
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input, MatchKind, meta};

use super::{Failure, Native};
use syntax::{Flags, Pattern, Preference};

pub(super) const FUNCTIONS: &[(&str, Native)] = functions::FUNCTIONS;

/// Patterns kept compiled, for each thread.
const KEPT: usize = 64;

/// A pattern ready to match.
struct Matcher {
    pattern: Pattern,
    source: String,
    ignores_case: bool,
    regex: meta::Regex,
    ends: PikeVM,
}

/// Where something matches: byte positions.
type Span = (usize, usize);

thread_local! {
    static MATCHERS: RefCell<HashMap<(String, u8), Rc<Matcher>>> = RefCell::new(HashMap::new());
}

/// The matcher of a pattern, compiled once.
fn matcher(pattern: &str, flags: Flags) -> Result<Rc<Matcher>, Failure> {
    let bits = u8::from(flags.ignores_case) | u8::from(flags.lines_end_any) << 1 | u8::from(flags.lines_anchor) << 2;
    let key = (pattern.to_owned(), bits);
    if let Some(known) = MATCHERS.with_borrow(|known| known.get(&key).cloned()) {
        return Ok(known);
    }
    let made = Rc::new(Matcher::new(pattern, flags)?);
    MATCHERS.with_borrow_mut(|known| {
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(key, Rc::clone(&made));
    });
    Ok(made)
}

impl Matcher {
    fn new(source: &str, flags: Flags) -> Result<Matcher, Failure> {
        let pattern = syntax::translate(source, flags)?;
        let refused = |_| Failure::refused(format!("the regular expression '{source}'"));
        let regex = meta::Regex::new(&pattern.text)
            .map_err(|_| Failure::refused(format!("the regular expression '{source}'")))?;
        let ends = PikeVM::builder()
            .thompson(thompson::Config::new().which_captures(thompson::WhichCaptures::Implicit))
            .configure(thompson::pikevm::Config::new().match_kind(MatchKind::All))
            .build(&pattern.text)
            .map_err(refused)?;
        Ok(Matcher { pattern, source: source.to_owned(), ignores_case: flags.ignores_case, regex, ends })
    }

    fn refused(&self, what: &str) -> Failure {
        Failure::refused(format!("{what} in the regular expression '{}'", self.source))
    }

    /// Refuses a text whose letters the server's locale would judge.
    fn check(&self, text: &str) -> Result<(), Failure> {
        if text.is_ascii() {
            return Ok(());
        }
        if self.pattern.by_locale {
            return Err(self.refused("letters beyond ASCII, which the server's locale judges,"));
        }
        let is_space = |c: char| !c.is_ascii() && (c.is_whitespace() || c.is_control());
        if self.pattern.spaces_by_locale && text.chars().any(is_space) {
            return Err(self.refused("blanks beyond ASCII, which the server's locale judges,"));
        }
        if self.ignores_case && text.contains(['ſ', '\u{212a}']) {
            return Err(self.refused("letters beyond ASCII without regard to case"));
        }
        Ok(())
    }

    fn is_match(&self, text: &str) -> Result<bool, Failure> {
        self.check(text)?;
        Ok(self.regex.is_match(text))
    }

    /// The leftmost match from a position on.
    fn find(&self, text: &str, from: usize) -> Result<Option<Span>, Failure> {
        self.check(text)?;
        let Some(found) = self.regex.find(Input::new(text).span(from..text.len())) else { return Ok(None) };
        let start = found.start();
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        let input = match self.pattern.preference {
            Preference::Longest => input,
            Preference::Shortest => input.earliest(true),
            Preference::Mixed => return Err(self.refused("greedy beside non-greedy quantifiers")),
        };
        let mut captures = Captures::matches(self.ends.get_nfa().group_info().clone());
        self.ends.captures(&mut self.ends.create_cache(), input, &mut captures);
        let end = captures.get_match().map_or(found.end(), |all| all.end());
        Ok(Some((start, end)))
    }

    /// What the groups matched within a match.
    fn groups(&self, text: &str, (start, end): Span) -> Result<Vec<Option<Span>>, Failure> {
        if self.pattern.groups == 0 {
            return Ok(Vec::new());
        }
        if let Some(why) = self.pattern.unsure_groups {
            return Err(self.refused(why));
        }
        let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
        let mut captures = self.regex.create_captures();
        self.regex.search_captures(&input, &mut captures);
        if captures.get_match().map(|all| (all.start(), all.end())) != Some((start, end)) {
            return Err(self.refused("groups of a match that is longer than the first"));
        }
        Ok((1..=self.pattern.groups).map(|n| captures.get_group(n).map(|span| (span.start, span.end))).collect())
    }

    /// All matches from a position on, as the server goes from one to the next.
    fn all(&self, text: &str, from: usize) -> Result<Vec<Span>, Failure> {
        let (mut found, mut at) = (Vec::new(), Some(from));
        while let Some(start) = at {
            let Some(span) = self.find(text, start)? else { break };
            found.push(span);
            at = after(text, span);
        }
        Ok(found)
    }
}

/// Where the next search begins: behind an empty match, one character on.
fn after(text: &str, (start, end): Span) -> Option<usize> {
    if start < end {
        return Some(end);
    }
    text[end..].chars().next().map(|c| end + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        crate::native::tests::check(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn the_longest_of_the_leftmost() {
        check("pg_regexp_substring", &["abcd", "a|ab|abc"], "abc");
        check("pg_regexp_substring", &["aab", "a+?"], "a");
        check("pg_regexp_replace", &["baaac", "a*", "x", "g"], "xbxxcx");
        check("pg_regexp", &["foo bar", "\\mbar\\M"], "true");
        check("pg_similar", &["abc", "%(b|d)%"], "true");
    }

    #[test]
    fn what_is_no_pattern_and_what_cannot_be_told() {
        check("pg_regexp", &["a", "(a"], "2201B");
        check("pg_regexp", &["a", "a**"], "2201B");
        check("pg_regexp", &["aa", "(a)\\1"], "refused");
        check("pg_regexp", &["é", "\\w"], "refused");
        check("pg_regexp_substring", &["abb", "a.*?b.*"], "refused");
    }
}
