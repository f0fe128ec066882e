//! Which daemon talks to a connection's account.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

impl Store {
    /// Until when a daemon owns a connection's account; an instant of the past when none does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leased_until(&self, tenant: TenantId, id: ConnectionId) -> Result<Timestamp, StoreError> {
        Ok(self.db.q(sql!("connection/leased")).bind(tenant.0).bind(id.0).one::<(i64,)>().await?.0)
    }
}

impl Tx {
    /// Takes or keeps the exclusive right to talk to a connection's account. False when another daemon has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease_connection(
        &mut self,
        id: ConnectionId,
        owner: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.q(sql!("connection/lease")).bind(id.0).bind(owner).bind(until).bind(now).exec().await? > 0)
    }

    /// Gives back everything that a daemon owns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_connections(&mut self, owner: Uuid) -> Result<(), StoreError> {
        self.q(sql!("connection/release")).bind(owner).exec().await?;
        Ok(())
    }
}
