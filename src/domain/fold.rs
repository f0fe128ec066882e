//! The state of an address as a pure function of its history.

use crate::clock::{DAY, Timestamp};
use crate::domain::consent::{Act, Actor, Kind, OperatorAct, RecipientAct, State, SystemAct};
use crate::domain::ids::StatementId;

/// Facts beside the state that hold for a mailbox, whatever the purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(i64);

impl Flags {
    /// The mailbox is gone.
    pub const HARD_BOUNCE: Self = Self(1);
    /// The person complained. Never cleared.
    pub const COMPLAINT: Self = Self(2);
    /// The person's data was destroyed. Never cleared.
    pub const ERASED: Self = Self(8);
    /// No flag.
    pub const NONE: Self = Self(0);

    /// The stored number.
    #[must_use]
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// Reads the stored number.
    #[must_use]
    pub const fn from_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether none is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// One line of the history as the fold sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Position in the tenant's history; the only order there is.
    pub seq: i64,
    /// Its id.
    pub id: StatementId,
    /// What was said.
    pub kind: Kind,
    /// By whom.
    pub actor: Actor,
    /// When consentd recorded it.
    pub at: Timestamp,
    /// For an acceptance: until when it holds. For an annulment: the number of the line taken back.
    pub detail: Option<i64>,
}

/// The acceptance that a consent stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basis {
    /// Its position.
    pub seq: i64,
    /// Its id.
    pub id: StatementId,
    /// When it was given.
    pub at: Timestamp,
    /// Until when it holds, if it does not hold for ever.
    pub valid_until: Option<Timestamp>,
}

/// The last line that said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negative {
    /// Its position.
    pub seq: i64,
    /// It is an operator's withdrawal and the only no since the last yes, so that two operators can take it back.
    pub annullable: bool,
}

/// Where an address stands for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// The last acceptance, also when it no longer stands.
    pub basis: Option<Basis>,
    /// The last refusal or withdrawal, also when a newer acceptance stands.
    pub negative: Option<Negative>,
    /// When the person was last asked.
    pub asked_at: Option<Timestamp>,
    /// How often the person was asked since `asked_since`; at most two are told apart.
    pub asks: i64,
    /// The last request but one if it lies less than [`ASKING_PERIOD`] before the last one, otherwise the last one.
    pub asked_since: Option<Timestamp>,
    /// Flags of the mailbox.
    pub flags: Flags,
    /// The last line that was folded in.
    pub seq: i64,
    /// When the state last changed.
    pub since: Timestamp,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            state: State::NotAsked,
            basis: None,
            negative: None,
            asked_at: None,
            asks: 0,
            asked_since: None,
            flags: Flags::NONE,
            seq: 0,
            since: 0,
        }
    }
}

impl Standing {
    /// Whether campaigns may be sent now: accepted, no flag, not past its validity.
    #[must_use]
    pub fn sendable(&self, now: Timestamp) -> bool {
        self.state == State::Accepted
            && self.flags.is_empty()
            && self.basis.is_some_and(|basis| basis.valid_until.is_none_or(|until| now < until))
    }

    /// The standing after one more line. Lines that say nothing in this state leave the state alone.
    #[must_use]
    pub fn after(mut self, event: &Event) -> Self {
        let before = self.state;
        self.seq = self.seq.max(event.seq);
        match (event.kind, event.actor) {
            (Kind::Accepted, Actor::Recipient) => self.accept(event),
            (Kind::ProofImported, Actor::Operator) if self.negative.is_none() && self.basis.is_none() => {
                self.accept(event);
            }
            (Kind::Refused | Kind::AddressChanged, Actor::Recipient)
            | (Kind::Withdrawn, Actor::Recipient | Actor::Operator)
            | (Kind::ProviderUnsubscribed, Actor::Provider)
            | (Kind::OptOutImported, Actor::Operator)
            | (Kind::SuppressionMatched, Actor::System) => self.decline(event),
            (Kind::Complained, Actor::Provider) => {
                self.decline(event);
                self.state = State::Withdrawn;
                self.flags = self.flags.with(Flags::COMPLAINT);
            }
            (Kind::Erased, Actor::Recipient | Actor::Operator) => {
                self.decline(event);
                self.flags = self.flags.with(Flags::ERASED);
            }
            (Kind::HardBounced, Actor::Provider) => self.flags = self.flags.with(Flags::HARD_BOUNCE),
            (Kind::BounceCleared, Actor::Operator) => self.flags = self.flags.without(Flags::HARD_BOUNCE),
            (Kind::RequestSent, Actor::Operator | Actor::System) => self.ask(event),
            (Kind::Lapsed, Actor::System) if self.state == State::Accepted => self.state = State::Lapsed,
            (Kind::Annulled, Actor::Operator) => self.annul(event),
            _ => {}
        }
        if self.state != before {
            self.since = event.at;
        }
        self
    }

    fn accept(&mut self, event: &Event) {
        self.state = State::Accepted;
        self.basis = Some(Basis { seq: event.seq, id: event.id, at: event.at, valid_until: event.detail });
    }

