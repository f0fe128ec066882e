//! What an adapter is asked to do, and what came of it.

use crate::{EmailAddress, ProviderError};
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
        /// The recipient accepted after the last withdrawal known here, so an unsubscription of ours or of
        /// theirs may be lifted. A block for a complaint or a bounce may not. Without `lift` nothing is.
        lift: bool,
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
