//! Row groups encoded side by side and written one after the other.
//!
//! Input: record batches, part by part, from several threads. Output: one Parquet file with the parts in their order. Invariant: the
//! file is the same however many threads encode. Left out: who decides what a part is.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescPtr;
use sha2::{Digest, Sha256};

use super::certificate::{Content, Plan, Tally};
use super::chunk::{ChunkEncoder, Codec, EncodedChunk};
use super::manifest::{DataFile, hex};
use super::writer::{ROW_GROUP_BYTES, ROW_GROUP_ROWS, ZSTD_LEVEL};

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

    /// The file, which isn't synced yet, its hash (SHA-256, hexadecimal) and length in bytes.
    pub(super) fn finish(self) -> Result<(File, String, u64)> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        Ok((file, hex(&self.hasher.finalize()), self.size_bytes))
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
        Encoders {
            factory: self.factory.clone(),
            schema: self.schema.clone(),
            plan: self.plan.clone(),
            leaves: Arc::new(self.writer.schema_descr().clone()),
        }
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
                    match column {
                        EncodedColumn::Chunk(chunk) => group.append_column(&chunk.bytes, chunk.close)?,
                        EncodedColumn::Other(chunk) => chunk.append_to_row_group(&mut group)?,
                    }
                }
                group.close()?;
                self.rows += rows as u64;
            }
            Ok(())
        };
        append().with_context(|| format!("writing {}", self.shown))
    }

    /// Writes the footer, syncs the file, which is the one at `there`, and returns its manifest entry with the certificate of its
    /// rows.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(self, there: &Path) -> Result<(DataFile, Content)> {
        let finish = || self.writer.into_inner()?.finish();
        let (file, sha256, size_bytes) = finish().with_context(|| format!("writing {}", self.shown))?;
        let tally = self.tally;
        // The disk is waited for meanwhile.
        let (synced, content) = rayon::join(|| file.sync_all(), || tally.certify(&[there.to_owned()]));
        synced.with_context(|| format!("writing {}", self.shown))?;
        Ok((DataFile { path: self.path, rows: self.rows, size_bytes, sha256 }, content?))
    }
}

/// Makes encoders for a file's parts.
#[derive(Clone)]
pub struct Encoders {
    factory: Arc<ArrowRowGroupWriterFactory>,
    schema: SchemaRef,
    plan: Plan,
    leaves: SchemaDescPtr,
}

impl Encoders {
    /// The Arrow schema batches must have.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// An encoder for one part.
    ///
    /// # Errors
    /// None in practice: the compression's level exists.
    pub fn encoder(&self) -> Result<GroupEncoder> {
        let codec = Codec::new(ZSTD_LEVEL)?;
        Ok(GroupEncoder { encoders: self.clone(), open: None, done: Vec::new(), tally: self.plan.tally(), codec })
    }

    /// An encoder for each column of the row group with this number.
    fn columns(&self, group: usize) -> Result<Vec<ColumnEncoder>> {
        let mut writers = self.factory.create_column_writers(group)?.into_iter().enumerate().peekable();
        let columns = self.schema.fields().iter().enumerate().map(|(root, field)| {
            let mut own = Vec::new();
            let mut descriptor = None;
            while let Some((leaf, writer)) = writers.next_if(|(leaf, _)| self.leaves.get_column_root_idx(*leaf) == root)
            {
                own.push(writer);
                descriptor = Some(self.leaves.column(leaf));
            }
            match descriptor.and_then(|descriptor| ChunkEncoder::new(field.data_type(), descriptor)) {
                Some(chunk) => ColumnEncoder::Chunk(Box::new(chunk)),
                None => ColumnEncoder::Other(own),
            }
        });
        Ok(columns.collect())
    }
}

/// A part, encoded and compressed.
pub struct EncodedPart {
    /// Its row groups: each its columns and rows.
    groups: Vec<(Vec<EncodedColumn>, usize)>,
    /// What its rows hold.
    tally: Tally,
}

enum EncodedColumn {
    Chunk(EncodedChunk),
    Other(ArrowColumnChunk),
}

/// Encodes the batches of one part.
pub struct GroupEncoder {
    encoders: Encoders,
    open: Option<OpenGroup>,
    done: Vec<(Vec<EncodedColumn>, usize)>,
    tally: Tally,
    codec: Codec,
}

struct OpenGroup {
    columns: Vec<ColumnEncoder>,
    rows: usize,
}

/// What encodes a column: our own encoder where it knows the type, else the Parquet crate's, one for each leaf.
enum ColumnEncoder {
    Chunk(Box<ChunkEncoder>),
    Other(Vec<ArrowColumnWriter>),
}

