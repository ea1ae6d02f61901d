//! String literals read as values of a type, as PostgreSQL's input functions read them.
//!
//! Input: the text between the quotes and the type that the context demands. Output: a DuckDB constant. A text that isn't a value
//! of the type is the server's error (22P02 and its kin); a notation that the server reads and this module doesn't is refused.

use super::typed::{Typed, physical, raise};
use crate::catalog::{Catalog, Oid, Outcome, Problem, Type};
use crate::native::{self, Failure};
use crate::query::quote_literal;

/// Reads a literal. In an explicit cast, a length cuts; elsewhere it refuses.
///
/// # Errors
/// The server's, or [`Problem::Unsupported`] for a notation that isn't known here.
pub(super) fn read(text: &str, ty: &Type, explicit: bool, catalog: &Catalog) -> Outcome<Typed> {
    let sql = value(text, ty, explicit, catalog)?;
    let constant = Some(super::typed::Constant::Text(text.to_owned()));
    Ok(Typed { sql, ty: ty.clone(), constant })
}

fn value(text: &str, ty: &Type, explicit: bool, catalog: &Catalog) -> Outcome<String> {
    let name = || ty.name(catalog);
    let invalid = || {
        Problem::rejected(
            "22P02",
            format!("invalid input syntax for type {}: \"{text}\"", super::typed::base(ty).name(catalog)),
        )
    };
    Ok(match ty {
        Type::Opaque(name) if name == "regclass" => match super::system::relation_number(text, catalog) {
            Some(number) => quote_literal(&number),
            None if text.starts_with("pg_") || text.contains("pg_catalog") => {
                return Err(Problem::unsupported(format!("the system's own relation {text}")));
            }
            None => return Err(Problem::rejected("42P01", format!("relation \"{text}\" does not exist"))),
        },
        Type::Opaque(name) if name == "regtype" => match super::system::type_number(text, catalog) {
            Some(number) => quote_literal(&number),
            None => return Err(Problem::rejected("42704", format!("type \"{text}\" does not exist"))),
        },
        Type::Opaque(name) if name == "regnamespace" => {
            if !catalog.schemas.contains(text) && text != "pg_catalog" && text != "information_schema" {
                return Err(Problem::rejected("3F000", format!("schema \"{text}\" does not exist")));
            }
            quote_literal(&format!("schema {text}"))
        }
        ty if super::typed::is_place(ty) => return Err(Problem::unsupported("the place of a row as a value")),
        ty if super::carried::name(ty).is_some() => {
            let read = super::carried::literal(text, ty).unwrap_or_else(|| Ok(quote_literal(text)))?;
            super::carried::limit(read, &Type::Unknown, ty, explicit)
        }
        Type::Name => quote_literal(native::text::cut_name(text)),
        Type::Opaque(name) if REWRITTEN.contains(&name.as_str()) && !text.is_empty() => {
            return Err(Problem::unsupported(format!("a literal of type {name}")));
        }
        Type::Unknown | Type::Text | Type::Varchar(None) | Type::Opaque(_) => quote_literal(text),
        Type::Varchar(Some(length)) => shorten(text, *length as usize, explicit, ty),
        Type::Char(length) => {
            let flag = if explicit { "t" } else { "f" };
            format!("pg_char({}, '{length}', '{flag}')", quote_literal(text))
        }
        Type::Bytea => format!("unhex('{}')", native::text::bytes_from_text(text).map_err(Failure::into_problem)?),
        Type::Bool => boolean(text).ok_or_else(invalid)?.to_owned(),
        Type::Int2 | Type::Int4 | Type::Int8 => integer(text, ty, catalog)?,
        Type::Float4 | Type::Float8 => {
            let shown = crate::native::numeric::float(text, *ty == Type::Float4).map_err(Failure::into_problem)?;
            format!("CAST('{shown}' AS {})", physical(ty))
        }
        Type::Numeric(_) => super::number::literal(text, ty)?,
        Type::Uuid => native::text::uuid_from_text(text)
            .map(|id| format!("CAST({} AS UUID)", quote_literal(&id)))
            .map_err(Failure::into_problem)?,
        Type::Enum(oid) => label(text, *oid, catalog)?,
        Type::Date | Type::Timestamp(_) | Type::Timestamptz(_) => time(text, ty)?,
        Type::Interval => format!("CAST('{}' AS INTERVAL)", read_time(text, "interval")?),
        Type::Json => {
            native::check_json(text).map_err(failed)?;
            quote_literal(text)
        }
        Type::Jsonb => quote_literal(&native::jsonb_text(text).map_err(failed)?),
        Type::Array(element) => array(text, element, explicit, catalog)?,
        Type::Time(precision) => {
            let sql = format!("CAST('{}' AS TIME)", read_time(text, "time")?);
            super::cast::round_clock(sql, *precision)
        }
        Type::Composite(oid) => super::composite::read(text, *oid, catalog)?,
        Type::Record | Type::Void | Type::Domain(..) => {
            return Err(Problem::unsupported(format!("a literal of type {}", name())));
        }
    })
}

/// Types whose values the server writes otherwise than they are given.
const REWRITTEN: &[&str] = &[
    "box", "circle", "jsonpath", "line", "lseg", "macaddr8", "money", "path", "pg_lsn", "point", "polygon", "tsquery",
    "tsvector",
];

/// What a native function says of a constant.
fn failed(failure: Failure) -> Problem {
    match failure {
        Failure::Raised(sqlstate, message) => Problem::rejected(sqlstate, message),
        Failure::Refused(what) => Problem::unsupported(what),
    }
}

