//! Arithmetic with numbers and times.
//!
//! Input: two typed operands. Output: the result in the type that PostgreSQL gives it; overflow and division by zero are its errors.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{Context, convert};
use crate::translate::number;
use crate::translate::reader::Reader;
use crate::translate::typed::{Constant, Family, Typed, base, family, is_integer, number_rank, physical, raise};

impl Reader<'_> {
    pub(super) fn arithmetic(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
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
        let wider = match (base(&left.ty), base(&right.ty)) {
            // Beside any other number, a real becomes a double.
            (Type::Float4, Type::Float4) => Type::Float4,
            (Type::Float4, _) | (_, Type::Float4) => Type::Float8,
            (left, right) => {
                if a >= b {
                    left
                } else {
                    right
                }
            }
        };
        if is_integer(&wider) {
            let ty = physical(&wider);
            let (a, b) = (format!("CAST({} AS {ty})", left.sql), format!("CAST({} AS {ty})", right.sql));
            // What divides by a plain number always can, and stays a sort key of a window.
            let plain = matches!(right.constant, Some(Constant::Integer(n)) if n != 0 && n != -1);
            let sql = match name {
                "/" if plain => format!("({a} // {b})"),
                "%" if plain => format!("({a} % {b})"),
                _ => self.integer_arithmetic(name, &a, &b, &wider),
            };
            return Ok(Typed::new(sql, wider));
        }
        let sql = match &wider {
            Type::Numeric(_) => {
                let word = match name {
                    "+" => "add",
                    "-" => "sub",
                    "*" => "mul",
                    "/" => "div",
                    _ => "mod",
                };
                format!("pg_numeric_{word}({}, {})", number::text(&left), number::text(&right))
            }
            _ if name == "%" => return Err(self.no_operator(name, &left.ty, &right.ty)),
            _ => {
                let operation = if wider == Type::Float4 { format!("real {name}") } else { name.to_owned() };
                let (left, right) = (number::convert(&left, &wider), number::convert(&right, &wider));
                format!(
                    "CAST(pg_float8_calc('{operation}', CAST({left} AS VARCHAR), CAST({right} AS VARCHAR)) AS {})",
                    physical(&wider)
                )
            }
        };
        Ok(Typed::new(sql, wider))
    }

    /// Integers fail beyond their range (DuckDB's own overflow error) and at division by zero, and divide towards zero.
    fn integer_arithmetic(&self, name: &str, a: &str, b: &str, ty: &Type) -> String {
        match name {
            "/" | "%" => {
                let zero = raise("22012", "'division by zero'", ty);
                if name == "%" {
                    let none = format!("CAST(0 AS {})", physical(ty));
                    return format!("(CASE WHEN {b} = 0 THEN {zero} WHEN {b} = -1 THEN {none} ELSE {a} % {b} END)");
                }
                // The least number has no opposite.
                let least = match ty {
                    Type::Int2 => "-32768",
                    Type::Int4 => "-2147483648",
                    _ => "-9223372036854775808",
                };
                let over = raise("22003", &quote_literal(&format!("{} out of range", ty.name(self.catalog()))), ty);
                format!(
                    "(CASE WHEN {b} = 0 THEN {zero} WHEN {b} = -1 AND {a} = {least} THEN {over} ELSE {a} // {b} END)"
                )
            }
            _ => format!("({a} {name} {b})"),
        }
    }

    /// Bits of integers, as the server's machine has them: a shift counts modulo the width, and drops what leaves it.
    pub(super) fn bits(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let ty = base(&left.ty);
        let (width, modulus) = match ty {
            Type::Int2 => (16, 31),
            Type::Int4 => (32, 31),
            Type::Int8 => (64, 63),
            _ => return Err(self.no_operator(name, &left.ty, &right.ty)),
        };
        let held = physical(&ty);
        let (a, b) = (left.sql, right.sql);
        let sql = match name {
            "#" => format!("xor({a}, {b})"),
            "<<" => {
                let (wide, half) =
                    (format!("CAST({a} AS HUGEINT) * (CAST(1 AS HUGEINT) << ({b} & {modulus}))"), width - 1);
                let half = format!("(CAST(1 AS HUGEINT) << {half})");
                format!("((({wide} + {half}) & ({half} * 2 - 1)) - {half})")
            }
            // The engine shifts no negative number.
            ">>" => format!("CASE WHEN {a} < 0 THEN ~((~{a}) >> ({b} & {modulus})) ELSE {a} >> ({b} & {modulus}) END"),
            _ => format!("({a} {name} {b})"),
        };
        Ok(Typed::new(format!("CAST({sql} AS {held})"), ty))
    }

    pub(super) fn time_arithmetic(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let catalog = self.catalog();
        let (a, b) = (base(&left.ty), base(&right.ty));
        let sql = format!("({} {name} {})", left.sql, right.sql);
        let instant = |ty: &Type| matches!(ty, Type::Timestamp(_) | Type::Timestamptz(_));
        match (name, &a, &b) {
            ("+" | "-", Type::Date, b) if is_integer(b) && *b != Type::Int8 => {
                Ok(Typed::new(format!("CAST({} {name} CAST({} AS INTEGER) AS DATE)", left.sql, right.sql), Type::Date))
            }
            ("+", a, Type::Date) if is_integer(a) && *a != Type::Int8 => self.time_arithmetic(name, right, left),
            ("-", Type::Date, Type::Date) => Ok(Typed::new(format!("CAST({sql} AS INTEGER)"), Type::Int4)),
            ("-", Type::Date, Type::Unknown) => {
                let right = convert(right, &Type::Date, Context::Implicit, None, catalog)?;
                Ok(Typed::new(format!("CAST(({} - {}) AS INTEGER)", left.sql, right.sql), Type::Int4))
            }
            _ if a.is_clock() || b.is_clock() => self.clock_arithmetic(name, left, right),
            ("+" | "-", Type::Date, Type::Interval) => {
                Ok(Typed::new(format!("CAST({sql} AS TIMESTAMP)"), Type::Timestamp(None)))
            }
            ("+" | "-", Type::Timestamptz(_), Type::Interval) if self.settings().time_zone.is_some() => {
                let by = if name == "-" { format!("(-{})", right.sql) } else { right.sql.clone() };
                let zone = quote_literal(self.zone());
                let sql = format!("pg_shift_zoned(CAST({} AS VARCHAR), CAST({by} AS VARCHAR), {zone})", left.sql);
                Ok(Typed::new(format!("CAST({sql} AS TIMESTAMP)"), a))
            }
            ("+", Type::Interval, Type::Timestamptz(_)) if self.settings().time_zone.is_some() => {
                self.time_arithmetic(name, right, left)
            }
            ("+" | "-", Type::Interval, Type::Interval) => {
                let word = if name == "+" { "add" } else { "sub" };
                Ok(of_intervals(word, &left, &right))
            }
            ("*" | "/", Type::Interval, Type::Float8) => {
                Ok(of_intervals(if name == "*" { "mul" } else { "div" }, &left, &right))
            }
            ("*", Type::Float8, Type::Interval) => Ok(of_intervals("mul", &right, &left)),
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
}

impl Reader<'_> {
    /// Times of day: moved by an interval, taken from each other, put on a day.
    fn clock_arithmetic(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let (a, b) = (base(&left.ty), base(&right.ty));
        let text = |value: &Typed| format!("CAST({} AS VARCHAR)", value.sql);
        let by = match name {
            "-" => format!("CAST((-{}) AS VARCHAR)", right.sql),
            _ => text(&right),
        };
        let zoned = |ty: &Type| ty.is_clock() && !matches!(ty, Type::Time(_));
        match (name, &a, &b) {
            ("+" | "-", Type::Time(_), Type::Interval) => {
                Ok(Typed::new(format!("CAST(pg_time_shift({}, {by}) AS TIME)", text(&left)), a))
            }
            ("+" | "-", ty, Type::Interval) if zoned(ty) => {
                Ok(Typed::new(format!("pg_timetz_shift({}, {by})", left.sql), a))
            }
            ("+", Type::Interval, ty) if ty.is_clock() => self.clock_arithmetic(name, right, left),
            ("-", Type::Time(_), Type::Time(_)) => {
                let sql = format!("CAST(pg_time_between({}, {}) AS INTERVAL)", text(&left), text(&right));
                Ok(Typed::new(sql, Type::Interval))
            }
            ("+", Type::Date, ty) if ty.is_clock() => {
                let day = format!("CAST(CAST({} AS TIMESTAMP) AS VARCHAR)", left.sql);
                let (word, ty) = match zoned(ty) {
                    true => ("timetz", Type::Timestamptz(None)),
                    false => ("time", Type::Timestamp(None)),
                };
                Ok(Typed::new(format!("CAST(pg_{word}_on({day}, {}) AS TIMESTAMP)", text(&right)), ty))
            }
            ("+", ty, Type::Date) if ty.is_clock() => self.clock_arithmetic(name, right, left),
            _ => Err(self.no_operator(name, &left.ty, &right.ty)),
        }
    }
}

/// An interval made of an interval and something else.
fn of_intervals(word: &str, left: &Typed, right: &Typed) -> Typed {
    let sql = format!("pg_interval_{word}(CAST({} AS VARCHAR), CAST({} AS VARCHAR))", left.sql, right.sql);
    Typed::new(format!("CAST({sql} AS INTERVAL)"), Type::Interval)
}
