//! Checks: queries asked when the migration has run, each judged by the rule that stands beside it.
//!
//! Input: the state after the migration, a file of queries. Output: a [`CheckReport`] a query. Rules, in this order: a comment
//! that promises `no rows`; `Expected: name=number, …` for columns of the first row, `rows` for the number
//! of rows; a single true or false stands for itself. Invariant: a query without a rule is shown and never judged.
//! Left out: statements that write.

use anyhow::Result;
use serde_json::{Map, Value};

use super::execution::Selected;
use super::expect::whole;
use super::report::{CheckReport, ErrorReport};
use super::session::{Session, broken};
use crate::migration::{Migration, ROWS, Statement};
use crate::render::count;

/// Characters of a query that has no comment to be called by.
const NAME_SHOWN: usize = 60;

/// What a query must give.
#[derive(Debug, PartialEq)]
enum Rule {
    NoRows,
    Figures(Vec<(String, u64)>),
    /// One value, which is true.
    Holds,
    ShownOnly,
}

impl Rule {
    fn words(&self) -> String {
        match self {
            Rule::NoRows => "no rows".to_owned(),
            Rule::Figures(figures) => {
                let list: Vec<String> = figures.iter().map(|(name, number)| format!("{name}={number}")).collect();
                format!("expected {}", list.join(", "))
            }
            Rule::Holds => "true".to_owned(),
            Rule::ShownOnly => "shown only".to_owned(),
        }
    }
}

/// Asks every query.
///
/// # Errors
/// An interrupt; a query that can't be asked is in its report.
pub(super) fn run(session: &mut Session<'_>, checks: &Migration, samples: usize) -> Result<Vec<CheckReport>> {
    let mut reports = Vec::new();
    for statement in &checks.statements {
        let mut report = CheckReport {
            file: checks.files[statement.place.file].name.clone(),
            line: statement.place.line,
            name: name(statement),
            ..CheckReport::default()
        };
        let stated = stated(statement, checks);
        // Rules look at the first row, whether or not any is shown.
        match session.ask(&statement.node, samples.max(1)) {
            Ok(selected) => {
                let rule = stated.unwrap_or_else(|| by_value(&selected));
                judge(&mut report, &rule, &selected);
                report.row_count = selected.row_count;
                report.rows = selected.rows;
                report.rows.truncate(samples);
            }
            Err(halt) => {
                crate::ui::check_interrupt()?;
                let message = broken(halt, "asking").root_cause().to_string();
                report.rule = stated.unwrap_or(Rule::ShownOnly).words();
                report.error = Some(ErrorReport { message, ..ErrorReport::default() });
                report.ok = Some(false);
            }
        }
        reports.push(report);
    }
    Ok(reports)
}

/// The comment that says what the query is about, else its text.
fn name(statement: &Statement) -> String {
    let mut says = statement.comments.iter().map(|c| c.text.as_str()).filter(|text| !is_rule(text) && !text.is_empty());
    says.next_back().map_or_else(
        || {
            let words: Vec<&str> = statement.sql.split_whitespace().collect();
            words.join(" ").chars().take(NAME_SHOWN).collect()
        },
        str::to_owned,
    )
}

/// Is a comment nothing but a rule?
fn is_rule(comment: &str) -> bool {
    comment.to_lowercase().starts_with("expect")
}

/// `No job without its lead: no rows`, `must return zero rows`.
fn promises_nothing(comment: &str) -> bool {
    let words: Vec<String> =
        comment.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    words.windows(2).any(|pair| ["no", "zero", "0"].contains(&pair[0].as_str()) && pair[1] == "rows")
}

/// The rule that comments state.
fn stated(statement: &Statement, checks: &Migration) -> Option<Rule> {
    let file = &checks.files[statement.place.file];
    let promised = file.promises.iter().filter(|promise| promise.statement == Some(statement.index));
    let figures: Vec<(String, u64)> = promised.flat_map(|promise| promise.figures.iter().cloned()).collect();
    let none = statement.comments.iter().any(|comment| promises_nothing(&comment.text));
    match figures.as_slice() {
        [] if none => Some(Rule::NoRows),
        [] => None,
        [(name, 0)] if name == ROWS => Some(Rule::NoRows),
        _ => Some(Rule::Figures(figures)),
    }
}

