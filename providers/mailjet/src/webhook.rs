//! What Mailjet delivers to our webhook.

use crate::wire;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd_provider::{
    Affected, Delivery, EmailAddress, EventKind, EventTime, ProviderEvent, Trust, Verified, WebhookError,
    credential_matches, dated, elements, plain,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// No valid header is longer.
const HEADER: usize = 4_096;
/// 2000-01-01 and 2100-01-01 in seconds: a time outside is a mistake.
const TIMES: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// Mailjet signs nothing; the basic credentials of the URL come back in a header (Mailjet sheet 5.2).
pub(crate) fn verify<'a>(secrets: &[SecretString], delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
    let valid: Vec<SecretString> = secrets.iter().filter(|one| !one.expose_secret().is_empty()).cloned().collect();
    if valid.is_empty() {
        return Err(WebhookError::Unconfigured);
    }
    let password = delivery.authorization.and_then(password).ok_or(WebhookError::Credentials)?;
    if credential_matches(&password, &valid) { Ok(delivery.trusted()) } else { Err(WebhookError::Credentials) }
}

fn password(header: &str) -> Option<Vec<u8>> {
    let (scheme, pair) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || pair.len() > HEADER {
        return None;
    }
    let pair = STANDARD.decode(pair.trim()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// An array when grouped, a bare object when not (Mailjet sheet 5.2).
pub(crate) fn read(body: &[u8]) -> Result<Vec<ProviderEvent>, WebhookError> {
    let elements = elements(body, None)?;
    if !elements.is_empty() && elements.iter().all(|element| wire::text(element, "event").is_empty()) {
        return Err(WebhookError::Unreadable("no element names its event"));
    }
    Ok(elements.iter().map(event).collect())
}

fn event(element: &Value) -> ProviderEvent {
    let name = wire::text(element, "event");
    let kind = kind(name, element);
    let list = wire::id(element, "mj_list_id").filter(|_| name == "unsub");
    let words = ["error", "comment", "source"].map(|part| wire::text(element, part));
    ProviderEvent {
        emails: EmailAddress::parse(wire::text(element, "email")).into_iter().collect(),
        occurred_at: time(element).map(|at| EventTime { at: at * 1_000_000, trust: Trust::Hours2 }),
        // A mail without a list gives list 0: not said, so all of them (Mailjet sheet 5.3).
        affected: list.map_or(Affected::Account, |list| Affected::Lists(vec![list.to_string()])),
        detail: plain(&words.join(" ")),
        message_id: wire::id(element, "MessageID").map(|id| id.to_string()),
        fingerprint: fingerprint(&kind, name, element),
        kind,
    }
}

fn kind(name: &str, element: &Value) -> EventKind {
    let error = wire::text(element, "error");
    match name {
        "unsub" => EventKind::Unsubscribed,
        "spam" => EventKind::Complaint,
        // The flag decides on permanence; the words only where it is missing (Mailjet sheet 5.5).
        "bounce" if wire::flag(element, "hard_bounce").unwrap_or_else(|| dead(error)) => EventKind::HardBounce,
        // The recipient complained before (Mailjet sheet 5.5, id 21).
        "blocked" if error == "spam reporter" => EventKind::Complaint,
        "blocked" if dead(error) || matches!(error, "preblocked" | "blacklisted") => EventKind::HardBounce,
        "bounce" | "blocked" => EventKind::SoftBounce,
        "sent" | "open" | "click" => EventKind::Traffic,
        "" => EventKind::Unknown("broken".into()),
        other => EventKind::Unknown(plain(other)),
    }
}

/// Errors that are final whoever says them.
fn dead(error: &str) -> bool {
    matches!(error, "user unknown" | "invalid domain" | "typofix")
}

fn time(element: &Value) -> Option<i64> {
    let seconds = match element.get("time")? {
        Value::Number(seconds) => seconds.as_i64()?,
        Value::String(seconds) => seconds.parse().ok()?,
        _ => return None,
    };
    TIMES.contains(&seconds).then_some(seconds)
}

/// There is no event id; these members stay equal when a delivery is repeated, however it is grouped (Mailjet
/// sheet 5.4). What is not understood is told apart by all it says.
fn fingerprint(kind: &EventKind, name: &str, element: &Value) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    };
    part("mailjet");
    let Some(time) = time(element).filter(|_| !matches!(kind, EventKind::Unknown(_))) else {
        part(&element.to_string());
        return digest.finalize().into();
    };
    let said = |member: &str| match element.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let discriminator = match name {
        "click" => "url",
        "unsub" => "mj_list_id",
        "spam" => "source",
        "open" => "ip",
        _ => "error",
    };
    part(name);
    part(&said("MessageID"));
    part(&said("email").to_lowercase());
    part(&said("time"));
    part(&said(discriminator));
    dated(time, digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &str) -> ProviderEvent {
        let mut events = read(body.as_bytes()).unwrap();
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    #[test]
    fn a_bare_object_and_an_array_of_one_are_the_same_event() {
        let bare = r#"{"event":"unsub","time":1700000000,"MessageID":576460772022727317,"email":"ada@example.com","mj_list_id":42}"#;
        let event = one(bare);
        assert_eq!(event.kind, EventKind::Unsubscribed);
        assert_eq!(event.affected, Affected::Lists(vec!["42".into()]));
        assert_eq!(event.message_id.as_deref(), Some("576460772022727317"));
        assert_eq!(event, one(&format!("[{bare}]")));
    }

    #[test]
    fn an_unsubscription_without_a_list_is_about_the_whole_account() {
        for list in ["0", "\"\"", "null", "-1", "\"x\""] {
            let body = format!(r#"{{"event":"unsub","time":1,"email":"ada@example.com","mj_list_id":{list}}}"#);
            assert_eq!(one(&body).affected, Affected::Account, "{list}");
        }
    }

    #[test]
    fn a_broken_element_costs_no_good_one() {
        let events = read(br#"[5,{"event":"spam","email":"b@example.com"},{"event":"novelty"},{}]"#).unwrap();
        let words: Vec<_> = events.iter().map(|event| event.kind.word()).collect();
        assert_eq!(words, ["unknown", "complaint", "unknown", "unknown"]);
        for nothing in ["", "7", "\"x\"", "[{}]", "[[]]", "{\"event\":7}"] {
            assert!(read(nothing.as_bytes()).is_err(), "{nothing}");
        }
    }

    #[test]
    fn the_bounce_flag_decides_and_a_block_for_a_complaint_is_a_complaint() {
        let cases = [
            (r#"{"event":"bounce","hard_bounce":true,"error":"x"}"#, "hard_bounce"),
            (r#"{"event":"bounce","hard_bounce":false,"error":"user unknown"}"#, "soft_bounce"),
            (r#"{"event":"bounce","hard_bounce":"","error":"user unknown"}"#, "hard_bounce"),
            (r#"{"event":"bounce","error":"","comment":"full"}"#, "soft_bounce"),
            (r#"{"event":"blocked","error":"preblocked"}"#, "hard_bounce"),
            (r#"{"event":"blocked","error":"spam reporter"}"#, "complaint"),
            (r#"{"event":"blocked","error":"duplicate in campaign"}"#, "soft_bounce"),
            (r#"{"event":"click"}"#, "traffic"),
        ];
        for (body, word) in cases {
            assert_eq!(one(body).kind.word(), word, "{body}");
        }
    }

    #[test]
    fn credentials_are_the_password_of_the_url() {
        let secrets = [SecretString::from("old"), SecretString::from("new")];
        let shown = |pair: &str| format!("bAsIc {}", STANDARD.encode(pair));
        let delivery = |header: &'static str| Delivery { authorization: Some(header), body: b"" };
        for (pair, right) in [("consentd:old", true), ("consentd:new", true), ("consentd:", false), ("old", false)] {
            let header = shown(pair);
            let delivery = Delivery { authorization: Some(&header), body: b"" };
            assert_eq!(verify(&secrets, delivery).is_ok(), right, "{pair}");
        }
        assert_eq!(verify(&secrets, delivery("Bearer old")).err(), Some(WebhookError::Credentials));
        let empty = [SecretString::from("")];
        assert_eq!(verify(&empty, delivery("Basic Og==")).err(), Some(WebhookError::Unconfigured));
    }
}
