use super::{Unusable, need};
use serde::Deserialize;
use std::time::Duration;

/// How much is done at the same time.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    /// Provider accounts served at the same time.
    pub accounts: usize,
    /// Seconds between two looks for work that nobody announced.
    pub idle_seconds: u64,
}

impl Workers {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        need((1..=1_000).contains(&self.accounts), "workers.accounts", "write a number from 1 to 1000")?;
        need((1..=60).contains(&self.idle_seconds), "workers.idle_seconds", "write a number from 1 to 60")
    }

    /// The time between two looks for work.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds)
    }
}
