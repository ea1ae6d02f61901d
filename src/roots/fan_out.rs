//! The fan-out: how many rows the recursive query makes on the server.
//!
//! Input: the walks of a variant. Output: the exact number of rows of its recursive common table expression, base rows included.
//! The join is on a `job_id` that isn't unique, so a chain row meets every row of the parent job: k rows a job give about
//! k^depth rows. Counted here over (job, parent) pairs with their multiplicity, never enumerated. Invariant: exact up to
//! [`u64::MAX`], which stands for "that many or more".

use anyhow::Result;

use super::climb::{Climb, Variant};
use super::oracle::ENDLESS;
use crate::job_graph::Job;
use crate::ui;

/// Rows of the recursive query.
///
/// # Errors
/// When the user interrupts.
pub fn rows(climb: &Climb<'_>) -> Result<u64> {
    let below = descendants(climb)?;
    let mut total: u128 = 0;
    for class in climb.graph.classes() {
        if let Some(parent) = class.parent {
            let each = below[parent as usize].saturating_add(1);
            total = total.saturating_add(u128::from(class.rows).saturating_mul(each));
        }
    }
    Ok(u64::try_from(total).unwrap_or(u64::MAX))
}

/// For each job, the rows that one chain row carrying it brings forth within the limit.
fn descendants(climb: &Climb<'_>) -> Result<Vec<u128>> {
    let graph = climb.graph;
    let mut below = vec![0_u128; graph.len()];
    let steps = climb.variant.steps(climb.depth_limit);
    if steps == 0 {
        return Ok(below);
    }
    for &job in graph.components.ancestors_first() {
        if !endless(climb, job) {
            below[job as usize] =
                step(climb, job).fold(own_rows(climb, job), |sum, (p, n)| add(sum, n, below[p as usize]));
        }
    }
    let mut place = vec![u32::MAX; if climb.cut_families.is_empty() { 0 } else { graph.len() }];
    for family in &climb.cut_families {
        let growth = Growth::new(climb, family, &mut place);
        for (job, rows) in growth.after(steps)? {
            below[job as usize] = rows;
        }
    }
    Ok(below)
}

fn endless(climb: &Climb<'_>, job: Job) -> bool {
    climb.height(job) == ENDLESS
}

/// Rows that the join finds for a job, in one step.
fn own_rows(climb: &Climb<'_>, job: Job) -> u128 {
    let only_children = climb.variant != Variant::Applied;
    let classes = climb.graph.classes_of(job).iter().filter(|class| !only_children || class.parent.is_some());
    classes.map(|class| u128::from(class.rows)).sum()
}

/// The parents those rows carry on, with their multiplicity.
fn step<'c>(climb: &'c Climb<'_>, job: Job) -> impl Iterator<Item = (Job, u64)> + 'c {
    climb.graph.classes_of(job).iter().filter_map(|class| class.parent.map(|parent| (parent, class.rows)))
}

fn add(sum: u128, times: u64, each: u128) -> u128 {
    sum.saturating_add(u128::from(times).saturating_mul(each))
}

/// The growth within one family whose walks are cut by the limit.
struct Growth {
    jobs: Vec<Job>,
    /// Steps after which a job brings forth nothing new; [`ENDLESS`] on a cycle or below one.
    settled_after: Vec<u32>,
    own: Vec<u128>,
    ways: Vec<Vec<(u32, u64)>>,
}

impl Growth {
    fn new(climb: &Climb<'_>, family: &[Job], place: &mut [u32]) -> Growth {
        let mut jobs = family.to_vec();
        jobs.sort_unstable_by_key(|&job| (std::cmp::Reverse(climb.height(job)), job));
        jobs.iter().enumerate().for_each(|(index, &job)| place[job as usize] = index as u32);
        let ways = |job: Job| {
            // Parents outside the family are those that can't be visited: no row joins them.
            let inside = step(climb, job).filter(|(parent, _)| climb.variant.visits(climb.graph, *parent));
            inside.map(|(parent, rows)| (place[parent as usize], rows)).collect()
        };
        Growth {
            settled_after: jobs.iter().map(|&job| climb.height(job).saturating_add(1)).collect(),
            own: jobs.iter().map(|&job| own_rows(climb, job)).collect(),
            ways: jobs.iter().map(|&job| ways(job)).collect(),
            jobs,
        }
    }

    /// Rows that each job brings forth within `steps` steps.
    fn after(&self, steps: u32) -> Result<Vec<(Job, u128)>> {
        let mut rows = vec![0_u128; self.jobs.len()];
        let mut next = rows.clone();
        let endless = self.settled_after.partition_point(|&height| height == ENDLESS);
        let mut seen: Option<Seen> = None;
        let mut period: Option<Period> = None;
        let (mut taken, mut until) = (0, steps);
        while taken < until {
            taken += 1;
            if taken % 1024 == 0 {
                ui::check_interrupt()?;
            }
            let growing = self.settled_after.partition_point(|&settled| settled >= taken);
            for ((next, ways), own) in next[..growing].iter_mut().zip(&self.ways).zip(&self.own) {
                *next = ways.iter().fold(*own, |sum, &(way, times)| add(sum, times, rows[way as usize]));
            }
            next[growing..].copy_from_slice(&rows[growing..]);
            std::mem::swap(&mut rows, &mut next);
            if growing == endless && period.is_none() {
                // Once only cycles grow, each increase follows from the last: increases seen before begin a period, and each
                // later period adds what the first did. (What has reached the end of u128 increases by 0 for good.)
                let increase: Vec<u128> = (0..endless).map(|job| rows[job] - next[job]).collect();
                match &seen {
                    Some(seen) if seen.increase == increase => {
                        let length = taken - seen.at;
                        until = taken + (steps - taken) % length;
                        let gain = (0..endless).map(|job| rows[job] - seen.rows[job]).collect();
                        period = Some(Period { gain, times: (steps - taken) / length });
                    }
                    Some(seen) if taken < seen.at.saturating_mul(2) => {}
                    _ => seen = Some(Seen { at: taken, increase, rows: rows[..endless].to_vec() }),
                }
            }
        }
        if let Some(Period { gain, times }) = period {
            for (rows, gain) in rows.iter_mut().zip(gain) {
                *rows = rows.saturating_add(gain.saturating_mul(u128::from(times)));
            }
        }
        Ok(self.jobs.iter().copied().zip(rows).collect())
    }
}

struct Seen {
    at: u32,
    increase: Vec<u128>,
    rows: Vec<u128>,
}

struct Period {
    gain: Vec<u128>,
    times: u32,
}
