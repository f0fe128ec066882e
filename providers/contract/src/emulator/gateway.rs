//! An emulated provider as a [`Gateway`], without any network.

use super::{Call, EmulatedProvider, Reply};
use crate::{Gateway, ProviderError, Request, Response, Sent, Timestamp};
use async_trait::async_trait;
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Hands requests to an emulated provider in the same process.
pub struct EmulatedGateway {
    provider: Arc<Mutex<EmulatedProvider>>,
    base_path: String,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl EmulatedGateway {
    /// `base_path` is the path of the descriptor's base URL, for example `/v3`.
    #[must_use]
    pub fn new(
        provider: Arc<Mutex<EmulatedProvider>>,
        base_path: &str,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self { provider, base_path: base_path.to_owned(), now }
    }
}

#[async_trait]
impl Gateway for EmulatedGateway {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let mut headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.expose_secret().to_owned()))
            .collect();
        if let Some(body) = &request.body {
            headers.push(("content-type".into(), body.content_type.into()));
        }
        let call = Call {
            method: request.method.as_str().into(),
            path: format!("{}{path}", self.base_path),
            query: query.to_owned(),
            headers,
            body: request.body.map(|body| body.bytes).unwrap_or_default(),
        };
        let reply = self.provider.lock().unwrap_or_else(PoisonError::into_inner).call((self.now)(), call);
        match reply {
            Reply::Answer(answer) => Ok(answer),
            Reply::Refuse => Err(ProviderError::Unreachable { sent: Sent::No, source: "connection refused".into() }),
            Reply::Reset => Err(ProviderError::Unreachable { sent: Sent::Maybe, source: "connection reset".into() }),
            Reply::Hang => Err(ProviderError::Unreachable { sent: Sent::Maybe, source: "timed out".into() }),
        }
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        if (self.now)() > deadline {
            return Err(ProviderError::Throttled { retry_after: Some(Duration::ZERO) });
        }
        self.send(request).await
    }
}
