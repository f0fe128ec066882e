//! A third provider, written by `docs/ADDING_A_PROVIDER.md` alone, keeps every rule; and each of many wrong ones is found.

#[path = "toy/adapter.rs"]
mod adapter;
#[path = "toy/emulator.rs"]
mod emulator;
#[path = "toy/flawed_gateway.rs"]
mod flawed_gateway;
#[path = "toy/flaws.rs"]
mod flaws;
#[path = "toy/http.rs"]
mod http;

use consentd_provider::Descriptor;
use consentd_provider::conformance::{InMemory, Subject, Variation, rules, run, run_only};

const SUBJECT: Subject = Subject {
    unique_field: Some("PHONE"),
    full_account: Some(("full", "yes")),
    ..Subject::new(&adapter::DESCRIPTOR, emulator::open, &[("key", emulator::KEY)])
};

#[tokio::test]
async fn the_toy_keeps_every_rule() {
    let report = run(&InMemory(SUBJECT)).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn the_toy_keeps_every_rule_over_http() {
    let report = run(&http::OverHttp).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn every_wrong_toy_is_found_by_the_rule_it_breaks() {
    let mut missed = Vec::new();
    for (flaw, number) in flaws::FLAWS {
        let options = Box::leak(Box::new([("flaw", *flaw)]));
        let variations = Box::leak(Box::new([Variation { name: flaw, options, switches: &[] }]));
        let subject = Subject { descriptor: &flaws::DESCRIPTOR, variations, ..SUBJECT };
        let report = run_only(&InMemory(subject), &[*number]).await;
        let found: Vec<_> = report.findings.iter().map(|finding| finding.variation).collect();
        if found != [Some(*flaw)] {
            missed.push(format!("P-{number:02} and the toy that {flaw}: {report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[tokio::test]
async fn a_descriptor_without_a_quota_is_found() {
    static WRONG: Descriptor = Descriptor { quotas: |_| Vec::new(), ..adapter::DESCRIPTOR };
    let report = run_only(&InMemory(Subject { descriptor: &WRONG, ..SUBJECT }), &[1]).await;
    assert_eq!(report.findings.len(), 1, "{report}");
}

#[test]
fn every_rule_has_a_wrong_toy() {
    let shown: Vec<u8> = flaws::FLAWS.iter().map(|(_, number)| *number).chain([1]).collect();
    let unshown: Vec<String> =
        rules().filter(|rule| !shown.contains(&rule.number)).map(|rule| rule.to_string()).collect();
    assert!(unshown.is_empty(), "nobody has seen these rules fail: {unshown:?}");
}
