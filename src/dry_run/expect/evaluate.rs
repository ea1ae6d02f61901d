//! A contract is held against a rehearsal.
//!
//! Input: a [`Contract`] and the rehearsal's [`Figures`]. Output: one report an expectation, in the order of the file.
//! Invariant: what can't be told is `null` and not ok, with the reason.

use serde_json::{Value, json};

use super::{Contract, Demand, Expectation, Figure, Figures, Returns, verdict_name};
use crate::dry_run::report::{ExpectationReport, StatementReport, Verdict};

impl Contract {
    /// Judges every expectation.
    pub fn evaluate(&self, figures: &mut dyn Figures) -> Vec<ExpectationReport> {
        self.expectations
            .iter()
            .map(|expectation| {
                let source = format!("{}:{}", self.file, expectation.line);
                let (expected, predicted) = judge(expectation, figures);
                compare(&expectation.name, source, expected, predicted)
            })
            .collect()
    }
}

/// A predicted value, or why there is none.
pub(super) type Predicted = Result<Value, String>;

fn judge(expectation: &Expectation, figures: &mut dyn Figures) -> (Value, Predicted) {
    match &expectation.demand {
        Demand::Count { sql, equals } => {
            let number = single(figures, sql).and_then(|value| {
                whole(&value)
                    .map(Value::from)
                    .ok_or_else(|| format!("the query gives {value}, which isn't a whole number"))
            });
            (json!(equals), number)
        }
        Demand::Rows { statement, figure, equals, .. } => {
            (json!(equals), of_statement(figures.statements().get(statement - 1), *figure))
        }
        Demand::Verdict { statement, equals, .. } => {
            let found = figures.statements().get(statement - 1);
            let found = found.map(|s| json!(verdict_name(s.verdict))).ok_or_else(|| "it was not rehearsed".to_owned());
            (json!(verdict_name(*equals)), found)
        }
        Demand::Query { sql, returns } => match returns {
            Returns::NoRows => {
                let rows = rows(figures, sql).map(|n| if n == 0 { json!("no rows") } else { json!(n) });
                (json!("no rows"), rows)
            }
            Returns::Rows(expected) => (json!(expected), rows(figures, sql).map(Value::from)),
            Returns::Value(expected) => (expected.clone(), single(figures, sql)),
        },
        Demand::Share { table, column, value, equals } => {
            let rows = figures.distribution(table, column).map_err(|problem| problem.to_string());
            let rows = rows.map(|all| json!(all.iter().filter(|(v, _)| v == value).map(|(_, n)| n).sum::<u64>()));
            (json!(equals), rows)
        }
        Demand::NothingElse { table, column, known } => {
            let all = figures.distribution(table, column).map_err(|problem| problem.to_string());
            (json!("none"), all.map(|all| others(&all, known)))
        }
    }
}

/// `none`, or the values that no expectation names with their rows.
fn others(all: &[(Option<String>, u64)], known: &[Option<String>]) -> Value {
    let list: Vec<String> = all
        .iter()
        .filter(|(value, rows)| *rows > 0 && !known.contains(value))
        .map(|(value, rows)| format!("{} {rows}", value.as_deref().unwrap_or("NULL")))
        .collect();
    if list.is_empty() { json!("none") } else { json!(list.join(", ")) }
}

fn rows(figures: &mut dyn Figures, sql: &str) -> Result<u64, String> {
    figures.query(sql).map(|rows| rows.len() as u64).map_err(|problem| problem.to_string())
}

/// The one value that a query gives.
fn single(figures: &mut dyn Figures, sql: &str) -> Predicted {
    let rows = figures.query(sql).map_err(|problem| problem.to_string())?;
    match rows.as_slice() {
        [row] if row.len() == 1 => Ok(row.values().next().cloned().unwrap_or_default()),
        [row] => Err(format!("the query gives {} columns instead of one", row.len())),
        several => Err(format!("the query gives {} rows instead of one", several.len())),
    }
}

