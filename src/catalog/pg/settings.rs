//! Parameters of the server: which of them SET knows, and may change.
//!
//! Input: a name, and the value where one is given. Output: nothing, or the server's refusal. Invariant: kinds, units, bounds and words are
//! the server's. Left out: what the server checks of texts by code of its own.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::units;
use crate::catalog::{Outcome, Problem};

/// A parameter.
struct Setting {
    kind: &'static str,
    context: &'static str,
    unit: &'static str,
    least: &'static str,
    greatest: &'static str,
    words: &'static str,
}

/// Parameters by name in lower case.
static SETTINGS: LazyLock<HashMap<&'static str, Setting>> = LazyLock::new(|| {
    let rows = include_str!("settings.tsv").lines().map(|line| line.split('\t').collect::<Vec<_>>());
    rows.filter_map(|row| {
        let [name, kind, context, unit, least, greatest, words] = row.as_slice() else { return None };
        Some((*name, Setting { kind, context, unit, least, greatest, words }))
    })
    .collect()
});

/// Words that an enum takes beside those that `pg_settings` lists.
const UNLISTED: &[&str] = &["debug", "info", "true", "false", "yes", "no", "1", "0", "on", "off"];

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
    let Some(setting) = SETTINGS.get(name.to_lowercase().as_str()) else { return expect_custom(name) };
    let refusal = match setting.context {
        "internal" => "cannot be changed",
        "postmaster" => "cannot be changed without restarting the server",
        "sighup" => "cannot be changed now",
        "backend" | "superuser-backend" => "cannot be set after connection start",
        _ => "",
    };
    if !refusal.is_empty() {
        return Err(Problem::rejected("55P02", format!("parameter \"{name}\" {refusal}")));
    }
    value.map_or(Ok(()), |value| expect_value(name, setting, value))
}

fn expect_value(name: &str, setting: &Setting, value: &str) -> Outcome<()> {
    let invalid = || Problem::rejected("22023", format!("invalid value for parameter \"{name}\": \"{value}\""));
    match setting.kind {
        "bool" if !is_boolean(value) => {
            Err(Problem::rejected("22023", format!("parameter \"{name}\" requires a Boolean value")))
        }
        "enum" => {
            let is_word = |word: &str| word.eq_ignore_ascii_case(value);
            match setting.words.is_empty() || setting.words.split('|').chain(UNLISTED.iter().copied()).any(is_word) {
                true => Ok(()),
                false => Err(invalid().hint(format!("Available values: {}.", setting.words.replace('|', ", ")))),
            }
        }
        "integer" | "real" => {
            let number = units::read(value, setting.unit, setting.kind == "integer").ok_or_else(invalid)?;
            let bound = |text: &str| text.parse::<f64>().ok();
            let outside = bound(setting.least).is_some_and(|least| number < least)
                || bound(setting.greatest).is_some_and(|greatest| number > greatest);
            match outside {
                true => {
                    let unit = if setting.unit.is_empty() { String::new() } else { format!(" {}", setting.unit) };
                    let message = format!(
                        "{number}{unit} is outside the valid range for parameter \"{name}\" ({} .. {})",
                        setting.least, setting.greatest
                    );
                    Err(Problem::rejected("22023", message))
                }
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// A value that was given, as the server shows it, where it is known how.
pub(crate) fn shown(name: &str, value: &str) -> Option<String> {
    let setting = SETTINGS.get(name);
    match setting.map_or("custom", |setting| setting.kind) {
        "custom" => Some(value.to_owned()),
        "bool" => Some(if is_true(value) { "on" } else { "off" }.to_owned()),
        "enum" if !UNLISTED.contains(&value.to_lowercase().as_str()) => Some(value.to_lowercase()),
        "string" if !["datestyle", "timezone", "timezone_abbreviations"].contains(&name) => Some(value.to_owned()),
        "string" if name == "timezone" && value == value.to_uppercase() => Some(value.to_owned()),
        "integer" => {
            let unit = setting.map_or("", |setting| setting.unit);
            units::read(value, unit, true).map(|number| units::shown(number, unit))
        }
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
        check("statement_timeout", Some("5min"), "");
        check("statement_timeout", Some("5 bananas"), "22023");
        check("statement_timeout", Some("-1"), "22023");
        check("work_mem", Some("1"), "22023");
        check("random_page_cost", Some("1.1"), "");
        check("client_min_messages", Some("WARNING"), "");
        check("client_min_messages", Some("bogus"), "22023");
        check("default_transaction_isolation", Some("read committed"), "");
    }
}
