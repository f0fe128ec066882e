//! Waits that a clock which was put back would prolong.

use crate::clock::{DAY, MINUTE, Timestamp};
use crate::store::db::sql;
use crate::store::{StoreError, Tx};

/// The longest back-off, wait for a job and lease, with a margin beyond what machines' clocks differ by.
const SHORT: Timestamp = 6 * MINUTE;
/// The longest wait before a run is read back, with a margin.
const READ_BACK: Timestamp = 11 * MINUTE;

impl Tx {
    /// Ends every wait that is longer than any which could begin now; `settle` is the settle time. What a walk from the
    /// time to come saw is seen anew at once: how long ago that was nobody knows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn shorten_waits(&mut self, now: Timestamp, settle: Timestamp) -> Result<(), StoreError> {
        let (short, settled) = (now + SHORT, now + settle);
        self.q(sql!("account/shorten")).bind(now).bind(short).exec().await?;
        self.q(sql!("connection/shorten")).bind(now).bind(short).exec().await?;
        self.q(sql!("walk/shorten")).bind(now).exec().await?;
        self.q(sql!("withdrawal/shorten")).bind(now).bind(settled + SHORT).bind(now + DAY + SHORT).exec().await?;
        self.q(sql!("holding/shorten")).bind(settled).exec().await?;
        self.q(sql!("job/shorten")).bind(now).bind(short).exec().await?;
        self.q(sql!("run/shorten")).bind(now).bind(now + READ_BACK).exec().await?;
        self.q(sql!("inbox/shorten")).bind(now).bind(short).exec().await?;
        Ok(())
    }
}
