//! Webhooks on their way from emulated providers to whoever registered them.

use super::accounts::{Account, Accounts, held};
use crate::gateway::Courier;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet};

/// How often it is looked for webhooks that are due.
const ROUND: Duration = Duration::from_millis(100);
/// How long a receiver may take (Brevo waits about that long too).
const PATIENCE: Duration = Duration::from_secs(10);

/// Delivers the webhooks of all accounts of a provider until it is dropped.
pub struct Post(AbortHandle);

impl Post {
    /// Sets out.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn start(accounts: Arc<Accounts>) -> Result<Self, std::io::Error> {
        let courier = Courier::new(PATIENCE).map_err(std::io::Error::other)?;
        let task = tokio::spawn(async move {
            loop {
                let mut rounds = JoinSet::new();
                for account in accounts.all() {
                    rounds.spawn(deliver(Arc::clone(&accounts), account, courier.clone()));
                }
                rounds.join_all().await;
                accounts.time.clock().sleep(ROUND).await;
            }
        });
        Ok(Self(task.abort_handle()))
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One round of one account: in the order that the provider sends them.
async fn deliver(accounts: Arc<Accounts>, account: Account, courier: Courier) {
    let due = held(&account).due(accounts.time.now());
    for delivery in due {
        let status = courier.post(&delivery.url, &delivery.headers, delivery.body).await;
        held(&account).delivered(accounts.time.now(), delivery.id, status);
    }
}