impl GroupEncoder {
    /// Encodes a batch. A part whose rows turn out more or larger than was thought becomes several row groups.
    ///
    /// # Errors
    /// When the batch has another schema.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut group = match self.open.take() {
            Some(group) => group,
            None => OpenGroup { columns: self.encoders.columns(self.done.len())?, rows: 0 },
        };
        let fields = self.encoders.schema.fields();
        let mut bytes = 0;
        self.tally.add_and(batch, |place, hashes| {
            let array = batch.column(place);
            match &mut group.columns[place] {
                ColumnEncoder::Chunk(chunk) => {
                    chunk.write(array, hashes, &mut self.codec)?;
                    bytes += chunk.held();
                }
                ColumnEncoder::Other(writers) => {
                    for (leaf, writer) in compute_leaves(&fields[place], array)?.iter().zip(writers) {
                        writer.write(leaf)?;
                        bytes += writer.get_estimated_total_bytes();
                    }
                }
            }
            Ok(())
        })?;
        group.rows += batch.num_rows();
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
        let Some(group) = self.open.take() else { return Ok(()) };
        let mut columns = Vec::new();
        for column in group.columns {
            match column {
                ColumnEncoder::Chunk(chunk) => columns.push(EncodedColumn::Chunk(chunk.finish(&mut self.codec)?)),
                ColumnEncoder::Other(writers) => {
                    for writer in writers {
                        columns.push(EncodedColumn::Other(writer.close()?));
                    }
                }
            }
        }
        self.done.push((columns, group.rows));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, FixedSizeBinaryBuilder, Int32Array, Int64Array, ListBuilder, StringArray,
        StringBuilder, TimestampMicrosecondArray,
    };
    use arrow::compute::concat_batches;
    use arrow::datatypes::{DataType, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;
    use std::collections::HashMap;

    use crate::snapshot::types::PgType;

    const TYPES: [&str; 8] =
        ["text", "uuid", "integer", "bigint", "date", "text[]", "boolean", "timestamp(3) without time zone"];

    /// The batches written as two parts, and read again by the Parquet crate.
    fn written(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("t.parquet");
        let sink = HashedFile::new(File::create(&there).expect("a file"));
        let properties = WriterProperties::builder().set_offset_index_disabled(true).build();
        let writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties)).expect("a writer");
        let (writer, factory) = writer.into_serialized_writer().expect("nothing is written yet");
        let (shown, schema) = (String::new(), schema.clone());
        let (factory, plan, path) = (Arc::new(factory), Plan::default(), String::new());
        let mut file = GroupedWriter { path, shown, schema, writer, factory, rows: 0, tally: plan.tally(), plan };
        let encoders = file.encoders();
        for half in batches.chunks(batches.len().div_ceil(2)) {
            let mut encoder = encoders.encoder().expect("an encoder");
            half.iter().for_each(|batch| encoder.write(batch).expect("of this schema"));
            file.append(encoder.finish().expect("encoded")).expect("written");
        }
        file.finish(&there).expect("finished");
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(there).expect("there")).expect("Parquet");
        let read: Vec<RecordBatch> = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
        concat_batches(&read[0].schema(), &read).expect("one schema")
    }

    /// Rows of all types: each value is NULL, or one of `distinct` many, `long` bytes long where it is a text.
    fn batch(schema: &SchemaRef, seeds: &[u64], distinct: u64, long: usize) -> RecordBatch {
        let value = |salt: u64, seed: &u64| {
            let mixed = (seed ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (!mixed.is_multiple_of(7)).then_some((mixed >> 20) % distinct)
        };
        let text = |value: u64| format!("{value}:{}", "ß".repeat(long));
        let numbers = |salt| seeds.iter().map(move |seed| value(salt, seed));
        let mut uuids = FixedSizeBinaryBuilder::new(16);
        for number in numbers(1) {
            match number {
                Some(number) => {
                    uuids.append_value(u128::from(number).wrapping_mul(u128::MAX / 3).to_be_bytes()).expect("16 bytes")
                }
                None => uuids.append_null(),
            }
        }
        let DataType::List(element) = schema.field(5).data_type() else { panic!("a list") };
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element.clone());
        for (row, number) in numbers(2).enumerate() {
            for element in 0..row % 4 {
                lists.values().append_option(value(3, &(row as u64 * 5 + element as u64)).map(text));
            }
            lists.append(number.is_some() || row % 4 > 0);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(numbers(4).map(|n| n.map(text)).collect::<StringArray>()),
            Arc::new(uuids.finish()),
            Arc::new(numbers(5).map(|n| n.map(|n| n as i32 - 9)).collect::<Int32Array>()),
            Arc::new(numbers(6).map(|n| n.map(|n| (n as i64 - 9) << 40)).collect::<Int64Array>()),
            Arc::new(numbers(7).map(|n| n.map(|n| n as i32 - 9)).collect::<Date32Array>()),
            Arc::new(lists.finish()),
            Arc::new(numbers(8).map(|n| n.map(|n| n % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(numbers(9).map(|n| n.map(|n| n as i64 * 1000)).collect::<TimestampMicrosecondArray>()),
        ];
        RecordBatch::try_new(schema.clone(), columns).expect("of this schema")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_written_is_read(
            sizes in prop::collection::vec(1usize..3000, 2..5),
            seed in any::<u64>(),
            distinct in prop_oneof![Just(1u64), 2u64..40, Just(300), Just(u64::MAX >> 24)],
            long in prop_oneof![Just(0usize), Just(3), Just(500)],
        ) {
            let fields = TYPES.map(|name| PgType::parse(name, &HashMap::new()).arrow_field(name, true));
            let schema = Arc::new(Schema::new(fields.to_vec()));
            let batches: Vec<RecordBatch> = sizes.iter().enumerate().map(|(n, rows)| {
                let seeds: Vec<u64> = (0..*rows as u64).map(|row| seed.wrapping_add(row / 3 + n as u64 * 7)).collect();
                batch(&schema, &seeds, distinct, long)
            }).collect();
            let read = written(&schema, &batches);
            let whole = concat_batches(&schema, &batches).expect("one schema");
            for (index, (ours, theirs)) in whole.columns().iter().zip(read.columns()).enumerate() {
                prop_assert_eq!(ours, theirs, "column {}", TYPES[index]);
            }
        }
    }
}
