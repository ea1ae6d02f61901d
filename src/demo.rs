//! Demo: the story the tool was made for, on the built-in snapshot.
//!
//! Input: the demo snapshot and two embedded migrations. Output: what the comment of the roots backfill expects, what a dry run says
//! it does, and why they differ; what the category backfill does and which of its rules can't do what it looks like; what the
//! application's own classifier would have said. Invariant: no figure is written here; the expected ones are read from the
//! migration's comment, the others come from the analyses that the commands run.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::classify::{self, ClassifyReport, Ladder};
use crate::dry_run::{self, DryRunReport, report::WalkReport};
use crate::migration::Migration;
use crate::render::count;
use crate::report::{Block, Cell, Finding, Report, Severity, Table, View, sort_findings};
use crate::roots::{RootsReport, Variant};
use crate::snapshot::{LogColumns, OpenTable, Snapshot};

/// Characters of a statement.
const STATEMENT_SHOWN: usize = 70;

/// The category backfill.
const CATEGORY: (&str, &str) =
    ("category/migration.sql", include_str!("../fixtures/migrations/category/migration.sql"));

/// The roots backfill in the three forms on record; the first is the one that was applied.
const ROOTS: [(&str, &str); 3] = [
    ("roots-applied/migration.sql", include_str!("../fixtures/migrations/roots-applied/migration.sql")),
    ("roots-example-3/migration.sql", include_str!("../fixtures/migrations/roots-example-3/migration.sql")),
    ("roots-pattern-2/migration.sql", include_str!("../fixtures/migrations/roots-pattern-2/migration.sql")),
];

/// The story in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoReport {
    /// Rows in the snapshot.
    pub rows: u64,
    /// What the comment of the roots backfill expects of it.
    pub plan: Plan,
    /// The rehearsal of both migrations, the roots backfill in the form that was applied.
    pub dry_run: DryRunReport,
    /// What the backfill does, in the form that was applied.
    pub roots: RootsReport,
    /// The three recorded forms of it beside each other.
    pub variants: Vec<VariantRows>,
    /// What the category backfill does, beside the classifier the application uses at run time.
    pub classification: ClassifyReport,
    /// What the user should know.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Figures a plan states before a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Rows that get a root.
    pub filled_rows: u64,
    /// Rows left NULL.
    pub null_rows: u64,
}

/// One form of the roots backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VariantRows {
    /// Which form.
    pub variant: Variant,
    /// Rows it gives a root.
    pub filled_rows: u64,
    /// Rows it leaves NULL.
    pub null_rows: u64,
    /// Rows whose root isn't the true one.
    pub differing_rows: u64,
}

/// Tells the story of a snapshot that both migrations are about to run on.
///
/// # Errors
/// As the analyses it runs.
pub fn analyze(snapshot: &Snapshot, table: &OpenTable, columns: &LogColumns, samples: usize) -> Result<DemoReport> {
    let mut runs = Vec::new();
    for roots in ROOTS {
        let migration = Migration::from_texts(&[CATEGORY, roots])?;
        let session = dry_run::session::Options { samples, ..Default::default() };
        let options = dry_run::Options { session, ..Default::default() };
        let report =
            dry_run::analyze(snapshot, &migration, &options).with_context(|| format!("rehearsing {}", roots.0))?;
        runs.push(report);
    }
    let variants = runs.iter().map(|run| Ok(variant(&walk(run)?.roots))).collect::<Result<_>>()?;
    let dry_run = runs.swap_remove(0);
    let roots = walk(&dry_run)?.roots.clone();
    let ladders =
        classify::Options { rules: Ladder::load("backfill")?, against: Some(Ladder::load("runtime")?), samples };
    let classification = classify::analyze(snapshot, table, columns, &ladders)?;
    // Notes are for whoever writes a migration; `dry-run` has them.
    let grave = dry_run.findings.iter().filter(|f| f.severity > Severity::Note);
    let other = classification.findings.iter().filter(|f| f.id == "ladder-disagreement");
    let mut findings: Vec<Finding> = grave.chain(other).cloned().collect();
    sort_findings(&mut findings);
    // One of a kind tells the story.
    let mut told = BTreeSet::new();
    findings.retain(|finding| told.insert(finding.id));
    Ok(DemoReport { rows: table.rows, plan: plan(&dry_run)?, dry_run, roots, variants, classification, findings })
}

/// The walk of a run: each form is recognised.
fn walk(run: &DryRunReport) -> Result<&WalkReport> {
    run.walks.first().context("the roots backfill isn't recognised as a walk up the parents")
}

fn variant(roots: &RootsReport) -> VariantRows {
    VariantRows {
        variant: roots.replay.variant,
        filled_rows: roots.replay.filled_rows,
        null_rows: roots.replay.null_rows,
        differing_rows: roots.replay.differing_rows,
    }
}

/// What the migration's comment expects.
fn plan(run: &DryRunReport) -> Result<Plan> {
    let figure = |name: &str| {
        let found = run.expectations.iter().find(|e| e.name == name).and_then(|e| e.expected.as_u64());
        found.with_context(|| format!("the roots backfill expects no figure called {name}"))
    };
    Ok(Plan { filled_rows: figure("filled")?, null_rows: figure("orphans")? })
}

