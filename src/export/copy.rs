//! COPY: how does the server's binary stream become batches of rows?
//!
//! Input: the pieces of `COPY ... TO STDOUT (FORMAT binary)`, cut anywhere. Output: Arrow record batches of bounded size, in the
//! server's row order. Invariants: rows are decoded when all of them is there, a block of them column by column, so that no column
//! is ahead of another between two blocks; a long row isn't copied unless it spans two pieces.

use anyhow::{Error, Result, bail};
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::fallback::ValueAt;
use super::values::{self, Fields, Place, Values};
use crate::snapshot::manifest::NumericExtent;
use crate::snapshot::types::PgType;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags and the length of the header's extension.
const HEADER_BYTES: usize = SIGNATURE.len() + 8;
/// The length of a field without a value.
const NULL: i32 = -1;
/// Rows of a batch at most.
const BATCH_ROWS: usize = 16_384;
/// Bytes of a batch, as they came: it ends with the row that passes this.
const BATCH_BYTES: usize = 8 << 20;

/// Bytes of a block: rows that are decoded together, few enough to be still in the processor's cache.
const BLOCK_BYTES: usize = 256 << 10;

/// The state of a stream.
pub struct Decoder {
    schema: SchemaRef,
    columns: Vec<Box<dyn Values>>,
    block: Block,
    state: State,
    /// The beginning of a row whose rest hasn't come.
    carry: Vec<u8>,
    batch_rows: usize,
    batch_bytes: usize,
    rows: u64,
    nulls: Vec<u64>,
}

/// Rows that are there and aren't decoded.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    /// Of each field of each row.
    places: Vec<Place>,
    rows: usize,
}

/// What the values of a column were like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Rows without a value.
    pub nulls: u64,
    /// What the values of an unbounded `numeric` need.
    pub numeric_extent: Option<NumericExtent>,
}

impl ColumnFacts {
    /// Those of two parts together.
    pub fn joined(self, other: ColumnFacts) -> ColumnFacts {
        ColumnFacts {
            nulls: self.nulls + other.nulls,
            numeric_extent: super::numeric::joined(self.numeric_extent, other.numeric_extent),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Ended,
}

impl Decoder {
    /// For a stream whose rows have columns of these types, which `schema` describes.
    pub fn new(schema: SchemaRef, types: &[PgType]) -> Decoder {
        Decoder {
            schema,
            columns: types.iter().map(values::for_type).collect(),
            block: Block::default(),
            state: State::Header,
            carry: Vec::new(),
            batch_rows: 0,
            batch_bytes: 0,
            rows: 0,
            nulls: vec![0; types.len()],
        }
    }

    /// Decodes all rows that are whole with this piece.
    ///
    /// # Errors
    /// When the stream isn't what the server promised, or a value can't be carried: then the column is named.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        if self.carry.is_empty() {
            let used = self.consume(piece)?;
            self.carry.extend_from_slice(&piece[used..]);
            return Ok(());
        }
        let mut carry = std::mem::take(&mut self.carry);
        carry.extend_from_slice(piece);
        let used = self.consume(&carry)?;
        carry.drain(..used);
        self.carry = carry;
        Ok(())
    }

    /// Is it time to take a batch?
    pub fn is_full(&self) -> bool {
        self.batch_rows >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES
    }

