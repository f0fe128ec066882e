//! Webhook deliveries as they came, and the events that were read from them.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, InboxId, TenantId};
use crate::store::address::hex_list;
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use std::collections::HashSet;
use uuid::Uuid;

/// Bytes of bodies that go with one statement, if one alone is not larger.
const A_STATEMENT: usize = 4 * 1024 * 1024;

/// Bytes before each body there: tenant, connection, id, digest.
const KEYS: usize = 3 * 16 + 32;

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

/// An event that was heard for the first time.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    /// The connection that it was heard from.
    pub connection: ConnectionId,
    /// Equal for a repeat of the same event.
    pub fingerprint: [u8; 32],
    /// The delivery that it came with.
    pub inbox: InboxId,
    /// What kind of event, a stable word.
    pub kind: &'a str,
    /// What came of it, a stable word.
    pub disposition: &'a str,
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

    /// Connections with more than `most` events that withdrew somebody since `since`, and how many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_withdrawals(
        &self,
        since: Timestamp,
        most: i64,
    ) -> Result<Vec<(TenantId, ConnectionId, i64)>, StoreError> {
        let rows: Vec<(Uuid, Uuid, i64)> = self.db.q(sql!("event/recent")).bind(since).bind(most).all().await?;
        Ok(rows
            .into_iter()
            .map(|(tenant, connection, events)| (TenantId(tenant), ConnectionId(connection), events))
            .collect())
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
            let (mut seen, mut size) = (HashSet::new(), 0);
            let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|new| {
                let fits = size == 0 || size + new.body.len() <= A_STATEMENT;
                let goes = fits && seen.insert((new.connection, new.digest));
                size += if goes { new.body.len() } else { 0 };
                goes
            });
            let mut bytes = Vec::with_capacity(size + now.len() * KEYS);
            let mut rows = Vec::with_capacity(now.len());
            for new in now {
                rows.push((bytes.len() + 1, new.body.len(), new.received_at, new.quarantine));
                for key in [new.tenant.0, new.connection.0, new.id.0] {
                    bytes.extend_from_slice(key.as_bytes());
                }
                bytes.extend_from_slice(&new.digest);
                bytes.extend_from_slice(&new.body);
            }
            let rows = serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
            self.q(sql!(split "inbox/keep")).bind(rows).bind(bytes).exec().await?;
            rest = later;
        }
        Ok(())
    }

    /// Takes the oldest deliveries that nobody works on, oldest first: so many, and those that begin within so many bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_deliveries(
        &mut self,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
        bytes: i64,
    ) -> Result<Vec<KeptDelivery>, StoreError> {
        let query = self.q(sql!(split "inbox/claim")).bind(now).bind(until).bind(limit).bind(bytes);
        let mut rows: Vec<Row> = query.all().await?;
        rows.sort_by_key(|row| (row.received_at, row.id));
        Ok(rows.into_iter().map(KeptDelivery::from).collect())
    }

    /// Writes what became of deliveries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_deliveries(
        &mut self,
        tenant: TenantId,
        ids: &[InboxId],
        state: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let list = hex_list(ids.iter().map(|id| id.0.as_bytes().as_slice()));
        self.q(sql!(split "inbox/finish")).bind(tenant.0).bind(list).bind(state).bind(note).exec().await?;
        Ok(())
    }

    /// Has a delivery read again, or all that could not be read. Events that were applied are not applied twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay(&mut self, tenant: TenantId, id: Option<InboxId>) -> Result<u64, StoreError> {
        self.q(sql!("inbox/replay")).bind(tenant.0).bind(id.map(|id| id.0)).exec().await
    }

    /// Which of these events were heard before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_events(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        fingerprints: &[[u8; 32]],
    ) -> Result<Vec<[u8; 32]>, StoreError> {
        let list = hex_list(fingerprints.iter().map(<[u8; 32]>::as_slice));
        let query = self.q(sql!(split "event/known")).bind(tenant.0).bind(connection.0).bind(list);
        let rows: Vec<(Vec<u8>,)> = query.all().await?;
        let corrupt = |_| StoreError::Corrupt { table: "event", column: "fingerprint" };
        rows.into_iter().map(|(fingerprint,)| fingerprint.try_into().map_err(corrupt)).collect()
    }

    /// Notes events that were never heard, with what came of them.
    ///
    /// # Errors
    /// [`StoreError`], also when one was heard before.
    pub async fn keep_events(
        &mut self,
        tenant: TenantId,
        events: &[NewEvent<'_>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.insert_many(sql!("event/keep"), 8, events, |row, event| {
            row.bind(tenant.0)?
                .bind(event.connection.0)?
                .bind(event.fingerprint.to_vec())?
                .bind(event.inbox.0)?
                .bind(event.kind)?
                .bind(event.disposition)?
                .bind(now)?
                .bind(0_i64)?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Counts repeats of events that were heard before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn repeat_events(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        fingerprints: &[[u8; 32]],
    ) -> Result<(), StoreError> {
        // One statement counts an event once, so the third of a kind waits for the next.
        let mut rest: Vec<&[u8; 32]> = fingerprints.iter().collect();
        while !rest.is_empty() {
            let mut seen = HashSet::new();
            let (now, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| seen.insert(*one));
            let list = hex_list(now.into_iter().map(<[u8; 32]>::as_slice));
            self.q(sql!(split "event/repeat")).bind(tenant.0).bind(connection.0).bind(list).exec().await?;
            rest = later;
        }
        Ok(())
    }
}
