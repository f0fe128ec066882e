//! The way out of those wrong toys that are wrong in their requests.

use async_trait::async_trait;
use consentd_provider::{Gateway, ProviderError, Repeat, Request, Response, Timestamp};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Another number with every call.
pub(crate) fn chance() -> u8 {
    static CALLS: AtomicU8 = AtomicU8::new(0);
    CALLS.fetch_add(1, Ordering::SeqCst)
}

pub(crate) struct FlawedGateway<'a> {
    pub(crate) right: &'a dyn Gateway,
    pub(crate) flaw: &'a str,
}

#[async_trait]
impl Gateway for FlawedGateway<'_> {
    async fn send(&self, mut request: Request) -> Result<Response, ProviderError> {
        match self.flaw {
            "draws on no quota" => request.family = "another",
            "calls a writing request safe" => request.repeat = Repeat::Safe,
            "leaves an address unencoded" => request.path = request.path.replace("%40", "@"),
            "adds a chance to every request" => request.headers.push(("x-chance", chance().to_string().into())),
            _ => {}
        }
        let again = request.clone();
        let answer = match self.right.send(request).await {
            Err(_) if self.flaw == "repeats a request that failed" => self.right.send(again).await?,
            answer => answer?,
        };
        match (self.flaw, answer.status) {
            ("takes a revoked key for a failure", 401) => Err(ProviderError::Server { status: 401 }),
            ("waits for years", 429) => {
                Err(ProviderError::Throttled { retry_after: Some(Duration::from_secs(u64::from(u32::MAX))) })
            }
            _ => Ok(answer),
        }
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> Result<Response, ProviderError> {
        self.send(request).await
    }
}
