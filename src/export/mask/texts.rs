//! Texts: which text stands in for another one?
//!
//! Input: a text and a rule. Output: another text of at most as many characters as every masked column takes. Invariants: the answer
//! depends on the secret and the text alone, so equal texts stay equal in every column and table of an export; what `hash` gives
//! has at least sixty bits.

use super::secret::{Purpose, Secret, Stream};
use super::{Limits, Rule};

/// Characters of a hash where all columns take as many: 130 bits.
pub const HASH_CHARACTERS: usize = 26;
/// Characters of a hash at least: with fewer, unequal texts would become equal soon.
pub const LEAST_HASH_CHARACTERS: usize = 12;
/// Five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What `redact` leaves of any text.
const REDACTED: &str = "***";

const FIRST_NAMES: &[&str] = &[
    "Ada", "Alma", "Amir", "Anna", "Aron", "Bela", "Carl", "Cleo", "Dana", "Dora", "Elia", "Emil", "Enzo", "Erik",
    "Eva", "Finn", "Gina", "Greta", "Hana", "Hugo", "Ida", "Iris", "Ivan", "Jana", "Jonas", "Juna", "Kai", "Karl",
    "Lara", "Lea", "Leon", "Lina", "Luis", "Maja", "Marc", "Mara", "Mila", "Nico", "Nina", "Noah", "Nora", "Olga",
    "Omar", "Otto", "Paul", "Pia", "Rafi", "Rosa", "Ruth", "Sara", "Simon", "Sofia", "Stella", "Tara", "Theo", "Tom",
    "Uma", "Vera", "Viktor", "Wanda", "Yara", "Yusuf", "Zeno", "Zoe",
];
const LAST_NAMES: &[&str] = &[
    "Abel", "Adler", "Amsel", "Bach", "Baker", "Berg", "Birch", "Brook", "Carver", "Clay", "Cole", "Cooper", "Dale",
    "Drake", "Ebert", "Falk", "Ferris", "Field", "Fisher", "Ford", "Frost", "Garner", "Glass", "Gray", "Hale", "Hart",
    "Heron", "Hill", "Hirsch", "Hofer", "Hunter", "Jansen", "Keller", "Kern", "Lang", "Lark", "Linde", "Marsh",
    "Mason", "Meyer", "Miller", "Moor", "Moss", "North", "Oakes", "Olsen", "Parker", "Penn", "Quill", "Reed", "Ridge",
    "Rowe", "Sander", "Sattler", "Shaw", "Stein", "Stone", "Thorn", "Tyler", "Vogel", "Wagner", "Ward", "West",
    "Winter",
];

/// What looks like what: a made-up value is of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `a@b.c`
    Email,
    /// An address of a host.
    Ip,
    /// A web address.
    Url,
    /// Digits with what stands between them.
    Phone,
    /// One to four words of letters.
    Name,
    /// Anything else.
    Other,
}

/// The text that stands in for `text`.
pub fn masked(secret: &Secret, limits: Limits, rule: Rule, text: &str) -> String {
    match rule {
        Rule::Null | Rule::Redact => REDACTED.to_owned(),
        Rule::Hash => hashed(secret, limits.hash, text),
        Rule::KeepLength => same_length(secret, text),
        Rule::Fake => faked(secret, limits.fake, text),
    }
}

/// A UUID for a UUID's text, else letters and digits.
fn hashed(secret: &Secret, characters: usize, text: &str) -> String {
    if let Some(bytes) = uuid_text(text) {
        return uuid::Uuid::from_bytes(masked_uuid(secret, &bytes)).hyphenated().to_string();
    }
    letters(&secret.digest(Purpose::Text, text.as_bytes()), characters)
}

/// The UUID whose text, as PostgreSQL writes it, this is.
fn uuid_text(text: &str) -> Option<[u8; 16]> {
    let plain = text.len() == 36 && text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let uuid = plain.then(|| uuid::Uuid::try_parse(text).ok())??;
    (uuid.hyphenated().to_string() == text).then(|| uuid.into_bytes())
}

/// A UUID that looks like a random one.
pub fn masked_uuid(secret: &Secret, bytes: &[u8; 16]) -> [u8; 16] {
    let digest = secret.digest(Purpose::Uuid, bytes);
    let mut masked = [0; 16];
    masked.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(masked).into_uuid().into_bytes()
}

/// The first bits of a digest, five a character.
fn letters(digest: &[u8; 32], characters: usize) -> String {
    let bit = |at: usize| digest[at / 8] >> (7 - at % 8) & 1;
    let character = |place: usize| {
        let index = (0..5).fold(0, |index, offset| index << 1 | usize::from(bit(place * 5 + offset)));
        char::from(ALPHABET[index])
    };
    (0..characters.min(51)).map(character).collect()
}

/// Letters for letters, digits for digits; what stands between them stays.
fn same_length(secret: &Secret, text: &str) -> String {
    let mut noise = secret.stream(Purpose::Length, text.as_bytes());
    text.chars().map(|character| same_kind(character, &mut noise)).collect()
}

fn same_kind(character: char, noise: &mut Stream<'_>) -> char {
    let from = |first: u8, count: usize, noise: &mut Stream<'_>| char::from(first + noise.below(count) as u8);
    match character {
        _ if character.is_numeric() => from(b'0', 10, noise),
        _ if character.is_uppercase() => from(b'A', 26, noise),
        _ if character.is_alphabetic() => from(b'a', 26, noise),
        _ if character.is_ascii() || character.is_whitespace() => character,
        _ => '*',
    }
}

