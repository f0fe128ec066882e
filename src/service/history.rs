//! A person's history, readable.

use crate::clock::Timestamp;
use crate::domain::consent::{Actor, Kind};
use crate::domain::ids::PurposeId;
use crate::service::{Core, ServiceError};
use crate::store::{Address, Tenant, TenantKey};
use serde_json::Value;

/// A line of the history with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its position in the tenant's history.
    pub seq: i64,
    /// When it was recorded.
    pub at: Timestamp,
    /// The exact address spoken of.
    pub address: Address,
    /// What was said.
    pub kind: Kind,
    /// By whom.
    pub actor: Actor,
    /// The purpose, or all of them.
    pub purpose: Option<PurposeId>,
    /// The evidence kept with it; `None` once the person's key is destroyed.
    pub evidence: Option<Value>,
}

impl Core {
    /// Everything that was said about a mailbox, oldest first, each payload opened and checked against its digest.
    ///
    /// # Errors
    /// [`ServiceError::Store`] when a payload is not the one that was recorded.
    pub async fn history(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
    ) -> Result<Vec<Told>, ServiceError> {
        let mut told = Vec::new();
        for spelling in self.store.addresses_of(tenant.id, address.mailbox).await? {
            let person = self.store.person_key(tenant.id, key, spelling.id).await?;
            for line in self.store.lines_of(tenant.id, spelling.id).await? {
                let evidence = person.map(|person| self.store.payload(&line, &person)).transpose()?;
                told.push(Told {
                    seq: line.header.seq,
                    at: line.header.at,
                    address: spelling.clone(),
                    kind: line.header.kind,
                    actor: line.header.actor,
                    purpose: line.header.purpose,
                    evidence,
                });
            }
        }
        told.sort_by_key(|line| line.seq);
        Ok(told)
    }
}
