//! Casts: implicit, by assignment, explicit, as PostgreSQL's `pg_cast` allows them and with the values that it gives.
//!
//! Input: a typed expression and a target type. Output: the converted expression, or the server's refusal (42804 in an assignment,
//! 42846 in a cast). What only a row can violate (a text that is no integer, a value too long) is raised by the row.

use super::carried;
use super::literal;
use super::number;
use super::typed::{
    Constant, Family, Typed, base, family, is_citext, is_place, number_rank, physical, raise, refused_of_rows,
};
pub(super) use crate::catalog::pg::Context;
use crate::catalog::pg::Id;
use crate::catalog::pg::coercion::converts;
use crate::catalog::{Catalog, Outcome, Problem, Type};
use crate::query::quote_literal;

/// Does PostgreSQL convert between the two types in this context? Nothing is known of an extension's types.
pub(super) fn exists(from: &Type, to: &Type, context: Context) -> bool {
    match (Id::of(from), Id::of(to)) {
        (Some(from), Some(to)) => converts(from, to, context),
        _ => {
            let (from, to) = (base(from), base(to));
            from == to
                || (is_citext(&from) && family(&to) == Family::Text)
                || (context >= Context::Assignment && is_citext(&to) && family(&from) == Family::Text)
                || from == Type::Unknown
                || (context >= Context::Assignment && family(&to) == Family::Text)
                || (context >= Context::Explicit && family(&from) == Family::Text)
        }
    }
}

/// Converts an expression; `column` names the column assigned to, for messages.
///
/// # Errors
/// [`Problem::Rejected`] where PostgreSQL has no such cast, or the constant isn't a value of the type; [`Problem::Unsupported`]
/// where the converted value can't be told.
pub(super) fn convert(
    value: Typed,
    to: &Type,
    context: Context,
    column: Option<&str>,
    catalog: &Catalog,
) -> Outcome<Typed> {
    if let Type::Domain(..) = to {
        return Err(Problem::unsupported(format!("a value of the domain {} here", to.name(catalog))));
    }
    if value.is_null() {
        return Ok(Typed {
            sql: format!("CAST(NULL AS {})", physical(to)),
            ty: to.clone(),
            constant: Some(Constant::Null),
        });
    }
    if value.ty == Type::Unknown
        && let Some(text) = value.text()
    {
        return literal::read(text, to, context == Context::Explicit, catalog);
    }
    if super::system::is_number(&value.ty) && matches!(to, Type::Opaque(name) if name == "regprocedure") {
        // Its number is its signature.
        return Ok(Typed::new(super::system::of_function(&value.sql, false), Type::Text));
    }
    if !exists(&value.ty, to, context) {
        return Err(refusal(&value.ty, to, context, column, catalog));
    }
    let converted = match between(&value, to, catalog) {
        // Between types of the server's own the cast is known to be there; what it gives only matters to a row.
        Err(Problem::Unsupported(what))
            if value.ty != Type::Unknown && Id::of(&value.ty).is_some() && Id::of(to).is_some() =>
        {
            return Ok(refused_of_rows(&what.what, std::slice::from_ref(&value), true, to));
        }
        converted => converted?,
    };
    Ok(Typed { sql: limit(converted, &value.ty, to, context), ty: to.clone(), constant: None })
}

pub(super) fn refusal(from: &Type, to: &Type, context: Context, column: Option<&str>, catalog: &Catalog) -> Problem {
    if Id::of(from).is_none() || Id::of(to).is_none() {
        return Problem::unsupported(format!("a cast from {} to {}", from.name(catalog), to.name(catalog)));
    }
    let (from, to) = (from.base_name(catalog), to.base_name(catalog));
    match (context, column) {
        (Context::Assignment, Some(column)) => {
            Problem::rejected("42804", format!("column \"{column}\" is of type {to} but expression is of type {from}"))
                .hint("You will need to rewrite or cast the expression.")
        }
        _ => Problem::rejected("42846", format!("cannot cast type {from} to {to}")),
    }
}

