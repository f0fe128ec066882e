//! What a tenant's people may consent to.

use crate::clock::{DAY, Timestamp};
use crate::domain::ids::{PurposeId, TenantId};
use crate::store::db::{Sql, sql};
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

// Read inside and outside of transactions.
const ALL: Sql = sql!("purpose/all");

/// A purpose of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Its id.
    pub id: PurposeId,
    /// Short name for the command line.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The text that people consent to: products, company, channel, frequency.
    pub body: String,
    /// Version of that text.
    pub text_version: i64,
    /// How long an acceptance holds; 0 for ever.
    pub validity_days: i64,
    /// Whether it is the one meant when nothing is said.
    pub is_default: bool,
}

impl Purpose {
    /// Until when an acceptance given now holds.
    #[must_use]
    pub const fn valid_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.validity_days > 0 { Some(now.saturating_add(self.validity_days.saturating_mul(DAY))) } else { None }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    slug: String,
    name: String,
    body: String,
    text_version: i64,
    validity_days: i64,
    is_default: bool,
}

impl From<Row> for Purpose {
    fn from(row: Row) -> Self {
        Self {
            id: PurposeId(row.id),
            slug: row.slug,
            name: row.name,
            body: row.body,
            text_version: row.text_version,
            validity_days: row.validity_days,
            is_default: row.is_default,
        }
    }
}

impl Store {
    /// A tenant's purposes, the default one first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purposes(&self, tenant: TenantId) -> Result<Vec<Purpose>, StoreError> {
        Ok(self.db.q(ALL).bind(tenant.0).all::<Row>().await?.into_iter().map(Purpose::from).collect())
    }
}

impl Tx {
    /// A tenant's purposes as this transaction sees them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purposes(&mut self, tenant: TenantId) -> Result<Vec<Purpose>, StoreError> {
        Ok(self.q(ALL).bind(tenant.0).all::<Row>().await?.into_iter().map(Purpose::from).collect())
    }

    /// Writes back what may be changed about a purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn update_purpose(&mut self, tenant: TenantId, purpose: &Purpose) -> Result<(), StoreError> {
        self.q(sql!("purpose/update"))
            .bind(tenant.0)
            .bind(purpose.id.0)
            .bind(&*purpose.name)
            .bind(&*purpose.body)
            .bind(purpose.text_version)
            .bind(purpose.validity_days)
            .exec()
            .await?;
        Ok(())
    }

    /// Adds a purpose.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when the short name is in use.
    pub async fn insert_purpose(&mut self, tenant: TenantId, purpose: &Purpose) -> Result<(), StoreError> {
        let inserted = self
            .q(sql!("purpose/insert"))
            .bind(tenant.0)
            .bind(purpose.id.0)
            .bind(&*purpose.slug)
            .bind(&*purpose.name)
            .bind(&*purpose.body)
            .bind(purpose.text_version)
            .bind(purpose.validity_days)
            .bind(purpose.is_default)
            .exec()
            .await;
        match inserted {
            Err(error) if error.is_unique_violation() => Err(StoreError::Taken("a purpose of that name")),
            other => other.map(drop),
        }
    }
}
