//! json and jsonb: PostgreSQL's functions on them.
//!
//! Input: documents as text, jsonb in its canonical form. Output: texts, truth values, lists of texts. Invariants: what these
//! functions give as jsonb is canonical; functions with one text for each argument give NULL where one is NULL, as the server's
//! do; where NULL means something, arguments come in lists. Left out: jsonpath.

mod build;
mod edit;
mod number;
mod parse;
mod read;
mod value;
mod write;

use super::lists::{List, Lists, OfLists};
use super::{Arguments, Failure, Given, Native};
use edit::Change;
use parse::jsonb;
use read::Kind;
use value::Json;
use write::canonical;

pub(super) const FUNCTIONS: &[(&str, Native)] = &[
    ("pg_json_check", Native::Text(check)),
    ("pg_jsonb", Native::Text(|a| one(a, |text| Ok(Some(canonical(&jsonb(text)?)))))),
    ("pg_json_quote", Native::Text(|a| one(a, |text| Ok(Some(quoted(text)))))),
    ("pg_json_member", Native::Text(|a| two(a, |j, key| Ok(read::member(j, key)?.map(str::to_owned))))),
    ("pg_json_member_text", Native::Text(|a| two(a, |j, key| text_of(read::member(j, key)?)))),
    ("pg_json_element", Native::Text(|a| two(a, |j, at| Ok(read::element(j, whole(at))?.map(str::to_owned))))),
    ("pg_json_element_text", Native::Text(|a| two(a, |j, at| text_of(read::element(j, whole(at))?)))),
    ("pg_jsonb_element", Native::Text(|a| two(a, |j, at| Ok(jsonb_element(j, whole(at))?.map(str::to_owned))))),
    ("pg_jsonb_element_text", Native::Text(|a| two(a, |j, at| text_of(jsonb_element(j, whole(at))?)))),
    ("pg_json_text", Native::Text(|a| one(a, |j| text_of(Some(j))))),
    ("pg_json_typeof", Native::Text(|a| one(a, |j| Ok(Some(read::kind(j).name().to_owned()))))),
    ("pg_json_array_length", Native::Whole(|a| one(a, array_length))),
    ("pg_jsonb_concat", Native::Text(|a| two(a, |a, b| Ok(Some(canonical(&edit::concat(jsonb(a)?, jsonb(b)?))))))),
    ("pg_jsonb_delete", Native::Text(|a| two(a, |j, k| Ok(Some(canonical(&edit::without_keys(jsonb(j)?, &[k])?)))))),
    ("pg_jsonb_delete_at", Native::Text(|a| two(a, |j, at| edited(edit::without_element(jsonb(j)?, whole(at)))))),
    ("pg_jsonb_contains", Native::Truth(|a| two(a, |a, b| Ok(Some(jsonb(a)?.contains(&jsonb(b)?)))))),
    ("pg_jsonb_exists", Native::Truth(|a| two(a, |j, key| Ok(Some(jsonb(j)?.has_key(key)))))),
    ("pg_jsonb_compare", Native::Whole(|a| two(a, |a, b| Ok(Some(jsonb(a)?.order(&jsonb(b)?) as i64))))),
    ("pg_jsonb_sort_key", Native::Text(|a| one(a, |j| Ok(Some(jsonb(j)?.sort_key()))))),
    ("pg_jsonb_strip_nulls", Native::Text(|a| one(a, strip_nulls))),
    ("pg_json_strip_nulls", Native::Text(|a| one(a, |j| build::stripped(j).map(Some)))),
    ("pg_jsonb_pretty", Native::Text(|a| one(a, pretty))),
    ("pg_json_of_number", Native::Text(|a| one(a, |text| Ok(Some(of_number(text)))))),
    ("pg_jsonb_of_number", Native::Text(|a| one(a, |text| Ok(Some(canonical(&jsonb(&of_number(text))?)))))),
    ("pg_jsonb_number", Native::Text(|a| two(a, number_of))),
    ("pg_jsonb_whole", Native::Whole(|a| two(a, whole_of))),
    ("pg_jsonb_truth", Native::Truth(|a| one(a, truth_of))),
    ("pg_json_elements", Native::Texts(|a| two(a, elements))),
    ("pg_json_element_texts", Native::Texts(|a| two(a, element_texts))),
    ("pg_json_keys", Native::Texts(|a| two(a, |j, of| members(j, of, Part::Keys)))),
    ("pg_json_each_keys", Native::Texts(|a| two(a, |j, of| members(j, of, Part::EachKeys)))),
    ("pg_json_records", Native::Texts(|a| two(a, records))),
    ("pg_json_record", Native::Text(|a| one(a, |j| record(j).map(Some)))),
    ("pg_json_not_null", Native::Text(|a| one(a, |j| Ok((read::kind(j) != Kind::Null).then(|| j.to_owned()))))),
    ("pg_json_populated", Native::Texts(|a| one(a, populated))),
    ("pg_json_values", Native::Texts(|a| two(a, |j, of| members(j, of, Part::Values)))),
    ("pg_json_value_texts", Native::Texts(|a| two(a, |j, of| members(j, of, Part::Texts)))),
];

