//! Random choices, all from one seed: the same seed gives the same script.

use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

/// A source of choices.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The choices of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        self.0.random_range(0..sides)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.0.random_range(low..=high)
    }

    /// Yes in so many of a hundred cases.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list.choose(&mut self.0).expect("something to choose from").clone()
    }

    /// One of several texts.
    pub fn word(&mut self, list: &[&str]) -> String {
        self.of(list).to_owned()
    }

    /// Some of several, at least one, in their order.
    pub fn some<T: Clone>(&mut self, list: &[T]) -> Vec<T> {
        let chosen: Vec<T> = list.iter().filter(|_| self.percent(50)).cloned().collect();
        if chosen.is_empty() { vec![self.of(list)] } else { chosen }
    }
}
