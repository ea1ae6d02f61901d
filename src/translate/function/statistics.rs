//! Aggregates of floats, of bits, and those that look at the values of a group in their order.
//!
//! Input: a call whose arguments are typed. Output: DuckDB SQL over the list or the joined texts of a group's values. Invariants: rows
//! without a value don't count; a float's last digits follow the order of the rows, which the caveat says. Left out: windows.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, SortBy};

use crate::catalog::{Outcome, Problem, Type};
use crate::query::quote_literal;
use crate::translate::cast::{Context, convert};
use crate::translate::expression::Site;
use crate::translate::query::direction;
use crate::translate::reader::Reader;
use crate::translate::typed::{Typed, base, is_integer, raise};
use crate::translate::{Tie, equality};

/// Aggregates of two numbers.
const PAIRS: &[&str] = &[
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
];

/// A filter that passes over rows without a value, too.
fn present(filter: &str, conditions: &[String]) -> String {
    let conditions = conditions.join(" AND ");
    match filter.strip_suffix(')') {
        Some(filter) => format!("{filter} AND {conditions})"),
        None => format!(" FILTER (WHERE {conditions})"),
    }
}

impl Reader<'_> {
    /// Aggregates of this file over rows as they come; nothing for any other.
    pub(super) fn statistic(
        &mut self,
        name: &str,
        call: &FuncCall,
        args: &[Typed],
        filter: &str,
        site: Site<'_>,
    ) -> Outcome<Option<Typed>> {
        if let (Some(word), [value], true) =
            (name.strip_prefix("bit_").filter(|word| ["and", "or", "xor"].contains(word)), args, args.len() == 1)
            && is_integer(&value.ty)
        {
            let distinct = if call.agg_distinct { "DISTINCT " } else { "" };
            return Ok(Some(Typed::new(format!("bit_{word}({distinct}{}){filter}", value.sql), value.ty.clone())));
        }
        let float = |value: &Typed| matches!(value.ty, Type::Float4 | Type::Float8);
        if !args.iter().all(float) || args.is_empty() || call.agg_distinct {
            return Ok(None);
        }
        let order = self.order_of_rows(call, site)?;
        let tail = |condition: Vec<String>| format!("{order}){}", present(filter, &condition));
        let joined = |value: &Typed, tail: &str| format!("string_agg(CAST({} AS VARCHAR), ' '{tail}", value.sql);
        Ok(match (name, args) {
            ("regr_count", [y, x]) => {
                let both = present(filter, &[is_there(y), is_there(x)]);
                Some(Typed::new(format!("count(*){both}"), Type::Int8))
            }
            (name, [y, x]) if PAIRS.contains(&name) => {
                let tail = tail(vec![is_there(y), is_there(x)]);
                let sql = format!("pg_float_pairs({}, {}, '{name}')", joined(y, &tail), joined(x, &tail));
                Some(Typed::new(format!("CAST({sql} AS DOUBLE)"), Type::Float8))
            }
            ("sum", [value]) if value.ty == Type::Float4 => {
                let sql = format!("pg_float_spread({}, 'sum of real')", joined(value, &tail(vec![is_there(value)])));
                Some(Typed::new(format!("CAST({sql} AS FLOAT)"), Type::Float4))
            }
            (name, [value])
                if ["avg", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"]
                    .contains(&name) =>
            {
                let sql = format!("pg_float_spread({}, '{name}')", joined(value, &tail(vec![is_there(value)])));
                Some(Typed::new(format!("CAST({sql} AS DOUBLE)"), Type::Float8))
            }
            _ => None,
        })
    }

    /// ` ORDER BY …`, as the call asks for it, or as the rows come.
    fn order_of_rows(&mut self, call: &FuncCall, site: Site<'_>) -> Outcome<String> {
        let mut keys = Vec::new();
        for node in &call.agg_order {
            let Some(NodeEnum::SortBy(sort)) = &node.node else { continue };
            keys.push(self.sorted_by(sort, site)?);
        }
        let arrival = self.arrival(site.scope, self.in_groups);
        if !arrival.is_known {
            self.caveat("an aggregate of floating-point numbers depends on their order in the last digits".to_owned());
        }
        keys.extend(arrival.keys);
        Ok(if keys.is_empty() { String::new() } else { format!(" ORDER BY {}", keys.join(", ")) })
    }

    /// A key of an aggregate's ORDER BY.
    pub(super) fn sorted_by(&mut self, sort: &SortBy, site: Site<'_>) -> Outcome<String> {
        let value = self.expression(crate::translate::expression::required(&sort.node)?, site)?;
        let key = self.sort_key(&value.sql, &value.ty)?;
        Ok(format!("{key} {}", direction(sort)))
    }

    /// The distinct values of a group as a list in the order of a sort; of equal ones that are written differently, one.
    pub(super) fn distinct_list(&mut self, value: &Typed, direction: &str, filter: &str) -> Outcome<String> {
        let key = self.sort_key(&value.sql, &value.ty)?;
        let tie = match self.tie() {
            Tie::Least => "ASC NULLS LAST",
            Tie::Greatest => "DESC NULLS FIRST",
        };
        if equality::is_loose(&value.ty) {
            self.choice("the form of values that are equal".to_owned());
        }
        let pairs =
            format!("list({{'k': {key}, 'v': {v}}} ORDER BY {key} {direction}, {v} {tie}){filter}", v = value.sql);
        let once = "list_filter(l, lambda e, i: i = 1 OR l[i - 1].k IS DISTINCT FROM e.k)";
        Ok(format!("list_transform(list_transform([{pairs}], lambda l: {once})[1], lambda e: e.v)"))
    }

    /// `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)`, `mode()`, `rank(1)`: over the sorted values.
    pub(super) fn ordered_set(
        &mut self,
        name: &str,
        call: &FuncCall,
        args: Vec<Typed>,
        filter: &str,
    ) -> Outcome<Typed> {
        let unknown = || Problem::unsupported(format!("the aggregate {name}()"));
        let [sort] = call.agg_order.as_slice() else { return Err(unknown()) };
        let Some(NodeEnum::SortBy(sort)) = &sort.node else { return Err(unknown()) };
        let direction = direction(sort);
        let (given, value) = match args.as_slice() {
            [value] => (None, value),
            [given, value] => (Some(given), value),
            _ => return Err(unknown()),
        };
        let key = self.sort_key(&value.sql, &value.ty)?;
        let some = present(filter, &[is_there(value)]);
        let list = format!("list({} ORDER BY {key} {direction}){some}", value.sql);
        match (name, given) {
            ("mode", None) => {
                let keys = format!("list(CAST({key} AS VARCHAR) ORDER BY {key} {direction}){some}");
                Ok(Typed::new(format!("({list})[CAST(pg_mode_place({keys}) AS BIGINT)]"), value.ty.clone()))
            }
            ("percentile_disc" | "percentile_cont", Some(fraction)) => {
                let place = |fraction: &str| percentile(name, fraction, &value.ty).ok_or_else(unknown);
                match &fraction.ty {
                    Type::Float8 => {
                        let sql = format!("list_transform([{list}], lambda l: {})[1]", place(&fraction.sql)?);
                        Ok(Typed::new(sql, value.ty.clone()))
                    }
                    Type::Array(element) if **element == Type::Float8 => {
                        let each = format!("list_transform({}, lambda f: {})", fraction.sql, place("f")?);
                        let sql = format!("list_transform([{list}], lambda l: {each})[1]");
                        let sql = format!("CASE WHEN len({list}) > 0 THEN {sql} END");
                        Ok(Typed::new(sql, Type::Array(Box::new(value.ty.clone()))))
                    }
                    _ => Err(unknown()),
                }
            }
            ("rank" | "dense_rank" | "percent_rank" | "cume_dist", Some(given)) => {
                self.hypothetical(name, given, value, direction, filter)
            }
            _ => Err(unknown()),
        }
    }

    /// The place that a value would have among those of the group.
    fn hypothetical(
        &mut self,
        name: &str,
        given: &Typed,
        value: &Typed,
        direction: &str,
        filter: &str,
    ) -> Outcome<Typed> {
        let given = convert(given.clone(), &value.ty, Context::Implicit, None, self.catalog())?;
        let (theirs, ours) = (self.sort_key(&value.sql, &value.ty)?, self.sort_key(&given.sql, &value.ty)?);
        let sign = if direction.starts_with("DESC") { ">" } else { "<" };
        let nulls_first = match direction {
            d if d.contains("FIRST") => true,
            d if d.contains("LAST") => false,
            d => d.starts_with("DESC"),
        };
        let beside = match nulls_first {
            true => format!("({theirs} IS NULL AND {ours} IS NOT NULL)"),
            false => format!("({theirs} IS NOT NULL AND {ours} IS NULL)"),
        };
        let before = format!("(coalesce({theirs} {sign} {ours}, false) OR {beside})");
        let counted =
            |what: &str, condition: &str| format!("count({what}){}", present(filter, &[condition.to_owned()]));
        let ahead = counted("*", &before);
        let all = format!("count(*){filter}");
        Ok(match name {
            "rank" => Typed::new(format!("(1 + {ahead})"), Type::Int8),
            "dense_rank" => {
                let seen = counted(&format!("DISTINCT {theirs}"), &before);
                let missing = format!(
                    "CASE WHEN {} > 0 THEN 1 ELSE 0 END",
                    counted("*", &format!("({before} AND {theirs} IS NULL)"))
                );
                Typed::new(format!("CAST(1 + {seen} + {missing} AS BIGINT)"), Type::Int8)
            }
            "percent_rank" => Typed::new(
                format!("CASE WHEN {all} = 0 THEN CAST(0 AS DOUBLE) ELSE CAST({ahead} AS DOUBLE) / {all} END"),
                Type::Float8,
            ),
            _ => {
                let up_to = counted("*", &format!("({before} OR {theirs} IS NOT DISTINCT FROM {ours})"));
                Typed::new(format!("(CAST(1 + {up_to} AS DOUBLE) / (1 + {all}))"), Type::Float8)
            }
        })
    }

    /// `string_agg()` with a separator of its own in each row: the first row's is left out.
    pub(super) fn joined_with_separators(&mut self, text: &str, separator: &str, order: &str, filter: &str) -> Typed {
        let some = present(filter, &[format!("{text} IS NOT NULL")]);
        let separator = format!("coalesce({separator}, '')");
        let joined = format!("string_agg({separator} || {text}, '' ORDER BY {order}){some}");
        let first = format!("first({separator} ORDER BY {order}){some}");
        Typed::new(format!("substr({joined}, CAST(length({first}) + 1 AS BIGINT))"), Type::Text)
    }
}

