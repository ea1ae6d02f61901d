//! Types whose values are carried as the server's text, and yet read, compared and computed with: ranges, bit strings, addresses, times
//! of day with a zone.
//!
//! Input: values and the types of the server's tables. Output: calls of native functions. Invariant: a type that isn't here is carried
//! without a look at its values, and nothing is done with them. Left out: how a value is read and ordered, see [`crate::native`].

use super::cast::{Context, SESSION_ZONE, convert};
use super::reader::Reader;
use super::typed::{Typed, is_integer, physical};
use crate::catalog::{Outcome, Problem, Type};
use crate::native::carried;
use crate::native::range::RANGES;
use crate::query::quote_literal;

/// The name of a type that is read here, without its modifiers.
pub(super) fn name(ty: &Type) -> Option<&str> {
    let Type::Opaque(name) = ty else { return None };
    carried::is_read(name).then(|| name.split_once('(').map_or(name.as_str(), |(base, _)| base))
}

/// `int4range` of `int4multirange`
fn multirange_of(name: &str) -> Option<&'static str> {
    let range = name.strip_suffix("multirange")?;
    RANGES.iter().map(|(known, _)| *known).find(|known| known.strip_suffix("range") == Some(range))
}

/// `range_agg()` of ranges: SQL over the list of them.
pub(super) fn range_agg(list: &str, ty: &Type) -> Option<Typed> {
    let name = name(ty).filter(|_| bounds(ty).is_some())?;
    let many = name.strip_suffix("range").map(|base| format!("{base}multirange"))?;
    Some(Typed::new(format!("pg_multirange(['{name}'], {list})"), Type::Opaque(many)))
}

/// The type of a range's bounds.
pub(super) fn bounds(ty: &Type) -> Option<Type> {
    let name = name(ty)?;
    let (_, element) = RANGES.iter().find(|(range, _)| *range == name)?;
    Some(match *element {
        "integer" => Type::Int4,
        "bigint" => Type::Int8,
        "numeric" => Type::Numeric(None),
        "date" => Type::Date,
        "timestamp without time zone" => Type::Timestamp(None),
        _ => Type::Timestamptz(None),
    })
}

/// What values of such a type are compared by.
pub(super) fn key(sql: &str, ty: &Type) -> Option<String> {
    let name = name(ty)?;
    match sql.starts_with("pg_carried_key(") {
        true => Some(sql.to_owned()),
        false => Some(format!("pg_carried_key({}, {sql})", quote_literal(name))),
    }
}

/// May equal values of the type be written differently?
pub(super) fn is_loose(ty: &Type) -> bool {
    matches!(name(ty), Some("numrange" | "inet" | "cidr"))
}

/// A text read as a value, row by row.
pub(super) fn from_text(sql: &str, ty: &Type) -> Option<String> {
    name(ty).map(|name| format!("pg_carried_in({}, {sql}, {SESSION_ZONE})", quote_literal(name)))
}

/// A literal: its errors are the statement's.
///
/// # Errors
/// The server's, for a text that isn't a value of the type.
pub(super) fn literal(text: &str, ty: &Type) -> Option<Outcome<String>> {
    let name = name(ty)?;
    let read = carried::read(name, text, "UTC").map_err(crate::native::Failure::into_problem);
    let zoned = matches!(name, "time with time zone" | "tstzrange");
    Some(read.map(|value| match zoned {
        true => format!("pg_carried_in({}, {}, {SESSION_ZONE})", quote_literal(name), quote_literal(text)),
        false => quote_literal(&value),
    }))
}

/// Length and precision of such a type.
pub(super) fn limit(sql: String, from: &Type, to: &Type, explicit: bool) -> String {
    let (Some(base), Type::Opaque(whole)) = (name(to), to) else { return sql };
    let digits = whole.strip_prefix(base).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let Some(digits) = digits.filter(|_| from != to) else { return sql };
    let flag = if explicit { "t" } else { "f" };
    match base {
        "time with time zone" => format!("pg_timetz_round({sql}, '{digits}')"),
        _ => format!("pg_bit_fit({sql}, '{base}', '{digits}', '{flag}')"),
    }
}

