//! Calls with OVER.
//!
//! Input: a call. Output: DuckDB's window function; an order with ties is completed and noted as a choice.

use pg_query::protobuf::FuncCall;

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::expression::Site;
use crate::translate::reader::Reader;
use crate::translate::typed::Typed;

use super::{IN_AGGREGATE, misplaced};

impl Reader<'_> {
    /// A call with OVER.
    pub(super) fn window_call(
        &mut self,
        name: &str,
        call: &FuncCall,
        mut args: Vec<Typed>,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        if !site.windows {
            let sqlstate = if site.place == IN_AGGREGATE { "42803" } else { "42P20" };
            return Err(Problem::rejected(sqlstate, misplaced("window", site.place)));
        }
        if call.agg_distinct {
            return Err(Problem::rejected("0A000", "DISTINCT is not implemented for window functions"));
        }
        if call.agg_filter.is_some() {
            return Err(Problem::unsupported("FILTER over a window"));
        }
        let Some(over) = call.over.as_deref() else { return Err(Problem::unsupported("a window")) };
        let window = self.window(over, site)?;
        let value = match (name, args.len()) {
            ("row_number" | "rank" | "dense_rank", 0) => {
                let order = if name == "row_number" { window.total } else { window.ranked };
                if name == "row_number" && !window.is_total {
                    self.choice(format!("row_number() over {}", window.shown));
                }
                return Ok(Typed::new(format!("{name}() OVER ({order})"), Type::Int8));
            }
            ("lag" | "lead" | "first_value" | "last_value", 1 | 2) => {
                if !window.is_total {
                    self.choice(format!("{name}() over {}", window.shown));
                }
                let ty = args[0].ty.clone();
                let list: Vec<String> = args.drain(..).map(|a| a.sql).collect();
                return Ok(Typed::new(format!("{name}({}) OVER ({})", list.join(", "), window.total), ty));
            }
            ("count", _) if call.agg_star => {
                return Ok(Typed::new(format!("count(*) OVER ({})", window.ranked), Type::Int8));
            }
            ("count", 1) => {
                return Ok(Typed::new(format!("count({}) OVER ({})", args[0].sql, window.ranked), Type::Int8));
            }
            ("sum", 1) if matches!(args[0].ty, Type::Int2 | Type::Int4) => {
                return Ok(Typed::new(
                    format!("CAST(sum({}) OVER ({}) AS BIGINT)", args[0].sql, window.ranked),
                    Type::Int8,
                ));
            }
            ("sum" | "avg", 1)
                if matches!(args[0].ty, Type::Int8 | Type::Numeric(_))
                    || (name == "avg" && matches!(args[0].ty, Type::Int2 | Type::Int4)) =>
            {
                let over = format!(" OVER ({})", window.ranked);
                return Ok(Typed::new(
                    super::aggregate::of_numbers(name, &args[0], false, &over)?,
                    Type::Numeric(None),
                ));
            }
            ("min" | "max", 1) if matches!(args[0].ty, Type::Numeric(_)) => {
                return Err(Problem::unsupported(format!("{name}() of numeric values over a window")));
            }
            ("min" | "max", 1) => args.remove(0),
            _ => return Err(Problem::unsupported(format!("the window function {name}()"))),
        };
        if matches!(value.ty, Type::Enum(_)) {
            return Err(Problem::unsupported(format!("{name}() of an enum over a window")));
        }
        let value = self.extreme(name, value, "")?;
        Ok(Typed::new(format!("{} OVER ({})", value.sql, window.ranked), value.ty))
    }
}
