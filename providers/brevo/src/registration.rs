//! Webhook registrations (Brevo sheet 5.1).

use crate::wire::{self, Api};
use consentd_provider::{Gateway, HookMode, HookSpec, HookState, Method, ProviderError};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The two kinds of webhook, with the events that say something about consent or about a dead address.
const KINDS: [(&str, &[&str]); 2] = [
    (
        "marketing",
        &["unsubscribed", "spam", "hardBounce", "softBounce", "listAddition", "contactUpdated", "contactDeleted"],
    ),
    ("transactional", &["unsubscribed", "spam", "hardBounce", "softBounce", "blocked", "invalid"]),
];
const ROUTE: &str = "/webhooks";

pub(crate) async fn hooks(
    api: &Api,
    out: &dyn Gateway,
    wanted: &HookSpec,
    mode: HookMode,
) -> Result<HookState, ProviderError> {
    let mut state = HookState { healthy: false, missing: vec![], suspended: vec![], foreign: vec![], changed: false };
    for (kind, events) in KINDS {
        let ours: Vec<Value> =
            registered(api, out, kind).await?.into_iter().filter(|row| wire::text(row, "url") == wanted.url).collect();
        if ours.iter().any(|row| is_right(row, events, wanted)) {
            continue;
        }
        if mode == HookMode::Repair {
            repair(api, out, kind, events, ours.first(), wanted).await?;
            state.changed = true;
            continue;
        }
        let known = ours.first();
        // With a wrong credential none of its events would be believed.
        let useless = known.is_none_or(|row| !has_secret(row, wanted));
        let missing = events.iter().filter(|event| useless || !known.is_some_and(|row| has_event(row, event)));
        state.missing.extend(missing.map(|event| format!("{kind} {event}")));
    }
    state.healthy = state.missing.is_empty();
    Ok(state)
}

/// The registrations of one kind; without the kind only one of the two would be shown.
async fn registered(api: &Api, out: &dyn Gateway, kind: &str) -> Result<Vec<Value>, ProviderError> {
    match api.get(out, ROUTE, format!("{ROUTE}?type={kind}&sort=asc")).await {
        Ok(answer) if answer.get("webhooks").is_some() => wire::rows(answer, "webhooks"),
        Ok(_) => Err(ProviderError::Protocol("an answer without webhooks")),
        // That is how Brevo says "none".
        Err(ProviderError::Rejected { status: 400 | 404, code, .. }) if code == "document_not_found" => Ok(Vec::new()),
        // What cannot be read may be that very answer.
        Err(ProviderError::Rejected { status: 400, code, .. }) if code.is_empty() => {
            Err(ProviderError::Protocol("an answer about webhooks that cannot be read"))
        }
        Err(error) => Err(error),
    }
}

fn is_right(row: &Value, events: &[&str], wanted: &HookSpec) -> bool {
    events.iter().all(|event| has_event(row, event)) && has_secret(row, wanted)
}

fn has_event(row: &Value, event: &str) -> bool {
    row.get("events").and_then(Value::as_array).is_some_and(|events| events.iter().any(|one| one == event))
}

/// Whether deliveries will carry the secret. Where the answer hides it, the description's mark tells.
fn has_secret(row: &Value, wanted: &HookSpec) -> bool {
    match row.get("auth").and_then(|auth| auth.get("token")).and_then(Value::as_str) {
        Some(token) if !token.contains('*') => token == wanted.secret.expose_secret(),
        _ => wire::text(row, "description") == description(wanted),
    }
}

/// Names the secret by a few bits of its digest.
fn description(wanted: &HookSpec) -> String {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(wanted.secret.expose_secret().as_bytes()).into();
    format!("consentd {:08x}", u32::from_be_bytes([a, b, c, d]))
}

async fn repair(
    api: &Api,
    out: &dyn Gateway,
    kind: &str,
    events: &[&str],
    ours: Option<&Value>,
    wanted: &HookSpec,
) -> Result<(), ProviderError> {
    // One event a call: a batch would be held back for five minutes (Brevo sheet 5.2).
    let mut body = json!({
        "url": wanted.url,
        "events": events,
        "description": description(wanted),
        "batched": false,
        "auth": { "type": "bearer", "token": wanted.secret.expose_secret() },
    });
    if let Some(row) = ours {
        let path = format!("{ROUTE}/{}", wire::needed_id(row, "id")?);
        return api.write(out, Method::Put, "/webhooks/{id}", path, Some(&body)).await.map(drop);
    }
    if let Some(body) = body.as_object_mut() {
        body.insert("type".into(), kind.into());
    }
    let created = api.write(out, Method::Post, ROUTE, ROUTE.into(), Some(&body)).await?;
    wire::needed_id(&created, "id").map(drop)
}
