//! Demo: the story the tool was made for, on the built-in snapshot.
//!
//! Input: the demo snapshot. Output: what the plan of the roots backfill expected, what the migration does, and why they differ;
//! what the category backfill does and which of its rules can't do what its author says. The plan's figures are quoted from
//! the migration's own comment; every other figure is measured here, by the analyses the commands run.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::classify::{self, ClassifyReport, Ladder};
use crate::render::count;
use crate::report::{Block, Cell, Finding, Report, Severity, Table, View, sort_findings};
use crate::roots::{self, RootsReport, Variant};
use crate::snapshot::{LogColumns, OpenTable, Snapshot};

/// What the migration's comment says it will do: `-- Expected: filled=1,567, orphans=2,485`.
const PLAN: Plan = Plan { filled_rows: 1_567, null_rows: 2_485 };

/// The story in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DemoReport {
    /// Rows in the snapshot.
    pub rows: u64,
    /// What the plan expected of the roots backfill.
    pub plan: Plan,
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
    let replay = |variant| {
        let options = roots::Options { variant, depth_limit: roots::DEFAULT_DEPTH_LIMIT, samples };
        roots::analyze(snapshot, columns, &options)
    };
    let reports = [Variant::Applied, Variant::Example3, Variant::Pattern2].map(replay);
    let [applied, example_3, pattern_2] = reports;
    let (applied, example_3, pattern_2) = (applied?, example_3?, pattern_2?);
    let variants = [&applied, &example_3, &pattern_2]
        .map(|report| VariantRows {
            variant: report.replay.variant,
            filled_rows: report.replay.filled_rows,
            null_rows: report.replay.null_rows,
            differing_rows: report.replay.differing_rows,
        })
        .to_vec();
    let ladders =
        classify::Options { rules: Ladder::load("backfill")?, against: Some(Ladder::load("runtime")?), samples };
    let classification = classify::analyze(snapshot, table, columns, &ladders)?;
    let mut findings = Vec::from_iter(missed(&applied));
    findings.extend(applied.findings.iter().chain(&classification.findings).cloned());
    sort_findings(&mut findings);
    Ok(DemoReport { rows: table.rows, plan: PLAN, roots: applied, variants, classification, findings })
}

fn missed(roots: &RootsReport) -> Option<Finding> {
    let filled_rows = roots.replay.filled_rows;
    (filled_rows != PLAN.filled_rows).then(|| {
        Finding::new(
            "expectation-missed",
            Severity::Error,
            filled_rows.abs_diff(PLAN.filled_rows),
            format!(
                "The migration's comment expects filled={}, orphans={}; it will be filled={}, orphans={}.",
                count(PLAN.filled_rows),
                count(PLAN.null_rows),
                count(filled_rows),
                count(roots.replay.null_rows)
            ),
            "Find out which of the two is meant before the migration runs; afterwards nobody can tell the rows apart.",
        )
    })
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
            Block::Table(self.variants_table()),
            Block::Table(self.category_table()),
            Block::Text {
                title: "Now on your own rows".to_owned(),
                lines: [
                    "rehearsal roots demo        every figure above, with the rows behind it",
                    "rehearsal classify demo --against runtime",
                    "rehearsal export --url postgresql://… --table llama_logs --out snap && rehearsal roots snap",
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
        let mut table = Table::new(title, &["rule", "category", "matched", "won", "says"]);
        for rule in &self.classification.rules {
            table.push(vec![
                rule.id.as_str().into(),
                rule.category.as_str().into(),
                rule.matched_rows.into(),
                rule.won_rows.into(),
                rule.comment.as_deref().map_or(Cell::Empty, Cell::from),
            ]);
        }
        table
    }
}
