//! Aggregates over the rows of a group.
//!
//! Input: a call. Output: DuckDB's aggregate with the server's type. An order that the server leaves open is noted as a choice.

use pg_query::NodeEnum;
use pg_query::protobuf::FuncCall;

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::expression::{Site, required};
use crate::translate::query::direction;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base};
use crate::translate::{equality, number};

/// Aggregates that say how far values lie apart.
const SPREADS: &[&str] = &["stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"];

/// An exact aggregate of integers or numerics; `tail` is its FILTER or OVER.
pub(super) fn of_numbers(name: &str, value: &Typed, distinct: bool, tail: &str) -> Outcome<String> {
    let word = if distinct { "DISTINCT " } else { "" };
    let sql = &value.sql;
    if !number::is_text(&value.ty) && !SPREADS.contains(&name) {
        // The engine's own sum is exact, in a decimal of the values' scale.
        let sum = format!("CAST(sum({word}{sql}){tail} AS VARCHAR)");
        return Ok(match name {
            "sum" => sum,
            _ => format!("pg_numeric_div({sum}, CAST(count({word}{sql}){tail} AS VARCHAR))"),
        });
    }
    let values = format!("string_agg({}, ' '){tail}", number::text(value));
    let flag = if distinct { "'t'" } else { "'f'" };
    Ok(match name {
        "sum" => format!("pg_numeric_sum({values}, {flag})"),
        "avg" => format!("pg_numeric_avg({values}, {flag})"),
        _ => format!("pg_numeric_spread({values}, {flag}, '{name}')"),
    })
}