/// A conversion that isn't by the text form.
pub(super) fn between(value: &Typed, to: &Type) -> Option<String> {
    let text = format!("CAST({} AS VARCHAR)", value.sql);
    let sql = &value.sql;
    Some(match (name(&value.ty), name(to)) {
        (Some("time with time zone"), None) if matches!(to, Type::Time(_)) => {
            format!("CAST(pg_timetz_bare({sql}) AS TIME)")
        }
        (None, Some("time with time zone")) => match &value.ty {
            Type::Time(_) => format!("pg_timetz_of_time({text}, {SESSION_ZONE})"),
            Type::Timestamptz(_) => format!("pg_timetz_of_moment({text}, {SESSION_ZONE})"),
            _ => return None,
        },
        (Some("bit" | "bit varying"), Some("bit" | "bit varying")) => sql.clone(),
        (Some("bit"), None) if matches!(to, Type::Int4 | Type::Int8) => {
            let shown = if *to == Type::Int4 { "integer" } else { "bigint" };
            format!("CAST(pg_bit_to_integer({sql}, '{shown}') AS {})", physical(to))
        }
        (None, Some("bit")) if is_integer(&value.ty) => {
            let Type::Opaque(whole) = to else { return None };
            let length = whole.strip_prefix("bit(").and_then(|rest| rest.strip_suffix(')')).unwrap_or("1");
            format!("pg_bit_of_integer({text}, '{length}')")
        }
        (Some("cidr"), Some("inet")) => format!("pg_carried_in('inet', {sql}, 'UTC')"),
        (Some("inet"), Some("cidr")) => format!("pg_network_part('network', {sql})"),
        _ => return None,
    })
}

