//! Sets of jobs that flow through the graph: the possible roots of a chain, the possible answers of a query.
//!
//! Input: single jobs and unions of sets. Output: a [`SetId`]; equal sets have equal ids, and a set of one job costs nothing.
//! Invariants: members are in byte order of their ids. A set keeps its first [`CAPACITY`] members and says whether there are
//! more, so that a union costs no more than the number of sets united: "one or several" is exact, a long list is cut.

use std::collections::HashMap;

use super::{Job, JobNames};

/// Members a set lists before it only says that there are more.
pub const CAPACITY: usize = 64;

/// A set of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId(u32);

impl SetId {
    /// The empty set.
    pub const EMPTY: SetId = SetId(u32::MAX);

    /// The set of one job.
    pub fn single(job: Job) -> SetId {
        SetId(job)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Members {
    jobs: Box<[Job]>,
    more: bool,
}

/// Where the sets live.
#[derive(Debug)]
pub struct CandidateSets<'a> {
    names: &'a JobNames,
    /// Sets of two and more; the set with id `names.len() + i` is `large[i]`. Smaller ids are single jobs.
    large: Vec<Members>,
    known: HashMap<Members, SetId>,
    scratch: Vec<Job>,
}

impl<'a> CandidateSets<'a> {
    /// No sets yet, over the jobs of `names`.
    pub fn new(names: &'a JobNames) -> Self {
        CandidateSets { names, large: Vec::new(), known: HashMap::new(), scratch: Vec::new() }
    }

    /// The members in byte order of their ids, cut at [`CAPACITY`].
    pub fn members<'s>(&'s self, set: &'s SetId) -> &'s [Job] {
        if *set == SetId::EMPTY {
            return &[];
        }
        match (set.0 as usize).checked_sub(self.names.len()) {
            None => std::slice::from_ref(&set.0),
            Some(index) => &self.large[index].jobs,
        }
    }

    /// The members' ids.
    pub fn names(&self, set: SetId) -> Vec<String> {
        self.members(&set).iter().map(|&job| self.names.name(job).to_owned()).collect()
    }

    /// Does the set have members beyond those listed?
    pub fn has_more(&self, set: SetId) -> bool {
        set != SetId::EMPTY
            && (set.0 as usize).checked_sub(self.names.len()).is_some_and(|index| self.large[index].more)
    }

    /// The only member, where there is exactly one.
    pub fn only(&self, set: SetId) -> Option<Job> {
        (set != SetId::EMPTY && (set.0 as usize) < self.names.len()).then_some(set.0)
    }

    /// The union of sets.
    pub fn union(&mut self, sets: impl IntoIterator<Item = SetId>) -> SetId {
        let mut sets = sets.into_iter().filter(|&set| set != SetId::EMPTY);
        let Some(first) = sets.next() else { return SetId::EMPTY };
        let Some(second) = sets.find(|&set| set != first) else { return first };
        let mut jobs = std::mem::take(&mut self.scratch);
        let mut more = self.add(&mut jobs, first);
        more |= self.add(&mut jobs, second);
        let mut last = second;
        for set in sets {
            if set != last {
                more |= self.add(&mut jobs, set);
                last = set;
            }
        }
        let set = self.intern(&jobs, more);
        jobs.clear();
        self.scratch = jobs;
        set
    }

    /// Adds a set's members to a sorted list; true where some had to be left out.
    fn add(&self, jobs: &mut Vec<Job>, set: SetId) -> bool {
        let mut more = self.has_more(set);
        for &job in self.members(&set) {
            if let Err(place) = jobs.binary_search_by(|&other| self.names.compare(other, job)) {
                if place < CAPACITY {
                    jobs.insert(place, job);
                }
                if place >= CAPACITY || jobs.len() > CAPACITY {
                    jobs.truncate(CAPACITY);
                    more = true;
                }
            }
        }
        more
    }

    fn intern(&mut self, jobs: &[Job], more: bool) -> SetId {
        if let ([only], false) = (jobs, more) {
            return SetId::single(*only);
        }
        let members = Members { jobs: jobs.into(), more };
        if let Some(&known) = self.known.get(&members) {
            return known;
        }
        let id = u32::try_from(self.names.len() + self.large.len()).expect("memory ends before the numbers do");
        self.large.push(members.clone());
        self.known.insert(members, SetId(id));
        SetId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_are_sorted_by_id_interned_and_capped() {
        let mut names = JobNames::default();
        for number in (0..200).rev() {
            names.intern(&format!("{number:03}")).expect("few ids");
        }
        let mut sets = CandidateSets::new(&names);
        assert_eq!(sets.union([]), SetId::EMPTY);
        let single = sets.union([SetId::single(7), SetId::EMPTY, SetId::single(7)]);
        assert_eq!((single, sets.only(single)), (SetId::single(7), Some(7)));
        let pair = sets.union([SetId::single(1), SetId::single(0)]);
        assert_eq!(sets.names(pair), ["198", "199"]);
        assert_eq!(sets.union([SetId::single(0), pair]), pair);
        assert_eq!((sets.only(pair), sets.has_more(pair)), (None, false));
        let many = sets.union((0..200).map(SetId::single));
        assert_eq!(sets.members(&many).len(), CAPACITY);
        assert!(sets.has_more(many));
        assert_eq!(sets.names(many)[0], "000");
        // The order of the union doesn't matter, cut or not.
        assert_eq!(sets.union((0..200).rev().map(SetId::single)), many);
    }
}
