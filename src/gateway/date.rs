//! What time it is for the other side.

use crate::clock::Timestamp;
use consentd_provider::Response;

/// When an answer was made by the other side's clock, from its `Date` header (RFC 9110, 6.6.1).
#[must_use]
pub fn date(answer: &Response) -> Option<Timestamp> {
    chrono::DateTime::parse_from_rfc2822(answer.header("date")?).ok().map(|at| at.timestamp_micros())
}
