//! Desired against believed: what has to be said to a provider about one mailbox.
//!
//! This file is the only caller of [`ConsentProof::attest`], so whoever wants to know how a contact can leave the
//! store reads it.

use crate::clock::Timestamp;
use crate::domain::consent::State;
use crate::domain::fold::{Flags, Standing};
use crate::domain::ids::StatementId;
use consentd_provider::{Change, ConsentProof, EmailAddress, Fields, Lift, Presence, Scope};
use serde::{Deserialize, Serialize};

/// What we believe the provider holds about a mailbox, from our own ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Never pushed.
    Never,
    /// On the list and mailable.
    Subscribed,
    /// Taken off.
    Withdrawn,
    /// A push got no answer.
    Unknown,
    /// Deleted at the provider by somebody else.
    Missing,
    /// The provider refuses to take it.
    Blocked,
}

impl Held {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Subscribed => "subscribed",
            Self::Withdrawn => "withdrawn",
            Self::Unknown => "unknown",
            Self::Missing => "missing",
            Self::Blocked => "blocked",
        }
    }

    /// The value stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "never" => Some(Self::Never),
            "subscribed" => Some(Self::Subscribed),
            "withdrawn" => Some(Self::Withdrawn),
            "unknown" => Some(Self::Unknown),
            "missing" => Some(Self::Missing),
            "blocked" => Some(Self::Blocked),
            _ => None,
        }
    }
}

/// Why a person is in or out. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Consent stands.
    Consented,
    /// Nobody asked.
    NotAsked,
    /// Asked, no answer yet.
    Waiting,
    /// Said no.
    Refused,
    /// Took it back.
    Withdrawn,
    /// The acceptance is too old.
    Lapsed,
    /// The mailbox is gone.
    HardBounce,
    /// Reported spam.
    Complaint,
    /// Data destroyed.
    Erased,
    /// In no record of the CRM that is not in the bin.
    NotInCrm,
    /// Already there, nothing to change.
    UpToDate,
    /// The provider keeps it blocked.
    BlockedAtProvider,
    /// Somebody deleted it at the provider; a person decides.
    DeletedAtProvider,
    /// A withdrawal is on its way.
    WithdrawalUnderway,
    /// An earlier push got no answer and has not settled yet.
    Settling,
}

impl Reason {
    /// The stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Consented => "consented",
            Self::NotAsked => "not_asked",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
            Self::HardBounce => "hard_bounce",
            Self::Complaint => "complaint",
            Self::Erased => "erased",
            Self::NotInCrm => "not_in_crm",
            Self::UpToDate => "up_to_date",
            Self::BlockedAtProvider => "blocked_at_provider",
            Self::DeletedAtProvider => "deleted_at_provider",
            Self::WithdrawalUnderway => "withdrawal_underway",
            Self::Settling => "settling",
        }
    }
}

/// One mailbox in front of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation<'a> {
    /// Where its best address stands for the connection's purpose.
    pub standing: &'a Standing,
    /// Whether a record outside the bin holds it.
    pub in_crm: bool,
    /// What we believe the provider holds.
    pub held: Held,
    /// The acceptance that the last push stood on, and the fields' digest then.
    pub pushed: Option<(i64, [u8; 16])>,
    /// The digest of the fields now.
    pub digest: [u8; 16],
    /// A withdrawal is queued.
    pub withdrawing: bool,
    /// Until when an unanswered subscription may still land.
    pub unsettled_until: Timestamp,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Subscribe.
    Add,
    /// Bring fields or basis up to date.
    Update,
    /// Take off because consent does not stand. Never held back by a guard.
    Withdraw(Reason),
    /// Take off although consent stands, because the CRM no longer has the person. Held back by the guard.
    Leave,
    /// Nothing.
    Skip(Reason),
}

/// Why a person is in or out of an audience, whatever the provider holds.
#[must_use]
pub fn eligibility(standing: &Standing, in_crm: bool, now: Timestamp) -> Reason {
    if standing.flags.has(Flags::ERASED) {
        return Reason::Erased;
    }
    if standing.flags.has(Flags::COMPLAINT) {
        return Reason::Complaint;
    }
    match standing.state {
        State::Refused => return Reason::Refused,
        State::Withdrawn => return Reason::Withdrawn,
        _ => {}
    }
    if standing.flags.has(Flags::HARD_BOUNCE) {
        return Reason::HardBounce;
    }
    if !in_crm {
        return Reason::NotInCrm;
    }
    match standing.state {
        State::NotAsked => Reason::NotAsked,
        State::Pending => Reason::Waiting,
        State::Lapsed => Reason::Lapsed,
        _ if standing.sendable(now) => Reason::Consented,
        _ => Reason::Lapsed,
    }
}

