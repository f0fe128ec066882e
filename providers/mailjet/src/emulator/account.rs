//! What one API key holds: a closed world of contacts, lists, jobs and webhooks (Mailjet sheet 1.8).

use super::answer::{self, Answer};
use super::ask;
use super::events::Courier;
use super::hooks::Hook;
use super::instant::SECOND;
use super::jobs::Job;
use super::mail::Mail;
use super::switches::Switches;
use consentd_provider::{Look, Response, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Where message ids begin: no double can hold them (Mailjet sheet 1.4).
const FIRST_MESSAGE: u64 = 576_460_772_022_727_317;
/// Accounts share no id, so that an id leads to its account.
const APART: u64 = 1_000_000_000;

#[derive(Clone, Default)]
pub(super) struct Contact {
    pub(super) id: u64,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) excluded: bool,
    pub(super) excluded_at: Option<Timestamp>,
    pub(super) complained: bool,
    /// It bounced for good; further mail is "preblocked".
    pub(super) bounced: bool,
    pub(super) anonymised: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) active: Timestamp,
    pub(super) delivered: u64,
    pub(super) properties: Map<String, Value>,
}

pub(super) struct List {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) created: Timestamp,
    pub(super) deleted: bool,
}

/// A contact on a list: the consent record of Mailjet.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) contact: u64,
    pub(super) list: u64,
    pub(super) unsubscribed: bool,
    pub(super) subscribed_at: Timestamp,
    pub(super) unsubscribed_at: Option<Timestamp>,
}

pub(super) struct Field {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) namespace: String,
}

/// What is done to a contact on a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    AddForce,
    AddNoForce,
    Unsub,
    Remove,
}

impl Action {
    pub(super) fn read(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "addforce" => Self::AddForce,
            "addnoforce" => Self::AddNoForce,
            "unsub" => Self::Unsub,
            "remove" => Self::Remove,
            _ => return None,
        })
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::AddForce => "addforce",
            Self::AddNoForce => "addnoforce",
            Self::Unsub => "unsub",
            Self::Remove => "remove",
        }
    }
}

/// One API key.
#[derive(Default)]
pub(super) struct Account {
    pub(super) switches: Switches,
    last: u64,
    messages: u64,
    pub(super) contacts: BTreeMap<u64, Contact>,
    emails: BTreeMap<String, u64>,
    pub(super) lists: BTreeMap<u64, List>,
    pub(super) rows: BTreeMap<u64, Row>,
    places: BTreeMap<(u64, u64), u64>,
    pub(super) fields: BTreeMap<u64, Field>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) uploads: BTreeMap<u64, String>,
    pub(super) hooks: BTreeMap<u64, Hook>,
    pub(super) courier: Courier,
    pub(super) mails: BTreeMap<u64, Mail>,
    calls: VecDeque<Timestamp>,
    pub(super) replays: BTreeMap<String, Response>,
}

impl Account {
    pub(super) fn new(number: usize, switches: Switches) -> Self {
        let number = u64::try_from(number).unwrap_or(0);
        Self {
            switches,
            last: number * APART,
            messages: FIRST_MESSAGE + number * APART,
            ..Self::default()
        }
    }

    pub(super) const fn id(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) const fn message_id(&mut self) -> u64 {
        self.messages += 1;
        self.messages
    }

    /// Whether this call comes too soon after the others.
    pub(super) fn throttles(&mut self, now: Timestamp) -> bool {
        let limit = usize::try_from(self.switches.number("limit_calls")).unwrap_or(0);
        if limit == 0 {
            return false;
        }
        let window = i64::from(self.switches.number("limit_seconds")) * SECOND;
        self.calls.retain(|at| now - at < window);
        if self.calls.len() >= limit {
            return true;
        }
        self.calls.push_back(now);
        false
    }

    fn key(&self, email: &str) -> String {
        if self.switches.is("email_case", "kept") { email.to_owned() } else { email.to_lowercase() }
    }

    pub(super) fn by_email(&self, email: &str) -> Option<u64> {
        self.emails.get(&self.key(email)).copied()
    }

