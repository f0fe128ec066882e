//! Webhook deliveries as they came, and the events that were read from them.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, InboxId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use std::collections::HashSet;
use uuid::Uuid;

/// A delivery to be kept.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Whose.
    pub tenant: TenantId,
    /// The connection it came in for.
    pub connection: ConnectionId,
    /// Its id.
    pub id: InboxId,
    /// When.
    pub received_at: Timestamp,
    /// SHA-256 of the body: the same bytes are the same delivery.
    pub digest: [u8; 32],
    /// The exact bytes.
    pub body: Vec<u8>,
    /// Why it is not to be read, if it is not.
    pub quarantine: Option<&'static str>,
}

/// A kept delivery.
#[derive(Debug, Clone)]
pub struct KeptDelivery {
    /// Whose.
    pub tenant: TenantId,
    /// The connection it came in for.
    pub connection: ConnectionId,
    /// Its id.
    pub id: InboxId,
    /// When.
    pub received_at: Timestamp,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// `new`, `done`, `quarantined` or `failed`.
    pub state: String,
    /// Why, for the last two.
    pub note: String,
    /// How often it was tried.
    pub attempts: i64,
    /// How often the same bytes came again.
    pub repeats: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: Uuid,
    connection_id: Uuid,
    id: Uuid,
    received_at: i64,
    body: Vec<u8>,
    state: String,
    note: String,
    attempts: i64,
    repeats: i64,
}

impl From<Row> for KeptDelivery {
    fn from(row: Row) -> Self {
        Self {
            tenant: TenantId(row.tenant_id),
            connection: ConnectionId(row.connection_id),
            id: InboxId(row.id),
            received_at: row.received_at,
            body: row.body,
            state: row.state,
            note: row.note,
            attempts: row.attempts,
            repeats: row.repeats,
        }
    }
}

/// How many deliveries are in one state.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InboxCount {
    /// The state.
    pub state: String,
    /// How many.
    pub deliveries: i64,
    /// When the oldest came.
    pub oldest: i64,
}

impl Store {
    /// How many deliveries are in which state, over all tenants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn inbox_counts(&self) -> Result<Vec<InboxCount>, StoreError> {
        let rows: Vec<(String, i64, i64)> = self.db.q(sql!("inbox/counts")).all().await?;
        Ok(rows.into_iter().map(|(state, deliveries, oldest)| InboxCount { state, deliveries, oldest }).collect())
    }

    /// The newest deliveries of a tenant, of one state or (with an empty word) of all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries(&self, tenant: TenantId, state: &str, limit: i64) -> Result<Vec<KeptDelivery>, StoreError> {
        let rows: Vec<Row> = self.db.q(sql!("inbox/page")).bind(tenant.0).bind(state).bind(limit).all().await?;
        Ok(rows.into_iter().map(KeptDelivery::from).collect())
    }

    /// A delivery of a tenant by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(&self, tenant: TenantId, id: InboxId) -> Result<Option<KeptDelivery>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("inbox/one")).bind(tenant.0).bind(id.0).opt().await?;
        Ok(row.map(KeptDelivery::from))
    }

    /// What came of the events of a connection: kind, disposition, how many, how often repeated.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event_counts(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
    ) -> Result<Vec<(String, String, i64, i64)>, StoreError> {
        self.db.q(sql!("event/counts")).bind(tenant.0).bind(connection.0).all().await
    }
}

impl Tx {
    /// Keeps deliveries; one whose bytes are there already is counted as a repeat.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_deliveries(&mut self, deliveries: &[NewDelivery]) -> Result<(), StoreError> {
        // One statement may touch a row once only, so a repeat within the batch waits for the next statement.
        let mut rest: Vec<&NewDelivery> = deliveries.iter().collect();
        while !rest.is_empty() {
            let mut seen = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|new| seen.insert((new.connection, new.digest)));
            self.insert_many(sql!("inbox/keep"), 11, &now, |row, new| {
                row.bind(new.tenant.0)?
                    .bind(new.connection.0)?
                    .bind(new.id.0)?
                    .bind(new.received_at)?
                    .bind(new.digest.to_vec())?
                    .bind(new.body.clone())?
                    .bind(if new.quarantine.is_some() { "quarantined" } else { "new" })?
                    .bind(new.quarantine.unwrap_or(""))?
                    .bind(0_i64)?
                    .bind(0_i64)?
                    .bind(0_i64)?;
                Ok(())
            })
            .await?;
            rest = later;
        }
        Ok(())
    }

    /// Takes the oldest deliveries that nobody works on, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_deliveries(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<KeptDelivery>, StoreError> {
        let mut rows: Vec<Row> = self.q(sql!(split "inbox/claim")).bind(now).bind(until).bind(limit).all().await?;
        rows.sort_by_key(|row| (row.received_at, row.id));
        Ok(rows.into_iter().map(KeptDelivery::from).collect())
    }

    /// Writes what became of a delivery.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_delivery(
        &mut self,
        tenant: TenantId,
        id: InboxId,
        state: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        self.q(sql!("inbox/finish")).bind(tenant.0).bind(id.0).bind(state).bind(note).exec().await?;
        Ok(())
    }

    /// Has a delivery read again, or all that could not be read. Events that were applied are not applied twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay(&mut self, tenant: TenantId, id: Option<InboxId>) -> Result<u64, StoreError> {
        self.q(sql!("inbox/replay")).bind(tenant.0).bind(id.map(|id| id.0)).exec().await
    }

    /// Notes an event. False when it was seen before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_event(
        &mut self,
        delivery: &KeptDelivery,
        fingerprint: [u8; 32],
        kind: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (tenant, connection) = (delivery.tenant.0, delivery.connection.0);
        let fingerprint = fingerprint.to_vec();
        let query = self.q(sql!("event/keep")).bind(tenant).bind(connection).bind(fingerprint.clone());
        if query.bind(delivery.id.0).bind(kind).bind(now).exec().await? > 0 {
            return Ok(true);
        }
        self.q(sql!("event/repeat")).bind(tenant).bind(connection).bind(fingerprint).exec().await?;
        Ok(false)
    }

    /// Writes what came of an event.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_event(
        &mut self,
        delivery: &KeptDelivery,
        fingerprint: [u8; 32],
        disposition: &str,
    ) -> Result<(), StoreError> {
        self.q(sql!("event/settle"))
            .bind(delivery.tenant.0)
            .bind(delivery.connection.0)
            .bind(fingerprint.to_vec())
            .bind(disposition)
            .exec()
            .await?;
        Ok(())
    }

    /// How many events since `since` withdrew somebody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_withdrawals(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        since: Timestamp,
    ) -> Result<i64, StoreError> {
        let query = self.q(sql!("event/recent")).bind(tenant.0).bind(connection.0).bind(since);
        Ok(query.one::<(i64,)>().await?.0)
    }
}
