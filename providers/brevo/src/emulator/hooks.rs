//! Webhooks: their registrations, and the deliveries they owe (Brevo sheet 5).

use super::account::Account;
use super::answer::{Asked, answered, empty, error, failed, no_method, ok, stamp};
use super::switches::Switches;
use consentd_provider::emulator::Outgoing;
use consentd_provider::{Response, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000_000;
/// The waits before the second to the fifth try.
const RETRIES: [i64; 4] = [10 * MINUTE, 60 * MINUTE, 120 * MINUTE, 480 * MINUTE];
/// The length of a batch's window and its most events.
const WINDOW: i64 = 5 * MINUTE;
const BATCH: usize = 500;
/// The most webhooks of an account.
const MOST: usize = 40;

const MARKETING: [&str; 10] = [
    "spam",
    "opened",
    "click",
    "hardBounce",
    "softBounce",
    "unsubscribed",
    "listAddition",
    "delivered",
    "contactUpdated",
    "contactDeleted",
];
const TRANSACTIONAL: [&str; 13] = [
    "sent",
    "request",
    "delivered",
    "hardBounce",
    "softBounce",
    "blocked",
    "spam",
    "invalid",
    "deferred",
    "click",
    "opened",
    "uniqueOpened",
    "unsubscribed",
];

/// A registration.
#[derive(Debug, Clone)]
struct Hook {
    kind: String,
    members: Map<String, Value>,
    created: Timestamp,
    modified: Timestamp,
}

/// A delivery on its way or waiting for its next try.
#[derive(Debug, Clone)]
struct Delivery {
    outgoing: Outgoing,
    due: Timestamp,
    tries: usize,
    under_way: bool,
}

/// All registrations and deliveries.
#[derive(Default)]
pub(super) struct Hooks {
    registered: BTreeMap<i64, Hook>,
    windows: BTreeMap<i64, (Timestamp, Vec<Value>)>,
    deliveries: BTreeMap<u64, Delivery>,
    last: u64,
}

impl Hooks {
    /// Owes an event, named as at registration, to every webhook of that kind which wants it.
    pub(super) fn fire(&mut self, now: Timestamp, kind: &str, name: &str, payload: &Map<String, Value>) {
        let wanted = |hook: &Hook| {
            let events = hook.members.get("events").and_then(Value::as_array);
            hook.kind == kind && events.is_some_and(|events| events.iter().any(|event| event == name))
        };
        let interested: Vec<(i64, Hook)> =
            self.registered.iter().filter(|(_, hook)| wanted(hook)).map(|(id, hook)| (*id, hook.clone())).collect();
        for (id, hook) in interested {
            let mut payload = payload.clone();
            // The webhook's own id, the same in all its deliveries.
            payload.insert("id".into(), id.into());
            if hook.members.get("batched").and_then(Value::as_bool) == Some(true) {
                self.windows.entry(id).or_insert((now + WINDOW, Vec::new())).1.push(Value::Object(payload));
            } else {
                self.owe(now, &hook, &Value::Object(payload));
            }
        }
    }

    fn owe(&mut self, now: Timestamp, hook: &Hook, body: &Value) {
        let mut headers = Vec::new();
        let auth = hook.members.get("auth");
        if let Some(token) = auth.and_then(|auth| auth.get("token")).and_then(Value::as_str) {
            headers.push(("authorization".into(), format!("Bearer {token}")));
        }
        for header in hook.members.get("headers").and_then(Value::as_array).into_iter().flatten() {
            let text = |name| header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            headers.push((text("key").to_lowercase(), text("value")));
        }
        let url = hook.members.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.post(now, url, headers, body);
    }

    /// Owes a JSON body to somebody.
    pub(super) fn post(&mut self, now: Timestamp, url: String, mut headers: Vec<(String, String)>, body: &Value) {
        self.last += 1;
        headers.push(("content-type".into(), "application/json".into()));
        let outgoing = Outgoing { id: self.last, url, headers, body: body.to_string().into_bytes() };
        self.deliveries.insert(self.last, Delivery { outgoing, due: now, tries: 0, under_way: false });
    }

    /// Hands out what is due and notes that it is under way.
    pub(super) fn due(&mut self, now: Timestamp, switches: &Switches) -> Vec<Outgoing> {
        let closed: Vec<i64> = self.windows.iter().filter(|(_, (end, _))| *end <= now).map(|(id, _)| *id).collect();
        for id in closed {
            let (Some((_, events)), Some(hook)) = (self.windows.remove(&id), self.registered.get(&id).cloned()) else {
                continue;
            };
            for part in events.chunks(BATCH) {
                let body = if switches.is("batch_shape", "events") { json!({ "events": part }) } else { json!(part) };
                self.owe(now, &hook, &body);
            }
        }
        let ready = self.deliveries.values_mut().filter(|one| !one.under_way && one.due <= now);
        ready
            .map(|delivery| {
                delivery.under_way = true;
                delivery.outgoing.clone()
            })
            .collect()
    }

    /// Silence and 429 are tried again, success ends it, and everything else throws the event away.
    pub(super) fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        let again = matches!(status, None | Some(429));
        if let Some(delivery) = self.deliveries.get_mut(&id).filter(|_| again)
            && let Some(wait) = RETRIES.get(delivery.tries)
        {
            delivery.tries += 1;
            delivery.due = now + wait;
            delivery.under_way = false;
            return;
        }
        self.deliveries.remove(&id);
    }
}