/// What a text looks like.
pub fn shape(text: &str) -> Shape {
    let trimmed = text.trim();
    let email = |text: &str| {
        let (local, domain) = text.split_once('@')?;
        let (host, end) = domain.rsplit_once('.')?;
        let plain = !text.contains(char::is_whitespace) && !domain.contains('@');
        (plain && !local.is_empty() && !host.is_empty() && !end.is_empty()).then_some(())
    };
    if email(trimmed).is_some() {
        return Shape::Email;
    }
    if trimmed.parse::<std::net::IpAddr>().is_ok() {
        return Shape::Ip;
    }
    if trimmed.starts_with("http://") || trimmed.starts_with("https://") {
        return Shape::Url;
    }
    let digits = trimmed.chars().filter(char::is_ascii_digit).count();
    if digits >= 6 && trimmed.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c)) {
        return Shape::Phone;
    }
    let letter = |c: char| c.is_alphabetic() || "-'’.".contains(c);
    let letters = |word: &str| word.chars().any(char::is_alphabetic) && word.chars().all(letter);
    let words = trimmed.split_whitespace().count();
    if (1..=4).contains(&words) && trimmed.split_whitespace().all(letters) { Shape::Name } else { Shape::Other }
}

/// A made-up text of the same shape.
fn faked(secret: &Secret, limit: usize, text: &str) -> String {
    let digest = secret.digest(Purpose::Fake, text.as_bytes());
    let mut noise = secret.stream(Purpose::Fake, text.as_bytes());
    let made = match shape(text) {
        Shape::Email => email(&digest, &mut noise, limit),
        Shape::Ip if text.contains(':') => {
            let group = |at: usize| format!("{:x}", u16::from_be_bytes([digest[at], digest[at + 1]]));
            format!("fd00::{}", [0, 2, 4, 6].map(group).join(":"))
        }
        Shape::Ip => format!("10.{}.{}.{}", digest[0], digest[1], digest[2]),
        Shape::Url => format!("https://www.example.com/{}", letters(&digest, 16)),
        Shape::Name => named(text, &mut noise),
        Shape::Phone | Shape::Other => same_length(secret, text),
    };
    if made.chars().count() <= limit.max(text.chars().count()) { made } else { made.chars().take(limit).collect() }
}

/// `ada.abel.k3v5q2ma7x@example.com`, or shorter where there is less room; the end keeps unequal ones apart.
fn email(digest: &[u8; 32], noise: &mut Stream<'_>, limit: usize) -> String {
    let name = format!("{}.{}", pick(FIRST_NAMES, noise), pick(LAST_NAMES, noise)).to_lowercase();
    let long = format!("{name}.{}@example.com", letters(digest, 13));
    match limit {
        _ if long.len() <= limit => long,
        28.. => format!("{}@example.com", letters(digest, 16)),
        _ => format!("{}@x.io", letters(digest, limit.saturating_sub(5).max(1))),
    }
}

fn named(text: &str, noise: &mut Stream<'_>) -> String {
    let words = text.split_whitespace().enumerate().map(|(index, word)| {
        let name = pick(if index == 0 { FIRST_NAMES } else { LAST_NAMES }, noise);
        match word {
            _ if !word.chars().any(char::is_uppercase) => name.to_lowercase(),
            _ if word.chars().count() > 1 && !word.chars().any(char::is_lowercase) => name.to_uppercase(),
            _ => name.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn pick<'a>(names: &[&'a str], noise: &mut Stream<'_>) -> &'a str {
    names[noise.below(names.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new(b"a salt of sixteen bytes")
    }

    fn check(rule: Rule, text: &str, limit: usize, holds: impl Fn(&str) -> bool) {
        let limits = Limits { hash: limit.min(HASH_CHARACTERS), fake: limit };
        let made = masked(&secret(), limits, rule, text);
        assert!(holds(&made), "{rule:?} {text:?} -> {made:?}");
        assert_eq!(made, masked(&secret(), limits, rule, text), "equal stays equal");
    }

    #[test]
    fn shapes_are_seen() {
        for (text, expected) in [
            ("ann@shop.example", Shape::Email),
            ("not an@email.x", Shape::Other),
            ("192.168.0.1", Shape::Ip),
            ("2001:db8::1", Shape::Ip),
            ("https://a.example/x?y=1", Shape::Url),
            ("+49 (30) 123-456", Shape::Phone),
            ("Ann-Marie O'Hara", Shape::Name),
            ("Main Street 12", Shape::Other),
            ("", Shape::Other),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn texts_keep_what_the_rule_keeps() {
        check(Rule::Hash, "job-1", 100, |made| made.len() == 26);
        check(Rule::Hash, "", 100, |made| made.len() == 26);
        check(Rule::Hash, "job-1", 15, |made| made.len() == 15);
        check(Rule::Hash, "00000000-0000-4000-8000-000000000001", 100, |made| uuid_text(made).is_some());
        check(Rule::KeepLength, "Größe 12-34", 100, |made| {
            made.len() == 11 && made.ends_with(|c: char| c.is_ascii_digit()) && made.contains('-')
        });
        check(Rule::Fake, "ann@shop.example", 100, |made| made.ends_with("@example.com") && made.len() > 20);
        check(Rule::Fake, "ann@shop.example", 28, |made| made.ends_with("@example.com") && made.len() == 28);
        check(Rule::Fake, "ann@shop.example", 20, |made| made.ends_with("@x.io") && made.len() <= 20);
        check(Rule::Fake, "ANN o'hara", 100, |made| shape(made) == Shape::Name && made.starts_with(char::is_uppercase));
        check(Rule::Fake, "+49 (30) 123-456", 100, |made| shape(made) == Shape::Phone && made.starts_with("+"));
        check(Rule::Fake, "192.168.0.1", 100, |made| made.starts_with("10."));
        check(Rule::Redact, "anything", 100, |made| made == "***");
    }
}
