//! Every rule of the contract, with the emulator as the provider.

use consentd_provider::conformance::{InMemory, Subject, Variation, run};
use consentd_provider_brevo::{DESCRIPTOR, emulator};

const fn variation(
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    switches: &'static [(&'static str, &'static str)],
) -> Variation {
    Variation { name, options, switches }
}

const VARIATIONS: &[Variation] = &[
    variation("imports lift blocks", &[], &[("import_clears_block", "updated"), ("block_event", "contact_updated")]),
    variation("imports are trusted", &[("imports", "update")], &[("import_order", "newest")]),
    variation("batches pass over strangers", &[], &[("batch_missing", "skip"), ("block_trace", "no")]),
    variation(
        "the other spellings",
        &[("plan", "advanced")],
        &[
            ("unsubscribe_spelling", "unsubscribed"),
            ("spam_spelling", "complaint"),
            ("bounce_spelling", "hard_bounced"),
            ("duplicate_code", "invalid_parameter"),
            ("hook_auth", "hidden"),
            ("ts_event", "local"),
            ("api_events", "no"),
            ("plan", "advanced"),
            ("utc_offset", "-300"),
        ],
    ),
];

#[tokio::test]
async fn keeps_every_rule() {
    let subject = Subject {
        list_memory: false,
        unique_field: Some("SMS"),
        lying_jobs: Some(("import_result", "lies")),
        full_account: Some(("full", "yes")),
        variations: VARIATIONS,
        ..Subject::new(&DESCRIPTOR, emulator::open, &[("api_key", "xkeysib-a-key-of-the-suite")])
    };
    let report = run(&InMemory(subject)).await;
    assert!(report.is_clean(), "{report}");
}
