//! Bulk jobs of providers, and mailboxes whose consent was raised lately.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, MailboxId, PurposeId, RunId, TenantId};
use crate::store::db::sql;
use crate::store::holding::id_list;
use crate::store::{Store, StoreError, Tx};
use uuid::Uuid;

/// A bulk job that is not known to be over.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Job {
    /// The provider's name for it.
    pub name: String,
    /// How often it was asked after.
    pub polls: i64,
    /// When to ask next.
    pub next_at: Timestamp,
    /// When it was started.
    pub started_at: Timestamp,
}

impl Store {
    /// A connection's jobs that are not known to be over, those first that were asked after least.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_jobs(&self, tenant: TenantId, connection: ConnectionId) -> Result<Vec<Job>, StoreError> {
        self.db.q(sql!("job/open")).bind(tenant.0).bind(connection.0).all().await
    }

    /// Whether a consent was raised that no plan has seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_dirty(&self, tenant: TenantId, connection: ConnectionId) -> Result<bool, StoreError> {
        Ok(self.db.q(sql!("dirty/any")).bind(tenant.0).bind(connection.0).one::<(i64,)>().await?.0 > 0)
    }
}

impl Tx {
    /// Begins to watch a job.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_job(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        run: RunId,
        name: &str,
        next_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("job/insert"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(run.0)
            .bind(name)
            .bind(next_at)
            .bind(now)
            .exec()
            .await?;
        Ok(())
    }

    /// Notes what a job's provider said: `running`, `done` or `failed`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_job(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        job: &Job,
        state: &str,
    ) -> Result<(), StoreError> {
        self.q(sql!("job/save"))
            .bind(tenant.0)
            .bind(connection.0)
            .bind(&*job.name)
            .bind(state)
            .bind(job.polls)
            .bind(job.next_at)
            .exec()
            .await?;
        Ok(())
    }

    /// While a job runs, its subscriptions may still land: nothing about them settles before `until`. What settles after
    /// `enough` is left as it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unsettle_job(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        job: &str,
        until: Timestamp,
        enough: Timestamp,
    ) -> Result<(), StoreError> {
        let query = self.q(sql!("job/extend")).bind(tenant.0).bind(connection.0).bind(job);
        query.bind(until).bind(enough).exec().await?;
        Ok(())
    }

    /// Asks after no job of a connection before that instant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn defer_jobs(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("job/defer")).bind(tenant.0).bind(connection.0).bind(until).exec().await?;
        Ok(())
    }

    /// A job failed: its subscriptions may have landed, or may land until `until`. To be called before the ledger says so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn doubt_job(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        job: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!("job/doubt")).bind(tenant.0).bind(connection.0).bind(job).bind(now).bind(until).exec().await?;
        Ok(())
    }

    /// Notes in the ledger how a job ended, as the provider tells it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_job(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        job: &str,
        outcome: &str,
    ) -> Result<(), StoreError> {
        self.q(sql!("job/settle")).bind(tenant.0).bind(connection.0).bind(job).bind(outcome).exec().await?;
        Ok(())
    }

    /// Marks a mailbox for the next plan of every connection of the purpose.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_dirty(
        &mut self,
        tenant: TenantId,
        mailbox: MailboxId,
        purpose: PurposeId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.q(sql!(split "dirty/add")).bind(tenant.0).bind(mailbox.0).bind(purpose.0).bind(now).exec().await?;
        Ok(())
    }

    /// Mailboxes whose consent was raised, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dirty(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        limit: i64,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let rows: Vec<(Uuid,)> = self.q(sql!("dirty/take")).bind(tenant.0).bind(connection.0).bind(limit).all().await?;
        Ok(rows.into_iter().map(|(id,)| MailboxId(id)).collect())
    }

    /// Forgets marks that a plan has seen.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_dirty(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        mailboxes: &[MailboxId],
    ) -> Result<(), StoreError> {
        self.q(sql!(split "dirty/clear")).bind(tenant.0).bind(connection.0).bind(id_list(mailboxes)).exec().await?;
        Ok(())
    }

    /// Forgets the marks of all mailboxes after `after` up to `until`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_dirty_range(
        &mut self,
        tenant: TenantId,
        connection: ConnectionId,
        (after, until): (MailboxId, MailboxId),
    ) -> Result<(), StoreError> {
        let query = self.q(sql!("dirty/clear_range")).bind(tenant.0).bind(connection.0);
        query.bind(after.0).bind(until.0).exec().await?;
        Ok(())
    }
}
