//! What Brevo delivers to our webhook.

use crate::wire;
use consentd_provider::{
    Affected, Delivery, EmailAddress, EventKind, EventTime, ProviderEvent, Trust, Verified, WebhookError,
    credential_matches, dated, elements, plain,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// 2000-01-01 and 2100-01-01 in seconds: a time outside is a mistake.
const TIMES: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// Brevo signs nothing; the token given at registration comes back in a header (Brevo sheet 5.2).
pub(crate) fn verify<'a>(secrets: &[SecretString], delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
    let valid: Vec<SecretString> = secrets.iter().filter(|one| !one.expose_secret().is_empty()).cloned().collect();
    if valid.is_empty() {
        return Err(WebhookError::Unconfigured);
    }
    let token = delivery.authorization.and_then(token).ok_or(WebhookError::Credentials)?;
    if credential_matches(token.as_bytes(), &valid) { Ok(delivery.trusted()) } else { Err(WebhookError::Credentials) }
}

fn token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// One object a call; a batch is presumably an array, perhaps with a wrapper (Brevo sheet 5.2).
pub(crate) fn read(body: &[u8]) -> Result<Vec<ProviderEvent>, WebhookError> {
    let elements = elements(body, Some("events"))?;
    if !elements.is_empty() && elements.iter().all(|element| wire::text(element, "event").is_empty()) {
        return Err(WebhookError::Unreadable("no element names its event"));
    }
    Ok(elements.iter().map(event).collect())
}

fn event(element: &Value) -> ProviderEvent {
    let name = wire::text(element, "event");
    let kind = kind(name, element);
    let lists = lists(element);
    // A complaint or a bounce is about the person, whatever list the mail went to.
    let about_lists = matches!(kind, EventKind::Unsubscribed | EventKind::Touched) && !lists.is_empty();
    let message = wire::text(element, "message-id");
    ProviderEvent {
        emails: emails(element).iter().filter_map(|email| EmailAddress::parse(email).ok()).collect(),
        occurred_at: time(element),
        affected: if about_lists { Affected::Lists(lists) } else { Affected::Account },
        detail: plain(wire::text(element, "reason")),
        message_id: (!message.is_empty()).then(|| plain_id(message)),
        fingerprint: fingerprint(&kind, name, element),
        kind,
    }
}

/// A message id looks like an address and is none.
fn plain_id(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The names at registration, in payloads and in older descriptions differ (Brevo sheet 5.4 and 5.5).
fn kind(name: &str, element: &Value) -> EventKind {
    match name {
        "unsubscribe" | "unsubscribed" => EventKind::Unsubscribed,
        "spam" | "complaint" => EventKind::Complaint,
        "hard_bounce" | "hard_bounced" | "hardBounce" | "invalid_email" | "invalid" => EventKind::HardBounce,
        // Brevo refused to send, because of an earlier bounce, an unsubscription or a complaint; only for a bounce
        // does the reason say so.
        "blocked" if wire::text(element, "reason").to_ascii_lowercase().contains("bounce") => EventKind::HardBounce,
        "soft_bounce" | "soft_bounced" | "softBounce" | "deferred" | "blocked" | "error" => EventKind::SoftBounce,
        "contact_deleted" | "contactDeleted" => EventKind::Deleted,
        "list_addition" | "listAddition" | "contact_updated" | "contactUpdated" => EventKind::Touched,
        "request" | "sent" | "delivered" | "click" | "opened" | "unique_opened" | "uniqueOpened" | "proxy_open"
        | "unique_proxy_open" | "loadedByProxy" => EventKind::Traffic,
        "" => EventKind::Unknown("broken".into()),
        other => EventKind::Unknown(plain(other)),
    }
}

/// A text, an array of texts for deletions, or inside the content of an update (Brevo sheet 5.4).
fn emails(element: &Value) -> Vec<&str> {
    let listed = match element.get("email") {
        Some(Value::String(email)) => vec![email.as_str()],
        Some(Value::Array(emails)) => emails.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if listed.iter().any(|email| !email.is_empty()) {
        return listed;
    }
    let content = element.get("content").and_then(Value::as_array);
    content.into_iter().flatten().map(|one| wire::text(one, "email")).collect()
}

/// A number, a text or an array of either.
fn lists(element: &Value) -> Vec<String> {
    let mut ids: Vec<i64> = match element.get("list_id") {
        Some(Value::Array(ids)) => ids.iter().filter_map(wire::as_id).collect(),
        Some(id) => wire::as_id(id).into_iter().collect(),
        None => Vec::new(),
    };
    ids.sort_unstable();
    ids.iter().map(ToString::to_string).collect()
}

/// `ts_epoch` is the only time that was never seen wrong; `ts_event` has been a local time read as another zone's, and
/// `ts` and the dates are worse (Brevo sheet 5.3).
fn time(element: &Value) -> Option<EventTime> {
    if let Some(epoch) = whole(element, "ts_epoch") {
        // Milliseconds, which samples print as seconds.
        let seconds = if TIMES.contains(&epoch) { epoch } else { epoch.div_euclid(1_000) };
        let micros = if seconds == epoch { epoch.checked_mul(1_000_000)? } else { epoch.checked_mul(1_000)? };
        return TIMES.contains(&seconds).then_some(EventTime { at: micros, trust: Trust::Hours2 });
    }
    let seconds = whole(element, "ts_event").filter(|seconds| TIMES.contains(seconds))?;
    Some(EventTime { at: seconds * 1_000_000, trust: Trust::Hours26 })
}

fn whole(element: &Value, name: &str) -> Option<i64> {
    match element.get(name)? {
        Value::Number(number) => number.as_i64(),
        Value::String(number) => number.parse().ok(),
        _ => None,
    }
}

/// There is no event id; these members stay equal when a delivery is repeated, also through another webhook (Brevo
/// sheet 5.6). What is not understood, or has no time, is told apart by all it says but the id of the webhook.
fn fingerprint(kind: &EventKind, name: &str, element: &Value) -> [u8; 32] {
    let mut digest = Sha256::new();
    let mut part = |text: &str| {
        digest.update(text.len().to_be_bytes());
        digest.update(text.as_bytes());
    };
    part("brevo");
    let time = ["ts_event", "ts"].into_iter().find_map(|name| whole(element, name));
    let Some(time) = time.filter(|_| !matches!(kind, EventKind::Unknown(_))) else {
        let all: Map<String, Value> = element.as_object().cloned().unwrap_or_default();
        let rest: Map<String, Value> = all.into_iter().filter(|(name, _)| name != "id").collect();
        part(&if rest.is_empty() { element.to_string() } else { Value::Object(rest).to_string() });
        return digest.finalize().into();
    };
    let said = |member: &str| match element.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let mut people: Vec<String> = emails(element).iter().map(|email| email.to_lowercase()).collect();
    people.sort_unstable();
    part(name);
    part(&people.join(" "));
    for member in ["camp_id", "message-id", "link", "URL", "content"] {
        part(&said(member));
    }
    part(&time.to_string());
    part(&lists(element).join(" "));
    dated(time, digest.finalize().into())
}
