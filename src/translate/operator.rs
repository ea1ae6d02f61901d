//! Operators: which one PostgreSQL picks for two types, and how DuckDB says the same.
//!
//! Invariant: a pair of types that PostgreSQL has no operator for is refused as PostgreSQL refuses it (42883); a pair that it has
//! one for, but whose DuckDB counterpart isn't known to agree, is unsupported.

use super::cast::{self, Context, convert};
use super::literal;
use super::reader::Reader;
use super::typed::{Family, Typed, base, family, is_integer, number_rank, physical};
use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;

const COMPARISONS: &[&str] = &["=", "<>", "!=", "<", ">", "<=", ">="];

impl Reader<'_> {
    /// `left operator right`.
    pub(super) fn operator(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        if COMPARISONS.contains(&name) {
            return self.compare(name, left, right);
        }
        match name {
            "+" | "-" | "*" | "/" | "%" => self.arithmetic(name, left, right),
            "||" => self.concatenate(left, right),
            "->" | "->>" | "#>" | "#>>" | "?" | "@>" | "<@" | "&&" => self.document(name, left, right),
            "~" | "~*" | "!~" | "!~*" => self.regular_expression(name, left, right),
            _ => Err(Problem::unsupported(format!("the operator {name}"))),
        }
    }

    pub(super) fn no_operator(&self, name: &str, left: &Type, right: &Type) -> Problem {
        if [left, right].contains(&&Type::Unknown) && ["+", "-", "*", "/", "%"].contains(&name) {
            // Which operators a bare literal may stand beside is the server's choice among several.
            return Problem::unsupported(format!("the operator {name} beside a literal whose type it leaves open"));
        }
        let (left, right) = (left.name(self.catalog()), right.name(self.catalog()));
        Problem::rejected("42883", format!("operator does not exist: {left} {name} {right}"))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    }

    /// Gives two operands a common type for comparison.
    pub(super) fn comparable(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<(Typed, Typed)> {
        let catalog = self.catalog();
        let (left, right) = match (&left.ty, &right.ty) {
            (Type::Unknown, Type::Unknown) => (
                convert(left, &Type::Text, Context::Implicit, None, catalog)?,
                convert(right, &Type::Text, Context::Implicit, None, catalog)?,
            ),
            (Type::Unknown, other) => {
                let other = unmodified(other);
                (convert(left, &other, Context::Implicit, None, catalog)?, right)
            }
            (other, Type::Unknown) => {
                let other = unmodified(other);
                let right = convert(right, &other, Context::Implicit, None, catalog)?;
                (left, right)
            }
            _ => (left, right),
        };
        let (a, b) = (base(&left.ty), base(&right.ty));
        let agree = match (&a, &b) {
            (Type::Json, _) | (_, Type::Json) => false,
            (Type::Opaque(_), Type::Opaque(_)) if a == b => {
                return Err(Problem::unsupported(format!("a comparison of {}", a.name(self.catalog()))));
            }
            (a, b) if a == b => true,
            (a, b) => {
                let (fa, fb) = (family(a), family(b));
                match (fa, fb) {
                    (Family::Number, Family::Number) | (Family::Text, Family::Text) => true,
                    (Family::Time, Family::Time) => !matches!(a, Type::Time(_)) && !matches!(b, Type::Time(_)),
                    _ => false,
                }
            }
        };
        if !agree {
            return Err(self.no_operator(name, &left.ty, &right.ty));
        }
        if matches!((&a, &b), (Type::Timestamptz(_), b) if !matches!(b, Type::Timestamptz(_)))
            || matches!((&a, &b), (a, Type::Timestamptz(_)) if !matches!(a, Type::Timestamptz(_)))
        {
            self.needs_utc("a comparison of times with and without time zone")?;
        }
        let float = |ty: &Type| matches!(ty, Type::Float4 | Type::Float8);
        if family(&a) == Family::Number && (float(&a) != float(&b)) {
            let widen = |value: Typed| Typed::new(format!("CAST({} AS DOUBLE)", value.sql), Type::Float8);
            return Ok((widen(left), widen(right)));
        }
        if matches!(a, Type::Char(_)) || matches!(b, Type::Char(_)) {
            let trim = |value: Typed| Typed::new(format!("rtrim({}, ' ')", value.sql), value.ty);
            return match (&a, &b) {
                (Type::Char(_), Type::Char(_)) => Ok((trim(left), trim(right))),
                _ => Err(Problem::unsupported("a comparison of character(n) with another text")),
            };
        }
        Ok((left, right))
    }

    fn compare(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let (left, right) = self.comparable(name, left, right)?;
        let name = if name == "!=" { "<>" } else { name };
        let (mut a, mut b) = (left.sql, right.sql);
        if !["=", "<>"].contains(&name) {
            match &left.ty {
                Type::Enum(_) => {
                    a = self.sort_key(&a, &left.ty)?;
                    b = self.sort_key(&b, &left.ty)?;
                }
                Type::Jsonb | Type::Record | Type::Opaque(_) | Type::Interval | Type::Array(_) => {
                    return Err(Problem::unsupported(format!("the order of {} values", left.ty.name(self.catalog()))));
                }
                ty if family(ty) == Family::Text => self.orders_text(),
                _ => {}
            }
        } else if left.ty == Type::Interval {
            return Err(Problem::unsupported("a comparison of intervals"));
        } else if left.ty == Type::Jsonb {
            // Documents are kept in canonical text, in which 1.0 and 1 differ though they are equal numbers.
            let refuse = super::typed::refuse("a comparison of jsonb numbers with trailing zeros", &Type::Bool);
            let zeros = |sql: &str| format!("regexp_matches({sql}, '[0-9]\\.[0-9]*0([^0-9]|$)')");
            return Ok(Typed::new(
                format!("CASE WHEN {} OR {} THEN {refuse} ELSE {a} {name} {b} END", zeros(&a), zeros(&b)),
                Type::Bool,
            ));
        }
        Ok(Typed::new(format!("({a} {name} {b})"), Type::Bool))
    }

    /// What DuckDB must sort by to get PostgreSQL's order.
    pub(super) fn sort_key(&mut self, sql: &str, ty: &Type) -> Outcome<String> {
        match ty {
            Type::Enum(oid) => {
                let (labels, _) = literal::labels(*oid, self.catalog())?;
                let labels: Vec<String> = labels.iter().map(|label| quote_literal(label)).collect();
                Ok(format!("list_position([{}], {sql})", labels.join(", ")))
            }
            Type::Jsonb | Type::Opaque(_) | Type::Interval | Type::Record => {
                Err(Problem::unsupported(format!("the order of {} values", ty.name(self.catalog()))))
            }
            Type::Json => Err(Problem::rejected("42883", "could not identify an ordering operator for type json")),
            ty => {
                if family(ty) == Family::Text {
                    self.orders_text();
                }
                Ok(sql.to_owned())
            }
        }
    }

    fn arithmetic(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        // A literal takes the other side's type; beside a time, PostgreSQL takes it for an interval with + and -.
        let target = |other: &Type| match (family(other), name) {
            (Family::Number, _) => Some(base(other)),
            (Family::Time, "+") if *other != Type::Date => Some(Type::Interval),
            _ => None,
        };
        let left = match (&left.ty, target(&right.ty)) {
            (Type::Unknown, Some(ty)) => convert(left, &ty, Context::Implicit, None, catalog)?,
            _ => left,
        };
        let right = match (&right.ty, target(&left.ty)) {
            (Type::Unknown, Some(ty)) => convert(right, &ty, Context::Implicit, None, catalog)?,
            _ => right,
        };
        let (Some(a), Some(b)) = (number_rank(&left.ty), number_rank(&right.ty)) else {
            return self.time_arithmetic(name, left, right);
        };
        let wider = if a >= b { base(&left.ty) } else { base(&right.ty) };
        if matches!(wider, Type::Float4) {
            return Err(Problem::unsupported("arithmetic with real"));
        }
        if is_integer(&wider) {
            let ty = physical(&wider);
            let (a, b) = (format!("CAST({} AS {ty})", left.sql), format!("CAST({} AS {ty})", right.sql));
            return Ok(Typed::new(self.integer_arithmetic(name, &a, &b, &wider), wider));
        }
        let sql = match (name, &wider) {
            ("/", Type::Numeric(_)) => return Err(Problem::unsupported("division of numeric values")),
            ("%", _) => return Err(Problem::unsupported("the remainder of numeric values")),
            ("/", _) => format!(
                "(CASE WHEN {b} = 0 THEN {} ELSE CAST({a} AS DOUBLE) / CAST({b} AS DOUBLE) END)",
                super::typed::raise("22012", "'division by zero'", &wider),
                a = left.sql,
                b = right.sql
            ),
            (_, Type::Float8) => format!("(CAST({} AS DOUBLE) {name} CAST({} AS DOUBLE))", left.sql, right.sql),
            _ => format!("({} {name} {})", left.sql, right.sql),
        };
        Ok(Typed::new(sql, wider))
    }

    /// Integers fail beyond their range (DuckDB's own overflow error) and at division by zero, and divide towards zero.
    fn integer_arithmetic(&self, name: &str, a: &str, b: &str, ty: &Type) -> String {
        match name {
            "/" | "%" => {
                let zero = super::typed::raise("22012", "'division by zero'", ty);
                let word = if name == "/" { "//" } else { "%" };
                format!("(CASE WHEN {b} = 0 THEN {zero} ELSE {a} {word} {b} END)")
            }
            _ => format!("({a} {name} {b})"),
        }
    }

    fn time_arithmetic(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        let (a, b) = (base(&left.ty), base(&right.ty));
        let sql = format!("({} {name} {})", left.sql, right.sql);
        let instant = |ty: &Type| matches!(ty, Type::Timestamp(_) | Type::Timestamptz(_));
        match (name, &a, &b) {
            ("+" | "-", Type::Date, b) if is_integer(b) => {
                Ok(Typed::new(format!("CAST({} {name} CAST({} AS INTEGER) AS DATE)", left.sql, right.sql), Type::Date))
            }
            ("-", Type::Date, Type::Date) => Ok(Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4)),
            ("-", Type::Date, Type::Unknown) => {
                let right = convert(right, &Type::Date, Context::Implicit, None, catalog)?;
                Ok(Typed::new(format!("CAST(({} - {}) AS INTEGER)", left.sql, right.sql), Type::Int4))
            }
            ("+" | "-", Type::Date, Type::Interval) => {
                Ok(Typed::new(format!("CAST({sql} AS TIMESTAMP)"), Type::Timestamp(None)))
            }
            ("+" | "-", a, Type::Interval) if instant(a) => Ok(Typed::new(sql, a.clone())),
            ("+", Type::Interval, b) if instant(b) => Ok(Typed::new(sql, b.clone())),
            ("-", a, b) if instant(a) && a == b => {
                // Days and the rest of a day: neither engine makes months of it.
                let micros = format!("(epoch_us({}) - epoch_us({}))", left.sql, right.sql);
                Ok(Typed::new(
                    format!(
                        "(to_days(CAST({micros} // 86400000000 AS INTEGER)) + to_microseconds({micros} % 86400000000))"
                    ),
                    Type::Interval,
                ))
            }
            (_, Type::Unknown, Type::Unknown) => {
                Err(Problem::rejected("42725", format!("operator is not unique: unknown {name} unknown")))
            }
            (_, Type::Jsonb, _) | (_, _, Type::Jsonb) => Err(Problem::unsupported(format!("jsonb {name}"))),
            (_, Type::Interval, _) | (_, _, Type::Interval) => {
                Err(Problem::unsupported(format!("{} {name} {}", a.name(catalog), b.name(catalog))))
            }
            _ => Err(self.no_operator(name, &left.ty, &right.ty)),
        }
    }

    fn concatenate(&mut self, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        let text = |ty: &Type| matches!(family(ty), Family::Text | Family::Unknown);
        match (&left.ty, &right.ty) {
            (Type::Jsonb, _) | (_, Type::Jsonb) if !(text(&left.ty) && right.ty != Type::Unknown) => {
                Err(Problem::unsupported("concatenation of jsonb"))
            }
            (Type::Array(a), Type::Array(b)) if base(a) == base(b) => Ok(Typed::new(
                format!(
                    "CASE WHEN {l} IS NULL THEN {r} WHEN {r} IS NULL THEN {l} ELSE list_concat({l}, {r}) END",
                    l = left.sql,
                    r = right.sql
                ),
                left.ty.clone(),
            )),
            (Type::Array(_), Type::Unknown) => {
                let ty = left.ty.clone();
                let right = convert(right, &ty, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Unknown, Type::Array(_)) => {
                let ty = right.ty.clone();
                let left = convert(left, &ty, Context::Implicit, None, catalog)?;
                self.concatenate(left, right)
            }
            (Type::Array(element), b) if cast::exists(b, element, Context::Implicit) => {
                let (ty, element) = (left.ty.clone(), (**element).clone());
                let right = convert(right, &element, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", left.sql, physical(&ty));
                Ok(Typed::new(format!("list_append({list}, {})", right.sql), ty))
            }
            (a, Type::Array(element)) if cast::exists(a, element, Context::Implicit) => {
                let (ty, element) = (right.ty.clone(), (**element).clone());
                let left = convert(left, &element, Context::Implicit, None, catalog)?;
                let list = format!("coalesce({}, CAST([] AS {}))", right.sql, physical(&ty));
                Ok(Typed::new(format!("list_prepend({}, {list})", left.sql), ty))
            }
            (a, b) if text(a) || text(b) => {
                let as_text = |value: Typed| -> Outcome<String> {
                    if matches!(value.ty, Type::Array(_)) {
                        return Err(Problem::unsupported("the text form of an array"));
                    }
                    match value.ty {
                        Type::Unknown => Ok(convert(value, &Type::Text, Context::Implicit, None, catalog)?.sql),
                        _ => Ok(convert(value, &Type::Text, Context::Explicit, None, catalog)?.sql),
                    }
                };
                Ok(Typed::new(format!("({} || {})", as_text(left)?, as_text(right)?), Type::Text))
            }
            (a, b) => Err(self.no_operator("||", a, b)),
        }
    }

    /// `~` and its kin. DuckDB's expressions are another dialect: only forms that both read alike pass.
    fn regular_expression(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        for side in [&left, &right] {
            if !matches!(family(&side.ty), Family::Text | Family::Unknown) {
                return Err(self.no_operator(name, &left.ty, &right.ty));
            }
        }
        let Some(pattern) = right.text() else {
            return Err(Problem::unsupported("a regular expression that isn't a constant"));
        };
        let pattern = super::pattern::translate(pattern, super::pattern::Use::Test)?;
        let left = convert(left, &Type::Text, Context::Implicit, None, self.catalog())?;
        let flags = if name.ends_with('*') { "i" } else { "" };
        let matches = format!("regexp_matches({}, {}, '{flags}')", left.sql, quote_literal(&pattern));
        Ok(Typed::new(if name.starts_with('!') { format!("(NOT {matches})") } else { matches }, Type::Bool))
    }

    /// LIKE and ILIKE, whose escape character is the backslash unless ESCAPE gives another.
    pub(super) fn like(
        &mut self,
        left: Typed,
        pattern: Typed,
        escape: Option<Typed>,
        ignores_case: bool,
        negated: bool,
    ) -> Outcome<Typed> {
        let name = match (ignores_case, negated) {
            (false, false) => "~~",
            (false, true) => "!~~",
            (true, false) => "~~*",
            (true, true) => "!~~*",
        };
        for side in [&left, &pattern] {
            if !matches!(family(&side.ty), Family::Text | Family::Unknown) {
                return Err(self.no_operator(name, &left.ty, &pattern.ty));
            }
        }
        let plain = pattern.text().is_some_and(|text| !text.contains('\\')) && escape.is_none();
        let catalog = self.catalog();
        let escape = match escape {
            None => "\\".to_owned(),
            Some(escape) => match escape.text() {
                Some(text) if text.chars().count() == 1 => text.to_owned(),
                _ => return Err(Problem::unsupported("an ESCAPE that isn't one constant character")),
            },
        };
        if pattern.text().is_some_and(|text| escape == "\\" && dangling_escape(text)) {
            // The server fails only at rows whose text is still going on where the pattern ends.
            return Err(Problem::unsupported("a LIKE pattern that ends with its escape character"));
        }
        let left = convert(left, &Type::Text, Context::Implicit, None, catalog)?;
        let pattern = convert(pattern, &Type::Text, Context::Implicit, None, catalog)?;
        let sql = if plain {
            let word = if ignores_case { "ILIKE" } else { "LIKE" };
            format!("({} {word} {})", left.sql, pattern.sql)
        } else {
            let word = if ignores_case { "ilike_escape" } else { "like_escape" };
            format!("{word}({}, {}, {})", left.sql, pattern.sql, quote_literal(&escape))
        };
        Ok(Typed::new(if negated { format!("(NOT {sql})") } else { sql }, Type::Bool))
    }

    /// Operators on json, jsonb and arrays.
    fn document(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let json = matches!(left.ty, Type::Json | Type::Jsonb);
        match (name, json) {
            ("->" | "->>", true) => self.member(name, left, right),
            ("?", true) if left.ty == Type::Jsonb => {
                let key = convert(right, &Type::Text, Context::Implicit, None, self.catalog())?;
                let (j, k) = (&left.sql, &key.sql);
                Ok(Typed::new(
                    format!(
                        "CASE json_type({j}) WHEN 'OBJECT' THEN list_contains(json_keys({j}), {k}) WHEN 'ARRAY' THEN list_contains(list_transform(list_filter(CAST({j} AS JSON[]), lambda x: json_type(x) = 'VARCHAR'), lambda x: x ->> '$'), {k}) WHEN 'VARCHAR' THEN ({j} ->> '$') = {k} ELSE {j} IS NULL AND NULL END"
                    ),
                    Type::Bool,
                ))
            }
            _ if json => Err(Problem::unsupported(format!("the jsonb operator {name}"))),
            ("@>" | "<@" | "&&", _) if matches!(left.ty, Type::Array(_)) || matches!(right.ty, Type::Array(_)) => {
                Err(Problem::unsupported(format!("the array operator {name}")))
            }
            _ => Err(self.no_operator(name, &left.ty, &right.ty)),
        }
    }

    /// `->` and `->>` by key or by position.
    pub(super) fn member(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let place = match (&right.ty, right.text()) {
            (Type::Unknown | Type::Text, Some(key)) => {
                let key = key.replace('\\', "\\\\").replace('"', "\\\"");
                (quote_literal(&format!("$.\"{key}\"")), "OBJECT")
            }
            (Type::Int4, _) => match &right.constant {
                Some(super::typed::Constant::Integer(at)) if *at >= 0 => (quote_literal(&format!("$[{at}]")), "ARRAY"),
                _ => return Err(Problem::unsupported("a jsonb element by a position that isn't a constant from 0")),
            },
            _ => return Err(Problem::unsupported("a jsonb member by a key that isn't a constant")),
        };
        let (path, kind) = place;
        let document = match kind {
            // To the server, a scalar is an array of itself.
            "ARRAY" => format!(
                "CASE WHEN json_type({j}) = 'ARRAY' THEN {j} WHEN json_type({j}) <> 'OBJECT' THEN {} END",
                super::typed::refuse("an element of a jsonb scalar", &left.ty),
                j = left.sql
            ),
            _ => format!("CASE WHEN json_type({j}) = 'OBJECT' THEN {j} END", j = left.sql),
        };
        if name == "->>" {
            // A member that is an object or array must come out as jsonb writes it, which isn't how DuckDB does.
            let value = format!("json_extract({document}, {path})");
            let refuse = super::typed::refuse("the text of a jsonb member that is an object or array", &Type::Text);
            return Ok(Typed::new(
                format!(
                    "CASE WHEN json_type({value}) IN ('OBJECT', 'ARRAY') THEN {refuse} ELSE json_extract_string({document}, {path}) END"
                ),
                Type::Text,
            ));
        }
        // An object or array comes out without jsonb's blanks: it may be looked into further, but isn't a value yet.
        Ok(Typed::new(format!("CAST(json_extract({document}, {path}) AS VARCHAR)"), left.ty))
    }
}

fn dangling_escape(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

/// The type that a literal beside a value takes: without length, so that no length is demanded of it.
fn unmodified(ty: &Type) -> Type {
    match ty {
        Type::Numeric(_) | Type::Varchar(_) => base(ty),
        Type::Timestamp(_) | Type::Timestamptz(_) | Type::Time(_) => base(ty),
        Type::Array(element) => Type::Array(Box::new(unmodified(element))),
        other => other.clone(),
    }
}
