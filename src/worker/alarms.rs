//! Watches over what must not be forgotten: withdrawals that are not in effect, webhooks that a provider lost, consents
//! that time has ended.

use crate::clock::{HOUR, MINUTE, Timestamp};
use crate::domain::ids::ConnectionId;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState};
use crate::worker::{Connections, Stop};
use consentd_provider::HookMode;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// Between two looks at a connection's webhook registrations.
const HOOKS: Timestamp = 4 * HOUR;
/// After a look that failed.
const HOOKS_AGAIN: Timestamp = 10 * MINUTE;
/// Between two passes over what has expired; also before the first, so that restarts do not add up.
const EXPIRY: Timestamp = HOUR;

/// The worker.
pub(crate) struct Alarms {
    core: Core,
    connections: Connections,
    /// Whether registrations are put right.
    repair: bool,
    looks: HashMap<ConnectionId, Timestamp>,
    expire_at: Timestamp,
}

impl Alarms {
    /// A watch over what one daemon's connections do.
    pub(crate) fn new(connections: Connections, repair: bool) -> Self {
        let core = connections.core.clone();
        let expire_at = core.now() + EXPIRY;
        Self { core, connections, repair, looks: HashMap::new(), expire_at }
    }

    /// Watches until told to stop.
    pub(crate) async fn run(mut self, stop: Stop) {
        while !stop.is_given() {
            if let Err(error) = self.round().await {
                tracing::error!(error = %error, "alarms cannot be looked after; trying again");
            }
            tokio::select! {
                () = self.core.clock.sleep(ROUND) => {}
                () = stop.given() => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), ServiceError> {
        self.core.watch_withdrawals().await?;
        self.look_at_hooks().await?;
        if self.core.now() >= self.expire_at {
            self.expire_at = self.core.now() + EXPIRY;
            let expired = self.core.expire().await?;
            if expired > 0 {
                tracing::info!(expired, "requests and consents expired");
                self.connections.wake.connections.notify_one();
            }
        }
        Ok(())
    }

    async fn look_at_hooks(&mut self) -> Result<(), ServiceError> {
        let now = self.core.now();
        let glances = self.core.store.glance().await?;
        let known: HashSet<ConnectionId> = glances.iter().map(|glance| ConnectionId(glance.id)).collect();
        self.looks.retain(|id, _| known.contains(id));
        for glance in glances {
            let id = ConnectionId(glance.id);
            let next = self.looks.get(&id).copied().unwrap_or_else(|| last_look(&glance.hooks_state) + HOOKS);
            if now < next {
                continue;
            }
            let Some(connection) = self.core.store.connection(id).await? else { continue };
            let Some(mode) = self.mode(&connection) else { continue };
            // The account of another daemon is that one's business.
            let ours = self.connections.take(id).await?;
            let wait = match if ours { self.core.watch_hooks(&connection, mode).await.map(drop) } else { Ok(()) } {
                Ok(()) => HOOKS,
                Err(error) => {
                    tracing::warn!(error = %error, connection.id = %id, "webhook registrations cannot be looked at");
                    HOOKS_AGAIN
                }
            };
            self.looks.insert(id, now + wait);
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
