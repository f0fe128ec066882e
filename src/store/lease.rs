//! Which daemon talks to a provider account, and the number of its turn.
//!
//! The number grows with each change of owner. A transaction that names it in [`Tx::holds`] commits only while that turn
//! lasts: whoever takes the account over waits for it, and afterwards it is refused.

use crate::clock::Timestamp;
use crate::domain::ids::{AccountId, ConnectionId, TenantId};
use crate::store::db::sql;
use crate::store::vault::HOST;
use crate::store::{Store, StoreError, Tx};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use uuid::Uuid;

impl Store {
    /// Until when a daemon owns a connection's account; an instant of the past when none does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leased_until(&self, tenant: TenantId, id: ConnectionId) -> Result<Timestamp, StoreError> {
        Ok(self.db.q(sql!("account/leased")).bind(tenant.0).bind(id.0).one::<(i64,)>().await?.0)
    }

    /// Recognises an account by what opens it, with whichever tenant it is, and makes it known.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when the master key is missing.
    pub async fn account(
        &self,
        tx: &mut Tx,
        opened_by: &str,
        random: &dyn crate::random::Random,
    ) -> Result<AccountId, StoreError> {
        let mut sealed = tx.account_key().await?;
        if sealed.is_none() {
            let new = STANDARD_NO_PAD.encode(self.vault.new_tenant_key(HOST, random)?);
            tx.q(sql!("account/keep_key")).bind(new).exec().await?;
            // Another transaction may have been first.
            sealed = tx.account_key().await?;
        }
        let sealed = sealed.ok_or(CORRUPT)?;
        let id = self.vault.tenant_key(HOST, &sealed)?.account(opened_by);
        tx.q(sql!("account/insert")).bind(id.0).exec().await?;
        Ok(id)
    }

    /// Seals the key that recognises accounts with the current master key.
    pub(super) async fn rewrap_account_key(&self, random: &dyn crate::random::Random) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        if let Some(sealed) = tx.account_key().await?
            && let Some(again) = self.vault.rewrap(HOST, &sealed, random)?
        {
            tx.q(sql!("account/rewrap_key")).bind(STANDARD_NO_PAD.encode(again)).exec().await?;
        }
        tx.commit().await
    }
}

const CORRUPT: StoreError = StoreError::Corrupt { table: "meta", column: "value" };

impl Tx {
    /// The key that recognises accounts, sealed; `None` before the first account.
    async fn account_key(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let kept: Option<(String,)> = self.q(sql!("account/key")).opt().await?;
        kept.map(|(text,)| STANDARD_NO_PAD.decode(text).map_err(|_| CORRUPT)).transpose()
    }

    /// Takes or keeps the exclusive right to talk to an account. The number of the turn, or `None` when another daemon
    /// has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lease(
        &mut self,
        account: AccountId,
        owner: Uuid,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        let query = self.q(sql!("account/lease")).bind(account.0).bind(owner).bind(until).bind(now);
        Ok(query.opt::<(i64,)>().await?.map(|(epoch,)| epoch))
    }

    /// Whether that turn lasts. If so, it lasts until this transaction ends: nobody takes over in between.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holds(&mut self, account: AccountId, owner: Uuid, epoch: i64) -> Result<bool, StoreError> {
        let query = self.q(sql!(split "account/held")).bind(account.0).bind(owner).bind(epoch);
        Ok(query.opt::<(i64,)>().await?.is_some())
    }

    /// Ends the turn of whoever owns an account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn depose(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.q(sql!("account/depose")).bind(account.0).exec().await?;
        Ok(())
    }

    /// Gives back everything that a daemon owns.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release(&mut self, owner: Uuid) -> Result<(), StoreError> {
        self.q(sql!("account/release")).bind(owner).exec().await?;
        Ok(())
    }
}
