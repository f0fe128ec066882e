//! The only way out of the process: quotas, time-outs, repetition of safe requests, redaction. The only module that
//! imports reqwest and governor.
//!
//! What leaves here is logged by its route template, never by its path, which may hold an address.

mod courier;
mod date;
mod http;
mod quota;
mod retry;
mod way;

pub use courier::Courier;
pub use date::date;

use crate::clock::Clock;
use crate::random::Random;
use consentd_provider::{Gateway, Quota, RateHeaders};
use http::Wire;
use quota::Budget;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;
use way::Way;

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
pub struct HttpGateways {
    wire: Wire,
    limits: Limits,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    budgets: Mutex<HashMap<Uuid, Arc<Budget>>>,
}

impl HttpGateways {
    /// One client for all accounts.
    ///
    /// # Errors
    /// When the TLS roots cannot be loaded.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, reqwest::Error> {
        Ok(Self { wire: Wire::new(limits)?, limits, clock, random, budgets: Mutex::default() })
    }

    /// A way to `base_url` that shares the account's quotas with all others of the same account.
    ///
    /// # Errors
    /// A sentence for the operator when the URL cannot be used.
    pub fn open(
        &self,
        account: Uuid,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        let base_url = http::base(base_url)?;
        let budget = self.budget(account, quotas, rate_headers);
        Ok(Arc::new(Way {
            account,
            base_url,
            wire: self.wire.clone(),
            limits: self.limits,
            clock: self.clock.clone(),
            random: self.random.clone(),
            budget,
        }))
    }

    /// The account's budget. One with other quotas replaces it and keeps what the provider said about slowing down.
    fn budget(&self, account: Uuid, quotas: &[Quota], rate_headers: Option<RateHeaders>) -> Arc<Budget> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        match budgets.get(&account) {
            Some(known) if known.is_for(quotas) => known.clone(),
            known => {
                let fresh = Arc::new(Budget::new(quotas, rate_headers, self.clock.clone(), known.map(|old| &**old)));
                budgets.insert(account, fresh.clone());
                fresh
            }
        }
    }
}
