//! Strongly connected components of the jobs, and which of them are circular.
//!
//! Input: for each job its distinct parents. Output: [`Components`], in an order in which a job's parents come before the job
//! wherever no cycle forbids it, so that one pass over it computes anything that flows from ancestors to descendants.
//! Invariants: Tarjan's algorithm with a stack of its own, so a chain of any length is fine; linear in jobs and edges.

use super::Job;

/// The strongly connected components, ancestors first.
#[derive(Debug, Default)]
pub struct Components {
    /// Component of each job.
    of_job: Vec<u32>,
    /// All jobs, component by component.
    order: Vec<Job>,
    /// Where each component begins in `order`, and the end.
    starts: Vec<u32>,
    /// Is the component circular: several jobs, or one that is its own parent?
    circular: Vec<bool>,
}

const UNSEEN: u32 = u32::MAX;

impl Components {
    /// Finds the components. `parents(job)` lists the distinct parents of each of the jobs `0..jobs`.
    pub fn find<'a>(jobs: usize, parents: impl Fn(Job) -> &'a [Job]) -> Components {
        let mut found = Components {
            of_job: vec![UNSEEN; jobs],
            order: Vec::with_capacity(jobs),
            starts: vec![0],
            circular: Vec::new(),
        };
        // The smallest index each job is known to reach; UNSEEN before the first visit.
        let mut low = vec![UNSEEN; jobs];
        let mut next_index = 0;
        let mut open: Vec<Job> = Vec::new();
        let mut path: Vec<Frame> = Vec::new();
        for start in 0..jobs as Job {
            if low[start as usize] != UNSEEN {
                continue;
            }
            path.push(Frame { job: start, next_parent: 0, index: next_index });
            low[start as usize] = next_index;
            next_index += 1;
            open.push(start);
            while let Some(frame) = path.last_mut() {
                let job = frame.job as usize;
                if let Some(&parent) = parents(frame.job).get(frame.next_parent) {
                    frame.next_parent += 1;
                    if low[parent as usize] == UNSEEN {
                        path.push(Frame { job: parent, next_parent: 0, index: next_index });
                        low[parent as usize] = next_index;
                        next_index += 1;
                        open.push(parent);
                    } else if found.of_job[parent as usize] == UNSEEN {
                        low[job] = low[job].min(low[parent as usize]);
                    }
                    continue;
                }
                let (job, index) = (frame.job, frame.index);
                path.pop();
                if low[job as usize] == index {
                    found.close(job, &mut open, &parents);
                }
                if let Some(child) = path.last() {
                    low[child.job as usize] = low[child.job as usize].min(low[job as usize]);
                }
            }
        }
        found
    }

    /// Takes the component that `first` opened off the stack.
    fn close<'a>(&mut self, first: Job, open: &mut Vec<Job>, parents: &impl Fn(Job) -> &'a [Job]) {
        let component = self.circular.len() as u32;
        let begin = self.order.len();
        while let Some(member) = open.pop() {
            self.of_job[member as usize] = component;
            self.order.push(member);
            if member == first {
                break;
            }
        }
        self.circular.push(self.order.len() - begin > 1 || parents(first).contains(&first));
        self.starts.push(self.order.len() as u32);
    }

    /// Number of components.
    pub fn len(&self) -> usize {
        self.circular.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.circular.is_empty()
    }

    /// The jobs of a component, in no particular order.
    pub fn members(&self, component: usize) -> &[Job] {
        &self.order[self.starts[component] as usize..self.starts[component + 1] as usize]
    }

    /// The component a job is in.
    pub fn of(&self, job: Job) -> usize {
        self.of_job[job as usize] as usize
    }

    /// Is the component circular?
    pub fn is_circular(&self, component: usize) -> bool {
        self.circular[component]
    }

    /// Is the job on a cycle?
    pub fn on_cycle(&self, job: Job) -> bool {
        self.circular[self.of(job)]
    }

    /// All jobs; a job's parents come before it, except where both are in one circular component.
    pub fn ancestors_first(&self) -> &[Job] {
        &self.order
    }

    /// The circular components, ascending.
    pub fn circular(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(|&component| self.circular[component])
    }
}

struct Frame {
    job: Job,
    next_parent: usize,
    index: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Components as sorted lists, circular ones marked, sorted.
    fn check(parents: &[&[Job]], expected: &[(&[Job], bool)]) {
        let found = Components::find(parents.len(), |job| parents[job as usize]);
        let mut actual: Vec<(Vec<Job>, bool)> = (0..found.len())
            .map(|c| {
                let mut members = found.members(c).to_vec();
                members.sort_unstable();
                (members, found.is_circular(c))
            })
            .collect();
        actual.sort();
        let expected: Vec<(Vec<Job>, bool)> = expected.iter().map(|(m, c)| (m.to_vec(), *c)).collect();
        assert_eq!(actual, expected);
        let position = |job: Job| found.ancestors_first().iter().position(|&j| j == job).expect("every job is there");
        for (job, parents) in parents.iter().enumerate() {
            for &parent in *parents {
                let ordered = position(parent) < position(job as Job) || found.of(parent) == found.of(job as Job);
                assert!(ordered, "{parent} before {job}");
            }
        }
    }

    #[test]
    fn finds_components_and_orders_them() {
        check(&[], &[]);
        check(&[&[1], &[2], &[]], &[(&[0], false), (&[1], false), (&[2], false)]);
        check(&[&[0]], &[(&[0], true)]);
        check(&[&[1], &[0], &[0]], &[(&[0, 1], true), (&[2], false)]);
        // Two cycles that share job 0, a tail into them, and a way out.
        check(&[&[1, 2], &[0], &[3], &[0, 5], &[2], &[]], &[(&[0, 1, 2, 3], true), (&[4], false), (&[5], false)]);
    }

    #[test]
    fn a_chain_of_a_million_jobs_needs_no_deep_stack() {
        let jobs = 1_000_000;
        let parents: Vec<[Job; 1]> = (0..jobs as Job).map(|job| [(job + 1) % jobs as Job]).collect();
        let found = Components::find(jobs, |job| &parents[job as usize]);
        assert_eq!((found.len(), found.is_circular(0)), (1, true));
    }
}
