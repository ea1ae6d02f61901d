//! Classify: which category does a backfill give each row, which rule decides, and which rules can't?
//!
//! Input: the view `log` and a [`Ladder`] (optionally a second one). Output: [`ClassifyReport`].
//! Two readings of the ladder stand side by side: the *ladder* as a function of the row, and the *replay*, the equivalent
//! UPDATE statements run one after the other. They must agree; rows where they don't are an error.
//!
//! Invariants: categories and rules are counted over all rows; every row is in exactly one category (NULL included). Rows that
//! agree in every column a predicate reads are one class, and everything is asked once a class: exact, and as fast as a
//! GROUP BY. Left out: what the author meant, beyond the comment a rule carries.

mod ladder;
mod measure;
mod predicate;
mod view;

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::Serialize;
use serde_json::Value;

pub use ladder::{Guard, Ladder, Rule};
pub use predicate::Predicate;

use crate::query::quote_literal;
use crate::report::{Finding, Report, View};
use crate::snapshot::{LogColumns, OpenTable, Snapshot, suggestion};
use crate::ui::hinted;
use measure::Classes;

/// What to classify by.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ladder.
    pub rules: Ladder,
    /// A second ladder to compare with, row by row.
    pub against: Option<Ladder>,
    /// Sample rows for each finding.
    pub samples: usize,
}

/// What a ladder does to the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassifyReport {
    /// The ladder's name.
    pub ladder: String,
    /// Rows classified.
    pub rows: u64,
    /// Rows a category, most first; NULL where no rule takes a row.
    pub categories: Vec<CategoryRows>,
    /// The rules, in their order.
    pub rules: Vec<RuleOutcome>,
    /// Pairs of rules that match the same rows, in rule order.
    pub overlaps: Vec<Overlap>,
    /// Rows the fallback rule takes; 0 where the ladder has none.
    pub fallback_rows: u64,
    /// Distinct operations with the rule that takes them, most rows first; empty where the table has no such column.
    pub operations: Vec<OperationRows>,
    /// LIKE patterns that match more than they read.
    pub wide_patterns: Vec<WidePattern>,
    /// The equivalent UPDATE statements, as run.
    pub replay: Replay,
    /// Comparison with the category stored in the table, where it has one.
    pub stored: Option<Agreement>,
    /// Comparison with the second ladder, where one is given.
    pub agreement: Option<Agreement>,
    /// What the user should know.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Rows of one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CategoryRows {
    /// The category; NULL where no rule takes the row.
    pub category: Option<String>,
    /// Its rows.
    pub rows: u64,
}

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleOutcome {
    /// Its id.
    pub id: String,
    /// What it writes.
    pub category: String,
    /// May it overwrite?
    pub guard: Guard,
    /// Its predicate, as written.
    pub when: String,
    /// What its author says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Rows its predicate holds for.
    pub matched_rows: u64,
    /// Rows whose final category is this rule's.
    pub won_rows: u64,
    /// Rows it would win with the guard `always`; equal to `won_rows` where it has that guard.
    pub won_rows_if_always: u64,
    /// The rules that took the rows it matched and didn't win, most rows first.
    pub lost_to: Vec<LostTo>,
}

/// Rows a rule lost to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostTo {
    /// The rule that won them.
    pub id: String,
    /// How many.
    pub rows: u64,
}

/// Rows that two rules both match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The earlier rule.
    pub first: String,
    /// The later rule.
    pub second: String,
    /// Rows both match.
    pub rows: u64,
}

/// Rows of one operation that one rule takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationRows {
    /// The operation.
    pub operation: Option<String>,
    /// The rule; absent where none takes them.
    pub rule: Option<String>,
    /// How many.
    pub rows: u64,
}

/// A LIKE pattern that matches more than it reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WidePattern {
    /// The rule it stands in.
    pub rule: String,
    /// The pattern.
    pub pattern: String,
    /// Why: `underscore` (`_` stands for any character) or `word` (the match goes on within a word).
    pub reason: &'static str,
    /// Rows matched only because of that.
    pub rows: u64,
    /// One value that shows it.
    pub example: String,
}

/// The ladder as UPDATE statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// The statements in order.
    pub statements: Vec<ReplayStatement>,
    /// Rows that end with another category than the ladder gives them.
    pub differing_rows: u64,
}

/// One UPDATE of the replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayStatement {
    /// The rule it carries out.
    pub rule: String,
    /// The statement, in PostgreSQL's words.
    pub sql: String,
    /// Rows it updates: what the server would print.
    pub rows_affected: u64,
}

