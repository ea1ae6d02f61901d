//! Aggregates over the rows of a group.
//!
//! Input: a call. Output: DuckDB's aggregate with the server's type. An order that the server leaves open is noted as a choice.

use pg_query::NodeEnum;
use pg_query::protobuf::FuncCall;

use super::statistics::constant_separator;
use crate::catalog::{Outcome, Problem, Type};
use crate::translate::cast::{Context, convert};
use crate::translate::expression::{Site, required};
use crate::translate::query::direction;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base, is_place};
use crate::translate::{carried, equality, number};

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
        let filter = match call.agg_filter.as_deref() {
            Some(node) => {
                let site = Site { clause: "FILTER", place: "FILTER", ..site };
                format!(" FILTER (WHERE {})", self.condition(node, site)?)
            }
            None => String::new(),
        };
        if call.agg_within_group {
            return self.ordered_set(name, call, args, &filter);
        }
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
        if let Some(value) = self.statistic(name, call, &args, &filter, site)? {
            return Ok(value);
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
                Type::Time(_) if !call.agg_distinct => {
                    let span = convert(first, &Type::Interval, Context::Implicit, None, self.catalog())?;
                    self.aggregate(name, call, vec![span], site)
                }
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
                Type::Interval if !call.agg_distinct => {
                    let text = format!("CAST({} AS VARCHAR)", first.sql);
                    let sum = format!("pg_interval_sum(string_agg({text}, '|'){filter})");
                    let count = format!("CAST(count({}){filter} AS VARCHAR)", first.sql);
                    simple(format!("CAST(pg_interval_div({sum}, {count}) AS INTERVAL)"), Type::Interval)
                }
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
            "range_agg" if !call.agg_distinct => {
                let present = match filter.strip_suffix(')') {
                    Some(filter) => format!("{filter} AND {} IS NOT NULL)", first.sql),
                    None => format!(" FILTER (WHERE {} IS NOT NULL)", first.sql),
                };
                let list = format!("list({}){present}", first.sql);
                carried::range_agg(&list, &first.ty).ok_or_else(|| self.no_function(name, &args))
            }
            "string_agg" | "array_agg" => self.list_aggregate(name, call, args, distinct, &filter, site),
            _ => Err(self.no_function(name, &args)),
        }
    }

    /// `count(DISTINCT (a, b))`: a row counts, whatever is NULL in it.
    pub(super) fn count_of_rows(
        &mut self,
        call: &FuncCall,
        row: &[pg_query::protobuf::Node],
        inner: Site<'_>,
        site: Site<'_>,
    ) -> Outcome<Typed> {
        if !site.aggregates || call.over.is_some() || !call.agg_order.is_empty() {
            return Err(Problem::unsupported("count() of rows here"));
        }
        let filter = match call.agg_filter.as_deref() {
            Some(node) => format!(" FILTER (WHERE {})", self.condition(node, Site { clause: "FILTER", ..inner })?),
            None => String::new(),
        };
        let mut fields = Vec::new();
        for node in row {
            let value = self.expression(node, inner)?;
            if matches!(value.ty, Type::Jsonb | Type::Opaque(_) | Type::Record | Type::Json | Type::Composite(_)) {
                return Err(Problem::unsupported("count() of rows with documents"));
            }
            fields.push(equality::key(&value.sql, &value.ty));
        }
        let distinct = if call.agg_distinct { "DISTINCT " } else { "" };
        Ok(Typed::new(format!("count({distinct}row({})){filter}", fields.join(", ")), Type::Int8))
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
            ty if is_place(ty) => Ok(Typed::new(format!("{name}({}){filter}", value.sql), value.ty)),
            Type::Array(_) if matches!(value.ty, Type::Array(ref element) if !equality::is_loose(element)) => {
                let key = self.sort_key(&value.sql, &value.ty)?;
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                Ok(Typed::new(format!("{word}({}, {key}){filter}", value.sql), value.ty))
            }
            Type::Opaque(_) if carried::name(&value.ty).is_some() => {
                let key = self.sort_key(&value.sql, &value.ty)?;
                let word = if name == "min" { "arg_min" } else { "arg_max" };
                Ok(Typed::new(format!("{word}({}, {key}){filter}", value.sql), value.ty))
            }
            Type::Array(_) | Type::Opaque(_) | Type::Record | Type::Composite(_) => {
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
        let arrival = self.arrival(site.scope, self.in_groups);
        if order.is_empty() && distinct.is_empty() {
            if !arrival.is_known {
                self.choice(format!("{name}() without ORDER BY"));
            }
        } else if distinct.is_empty() {
            self.choice(format!("{name}() with an ORDER BY that may leave ties"));
        }
        let value = &args[0];
        match distinct {
            "" => {
                order.extend(arrival.keys);
                order.push(format!("{} {tie}", value.sql));
            }
            // To find what is distinct, the server sorts.
            _ if order.is_empty() => order.push(format!("{} ASC NULLS LAST", self.sort_key(&value.sql, &value.ty)?)),
            _ => {}
        }
        let order = order.join(", ");
        let by_key = self.sort_key(&value.sql, &value.ty)? != value.sql;
        if !distinct.is_empty() && by_key && name == "array_agg" {
            let way = match call.agg_order.as_slice() {
                [] => "ASC NULLS LAST".to_owned(),
                [node] => match &node.node {
                    Some(NodeEnum::SortBy(sort)) => direction(sort).to_owned(),
                    _ => return Err(Problem::unsupported("this form of ORDER BY")),
                },
                _ => return Err(Problem::unsupported(format!("{name}(DISTINCT) with several keys to order by"))),
            };
            let list = self.distinct_list(value, &way, filter)?;
            return Ok(Typed::new(list, Type::Array(Box::new(value.ty.clone()))));
        }
        if !distinct.is_empty() && equality::is_loose(&value.ty) {
            let what = format!("{name}(DISTINCT) of {} values", value.ty.name(self.catalog()));
            return Err(Problem::unsupported(what));
        }
        if name == "array_agg" {
            if matches!(value.ty, Type::Array(_)) {
                return Err(Problem::unsupported("array_agg() of arrays"));
            }
            let ty = Type::Array(Box::new(value.ty.clone()));
            return Ok(Typed::new(format!("list({distinct}{} ORDER BY {order}){filter}", value.sql), ty));
        }
        let [value, separator] = args.as_slice() else { return Err(self.no_function(name, &args)) };
        if value.ty == Type::Bytea {
            let separator = format!("hex({})", separator.sql);
            let joined = self.joined_with_separators(&format!("hex({})", value.sql), &separator, &order, filter);
            return match distinct {
                "" => Ok(Typed::new(format!("unhex({})", joined.sql), Type::Bytea)),
                _ => Err(Problem::unsupported("string_agg(DISTINCT) of bytea")),
            };
        }
        let text = self.text(value.clone(), name)?;
        let Some(separator) = constant_separator(separator) else {
            if !distinct.is_empty() {
                return Err(Problem::unsupported("string_agg(DISTINCT) with a separator that isn't a constant"));
            }
            let separator = self.text(separator.clone(), name)?;
            return Ok(self.joined_with_separators(&text, &separator, &order, filter));
        };
        Ok(Typed::new(format!("string_agg({distinct}{text}, {separator} ORDER BY {order}){filter}"), Type::Text))
    }
}
