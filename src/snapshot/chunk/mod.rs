//! A column chunk: how do the values of one column become Parquet pages, when the column is of one of the kinds that tables are
//! mostly made of?
//!
//! Input: Arrow arrays of texts, bytes, UUIDs, 32- and 64-bit numbers, or lists of texts, batch by batch. Output: one encoded chunk
//! with its metadata. Invariants: values are written once for each distinct one as long as that pays (a dictionary), else as they are;
//! what doesn't shrink isn't compressed; least and greatest value are exact or absent; the bytes depend on nothing but the values. What takes time is done once for each distinct
//! value, not once for each row: a log repeats itself. Left out: every other type, which the Parquet crate's own writer takes.
//!
//! Source: the Parquet format's `Encodings.md` and `parquet.thrift`; data pages of version 1.

mod dictionary;
mod hybrid;
mod levels;

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type};
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::digest::{self, Hashes};
use dictionary::Dictionary;
use levels::Levels;

/// Bytes of a page, before it is compressed, that make it whole.
const PAGE_BYTES: usize = 1 << 20;
/// Longest text that is written as least or greatest value of a chunk.
const STATISTIC_BYTES: usize = 64;
/// Room for a page: the batch that ends it passes the limit.
const PAGE_ROOM: usize = PAGE_BYTES * 3 / 2;
/// More than the headers of a chunk's pages take, as a rule.
const PAGE_HEADER_BYTES: usize = 256;

/// zstd with its working memory, which one chunk after the other uses.
pub struct Codec {
    compressor: Compressor<'static>,
    level: i32,
    /// As large as the largest page needed.
    out: Vec<u8>,
}

impl Codec {
    /// For this level.
    ///
    /// # Errors
    /// When zstd has no such level.
    pub fn new(level: i32) -> Result<Codec> {
        Ok(Codec { compressor: Compressor::new(level)?, level, out: Vec::new() })
    }

    /// Valid until the next call.
    fn compress(&mut self, bytes: &[u8]) -> Result<&[u8]> {
        self.out.clear();
        self.out.reserve(compress_bound(bytes.len()));
        self.compressor.compress_to_buffer(bytes, &mut self.out).context("compressing a page")?;
        Ok(&self.out)
    }
}

/// What a value is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Bytes of any number: a length, then the bytes.
    Bytes,
    /// Always as many bytes.
    Fixed,
    /// A number of 32 bits.
    Int32,
    /// A number of 64 bits.
    Int64,
}

/// Encodes one column of one row group.
pub struct ChunkEncoder {
    descriptor: ColumnDescPtr,
    kind: Kind,
    levels: Levels,
    values: Values,
    extremes: Extremes,
    pages: Vec<CompressedPage>,
    /// Does it shrink? The first page decides for all.
    shrinks: Option<bool>,
    pages_bytes: usize,
    /// Rows, or elements of lists.
    entries: usize,
    /// Those of the page at hand.
    page_entries: usize,
    nulls: usize,
    rows: usize,
}

/// The values that aren't in a page yet.
enum Values {
    /// Each distinct one once.
    Distinct(Dictionary),
    /// As a plain page has them.
    Plain(Vec<u8>),
}

/// An encoded column chunk.
pub struct EncodedChunk {
    /// Its pages.
    pub bytes: Bytes,
    /// What the file's footer says of it.
    pub close: ColumnCloseResult,
}

impl ChunkEncoder {
    /// An encoder for a column whose arrays have this type; `None` where the column is of another kind.
    pub fn new(data_type: &DataType, descriptor: ColumnDescPtr) -> Option<ChunkEncoder> {
        let element = match data_type {
            DataType::List(field) if field.data_type() == &DataType::Utf8 => field.data_type(),
            flat => flat,
        };
        let kind = match element {
            DataType::Utf8 | DataType::Binary => Kind::Bytes,
            DataType::FixedSizeBinary(_) => Kind::Fixed,
            DataType::Int32 | DataType::Date32 => Kind::Int32,
            DataType::Int64 => Kind::Int64,
            _ => return None,
        };
        Some(ChunkEncoder {
            levels: Levels::new(descriptor.max_def_level(), descriptor.max_rep_level()),
            descriptor,
            kind,
            values: Values::Distinct(Dictionary::new(kind.prefix())),
            extremes: Extremes::default(),
            pages: Vec::new(),
            shrinks: None,
            pages_bytes: 0,
            entries: 0,
            page_entries: 0,
            nulls: 0,
            rows: 0,
        })
    }

