//! The only way out of the process: quotas, time-outs, repetition of safe requests, redaction. The only module that
//! imports reqwest and governor.
//!
//! What leaves here is logged by its route template, never by its path, which may hold an address.

mod courier;
mod date;
mod http;
mod quota;
mod retry;
mod spent;
mod ticks;
mod way;

pub use courier::Courier;
pub use date::date;

use crate::clock::Clock;
use crate::domain::ids::{AccountId, ConnectionId};
use crate::random::Random;
use consentd_provider::{Gateway, Quota, RateHeaders};
use http::Wire;
use quota::{Budget, strictest};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
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
    accounts: Mutex<HashMap<AccountId, Account>>,
}

/// What the connections to one account share.
struct Account {
    budget: Arc<Budget>,
    /// The quotas that each of them was told to keep; the strictest bind all.
    told: BTreeMap<ConnectionId, Vec<Quota>>,
}

impl HttpGateways {
    /// One client for all accounts.
    ///
    /// # Errors
    /// When the TLS roots cannot be loaded.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, reqwest::Error> {
        Ok(Self { wire: Wire::new(limits)?, limits, clock, random, accounts: Mutex::default() })
    }

    /// A way to `base_url` for a connection, which shares the account's quotas with all other connections to it.
    ///
    /// # Errors
    /// A sentence for the operator when the URL cannot be used.
    pub fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        let base_url = http::base(base_url)?;
        let budget = self.budget(connection, account, quotas, rate_headers);
        Ok(Arc::new(Way {
            connection,
            base_url,
            wire: self.wire.clone(),
            limits: self.limits,
            clock: self.clock.clone(),
            random: self.random.clone(),
            budget,
        }))
    }

    /// How many calls of each family every opened connection may still make in the family's longest window, which is what
    /// its account may.
    #[must_use]
    pub fn left(&self) -> Vec<(ConnectionId, &'static str, u32)> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |account: &Account| {
            let left = account.budget.left();
            let each =
                |id: &ConnectionId| left.iter().map(|(family, calls)| (*id, *family, *calls)).collect::<Vec<_>>();
            account.told.keys().flat_map(each).collect::<Vec<_>>()
        };
        accounts.values().flat_map(of).collect()
    }

    /// The account's budget. One with other quotas replaces it and keeps what the provider said about slowing down.
    fn budget(
        &self,
        connection: ConnectionId,
        account: AccountId,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Arc<Budget> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = accounts.get(&account).is_none_or(|known| !known.told.contains_key(&connection));
        if is_new {
            // It may have spoken to another account before.
            for other in accounts.values_mut() {
                other.told.remove(&connection);
            }
        }
        let fresh = |quotas: &[Quota], before: Option<&Budget>| {
            Arc::new(Budget::new(quotas, rate_headers, self.clock.clone(), before))
        };
        let shared =
            accounts.entry(account).or_insert_with(|| Account { budget: fresh(quotas, None), told: BTreeMap::new() });
        shared.told.insert(connection, quotas.to_vec());
        let binding = strictest(shared.told.values().flatten());
        if !shared.budget.is_for(&binding) {
            shared.budget = fresh(&binding, Some(&*shared.budget));
        }
        shared.budget.clone()
    }
}
