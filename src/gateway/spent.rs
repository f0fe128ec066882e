//! What was called lately, by one quota.

use crate::clock::{Timestamp, micros};
use consentd_provider::Quota;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Parts of a window that are counted separately: a call is forgotten at most one of them too late.
const PARTS: Timestamp = 60;

/// Counts the calls of the window of a quota that ends now, in a few numbers however long the window is.
pub(super) struct Spent {
    limit: u32,
    part: Timestamp,
    /// The number of a part, counted from the beginning, and the calls in it; oldest first.
    counts: Mutex<VecDeque<(Timestamp, u32)>>,
}

impl Spent {
    pub(super) fn new(quota: &Quota) -> Self {
        Self { limit: quota.limit, part: (micros(quota.per) / PARTS).max(1), counts: Mutex::default() }
    }

    /// A call leaves.
    pub(super) fn one(&self, now: Timestamp) {
        let part = now / self.part;
        let mut counts = self.counts(part);
        match counts.back_mut() {
            Some((last, calls)) if *last == part => *calls = calls.saturating_add(1),
            _ => counts.push_back((part, 1)),
        }
    }

    /// How many more the quota allows.
    pub(super) fn left(&self, now: Timestamp) -> u32 {
        let counts = self.counts(now / self.part);
        counts.iter().fold(self.limit, |left, (_, calls)| left.saturating_sub(*calls))
    }

    fn counts(&self, part: Timestamp) -> std::sync::MutexGuard<'_, VecDeque<(Timestamp, u32)>> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        while counts.front().is_some_and(|(old, _)| part - old > PARTS) {
            counts.pop_front();
        }
        counts
    }
}
