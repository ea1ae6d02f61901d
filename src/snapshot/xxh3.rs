//! XXH3 of 64 bits with a seed, for very many short values.
//!
//! Input: a seed, then bytes. Output: what every implementation of XXH3 gives. Invariant: the same as the crate `twox-hash` for
//! every length (a test holds them against each other); from 4 to 16 bytes it is computed here, with all that depends on the seed
//! alone done once. Left out: everything longer or shorter, which the crate does.
//!
//! Source: `XXH3_len_4to8_64b` and `XXH3_len_9to16_64b` in the specification's `xxhash.h`.

use twox_hash::XxHash3_64;

/// The words of XXH3's secret that short inputs use, at 8, 16, 24, 32, 40 and 48 bytes.
const SECRET: [u64; 6] = [
    0x1cad_21f7_2c81_017c,
    0xdb97_9083_e96d_d4de,
    0x1f67_b3b7_a4a4_4072,
    0x78e5_c0cc_4ee6_79cb,
    0x2172_ffcc_7dd0_5a82,
    0x8e24_43f7_7446_08b8,
];

/// XXH3 with one seed.
#[derive(Debug, Clone, Copy)]
pub struct Xxh3 {
    seed: u64,
    /// For 4 to 8 bytes.
    flip: u64,
    /// For the first and the last 8 of 9 to 16 bytes.
    flips: [u64; 2],
}

impl Xxh3 {
    /// With this seed.
    pub fn new(seed: u64) -> Xxh3 {
        let spread = seed ^ u64::from((seed as u32).swap_bytes()) << 32;
        Xxh3 {
            seed,
            flip: (SECRET[0] ^ SECRET[1]).wrapping_sub(spread),
            flips: [(SECRET[2] ^ SECRET[3]).wrapping_add(seed), (SECRET[4] ^ SECRET[5]).wrapping_sub(seed)],
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The hash of some bytes.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let length = bytes.len() as u64;
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(first), Some(last)) if (9..=16).contains(&length) => {
                self.long(u64::from_le_bytes(*first), u64::from_le_bytes(*last), length)
            }
            _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (Some(first), Some(last)) if length <= 8 => {
                    self.short(u32::from_le_bytes(*first), u32::from_le_bytes(*last), length)
                }
                _ => XxHash3_64::oneshot_with_seed(self.seed, bytes),
            },
        }
    }

    fn short(&self, first: u32, last: u32, length: u64) -> u64 {
        const PRIME: u64 = 0x9fb2_1c65_1e98_df25;
        let mut hash = (u64::from(last) + (u64::from(first) << 32)) ^ self.flip;
        hash ^= hash.rotate_left(49) ^ hash.rotate_left(24);
        hash = hash.wrapping_mul(PRIME);
        hash ^= (hash >> 35).wrapping_add(length);
        hash = hash.wrapping_mul(PRIME);
        hash ^ hash >> 28
    }

    fn long(&self, first: u64, last: u64, length: u64) -> u64 {
        let (low, high) = (first ^ self.flips[0], last ^ self.flips[1]);
        let product = u128::from(low) * u128::from(high);
        let folded = product as u64 ^ (product >> 64) as u64;
        let mut hash = length.wrapping_add(low.swap_bytes()).wrapping_add(high).wrapping_add(folded);
        hash ^= hash >> 37;
        hash = hash.wrapping_mul(0x1656_6791_9e37_79f9);
        hash ^ hash >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_xxh3() {
        let bytes: Vec<u8> = (0..600u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for seed in [0, 1, !0, 0x9e37_79b9_7f4a_7c15] {
            for (length, from) in (0..=300).flat_map(|length| [(length, 0), (length, 77)]) {
                let bytes = &bytes[from..from + length];
                assert_eq!(Xxh3::new(seed).hash(bytes), XxHash3_64::oneshot_with_seed(seed, bytes), "{seed} {length}");
            }
        }
    }
}
