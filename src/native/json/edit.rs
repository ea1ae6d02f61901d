//! Changes a jsonb value: `||`, `-`, `#-`, `jsonb_set()`, `jsonb_insert()` and assignments to subscripts.
//!
//! Input: values and paths. Output: the changed value, or the server's error.

use super::super::Failure;
use super::read::position;
use super::value::{Json, find, settle};

type Edited<'a> = Result<Json<'a>, Failure>;

/// What is done where a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// `jsonb_set()`: replaces, and adds what is missing where the flag says so.
    Set(bool),
    /// `jsonb_insert()`: adds before, or after where the flag says so, and replaces nothing.
    Insert(bool),
    /// `#-`
    Delete,
    /// `SET j['a']['b'] = …`: makes the way there, filling arrays with nulls.
    Assign,
}

fn error(message: impl Into<String>) -> Failure {
    Failure::raised("22023", message)
}

/// `a || b`
pub(super) fn concat<'a>(a: Json<'a>, b: Json<'a>) -> Json<'a> {
    let list = |value: Json<'a>| match value {
        Json::Array(elements) => elements,
        other => vec![other],
    };
    match (a, b) {
        (Json::Object(mut own), Json::Object(more)) => {
            own.extend(more);
            settle(&mut own);
            Json::Object(own)
        }
        (a, b) => {
            let mut elements = list(a);
            elements.extend(list(b));
            Json::Array(elements)
        }
    }
}

/// `j - key`, `j - keys`
pub(super) fn without_keys<'a>(mut value: Json<'a>, keys: &[&str]) -> Edited<'a> {
    match &mut value {
        Json::Object(members) => members.retain(|(key, _)| !keys.contains(&key.as_ref())),
        Json::Array(elements) => {
            elements.retain(|e| !matches!(e, Json::Text(text) if keys.contains(&text.as_ref())));
        }
        _ => return Err(error("cannot delete from scalar")),
    }
    Ok(value)
}

/// `j - position`
pub(super) fn without_element(mut value: Json<'_>, at: i64) -> Edited<'_> {
    match &mut value {
        Json::Object(_) => return Err(error("cannot delete from object using integer index")),
        Json::Array(elements) => {
            let at = if at < 0 { at + elements.len() as i64 } else { at };
            if let Some(at) = usize::try_from(at).ok().filter(|at| *at < elements.len()) {
                elements.remove(at);
            }
        }
        _ => return Err(error("cannot delete from scalar")),
    }
    Ok(value)
}

/// Changes what a path leads to.
pub(super) fn at_path<'a>(mut value: Json<'a>, path: &[Option<&'a str>], new: Json<'a>, change: Change) -> Edited<'a> {
    if value.is_scalar() && change != Change::Assign {
        let word = if change == Change::Delete { "delete" } else { "set" };
        return Err(error(format!("cannot {word} path in scalar")));
    }
    if matches!((&value, change), (Json::Array(e), Change::Delete | Change::Set(false)) if e.is_empty()) {
        return Ok(value);
    }
    if path.is_empty() {
        return Ok(value);
    }
    step(&mut value, path, 0, new, change)?;
    Ok(value)
}

fn step<'a>(
    value: &mut Json<'a>,
    path: &[Option<&'a str>],
    level: usize,
    new: Json<'a>,
    change: Change,
) -> Result<(), Failure> {
    let Some(key) = path[level] else {
        return Err(Failure::raised("22004", format!("path element at position {} is null", level + 1)));
    };
    match value {
        Json::Object(_) => in_object(value, key, path, level, new, change),
        Json::Array(_) => in_array(value, key, path, level, new, change),
        // A path that leads through a scalar changes nothing, but an assignment must not replace it.
        _ if change == Change::Assign => Err(error("cannot replace existing key")),
        _ => Ok(()),
    }
}

fn in_object<'a>(
    value: &mut Json<'a>,
    key: &'a str,
    path: &[Option<&'a str>],
    level: usize,
    new: Json<'a>,
    change: Change,
) -> Result<(), Failure> {
    let Json::Object(members) = value else { return Ok(()) };
    let last = level + 1 == path.len();
    match (find(members, key), last) {
        (Ok(at), true) => match change {
            Change::Delete => {
                members.remove(at);
            }
            Change::Insert(_) => return Err(error("cannot replace existing key")),
            Change::Set(_) | Change::Assign => members[at].1 = new,
        },
        (Ok(at), false) => step(&mut members[at].1, path, level + 1, new, change)?,
        (Err(at), _) => {
            let added = match change {
                Change::Set(true) | Change::Insert(_) if last => new,
                Change::Assign => built(&path[level + 1..], new)?,
                _ => return Ok(()),
            };
            members.insert(at, (key.into(), added));
        }
    }
    Ok(())
}

fn in_array<'a>(
    value: &mut Json<'a>,
    key: &'a str,
    path: &[Option<&'a str>],
    level: usize,
    new: Json<'a>,
    change: Change,
) -> Result<(), Failure> {
    let Json::Array(elements) = value else { return Ok(()) };
    let last = level + 1 == path.len();
    let Some(wanted) = position(key) else {
        let message = format!("path element at position {} is not an integer: \"{key}\"", level + 1);
        return Err(Failure::raised("22P02", message));
    };
    let length = elements.len() as i64;
    if change == Change::Assign && wanted < -length {
        let message = format!("path element at position {} is out of range: {wanted}", level + 1);
        return Err(error(message));
    }
    let at = if wanted < 0 { wanted + length } else { wanted };
    match usize::try_from(at).ok().filter(|at| *at < elements.len()) {
        Some(at) if last => match change {
            Change::Delete => {
                elements.remove(at);
            }
            Change::Insert(after) => elements.insert(at + usize::from(after), new),
            Change::Set(_) | Change::Assign => elements[at] = new,
        },
        Some(at) => step(&mut elements[at], path, level + 1, new, change)?,
        None => {
            let added = match change {
                Change::Set(true) | Change::Insert(_) if last => new,
                Change::Assign => {
                    let gap = usize::try_from(at - length).unwrap_or_default();
                    elements.extend(std::iter::repeat_n(Json::Null, gap));
                    built(&path[level + 1..], new)?
                }
                _ => return Ok(()),
            };
            if at < 0 { elements.insert(0, added) } else { elements.push(added) }
        }
    }
    Ok(())
}

/// The documents that an assignment makes for what is left of its path.
fn built<'a>(path: &[Option<&'a str>], new: Json<'a>) -> Edited<'a> {
    let Some((first, rest)) = path.split_first() else { return Ok(new) };
    let Some(key) = *first else { return Err(Failure::refused("a NULL subscript of a jsonb value")) };
    let inner = built(rest, new)?;
    Ok(match position(key) {
        Some(at) => {
            let mut elements = vec![Json::Null; usize::try_from(at).unwrap_or_default()];
            elements.push(inner);
            Json::Array(elements)
        }
        None => Json::Object(vec![(key.into(), inner)]),
    })
}

/// `jsonb_strip_nulls()`: members that are null go, elements stay.
pub(super) fn strip_nulls(value: &mut Json<'_>) {
    match value {
        Json::Object(members) => {
            members.retain(|(_, value)| *value != Json::Null);
            members.iter_mut().for_each(|(_, value)| strip_nulls(value));
        }
        Json::Array(elements) => elements.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}
