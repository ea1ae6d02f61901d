//! The replay: what the backfill, as written, gives each row. Bug for bug.
//!
//! Input: the walks of a variant ([`Climb`]). Output: [`Replay`]: for each row the set of answers PostgreSQL may give. Several
//! answers mean that candidates of equal depth tie, and that the server's plan decides (`DISTINCT ON (id) … ORDER BY id, depth
//! DESC` says nothing about ties). Invariants: the product of rows that the recursion enumerates is never built; cost is linear
//! where no walk is cut by the limit, and edges times limit at most where walks are. Left out: whether the answers are true.

use anyhow::Result;

use super::climb::{Climb, Variant};
use super::oracle::ENDLESS;
use crate::job_graph::{CandidateSets, Job, RowClass, SetId};
use crate::ui;

/// The answers of the backfill.
pub struct Replay {
    variant: Variant,
    /// For each job that a walk may visit: the ends of the longest walks from it. Empty for the others.
    from: Vec<SetId>,
}

impl Replay {
    /// Runs the backfill on the graph.
    ///
    /// # Errors
    /// When the user interrupts.
    pub fn run(climb: &Climb<'_>, sets: &mut CandidateSets<'_>) -> Result<Replay> {
        let mut from = vec![SetId::EMPTY; climb.graph.len()];
        for &job in climb.graph.components.ancestors_first() {
            let height = climb.height(job);
            if height == ENDLESS || !climb.variant.visits(climb.graph, job) {
                continue;
            }
            from[job as usize] = if height == 0 {
                SetId::single(job)
            } else {
                sets.union(climb.ways(job).filter(|&p| climb.height(p) == height - 1).map(|p| from[p as usize]))
            };
        }
        let edges = climb.variant.edges(climb.depth_limit);
        let mut place = vec![u32::MAX; if climb.cut_families.is_empty() { 0 } else { climb.graph.len() }];
        for family in &climb.cut_families {
            let answers = Walks::new(climb, family, &mut place).after(edges, sets)?;
            for (job, answer) in answers {
                if climb.is_cut(job) {
                    from[job as usize] = answer;
                }
            }
        }
        Ok(Replay { variant: climb.variant, from })
    }

    /// The answers a class of rows may get; empty for NULL.
    pub fn answer(&self, class: &RowClass) -> SetId {
        let own = class.job.map_or(SetId::EMPTY, SetId::single);
        let Some(parent) = class.parent else { return own };
        match self.from[parent as usize] {
            SetId::EMPTY if self.variant == Variant::Pattern2 => own,
            SetId::EMPTY => SetId::single(parent),
            ends => ends,
        }
    }
}

/// The walks of one family, one edge longer at a time.
struct Walks {
    /// Jobs of the family, longest walk first, so that those whose walks go on are a prefix.
    jobs: Vec<Job>,
    heights: Vec<u32>,
    /// For each job the places of the parents it may go on to.
    ways: Vec<Vec<u32>>,
}

impl Walks {
    fn new(climb: &Climb<'_>, family: &[Job], place: &mut [u32]) -> Walks {
        let mut jobs = family.to_vec();
        jobs.sort_unstable_by_key(|&job| (std::cmp::Reverse(climb.height(job)), job));
        jobs.iter().enumerate().for_each(|(index, &job)| place[job as usize] = index as u32);
        Walks {
            heights: jobs.iter().map(|&job| climb.height(job)).collect(),
            ways: jobs.iter().map(|&job| climb.ways(job).map(|parent| place[parent as usize]).collect()).collect(),
            jobs,
        }
    }

    /// The ends of the walks of exactly `edges` edges, for each job that has such walks.
    fn after(&self, edges: u32, sets: &mut CandidateSets<'_>) -> Result<Vec<(Job, SetId)>> {
        // ends[i]: ends of the walks from job i of exactly as many edges as taken, or of its longest where that is shorter.
        let mut ends: Vec<SetId> = self.jobs.iter().map(|&job| SetId::single(job)).collect();
        let mut next = ends.clone();
        let endless = self.heights.partition_point(|&height| height == ENDLESS);
        let mut seen: Option<(u32, Vec<SetId>)> = None;
        let mut taken = 0;
        let mut until = edges;
        while taken < until {
            taken += 1;
            if taken % 1024 == 0 {
                ui::check_interrupt()?;
            }
            let going_on = self.heights.partition_point(|&height| height >= taken);
            for (next, ways) in next[..going_on].iter_mut().zip(&self.ways) {
                let ways = ways.iter().map(|&way| way as usize).filter(|&way| self.heights[way] >= taken - 1);
                *next = sets.union(ways.map(|way| ends[way]));
            }
            // What has come to its end stays as it is.
            next[going_on..].copy_from_slice(&ends[going_on..]);
            std::mem::swap(&mut ends, &mut next);
            // Once only cycles go on, the whole depends on itself alone: a state seen before begins a period.
            if going_on == endless && until == edges {
                match &seen {
                    Some((at, state)) if *state == ends[..endless] => until = taken + (edges - taken) % (taken - at),
                    Some((at, _)) if taken < at.saturating_mul(2) => {}
                    _ => seen = Some((taken, ends[..endless].to_vec())),
                }
            }
        }
        Ok(self.jobs.iter().copied().zip(ends).collect())
    }
}
