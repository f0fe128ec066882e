//! Several spellings of one mailbox: the provider sees one contact, so one of them has to speak for all.

use crate::clock::Timestamp;
use crate::domain::fold::{Flags, Standing};

/// Which spelling speaks for the mailbox, and where it stands.
///
/// A spelling that may be mailed now is preferred, the newest acceptance first; otherwise the one about which something
/// was said last. What happened to the mailbox (bounce, complaint, erasure) happened to every spelling, so the flags of
/// all of them count. An empty slice gives index 0 and an untouched standing.
#[must_use]
pub fn best(standings: &[Standing], now: Timestamp) -> (usize, Standing) {
    let flags = standings.iter().fold(Flags::NONE, |flags, standing| flags.with(standing.flags));
    let rank = |standing: &Standing| {
        let sendable = standing.sendable(now);
        (sendable, if sendable { standing.basis.map_or(0, |basis| basis.seq) } else { standing.seq })
    };
    let (index, mut standing) = standings
        .iter()
        .copied()
        .enumerate()
        .reduce(|best, next| if rank(&next.1) > rank(&best.1) { next } else { best })
        .unwrap_or_default();
    standing.flags = flags;
    (index, standing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::consent::State;
    use crate::domain::fold::Basis;
    use crate::domain::ids::StatementId;

    fn accepted(seq: i64) -> Standing {
        let basis = Basis { seq, id: StatementId(uuid::Uuid::nil()), at: seq, valid_until: None };
        Standing { state: State::Accepted, basis: Some(basis), seq, ..Standing::default() }
    }

    #[test]
    fn an_accepting_spelling_speaks_for_the_mailbox() {
        let refused = Standing { state: State::Refused, seq: 9, ..Standing::default() };
        let (index, standing) = best(&[refused, accepted(3), accepted(5)], 10);
        assert_eq!((index, standing.seq), (2, 5));
    }

    #[test]
    fn a_bounce_of_one_spelling_is_a_bounce_of_all() {
        let bounced = Standing { flags: Flags::HARD_BOUNCE, seq: 2, ..Standing::default() };
        let (_, standing) = best(&[bounced, accepted(5)], 10);
        assert!(!standing.sendable(10));
    }
}
