//! A provider in memory: the same state machine serves as a gateway in tests and behind HTTP in the sandbox.

mod courier;
mod faults;
mod gateway;

pub use courier::CourierFaults;
pub use faults::{Fault, FaultRule};
pub use gateway::EmulatedGateway;

use crate::{Look, Response, Timestamp};
use faults::Faults;

/// A request as the emulator sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the provider's host, still percent-encoded, without the query.
    pub path: String,
    /// The raw query, without `?`.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A webhook that the emulator owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// For [`Emulator::delivered`].
    pub id: u64,
    /// Where to, credentials included if the provider puts them there.
    pub url: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// What happens at the provider without consentd's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The person clicks "unsubscribe" in a campaign sent to that list; without a list, the mail's own header.
    Unsubscribes(Option<String>),
    /// The person reports spam.
    Complains,
    /// The mailbox is gone.
    HardBounces,
    /// The mailbox is full for now.
    SoftBounces,
    /// The provider refuses to deliver, as to an address that bounced before.
    Blocked,
    /// Somebody unsubscribes the person in the provider's own console. Many providers send no event for that.
    UnsubscribedByStaff(String),
    /// Somebody imports the person onto that list in the provider's console and lifts every block.
    HostileImport(String),
    /// Somebody deletes the contact in the provider's console.
    Deleted,
}

/// One line of the emulator's own record, the ground truth of the tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Method and path of the call, or the name of a happening.
    pub what: String,
    /// The status answered, 0 for a happening.
    pub status: u16,
}

/// The state machine of one provider.
pub trait Emulator: Send {
    /// Answers a call and applies its effect. Also moves jobs on to `now`.
    fn handle(&mut self, now: Timestamp, call: &Call) -> Response;

    /// Moves jobs on and hands out the webhooks that are due.
    fn due(&mut self, now: Timestamp) -> Vec<Outgoing>;

    /// Tells how a delivery was answered, `None` for no answer, so that the provider's retry rules apply.
    fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>);

    /// Makes something happen to a contact. Returns false when the provider does not know the contact.
    fn happen(&mut self, now: Timestamp, email: &str, what: &Happening) -> bool;

    /// What is true about an address on a list.
    fn truth(&mut self, now: Timestamp, list: &str, email: &str) -> Look;

    /// Addresses that a campaign to the list would reach.
    fn mailable(&mut self, now: Timestamp, list: &str) -> Vec<String>;

    /// Sets a switch of behaviour that the contract sheet leaves open. The names are in the adapter's README.
    ///
    /// # Errors
    /// A sentence naming the switches there are.
    fn set(&mut self, name: &str, value: &str) -> Result<(), String>;
}

/// What the caller of an emulated provider experiences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer.
    Answer(Response),
    /// The connection is refused; nothing was received.
    Refuse,
    /// The connection breaks in the middle.
    Reset,
    /// No answer ever comes.
    Hang,
}

/// An emulator with faults on demand on both of its ways: calls in, webhooks out.
pub struct EmulatedProvider {
    inner: Box<dyn Emulator>,
    faults: Faults,
    courier: courier::Courier,
    log: Vec<Entry>,
}

impl EmulatedProvider {
    /// Wraps an emulator.
    #[must_use]
    pub fn new(inner: Box<dyn Emulator>) -> Self {
        Self { inner, faults: Faults::default(), courier: courier::Courier::default(), log: Vec::new() }
    }

    /// Takes a call, which may meet a fault.
    pub fn call(&mut self, now: Timestamp, call: Call) -> Reply {
        self.faults.land_late_calls(now, &mut *self.inner, &mut self.log);
        let what = format!("{} {}", call.method, call.path);
        let reply = self.faults.apply(now, call, &mut *self.inner);
        let status = if let Reply::Answer(answer) = &reply { answer.status } else { 0 };
        self.log.push(Entry { at: now, what, status });
        reply
    }

    /// Webhooks to deliver now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Outgoing> {
        self.faults.land_late_calls(now, &mut *self.inner, &mut self.log);
        self.courier.due(now, &mut *self.inner)
    }

    /// How a delivery was answered.
    pub fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        self.courier.delivered(now, id, status, &mut *self.inner);
    }

    /// Makes something happen at the provider; see [`Emulator::happen`].
    pub fn happen(&mut self, now: Timestamp, email: &str, what: &Happening) -> bool {
        self.log.push(Entry { at: now, what: format!("{what:?}"), status: 0 });
        self.inner.happen(now, email, what)
    }

    /// What is true about an address on a list.
    pub fn truth(&mut self, now: Timestamp, list: &str, email: &str) -> Look {
        self.inner.truth(now, list, email)
    }

    /// Addresses that a campaign to the list would reach.
    pub fn mailable(&mut self, now: Timestamp, list: &str) -> Vec<String> {
        self.inner.mailable(now, list)
    }

    /// Sets a switch; see [`Emulator::set`].
    ///
    /// # Errors
    /// A sentence naming the switches there are.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.inner.set(name, value)
    }

    /// Adds a fault rule; rules are tried in order, the first that matches is used up by one.
    pub fn fault(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// Drops all fault rules. Calls that still hang still land.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Sets how webhooks are disturbed.
    pub fn disturb(&mut self, faults: CourierFaults) {
        self.courier.set(faults);
    }

    /// Everything that was asked and everything that happened, oldest first.
    #[must_use]
    pub fn log(&self) -> &[Entry] {
        &self.log
    }
}
