//! Differences between two states of a table: what a roll-back leaves, what another version of a migration does otherwise.
//!
//! Input: two relations with columns under the names a person knows, and a key. Output: [`TableDifference`]. Invariants: rows are
//! matched by key, or counted as a whole where there is none; columns that only one side has are the schema's difference.

use super::engine::{Engine, Ran};
use super::report::TableDifference;
use crate::query::quote_literal;

/// One state of a table.
pub(super) struct Side {
    /// The relation, as SQL.
    pub(super) from: String,
    /// Name, expression and physical type of its columns.
    pub(super) columns: Vec<(String, String, String)>,
}

impl Side {
    fn find(&self, name: &str) -> Option<&(String, String, String)> {
        self.columns.iter().find(|(column, _, _)| column == name)
    }
}

/// Compares two states of a table; `None` where they are equal.
pub(super) fn difference(
    engine: &Engine<'_>,
    table: &str,
    (before, after): (&Side, &Side),
    key: &[String],
    samples: usize,
) -> Ran<Option<TableDifference>> {
    let mut found = TableDifference { table: table.to_owned(), ..TableDifference::default() };
    let shared: Vec<(&str, String, String)> = before
        .columns
        .iter()
        .filter_map(|(name, b, b_type)| {
            let (_, a, a_type) = after.find(name)?;
            let cast = |value: &str, side: &str| {
                if a_type == b_type { format!("{side}.{value}") } else { format!("CAST({side}.{value} AS VARCHAR)") }
            };
            Some((name.as_str(), cast(b, "b"), cast(a, "a")))
        })
        .collect();
    let keys: Vec<&(&str, String, String)> =
        shared.iter().filter(|(name, _, _)| key.iter().any(|k| k == name)).collect();
    let (from_b, from_a) = (&before.from, &after.from);
    if keys.len() != key.len() || keys.is_empty() {
        let list = |side: usize| {
            let columns: Vec<&str> =
                shared.iter().map(|(_, b, a)| if side == 0 { b.as_str() } else { a.as_str() }).collect();
            if columns.is_empty() { "1".to_owned() } else { columns.join(", ") }
        };
        let (b, a) =
            (format!("SELECT {} FROM {from_b} AS b", list(0)), format!("SELECT {} FROM {from_a} AS a", list(1)));
        [found.only_before, found.only_after] = engine.counts(&format!(
            "SELECT (SELECT count(*) FROM ({b} EXCEPT ALL {a})), (SELECT count(*) FROM ({a} EXCEPT ALL {b}))"
        ))?;
    } else {
        let on: Vec<String> = keys.iter().map(|(_, b, a)| format!("{b} = {a}")).collect();
        let (first_b, first_a) = (&keys[0].1, &keys[0].2);
        let joined = format!("FROM {from_b} AS b FULL JOIN {from_a} AS a ON {}", on.join(" AND "));
        let differs: Vec<String> = shared.iter().map(|(_, b, a)| format!("{b} IS DISTINCT FROM {a}")).collect();
        let both = format!("{first_b} IS NOT NULL AND {first_a} IS NOT NULL");
        [found.only_before, found.only_after, found.differing] = engine.counts(&format!(
            "SELECT count(*) FILTER ({first_a} IS NULL), count(*) FILTER ({first_b} IS NULL), count(*) FILTER ({both} AND ({})) {joined}",
            differs.join(" OR ")
        ))?;
        if found.differing > 0 {
            for ((name, _, _), differs) in shared.iter().zip(&differs) {
                let rows = engine.count(&format!("SELECT count(*) {joined} WHERE {both} AND {differs}"))?;
                if rows > 0 {
                    found.columns.push(((*name).to_owned(), rows));
                }
            }
            let mut fields: Vec<String> =
                keys.iter().map(|(name, b, _)| format!("{}, {b}", quote_literal(name))).collect();
            for (name, b, a) in shared.iter().filter(|(name, _, _)| found.columns.iter().any(|(c, _)| c == name)) {
                fields.push(format!("{}, {b}", quote_literal(&format!("{name} before"))));
                fields.push(format!("{}, {a}", quote_literal(&format!("{name} after"))));
            }
            found.samples = engine.objects(&format!(
                "SELECT json_object({}) {joined} WHERE {both} AND ({}) ORDER BY {first_b} LIMIT {samples}",
                fields.join(", "),
                differs.join(" OR ")
            ))?;
        }
    }
    Ok((found.only_before + found.only_after + found.differing > 0).then_some(found))
}
