//! The measuring behind `classify`: everything DuckDB is asked, and the counting over its answers.
//!
//! Input: the view `log` and ladders. Output: verdicts (how many rows match which rules and who wins them), the replay of the
//! UPDATE statements, comparisons. Invariant: all questions are asked of `rule_class`, one row for each distinct combination
//! of the columns that predicates read, with the number of rows it stands for.

use anyhow::{Context, Result};
use duckdb::Connection;

use super::{
    Agreement, CategoryRows, DifferingOperation, Guard, Ladder, LostTo, MatrixCell, OperationRows, Overlap, Replay,
    ReplayStatement, RuleOutcome, WidePattern,
};
use crate::query::{quote_identifier, quote_literal};
use crate::snapshot::{LogColumns, Snapshot};

/// Share of its matches below which a rule counts as shadowed.
pub(super) const SHADOWED_BELOW: f64 = 0.1;

const OPERATION: &str = "operation";

/// The distinct combinations of the columns that ladders read.
pub(super) struct Classes<'a> {
    connection: &'a Connection,
    /// `operation`, or a NULL where the table has no such column.
    operation: &'static str,
}

/// Rows that match the same rules and have the same operation.
pub(super) struct Verdict {
    operation: Option<String>,
    /// For each rule, whether it matches.
    matches: Vec<bool>,
    /// Index of the rule that decides.
    winner: Option<usize>,
    rows: u64,
}

impl<'a> Classes<'a> {
    /// Groups the rows by every column that a ladder reads, the operation, and a stored category.
    pub(super) fn build(snapshot: &'a Snapshot, columns: &LogColumns, ladders: &[&Ladder]) -> Result<Self> {
        let mut names: Vec<&str> = ladders.iter().flat_map(|l| l.columns()).collect();
        names.extend([OPERATION, ladders[0].category_column.as_str()].into_iter().filter(|c| columns.has(c)));
        names.sort_unstable();
        names.dedup();
        let list: String = names.iter().map(|n| quote_identifier(n) + ", ").collect();
        let connection = snapshot.connection();
        connection
            .execute_batch(&format!(
                "CREATE OR REPLACE TEMP TABLE rule_class AS SELECT {list}count(*) AS class_rows FROM log GROUP BY ALL"
            ))
            .context("grouping the rows by the columns that the rules read")?;
        let operation = if columns.has(OPERATION) { OPERATION } else { "NULL" };
        Ok(Classes { connection, operation })
    }

    /// Which rules match how many rows, and who wins them.
    pub(super) fn verdicts(&self, ladder: &Ladder) -> Result<Vec<Verdict>> {
        let matches: Vec<String> =
            ladder.rules.iter().map(|r| format!("coalesce({}, false)", r.when.duckdb_sql)).collect();
        let sql = format!(
            "SELECT {}::VARCHAR AS operation, [{}] AS matches, {} AS winner, sum(class_rows)::BIGINT AS rows FROM rule_class GROUP BY ALL ORDER BY rows DESC, operation, matches",
            self.operation,
            matches.join(", "),
            ladder.winner_sql(|index| ladder.rules[index].guard),
        );
        self.fetch(&sql, |row| {
            let duckdb::types::Value::List(matches) = row.get("matches")? else {
                return Err(duckdb::Error::InvalidQuery);
            };
            Ok(Verdict {
                operation: row.get("operation")?,
                matches: matches.iter().map(|m| *m == duckdb::types::Value::Boolean(true)).collect(),
                winner: row.get::<_, Option<i32>>("winner")?.map(|w| w.unsigned_abs() as usize),
                rows: count(row, "rows")?,
            })
        })
        .with_context(|| format!("asking the rules of the ladder {}", ladder.name))
    }

    /// Rows a rule would win if it wrote whatever stood there.
    pub(super) fn won_if_always(&self, ladder: &Ladder, rule: usize) -> Result<u64> {
        let guard = |index: usize| if index == rule { Guard::Always } else { ladder.rules[index].guard };
        let sql = format!(
            "SELECT coalesce(sum(class_rows), 0)::BIGINT AS rows FROM rule_class WHERE {} = {rule}",
            ladder.winner_sql(guard)
        );
        Ok(self.fetch(&sql, |row| count(row, "rows"))?.into_iter().sum())
    }

