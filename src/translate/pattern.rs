//! Regular expressions: PostgreSQL's (ARE) in the words of DuckDB's (RE2).
//!
//! Input: a constant pattern. Output: the pattern for RE2, or a refusal. Invariant: only constructs that both engines read alike
//! pass. Where the *extent* of a match matters (replace, substring), alternatives and quantified groups are refused, because one
//! engine takes the longest match and the other the first.

use crate::catalog::{Outcome, Problem};

/// What the pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Does it match at all?
    Test,
    /// What does it match?
    Extent,
}

/// Translates a pattern.
///
/// # Errors
/// For a construct that the engines may read differently, named.
pub(super) fn translate(pattern: &str, purpose: Use) -> Outcome<String> {
    let refuse = |what: &str| Problem::unsupported(format!("{what} in the regular expression '{pattern}'"));
    if pattern.starts_with("***") {
        return Err(refuse("a director"));
    }
    let mut out = String::from("(?s)");
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_class => match chars.next() {
                Some(e @ ('d' | 's' | 'w')) => out.extend(['\\', e]),
                Some(e) if e.is_ascii_punctuation() => out.extend(['\\', e]),
                _ => return Err(refuse("an escape")),
            },
            '\\' => match chars.next() {
                Some(e @ ('d' | 's' | 'w' | 'D' | 'S' | 'W' | 'n' | 't' | 'r')) => out.extend(['\\', e]),
                Some(e) if e.is_ascii_punctuation() => out.extend(['\\', e]),
                _ => return Err(refuse("an escape")),
            },
            '[' if in_class && chars.peek().is_some_and(|n| [':', '.', '='].contains(n)) => {
                let name: String = chars.clone().take_while(|c| *c != ']').collect();
                if !name.starts_with(':') || !name.ends_with(':') {
                    return Err(refuse("a collating element"));
                }
                let classes = [":alpha:", ":digit:", ":alnum:", ":space:", ":upper:", ":lower:", ":punct:", ":xdigit:"];
                if !classes.contains(&name.as_str()) {
                    return Err(refuse("a character class"));
                }
                out.push('[');
                out.push_str(&name);
                out.push(']');
                for _ in 0..=name.chars().count() {
                    chars.next();
                }
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    return Err(refuse("a bracket at the start of a set"));
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            _ if in_class => out.push(c),
            '(' if chars.peek() == Some(&'?') => {
                let rest: String = chars.clone().take(2).collect();
                if rest != "?:" {
                    return Err(refuse("a look-around or option"));
                }
                out.push('(');
            }
            '|' if purpose == Use::Extent => return Err(refuse("alternatives, whose longest match PostgreSQL takes,")),
            '*' | '+' | '?' | '}' if chars.peek() == Some(&'?') => return Err(refuse("a non-greedy quantifier")),
            c => out.push(c),
        }
    }
    if in_class {
        return Err(Problem::rejected("2201B", "invalid regular expression: brackets [] not balanced"));
    }
    Ok(out)
}

/// A replacement text: `\1` and `\&` mean the same group, other backslashes are refused.
///
/// # Errors
/// For an escape that the engines may read differently.
pub(super) fn replacement(text: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str("\\0"),
            Some('\\') => out.push_str("\\\\"),
            Some(digit @ '1'..='9') => out.extend(['\\', digit]),
            _ => return Err(Problem::unsupported(format!("an escape in the replacement '{text}'"))),
        }
    }
    Ok(out)
}

/// Number of capturing groups.
pub(super) fn groups(pattern: &str) -> usize {
    let mut count = 0;
    let mut chars = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class && chars.peek() != Some(&'?') => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_both_read_alike_and_refuses_the_rest() {
        let check = |pattern: &str, expected: Option<&str>| {
            assert_eq!(translate(pattern, Use::Extent).ok().as_deref(), expected, "{pattern}");
        };
        check("[^0-9]", Some("(?s)[^0-9]"));
        check(r"\D+", Some(r"(?s)\D+"));
        check("[[:space:]]x", Some("(?s)[[:space:]]x"));
        check("^a.b$", Some("(?s)^a.b$"));
        check("(?=x)", None);
        check("a|ab", None);
        check("a*?", None);
        check(r"\mfoo", None);
        assert_eq!(groups(r"(a)(?:b)\((c)[(]"), 2);
    }
}