impl Reader<'_> {
    /// An operator of such types; nothing where none of them takes part, or it isn't known.
    pub(super) fn carried_operator(&mut self, name: &str, left: &Typed, right: &Typed) -> Outcome<Option<Typed>> {
        let truth = |sql: String| Ok(Some(Typed::new(sql, Type::Bool)));
        let (l, r) = (&left.sql, &right.sql);
        match (self::name(&left.ty), self::name(&right.ty)) {
            (Some(a), Some(b)) if a == b && bounds(&left.ty).is_some() => match name {
                "+" | "-" | "*" => {
                    Ok(Some(Typed::new(format!("pg_range_joined('{name}', '{a}', {l}, {r})"), left.ty.clone())))
                }
                "&&" | "@>" | "<@" | "<<" | ">>" | "&<" | "&>" | "-|-" => {
                    truth(format!("pg_range_test('{name}', '{a}', {l}, {r})"))
                }
                _ => Ok(None),
            },
            (Some(range), None) if name == "@>" => self.range_holds(range, left, right),
            (None, Some(range)) if name == "<@" => self.range_holds(range, right, left),
            (Some("bit" | "bit varying"), Some("bit" | "bit varying")) => match name {
                "&" | "|" | "#" => {
                    Ok(Some(Typed::new(format!("pg_bit_calc('{name}', {l}, {r})"), Type::Opaque("bit".to_owned()))))
                }
                "||" => Ok(Some(Typed::new(format!("({l} || {r})"), Type::Opaque("bit varying".to_owned())))),
                _ => Ok(None),
            },
            (Some("bit" | "bit varying"), None) if ["<<", ">>"].contains(&name) && is_integer(&right.ty) => {
                let sql = format!("pg_bit_shift('{name}', {l}, CAST({r} AS VARCHAR))");
                Ok(Some(Typed::new(sql, Type::Opaque("bit".to_owned()))))
            }
            (Some("inet" | "cidr"), Some("inet" | "cidr")) if ["<<", "<<=", ">>", ">>=", "&&"].contains(&name) => {
                truth(format!("pg_network_test('{name}', {l}, {r})"))
            }
            _ => Ok(None),
        }
    }

    fn range_holds(&mut self, name: &str, range: &Typed, element: &Typed) -> Outcome<Option<Typed>> {
        let Some(ty) = bounds(&range.ty) else { return Ok(None) };
        if !element.ty.same_base(&ty) {
            return Ok(None);
        }
        let element = self.bound_text(element)?;
        Ok(Some(Typed::new(format!("pg_range_holds('{name}', {}, {element})", range.sql), Type::Bool)))
    }

    /// A bound's value as ranges hold it: an instant in UTC.
    fn bound_text(&self, value: &Typed) -> Outcome<String> {
        match &value.ty {
            Type::Timestamptz(_) => Ok(format!("pg_timestamptz_text(CAST({} AS VARCHAR), 'UTC')", value.sql)),
            ty => super::cast::text_form(&value.sql, ty, self.catalog()),
        }
    }

    /// A function of such types; nothing where none of them takes part.
    pub(super) fn carried_function(&mut self, name: &str, args: &[Typed]) -> Outcome<Option<Typed>> {
        if let Some((range, _)) = RANGES.iter().find(|(range, _)| *range == name) {
            return self.range_of(range, args).map(Some);
        }
        if let Some(range) = multirange_of(name) {
            let texts: Vec<&str> = args.iter().map(|arg| arg.sql.as_str()).collect();
            if !args.iter().all(|arg| self::name(&arg.ty) == Some(range)) {
                return Ok(None);
            }
            let sql = format!("pg_multirange(['{range}'], CAST([{}] AS VARCHAR[]))", texts.join(", "));
            return Ok(Some(Typed::new(sql, Type::Opaque(name.to_owned()))));
        }
        let Some(first) = args.first() else { return Ok(None) };
        let Some(kind) = self::name(&first.ty) else { return Ok(None) };
        let sql = &first.sql;
        if let Some(element) = bounds(&first.ty) {
            return Ok(match (name, args) {
                ("lower" | "upper", [_]) => {
                    let text = Typed::new(format!("pg_range_part('{name}', '{kind}', {sql})"), Type::Text);
                    Some(convert(text, &element, Context::Explicit, None, self.catalog())?)
                }
                ("isempty" | "lower_inc" | "upper_inc" | "lower_inf" | "upper_inf", [_]) => {
                    Some(Typed::new(format!("pg_range_is('{name}', '{kind}', {sql})"), Type::Bool))
                }
                ("range_merge", [_, other]) => {
                    let joined = format!("pg_range_joined('range_merge', '{kind}', {sql}, {})", other.sql);
                    Some(Typed::new(joined, first.ty.clone()))
                }
                _ => None,
            });
        }
        Ok(match (kind, name, args) {
            ("bit" | "bit varying", "length" | "bit_length" | "octet_length", [_]) => {
                let length = format!("length({sql})");
                let sql = if name == "octet_length" { format!("(({length} + 7) // 8)") } else { length };
                Some(Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4))
            }
            ("bit" | "bit varying", "bit_count", [_]) => {
                Some(Typed::new(format!("CAST(pg_bit_count({sql}) AS BIGINT)"), Type::Int8))
            }
            ("bit" | "bit varying", "get_bit", [_, place]) => {
                let sql = format!("CAST(pg_bit_at({sql}, CAST({} AS VARCHAR)) AS INTEGER)", place.sql);
                Some(Typed::new(sql, Type::Int4))
            }
            ("inet" | "cidr", "host" | "text", [_]) => {
                Some(Typed::new(format!("pg_network_part('{name}', {sql})"), Type::Text))
            }
            ("inet" | "cidr", "family" | "masklen", [_]) => {
                Some(Typed::new(format!("CAST(pg_network_part('{name}', {sql}) AS INTEGER)"), Type::Int4))
            }
            ("inet", "abbrev", [_]) => Some(Typed::new(sql.clone(), Type::Text)),
            ("inet" | "cidr", "network", [_]) => {
                Some(Typed::new(format!("pg_network_part('network', {sql})"), Type::Opaque("cidr".to_owned())))
            }
            ("inet" | "cidr", "broadcast" | "netmask" | "hostmask", [_]) => {
                Some(Typed::new(format!("pg_network_part('{name}', {sql})"), Type::Opaque("inet".to_owned())))
            }
            _ => None,
        })
    }

    /// `int4range(1, 10, '[]')`
    fn range_of(&mut self, range: &str, args: &[Typed]) -> Outcome<Typed> {
        let ty = Type::Opaque(range.to_owned());
        let (Some(element), [low, high, flags @ ..]) = (bounds(&ty), args) else {
            return Err(self.no_function(range, args));
        };
        let mut parts = Vec::new();
        for value in [low, high] {
            let value = convert(value.clone(), &element, Context::Implicit, None, self.catalog())?;
            parts.push(format!("[{}]", self.bound_text(&value)?));
        }
        let flags = match flags {
            [] => quote_literal("[)"),
            [flags] => convert(flags.clone(), &Type::Text, Context::Implicit, None, self.catalog())?.sql,
            _ => return Err(Problem::unsupported(format!("{range}() of more than three arguments"))),
        };
        Ok(Typed::new(format!("pg_range_make(['{range}'], {}, [{flags}])", parts.join(", ")), ty))
    }
}
