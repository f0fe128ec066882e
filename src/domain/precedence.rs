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

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: Timestamp = 1_000 * HOUR;

    fn weigh(at: Timestamp, trust: Trust, accepted_at: Option<Timestamp>, seen: bool) -> Verdict {
        weigh_unsubscription(Some(EventTime { at, trust }), accepted_at, seen)
    }

    /// I17.
    #[test]
    fn an_unsubscription_is_older_only_beyond_the_doubt_of_its_time() {
        for (trust, doubt) in [(Trust::Hours2, 2 * HOUR), (Trust::Hours26, 26 * HOUR)] {
            let edge = ACCEPTED - doubt;
            assert_eq!(weigh(edge - 1, trust, Some(ACCEPTED), true), Verdict::Superseded, "{trust:?}");
            assert_eq!(weigh(edge, trust, Some(ACCEPTED), true), Verdict::Withdraw, "{trust:?} at the edge");
            assert_eq!(weigh(ACCEPTED, trust, Some(ACCEPTED), true), Verdict::Withdraw);
            assert_eq!(weigh(ACCEPTED + 1, trust, Some(ACCEPTED), true), Verdict::Withdraw);
        }
    }

    /// I17.
    #[test]
    fn the_withdrawal_wins_whenever_something_is_missing() {
        let long_before = ACCEPTED - 100 * HOUR;
        assert_eq!(weigh(long_before, Trust::Hours2, Some(ACCEPTED), false), Verdict::Withdraw, "never seen mailable");
        assert_eq!(weigh(long_before, Trust::Hours2, None, true), Verdict::Withdraw, "no acceptance stands");
        assert_eq!(weigh_unsubscription(None, Some(ACCEPTED), true), Verdict::Withdraw, "no time to believe");
    }

    #[test]
    fn times_at_the_ends_of_the_scale_do_not_wrap() {
        assert_eq!(weigh(Timestamp::MAX, Trust::Hours26, Some(ACCEPTED), true), Verdict::Withdraw);
        assert_eq!(weigh(Timestamp::MIN, Trust::Hours26, Some(ACCEPTED), true), Verdict::Superseded);
    }
}
