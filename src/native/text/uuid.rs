//! `uuid`: what its input function reads.
//!
//! Source: `src/backend/utils/adt/uuid.c`: 32 digits, a hyphen after any four of them, and braces around all. Nothing else: no
//! blanks, no prefix.

use crate::native::Failure;

/// The text as 32 digits.
///
/// # Errors
/// 22P02 for any other text.
pub(crate) fn from_text(text: &str) -> Result<String, Failure> {
    let invalid = || Failure::raised("22P02", format!("invalid input syntax for type uuid: \"{text}\""));
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let mut digits = String::with_capacity(32);
    let mut after_hyphen = false;
    for letter in inner.chars() {
        let may_break = !after_hyphen && !digits.is_empty() && digits.len().is_multiple_of(4) && digits.len() < 32;
        after_hyphen = letter == '-';
        match letter {
            '-' if may_break => {}
            digit if digit.is_ascii_hexdigit() => digits.push(digit.to_ascii_lowercase()),
            _ => return Err(invalid()),
        }
    }
    if digits.len() == 32 { Ok(digits) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_stand_between_fours() {
        fn check(text: &str, expected: bool) {
            let read = from_text(text);
            assert_eq!(read.is_ok(), expected, "{text}");
            assert!(read.is_err() || read.is_ok_and(|read| read == "550e8400e29b41d4a716446655440000"), "{text}");
        }
        check("550e8400-e29b-41d4-a716-446655440000", true);
        check("{550E8400E29B41D4A716446655440000}", true);
        check("550e-8400-e29b-41d4-a716-4466-5544-0000", true);
        check("550e8400e29b41d4a716446655440000-", false);
        check("-550e8400e29b41d4a716446655440000", false);
        check("550e--8400e29b41d4a716446655440000", false);
        check("55-0e8400e29b41d4a716446655440000", false);
        check("{550e8400e29b41d4a716446655440000", false);
        check(" 550e8400e29b41d4a716446655440000", false);
        check("550e8400", false);
    }
}
