//! What earlier rows of a file named, in little memory.

use std::collections::HashSet;

/// Numbers in the set before they are sorted in among the others.
const RECENT: usize = 65_536;

/// A set of numbers that only grows: eight bytes a number, where a hash set takes up to three times as much while it grows.
#[derive(Default)]
pub(super) struct Seen {
    sorted: Vec<u64>,
    recent: HashSet<u64>,
}

impl Seen {
    /// Adds a number; true when it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        if self.sorted.binary_search(&number).is_ok() || !self.recent.insert(number) {
            return false;
        }
        if self.recent.len() == RECENT {
            self.sorted.reserve_exact(RECENT);
            self.sorted.extend(self.recent.drain());
            self.sorted.sort_unstable();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_new_once_however_many_there_are() {
        let mut seen = Seen::default();
        let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let count = 3 * RECENT as u64 + 7;
        assert!((0..count).all(|n| seen.insert(mixed(n))));
        assert!((0..count).all(|n| !seen.insert(mixed(n))));
        assert!(seen.insert(mixed(count)));
    }
}
