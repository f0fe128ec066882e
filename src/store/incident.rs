//! Things that a person should see.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

/// Something that stays visible until it is no longer so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The connection concerned.
    pub connection: ConnectionId,
    /// What kind of thing, a stable word.
    pub kind: String,
    /// What it is about: a mailbox, a run, or the connection itself.
    pub subject: Uuid,
    /// A sentence for people, without any address.
    pub detail: String,
    /// How often it was seen while open.
    pub count: i64,
    /// Since when.
    pub opened_at: Timestamp,
    /// When it was last seen.
    pub seen_at: Timestamp,
}

impl Tx {
    /// Opens an incident, or counts another sight of an open one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn raise(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        kind: &str,
        subject: Uuid,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("incident/raise"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(kind)
            .bind(subject)
            .bind(detail)
            .bind(now)
            .exec()
            .await?;
        Ok(())
    }

    /// Closes an incident that is no longer so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_incident(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        kind: &str,
        subject: Uuid,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("incident/close"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(kind)
            .bind(subject)
            .bind(now)
            .exec()
            .await?;
        Ok(())
    }
}

impl Store {
    /// The open incidents of one kind, over all tenants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents_of_kind(&self, kind: &str) -> Result<Vec<(TenantId, ConnectionId, Uuid)>, StoreError> {
        let rows: Vec<(Uuid, Uuid, Uuid)> = self.db.q(sql!("incident/of_kind")).bind(kind).all().await?;
        Ok(rows
            .into_iter()
            .map(|(tenant, connection, subject)| (TenantId(tenant), ConnectionId(connection), subject))
            .collect())
    }

    /// What is open, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents(&self, tenant: TenantId, limit: i64) -> Result<Vec<Incident>, StoreError> {
        let rows: Vec<(Uuid, String, Uuid, String, i64, i64, i64)> =
            self.db.q(sql!("incident/open")).bind(tenant.0).bind(limit).all().await?;
        Ok(rows
            .into_iter()
            .map(|(connection, kind, subject, detail, count, opened_at, seen_at)| Incident {
                connection: ConnectionId(connection),
                kind,
                subject,
                detail,
                count,
                opened_at,
                seen_at,
            })
            .collect())
    }

    /// How many incidents of each kind are open, over all tenants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident_counts(&self) -> Result<Vec<(String, i64)>, StoreError> {
        self.db.q(sql!("incident/counts")).all().await
    }
}
