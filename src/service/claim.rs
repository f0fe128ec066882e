//! The right to talk to a provider account, and the proof of it.
//!
//! A claim is one owner's turn at an account. Within it a call starts only while a good part of the lease is left, and a
//! write commits only while nobody else has taken over. A daemon that stood still and wakes later can do neither.

use crate::clock::Timestamp;
use crate::domain::ids::AccountId;
use crate::service::{Core, ServiceError};
use crate::store::Tx;
use async_trait::async_trait;
use consentd_provider::{Gateway, ProviderError, Request, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// One owner's turn at a provider account. Clones share how long it lasts.
#[derive(Debug, Clone)]
pub struct Claim {
    account: AccountId,
    owner: Uuid,
    epoch: i64,
    until: Arc<AtomicI64>,
}

impl Claim {
    /// A turn that was taken, until it must be renewed.
    #[must_use]
    pub fn new(account: AccountId, owner: Uuid, epoch: i64, until: Timestamp) -> Self {
        Self { account, owner, epoch, until: Arc::new(AtomicI64::new(until)) }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The number of the turn among all that the account has seen.
    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Until when it lasts, if it is not renewed.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until.load(Ordering::SeqCst)
    }
}

/// The part of a lease that must be left when a call starts: what separates that look from the first byte on the wire,
/// and two machines' clocks from each other, is shorter.
const MARGIN: i64 = 5;

impl Core {
    /// Takes an account, or goes on with the turn that `owner` has. `None` while another owner has it.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn claim(&self, account: AccountId, owner: Uuid) -> Result<Option<Claim>, ServiceError> {
        let now = self.now();
        let until = now + self.rules.lease;
        let mut tx = self.store.begin().await?;
        let epoch = tx.lease(account, owner, until, now).await?;
        tx.commit().await?;
        Ok(epoch.map(|epoch| Claim::new(account, owner, epoch, until)))
    }

    /// Lets a claim last longer. False when somebody else has had a turn since.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn renew(&self, claim: &Claim) -> Result<bool, ServiceError> {
        let now = self.now();
        let until = now + self.rules.lease;
        let mut tx = self.store.begin().await?;
        if tx.lease(claim.account, claim.owner, until, now).await? != Some(claim.epoch) {
            return Ok(false);
        }
        tx.commit().await?;
        claim.until.store(until, Ordering::SeqCst);
        Ok(true)
    }

    /// Renews a claim for as long as that works; returns when it is lost.
    pub async fn keep(&self, claim: &Claim) {
        let pause = Duration::from_micros(self.rules.lease.unsigned_abs() / 3);
        loop {
            self.clock.sleep(pause).await;
            match self.renew(claim).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = %error, account.id = %claim.account, "a lease cannot be renewed");
                    if claim.until() <= self.now() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives back everything that `owner` has.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn release(&self, owner: Uuid) -> Result<(), ServiceError> {
        let mut tx = self.store.begin().await?;
        tx.release(owner).await?;
        Ok(tx.commit().await?)
    }

    /// Begins a write that only the owner of an account may make.
    pub(crate) async fn begin_for(&self, claim: &Claim) -> Result<Tx, ServiceError> {
        let mut tx = self.store.begin().await?;
        if tx.holds(claim.account, claim.owner, claim.epoch).await? {
            return Ok(tx);
        }
        Err(ServiceError::TakenOver)
    }
}

/// A way out that is open while a claim lasts.
pub(crate) struct Claimed {
    inner: Arc<dyn Gateway>,
    claim: Claim,
    /// What must be left of the lease when a call starts.
    margin: Timestamp,
}

impl Claimed {
    pub(crate) fn new(core: &Core, inner: Arc<dyn Gateway>, claim: Claim) -> Self {
        Self { inner, claim, margin: core.rules.lease / MARGIN }
    }

    /// The last instant at which a call may start now.
    fn last_start(&self) -> Timestamp {
        self.claim.until() - self.margin
    }
}

#[async_trait]
impl Gateway for Claimed {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.inner.send_before(request, self.last_start()).await
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        self.inner.send_before(request, deadline.min(self.last_start())).await
    }
}
