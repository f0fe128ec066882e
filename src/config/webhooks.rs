use super::{Unusable, need};
use serde::Deserialize;

/// What is taken in from providers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Bodies up to this many MiB are read.
    pub body_mib: usize,
    /// Larger ones up to this many MiB are kept unread.
    pub quarantine_mib: usize,
    /// Deliveries that may wait for the next commit.
    pub queue: usize,
}

impl Webhooks {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        need((1..=64).contains(&self.body_mib), "webhooks.body_mib", "write a number from 1 to 64")?;
        need(
            (self.body_mib..=128).contains(&self.quarantine_mib),
            "webhooks.quarantine_mib",
            "write a number from webhooks.body_mib to 128",
        )?;
        need((16..=1_000_000).contains(&self.queue), "webhooks.queue", "write a number from 16 to 1000000")
    }
}