    /// The rows decoded since the last batch; `None` where there are none.
    ///
    /// # Errors
    /// When a column declared NOT NULL holds a NULL, or a text isn't UTF-8: then column and row are named.
    pub fn take_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.decode_block()?;
        if self.batch_rows == 0 {
            return Ok(None);
        }
        let before = self.rows - self.batch_rows as u64;
        let arrays = self.columns.iter_mut().enumerate().map(|(index, column)| {
            column.finish().map_err(|(row, error)| {
                error.context(format!("column {}, row {}", self.schema.field(index).name(), before + row as u64 + 1))
            })
        });
        let arrays = arrays.collect::<Result<Vec<ArrayRef>>>()?;
        for (nulls, array) in self.nulls.iter_mut().zip(&arrays) {
            *nulls += array.null_count() as u64;
        }
        (self.batch_rows, self.batch_bytes) = (0, 0);
        Ok(Some(RecordBatch::try_new(self.schema.clone(), arrays)?))
    }

    /// Rows decoded so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Has the stream come to its proper end?
    ///
    /// # Errors
    /// When it hasn't.
    pub fn check_end(&self) -> Result<()> {
        if self.state != State::Ended || !self.carry.is_empty() {
            bail!("the server's stream of rows ended before its end mark");
        }
        Ok(())
    }

    /// What the columns' values in the batches so far were like.
    pub fn facts(&self) -> Vec<ColumnFacts> {
        let columns = self.columns.iter().zip(&self.nulls);
        columns.map(|(column, nulls)| ColumnFacts { nulls: *nulls, numeric_extent: column.numeric_extent() }).collect()
    }

    /// Decodes whole rows and returns how many bytes they were.
    fn consume(&mut self, data: &[u8]) -> Result<usize> {
        let mut at = 0;
        if self.state == State::Header {
            match header(data)? {
                Some(length) => at = length,
                None => return Ok(0),
            }
            self.state = State::Rows;
        }
        while self.state == State::Rows {
            let Some(fields) = data.get(at..at + 2) else { break };
            let fields = i16::from_be_bytes([fields[0], fields[1]]);
            if fields == -1 {
                self.state = State::Ended;
                at += 2;
                break;
            }
            if usize::try_from(fields).ok() != Some(self.columns.len()) {
                bail!("the server sends rows of {fields} columns instead of {}", self.columns.len());
            }
            let Some(length) = self.add_row(&data[at + 2..])? else { break };
            at += 2 + length;
        }
        if self.state == State::Ended && at < data.len() {
            bail!("the server's stream goes on after its end mark");
        }
        Ok(at)
    }

    /// Takes the row that `data` begins with, once all of it is there, and returns how many bytes it is.
    fn add_row(&mut self, data: &[u8]) -> Result<Option<usize>> {
        let (known, begin) = (self.block.places.len(), self.block.bytes.len());
        let mut at = 0;
        for _ in 0..self.columns.len() {
            let Some(length) = data.get(at..).and_then(<[u8]>::first_chunk::<4>) else { break };
            let length = i32::from_be_bytes(*length);
            at += 4;
            self.block.places.push(Place { begin: u32::try_from(begin + at)?, length });
            match usize::try_from(length) {
                Ok(length) => at += length,
                Err(_) if length == NULL => {}
                Err(_) => bail!("a field has a negative length"),
            }
        }
        if at > data.len() || self.block.places.len() - known < self.columns.len() {
            self.block.places.truncate(known);
            return Ok(None);
        }
        let row = &data[..at];
        self.block.rows += 1;
        self.batch_rows += 1;
        self.batch_bytes += at;
        if begin == 0 && at >= BLOCK_BYTES {
            self.decode(row)?;
        } else {
            self.block.bytes.extend_from_slice(row);
            if self.block.bytes.len() >= BLOCK_BYTES {
                self.decode_block()?;
            }
        }
        Ok(Some(at))
    }

    /// Decodes the rows that were copied.
    fn decode_block(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.block.bytes);
        self.decode(&bytes)?;
        self.block.bytes = bytes;
        self.block.bytes.clear();
        Ok(())
    }

    /// Decodes the block's rows, whose bytes are these.
    fn decode(&mut self, bytes: &[u8]) -> Result<()> {
        let Block { places, rows, .. } = &mut self.block;
        let width = self.columns.len();
        for (index, column) in self.columns.iter_mut().enumerate() {
            let named = |(row, error): (usize, Error)| {
                let column = self.schema.field(index).name().clone();
                error.context(ValueAt { column, row: self.rows + row as u64 + 1 })
            };
            column.extend(Fields::of_column(bytes, places, index, width)).map_err(named)?;
        }
        self.rows += *rows as u64;
        *rows = 0;
        places.clear();
        Ok(())
    }
}

