//! Roots: which root job does the recursive backfill give each row, and which is true?
//!
//! Input: the view `log`. Output: [`RootsReport`]. Two halves, always side by side:
//!
//! - the *replay* ([`replay`], on the walks of [`climb`]): what the migration, as written, would do, depth limit and all;
//! - the *oracle* ([`oracle`]): what is true of the jobs, without a limit and without a look at the SQL.
//!
//! A row differs where some answer the replay may give isn't the true one; each differing row has exactly one [`Cause`].
//! The true root of a dangling, cyclic or ambiguous chain is NULL: whatever the backfill writes there is a difference.
//!
//! Invariants: outcomes sum to the rows; every figure is exact (lists of candidates are cut at
//! [`job_graph::CAPACITY`](crate::job_graph::CAPACITY), "one or several" isn't); linear in rows unless walks are cut by a limit
//! far above 10; ids are unique, as the backfill's own join on `id` assumes. Left out: locks and time on the server.

mod climb;
mod fan_out;
mod findings;
mod oracle;
mod output;
mod replay;
mod report;
mod samples;
#[cfg(test)]
mod simulation;
mod tally;
mod view;

use std::path::Path;

use anyhow::Result;
use duckdb::Connection;

pub use climb::Variant;
pub use oracle::Outcome;
pub use report::*;

use crate::job_graph::{CandidateSets, Job, JobGraph, RowClass, SetId};
use crate::snapshot::{LogColumns, Snapshot};
use climb::Climb;
use oracle::{Oracle, Truth};
use replay::Replay;
use samples::{Picks, Subject};
use tally::Tally;

/// Depth limit of the recorded backfill.
pub const DEFAULT_DEPTH_LIMIT: u32 = 10;

/// What to replay.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The form of the backfill.
    pub variant: Variant,
    /// Its `depth < N`.
    pub depth_limit: u32,
    /// Sample rows for each finding.
    pub samples: usize,
}

/// Which optional columns the log has.
#[derive(Debug, Clone, Copy)]
struct Columns {
    /// `is_root_job`
    flag: bool,
    /// `root_job_id`
    stored_root: bool,
}

impl Columns {
    fn of(columns: &LogColumns) -> Columns {
        Columns { flag: columns.has("is_root_job"), stored_root: columns.has("root_job_id") }
    }
}

/// What is true of a class of rows, and what the backfill gives it.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    truth: Truth,
    /// Possible answers; empty for NULL.
    answer: SetId,
    cause: Option<Cause>,
}

/// For each job, the smallest and the largest number among the certain answers of its rows; `None` where there is none.
type CertainAnswers = Vec<Option<(Job, Job)>>;

/// Replay and oracle over one graph.
struct Solved<'g> {
    graph: &'g JobGraph,
    options: Options,
    sets: CandidateSets<'g>,
    oracle: Oracle,
    climb: Climb<'g>,
    replay: Replay,
}

impl<'g> Solved<'g> {
    fn solve(graph: &'g JobGraph, options: &Options) -> Result<Self> {
        let mut sets = CandidateSets::new(&graph.names);
        let oracle = Oracle::solve(graph, &mut sets);
        let climb = Climb::measure(graph, options.variant, options.depth_limit);
        let replay = Replay::run(&climb, &mut sets)?;
        Ok(Solved { graph, options: *options, sets, oracle, climb, replay })
    }

    fn verdict(&self, class: &RowClass) -> Verdict {
        let truth = self.oracle.judge(class, &self.sets);
        let answer = self.replay.answer(class);
        let same = answer == truth.root.map_or(SetId::EMPTY, SetId::single);
        let cut = class.parent.is_some_and(|parent| self.climb.is_cut(parent));
        let cause = (!same).then_some(match truth.outcome {
            Outcome::Dangling => Cause::Dangling,
            Outcome::Cyclic => Cause::Cycle,
            Outcome::Ambiguous => Cause::Ambiguous,
            _ if cut => Cause::DepthLimit,
            _ => Cause::OneHopShort,
        });
        Verdict { truth, answer, cause }
    }

    fn certain_answers(&self) -> CertainAnswers {
        let mut certain: CertainAnswers = vec![None; self.graph.len()];
        for class in self.graph.classes() {
            if let (Some(job), Some(answer)) = (class.job, self.sets.only(self.replay.answer(class))) {
                let range = certain[job as usize].get_or_insert((answer, answer));
                *range = (range.0.min(answer), range.1.max(answer));
            }
        }
        certain
    }

    /// Do candidates tie, so that the server's plan decides?
    fn is_plan_dependent(&self, verdict: &Verdict) -> bool {
        verdict.answer != SetId::EMPTY && self.sets.only(verdict.answer).is_none()
    }

    /// Is the chain close to the limit, and right for now?
    fn is_near_limit(&self, verdict: &Verdict) -> bool {
        verdict.cause != Some(Cause::DepthLimit)
            && verdict.truth.depth.is_some_and(|depth| depth >= near_limit(self.options.depth_limit))
    }

    /// Does a row of the parent job certainly get another root than this row?
    fn is_split(&self, class: &RowClass, verdict: &Verdict, certain: &CertainAnswers) -> bool {
        let Some((low, high)) = class.parent.and_then(|parent| certain[parent as usize]) else { return false };
        if verdict.answer == SetId::EMPTY {
            return true;
        }
        self.sets.only(verdict.answer).is_some_and(|own| own != low || own != high)
    }

