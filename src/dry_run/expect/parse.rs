//! `expect.toml` becomes a [`Contract`].
//!
//! Input: the text and the migration it is about. Output: expectations in the order of the file. Invariant: whatever can be known
//! to be wrong before the rehearsal is an error with file, line and key. Left out: judging.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow};
use serde::Deserialize;
use toml::Spanned;

use super::{Contract, Demand, Expectation, Figure, Returns, VERDICTS};
use crate::migration::Migration;
use crate::ui::hinted;

/// Statements that an error lists.
const LISTED: usize = 12;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct RawContract {
    counts: BTreeMap<String, RawCount>,
    statements: BTreeMap<String, RawStatement>,
    queries: BTreeMap<String, RawQuery>,
    distribution: BTreeMap<String, BTreeMap<String, BTreeMap<String, Spanned<u64>>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCount {
    sql: Spanned<String>,
    equals: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    rows: Option<Spanned<u64>>,
    changed: Option<Spanned<u64>>,
    unchanged: Option<Spanned<u64>>,
    inserted: Option<Spanned<u64>>,
    deleted: Option<Spanned<u64>>,
    cascaded: Option<Spanned<u64>>,
    verdict: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    sql: Spanned<String>,
    returns: Option<Spanned<String>>,
    value: Option<Spanned<toml::Value>>,
    rows: Option<Spanned<u64>>,
}

impl Contract {
    /// Reads a contract's text.
    ///
    /// # Errors
    /// As [`Contract::read`].
    pub fn parse(file: &str, text: &str, migration: &Migration) -> Result<Contract> {
        let raw: RawContract = toml::from_str(text).map_err(|error| {
            hinted(
                anyhow!("the contract {file} isn't valid: {error}"),
                "a contract has the tables [counts], [statements], [queries.NAME] and [distribution.TABLE.COLUMN]",
            )
        })?;
        let mut reader = Reader { file, text, expectations: Vec::new() };
        for (name, count) in raw.counts {
            let line = reader.query(&format!("counts.{name}"), &count.sql)?;
            let demand = Demand::Count { sql: count.sql.into_inner(), equals: count.equals.into_inner() };
            reader.expectations.push(Expectation { name, line, demand });
        }
        for (reference, statement) in raw.statements {
            reader.statement(reference, statement, migration)?;
        }
        for (name, query) in raw.queries {
            reader.returns(name, query)?;
        }
        for (table, columns) in raw.distribution {
            for (column, counts) in columns {
                reader.distribution(&table, &column, counts)?;
            }
        }
        let mut expectations = reader.expectations;
        expectations.sort_by_key(|e| e.line);
        if expectations.is_empty() {
            return Err(hinted(
                anyhow!("the contract {file} expects nothing"),
                "write one from a rehearsal with --write-expect",
            ));
        }
        Ok(Contract { file: file.to_owned(), expectations })
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    expectations: Vec<Expectation>,
}

impl Reader<'_> {
    fn line<T>(&self, value: &Spanned<T>) -> usize {
        let end = value.span().start.min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|b| **b == b'\n').count() + 1
    }

    fn error(&self, line: usize, what: impl std::fmt::Display, hint: impl Into<String>) -> Error {
        hinted(anyhow!("{}:{line}: {what}", self.file), hint)
    }

    /// Checks that the SQL is one query; returns its line.
    fn query(&self, key: &str, sql: &Spanned<String>) -> Result<usize> {
        let line = self.line(sql);
        let parsed = pg_query::parse(sql.as_ref(), 0).map_err(|error| {
            let message = error.to_string();
            let message = message.trim_start_matches("Invalid statement: ");
            self.error(line, format!("{key}: {message}"), "the SQL is PostgreSQL's, as in the migration")
        })?;
        match parsed.protobuf.stmts.as_slice() {
            [one]
                if matches!(
                    one.stmt.as_ref().and_then(|s| s.node.as_ref()),
                    Some(pg_query::NodeEnum::SelectStmt(_))
                ) =>
            {
                Ok(line)
            }
            _ => Err(self.error(line, format!("{key}: the SQL isn't a single SELECT"), "ask one question an entry")),
        }
    }

    fn statement(&mut self, reference: String, raw: RawStatement, migration: &Migration) -> Result<()> {
        let key = format!("statements.\"{reference}\"");
        let figures = [raw.rows, raw.changed, raw.unchanged, raw.inserted, raw.deleted, raw.cascaded];
        let first =
            figures.iter().flatten().map(|f| self.line(f)).chain(raw.verdict.iter().map(|v| self.line(v))).min();
        let Some(line) = first else {
            let keys: Vec<&str> = Figure::ALL.iter().map(|f| f.as_str()).chain(["verdict"]).collect();
            let line = self.text.lines().position(|l| l.contains(&reference)).map_or(1, |i| i + 1);
            return Err(self.error(line, format!("{key} expects nothing"), format!("give {}", keys.join(", "))));
        };
        let statement = resolve(&reference, migration)
            .map_err(|hint| self.error(line, format!("{key} is no statement of the migration"), hint))?;
        for (figure, value) in Figure::ALL.into_iter().zip(figures) {
            let Some(value) = value else { continue };
            let line = self.line(&value);
            let name = format!("statement {reference} {}", figure.as_str());
            let demand = Demand::Rows { reference: reference.clone(), statement, figure, equals: value.into_inner() };
            self.expectations.push(Expectation { name, line, demand });
        }
        if let Some(verdict) = raw.verdict {
            let line = self.line(&verdict);
            let Some((_, equals)) = VERDICTS.iter().find(|(name, _)| name == verdict.as_ref()) else {
                let known: Vec<&str> = VERDICTS.iter().map(|(name, _)| *name).collect();
                return Err(self.error(
                    line,
                    format!("{key}: there is no verdict {:?}", verdict.as_ref()),
                    format!("a verdict is one of {}", known.join(", ")),
                ));
            };
            let name = format!("statement {reference} verdict");
            self.expectations.push(Expectation {
                name,
                line,
                demand: Demand::Verdict { reference, statement, equals: *equals },
            });
        }
        Ok(())
    }

    fn returns(&mut self, name: String, raw: RawQuery) -> Result<()> {
        let key = format!("queries.{name}");
        let line = self.query(&key, &raw.sql)?;
        let returns = match (raw.returns, raw.value, raw.rows) {
            (Some(words), None, None) if words.as_ref().eq_ignore_ascii_case("no rows") => Returns::NoRows,
            (Some(words), None, None) => {
                let line = self.line(&words);
                return Err(self.error(
                    line,
                    format!("{key}: returns is {:?}", words.as_ref()),
                    "write returns = \"no rows\", or rows = N, or value = V",
                ));
            }
            (None, Some(value), None) => {
                let at = self.line(&value);
                let value = serde_json::to_value(value.into_inner())?;
                if value.is_object() || value.is_array() {
                    return Err(self.error(
                        at,
                        format!("{key}: value isn't a single value"),
                        "give a number, a text or a truth value",
                    ));
                }
                Returns::Value(value)
            }
            (None, None, Some(rows)) => Returns::Rows(rows.into_inner()),
            _ => {
                return Err(self.error(
                    line,
                    format!("{key} must say one thing that the query gives"),
                    "write one of returns = \"no rows\", rows = N, value = V",
                ));
            }
        };
        let demand = Demand::Query { sql: raw.sql.into_inner(), returns };
        self.expectations.push(Expectation { name, line, demand });
        Ok(())
    }

    fn distribution(&mut self, table: &str, column: &str, counts: BTreeMap<String, Spanned<u64>>) -> Result<()> {
        let as_value = |text: &str| (text != "NULL").then(|| text.to_owned());
        let known: Vec<Option<String>> = counts.keys().map(|text| as_value(text)).collect();
        let mut last = 0;
        for (text, rows) in counts {
            let line = self.line(&rows);
            last = last.max(line);
            let demand = Demand::Share {
                table: table.to_owned(),
                column: column.to_owned(),
                value: as_value(&text),
                equals: rows.into_inner(),
            };
            self.expectations.push(Expectation { name: format!("{table}.{column} {text}"), line, demand });
        }
        if known.is_empty() {
            let key = format!("distribution.{table}.{column}");
            let line = self.text.lines().position(|l| l.contains(&key)).map_or(1, |i| i + 1);
            return Err(self.error(
                line,
                format!("{key} lists no value"),
                "list every value with its rows: ENRICHED = 3770",
            ));
        }
        let demand = Demand::NothingElse { table: table.to_owned(), column: column.to_owned(), known };
        self.expectations.push(Expectation { name: format!("{table}.{column} other values"), line: last, demand });
        Ok(())
    }
}