fn is_there(value: &Typed) -> String {
    format!("{} IS NOT NULL", value.sql)
}

/// The value at a fraction of the list `l`; none for a type that it can't be told of.
fn percentile(name: &str, fraction: &str, ty: &Type) -> Option<String> {
    let outside = raise(
        "22003",
        &format!("'percentile value ' || pg_float8_text(CAST({fraction} AS VARCHAR)) || ' is not between 0 and 1'"),
        &Type::Float8,
    );
    let part = format!("(CASE WHEN {fraction} < 0 OR {fraction} > 1 THEN {outside} ELSE {fraction} END)");
    if name == "percentile_disc" {
        return Some(format!("l[greatest(1, CAST(ceil({part} * len(l)) AS BIGINT))]"));
    }
    let place = format!("({part} * (len(l) - 1))");
    let (low, high) =
        (format!("l[CAST(floor({place}) AS BIGINT) + 1]"), format!("l[CAST(ceil({place}) AS BIGINT) + 1]"));
    let rest = format!("({place} - floor({place}))");
    let between = match base(ty) {
        Type::Float8 => format!("{low} + {rest} * ({high} - {low})"),
        Type::Interval => {
            let text = |sql: &str| format!("CAST({sql} AS VARCHAR)");
            let step = format!("pg_interval_mul(pg_interval_sub({}, {}), {})", text(&high), text(&low), text(&rest));
            format!("CAST(pg_interval_add({}, {step}) AS INTERVAL)", text(&low))
        }
        _ => return None,
    };
    Some(format!("CASE WHEN floor({place}) = ceil({place}) THEN {low} ELSE {between} END"))
}

/// A constant separator as a literal of the engine.
pub(super) fn constant_separator(separator: &Typed) -> Option<String> {
    match separator.is_null() {
        true => Some(quote_literal("")),
        false => separator.text().map(quote_literal),
    }
}
