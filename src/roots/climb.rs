//! How the recorded forms of the backfill climb, as walks on the graph of jobs.
//!
//! Input: the graph, a [`Variant`] and its depth limit. Output: [`Climb`]: which jobs a walk may visit, how many edges it may
//! follow, the longest walk from each job, and the families whose walks are cut by the limit.
//!
//! Each form writes, for a row, the last job of the longest walk that starts at the row's parent (`ORDER BY id, depth DESC`):
//!
//! | variant | a walk visits | edges at limit L | a row whose parent can't be visited gets |
//! |---|---|---|---|
//! | applied | jobs that some row bears: the join finds their rows | L - 2: one step is spent on finding the parent itself | its parent id |
//! | example-3 | any id: the parent's parent id is taken as it stands | L - 1 | (never) |
//! | pattern-2 | jobs with a parent: others are filtered out | L - 1: it starts at depth 0, and spends one step on the parent | its own job id |
//!
//! The forms' own SQL is in `queries/postgres/roots/`; the tests compare this reading of it with a simulation of the recursion
//! row by row, and with PostgreSQL. Invariant: rows are never multiplied here; distinct edges suffice for the answers.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::oracle::ENDLESS;
use crate::job_graph::{Job, JobGraph};

/// A recorded form of the backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// As the migration ran: joins the parent's row and takes its job id
    Applied,
    /// As Example 3 of the research has it: climbs parent ids
    #[value(name = "example-3")]
    #[serde(rename = "example-3")]
    Example3,
    /// As Pattern 2 of the research has it: climbs only while the parent has a parent
    #[value(name = "pattern-2")]
    #[serde(rename = "pattern-2")]
    Pattern2,
}

impl Variant {
    /// All variants.
    pub const ALL: [Variant; 3] = [Variant::Applied, Variant::Example3, Variant::Pattern2];

    /// Its name on the command line and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Variant::Applied => "applied",
            Variant::Example3 => "example-3",
            Variant::Pattern2 => "pattern-2",
        }
    }

    /// The variant of that name.
    pub fn named(name: &str) -> Option<Variant> {
        Variant::ALL.into_iter().find(|variant| variant.as_str() == name)
    }

    /// Edges a walk from a row's parent follows at most.
    pub fn edges(self, depth_limit: u32) -> u32 {
        match self {
            Variant::Applied => depth_limit.saturating_sub(2),
            Variant::Example3 | Variant::Pattern2 => depth_limit.saturating_sub(1),
        }
    }

    /// Recursive steps the query takes at most: each joins once.
    pub fn steps(self, depth_limit: u32) -> u32 {
        match self {
            Variant::Applied | Variant::Example3 => depth_limit.saturating_sub(1),
            Variant::Pattern2 => depth_limit,
        }
    }

    /// The longest chain, in hops, that comes out right at this limit: the form would need a higher one beyond.
    pub fn resolvable_hops(self, depth_limit: u32) -> u32 {
        match self {
            Variant::Applied => depth_limit.saturating_sub(1).max(1),
            // Pattern 2 stops one hop short of every root; the limit itself bites beyond the same hop.
            Variant::Example3 => depth_limit,
            Variant::Pattern2 => depth_limit.saturating_add(1),
        }
    }

    /// May a walk visit this job?
    pub fn visits(self, graph: &JobGraph, job: Job) -> bool {
        match self {
            Variant::Applied => graph.exists(job),
            Variant::Example3 => true,
            Variant::Pattern2 => !graph.parents(job).is_empty(),
        }
    }
}

/// The walks of a variant.
pub struct Climb<'g> {
    /// The jobs.
    pub graph: &'g JobGraph,
    /// The form of the backfill.
    pub variant: Variant,
    /// Its `depth < N`.
    pub depth_limit: u32,
    /// Edges of the longest walk from each job that may be visited; [`ENDLESS`] where it reaches a cycle.
    height: Vec<u32>,
    /// Jobs whose longest walk is cut by the limit, with everything above them: apart from each other no walk leads across.
    pub cut_families: Vec<Vec<Job>>,
}

impl<'g> Climb<'g> {
    /// Measures the walks.
    pub fn measure(graph: &'g JobGraph, variant: Variant, depth_limit: u32) -> Climb<'g> {
        let mut height = vec![0_u32; graph.len()];
        for &job in graph.components.ancestors_first() {
            height[job as usize] = if graph.components.on_cycle(job) {
                ENDLESS
            } else {
                let visited = graph.parents(job).iter().filter(|&&parent| variant.visits(graph, parent));
                visited.map(|&parent| height[parent as usize].saturating_add(1)).max().unwrap_or(0)
            };
        }
        let mut climb = Climb { graph, variant, depth_limit, height, cut_families: Vec::new() };
        climb.cut_families = climb.find_cut_families();
        climb
    }

    /// Edges of the longest walk from a job that may be visited.
    pub fn height(&self, job: Job) -> u32 {
        self.height[job as usize]
    }

    /// The parents a walk may go on to.
    pub fn ways(&self, job: Job) -> impl Iterator<Item = Job> + '_ {
        self.graph.parents(job).iter().copied().filter(|&parent| self.variant.visits(self.graph, parent))
    }

    /// Is the longest walk from this job longer than the limit lets it be?
    pub fn is_cut(&self, job: Job) -> bool {
        self.variant.visits(self.graph, job) && self.height(job) > self.variant.edges(self.depth_limit)
    }

    fn find_cut_families(&self) -> Vec<Vec<Job>> {
        let mut reached: Vec<Job> = (0..self.graph.len() as Job).filter(|&job| self.is_cut(job)).collect();
        if reached.is_empty() {
            return Vec::new();
        }
        let mut family: Vec<u32> = vec![u32::MAX; self.graph.len()];
        reached.iter().for_each(|&job| family[job as usize] = job);
        let mut next = 0;
        while let Some(&job) = reached.get(next) {
            next += 1;
            for parent in self.ways(job) {
                if family[parent as usize] == u32::MAX {
                    family[parent as usize] = parent;
                    reached.push(parent);
                }
            }
        }
        for &job in &reached {
            for parent in self.ways(job) {
                let (a, b) = (head(&mut family, job), head(&mut family, parent));
                family[a as usize] = b;
            }
        }
        for &job in &reached {
            family[job as usize] = head(&mut family, job);
        }
        reached.sort_unstable_by_key(|&job| (family[job as usize], job));
        reached.chunk_by(|&a, &b| family[a as usize] == family[b as usize]).map(<[Job]>::to_vec).collect()
    }
}

/// The job that stands for a family (union-find with path halving).
fn head(family: &mut [u32], mut job: Job) -> Job {
    while family[job as usize] != job {
        let above = family[family[job as usize] as usize];
        family[job as usize] = above;
        job = above;
    }
    job
}
