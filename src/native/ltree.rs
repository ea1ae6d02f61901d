//! Paths of labels: values of the extension `ltree`.
//!
//! Input: texts of paths, `a.b.c`. Output: what the extension's functions give of them. Invariants: a path is written as it was read; as
//! the point is less than any character of a label, the order of the texts is the order of the paths. Left out: patterns (`lquery`,
//! `ltxtquery`), labels of other letters than ASCII's, which depend on the server's locale.

use super::{Arguments, Failure, Given, Native};

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_ltree_in", Native::Text(read_row)),
    ("pg_ltree_levels", Native::Whole(levels)),
    ("pg_ltree_below", Native::Truth(is_below)),
    ("pg_ltree_joined", Native::Text(joined)),
    ("pg_ltree_part", Native::Text(part)),
    ("pg_ltree_subpath", Native::Text(subpath)),
    ("pg_ltree_index", Native::Whole(index)),
];

/// Bytes of a label.
const MOST: usize = 255;

fn labels(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

/// A text as a path.
///
/// # Errors
/// 42601, as the server words it.
pub(crate) fn read(text: &str) -> Result<String, Failure> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if !text.is_ascii() {
        return Err(Failure::refused("a label of an ltree with other letters than ASCII's"));
    }
    let mut fresh = true;
    let mut length = 0;
    for (at, c) in text.chars().enumerate() {
        match c {
            '.' if !fresh => (fresh, length) = (true, 0),
            c if c.is_ascii_alphanumeric() || c == '_' => {
                fresh = false;
                length += 1;
                if length > MOST {
                    return Err(Failure::raised("42622", "label string is too long"));
                }
            }
            _ => return Err(Failure::raised("42601", format!("ltree syntax error at character {}", at + 1))),
        }
    }
    match fresh {
        true => Err(Failure::raised("42601", "ltree syntax error")),
        false => Ok(text.to_owned()),
    }
}

fn read_row(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    read(text).map(Some)
}

fn levels(arguments: &Arguments<'_>) -> Given<i64> {
    let [Some(path)] = arguments else { return Ok(None) };
    Ok(Some(labels(path).len() as i64))
}

/// `pg_ltree_below(path, other)`: is the other a part of the path from its root?
fn is_below(arguments: &Arguments<'_>) -> Given<bool> {
    let [Some(path), Some(other)] = arguments else { return Ok(None) };
    Ok(Some(labels(path).starts_with(&labels(other))))
}

fn joined(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(one), Some(other)] = arguments else { return Ok(None) };
    let joint = if one.is_empty() || other.is_empty() { "" } else { "." };
    Ok(Some(format!("{one}{joint}{other}")))
}

fn number(text: &str) -> Result<i64, Failure> {
    text.parse().map_err(|_| Failure::refused("a place in an ltree"))
}

fn between(path: &str, from: i64, to: i64) -> Given<String> {
    let labels = labels(path);
    let count = labels.len() as i64;
    if from < 0 || to < 0 || from >= count || from > to {
        return Err(Failure::raised("22023", "invalid positions"));
    }
    let (from, to) = (from as usize, to.min(count) as usize);
    Ok(Some(labels[from..to].join(".")))
}

/// `subltree(path, start, end)`
fn part(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(path), Some(from), Some(to)] = arguments else { return Ok(None) };
    between(path, number(from)?, number(to)?)
}

/// `subpath(path, offset)` and `subpath(path, offset, length)`
fn subpath(arguments: &Arguments<'_>) -> Given<String> {
    let (path, from, length) = match arguments {
        [Some(path), Some(from)] => (path, number(from)?, None),
        [Some(path), Some(from), Some(length)] => (path, number(from)?, Some(number(length)?)),
        _ => return Ok(None),
    };
    let count = labels(path).len() as i64;
    let mut start = from;
    for _ in 0..2 {
        if start < 0 {
            start += count;
        }
    }
    let end = match length {
        None => i64::from(u16::MAX),
        Some(length) if length < 0 => count + length,
        Some(length) => start + length,
    };
    between(path, start, end)
}

/// `index(path, part)` and `index(path, part, start)`: where the part begins in the path, or -1.
fn index(arguments: &Arguments<'_>) -> Given<i64> {
    let (path, part, start) = match arguments {
        [Some(path), Some(part)] => (path, part, 0),
        [Some(path), Some(part), Some(start)] => (path, part, number(start)?),
        _ => return Ok(None),
    };
    let (path, part) = (labels(path), labels(part));
    let count = path.len() as i64;
    let start = if start < 0 { (count + start).max(0) } else { start };
    if path.is_empty() || part.is_empty() || count - start < part.len() as i64 {
        return Ok(Some(-1));
    }
    let found = (start as usize..=path.len() - part.len()).find(|&at| path[at..].starts_with(&part));
    Ok(Some(found.map_or(-1, |at| at as i64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::tests::check as check_in;

    fn check(name: &str, arguments: &[&str], expected: &str) {
        check_in(FUNCTIONS, name, arguments, expected);
    }

    #[test]
    fn paths_are_read() {
        check("pg_ltree_in", &["Top.a_1.B"], "Top.a_1.B");
        check("pg_ltree_in", &[""], "");
        check("pg_ltree_in", &["a..b"], "42601");
        check("pg_ltree_in", &["a."], "42601");
        check("pg_ltree_in", &["a b"], "42601");
    }

    #[test]
    fn parts_are_cut() {
        check("pg_ltree_levels", &["a.b.c"], "3");
        check("pg_ltree_levels", &[""], "0");
        check("pg_ltree_below", &["a.b.c", "a.b"], "true");
        check("pg_ltree_below", &["a.bc", "a.b"], "false");
        check("pg_ltree_joined", &["a", "b.c"], "a.b.c");
        check("pg_ltree_part", &["a.b.c.d", "1", "2"], "b");
        check("pg_ltree_part", &["a.b", "2", "3"], "22023");
        check("pg_ltree_subpath", &["a.b.c.d", "0", "2"], "a.b");
        check("pg_ltree_subpath", &["a.b.c.d", "-2"], "c.d");
        check("pg_ltree_subpath", &["a.b.c.d", "0", "-1"], "a.b.c");
        check("pg_ltree_subpath", &["a.b", "5"], "22023");
        check("pg_ltree_index", &["a.b.c.b", "b", "2"], "3");
        check("pg_ltree_index", &["a.b", "x"], "-1");
    }
}
