//! Keeping a provider in step with consent: one round after another, withdrawals before everything else.
//!
//! A session is one daemon's exclusive conversation with one provider account. Every step reads what is due, writes
//! what it is about to do, does it, and writes what came of it; a crash between any two of these is mended by the next
//! round, because whatever was not answered is *unknown* and is read back.

mod follow;
mod look;
mod outlook;
mod plan;
mod push;
mod read_back;
mod reconcile;
mod run;
mod settle;
mod trouble;
mod walk;
mod withdraw;

use crate::clock::Timestamp;
use crate::domain::ids::ConnectionId;
use crate::service::connection::Account;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, Tenant, TenantKey};

pub use outlook::Outlook;
pub use run::RunReport;

/// One daemon's conversation with one provider account.
pub(crate) struct Session<'a> {
    core: &'a Core,
    tenant: Tenant,
    key: TenantKey,
    connection: Connection,
    account: Account,
}

impl Core {
    /// Does the most urgent thing that is due for a connection. True when something was done and more may be due.
    ///
    /// Only the owner of the connection's lease may call this.
    ///
    /// # Errors
    /// [`ServiceError::Store`]; the provider's failures are handled here.
    pub async fn work(&self, id: ConnectionId) -> Result<bool, ServiceError> {
        let Some(connection) = self.store.connection(id).await? else { return Ok(false) };
        if self.now() < connection.backoff_until {
            return Ok(false);
        }
        let session = self.session(connection).await?;
        match session.round().await {
            Ok(worked) => {
                if worked && session.connection.failures > 0 {
                    session.recovered().await?;
                }
                Ok(worked)
            }
            Err(ServiceError::Provider(error)) => session.trouble(&error).await,
            Err(other) => Err(other),
        }
    }

    /// Takes over a connection from a daemon that is gone: what it was in the middle of is unknown.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn adopt(&self, id: ConnectionId) -> Result<(), ServiceError> {
        let Some(connection) = self.store.connection(id).await? else { return Ok(()) };
        let open = self.store.open_run(connection.tenant, id).await?;
        let mut tx = self.store.begin().await?;
        let now = self.now();
        // race model: `Action::Take` in tests/it/race/steps.rs
        tx.orphan_ledger(connection.tenant, id, now, now + self.rules.settle).await?;
        if let Some(run) = open {
            tx.reopen_items(connection.tenant, run.id).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn session(&self, connection: Connection) -> Result<Session<'_>, ServiceError> {
        let (tenant, key) = self.tenant_by_id(connection.tenant).await?;
        let account = self.open(&connection, &key)?;
        Ok(Session { core: self, tenant, key, connection, account })
    }
}

impl Session<'_> {
    /// One step, the most urgent first.
    async fn round(&self) -> Result<bool, ServiceError> {
        use crate::store::Phase;
        let state = self.connection.state;
        if state == ConnectionState::Suspended {
            self.account.provider.check(&*self.account.gateway).await?;
            self.reinstate().await?;
        }
        if state != ConnectionState::Shadow
            && (self.send_withdrawals().await?
                || self.confirm_withdrawals(Phase::Confirm).await?
                || self.confirm_withdrawals(Phase::Watch).await?)
        {
            return Ok(true);
        }
        if self.connection.list.is_empty() {
            return Ok(false);
        }
        // A pause stops what we put on the list, not what we look at.
        if self.follow_jobs().await?
            || self.look_at_touched().await?
            || self.settle_unknown().await?
            || self.walk().await?
        {
            return Ok(true);
        }
        Ok(matches!(state, ConnectionState::Shadow | ConnectionState::Active) && self.run().await?)
    }

    fn now(&self) -> Timestamp {
        self.core.now()
    }

    fn is_active(&self) -> bool {
        self.connection.state == ConnectionState::Active
    }
}
