//! Reads what was taken in. Several workers, and several daemons on PostgreSQL, share the work.

use crate::service::Core;
use crate::service::signal::{Life, Wake};
use crate::worker::Stop;
use std::time::Duration;

/// Deliveries claimed in one go; those of one tenant are applied with one commit, which webhooks that come in wait for.
const BATCH: i64 = 32;

/// Works through the inbox whenever something was kept, and looks for what nobody announced every `idle`.
pub(crate) async fn sort(core: Core, wake: Wake, life: Life, idle: Duration, stop: Stop) {
    while !stop.is_given() {
        life.inbox(core.now());
        match core.sort_inbox(BATCH).await {
            Ok(0) => {}
            Ok(_) => {
                // Withdrawals may have been queued.
                wake.connections.notify_one();
                continue;
            }
            Err(error) => {
                tracing::error!(error = %error, "the inbox cannot be read; trying again");
                core.make_room(&error);
            }
        }
        tokio::select! {
            () = wake.inbox.notified() => {}
            () = core.clock.sleep(idle) => {}
            () = stop.given() => {}
        }
    }
}