/// A confusion matrix: how two classifications of the same rows agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// The other classification: a ladder's name, or the column it is stored in.
    pub other: String,
    /// Rows with the same category in both.
    pub agree_rows: u64,
    /// Rows with different ones.
    pub differ_rows: u64,
    /// Rows for each pair of categories: `from` this ladder, `to` the other, most rows first.
    pub matrix: Vec<MatrixCell>,
    /// Operations whose rows differ, most rows first.
    pub differing_operations: Vec<DifferingOperation>,
}

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatrixCell {
    /// Category by this ladder.
    pub from: Option<String>,
    /// Category by the other.
    pub to: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// Rows of one operation that two classifications put in different categories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DifferingOperation {
    /// The operation.
    pub operation: Option<String>,
    /// Category by this ladder.
    pub from: Option<String>,
    /// Category by the other.
    pub to: Option<String>,
    /// Rows.
    pub rows: u64,
}

/// Classifies the rows of the view `log`, which [`Snapshot::open_log`] has laid over `table`.
///
/// # Errors
/// A rule that names a column the table hasn't, or compares an enum with a word it hasn't: each with rule and ladder; and
/// whatever DuckDB refuses.
pub fn analyze(
    snapshot: &Snapshot,
    table: &OpenTable,
    columns: &LogColumns,
    options: &Options,
) -> Result<ClassifyReport> {
    let ladders: Vec<&Ladder> = std::iter::once(&options.rules).chain(&options.against).collect();
    for ladder in &ladders {
        check_columns(snapshot, table, columns, ladder)?;
    }
    let classes = Classes::build(snapshot, columns, &ladders)?;
    let ladder = &options.rules;
    let verdicts = classes.verdicts(ladder)?;
    let replay = classes.replay(ladder, &table.name)?;
    let mut report = ClassifyReport {
        ladder: ladder.name.clone(),
        rows: table.rows,
        categories: measure::categories(&verdicts, ladder),
        rules: measure::rule_outcomes(&verdicts, ladder, |index| classes.won_if_always(ladder, index))?,
        overlaps: measure::overlaps(&verdicts, ladder),
        fallback_rows: ladder.fallback().map_or(0, |fallback| measure::won(&verdicts, fallback)),
        operations: measure::operations(&verdicts, ladder, columns),
        wide_patterns: classes.wide_patterns(ladder)?,
        replay,
        stored: columns.has(&ladder.category_column).then(|| classes.agreement_with_stored(ladder)).transpose()?,
        agreement: options.against.as_ref().map(|other| classes.agreement(ladder, other)).transpose()?,
        findings: vec![],
    };
    report.findings = view::findings(&report, ladder, options.samples);
    Ok(report)
}

/// Writes `id`, `category` and `rule` of every row to a Parquet file, whole or not at all.
///
/// # Errors
/// No `id` column, or the file can't be written.
pub fn write_rows(snapshot: &Snapshot, ladder: &Ladder, path: &Path) -> Result<()> {
    let winner = ladder.winner_sql(|index| ladder.rules[index].guard);
    let sql = format!(
        "SELECT id, {} AS category, {} AS rule FROM (SELECT id, {winner} AS winner FROM log) ORDER BY id",
        ladder.label_sql("winner", |rule| &rule.category),
        ladder.label_sql("winner", |rule| &rule.id),
    );
    crate::snapshot::write_parquet(snapshot.connection(), &sql, path)
        .with_context(|| format!("writing the classified rows to {}", path.display()))
}

/// Every column a ladder reads is there, and every word compared with an enum is one of its labels.
fn check_columns(snapshot: &Snapshot, table: &OpenTable, columns: &LogColumns, ladder: &Ladder) -> Result<()> {
    for rule in &ladder.rules {
        let place = || format!("rule {} of the ladder {}", rule.id, ladder.name);
        if rule.when.columns.contains(&ladder.category_column) {
            return Err(hinted(
                anyhow!("{} reads {}, the column the ladder writes", place(), ladder.category_column),
                "leave the order to `guard`: \"unset\" writes only where no earlier rule has",
            ));
        }
        for column in &rule.when.columns {
            if columns.has(column) {
                continue;
            }
            let near = suggestion(column, &columns.names()).unwrap_or_default();
            return Err(hinted(
                anyhow!("{} reads the column {column}, which isn't in table {}", place(), table.name),
                format!(
                    "{near} Map another name with --column {column}=NAME; the table has {}",
                    columns.names().join(", ")
                )
                .trim_start(),
            ));
        }
        for (column, word) in &rule.when.comparisons {
            let Some(labels) = snapshot.enum_labels(table, columns, column) else { continue };
            if !labels.contains(word) {
                let near = suggestion(word, &labels.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default();
                return Err(hinted(
                    anyhow!(
                        "{} compares the enum column {column} with {}: the server refuses a word that isn't one of its labels (22P02)",
                        place(),
                        quote_literal(word)
                    ),
                    format!("{near} The labels are {}", labels.join(", ")).trim_start(),
                ));
            }
        }
    }
    Ok(())
}

impl Report for ClassifyReport {
    fn name(&self) -> &'static str {
        "classify"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        view::view(self)
    }
}
