//! What the routes share.

use crate::clock::Timestamp;
use crate::service::Core;
use crate::service::intake::Mailbag;
use crate::web::body::Bodies;
use crate::web::doors::Doors;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
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
const SILENCE: Timestamp = 120 * crate::clock::SECOND;

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

/// What the routes share. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(crate) core: Core,
    pub(crate) bag: Mailbag,
    pub(crate) wake: Wake,
    pub(crate) life: Life,
    pub(crate) doors: Arc<Doors>,
    pub(crate) bodies: Bodies,
    pub(crate) request_time: Duration,
    pub(crate) metrics: Option<PrometheusHandle>,
}

impl State {
    /// What the routes of one daemon share.
    #[must_use]
    pub fn new(
        core: Core,
        bag: Mailbag,
        wake: Wake,
        life: Life,
        config: &crate::config::Config,
        metrics: Option<PrometheusHandle>,
    ) -> Self {
        Self {
            core,
            bag,
            wake,
            life,
            doors: Arc::default(),
            bodies: Bodies::new(&config.webhooks),
            request_time: config.http.request_time(),
            metrics,
        }
    }
}