impl Reader<'_> {
    /// An aggregate over the rows of a group.
    pub(super) fn aggregate(
        &mut self,
        name: &str,
        call: &FuncCall,
        args: Vec<Typed>,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        if call.agg_within_group {
            return Err(Problem::unsupported(format!("the aggregate {name}()")));
        }
        let filter = match call.agg_filter.as_deref() {
            Some(node) => {
                let site = Site { clause: "FILTER", place: "FILTER", ..site };
                format!(" FILTER (WHERE {})", self.condition(node, site)?)
            }
            None => String::new(),
        };
        if call.agg_star {
            return Ok(Typed::new(format!("count(*){filter}"), Type::Int8));
        }
        let Some(first) = args.first().cloned() else {
            let message = format!("{name}(*) must be used to call a parameterless aggregate function");
            return Err(Problem::rejected("42809", message));
        };
        let distinct = if call.agg_distinct { "DISTINCT " } else { "" };
        let value = match call.agg_distinct {
            true => format!("DISTINCT {}", equality::key(&first.sql, &first.ty)),
            false => first.sql.clone(),
        };
        if call.agg_distinct {
            self.has_equality(&first.ty)?;
        }
        let simple = |sql: String, ty: Type| Ok(Typed::new(sql, ty));
        match name {
            "count" => simple(format!("count({value}){filter}"), Type::Int8),
            "bool_and" | "bool_or" | "every" if first.ty == Type::Bool => {
                let word = if name == "bool_or" { "bool_or" } else { "bool_and" };
                simple(format!("{word}({value}){filter}"), Type::Bool)
            }
            "sum" => match base(&first.ty) {
                Type::Interval if !call.agg_distinct => simple(
                    format!(
                        "CAST(pg_interval_sum(string_agg(CAST({} AS VARCHAR), '|'){filter}) AS INTERVAL)",
                        first.sql
                    ),
                    Type::Interval,
                ),
                Type::Int2 | Type::Int4 => simple(format!("CAST(sum({value}){filter} AS BIGINT)"), Type::Int8),
                Type::Int8 | Type::Numeric(_) => {
                    simple(of_numbers(name, &first, call.agg_distinct, &filter)?, Type::Numeric(None))
                }
                Type::Float8 => {
                    self.caveat(
                        "a sum of double precision values depends on their order in the last digits".to_owned(),
                    );
                    simple(format!("sum({value}){filter}"), Type::Float8)
                }
                _ => Err(Problem::unsupported(format!("sum() of {}", first.ty.name(self.catalog())))),
            },
            "min" | "max" => self.extreme(name, first, &filter),
            "avg" => match base(&first.ty) {
                Type::Float8 => simple(format!("avg({value}){filter}"), Type::Float8),
                Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric(_) => {
                    simple(of_numbers(name, &first, call.agg_distinct, &filter)?, Type::Numeric(None))
                }
                _ => Err(Problem::unsupported(format!("avg() of {}", first.ty.name(self.catalog())))),
            },
            _ if SPREADS.contains(&name) => match base(&first.ty) {
                Type::Int2 | Type::Int4 | Type::Int8 | Type::Numeric(_) => {
                    simple(of_numbers(name, &first, call.agg_distinct, &filter)?, Type::Numeric(None))
                }
                _ => Err(Problem::unsupported(format!("{name}() of {}", first.ty.name(self.catalog())))),
            },
            "string_agg" | "array_agg" => self.list_aggregate(name, call, args, distinct, &filter, site),
            _ => Err(self.no_function(name, &args)),
        }
    }

    pub(super) fn extreme(&mut self, name: &str, value: Typed, filter: &str) -> Outcome<Typed> {
        match &value.ty {
            Type::Bool | Type::Uuid | Type::Json | Type::Jsonb => Err(self.no_function(name, &[value])),
            Type::Enum(_) => {
                let key = self.sort_key(&value.sql, &value.ty)?;
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                Ok(Typed::new(format!("{word}({}, {key}){filter}", value.sql), value.ty))
            }
            Type::Interval => {
                let key = self.sort_key(&value.sql, &value.ty)?;
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                Ok(Typed::new(format!("{word}({}, {key}){filter}", value.sql), value.ty))
            }
            Type::Array(_) | Type::Opaque(_) | Type::Record => {
                Err(Problem::unsupported(format!("{name}() of {}", value.ty.name(self.catalog()))))
            }
            Type::Unknown | Type::Varchar(_) | Type::Text | Type::Name | Type::Char(_) => {
                self.orders_text();
                Ok(Typed::new(format!("{name}({}){filter}", value.sql), Type::Text))
            }
            ty if number::is_text(ty) => {
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                let sql = &value.sql;
                Ok(Typed::new(
                    format!("{word}({sql}, pg_numeric_key({sql}) || ' ' || {sql}){filter}"),
                    Type::Numeric(None),
                ))
            }
            Type::Numeric(_) => {
                Ok(Typed::new(format!("CAST({name}({}){filter} AS VARCHAR)", value.sql), Type::Numeric(None)))
            }
            _ => Ok(Typed::new(format!("{name}({}){filter}", value.sql), value.ty)),
        }
    }

    pub(super) fn list_aggregate(
        &mut self,
        name: &str,
        call: &FuncCall,
        args: Vec<Typed>,
        distinct: &str,
        filter: &str,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        let tie = self.tie_direction();
        let mut order = Vec::new();
        for node in &call.agg_order {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            let value = self.expression(required(&sort.node)?, site)?;
            let key = self.sort_key(&value.sql, &value.ty)?;
            order.push(format!("{key} {}", direction(sort)));
        }
        if order.is_empty() && distinct.is_empty() {
            self.choice(format!("{name}() without ORDER BY"));
        } else if distinct.is_empty() {
            self.choice(format!("{name}() with an ORDER BY that may leave ties"));
        }
        let value = &args[0];
        match distinct {
            "" => order.push(format!("{} {tie}", value.sql)),
            // To find what is distinct, the server sorts.
            _ if order.is_empty() => order.push(format!("{} ASC NULLS LAST", self.sort_key(&value.sql, &value.ty)?)),
            _ => {}
        }
        let order = order.join(", ");
        if !distinct.is_empty() && equality::is_loose(&value.ty) {
            let what = format!("{name}(DISTINCT) of {} values", value.ty.name(self.catalog()));
            return Err(Problem::unsupported(what));
        }
        if name == "array_agg" {
            let ty = Type::Array(Box::new(value.ty.clone()));
            return Ok(Typed::new(format!("list({distinct}{} ORDER BY {order}){filter}", value.sql), ty));
        }
        let [value, separator] = args.as_slice() else { return Err(self.no_function(name, &args)) };
        let Some(separator) = separator.text() else {
            return Err(Problem::unsupported("string_agg() with a separator that isn't a constant"));
        };
        let text = self.text(value.clone(), name)?;
        Ok(Typed::new(
            format!("string_agg({distinct}{text}, {} ORDER BY {order}){filter}", quote_literal(separator)),
            Type::Text,
        ))
    }
}
