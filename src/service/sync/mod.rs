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
use crate::service::claim::{Claim, Claimed};
use crate::service::connection::Account;
use crate::service::{Core, ServiceError};
use crate::store::{Connection, ConnectionState, Tenant, TenantKey, Tx};
use std::sync::Arc;
use tracing::Instrument;

pub use outlook::Outlook;
pub use run::RunReport;

/// One daemon's conversation with one provider account.
pub(crate) struct Session<'a> {
    core: &'a Core,
    tenant: Tenant,
    key: TenantKey,
    connection: Connection,
    account: Account,
    claim: &'a Claim,
}

impl Core {
    /// Does the most urgent thing that is due for a connection. True when something was done and more may be due.
    ///
    /// # Errors
    /// [`ServiceError::TakenOver`] when the claim is not, or no longer, one to the connection's account; nothing more is
    /// written then. [`ServiceError::Store`]. The provider's failures are handled here.
    pub async fn work(&self, id: ConnectionId, claim: &Claim) -> Result<bool, ServiceError> {
        let Some(connection) = self.store.connection(id).await? else { return Ok(false) };
        if self.now() < connection.backoff_until {
            return Ok(false);
        }
        let session = self.session(connection, claim).await?;
        let span = tracing::info_span!("sync", connection.id = %id, provider = %session.connection.provider);
        match session.round().instrument(span).await {
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
    /// As [`Core::work`].
    pub async fn adopt(&self, id: ConnectionId, claim: &Claim) -> Result<(), ServiceError> {
        let Some(connection) = self.store.connection(id).await? else { return Ok(()) };
        if connection.account != claim.account() {
            return Err(ServiceError::TakenOver);
        }
        let open = self.store.open_run(connection.tenant, id).await?;
        let mut tx = self.begin_for(claim).await?;
        // race model: `Action::Take` in tests/it/race/steps.rs
        tx.orphan_ledger(connection.tenant, id, self.now() + self.rules.settle).await?;
        if let Some(run) = open {
            tx.reopen_items(connection.tenant, run.id).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn session<'a>(&'a self, connection: Connection, claim: &'a Claim) -> Result<Session<'a>, ServiceError> {
        // Other credentials may have made it another account.
        if connection.account != claim.account() {
            return Err(ServiceError::TakenOver);
        }
        let (tenant, key) = self.tenant_by_id(connection.tenant).await?;
        let mut account = self.open(&connection, &key)?;
        account.gateway = Arc::new(Claimed::new(self, account.gateway, claim.clone()));
        Ok(Session { core: self, tenant, key, connection, account, claim })
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
            && (within("withdraw", self.send_withdrawals()).await?
                || within("confirm", self.confirm_withdrawals(Phase::Confirm)).await?
                || within("watch", self.confirm_withdrawals(Phase::Watch)).await?)
        {
            return Ok(true);
        }
        // Whoever withdrew while a job put them on the list waits for its end.
        if within("jobs", self.follow_jobs()).await? {
            return Ok(true);
        }
        if self.connection.list.is_empty() || self.core.store.reserve.is_spent() {
            return Ok(false);
        }
        // A pause stops what we put on the list, not what we look at.
        if within("look", self.look_at_touched()).await?
            || within("settle", self.settle_unknown()).await?
            || within("walk", self.walk()).await?
        {
            return Ok(true);
        }
        Ok(matches!(state, ConnectionState::Shadow | ConnectionState::Active) && within("run", self.run()).await?)
    }

    /// Begins a write. It commits only if nobody takes the account over before.
    async fn begin(&self) -> Result<Tx, ServiceError> {
        self.core.begin_for(self.claim).await
    }

    fn now(&self) -> Timestamp {
        self.core.now()
    }

    fn is_active(&self) -> bool {
        self.connection.state == ConnectionState::Active
    }
}

/// One step of a round under its name: what it calls and logs stands below it in a trace.
fn within<T>(step: &'static str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    work.instrument(tracing::info_span!("sync.step", step, run.id = tracing::field::Empty))
}
