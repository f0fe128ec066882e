//! Postbox in memory.

use consentd_provider::emulator::{Call, Emulator, Happening, Outgoing};
use consentd_provider::{Look, Response, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The key that the emulated account accepts.
pub(crate) const KEY: &str = "postbox-key-1f6d2c";
const PAGE: usize = 100;
const CALLS_A_SECOND: usize = 20;
const TRIES: u32 = 12;
const AGAIN_AFTER: i64 = 600_000_000;

/// An empty account.
pub(crate) fn open() -> Box<dyn Emulator> {
    let fields = BTreeMap::from([("PHONE".into(), "text".into())]);
    Box::new(Postbox { fields, ..Postbox::default() })
}

struct Contact {
    id: u64,
    /// By list: when the contact has left it, if it has.
    lists: BTreeMap<u64, Option<Timestamp>>,
    /// Why the account sends it nothing, and since when: `left`, `bounce` or `complaint`.
    block: Option<(&'static str, Timestamp)>,
}

struct Hook {
    token: String,
    on: bool,
}

struct Due {
    at: Timestamp,
    url: String,
    tries: u32,
    body: Value,
}

#[derive(Default)]
struct Postbox {
    last_id: u64,
    lists: Vec<(u64, String)>,
    fields: BTreeMap<String, String>,
    /// Whose a phone number is.
    phones: BTreeMap<String, String>,
    contacts: BTreeMap<String, Contact>,
    mails: BTreeMap<String, String>,
    hooks: BTreeMap<String, Hook>,
    owed: BTreeMap<u64, Due>,
    calls: Vec<Timestamp>,
    full: bool,
}

impl Emulator for Postbox {
    fn handle(&mut self, now: Timestamp, call: &Call) -> Response {
        if call.header("authorization") != Some(&format!("Bearer {KEY}")) {
            return error(401, "key", "this key is not known");
        }
        self.calls.retain(|at| now - at < 1_000_000);
        if self.calls.len() >= CALLS_A_SECOND {
            return error(429, "slow", "too many calls");
        }
        self.calls.push(now);
        let path: Vec<&str> = call.path.trim_start_matches("/v1/").split('/').collect();
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        match (call.method.as_str(), path.as_slice()) {
            ("GET", ["account"]) => ok(&json!({ "name": "Postbox account 7" })),
            ("GET", ["lists"]) => {
                let lists: Vec<Value> = self.lists.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
                ok(&json!({ "lists": lists }))
            }
            ("POST", ["lists"]) => self.create_list(text(&body, "name")),
            ("GET", ["fields"]) => {
                let fields: Vec<Value> =
                    self.fields.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
                ok(&json!({ "fields": fields }))
            }
            ("PUT", ["fields", name]) => {
                self.fields.entry(decode(name)).or_insert_with(|| text(&body, "kind").into());
                ok(&json!({}))
            }
            ("GET" | "POST", ["lists", list, verb]) => match list.parse().ok().filter(|list| self.knows(*list)) {
                Some(list) => self.on_list(now, list, verb, &call.query, &body),
                None => error(404, "list", "this list is not known"),
            },
            ("DELETE", ["contacts", email]) => match self.contacts.remove(&decode(email).to_lowercase()) {
                Some(_) => ok(&json!({})),
                None => error(404, "contact", "this contact is not known"),
            },
            ("POST", ["mails"]) => {
                let id = format!("mail-{}", self.mails.len());
                let id = self.mails.entry(text(&body, "key").into()).or_insert(id);
                ok(&json!({ "id": id }))
            }
            ("GET", ["hooks"]) => {
                let hooks: Vec<Value> = self
                    .hooks
                    .iter()
                    .map(|(url, hook)| json!({ "url": url, "token": hook.token, "on": hook.on }))
                    .collect();
                ok(&json!({ "hooks": hooks }))
            }
            ("PUT", ["hooks"]) => {
                let hook = Hook { token: text(&body, "token").into(), on: true };
                self.hooks.insert(text(&body, "url").into(), hook);
                ok(&json!({}))
            }
            _ => error(404, "path", "there is nothing here"),
        }
    }

    fn due(&mut self, now: Timestamp) -> Vec<Outgoing> {
        let ready = self.owed.iter().filter(|(_, due)| due.at <= now);
        ready
            .filter_map(|(id, due)| {
                let token = &self.hooks.get(&due.url)?.token;
                Some(Outgoing {
                    id: *id,
                    url: due.url.clone(),
                    headers: vec![("authorization".into(), format!("Bearer {token}"))],
                    body: due.body.to_string().into_bytes(),
                })
            })
            .collect()
    }

    fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        let Some(due) = self.owed.get_mut(&id) else { return };
        due.tries += 1;
        due.at = now + AGAIN_AFTER;
        let given_up = due.tries >= TRIES;
        if let Some(hook) = self.hooks.get_mut(&due.url) {
            hook.on &= !given_up;
        }
        if given_up || status == Some(200) {
            self.owed.remove(&id);
        }
    }

    fn happen(&mut self, now: Timestamp, email: &str, what: &Happening) -> bool {
        let key = email.to_lowercase();
        let Some(contact) = self.contacts.get_mut(&key) else { return false };
        let id = |list: &String| list.parse().unwrap_or(0);
        let (event, more) = match what {
            Happening::Unsubscribes(Some(list)) => {
                contact.lists.insert(id(list), Some(now));
                ("left", json!({ "list": id(list) }))
            }
            Happening::Unsubscribes(None) => {
                contact.block = contact.block.or(Some(("left", now)));
                ("left", json!({}))
            }
            Happening::Complains => {
                contact.block = Some(("complaint", now));
                ("complained", json!({}))
            }
            Happening::HardBounces => {
                contact.block = contact.block.filter(|(why, _)| *why == "complaint").or(Some(("bounce", now)));
                ("bounced", json!({ "final": true }))
            }
            Happening::SoftBounces => ("bounced", json!({ "final": false })),
            Happening::Blocked => ("refused", json!({})),
            Happening::UnsubscribedByStaff(list) => {
                contact.lists.insert(id(list), Some(now));
                return true;
            }
            Happening::HostileImport(list) => {
                contact.lists.insert(id(list), None);
                contact.block = None;
                ("joined", json!({ "list": id(list) }))
            }
            Happening::Deleted => {
                self.contacts.remove(&key);
                ("deleted", json!({}))
            }
        };
        let mut body = json!({ "event": event, "email": key, "at": now / 1_000 });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        for (url, _) in self.hooks.iter().filter(|(_, hook)| hook.on) {
            self.last_id += 1;
            self.owed.insert(self.last_id, Due { at: now, url: url.clone(), tries: 0, body: body.clone() });
        }
        true
    }

    fn truth(&mut self, _now: Timestamp, list: &str, email: &str) -> Look {
        let Some(contact) = self.contacts.get(&email.to_lowercase()) else { return Look::default() };
        let left = list.parse().ok().and_then(|list: u64| contact.lists.get(&list));
        Look {
            exists: true,
            on_list: left.is_some(),
            unsubscribed: left.is_some_and(Option::is_some),
            blocked: contact.block.is_some(),
        }
    }

    fn mailable(&mut self, now: Timestamp, list: &str) -> Vec<String> {
        let all: Vec<String> = self.contacts.keys().cloned().collect();
        all.into_iter().filter(|email| self.truth(now, list, email).mailable()).collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (name, value) {
            ("full", "yes" | "no") => self.full = value == "yes",
            _ => return Err("the only switch is `full`: yes or no".into()),
        }
        Ok(())
    }
}

impl Postbox {
    fn knows(&self, list: u64) -> bool {
        self.lists.iter().any(|(id, _)| *id == list)
    }

    fn create_list(&mut self, name: &str) -> Response {
        if !self.lists.iter().any(|(_, known)| known == name) {
            self.last_id += 1;
            self.lists.push((self.last_id, name.into()));
        }
        let list = self.lists.iter().find(|(_, known)| known == name);
        ok(&list.map_or_else(|| json!({}), |(id, name)| json!({ "id": id, "name": name })))
    }

    fn on_list(&mut self, now: Timestamp, list: u64, verb: &str, query: &str, body: &Value) -> Response {
        let query: Vec<(&str, String)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, decode(value)))
            .collect();
        match verb {
            "status" => {
                let emails = query.iter().filter(|(name, _)| *name == "email");
                let status: Vec<Value> = emails.map(|(_, email)| self.status(list, email)).collect();
                ok(&json!({ "status": status }))
            }
            "members" => {
                let from = query.iter().find(|(name, _)| *name == "from").and_then(|(_, from)| from.parse().ok());
                let from: usize = from.unwrap_or(0);
                let mut all: Vec<(&String, &Contact)> =
                    self.contacts.iter().filter(|(_, contact)| contact.lists.contains_key(&list)).collect();
                all.sort_by_key(|(_, contact)| contact.id);
                let page: Vec<Value> = all
                    .iter()
                    .skip(from)
                    .take(PAGE)
                    .map(|(email, contact)| {
                        let left = contact.lists.get(&list).copied().flatten().is_some();
                        let blocked = contact.block.is_some();
                        json!({ "id": contact.id, "email": email, "left": left, "blocked": blocked })
                    })
                    .collect();
                let next = (all.len() > from + PAGE).then_some(from + PAGE);
                ok(&json!({ "members": page, "next": next }))
            }
            "join" => {
                let again = body["again"] == true;
                let rows = body["members"].as_array().cloned().unwrap_or_default();
                let results: Vec<&str> = rows.iter().map(|row| self.join(list, row, again)).collect();
                ok(&json!({ "results": results }))
            }
            "leave" => {
                let everywhere = body["everywhere"] == true;
                let emails = body["emails"].as_array().cloned().unwrap_or_default();
                for email in &emails {
                    let contact = self.contacts.get_mut(&email.as_str().unwrap_or_default().to_lowercase());
                    let Some(contact) = contact else { continue };
                    contact.lists.entry(list).and_modify(|left| *left = left.or(Some(now)));
                    if everywhere {
                        contact.block = contact.block.or(Some(("left", now)));
                    }
                }
                ok(&json!({ "results": vec!["ok"; emails.len()] }))
            }
            _ => error(404, "path", "there is nothing here"),
        }
    }

    fn status(&self, list: u64, email: &str) -> Value {
        self.contacts.get(&email.to_lowercase()).map_or(Value::Null, |contact| {
            let place = contact.lists.get(&list);
            let (left, blocked) = (place.copied().flatten(), contact.block.map(|(_, at)| at));
            json!({
                "member": place.is_some(), "left": left.is_some(), "left_at": left.map(|at| at / 1_000),
                "blocked": blocked.is_some(), "blocked_at": blocked.map(|at| at / 1_000),
            })
        })
    }

    fn join(&mut self, list: u64, row: &Value, again: bool) -> &'static str {
        let email = text(row, "email").to_lowercase();
        let none = Map::new();
        let names: BTreeSet<&String> = row["fields"].as_object().unwrap_or(&none).keys().collect();
        if !email.contains('@') || !names.iter().all(|name| self.fields.contains_key(*name)) {
            return "invalid";
        }
        if self.full && !self.contacts.contains_key(&email) {
            return "full";
        }
        let phone = row.pointer("/fields/PHONE").and_then(Value::as_str);
        if phone.is_some_and(|phone| *self.phones.entry(phone.into()).or_insert_with(|| email.clone()) != email) {
            return "taken";
        }
        self.last_id += 1;
        let new = Contact { id: self.last_id, lists: BTreeMap::new(), block: None };
        let contact = self.contacts.entry(email).or_insert(new);
        if contact.block.is_some_and(|(why, _)| why != "left" || !again) {
            return "blocked";
        }
        contact.block = None;
        let left = contact.lists.entry(list).or_insert(None);
        if again {
            *left = None;
        }
        if left.is_some() { "left" } else { "ok" }
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn ok(body: &Value) -> Response {
    Response { status: 200, headers: Vec::new(), body: body.to_string().into_bytes() }
}

fn error(status: u16, code: &str, words: &str) -> Response {
    let body = json!({ "error": { "code": code, "words": words } });
    Response { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}
