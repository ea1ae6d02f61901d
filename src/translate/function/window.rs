//! Calls with OVER.
//!
//! Input: a call. Output: DuckDB's window function; an order with ties is completed and noted as a choice.

use pg_query::protobuf::FuncCall;

use crate::catalog::{Outcome, Problem, Type};
use crate::translate::expression::{Site, integer_constant};
use crate::translate::query::Window;
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
        let filter = match call.agg_filter.as_deref() {
            Some(node) => {
                let inner = Site { windows: false, clause: "FILTER", place: "FILTER", ..site };
                format!(" FILTER (WHERE {})", self.condition(node, inner)?)
            }
            None => String::new(),
        };
        let Some(over) = call.over.as_deref() else { return Err(Problem::unsupported("a window")) };
        let window = self.window(over, site)?;
        let ranks = |ty: Type| Ok(Typed::new(format!("{name}() OVER ({})", window.ranked), ty));
        match (name, args.len()) {
            ("row_number", 0) => {
                self.tied(name, &window);
                return Ok(Typed::new(format!("row_number() OVER ({})", window.total), Type::Int8));
            }
            ("rank" | "dense_rank", 0) => return ranks(Type::Int8),
            ("percent_rank" | "cume_dist", 0) => return ranks(Type::Float8),
            ("ntile", 1) => {
                self.tied(name, &window);
                if !integer_constant(&args[0]).is_some_and(|buckets| buckets > 0) {
                    return Err(Problem::unsupported("ntile() with a number that isn't a constant above 0"));
                }
                return Ok(Typed::new(
                    format!("CAST(ntile({}) OVER ({}) AS INTEGER)", args[0].sql, window.total),
                    Type::Int4,
                ));
            }
            ("lag" | "lead", 1..=3) => {
                self.tied(name, &window);
                let ty = args[0].ty.clone();
                let list: Vec<String> = args.drain(..).map(|a| a.sql).collect();
                return Ok(Typed::new(format!("{name}({}) OVER ({})", list.join(", "), window.total), ty));
            }
            ("first_value", 1) | ("last_value", 1) | ("nth_value", 2) => {
                return self.value_in_frame(name, args, &window);
            }
            _ => {}
        }
        if window.in_rows && !window.is_total {
            self.tied(name, &window);
        }
        let tail = format!("{filter} OVER ({})", window.framed);
        match (name, args.len()) {
            ("count", _) if call.agg_star => Ok(Typed::new(format!("count(*){tail}"), Type::Int8)),
            ("count", 1) => Ok(Typed::new(format!("count({}){tail}", args[0].sql), Type::Int8)),
            ("bool_and" | "bool_or" | "every", 1) => {
                let word = if name == "bool_or" { "bool_or" } else { "bool_and" };
                Ok(Typed::new(format!("{word}({}){tail}", args[0].sql), Type::Bool))
            }
            ("sum", 1) if matches!(args[0].ty, Type::Int2 | Type::Int4) => {
                Ok(Typed::new(format!("CAST(sum({}){tail} AS BIGINT)", args[0].sql), Type::Int8))
            }
            ("sum" | "avg", 1)
                if matches!(args[0].ty, Type::Int8 | Type::Numeric(_))
                    || (name == "avg" && matches!(args[0].ty, Type::Int2 | Type::Int4)) =>
            {
                Ok(Typed::new(super::aggregate::of_numbers(name, &args[0], false, &tail)?, Type::Numeric(None)))
            }
            ("min" | "max", 1) => {
                let value = args.remove(0);
                self.extreme(name, value, &tail)
            }
            _ => Err(Problem::unsupported(format!("the window function {name}()"))),
        }
    }

    /// Notes that equals of the window's order are told apart.
    fn tied(&mut self, name: &str, window: &Window) {
        if !window.is_total {
            self.choice(format!("{name}() over {}", window.shown));
        }
    }

    /// `first_value`, `last_value`, `nth_value`: a row of the frame, to which all equals of the last one belong.
    fn value_in_frame(&mut self, name: &str, args: Vec<Typed>, window: &Window) -> Outcome<Typed> {
        self.tied(name, window);
        let ty = args[0].ty.clone();
        let value = &args[0].sql;
        if window.is_total || window.in_rows || window.is_whole || name == "first_value" {
            let list: Vec<&str> = args.iter().map(|arg| arg.sql.as_str()).collect();
            return Ok(Typed::new(format!("{name}({}) OVER ({})", list.join(", "), window.total_framed), ty));
        }
        let at = match args.get(1) {
            Some(at) if integer_constant(at).is_some_and(|at| at > 0) => at.sql.clone(),
            Some(_) => return Err(Problem::unsupported("nth_value() with a number that isn't a constant above 0")),
            None => "-1".to_owned(),
        };
        let order = match window.keys.as_slice() {
            [] => String::new(),
            keys => format!(" ORDER BY {}", keys.join(", ")),
        };
        // The engine's frame ends at the current row of a complete order, the server's after the last of its equals.
        Ok(Typed::new(format!("(list({value}{order}) OVER ({}))[{at}]", window.framed), ty))
    }
}
