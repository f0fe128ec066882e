//! Chance as a parameter: ids, tokens, keys and jitter all come from here.

use crate::clock::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Where chance comes from.
pub trait Random: Send + Sync {
    /// Fills the bytes with unpredictable ones.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "without chance there are no keys and no tokens: nothing may go on"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// A generator whose every byte follows from its seed. For tests and demos, never for keys that protect people.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    drawn: AtomicU64,
}

impl SeededRandom {
    /// A generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let block = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(self.drawn.fetch_add(1, Ordering::SeqCst).to_be_bytes())
                .finalize();
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
    }
}

/// Bytes drawn from another source in one go, each handed out once: asking the operating system costs as much as sealing.
/// When they are used up the source is asked again.
pub struct Drawn<'a> {
    source: &'a dyn Random,
    rest: Mutex<Vec<u8>>,
}

impl<'a> Drawn<'a> {
    /// Draws that many bytes.
    #[must_use]
    pub fn from(source: &'a dyn Random, count: usize) -> Self {
        let mut bytes = vec![0; count];
        source.fill(&mut bytes);
        Self { source, rest: Mutex::new(bytes) }
    }
}

impl Random for Drawn<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        match rest.len().checked_sub(bytes.len()) {
            Some(left) => {
                for (to, from) in bytes.iter_mut().zip(rest.drain(left..)) {
                    *to = from;
                }
            }
            None => self.source.fill(bytes),
        }
    }
}

/// An array of random bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut out = [0; N];
    random.fill(&mut out);
    out
}

/// A random number below `bound` (0 if `bound` is 0). Slightly uneven, which is fine for jitter and samples.
pub fn below(random: &dyn Random, bound: u64) -> u64 {
    u64::from_be_bytes(bytes(random)).checked_rem(bound).unwrap_or(0)
}

/// As many of [`uuid()`], in ascending order and drawn in one go.
#[must_use]
pub fn uuids(count: usize, now: Timestamp, random: &dyn Random) -> Vec<Uuid> {
    let millis = u64::try_from(now / 1000).unwrap_or(0);
    let mut drawn = vec![[0; 10]; count];
    random.fill(drawn.as_flattened_mut());
    let mut ids: Vec<Uuid> =
        drawn.iter().map(|bytes| uuid::Builder::from_unix_timestamp_millis(millis, bytes).into_uuid()).collect();
    ids.sort_unstable();
    ids
}

/// A UUID version 7 (RFC 9562 5.7): ordered by millisecond, unpredictable within it.
#[must_use]
pub fn uuid(now: Timestamp, random: &dyn Random) -> Uuid {
    let millis = u64::try_from(now / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes(random)).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_bytes_are_those_of_the_source_and_handed_out_once() {
        let source = SeededRandom::new(1);
        let drawn = Drawn::from(&source, 64);
        let parts: [[u8; 16]; 6] = std::array::from_fn(|_| bytes(&drawn));
        for (n, part) in parts.iter().enumerate() {
            assert!(!parts[..n].contains(part), "part {n} was handed out before");
        }
        let same = SeededRandom::new(1);
        let all: [u8; 64] = bytes(&same);
        assert_eq!(parts[..4].iter().rev().flatten().copied().collect::<Vec<_>>(), all);
        assert_eq!(parts[4], bytes::<16>(&same), "then the source is asked again");
    }

    #[test]
    fn ids_drawn_together_ascend() {
        let ids = uuids(1_000, 1_700_000_000_000_000, &SeededRandom::new(1));
        assert_eq!(ids.len(), 1_000);
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
}
