//! Parameters of the server: which of them SET knows, and may change.
//!
//! Input: a name, and the value where one is given. Output: nothing, or the server's refusal. Left out: ranges and units of
//! numbers, and the words that an enum takes.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::catalog::{Outcome, Problem};

/// Kind of value and context, by name in lower case.
static SETTINGS: LazyLock<HashMap<&'static str, (&'static str, &'static str)>> = LazyLock::new(|| {
    let rows = include_str!("settings.tsv").lines().map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter_map(|row| Some((*row.first()?, (*row.get(1)?, *row.get(2)?)))).collect()
});

/// Does PostgreSQL 15 have the parameter? One with a dot in its name anybody may invent.
pub(crate) fn is_known(name: &str) -> bool {
    name.contains('.') || SETTINGS.contains_key(name.to_lowercase().as_str())
}

/// 42704.
pub(crate) fn unrecognized(name: &str) -> Problem {
    Problem::rejected("42704", format!("unrecognized configuration parameter \"{name}\""))
}

/// Judges SET and RESET of a parameter that is known.
///
/// # Errors
/// 42602, 55P02, 22023.
pub(crate) fn expect_settable(name: &str, value: Option<&str>) -> Outcome<()> {
    let Some((kind, context)) = SETTINGS.get(name.to_lowercase().as_str()) else { return expect_custom(name) };
    let refusal = match *context {
        "internal" => "cannot be changed",
        "postmaster" => "cannot be changed without restarting the server",
        "sighup" => "cannot be changed now",
        "backend" | "superuser-backend" => "cannot be set after connection start",
        _ => "",
    };
    if !refusal.is_empty() {
        return Err(Problem::rejected("55P02", format!("parameter \"{name}\" {refusal}")));
    }
    match value {
        Some(value) if *kind == "bool" && !is_boolean(value) => {
            Err(Problem::rejected("22023", format!("parameter \"{name}\" requires a Boolean value")))
        }
        _ => Ok(()),
    }
}

/// A value that was given, as the server shows it, where it is known how.
pub(crate) fn shown(name: &str, value: &str) -> Option<String> {
    let kind = SETTINGS.get(name).map_or("custom", |(kind, _)| *kind);
    match kind {
        "custom" => Some(value.to_owned()),
        "bool" => Some(if is_true(value) { "on" } else { "off" }.to_owned()),
        "enum" => Some(value.to_lowercase()),
        "string" if !["datestyle", "timezone", "timezone_abbreviations"].contains(&name) => Some(value.to_owned()),
        "string" if name == "timezone" && value == value.to_uppercase() => Some(value.to_owned()),
        "integer" if value == "0" => Some(value.to_owned()),
        _ => None,
    }
}

fn is_true(text: &str) -> bool {
    let text = text.to_lowercase();
    text == "1" || "true".starts_with(&text) || "yes".starts_with(&text) || (text.len() > 1 && "on".starts_with(&text))
}

/// A name with dots is made of simple identifiers.
fn expect_custom(name: &str) -> Outcome<()> {
    let simple = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii())
    };
    match name.split('.').all(simple) {
        true => Ok(()),
        false => Err(Problem::rejected("42602", format!("invalid configuration parameter name \"{name}\""))
            .detail("Custom parameter names must be two or more simple identifiers separated by dots.")),
    }
}

/// The beginning of a word for a truth value, as long as it can mean only one.
fn is_boolean(text: &str) -> bool {
    let text = text.to_lowercase();
    let begins = |word: &str, least: usize| text.len() >= least && word.starts_with(&text);
    begins("true", 1)
        || begins("false", 1)
        || begins("yes", 1)
        || begins("no", 1)
        || begins("on", 2)
        || begins("off", 2)
        || text == "1"
        || text == "0"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_apart() {
        fn check(name: &str, value: Option<&str>, expected: &str) {
            let found = match is_known(name) {
                true => expect_settable(name, value).err(),
                false => Some(unrecognized(name)),
            };
            let found = match found {
                None => String::new(),
                Some(Problem::Rejected(error)) => error.sqlstate.to_owned(),
                Some(other) => other.to_string(),
            };
            assert_eq!(found, expected, "{name} {value:?}");
        }
        check("nope", Some("1"), "42704");
        check("app.user", Some("1"), "");
        check("app.b c", Some("1"), "42602");
        check("TimeZone", Some("UTC"), "");
        check("max_connections", None, "55P02");
        check("autovacuum", Some("off"), "55P02");
        check("jit", Some("tr"), "");
        check("jit", Some("o"), "22023");
        check("jit", Some("1"), "");
    }
}
