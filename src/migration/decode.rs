//! Bytes to text: is this file what PostgreSQL would read?
//!
//! Input: a file's name and bytes. Output: its text, without a byte order mark. Invariant: nothing is replaced or guessed; what
//! isn't UTF-8 is refused with the place of the first wrong byte. Left out: other encodings.

use anyhow::{Result, anyhow};

use crate::ui::hinted;

/// Decodes a file.
///
/// # Errors
/// UTF-16, invalid UTF-8 (with line, column and byte), or a NUL byte.
pub(super) fn decode(name: &str, bytes: Vec<u8>) -> Result<String> {
    for (mark, order) in [(&[0xFF, 0xFE], "UTF-16LE"), (&[0xFE, 0xFF], "UTF-16BE")] {
        if bytes.starts_with(mark) {
            return Err(hinted(
                anyhow!("{name} is {order} text, which PostgreSQL can't read"),
                format!("save it as UTF-8: iconv -f {order} -t UTF-8 {name}"),
            ));
        }
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let (line, column) = line_and_column(&before);
        hinted(
            anyhow!("{name}:{line}:{column}: byte 0x{:02X} isn't UTF-8", bytes[valid]),
            format!("save the file as UTF-8; if it is Latin-1: iconv -f LATIN1 -t UTF-8 {name}"),
        )
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    if let Some(at) = text.find('\0') {
        let (line, column) = line_and_column(&text[..at]);
        return Err(hinted(
            anyhow!("{name}:{line}:{column}: a NUL byte, which SQL text can't hold"),
            "is this the migration, and not a compressed or binary dump?",
        ));
    }
    Ok(text)
}

/// Line and column (in characters), both from 1, of what follows this text.
pub(super) fn line_and_column(before: &str) -> (usize, usize) {
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.as_bytes().iter().filter(|b| **b == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        match (decode("m.sql", bytes.to_vec()), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn utf_8_passes_and_loses_its_mark() {
        check("SELECT 'é';".as_bytes(), Ok("SELECT 'é';"));
        check(b"\xEF\xBB\xBFSELECT 1;", Ok("SELECT 1;"));
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        check(b"SELECT 1;\n-- \xC3\xA9t\xE9\n", Err("m.sql:2:6: byte 0xE9 isn't UTF-8"));
        check(b"\xFF\xFES\0E\0", Err("m.sql is UTF-16LE text, which PostgreSQL can't read"));
        check(b"\xFE\xFF\0S\0E", Err("m.sql is UTF-16BE text, which PostgreSQL can't read"));
        check(b"SELECT\n\0", Err("m.sql:2:1: a NUL byte, which SQL text can't hold"));
    }
}
