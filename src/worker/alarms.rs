//! Watches over what must not be forgotten: withdrawals that are not in effect, consents that time has ended. Talks to no
//! provider, so nobody can keep it waiting.

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
    let mut expire_at = core.now() + EXPIRY;
    while !stop.is_given() {
        if let Err(error) = round(&core, &wake, &mut expire_at).await {
            tracing::error!(error = %error, "alarms cannot be looked after; trying again");
        }
        tokio::select! {
            () = core.clock.sleep(ROUND) => {}
            () = stop.given() => {}
        }
    }
}

async fn round(core: &Core, wake: &Wake, expire_at: &mut Timestamp) -> Result<(), ServiceError> {
    core.watch_withdrawals().await?;
    core.watch_floods().await?;
    if core.now() >= *expire_at {
        *expire_at = core.now() + EXPIRY;
        let expired = core.expire().await?;
        if expired > 0 {
            tracing::info!(expired, "requests and consents expired");
            wake.connections.notify_one();
        }
    }
    Ok(())
}
