//! The report of `roots`: its figures, as scripts read them.
//!
//! Invariants: the field names are a contract (`result` in the JSON envelope); raw numbers only; vectors are sorted.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::oracle::Outcome;
use super::{Variant, view};
use crate::report::{Finding, Report, View};

/// What the backfill does to the rows, and what is true of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RootsReport {
    /// Rows analysed.
    pub rows: u64,
    /// Rows with a parent: those the recursive query starts from.
    pub rows_with_parent: u64,
    /// Distinct job ids that rows bear.
    pub jobs: u64,
    /// Rows by what is true of them; they sum to `rows`.
    pub outcomes: OutcomeRows,
    /// Hops of the longest chain that leads to a root; 0 where there are only roots.
    pub max_depth: u32,
    /// Rows by hops to their root, ascending; 0 are the roots themselves.
    pub depth_histogram: Vec<DepthRows>,
    /// The backfill.
    pub replay: ReplayRows,
    /// The two beside each other: a line for each outcome that occurs.
    pub comparison: Vec<Comparison>,
    /// What the plan counted; absent where the log has no `is_root_job`.
    pub plan: Option<PlanRows>,
    /// The roots already stored; absent where the log has no `root_job_id`.
    pub stored: Option<StoredRows>,
    /// What the user should know.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

/// Rows by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeRows {
    /// A job and no parent.
    pub root: u64,
    /// Leads to one root job.
    pub child: u64,
    /// Neither job nor parent.
    pub orphan: u64,
    /// Ends at an id that no row bears.
    pub dangling: u64,
    /// On a cycle or leading into one.
    pub cyclic: u64,
    /// Leads to different ends.
    pub ambiguous: u64,
}

impl OutcomeRows {
    /// The rows of one outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Root => self.root,
            Outcome::Child => self.child,
            Outcome::Orphan => self.orphan,
            Outcome::Dangling => self.dangling,
            Outcome::Cyclic => self.cyclic,
            Outcome::Ambiguous => self.ambiguous,
        }
    }

    pub(super) fn add(&mut self, outcome: Outcome, rows: u64) {
        *match outcome {
            Outcome::Root => &mut self.root,
            Outcome::Child => &mut self.child,
            Outcome::Orphan => &mut self.orphan,
            Outcome::Dangling => &mut self.dangling,
            Outcome::Cyclic => &mut self.cyclic,
            Outcome::Ambiguous => &mut self.ambiguous,
        } += rows;
    }
}

/// Rows that are so many hops from their root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DepthRows {
    /// Hops.
    pub depth: u32,
    /// Rows.
    pub rows: u64,
}

/// What the backfill does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplayRows {
    /// Which form of it.
    pub variant: Variant,
    /// Where its recursion stops.
    pub depth_limit: u32,
    /// Hops it climbs at most before the limit gives a job in mid-chain as the root.
    pub resolvable_hops: u32,
    /// Rows it gives a root.
    pub filled_rows: u64,
    /// Rows it leaves NULL.
    pub null_rows: u64,
    /// Rows that may get another root than the true one, or one where there is none; each is in exactly one of `differences`.
    pub differing_rows: u64,
    /// Rows for which candidates tie, so that the server's plan decides; all of them are differing rows too.
    pub plan_dependent_rows: u64,
    /// Rows whose chain comes within two hops of the limit and is still right.
    pub near_limit_rows: u64,
    /// Rows that certainly get another root than a row of their parent job.
    pub split_family_rows: u64,
    /// Rows of the recursive query on the server; 18,446,744,073,709,551,615 stands for that many or more.
    pub fan_out_rows: u64,
    /// The differing rows by cause, most rows first.
    pub differences: Vec<Difference>,
}

/// Differing rows of one cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The cause.
    pub cause: Cause,
    /// The rows.
    pub rows: u64,
}

/// Why the backfill's answer isn't the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The chain is longer than the backfill climbs: it writes a job in mid-chain.
    DepthLimit,
    /// The chain never ends: it writes a job of the cycle.
    Cycle,
    /// The chain ends at an id that no row bears: it writes that id, or the last job that exists.
    Dangling,
    /// The chain has different ends: it writes one of them.
    Ambiguous,
    /// The form stops at the last job that has a parent.
    OneHopShort,
}

impl Cause {
    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::DepthLimit => "depth-limit",
            Cause::Cycle => "cycle",
            Cause::Dangling => "dangling",
            Cause::Ambiguous => "ambiguous",
            Cause::OneHopShort => "one-hop-short",
        }
    }
}

/// The replay beside the oracle, for the rows of one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What is true of them.
    pub outcome: Outcome,
    /// How many they are.
    pub rows: u64,
    /// Rows that get exactly the true root (for an orphan: NULL).
    pub same_rows: u64,
    /// Rows that may get another, or one where there is none.
    pub differing_rows: u64,
    /// Rows left NULL.
    pub null_rows: u64,
    /// Rows for which the server's plan decides.
    pub plan_dependent_rows: u64,
}

/// The plan's count beside what the SQL fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlanRows {
    /// Rows marked `is_root_job`.
    pub root_flag_rows: u64,
    /// Rows with a parent.
    pub rows_with_parent: u64,
    /// The sum: what a plan that goes by the mark expects to be filled.
    pub expected_filled_rows: u64,
    /// Rows with a job and no parent that aren't marked; the SQL fills them all the same.
    pub unflagged_root_rows: u64,
    /// Marked rows that have a parent.
    pub flagged_rows_with_parent: u64,
}

/// The roots the log already stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StoredRows {
    /// Rows that store a root which isn't true of them.
    pub stale_rows: u64,
    /// Rows that store none though there is one.
    pub unfilled_rows: u64,
}

impl Report for RootsReport {
    fn name(&self) -> &'static str {
        "roots"
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
