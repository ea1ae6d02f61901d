//! Levels: which entries of a page are values, and which begin a row.
//!
//! Source: the format's nested encoding (Dremel). A flat column has definition levels only, where it may be NULL; a list has both.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{NullBuffer, OffsetBuffer};

use super::hybrid;

/// The levels of the page at hand.
pub enum Levels {
    /// A flat column without NULLs has none.
    None,
    /// A flat column: which rows have a value.
    Flat(BooleanBufferBuilder),
    /// A list.
    Nested {
        /// The greatest definition level.
        value: u8,
        /// Of each entry.
        definitions: Vec<u8>,
        /// Does the entry go on with the row before?
        repetitions: BooleanBufferBuilder,
    },
}

impl Levels {
    /// For a column with these greatest levels.
    pub fn new(definition: i16, repetition: i16) -> Levels {
        match (definition, repetition) {
            (0, _) => Levels::None,
            (_, 0) => Levels::Flat(BooleanBufferBuilder::new(0)),
            _ => Levels::Nested {
                value: definition as u8,
                definitions: Vec::new(),
                repetitions: BooleanBufferBuilder::new(0),
            },
        }
    }

    /// Adds so many rows of a flat column; returns how many have no value.
    pub fn flat(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> usize {
        if let Levels::Flat(present) = self {
            match nulls {
                Some(nulls) => present.append_buffer(nulls.inner()),
                None => present.append_n(rows, true),
            }
        }
        nulls.map_or(0, NullBuffer::null_count)
    }

    /// Adds the rows of a list whose elements may be NULL; returns how many entries that are, and how many have no value.
    pub fn list(
        &mut self,
        offsets: &OffsetBuffer<i32>,
        nulls: Option<&NullBuffer>,
        elements: Option<&NullBuffer>,
    ) -> (usize, usize) {
        let Levels::Nested { value, definitions, repetitions } = self else { return (0, 0) };
        // NULL where it may be one, then empty, then an element that is NULL, then one that isn't.
        let (value, before) = (*value, definitions.len());
        let mut values = 0;
        for (row, bounds) in offsets.windows(2).enumerate() {
            let (begin, end) = (bounds[0] as usize, bounds[1] as usize);
            let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
            if begin == end || is_null {
                definitions.push(if is_null { 0 } else { value - 2 });
                repetitions.append(false);
                continue;
            }
            repetitions.append(false);
            repetitions.append_n(end - begin - 1, true);
            match elements {
                None => definitions.resize(definitions.len() + end - begin, value),
                Some(elements) => definitions
                    .extend((begin..end).map(|element| if elements.is_valid(element) { value } else { value - 1 })),
            }
            values += elements.map_or(end - begin, |elements| (begin..end).filter(|e| elements.is_valid(*e)).count());
        }
        let entries = definitions.len() - before;
        (entries, entries - values)
    }

    /// The levels as a data page of version 1 has them, each with its length; what follows belongs to the next page.
    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Levels::None => {}
            Levels::Flat(present) => with_length(&mut out, |out| hybrid::encode_bits(&present.finish(), out)),
            Levels::Nested { value, definitions, repetitions } => {
                with_length(&mut out, |out| hybrid::encode_bits(&repetitions.finish(), out));
                with_length(&mut out, |out| hybrid::encode(definitions, bits(u64::from(*value)), out));
                definitions.clear();
            }
        }
        out
    }
}

/// Appends what `write` appends, with its length before it.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Bits that a number needs.
pub fn bits(number: u64) -> u8 {
    (64 - number.leading_zeros()) as u8
}
