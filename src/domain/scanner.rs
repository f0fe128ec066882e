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
