//! The dice of a life; its own, so that the daemon's draws do not change what happens to it.

use consentd::random::{SeededRandom, below};

pub struct Dice(SeededRandom);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed ^ 0xD1CE))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        usize::try_from(below(&self.0, bound as u64)).unwrap_or(0)
    }

    /// True in so many of a hundred throws.
    pub fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}