/// A query that answers yes or no is judged by its answer.
fn by_value(selected: &Selected) -> Rule {
    match selected.rows.as_slice() {
        [row] if selected.row_count == 1 && row.len() == 1 && row.values().all(Value::is_boolean) => Rule::Holds,
        _ => Rule::ShownOnly,
    }
}

fn judge(report: &mut CheckReport, rule: &Rule, selected: &Selected) {
    report.rule = rule.words();
    let rows = if selected.row_count == 1 { "1 row".to_owned() } else { format!("{} rows", count(selected.row_count)) };
    let first = selected.rows.first();
    let (ok, found) = match rule {
        Rule::NoRows => (selected.row_count == 0, rows),
        Rule::Figures(figures) => {
            let values: Vec<(&str, u64, Option<Value>)> =
                figures.iter().map(|(name, number)| (name.as_str(), *number, figure(name, first, selected))).collect();
            let right = |(_, number, value): &(&str, u64, Option<Value>)| {
                value.as_ref().and_then(whole).is_some_and(|value| u64::try_from(value) == Ok(*number))
            };
            let list: Vec<String> = values
                .iter()
                .map(|(name, _, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => format!("no {name}"),
                })
                .collect();
            (values.iter().all(right), list.join(", "))
        }
        Rule::Holds => {
            let holds = first.is_some_and(|row| row.values().all(|value| *value == Value::Bool(true)));
            (holds, holds.to_string())
        }
        Rule::ShownOnly => return,
    };
    report.ok = Some(ok);
    report.cause = (!ok).then_some(found);
}

/// A column of the first row, or the number of rows.
fn figure(name: &str, first: Option<&Map<String, Value>>, selected: &Selected) -> Option<Value> {
    let column = first.and_then(|row| row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)));
    column.map(|(_, value)| value.clone()).or_else(|| (name == ROWS).then(|| selected.row_count.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dry_run::session::Options;
    use crate::snapshot::{EngineOptions, Snapshot};

    /// Each check as `name | rule | verdict | what it gives`.
    fn check(sql: &str, expected: &[&str]) {
        let snapshot = Snapshot::open("demo", &EngineOptions::default()).expect("the demo");
        let checks = Migration::from_text("checks.sql", sql).expect(sql);
        let mut session = Session::new(&snapshot, "checked", &[], Options::default()).expect("a session");
        let reports = run(&mut session, &checks, 0).expect("no interrupt");
        let found: Vec<String> = reports
            .iter()
            .map(|r| {
                let verdict = r.ok.map_or("-".to_owned(), |ok| ok.to_string());
                let error = r.error.as_ref().map(|e| e.message.clone());
                format!("{} | {} | {verdict} | {}", r.name, r.rule, error.or(r.cause.clone()).unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expected, "{sql}");
        assert!(reports.iter().all(|r| r.rows.is_empty()), "no row was asked for");
    }

    #[test]
    fn comments_are_rules() {
        check(
            "-- None is lost: no rows\nSELECT id FROM llama_logs WHERE id IS NULL;\n\n\
             -- Some are\n-- expect: no rows\nSELECT id FROM llama_logs WHERE status = 'FAILED' LIMIT 3",
            &["None is lost: no rows | no rows | true | ", "Some are | no rows | false | 3 rows"],
        );
        check(
            "SELECT count(*) AS total, 7 AS x FROM llama_logs;\n-- Expected: total=4,052, x=8",
            &["SELECT count(*) AS total, 7 AS x FROM llama_logs | expected total=4052, x=8 | false | total=4052, x=7"],
        );
        check("SELECT 1 AS one;\n-- Expected: two=1", &["SELECT 1 AS one | expected two=1 | false | no two"]);
    }

    #[test]
    fn a_truth_value_judges_itself_and_nothing_else_does() {
        check("SELECT count(*) = 4052 FROM llama_logs", &["SELECT count(*) = 4052 FROM llama_logs | true | true | "]);
        check("SELECT 1 = 2", &["SELECT 1 = 2 | true | false | false"]);
        check("SELECT 1", &["SELECT 1 | shown only | - | "]);
    }

    #[test]
    fn what_cannot_be_asked_fails() {
        check(
            "SELECT nope FROM llama_logs",
            &["SELECT nope FROM llama_logs | shown only | false | column \"nope\" does not exist (42703)"],
        );
    }
}
