//! What follows from a provider's failure.

use crate::clock::{SECOND, Timestamp, micros};
use crate::random::below;
use crate::service::ServiceError;
use crate::service::sync::Session;
use crate::store::ConnectionState;
use consentd_provider::{Advice, ProviderError};

/// The longest wait between attempts; withdrawals wait behind it too.
const LONGEST: Timestamp = 5 * 60 * SECOND;

impl Session<'_> {
    /// Backs off, or suspends the connection when its credentials are really gone. Always false: nothing more now.
    pub(super) async fn trouble(&self, error: &ProviderError) -> Result<bool, ServiceError> {
        tracing::warn!(
            connection.id = %self.connection.id, provider = %self.connection.provider, error.kind = error.kind(),
            "provider call failed"
        );
        metrics::counter!("consentd_provider_failures_total", "provider" => self.connection.provider.clone(), "kind" => error.kind())
            .increment(1);
        match error.advice() {
            Advice::Suspend => self.doubt_credentials().await?,
            Advice::Retry { after: Some(after) } => {
                let wait = micros(after).clamp(0, LONGEST);
                self.back_off(wait, self.connection.failures).await?;
            }
            Advice::Retry { after: None } | Advice::GiveUp => {
                let failures = self.connection.failures + 1;
                self.back_off(self.jittered(failures), failures).await?;
            }
        }
        Ok(false)
    }

    /// An exponential wait, between half and all of it.
    pub(super) fn jittered(&self, failures: i64) -> Timestamp {
        let exponent = u32::try_from(failures.clamp(0, 9)).unwrap_or(9);
        let full = SECOND.saturating_mul(1 << exponent).min(LONGEST);
        let half = u64::try_from(full / 2).unwrap_or(0);
        full / 2 + Timestamp::try_from(below(&*self.core.random, half + 1)).unwrap_or(0)
    }

    pub(super) async fn back_off(&self, wait: Timestamp, failures: i64) -> Result<(), ServiceError> {
        let mut tx = self.begin().await?;
        tx.set_backoff(&self.connection, self.now().saturating_add(wait), failures).await?;
        if failures >= 3 {
            let detail = "the provider does not answer as it should; trying again";
            tx.raise(self.tenant.id, self.connection.id, "provider_failing", self.connection.id.0, detail, self.now())
                .await?;
        }
        Ok(tx.commit().await?)
    }

    /// A refused call is no proof of wrong credentials (Mailjet sheet 1.2): only the check of the account is.
    async fn doubt_credentials(&self) -> Result<(), ServiceError> {
        let Err(ProviderError::Credentials { status }) = self.account.provider.check(&*self.account.gateway).await
        else {
            let failures = self.connection.failures + 1;
            return self.back_off(self.jittered(failures), failures).await;
        };
        let reason = format!(
            "the provider refuses the credentials (status {status}); enter new ones with `consentd connection credentials`"
        );
        let mut tx = self.begin().await?;
        // Only a working connection is suspended: it goes back to work by itself, which a new or a paused one must not.
        if self.is_active() {
            tx.set_connection_state(&self.connection, ConnectionState::Suspended, &reason).await?;
        }
        tx.set_backoff(&self.connection, self.now() + LONGEST, self.connection.failures + 1).await?;
        tx.raise(self.tenant.id, self.connection.id, "suspended", self.connection.id.0, &reason, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The credentials work again.
    pub(super) async fn reinstate(&self) -> Result<(), ServiceError> {
        let mut tx = self.begin().await?;
        tx.set_connection_state(&self.connection, ConnectionState::Active, "").await?;
        tx.settle_incident(self.tenant.id, self.connection.id, "suspended", self.connection.id.0, self.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The provider answers again.
    pub(super) async fn recovered(&self) -> Result<(), ServiceError> {
        let mut tx = self.begin().await?;
        tx.set_backoff(&self.connection, 0, 0).await?;
        for kind in ["provider_failing", "suspended"] {
            tx.settle_incident(self.tenant.id, self.connection.id, kind, self.connection.id.0, self.now()).await?;
        }
        Ok(tx.commit().await?)
    }
}
