//! Levels: which entries of a page are values, and which begin a row.
//!
//! Source: the format's nested encoding (Dremel). A flat column has definition levels only, where it may be NULL; a list has both.

use arrow::buffer::{NullBuffer, OffsetBuffer};

use super::hybrid;

/// The levels of the page at hand.
pub struct Levels {
    greatest_definition: u8,
    greatest_repetition: u8,
    definitions: Vec<u8>,
    repetitions: Vec<u8>,
}

impl Levels {
    /// For a column with these greatest levels.
    pub fn new(definition: i16, repetition: i16) -> Levels {
        Levels {
            greatest_definition: definition as u8,
            greatest_repetition: repetition as u8,
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    /// Adds so many rows of a flat column; returns how many have no value.
    pub fn flat(&mut self, rows: usize, nulls: Option<&NullBuffer>) -> usize {
        if self.greatest_definition > 0 {
            match nulls {
                Some(nulls) => self.definitions.extend(nulls.iter().map(u8::from)),
                None => self.definitions.resize(self.definitions.len() + rows, 1),
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
        // NULL where it may be one, then empty, then an element that is NULL, then one that isn't.
        let (value, before) = (self.greatest_definition, self.definitions.len());
        let mut values = 0;
        for (row, bounds) in offsets.windows(2).enumerate() {
            let (begin, end) = (bounds[0] as usize, bounds[1] as usize);
            if begin == end || nulls.is_some_and(|nulls| nulls.is_null(row)) {
                let is_null = nulls.is_some_and(|nulls| nulls.is_null(row));
                self.definitions.push(if is_null { 0 } else { value - 2 });
                self.repetitions.push(0);
                continue;
            }
            for element in begin..end {
                let valid = elements.is_none_or(|elements| elements.is_valid(element));
                self.definitions.push(if valid { value } else { value - 1 });
                self.repetitions.push(u8::from(element > begin));
                values += usize::from(valid);
            }
        }
        let entries = self.definitions.len() - before;
        (entries, entries - values)
    }

    /// Appends the levels as a data page of version 1 has them, each with its length; what follows belongs to the next page.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let kinds =
            [(self.greatest_repetition, &mut self.repetitions), (self.greatest_definition, &mut self.definitions)];
        for (greatest, levels) in kinds {
            if greatest == 0 {
                continue;
            }
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            hybrid::encode(levels, bits(u64::from(greatest)), out);
            let length = (out.len() - at - 4) as u32;
            out[at..at + 4].copy_from_slice(&length.to_le_bytes());
            levels.clear();
        }
    }
}

/// Bits that a number needs.
pub fn bits(number: u64) -> u8 {
    (64 - number.leading_zeros()) as u8
}
