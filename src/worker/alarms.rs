//! Watches over what must not be forgotten: withdrawals that are not in effect, consents that time has ended, waits that
//! a clock which was put back would prolong. Talks to no provider, so nobody can keep it waiting.

use crate::clock::{HOUR, Timestamp};
use crate::service::signal::Wake;
use crate::service::{Core, ServiceError};
use crate::worker::Stop;
use std::time::Duration;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// Between two passes over what has expired; also before the first, so that restarts do not add up.
const EXPIRY: Timestamp = HOUR;

/// Watches until told to stop.
pub(crate) async fn watch(core: Core, wake: Wake, stop: Stop) {
    let mut times = Times { expire_at: core.now() + EXPIRY, before: Timestamp::MAX };
    while !stop.is_given() {
        if let Err(error) = round(&core, &wake, &mut times).await {
            tracing::error!(error = %error, "alarms cannot be looked after; trying again");
        }
        tokio::select! {
            () = core.clock.sleep(ROUND) => {}
            () = stop.given() => {}
        }
    }
}

/// What one round leaves for the next.
struct Times {
    expire_at: Timestamp,
    /// When the last round began; before the first, so late that the clock counts as put back.
    before: Timestamp,
}

async fn round(core: &Core, wake: &Wake, times: &mut Times) -> Result<(), ServiceError> {
    let now = core.now();
    if now < times.before {
        core.shorten_waits().await?;
        times.expire_at = times.expire_at.min(now + EXPIRY);
        wake.connections.notify_one();
    }
    times.before = now;
    core.watch_withdrawals().await?;
    core.watch_floods().await?;
    if now >= times.expire_at {
        times.expire_at = now + EXPIRY;
        let expired = core.expire().await?;
        if expired > 0 {
            tracing::info!(expired, "requests and consents expired");
            wake.connections.notify_one();
        }
    }
    Ok(())
}
