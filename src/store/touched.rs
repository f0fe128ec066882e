//! Mailboxes that somebody else changed at a provider.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, MailboxId, TenantId};
use crate::store::db::sql;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

impl Store {
    /// The next mailboxes to look at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touched(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let query = self.db.q(sql!("touched/take"));
        let rows: Vec<(Uuid,)> = query.bind(tenant.0).bind(connection.0).bind(limit).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }
}

impl Tx {
    /// Has a mailbox looked at, unless we wrote about it ourselves after `own_since`: then it is our own echo. True when it
    /// will be looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
        now: Timestamp,
        own_since: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = self.q(sql!("touched/add")).bind(tenant.0).bind(connection.0).bind(mailbox.0);
        Ok(query.bind(now).bind(own_since).exec().await? > 0)
    }

    /// A mailbox was looked at.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn untouch(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailbox: MailboxId,
    ) -> Result<(), StoreError> {
        self.q(sql!("touched/clear")).bind(tenant.0).bind(connection.0).bind(mailbox.0).exec().await?;
        Ok(())
    }
}
