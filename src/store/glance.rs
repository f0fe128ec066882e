//! All connections at a glance: what is due, and how each is.

use crate::clock::Timestamp;
use crate::domain::ids::{AccountId, ConnectionId};
use crate::store::db::sql;
use crate::store::{Store, StoreError};
use uuid::Uuid;

/// A connection in a few words, for watching all of them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ConnectionGlance {
    /// Whose.
    pub tenant_id: Uuid,
    /// Which.
    pub id: Uuid,
    /// The descriptor's id.
    pub provider: String,
    /// The word of its state.
    pub state: String,
    /// Failed attempts in a row.
    pub failures: i64,
    /// What the provider had registered at the last look, as JSON.
    pub hooks_state: String,
    /// When the bell rings next, or should have.
    pub next_at: Option<Timestamp>,
    /// When the last complete walk ended.
    pub walked_at: Option<Timestamp>,
    /// Bulk jobs that are not known to be over.
    pub jobs: i64,
    /// When the oldest of them was started.
    pub oldest_job: Option<Timestamp>,
    /// People whose consent was raised and whom no plan has seen.
    pub dirty: i64,
    /// Since when the oldest of them waits.
    pub oldest_dirty: Option<Timestamp>,
    /// The word of the open run's state, empty without one.
    pub run_state: String,
    /// When the open run was asked for.
    pub run_requested_at: Option<Timestamp>,
    /// When the last complete run ended.
    pub synced_at: Option<Timestamp>,
}

impl Store {
    /// Connections that have something to do now at accounts that `owner` may lease, and whether a withdrawal is due there.
    /// A walk is due when the last complete one began at or before `walked_before`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn working_connections(
        &self,
        owner: Uuid,
        now: Timestamp,
        walked_before: Timestamp,
    ) -> Result<Vec<(ConnectionId, AccountId, bool)>, StoreError> {
        let query = self.db.q(sql!("connection/working")).bind(now).bind(owner).bind(walked_before);
        let rows: Vec<(Uuid, Uuid, i64)> = query.all().await?;
        Ok(rows.into_iter().map(|(id, account, urgent)| (ConnectionId(id), AccountId(account), urgent > 0)).collect())
    }

    /// All connections in a few words.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn glance(&self) -> Result<Vec<ConnectionGlance>, StoreError> {
        self.db.q(sql!("connection/overview")).all().await
    }
}
