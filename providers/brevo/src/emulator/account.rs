//! What an account holds.

use super::answer::{Asked, error, no_method, ok};
use super::hooks::Hooks;
use super::import::Process;
use super::mails::Sent;
use super::stats::Record;
use super::switches::Switches;
use consentd_provider::{Look, Response, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The owner's own address, which cannot be deleted.
pub(super) const OWNER: &str = "owner@brevo-emulator.example";

/// A contact.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    pub(super) id: i64,
    pub(super) email: String,
    pub(super) blocked: bool,
    pub(super) sms_blocked: bool,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) lists: BTreeSet<i64>,
    pub(super) unsubscribed: BTreeSet<i64>,
    pub(super) attributes: Map<String, Value>,
    pub(super) ext_id: String,
    pub(super) records: Vec<Record>,
}

/// A list or a folder.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) name: String,
    /// The folder of a list; 0 for a folder.
    pub(super) folder: i64,
    pub(super) created: Timestamp,
}

/// An attribute that values can be written to.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) category: String,
    pub(super) kind: String,
    /// Further members, as they were given at creation.
    pub(super) rest: Map<String, Value>,
}

/// A block of transactional mail.
#[derive(Debug, Clone)]
pub(super) struct MailBlock {
    pub(super) email: String,
    pub(super) code: &'static str,
    pub(super) at: Timestamp,
}

/// One account.
pub(super) struct Account {
    pub(super) now: Timestamp,
    pub(super) switches: Switches,
    pub(super) contacts: BTreeMap<i64, Contact>,
    pub(super) by_email: HashMap<String, i64>,
    /// Who was last given a number, by attribute and digits; whether it still has it must be checked.
    pub(super) phones: HashMap<(&'static str, String), i64>,
    pub(super) lists: BTreeMap<i64, Group>,
    pub(super) folders: BTreeMap<i64, Group>,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) processes: BTreeMap<i64, Process>,
    pub(super) hooks: Hooks,
    pub(super) mail_blocks: Vec<MailBlock>,
    pub(super) sent: Vec<Sent>,
    /// When which idempotency key was used.
    pub(super) mail_keys: HashMap<String, Timestamp>,
    last_id: i64,
}

impl Default for Account {
    fn default() -> Self {
        let attribute =
            |category: &str, kind: &str| Attribute { category: category.into(), kind: kind.into(), rest: Map::new() };
        let attributes = [
            ("LASTNAME", attribute("normal", "text")),
            ("FIRSTNAME", attribute("normal", "text")),
            ("SMS", attribute("normal", "text")),
            ("BLACKLIST", attribute("global", "")),
        ];
        Self {
            now: 0,
            switches: Switches::default(),
            contacts: BTreeMap::new(),
            by_email: HashMap::new(),
            phones: HashMap::new(),
            lists: BTreeMap::new(),
            folders: BTreeMap::new(),
            attributes: attributes.into_iter().map(|(name, one)| (name.into(), one)).collect(),
            processes: BTreeMap::new(),
            hooks: Hooks::default(),
            mail_blocks: Vec::new(),
            sent: Vec::new(),
            mail_keys: HashMap::new(),
            last_id: 0,
        }
    }
}

