//! Every rule of the contract's `SPEC.md`, under each behaviour of Mailjet that nobody has confirmed.

use consentd_provider::conformance::{InMemory, Subject, Variation, run};
use consentd_provider_mailjet::{DESCRIPTOR, emulator};

const fn vary(name: &'static str, switches: &'static [(&'static str, &'static str)]) -> Variation {
    Variation { name, options: &[], switches }
}

const VARIATIONS: &[Variation] = &[
    vary("five calls a second are enforced", &[("limit_calls", "5")]),
    vary("unsub ignores who is no member", &[("unsub_nonmember", "none"), ("noop_put", "200")]),
    vary("unsub refuses who is no member", &[("unsub_nonmember", "refuse"), ("action_status", "200")]),
    vary("jobs take an hour, one at a time", &[("job_seconds", "1200"), ("jobs_at_once", "1"), ("job_words", "sdk")]),
    vary("addresses are folded, events are bare", &[("email_storage", "lower"), ("message_guid", "no")]),
    vary("lists are told as 0", &[("unsub_list", "zero"), ("soft_bounce_words", "no"), ("extra_event", "yes")]),
    vary("lists are told as nothing", &[("unsub_list", "empty"), ("api_unsub_event", "yes")]),
    vary("other words", &[("dead_word", "suspended"), ("addforce_clears", "no"), ("bad_row", "completed")]),
];

#[tokio::test]
async fn keeps_every_rule() {
    let credentials = &[("api_key", "a-public-key"), ("secret_key", "a-secret-key")];
    let subject = Subject {
        lying_jobs: Some(("jobs", "silent")),
        full_account: Some(("full", "all")),
        variations: VARIATIONS,
        ..Subject::new(&DESCRIPTOR, emulator::open, credentials)
    };
    let report = run(&InMemory(subject)).await;
    assert!(report.is_clean(), "{report}");
}
