//! Chance as a parameter: ids, tokens, keys and jitter all come from here.

use crate::clock::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
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

/// As many of [`uuid`], in ascending order and drawn in one go.
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