    /// Runs the ladder as UPDATE statements, and compares where it ends with the ladder as a function.
    pub(super) fn replay(&self, ladder: &Ladder, table: &str) -> Result<Replay> {
        self.connection.execute_batch(
            "CREATE OR REPLACE TEMP TABLE replay AS SELECT *, NULL::VARCHAR AS replayed FROM rule_class",
        )?;
        let mut statements = Vec::with_capacity(ladder.rules.len());
        for rule in &ladder.rules {
            let guard = if rule.guard == Guard::Unset { " AND replayed IS NULL" } else { "" };
            let condition = format!("({}){guard}", rule.when.duckdb_sql);
            let affected = format!("SELECT coalesce(sum(class_rows), 0)::BIGINT AS rows FROM replay WHERE {condition}");
            let rows_affected = self.fetch(&affected, |row| count(row, "rows"))?.into_iter().sum();
            let update = format!("UPDATE replay SET replayed = {} WHERE {condition}", quote_literal(&rule.category));
            self.connection
                .execute_batch(&update)
                .with_context(|| format!("replaying rule {} of the ladder {}", rule.id, ladder.name))?;
            let sql = ladder.update_sql(rule, table);
            statements.push(ReplayStatement { rule: rule.id.clone(), sql, rows_affected });
        }
        let winner = ladder.winner_sql(|index| ladder.rules[index].guard);
        let sql = format!(
            "SELECT coalesce(sum(class_rows), 0)::BIGINT AS rows FROM replay WHERE replayed IS DISTINCT FROM {}",
            ladder.label_sql(&format!("({winner})"), |rule| &rule.category)
        );
        let differing_rows = self.fetch(&sql, |row| count(row, "rows"))?.into_iter().sum();
        Ok(Replay { statements, differing_rows })
    }

    /// The ladder beside a second one.
    pub(super) fn agreement(&self, ladder: &Ladder, other: &Ladder) -> Result<Agreement> {
        self.compare(ladder, &other.name, &category_sql(other))
    }

    /// The ladder beside the category that the table holds already.
    pub(super) fn agreement_with_stored(&self, ladder: &Ladder) -> Result<Agreement> {
        let column = &ladder.category_column;
        self.compare(ladder, column, &format!("{}::VARCHAR", quote_identifier(column)))
    }

