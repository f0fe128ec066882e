//! When the bells of connections ring.

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::{ConnectionId, TenantId};
use crate::service::tenant::need_time_zone;
use crate::service::{Core, ServiceError};
use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use croner::parser::CronParser;

/// When an expression rings next after `now` in its zone; `None` for an empty expression.
///
/// # Errors
/// [`ServiceError::Invalid`] for an expression that cannot be read or never rings.
pub(crate) fn next(cron: &str, zone: Tz, now: Timestamp) -> Result<Option<Timestamp>, ServiceError> {
    if cron.trim().is_empty() {
        return Ok(None);
    }
    let bad = || ServiceError::Invalid(format!("`{cron}` is not a cron expression; an example is `0 2 * * *`"));
    let expression = CronParser::new().parse(cron).map_err(|_| bad())?;
    let seconds = now.div_euclid(SECOND);
    let here: DateTime<Tz> = zone.timestamp_opt(seconds, 0).single().ok_or_else(bad)?;
    let next = expression.find_next_occurrence(&here, false).map_err(|_| bad())?;
    Ok(Some(next.timestamp().saturating_mul(SECOND)))
}

impl Core {
    /// Asks for a run of every connection whose bell is due, and sets its next bell. However many rings were missed,
    /// each connection gets one run, and none if one is open. Several daemons may do this at once.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn ring(&self) -> Result<usize, ServiceError> {
        let now = self.now();
        let due = self.store.due_bells(now, 500).await?;
        let rung = due.len();
        for bell in due {
            let (tenant, connection) = (TenantId(bell.tenant_id), ConnectionId(bell.id));
            let found = need_time_zone(&bell.time_zone).and_then(|zone| next(&bell.cron, zone, now));
            // A bell that cannot be set again rings this once more and then no more; the others ring on.
            let next_at = found.unwrap_or_else(|error| {
                tracing::error!(error = %error, connection.id = %connection, "a schedule cannot be used any more");
                None
            });
            let mut tx = self.store.begin().await?;
            if tx.advance_bell(tenant, connection, bell.next_at, next_at).await? {
                tx.request_run(tenant, connection, self.id(), "schedule", false, now).await?;
            }
            tx.commit().await?;
        }
        Ok(rung)
    }
}
