//! Which edges to cut so that a component is no longer circular.
//!
//! Input: the edges of a component with the age of their youngest row. Output: the edges to cut, in the order they are chosen.
//! Rule: the youngest edge of what is still circular goes first, because the job that came last most likely named its parent
//! wrongly. Invariants: afterwards nothing is circular; never executed here. Left out: whether the cut parent was the true one.

use crate::job_graph::{Components, Job};

/// Jobs and edges looked at before the rest is cut in one go.
const SEARCH_BUDGET: usize = 20_000_000;

/// An edge inside a circular component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// The job, numbered within the component.
    pub(super) job: Job,
    /// Its parent, likewise.
    pub(super) parent: Job,
    /// Greater for a younger one; no two are equal.
    pub(super) age: u64,
}

/// The places of the edges to cut.
pub(super) fn cuts(jobs: usize, edges: &[Edge]) -> Vec<usize> {
    let mut cut = Vec::new();
    let mut kept: Vec<usize> = (0..edges.len()).collect();
    let mut spent = 0;
    loop {
        spent += jobs + kept.len();
        let mut parents: Vec<Vec<Job>> = vec![Vec::new(); jobs];
        kept.iter().for_each(|&edge| parents[edges[edge].job as usize].push(edges[edge].parent));
        let components = Components::find(jobs, |job| &parents[job as usize]);
        let circular = |edge: &Edge| {
            let component = components.of(edge.job);
            (components.is_circular(component) && component == components.of(edge.parent)).then_some(component)
        };
        let mut youngest: Vec<Option<usize>> = vec![None; components.len()];
        for &edge in &kept {
            let Some(component) = circular(&edges[edge]) else { continue };
            if youngest[component].is_none_or(|other| edges[other].age < edges[edge].age) {
                youngest[component] = Some(edge);
            }
        }
        let mut chosen: Vec<usize> = youngest.into_iter().flatten().collect();
        if chosen.is_empty() {
            return cut;
        }
        if spent > SEARCH_BUDGET {
            // Edges that go from a smaller number to a larger or the same: without them nothing can come back.
            chosen = kept
                .iter()
                .copied()
                .filter(|&e| circular(&edges[e]).is_some() && edges[e].job <= edges[e].parent)
                .collect();
        }
        chosen.sort_unstable_by_key(|&edge| std::cmp::Reverse(edges[edge].age));
        kept.retain(|edge| !chosen.contains(edge));
        cut.extend(chosen);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_circular_afterwards(drawn in proptest::collection::btree_set((0_u32..8, 0_u32..8), 0..30)) {
            let edges: Vec<Edge> =
                drawn.into_iter().enumerate().map(|(age, (job, parent))| Edge { job, parent, age: age as u64 }).collect();
            let cut = cuts(8, &edges);
            let mut parents: Vec<Vec<Job>> = vec![Vec::new(); 8];
            for (_, edge) in edges.iter().enumerate().filter(|(index, _)| !cut.contains(index)) {
                parents[edge.job as usize].push(edge.parent);
            }
            prop_assert_eq!(Components::find(8, |job| &parents[job as usize]).circular().next(), None);
            // The last cut was needed: with it back, something is circular again.
            if let Some(&last) = cut.last() {
                parents[edges[last].job as usize].push(edges[last].parent);
                prop_assert!(Components::find(8, |job| &parents[job as usize]).circular().next().is_some());
            }
        }
    }

    fn check(jobs: usize, edges: &[(Job, Job)], expected: &[usize]) {
        let edges: Vec<Edge> =
            edges.iter().enumerate().map(|(age, &(job, parent))| Edge { job, parent, age: age as u64 }).collect();
        assert_eq!(cuts(jobs, &edges), expected);
    }

    #[test]
    fn the_youngest_edge_goes_first() {
        check(1, &[(0, 0)], &[0]);
        check(2, &[(0, 1), (1, 0)], &[1]);
        // Two cycles that share job 0: one cut each, the younger one first.
        check(3, &[(0, 1), (1, 0), (0, 2), (2, 0)], &[3, 1]);
        // The youngest edge lies on both cycles: one cut is enough.
        check(3, &[(1, 0), (2, 0), (1, 2), (0, 1)], &[3]);
        check(2, &[(0, 1)], &[]);
    }
}