    fn compare(&self, ladder: &Ladder, other: &str, other_sql: &str) -> Result<Agreement> {
        let sql = format!(
            "SELECT {}::VARCHAR AS operation, {} AS from_category, {other_sql} AS to_category, sum(class_rows)::BIGINT AS rows FROM rule_class GROUP BY ALL ORDER BY rows DESC, operation, from_category, to_category",
            self.operation,
            category_sql(ladder),
        );
        let cells = self
            .fetch(&sql, |row| {
                Ok(DifferingOperation {
                    operation: row.get("operation")?,
                    from: row.get("from_category")?,
                    to: row.get("to_category")?,
                    rows: count(row, "rows")?,
                })
            })
            .with_context(|| format!("comparing the ladder {} with {other}", ladder.name))?;
        let agree_rows = cells.iter().filter(|c| c.from == c.to).map(|c| c.rows).sum();
        let mut matrix: Vec<MatrixCell> = Vec::new();
        for cell in &cells {
            match matrix.iter_mut().find(|m| m.from == cell.from && m.to == cell.to) {
                Some(found) => found.rows += cell.rows,
                None => matrix.push(MatrixCell { from: cell.from.clone(), to: cell.to.clone(), rows: cell.rows }),
            }
        }
        matrix.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to))));
        let differing_operations: Vec<_> = cells.into_iter().filter(|c| c.from != c.to).collect();
        let differ_rows = differing_operations.iter().map(|c| c.rows).sum();
        Ok(Agreement { other: other.to_owned(), agree_rows, differ_rows, matrix, differing_operations })
    }

    /// Patterns whose `_` or whose open end takes rows that the pattern doesn't seem to name.
    pub(super) fn wide_patterns(&self, ladder: &Ladder) -> Result<Vec<WidePattern>> {
        let mut wide = Vec::new();
        for rule in &ladder.rules {
            for pattern in &rule.when.patterns {
                for (reason, narrower) in narrower_patterns(&pattern.pattern) {
                    let like = if pattern.ignores_case { "ILIKE" } else { "LIKE" };
                    let subject = &pattern.subject_sql;
                    let narrow_sql = match narrower {
                        Narrower::Like(narrow) => format!("{subject} {like} {} ESCAPE '\\'", quote_literal(&narrow)),
                        Narrower::WordEnd(length) => {
                            format!("NOT regexp_matches(substr({subject}, {}), '^[A-Za-z0-9]')", length + 1)
                        }
                    };
                    let sql = format!(
                        "SELECT coalesce(sum(class_rows), 0)::BIGINT AS rows, coalesce(min({subject}), '') AS example FROM rule_class WHERE {subject} {like} {} ESCAPE '\\' AND NOT ({narrow_sql})",
                        quote_literal(&pattern.pattern)
                    );
                    let found = self.fetch(&sql, |row| Ok((count(row, "rows")?, row.get::<_, String>("example")?)))?;
                    wide.extend(found.into_iter().filter(|(rows, _)| *rows > 0).map(|(rows, example)| WidePattern {
                        rule: rule.id.clone(),
                        pattern: pattern.pattern.clone(),
                        reason,
                        rows,
                        example,
                    }));
                }
            }
        }
        Ok(wide)
    }

    fn fetch<T>(&self, sql: &str, mut decode: impl FnMut(&duckdb::Row<'_>) -> duckdb::Result<T>) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut decoded = Vec::new();
        while let Some(row) = rows.next()? {
            decoded.push(decode(row)?);
        }
        Ok(decoded)
    }
}

fn category_sql(ladder: &Ladder) -> String {
    let winner = ladder.winner_sql(|index| ladder.rules[index].guard);
    ladder.label_sql(&format!("({winner})"), |rule| &rule.category)
}

fn count(row: &duckdb::Row<'_>, column: &str) -> duckdb::Result<u64> {
    row.get::<_, i64>(column).map(i64::unsigned_abs)
}

enum Narrower {
    /// The pattern with its `_` taken literally.
    Like(String),
    /// The match must end with a word: nothing alphanumeric after this many characters.
    WordEnd(usize),
}

/// What a reader would take the pattern for, where that is narrower than what it says.
fn narrower_patterns(pattern: &str) -> Vec<(&'static str, Narrower)> {
    let mut narrower = Vec::new();
    let mut literal = String::new();
    let mut wildcards = false;
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                literal.push(c);
                literal.extend(characters.next());
            }
            '_' => {
                wildcards = true;
                literal.push_str("\\_");
            }
            _ => literal.push(c),
        }
    }
    if wildcards {
        narrower.push(("underscore", Narrower::Like(literal)));
    }
    // `cache%` reads as the word "cache", but takes "cached:…" too. With a wildcard before it, it is a search for a part.
    if let Some(prefix) = pattern.strip_suffix('%') {
        let plain = !prefix.contains(['%', '_', '\\']);
        if plain && prefix.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric()) {
            narrower.push(("word", Narrower::WordEnd(prefix.chars().count())));
        }
    }
    narrower
}

/// Rows a category, most first.
pub(super) fn categories(verdicts: &[Verdict], ladder: &Ladder) -> Vec<CategoryRows> {
    let mut categories: Vec<CategoryRows> = Vec::new();
    let mut names: Vec<Option<&str>> = ladder.rules.iter().map(|r| Some(r.category.as_str())).collect();
    names.push(None);
    for name in names {
        if categories.iter().any(|c| c.category.as_deref() == name) {
            continue;
        }
        let of_category = |v: &&Verdict| v.winner.map(|w| ladder.rules[w].category.as_str()) == name;
        let rows = verdicts.iter().filter(of_category).map(|v| v.rows).sum();
        categories.push(CategoryRows { category: name.map(str::to_owned), rows });
    }
    categories.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.category.cmp(&b.category)));
    categories
}