/// The value in the target type, before its length or precision.
fn between(value: &Typed, to: &Type, catalog: &Catalog) -> Outcome<String> {
    let (from, sql) = (&value.ty, &value.sql);
    let target = base(to);
    if is_place(from) != is_place(to) {
        return Err(Problem::unsupported("the place of a row as a value"));
    }
    match (super::system::is_number(from), super::system::is_number(to)) {
        (true, true) => return Ok(sql.clone()),
        (true, false) if family(to) == Family::Text => {
            let name = super::system::name_of_number(sql, from, catalog);
            return name.ok_or_else(|| Problem::unsupported("the number of an object as a value"));
        }
        (true, false) => return Err(Problem::unsupported("the number of an object as a value")),
        // No object has this number, on no server.
        (false, true) if value.constant == Some(Constant::Integer(0)) => return Ok("'0'".to_owned()),
        _ => {}
    }
    if let (Some(_), Some(_)) = (number_rank(from), number_rank(to)) {
        return Ok(number::convert(value, to));
    }
    if base(from) == target || (family(from) == Family::Text && family(to) == Family::Text) {
        return match (from, to) {
            (Type::Char(_), _) if !matches!(to, Type::Char(_)) => Ok(format!("rtrim({sql}, ' ')")),
            _ => Ok(sql.clone()),
        };
    }
    if let Some(converted) = carried::between(value, to) {
        return Ok(converted);
    }
    match (from, to) {
        (Type::Array(a), Type::Array(b)) => {
            let element = between(&Typed::new("x", (**a).clone()), b, catalog)?;
            Ok(format!("list_transform({sql}, lambda x: {element})"))
        }
        (Type::Bool, Type::Int4) => Ok(format!("CAST({sql} AS INTEGER)")),
        (Type::Int4, Type::Bool) => Ok(format!("({sql} <> 0)")),
        (Type::Json, Type::Jsonb) => Ok(format!("pg_jsonb({sql})")),
        (Type::Jsonb, Type::Json) => Ok(sql.clone()),
        (Type::Jsonb, Type::Bool) => Ok(format!("pg_jsonb_truth({sql})")),
        (Type::Jsonb, to) if to.is_integer() => {
            let name = quote_literal(&to.name(catalog));
            Ok(format!("CAST(pg_jsonb_whole({sql}, {name}) AS {})", physical(to)))
        }
        (Type::Jsonb, _) if family(to) == Family::Number => {
            let name = quote_literal(&target.name(catalog));
            let text = Typed::new(format!("pg_jsonb_number({sql}, {name})"), Type::Text);
            from_text(&text.sql, &target, catalog)
        }
        (Type::Time(_), Type::Interval) => Ok(format!("CAST(pg_time_span(CAST({sql} AS VARCHAR)) AS INTERVAL)")),
        (Type::Interval, Type::Time(_)) => Ok(format!("CAST(pg_time_of_span(CAST({sql} AS VARCHAR)) AS TIME)")),
        (Type::Timestamp(_) | Type::Timestamptz(_), Type::Time(_)) => {
            Ok(format!("CAST(pg_time_of_moment(CAST({sql} AS VARCHAR)) AS TIME)"))
        }
        (from, to) if family(from) == Family::Time && family(to) == Family::Time => {
            Ok(format!("CAST({sql} AS {})", physical(to)))
        }
        (from, to) if is_citext(to) && family(from) == Family::Text => text_form(sql, from, catalog),
        (Type::Array(_), _) if family(to) == Family::Text => array_text(sql, from, catalog),
        (from, to) if family(to) == Family::Text => text_form(sql, from, catalog),
        (from, to) if family(from) == Family::Text => from_text(sql, to, catalog),
        (from, to) => Err(Problem::unsupported(format!("a cast from {} to {}", from.name(catalog), to.name(catalog)))),
    }
}

/// PostgreSQL's text form of a value.
pub(super) fn text_form(sql: &str, from: &Type, catalog: &Catalog) -> Outcome<String> {
    Ok(match from {
        Type::Char(_) => format!("rtrim({sql}, ' ')"),
        Type::Bytea => format!("'\\x' || lower(hex({sql}))"),
        ty if family(ty) == Family::Text => sql.to_owned(),
        Type::Bool | Type::Int2 | Type::Int4 | Type::Int8 | Type::Uuid => format!("CAST({sql} AS VARCHAR)"),
        Type::Opaque(name) if name == "inet" => format!("pg_network_part('text', {sql})"),
        Type::Enum(_) | Type::Json | Type::Jsonb | Type::Opaque(_) | Type::Composite(_) | Type::Unknown => {
            sql.to_owned()
        }
        Type::Numeric(_) => number::text(&Typed::new(sql, from.clone())),
        Type::Float4 => format!("pg_float4_text(CAST({sql} AS VARCHAR))"),
        Type::Float8 => format!("pg_float8_text(CAST({sql} AS VARCHAR))"),
        Type::Date => format!("pg_date_text(CAST({sql} AS VARCHAR))"),
        Type::Time(_) => format!("pg_time_text(CAST({sql} AS VARCHAR))"),
        Type::Timestamp(_) => format!("pg_timestamp_text(CAST({sql} AS VARCHAR))"),
        Type::Timestamptz(_) => format!("pg_timestamptz_text(CAST({sql} AS VARCHAR), {SESSION_ZONE})"),
        Type::Interval => format!("pg_interval_text(CAST({sql} AS VARCHAR))"),
        other => return Err(Problem::unsupported(format!("the text form of a {}", other.name(catalog)))),
    })
}

