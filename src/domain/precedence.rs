//! What a provider's late unsubscription means beside a newer acceptance.

use crate::clock::{HOUR, Timestamp};
use consentd_provider::{EventTime, Trust};

/// What is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The person withdrew.
    Withdraw,
    /// The person unsubscribed before saying yes again; the yes stands.
    Superseded,
}

/// Weighs an unsubscription that is reported while an acceptance stands.
///
/// It counts as older only if the provider's time can be believed, lies before the acceptance by more than that
/// time's doubt, and the provider was read back as mailable after our own subscription of the address. In every other case the
/// withdrawal wins: a person asked twice is better off than a person mailed against their will.
#[must_use]
pub fn weigh_unsubscription(
    occurred: Option<EventTime>,
    accepted_at: Option<Timestamp>,
    seen_mailable_since: bool,
) -> Verdict {
    let (Some(occurred), Some(accepted_at)) = (occurred, accepted_at) else {
        return Verdict::Withdraw;
    };
    let doubt = match occurred.trust {
        Trust::Hours2 => 2 * HOUR,
        Trust::Hours26 => 26 * HOUR,
    };
    if seen_mailable_since && occurred.at.saturating_add(doubt) < accepted_at {
        Verdict::Superseded
    } else {
        Verdict::Withdraw
    }
}
