//! Texts: how do many short strings become one Arrow array without being checked one by one?
//!
//! Input: the bytes of each text. Output: a [`StringArray`]. Invariants: the whole buffer is proven to be UTF-8 at once, and so is
//! each text, because none begins or ends within a character; the first that isn't is named by its index.

use anyhow::{Error, Result, anyhow};
use arrow::array::StringArray;
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// A growing array of texts.
#[derive(Default)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    valid: Vec<bool>,
    nulls: usize,
}

impl Texts {
    /// Appends NULL.
    pub fn append_null(&mut self) {
        self.ends.push(self.ends.last().copied().unwrap_or(0));
        self.valid.push(false);
        self.nulls += 1;
    }

    /// Appends a text, unchecked until [`Texts::finish`].
    ///
    /// # Errors
    /// When the texts of one array are longer than its offsets can say.
    pub fn append(&mut self, text: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(text);
        let end = i32::try_from(self.bytes.len()).map_err(|_| anyhow!("the texts of one batch are too long"))?;
        self.ends.push(end);
        self.valid.push(true);
        Ok(())
    }

    /// The array so far; what follows begins a new one, about as large.
    ///
    /// # Errors
    /// When a text isn't UTF-8: its index, and why.
    pub fn finish(&mut self) -> Result<StringArray, (usize, Error)> {
        let next = Texts {
            bytes: Vec::with_capacity(self.bytes.len() + self.bytes.len() / 8),
            ends: Vec::with_capacity(self.ends.len()),
            valid: Vec::with_capacity(self.ends.len()),
            nulls: 0,
        };
        let Texts { bytes, ends, valid, nulls } = std::mem::replace(self, next);
        if let Some(bad) = first_bad(&bytes, &ends) {
            return Err(bad);
        }
        let offsets: ScalarBuffer<i32> = std::iter::once(0).chain(ends).collect();
        let nulls = (nulls > 0).then(|| NullBuffer::from(valid));
        StringArray::try_new(OffsetBuffer::new(offsets), Buffer::from_vec(bytes), nulls)
            .map_err(|error| (0, Error::new(error)))
    }
}

/// The first text that isn't UTF-8.
fn first_bad(bytes: &[u8], ends: &[i32]) -> Option<(usize, Error)> {
    let whole = std::str::from_utf8(bytes);
    if let Ok(whole) = whole
        && ends.iter().all(|end| whole.is_char_boundary(*end as usize))
    {
        return None;
    }
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
