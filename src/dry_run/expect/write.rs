//! A contract is written: the text for git.
//!
//! Input: a [`Contract`], or a rehearsal to be taken as right. Output: TOML that reads back as the same contract.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Contract, Demand, Expectation, Figure, Figures, Returns, verdict_name};
use crate::dry_run::report::Verdict;
use crate::migration::Migration;

/// A column with more values than this is no category, and its distribution no expectation.
const VALUES: usize = 20;

impl Contract {
    /// What a rehearsal gave, as expectations: each statement's verdict and rows, and the final distribution of every written
    /// column that holds few values.
    pub fn from_run(file: &str, migration: &Migration, figures: &mut dyn Figures) -> Contract {
        let mut expectations = Vec::new();
        let mut written = BTreeSet::new();
        for (statement, report) in migration.statements.iter().zip(figures.statements()) {
            let place = statement.place.file;
            let position = migration.statements[..statement.index].iter().filter(|s| s.place.file == place).count();
            let reference = match migration.files.len() {
                1 => statement.index.to_string(),
                _ => format!("{}/{position}", migration.files[place].migration),
            };
            let mut add = |name: &str, demand| {
                let name = format!("statement {reference} {name}");
                expectations.push(Expectation { name, line: 0, demand });
            };
            let index = statement.index;
            if report.verdict != Verdict::NotReached
                && let Some(equals) = report.rows_affected
            {
                let figure = Figure::Rows;
                add("rows", Demand::Rows { reference: reference.clone(), statement: index, figure, equals });
            }
            add("verdict", Demand::Verdict { reference: reference.clone(), statement: index, equals: report.verdict });
            if report.verdict == Verdict::Executed && !report.rolled_back {
                let table = report.table.iter();
                written.extend(table.flat_map(|t| report.columns.iter().map(move |c| (t.clone(), c.column.clone()))));
            }
        }
        for (table, column) in written {
            let Ok(counts) = figures.distribution(&table, &column) else { continue };
            if counts.is_empty() || counts.len() > VALUES {
                continue;
            }
            let known: Vec<Option<String>> = counts.iter().map(|(value, _)| value.clone()).collect();
            for (value, equals) in counts {
                let name = format!("{table}.{column} {}", value.as_deref().unwrap_or("NULL"));
                let demand = Demand::Share { table: table.clone(), column: column.clone(), value, equals };
                expectations.push(Expectation { name, line: 0, demand });
            }
            let name = format!("{table}.{column} other values");
            expectations.push(Expectation { name, line: 0, demand: Demand::NothingElse { table, column, known } });
        }
        Contract { file: file.to_owned(), expectations }
    }

    /// The contract as TOML.
    pub fn to_toml(&self) -> String {
        let mut counts = Vec::new();
        let mut statements: Vec<(&str, Vec<String>)> = Vec::new();
        let mut queries = Vec::new();
        let mut shares: Vec<(String, Vec<String>)> = Vec::new();
        for Expectation { name, demand, .. } in &self.expectations {
            match demand {
                Demand::Count { sql, equals } => {
                    counts.push(format!("{} = {{ sql = {}, equals = {equals} }}", key(name), text(sql)));
                }
                Demand::Rows { reference, figure, equals, .. } => {
                    entry(&mut statements, reference.as_str()).push(format!("{} = {equals}", figure.as_str()));
                }
                Demand::Verdict { reference, equals, .. } => {
                    entry(&mut statements, reference.as_str())
                        .push(format!("verdict = {}", text(verdict_name(*equals))));
                }
                Demand::Query { sql, returns } => {
                    let returns = match returns {
                        Returns::NoRows => "returns = \"no rows\"".to_owned(),
                        Returns::Rows(rows) => format!("rows = {rows}"),
                        Returns::Value(serde_json::Value::String(value)) => format!("value = {}", text(value)),
                        Returns::Value(value) => format!("value = {value}"),
                    };
                    queries.push(format!("[queries.{}]\nsql = {}\n{returns}\n", key(name), text(sql)));
                }
                Demand::Share { table, column, value, equals } => {
                    let header = format!("[distribution.{}.{}]", key(table), key(column));
                    let value = key(value.as_deref().unwrap_or("NULL"));
                    entry(&mut shares, header).push(format!("{value} = {equals}"));
                }
                Demand::NothingElse { .. } => {}
            }
        }
        let mut out = String::new();
        section(&mut out, "[counts]", counts);
        let statements = statements.iter().map(|(name, list)| format!("{} = {{ {} }}", text(name), list.join(", ")));
        section(&mut out, "[statements]", statements.collect());
        for query in queries {
            separate(&mut out);
            out.push_str(&query);
        }
        for (header, lines) in shares {
            section(&mut out, &header, lines);
        }
        out
    }
}

