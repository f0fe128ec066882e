//! The only way out of the process: quotas, time-outs, repetition of safe requests, redaction. The only module that
//! imports reqwest and governor.

use crate::clock::Clock;
use crate::random::Random;
use consentd_provider::{Gateway, Quota, RateHeaders};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// After which time an unanswered call is given up.
    pub timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub answer: usize,
    /// How long a call may wait for a place in a quota.
    pub patience: Duration,
}

/// Ways to providers over HTTP; all ways to one account share its quotas.
pub struct HttpGateways;

impl HttpGateways {
    /// One client for all accounts.
    ///
    /// # Errors
    /// When the TLS roots cannot be loaded.
    pub fn new(_limits: Limits, _clock: Arc<dyn Clock>, _random: Arc<dyn Random>) -> Result<Self, reqwest::Error> {
        Ok(Self)
    }

    /// A way to `base_url` that shares the account's quotas with all others of the same account.
    ///
    /// # Errors
    /// A sentence for the operator when the URL cannot be used.
    pub fn open(
        &self,
        _account: Uuid,
        _base_url: &str,
        _quotas: &[Quota],
        _rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        Err("being built".into())
    }
}
