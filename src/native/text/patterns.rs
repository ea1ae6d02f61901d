//! LIKE and ILIKE with an escape character.

use crate::native::{Arguments, Failure, Given};

/// `pg_like(text, pattern, escape)`; an empty escape means that there is none.
pub(super) fn like(arguments: &Arguments<'_>, ignores_case: bool) -> Given<bool> {
    let [Some(text), Some(pattern), Some(escape)] = arguments else { return Ok(None) };
    let fold = |text: &str| -> Vec<char> {
        match ignores_case {
            true => text.chars().flat_map(char::to_lowercase).collect(),
            false => text.chars().collect(),
        }
    };
    let mut escapes = escape.chars();
    let (escape, more) = (escapes.next(), escapes.next());
    if more.is_some() {
        return Err(Failure::raised("22025", "invalid escape string"));
    }
    let items = items(&fold(pattern), escape);
    matches(&fold(text), &items).map(Some)
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Item {
    Any,
    Some,
    Literal(char),
    /// An escape character with nothing behind it: an error, where it is reached.
    Dangling,
}

fn items(pattern: &[char], escape: Option<char>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut chars = pattern.iter().copied();
    while let Some(c) = chars.next() {
        items.push(match c {
            c if Some(c) == escape => chars.next().map_or(Item::Dangling, Item::Literal),
            '%' => Item::Some,
            '_' => Item::Any,
            c => Item::Literal(c),
        });
    }
    items
}

/// The last `%` met takes as much as is needed: no other needs to be tried again.
fn matches(text: &[char], items: &[Item]) -> Result<bool, Failure> {
    let dangling = || Failure::raised("22025", "LIKE pattern must not end with escape character");
    let (mut at, mut item) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while at < text.len() {
        match items.get(item) {
            Some(Item::Dangling) => return Err(dangling()),
            Some(Item::Some) => {
                again = Some((item, at));
                item += 1;
                // After a wildcard the server looks for the next literal: a dangling escape is reached at once.
                if items.get(item) == Some(&Item::Dangling) {
                    return Err(dangling());
                }
                continue;
            }
            Some(Item::Any) => {
                (at, item) = (at + 1, item + 1);
                continue;
            }
            Some(Item::Literal(c)) if *c == text[at] => {
                (at, item) = (at + 1, item + 1);
                continue;
            }
            _ => {}
        }
        match again {
            Some((wildcard, taken)) => {
                again = Some((wildcard, taken + 1));
                (at, item) = (taken + 1, wildcard + 1);
            }
            None => return Ok(false),
        }
    }
    Ok(items[item..].iter().all(|item| *item == Item::Some))
}
