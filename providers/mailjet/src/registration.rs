//! Webhook registrations (Mailjet sheet 5.1).

use crate::wire::{self, Api};
use consentd_provider::{Gateway, HookMode, HookSpec, HookState, Method, ProviderError, path_segment};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The events that say something about consent or about a dead address, with the numbers that filters use.
const EVENTS: [(&str, u64); 4] = [("unsub", 5), ("spam", 3), ("bounce", 2), ("blocked", 4)];
const ROUTE: &str = "/v3/REST/eventcallbackurl";

/// What is to be done about one event.
enum Need {
    Nothing,
    Create,
    /// A registration of ours: its id and the query to give it.
    Update(u64, u64),
}

pub(crate) async fn hooks(
    api: &Api,
    out: &dyn Gateway,
    wanted: &HookSpec,
    mode: HookMode,
) -> Result<HookState, ProviderError> {
    // The default page would hide registrations (Mailjet sheet 5.1).
    let rows = api.all(out, ROUTE, "").await?;
    let mut state = HookState { healthy: false, missing: vec![], suspended: vec![], foreign: vec![], changed: false };
    for (event, number) in EVENTS {
        let registered = rows.iter().find(|row| is_for(row, event, number));
        let need = examine(registered, event, wanted, &mut state)?;
        if mode == HookMode::Repair {
            repair(api, out, event, wanted, &need).await?;
            if !matches!(need, Need::Nothing) {
                state.missing.retain(|one| one != event);
                state.suspended.retain(|one| one != event);
                state.changed = true;
            }
        }
    }
    state.healthy = state.missing.is_empty() && state.suspended.is_empty() && state.foreign.is_empty();
    Ok(state)
}

fn is_for(row: &Value, event: &str, number: u64) -> bool {
    let named = wire::text(row, "EventType") == event || wire::id(row, "EventType") == Some(number);
    named && wire::flag(row, "IsBackup") != Some(true)
}

fn examine(
    registered: Option<&Value>,
    event: &str,
    wanted: &HookSpec,
    state: &mut HookState,
) -> Result<Need, ProviderError> {
    let Some(row) = registered else {
        state.missing.push(event.into());
        return Ok(Need::Create);
    };
    let url = wire::text(row, "Url");
    if bare(url) != wanted.url {
        // There is one place an event and account, and another system depends on it.
        state.missing.push(event.into());
        state.foreign.push(event.into());
        return Ok(Need::Nothing);
    }
    let id = wire::needed_id(row, "ID")?;
    let revival = revival(url);
    let status = wire::text(row, "Status");
    // The word for a suspended URL is inferred; the one for a working URL is not (Mailjet sheet 5.1).
    if !status.is_empty() && !status.eq_ignore_ascii_case("alive") {
        state.suspended.push(event.into());
        // Only a new URL is delivered to again (Mailjet sheet 5.2).
        return Ok(Need::Update(id, revival.saturating_add(1)));
    }
    if url != address(wanted, revival) || wire::id(row, "Version") != Some(2) {
        state.missing.push(event.into());
        return Ok(Need::Update(id, revival));
    }
    Ok(Need::Nothing)
}

async fn repair(
    api: &Api,
    out: &dyn Gateway,
    event: &str,
    wanted: &HookSpec,
    need: &Need,
) -> Result<(), ProviderError> {
    match need {
        Need::Nothing => Ok(()),
        Need::Create => {
            // Left out, the version would be 1: one call for each event (Mailjet sheet 5.1).
            let body = json!({ "EventType": event, "IsBackup": false, "Url": address(wanted, 0), "Version": 2 });
            api.rows(out, Method::Post, ROUTE, ROUTE.into(), Some(&body)).await.map(drop)
        }
        Need::Update(id, revival) => {
            let body = json!({ "Url": address(wanted, *revival), "Version": 2 });
            let route = "/v3/REST/eventcallbackurl/{id}";
            let answer = api.raw(out, Method::Put, route, format!("{ROUTE}/{id}"), Some(&body)).await?;
            wire::updated(&answer)
        }
    }
}

/// The URL with credentials, and with a query once it had to be revived.
fn address(wanted: &HookSpec, revival: u64) -> String {
    let secret = path_segment(wanted.secret.expose_secret());
    let url = match wanted.url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://consentd:{secret}@{rest}"),
        None => wanted.url.clone(),
    };
    if revival == 0 { url } else { format!("{url}?v={revival}") }
}

/// How often a URL of ours was revived.
fn revival(url: &str) -> u64 {
    url.split_once("?v=").and_then(|(_, revival)| wire::number(revival)).unwrap_or(0)
}

/// A URL without credentials and query.
fn bare(url: &str) -> String {
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}