    /// Does the row store a root that isn't true of it? Where several are possible, any of them passes.
    fn is_stale(&self, class: &RowClass, truth: &Truth) -> bool {
        match (class.stored_root, truth.outcome) {
            (None, _) => false,
            (Some(stored), Outcome::Ambiguous) => {
                !self.sets.members(&truth.ends).contains(&stored) && !self.sets.has_more(truth.ends)
            }
            (stored, _) => stored != truth.root,
        }
    }

    /// Counts everything, and notes which classes are examples of what.
    fn count(&self, columns: Columns) -> Result<(RootsReport, Picks)> {
        let certain = self.certain_answers();
        let mut tally = Tally::default();
        let mut picks = Picks::new(self.options.samples);
        for (index, class) in self.graph.classes().iter().enumerate() {
            let verdict = self.verdict(class);
            tally.add(class, &verdict, self, &certain);
            self.subjects(class, &verdict, &certain, columns, |subject| picks.add(subject, index, self.graph));
        }
        Ok((tally.finish(self, columns, fan_out::rows(&self.climb)?), picks))
    }

    /// Names what a class of rows is an example of.
    fn subjects(
        &self,
        class: &RowClass,
        verdict: &Verdict,
        certain: &CertainAnswers,
        columns: Columns,
        mut name: impl FnMut(Subject),
    ) {
        if let Some(cause) = verdict.cause {
            name(Subject::Differs(cause));
        }
        if self.is_near_limit(verdict) {
            name(Subject::NearDepthLimit);
        }
        match verdict.truth.outcome {
            Outcome::Dangling => name(Subject::DanglingParent),
            Outcome::Cyclic => name(Subject::CircularReference),
            Outcome::Ambiguous => name(Subject::AmbiguousParent),
            Outcome::Root | Outcome::Child | Outcome::Orphan => {}
        }
        if self.is_plan_dependent(verdict) {
            name(Subject::PlanDependent);
        }
        if self.is_split(class, verdict, certain) {
            name(Subject::SplitFamily);
        }
        if columns.flag && class.parent.is_some() && class.flagged_rows > 0 {
            name(Subject::FlaggedWithParent);
        }
        if columns.flag && verdict.truth.outcome == Outcome::Root && class.flagged_rows < class.rows {
            name(Subject::UnflaggedRoot);
        }
        if columns.stored_root && self.is_stale(class, &verdict.truth) {
            name(Subject::StaleRoot);
        }
    }
}

/// Hops from which a chain is close to the limit: the seeds ask for 8 at a limit of 10.
fn near_limit(depth_limit: u32) -> u32 {
    depth_limit.saturating_sub(2).max(1)
}

/// Replays the backfill over the view `log` and compares it with the truth.
///
/// # Errors
/// When the log or the sample rows can't be read, or the user interrupts.
pub fn analyze(snapshot: &Snapshot, columns: &LogColumns, options: &Options) -> Result<RootsReport> {
    let graph = JobGraph::load(snapshot.connection())?;
    let solved = Solved::solve(&graph, options)?;
    report(snapshot.connection(), Columns::of(columns), &solved)
}

/// As [`analyze`]; also writes what became of each row to a Parquet file, sorted by id: `id, job_id, parent_job_id, outcome,
/// root_job_id, depth, replay_root_job_id, replay_possible`.
///
/// # Errors
/// As [`analyze`]; when the log has no `id`, or the file can't be written.
pub fn analyze_and_write_rows(
    snapshot: &Snapshot,
    columns: &LogColumns,
    options: &Options,
    path: &Path,
) -> Result<RootsReport> {
    let graph = JobGraph::load(snapshot.connection())?;
    let solved = Solved::solve(&graph, options)?;
    let report = report(snapshot.connection(), Columns::of(columns), &solved)?;
    output::write_rows(snapshot.connection(), &solved, path)?;
    Ok(report)
}

/// What a recorded form of the backfill gives the rows below one parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The parent id.
    pub parent: String,
    /// The answer, the least by byte order where several tie; `None` where each row keeps its own job.
    pub least: Option<String>,
    /// The greatest; where it isn't the least, the server's plan decides.
    pub greatest: Option<String>,
}

/// As [`analyze`], over a view `log` with `id`, `job_id`, `parent_job_id` and, where `flag` says so, `is_root_job`; also the
/// backfill's answers for every parent id.
///
/// # Errors
/// As [`analyze`].
pub fn resolve(connection: &Connection, flag: bool, options: &Options) -> Result<(RootsReport, Vec<Answer>)> {
    let graph = JobGraph::load(connection)?;
    let solved = Solved::solve(&graph, options)?;
    let report = report(connection, Columns { flag, stored_root: false }, &solved)?;
    let mut seen = vec![false; graph.len()];
    let mut answers = Vec::new();
    for class in graph.classes() {
        let Some(parent) = class.parent else { continue };
        if std::mem::replace(&mut seen[parent as usize], true) {
            continue;
        }
        let set = solved.replay.answer(&RowClass { job: None, ..*class });
        let members = solved.sets.members(&set);
        let name = |job: Option<&Job>| job.map(|&job| graph.names.name(job).to_owned());
        let parent = graph.names.name(parent).to_owned();
        answers.push(Answer { parent, least: name(members.first()), greatest: name(members.last()) });
    }
    Ok((report, answers))
}

fn report(connection: &Connection, columns: Columns, solved: &Solved<'_>) -> Result<RootsReport> {
    let (mut report, picks) = solved.count(columns)?;
    let examples = picks.fetch(connection, solved)?;
    report.findings = findings::findings(&report, &examples);
    Ok(report)
}
