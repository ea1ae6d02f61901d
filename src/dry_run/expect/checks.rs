//! A validation query is judged by what stands beside it.
//!
//! Input: a query of `--check` with its comments, and its rows. Output: the rule that was found, and whether it holds. Three
//! rules: figures in a comment behind it, `no rows` in a comment above it, else it is shown only.

use super::evaluate::whole;
use crate::dry_run::report::CheckReport;
use crate::migration::{Migration, ROWS, Statement};

/// Judges one check, whose rows and number of rows are known. At least its first row must be there.
pub fn judge_check(check: &mut CheckReport, checks: &Migration, statement: &Statement) {
    let promises = checks.files.iter().flat_map(|file| &file.promises);
    let figures: Vec<&(String, u64)> =
        promises.filter(|p| p.statement == Some(statement.index)).flat_map(|p| &p.figures).collect();
    if !figures.is_empty() {
        let list: Vec<String> = figures.iter().map(|(name, figure)| format!("{name}={figure}")).collect();
        check.rule = format!("expected {}", list.join(", "));
        let wrong: Vec<String> = figures.iter().filter_map(|(name, figure)| differs(check, name, *figure)).collect();
        check.ok = Some(wrong.is_empty());
        check.cause = (!wrong.is_empty()).then(|| wrong.join(", "));
    } else if statement.comments.iter().any(|comment| promises_nothing(&comment.text)) {
        check.rule = "no rows".to_owned();
        check.ok = Some(check.row_count == 0);
        check.cause = (check.row_count > 0).then(|| format!("it gives {} rows", check.row_count));
    } else {
        check.rule = "shown only".to_owned();
        check.ok = None;
    }
}

/// `No job without its lead: no rows`, `should return zero rows`.
fn promises_nothing(comment: &str) -> bool {
    let words: Vec<String> =
        comment.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    words.windows(2).any(|pair| ["no", "zero", "0"].contains(&pair[0].as_str()) && pair[1] == "rows")
}

/// What a figure is instead, or why it can't be told.
fn differs(check: &CheckReport, name: &str, expected: u64) -> Option<String> {
    let row = check.rows.first();
    let column = row.and_then(|row| row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)));
    let found = match column {
        Some((_, value)) => whole(value),
        None if name == ROWS => i64::try_from(check.row_count).ok(),
        None => {
            let known: Vec<&str> = row.map(|row| row.keys().map(String::as_str).collect()).unwrap_or_default();
            let known = if known.is_empty() { "no row".to_owned() } else { known.join(", ") };
            return Some(format!("nothing is called {name}: the query gives {known}"));
        }
    };
    match found {
        Some(found) if u64::try_from(found) == Ok(expected) => None,
        Some(found) => Some(format!("{name} is {found}")),
        None => Some(format!("{name} isn't a whole number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(sql: &str, rows: Value, expected: (&str, Option<bool>, Option<&str>)) {
        let checks = Migration::from_text("checks.sql", sql).expect(sql);
        let rows: Vec<_> = rows.as_array().expect("rows").iter().filter_map(|r| r.as_object().cloned()).collect();
        let mut report = CheckReport { row_count: rows.len() as u64, rows, ..Default::default() };
        judge_check(&mut report, &checks, &checks.statements[0]);
        assert_eq!((report.rule.as_str(), report.ok, report.cause.as_deref()), expected, "{sql}");
    }

    #[test]
    fn figures_behind_a_query_are_its_rule() {
        let sql = "SELECT 1 AS a, 2 AS b;\n-- Expected: a=1, b=1,000";
        check(sql, json!([{"a": 1, "b": "1000"}]), ("expected a=1, b=1000", Some(true), None));
        check(sql, json!([{"a": 1, "b": 2}]), ("expected a=1, b=1000", Some(false), Some("b is 2")));
        check(
            sql,
            json!([{"c": 1}]),
            (
                "expected a=1, b=1000",
                Some(false),
                Some("nothing is called a: the query gives c, nothing is called b: the query gives c"),
            ),
        );
        check("SELECT 1;\n-- Expected: 2 rows", json!([{"c": 1}]), ("expected rows=2", Some(false), Some("rows is 1")));
    }

    #[test]
    fn a_comment_may_promise_no_rows() {
        check("-- orphans: must return no rows\nSELECT 1;", json!([]), ("no rows", Some(true), None));
        check("-- zero rows, please\nSELECT 1;", json!([{"a": 1}]), ("no rows", Some(false), Some("it gives 1 rows")));
    }

    #[test]
    fn nothing_is_read_into_other_comments() {
        check("-- rows by day\nSELECT 1;", json!([{"a": 1}]), ("shown only", None, None));
    }
}
