//! Which calls are repeated, and when.

use crate::random::{Random, below};
use consentd_provider::{ProviderError, Repeat, Response, Sent};
use std::time::Duration;

/// How long to wait before the call is made again; `None` when it is not. `made` is how often it was made.
///
/// Only calls that read are repeated: twice after a failed answer or a connection that was not made, once after a call
/// without an answer, since each of those costs a whole time-out.
pub(super) fn again(
    repeat: Repeat,
    made: u32,
    result: &Result<Response, ProviderError>,
    random: &dyn Random,
) -> Option<Duration> {
    let most = match result {
        Ok(answer) if answer.status >= 500 => 3,
        Err(ProviderError::Unreachable { sent: Sent::No, .. }) => 3,
        Err(ProviderError::Unreachable { sent: Sent::Maybe, .. }) => 2,
        _ => return None,
    };
    if repeat == Repeat::Never || made >= most {
        return None;
    }
    let full = 400_u64 << made;
    Some(Duration::from_millis(full / 2 + below(random, full / 2 + 1)))
}