/// The statement that `4`, `migration.sql:22` or `add_root_job_id/3` means, or what to write instead.
fn resolve(reference: &str, migration: &Migration) -> std::result::Result<usize, String> {
    let of_file = |file: usize| migration.statements.iter().filter(move |s| s.place.file == file);
    if let Ok(index) = reference.parse::<usize>() {
        return migration
            .statements
            .iter()
            .find(|s| s.index == index)
            .map(|s| s.index)
            .ok_or_else(|| listed(migration));
    }
    let one = |found: Vec<usize>| match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(listed(migration)),
        _ => Err(format!("several statements are meant; the migration's are {}", listed(migration))),
    };
    if let Some((name, line)) = reference.rsplit_once(':')
        && let Ok(line) = line.parse::<usize>()
    {
        let files = (0..migration.files.len()).filter(|&f| is_file(&migration.files[f].name, name));
        return one(files
            .flat_map(|f| of_file(f).filter(|s| (s.place.line..=s.end_line).contains(&line)).map(|s| s.index))
            .collect());
    }
    if let Some((name, position)) = reference.rsplit_once('/')
        && let Ok(position) = position.parse::<usize>()
    {
        let files = (0..migration.files.len()).filter(|&f| migration.files[f].migration == name);
        return one(files.filter_map(|f| of_file(f).nth(position.checked_sub(1)?).map(|s| s.index)).collect());
    }
    Err(listed(migration))
}

