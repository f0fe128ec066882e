//! What happened in all lives together, so that they cannot quietly become uneventful.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// How often each kind of thing happened, in all lives of this process.
static COUNTS: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// Everything that lives are made of. Each of it must really happen.
pub const KINDS: &[&str] = &[
    "accept by link",
    "refuse by link",
    "one-click",
    "ask",
    "withdraw by staff",
    "opt-outs imported",
    "erase",
    "annul",
    "clear bounce",
    "newcomer",
    "into the bin",
    "moves",
    "run asked for",
    "run confirmed",
    "dry run",
    "pause",
    "resume",
    "cancel",
    "bell",
    "credentials revoked",
    "credentials replaced",
    "secrets rotated",
    "Unsubscribes(list)",
    "Unsubscribes(all)",
    "Complains",
    "HardBounces",
    "SoftBounces",
    "Blocked",
    "UnsubscribedByStaff",
    "HostileImport",
    "HostileImport of a stranger",
    "Deleted",
    "Refuse",
    "Reset",
    "Hang",
    "ApplyThenHang",
    "HangThenApply",
    "Throttle",
    "ThrottleHtml",
    "Status",
    "ApplyThenStatus",
    "Html",
    "TruncatedJson",
    "Unauthorised",
    "down for a day",
    "healed",
    "webhook acknowledged",
    "webhook duplicated",
    "webhook reordered",
    "webhook delayed",
    "webhook dropped",
    "job ok",
    "job silent",
    "job error",
    "job stuck",
    "bad rows said to be done",
    "import lies",
    "import fails",
    "death",
    "clock -2 d",
    "clock -1 h",
    "clock +1 h",
    "clock +400 d",
    "daylight saving",
    "two tenants",
    "both providers",
    "weeks",
    "days",
    "hours",
];

/// Something happened.
pub fn count(kind: &str) {
    assert!(KINDS.contains(&kind), "`{kind}` is not in the list of what lives are made of");
    *COUNTS.lock().unwrap().entry(kind.to_owned()).or_default() += 1;
}

/// How often everything happened, and what never did.
pub fn report() -> (String, Vec<&'static str>) {
    let counts = COUNTS.lock().unwrap();
    let of = |kind: &str| counts.get(kind).copied().unwrap_or(0);
    let lines = KINDS.iter().map(|kind| format!("{:>9} {kind}", of(kind))).collect::<Vec<_>>().join("\n");
    (lines, KINDS.iter().copied().filter(|kind| of(kind) == 0).collect())
}
