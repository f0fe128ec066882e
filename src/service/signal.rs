//! What the parts of one daemon tell each other: that there is work, and that they are alive.

use crate::clock::{SECOND, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::Notify;

/// Rings when there is work in this process that nobody needs to look for.
#[derive(Clone, Default)]
pub struct Wake {
    /// A delivery was kept.
    pub inbox: Arc<Notify>,
    /// A withdrawal or another change was recorded that providers should hear of.
    pub connections: Arc<Notify>,
}

/// Whether the daemon lives and wants work.
#[derive(Clone, Default)]
pub struct Life(Arc<Signs>);

#[derive(Default)]
struct Signs {
    stopping: AtomicBool,
    inbox: AtomicI64,
    connections: AtomicI64,
}

/// A worker that has not shown itself for so long is not alive.
const SILENCE: Timestamp = 120 * SECOND;

impl Life {
    /// The daemon is going down: no more work, please.
    pub fn stop(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it is going down.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::SeqCst)
    }

    /// The inbox worker shows itself.
    pub fn inbox(&self, now: Timestamp) {
        self.0.inbox.store(now, Ordering::SeqCst);
    }

    /// The worker that looks after connections shows itself.
    pub fn connections(&self, now: Timestamp) {
        self.0.connections.store(now, Ordering::SeqCst);
    }

    /// Whether all workers showed themselves lately.
    #[must_use]
    pub fn works(&self, now: Timestamp) -> bool {
        [&self.0.inbox, &self.0.connections].iter().all(|sign| now - sign.load(Ordering::SeqCst) < SILENCE)
    }
}
