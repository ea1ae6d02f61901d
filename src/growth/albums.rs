//! How many rows does an album have?
//!
//! Input: the view `log`. Output: [`Albums`], the distribution of rows per album and an interval for its mean.
//! A row belongs to the album it names (`album_id`, or `entity_id` of an ALBUM row); else to the album its job names, else to the
//! one its parent job names, else its root job. Jobs that name two albums place no row. Linear in rows: deeper descendants that
//! name no album count as other rows, unless a root job id leads them home.
//!
//! Invariant: `album_rows + other_rows` are all rows; the same rows give the same interval (the generator has a fixed seed).

use anyhow::{Context, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::query::{self, quote_identifier};
use crate::snapshot::{LogColumns, OpenTable, Snapshot};

/// Draws of the bootstrap at most; each resamples all albums.
const RESAMPLES: usize = 1000;
/// Albums drawn in all at most: with more albums than this divided by [`RESAMPLES`] fewer resamples do, their mean hardly varies.
const DRAWS: usize = 20_000_000;

/// Rows per album.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Albums {
    /// Albums that at least one row belongs to.
    pub albums: u64,
    /// Rows that belong to an album.
    pub album_rows: u64,
    /// Rows that belong to none.
    pub other_rows: u64,
    /// Median rows of an album.
    pub p50: u64,
    /// 90th percentile (nearest rank).
    pub p90: u64,
    /// 99th percentile (nearest rank).
    pub p99: u64,
    /// Most rows of an album.
    pub max: u64,
    /// Low end of the 95 % interval of the mean.
    pub mean_low: f64,
    /// High end of the 95 % interval of the mean.
    pub mean_high: f64,
}

impl Albums {
    /// Mean rows of an album.
    pub fn mean(&self) -> f64 {
        self.album_rows as f64 / self.albums as f64
    }

    /// Other rows for each album.
    pub fn other_per_album(&self) -> f64 {
        self.other_rows as f64 / self.albums as f64
    }
}

/// Why there are no figures per album, or `None` where there can be.
pub fn missing(columns: &LogColumns) -> Option<&'static str> {
    let by_entity = columns.has("entity_type") && columns.has("entity_id");
    (!columns.has("album_id") && !by_entity).then_some("album_id, or entity_type and entity_id")
}

/// Counts rows per album; `None` where no row names an album.
///
/// # Errors
/// When the engine refuses the query.
pub fn measure(snapshot: &Snapshot, table: &OpenTable, columns: &LogColumns, rows: u64) -> Result<Option<Albums>> {
    let mut selected = vec![if columns.has("entity_type") { "entity_type" } else { "NULL AS entity_type" }.to_owned()];
    selected.extend(comparable(table, columns, &["album_id", "entity_id"]));
    selected.extend(comparable(table, columns, &["job_id", "parent_job_id", "root_job_id"]));
    snapshot
        .connection()
        .execute_batch(&format!("CREATE OR REPLACE TEMP VIEW album_log AS SELECT {} FROM log", selected.join(", ")))
        .context("reading the columns that name albums and jobs")?;
    let histogram = query::GROWTH_ROWS_PER_ALBUM.fetch(snapshot.connection(), [], |row| {
        Ok((row.get::<_, i64>("rows_of_album")?.unsigned_abs(), row.get::<_, i64>("albums")?.unsigned_abs()))
    })?;
    Ok(summarize(&histogram, rows))
}

/// Selects columns that hold the same ids, so that they compare: as they are where their types agree, else all as text. One that
/// the table lacks is NULL.
fn comparable(table: &OpenTable, columns: &LogColumns, names: &[&str]) -> Vec<String> {
    let type_of = |name: &str| {
        let actual = columns.actual(name)?;
        table.columns.iter().find(|(column, _)| column == actual).map(|(_, ty)| ty.as_str())
    };
    let mut types: Vec<&str> = names.iter().filter_map(|name| type_of(name)).collect();
    types.dedup();
    let common = if let [only] = types.as_slice() { only } else { "VARCHAR" };
    let select = |name: &&str| match type_of(name) {
        Some(ty) if ty == common => quote_identifier(name),
        Some(_) => format!("{0}::{common} AS {0}", quote_identifier(name)),
        None => format!("NULL::{common} AS {}", quote_identifier(name)),
    };
    names.iter().map(select).collect()
}

/// `histogram`: rows of an album, albums that have so many; ascending.
fn summarize(histogram: &[(u64, u64)], rows: u64) -> Option<Albums> {
    let albums: u64 = histogram.iter().map(|(_, albums)| albums).sum();
    let album_rows: u64 = histogram.iter().map(|(rows, albums)| rows * albums).sum();
    let max = histogram.last()?.0;
    let (mean_low, mean_high) = mean_interval(histogram, albums);
    Some(Albums {
        albums,
        album_rows,
        other_rows: rows.saturating_sub(album_rows),
        p50: percentile(histogram, albums, 0.5),
        p90: percentile(histogram, albums, 0.9),
        p99: percentile(histogram, albums, 0.99),
        max,
        mean_low,
        mean_high,
    })
}

fn percentile(histogram: &[(u64, u64)], albums: u64, level: f64) -> u64 {
    let rank = (level * albums as f64).ceil() as u64;
    let mut seen = 0;
    for (rows, count) in histogram {
        seen += count;
        if seen >= rank {
            return *rows;
        }
    }
    0
}

/// The 95 % percentile interval of the mean: albums drawn with replacement, again and again.
fn mean_interval(histogram: &[(u64, u64)], albums: u64) -> (f64, f64) {
    let rows_of: Vec<u32> = histogram
        .iter()
        .flat_map(|(rows, count)| std::iter::repeat_n(u32::try_from(*rows).unwrap_or(u32::MAX), *count as usize))
        .collect();
    let resamples = (DRAWS / rows_of.len().max(1)).clamp(100, RESAMPLES);
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let sum: u64 =
                (0..rows_of.len()).map(|_| u64::from(rows_of[generator.random_range(0..rows_of.len())])).sum();
            sum as f64 / albums as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |level: f64| means[((level * resamples as f64) as usize).min(resamples - 1)];
    (at(0.025), at(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_rows_that_albums_have() {
        let albums = summarize(&[(1, 50), (2, 40), (9, 9), (100, 1)], 400).expect("albums");
        assert_eq!((albums.albums, albums.album_rows, albums.other_rows), (100, 311, 89));
        assert_eq!((albums.p50, albums.p90, albums.p99, albums.max), (1, 2, 9, 100));
        assert!((albums.mean() - 3.11).abs() < 1e-9);
    }

    #[test]
    fn the_interval_holds_the_mean_and_is_the_same_each_time() {
        let histogram = [(1, 500), (2, 400), (20, 100)];
        let first = summarize(&histogram, 5000).expect("albums");
        assert!(first.mean_low < first.mean() && first.mean() < first.mean_high);
        // The standard error is 0.18: the interval is about four of them wide.
        assert!((first.mean_high - first.mean_low - 4.0 * 0.178).abs() < 0.15, "{first:?}");
        assert_eq!(summarize(&histogram, 5000), Some(first));
    }

    #[test]
    fn albums_that_are_all_alike_have_no_interval() {
        let albums = summarize(&[(9, 1000)], 9000).expect("albums");
        assert_eq!((albums.mean_low, albums.mean_high), (9.0, 9.0));
        assert_eq!(summarize(&[], 10), None);
    }
}