    /// Adds the rows of a batch, whose values have these hashes.
    ///
    /// # Errors
    /// When a page can't be compressed.
    pub fn write(&mut self, array: &ArrayRef, hashes: &Hashes, codec: &mut Codec) -> Result<()> {
        self.rows += array.len();
        match array.as_list_opt::<i32>() {
            Some(list) => {
                let (list, mut again) = (gapless(list)?, Hashes::default());
                let elements = list.values();
                let hashes = match list {
                    Cow::Borrowed(_) => &hashes.elements,
                    Cow::Owned(_) => {
                        digest::of_column(elements, 0, &mut again)?;
                        &again.values
                    }
                };
                let (entries, nulls) = self.levels.list(list.offsets(), list.nulls(), elements.nulls());
                self.count(entries, nulls);
                self.append(elements, hashes);
            }
            None => {
                let nulls = self.levels.flat(array.len(), array.nulls());
                self.count(array.len(), nulls);
                self.append(array, &hashes.values);
            }
        }
        self.settle(codec)
    }

    /// Bytes held for the chunk, about.
    pub fn held(&self) -> usize {
        let values = match &self.values {
            Values::Distinct(dictionary) => dictionary.held(),
            Values::Plain(plain) => plain.len(),
        };
        self.pages_bytes + values
    }

    fn count(&mut self, entries: usize, nulls: usize) {
        self.entries += entries;
        self.page_entries += entries;
        self.nulls += nulls;
    }

