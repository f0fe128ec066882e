//! Time as a parameter: nothing else in this crate reads a clock or sleeps.

use async_trait::async_trait;
pub use consentd_provider::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// One second in [`Timestamp`] units.
pub const SECOND: Timestamp = 1_000_000;
/// One minute.
pub const MINUTE: Timestamp = 60 * SECOND;
/// One hour.
pub const HOUR: Timestamp = 60 * MINUTE;
/// One day of 24 hours.
pub const DAY: Timestamp = 24 * HOUR;

/// A duration in [`Timestamp`] units; the longest representable one if it is longer.
#[must_use]
pub fn micros(duration: Duration) -> Timestamp {
    Timestamp::try_from(duration.as_micros()).unwrap_or(Timestamp::MAX)
}

/// Where the time comes from and how one waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    fn now(&self) -> Timestamp {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, micros)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that really waits")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when told to, or when somebody sleeps: then it jumps to the end of the sleep.
#[derive(Debug)]
pub struct SimulatedClock(AtomicI64);

impl SimulatedClock {
    /// A clock standing at `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock; backwards too, as machines' clocks do.
    pub fn advance(&self, by: Timestamp) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }

    async fn sleep(&self, duration: Duration) {
        self.advance(micros(duration));
        tokio::task::yield_now().await;
    }
}
