//! Row groups encoded side by side and written one after the other.
//!
//! Input: record batches, part by part, from several threads. Output: one Parquet file with the parts in their order. Invariant: the
//! file is the same however many threads encode. Left out: who decides what a part is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest, Sha256};

use super::certificate::{Plan, Tally};
use super::manifest::{DataFile, hex};
use super::writer::{ROW_GROUP_BYTES, ROW_GROUP_ROWS};

/// A file that is hashed as it is written.
pub struct HashedFile {
    file: BufWriter<File>,
    hasher: Sha256,
    size_bytes: u64,
}

impl HashedFile {
    pub(super) fn new(file: File) -> HashedFile {
        HashedFile { file: BufWriter::with_capacity(1 << 20, file), hasher: Sha256::new(), size_bytes: 0 }
    }

    /// Syncs the file; its hash (SHA-256, hexadecimal) and length in bytes.
    pub(super) fn finish(self) -> Result<(String, u64)> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        file.sync_all()?;
        Ok((hex(&self.hasher.finalize()), self.size_bytes))
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A Parquet file that takes encoded row groups.
pub struct GroupedWriter {
    pub(super) path: String,
    pub(super) shown: String,
    pub(super) schema: SchemaRef,
    pub(super) writer: SerializedFileWriter<HashedFile>,
    pub(super) factory: Arc<ArrowRowGroupWriterFactory>,
    pub(super) rows: u64,
    /// What the rows so far hold.
    pub(super) tally: Tally,
    pub(super) plan: Plan,
}

impl GroupedWriter {
    /// What threads encode parts with.
    pub fn encoders(&self) -> Encoders {
        Encoders { factory: self.factory.clone(), schema: self.schema.clone(), plan: self.plan.clone() }
    }

    /// Appends a part.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn append(&mut self, part: EncodedPart) -> Result<()> {
        let append = || -> Result<()> {
            self.tally.join(part.tally);
            for (columns, rows) in part.groups {
                let mut group = self.writer.next_row_group()?;
                for column in columns {
                    column.append_to_row_group(&mut group)?;
                }
                group.close()?;
                self.rows += rows as u64;
            }
            Ok(())
        };
        append().with_context(|| format!("writing {}", self.shown))
    }

    /// Writes the footer, syncs the file and returns its manifest entry with what its rows hold.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<(DataFile, Tally)> {
        let finish = || -> Result<(String, u64)> { self.writer.into_inner()?.finish() };
        let (sha256, size_bytes) = finish().with_context(|| format!("writing {}", self.shown))?;
        Ok((DataFile { path: self.path, rows: self.rows, size_bytes, sha256 }, self.tally))
    }
}

/// Makes encoders for a file's parts.
#[derive(Clone)]
pub struct Encoders {
    factory: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    plan: Plan,
}

impl Encoders {
    /// The Arrow schema batches must have.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// An encoder for one part.
    pub fn encoder(&self) -> GroupEncoder {
        GroupEncoder { encoders: self.clone(), open: None, done: Vec::new(), tally: self.plan.tally() }
    }
}

/// A part, encoded and compressed.
pub struct EncodedPart {
    /// Its row groups: each its columns and rows.
    groups: Vec<(Vec<ArrowColumnChunk>, usize)>,
    /// What its rows hold.
    tally: Tally,
}

/// Encodes the batches of one part.
pub struct GroupEncoder {
    encoders: Encoders,
    open: Option<OpenGroup>,
    done: Vec<(Vec<ArrowColumnChunk>, usize)>,
    tally: Tally,
}

struct OpenGroup {
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
}

impl GroupEncoder {
    /// Encodes a batch. A part whose rows turn out more or larger than was thought becomes several row groups.
    ///
    /// # Errors
    /// When the batch has another schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.tally.add(batch)?;
        let mut group = match self.open.take() {
            Some(group) => group,
            None => OpenGroup { columns: self.encoders.factory.create_column_writers(self.done.len())?, rows: 0 },
        };
        let mut columns = group.columns.iter_mut();
        for (field, array) in self.encoders.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, array)? {
                columns.next().context("a batch has more columns than its schema")?.write(&leaf)?;
            }
        }
        group.rows += batch.num_rows();
        let bytes: usize = group.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum();
        let full = group.rows + batch.num_rows() > 2 * ROW_GROUP_ROWS || bytes > ROW_GROUP_BYTES;
        self.open = Some(group);
        if full { self.close() } else { Ok(()) }
    }

    /// The part.
    ///
    /// # Errors
    /// When a column can't be encoded.
    pub fn finish(mut self) -> Result<EncodedPart> {
        self.close()?;
        Ok(EncodedPart { groups: self.done, tally: self.tally })
    }

    fn close(&mut self) -> Result<()> {
        if let Some(group) = self.open.take() {
            let columns = group.columns.into_iter().map(ArrowColumnWriter::close).collect::<Result<_, _>>()?;
            self.done.push((columns, group.rows));
        }
        Ok(())
    }
}