pub(super) const OF_LISTS: &[(&str, OfLists)] = &[
    ("pg_json_path", OfLists::Text(|a| Ok(path(a)?.map(str::to_owned)))),
    ("pg_json_path_text", OfLists::Text(|a| text_of(path(a)?))),
    ("pg_jsonb_delete_keys", OfLists::Text(delete_keys)),
    ("pg_jsonb_delete_path", OfLists::Text(|a| at_path(a, |_| Change::Delete))),
    ("pg_jsonb_set", OfLists::Text(|a| at_path(a, Change::Set))),
    ("pg_jsonb_insert", OfLists::Text(|a| at_path(a, Change::Insert))),
    ("pg_jsonb_assign", OfLists::Text(assign)),
    ("pg_jsonb_exists_any", OfLists::Truth(|a| exists(a, false))),
    ("pg_jsonb_exists_all", OfLists::Truth(|a| exists(a, true))),
    ("pg_jsonb_array", OfLists::Text(|a| build::array(a, ", "))),
    ("pg_json_spaced_array", OfLists::Text(|a| build::array(a, ", "))),
    ("pg_json_array", OfLists::Text(|a| build::array(a, ","))),
    ("pg_json_lines", OfLists::Text(|a| build::array(a, ", \n "))),
    ("pg_jsonb_object", OfLists::Text(build::jsonb_object)),
    ("pg_json_object", OfLists::Text(build::json_object)),
    ("pg_json_object_of_texts", OfLists::Text(build::object_of_texts)),
];

/// A jsonb literal's canonical text.
///
/// # Errors
/// The server's, or refused where its text isn't known.
pub(crate) fn canonical_text(text: &str) -> Result<String, Failure> {
    Ok(canonical(&jsonb(text)?))
}

/// Is the text one that `json` takes?
///
/// # Errors
/// The server's.
pub(crate) fn check_text(text: &str) -> Result<(), Failure> {
    parse::check(text)
}

/// A function of one text.
fn one<T>(arguments: &Arguments<'_>, function: impl Fn(&str) -> Given<T>) -> Given<T> {
    match arguments {
        [Some(argument)] => function(argument),
        _ => Ok(None),
    }
}

/// A function of two texts.
fn two<T>(arguments: &Arguments<'_>, function: impl Fn(&str, &str) -> Given<T>) -> Given<T> {
    match arguments {
        [Some(first), Some(second)] => function(first, second),
        _ => Ok(None),
    }
}

fn edited(value: Result<Json<'_>, Failure>) -> Given<String> {
    value.map(|value| Some(canonical(&value)))
}

fn error<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::raised("22023", message))
}

