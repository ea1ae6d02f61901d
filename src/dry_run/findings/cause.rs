//! Causes: why does a figure differ from what was expected?
//!
//! Input: the expectations that are missed, with the query or the statement that each is about. Output: their `cause`: the
//! statements that write the rows in question, with their conditions; what a ladder's rule lost and to whom; what a plan that
//! counts by `is_root_job` overlooks. Invariants: every number is one of the report's; a cause that is known already (a figure that
//! can't be told) stays. Left out: guesses. A difference that nothing here accounts for gets no cause.

use std::collections::BTreeSet;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, a_const::Val};

use super::{listed, plural};
use crate::catalog::{Expression, tree};
use crate::classify::RuleOutcome;
use crate::dry_run::expect::{Contract, Demand};
use crate::dry_run::report::{DryRunReport, ExpectationReport, StatementReport, WalkReport};
use crate::migration::Migration;
use crate::render::count;

/// Statements named in one cause.
const STATEMENTS_NAMED: usize = 4;
/// Characters of a condition that is quoted.
const CONDITION_SHOWN: usize = 90;

/// What an expectation is about.
enum Subject {
    /// A statement's own figures.
    Statement(usize),
    /// Rows of tables, by these columns; a query without a column counts the rows themselves.
    Rows(Asked),
    /// Anything else.
    Other,
}

/// What a query asks.
#[derive(Debug, Default, PartialEq)]
struct Asked {
    tables: BTreeSet<String>,
    columns: BTreeSet<String>,
    /// Texts that it compares with.
    texts: BTreeSet<String>,
}

/// Fills the causes of expectations that are missed.
pub(in crate::dry_run) fn explain(report: &mut DryRunReport, migration: &Migration, contract: Option<&Contract>) {
    let mut expectations = std::mem::take(&mut report.expectations);
    for (expectation, subject) in expectations.iter_mut().zip(subjects(migration, contract)) {
        if !expectation.ok && expectation.cause.is_none() {
            expectation.cause = cause(expectation, &subject, report, migration);
        }
    }
    report.expectations = expectations;
}

/// What each expectation is about, in the order they are judged.
fn subjects(migration: &Migration, contract: Option<&Contract>) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::new();
    for expectation in contract.iter().flat_map(|contract| &contract.expectations) {
        subjects.push(match &expectation.demand {
            Demand::Rows { statement, .. } => Subject::Statement(*statement),
            Demand::Count { sql, .. } | Demand::Query { sql, .. } => parsed(sql),
            Demand::Share { table, column, value, .. } => Subject::Rows(Asked {
                tables: BTreeSet::from([table.clone()]),
                columns: BTreeSet::from([column.clone()]),
                texts: value.iter().cloned().collect(),
            }),
            Demand::Verdict { .. } | Demand::NothingElse { .. } => Subject::Other,
        });
    }
    for promise in migration.files.iter().flat_map(|file| &file.promises) {
        for (name, _) in &promise.figures {
            let statement = promise.statement.and_then(|index| migration.statements.get(index - 1));
            subjects.push(match statement.map(|s| (s.index, &s.node)) {
                Some((_, node @ NodeEnum::SelectStmt(_))) => Subject::Rows(asked(node, Some(name))),
                Some((index, _)) => Subject::Statement(index),
                None => Subject::Other,
            });
        }
    }
    subjects
}

fn parsed(sql: &str) -> Subject {
    let Ok(parsed) = pg_query::parse(sql, 0) else { return Subject::Other };
    match parsed.protobuf.stmts.first().and_then(|s| s.stmt.as_ref()).and_then(|s| s.node.as_ref()) {
        Some(node) => Subject::Rows(asked(node, None)),
        None => Subject::Other,
    }
}

/// Tables, columns and texts of a query; of its outputs only the one of this name, where there is one.
fn asked(node: &NodeEnum, output: Option<&str>) -> Asked {
    let mut asked = Asked::default();
    let NodeEnum::SelectStmt(select) = node else { return asked };
    let named = |node: &&Node| match &node.node {
        Some(NodeEnum::ResTarget(target)) => output.is_some_and(|name| target.name.eq_ignore_ascii_case(name)),
        _ => false,
    };
    let own: Vec<&Node> = select.target_list.iter().filter(named).collect();
    let mut read = |node: &Node| {
        tree::walk(node, &mut |node| match node {
            NodeEnum::ColumnRef(column) => {
                asked.columns.extend(column.fields.last().and_then(tree::string));
            }
            NodeEnum::RangeVar(table) => {
                asked.tables.insert(table.relname.clone());
            }
            NodeEnum::AConst(constant) => {
                if let Some(Val::Sval(text)) = &constant.val {
                    asked.texts.insert(text.sval.clone());
                }
            }
            _ => {}
        });
    };
    select.from_clause.iter().chain(select.where_clause.as_deref()).for_each(&mut read);
    let outputs: Vec<&Node> = if own.is_empty() { select.target_list.iter().collect() } else { own };
    outputs.into_iter().for_each(&mut read);
    asked
}

