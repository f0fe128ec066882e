//! What happens without consentd's doing, and the events that tell of it (Brevo sheet 5.3 to 5.5).

use super::account::{Account, Contact, MailBlock};
use super::answer::{local_time, utc};
use super::mails::Sent;
use super::stats::Kind;
use consentd_provider::Timestamp;
use consentd_provider::emulator::Happening;
use serde_json::{Map, Value, json};

const SECOND: i64 = 1_000_000;
/// The only campaign there is.
const CAMPAIGN: i64 = 21;

impl Account {
    pub(super) fn happen(&mut self, email: &str, what: &Happening) -> bool {
        let email = email.to_lowercase();
        if let Happening::HostileImport(list) = what {
            self.hostile_import(&email, list.parse().unwrap_or(0));
            return true;
        }
        let Some(id) = self.find(&email, Some("email_id")) else { return false };
        match what {
            Happening::Unsubscribes(list) => self.unsubscribes(id, list.as_deref().and_then(|list| list.parse().ok())),
            Happening::Complains => {
                self.block(id, Kind::Complaint, Some(CAMPAIGN));
                self.mail_block(&email, "contactFlaggedAsSpam");
                let spelling = self.switches.word("spam_spelling").to_owned();
                self.tell_of_campaign(&email, &spelling, "spam", &[("reason", json!("Complaint"))]);
            }
            Happening::HardBounces => {
                self.block(id, Kind::HardBounce, Some(CAMPAIGN));
                self.mail_block(&email, "hardBounce");
                let spelling = self.switches.word("bounce_spelling").to_owned();
                let reason = json!("550 5.1.1 The email account that you tried to reach does not exist");
                self.tell_of_campaign(&email, &spelling, "hardBounce", &[("reason", reason)]);
            }
            Happening::SoftBounces => {
                self.record(id, Kind::SoftBounce, Some(CAMPAIGN));
                let reason = json!("452 4.2.2 Mailbox full");
                self.tell_of_campaign(&email, "soft_bounce", "softBounce", &[("reason", reason)]);
            }
            Happening::Blocked => {
                self.mail_block(&email, "hardBounce");
                let sent = self.mail(&email);
                self.tell_of_mail(&sent, "blocked", "blocked", "blocked : due to blacklist user");
            }
            Happening::UnsubscribedByStaff(_) => {
                self.block(id, Kind::UnsubscribedByStaff, None);
                self.tell_of_block(&email);
            }
            Happening::Deleted => {
                if let Some(contact) = self.drop_contact(id) {
                    self.tell_of_deletion(&contact);
                }
            }
            Happening::HostileImport(_) => {}
        }
        true
    }

    /// Account-wide, unless the account has unsubscription by list.
    fn unsubscribes(&mut self, id: i64, list: Option<i64>) {
        let by_list = self.switches.is("list_unsubscription", "yes");
        match (list, self.contacts.get_mut(&id)) {
            (Some(list), Some(contact)) if by_list => {
                contact.unsubscribed.insert(list);
                contact.modified = self.now;
                contact.record(self.now, Kind::Unsubscribed, Some(CAMPAIGN));
            }
            _ => self.block(id, Kind::Unsubscribed, Some(CAMPAIGN)),
        }
        let email = self.contacts.get(&id).map(|contact| contact.email.clone()).unwrap_or_default();
        let spelling = self.switches.word("unsubscribe_spelling").to_owned();
        let lists: Vec<i64> = list.into_iter().collect();
        self.tell_of_campaign(&email, &spelling, "unsubscribed", &[("list_id", json!(lists))]);
    }

