//! A cycle that shows why a component is circular.
//!
//! Input: a circular component as a small graph of its own. Output: its members in cycle order, or a shortest cycle inside it.
//! Invariants: a cycle starts at its smallest member and follows parents; among equally short ones the smallest start wins.
//! Exact for components of any ordinary size; beyond [`SEARCH_BUDGET`] a short cycle is given that may not be the shortest.

use std::collections::VecDeque;

/// Edges looked at before the search for something shorter ends.
const SEARCH_BUDGET: usize = 50_000_000;

/// A circular component: members numbered in byte order of their ids, each with its parents inside the component, ascending.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) parents: Vec<Vec<usize>>,
}

impl Circle {
    /// Is the component nothing but one cycle?
    pub(super) fn is_simple(&self) -> bool {
        self.parents.iter().all(|parents| parents.len() == 1)
    }

    /// A shortest cycle, and whether it is certain that none is shorter. For a simple cycle: all members in order.
    pub(super) fn shortest(&self) -> (Vec<usize>, bool) {
        if self.is_simple() {
            let mut cycle = vec![0];
            let mut next = self.parents[0][0];
            while next != 0 {
                cycle.push(next);
                next = self.parents[next][0];
            }
            return (cycle, true);
        }
        let mut best: Vec<usize> = Vec::new();
        let mut budget = SEARCH_BUDGET;
        let mut via = vec![usize::MAX; self.parents.len()];
        for start in 0..self.parents.len() {
            let limit = if best.is_empty() { usize::MAX } else { best.len() - 1 };
            if limit == 0 || budget == 0 {
                break;
            }
            if let Some(cycle) = self.through(start, limit, &mut via, &mut budget) {
                best = cycle;
            }
        }
        let certain = budget > 0;
        (best, certain)
    }

    /// A shortest cycle through `start` of at most `limit` jobs. The budget can't cut off the first search: it spends the
    /// budget, and goes on until it has found one.
    fn through(&self, start: usize, limit: usize, via: &mut [usize], budget: &mut usize) -> Option<Vec<usize>> {
        let mut seen = Vec::new();
        let mut open = VecDeque::from([(start, 1)]);
        let mut found = None;
        'search: while let Some((job, length)) = open.pop_front() {
            if length > limit {
                break;
            }
            for &parent in &self.parents[job] {
                *budget = budget.saturating_sub(1);
                if parent == start {
                    let mut cycle = vec![job];
                    while let Some(&last) = cycle.last().filter(|&&last| last != start) {
                        cycle.push(via[last]);
                    }
                    cycle.reverse();
                    found = Some(cycle);
                    break 'search;
                }
                if via[parent] == usize::MAX {
                    via[parent] = job;
                    seen.push(parent);
                    open.push_back((parent, length + 1));
                }
            }
        }
        seen.into_iter().for_each(|job| via[job] = usize::MAX);
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A ring, which makes any graph one component, with chords: the length is that of the shortest closed walk.
        #[test]
        fn no_cycle_is_shorter(chords in proptest::collection::vec((0_usize..7, 0_usize..7), 0..6)) {
            let mut circle = Circle { parents: (0..7).map(|job| vec![(job + 1) % 7]).collect() };
            for (job, parent) in chords {
                if !circle.parents[job].contains(&parent) {
                    circle.parents[job].push(parent);
                    circle.parents[job].sort_unstable();
                }
            }
            let (cycle, certain) = circle.shortest();
            prop_assert!(certain);
            for (place, job) in cycle.iter().enumerate() {
                prop_assert!(circle.parents[*job].contains(&cycle[(place + 1) % cycle.len()]));
            }
            prop_assert_eq!(cycle.first(), cycle.iter().min());
            // Jobs reached in exactly `length` steps.
            let shortest = (0..7).map(|start| {
                let mut reached = vec![start];
                (1..).find(|_| {
                    reached = reached.iter().flat_map(|job| circle.parents[*job].clone()).collect();
                    reached.sort_unstable();
                    reached.dedup();
                    reached.contains(&start)
                })
            });
            prop_assert_eq!(shortest.min().flatten(), Some(cycle.len()));
        }
    }

    fn check(parents: &[&[usize]], simple: bool, shortest: &[usize]) {
        let circle = Circle { parents: parents.iter().map(|p| p.to_vec()).collect() };
        assert_eq!(circle.is_simple(), simple);
        assert_eq!(circle.shortest(), (shortest.to_vec(), true));
    }

    #[test]
    fn shortest_cycles() {
        check(&[&[0]], true, &[0]);
        check(&[&[2], &[0], &[1]], true, &[0, 2, 1]);
        // 0 -> 1 -> 2 -> 0 and 2 -> 3 -> 2
        check(&[&[1], &[2], &[0, 3], &[2]], false, &[2, 3]);
        // A member that is its own parent is the shortest of all.
        check(&[&[1], &[0, 1]], false, &[1]);
        // Two of the same length: the smaller start.
        check(&[&[1, 2], &[0], &[0]], false, &[0, 1]);
    }
}