impl Account {
    /// Moves the clock and all that goes with it.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.run_processes();
    }

    /// A fresh id of any kind.
    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn by_email(&self, email: &str) -> Option<&Contact> {
        self.by_email.get(&email.to_lowercase()).and_then(|id| self.contacts.get(id))
    }

    /// A contact by what a path or a row names it with.
    pub(super) fn find(&self, identifier: &str, kind: Option<&str>) -> Option<i64> {
        let phone = |name| self.by_phone(name, identifier);
        let number = || identifier.parse().ok().filter(|id| self.contacts.contains_key(id));
        match kind {
            Some("contact_id") => number(),
            Some("ext_id") => {
                let mut contacts = self.contacts.values();
                contacts.find(|one| !identifier.is_empty() && one.ext_id == identifier).map(|one| one.id)
            }
            Some("phone_id") => phone("SMS"),
            Some("whatsapp_id") => phone("WHATSAPP"),
            Some("landline_number_id") => phone("LANDLINE_NUMBER"),
            Some("email_id") => self.by_email(identifier).map(|contact| contact.id),
            _ => self.by_email(identifier).map(|contact| contact.id).or_else(number).or_else(|| phone("SMS")),
        }
    }

    /// The contact that has a number.
    pub(super) fn by_phone(&self, name: &'static str, number: &str) -> Option<i64> {
        let digits = digits(number)?;
        let held = |contact: &Contact| contact.attributes.get(name).and_then(phone);
        let id = *self.phones.get(&(name, digits.clone()))?;
        self.contacts.get(&id).filter(|contact| held(contact) == Some(digits)).map(|contact| contact.id)
    }

    pub(super) fn drop_contact(&mut self, id: i64) -> Option<Contact> {
        let contact = self.contacts.remove(&id)?;
        self.by_email.remove(&contact.email);
        Some(contact)
    }

    pub(super) fn truth(&self, list: &str, email: &str) -> Look {
        let (Some(contact), list) = (self.by_email(email), list.parse().unwrap_or(0)) else { return Look::default() };
        Look {
            exists: true,
            on_list: contact.lists.contains(&list),
            unsubscribed: contact.unsubscribed.contains(&list),
            blocked: contact.blocked,
        }
    }

    pub(super) fn mailable(&self, list: &str) -> Vec<String> {
        let list: i64 = list.parse().unwrap_or(0);
        let reached = self.contacts.values().filter(|contact| {
            contact.lists.contains(&list) && !contact.unsubscribed.contains(&list) && !contact.blocked
        });
        reached.map(|contact| contact.email.clone()).collect()
    }

    /// The lists of a body, all of which must exist.
    pub(super) fn list_ids(&self, body: &Value, name: &str) -> Result<BTreeSet<i64>, Response> {
        let wrong = || error(400, "invalid_parameter", &format!("{name} is not valid"));
        match body.get(name) {
            None | Some(Value::Null) => Ok(BTreeSet::new()),
            Some(Value::Array(ids)) => {
                let known = ids.iter().map(|id| id.as_i64().filter(|id| self.lists.contains_key(id)));
                known.collect::<Option<_>>().ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }
}

pub(super) fn facts(asked: &Asked) -> Result<Response, Response> {
    if asked.method != "GET" {
        return no_method();
    }
    ok(&json!({
        "organization_id": "5f0000000000000000000001",
        "email": OWNER, "firstName": "Emulated", "lastName": "Owner", "companyName": "Emulated Company",
        "address": { "street": "1 rue de l'Exemple", "city": "Paris", "zipCode": "75001", "country": "France" },
        "plan": [{ "type": "free", "credits": 300, "creditsType": "sendLimit" }],
        "relay": {
            "enabled": true,
            "data": { "userName": OWNER, "relay": "smtp-relay.brevo-emulator.example", "port": 587 },
        },
        "marketingAutomation": { "enabled": false },
    }))
}

pub(super) fn senders(asked: &Asked) -> Result<Response, Response> {
    if asked.method != "GET" {
        return no_method();
    }
    ok(&json!({ "senders": [{ "id": 1, "name": "Emulated Company", "email": OWNER, "active": true, "ips": [] }] }))
}

/// The number that an attribute holds.
pub(super) fn phone(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => digits(text),
        Value::Number(number) => digits(&number.to_string()),
        _ => None,
    }
}

/// Phone numbers agree when their digits do, without leading zeros.
fn digits(text: &str) -> Option<String> {
    if !text.chars().all(|c| c.is_ascii_digit() || "+ -().".contains(c)) {
        return None;
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    (!digits.is_empty()).then(|| digits.to_owned())
}
