//! Webhooks and their registration.

use super::{Script, brevo, settings};
use crate::DESCRIPTOR;
use crate::webhook::read;
use consentd_provider::{Affected, Delivery, HookMode, HookSpec, Intake, ProviderEvent, Trust, Verified, WebhookError};
use serde_json::{Value, json};

const NONE: (u16, &str) = (400, include_str!("../../fixtures/error-no-webhook.json"));

fn one(body: &str) -> ProviderEvent {
    let mut events = read(body.as_bytes()).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// What an event is, about whom, and about which lists.
fn gist(event: &ProviderEvent) -> (&'static str, usize, Vec<&str>) {
    let lists = match &event.affected {
        Affected::Lists(lists) => lists.iter().map(String::as_str).collect(),
        Affected::Account => vec![],
    };
    (event.kind.word(), event.emails.len(), lists)
}

#[test]
fn every_delivery_of_the_sheet_is_understood() {
    let cases = [
        (include_str!("../../fixtures/marketing-unsubscribe.json"), ("unsubscribed", 1, vec!["3", "7"])),
        (include_str!("../../fixtures/marketing-unsubscribed.json"), ("unsubscribed", 1, vec!["7"])),
        (include_str!("../../fixtures/marketing-spam.json"), ("complaint", 1, vec![])),
        (include_str!("../../fixtures/marketing-hard_bounced.json"), ("hard_bounce", 1, vec![])),
        (include_str!("../../fixtures/marketing-list_addition.json"), ("touched", 1, vec!["7"])),
        (include_str!("../../fixtures/marketing-contact_updated.json"), ("touched", 1, vec![])),
        (include_str!("../../fixtures/marketing-contact_deleted.json"), ("deleted", 2, vec![])),
        (include_str!("../../fixtures/transactional-unsubscribed.json"), ("unsubscribed", 1, vec![])),
        (include_str!("../../fixtures/transactional-blocked.json"), ("soft_bounce", 1, vec![])),
        (include_str!("../../fixtures/transactional-hard_bounce.json"), ("hard_bounce", 1, vec![])),
        (include_str!("../../fixtures/transactional-complaint.json"), ("complaint", 1, vec![])),
        (include_str!("../../fixtures/transactional-unique_opened.json"), ("traffic", 1, vec![])),
    ];
    for (body, expected) in &cases {
        assert_eq!(gist(&one(body)), *expected, "{body}");
        assert!(!one(body).detail.contains('@'), "{body}");
    }
}

#[test]
fn spellings_of_registration_and_of_older_descriptions_mean_the_same() {
    for (event, word) in [
        ("hardBounce", "hard_bounce"),
        ("invalid_email", "hard_bounce"),
        ("soft_bounced", "soft_bounce"),
        ("deferred", "soft_bounce"),
        ("contactDeleted", "deleted"),
        ("listAddition", "touched"),
        ("unique_proxy_open", "traffic"),
        ("request", "traffic"),
        ("inboundEmailProcessed", "unknown"),
    ] {
        assert_eq!(one(&json!({ "event": event }).to_string()).kind.word(), word, "{event}");
    }
    let bounced = json!({ "event": "blocked", "reason": "blocked : hard Bounce before" });
    assert_eq!(one(&bounced.to_string()).kind.word(), "hard_bounce");
}

#[test]
fn both_shapes_of_a_batch_give_the_same_events() {
    let array = read(include_bytes!("../../fixtures/batch-array.json")).unwrap();
    let wrapped = read(include_bytes!("../../fixtures/batch-events.json")).unwrap();
    assert_eq!(array, wrapped);
    assert_eq!(array.iter().map(|event| event.kind.word()).collect::<Vec<_>>(), ["hard_bounce", "unsubscribed"]);
}

#[test]
fn times_are_believed_as_far_as_they_have_been_right() {
    let time = |members: Value| {
        let mut event = json!({ "event": "spam" });
        event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        one(&event.to_string()).occurred_at.map(|time| (time.at, time.trust))
    };
    let right = Some((1_787_655_936_123_000, Trust::Hours2));
    assert_eq!(time(json!({ "ts_epoch": 1_787_655_936_123_i64, "ts_event": 1, "ts": 1 })), right);
    let seconds = Some((1_787_655_936_000_000, Trust::Hours2));
    assert_eq!(time(json!({ "ts_epoch": 1_787_655_936 })), seconds);
    let doubtful = Some((1_787_655_936_000_000, Trust::Hours26));
    assert_eq!(time(json!({ "ts_event": 1_787_655_936, "ts": 1_787_659_536 })), doubtful);
    assert_eq!(time(json!({ "ts": 1_787_655_936, "date": "2026-08-25 13:05:36" })), None);
    assert_eq!(time(json!({ "ts_event": -5 })), None);
    assert_eq!(time(json!({ "ts_epoch": i64::MAX })), None);
}

#[test]
fn the_same_event_through_two_webhooks_is_one() {
    let body: Value = serde_json::from_str(include_str!("../../fixtures/marketing-unsubscribe.json")).unwrap();
    let with = |name: &str, value: Value| {
        let mut body = body.clone();
        body[name] = value;
        one(&body.to_string()).fingerprint
    };
    let first = one(&body.to_string()).fingerprint;
    assert_eq!(with("id", json!(999)), first);
    assert_eq!(with("date", json!("another wording")), first);
    assert_eq!(with("email", json!("ada@example.ORG")), first);
    assert_eq!(with("list_id", json!([3, 7])), first);
    for (name, value) in [
        ("event", json!("spam")),
        ("email", json!("bob@example.org")),
        ("ts_event", json!(1_787_655_937)),
        ("camp_id", json!(22)),
        ("list_id", json!([3])),
    ] {
        assert_ne!(with(name, value), first, "{name}");
    }
    let novelty = |id: i64, more: &str| {
        one(&json!({ "event": "novelty", "id": id, "ts": 1_787_655_936, "more": more }).to_string()).fingerprint
    };
    assert_eq!(novelty(1, "x"), novelty(2, "x"));
    assert_ne!(novelty(1, "x"), novelty(1, "y"));
}

#[test]
fn only_a_bearer_token_that_is_valid_is_believed() {
    let verdict = |header: Option<&str>| brevo().verify(Delivery { authorization: header, body: b"" }).err();
    for right in ["Bearer old-token", "bearer new-token"] {
        assert_eq!(verdict(Some(right)), None);
    }
    for wrong in [None, Some("Bearer"), Some("Bearer "), Some("Basic old-token"), Some("old-token")] {
        assert_eq!(verdict(wrong), Some(WebhookError::Credentials), "{wrong:?}");
    }
    let mut unset = settings(&[]);
    unset.hook_secrets = vec!["".into()];
    let provider = (DESCRIPTOR.open)(&unset).unwrap();
    let answer = provider.verify(Delivery { authorization: Some("Bearer "), body: b"" }).err();
    assert_eq!(answer, Some(WebhookError::Unconfigured));
}

#[test]
fn nothing_that_shall_come_again_is_answered_otherwise_than_429() {
    let status = |intake| brevo().answer(intake);
    assert_eq!([status(Intake::Stored), status(Intake::Quarantined)], [200, 200]);
    assert_eq!([status(Intake::Busy), status(Intake::Unauthorised)], [429, 429]);
    assert_eq!(status(Intake::TooLarge), 413);
    assert!(brevo().read(&Verified::stored(b"<html>")).is_err());
}

fn spec() -> HookSpec {
    HookSpec { url: "https://consent.example/hooks/1".into(), secret: "new-token".into() }
}

#[tokio::test]
async fn no_webhook_at_all_is_a_400_and_both_kinds_are_made() {
    let script = Script::of(&[NONE, (201, r#"{"id":5}"#), NONE, (201, r#"{"id":6}"#)]);
    let state = brevo().hooks(&script, &spec(), HookMode::Repair).await.unwrap();
    assert!(state.healthy && state.changed);
    let asked = script.asked();
    let made: Vec<&Value> = asked.iter().filter(|one| one.what == "POST /webhooks").map(|one| &one.body).collect();
    assert_eq!([&made[0]["type"], &made[1]["type"]], [&json!("marketing"), &json!("transactional")]);
    for body in made {
        assert_eq!(body["auth"], json!({ "type": "bearer", "token": "new-token" }));
        assert_eq!(body["batched"], false);
        assert!(!body["description"].as_str().unwrap().contains("new-token"));
    }
}

#[tokio::test]
async fn somebody_elses_webhooks_are_left_alone() {
    let foreign = r#"{"webhooks":[{"id":1,"url":"https://shop.example/","events":["spam"],"type":"marketing"}]}"#;
    let script = Script::of(&[(200, foreign), NONE]);
    let state = brevo().hooks(&script, &spec(), HookMode::Inspect).await.unwrap();
    assert!(!state.healthy && state.missing.contains(&"marketing unsubscribed".to_owned()));
    let script = Script::of(&[(200, foreign), (201, r#"{"id":5}"#), NONE, (201, r#"{"id":6}"#)]);
    brevo().hooks(&script, &spec(), HookMode::Repair).await.unwrap();
    assert!(script.whats().iter().all(|what| !what.starts_with("PUT") && !what.starts_with("DELETE")));
}

#[tokio::test]
async fn a_hidden_token_is_known_by_the_mark_of_the_description() {
    let ours = |description: &str, auth: Value| {
        let events = ["unsubscribed", "spam", "hardBounce", "softBounce", "listAddition", "contactUpdated"];
        let events: Vec<&str> = events.into_iter().chain(["contactDeleted", "blocked", "invalid"]).collect();
        let hook = json!({ "id": 5, "url": spec().url, "events": events, "description": description, "auth": auth });
        json!({ "webhooks": [hook] }).to_string()
    };
    let made = Script::of(&[NONE, (201, r#"{"id":5}"#), NONE, (201, r#"{"id":6}"#)]);
    brevo().hooks(&made, &spec(), HookMode::Repair).await.unwrap();
    let mark = made.asked()[1].body["description"].as_str().unwrap().to_owned();
    let token = json!({ "type": "bearer", "token": "new-token" });
    let cases = [
        (mark.as_str(), Value::Null, true),
        (mark.as_str(), json!({ "type": "bearer", "token": "new***" }), true),
        ("consentd 00000000", Value::Null, false),
        ("anything", token, true),
        (mark.as_str(), json!({ "type": "bearer", "token": "old-token" }), false),
    ];
    for (description, auth, healthy) in cases {
        let answer = ours(description, auth.clone());
        let script = Script::of(&[(200, &answer), (200, &answer)]);
        let state = brevo().hooks(&script, &spec(), HookMode::Inspect).await.unwrap();
        assert_eq!(state.healthy, healthy, "{description} {auth}");
    }
}
