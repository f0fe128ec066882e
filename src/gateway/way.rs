//! The way to one account.

use crate::clock::Clock;
use crate::domain::ids::ConnectionId;
use crate::gateway::http::Wire;
use crate::gateway::quota::Budget;
use crate::gateway::retry::again;
use crate::gateway::{Limits, date};
use crate::random::Random;
use async_trait::async_trait;
use consentd_provider::{Gateway, ProviderError, Request, Response, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

pub(super) struct Way {
    pub(super) connection: ConnectionId,
    pub(super) base_url: String,
    pub(super) wire: Wire,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) budget: Arc<Budget>,
}

#[async_trait]
impl Gateway for Way {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.traced(&request, self.limits.patience).await
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        let late = || ProviderError::Throttled { retry_after: Some(Duration::ZERO) };
        let left = u64::try_from(deadline - self.clock.now()).map(Duration::from_micros).map_err(|_| late())?;
        match self.traced(&request, self.limits.patience.min(left)).await {
            // The quota has room again soon, but what the request stands on will be too old by then.
            Err(ProviderError::Throttled { retry_after: Some(wait) })
                if left < self.limits.patience && wait <= self.limits.patience =>
            {
                Err(late())
            }
            other => other,
        }
    }
}

impl Way {
    async fn traced(&self, request: &Request, patience: Duration) -> Result<Response, ProviderError> {
        let span = tracing::info_span!(
            "provider.call",
            connection.id = %self.connection,
            http.method = request.method.as_str(),
            http.route = request.route,
            quota.family = request.family,
            http.status = tracing::field::Empty,
            duration_ms = tracing::field::Empty,
        );
        self.calls(request, patience).instrument(span).await
    }

    async fn calls(&self, request: &Request, patience: Duration) -> Result<Response, ProviderError> {
        let mut made = 0;
        loop {
            self.place(request, patience).await?;
            let result = self.call(request).await;
            made += 1;
            let Some(wait) = again(request.repeat, made, &result, &*self.random) else { return result };
            self.clock.sleep(wait).await;
        }
    }

    /// Waits for a place in every quota that binds the call.
    async fn place(&self, request: &Request, patience: Duration) -> Result<(), ProviderError> {
        self.budget.take(request.family, patience).await.map_err(|wait| {
            metrics::counter!("consentd_provider_throttled_total", "family" => request.family).increment(1);
            tracing::debug!(wait_ms = millis(wait), "no place in the quota");
            ProviderError::Throttled { retry_after: Some(wait) }
        })
    }

    async fn call(&self, request: &Request) -> Result<Response, ProviderError> {
        let began = self.clock.now();
        let result = self.wire.exchange(&self.base_url, request).await;
        let duration = (self.clock.now() - began) / 1_000;
        let status = match &result {
            Ok(answer) => {
                self.budget.learn(request.family, answer, &*self.random);
                self.show_clock(answer);
                answer.status.to_string()
            }
            Err(error) => error.kind().to_owned(),
        };
        let span = tracing::Span::current();
        span.record("http.status", &*status);
        span.record("duration_ms", duration);
        tracing::debug!("provider called");
        metrics::counter!("consentd_provider_calls_total", "route" => request.route, "status" => status).increment(1);
        result
    }
}

impl Way {
    /// Shows how far the provider's clock is from ours.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
    fn show_clock(&self, answer: &Response) {
        if let Some(theirs) = date(answer) {
            let apart = (theirs - self.clock.now()) as f64 / 1e6;
            metrics::gauge!("consentd_provider_clock_seconds", "connection" => self.connection.to_string()).set(apart);
        }
    }
}

fn millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}
