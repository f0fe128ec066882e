//! A run's plan in plain numbers, beside what the provider was seen to hold.

use crate::service::{Core, ServiceError};
use crate::store::{Connection, RemoteSummary, Run};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a run would do, by action and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// People by action, then by reason.
    pub actions: BTreeMap<String, BTreeMap<String, i64>>,
    /// People who are left alone, by reason.
    pub skipped: BTreeMap<String, i64>,
    /// What the last walk saw.
    pub provider: RemoteSummary,
    /// On the provider's list, mailable, and in no record or history here.
    pub strangers: i64,
    /// On the provider's list without consent here: strangers, and people whom the plan withdraws.
    pub without_consent: i64,
}

/// Strangers counted in one read.
const PAGE: i64 = 5_000;

impl Core {
    /// A run's plan in plain numbers.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn outlook(&self, connection: &Connection, run: &Run) -> Result<Outlook, ServiceError> {
        let mut actions: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for (action, reason, count) in self.store.item_reasons(run.tenant, run.id).await? {
            *actions.entry(action).or_default().entry(reason).or_insert(0) += count;
        }
        let skipped = self.store.skip_counts(run.tenant, run.id).await?.into_iter().collect();
        let provider = self.store.remote_summary(run.tenant, connection.id).await?;
        let mut strangers = 0;
        let mut after = String::new();
        loop {
            let page = self.store.strangers(run.tenant, connection.id, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.remote_id);
            strangers += i64::try_from(page.len()).unwrap_or(0);
        }
        let withdrawn: i64 = actions.get("withdraw").map_or(0, |reasons| reasons.values().sum());
        Ok(Outlook { actions, skipped, provider, strangers, without_consent: withdrawn + strangers })
    }
}
