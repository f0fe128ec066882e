//! Our clock, as the limiters read it.

use crate::clock::{Clock, Timestamp};
use governor::clock::{Clock as GovernorClock, Reference};
use governor::nanos::Nanos;
use std::sync::{Arc, Mutex, PoisonError};

/// Our clock as governor reads it. Never runs backwards, even if the machine's clock does.
#[derive(Clone)]
pub(super) struct Ticks {
    pub(super) clock: Arc<dyn Clock>,
    seen: Arc<Mutex<(Timestamp, Timestamp)>>,
}

/// Microseconds that have passed, as an instant of governor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

impl std::ops::Add<Nanos> for Tick {
    type Output = Self;
    fn add(self, nanos: Nanos) -> Self {
        Self(self.0.saturating_add(nanos.as_u64()))
    }
}

impl Reference for Tick {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.as_u64()).unwrap_or(self.0))
    }
}

impl Ticks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, seen: Arc::new(Mutex::new((now, 0))) }
    }

    /// Microseconds since the budget was made, without the machine clock's steps backwards.
    pub(super) fn passed(&self) -> Timestamp {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, passed) = *seen;
        *seen = (now, passed.saturating_add(now.saturating_sub(last).max(0)));
        seen.1
    }
}

impl GovernorClock for Ticks {
    type Instant = Tick;
    fn now(&self) -> Tick {
        Tick(u64::try_from(self.passed()).unwrap_or(0).saturating_mul(1_000))
    }
}
