//! Writing a snapshot: Parquet files under a temporary name, the manifest last, then one rename.
//!
//! Input: Arrow record batches in row order. Output: a folder that either is a whole snapshot or doesn't exist.
//! Invariants: every file is synced before the folder gets its name; dropping the writer without [`SnapshotWriter::publish`]
//! removes everything it wrote. Left out: where the rows come from.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use super::certificate::Plan;
use super::groups::{GroupedWriter, HashedFile};
use super::manifest::{self, Column, DataFile, Manifest, hex};
use super::types::PgType;
use crate::staging::Staged;

/// Rows a row group holds: small enough to read in parallel and to bound memory, large enough to compress.
pub const ROW_GROUP_ROWS: usize = 122_880;
/// Bytes a row group holds, where its rows are large.
pub(super) const ROW_GROUP_BYTES: usize = 128 << 20;
/// zstd's level. On a log's columns 1 makes files no larger than 3 does, in two thirds of the time.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Refuses a `target` where something is already.
///
/// # Errors
/// When it is.
pub fn refuse_existing(target: &Path) -> Result<()> {
    if target.symlink_metadata().is_ok() {
        return Err(crate::ui::hinted(
            anyhow::anyhow!("output {} exists already", target.display()),
            "choose another --out, or remove it first: a snapshot is never overwritten",
        ));
    }
    Ok(())
}

/// A snapshot in the making.
pub struct SnapshotWriter {
    target: PathBuf,
    staged: Staged,
}

impl SnapshotWriter {
    /// Begins a snapshot that will appear at `target`. Nothing is visible there until [`SnapshotWriter::publish`].
    ///
    /// # Errors
    /// When `target` exists already, or its parent can't be written to.
    pub fn create(target: &Path) -> Result<Self> {
        refuse_existing(target)?;
        let staged = Staged::beside(target)?;
        fs::create_dir(staged.path()).with_context(|| format!("creating {}", target.display()))?;
        Ok(SnapshotWriter { target: target.to_owned(), staged })
    }

    /// Begins the Parquet file `path` (below the snapshot folder) for a table with these columns.
    ///
    /// # Errors
    /// When the file can't be created.
    pub fn table_file(&self, path: &str, columns: &[Column], types: &[PgType]) -> Result<TableWriter> {
        let full = self.staged.path().join(path);
        let file = File::create(&full).with_context(|| format!("creating {}", self.shown(path)))?;
        let schema = arrow_schema(columns, types);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // The readers of a snapshot want whole row groups.
            .set_offset_index_disabled(true)
            .set_created_by(format!("rehearsal {}", env!("CARGO_PKG_VERSION")));
        for (column, _) in columns.iter().zip(types).filter(|(_, ty)| ty.is_instant()) {
            // Rows come about in the order of their time: the differences are small, and hardly one instant comes twice.
            let path = ColumnPath::new(vec![column.name.clone()]);
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
        let writer = ArrowWriter::try_new(HashedFile::new(file), schema.clone(), Some(properties.build()))?;
        Ok(TableWriter { path: path.to_owned(), shown: self.shown(path), schema, writer, rows: 0 })
    }

    /// Puts a finished file of another snapshot into this one: the same file where the disk allows it, else a copy.
    ///
    /// # Errors
    /// When it can be neither linked nor copied.
    pub fn adopt(&self, source: &Path, path: &str) -> Result<()> {
        let full = self.staged.path().join(path);
        let adopt = || -> std::io::Result<()> {
            if fs::hard_link(source, &full).is_err() {
                fs::copy(source, &full)?;
                File::open(&full)?.sync_all()?;
            }
            Ok(())
        };
        adopt().with_context(|| format!("copying {} to {}", source.display(), self.shown(path)))
    }

    /// Where a file of the snapshot is until it is published.
    pub fn staged_file(&self, path: &str) -> PathBuf {
        self.staged.path().join(path)
    }

    /// A file that stands beside the snapshot until it is published, and is no part of it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.staged.beside_it(name)
    }

    /// Leaves what is finished for another try; returns the hidden folder it is in.
    pub fn keep(self) -> PathBuf {
        self.staged.keep()
    }

    /// Writes the manifest, syncs the folder and gives it its name.
    ///
    /// # Errors
    /// When writing fails, or something has appeared at the target meanwhile; then nothing is left behind.
    pub fn publish(self, mut manifest: Manifest) -> Result<Manifest> {
        manifest.id =
            Manifest::content_id(manifest.tables.iter().flat_map(|t| t.files.iter().map(|f| f.sha256.as_str())));
        let path = self.staged.path().join(manifest::FILE_NAME);
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(manifest.to_json().map_err(std::io::Error::other)?.as_bytes())?;
            file.sync_all()
        };
        write().with_context(|| format!("writing {}", self.shown(manifest::FILE_NAME)))?;
        if self.target.symlink_metadata().is_ok() {
            bail!("output {} has appeared while the snapshot was written; nothing was replaced", self.target.display());
        }
        self.staged.publish()?;
        Ok(manifest)
    }

    fn shown(&self, path: &str) -> String {
        self.target.join(path).display().to_string()
    }
}

/// One Parquet file in the making.
pub struct TableWriter {
    path: String,
    shown: String,
    schema: SchemaRef,
    writer: ArrowWriter<HashedFile>,
    rows: u64,
}

impl TableWriter {
    /// The Arrow schema batches must have.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// When the batch has another schema, or the disk is full or gone.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).with_context(|| format!("writing {}", self.shown))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// The same file for row groups that are encoded elsewhere, whose rows are looked at as `plan` says; nothing may have been
    /// written to it yet.
    ///
    /// # Errors
    /// None in practice: nothing is left to be flushed.
    pub fn into_groups(self, plan: Plan) -> Result<GroupedWriter> {
        let (writer, factory) = self.writer.into_serialized_writer()?;
        let (path, shown, schema, rows) = (self.path, self.shown, self.schema, self.rows);
        Ok(GroupedWriter { path, shown, schema, writer, factory: Arc::new(factory), rows, tally: plan.tally(), plan })
    }

    /// Writes the footer, syncs the file and returns its manifest entry.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self) -> Result<DataFile> {
        let finish = || -> Result<(String, u64)> {
            let (file, sha256, size_bytes) = self.writer.into_inner()?.finish()?;
            file.sync_all()?;
            Ok((sha256, size_bytes))
        };
        let (sha256, size_bytes) = finish().with_context(|| format!("writing {}", self.shown))?;
        Ok(DataFile { path: self.path, rows: self.rows, size_bytes, sha256 })
    }
}

/// The Arrow schema of a table's Parquet file.
pub fn arrow_schema(columns: &[Column], types: &[PgType]) -> SchemaRef {
    let fields: Vec<_> =
        columns.iter().zip(types).map(|(column, ty)| ty.arrow_field(&column.name, !column.not_null)).collect();
    Arc::new(Schema::new(fields))
}

/// SHA-256 (hexadecimal) and length in bytes of a file.
///
/// # Errors
/// When it can't be read.
pub fn hash_file(path: &Path) -> Result<(String, u64)> {
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 1 << 20];
    let mut size_bytes = 0u64;
    loop {
        let read = file.read(&mut buffer).with_context(|| format!("reading {}", path.display()))?;
        if read == 0 {
            return Ok((hex(&hasher.finalize()), size_bytes));
        }
        hasher.update(&buffer[..read]);
        size_bytes += read as u64;
    }
}
