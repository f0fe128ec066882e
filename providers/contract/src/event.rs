//! What a provider reports by webhook, in one vocabulary.

use crate::{EmailAddress, Timestamp};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// The person unsubscribed.
    Unsubscribed,
    /// The person marked a mail as spam. Never forgotten.
    Complaint,
    /// The mailbox does not exist, or the provider will no longer deliver to it.
    HardBounce,
    /// A passing failure; counted, nothing else.
    SoftBounce,
    /// The contact was deleted at the provider.
    Deleted,
    /// The contact was put on a list, or changed, by somebody else: look before believing anything.
    Touched,
    /// Sent, delivered, opened, clicked: no meaning for consent.
    Traffic,
    /// A name that the contract sheet does not know, kept as it came.
    Unknown(String),
}

impl EventKind {
    /// A short stable word for storage and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Unsubscribed => "unsubscribed",
            Self::Complaint => "complaint",
            Self::HardBounce => "hard_bounce",
            Self::SoftBounce => "soft_bounce",
            Self::Deleted => "deleted",
            Self::Touched => "touched",
            Self::Traffic => "traffic",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether somebody may be mailed against their will, or in vain, if it is not applied.
    #[must_use]
    pub const fn is_grave(&self) -> bool {
        matches!(self, Self::Unsubscribed | Self::Complaint | Self::HardBounce | Self::Deleted)
    }
}

/// How far the time of an event may be from the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Within two hours.
    Hours2,
    /// Within twenty-six hours (a local time whose zone is not known).
    Hours26,
}

/// When the provider says it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTime {
    /// The instant.
    pub at: Timestamp,
    /// How much to believe it.
    pub trust: Trust,
}

/// Which of the account's lists an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// These lists, by the provider's id.
    Lists(Vec<String>),
    /// Not said, so all of them.
    Account,
}

/// A fingerprint that begins with the second in which the event happened: events of a time are kept side by side, and
/// those of long ago need not be in memory when it is looked for a repeat.
#[must_use]
pub fn dated(seconds: i64, mut digest: [u8; 32]) -> [u8; 32] {
    let date = u32::try_from(seconds).unwrap_or(0).to_be_bytes();
    for (place, byte) in digest.iter_mut().zip(date) {
        *place = byte;
    }
    digest
}

/// One thing that happened to one or several addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// What.
    pub kind: EventKind,
    /// Whom; empty when the provider sent no readable address.
    pub emails: Vec<EmailAddress>,
    /// When, if a field that can be believed says so.
    pub occurred_at: Option<EventTime>,
    /// On which lists.
    pub affected: Affected,
    /// The provider's reason, passed through [`crate::plain`].
    pub detail: String,
    /// The provider's message id, for finding the mail.
    pub message_id: Option<String>,
    /// Equal for a repeat of the same event, different for another event. No provider sends an event id.
    pub fingerprint: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_in_the_order_of_their_time() {
        let (early, late) = (dated(1_700_000_000, [0xff; 32]), dated(1_700_000_001, [0; 32]));
        assert!(early < late);
        assert_eq!(dated(-1, [0; 32]), dated(i64::MAX, [0; 32]), "a time that cannot be is none");
        assert_eq!(early[4..], [0xff; 28], "the rest is the digest's");
    }
}
