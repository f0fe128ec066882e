//! The quotas of an account (Brevo sheet 2).

use super::answer::error;
use super::switches::Switches;
use consentd_provider::{Response, Timestamp};
use std::collections::HashMap;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

type Headers = Vec<(String, String)>;

/// Calls counted in windows that begin with the first call.
#[derive(Default)]
pub(super) struct Limits {
    windows: HashMap<(&'static str, i64), (Timestamp, i64)>,
}

impl Limits {
    /// Counts a call. Gives the headers for its answer, or the refusal.
    pub(super) fn spend(
        &mut self,
        now: Timestamp,
        method: &str,
        path: &[&str],
        switches: &Switches,
    ) -> Result<Headers, Response> {
        if switches.is("quota", "off") {
            return Ok(Vec::new());
        }
        let (family, quotas) = quotas(method, path, switches.word("plan"));
        let mut tightest: Option<(i64, i64, i64)> = None;
        for (limit, length) in quotas {
            let window = self.windows.entry((family, *length)).or_insert((now, 0));
            if now >= window.0 + length || now < window.0 {
                *window = (now, 0);
            }
            let left = limit - window.1;
            let reset = (window.0 + length - now + SECOND - 1) / SECOND;
            if left <= 0 {
                let mut refused = error(429, "too_many_requests", "Too many requests");
                refused.headers.extend(headers(*limit, 0, reset));
                return Err(refused);
            }
            if tightest.is_none_or(|(_, least, _)| left - 1 < least) {
                tightest = Some((*limit, left - 1, reset));
            }
        }
        for (_, length) in quotas {
            if let Some(window) = self.windows.get_mut(&(family, *length)) {
                window.1 += 1;
            }
        }
        Ok(tightest.map_or_else(Vec::new, |(limit, left, reset)| headers(limit, left, reset)))
    }
}

fn headers(limit: i64, remaining: i64, reset: i64) -> Headers {
    let name = |end: &str| format!("x-sib-ratelimit-{end}");
    vec![
        (name("limit"), limit.to_string()),
        (name("remaining"), remaining.to_string()),
        (name("reset"), reset.to_string()),
    ]
}

/// Limits of the three plans: general, advanced, extended; each with the length of its window.
type Plans = [&'static [(i64, i64)]; 3];

const MAIL: Plans = [&[(1_000, SECOND), (3_600_000, HOUR)], &[(2_000, SECOND), (7_200_000, HOUR)], &[(6_000, SECOND)]];
const MAIL_LOG: Plans = [&[(2, SECOND), (7_200, HOUR)], &[(3, SECOND), (10_800, HOUR)], &[(18_000, HOUR)]];
const OTHER_MAIL: Plans = [&[(300, HOUR)], &[(600, HOUR)], &[(1_800, HOUR)]];
const CONTACTS: Plans = [&[(10, SECOND), (36_000, HOUR)], &[(20, SECOND), (72_000, HOUR)], &[(60, SECOND)]];
const REST: Plans = [&[(100, HOUR)], &[(200, HOUR)], &[(600, HOUR)]];

/// The family of a call and its limits.
fn quotas(method: &str, path: &[&str], plan: &str) -> (&'static str, &'static [(i64, i64)]) {
    let (family, [general, advanced, extended]) = match (method, path) {
        ("POST", ["smtp", "email"]) | ("GET", ["smtp", "blockedContacts"]) => ("mail", MAIL),
        ("GET", ["smtp", "emails"]) => ("mail log", MAIL_LOG),
        (_, ["smtp", ..]) => ("other mail", OTHER_MAIL),
        (_, ["contacts", ..]) => ("contacts", CONTACTS),
        _ => ("rest", REST),
    };
    let limits = match plan {
        "extended" => extended,
        "advanced" => advanced,
        _ => general,
    };
    (family, limits)
}
