//! Carrying out changes.

use super::{Script, brevo, email, list, settings, subscribe, withdraw};
use crate::DESCRIPTOR;
use consentd_provider::{
    Change, FieldValue, Fields, JobState, Outcome, Presence, ProviderError, Push, Refusal, RemoteJob, Scope,
};
use serde_json::{Value, json};

const UNKNOWN: (u16, &str) = (404, include_str!("../../fixtures/error-unknown-contact.json"));
const NOBODY: (u16, &str) = (400, include_str!("../../fixtures/error-nobody-on-list.json"));
const DONE: (u16, &str) = (204, "");

fn contact(blocked: bool, lists: &str, statistics: &str) -> String {
    format!(
        r#"{{"id":21,"email":"ada@example.org","emailBlacklisted":{blocked},"listIds":{lists},"listUnsubscribed":null,
            "modifiedAt":"2026-08-01T01:43:17.088000+02:00","statistics":{statistics}}}"#
    )
}

async fn push(script: &Script, changes: &[Change]) -> Push {
    brevo().push(script, &list(), changes).await
}

fn several(count: usize, presence: Presence) -> Vec<Change> {
    (0..count).map(|number| subscribe(&format!("p{number}@example.org"), presence, false, Fields::new())).collect()
}

#[tokio::test]
async fn a_new_contact_takes_one_call_that_can_lift_nothing() {
    let script = Script::of(&[(201, r#"{"id":21}"#)]);
    let fields = Fields::from([
        ("city".into(), FieldValue::Text("Turin".into())),
        ("VIP".into(), FieldValue::Bool(true)),
        ("EMAIL".into(), FieldValue::Text("bob@example.org".into())),
        ("blacklist".into(), FieldValue::Bool(false)),
    ]);
    let push = push(&script, &[subscribe("Ada@Example.org", Presence::New, false, fields)]).await;
    assert_eq!(push.outcomes, [Outcome::Applied]);
    let asked = script.asked();
    assert_eq!(asked[0].what, "POST /contacts");
    let body = json!({
        "email": "ada@example.org", "listIds": [7], "updateEnabled": true,
        "attributes": { "CITY": "Turin", "VIP": true },
    });
    assert_eq!(asked[0].body, body);
}

#[tokio::test]
async fn a_new_contact_that_exists_and_is_blocked_stays_so() {
    let script = Script::of(&[DONE, (200, &contact(true, "[7]", "{}"))]);
    let push = push(&script, &[subscribe("ada@example.org", Presence::New, false, Fields::new())]).await;
    assert_eq!(push.outcomes, [Outcome::Refused(Refusal::Blocked)]);
    assert!(script.asked().iter().all(|asked| asked.body.get("emailBlacklisted").is_none()));
}

#[tokio::test]
async fn without_lift_nothing_is_written_to_a_blocked_contact() {
    let script = Script::of(&[(200, include_str!("../../fixtures/answer-contact.json"))]);
    let push = push(&script, &[subscribe("ada@example.org", Presence::Known, false, Fields::new())]).await;
    assert_eq!(push.outcomes, [Outcome::Refused(Refusal::Blocked)]);
    assert_eq!(script.whats(), ["GET /contacts/ada%40example.org"]);
}

#[tokio::test]
async fn an_unsubscription_of_late_is_lifted_with_one_writing() {
    let reason = r#"{"unsubscriptions":{"userUnsubscription":[{"campaignId":null}],"adminUnsubscription":[]}}"#;
    let script = Script::of(&[(200, &contact(true, "[9]", reason)), DONE]);
    let push = push(&script, &[subscribe("ada@example.org", Presence::Known, true, Fields::new())]).await;
    assert_eq!(push.outcomes, [Outcome::Applied]);
    let asked = script.asked();
    assert_eq!(asked[1].what, "PUT /contacts/ada%40example.org");
    assert_eq!(asked[1].body, json!({ "emailBlacklisted": false, "listIds": [7] }));
}

#[tokio::test]
async fn an_older_block_is_asked_about_in_utc_and_a_complaint_ends_it() {
    let script = Script::of(&[(200, &contact(true, "[7]", "{}")), (200, r#"{"complaints":[{"campaignId":3}]}"#)]);
    let push = push(&script, &[subscribe("ada@example.org", Presence::Known, true, Fields::new())]).await;
    assert_eq!(push.outcomes, [Outcome::Refused(Refusal::Blocked)]);
    let span = "GET /contacts/ada%40example.org/campaignStats?startDate=2026-05-03&endDate=2026-07-31";
    assert_eq!(script.whats()[1], span);
}

#[tokio::test]
async fn a_dead_mailbox_or_a_complaint_of_late_is_not_lifted() {
    for reason in [r#"{"hardBounces":[{}]}"#, r#"{"complaints":[{}],"unsubscriptions":{"userUnsubscription":[{}]}}"#] {
        let script = Script::of(&[(200, &contact(true, "[7]", reason))]);
        let push = push(&script, &[subscribe("ada@example.org", Presence::Known, true, Fields::new())]).await;
        assert_eq!(push.outcomes, [Outcome::Refused(Refusal::Blocked)], "{reason}");
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test]
async fn careful_imports_only_create() {
    let script = Script::of(&[(202, r#"{"processId":78}"#)]);
    let push = push(&script, &several(50, Presence::New)).await;
    assert_eq!(push.outcomes, vec![Outcome::Pending(RemoteJob("78".into())); 50]);
    let body = script.asked()[0].body.clone();
    assert_eq!(script.whats(), ["POST /contacts/import"]);
    assert_eq!(body["jsonBody"][49], json!({ "email": "p49@example.org", "attributes": {} }));
    let rest: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["disableNotification", "emptyContactsAttributes", "jsonBody", "listIds", "updateExistingContacts"];
    assert_eq!(rest, expected);
    assert_eq!((&body["updateExistingContacts"], &body["emptyContactsAttributes"]), (&json!(false), &json!(false)));
}

#[tokio::test]
async fn trusted_imports_update_known_contacts_as_well() {
    let script = Script::of(&[(202, r#"{"processId":78}"#)]);
    let provider = (DESCRIPTOR.open)(&settings(&[("imports", "update")])).unwrap();
    let mut changes = several(30, Presence::New);
    changes.extend(several(60, Presence::Known).into_iter().skip(30));
    let push = provider.push(&script, &list(), &changes).await;
    assert_eq!(push.outcomes, vec![Outcome::Pending(RemoteJob("78".into())); 60]);
    assert_eq!(script.asked()[0].body["updateExistingContacts"], true);
}

#[tokio::test]
async fn without_imports_new_contacts_are_made_one_by_one() {
    let answers = vec![(201, r#"{"id":21}"#); 50];
    let script = Script::of(&answers);
    let provider = (DESCRIPTOR.open)(&settings(&[("imports", "off")])).unwrap();
    assert_eq!(provider.push(&script, &list(), &several(50, Presence::New)).await.outcomes, vec![Outcome::Applied; 50]);
    let script = Script::of(&[DONE]);
    let known = provider.push(&script, &list(), &several(50, Presence::Known)).await;
    assert_eq!(known.outcomes, vec![Outcome::Applied; 50]);
    assert_eq!(script.whats(), ["POST /contacts/batch"]);
}

#[tokio::test]
async fn an_import_never_exceeds_eight_megabytes() {
    let answers = vec![(202, r#"{"processId":78}"#); 2];
    let script = Script::of(&answers);
    let text = FieldValue::Text("\"".repeat(90_000));
    let changes: Vec<Change> = (0..50)
        .map(|number| {
            let fields = Fields::from([("NOTE".to_owned(), text.clone())]);
            subscribe(&format!("p{number}@example.org"), Presence::New, false, fields)
        })
        .collect();
    assert_eq!(push(&script, &changes).await.outcomes.len(), 50);
    let asked = script.asked();
    assert!(asked.iter().all(|asked| asked.body.to_string().len() <= 8_000_000));
    let rows: usize = asked.iter().map(|asked| asked.body["jsonBody"].as_array().unwrap().len()).sum();
    assert_eq!(rows, 50);
}

#[tokio::test]
async fn a_batch_names_no_block_and_is_followed_by_an_import_of_the_missing() {
    let script = Script::of(&[DONE, (202, r#"{"processId":79}"#)]);
    let push = push(&script, &several(50, Presence::Known)).await;
    assert_eq!(push.outcomes, vec![Outcome::Pending(RemoteJob("79".into())); 50]);
    let asked = script.asked();
    assert_eq!(asked[0].what, "POST /contacts/batch");
    assert_eq!(asked[0].body["contacts"][0], json!({ "email": "p0@example.org", "listIds": [7] }));
    assert_eq!(asked[1].body["updateExistingContacts"], false);
}

#[tokio::test]
async fn a_refused_batch_is_done_one_by_one() {
    let mut answers = vec![(400, r#"{"code":"invalid_parameter","message":"no"}"#)];
    answers.extend(vec![DONE; 11]);
    let script = Script::of(&answers);
    let changes: Vec<Change> =
        (0..11).map(|number| withdraw(&format!("p{number}@example.org"), Scope::Everything)).collect();
    let push = push(&script, &changes).await;
    assert_eq!(push.outcomes, vec![Outcome::Applied; 11]);
    let asked = script.asked();
    let row = json!({ "email": "p0@example.org", "emailBlacklisted": true, "unlinkListIds": [7] });
    assert_eq!(asked[0].body["contacts"][0], row);
    assert_eq!(asked[1].body, json!({ "emailBlacklisted": true, "unlinkListIds": [7] }));
}

#[tokio::test]
async fn what_a_refused_batch_did_is_not_known_until_a_single_call_tells() {
    let script = Script::of(&[(400, r#"{"code":"invalid_parameter","message":"no"}"#), DONE, (429, "")]);
    let changes: Vec<Change> =
        (0..11).map(|number| withdraw(&format!("p{number}@example.org"), Scope::Everything)).collect();
    let push = push(&script, &changes).await;
    let mut expected = vec![Outcome::Unknown; 11];
    expected[0] = Outcome::Applied;
    assert_eq!(push.outcomes, expected);
    assert!(matches!(push.stopped_by, Some(ProviderError::Throttled { .. })));
}

#[tokio::test]
async fn a_full_account_does_not_undo_what_a_batch_did() {
    let full = (402, r#"{"code":"not_enough_credits","message":"Insufficient credits"}"#);
    let script = Script::of(&[DONE, full]);
    let push = push(&script, &several(50, Presence::Known)).await;
    assert_eq!(push.outcomes, vec![Outcome::Applied; 50]);
    assert!(push.stopped_by.is_none());
}

#[tokio::test]
async fn whoever_was_not_taken_off_is_looked_at() {
    let script = Script::of(&[
        (201, include_str!("../../fixtures/answer-list-remove.json")),
        UNKNOWN,
        (200, &contact(false, "[7]", "{}").replace("ada@", "cyd@")),
        DONE,
    ]);
    let changes = ["ada@example.org", "bob@example.org", "cyd@example.org"].map(|who| withdraw(who, Scope::Purpose));
    let push = push(&script, &changes).await;
    assert_eq!(push.outcomes, vec![Outcome::Applied; 3]);
    assert_eq!(
        script.whats(),
        [
            "POST /contacts/lists/7/contacts/remove",
            "GET /contacts/bob%40example.org",
            "GET /contacts/cyd%40example.org",
            "PUT /contacts/cyd%40example.org",
        ]
    );
}

#[tokio::test]
async fn nobody_left_to_take_off_is_no_failure() {
    let script = Script::of(&[NOBODY, UNKNOWN, (200, &contact(false, "[9]", "{}").replace("ada@", "bob@"))]);
    let changes = ["ada@example.org", "bob@example.org"].map(|who| withdraw(who, Scope::Purpose));
    let push = push(&script, &changes).await;
    assert_eq!(push.outcomes, vec![Outcome::Applied; 2]);
    assert!(push.stopped_by.is_none());
}

#[tokio::test]
async fn a_page_of_some_proxy_withdraws_nobody() {
    let script = Script::of(&[(404, "<html>not found</html>"), (404, "<html>not found</html>")]);
    let push = push(&script, &[withdraw("ada@example.org", Scope::Everything)]).await;
    assert_eq!(push.outcomes, [Outcome::Untouched]);
    assert!(matches!(push.stopped_by, Some(ProviderError::Rejected { status: 404, .. })));
}

#[tokio::test]
async fn a_list_that_is_gone_is_the_fault_of_the_whole_push_and_a_blacklisted_contact_is_not() {
    let gone = Script::of(&[(400, r#"{"code":"invalid_parameter","message":"List ID does not exist"}"#)]);
    let stopped = push(&gone, &several(2, Presence::New)).await;
    assert_eq!(stopped.outcomes, vec![Outcome::Untouched; 2]);
    assert!(matches!(stopped.stopped_by, Some(ProviderError::Rejected { status: 400, .. })));
    let row = (400, r#"{"code":"invalid_parameter","message":"Contact is blacklisted"}"#);
    let refused = push(&Script::of(&[row, row]), &several(2, Presence::New)).await;
    assert!(refused.stopped_by.is_none());
}

#[tokio::test]
async fn a_value_of_another_contact_refuses_the_row() {
    let script = Script::of(&[(400, include_str!("../../fixtures/error-duplicate.json"))]);
    let push = push(&script, &[subscribe("ada@example.org", Presence::New, false, Fields::new())]).await;
    let [Outcome::Refused(Refusal::Invalid { code, .. })] = push.outcomes.as_slice() else { panic!("{push:?}") };
    assert_eq!(code, "duplicate_identifiers");
}

#[tokio::test]
async fn a_used_up_plan_is_the_accounts_limit() {
    let full = (402, r#"{"code":"not_enough_credits","message":"Insufficient credits"}"#);
    for count in [1, 50] {
        let script = Script::of(&[full]);
        let push = push(&script, &several(count, Presence::New)).await;
        assert_eq!(push.outcomes, vec![Outcome::Refused(Refusal::AccountLimit); count]);
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_change_that_is_still_going_on_is_tried_later() {
    let script = Script::of(&[(425, r#"{"code":"account_in_process","message":"wait"}"#)]);
    let push = push(&script, &several(1, Presence::New)).await;
    assert_eq!(push.outcomes, [Outcome::Untouched]);
    assert!(matches!(push.stopped_by, Some(ProviderError::Throttled { .. })));
}

#[tokio::test]
async fn a_process_that_refused_rows_has_not_done_it() {
    let answer = |status: &str, info: &str| format!(r#"{{"id":78,"status":"{status}","info":{{"import":{info}}}}}"#);
    let cases = [
        (include_str!("../../fixtures/answer-process-completed.json").to_owned(), "failed"),
        (answer("completed", "null"), "done"),
        (answer("completed", r#"{"invalid_emails":null,"duplicate_phone_id":""}"#), "done"),
        (answer("completed", r#"{"invalid_emails":0,"duplicate_email_id":0}"#), "done"),
        (answer("completed", r#"{"invalid_emails":2}"#), "failed"),
        (answer("failed", "null"), "failed"),
        (answer("cancelled", "null"), "failed"),
        (answer("queued", "null"), "running"),
        (answer("in_process", "null"), "running"),
        (answer("a word of 2031", "null"), "running"),
    ];
    for (body, expected) in &cases {
        let script = Script::of(&[(200, body)]);
        let state = match brevo().follow(&script, &list(), &RemoteJob("78".into())).await.unwrap() {
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed(_) => "failed",
        };
        assert_eq!(state, *expected, "{body}");
    }
}

#[tokio::test]
async fn the_owner_of_the_account_cannot_be_erased() {
    let script = Script::of(&[(405, r#"{"code":"method_not_allowed","message":"no"}"#), UNKNOWN]);
    let outcome = brevo().erase(&script, &email("owner@example.org")).await.unwrap();
    assert!(matches!(outcome, Outcome::Refused(Refusal::Invalid { .. })));
    assert_eq!(brevo().erase(&script, &email("ada@example.org")).await.unwrap(), Outcome::Applied);
    assert_eq!(script.asked()[0].body, Value::Null);
}
