//! Answers that were seen in public, from `fixtures/`.

use super::*;
use consentd_provider::{Affected, Delivery, EventKind, JobState, OutgoingMail, RemoteJob};

/// Gives the same answer to every call.
struct Always(u16, String);

#[async_trait]
impl Gateway for Always {
    async fn send(&self, _: Request) -> Result<Response, ProviderError> {
        Ok(Response { status: self.0, headers: Vec::new(), body: self.1.clone().into_bytes() })
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> Result<Response, ProviderError> {
        self.send(request).await
    }
}

async fn refused(status: u16, body: &str) -> ProviderError {
    provider().lists(&Always(status, body.into())).await.unwrap_err()
}

#[tokio::test]
async fn a_refusal_may_be_text_or_object_and_keeps_no_address() {
    let cases = [
        (400, include_str!("../../fixtures/error-duplicate.json"), "MJ18", "already exists"),
        (400, include_str!("../../fixtures/error-properties.json"), "", "Property not defined"),
        (400, include_str!("../../fixtures/error-lists.json"), "", "listID missing"),
        (401, include_str!("../../fixtures/error-read-only.json"), "MJ19", "UnsubscribedAt"),
        (400, "<html>", "", "no readable reason"),
    ];
    for (status, body, wanted, words) in cases {
        match refused(status, body).await {
            ProviderError::Rejected { code, reason, .. } => {
                assert_eq!(code, wanted, "{body}");
                assert!(reason.contains(words) && !reason.contains('@'), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    for (status, kind) in [(401, "credentials"), (403, "credentials"), (429, "throttled"), (502, "server")] {
        assert_eq!(refused(status, "<html>").await.kind(), kind);
    }
}

#[tokio::test]
async fn both_lists_of_job_statuses_are_understood() {
    let told = include_str!("../../fixtures/job.json");
    let list = AudienceRef { list: "42".into() };
    let of = async |body: String| {
        let job = RemoteJob("list:7".into());
        provider().follow(&Always(200, body), &list, &job).await.unwrap()
    };
    assert_eq!(of(told.into()).await, JobState::Done);
    for running in ["Allocated", "Upload", "Prepare", "Importing", "In Progress", "Novelty"] {
        assert_eq!(of(told.replace("Completed", running)).await, JobState::Running, "{running}");
    }
    for failed in ["Error", "Abort"] {
        assert!(matches!(of(told.replace("Completed", failed)).await, JobState::Failed(_)), "{failed}");
    }
    let file = told.replace(r#""ErrorFile":"""#, r#""ErrorFile":"https://a.example/x""#);
    assert!(matches!(of(file).await, JobState::Failed(_)), "done, but not in full");
}

#[tokio::test]
async fn a_refused_message_is_refused_with_whatever_status() {
    let mail = OutgoingMail {
        idempotency_key: uuid(),
        from: person("us"),
        from_name: "Us".into(),
        to: person("kim"),
        subject: "Hello".into(),
        text: "Hello".into(),
        html: String::new(),
        headers: Vec::new(),
    };
    for status in [200, 400, 403] {
        let body = include_str!("../../fixtures/send-refused.json");
        match provider().send(&Always(status, body.into()), &mail).await {
            Err(ProviderError::Rejected { code, reason, .. }) => {
                assert!(code == "mj-0013" && !reason.contains('@'), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn deliveries_are_read_in_both_shapes() {
    let read = |body: &'static str| {
        let delivery = Delivery { authorization: None, body: body.as_bytes() };
        provider().read(&delivery.trusted()).unwrap()
    };
    let grouped = read(include_str!("../../fixtures/webhook-grouped.json"));
    let words: Vec<&str> = grouped.iter().map(|event| event.kind.word()).collect();
    assert_eq!(words, ["unsubscribed", "complaint", "hard_bounce", "hard_bounce"]);
    assert_eq!(grouped[0].affected, Affected::Lists(vec!["42".into()]));
    assert_eq!(grouped[0].message_id.as_deref(), Some("576460772022727317"));
    let bare = read(include_str!("../../fixtures/webhook-bare.json"));
    assert_eq!((&bare[0].kind, &bare[0].affected), (&EventKind::Unsubscribed, &Affected::Account));
    let test = read(include_str!("../../fixtures/webhook-test.json"));
    assert!(test[0].emails.is_empty() && test[0].kind == EventKind::Traffic);
}