/// What a value looks like inside an array's text, and wherever else the server writes a value without casting it.
pub(super) fn output_form(sql: &str, from: &Type, catalog: &Catalog) -> Outcome<String> {
    match from {
        Type::Bool => Ok(format!("CASE {sql} WHEN true THEN 't' WHEN false THEN 'f' END")),
        Type::Array(_) => array_text(sql, from, catalog),
        // The cast to a text adds the length of the network, which the value itself doesn't show.
        Type::Opaque(name) if name == "inet" => Ok(sql.to_owned()),
        _ => text_form(sql, from, catalog),
    }
}

/// `{a,"b c",NULL}`
fn array_text(sql: &str, from: &Type, catalog: &Catalog) -> Outcome<String> {
    if let Type::Array(element) = from
        && matches!(**element, Type::Array(_))
    {
        // Braces inside of braces stand without quotes.
        let held = format!("m{}", super::matrix::depth(from).unwrap_or_default());
        let inner = array_text(&held, element, catalog)?;
        return Ok(format!("('{{' || array_to_string(list_transform({sql}, lambda {held}: {inner}), ',') || '}}')"));
    }
    Ok(format!("pg_array_text({})", element_texts(sql, from, catalog)?))
}

/// An array's elements as texts.
pub(super) fn element_texts(sql: &str, from: &Type, catalog: &Catalog) -> Outcome<String> {
    let Type::Array(element) = from else { return Err(Problem::unsupported("the elements of what is no array")) };
    Ok(match element.as_ref() {
        Type::Unknown => format!("CAST({sql} AS VARCHAR[])"),
        element => match output_form("e", element, catalog)? {
            form if form == "e" => sql.to_owned(),
            form => format!("list_transform({sql}, lambda e: {form})"),
        },
    })
}

/// The session's time zone, as the engine was told it.
pub(super) const SESSION_ZONE: &str = "coalesce(getvariable('pg_zone'), 'UTC')";

/// A text read as a value of another type, row by row.
fn from_text(sql: &str, to: &Type, catalog: &Catalog) -> Outcome<String> {
    let name = to.name(catalog);
    let invalid = |ty: &Type| {
        let message = format!("'invalid input syntax for type {}: \"' || {sql} || '\"'", base(ty).name(catalog));
        raise("22P02", &message, ty)
    };
    Ok(match to {
        Type::Int2 | Type::Int4 | Type::Int8 => {
            let digits = format!("regexp_full_match({sql}, '\\s*[+-]?[0-9]+\\s*')");
            let cast = format!("TRY_CAST(trim({sql}, E' \\t\\n\\r') AS {})", physical(to));
            let range = format!("'value \"' || {sql} || '\" is out of range for type {name}'");
            format!(
                "CASE WHEN {sql} IS NULL THEN NULL WHEN NOT {digits} THEN {} WHEN {cast} IS NULL THEN {} ELSE {cast} END",
                invalid(to),
                raise("22003", &range, to)
            )
        }
        Type::Uuid => {
            let plain = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}";
            let form = format!("regexp_full_match({sql}, '{plain}')");
            format!("CAST(CASE WHEN {form} THEN {sql} ELSE pg_uuid_in({sql}) END AS UUID)")
        }
        Type::Bool => {
            let word = format!("lower(trim({sql}))");
            format!(
                "CASE WHEN {sql} IS NULL THEN NULL WHEN {word} IN ('t','tr','tru','true','y','ye','yes','on','1') THEN true WHEN {word} IN ('f','fa','fal','fals','false','n','no','of','off','0') THEN false ELSE {} END",
                invalid(to)
            )
        }
        Type::Enum(oid) => {
            let (labels, name) = literal::labels(*oid, catalog)?;
            let list: Vec<String> = labels.iter().map(|label| quote_literal(label)).collect();
            let message = format!("'invalid input value for enum {}: \"' || {sql} || '\"'", name.replace('\'', "''"));
            format!(
                "CASE WHEN {sql} IS NULL OR {sql} IN ({}) THEN {sql} ELSE {} END",
                list.join(", "),
                raise("22P02", &message, to)
            )
        }
        Type::Bytea => format!("unhex(pg_bytea_in({sql}))"),
        Type::Numeric(_) => format!("pg_numeric_in({sql})"),
        Type::Float4 => format!("CAST(pg_float4_in({sql}) AS FLOAT)"),
        Type::Float8 => format!("CAST(pg_float8_in({sql}) AS DOUBLE)"),
        Type::Date => format!("CAST(CAST(pg_date_in({sql}) AS TIMESTAMP) AS DATE)"),
        Type::Timestamp(_) => format!("CAST(pg_timestamp_in({sql}) AS TIMESTAMP)"),
        Type::Timestamptz(_) => format!("CAST(pg_timestamptz_in({sql}, {SESSION_ZONE}) AS TIMESTAMP)"),
        Type::Interval => format!("CAST(pg_interval_in({sql}) AS INTERVAL)"),
        Type::Time(_) => format!("CAST(pg_time_in({sql}) AS TIME)"),
        ty if carried::name(ty).is_some() => carried::from_text(sql, ty).unwrap_or_default(),
        Type::Json => format!("pg_json_check({sql})"),
        Type::Jsonb => format!("pg_jsonb({sql})"),
        Type::Array(element) => match family(element) {
            Family::Text => format!("pg_array_elements({sql})"),
            _ => {
                format!("list_transform(pg_array_elements({sql}), lambda e: {})", from_text("e", element, catalog)?)
            }
        },
        _ => return Err(Problem::unsupported(format!("a cast from text to {name}"))),
    })
}

