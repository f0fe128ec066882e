//! The daemon of a world as the owner of its accounts.

use crate::world::World;
use consentd::clock::Timestamp;
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::service::ServiceError;
use consentd::service::claim::Claim;
use std::collections::HashMap;
use std::sync::Mutex;
use uuid::Uuid;

/// What the daemon owns, and how many daemons there were before it.
#[derive(Default)]
pub struct Claims(Mutex<(HashMap<AccountId, Claim>, u128)>);

impl World {
    /// Does the most urgent thing that is due for a connection, as the owner of its account.
    pub async fn work(&self, id: ConnectionId) -> Result<bool, ServiceError> {
        let claim = self.claim(id).await;
        self.core.work(id, &claim).await
    }

    /// Another daemon takes over a connection in the middle of whatever the one before did.
    pub async fn adopt(&self, id: ConnectionId) -> Result<(), ServiceError> {
        {
            let mut claims = self.claims.0.lock().unwrap();
            claims.0.clear();
            claims.1 += 1;
        }
        let claim = self.claim(id).await;
        self.core.adopt(id, &claim).await
    }

    /// The claim to a connection's account. It lasts until another daemon of this world takes over.
    pub async fn claim(&self, id: ConnectionId) -> Claim {
        let account = self.core.store.connection(id).await.unwrap().expect("the connection").account;
        let (known, owner) = {
            let claims = self.claims.0.lock().unwrap();
            (claims.0.get(&account).cloned(), Uuid::from_u128(claims.1))
        };
        if let Some(claim) = known {
            return claim;
        }
        let mut tx = self.core.store.begin().await.unwrap();
        let epoch = tx.lease(account, owner, 0, 1).await.unwrap().expect("a lease that ran out long ago");
        tx.commit().await.unwrap();
        let claim = Claim::new(account, owner, epoch, Timestamp::MAX);
        self.claims.0.lock().unwrap().0.insert(account, claim.clone());
        claim
    }
}
