//! Reading the account, and sending.

use super::{Script, brevo, email, list, settings};
use crate::DESCRIPTOR;
use consentd_provider::{Cursor, FieldKind, OutgoingMail, ProviderError, RemoteField};
use serde_json::json;

#[test]
fn each_plan_has_its_limits_a_second_and_an_hour() {
    let limits = |plan| {
        let quotas = (DESCRIPTOR.quotas)(&settings(&[("plan", plan)]));
        quotas.iter().map(|quota| (quota.family, quota.limit, quota.per.as_secs())).collect::<Vec<_>>()
    };
    let general = [("contacts", 10, 1), ("contacts", 36_000, 3_600), ("mail", 1_000, 1), ("rest", 100, 3_600)];
    assert_eq!(limits("general"), general);
    assert_eq!(limits("advanced")[3], ("rest", 200, 3_600));
    assert_eq!(limits("extended")[0], ("contacts", 60, 1));
}

#[tokio::test]
async fn a_contact_as_seen_alive_can_be_read() {
    let script = Script::of(&[(200, include_str!("../../fixtures/answer-contact.json"))]);
    let looks = brevo().look(&script, &list(), &[email("ADA@example.org")]).await.unwrap();
    assert!(looks[0].exists && looks[0].on_list && looks[0].blocked && !looks[0].unsubscribed);
}

#[tokio::test]
async fn without_the_block_or_the_lists_nothing_is_guessed() {
    for body in [
        r#"{"id":1,"email":"ada@example.org","listIds":[7]}"#,
        r#"{"id":1,"email":"ada@example.org","emailBlacklisted":"no","listIds":[7]}"#,
        r#"{"id":1,"email":"ada@example.org","emailBlacklisted":false}"#,
        r#"{"id":1,"email":"bob@example.org","emailBlacklisted":false,"listIds":[]}"#,
    ] {
        let answer = brevo().look(&Script::of(&[(200, body)]), &list(), &[email("ada@example.org")]).await;
        assert!(matches!(answer, Err(ProviderError::Protocol(_))), "{body}");
    }
}

#[tokio::test]
async fn pages_overlap_because_deletions_move_rows_up() {
    let row = r#"{"id":1,"emailBlacklisted":false,"listIds":[]}"#;
    let full = format!(r#"{{"contacts":[{}],"count":2000}}"#, vec![row; 1_000].join(","));
    let script = Script::of(&[(200, &full)]);
    let page = brevo().list(&script, &list(), &Cursor(Some("980".into()))).await.unwrap();
    assert_eq!(page.next, Some(Cursor(Some("1960".into()))));
    assert!(page.sightings.iter().all(|seen| seen.email.is_none()), "a contact of SMS only has no address");
    assert_eq!(script.whats(), ["GET /contacts?limit=1000&offset=980&sort=asc"]);
    let foreign = brevo().list(&Script::of(&[]), &list(), &Cursor(Some("contacts:1".into()))).await;
    assert!(matches!(foreign, Err(ProviderError::Rejected { .. })));
}

#[tokio::test]
async fn attributes_that_are_more_than_values_are_not_offered() {
    let answer = r#"{"attributes":[
        {"name":"EMAIL","category":"normal","type":"text"},{"name":"BLACKLIST","category":"global"},
        {"name":"COLOUR","category":"category","enumeration":[]},{"name":"BORN","category":"normal","type":"date"},
        {"name":"CITY","category":"normal","type":"text"}]}"#;
    let fields = brevo().schema(&Script::of(&[(200, answer)])).await.unwrap();
    let kinds: Vec<FieldKind> = fields.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [FieldKind::Other, FieldKind::Other, FieldKind::Other, FieldKind::Other, FieldKind::Text]);
}

#[tokio::test]
async fn a_new_attribute_answers_without_a_body() {
    let script = Script::of(&[(201, "")]);
    let field = RemoteField { name: "city of birth".into(), kind: FieldKind::Number };
    brevo().create_field(&script, &field).await.unwrap();
    let asked = script.asked();
    assert_eq!(asked[0].what, "POST /contacts/attributes/normal/CITY%20OF%20BIRTH");
    assert_eq!(asked[0].body, json!({ "type": "float" }));
}

#[tokio::test]
async fn the_key_of_a_mail_is_a_member_of_its_headers() {
    let script = Script::of(&[(201, r#"{"messageIds":["<1@smtp-relay.mailin.fr>"]}"#)]);
    let mail = OutgoingMail {
        idempotency_key: uuid::Uuid::nil(),
        from: email("news@example.com"),
        from_name: "News".into(),
        to: email("Ada@example.org"),
        subject: "A question".into(),
        text: "text".into(),
        html: "<p>html</p>".into(),
        headers: vec![("List-Unsubscribe-Post".into(), "List-Unsubscribe=One-Click".into())],
    };
    assert_eq!(brevo().send(&script, &mail).await.unwrap().message_id, "<1@smtp-relay.mailin.fr>");
    let headers = json!({
        "idempotencyKey": "00000000-0000-0000-0000-000000000000",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    });
    assert_eq!(script.asked()[0].body["headers"], headers);
}