/// A text that doesn't fit is an error of the statement's run, not of its reading: the server reads it to its end first.
fn shorten(text: &str, length: usize, explicit: bool, ty: &Type) -> String {
    if text.chars().count() <= length {
        return quote_literal(text);
    }
    if explicit || text.chars().skip(length).all(|c| c == ' ') {
        return quote_literal(&text.chars().take(length).collect::<String>());
    }
    raise("22001", &quote_literal(&format!("value too long for type character varying({length})")), ty)
}

/// Unambiguous beginnings of true, false, yes, no, on, off, 1, 0.
fn boolean(text: &str) -> Option<&'static str> {
    let word = text.trim().to_ascii_lowercase();
    if word.is_empty() {
        return None;
    }
    let is = |full: &str, least: usize| word.len() >= least && full.starts_with(&word);
    if is("true", 1) || is("yes", 1) || word == "on" || word == "1" {
        Some("true")
    } else if is("false", 1) || is("no", 1) || is("off", 2) || word == "0" {
        Some("false")
    } else {
        None
    }
}

fn integer(text: &str, ty: &Type, catalog: &Catalog) -> Outcome<String> {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("invalid input syntax for type {}: \"{text}\"", ty.name(catalog));
        return Err(Problem::rejected("22P02", message));
    }
    let number = trimmed.parse::<i64>().ok();
    let fits = number.is_some_and(|n| match ty {
        Type::Int2 => i16::try_from(n).is_ok(),
        Type::Int4 => i32::try_from(n).is_ok(),
        _ => true,
    });
    match number.filter(|_| fits) {
        Some(number) => Ok(format!("CAST({number} AS {})", physical(ty))),
        None => {
            Err(Problem::rejected("22003", format!("value \"{text}\" is out of range for type {}", ty.name(catalog))))
        }
    }
}

/// Labels of an enum in order, and its name.
pub(super) fn labels(oid: Oid, catalog: &Catalog) -> Outcome<(&[String], String)> {
    match catalog.enums.get(&oid) {
        Some(found) => Ok((&found.labels, Type::Enum(oid).name(catalog))),
        None => Err(Problem::unsupported("an enum that has been dropped")),
    }
}

/// A label, unless it isn't one (22P02) or was added in this very transaction (55P04).
pub(super) fn label(text: &str, oid: Oid, catalog: &Catalog) -> Outcome<String> {
    let (labels, name) = labels(oid, catalog)?;
    let known = catalog.enums.get(&oid);
    if !labels.iter().any(|label| label == text) {
        let problem = Problem::rejected("22P02", format!("invalid input value for enum {name}: \"{text}\""));
        return Err(problem.hint(format!("the labels are {}", labels.join(", "))));
    }
    if known.is_some_and(|e| e.uncommitted.contains(text)) {
        return Err(Problem::rejected("55P04", format!("unsafe use of new value \"{text}\" of enum type {name}"))
            .hint("New enum values must be committed before they can be used."));
    }
    Ok(quote_literal(text))
}

/// `now`, `today` and their kin, which stand for a time of the run.
pub(super) fn is_time_of_run(text: &str, ty: &Type) -> bool {
    let dated = matches!(ty, Type::Date | Type::Timestamp(_) | Type::Timestamptz(_));
    dated && ["now", "today", "tomorrow", "yesterday"].contains(&native::time::word(text).as_str())
}

fn time_of_run(text: &str) -> String {
    let unknown = quote_literal("NS|the time of the run, which isn't known here");
    let now = format!("CAST(coalesce(getvariable('pg_now'), error({unknown})) AS TIMESTAMP)");
    let day = format!("date_trunc('day', {now})");
    match native::time::word(text).as_str() {
        "now" => now,
        "tomorrow" => format!("({day} + INTERVAL 1 DAY)"),
        "yesterday" => format!("({day} - INTERVAL 1 DAY)"),
        _ => day,
    }
}

/// Dates, timestamps and intervals: constants, but for a time with time zone that doesn't say which.
fn time(text: &str, ty: &Type) -> Outcome<String> {
    let (sql, precision) = match ty {
        Type::Date if is_time_of_run(text, ty) => return Ok(format!("CAST({} AS DATE)", time_of_run(text))),
        Type::Timestamp(precision) | Type::Timestamptz(precision) if is_time_of_run(text, ty) => {
            (time_of_run(text), precision)
        }
        Type::Date => return Ok(format!("CAST(CAST('{}' AS TIMESTAMP) AS DATE)", read_time(text, "date")?)),
        Type::Timestamp(precision) => (format!("CAST('{}' AS TIMESTAMP)", read_time(text, "timestamp")?), precision),
        Type::Timestamptz(precision) => {
            read_time(text, "timestamptz")?;
            let zone = super::cast::SESSION_ZONE;
            (format!("CAST(pg_timestamptz_in({}, {zone}) AS TIMESTAMP)", quote_literal(text)), precision)
        }
        _ => return Err(Problem::unsupported("a literal of this type")),
    };
    Ok(match precision {
        Some(precision) if *precision < 6 => super::cast::round_time(&sql, *precision),
        _ => sql,
    })
}

fn read_time(text: &str, kind: &str) -> Outcome<String> {
    native::time::literal(text, kind, "UTC").map_err(Failure::into_problem)
}

/// `{a,"b c",NULL}`: one dimension, the lower bound 1.
fn array(text: &str, element: &Type, explicit: bool, catalog: &Catalog) -> Outcome<String> {
    let elements = native::array_elements(text).map_err(failed)?;
    let values = elements.iter().map(|word| match word {
        None => Ok("NULL".to_owned()),
        Some(word) => value(word, element, explicit, catalog),
    });
    let values = values.collect::<Outcome<Vec<_>>>()?;
    Ok(format!("CAST([{}] AS {}[])", values.join(", "), physical(element)))
}
