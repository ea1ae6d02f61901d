//! How many bytes is a JSON text as `jsonb`?
//!
//! Input: the text, as PostgreSQL prints it. Output: the payload without its varlena header. Invariants: the layout of
//! PostgreSQL's `jsonb.h`: a container has a 4-byte head, then a 4-byte entry for each element or for each key and each value, then
//! keys, then values; numbers and containers begin at multiples of four. No allocation, and never a panic: what isn't JSON counts as
//! its length. Left out: duplicate keys, which the server drops and never prints.

use super::layout::align;

/// The payload of a `jsonb` value that prints as `text`.
pub fn payload_bytes(text: &str) -> u32 {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    reader.skip_space();
    let scalar = !matches!(reader.peek(), Some(b'{' | b'['));
    // A top-level scalar is stored as an array of one element.
    let begin = if scalar { 8 } else { 0 };
    reader.value(begin).unwrap_or_else(|| 4 + u32::try_from(text.len()).unwrap_or(u32::MAX - 4))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Reads a value that is stored from `offset` on; returns where it ends.
    fn value(&mut self, offset: u32) -> Option<u32> {
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(align(offset, 4)),
            b'[' => self.array(align(offset, 4)),
            b'"' => Some(offset + self.string()?),
            b't' | b'f' | b'n' => {
                self.literal();
                Some(offset)
            }
            _ => Some(align(offset, 4) + self.number()?),
        }
    }

    fn array(&mut self, offset: u32) -> Option<u32> {
        let begin = self.at;
        // The entries come before the elements: count them first, then read again.
        let elements = self.elements(None)?;
        self.at = begin;
        let mut end = offset + 4 + 4 * elements;
        self.elements(Some(&mut end))?;
        Some(end)
    }

    /// Passes over the elements, laying them out from `end` on where it is given; returns how many there are.
    fn elements(&mut self, mut end: Option<&mut u32>) -> Option<u32> {
        self.expect(b'[')?;
        let mut elements = 0;
        if self.expect(b']').is_some() {
            return Some(0);
        }
        loop {
            let next = self.value(end.as_deref().copied().unwrap_or(0))?;
            if let Some(end) = end.as_deref_mut() {
                *end = next;
            }
            elements += 1;
            if self.expect(b',').is_none() {
                self.expect(b']')?;
                return Some(elements);
            }
        }
    }

    fn object(&mut self, offset: u32) -> Option<u32> {
        let begin = self.at;
        let (pairs, key_bytes) = self.pairs(None)?;
        self.at = begin;
        let mut end = offset + 4 + 8 * pairs + key_bytes;
        self.pairs(Some(&mut end))?;
        Some(end)
    }

    /// As [`Reader::elements`]; returns the pairs and the bytes of their keys.
    fn pairs(&mut self, mut end: Option<&mut u32>) -> Option<(u32, u32)> {
        self.expect(b'{')?;
        let (mut pairs, mut key_bytes) = (0, 0);
        if self.expect(b'}').is_some() {
            return Some((0, 0));
        }
        loop {
            self.skip_space();
            key_bytes += self.string()?;
            self.expect(b':')?;
            let next = self.value(end.as_deref().copied().unwrap_or(0))?;
            if let Some(end) = end.as_deref_mut() {
                *end = next;
            }
            pairs += 1;
            if self.expect(b',').is_none() {
                self.expect(b'}')?;
                return Some((pairs, key_bytes));
            }
        }
    }

    /// Bytes of a string once its escapes are undone.
    fn string(&mut self) -> Option<u32> {
        self.expect(b'"')?;
        let mut bytes = 0;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(bytes),
                b'\\' => bytes += self.escape()?,
                _ => bytes += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<u32> {
        let escaped = self.peek()?;
        self.at += 1;
        if escaped != b'u' {
            return Some(1);
        }
        let digits = std::str::from_utf8(self.bytes.get(self.at..self.at + 4)?).ok()?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.at += 4;
        Some(match unit {
            0..0x80 => 1,
            0x80..0x800 => 2,
            // Half of a pair, whose character has four bytes.
            0xD800..0xE000 => 2,
            _ => 3,
        })
    }

    fn literal(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
            self.at += 1;
        }
    }

    /// A number is a `numeric`: six bytes, and two for each base-10000 digit between the first and the last that isn't zero.
    fn number(&mut self) -> Option<u32> {
        let begin = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = std::str::from_utf8(&self.bytes[begin..self.at]).ok()?;
        (!text.is_empty()).then(|| 6 + 2 * numeric_digits(text))
    }
}

/// Base-10000 digits of a decimal number in plain notation.
fn numeric_digits(text: &str) -> u32 {
    let plain = text.trim_start_matches('-').split(['e', 'E']).next().unwrap_or_default();
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let point = whole.len() as i64;
    // Position of a decimal digit relative to the point, in groups of four: negative after it.
    let group = |index: usize| (point - 1 - index as i64).div_euclid(4);
    let nonzero = |(index, c): (usize, char)| (c != '0').then(|| group(index));
    let digits = || whole.chars().chain(fraction.chars()).enumerate();
    let (Some(first), Some(last)) = (digits().find_map(nonzero), digits().filter_map(nonzero).last()) else { return 0 };
    u32::try_from(first - last + 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` is pg_column_size(text::jsonb) of PostgreSQL 15 less the 4-byte header.
    fn check(text: &str, expected: u32) {
        assert_eq!(payload_bytes(text), expected, "{text}");
    }

    #[test]
    fn sizes_are_the_servers() {
        check("{}", 4);
        check("[]", 4);
        check("null", 8);
        check("3.14", 18);
        check(r#"{"attempt": 2, "willRetry": true}"#, 44);
        check(r#"{"score": 81, "artistName": "Ñandú Atlas"}"#, 57);
        check(r#"{"score": 93, "artistName": "Broken Orchard"}"#, 58);
        check(r#"{"matchedBy": ["title", "artist"], "albumTitle": "Quiet Mirrors", "confidence": 0.74}"#, 104);
        check(r#"[1, 2.5, "ab", {"k": [true, null, 100000]}, 12345.6789, -0.00001]"#, 108);
        check(r#"{"a": "xyz", "bb": 7, "ccc": {"d": [], "e": {}}}"#, 80);
    }

    #[test]
    fn numbers_count_base_10000_digits() {
        for (text, digits) in [
            ("0", 0),
            ("0.00", 0),
            ("7", 1),
            ("9999", 1),
            ("10000", 1),
            ("10001", 2),
            ("-0.74", 1),
            ("1.5", 2),
            ("0.00001", 1),
            ("12345.6789", 3),
        ] {
            assert_eq!(numeric_digits(text), digits, "{text}");
        }
    }

    #[test]
    fn escapes_count_as_what_they_stand_for() {
        check(r#""a\"b""#, 8 + 3);
        check(r#""\u00e9""#, 8 + 2);
        check(r#""\ud83d\ude00""#, 8 + 4);
    }

    #[test]
    fn what_is_not_json_counts_as_its_length() {
        for text in ["{", "{\"a\"", "[1,", "\"open", "", "{\"a\": \"\\u00"] {
            check(text, 4 + text.len() as u32);
        }
    }
}
