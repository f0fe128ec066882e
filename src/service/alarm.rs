//! What a person should be told: withdrawals that are late or come in floods, webhooks that do not reach us.

use crate::clock::MINUTE;
use crate::service::{Core, ServiceError};
use crate::store::Connection;
use consentd_provider::{HookMode, HookState};
use std::collections::HashSet;

/// More withdrawals than this within ten minutes, and more than 2 % of all that are held, make an operator look
/// (reliability A16).
const FLOOD: i64 = 50;

impl Core {
    /// To be called when the clock was put back, and when a daemon begins: nothing that was to wait for minutes waits
    /// until the clock has caught up.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn shorten_waits(&self) -> Result<(), ServiceError> {
        let mut tx = self.store.begin().await?;
        tx.shorten_waits(self.now(), self.rules.settle).await?;
        Ok(tx.commit().await?)
    }

    /// Raises an incident for every connection with a withdrawal that is wanted for too long and not in effect, again
    /// and again until it is; closes those that are over. Returns how many connections are late.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn watch_withdrawals(&self) -> Result<usize, ServiceError> {
        let now = self.now();
        let since = now - self.rules.withdrawal_alert;
        let waiting = self.store.waiting_withdrawals().await?;
        let late: Vec<_> = waiting.into_iter().filter(|waiting| waiting.oldest <= since).collect();
        let still: HashSet<_> = late.iter().map(|late| late.connection).collect();
        let open = self.store.incidents_of_kind("withdrawal_late").await?;
        let over: Vec<_> = open.into_iter().filter(|(_, connection, _)| !still.contains(connection)).collect();
        if late.is_empty() && over.is_empty() {
            return Ok(0);
        }
        let mut tx = self.store.begin().await?;
        for one in &late {
            tracing::error!(connection.id = %one.connection, waiting = one.count, "withdrawals are not in effect in time");
            let detail = format!(
                "{} withdrawals are not in effect at the provider, the oldest for {} minutes",
                one.count,
                (now - one.oldest) / MINUTE
            );
            tx.raise(one.tenant, one.connection, "withdrawal_late", one.connection.0, &detail, now).await?;
        }
        for (tenant, connection, subject) in over {
            tx.settle_incident(tenant, connection, "withdrawal_late", subject, now).await?;
        }
        tx.commit().await?;
        Ok(late.len())
    }

    /// A flood of unsubscriptions is applied all the same; but a person should look whether it is forged. Returns how many
    /// connections are flooded.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn watch_floods(&self) -> Result<usize, ServiceError> {
        let now = self.now();
        let mut floods = Vec::new();
        for (tenant, connection, withdrawn) in self.store.recent_withdrawals(now - 10 * MINUTE, FLOOD).await? {
            let base: i64 = self.store.held_counts(tenant, connection).await?.into_iter().map(|(_, held)| held).sum();
            if withdrawn > base * 2 / 100 {
                floods.push((tenant, connection, withdrawn));
            }
        }
        if floods.is_empty() {
            return Ok(0);
        }
        let mut tx = self.store.begin().await?;
        for (tenant, connection, withdrawn) in &floods {
            let detail = format!("{withdrawn} people were withdrawn by webhooks within ten minutes");
            tx.raise(*tenant, *connection, "unsubscribe_flood", connection.0, &detail, now).await?;
        }
        tx.commit().await?;
        Ok(floods.len())
    }

    /// Looks at a connection's webhook registrations, puts them right if `mode` says so, and tells a person what is
    /// still wrong afterwards.
    ///
    /// # Errors
    /// [`ServiceError::Provider`].
    pub async fn watch_hooks(&self, connection: &Connection, mode: HookMode) -> Result<HookState, ServiceError> {
        let (tenant, key) = self.tenant_by_id(connection.tenant).await?;
        let state = self.hooks(connection, &key, mode).await?;
        if state.changed {
            tracing::info!(connection.id = %connection.id, "webhook registrations were put right");
        }
        let mut tx = self.store.begin().await?;
        if state.healthy {
            tx.settle_incident(tenant.id, connection.id, "hooks_unhealthy", connection.id.0, self.now()).await?;
        } else {
            tx.raise(tenant.id, connection.id, "hooks_unhealthy", connection.id.0, &complaint(&state), self.now())
                .await?;
        }
        tx.commit().await?;
        Ok(state)
    }
}

fn complaint(state: &HookState) -> String {
    let mut parts = Vec::new();
    for (what, names) in [
        ("the provider does not report", &state.missing),
        ("it has switched off", &state.suspended),
        ("another system's address stands at", &state.foreign),
    ] {
        if !names.is_empty() {
            parts.push(format!("{what} {}", names.join(", ")));
        }
    }
    format!("webhooks do not reach consentd: {}", parts.join("; "))
}
