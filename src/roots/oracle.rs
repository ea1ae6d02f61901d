//! The oracle: what is true of a row, whatever the migration's SQL would make of it.
//!
//! Input: the graph of jobs. Output: [`Oracle`], which judges any class of rows in constant time.
//! A row starts from the parents of its job (all of them, over all its rows; a row without a job from its own parent). Each job
//! on the way contributes its parents, and itself as a possible root where it has a row without parent; an id that no row bears
//! ends the way as missing. Invariants: no depth limit; linear in jobs and edges; exactly one outcome a row. Left out: the SQL.

use serde::Serialize;

use crate::job_graph::{CandidateSets, Job, JobGraph, RowClass, SetId};

/// What a row's chain comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A job and no parent: its own root.
    Root,
    /// All ways up lead to one root job.
    Child,
    /// Neither job nor parent: its origin is unknown.
    Orphan,
    /// All ways up end at ids that no row bears.
    Dangling,
    /// On a cycle, or on a way into one.
    Cyclic,
    /// The ways up lead to different ends.
    Ambiguous,
}

impl Outcome {
    /// All outcomes, in the order they are shown.
    pub const ALL: [Outcome; 6] =
        [Outcome::Root, Outcome::Child, Outcome::Orphan, Outcome::Dangling, Outcome::Cyclic, Outcome::Ambiguous];

    /// The word for it in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Root => "root",
            Outcome::Child => "child",
            Outcome::Orphan => "orphan",
            Outcome::Dangling => "dangling",
            Outcome::Cyclic => "cyclic",
            Outcome::Ambiguous => "ambiguous",
        }
    }
}

/// What is true of a class of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truth {
    /// The outcome.
    pub outcome: Outcome,
    /// The root job, where there is one.
    pub root: Option<Job>,
    /// Hops to the root by the longest way: 0 for a root, at least 1 for a child; `None` where there is no root.
    pub depth: Option<u32>,
    /// Where the ways up end: root jobs and missing ids. Empty on a cycle, and for orphans.
    pub ends: SetId,
}

/// The longest way of a job that reaches a cycle.
pub const ENDLESS: u32 = u32::MAX;

/// Where all ways up from each job end.
pub struct Oracle {
    /// Where ways that come *through* a job end: its parents' ends, and itself where it has a row without parent.
    through: Vec<Ends>,
    /// Where ways that start *above* a job end: its parents' ends.
    above: Vec<Ends>,
    /// Edges of the longest way up; [`ENDLESS`] for a job that reaches a cycle.
    height: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    set: SetId,
    root: bool,
    missing: bool,
}

impl Ends {
    const NONE: Ends = Ends { set: SetId::EMPTY, root: false, missing: false };
}

impl Oracle {
    /// Works out every job's ends.
    pub fn solve(graph: &JobGraph, sets: &mut CandidateSets<'_>) -> Oracle {
        let mut oracle = Oracle {
            through: vec![Ends::NONE; graph.len()],
            above: vec![Ends::NONE; graph.len()],
            height: vec![0; graph.len()],
        };
        for &job in graph.components.ancestors_first() {
            let parents = graph.parents(job);
            let own = job as usize;
            let reaches_cycle = graph.components.on_cycle(job)
                || parents.iter().any(|&parent| oracle.height[parent as usize] == ENDLESS);
            if reaches_cycle {
                oracle.height[own] = ENDLESS;
                continue;
            }
            let through = |parent: &Job| oracle.through[*parent as usize];
            let above = Ends {
                set: sets.union(parents.iter().map(|p| through(p).set)),
                root: parents.iter().any(|p| through(p).root),
                missing: parents.iter().any(|p| through(p).missing),
            };
            let longest = parents.iter().map(|&p| oracle.height[p as usize] + 1).max().unwrap_or(0);
            oracle.height[own] = longest;
            oracle.above[own] = above;
            oracle.through[own] = if !graph.exists(job) {
                Ends { set: SetId::single(job), root: false, missing: true }
            } else if graph.has_root_row(job) {
                Ends { set: sets.union([above.set, SetId::single(job)]), root: true, ..above }
            } else {
                above
            };
        }
        oracle
    }

    /// What is true of a class of rows.
    pub fn judge(&self, class: &RowClass, sets: &CandidateSets<'_>) -> Truth {
        let (ends, height) = match (class.job, class.parent) {
            (None, None) => return Truth { outcome: Outcome::Orphan, root: None, depth: None, ends: SetId::EMPTY },
            (Some(job), None) => {
                return Truth { outcome: Outcome::Root, root: Some(job), depth: Some(0), ends: SetId::single(job) };
            }
            (Some(job), Some(_)) => (self.above[job as usize], self.height[job as usize]),
            (None, Some(parent)) => (self.through[parent as usize], self.height[parent as usize].saturating_add(1)),
        };
        let outcome = match ends {
            _ if height == ENDLESS => Outcome::Cyclic,
            Ends { root: false, .. } => Outcome::Dangling,
            Ends { missing: false, set, .. } if sets.only(set).is_some() => Outcome::Child,
            _ => Outcome::Ambiguous,
        };
        let child = outcome == Outcome::Child;
        Truth {
            outcome,
            root: if child { sets.only(ends.set) } else { None },
            depth: child.then_some(height),
            ends: ends.set,
        }
    }
}
