//! Webhooks: which event goes where, when it is repeated, and when Mailjet gives up (Mailjet sheet 5.2).

use super::account::Account;
use super::answer::uuid;
use super::hooks::{Hook, event};
use super::instant::SECOND;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consentd_provider::Timestamp;
use consentd_provider::emulator::Outgoing;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// An event that no call carries yet.
struct Waiting {
    at: Timestamp,
    url: String,
    grouped: bool,
    event: Value,
}

/// A call that is owed until it is answered with 200.
struct Batch {
    url: String,
    body: Value,
    next: Timestamp,
    on_its_way: bool,
}

#[derive(Default)]
pub(super) struct Courier {
    waiting: Vec<Waiting>,
    batches: BTreeMap<u64, Batch>,
    tests: Vec<&'static str>,
}

impl Courier {
    /// What was meant for one URL goes to another.
    pub(super) fn move_on(&mut self, from: &str, to: &str) {
        let waiting = self.waiting.iter_mut().map(|one| &mut one.url);
        for url in waiting.chain(self.batches.values_mut().map(|one| &mut one.url)).filter(|url| *url == from) {
            to.clone_into(url);
        }
    }
}

impl Account {
    /// The living URL of an event: the first, or the backup while the first is dead.
    fn target(&self, kind: &str) -> Option<&Hook> {
        let at = |backup: bool| self.hooks.values().find(move |hook| hook.event == kind && hook.backup == backup);
        let first = at(false)?;
        if first.dead { at(true).filter(|hook| !hook.dead) } else { Some(first) }
    }

    fn post(&mut self, now: Timestamp, kind: &str, event: Value) {
        let Some(hook) = self.target(kind) else { return };
        let (url, grouped) = (hook.url.clone(), hook.version == 2);
        if self.switches.is("extra_event", "yes") {
            let novelty = json!({ "event": "novelty", "time": now / SECOND, "email": event.get("email") });
            self.courier.waiting.push(Waiting { at: now, url: url.clone(), grouped, event: novelty });
        }
        self.courier.waiting.push(Waiting { at: now, url, grouped, event });
    }

    /// Something happened to a mail.
    pub(super) fn emit(&mut self, now: Timestamp, kind: &'static str, message: u64, more: &Value) {
        let Some(mail) = self.mails.get(&message) else { return };
        let Some(contact) = self.contacts.get(&mail.contact) else { return };
        let mut event = json!({
            "event": kind,
            "time": now / SECOND,
            "MessageID": message,
            "email": contact.email,
            "mj_campaign_id": mail.campaign,
            "mj_contact_id": mail.contact,
            "customcampaign": "",
            "CustomID": mail.custom_id,
            "Payload": mail.payload,
        });
        if let Some(members) = event.as_object_mut() {
            if self.switches.is("message_guid", "yes") {
                members.insert("Message_GUID".into(), uuid(message).into());
            }
            for (name, value) in more.as_object().into_iter().flatten() {
                members.insert(name.clone(), value.clone());
            }
        }
        self.post(now, kind, event);
    }

    /// The test button of the console: no address, no contact, no message (Mailjet sheet 5.3).
    pub(super) fn test(&mut self, kind: &str) -> Result<(), String> {
        let kind = event(kind).ok_or("test_event takes the name of an event")?;
        self.courier.tests.push(kind);
        Ok(())
    }

    /// The calls that are due. Grouped events leave at most once a second for each URL.
    pub(super) fn deliveries(&mut self, now: Timestamp) -> Vec<Outgoing> {
        for kind in std::mem::take(&mut self.courier.tests) {
            let event = json!({
                "event": kind, "time": now / SECOND, "MessageID": 0, "email": "", "mj_campaign_id": 0,
                "mj_contact_id": 0, "customcampaign": "", "CustomID": "", "Payload": "",
            });
            self.post(now, kind, event);
        }
        let aged = self.courier.waiting.iter().filter(|one| now - one.at >= SECOND);
        let ready: BTreeSet<String> = aged.map(|one| one.url.clone()).collect();
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut calls = Vec::new();
        for one in std::mem::take(&mut self.courier.waiting) {
            if !one.grouped {
                calls.push((one.url, one.event));
            } else if ready.contains(&one.url) {
                groups.entry(one.url).or_default().push(one.event);
            } else {
                self.courier.waiting.push(one);
            }
        }
        calls.extend(groups.into_iter().map(|(url, events)| (url, Value::from(events))));
        for (url, body) in calls {
            let id = self.id();
            self.courier.batches.insert(id, Batch { url, body, next: now, on_its_way: false });
        }
        let due = self.courier.batches.iter_mut().filter(|(_, batch)| !batch.on_its_way && batch.next <= now);
        due.map(|(id, batch)| {
            batch.on_its_way = true;
            let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            headers.extend(basic(&batch.url).map(|value| ("authorization".to_owned(), value)));
            Outgoing { id: *id, url: batch.url.clone(), headers, body: batch.body.to_string().into_bytes() }
        })
        .collect()
    }

    /// Anything but 200 is repeated; after a day without one the URL is dead, and what it was owed is lost.
    pub(super) fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        let hours = i64::from(self.switches.number("retry_hours"));
        let pause = i64::from(self.switches.number("retry_seconds")) * SECOND;
        let Some(batch) = self.courier.batches.get_mut(&id) else { return };
        batch.on_its_way = false;
        batch.next = now + pause;
        let url = batch.url.clone();
        let answered = status == Some(200);
        let mut dead = false;
        for hook in self.hooks.values_mut().filter(|hook| hook.url == url) {
            if answered {
                hook.failing_since = None;
            } else if now - *hook.failing_since.get_or_insert(now) >= hours * 3_600 * SECOND {
                hook.dead = true;
            }
            dead |= hook.dead;
        }
        if answered {
            self.courier.batches.remove(&id);
        } else if dead || !self.hooks.values().any(|hook| hook.url == url) {
            self.courier.batches.retain(|_, batch| batch.url != url);
        }
    }
}

/// The credentials of a URL as a header.
fn basic(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (pair, _) = rest.split('/').next()?.rsplit_once('@')?;
    let pair = percent_decode_str(pair).decode_utf8_lossy();
    Some(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}
