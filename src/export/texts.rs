//! Texts: how do many short strings become one Arrow array without being checked one by one?
//!
//! Input: the bytes of each text. Output: a [`StringArray`]. Invariants: the whole buffer is proven to be UTF-8 at once, and so is
//! each text, because none begins or ends within a character; the first that isn't is named by its index.

use anyhow::{Error, Result, anyhow};
use arrow::array::StringArray;
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::nulls::Nulls;
use super::values::taken;

/// A growing array of texts.
pub struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends, behind a zero: where the first begins.
    offsets: Vec<i32>,
    nulls: Nulls,
}

impl Default for Texts {
    fn default() -> Texts {
        Texts { bytes: Vec::new(), offsets: vec![0], nulls: Nulls::default() }
    }
}

impl Texts {
    /// Appends NULL.
    #[inline]
    pub fn append_null(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or(0));
        self.nulls.append(true);
    }

    /// Appends a text, unchecked until [`Texts::finish`].
    ///
    /// # Errors
    /// When the texts of one array are longer than its offsets can say.
    #[inline]
    pub fn append(&mut self, text: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(text);
        let end = i32::try_from(self.bytes.len()).map_err(|_| anyhow!("the texts of one batch are too long"))?;
        self.offsets.push(end);
        self.nulls.append(false);
        Ok(())
    }

    /// The array so far; what follows begins a new one, about as large.
    ///
    /// # Errors
    /// When a text isn't UTF-8: its index, and why.
    pub fn finish(&mut self) -> Result<StringArray, (usize, Error)> {
        let bytes = Buffer::from_vec(taken(&mut self.bytes));
        let offsets = ScalarBuffer::from(taken(&mut self.offsets));
        self.offsets.push(0);
        // Arrow checks the whole buffer, and that no text begins or ends within a character.
        StringArray::try_new(OffsetBuffer::new(offsets.clone()), bytes.clone(), self.nulls.finish())
            .map_err(|error| first_bad(&bytes, &offsets[1..]).unwrap_or((0, Error::new(error))))
    }
}

/// The first text that isn't UTF-8.
fn first_bad(bytes: &[u8], ends: &[i32]) -> Option<(usize, Error)> {
    let mut begin = 0;
    ends.iter().enumerate().find_map(|(index, end)| {
        let text = &bytes[begin..*end as usize];
        begin = *end as usize;
        let at = std::str::from_utf8(text).err()?.valid_up_to();
        let error = crate::ui::hinted(
            anyhow!("the text isn't UTF-8 (byte 0x{:02x} at position {at})", text[at]),
            "a database with the encoding SQL_ASCII holds bytes as they came: repair the rows, or export another column's cast",
        );
        Some((index, error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn each_text_is_checked() {
        let mut texts = Texts::default();
        for text in ["a", "ß", ""] {
            texts.append(text.as_bytes()).expect("short");
        }
        texts.append_null();
        let array = texts.finish().expect("UTF-8");
        assert_eq!(array.iter().collect::<Vec<_>>(), [Some("a"), Some("ß"), Some(""), None]);
        // Two halves of one character are UTF-8 together, and neither is alone.
        for half in "ß".as_bytes().chunks(1) {
            texts.append(half).expect("short");
        }
        let (index, error) = texts.finish().expect_err("halves");
        assert_eq!((index, format!("{error:#}").contains("0xc3 at position 0")), (0, true), "{error:#}");
        assert!(texts.finish().expect("begun anew").is_empty());
    }
}