impl Account {
    pub(super) fn route_webhooks(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        let id = path.first().and_then(|id| id.parse().ok()).unwrap_or(0);
        let unknown = || error(404, "document_not_found", "Webhook ID does not exist");
        match (asked.method.as_str(), path) {
            ("GET", []) => {
                let kind = asked.query("type").unwrap_or("transactional");
                let found = self.hooks.registered.iter().filter(|(_, hook)| hook.kind == kind);
                let rows: Vec<Value> = found.map(|(id, hook)| self.hook_row(*id, hook)).collect();
                if rows.is_empty() {
                    return failed(400, "document_not_found", "Webhooks not found");
                }
                ok(&json!({ "webhooks": asked.cut(rows, (MOST, 0), true) }))
            }
            ("POST", []) => {
                let mut members = asked.json()?.as_object().cloned().unwrap_or_default();
                let kind = match members.remove("type") {
                    Some(Value::String(kind)) => kind,
                    _ => "transactional".into(),
                };
                check(&kind, &members)?;
                if self.hooks.registered.len() >= MOST {
                    return failed(400, "out_of_range", "The account has the most webhooks it can have");
                }
                let id = self.next_id();
                let hook = Hook { kind, members, created: self.now, modified: self.now };
                self.hooks.registered.insert(id, hook);
                answered(201, &json!({ "id": id }))
            }
            ("GET", [_]) => {
                let hook = self.hooks.registered.get(&id).ok_or_else(unknown)?;
                ok(&self.hook_row(id, hook))
            }
            ("PUT", [_]) => {
                let mut members = asked.json()?.as_object().cloned().unwrap_or_default();
                members.remove("type");
                let now = self.now;
                let hook = self.hooks.registered.get_mut(&id).ok_or_else(unknown)?;
                let mut merged = hook.members.clone();
                merged.extend(members);
                check(&hook.kind, &merged)?;
                hook.members = merged;
                hook.modified = now;
                empty(204)
            }
            ("DELETE", [_]) => {
                self.hooks.registered.remove(&id).ok_or_else(unknown)?;
                empty(204)
            }
            _ => no_method(),
        }
    }

    fn hook_row(&self, id: i64, hook: &Hook) -> Value {
        let offset = self.switches.number("utc_offset");
        let mut row = hook.members.clone();
        row.remove("channel");
        if self.switches.is("hook_auth", "hidden") {
            row.remove("auth");
        }
        row.entry("description").or_insert_with(|| "".into());
        row.entry("batched").or_insert(false.into());
        row.insert("id".into(), id.into());
        row.insert("type".into(), hook.kind.clone().into());
        row.insert("createdAt".into(), stamp(hook.created, offset).into());
        row.insert("modifiedAt".into(), stamp(hook.modified, offset).into());
        Value::Object(row)
    }
}

fn check(kind: &str, members: &Map<String, Value>) -> Result<(), Response> {
    let known: &[&str] = match kind {
        "marketing" => &MARKETING,
        "transactional" => &TRANSACTIONAL,
        "inbound" => &["inboundEmailProcessed"],
        _ => return Err(error(400, "invalid_parameter", "type is not valid")),
    };
    let url = members.get("url").and_then(Value::as_str).unwrap_or_default();
    if !url.contains("://") {
        return Err(error(400, "invalid_parameter", "url is not valid"));
    }
    let events = members.get("events").and_then(Value::as_array).filter(|events| !events.is_empty());
    let events = events.ok_or_else(|| error(400, "missing_parameter", "events is missing"))?;
    if events.iter().all(|event| event.as_str().is_some_and(|event| known.contains(&event))) {
        Ok(())
    } else {
        Err(error(400, "invalid_parameter", "events is not valid"))
    }
}