    /// A contact by number or address (Mailjet sheet 1.1).
    pub(super) fn named(&self, name: &str) -> Result<u64, Response> {
        let found = if name.contains('@') { self.by_email(name) } else { name.parse().ok() };
        found.filter(|id| self.contacts.contains_key(id)).ok_or_else(answer::not_found)
    }

    /// The contact of an address, created if need be and if the plan has room for it.
    pub(super) fn upsert(&mut self, now: Timestamp, email: &str) -> Result<u64, Response> {
        let known = self.by_email(email);
        self.room(known.is_some())?;
        match known {
            Some(id) => Ok(id),
            None => Ok(self.create(now, email)),
        }
    }

    /// A new contact, whatever the plan says.
    pub(super) fn create(&mut self, now: Timestamp, email: &str) -> u64 {
        let id = self.id();
        self.emails.insert(self.key(email), id);
        let stored = if self.switches.is("email_storage", "lower") { email.to_lowercase() } else { email.to_owned() };
        self.contacts
            .insert(id, Contact { id, email: stored, created: now, updated: now, active: now, ..Contact::default() });
        id
    }

    /// Wording of a free account, which was seen for every action (Mailjet sheet 7).
    pub(super) fn room(&self, known: bool) -> Result<(), Response> {
        let full = self.switches.is("full", "all") || self.switches.is("full", "hard");
        if full || (!known && self.switches.is("full", "new")) {
            return Err(answer::refusal(400, "Number of contacts exceeds maximum allowed for free accounts"));
        }
        Ok(())
    }

    pub(super) fn row(&self, list: u64, contact: u64) -> Option<&Row> {
        self.rows.get(self.places.get(&(list, contact))?)
    }

    pub(super) fn row_mut(&mut self, list: u64, contact: u64) -> Option<&mut Row> {
        self.rows.get_mut(self.places.get(&(list, contact))?)
    }

