//! Job ids as small numbers: each distinct id is kept once.
//!
//! Input: ids in any order. Output: a [`Job`] for each distinct id, dense from 0, and the way back.
//! Invariants: ids are compared byte by byte, as PostgreSQL compares text for equality under a deterministic collation; the
//! empty string is an id like any other. Numbers follow the order of arrival, so nothing a user sees may depend on them.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use anyhow::{Result, bail};
use hashbrown::hash_table::{Entry, HashTable};

/// A job id, or an id that stands only as somebody's parent, as a number.
pub type Job = u32;

/// The distinct job ids.
#[derive(Debug, Default)]
pub struct JobNames {
    /// All ids, one behind the other.
    text: String,
    /// Where each id ends in `text`.
    ends: Vec<usize>,
    table: HashTable<Known>,
    hasher: hashbrown::DefaultHashBuilder,
}

/// An id in the table. With half of its hash beside it, a growing table and a search that passes by don't touch the text.
#[derive(Debug, Clone, Copy)]
struct Known {
    half_hash: u32,
    job: Job,
}

impl Known {
    /// The hash that places it, made of the half: the table takes its place from the low bits and its tag from the high ones.
    fn hash(self) -> u64 {
        spread(self.half_hash)
    }
}

fn spread(half_hash: u32) -> u64 {
    u64::from(half_hash) | u64::from(half_hash) << 32
}

impl JobNames {
    /// The number of an id, new or known.
    ///
    /// # Errors
    /// Beyond 4,294,967,294 distinct ids.
    pub fn intern(&mut self, name: &str) -> Result<Job> {
        let JobNames { text, ends, table, hasher } = self;
        let next = match Job::try_from(ends.len()) {
            Ok(next) if next < Job::MAX => next,
            _ => bail!("the log has more distinct job ids than can be numbered ({})", ends.len()),
        };
        let half_hash = (hasher.hash_one(name) >> 32) as u32;
        let same = |known: &Known| known.half_hash == half_hash && slice(text, ends, known.job) == name;
        match table.entry(spread(half_hash), same, |known| known.hash()) {
            Entry::Occupied(known) => Ok(known.get().job),
            Entry::Vacant(vacant) => {
                vacant.insert(Known { half_hash, job: next });
                text.push_str(name);
                ends.push(text.len());
                Ok(next)
            }
        }
    }

    /// The number of an id that is known.
    pub fn find(&self, name: &str) -> Option<Job> {
        let half_hash = (self.hasher.hash_one(name) >> 32) as u32;
        let same = |known: &Known| known.half_hash == half_hash && self.name(known.job) == name;
        self.table.find(spread(half_hash), same).map(|known| known.job)
    }

    /// The id behind a number.
    pub fn name(&self, job: Job) -> &str {
        slice(&self.text, &self.ends, job)
    }

    /// Distinct ids.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Compares two jobs by their ids' bytes.
    pub fn compare(&self, a: Job, b: Job) -> Ordering {
        if a == b { Ordering::Equal } else { self.name(a).cmp(self.name(b)) }
    }
}

fn slice<'a>(text: &'a str, ends: &[usize], job: Job) -> &'a str {
    let index = job as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &text[start..ends[index]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kept_once_and_byte_for_byte() {
        let mut names = JobNames::default();
        let ids = ["a", "A", "a ", "", "ä", "a\u{308}"];
        let jobs: Vec<Job> = ids.iter().map(|id| names.intern(id).expect("few ids")).collect();
        assert_eq!(jobs, [0, 1, 2, 3, 4, 5]);
        for (id, job) in ids.iter().zip(jobs) {
            assert_eq!(names.intern(id).expect("few ids"), job);
            assert_eq!(names.find(id), Some(job));
            assert_eq!(names.name(job), *id);
        }
        assert_eq!((names.len(), names.find("b")), (6, None));
        assert_eq!(names.compare(1, 0), Ordering::Less);
    }
}
