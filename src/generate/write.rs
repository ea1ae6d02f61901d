//! Writing an archive: chunks of albums made on all cores, merged by time, written batch by batch.
//!
//! Input: an [`Archive`]. Output: a snapshot folder and a [`GenerateReport`]. Invariants: rows are written by `created_at`; the bytes
//! don't depend on the number of threads; memory is bounded by a few chunks, whatever the archive's size; a failure or Ctrl-C leaves
//! nothing behind.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Result, anyhow};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::archive::{Archive, Defect, Pathologies};
use super::batch::{self, BatchBuilder};
use super::shape::{self, Row};
use crate::report::{Block, Cell, Finding, Report, Table, View};
use crate::snapshot::manifest::{self, Manifest, Source};
use crate::snapshot::writer::{SnapshotWriter, TableWriter};
use crate::ui::{check_interrupt, hinted};

/// Albums that are made at once: some 18,000 rows.
const CHUNK_ALBUMS: u64 = 2_048;
/// Rows of a batch.
const BATCH_ROWS: usize = 65_536;

/// What to make.
#[derive(Debug, Clone)]
pub struct Options {
    /// Albums; each writes about nine rows.
    pub albums: u64,
    /// The same seed makes the same archive.
    pub seed: u64,
    /// How many chains have a defect.
    pub pathologies: Pathologies,
    /// The folder to create.
    pub out: PathBuf,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GenerateReport {
    /// The folder.
    pub out: String,
    /// Albums asked for.
    pub albums: u64,
    /// The seed.
    pub seed: u64,
    /// Rows written.
    pub rows: u64,
    /// Parquet files.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// `created_at` of the first row (RFC 3339).
    pub first_at: String,
    /// `created_at` of the last row (RFC 3339).
    pub last_at: String,
    /// Defects that were put in, by kind; empty where every chain is sound.
    pub pathologies: Vec<PathologyCount>,
    /// How to make the same again.
    pub command: String,
}

/// How often a defect was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PathologyCount {
    /// The defect.
    pub kind: Defect,
    /// Albums whose chain has it.
    pub albums: u64,
}

/// Makes the archive and writes it; `progress` hears how many albums are done. Returns the manifest beside the report.
///
/// # Errors
/// No albums asked for, the folder exists, the disk is full, or the user interrupts: nothing is left behind.
pub fn write(options: &Options, progress: impl Fn(u64)) -> Result<(GenerateReport, Manifest)> {
    if options.albums == 0 {
        return Err(hinted(
            anyhow!("--albums 0 would make an empty archive"),
            "ask for at least one album; each writes about nine rows",
        ));
    }
    let archive = Archive::new(options.seed, options.albums, options.pathologies);
    let snapshot = SnapshotWriter::create(&options.out)?;
    let file = snapshot.table_file(&format!("{}.parquet", shape::TABLE), &shape::columns(), &batch::types())?;
    let mut merge = Merge::new(file)?;
    let albums = options.albums;
    std::thread::scope(|scope| {
        let (sender, chunks) = sync_channel(2);
        let archive = &archive;
        scope.spawn(move || make_chunks(archive, albums, &sender));
        // The receiver is dropped at the end of this block, error or not: the maker then stops.
        take_chunks(archive, chunks, &mut merge, albums, &progress)
    })?;
    let (first_us, last_us) = (merge.first_us, merge.last_us);
    let file = merge.finish()?;
    let command = command(options);
    let manifest = snapshot.publish(Manifest {
        format_version: manifest::FORMAT_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        id: String::new(),
        captured_at: super::rfc3339(last_us),
        source: Source::Synthetic { description: command.clone() },
        enums: shape::enums(),
        masking: None,
        tables: vec![shape::table(file.rows, vec![file.clone()], None)],
    })?;
    let report = GenerateReport {
        out: options.out.display().to_string(),
        albums,
        seed: options.seed,
        rows: file.rows,
        files: 1,
        file_bytes: file.size_bytes,
        first_at: super::rfc3339(first_us),
        last_at: super::rfc3339(last_us),
        pathologies: count_defects(&archive, albums),
        command,
    };
    Ok((report, manifest))
}

fn command(options: &Options) -> String {
    let Options { albums, seed, pathologies, .. } = options;
    format!("rehearsal generate --albums {albums} --seed {seed} --pathologies {}", pathologies.as_str())
}

fn count_defects(archive: &Archive, albums: u64) -> Vec<PathologyCount> {
    let mut counts: BTreeMap<Defect, u64> = BTreeMap::new();
    for defect in (0..albums).filter_map(|album| archive.defect(album)) {
        *counts.entry(defect).or_default() += 1;
    }
    counts.into_iter().map(|(kind, albums)| PathologyCount { kind, albums }).collect()
}

/// The albums of chunk `number`.
fn chunk(number: u64, albums: u64) -> Range<u64> {
    number * CHUNK_ALBUMS..((number + 1) * CHUNK_ALBUMS).min(albums)
}

