//! What has been found out about a table's rows, batch by batch, in parts that are joined.

use std::path::PathBuf;

use anyhow::Result;
use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use hashbrown::HashSet;
use rayon::prelude::*;

use super::{ColumnContent, Content, KeyContent, MOST_KEY_HASHES, Plan};
use crate::snapshot::digest;
use crate::snapshot::extremes::Extremes;

impl Plan {
    /// Begins to find out.
    pub fn tally(&self) -> Tally {
        Tally {
            plan: self.clone(),
            rows: 0,
            hash: 0,
            columns: self.columns.iter().map(|column| (0, Extremes::new(&column.ty))).collect(),
            keys: self.keys.iter().map(|_| Vec::new()).collect(),
            skipped: vec![0; self.keys.len()],
            too_many: false,
            scratch: Scratch::default(),
        }
    }
}

/// What has been found out so far.
pub struct Tally {
    plan: Plan,
    rows: u64,
    hash: u128,
    /// NULLs and extremes.
    columns: Vec<(u64, Extremes)>,
    /// For each key, the hashes of its rows.
    keys: Vec<Vec<u64>>,
    /// For each key, the rows that don't take part.
    skipped: Vec<u64>,
    too_many: bool,
    scratch: Scratch,
}

/// Memory that is used again for each batch.
#[derive(Default)]
struct Scratch {
    column: digest::Hashes,
    rows: Vec<u64>,
    keys: Vec<(Vec<u64>, Vec<bool>)>,
}

impl Tally {
    /// Takes the rows of a batch that has the table's columns first, in their order.
    ///
    /// # Errors
    /// For an Arrow type that no snapshot has.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.add_and(batch, |_, _| Ok(()))
    }

    /// As [`Tally::add`]; what else is to be done with each column of the batch is told its place and its values' hashes.
    ///
    /// # Errors
    /// As [`Tally::add`], and as `also` says.
    pub fn add_and(
        &mut self,
        batch: &RecordBatch,
        mut also: impl FnMut(usize, &digest::Hashes) -> Result<()>,
    ) -> Result<()> {
        let rows = batch.num_rows();
        let Scratch { column: hashes, rows: sums, keys } = &mut self.scratch;
        sums.clear();
        sums.resize(rows, 0);
        keys.resize_with(self.plan.keys.len(), Default::default);
        for (sums, complete) in keys.iter_mut() {
            sums.clear();
            sums.resize(rows, 0);
            complete.clear();
            complete.resize(rows, true);
        }
        for (place, array) in batch.columns().iter().enumerate() {
            let watched = self.plan.columns.get(place);
            digest::of_column(array, watched.map_or(0, |column| column.key), hashes)?;
            also(place, hashes)?;
            let Some((nulls, extremes)) = self.columns.get_mut(place) else { continue };
            let hashes = &hashes.values;
            for (sum, hash) in sums.iter_mut().zip(hashes) {
                *sum = sum.wrapping_add(*hash);
            }
            *nulls += array.null_count() as u64;
            extremes.add(array, hashes);
            for (key, (sums, complete)) in self.plan.keys.iter().zip(keys.iter_mut()) {
                if key.columns.contains(&place) {
                    for (row, hash) in hashes.iter().enumerate() {
                        sums[row] = sums[row].wrapping_add(*hash);
                        complete[row] &= key.nulls_are_equal || array.is_valid(row);
                    }
                }
            }
        }
        for sum in sums.iter() {
            self.hash = self.hash.wrapping_add(digest::of_row(*sum));
        }
        for (number, (sums, complete)) in keys.iter().enumerate() {
            let taking_part = sums.iter().zip(complete).filter(|(_, complete)| **complete).map(|(sum, _)| *sum);
            let before = self.keys[number].len();
            self.keys[number].extend(taking_part);
            self.skipped[number] += (rows - (self.keys[number].len() - before)) as u64;
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// What two parts hold together.
    pub fn join(&mut self, other: Tally) {
        self.rows += other.rows;
        self.hash = self.hash.wrapping_add(other.hash);
        for ((nulls, extremes), (more, others)) in self.columns.iter_mut().zip(other.columns) {
            *nulls += more;
            extremes.join(others);
        }
        for (skipped, more) in self.skipped.iter_mut().zip(other.skipped) {
            *skipped += more;
        }
        let held = |keys: &[Vec<u64>]| keys.iter().map(Vec::len).sum::<usize>();
        self.too_many |= other.too_many || held(&self.keys) + held(&other.keys) > MOST_KEY_HASHES;
        for (keys, more) in self.keys.iter_mut().zip(other.keys) {
            if self.too_many {
                *keys = Vec::new();
            } else if keys.is_empty() {
                *keys = more;
            } else {
                keys.extend(more);
            }
        }
    }

    /// The certificate of what was seen, and what must be looked at again before a key is called unique: equal hashes.
    pub(super) fn finish(self) -> (Content, Vec<HashSet<u64>>) {
        let Tally { plan, rows, hash, columns, keys, skipped, too_many, .. } = self;
        let columns = plan.columns.iter().zip(columns).map(|(column, (nulls, extremes))| {
            let shown = extremes.shown();
            ColumnContent {
                column: column.name.clone(),
                nulls,
                cut: shown.as_ref().is_some_and(|shown| shown.cut),
                min: shown.as_ref().map(|shown| shown.min.clone()),
                max: shown.map(|shown| shown.max),
            }
        });
        let suspects: Vec<HashSet<u64>> = keys.into_par_iter().map(equal_ones).collect();
        let named = plan.keys.iter().zip(&suspects).zip(skipped).map(|((key, suspects), skipped)| KeyContent {
            name: key.name.clone(),
            columns: key.columns.iter().map(|place| plan.columns[*place].name.clone()).collect(),
            rows: rows - skipped,
            unique: (!too_many).then_some(suspects.is_empty()),
        });
        let content = Content {
            algorithm: digest::ALGORITHM.to_owned(),
            hash: format!("{hash:032x}"),
            rows,
            columns: columns.collect(),
            keys: named.collect(),
        };
        (content, suspects)
    }

    /// The certificate of rows that are in `files` now.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn certify(self, files: &[PathBuf]) -> Result<Content> {
        let plan = self.plan.clone();
        let (mut content, suspects) = self.finish();
        for ((found, key), suspects) in content.keys.iter_mut().zip(plan.keys.iter()).zip(suspects) {
            // Equal hashes are nearly always equal keys: the values decide.
            if found.unique == Some(false) {
                found.unique = Some(!plan.has_equal(key, files, &|hash| suspects.contains(&hash))?);
            }
        }
        Ok(content)
    }
}

/// Those that are there more than once.
fn equal_ones(mut hashes: Vec<u64>) -> HashSet<u64> {
    hashes.par_sort_unstable();
    hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
}