fn cause(
    expectation: &ExpectationReport,
    subject: &Subject,
    report: &DryRunReport,
    migration: &Migration,
) -> Option<String> {
    match subject {
        Subject::Statement(index) => of_statement(expectation, *index, report, migration),
        Subject::Rows(asked) => of_rows(expectation, asked, report, migration),
        Subject::Other => None,
    }
}

fn of_statement(
    expectation: &ExpectationReport,
    index: usize,
    report: &DryRunReport,
    migration: &Migration,
) -> Option<String> {
    if let Some(rule) = rules(report).find(|(statement, _)| *statement == index).map(|(_, rule)| rule)
        && !rule.lost_to.is_empty()
    {
        return Some(lost(rule));
    }
    let statement = report.statements.get(index.checked_sub(1)?)?;
    let rows = statement.rows_affected?;
    let walk = report.walks.iter().find(|walk| {
        let table = report.statements.get(walk.statement - 1).and_then(|s| s.table.as_ref());
        statement.table.as_ref() == table && statement.columns.iter().any(|c| c.column == walk.column)
    });
    if let Some(plan) = walk.and_then(|walk| walk.roots.plan)
        && whole(&expectation.expected) == Some(plan.root_flag_rows)
        && walk.is_some_and(|walk| rows == walk.roots.outcomes.root)
    {
        return Some(format!(
            "{} are marked is_root_job, but its condition asks for a job id and no parent, and {} more have that",
            plural(plan.root_flag_rows, "row"),
            count(plan.unflagged_root_rows)
        ));
    }
    condition(index, migration).map(|condition| format!("its condition {condition} is met by {}", plural(rows, "row")))
}

