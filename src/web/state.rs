//! What the routes share.

use crate::service::Core;
use crate::service::intake::Mailbag;
use crate::service::signal::{Life, Wake};
use crate::web::body::Bodies;
use crate::web::doors::Doors;
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kinds of incidents that `/metrics` has shown.
pub(crate) type Kinds = Mutex<BTreeSet<String>>;

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
    pub(crate) looks_per_minute: u32,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) kinds: Arc<Kinds>,
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
            looks_per_minute: config.http.looks_per_minute,
            metrics,
            kinds: Arc::default(),
        }
    }
}
