//! Use cases, one a file. Console, API, pages, workers and the command line all call these.

pub mod alarm;
pub mod amend;
pub mod audience;
pub mod claim;
pub mod connection;
pub mod consent;
mod events;
pub mod expiry;
pub mod history;
pub mod import;
pub mod intake;
pub mod link;
pub mod person;
pub mod purpose;
pub mod schedule;
pub mod signal;
pub mod steer;
pub mod sync;
pub mod tenant;
pub mod verify;
pub mod webhook;

use crate::clock::{Clock, HOUR, MINUTE, SECOND, Timestamp};
use crate::domain::fold::Denied;
use crate::domain::ids::{AccountId, ConnectionId};
use crate::random::Random;
use crate::store::{Store, StoreError};
use consentd_provider::{Descriptor, Gateway, ProviderError, Quota, RateHeaders, SettingsError};
use std::sync::Arc;
use uuid::Uuid;

/// Figures that rules depend on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long an unanswered request may still be applied: the client's time-out and a margin.
    pub settle: Timestamp,
    /// After how long a withdrawal that is not in effect is an alarm.
    pub withdrawal_alert: Timestamp,
    /// How long a request for consent can be accepted.
    pub consent_link: Timestamp,
    /// How long a daemon owns a provider account without renewing.
    pub lease: Timestamp,
    /// How often what a provider holds is walked, at the least.
    pub walk_every: Timestamp,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            settle: 15 * MINUTE + 30 * SECOND,
            withdrawal_alert: HOUR,
            consent_link: 30 * 24 * HOUR,
            lease: 30 * SECOND,
            walk_every: 24 * HOUR,
        }
    }
}

/// Hands out the way to a provider's account.
pub trait Gateways: Send + Sync {
    /// A gateway to `base_url` for a connection, which shares the account's quotas with all other connections to it.
    ///
    /// # Errors
    /// A sentence for the operator when the URL cannot be used.
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String>;

    /// How many calls of each family every opened connection may still make in the family's longest window. Ways that
    /// count nothing tell nothing.
    fn left(&self) -> Vec<(ConnectionId, &'static str, u32)> {
        Vec::new()
    }
}

/// Everything that a use case needs.
#[derive(Clone)]
pub struct Core {
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The ways out.
    pub gateways: Arc<dyn Gateways>,
    /// The providers there are.
    pub providers: &'static [&'static Descriptor],
    /// The figures.
    pub rules: Rules,
    /// Where people and providers reach this daemon, without a slash at the end.
    pub public_url: Arc<str>,
}

/// Why a use case was not carried out. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The account's settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The rules of consent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such thing; names what was looked for.
    #[error("there is no {0}")]
    NotFound(&'static str),
    /// An input that cannot be used; a sentence that says what to do.
    #[error("{0}")]
    Invalid(String),
    /// Not possible in the present state; a sentence that says what to do.
    #[error("{0}")]
    Conflict(String),
    /// The claim to a provider account that this stood on is over.
    #[error("the provider account has another owner by now; nothing was written")]
    TakenOver,
}

impl Core {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        crate::random::uuid(self.now(), &*self.random)
    }

    /// As [`Store::make_room`], for what a use case came to.
    pub(crate) fn make_room(&self, error: &ServiceError) -> bool {
        match error {
            ServiceError::Store(error) => self.store.make_room(error),
            _ => false,
        }
    }

    /// New ids that ascend.
    #[must_use]
    pub fn ids(&self, count: usize) -> Vec<Uuid> {
        crate::random::uuids(count, self.now(), &*self.random)
    }

    /// The descriptor of a provider.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub fn descriptor(&self, provider: &str) -> Result<&'static Descriptor, ServiceError> {
        self.providers.iter().copied().find(|known| known.id == provider).ok_or(ServiceError::NotFound("such provider"))
    }
}
