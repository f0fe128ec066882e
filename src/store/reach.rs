//! Keeping `reach` in step: who can be reached for a purpose, flat enough to be filtered at once.

use crate::domain::ids::{MailboxId, TenantId};
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::{StoreError, Tx};
use uuid::Uuid;

/// Mailboxes made anew in one go.
const PAGE: usize = 1_000;

impl Tx {
    /// Makes the rows of these mailboxes anew, after addresses or records came, went or changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_reach(&mut self, tenant: TenantId, mailboxes: &[MailboxId]) -> Result<(), StoreError> {
        for page in mailboxes.chunks(PAGE) {
            let list = id_list(page);
            self.q(sql!(split "reach/clear")).bind(tenant.0).bind(list.clone()).exec().await?;
            self.q(sql!(split "reach/fill")).bind(tenant.0).bind(list).exec().await?;
        }
        Ok(())
    }

    /// Takes over the standings of these mailboxes; their addresses and records are as they were.
    pub(crate) async fn follow_reach(&mut self, tenant: TenantId, mailboxes: &[MailboxId]) -> Result<(), StoreError> {
        for page in mailboxes.chunks(PAGE) {
            self.q(sql!(split "reach/follow")).bind(tenant.0).bind(id_list(page)).exec().await?;
        }
        Ok(())
    }

    /// Makes the rows of all mailboxes anew, after a purpose was added or standings were rebuilt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn refresh_all_reach(&mut self, tenant: TenantId) -> Result<(), StoreError> {
        let mut after = MailboxId(Uuid::nil());
        loop {
            let page = self.mailboxes_after(tenant, after, i64::try_from(PAGE).unwrap_or(1)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            self.refresh_reach(tenant, &page).await?;
        }
    }
}
