//! What time alone changes: requests that can no longer be accepted, acceptances that are too old.

use crate::clock::Timestamp;
use crate::domain::consent::{Act, State, SystemAct};
use crate::domain::ids::{AddressId, ConnectionId, TenantId};
use crate::service::consent::Saying;
use crate::service::{Core, ServiceError};
use crate::store::{Purpose, Tenant, TenantKey};
use serde_json::json;
use uuid::Uuid;

/// Requests noted as expired in one pass; nothing follows from the note, so more can wait.
const REQUESTS: i64 = 2_000;
/// Addresses in one transaction.
const PAGE: usize = 200;
/// Acceptances that may always lapse in one pass.
const FEW: i64 = 20;

impl Core {
    /// Notes what has expired. To be called about once an hour: of all who accepted, at most one in a hundred lapses in
    /// one pass. If more would, a clock or a date is more likely wrong than so many people's consent, and a person is
    /// told; until then nobody is mailed whose acceptance is past its validity, because every plan checks that itself.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn expire(&self) -> Result<usize, ServiceError> {
        let mut expired = 0;
        for tenant in self.store.tenants().await? {
            // What is wrong with one tenant is no reason to leave the others as they are.
            match self.expire_of(tenant.id).await {
                Ok(of_tenant) => expired += of_tenant,
                Err(error) => tracing::error!(error = %error, tenant.id = %tenant.id, "nothing expired for a tenant"),
            }
        }
        Ok(expired)
    }

    async fn expire_of(&self, tenant: TenantId) -> Result<usize, ServiceError> {
        let (tenant, key) = self.tenant_by_id(tenant).await?;
        let mut expired = 0;
        for purpose in self.store.purposes(tenant.id).await? {
            expired += self.expire_requests(&tenant, &key, &purpose).await?;
            expired += self.lapse(&tenant, &key, &purpose).await?;
        }
        Ok(expired)
    }

    async fn expire_requests(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        purpose: &Purpose,
    ) -> Result<usize, ServiceError> {
        let asked_before = self.now() - self.rules.consent_link;
        let unanswered = self.store.unanswered(tenant.id, purpose.id, asked_before, REQUESTS).await?;
        self.say_of_all(tenant, key, purpose, &unanswered, SystemAct::ExpireRequest).await?;
        Ok(unanswered.len())
    }

    async fn lapse(&self, tenant: &Tenant, key: &TenantKey, purpose: &Purpose) -> Result<usize, ServiceError> {
        let now = self.now();
        let counts = self.store.state_counts(tenant.id, purpose.id).await?;
        let accepted = counts.iter().find(|(state, _)| *state == State::Accepted).map_or(0, |(_, count)| *count);
        let limit = FEW.max(accepted / 100);
        let mut outdated = self.store.outdated(tenant.id, purpose.id, now, limit + 1).await?;
        let too_many = i64::try_from(outdated.len()).unwrap_or(i64::MAX) > limit;
        outdated.truncate(usize::try_from(limit).unwrap_or(0));
        self.watch_lapses(tenant, purpose, too_many, now).await?;
        self.say_of_all(tenant, key, purpose, &outdated, SystemAct::Lapse).await?;
        Ok(outdated.len())
    }

    async fn watch_lapses(
        &self,
        tenant: &Tenant,
        purpose: &Purpose,
        too_many: bool,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        // It is about a purpose, not about any of its connections.
        let (nowhere, kind) = (ConnectionId(Uuid::nil()), "mass_lapse");
        let mut tx = self.store.begin().await?;
        if too_many {
            let detail = "more consents than usual are past their validity; they lapse slowly: check the clock";
            tx.raise(tenant.id, nowhere, kind, purpose.id.0, detail, now).await?;
        } else {
            tx.settle_incident(tenant.id, nowhere, kind, purpose.id.0, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Says the same of many addresses. Who has moved on since they were found is left alone.
    async fn say_of_all(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        purpose: &Purpose,
        addresses: &[AddressId],
        act: SystemAct,
    ) -> Result<(), ServiceError> {
        let expected = if act == SystemAct::Lapse { State::Accepted } else { State::Pending };
        for page in addresses.chunks(PAGE) {
            let mut tx = self.store.begin().await?;
            tx.lock_head(tenant.id).await?;
            for id in page {
                let standings = tx.standings(tenant.id, *id).await?;
                let still = standings.iter().any(|kept| kept.purpose == purpose.id && kept.standing.state == expected);
                let address = if still { tx.address(tenant.id, *id).await? } else { None };
                let Some(address) = address else { continue };
                let saying =
                    Saying { address: &address, purpose: Some(purpose.id), act: Act::System(act), evidence: json!({}) };
                self.say(&mut tx, tenant, key, saying).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}
