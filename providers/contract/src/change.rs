//! What an adapter is asked to do, and what came of it.

use crate::{EmailAddress, ProviderError, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A reference to the statement that allows a contact to leave the store.
///
/// Only the planner of consentd may make one; `clippy.toml` forbids [`ConsentProof::attest`] everywhere else.
#[derive(Debug, PartialEq, Eq)]
pub struct ConsentProof {
    statement: Uuid,
}

impl ConsentProof {
    /// Vouches that `statement` is the recipient's standing acceptance.
    #[must_use]
    pub const fn attest(statement: Uuid) -> Self {
        Self { statement }
    }

    /// The statement vouched for.
    #[must_use]
    pub const fn statement(&self) -> Uuid {
        self.statement
    }
}

/// A value of a contact's field, in the provider's vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// Text.
    Text(String),
}

/// Field values by the **provider's** field name.
pub type Fields = BTreeMap<String, FieldValue>;

/// Whether the provider is known to hold the contact already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Never seen there by the latest walk, never pushed by us.
    New,
    /// Pushed before, or seen by a walk.
    Known,
}

/// How far a withdrawal reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The bound list only.
    Purpose,
    /// The bound list, and every other campaign of the account.
    Everything,
}

/// How far a provider's time of our own withdrawal may be from the time at which we noted it: five minutes.
const OURS: Timestamp = 5 * 60 * 1_000_000;

/// Which unsubscription at the provider a subscription may lift.
///
/// A webhook may be late or lost, so the person may have unsubscribed there after the acceptance that is being pushed;
/// that is the newer word and stays. An adapter reads when the contact stopped being mailable, and asks
/// [`Lift::covers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lift {
    /// When the recipient accepted.
    pub accepted_at: Timestamp,
    /// The recipient accepted after the last no that is known here.
    pub after_no: bool,
    /// When we ourselves took the contact off, if nobody else is known to have.
    pub taken_off_at: Option<Timestamp>,
}

impl Lift {
    /// Whether an unsubscription of that time may be lifted: one that is not newer than the acceptance, or our own.
    ///
    /// `None` says that the provider tells no time; then a yes counts that was said after a no.
    #[must_use]
    pub fn covers(&self, unsubscribed_at: Option<Timestamp>) -> bool {
        let Some(at) = unsubscribed_at else { return self.after_no };
        at <= self.accepted_at || self.taken_off_at.is_some_and(|ours| at.abs_diff(ours) <= OURS.unsigned_abs())
    }
}

/// One wish about one contact of one list.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// Put the contact on the list and bring its fields up to date.
    Subscribe {
        /// Whom.
        email: EmailAddress,
        /// The fields to write; fields not named here stay as they are at the provider.
        fields: Fields,
        /// Whether the provider is known to hold the contact.
        presence: Presence,
        /// Which unsubscription of theirs or of ours may be lifted. A block for a complaint or a bounce may not.
        /// Without `lift` nothing is.
        lift: Option<Lift>,
        /// Why this is allowed.
        proof: ConsentProof,
    },
    /// Make sure the contact gets no more campaigns.
    Withdraw {
        /// Whom.
        email: EmailAddress,
        /// How far.
        scope: Scope,
    },
}

impl Change {
    /// Whom the change is about.
    #[must_use]
    pub const fn email(&self) -> &EmailAddress {
        match self {
            Self::Subscribe { email, .. } | Self::Withdraw { email, .. } => email,
        }
    }
}

/// A bulk job that the provider works on in its own time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteJob(pub String);

/// Why the provider will not do what was asked for one contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Refusal {
    /// The provider keeps the contact blocked, and we may not lift that.
    Blocked,
    /// The address or a value is not acceptable to the provider.
    Invalid {
        /// The provider's code, or an own one where it gave none.
        code: String,
        /// The provider's words without any address.
        reason: String,
    },
    /// The account's plan does not allow more contacts.
    AccountLimit,
}

/// What came of one [`Change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider confirmed it.
    Applied,
    /// Accepted for later; ask with [`crate::Provider::follow`].
    Pending(RemoteJob),
    /// The provider said no to this row; repeating will not help.
    Refused(Refusal),
    /// No byte of it reached the provider, or the provider said that it did nothing.
    Untouched,
    /// It may or may not have been applied, now or later. Only a read-back tells.
    Unknown,
}

/// The result of one [`crate::Provider::push`]: one outcome a change, in the same order.
#[derive(Debug)]
pub struct Push {
    /// As many as there were changes.
    pub outcomes: Vec<Outcome>,
    /// What stopped the push before its end, if anything did.
    pub stopped_by: Option<ProviderError>,
}

impl Push {
    /// A push that was stopped before its first call.
    #[must_use]
    pub fn untouched(changes: usize, error: ProviderError) -> Self {
        Self { outcomes: vec![Outcome::Untouched; changes], stopped_by: Some(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: Timestamp = 1_767_225_600_000_000;
    const DAY: Timestamp = 86_400_000_000;

    fn lift(after_no: bool, taken_off_at: Option<Timestamp>) -> Lift {
        Lift { accepted_at: ACCEPTED, after_no, taken_off_at }
    }

    #[test]
    fn an_unsubscription_is_lifted_up_to_the_acceptance_and_not_after_it() {
        for after_no in [false, true] {
            for taken_off_at in [None, Some(ACCEPTED - DAY), Some(ACCEPTED + DAY)] {
                let lift = lift(after_no, taken_off_at);
                assert!(lift.covers(Some(ACCEPTED)), "{lift:?}");
                assert!(lift.covers(Some(Timestamp::MIN)), "{lift:?}");
                assert!(!lift.covers(Some(ACCEPTED + 1)), "{lift:?}");
                assert!(!lift.covers(Some(Timestamp::MAX)), "{lift:?}");
            }
        }
    }

    #[test]
    fn our_own_taking_off_is_lifted_whenever_the_acceptance_was() {
        let ours = ACCEPTED + DAY;
        let lift = lift(false, Some(ours));
        for (at, covered) in
            [(ours, true), (ours - OURS, true), (ours + OURS, true), (ours - OURS - 1, false), (ours + OURS + 1, false)]
        {
            assert_eq!(lift.covers(Some(at)), covered, "{} us away", at - ours);
        }
    }

    #[test]
    fn without_a_time_only_a_yes_after_a_no_counts() {
        assert!(lift(true, None).covers(None));
        assert!(!lift(false, None).covers(None));
        assert!(!lift(false, Some(ACCEPTED + DAY)).covers(None));
    }
}
