//! Withdrawals on their way to providers.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, TenantId};
use crate::store::db::sql;
use crate::store::{StoreError, Tx};
use consentd_provider::Scope;

/// The stored word of a scope.
#[must_use]
pub const fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Purpose => "purpose",
        Scope::Everything => "everything",
    }
}

/// A mailbox that is to be taken off.
#[derive(Debug, Clone)]
pub struct NewWithdrawal<'a> {
    /// Which.
    pub mailbox: MailboxId,
    /// The address to name to the provider.
    pub address: AddressId,
    /// Only connections of this purpose, or all.
    pub purpose: Option<PurposeId>,
    /// How far.
    pub scope: Scope,
    /// Why, a stable word.
    pub reason: &'a str,
    /// The line of the history behind it.
    pub seq: i64,
}

impl Tx {
    /// Queues a withdrawal at every connection where the mailbox is, or may be. One that is under way starts over, and
    /// never shrinks its scope.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn queue_withdrawal(
        &mut self,
        tenant: TenantId,
        new: &NewWithdrawal<'_>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.q(sql!(split "withdrawal/queue"))
            .bind(tenant.0)
            .bind(new.mailbox.0)
            .bind(new.address.0)
            .bind(new.purpose.map(|purpose| purpose.0))
            .bind(scope_word(new.scope))
            .bind(new.reason)
            .bind(new.seq)
            .bind(now)
            .exec()
            .await
    }
}