/// Length of the header, once all of it is there.
fn header(data: &[u8]) -> Result<Option<usize>> {
    let Some(head) = data.get(..HEADER_BYTES) else { return Ok(None) };
    let (signature, numbers) = head.split_at(SIGNATURE.len());
    let number = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
    // The upper half of the flags are features that a reader must know.
    if signature != SIGNATURE || number(0) >> 16 != 0 {
        bail!("the server's stream isn't binary COPY as PostgreSQL documents it");
    }
    let length = HEADER_BYTES + number(4) as usize;
    Ok((data.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Schema};
    use std::sync::Arc;

    fn stream(rows: &[(Option<i32>, &str)]) -> Vec<u8> {
        let mut bytes = [SIGNATURE.as_slice(), &[0; 8]].concat();
        for (number, text) in rows {
            bytes.extend(2i16.to_be_bytes());
            match number {
                Some(n) => bytes.extend([4i32.to_be_bytes(), n.to_be_bytes()].concat()),
                None => bytes.extend((-1i32).to_be_bytes()),
            }
            bytes.extend((text.len() as i32).to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend((-1i16).to_be_bytes());
        bytes
    }

    fn decoder() -> Decoder {
        let types = [PgType::Int4, PgType::Text];
        let fields = vec![types[0].arrow_field("number", true), types[1].arrow_field("text", false)];
        Decoder::new(Arc::new(Schema::new(fields)), &types)
    }

    #[test]
    fn pieces_may_be_cut_anywhere() {
        let bytes = stream(&[(Some(7), "seven"), (None, ""), (Some(-1), "ß")]);
        for size in 1..=bytes.len() {
            let mut decoder = decoder();
            for piece in bytes.chunks(size) {
                decoder.push(piece).expect("a valid stream");
            }
            decoder.check_end().expect("a whole stream");
            let batch = decoder.take_batch().expect("no NULL in text").expect("rows");
            let numbers = batch.column(0).as_primitive::<Int32Type>();
            assert_eq!((numbers.value(0), numbers.is_null(1), numbers.value(2)), (7, true, -1), "pieces of {size}");
            let texts: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
            assert_eq!(texts, [Some("seven"), Some(""), Some("ß")]);
        }
    }

    #[test]
    fn a_stream_that_stops_is_an_error() {
        let bytes = stream(&[(Some(7), "seven")]);
        for end in 0..bytes.len() {
            let mut decoder = decoder();
            decoder.push(&bytes[..end]).expect("a valid beginning");
            assert!(decoder.check_end().is_err(), "{end} bytes of {}", bytes.len());
        }
    }

    #[test]
    fn a_bad_value_names_its_column() {
        let mut bytes = stream(&[(Some(7), "x"), (Some(7), "?")]);
        let at = bytes.iter().rposition(|b| *b == b'?').expect("it is there");
        bytes[at] = 0xe9;
        let mut decoder = decoder();
        decoder.push(&bytes).expect("a valid stream");
        let error = decoder.take_batch().expect_err("not UTF-8");
        assert!(format!("{error:#}").starts_with("column text, row 2: the text isn't UTF-8"), "{error:#}");
    }

    #[test]
    fn a_null_where_none_may_be_is_an_error() {
        let types = [PgType::Int4];
        let schema = Arc::new(Schema::new(vec![types[0].arrow_field("number", false)]));
        let mut decoder = Decoder::new(schema, &types);
        let row = [SIGNATURE.as_slice(), &[0; 8], &[0, 1], &(-1i32).to_be_bytes()].concat();
        decoder.push(&row).expect("a valid stream");
        assert!(decoder.take_batch().is_err());
    }
}