/// Rows whose category a rule decides.
pub(super) fn won(verdicts: &[Verdict], rule: usize) -> u64 {
    verdicts.iter().filter(|v| v.winner == Some(rule)).map(|v| v.rows).sum()
}

/// Matched, won, lost to whom.
pub(super) fn rule_outcomes(
    verdicts: &[Verdict],
    ladder: &Ladder,
    if_always: impl Fn(usize) -> Result<u64>,
) -> Result<Vec<RuleOutcome>> {
    let mut outcomes = Vec::with_capacity(ladder.rules.len());
    for (index, rule) in ladder.rules.iter().enumerate() {
        let matched = || verdicts.iter().filter(move |v| v.matches[index]);
        let mut lost_to: Vec<LostTo> = (0..ladder.rules.len())
            .filter(|other| *other != index)
            .map(|other| LostTo {
                id: ladder.rules[other].id.clone(),
                rows: matched().filter(|v| v.winner == Some(other)).map(|v| v.rows).sum(),
            })
            .filter(|lost| lost.rows > 0)
            .collect();
        lost_to.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.id.cmp(&b.id)));
        let won_rows = won(verdicts, index);
        outcomes.push(RuleOutcome {
            id: rule.id.clone(),
            category: rule.category.clone(),
            guard: rule.guard,
            when: rule.when.source.clone(),
            comment: rule.comment.clone(),
            matched_rows: matched().map(|v| v.rows).sum(),
            won_rows,
            won_rows_if_always: if rule.guard == Guard::Always { won_rows } else { if_always(index)? },
            lost_to,
        });
    }
    Ok(outcomes)
}

/// Pairs of rules that match the same rows; the fallback is left out, since it matches all.
pub(super) fn overlaps(verdicts: &[Verdict], ladder: &Ladder) -> Vec<Overlap> {
    let fallback = ladder.fallback();
    let mut overlaps = Vec::new();
    for first in 0..ladder.rules.len() {
        for second in first + 1..ladder.rules.len() {
            if Some(first) == fallback || Some(second) == fallback {
                continue;
            }
            let both = |v: &&Verdict| v.matches[first] && v.matches[second];
            let rows: u64 = verdicts.iter().filter(both).map(|v| v.rows).sum();
            if rows > 0 {
                let (first, second) = (ladder.rules[first].id.clone(), ladder.rules[second].id.clone());
                overlaps.push(Overlap { first, second, rows });
            }
        }
    }
    overlaps
}

/// Operations with the rule that takes them.
pub(super) fn operations(verdicts: &[Verdict], ladder: &Ladder, columns: &LogColumns) -> Vec<OperationRows> {
    if !columns.has(OPERATION) {
        return vec![];
    }
    let mut operations: Vec<OperationRows> = Vec::new();
    let mut index = std::collections::BTreeMap::new();
    for verdict in verdicts {
        let rule = verdict.winner.map(|w| ladder.rules[w].id.clone());
        let at = *index.entry((verdict.operation.clone(), rule.clone())).or_insert_with(|| {
            operations.push(OperationRows { operation: verdict.operation.clone(), rule, rows: 0 });
            operations.len() - 1
        });
        operations[at].rows += verdict.rows;
    }
    operations.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| (&a.operation, &a.rule).cmp(&(&b.operation, &b.rule))));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &[&str]) {
        let reasons: Vec<&str> = narrower_patterns(pattern).into_iter().map(|(reason, _)| reason).collect();
        assert_eq!(reasons, expected, "{pattern}");
    }

    #[test]
    fn only_patterns_that_read_narrower_are_suspected() {
        check("cache:%", &[]);
        check("cache%", &["word"]);
        check("%cache%", &[]);
        check("admin_%", &["underscore"]);
        check("admin\\_correction", &[]);
        check("cache", &[]);
    }
}
