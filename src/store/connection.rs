//! Connections: a tenant's accounts at providers.

use crate::clock::Timestamp;
use crate::domain::ids::{AccountId, ConnectionId, PurposeId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whether and how a connection works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Reads and plans, writes nothing, until a person confirmed the first plan.
    Shadow,
    /// Works.
    Active,
    /// Stopped by the provider's answer; withdrawals keep trying.
    Suspended,
    /// Stopped by a person; withdrawals keep going.
    Paused,
}

impl ConnectionState {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Paused => "paused",
        }
    }

    /// The state stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "shadow" => Some(Self::Shadow),
            "active" => Some(Self::Active),
            "suspended" => Some(Self::Suspended),
            "paused" => Some(Self::Paused),
            _ => None,
        }
    }
}

/// A tenant's account at a provider, bound to one list and one purpose.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ConnectionId,
    /// Short name for the command line.
    pub slug: String,
    /// The descriptor's id.
    pub provider: String,
    /// Where the provider's API is.
    pub base_url: String,
    /// The account that those credentials open there; several connections may share it.
    pub account: AccountId,
    /// Credentials, sealed for (tenant, connection, "credentials").
    pub sealed_credentials: Vec<u8>,
    /// The adapter's switches.
    pub options: BTreeMap<String, String>,
    /// The list it manages, by the provider's id.
    pub list: String,
    /// What the people on that list consent to.
    pub purpose: PurposeId,
    /// Our field names to the provider's.
    pub mapping: BTreeMap<String, String>,
    /// Five-field cron expression; empty for none.
    pub cron: String,
    /// The IANA time zone the expression is read in.
    pub time_zone: String,
    /// When the bell rings next.
    pub next_at: Option<Timestamp>,
    /// A run that takes off more than this share of the list stops and asks.
    pub guard_percent: i64,
    /// A run that takes off more than this many people stops and asks; the larger of both limits counts.
    pub guard_count: i64,
    /// Whether and how it works.
    pub state: ConnectionState,
    /// Why, in a sentence.
    pub state_reason: String,
    /// The opaque name in its webhook URL.
    pub hook_key: String,
    /// Path secrets and credentials of its webhooks, sealed for (tenant, connection, "hooks").
    pub sealed_hooks: Vec<u8>,
    /// What the provider had registered at the last look, as JSON.
    pub hooks_state: String,
    /// When the last complete walk ended.
    pub walked_at: Option<Timestamp>,
    /// Since when a walk is wanted.
    pub walk_wanted_at: Option<Timestamp>,
    /// No call before this instant.
    pub backoff_until: Timestamp,
    /// Failed attempts in a row.
    pub failures: i64,
    /// When it was created.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    tenant_id: Uuid,
    id: Uuid,
    slug: String,
    provider: String,
    base_url: String,
    account_id: Uuid,
    sealed_credentials: Vec<u8>,
    options: String,
    list_id: String,
    purpose_id: Uuid,
    mapping: String,
    cron: String,
    time_zone: String,
    next_at: Option<i64>,
    guard_percent: i64,
    guard_count: i64,
    state: String,
    state_reason: String,
    hook_key: String,
    sealed_hooks: Vec<u8>,
    hooks_state: String,
    walked_at: Option<i64>,
    walk_wanted_at: Option<i64>,
    backoff_until: i64,
    failures: i64,
    created_at: i64,
}

impl TryFrom<Row> for Connection {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "connection", column };
        Ok(Self {
            tenant: TenantId(row.tenant_id),
            id: ConnectionId(row.id),
            slug: row.slug,
            provider: row.provider,
            base_url: row.base_url,
            account: AccountId(row.account_id),
            sealed_credentials: row.sealed_credentials,
            options: serde_json::from_str(&row.options).map_err(|_| corrupt("options"))?,
            list: row.list_id,
            purpose: PurposeId(row.purpose_id),
            mapping: serde_json::from_str(&row.mapping).map_err(|_| corrupt("mapping"))?,
            cron: row.cron,
            time_zone: row.time_zone,
            next_at: row.next_at,
            guard_percent: row.guard_percent,
            guard_count: row.guard_count,
            state: ConnectionState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            state_reason: row.state_reason,
            hook_key: row.hook_key,
            sealed_hooks: row.sealed_hooks,
            hooks_state: row.hooks_state,
            walked_at: row.walked_at,
            walk_wanted_at: row.walk_wanted_at,
            backoff_until: row.backoff_until,
            failures: row.failures,
            created_at: row.created_at,
        })
    }
}

fn json(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect::<serde_json::Value>().to_string()
}