    /// Appends a flat array's values.
    fn append(&mut self, array: &ArrayRef, hashes: &[u64]) {
        let nulls = array.nulls();
        match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
                self.each(hashes, nulls, |row| &bytes[offsets[row] as usize..offsets[row + 1] as usize]);
            }
            DataType::Binary => {
                let values = array.as_binary::<i32>();
                self.each(hashes, nulls, |row| values.value(row));
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary();
                self.each(hashes, nulls, |row| values.value(row));
            }
            DataType::Date32 => {
                let values = array.as_primitive::<Date32Type>().values();
                self.each(hashes, nulls, |row| values[row].to_le_bytes());
            }
            DataType::Int32 => {
                let values = array.as_primitive::<Int32Type>().values();
                self.each(hashes, nulls, |row| values[row].to_le_bytes());
            }
            _ => {
                let values = array.as_primitive::<Int64Type>().values();
                self.each(hashes, nulls, |row| values[row].to_le_bytes());
            }
        }
    }

    fn each<V: AsRef<[u8]>>(&mut self, hashes: &[u64], nulls: Option<&NullBuffer>, value: impl Fn(usize) -> V) {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => self.rows(0..hashes.len(), hashes, value),
            Some(nulls) => self.rows(nulls.valid_indices(), hashes, value),
        }
    }

    fn rows<V: AsRef<[u8]>>(
        &mut self,
        mut rows: impl Iterator<Item = usize>,
        hashes: &[u64],
        value: impl Fn(usize) -> V,
    ) {
        if let Values::Distinct(dictionary) = &mut self.values
            && dictionary.is_new()
        {
            rows.by_ref().take(dictionary::PROBE).for_each(|row| dictionary.push(value(row).as_ref(), hashes[row]));
            if dictionary.is_hopeless() {
                self.give_up_dictionary();
            }
        }
        let (kind, extremes) = (self.kind, &mut self.extremes);
        match &mut self.values {
            Values::Distinct(dictionary) => rows.for_each(|row| dictionary.push(value(row).as_ref(), hashes[row])),
            Values::Plain(plain) => rows.for_each(|row| {
                let value = value(row);
                let value = value.as_ref();
                extremes.widen(kind, value);
                if kind == Kind::Bytes {
                    plain.extend_from_slice(&(value.len() as u32).to_le_bytes());
                }
                plain.extend_from_slice(value);
            }),
        }
    }

    /// Writes the values as they are from now on.
    fn give_up_dictionary(&mut self) {
        if let Values::Distinct(dictionary) = &mut self.values {
            dictionary.values().for_each(|value| self.extremes.widen(self.kind, value));
            let dictionary = std::mem::replace(dictionary, Dictionary::new(0));
            self.values = Values::Plain(dictionary.into_plain(PAGE_ROOM));
        }
    }

    /// Gives up a dictionary that doesn't pay, and ends a page that is whole.
    fn settle(&mut self, codec: &mut Codec) -> Result<()> {
        if matches!(&self.values, Values::Distinct(dictionary) if !dictionary.pays()) {
            self.give_up_dictionary();
        }
        match &mut self.values {
            Values::Plain(plain) if plain.len() >= PAGE_BYTES => {
                let plain = std::mem::take(plain);
                self.values = Values::Plain(self.page(plain, codec)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends a data page with these values; returns memory for the next one's.
    fn page(&mut self, values: Vec<u8>, codec: &mut Codec) -> Result<Vec<u8>> {
        let mut page = self.with_levels(values);
        let uncompressed = page.len();
        if self.shrinks != Some(false) {
            let compressed = codec.compress(&page)?;
            if *self.shrinks.get_or_insert(shrinks(compressed.len(), uncompressed)) {
                self.keep(compressed.to_vec(), uncompressed, Encoding::PLAIN)?;
                page.clear();
                return Ok(page);
            }
        }
        self.keep(page, uncompressed, Encoding::PLAIN)?;
        Ok(Vec::with_capacity(PAGE_ROOM))
    }

    /// Puts the page's levels before its values.
    fn with_levels(&mut self, mut values: Vec<u8>) -> Vec<u8> {
        let levels = self.levels.take();
        if !levels.is_empty() {
            values.splice(0..0, levels);
        }
        values
    }

    fn keep(&mut self, buf: Vec<u8>, uncompressed: usize, encoding: Encoding) -> Result<()> {
        self.pages_bytes += buf.len();
        let page = Page::DataPage {
            buf: buf.into(),
            num_values: u32::try_from(std::mem::take(&mut self.page_entries))?,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.pages.push(CompressedPage::new(page, uncompressed));
        Ok(())
    }

    /// Ends the chunk's one data page, of indices, and returns the page of the values they stand for.
    fn distinct(&mut self, dictionary: Dictionary, codec: &mut Codec) -> Result<CompressedPage> {
        let mut indices = vec![dictionary.width()];
        hybrid::encode(dictionary.indices(), dictionary.width(), &mut indices);
        let num_values = u32::try_from(dictionary.len())?;
        let (mut indices, mut values) = (self.with_levels(indices), dictionary.into_page());
        let uncompressed = (indices.len(), values.len());
        let small = (codec.compress(&indices)?.to_vec(), codec.compress(&values)?.to_vec());
        // A chunk's pages are all compressed, or none is.
        self.shrinks = Some(shrinks(small.0.len() + small.1.len(), indices.len() + values.len()));
        if self.shrinks == Some(true) {
            (indices, values) = small;
        }
        self.keep(indices, uncompressed.0, Encoding::RLE_DICTIONARY)?;
        let page = Page::DictionaryPage { buf: values.into(), num_values, encoding: Encoding::PLAIN, is_sorted: false };
        Ok(CompressedPage::new(page, uncompressed.1))
    }

    /// The chunk.
    ///
    /// # Errors
    /// When a page can't be compressed.
    pub fn finish(mut self, codec: &mut Codec) -> Result<EncodedChunk> {
        let values = std::mem::replace(&mut self.values, Values::Plain(Vec::new()));
        let mut encodings = vec![Encoding::RLE, Encoding::PLAIN];
        let mut first = None;
        match values {
            Values::Distinct(dictionary) if dictionary.len() > 0 => {
                dictionary.values().for_each(|value| self.extremes.widen(self.kind, value));
                first = Some(self.distinct(dictionary, codec)?);
                encodings.push(Encoding::RLE_DICTIONARY);
            }
            // NULLs alone.
            Values::Distinct(_) => drop(self.page(Vec::new(), codec)?),
            Values::Plain(plain) if self.page_entries > 0 => drop(self.page(plain, codec)?),
            Values::Plain(_) => {}
        }
        let mut sink = TrackedWrite::new(Vec::with_capacity(self.pages_bytes + PAGE_HEADER_BYTES));
        let mut writer = SerializedPageWriter::new(&mut sink);
        let mut sizes = Sizes::default();
        let dictionary_page_offset = first.is_some().then_some(0);
        if let Some(first) = first {
            sizes.add(&writer.write_page(first)?);
        }
        let data_page_offset = sizes.compressed;
        for page in self.pages {
            sizes.add(&writer.write_page(page)?);
        }
        writer.close()?;
        let compression = match self.shrinks {
            Some(true) => Compression::ZSTD(ZstdLevel::try_new(codec.level)?),
            _ => Compression::UNCOMPRESSED,
        };
        let metadata = ColumnChunkMetaData::builder(self.descriptor)
            .set_encodings(encodings)
            .set_compression(compression)
            .set_num_values(self.entries as i64)
            .set_total_compressed_size(sizes.compressed)
            .set_total_uncompressed_size(sizes.uncompressed)
            .set_data_page_offset(data_page_offset)
            .set_dictionary_page_offset(dictionary_page_offset)
            .set_statistics(self.extremes.statistics(self.kind, self.nulls as u64))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: sizes.compressed as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok(EncodedChunk { bytes: sink.into_inner()?.into(), close })
    }
}

impl Kind {
    /// Bytes of the length before a value.
    fn prefix(self) -> usize {
        if self == Kind::Bytes { 4 } else { 0 }
    }
}

/// The same lists, with no elements but theirs: a list that is NULL may have some, and a slice has its neighbours'.
fn gapless(list: &ListArray) -> Result<Cow<'_, ListArray>> {
    let kept = |row: usize| if list.is_null(row) { 0 } else { list.value_length(row) };
    if (0..list.len()).map(kept).sum::<i32>() as usize == list.values().len() {
        return Ok(Cow::Borrowed(list));
    }
    let offsets = OffsetBuffer::from_lengths((0..list.len()).map(|row| kept(row) as usize));
    let starts = list.value_offsets();
    let elements = (0..list.len()).flat_map(|row| (starts[row]..starts[row] + kept(row)).map(Some));
    let elements = arrow::compute::take(list.values(), &Int32Array::from_iter(elements), None)?;
    let (DataType::List(field) | DataType::LargeList(field)) = list.data_type() else {
        bail!("a list has another type")
    };
    Ok(Cow::Owned(ListArray::try_new(field.clone(), offsets, elements, list.nulls().cloned())?))
}

/// Is it worth a reader's time to decompress it?
fn shrinks(compressed: usize, uncompressed: usize) -> bool {
    compressed * 20 < uncompressed * 19
}

/// Bytes of a chunk, headers included.
#[derive(Default)]
struct Sizes {
    compressed: i64,
    uncompressed: i64,
}

impl Sizes {
    fn add(&mut self, page: &parquet::column::page::PageWriteSpec) {
        self.compressed += page.compressed_size as i64;
        self.uncompressed += page.uncompressed_size as i64;
    }
}

/// Least and greatest value, each with its head.
#[derive(Default)]
struct Extremes(Option<[(u64, Vec<u8>); 2]>);

impl Extremes {
    #[inline]
    fn widen(&mut self, kind: Kind, value: &[u8]) {
        let head = kind.head(value);
        let Some([least, greatest]) = &mut self.0 else {
            self.0 = Some([(head, value.to_vec()), (head, value.to_vec())]);
            return;
        };
        // Most values are told from both by their heads.
        if head < least.0 || head == least.0 && value < least.1.as_slice() {
            least.0 = head;
            value.clone_into(&mut least.1);
        }
        if head > greatest.0 || head == greatest.0 && value > greatest.1.as_slice() {
            greatest.0 = head;
            value.clone_into(&mut greatest.1);
        }
    }

    /// As the footer has them; a long text is left out.
    fn statistics(self, kind: Kind, nulls: u64) -> Statistics {
        let short = |value: &Vec<u8>| value.len() <= STATISTIC_BYTES;
        let (least, greatest) = match self.0 {
            Some([(_, least), (_, greatest)]) => (Some(least).filter(short), Some(greatest).filter(short)),
            None => (None, None),
        };
        let nulls = Some(nulls);
        match kind {
            Kind::Bytes => {
                Statistics::new(least.map(ByteArray::from), greatest.map(ByteArray::from), None, nulls, false)
            }
            Kind::Fixed => {
                let fixed = |value: Vec<u8>| FixedLenByteArray::from(value);
                Statistics::new(least.map(fixed), greatest.map(fixed), None, nulls, false)
            }
            Kind::Int32 => Statistics::new(least.map(|v| int32(&v)), greatest.map(|v| int32(&v)), None, nulls, false),
            Kind::Int64 => Statistics::new(least.map(|v| int64(&v)), greatest.map(|v| int64(&v)), None, nulls, false),
        }
    }
}

impl Kind {
    /// A number that sorts as the value does, whose bytes decide only between values with equal heads.
    #[inline]
    fn head(self, value: &[u8]) -> u64 {
        // The sign's bit, turned over: negative numbers come first.
        let signed = |number: i64| number as u64 ^ 1 << 63;
        match self {
            Kind::Bytes | Kind::Fixed => super::extremes::head(value),
            Kind::Int32 => signed(i64::from(int32(value))),
            Kind::Int64 => signed(int64(value)),
        }
    }
}

fn int32(bytes: &[u8]) -> i32 {
    bytes.first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes))
}

fn int64(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}
