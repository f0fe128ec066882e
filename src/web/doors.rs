//! The connections whose webhooks come in, remembered for a moment so that a delivery costs no read of the database.

use crate::clock::{SECOND, Timestamp};
use crate::domain::ids::{ConnectionId, TenantId};
use crate::service::{Core, ServiceError};
use consentd_provider::{Delivery, Intake, Provider, credential_matches};
use secrecy::SecretString;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a door is used without a look. A secret that was rotated out twice opens it no longer than this.
const FRESH: Timestamp = 5 * SECOND;
/// A wrong secret makes us look at once, but no more often than this.
const AGAIN: Timestamp = SECOND / 4;
/// The length of a hook key; anything else is not looked up.
const KEY: std::ops::RangeInclusive<usize> = 16..=64;

/// One connection as its webhooks see it.
pub(crate) struct Door {
    pub(crate) tenant: TenantId,
    pub(crate) connection: ConnectionId,
    provider: Box<dyn Provider>,
    name: String,
    paths: Vec<SecretString>,
    read_at: Timestamp,
}

/// The doors that were used lately.
#[derive(Default)]
pub(crate) struct Doors {
    known: Mutex<HashMap<String, Arc<Door>>>,
    wrong: Mutex<HashMap<ConnectionId, Arc<AtomicU32>>>,
}

impl Door {
    /// Whether the last part of the URL is right. Takes the same time for any wrong one.
    pub(crate) fn path_matches(&self, shown: &str) -> bool {
        credential_matches(shown.as_bytes(), &self.paths)
    }

    /// Whether the credentials are right.
    pub(crate) fn trusts(&self, delivery: Delivery<'_>) -> bool {
        self.provider.verify(delivery).is_ok()
    }

    /// What this provider must hear.
    pub(crate) fn answer(&self, intake: Intake) -> u16 {
        self.provider.answer(intake)
    }

    /// The provider's id, for metrics.
    pub(crate) fn provider(&self) -> String {
        self.name.clone()
    }
}

impl Doors {
    /// The door behind a key. `None` when there is no such connection.
    ///
    /// # Errors
    /// When the database cannot say, and the door is not known from before.
    pub(crate) async fn find(&self, core: &Core, key: &str) -> Result<Option<Arc<Door>>, ServiceError> {
        match self.remembered(key) {
            Some(door) if core.now() - door.read_at < FRESH => Ok(Some(door)),
            remembered => match self.read(core, key).await {
                Ok(found) => Ok(found),
                // A provider that delivers is worth more than a look that fails.
                Err(error) => remembered.map(Some).ok_or(error),
            },
        }
    }

    /// The door as the database has it now, after a secret was wrong: it may just have been rotated.
    ///
    /// # Errors
    /// When the database cannot say; nobody may be turned away for good then.
    pub(crate) async fn find_again(
        &self,
        core: &Core,
        key: &str,
        before: Arc<Door>,
    ) -> Result<Arc<Door>, ServiceError> {
        if (core.now() - before.read_at).abs() < AGAIN {
            return Ok(before);
        }
        Ok(self.read(core, key).await?.unwrap_or(before))
    }

    /// Counts a delivery with a wrong credential; the number of those since the last right one.
    pub(crate) fn wrong(&self, connection: ConnectionId) -> u32 {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.entry(connection).or_default().fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    /// A right one came: true when wrong ones had come before.
    pub(crate) fn right(&self, connection: ConnectionId) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).remove(&connection).is_some()
    }

    fn remembered(&self, key: &str) -> Option<Arc<Door>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    async fn read(&self, core: &Core, key: &str) -> Result<Option<Arc<Door>>, ServiceError> {
        if !KEY.contains(&key.len()) {
            return Ok(None);
        }
        let read_at = core.now();
        let Some(connection) = core.store.connection_by_hook_key(key).await? else {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
            return Ok(None);
        };
        let (tenant, tenant_key) = core.tenant_by_id(connection.tenant).await?;
        let door = Arc::new(Door {
            tenant: tenant.id,
            connection: connection.id,
            provider: core.adapter(&connection, &tenant_key)?,
            paths: Core::path_secrets(&connection, &tenant_key).unwrap_or_default(),
            name: connection.provider,
            read_at,
        });
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned(), door.clone());
        Ok(Some(door))
    }
}