/// A figure of a statement that ran and whose work stays.
pub(super) fn of_statement(statement: Option<&StatementReport>, figure: Figure) -> Predicted {
    let statement = statement.ok_or_else(|| "it was not rehearsed".to_owned())?;
    ran(statement)?;
    figure.of(statement).map(Value::from).ok_or_else(|| {
        let known: Vec<&str> = Figure::ALL.iter().filter(|f| f.of(statement).is_some()).map(|f| f.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("{} has no figure {}; it has {known}", statement.kind, figure.as_str())
    })
}

/// Says why a statement has no figures.
pub(super) fn ran(statement: &StatementReport) -> Result<(), String> {
    let place = format!("statement {} ({}:{})", statement.index, statement.file, statement.line);
    match statement.verdict {
        Verdict::Failed => {
            let error = statement.error.as_ref();
            Err(format!("{place} fails: {}", error.map_or("", |e| e.message.as_str())))
        }
        Verdict::Unsupported => {
            let what = statement.unsupported.as_ref().map_or("it", |u| u.what.as_str());
            Err(format!("{place} can't be rehearsed: {what}"))
        }
        Verdict::NotReached => Err(format!("{place} isn't reached, because an earlier one fails")),
        _ if statement.rolled_back => Err(format!("{place} ran, but a later failure takes back what it did")),
        _ => Ok(()),
    }
}

/// A JSON value as a whole number; PostgreSQL's numerics may arrive as text.
pub(in crate::dry_run) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

pub(super) fn compare(name: &str, source: String, expected: Value, predicted: Predicted) -> ExpectationReport {
    let (predicted, cause) = match predicted {
        Ok(value) => (value, None),
        Err(cause) => (Value::Null, Some(cause)),
    };
    let difference = match (whole(&expected), whole(&predicted)) {
        (Some(expected), Some(predicted)) => predicted.checked_sub(expected),
        _ => None,
    };
    let ok = cause.is_none() && (expected == predicted || difference == Some(0) || same_number(&expected, &predicted));
    ExpectationReport { name: name.to_owned(), source, expected, predicted, difference, ok, cause }
}

/// 1.50 and 1.5 are the same number, as text or not.
fn same_number(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.trim().parse().ok());
    (a.is_number() || b.is_number()) && number(a).is_some_and(|a| number(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::super::Fake;
    use super::*;
    use crate::dry_run::report::ErrorReport;
    use crate::migration::Migration;

    fn figures() -> Fake {
        let updated = StatementReport {
            index: 1,
            file: "m.sql".into(),
            line: 1,
            kind: "UPDATE".into(),
            verdict: Verdict::Executed,
            rows_affected: Some(4010),
            ..Default::default()
        };
        let failed = StatementReport {
            index: 2,
            file: "m.sql".into(),
            line: 2,
            kind: "UPDATE".into(),
            verdict: Verdict::Failed,
            error: Some(ErrorReport { message: "column \"b\" does not exist".into(), ..Default::default() }),
            ..Default::default()
        };
        let mut fake = Fake { statements: vec![updated, failed], ..Default::default() }
            .answer("SELECT 1", json!([{"count": 4010}]))
            .answer("SELECT 2", json!([]))
            .answer("SELECT 3", json!([{"a": "1.50"}, {"a": 2}]))
            .answer("SELECT 4", json!([{"a": "1.50"}]));
        fake = fake.answer(
            "SELECT \"c\"::text AS value, count(*) AS rows FROM \"t\" GROUP BY \"c\"::text ORDER BY 1",
            json!([{"value": "X", "rows": 3}, {"value": "Y", "rows": 1}, {"value": null, "rows": 2}]),
        );
        fake
    }

    /// Each expectation's `expected predicted difference ok cause`.
    fn check(toml: &str, expected: &[&str]) {
        let migration = Migration::from_text("m.sql", "UPDATE t SET a = 1;\nUPDATE t SET b = 1;").expect("SQL");
        let contract = Contract::parse("e.toml", toml, &migration).expect(toml);
        let found: Vec<String> = contract
            .evaluate(&mut figures())
            .iter()
            .map(|e| {
                let difference = e.difference.map_or("-".to_owned(), |d| d.to_string());
                format!("{} {} {difference} {} {}", e.expected, e.predicted, e.ok, e.cause.as_deref().unwrap_or("-"))
            })
            .collect();
        assert_eq!(found, expected, "{toml}");
    }

    #[test]
    fn figures_are_compared() {
        check("[counts]\na = { sql = \"SELECT 1\", equals = 1567 }", &["1567 4010 2443 false -"]);
        check("[counts]\na = { sql = \"SELECT 1\", equals = 4010 }", &["4010 4010 0 true -"]);
        check(
            "[statements]\n\"1\" = { rows = 4010, verdict = \"executed\" }",
            &["4010 4010 0 true -", "\"executed\" \"executed\" - true -"],
        );
        check("[queries.q]\nsql = \"SELECT 2\"\nreturns = \"no rows\"", &["\"no rows\" \"no rows\" - true -"]);
        check("[queries.q]\nsql = \"SELECT 3\"\nreturns = \"no rows\"", &["\"no rows\" 2 - false -"]);
        check("[queries.q]\nsql = \"SELECT 3\"\nrows = 2", &["2 2 0 true -"]);
        check("[queries.q]\nsql = \"SELECT 4\"\nvalue = 1.5", &["1.5 \"1.50\" - true -"]);
    }

    #[test]
    fn what_cannot_be_told_is_never_right() {
        check(
            "[statements]\n\"2\" = { rows = 0 }",
            &["0 null - false statement 2 (m.sql:2) fails: column \"b\" does not exist"],
        );
        check("[statements]\n\"1\" = { changed = 0 }", &["0 null - false UPDATE has no figure changed; it has rows"]);
        check(
            "[counts]\na = { sql = \"SELECT 3\", equals = 0 }",
            &["0 null - false the query gives 2 rows instead of one"],
        );
        check("[counts]\na = { sql = \"SELECT 9\", equals = 0 }", &["0 null - false `SELECT 9` can't be rehearsed"]);
    }

    #[test]
    fn a_distribution_is_whole() {
        check(
            "[distribution.t.c]\nX = 3\nY = 0\nNULL = 2",
            &["3 3 0 true -", "0 1 1 false -", "2 2 0 true -", "\"none\" \"none\" - true -"],
        );
        check("[distribution.t.c]\nX = 3", &["3 3 0 true -", "\"none\" \"Y 1, NULL 2\" - false -"]);
    }
}
