//! A third provider, written by `docs/ADDING_A_PROVIDER.md` alone, keeps every rule.

#[path = "toy/adapter.rs"]
mod adapter;
#[path = "toy/emulator.rs"]
mod emulator;

use consentd_provider::conformance::{InMemory, Subject, run};

const SUBJECT: Subject = Subject {
    full_account: Some(("full", "yes")),
    ..Subject::new(&adapter::DESCRIPTOR, emulator::open, &[("key", emulator::KEY)])
};

#[tokio::test]
async fn the_toy_keeps_every_rule() {
    let report = run(&InMemory(SUBJECT)).await;
    assert!(report.is_clean(), "{report}");
}