/// Length and precision: cut by an explicit cast, refused (varchar) or rounded (timestamp, numeric) in an assignment.
fn limit(sql: String, from: &Type, to: &Type, context: Context) -> String {
    match to {
        Type::Varchar(Some(length)) => {
            if matches!(from, Type::Varchar(Some(had)) if had <= length) {
                return sql;
            }
            if context == Context::Explicit {
                return format!("left({sql}, {length})");
            }
            let error =
                raise("22001", &quote_literal(&format!("value too long for type character varying({length})")), to);
            // Blanks at the end that don't fit are cut without a word.
            format!(
                "CASE WHEN length({sql}) > {length} THEN CASE WHEN length(rtrim({sql}, ' ')) > {length} THEN {error} ELSE left({sql}, {length}) END ELSE {sql} END"
            )
        }
        Type::Name if *from != Type::Name => format!("pg_name({sql})"),
        Type::Char(length) => {
            let explicit = if context == Context::Explicit { "t" } else { "f" };
            format!("pg_char({sql}, '{length}', '{explicit}')")
        }
        Type::Numeric(Some((precision, scale))) => {
            if from == to {
                return sql;
            }
            number::fit(&sql, from, to, *precision, *scale)
        }
        Type::Timestamp(Some(precision)) | Type::Timestamptz(Some(precision)) if *precision < 6 => {
            if matches!(from, Type::Timestamp(Some(had)) | Type::Timestamptz(Some(had)) if had <= precision) {
                return sql;
            }
            round_time(&sql, *precision)
        }
        Type::Time(precision) => match from {
            Type::Time(had) if had == precision => sql,
            _ => round_clock(sql, *precision),
        },
        Type::Opaque(_) => carried::limit(sql, from, to, context == Context::Explicit),
        Type::Array(element) => match element.as_ref() {
            Type::Varchar(Some(_)) => {
                let from = match from {
                    Type::Array(from) => from,
                    other => other,
                };
                format!("list_transform({sql}, lambda x: {})", limit("x".to_owned(), from, element, context))
            }
            _ => sql,
        },
        _ => sql,
    }
}

/// A time of day rounded to so many digits.
pub(super) fn round_clock(sql: String, precision: Option<u8>) -> String {
    match precision.filter(|digits| *digits < 6) {
        Some(digits) => format!("CAST(pg_time_round(CAST({sql} AS VARCHAR), '{digits}') AS TIME)"),
        None => sql,
    }
}

/// PostgreSQL rounds half a unit away from zero, counted from the year 2000.
pub(super) fn round_time(sql: &str, precision: u8) -> String {
    let unit = 10_i64.pow(6 - u32::from(precision.min(6)));
    let half = unit / 2;
    const EPOCH: i64 = 946_684_800_000_000;
    let micros = format!("(epoch_us({sql}) - {EPOCH})");
    format!(
        "make_timestamp(CAST(CASE WHEN {micros} >= 0 THEN (({micros} + {half}) // {unit}) * {unit} ELSE -((({half} - {micros}) // {unit}) * {unit}) END + {EPOCH} AS BIGINT))"
    )
}