    fn record(&mut self, id: i64, kind: Kind, campaign: Option<i64>) {
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.record(self.now, kind, campaign);
        }
    }

    fn block(&mut self, id: i64, kind: Kind, campaign: Option<i64>) {
        self.record(id, kind, campaign);
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.blocked = true;
            contact.modified = self.now;
        }
    }

    fn mail_block(&mut self, email: &str, code: &'static str) {
        self.mail_blocks.push(MailBlock { email: email.into(), code, at: self.now });
    }

    fn hostile_import(&mut self, email: &str, list: i64) {
        let id = match self.find(email, Some("email_id")) {
            Some(id) => id,
            None => self.add(email, &json!({})).unwrap_or(0),
        };
        let Some(contact) = self.contacts.get_mut(&id) else { return };
        contact.blocked = false;
        contact.unsubscribed.clear();
        contact.lists.insert(list);
        contact.modified = self.now;
        self.tell_of_addition(email, &[list]);
    }

    /// Which event a block from outside a campaign sends is not documented.
    fn tell_of_block(&mut self, email: &str) {
        match self.switches.word("block_event") {
            "unsubscribe" => {
                let spelling = self.switches.word("unsubscribe_spelling").to_owned();
                self.tell_of_campaign(email, &spelling, "unsubscribed", &[("list_id", json!([]))]);
            }
            "contact_updated" => self.tell_of_update(email, json!({ "email": email, "emailBlacklist": true })),
            _ => {}
        }
    }

    /// The events of a change by the API.
    pub(super) fn tell_of_change(&mut self, before: &Contact, after: &Contact, created: bool) {
        if self.switches.is("api_events", "no") {
            return;
        }
        let added: Vec<i64> = after.lists.difference(&before.lists).copied().collect();
        if !added.is_empty() {
            self.tell_of_addition(&after.email, &added);
        }
        if !created && before.attributes != after.attributes {
            let changed: Map<String, Value> = after
                .attributes
                .iter()
                .filter(|(name, value)| before.attributes.get(*name) != Some(value))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            self.tell_of_update(&after.email, json!({ "email": after.email, "attributes": changed }));
        }
        if after.blocked && !before.blocked {
            self.tell_of_block(&after.email);
        }
    }

    fn tell_of_addition(&mut self, email: &str, lists: &[i64]) {
        let payload = self.contact_event("list_addition", &[("email", json!(email)), ("list_id", json!(lists))]);
        self.hooks.fire(self.now, "marketing", "listAddition", &payload);
    }

    fn tell_of_update(&mut self, email: &str, content: Value) {
        let members = [("email", json!(email)), ("content", Value::Array(vec![content]))];
        let payload = self.contact_event("contact_updated", &members);
        self.hooks.fire(self.now, "marketing", "contactUpdated", &payload);
    }

    pub(super) fn tell_of_deletion(&mut self, contact: &Contact) {
        let mut payload = self.contact_event("contact_deleted", &[("email", json!([contact.email]))]);
        payload.insert("date".into(), utc(self.now).into());
        self.hooks.fire(self.now, "marketing", "contactDeleted", &payload);
    }

    /// Contact events have their date in UTC.
    fn contact_event(&self, event: &str, members: &[(&str, Value)]) -> Map<String, Value> {
        let mut payload: Map<String, Value> =
            members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        payload.insert("event".into(), event.into());
        payload.insert("date".into(), local_time(self.now, ' ').into());
        payload.insert("ts".into(), (self.now / SECOND).into());
        payload
    }

    /// `ts_event` has been seen as a local time that was read as UTC.
    fn event_seconds(&self) -> Timestamp {
        let offset = if self.switches.is("ts_event", "local") { self.switches.number("utc_offset") * 60 } else { 0 };
        self.now / SECOND + offset
    }

    fn tell_of_campaign(&mut self, email: &str, event: &str, name: &str, members: &[(&str, Value)]) {
        let seconds = self.event_seconds();
        let local = local_time(self.now + self.switches.number("utc_offset") * 60 * SECOND, ' ');
        let payload = json!({
            "event": event, "email": email, "camp_id": CAMPAIGN, "campaign name": "An emulated campaign", "tag": "",
            "date_sent": local, "date_event": local, "ts_sent": seconds, "ts_event": seconds, "ts": seconds,
        });
        let mut payload = payload.as_object().cloned().unwrap_or_default();
        payload.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        self.hooks.fire(self.now, "marketing", name, &payload);
    }

    pub(super) fn tell_of_mail(&mut self, sent: &Sent, event: &str, name: &str, reason: &str) {
        let seconds = self.event_seconds();
        let local = local_time(self.now + self.switches.number("utc_offset") * 60 * SECOND, ' ');
        let payload = json!({
            "event": event, "email": sent.email, "date": local, "ts": seconds, "ts_event": seconds,
            "ts_epoch": self.now / 1_000, "message-id": sent.message_id, "subject": sent.subject,
            "X-Mailin-custom": "", "sending_ip": "192.0.2.1", "template_id": 0, "tags": [], "contact_id": 0,
            "sender_email": sent.from,
        });
        let mut payload = payload.as_object().cloned().unwrap_or_default();
        if !reason.is_empty() {
            payload.insert("reason".into(), reason.into());
        }
        self.hooks.fire(self.now, "transactional", name, &payload);
    }
}
