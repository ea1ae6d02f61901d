//! What comments promise is held against a rehearsal.
//!
//! Input: a migration with the figures in its comments, and the rehearsal. Output: one report a figure. A name is first looked for
//! among the columns of the query that the comment stands at, then among the statement's own figures; a name that is neither
//! can't be told, and the report says which names there are.

use serde_json::{Value, json};

use super::evaluate::{Predicted, compare, ran};
use super::{Figure, Figures, evaluate};
use crate::dry_run::report::{ExpectationReport, StatementReport};
use crate::migration::{Migration, ROWS};

/// Judges every figure that a comment promises.
pub fn promised(migration: &Migration, figures: &dyn Figures) -> Vec<ExpectationReport> {
    let mut reports = Vec::new();
    for file in &migration.files {
        for promise in &file.promises {
            for (name, expected) in &promise.figures {
                let predicted = match promise.statement {
                    Some(statement) => predict(name, statement, figures),
                    None => Err("no statement stands before the comment".to_owned()),
                };
                reports.push(compare(name, format!("{}:{}", file.name, promise.line), json!(expected), predicted));
            }
        }
    }
    reports
}

fn predict(name: &str, statement: usize, figures: &dyn Figures) -> Predicted {
    let report = statement.checked_sub(1).and_then(|i| figures.statements().get(i));
    let report = report.ok_or_else(|| "the statement was not rehearsed".to_owned())?;
    ran(report)?;
    let row = figures.first_row(statement).unwrap_or_default();
    let column = row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
    if let Some((column, value)) = column {
        return evaluate::whole(value)
            .map(Value::from)
            .ok_or_else(|| format!("the query's column {column} is {value}, which isn't a whole number"));
    }
    match of_command(name, report) {
        Some(rows) => Ok(json!(rows)),
        None => Err(unknown(name, row.keys().map(String::as_str).collect(), report)),
    }
}

/// `rows`, `updated`, `inserted` … of a statement.
fn of_command(name: &str, report: &StatementReport) -> Option<u64> {
    let name = name.to_lowercase();
    let own = |command: &str| report.rows_affected.filter(|_| report.kind.starts_with(command));
    match name.as_str() {
        ROWS | "row" | "affected" | "rows_affected" => report.rows_affected,
        "updated" => own("UPDATE"),
        "inserted" => own("INSERT").or(report.rows_inserted),
        "deleted" => own("DELETE").or(report.rows_deleted),
        _ => Figure::ALL.into_iter().find(|figure| figure.as_str() == name).and_then(|figure| figure.of(report)),
    }
}

fn unknown(name: &str, columns: Vec<&str>, report: &StatementReport) -> String {
    let place = format!("statement {} ({}:{}, {})", report.index, report.file, report.line, report.kind);
    let figures: Vec<&str> = Figure::ALL.iter().filter(|f| f.of(report).is_some()).map(|f| f.as_str()).collect();
    let known = if columns.is_empty() { figures } else { columns };
    if known.is_empty() {
        format!("{place} gives no figure at all, so none that is called {name}")
    } else {
        format!("{place} gives no figure called {name}; it gives {}", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fake;
    use super::*;
    use crate::dry_run::report::Verdict;

    fn check(sql: &str, reports: Vec<StatementReport>, expected: &[&str]) {
        let migration = Migration::from_text("m.sql", sql).expect(sql);
        let figures = Fake { statements: reports, ..Default::default() };
        let found: Vec<String> = promised(&migration, &figures)
            .iter()
            .map(|e| {
                let cause = e.cause.as_deref().unwrap_or("-");
                format!("{} {} {} {} {} {cause}", e.source, e.name, e.expected, e.predicted, e.ok)
            })
            .collect();
        assert_eq!(found, expected, "{sql}");
    }

    fn report(kind: &str, rows: u64, row: Value) -> StatementReport {
        StatementReport {
            index: 1,
            file: "m.sql".into(),
            line: 1,
            kind: kind.into(),
            verdict: Verdict::Executed,
            rows_affected: Some(rows),
            rows: row.as_object().cloned().into_iter().collect(),
            ..Default::default()
        }
    }

    #[test]
    fn names_are_columns_of_the_query() {
        check(
            "SELECT count(root) AS filled FROM t;\n\n-- Expected: Filled=1,567, total=4\n",
            vec![report("SELECT", 1, json!({"filled": 4010, "total": "4"}))],
            &["m.sql:3 Filled 1567 4010 false -", "m.sql:3 total 4 4 true -"],
        );
    }

    #[test]
    fn names_are_figures_of_the_statement() {
        check(
            "UPDATE t SET a = 1;\n-- Log: Updated 1,537 root jobs\n-- Expected: updated=3980\n",
            vec![report("UPDATE", 3980, Value::Null)],
            &["m.sql:2 rows 1537 3980 false -", "m.sql:3 updated 3980 3980 true -"],
        );
    }

    #[test]
    fn a_name_that_is_neither_is_told_which_there_are() {
        check(
            "SELECT 1 AS one;\n-- Expected: two=2",
            vec![report("SELECT", 1, json!({"one": 1}))],
            &["m.sql:2 two 2 null false statement 1 (m.sql:1, SELECT) gives no figure called two; it gives one"],
        );
        check(
            "-- Expected: two=2\n\nUPDATE t SET a = 1;",
            vec![report("UPDATE", 1, Value::Null)],
            &["m.sql:1 two 2 null false no statement stands before the comment"],
        );
    }

    #[test]
    fn what_did_not_run_keeps_no_promise() {
        let mut undone = report("UPDATE", 3, Value::Null);
        undone.rolled_back = true;
        check(
            "UPDATE t SET a = 1; -- Expected rows: 3",
            vec![undone],
            &["m.sql:1 rows 3 null false statement 1 (m.sql:1) ran, but a later failure takes back what it did"],
        );
    }
}
