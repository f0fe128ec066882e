//! The accounts of an emulated provider: one emulator for each credential that was shown.

use crate::clock::{Clock, Timestamp};
use consentd_provider::emulator::{EmulatedProvider, Emulator};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An account, shared between the listener, the courier and whoever looks at the truth.
pub type Account = Arc<Mutex<EmulatedProvider>>;

/// The emulator's time: a clock, and how far somebody has moved it.
pub struct Clockwork {
    clock: Arc<dyn Clock>,
    ahead: AtomicI64,
}

impl Clockwork {
    /// A time that is the clock's until it is moved.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead: AtomicI64::new(0) }
    }

    /// Now, as the emulators see it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now().saturating_add(self.ahead.load(Ordering::SeqCst))
    }

    /// Moves the time ahead.
    pub fn advance(&self, by: Timestamp) {
        self.ahead.fetch_add(by, Ordering::SeqCst);
    }

    /// The clock below, for waiting.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// The accounts of one provider, opened when somebody first shows their credential.
pub struct Accounts {
    open: Box<dyn Fn() -> Account + Send + Sync>,
    opened: Mutex<BTreeMap<String, Account>>,
    /// The time of all accounts.
    pub time: Arc<Clockwork>,
}

impl Accounts {
    /// No account yet; `emulator` makes an empty one.
    #[must_use]
    pub fn new(time: Arc<Clockwork>, emulator: fn() -> Box<dyn Emulator>) -> Self {
        let open = move || Arc::new(Mutex::new(EmulatedProvider::new(emulator())));
        Self { open: Box::new(open), opened: Mutex::default(), time }
    }

    /// One account that everybody sees, whatever they show.
    #[must_use]
    pub fn shared(time: Arc<Clockwork>, account: Account) -> Self {
        Self { open: Box::new(move || Arc::clone(&account)), opened: Mutex::default(), time }
    }

    /// The account of a credential, opened now if nobody showed it before.
    #[must_use]
    pub fn of(&self, credential: &str) -> Account {
        Arc::clone(self.opened().entry(credential.to_owned()).or_insert_with(|| (self.open)()))
    }

    /// Every account, numbered from 1 in the order of their credentials.
    #[must_use]
    pub fn all(&self) -> Vec<Account> {
        self.opened().values().cloned().collect()
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The emulator of an account, whoever failed while holding it.
pub(super) fn held(account: &Account) -> MutexGuard<'_, EmulatedProvider> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