impl Store {
    /// A tenant's connections by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connections(&self, tenant: TenantId) -> Result<Vec<Connection>, StoreError> {
        let rows: Vec<Row> = self.db.q(sql!("connection/all")).bind(tenant.0).all().await?;
        rows.into_iter().map(Connection::try_from).collect()
    }

    /// The connections of all tenants.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connections_everywhere(&self) -> Result<Vec<Connection>, StoreError> {
        let rows: Vec<Row> = self.db.q(sql!("connection/everywhere")).all().await?;
        rows.into_iter().map(Connection::try_from).collect()
    }

    /// A tenant's connection by its short name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connection_by_slug(&self, tenant: TenantId, slug: &str) -> Result<Option<Connection>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("connection/by_slug")).bind(tenant.0).bind(slug).opt().await?;
        row.map(Connection::try_from).transpose()
    }

    /// A connection by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connection(&self, id: ConnectionId) -> Result<Option<Connection>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("connection/by_id")).bind(id.0).opt().await?;
        row.map(Connection::try_from).transpose()
    }

    /// The connection whose webhooks come in under that name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connection_by_hook_key(&self, hook_key: &str) -> Result<Option<Connection>, StoreError> {
        let row: Option<Row> = self.db.q(sql!("connection/by_hook_key")).bind(hook_key).opt().await?;
        row.map(Connection::try_from).transpose()
    }
}

impl Tx {
    /// Adds a connection.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the short name is in use.
    pub async fn insert_connection(&mut self, c: &Connection) -> Result<(), StoreError> {
        let inserted = self
            .q(sql!("connection/insert"))
            .bind(c.tenant.0)
            .bind(c.id.0)
            .bind(&*c.slug)
            .bind(&*c.provider)
            .bind(&*c.base_url)
            .bind(&*c.sealed_credentials)
            .bind(json(&c.options))
            .bind(&*c.list)
            .bind(c.purpose.0)
            .bind(json(&c.mapping))
            .bind(&*c.cron)
            .bind(&*c.time_zone)
            .bind(c.next_at)
            .bind(c.guard_percent)
            .bind(c.guard_count)
            .bind(c.state.word())
            .bind(&*c.state_reason)
            .bind(&*c.hook_key)
            .bind(&*c.sealed_hooks)
            .bind(&*c.hooks_state)
            .bind(c.walked_at)
            .bind(c.walk_wanted_at)
            .bind(c.created_at)
            .bind(c.account.0)
            .exec()
            .await;
        match inserted {
            Err(error) if error.is_unique_violation() => Err(StoreError::Taken("a connection of that name")),
            other => other.map(drop),
        }
    }

    /// A connection that nobody else changes until this transaction ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lock_connection(&mut self, of: &Connection) -> Result<Option<Connection>, StoreError> {
        let query = self.q(sql!(split "connection/lock")).bind(of.tenant.0).bind(of.id.0);
        query.opt::<Row>().await?.map(Connection::try_from).transpose()
    }

    /// Writes back what was changed about a connection that this transaction has locked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_connection(&mut self, c: &Connection) -> Result<(), StoreError> {
        self.q(sql!("connection/update"))
            .bind(c.tenant.0)
            .bind(c.id.0)
            .bind(&*c.base_url)
            .bind(&*c.sealed_credentials)
            .bind(json(&c.options))
            .bind(&*c.list)
            .bind(json(&c.mapping))
            .bind(&*c.cron)
            .bind(&*c.time_zone)
            .bind(c.next_at)
            .bind(c.guard_percent)
            .bind(c.guard_count)
            .bind(c.state.word())
            .bind(&*c.state_reason)
            .bind(&*c.sealed_hooks)
            .bind(c.account.0)
            .bind(c.walk_wanted_at)
            .exec()
            .await?;
        Ok(())
    }

    /// Changes whether and how a connection works.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_connection_state(
        &mut self,
        c: &Connection,
        state: ConnectionState,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.q(sql!("connection/set_state"))
            .bind(c.tenant.0)
            .bind(c.id.0)
            .bind(state.word())
            .bind(reason)
            .exec()
            .await?;
        Ok(())
    }

    /// Notes how many attempts failed in a row and when the next is allowed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_backoff(&mut self, c: &Connection, until: Timestamp, failures: i64) -> Result<(), StoreError> {
        self.q(sql!("connection/set_backoff")).bind(c.tenant.0).bind(c.id.0).bind(until).bind(failures).exec().await?;
        Ok(())
    }

    /// Notes what the provider had registered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_hooks_state(&mut self, c: &Connection, state: &str) -> Result<(), StoreError> {
        self.q(sql!("connection/set_hooks_state")).bind(c.tenant.0).bind(c.id.0).bind(state).exec().await?;
        Ok(())
    }

    /// Asks for a walk of what the provider holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn want_walk(&mut self, c: &Connection, now: Timestamp) -> Result<(), StoreError> {
        self.q(sql!("connection/want_walk")).bind(c.tenant.0).bind(c.id.0).bind(now).exec().await?;
        Ok(())
    }

    /// Notes that a walk is complete.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_walked(&mut self, c: &Connection, now: Timestamp) -> Result<(), StoreError> {
        self.q(sql!("connection/set_walked")).bind(c.tenant.0).bind(c.id.0).bind(now).exec().await?;
        Ok(())
    }
}
