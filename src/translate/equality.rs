//! Equality: which values the server takes for the same, where the engine would tell them apart.
//!
//! Input: a value and its type. Output: a key that is the same for values that are equal on the server: `1.0` and `1.00`, a day
//! and 24 hours, documents with either number in them, texts of `char(n)` with any padding, of `citext` in any case. Invariants: a key is NULL where its
//! value is; types whose equal values are written alike are their own key. Left out: types whose equality isn't known, which are
//! refused where they are compared.

use super::carried;
use super::number;
use super::reader::Reader;
use super::typed::{Typed, is_citext};
use super::{Output, Tie, typed};
use crate::catalog::Type;

/// May equal values of the type be written in several ways?
pub(super) fn is_loose(ty: &Type) -> bool {
    match ty.plain() {
        Type::Interval | Type::Jsonb => true,
        Type::Array(element) => is_loose(element),
        ty => number::is_text(ty) || is_padded(ty) || is_citext(ty) || carried::is_loose(ty),
    }
}

/// `char(n)`, of which trailing blanks mean nothing.
fn is_padded(ty: &Type) -> bool {
    matches!(ty, Type::Char(_)) || matches!(ty, Type::Opaque(name) if name == "bpchar")
}

/// What a value is compared and grouped by.
pub(super) fn key(sql: &str, ty: &Type) -> String {
    match ty.plain() {
        Type::Interval => interval_key(sql),
        Type::Jsonb => document_key(sql),
        Type::Array(element) => array_key(sql, element),
        ty if is_padded(ty) => format!("rtrim({sql}, ' ')"),
        ty if is_citext(ty) => format!("pg_lower({sql})"),
        ty => carried::key(sql, ty).unwrap_or_else(|| number::identity(sql, ty)),
    }
}

/// An array whose elements the engine compares as the server compares the array's own.
pub(super) fn array_key(sql: &str, element: &Type) -> String {
    if is_loose(element) { format!("list_transform({sql}, lambda k: {})", key("k", element)) } else { sql.to_owned() }
}

/// A document as the text that the engine compares in its place: of equal documents the same, in their order.
pub(super) fn document_key(sql: &str) -> String {
    match sql.starts_with("pg_jsonb_sort_key(") {
        true => sql.to_owned(),
        false => format!("pg_jsonb_sort_key({sql})"),
    }
}

/// What an interval is compared by: months of 30 days, days of 24 hours.
pub(super) fn interval_key(sql: &str) -> String {
    format!("CAST(pg_interval_key(CAST({sql} AS VARCHAR)) AS HUGEINT)")
}

/// SQL that says whether two values, which their types' operators can compare, are equal.
pub(super) fn equal(left: (&str, &Type), right: (&str, &Type)) -> String {
    let (left, right) = ((left.0, left.1.plain()), (right.0, right.1.plain()));
    if typed::number_rank(left.1).is_some() && typed::number_rank(right.1).is_some() {
        let (left, right) =
            number::comparable(Typed::new(left.0, left.1.clone()), Typed::new(right.0, right.1.clone()));
        return format!("{} = {}", left.sql, right.sql);
    }
    format!("{} = {}", key(left.0, left.1), key(right.0, right.1))
}

impl Reader<'_> {
    /// Of equal values in a group, the one that stands for them: whichever the server meets first.
    pub(super) fn one_of(&mut self, sql: &str) -> String {
        self.choice("the form of values that are equal".to_owned());
        let word = match self.tie() {
            Tie::Least => "arg_min",
            Tie::Greatest => "arg_max",
        };
        format!("{word}({sql}, CAST({sql} AS VARCHAR))")
    }

    /// Each row of a query once.
    pub(super) fn distinct_rows(&mut self, sql: &str, outputs: &[Output]) -> String {
        let (shown, keys) = self.grouped_rows("d", outputs);
        format!("SELECT {shown} FROM ({sql}) AS d GROUP BY {keys}")
    }

    /// INTERSECT and EXCEPT of two queries whose columns are named alike.
    pub(super) fn common_rows(&mut self, word: &str, left: &str, right: &str, outputs: &[Output]) -> String {
        let join = if word.starts_with("INTERSECT") { "SEMI" } else { "ANTI" };
        let mut same: Vec<String> = outputs
            .iter()
            .map(|o| {
                let [l, r] = ["d", "e"].map(|side| key(&format!("{side}.{}", o.column), &o.ty));
                format!("{l} IS NOT DISTINCT FROM {r}")
            })
            .collect();
        if !word.ends_with(" ALL") {
            let (shown, keys) = self.grouped_rows("d", outputs);
            let same = same.join(" AND ");
            return format!("SELECT {shown} FROM ({left}) AS d {join} JOIN ({right}) AS e ON {same} GROUP BY {keys}");
        }
        self.choice("the form of values that are equal".to_owned());
        // Each copy of a row has a number, so that as many are met as there are.
        let tie = self.tie_direction();
        let columns: Vec<&str> = outputs.iter().map(|o| o.column.as_str()).collect();
        let order: Vec<String> = columns.iter().map(|column| format!("{column} {tie}")).collect();
        let partition: Vec<String> = outputs.iter().map(|o| key(&o.column, &o.ty)).collect();
        let numbered = |sql: &str| {
            format!(
                "SELECT *, row_number() OVER (PARTITION BY {} ORDER BY {}) AS copy FROM ({sql})",
                partition.join(", "),
                order.join(", ")
            )
        };
        same.push("d.copy = e.copy".to_owned());
        format!(
            "SELECT {} FROM ({}) AS d {join} JOIN ({}) AS e ON {}",
            columns.iter().map(|column| format!("d.{column} AS {column}")).collect::<Vec<_>>().join(", "),
            numbered(left),
            numbered(right),
            same.join(" AND ")
        )
    }

    /// A select list and the keys to group by, for each row once.
    fn grouped_rows(&mut self, alias: &str, outputs: &[Output]) -> (String, String) {
        let (mut shown, mut keys) = (Vec::new(), Vec::new());
        for Output { ty, column, .. } in outputs {
            let value = format!("{alias}.{column}");
            keys.push(key(&value, ty));
            shown.push(match is_loose(ty) {
                true => format!("{} AS {column}", self.one_of(&value)),
                false => format!("{value} AS {column}"),
            });
        }
        (shown.join(", "), keys.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_key() {
        let check = |ty: Type, expected: &str| assert_eq!(key("x", &ty), expected);
        check(Type::Int4, "x");
        check(Type::Numeric(Some((6, 2))), "x");
        check(Type::Numeric(None), "pg_numeric_key(x)");
        check(Type::Char(5), "rtrim(x, ' ')");
        check(Type::Interval, "CAST(pg_interval_key(CAST(x AS VARCHAR)) AS HUGEINT)");
        check(Type::Array(Box::new(Type::Jsonb)), "list_transform(x, lambda k: pg_jsonb_sort_key(k))");
        check(Type::Array(Box::new(Type::Text)), "x");
    }
}