/// Makes chunks in order, several at a time, until all are made or nobody takes them any more.
fn make_chunks(archive: &Archive, albums: u64, sender: &SyncSender<Vec<Row>>) {
    let chunks = albums.div_ceil(CHUNK_ALBUMS);
    let at_once = rayon::current_num_threads() as u64;
    let mut first = 0;
    while first < chunks {
        let last = (first + at_once).min(chunks);
        let made: Vec<Vec<Row>> = (first..last)
            .into_par_iter()
            .map(|number| {
                let mut rows = Vec::with_capacity(CHUNK_ALBUMS as usize * 10);
                for album in chunk(number, albums) {
                    archive.append_rows(album, &mut rows);
                }
                rows.sort_by_key(|row| row.created_at_us);
                rows
            })
            .collect();
        for rows in made {
            if sender.send(rows).is_err() {
                return;
            }
        }
        first = last;
    }
}

fn take_chunks(
    archive: &Archive,
    chunks: Receiver<Vec<Row>>,
    merge: &mut Merge,
    albums: u64,
    progress: &impl Fn(u64),
) -> Result<()> {
    for (number, rows) in (0..).zip(chunks) {
        check_interrupt()?;
        let next = chunk(number, albums).end;
        let final_before_us = if next == albums { i64::MAX } else { archive.not_before_us(next) };
        merge.take(rows, final_before_us)?;
        progress(next);
    }
    Ok(())
}

/// Joins chunks by time. A chunk's last rows are later than the next chunk's first ones, so they wait.
struct Merge {
    file: TableWriter,
    batch: BatchBuilder,
    waiting: Vec<Row>,
    first_us: i64,
    last_us: i64,
}

impl Merge {
    fn new(file: TableWriter) -> Result<Self> {
        let batch = BatchBuilder::new(BATCH_ROWS)?;
        Ok(Merge { file, batch, waiting: Vec::new(), first_us: i64::MAX, last_us: i64::MIN })
    }

    /// Writes all rows before `final_before_us`, of which no more will come, and keeps the rest.
    fn take(&mut self, rows: Vec<Row>, final_before_us: i64) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting).into_iter().peekable();
        let mut rows = rows.into_iter().peekable();
        loop {
            // Of equal times, the row that has waited longer goes first.
            let earlier = match (waiting.peek(), rows.peek()) {
                (Some(old), Some(new)) if old.created_at_us <= new.created_at_us => waiting.next(),
                (Some(_), None) => waiting.next(),
                _ => rows.next(),
            };
            match earlier {
                None => return Ok(()),
                Some(row) if row.created_at_us >= final_before_us => self.waiting.push(row),
                Some(row) => self.write(&row)?,
            }
        }
    }

    fn write(&mut self, row: &Row) -> Result<()> {
        self.first_us = self.first_us.min(row.created_at_us);
        self.last_us = self.last_us.max(row.created_at_us);
        self.batch.push(row)?;
        if self.batch.len() == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let batch = self.batch.finish()?;
        self.file.write(&batch)
    }

    fn finish(mut self) -> Result<manifest::DataFile> {
        if !self.batch.is_empty() {
            self.flush()?;
        }
        self.file.finish()
    }
}

impl Report for GenerateReport {
    fn name(&self) -> &'static str {
        "generate"
    }

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn result(&self) -> Result<Value> {
        Ok(serde_json::to_value(self)?)
    }

    fn view(&self) -> View {
        let count = crate::render::count;
        let headline = format!(
            "{} rows about {} albums in {}, all of them made up",
            count(self.rows),
            count(self.albums),
            self.out
        );
        let facts = vec![
            ("rows an album".to_owned(), Cell::Number(self.rows as f64 / self.albums as f64, 2)),
            ("first row".to_owned(), self.first_at.as_str().into()),
            ("last row".to_owned(), self.last_at.as_str().into()),
            ("Parquet files".to_owned(), self.files.into()),
            ("size".to_owned(), Cell::Bytes(self.file_bytes)),
            ("to make it again".to_owned(), self.command.as_str().into()),
        ];
        let mut blocks = vec![Block::Facts(facts)];
        if self.pathologies.is_empty() {
            blocks.push(Block::Note("Every chain is sound: no defect was put in.".to_owned()));
        } else {
            let mut table = Table::new("Defects put in", &["defect", "albums", "what it is"]);
            for count in &self.pathologies {
                let name = serde_json::to_value(count.kind).ok().and_then(|v| v.as_str().map(str::to_owned));
                table.push(vec![name.into(), count.albums.into(), count.kind.describe().into()]);
            }
            blocks.push(Block::Table(table));
        }
        View { title: "Synthetic archive".to_owned(), headline: vec![headline], blocks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_all_albums_once() {
        let albums = CHUNK_ALBUMS * 2 + 5;
        let covered: Vec<u64> = (0..albums.div_ceil(CHUNK_ALBUMS)).flat_map(|number| chunk(number, albums)).collect();
        assert!(covered.iter().copied().eq(0..albums));
    }
}
