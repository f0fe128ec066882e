//! Whether a decision looks like a mail scanner's rather than a person's.

use crate::clock::{MINUTE, SECOND, Timestamp};
use serde::Serialize;

/// What is known about the visits of one link.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    /// When the mail with the link was handed over.
    pub handed_over_at: Option<Timestamp>,
    /// The `User-Agent` of the decision.
    pub agent: String,
    /// A HEAD request or a prefetch was seen on this link.
    pub prefetched: bool,
    /// When the opposite was decided by this link, if it was.
    pub opposite_at: Option<Timestamp>,
}

/// One reason for a scanner verdict; kept as evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// Less than three minutes after the mail was handed over.
    TooFast,
    /// A HEAD request or a prefetch header.
    Prefetch,
    /// An agent string of a known scanner.
    Agent,
    /// Two opposite decisions within a minute.
    Contradiction,
}

/// Parts of agent strings that mail security products and link previews use.
const AGENTS: [&str; 12] = [
    "barracuda",
    "mimecast",
    "proofpoint",
    "safelinks",
    "microsoft office",
    "bingpreview",
    "trendmicro",
    "symantec",
    "googleimageproxy",
    "slackbot",
    "headlesschrome",
    "python-requests",
];

/// The reasons to believe that a machine decided; none for a person.
#[must_use]
pub fn suspicions(visit: &Visit, now: Timestamp) -> Vec<Suspicion> {
    let agent = visit.agent.to_ascii_lowercase();
    let mut found = Vec::new();
    if visit.handed_over_at.is_some_and(|at| now.saturating_sub(at) < 3 * MINUTE) {
        found.push(Suspicion::TooFast);
    }
    if visit.prefetched {
        found.push(Suspicion::Prefetch);
    }
    if agent.is_empty() || AGENTS.iter().any(|known| agent.contains(known)) {
        found.push(Suspicion::Agent);
    }
    if visit.opposite_at.is_some_and(|at| now.saturating_sub(at) < 60 * SECOND) {
        found.push(Suspicion::Contradiction);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn person() -> Visit {
        Visit { agent: PERSON.into(), ..Visit::default() }
    }

    #[test]
    fn a_person_is_not_suspected() {
        assert!(suspicions(&person(), 0).is_empty());
        let visit = Visit { handed_over_at: Some(0), opposite_at: Some(0), ..person() };
        assert!(suspicions(&visit, 3 * MINUTE).is_empty());
    }

    #[test]
    fn within_three_minutes_of_the_mail_it_may_be_a_machine() {
        let visit = Visit { handed_over_at: Some(MINUTE), ..person() };
        assert_eq!(suspicions(&visit, 4 * MINUTE - 1), [Suspicion::TooFast]);
        assert_eq!(suspicions(&visit, 0), [Suspicion::TooFast], "a clock that went back is no excuse");
        assert!(suspicions(&visit, 4 * MINUTE).is_empty());
    }

    #[test]
    fn a_prefetch_is_suspected() {
        assert_eq!(suspicions(&Visit { prefetched: true, ..person() }, 0), [Suspicion::Prefetch]);
    }

    #[test]
    fn known_agents_are_suspected_in_any_case_and_so_is_none_at_all() {
        for known in AGENTS {
            for agent in [known.to_owned(), format!("Mozilla/5.0 ({}/1.0)", known.to_uppercase())] {
                assert_eq!(suspicions(&Visit { agent, ..Visit::default() }, 0), [Suspicion::Agent]);
            }
        }
        assert_eq!(suspicions(&Visit::default(), 0), [Suspicion::Agent]);
    }

    #[test]
    fn two_opposite_decisions_within_a_minute_are_suspected() {
        let visit = Visit { opposite_at: Some(SECOND), ..person() };
        assert_eq!(suspicions(&visit, 61 * SECOND - 1), [Suspicion::Contradiction]);
        assert!(suspicions(&visit, 61 * SECOND).is_empty());
    }

    #[test]
    fn every_reason_is_kept() {
        let visit =
            Visit { handed_over_at: Some(0), agent: "HeadlessChrome".into(), prefetched: true, opposite_at: Some(0) };
        let all = [Suspicion::TooFast, Suspicion::Prefetch, Suspicion::Agent, Suspicion::Contradiction];
        assert_eq!(suspicions(&visit, 1), all);
    }
}
