//! Statements that fail, that can't be told, that do nothing or leave something to the server's plan.

use super::{at, place, plural};
use crate::dry_run::report::{StatementReport, Verdict};
use crate::render::count;
use crate::report::{Finding, Location, Severity};

/// What is to be said of a statement by itself.
pub(super) fn findings(statement: &StatementReport) -> Vec<Finding> {
    let mut found = Vec::new();
    let at = at(statement);
    if let Some(error) = &statement.error {
        let rows = error.rows.unwrap_or(1);
        let fails = if error.own { "is stopped by its author's own check" } else { "fails" };
        let message = format!("{at} {fails}: {} ({}).", error.message, error.sqlstate);
        let action =
            error.hint.clone().unwrap_or_else(|| "Correct the statement, or the rows it stumbles over.".to_owned());
        let samples = error.samples.clone();
        let mut finding =
            Finding::new("statement-failed", Severity::Error, rows, message, action).with_samples(samples);
        // The server may point at a place within the statement.
        if let Some(line) = error.line {
            finding = finding.at(Location { file: statement.file.clone(), line, column: error.column, end_line: None });
        }
        found.push(finding);
    }
    if let Some(unsupported) = &statement.unsupported {
        let steps = unsupported.what.contains("step budget");
        let endless = steps || unsupported.what.contains("never ends") || unsupported.what.contains("row budget");
        let (id, severity) =
            if endless { ("row-budget", Severity::Error) } else { ("statement-unsupported", Severity::Warning) };
        let tables = if unsupported.tables.is_empty() {
            "No table depends on it".to_owned()
        } else {
            format!("From here on the rows of {} can't be told", unsupported.tables.join(", "))
        };
        let message = format!("{at} wasn't rehearsed: {}. {tables}.", unsupported.what);
        let action = if steps {
            "Bound the loop, or raise --step-budget."
        } else if endless {
            "Bound the recursion, or raise --row-budget."
        } else {
            "Rehearse this statement on a copy of the server."
        };
        found.push(Finding::new(id, severity, 1 + unsupported.dependents.len() as u64, message, action));
    }
    if statement.plan_dependent_rows > 0 {
        found.push(Finding::new(
            "plan-dependent",
            Severity::Warning,
            statement.plan_dependent_rows,
            format!(
                "{at}: for {} rows the server's query plan decides which value is written.",
                count(statement.plan_dependent_rows)
            ),
            "Order the candidates down to a unique column, so that every run gives the same rows.",
        ));
    }
    found.extend(without_effect(statement, &at));
    for finding in &mut found {
        finding.location.get_or_insert_with(|| place(statement));
    }
    found
}

fn without_effect(statement: &StatementReport, at: &str) -> Option<Finding> {
    let writes = ["UPDATE", "DELETE"].contains(&statement.kind.as_str());
    if !writes || statement.verdict != Verdict::Executed {
        return None;
    }
    let affected = statement.rows_affected.unwrap_or(0);
    if affected == 0 {
        let table = statement.table.as_deref().unwrap_or("the table");
        let (message, action) = match statement.unguarded_rows.filter(|rows| *rows > 0) {
            Some(rows) => (
                format!(
                    "{at} writes nothing: {} of {table} meet its condition, and not one of them is NULL any more.",
                    plural(rows, "row")
                ),
                "Make sure that this is meant: earlier statements have taken all of its rows; without its IS NULL it would take them back.",
            ),
            None => (
                format!("{at} matches no row of {table}."),
                "Make sure that this is meant: a pattern may be misspelt, or an earlier statement may have taken its rows.",
            ),
        };
        return Some(Finding::new("statement-without-effect", Severity::Note, 0, message, action));
    }
    let unchanged = statement.rows_unchanged.filter(|rows| *rows > 0)?;
    Some(Finding::new(
        "no-op-update",
        if unchanged == affected { Severity::Warning } else { Severity::Note },
        unchanged,
        format!("{at} writes {} rows with the values they have already.", count(unchanged)),
        "Add the new value to the WHERE clause (… IS DISTINCT FROM …): each such row is a dead tuple and WAL for nothing.",
    ))
}