impl Report for DemoReport {
    fn name(&self) -> &'static str {
        "demo"
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let mut headline = vec![format!(
            "The plan expected {} rows filled and {} NULL. The migration fills {} and leaves {} NULL.",
            count(self.plan.filled_rows),
            count(self.plan.null_rows),
            count(self.roots.replay.filled_rows),
            count(self.roots.replay.null_rows)
        )];
        headline.extend(self.why());
        let blocks = vec![
            Block::Table(self.expectation_table()),
            Block::Table(self.source_table()),
            Block::Table(self.statement_table()),
            Block::Table(self.variants_table()),
            Block::Table(self.category_table()),
            Block::Text {
                title: "Now on your own rows".to_owned(),
                lines: [
                    "rehearsal export --url postgresql://… --table llama_logs --out snap",
                    "rehearsal dry-run prisma/migrations/20260209_roots --on snap",
                    "rehearsal roots demo        the walk's figures, with the rows behind them",
                    "rehearsal classify demo --against runtime",
                ]
                .map(str::to_owned)
                .to_vec(),
            },
        ];
        View { title: format!("A rehearsal of two backfills on {} rows", count(self.rows)), headline, blocks }
    }
}

impl DemoReport {
    /// Why plan and migration differ, in one sentence.
    fn why(&self) -> Option<String> {
        let plan = self.roots.plan?;
        Some(format!(
            "Why: the plan counted the rows marked is_root_job ({}) and those with a parent ({}); the SQL never looks at the mark and fills every row that has a job id and no parent, {} more.",
            count(plan.root_flag_rows),
            count(plan.rows_with_parent),
            count(plan.unflagged_root_rows)
        ))
    }

    fn expectation_table(&self) -> Table {
        let mut table =
            Table::new("root_job_id after the roots backfill", &["", "expected", "predicted", "difference"]);
        let replay = &self.roots.replay;
        for (label, expected, predicted) in
            [("filled", self.plan.filled_rows, replay.filled_rows), ("NULL", self.plan.null_rows, replay.null_rows)]
        {
            let difference = Cell::Delta(predicted as i64 - expected as i64);
            table.push(vec![label.into(), expected.into(), predicted.into(), difference]);
        }
        table
    }

    fn source_table(&self) -> Table {
        let mut table = Table::new("Where the filled rows come from", &["rows", "what they are", "in the plan"]);
        if let Some(plan) = self.roots.plan {
            let marked = self.roots.outcomes.root - plan.unflagged_root_rows;
            table.push(vec![marked.into(), "a job id, no parent, marked is_root_job".into(), Cell::Flag(true)]);
            let unmarked = "a job id, no parent, not marked";
            table.push(vec![plan.unflagged_root_rows.into(), unmarked.into(), Cell::Flag(false)]);
            let children = "a parent: their root is found up the chain";
            table.push(vec![plan.rows_with_parent.into(), children.into(), Cell::Flag(true)]);
        }
        let orphans = "neither job id nor parent: stay NULL, origin unknown";
        table.push(vec![self.roots.outcomes.orphan.into(), orphans.into(), Cell::Empty]);
        table
    }

    /// The statements that write, as the server would count them.
    fn statement_table(&self) -> Table {
        let mut table = Table::new("What each statement writes", &["where", "statement", "rows"]);
        let writes = self.dry_run.statements.iter().filter(|s| s.kind != "SELECT" && s.rows_affected.is_some());
        for statement in writes {
            // Quotes that tools write around every name only cost room.
            let text = statement.sql.replace('"', "").split_whitespace().collect::<Vec<_>>().join(" ");
            let shown = if text.chars().count() > STATEMENT_SHOWN {
                text.chars().take(STATEMENT_SHOWN - 1).chain(['…']).collect()
            } else {
                text
            };
            let migration = statement.file.strip_suffix("/migration.sql").unwrap_or(&statement.file);
            table.push(vec![
                format!("{migration}:{}", statement.line).into(),
                shown.into(),
                statement.rows_affected.map_or(Cell::Empty, Cell::Count),
            ]);
        }
        table
    }

    fn variants_table(&self) -> Table {
        let title = "The same backfill in the three forms on record";
        let mut table = Table::new(title, &["form", "filled", "NULL", "wrong roots"]);
        for variant in &self.variants {
            table.push(vec![
                variant.variant.as_str().into(),
                variant.filled_rows.into(),
                variant.null_rows.into(),
                variant.differing_rows.into(),
            ]);
        }
        table
    }

    fn category_table(&self) -> Table {
        let title = "category after the category backfill, rule by rule";
        let mut table = Table::new(title, &["rule", "category", "matched", "won", "its comment"]);
        let ladder = self.dry_run.ladders.first();
        for rule in ladder.iter().flat_map(|ladder| &ladder.classification.rules) {
            table.push(vec![
                rule.id.replacen("line-", "line ", 1).into(),
                rule.category.as_str().into(),
                rule.matched_rows.into(),
                rule.won_rows.into(),
                rule.comment.as_deref().map_or(Cell::Empty, Cell::from),
            ]);
        }
        table
    }
}
