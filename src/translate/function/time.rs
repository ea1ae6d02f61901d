//! Functions of dates and times.
//!
//! Input: arguments already typed. Output: DuckDB SQL with the same result. What the server's time zone decides is refused where
//! that isn't UTC.

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base};

impl Reader<'_> {
    pub(super) fn date_trunc(&mut self, args: Vec<Typed>) -> Outcome<Typed> {
        let [unit, value] = args.as_slice() else { return Err(Problem::unsupported("date_trunc()")) };
        let units =
            ["microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year"];
        let Some(unit) = unit.text().map(str::to_lowercase).filter(|u| units.contains(&u.as_str())) else {
            return Err(Problem::unsupported("date_trunc() to this unit"));
        };
        let ty = match base(&value.ty) {
            Type::Timestamptz(_) => {
                self.needs_utc("date_trunc() of a time with time zone")?;
                Type::Timestamptz(None)
            }
            Type::Timestamp(_) => Type::Timestamp(None),
            Type::Date => {
                self.needs_utc("date_trunc() of a date")?;
                Type::Timestamptz(None)
            }
            _ => return Err(self.no_function("date_trunc", &args)),
        };
        Ok(Typed::new(format!("CAST(date_trunc('{unit}', {}) AS TIMESTAMP)", value.sql), ty))
    }

    pub(super) fn extract(&mut self, name: &str, args: Vec<Typed>) -> Outcome<Typed> {
        let [unit, value] = args.as_slice() else { return Err(Problem::unsupported("extract()")) };
        if !matches!(base(&value.ty), Type::Timestamp(_) | Type::Timestamptz(_) | Type::Date) {
            return Err(Problem::unsupported(format!("{name}() from {}", value.ty.name(self.catalog()))));
        }
        if matches!(value.ty, Type::Timestamptz(_)) && unit.text() != Some("epoch") {
            self.needs_utc("extract() from a time with time zone")?;
        }
        let v = &value.sql;
        let sql = match unit.text().map(str::to_lowercase).as_deref() {
            Some(
                part @ ("year" | "month" | "day" | "hour" | "minute" | "dow" | "doy" | "isodow" | "week" | "quarter"),
            ) => {
                format!("CAST(date_part('{part}', {v}) AS DECIMAL(38,0))")
            }
            Some("second") => {
                format!("CAST((epoch_us({v}) % 60000000) * CAST(0.000001 AS DECIMAL(6,6)) AS DECIMAL(38,6))")
            }
            Some("epoch") => format!("(CAST(epoch_us({v}) AS DECIMAL(26,0)) * CAST(0.000001 AS DECIMAL(6,6)))"),
            _ => return Err(Problem::unsupported(format!("{name}() of this field"))),
        };
        Ok(match name {
            "date_part" => Typed::new(format!("CAST({sql} AS DOUBLE)"), Type::Float8),
            _ => Typed::new(format!("CAST({sql} AS VARCHAR)"), Type::Numeric(None)),
        })
    }
}
