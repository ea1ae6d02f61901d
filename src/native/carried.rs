//! Values that are carried as the server's text: how each type's texts are read, and what they are compared by.
//!
//! Input: a type's name as `format_type` writes it, a text. Output: the text as the server would write it, or a key: the same for equal
//! values, and in their order. Invariant: a type that isn't here is carried without a look at it. Left out: what is computed with values.

use super::time::zoned_clock;
use super::{Arguments, Failure, Given, Native, bits, hstore, ltree, network, range};

pub(super) const FUNCTIONS: &[(&str, Native)] =
    &[("pg_carried_in", Native::Text(read_row)), ("pg_carried_key", Native::Text(key_row))];

/// The type without its modifiers.
fn base(ty: &str) -> &str {
    ty.split_once('(').map_or(ty, |(base, _)| base)
}

/// Are values of the type read here?
pub(crate) fn is_read(ty: &str) -> bool {
    let base = base(ty);
    matches!(
        base,
        "time with time zone" | "bit" | "bit varying" | "inet" | "cidr" | "macaddr" | "\"char\"" | "ltree" | "hstore"
    ) || range::is_range(base)
        || range::of_multirange(base).is_some()
}

/// A text as the server would write it.
///
/// # Errors
/// The server's, for a text that isn't a value of the type.
pub(crate) fn read(ty: &str, text: &str, zone: &str) -> Result<String, Failure> {
    match base(ty) {
        "time with time zone" => zoned_clock::read(text, zone),
        "bit" | "bit varying" => bits::read(text, ty),
        "inet" | "cidr" => network::read(text, base(ty)),
        "macaddr" => network::read_hardware(text),
        "ltree" => ltree::read(text),
        "hstore" => hstore::read(text),
        "\"char\"" => match text.chars().next() {
            Some(c) if !c.is_ascii() || c == '\\' => Err(Failure::refused("a \"char\" that is no ASCII character")),
            first => Ok(first.map_or_else(String::new, String::from)),
        },
        many if range::of_multirange(many).is_some() => range::read_many(text, many, zone),
        range => range::read(text, range, zone),
    }
}

/// What a value is compared by.
fn key(ty: &str, text: &str) -> Result<String, Failure> {
    match base(ty) {
        "time with time zone" => zoned_clock::key(text),
        "inet" | "cidr" => network::key(text),
        "bit" | "bit varying" | "macaddr" | "\"char\"" | "ltree" | "hstore" => Ok(text.to_owned()),
        many if range::of_multirange(many).is_some() => range::key_of_many(text, many),
        range => range::key(text, range),
    }
}

/// `pg_carried_in(type, text, zone)`
fn read_row(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(ty), Some(text), Some(zone)] = arguments else { return Ok(None) };
    read(ty, text, zone).map(Some)
}

/// `pg_carried_key(type, text)`
fn key_row(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(ty), Some(text)] = arguments else { return Ok(None) };
    key(ty, text).map(Some)
}
