//! Files read again: is what they hold what the certificate says?

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use rayon::prelude::*;

use super::plan::Key;
use super::{Content, MOST_KEY_HASHES, Plan, Tally};
use crate::snapshot::digest;

impl Plan {
    /// Reads files again, every column of every row.
    ///
    /// # Errors
    /// When one can't be read, or lacks a column.
    pub fn read(&self, files: &[PathBuf]) -> Result<Content> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let parts = self.row_groups(files, &all)?;
        let read = |part: &RowGroup| -> Result<Tally> {
            let mut tally = self.tally();
            part.each(|batch| tally.add(batch))?;
            Ok(tally)
        };
        let join = |mut a: Tally, b: Tally| {
            a.join(b);
            Ok(a)
        };
        let tally = parts.par_iter().map(read).try_reduce(|| self.tally(), join)?;
        let mut content = tally.certify(files)?;
        for (found, key) in content.keys.iter_mut().zip(self.keys.iter()) {
            if found.unique.is_none() {
                // One slice of the hashes at a time, so that memory is bounded whatever the number of rows.
                let slices = found.rows.div_ceil(MOST_KEY_HASHES as u64 / 4).max(1);
                let mut equal = false;
                for slice in 0..slices {
                    equal = equal || self.has_equal(key, files, &|hash| hash % slices == slice)?;
                }
                found.unique = Some(!equal);
            }
        }
        Ok(content)
    }

    /// Are two rows equal in `key`, among those whose hashes are `wanted`?
    pub(super) fn has_equal(
        &self,
        key: &Key,
        files: &[PathBuf],
        wanted: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<bool> {
        let mut places = key.columns.clone();
        places.sort_unstable();
        let mut seen: HashMap<u64, Vec<String>> = HashMap::new();
        let mut equal = false;
        for part in self.row_groups(files, &places)? {
            part.each(|batch| {
                let mut hashes = vec![0u64; batch.num_rows()];
                let mut column = digest::Hashes::default();
                for (place, array) in places.iter().zip(batch.columns()) {
                    digest::of_column(array, self.columns[*place].key, &mut column)?;
                    hashes.iter_mut().zip(&column.values).for_each(|(sum, hash)| *sum = sum.wrapping_add(*hash));
                }
                let complete = |row| key.nulls_are_equal || batch.columns().iter().all(|array| array.is_valid(row));
                for (row, hash) in hashes.iter().enumerate().filter(|(row, hash)| wanted(**hash) && complete(*row)) {
                    let text = values(batch, row)?;
                    let others = seen.entry(*hash).or_default();
                    equal |= others.contains(&text);
                    others.push(text);
                }
                Ok(())
            })?;
            if equal {
                break;
            }
        }
        Ok(equal)
    }

    /// The row groups of some files, each with the columns at these places.
    fn row_groups(&self, files: &[PathBuf], places: &[usize]) -> Result<Vec<RowGroup>> {
        let mut parts = Vec::new();
        for path in files {
            let metadata = metadata(path).with_context(|| format!("reading {}", path.display()))?;
            let fields = metadata.schema().fields();
            let root = |place: &usize| -> Result<usize> {
                let name = &self.columns[*place].name;
                let found = fields.iter().position(|field| field.name() == name);
                found.with_context(|| format!("{} has no column {name}", path.display()))
            };
            let roots = places.iter().map(root).collect::<Result<Vec<usize>>>()?;
            ensure!(roots.is_sorted(), "the columns of {} are in another order", path.display());
            for group in 0..metadata.metadata().num_row_groups() {
                parts.push(RowGroup { path: path.clone(), metadata: metadata.clone(), group, roots: roots.clone() });
            }
        }
        Ok(parts)
    }
}

/// A row group that can be read.
struct RowGroup {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    group: usize,
    roots: Vec<usize>,
}

impl RowGroup {
    fn each(&self, mut take: impl FnMut(&RecordBatch) -> Result<()>) -> Result<()> {
        let mut read = || -> Result<()> {
            let file = File::open(&self.path)?;
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), self.roots.iter().copied());
            let reader =
                builder.with_projection(mask).with_row_groups(vec![self.group]).with_batch_size(8192).build()?;
            for batch in reader {
                take(&batch?)?;
            }
            Ok(())
        };
        read().with_context(|| format!("reading {}", self.path.display()))
    }
}

fn metadata(path: &PathBuf) -> Result<ArrowReaderMetadata> {
    Ok(ArrowReaderMetadata::load(&File::open(path)?, Default::default())?)
}

/// The values of a row, as a text that no other values have.
fn values(batch: &RecordBatch, row: usize) -> Result<String> {
    let mut text = String::new();
    for array in batch.columns() {
        let value = arrow::util::display::array_value_to_string(array, row)?;
        let null = array.is_null(row);
        text.push_str(&format!("{}{}:{value}", if null { 'n' } else { 'v' }, value.len()));
    }
    Ok(text)
}