    fn decline(&mut self, event: &Event) {
        let never_accepted = self.basis.is_none();
        let said_by_recipient = event.kind == Kind::Refused || event.kind == Kind::OptOutImported;
        let is_first = !matches!(self.state, State::Refused | State::Withdrawn);
        let annullable = is_first && event.kind == Kind::Withdrawn && event.actor == Actor::Operator;
        self.state = match self.state {
            State::Withdrawn => State::Withdrawn,
            _ if never_accepted && said_by_recipient => State::Refused,
            State::Refused if event.actor == Actor::System => State::Refused,
            _ => State::Withdrawn,
        };
        self.negative = Some(Negative { seq: event.seq, annullable });
    }

    fn ask(&mut self, event: &Event) {
        if matches!(self.state, State::Refused | State::Withdrawn) {
            return;
        }
        let before = self.asked_at.filter(|last| event.at.saturating_sub(*last) < ASKING_PERIOD);
        self.asked_since = before.or(Some(event.at));
        self.asks = if before.is_some() { 2 } else { 1 };
        self.asked_at = Some(event.at);
        if matches!(self.state, State::NotAsked | State::Lapsed) {
            self.state = State::Pending;
        }
    }

    /// Leads to "not asked" at most. The line taken back stays on record as the last no, so that it still bars evidence
    /// from before.
    fn annul(&mut self, event: &Event) {
        if event.detail.is_some_and(|seq| self.can_annul(seq)) {
            self.state = State::NotAsked;
        }
    }

    fn can_annul(&self, seq: i64) -> bool {
        self.state == State::Withdrawn && self.negative.is_some_and(|no| no.annullable && no.seq == seq)
    }
}

/// How long one request and one reminder must last.
pub const ASKING_PERIOD: Timestamp = 365 * DAY;

/// The standing that a history leads to.
#[must_use]
pub fn fold<'a>(history: impl IntoIterator<Item = &'a Event>) -> Standing {
    history.into_iter().fold(Standing::default(), Standing::after)
}

/// Why an act is not allowed in this standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The person said no; only the person can change that.
    #[error("the person refused or withdrew; only the person can change that, from the customer area")]
    SaidNo,
    /// Mails do not arrive there.
    #[error("mails to this address bounce; clear the bounce first if the mailbox works again")]
    Undeliverable,
    /// The person complained about a mail.
    #[error("the person reported a mail as spam; consentd never asks again")]
    Complained,
    /// One request and one reminder in twelve months.
    #[error("the person was asked and reminded within the last twelve months")]
    AskedEnough,
    /// The person's data was destroyed.
    #[error("the person's data was erased on request")]
    Erased,
    /// There is no bounce to clear.
    #[error("this address has no bounce to clear")]
    NoBounce,
    /// Only an operator's own wrong entry can be taken back.
    #[error("only a withdrawal entered by an operator can be annulled, and only while it is the only no")]
    NotOwnError,
    /// A negative line exists, so old evidence says nothing.
    #[error("a refusal or withdrawal is on record, so an older acceptance cannot be imported")]
    NegativeHistory,
    /// An acceptance exists, so older evidence adds nothing and must not prolong it.
    #[error("an acceptance is on record already; only the person can renew it")]
    AcceptedBefore,
}

impl Standing {
    /// Checks whether an act of a person in front of us is allowed. What providers report is never denied: it is
    /// recorded, and the fold decides what it means.
    ///
    /// # Errors
    /// [`Denied`] says why not and who could.
    pub fn allows(&self, act: &Act, at: Timestamp) -> Result<(), Denied> {
        match act {
            Act::Recipient(RecipientAct::Accept(_)) if self.flags.has(Flags::ERASED) => Err(Denied::Erased),
            Act::Operator(OperatorAct::Request(_)) | Act::System(SystemAct::Remind) => self.allows_asking(at),
            Act::Operator(OperatorAct::ImportProof(_)) if self.negative.is_some() || !self.flags.is_empty() => {
                Err(Denied::NegativeHistory)
            }
            Act::Operator(OperatorAct::ImportProof(_)) if self.basis.is_some() => Err(Denied::AcceptedBefore),
            Act::Operator(OperatorAct::ClearBounce) if !self.flags.has(Flags::HARD_BOUNCE) => Err(Denied::NoBounce),
            Act::Operator(OperatorAct::Annul(seq)) if !self.can_annul(*seq) => Err(Denied::NotOwnError),
            _ => Ok(()),
        }
    }

    fn allows_asking(&self, at: Timestamp) -> Result<(), Denied> {
        if self.flags.has(Flags::ERASED) {
            return Err(Denied::Erased);
        }
        if self.flags.has(Flags::COMPLAINT) {
            return Err(Denied::Complained);
        }
        if matches!(self.state, State::Refused | State::Withdrawn) {
            return Err(Denied::SaidNo);
        }
        if self.flags.has(Flags::HARD_BOUNCE) {
            return Err(Denied::Undeliverable);
        }
        let recent = self.asked_since.is_some_and(|since| at.saturating_sub(since) < ASKING_PERIOD);
        if recent && self.asks >= 2 { Err(Denied::AskedEnough) } else { Ok(()) }
    }
}
