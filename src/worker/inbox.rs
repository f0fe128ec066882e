//! Reads what was taken in. Several workers, and several daemons on PostgreSQL, share the work.

use crate::clock::{SECOND, Timestamp};
use crate::service::Core;
use crate::service::intake::Traffic;
use crate::service::signal::{Life, Wake};
use crate::worker::Stop;
use std::time::Duration;

/// The most deliveries claimed in one go.
const BATCH: i64 = 128;

/// On SQLite there is one writer. While deliveries come in without a break, the worker leaves the writer to them for so
/// many times as long as it had it itself: they are waited for, what was read from them is not.
const LEAVE: u32 = 9;

/// Unless it has been behind for so long. Then both have the writer in turn.
const BEHIND: Timestamp = 10 * SECOND;

/// The longest it leaves it in one go.
const LONGEST: Duration = Duration::from_secs(1);

/// Works through the inbox whenever something was kept, and looks for what nobody announced every `idle`.
pub(crate) async fn sort(core: Core, wake: Wake, life: Life, traffic: Traffic, idle: Duration, stop: Stop) {
    let mut level_at = core.now();
    while !stop.is_given() {
        let start = core.now();
        life.inbox(start);
        match core.sort_inbox(BATCH).await {
            Ok(0) => level_at = core.now(),
            Ok(_) => {
                // Withdrawals may have been queued.
                wake.connections.notify_one();
                if traffic.is_dense() && !core.store.db.is_shared() {
                    let had = Duration::from_micros((core.now() - start).unsigned_abs());
                    let times = if start - level_at < BEHIND { LEAVE } else { 1 };
                    tokio::select! {
                        () = core.clock.sleep((had * times).min(LONGEST)) => {}
                        () = stop.given() => {}
                    }
                }
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
