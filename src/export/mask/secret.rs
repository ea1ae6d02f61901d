//! The secret: what makes masked values the same everywhere, and not to be guessed by trying?
//!
//! Input: a salt. Output: keyed digests (HMAC-SHA-256, RFC 2104), keyed bijections of whole numbers, endless streams of bytes.
//! Invariants: the same salt gives the same answers for ever; a bijection keeps its domain; the salt itself is never kept, and
//! nothing here can be printed. Left out: where the salt comes from.

use sha2::{Digest, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;
/// Rounds of the Feistel network that permutes whole numbers.
const ROUNDS: u8 = 10;

/// Says what a digest is for: equal values of two kinds have nothing in common.
#[derive(Clone, Copy)]
pub enum Purpose {
    /// Names the salt without telling it.
    Fingerprint = 0,
    /// Texts.
    Text = 1,
    /// UUIDs, in a column of their own or as text.
    Uuid = 2,
    /// Bytes.
    Bytes = 3,
    /// Text of the same length.
    Length = 4,
    /// Made-up names, addresses and numbers.
    Fake = 5,
}

/// A key made of a salt.
#[derive(Clone)]
pub struct Secret {
    inner: Sha256,
    outer: Sha256,
    rounds: [u8; 32],
}

impl Secret {
    /// The key that a salt makes.
    pub fn new(salt: &[u8]) -> Secret {
        let (inner, outer) = keyed(salt);
        let derived = |label: &[u8]| finish(&inner, &outer, &[label]);
        let (inner, outer) = keyed(&derived(b"rehearsal mask 1: digests"));
        let rounds = {
            let (first, second) = keyed(salt);
            finish(&first, &second, &[b"rehearsal mask 1: rounds"])
        };
        Secret { inner, outer, rounds }
    }

    /// The keyed digest of a value.
    pub fn digest(&self, purpose: Purpose, value: &[u8]) -> [u8; 32] {
        finish(&self.inner, &self.outer, &[&[purpose as u8], value])
    }

    /// Sixteen hexadecimal digits by which two snapshots can be known to share a salt.
    pub fn fingerprint(&self) -> String {
        crate::snapshot::manifest::hex(&self.digest(Purpose::Fingerprint, b"")[..8])
    }

    /// A stream of bytes that a value decides.
    pub fn stream(&self, purpose: Purpose, value: &[u8]) -> Stream<'_> {
        Stream { secret: self, seed: self.digest(purpose, value), block: [0; 32], at: 32, number: 0 }
    }

    /// Another whole number of the same sign that fits wherever `value` does: no two have one answer. Numbers that fit into two,
    /// four and eight bytes stay among themselves, so a key has one answer in columns of any width.
    pub fn permute(&self, value: i64) -> i64 {
        within_sign(value, |magnitude| {
            let (from, to) = match magnitude {
                0..0x8000 => (0, 0x8000),
                0x8000..0x8000_0000 => (0x8000, 0x8000_0000),
                _ => (0x8000_0000, 1 << 63),
            };
            self.permute_within(magnitude, from, to, u8::from(value < 0))
        })
    }

    /// Another whole number with the same sign and as many digits, which fits wherever `value` does.
    pub fn permute_digits(&self, value: i64) -> i64 {
        let shift = u64::from(value < 0);
        within_sign(value, |magnitude| {
            let digits = (magnitude + shift).max(1).ilog10();
            let from = if digits == 0 { 0 } else { 10u64.pow(digits) - shift };
            let to = 10u64.pow(digits + 1).min(1 << 63) - shift;
            // Where a column's width ends within the decade, numbers on either side stay there.
            let widths = [0x8000, 0x8000_0000].into_iter().filter(|width| (from + 1..to).contains(width));
            let (from, to) =
                widths.fold(
                    (from, to),
                    |(from, to), width| {
                        if magnitude < width { (from, to.min(width)) } else { (from.max(width), to) }
                    },
                );
            // The smallest number of all is alone behind the last decade's end.
            if magnitude >= to { magnitude } else { self.permute_within(magnitude, from, to, 2 + shift as u8) }
        })
    }

    /// A keyed bijection of `from..to`: a Feistel network over a power of two, walked until it comes back into the domain.
    fn permute_within(&self, value: u64, from: u64, to: u64, tweak: u8) -> u64 {
        let half = (u64::BITS - (to - 1).leading_zeros()).div_ceil(2).max(2);
        let mask = (1u64 << half) - 1;
        let mut walked = value;
        loop {
            let (mut left, mut right) = (walked >> half, walked & mask);
            for round in 0..ROUNDS {
                let mut hasher = Sha256::new();
                hasher.update(self.rounds);
                hasher.update([tweak, half as u8, round]);
                hasher.update(from.to_be_bytes());
                hasher.update((right as u32).to_be_bytes());
                let digest = hasher.finalize();
                let noise = u64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) & mask;
                (left, right) = (right, left ^ noise);
            }
            walked = left << half | right;
            if (from..to).contains(&walked) {
                return walked;
            }
        }
    }
}