    /// The rows of a list, or all.
    pub(super) fn rows_of(&self, list: Option<u64>) -> Vec<&Row> {
        let Some(list) = list else { return self.rows.values().collect() };
        let mut ids: Vec<u64> = self.places.range((list, 0)..=(list, u64::MAX)).map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.rows.get(id)).collect()
    }

    pub(super) fn remove_row(&mut self, id: u64) -> bool {
        let Some(row) = self.rows.remove(&id) else { return false };
        self.places.remove(&(row.list, row.contact));
        true
    }

    pub(super) fn add_row(&mut self, now: Timestamp, list: u64, contact: u64, unsubscribed: bool) -> u64 {
        let id = self.id();
        let unsubscribed_at = unsubscribed.then_some(now);
        self.rows.insert(id, Row { id, contact, list, unsubscribed, subscribed_at: now, unsubscribed_at });
        self.places.insert((list, contact), id);
        id
    }

    /// The table of actions (Mailjet sheet 3.5).
    pub(super) fn act(&mut self, now: Timestamp, list: u64, contact: u64, action: Action) -> Result<(), Response> {
        let clears = self.switches.is("addforce_clears", "yes");
        let Some(row) = self.row_mut(list, contact) else {
            match action {
                Action::Remove => {}
                Action::Unsub if self.switches.is("unsub_nonmember", "none") => {}
                Action::Unsub if self.switches.is("unsub_nonmember", "refuse") => {
                    return Err(answer::refusal(400, "The contact is not a member of the list"));
                }
                _ => drop(self.add_row(now, list, contact, action == Action::Unsub)),
            }
            return Ok(());
        };
        match action {
            Action::AddForce if row.unsubscribed => {
                row.unsubscribed = false;
                row.subscribed_at = now;
                if clears {
                    row.unsubscribed_at = None;
                }
            }
            Action::Unsub if !row.unsubscribed => {
                row.unsubscribed = true;
                row.unsubscribed_at = Some(now);
            }
            Action::AddForce | Action::AddNoForce | Action::Unsub => {}
            Action::Remove => {
                let id = row.id;
                self.remove_row(id);
            }
        }
        Ok(())
    }

    /// Sets or lifts the exclusion from all campaigns; says whether that changed anything.
    pub(super) fn exclude(&mut self, now: Timestamp, contact: u64, excluded: bool) -> bool {
        let Some(contact) = self.contacts.get_mut(&contact) else { return false };
        if contact.excluded == excluded {
            return false;
        }
        contact.excluded = excluded;
        contact.excluded_at = Some(now);
        contact.updated = now;
        true
    }

    /// Checks property values against their definitions and gives them by their stored names.
    pub(super) fn properties(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, Vec<Value>> {
        let (mut good, mut bad) = (Map::new(), Vec::new());
        for (name, value) in given {
            let folded = name.to_lowercase();
            match self.fields.values().find(|field| field.name == folded) {
                None => bad.push(json!({ name: "Property not defined" })),
                Some(field) => match typed(&field.datatype, value) {
                    Some(value) => drop(good.insert(folded, value)),
                    None => bad.push(json!({ name: "Property type does not match definition" })),
                },
            }
        }
        if bad.is_empty() { Ok(good) } else { Err(bad) }
    }

    /// Overwrites the name and the properties that are given; `null` clears one.
    pub(super) fn describe(&mut self, now: Timestamp, id: u64, name: Option<&str>, properties: Map<String, Value>) {
        let Some(contact) = self.contacts.get_mut(&id) else { return };
        if let Some(name) = name {
            name.clone_into(&mut contact.name);
        }
        for (name, value) in properties {
            if value.is_null() {
                contact.properties.remove(&name);
            } else {
                contact.properties.insert(name, value);
            }
        }
        contact.updated = now;
    }

    /// Anonymises a contact at once: id and row of the contact stay, what it was on is forgotten (Mailjet sheet 3.9).
    pub(super) fn anonymise(&mut self, now: Timestamp, id: u64) -> Answer {
        let Some(contact) = self.contacts.get_mut(&id).filter(|contact| !contact.anonymised) else {
            return Err(answer::not_found());
        };
        let email = std::mem::replace(&mut contact.email, format!("\\x{id:032x}@domain.invalid"));
        "Anonymized".clone_into(&mut contact.name);
        contact.anonymised = true;
        contact.updated = now;
        contact.properties.clear();
        let key = self.key(&email);
        self.emails.remove(&key);
        let rows: Vec<u64> = self.rows.values().filter(|row| row.contact == id).map(|row| row.id).collect();
        for row in rows {
            self.remove_row(row);
        }
        Ok(answer::bare(200))
    }

    /// A list that is there and not deleted.
    pub(super) fn list(&self, id: Option<u64>) -> Result<u64, Response> {
        id.filter(|id| self.lists.get(id).is_some_and(|list| !list.deleted)).ok_or_else(answer::not_found)
    }

    /// What is true about an address on a list. A block that no call of the API shows, such as the one that follows
    /// a bounce, is not counted.
    pub(super) fn truth(&self, list: u64, email: &str) -> Look {
        let found = self.by_email(email).and_then(|id| self.contacts.get(&id));
        let Some(contact) = found else { return Look::default() };
        let row = self.row(list, contact.id);
        Look {
            exists: true,
            on_list: row.is_some(),
            unsubscribed: row.is_some_and(|row| row.unsubscribed),
            blocked: contact.excluded || contact.complained,
        }
    }
}

/// A value in the type of its property, or none.
fn typed(datatype: &str, value: &Value) -> Option<Value> {
    let whole = |text: &str| text.parse::<i64>().ok().map(Value::from);
    match (datatype, value) {
        (_, Value::Null) => Some(Value::Null),
        ("bool", value) => ask::flag(value).map(Value::Bool),
        ("int", Value::Number(number)) => number.as_i64().map(Value::from),
        ("int", Value::String(text)) => whole(text),
        ("float", Value::Number(_)) | ("str" | "datetime", Value::String(_)) => Some(value.clone()),
        ("float", Value::String(text)) => text.parse::<f64>().ok().map(Value::from),
        ("datetime", Value::Number(number)) => number.as_i64().map(Value::from),
        ("str", Value::Number(number)) => Some(Value::from(number.to_string())),
        ("str", Value::Bool(flag)) => Some(Value::from(flag.to_string())),
        _ => None,
    }
}

/// Whether something could be an address at all.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let labels = domain.split('.').count() > 1 && domain.split('.').all(|label| !label.is_empty());
    !local.is_empty() && labels && !domain.contains('@') && !text.contains(char::is_whitespace) && text.len() <= 254
}