/// A number's text as JSON; what isn't a number to JSON, such as `NaN`, is a string.
fn of_number(text: &str) -> String {
    match text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// A whole number that the engine wrote.
fn whole(text: &str) -> i64 {
    text.parse().unwrap_or(i64::MAX / 2)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write::quote(text, &mut out);
    out
}

fn text_of(value: Option<&str>) -> Given<String> {
    match value {
        Some(value) => Ok(read::text_of(value)?.map(std::borrow::Cow::into_owned)),
        None => Ok(None),
    }
}

fn check(arguments: &Arguments<'_>) -> Given<String> {
    one(arguments, |text| parse::check(text).map(|()| Some(text.to_owned())))
}

/// To jsonb, a scalar is an array of itself.
fn jsonb_element(text: &str, at: i64) -> Result<Option<&str>, Failure> {
    match read::kind(text).is_scalar() {
        true => Ok((at == 0 || at == -1).then_some(text)),
        false => read::element(text, at),
    }
}

fn array_length(text: &str) -> Given<i64> {
    match read::kind(text) {
        Kind::Array => Ok(Some(read::elements(text)?.len() as i64)),
        Kind::Object => error("cannot get array length of a non-array"),
        _ => error("cannot get array length of a scalar"),
    }
}

fn strip_nulls(text: &str) -> Given<String> {
    let mut value = jsonb(text)?;
    edit::strip_nulls(&mut value);
    Ok(Some(canonical(&value)))
}

fn pretty(text: &str) -> Given<String> {
    let mut out = String::new();
    write::pretty(&jsonb(text)?, 0, &mut out);
    Ok(Some(out))
}

fn number_of(text: &str, ty: &str) -> Given<String> {
    match jsonb(text)? {
        Json::Number(digits) => Ok(Some(digits.into_owned())),
        other => error(format!("cannot cast jsonb {} to type {ty}", other.kind())),
    }
}

fn whole_of(text: &str, ty: &str) -> Given<i64> {
    let Some(digits) = number_of(text, ty)? else { return Ok(None) };
    let range = match ty {
        "smallint" => i64::from(i16::MIN)..=i64::from(i16::MAX),
        "integer" => i64::from(i32::MIN)..=i64::from(i32::MAX),
        _ => i64::MIN..=i64::MAX,
    };
    let number = number::rounded(&digits).and_then(|n| i64::try_from(n).ok()).filter(|n| range.contains(n));
    number.map(Some).ok_or_else(|| Failure::raised("22003", format!("{ty} out of range")))
}

fn truth_of(text: &str) -> Given<bool> {
    match jsonb(text)? {
        Json::Bool(yes) => Ok(Some(yes)),
        other => error(format!("cannot cast jsonb {} to type boolean", other.kind())),
    }
}

/// The elements of an array; `of` names the function, for messages.
fn array_of<'a>(text: &'a str, of: &str) -> Result<Vec<&'a str>, Failure> {
    let kind = read::kind(text);
    match (kind, of.starts_with("jsonb_")) {
        (Kind::Array, _) => read::elements(text),
        (Kind::Object, true) => error("cannot extract elements from an object"),
        (_, true) => error("cannot extract elements from a scalar"),
        (Kind::Object, false) => error(format!("cannot call {of} on a non-array")),
        (_, false) => error(format!("cannot call {of} on a scalar")),
    }
}

fn elements(text: &str, of: &str) -> Given<Vec<Option<String>>> {
    Ok(Some(array_of(text, of)?.into_iter().map(|element| Some(element.to_owned())).collect()))
}

fn element_texts(text: &str, of: &str) -> Given<Vec<Option<String>>> {
    let elements = array_of(text, of)?;
    elements.into_iter().map(|element| text_of(Some(element))).collect::<Result<_, _>>().map(Some)
}

/// What is wanted of an object's members.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Keys,
    EachKeys,
    Values,
    Texts,
}

fn members(text: &str, of: &str, part: Part) -> Given<Vec<Option<String>>> {
    match (read::kind(text), of.starts_with("jsonb_"), part) {
        (Kind::Object, ..) => {}
        (Kind::Array, _, Part::Keys) => return error(format!("cannot call {of} on an array")),
        (_, _, Part::Keys) => return error(format!("cannot call {of} on a scalar")),
        (_, true, _) => return error(format!("cannot call {of} on a non-object")),
        (Kind::Array, false, _) => return error("cannot deconstruct an array as an object"),
        (_, false, _) => return error("cannot deconstruct a scalar"),
    }
    let mut found = Vec::new();
    read::each_member(text, |key, value| {
        found.push(match part {
            Part::Keys | Part::EachKeys => Some(parse::unescaped(key)?),
            Part::Values => Some(value.to_owned()),
            Part::Texts => text_of(Some(value))?,
        });
        Ok(())
    })?;
    Ok(Some(found))
}

