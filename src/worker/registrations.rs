//! Looks every few hours whether providers still report to us: some switch a webhook off without a word.

use crate::clock::{HOUR, MINUTE, Timestamp};
use crate::domain::ids::ConnectionId;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState};
use crate::worker::{Connections, Stop};
use consentd_provider::HookMode;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Between two rounds over all connections.
const ROUND: Duration = Duration::from_secs(30);
/// Between two looks at one connection's registrations.
const OFTEN: Timestamp = 4 * HOUR;
/// After a look that failed.
const AGAIN: Timestamp = 10 * MINUTE;

/// The worker.
pub(crate) struct Registrations {
    core: Core,
    connections: Connections,
    repair: bool,
    /// When each connection is looked at next.
    looks: HashMap<ConnectionId, Timestamp>,
}

impl Registrations {
    /// Looks at the accounts that this daemon can have, and puts their registrations right if `repair` says so.
    pub(crate) fn new(connections: Connections, repair: bool) -> Self {
        Self { core: connections.core.clone(), connections, repair, looks: HashMap::new() }
    }

    /// Looks until told to stop. A look that is under way then is dropped: the next one begins anew.
    pub(crate) async fn run(mut self, stop: Stop) {
        let clock = self.core.clock.clone();
        while !stop.is_given() {
            tokio::select! {
                result = self.round() => {
                    if let Err(error) = result {
                        tracing::error!(error = %error, "webhook registrations cannot be looked after; trying again");
                    }
                }
                () = stop.given() => return,
            }
            tokio::select! {
                () = clock.sleep(ROUND) => {}
                () = stop.given() => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), ServiceError> {
        let now = self.core.now();
        let glances = self.core.store.glance().await?;
        let known: HashSet<ConnectionId> = glances.iter().map(|glance| ConnectionId(glance.id)).collect();
        self.looks.retain(|id, _| known.contains(id));
        for glance in glances {
            let id = ConnectionId(glance.id);
            let next = self.looks.get(&id).copied().unwrap_or_else(|| last_look(&glance.hooks_state) + OFTEN);
            if now < next {
                continue;
            }
            let Some(connection) = self.core.store.connection(id).await? else { continue };
            let Some(mode) = self.mode(&connection) else { continue };
            // A look that is never finished counts as one that failed.
            self.looks.insert(id, now + AGAIN);
            if self.connections.take(id, connection.account).await?.is_none() {
                // The account of another daemon is that one's business.
                continue;
            }
            match self.core.watch_hooks(&connection, mode).await {
                Ok(_) => drop(self.looks.insert(id, now + OFTEN)),
                Err(error) => {
                    tracing::warn!(error = %error, connection.id = %id, "webhook registrations cannot be looked at");
                }
            }
        }
        Ok(())
    }

    /// A connection that nobody confirmed yet is only looked at, once somebody registered its webhooks.
    const fn mode(&self, connection: &Connection) -> Option<HookMode> {
        match connection.state {
            ConnectionState::Suspended => None,
            ConnectionState::Shadow if connection.hooks_state.is_empty() => None,
            ConnectionState::Active | ConnectionState::Paused if self.repair => Some(HookMode::Repair),
            _ => Some(HookMode::Inspect),
        }
    }
}

/// When the registrations were looked at last, as [`Core::hooks`] noted it.
fn last_look(hooks_state: &str) -> Timestamp {
    let noted: Option<serde_json::Value> = serde_json::from_str(hooks_state).ok();
    noted.and_then(|noted| noted.get("at")?.as_i64()).unwrap_or(0)
}
