//! `bytea`, carried between the functions as hexadecimal digits.

use std::fmt::Write;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::native::{Arguments, Failure, Given};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: Vec<char> = text.chars().filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r')).collect();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    for pair in digits.chunks(2) {
        let value = |c: char| {
            c.to_digit(16).ok_or_else(|| Failure::raised("22023", format!("invalid hexadecimal digit: \"{c}\"")))
        };
        match pair {
            [high, low] => bytes.push((value(*high)? * 16 + value(*low)?) as u8),
            [single] => {
                value(*single)?;
                return Err(Failure::raised("22023", "invalid hexadecimal data: odd number of digits"));
            }
            _ => {}
        }
    }
    Ok(bytes)
}

/// What `byteain` reads.
pub(crate) fn from_text(text: &str) -> Result<String, Failure> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return Ok(hex(&from_hex(digits)?));
    }
    let invalid = || Failure::raised("22P02", "invalid input syntax for type bytea");
    Ok(hex(&unescaped(text).ok_or_else(invalid)?))
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        if *first != b'\\' {
            bytes.push(*first);
            rest = more;
            continue;
        }
        match more {
            [b'\\', more @ ..] => {
                bytes.push(b'\\');
                rest = more;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = more;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

pub(super) fn read(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text)] = arguments else { return Ok(None) };
    Ok(Some(from_text(text)?))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `pg_encode(hex, format)`
pub(super) fn encode(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(digits), Some(format)] = arguments else { return Ok(None) };
    let bytes = from_hex(digits)?;
    Ok(Some(match format.to_ascii_lowercase().as_str() {
        "hex" => hex(&bytes),
        "base64" => base64(&bytes),
        "escape" => bytes.iter().fold(String::new(), |mut text, byte| {
            match byte {
                0 | 0x80.. => {
                    let _ = write!(text, "\\{byte:03o}");
                }
                b'\\' => text.push_str("\\\\"),
                byte => text.push(char::from(*byte)),
            }
            text
        }),
        _ => return Err(Failure::raised("22023", format!("unrecognized encoding: \"{format}\""))),
    }))
}

/// Lines of 76 characters.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut width = 0;
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(digit) });
        }
        width += 4;
        if width >= 76 {
            text.push('\n');
            width = 0;
        }
    }
    text
}

fn from_base64(text: &str) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut bits, mut count, mut end) = (Vec::new(), 0_u32, 0, 0);
    for c in text.chars() {
        let value = match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '=' => {
                if end == 0 {
                    match count {
                        2 => end = 1,
                        3 => end = 2,
                        _ => return Err(Failure::raised("22023", "unexpected \"=\" while decoding base64 sequence")),
                    }
                }
                0
            }
            c => ALPHABET.iter().position(|known| char::from(*known) == c).ok_or_else(|| {
                Failure::raised("22023", format!("invalid symbol \"{c}\" found while decoding base64 sequence"))
            })?,
        };
        bits = bits << 6 | value as u32;
        count += 1;
        if count == 4 {
            let kept = if end == 0 { 3 } else { end };
            bytes.extend(bits.to_be_bytes().into_iter().skip(1).take(kept));
            (bits, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(Failure::raised("22023", "invalid base64 end sequence"));
    }
    Ok(bytes)
}

/// `pg_decode(text, format)`
pub(super) fn decode(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(format)] = arguments else { return Ok(None) };
    let bytes = match format.to_ascii_lowercase().as_str() {
        "hex" => from_hex(text)?,
        "base64" => from_base64(text)?,
        "escape" => unescaped(text).ok_or_else(|| Failure::raised("22P02", "invalid input syntax for type bytea"))?,
        _ => return Err(Failure::raised("22023", format!("unrecognized encoding: \"{format}\""))),
    };
    Ok(Some(hex(&bytes)))
}

/// `pg_digest(hex, name)`
pub(super) fn digest(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(digits), Some(name)] = arguments else { return Ok(None) };
    let bytes = from_hex(digits)?;
    Ok(Some(match *name {
        "sha224" => hex(&Sha224::digest(&bytes)),
        "sha256" => hex(&Sha256::digest(&bytes)),
        "sha384" => hex(&Sha384::digest(&bytes)),
        "sha512" => hex(&Sha512::digest(&bytes)),
        _ => return Err(Failure::refused(format!("the function {name}()"))),
    }))
}

/// An encoding by its name; of those that aren't listed nothing is known here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Latin1,
}

fn encoding(name: &str) -> Result<Encoding, Failure> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    match plain.to_ascii_lowercase().as_str() {
        "utf8" | "unicode" => Ok(Encoding::Utf8),
        "latin1" | "iso88591" => Ok(Encoding::Latin1),
        _ => Err(Failure::refused(format!("the encoding {name}"))),
    }
}

/// `convert_to(text, 'UTF8')`
pub(super) fn convert_to(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(text), Some(name)] = arguments else { return Ok(None) };
    if encoding(name)? == Encoding::Utf8 {
        return Ok(Some(hex(text.as_bytes())));
    }
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let bytes = bytes.ok_or_else(|| Failure::refused("a character that LATIN1 hasn't got"))?;
    Ok(Some(hex(&bytes)))
}

/// `convert_from(bytes, 'UTF8')`
pub(super) fn convert_from(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(digits), Some(name)] = arguments else { return Ok(None) };
    match encoding(name)? {
        Encoding::Utf8 => as_text(&[Some(digits)]),
        Encoding::Latin1 => {
            let bytes = from_hex(digits)?;
            if bytes.contains(&0) {
                return Err(Failure::raised("22021", "invalid byte sequence for encoding \"LATIN1\": 0x00"));
            }
            Ok(Some(bytes.into_iter().map(char::from).collect()))
        }
    }
}

/// `convert_from(bytes, 'UTF8')`
pub(super) fn as_text(arguments: &Arguments<'_>) -> Given<String> {
    let [Some(digits)] = arguments else { return Ok(None) };
    let bytes = from_hex(digits)?;
    let wrong = match std::str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\0') => return Ok(Some(text.to_owned())),
        Ok(text) => text.find('\0').unwrap_or_default(),
        Err(error) => error.valid_up_to(),
    };
    // The server shows as many bytes as the first one announces.
    let length = match bytes[wrong] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 1,
    };
    let shown: Vec<String> = bytes[wrong..].iter().take(length).map(|byte| format!("0x{byte:02x}")).collect();
    Err(Failure::raised("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "))))
}
