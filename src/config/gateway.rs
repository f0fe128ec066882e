use super::{Unusable, need};
use serde::Deserialize;
use std::time::Duration;

/// How providers are called.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Seconds after which an unanswered call is given up.
    pub timeout_seconds: u64,
    /// The longest answer that is read, in MiB.
    pub answer_mib: usize,
    /// Seconds that a call may wait for a place in a quota.
    pub patience_seconds: u64,
}

impl Gateway {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        need((1..=300).contains(&self.timeout_seconds), "gateway.timeout_seconds", "write a number from 1 to 300")?;
        need((1..=256).contains(&self.answer_mib), "gateway.answer_mib", "write a number from 1 to 256")?;
        need((1..=300).contains(&self.patience_seconds), "gateway.patience_seconds", "write a number from 1 to 300")
    }

    /// After which time an unanswered call is given up.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// How long a call may wait for a place in a quota.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds)
    }
}