/// The objects of an array, to be read as records.
fn records(text: &str, of: &str) -> Given<Vec<Option<String>>> {
    match (read::kind(text), of.starts_with("jsonb_")) {
        (Kind::Array, _) => {}
        (Kind::Object, true) => return error(format!("cannot call {of} on a non-array")),
        (_, true) => return error(format!("cannot call {of} on a non-array")),
        (Kind::Object, false) => return error(format!("cannot call {of} on an object")),
        (_, false) => return error(format!("cannot call {of} on a scalar")),
    }
    let elements = read::elements(text)?;
    if elements.iter().any(|element| read::kind(element) != Kind::Object) {
        return error(format!("argument of {of} must be an array of objects"));
    }
    Ok(Some(elements.into_iter().map(|element| Some(element.to_owned())).collect()))
}

/// An object, to be read as a record.
fn record(text: &str) -> Result<String, Failure> {
    match read::kind(text) {
        Kind::Object => Ok(text.to_owned()),
        Kind::Array => error("cannot call populate_composite on an array"),
        _ => error("cannot call populate_composite on a scalar"),
    }
}

/// The elements for a column that is an array, as JSON; a string is taken for an array's text.
fn populated(text: &str) -> Given<Vec<Option<String>>> {
    match read::kind(text) {
        Kind::Text => {
            let elements = super::array::elements(&read::text_of(text)?.unwrap_or_default())?;
            Ok(Some(elements.into_iter().map(|element| element.map(|text| quoted(&text))).collect()))
        }
        Kind::Null => Ok(None),
        Kind::Array => Ok(Some(read::elements(text)?.into_iter().map(|element| Some(element.to_owned())).collect())),
        _ => Err(Failure::raised("22P02", "expected JSON array")),
    }
}

/// The one text of a list.
fn single<'a>(list: Option<&List<'a>>) -> Option<&'a str> {
    list.and_then(|list| list.as_ref()).and_then(|list| list.first().copied().flatten())
}

/// `([document], path)`
fn path<'a>(lists: &Lists<'a>) -> Result<Option<&'a str>, Failure> {
    let (Some(document), [_, Some(steps)]) = (single(lists.first()), lists) else { return Ok(None) };
    let Some(steps) = steps.iter().copied().collect::<Option<Vec<_>>>() else { return Ok(None) };
    read::path(document, &steps)
}

/// `([document], keys)`
fn delete_keys(lists: &Lists<'_>) -> Given<String> {
    let (Some(document), [_, Some(keys)]) = (single(lists.first()), lists) else { return Ok(None) };
    let keys: Vec<&str> = keys.iter().copied().flatten().collect();
    edited(edit::without_keys(jsonb(document)?, &keys))
}

/// `([document], path, [new], [flag])`
fn at_path(lists: &Lists<'_>, change: impl Fn(bool) -> Change) -> Given<String> {
    let (Some(document), Some(Some(path))) = (single(lists.first()), lists.get(1)) else { return Ok(None) };
    let change = change(single(lists.get(3)) == Some("true"));
    if change != Change::Delete && (single(lists.get(2)).is_none() || single(lists.get(3)).is_none()) {
        return Ok(None);
    }
    let new = single(lists.get(2)).map_or(Ok(Json::Null), jsonb)?;
    edited(edit::at_path(jsonb(document)?, path, new, change))
}

/// `([document], path, [new], [first step is a position])`: NULL is assigned as `null`.
fn assign(lists: &Lists<'_>) -> Given<String> {
    let Some(Some(path)) = lists.get(1) else { return Ok(None) };
    if path.iter().any(Option::is_none) {
        return Err(Failure::raised("22004", "jsonb subscript in assignment must not be null"));
    }
    let empty = if single(lists.get(3)) == Some("true") { "[]" } else { "{}" };
    let document = single(lists.first()).unwrap_or(empty);
    let new = single(lists.get(2)).unwrap_or("null");
    edited(edit::at_path(jsonb(document)?, path, jsonb(new)?, Change::Assign))
}

/// `([document], keys)`
fn exists(lists: &Lists<'_>, all: bool) -> Given<bool> {
    let (Some(document), [_, Some(keys)]) = (single(lists.first()), lists) else { return Ok(None) };
    let document = jsonb(document)?;
    let mut keys = keys.iter().copied().flatten();
    Ok(Some(match all {
        true => keys.all(|key| document.has_key(key)),
        false => keys.any(|key| document.has_key(key)),
    }))
}
