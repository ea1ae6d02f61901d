//! Makes JSON documents out of pieces: arrays, objects, and `json` without its nulls.
//!
//! Input: lists of pieces, each the text of a value, NULL standing for `null`. Output: a document, `jsonb` canonical, `json` with
//! the blanks that PostgreSQL writes.

use super::super::lists::{List, Lists};
use super::super::{Failure, Given};
use super::parse::jsonb;
use super::read::{self, Kind};
use super::value::{Json, settle};
use super::write::canonical;
use super::{quoted, single};

/// `(elements)`
pub(super) fn array(lists: &Lists<'_>, separator: &str) -> Given<String> {
    let [Some(elements)] = lists else { return Ok(None) };
    let elements: Vec<&str> = elements.iter().map(|element| element.unwrap_or("null")).collect();
    Ok(Some(format!("[{}]", elements.join(separator))))
}

/// `(keys, values, [function])`: the function is named for messages.
pub(super) fn jsonb_object(lists: &Lists<'_>) -> Given<String> {
    let [Some(keys), Some(values), _] = lists else { return Ok(None) };
    let function = single(lists.get(2)).unwrap_or_default();
    let mut members = Vec::with_capacity(keys.len());
    for (index, (key, value)) in keys.iter().zip(values).enumerate() {
        let key = key.ok_or_else(|| null_key(function, index))?;
        members.push((key.into(), value.map_or(Ok(Json::Null), jsonb)?));
    }
    settle(&mut members);
    Ok(Some(canonical(&Json::Object(members))))
}

/// `(keys, values, [function])`
pub(super) fn json_object(lists: &Lists<'_>) -> Given<String> {
    let [Some(keys), Some(values), _] = lists else { return Ok(None) };
    let function = single(lists.get(2)).unwrap_or_default();
    let mut members = Vec::with_capacity(keys.len());
    let colon = if function == "row_to_json" { ":" } else { " : " };
    for (index, (key, value)) in keys.iter().zip(values).enumerate() {
        let key = key.ok_or_else(|| null_key(function, index))?;
        members.push(format!("{}{colon}{}", quoted(key), value.unwrap_or("null")));
    }
    Ok(Some(match function {
        "json_object_agg" => format!("{{ {} }}", members.join(", ")),
        "row_to_json" => format!("{{{}}}", members.join(",")),
        _ => format!("{{{}}}", members.join(", ")),
    }))
}

fn null_key(function: &str, index: usize) -> Failure {
    let place = 2 * index + 1;
    Failure::raised(
        "22023",
        match function {
            "jsonb_build_object" => format!("argument {place}: key must not be null"),
            "json_build_object" => format!("argument {place} cannot be null"),
            _ => "field name must not be null".to_owned(),
        },
    )
}

/// `(texts, [function])` or `(keys, texts, [function])`: `jsonb_object()` and `json_object()`.
pub(super) fn object_of_texts(lists: &Lists<'_>) -> Given<String> {
    let (keys, values, function): (List<'_>, List<'_>, _) = match lists {
        [Some(texts), function] => {
            if texts.len() % 2 == 1 {
                return Err(Failure::raised("2202E", "array must have even number of elements"));
            }
            let at = |offset: usize| Some(texts.iter().copied().skip(offset).step_by(2).collect());
            (at(0), at(1), function)
        }
        [Some(keys), Some(values), function] => {
            if keys.len() != values.len() {
                return Err(Failure::raised("2202E", "mismatched array dimensions"));
            }
            (Some(keys.clone()), Some(values.clone()), function)
        }
        _ => return Ok(None),
    };
    let (keys, values) = (keys.unwrap_or_default(), values.unwrap_or_default());
    let mut members = Vec::with_capacity(keys.len());
    for (key, value) in keys.iter().zip(&values) {
        let key = key.ok_or_else(|| Failure::raised("22004", "null value not allowed for object key"))?;
        members.push((key, value.map(quoted)));
    }
    if single(Some(function)) == Some("json_object") {
        let written = members.iter().map(|(key, value)| {
            let value = value.as_deref().unwrap_or("null");
            format!("{} : {value}", quoted(key))
        });
        return Ok(Some(format!("{{{}}}", written.collect::<Vec<_>>().join(", "))));
    }
    let members =
        members.iter().map(|(key, value)| Ok(((*key).into(), value.as_deref().map_or(Ok(Json::Null), jsonb)?)));
    let mut members = members.collect::<Result<Vec<_>, Failure>>()?;
    settle(&mut members);
    Ok(Some(canonical(&Json::Object(members))))
}

/// `json_strip_nulls()`: no blanks, members that are null left out.
pub(super) fn stripped(text: &str) -> Result<String, Failure> {
    match read::kind(text) {
        Kind::Object => {
            let mut members = Vec::new();
            read::each_member(text, |key, value| {
                if read::kind(value) != Kind::Null {
                    members.push(format!("{}:{}", quoted(&super::parse::unescaped(key)?), stripped(value)?));
                }
                Ok(())
            })?;
            Ok(format!("{{{}}}", members.join(",")))
        }
        Kind::Array => {
            let elements = read::elements(text)?.into_iter().map(stripped).collect::<Result<Vec<_>, _>>()?;
            Ok(format!("[{}]", elements.join(",")))
        }
        Kind::Text => Ok(read::text_of(text)?.map(|text| quoted(&text)).unwrap_or_default()),
        _ => Ok(text.trim_matches([' ', '\t', '\n', '\r']).to_owned()),
    }
}