fn of_rows(
    expectation: &ExpectationReport,
    asked: &Asked,
    report: &DryRunReport,
    migration: &Migration,
) -> Option<String> {
    let ladder = report.ladders.iter().find(|ladder| asked.columns.contains(&ladder.column));
    if let Some(ladder) = ladder {
        let named = ladder.classification.rules.iter().filter(|rule| asked.texts.contains(&rule.category));
        let beaten: Vec<String> = named
            .filter(|rule| !rule.lost_to.is_empty())
            .map(|rule| format!("{} sets {}: {}", line(&rule.id), rule.category, lost(rule)))
            .collect();
        if !beaten.is_empty() {
            return Some(beaten.join("; "));
        }
    }
    let mut parts = Vec::from_iter(writers(asked, report, migration));
    let walk = report.walks.iter().find(|walk| asked.columns.contains(&walk.column));
    parts.extend(walk.and_then(|walk| overlooked(expectation, walk)));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Which statements write the rows that a query counts.
fn writers(asked: &Asked, report: &DryRunReport, migration: &Migration) -> Option<String> {
    let concerned = |statement: &&StatementReport| {
        let table = statement.table.as_deref().is_some_and(|table| {
            asked.tables.iter().any(|asked| asked == table || table.ends_with(&format!(".{asked}")))
        });
        let counts_rows = asked.columns.is_empty() || statement.columns.is_empty();
        let columns = (counts_rows && statement.kind != "UPDATE")
            || statement.columns.iter().any(|change| asked.columns.contains(&change.column));
        let rows = if statement.kind == "SELECT" { 0 } else { statement.rows_affected.unwrap_or(0) };
        table && columns && rows > 0 && !statement.rolled_back
    };
    let concerned: Vec<&StatementReport> = report.statements.iter().filter(concerned).collect();
    if concerned.is_empty() {
        let columns: Vec<&str> = asked.columns.iter().map(String::as_str).collect();
        return match columns.as_slice() {
            [only] => Some(format!("no statement of the migration writes {only}")),
            _ => None,
        };
    }
    let mut parts: Vec<String> = concerned
        .iter()
        .take(STATEMENTS_NAMED)
        .map(|statement| {
            let fills =
                statement.columns.iter().any(|c| asked.columns.contains(&c.column) && c.nulls_before > c.nulls_after);
            let verb = match statement.kind.as_str() {
                "INSERT" => "inserts",
                "DELETE" => "deletes",
                _ if fills => "fills",
                _ => "writes",
            };
            let why = condition(statement.index, migration).map_or_else(String::new, |text| format!(" ({text})"));
            let rows = plural(statement.rows_affected.unwrap_or(0), "row");
            format!("statement {}{why} {verb} {rows}", statement.index)
        })
        .collect();
    if concerned.len() > STATEMENTS_NAMED {
        let others: Vec<String> = concerned[STATEMENTS_NAMED..].iter().map(|s| s.index.to_string()).collect();
        parts.push(format!("{} write more", listed("statement", &others)));
    }
    Some(parts.join(", "))
}

/// A plan that counts by `is_root_job` where the SQL asks for a job id and no parent.
fn overlooked(expectation: &ExpectationReport, walk: &WalkReport) -> Option<String> {
    let plan = walk.roots.plan?;
    let expected = whole(&expectation.expected)?;
    let left = walk.roots.rows.checked_sub(plan.expected_filled_rows);
    (expected == plan.expected_filled_rows || Some(expected) == left).then(|| {
        format!(
            "{} counts the {} rows marked is_root_job and the {} with a parent, but the SQL never looks at the mark: {} more rows have a job id and no parent",
            count(plan.expected_filled_rows),
            count(plan.root_flag_rows),
            count(plan.rows_with_parent),
            count(plan.unflagged_root_rows)
        )
    })
}

fn rules(report: &DryRunReport) -> impl Iterator<Item = (usize, &RuleOutcome)> {
    report.ladders.iter().flat_map(|ladder| ladder.statements.iter().copied().zip(&ladder.classification.rules))
}

/// What a rule matches, and who has it in the end.
fn lost(rule: &RuleOutcome) -> String {
    let takers: Vec<String> = rule.lost_to.iter().map(|l| format!("{} to {}", count(l.rows), line(&l.id))).collect();
    format!(
        "its condition {} matches {}, of which it loses {}",
        quoted(&rule.when),
        plural(rule.matched_rows, "row"),
        takers.join(", ")
    )
}

fn line(id: &str) -> String {
    id.replacen("line-", "line ", 1)
}

/// The WHERE clause of a statement that has no other source of rows.
fn condition(index: usize, migration: &Migration) -> Option<String> {
    let condition = match &migration.statements.get(index.checked_sub(1)?)?.node {
        NodeEnum::UpdateStmt(update) if update.from_clause.is_empty() && update.with_clause.is_none() => {
            update.where_clause.as_deref()
        }
        NodeEnum::DeleteStmt(delete) if delete.using_clause.is_empty() && delete.with_clause.is_none() => {
            delete.where_clause.as_deref()
        }
        _ => None,
    };
    Expression::new(condition?).ok().map(|expression| quoted(&expression.sql))
}

fn quoted(condition: &str) -> String {
    if condition.chars().count() <= CONDITION_SHOWN {
        return format!("`{condition}`");
    }
    let head: String = condition.chars().take(CONDITION_SHOWN - 1).collect();
    format!("`{head}…`")
}

fn whole(value: &serde_json::Value) -> Option<u64> {
    value.as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dry_run::report::{ColumnChange, Verdict};

    #[test]
    fn a_query_asks_by_tables_columns_and_texts() {
        fn check(sql: &str, output: Option<&str>, expected: (&[&str], &[&str], &[&str])) {
            let parsed = pg_query::parse(sql, 0).expect(sql).protobuf;
            let node = parsed.stmts[0].stmt.as_ref().and_then(|s| s.node.as_ref()).expect(sql);
            let set = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
            let expected = Asked { tables: set(expected.0), columns: set(expected.1), texts: set(expected.2) };
            assert_eq!(asked(node, output), expected, "{sql}");
        }
        let sql = "SELECT count(*) FILTER (WHERE a IS NULL) AS x, count(*) FILTER (WHERE b = 'B') AS y FROM t";
        check(sql, Some("X"), (&["t"], &["a"], &[]));
        check(sql, Some("y"), (&["t"], &["b"], &["B"]));
        check("SELECT count(*) FROM s.t WHERE c = 'X'", None, (&["t"], &["c"], &["X"]));
    }

    /// The cause of a missed figure of the first promise; the statements of `sql` touch these rows of column c.
    fn check(sql: &str, rows: &[u64], expected: Option<&str>) {
        let migration = Migration::from_text("m.sql", sql).expect(sql);
        let statements = migration.statements.iter().zip(rows).map(|(statement, rows)| StatementReport {
            index: statement.index,
            kind: statement.sql.split(' ').next().unwrap_or_default().into(),
            table: Some("t".into()),
            verdict: Verdict::Executed,
            rows_affected: Some(*rows),
            columns: vec![ColumnChange { column: "c".into(), nulls_before: 9, nulls_after: 1, ..Default::default() }],
            ..Default::default()
        });
        let missed = ExpectationReport { expected: json!(3), predicted: json!(7), ..Default::default() };
        let mut report =
            DryRunReport { statements: statements.collect(), expectations: vec![missed], ..Default::default() };
        explain(&mut report, &migration, None);
        assert_eq!(report.expectations[0].cause.as_deref(), expected, "{sql}");
    }

    #[test]
    fn statements_that_write_the_rows_are_named() {
        check(
            "UPDATE t SET c = 1 WHERE a > 2;\nSELECT count(c) AS n FROM t;\n-- Expected: n=3",
            &[7, 1],
            Some("statement 1 (`a > 2`) fills 7 rows"),
        );
        check(
            "UPDATE t SET c = 1 WHERE a > 2;\nSELECT count(d) AS n FROM t;\n-- Expected: n=3",
            &[7, 1],
            Some("no statement of the migration writes d"),
        );
        check(
            "UPDATE t SET c = 1 WHERE a > 2;\n-- Expected rows: 3",
            &[7],
            Some("its condition `a > 2` is met by 7 rows"),
        );
        check("UPDATE t SET c = s.c FROM s WHERE t.a = s.a;\n-- Expected rows: 3", &[7], None);
    }
}
