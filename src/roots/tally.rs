//! Adding up: classes of rows with their verdicts become the figures of the report.
//!
//! Input: every class of rows once. Output: a [`RootsReport`] without findings. Invariant: each row is counted once in each
//! figure, whatever the order of the classes.

use std::collections::BTreeMap;

use super::oracle::Outcome;
use super::report::{
    Cause, Comparison, DepthRows, Difference, OutcomeRows, PlanRows, ReplayRows, RootsReport, StoredRows,
};
use super::{CertainAnswers, Columns, Options, Solved, Verdict};
use crate::job_graph::{Job, RowClass, SetId};

/// Sums in the making.
#[derive(Default)]
pub(super) struct Tally {
    rows: u64,
    rows_with_parent: u64,
    outcomes: OutcomeRows,
    depths: BTreeMap<u32, u64>,
    null_rows: u64,
    plan_dependent_rows: u64,
    split_family_rows: u64,
    causes: BTreeMap<Cause, u64>,
    /// Differing, NULL and plan-dependent rows of each outcome.
    compared: BTreeMap<Outcome, (u64, u64, u64)>,
    flagged_rows: u64,
    flagged_rows_with_parent: u64,
    unflagged_root_rows: u64,
    stale_rows: u64,
    unfilled_rows: u64,
    near_limit_rows: u64,
}

impl Tally {
    /// Adds the rows of a class.
    pub(super) fn add(&mut self, class: &RowClass, verdict: &Verdict, solved: &Solved<'_>, certain: &CertainAnswers) {
        let rows = class.rows;
        let truth = &verdict.truth;
        self.rows += rows;
        self.outcomes.add(truth.outcome, rows);
        self.flagged_rows += class.flagged_rows;
        if class.parent.is_some() {
            self.rows_with_parent += rows;
            self.flagged_rows_with_parent += class.flagged_rows;
        }
        if truth.outcome == Outcome::Root {
            self.unflagged_root_rows += rows - class.flagged_rows;
        }
        if let Some(depth) = truth.depth {
            *self.depths.entry(depth).or_default() += rows;
        }
        let compared = self.compared.entry(truth.outcome).or_default();
        if let Some(cause) = verdict.cause {
            *self.causes.entry(cause).or_default() += rows;
            compared.0 += rows;
        }
        if verdict.answer == SetId::EMPTY {
            self.null_rows += rows;
            compared.1 += rows;
        }
        if solved.is_plan_dependent(verdict) {
            self.plan_dependent_rows += rows;
            compared.2 += rows;
        }
        if solved.is_split(class, verdict, certain) {
            self.split_family_rows += rows;
        }
        if solved.is_stale(class, truth) {
            self.stale_rows += rows;
        }
        if class.stored_root.is_none() && truth.root.is_some() {
            self.unfilled_rows += rows;
        }
        if solved.is_near_limit(verdict) {
            self.near_limit_rows += rows;
        }
    }

    /// The figures of the report, without findings.
    pub(super) fn finish(self, solved: &Solved<'_>, columns: Columns, fan_out_rows: u64) -> RootsReport {
        let Options { variant, depth_limit, .. } = solved.options;
        let mut differences: Vec<Difference> =
            self.causes.into_iter().map(|(cause, rows)| Difference { cause, rows }).collect();
        differences.sort_by_key(|d| (std::cmp::Reverse(d.rows), d.cause));
        let comparison = Outcome::ALL
            .into_iter()
            .filter(|&outcome| self.outcomes.of(outcome) > 0)
            .map(|outcome| {
                let rows = self.outcomes.of(outcome);
                let (differing_rows, null_rows, plan_dependent_rows) =
                    self.compared.get(&outcome).copied().unwrap_or_default();
                let same_rows = rows - differing_rows;
                Comparison { outcome, rows, same_rows, differing_rows, null_rows, plan_dependent_rows }
            })
            .collect();
        let jobs = (0..solved.graph.len() as Job).filter(|&job| solved.graph.exists(job)).count() as u64;
        RootsReport {
            rows: self.rows,
            rows_with_parent: self.rows_with_parent,
            jobs,
            outcomes: self.outcomes,
            max_depth: self.depths.keys().next_back().copied().unwrap_or(0),
            depth_histogram: self.depths.into_iter().map(|(depth, rows)| DepthRows { depth, rows }).collect(),
            replay: ReplayRows {
                variant,
                depth_limit,
                resolvable_hops: variant.resolvable_hops(depth_limit),
                filled_rows: self.rows - self.null_rows,
                null_rows: self.null_rows,
                differing_rows: differences.iter().map(|d| d.rows).sum(),
                plan_dependent_rows: self.plan_dependent_rows,
                near_limit_rows: self.near_limit_rows,
                split_family_rows: self.split_family_rows,
                fan_out_rows,
                differences,
            },
            comparison,
            plan: columns.flag.then_some(PlanRows {
                root_flag_rows: self.flagged_rows,
                rows_with_parent: self.rows_with_parent,
                expected_filled_rows: self.flagged_rows + self.rows_with_parent,
                unflagged_root_rows: self.unflagged_root_rows,
                flagged_rows_with_parent: self.flagged_rows_with_parent,
            }),
            stored: columns
                .stored_root
                .then_some(StoredRows { stale_rows: self.stale_rows, unfilled_rows: self.unfilled_rows }),
            findings: Vec::new(),
        }
    }
}