fn entry<K: PartialEq>(list: &mut Vec<(K, Vec<String>)>, key: K) -> &mut Vec<String> {
    let at = list.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
        list.push((key, Vec::new()));
        list.len() - 1
    });
    &mut list[at].1
}

fn separate(out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
}

fn section(out: &mut String, header: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    separate(out);
    let _ = writeln!(out, "{header}\n{}", lines.join("\n"));
}

/// A TOML string.
fn text(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}

/// A TOML key: bare where it may be.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { text(name) }
}

#[cfg(test)]
mod tests {
    use super::super::Fake;
    use super::*;
    use crate::dry_run::report::{ColumnChange, StatementReport};
    use serde_json::json;

    /// The text of a contract reads back as the same contract.
    fn check(toml: &str) {
        let migration = Migration::from_text("m.sql", "UPDATE t SET a = 1;").expect("SQL");
        let mut read = Contract::parse("e.toml", toml, &migration).expect(toml);
        let written = read.to_toml();
        let mut again = Contract::parse("e.toml", &written, &migration).expect(&written);
        for contract in [&mut read, &mut again] {
            contract.expectations.iter_mut().for_each(|e| e.line = 0);
            contract.expectations.sort_by(|a, b| a.name.cmp(&b.name));
        }
        assert_eq!(read, again, "{written}");
    }

    #[test]
    fn what_is_written_reads_back() {
        check("[counts]\n\"with space\" = { sql = '''SELECT \"a\"\nFROM t WHERE b = 'x' ''', equals = -1 }");
        check("[statements]\n\"m.sql:1\" = { rows = 1, verdict = \"failed\" }\n\"1\" = { changed = 0 }");
        check("[queries.a]\nsql = \"SELECT 1\"\nvalue = \"x\"\n[queries.b]\nsql = \"SELECT 1\"\nrows = 4");
        check("[distribution.\"audit.logs\".category]\nNULL = 3\n\"A b\" = 2");
    }

    #[test]
    fn a_run_is_taken_as_right() {
        let migration = Migration::from_text("m.sql", "UPDATE t SET c = 'X';").expect("SQL");
        let report = StatementReport {
            index: 1,
            verdict: Verdict::Executed,
            table: Some("t".into()),
            rows_affected: Some(5),
            columns: vec![ColumnChange { column: "c".into(), ..Default::default() }],
            ..Default::default()
        };
        let mut figures = Fake { statements: vec![report], ..Default::default() }.answer(
            "SELECT \"c\"::text AS value, count(*) AS rows FROM \"t\" GROUP BY \"c\"::text ORDER BY 1",
            json!([{"value": "X", "rows": 3}, {"value": null, "rows": 2}]),
        );
        let contract = Contract::from_run("expect.toml", &migration, &mut figures);
        assert_eq!(
            contract.to_toml(),
            "[statements]\n\"1\" = { rows = 5, verdict = \"executed\" }\n\n[distribution.t.c]\nX = 3\nNULL = 2\n"
        );
        assert!(contract.evaluate(&mut figures).iter().all(|e| e.ok));
    }
}
