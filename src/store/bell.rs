//! When connections are due to be synchronised.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

/// A connection whose bell is due.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DueBell {
    /// Whose.
    pub tenant_id: Uuid,
    /// Which connection.
    pub id: Uuid,
    /// Its expression.
    pub cron: String,
    /// Its time zone.
    pub time_zone: String,
    /// When it should have rung.
    pub next_at: Timestamp,
}

impl Store {
    /// Connections whose bell should have rung by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_bells(&self, now: Timestamp, limit: i64) -> Result<Vec<DueBell>, StoreError> {
        self.db.q(sql!("connection/due")).bind(now).bind(limit).all().await
    }
}

impl Tx {
    /// Sets when a bell rings next, if nobody else has since it was read. True for the one who did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_bell(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        was: Timestamp,
        next_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("connection/advance")).bind(tenant.0).bind(connection.0).bind(was).bind(next_at);
        Ok(query.exec().await? > 0)
    }
}