/// Decides about one mailbox.
#[must_use]
pub fn decide(s: &Situation<'_>, now: Timestamp) -> Wish {
    let reason = eligibility(s.standing, s.in_crm, now);
    let may_be_there = matches!(s.held, Held::Subscribed | Held::Unknown);
    if reason != Reason::Consented {
        return match (may_be_there, s.withdrawing, reason) {
            (_, true, _) => Wish::Skip(Reason::WithdrawalUnderway),
            (false, false, reason) => Wish::Skip(reason),
            (true, false, Reason::NotInCrm) if s.standing.sendable(now) => Wish::Leave,
            (true, false, reason) => Wish::Withdraw(reason),
        };
    }
    let newer_basis = match (s.standing.basis, s.pushed) {
        (Some(basis), Some((pushed, _))) => basis.seq > pushed,
        _ => true,
    };
    match s.held {
        _ if s.withdrawing => Wish::Skip(Reason::WithdrawalUnderway),
        Held::Unknown if now < s.unsettled_until => Wish::Skip(Reason::Settling),
        Held::Never | Held::Unknown | Held::Withdrawn => Wish::Add,
        Held::Missing | Held::Blocked if newer_basis => Wish::Add,
        Held::Missing => Wish::Skip(Reason::DeletedAtProvider),
        Held::Blocked => Wish::Skip(Reason::BlockedAtProvider),
        Held::Subscribed if newer_basis || s.pushed.is_some_and(|(_, digest)| digest != s.digest) => Wish::Update,
        Held::Subscribed => Wish::Skip(Reason::UpToDate),
    }
}

/// What the re-check directly before a push has established about one address.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// The exact address that accepted.
    pub email: EmailAddress,
    /// Its standing, read in the transaction that wrote the ledger.
    pub standing: Standing,
    /// Fields to write.
    pub fields: Fields,
    /// Whether the provider is known to hold the contact.
    pub presence: Presence,
    /// When we ourselves took the contact off this list, if nobody else is known to have.
    pub taken_off_at: Option<Timestamp>,
    /// When the provider was last seen to mail the contact; 0 for never.
    pub seen_mailable_at: Timestamp,
}

/// Which unsubscription at the provider subscribing a person may lift: one from before the acceptance, if the person
/// accepted after the last no, and the one by which we took the person off. Once the provider was seen to mail the person
/// after that acceptance, the no before it is lifted, and whatever follows is a newer one.
#[must_use]
pub fn lift(standing: &Standing, taken_off_at: Option<Timestamp>, seen_mailable_at: Timestamp) -> Option<Lift> {
    let basis = standing.basis?;
    let after_no = standing.negative.is_some_and(|negative| basis.seq > negative.seq) && seen_mailable_at < basis.at;
    (after_no || taken_off_at.is_some()).then_some(Lift { accepted_at: basis.at, after_no, taken_off_at })
}

/// Makes the change that subscribes a person, if consent stands. The only way to a [`ConsentProof`].
///
/// An unsubscription at the provider that [`lift`] does not cover is the person's own and stays.
#[must_use]
pub fn subscribe(confirmed: Confirmed, now: Timestamp) -> Option<Change> {
    if !confirmed.standing.sendable(now) {
        return None;
    }
    let basis = confirmed.standing.basis?;
    Some(Change::Subscribe {
        email: confirmed.email,
        fields: confirmed.fields,
        presence: confirmed.presence,
        lift: lift(&confirmed.standing, confirmed.taken_off_at, confirmed.seen_mailable_at),
        proof: attest(basis.id),
    })
}

#[expect(clippy::disallowed_methods, reason = "the one gate: reached only with a standing acceptance")]
const fn attest(statement: StatementId) -> ConsentProof {
    ConsentProof::attest(statement.0)
}

/// The change that takes a person off.
#[must_use]
pub const fn withdraw(email: EmailAddress, scope: Scope) -> Change {
    Change::Withdraw { email, scope }
}
