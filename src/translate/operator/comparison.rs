//! Comparisons and orders.
//!
//! Input: two typed operands. Output: DuckDB's comparison of values of one type. Invariant: what DuckDB orders otherwise (enums,
//! jsonb, intervals) is brought into PostgreSQL's order or refused.

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::carried;
use crate::translate::cast::Context;
use crate::translate::equality;
use crate::translate::literal;
use crate::translate::number;
use crate::translate::reader::Reader;
use crate::translate::system::is_number;
use crate::translate::typed::{Family, Typed, base, family, is_citext, is_place};

impl Reader<'_> {
    /// Gives two operands a common type for comparison.
    pub(in crate::translate) fn comparable(
        &mut self,
        name: &str,
        left: Typed,
        right: Typed,
    ) -> Outcome<(Typed, Typed)> {
        if let (Type::Composite(one), Type::Composite(other)) = (&left.ty, &right.ty)
            && one == other
            && self.is_told_by_text(&left.ty)
        {
            return Ok((left, right));
        }
        let (left, right) = self.without_case(left, right)?;
        let (left, right, _) = self.operands(name, left, right)?;
        let (a, b) = (base(&left.ty), base(&right.ty));
        if a == Type::Interval && b == Type::Interval {
            let key = |value: Typed| Typed::new(equality::interval_key(&value.sql), Type::Int8);
            return Ok((key(left), key(right)));
        }
        if let (Type::Composite(one), Type::Composite(other)) = (&a, &b)
            && one == other
            && !self.is_told_by_text(&a)
        {
            return Err(Problem::unsupported("a comparison of composite values"));
        }
        let padded = |ty: &Type| matches!(ty, Type::Char(_)) || *ty == Type::Opaque("bpchar".to_owned());
        if padded(&a) && padded(&b) {
            let trim = |value: Typed| Typed::new(format!("rtrim({}, ' ')", value.sql), Type::Text);
            return Ok((trim(left), trim(right)));
        }
        if let (Some(one), Some(other)) = (carried::key(&left.sql, &a), carried::key(&right.sql, &b)) {
            // A key is a text in the engine's own order, whatever the database's collation.
            return Ok((Typed::new(one, Type::Bytea), Typed::new(other, Type::Bytea)));
        }
        if is_place(&a) && is_place(&b) {
            let number = |value: Typed| Typed::new(value.sql, Type::Int8);
            return Ok((number(left), number(right)));
        }
        let agree = match (&a, &b) {
            (a, b) if is_number(a) && is_number(b) && ["=", "<>"].contains(&name) => true,
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
        if a == Type::Jsonb && b == Type::Jsonb {
            let key = |value: Typed| Typed::new(equality::document_key(&value.sql), value.ty);
            return Ok((key(left), key(right)));
        }
        if let (Type::Array(element), Type::Array(_)) = (&a, &b) {
            let key = |value: Typed| Typed::new(equality::array_key(&value.sql, element), value.ty);
            return Ok((key(left), key(right)));
        }
        if family(&a) == Family::Number {
            return Ok(number::comparable(left, right));
        }
        Ok((left, right))
    }

    /// Two texts of which both, or one and a literal, are of the type whose case doesn't count: in lower case. Beside a text of
    /// another type, it is a text like any other.
    fn without_case(&mut self, left: Typed, right: Typed) -> Outcome<(Typed, Typed)> {
        let folds = |ty: &Type| is_citext(ty) || *ty == Type::Unknown;
        let both = folds(&left.ty) && folds(&right.ty) && (is_citext(&left.ty) || is_citext(&right.ty));
        let lowered = |value: Typed| Typed::new(format!("pg_lower({})", value.sql), Type::Text);
        let (left, right) = match both {
            true => (
                self.coerce(left, &Type::Text, Context::Implicit, None)?,
                self.coerce(right, &Type::Text, Context::Implicit, None)?,
            ),
            false => (self.uncased(left)?, self.uncased(right)?),
        };
        Ok(if both { (lowered(left), lowered(right)) } else { (left, right) })
    }

    /// A text whose case doesn't count, as a text like any other.
    pub(in crate::translate) fn uncased(&mut self, value: Typed) -> Outcome<Typed> {
        if is_citext(&value.ty) { self.coerce(value, &Type::Text, Context::Implicit, None) } else { Ok(value) }
    }

    pub(super) fn compare(&mut self, name: &str, left: Typed, right: Typed) -> Outcome<Typed> {
        let (left, right) = self.comparable(name, left, right)?;
        let name = if name == "!=" { "<>" } else { name };
        let (mut a, mut b) = (left.sql, right.sql);
        if !["=", "<>"].contains(&name) {
            match &left.ty {
                Type::Enum(_) => {
                    a = self.sort_key(&a, &left.ty)?;
                    b = self.sort_key(&b, &left.ty)?;
                }
                // Documents are compared by their keys already.
                Type::Jsonb => self.orders_text(),
                Type::Array(_) => {
                    a = self.sort_key(&a, &left.ty)?;
                    b = self.sort_key(&b, &left.ty)?;
                }
                Type::Record | Type::Opaque(_) | Type::Composite(_) => {
                    return Err(Problem::unsupported(format!("the order of {} values", left.ty.name(self.catalog()))));
                }
                ty if family(ty) == Family::Text => self.orders_text(),
                _ => {}
            }
        }
        Ok(Typed::new(format!("({a} {name} {b})"), Type::Bool))
    }

    /// What DuckDB must sort by to get PostgreSQL's order.
    pub(in crate::translate) fn sort_key(&mut self, sql: &str, ty: &Type) -> Outcome<String> {
        match ty {
            Type::Enum(oid) => {
                let (labels, _) = literal::labels(*oid, self.catalog())?;
                let labels: Vec<String> = labels.iter().map(|label| quote_literal(label)).collect();
                Ok(format!("list_position([{}], {sql})", labels.join(", ")))
            }
            Type::Jsonb => {
                self.orders_text();
                Ok(equality::document_key(sql))
            }
            Type::Array(element) => {
                let key = self.sort_key("k", element)?;
                Ok(if key == "k" || sql.contains("lambda k:") {
                    sql.to_owned()
                } else {
                    format!("list_transform({sql}, lambda k: {key})")
                })
            }
            Type::Interval => Ok(equality::interval_key(sql)),
            ty if is_citext(ty) => {
                self.orders_text();
                Ok(format!("pg_lower({sql})"))
            }
            // Its order is that of its bytes in storage.
            Type::Opaque(name) if name == "hstore" => Err(Problem::unsupported("the order of hstore values")),
            ty if carried::name(ty).is_some() => Ok(equality::key(sql, ty)),
            ty if is_place(ty) => Ok(sql.to_owned()),
            Type::Opaque(_) | Type::Record | Type::Composite(_) => {
                Err(Problem::unsupported(format!("the order of {} values", ty.name(self.catalog()))))
            }
            Type::Json => Err(Problem::rejected("42883", "could not identify an ordering operator for type json")
                .hint("Use an explicit ordering operator or modify the query.")),
            ty => {
                if family(ty) == Family::Text {
                    self.orders_text();
                }
                Ok(equality::key(sql, ty))
            }
        }
    }
}