/// -1, -2 … are permuted as 0, 1 …
fn within_sign(value: i64, permute: impl Fn(u64) -> u64) -> i64 {
    if value < 0 {
        !i64::try_from(permute(!value as u64)).unwrap_or(i64::MAX)
    } else {
        i64::try_from(permute(value as u64)).unwrap_or(i64::MAX)
    }
}

fn keyed(key: &[u8]) -> (Sha256, Sha256) {
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let start = |pad: u8| Sha256::new().chain_update(block.map(|byte| byte ^ pad));
    (start(0x36), start(0x5c))
}

fn finish(inner: &Sha256, outer: &Sha256, parts: &[&[u8]]) -> [u8; 32] {
    let mut inner = inner.clone();
    for part in parts {
        inner.update(part);
    }
    outer.clone().chain_update(inner.finalize()).finalize().into()
}

/// Bytes without end.
pub struct Stream<'a> {
    secret: &'a Secret,
    seed: [u8; 32],
    block: [u8; 32],
    at: usize,
    number: u64,
}

impl Stream<'_> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        if self.at == self.block.len() {
            let number = self.number.to_be_bytes();
            self.block = finish(&self.secret.inner, &self.secret.outer, &[b"stream", &self.seed, &number]);
            (self.at, self.number) = (0, self.number + 1);
        }
        self.at += 1;
        self.block[self.at - 1]
    }

    /// The next number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (usize::from(self.byte()) << 8 | usize::from(self.byte())) % end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::manifest::hex;
    use std::collections::HashSet;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn the_digest_is_hmac_sha_256() {
        fn check(key: &[u8], text: &[u8], expected: &str) {
            let (inner, outer) = keyed(key);
            assert_eq!(hex(&finish(&inner, &outer, &[text])), expected);
        }
        check(
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        );
        check(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        );
    }

    #[test]
    fn whole_numbers_are_permuted_where_they_fit() {
        let secret = Secret::new(b"a salt of sixteen bytes");
        for permute in [Secret::permute, Secret::permute_digits] {
            let all: HashSet<i64> = (-32768..=32767).map(|n| permute(&secret, n)).collect();
            assert_eq!(all.len(), 65536, "no two have one answer");
            assert!(all.iter().all(|n| i16::try_from(*n).is_ok()), "all fit into two bytes");
            for n in [32768, 2_000_000_000, i64::from(i32::MAX), -40000, i64::from(i32::MIN)] {
                let other = permute(&secret, n);
                assert!(i32::try_from(other).is_ok() && i16::try_from(other).is_err(), "{n} -> {other}");
                assert_eq!(other.signum(), n.signum());
            }
            for n in [i64::from(i32::MAX) + 1, i64::MAX, i64::MIN, 5_000_000_000] {
                assert_eq!(permute(&secret, n).signum(), n.signum(), "{n}");
            }
        }
        assert_eq!(secret.permute_digits(1234).to_string().len(), 4);
        assert_ne!(secret.permute(42), Secret::new(b"another salt of sixteen").permute(42));
    }

    #[test]
    fn purposes_have_nothing_in_common() {
        let secret = Secret::new(b"a salt of sixteen bytes");
        assert_ne!(secret.digest(Purpose::Text, b"x"), secret.digest(Purpose::Uuid, b"x"));
        assert_eq!(secret.fingerprint().len(), 16);
    }
}