/// Does the user's name mean this file: the whole path, or its last parts?
fn is_file(path: &str, name: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with(['/', '\\']))
}

fn listed(migration: &Migration) -> String {
    let mut list: Vec<String> = migration
        .statements
        .iter()
        .take(LISTED)
        .map(|s| {
            let words: Vec<&str> = s.sql.split_whitespace().take(4).collect();
            format!("{} ({}) {}", s.index, migration.spot(s), words.join(" "))
        })
        .collect();
    if migration.statements.len() > LISTED {
        list.push(format!("… {}", migration.statements.len()));
    }
    format!("statements: {}", list.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dry_run::report::Verdict;
    use serde_json::json;

    const SQL: &str = "ALTER TABLE t ADD COLUMN a int;\nUPDATE t\nSET a = 1;\n\nSELECT count(*) FROM t;\n";

    fn read(text: &str) -> Result<Contract> {
        Contract::parse("expect.toml", text, &Migration::from_text("migration.sql", SQL).expect("SQL"))
    }

    fn check(text: &str, expected: &[(&str, usize, Demand)]) {
        let found: Vec<_> =
            read(text).expect(text).expectations.into_iter().map(|e| (e.name, e.line, e.demand)).collect();
        let expected: Vec<_> = expected.iter().map(|(n, l, d)| ((*n).to_owned(), *l, d.clone())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_table_of_a_contract() {
        let rows = |reference: &str, statement, figure, equals| Demand::Rows {
            reference: reference.to_owned(),
            statement,
            figure,
            equals,
        };
        let share = |value: Option<&str>, equals| Demand::Share {
            table: "t".into(),
            column: "a".into(),
            value: value.map(str::to_owned),
            equals,
        };
        check(
            "[counts]\nfilled = { sql = \"SELECT 1\", equals = 15 }\n[statements]\n\"2\" = { rows = 3, verdict = \"executed\" }\n\
             \"migration.sql:3\" = { changed = 2 }\n\"migration/2\" = { unchanged = 1 }\n[queries.none]\nsql = \"SELECT 2\"\n\
             returns = \"no rows\"\n[queries.some]\nsql = \"SELECT 3\"\nvalue = 15\n[distribution.t.a]\nX = 3\nNULL = 0\n",
            &[
                ("filled", 2, Demand::Count { sql: "SELECT 1".into(), equals: 15 }),
                ("statement 2 rows", 4, rows("2", 2, Figure::Rows, 3)),
                (
                    "statement 2 verdict",
                    4,
                    Demand::Verdict { reference: "2".into(), statement: 2, equals: Verdict::Executed },
                ),
                ("statement migration.sql:3 changed", 5, rows("migration.sql:3", 2, Figure::Changed, 2)),
                ("statement migration/2 unchanged", 6, rows("migration/2", 2, Figure::Unchanged, 1)),
                ("none", 8, Demand::Query { sql: "SELECT 2".into(), returns: Returns::NoRows }),
                ("some", 11, Demand::Query { sql: "SELECT 3".into(), returns: Returns::Value(json!(15)) }),
                ("t.a X", 14, share(Some("X"), 3)),
                ("t.a NULL", 15, share(None, 0)),
                (
                    "t.a other values",
                    15,
                    Demand::NothingElse { table: "t".into(), column: "a".into(), known: vec![None, Some("X".into())] },
                ),
            ],
        );
    }

    fn check_error(text: &str, expected: &str, hint: &str) {
        let error = read(text).expect_err(text);
        let mut out = Vec::new();
        crate::ui::write_error(&mut out, &error).expect("a vector");
        let shown = String::from_utf8_lossy(&out).into_owned();
        assert!(shown.contains(expected) && shown.contains(hint), "{text}: {shown}");
    }

    #[test]
    fn what_would_never_fail_is_refused() {
        check_error("[count]\na = 1", "unknown field `count`", "[counts]");
        check_error("[statements]\n\"2\" = { row = 1 }", "unknown field `row`", "line 2");
        check_error(
            "[statements]\n\n\"9\" = { rows = 1 }",
            "expect.toml:3: statements.\"9\" is no statement",
            "2 (migration.sql:2) UPDATE t SET a",
        );
        check_error("[statements]\n\"migration.sql:4\" = { rows = 1 }", "is no statement", "statements: 1");
        check_error("[statements]\n\"other/1\" = { rows = 1 }", "is no statement", "statements: 1");
        check_error("[statements]\n\"2\" = { }", "expect.toml:2: statements.\"2\" expects nothing", "rows, changed");
        check_error("[statements]\n\"2\" = { verdict = \"ok\" }", "there is no verdict \"ok\"", "executed, catalog");
        check_error("[queries.a]\nsql = \"SELECT 1\"", "queries.a must say one thing", "rows = N");
        check_error(
            "[queries.a]\nsql = \"SELECT 1\"\nreturns = \"3\"",
            "expect.toml:3: queries.a: returns is \"3\"",
            "rows = N",
        );
        check_error(
            "[counts]\na = { sql = \"DELETE FROM t\", equals = 0 }",
            "expect.toml:2: counts.a: the SQL isn't a single SELECT",
            "",
        );
        check_error(
            "[counts]\na = { sql = \"SELECT FROM WHERE\", equals = 0 }",
            "syntax error at or near \"WHERE\"",
            "PostgreSQL's",
        );
        check_error("[distribution.t.a]\n", "expect.toml:1: distribution.t.a lists no value", "");
        check_error("", "expects nothing", "--write-expect");
    }
}
