//! Chance, reproducibly: the same seed and stream draw the same values on every platform and in every release.
//!
//! Invariants: the generator is ChaCha8, whose output is fixed by its specification; everything above it is written here and uses
//! only integer arithmetic and IEEE additions and multiplications (no `ln` or `exp`, which differ between C libraries).

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

/// A stream of random values.
#[derive(Debug, Clone)]
pub struct Draw(ChaCha8Rng);

/// Quantiles (0, 1/16 … 1) of a log-normal distribution with median 1 and σ = 0.7, its tails cut at 2.5 σ.
const LOG_NORMAL: [f64; 17] = [
    0.174, 0.342, 0.447, 0.537, 0.624, 0.710, 0.800, 0.896, 1.0, 1.116, 1.250, 1.408, 1.603, 1.863, 2.237, 2.926, 5.755,
];

impl Draw {
    /// Stream `stream` of `seed`; streams are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Draw(rng)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An integer in `0..bound`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply and shift: the bias is below bound / 2^64.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into something of length `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// One of `choices`, each as likely as its weight says; the weights must not all be 0.
    pub fn weighted<T: Copy>(&mut self, choices: &[(T, u32)]) -> T {
        let total: u32 = choices.iter().map(|(_, weight)| weight).sum();
        let mut rest = self.below(u64::from(total)) as u32;
        for (choice, weight) in choices {
            if rest < *weight {
                return *choice;
            }
            rest -= weight;
        }
        choices[choices.len() - 1].0
    }

    /// A positive factor with median 1 and a long right tail.
    pub fn log_normal(&mut self) -> f64 {
        let position = self.unit() * (LOG_NORMAL.len() - 1) as f64;
        let index = position as usize;
        let (low, high) = (LOG_NORMAL[index], LOG_NORMAL[index + 1]);
        low + (high - low) * (position - index as f64)
    }

    /// A random (version 4) UUID.
    pub fn uuid(&mut self) -> Uuid {
        let bits = (u128::from(self.bits()) << 64) | u128::from(self.bits());
        uuid::Builder::from_u128(bits)
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }

    /// Puts `items` in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut draw = Draw::new(7, 3);
        assert_eq!((draw.below(1_000_000), draw.below(1_000_000)), (181_541, 92_864));
    }

    #[test]
    fn draws_stay_in_range() {
        let mut draw = Draw::new(1, 0);
        for _ in 0..1_000 {
            assert!(draw.below(7) < 7);
            assert!((0.0..1.0).contains(&draw.unit()));
            assert!((0.174..=5.755).contains(&draw.log_normal()));
            assert_ne!(draw.weighted(&[("never", 0), ("always", 3)]), "never");
        }
        assert_eq!(draw.below(0), 0);
    }
}
