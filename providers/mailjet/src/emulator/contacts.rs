//! `/contact` (Mailjet sheet 3.1).

use super::account::{Account, Contact, is_address};
use super::answer::{self, Answer, invalid, page, refusal, row};
use super::ask::{Ask, flag};
use super::instant::{stamp, stamp_or_empty};
use serde_json::{Value, json};

/// What a contact may not be given (Mailjet sheet 3.1).
const READ_ONLY: &[&str] = &[
    "ID",
    "IsOptInPending",
    "IsSpamComplaining",
    "CreatedAt",
    "LastActivityAt",
    "LastUpdateAt",
    "ExclusionFromCampaignsUpdatedAt",
    "DeliveredCount",
    "UnsubscribedAt",
    "UnsubscribedBy",
];

/// The deprecated fields stay empty even for the unsubscribed (Mailjet sheet 3.1).
pub(super) fn show(contact: &Contact) -> Value {
    json!({
        "CreatedAt": stamp(contact.created),
        "DeliveredCount": contact.delivered,
        "Email": contact.email,
        "ExclusionFromCampaignsUpdatedAt": stamp_or_empty(contact.excluded_at),
        "ID": contact.id,
        "IsExcludedFromCampaigns": contact.excluded,
        "IsOptInPending": false,
        "IsSpamComplaining": contact.complained,
        "LastActivityAt": stamp(contact.active),
        "LastUpdateAt": stamp(contact.updated),
        "Name": contact.name,
        "UnsubscribedAt": "",
        "UnsubscribedBy": "",
    })
}

impl Account {
    /// Contacts that the common filters of `/contact` and `/contactdata` let through, by id.
    pub(super) fn filtered(&self, ask: &Ask) -> Vec<&Contact> {
        let listed = ask.filter("contactslist").map(|list| {
            let mut ids: Vec<u64> = self.rows_of(Some(list.parse().unwrap_or(0))).iter().map(|row| row.contact).collect();
            ids.sort_unstable();
            ids
        });
        let anonymised = ask.flag("includeanonymized") == Some(true);
        let excluded = ask.flag("isexcludedfromcampaigns");
        let email = ask.filter("email").or_else(|| ask.filter("emailci")).or_else(|| ask.filter("contactemail"));
        let part = ask.filter("emaillike").or_else(|| ask.filter("emaillikeci"));
        let all: Vec<&Contact> = match (listed, email) {
            (_, Some(email)) if self.by_email(email).is_none() => Vec::new(),
            (listed, Some(email)) => {
                let found = self.by_email(email).and_then(|id| self.contacts.get(&id));
                found.into_iter().filter(|one| listed.as_ref().is_none_or(|ids| ids.contains(&one.id))).collect()
            }
            (Some(ids), None) => ids.iter().filter_map(|id| self.contacts.get(id)).collect(),
            (None, None) => self.contacts.values().collect(),
        };
        // The filter `IsUnsubscribed` is accepted and does nothing (Mailjet sheet 3.1).
        all.into_iter()
            .filter(|contact| anonymised || !contact.anonymised)
            .filter(|contact| excluded.is_none_or(|excluded| contact.excluded == excluded))
            .filter(|contact| part.is_none_or(|part| contact.email.to_lowercase().contains(&part.to_lowercase())))
            .collect()
    }

    pub(super) fn contact_rows(&self, ask: &Ask) -> Answer {
        Ok(page(ask, &self.filtered(ask), |contact| show(contact)))
    }

    pub(super) fn contact(&self, ask: &Ask) -> Answer {
        let id = self.named(ask.part(3))?;
        self.contacts.get(&id).map(|contact| row(200, show(contact))).ok_or_else(answer::not_found)
    }

    pub(super) fn create_contact(&mut self, ask: &Ask) -> Answer {
        if let Some(name) = ask.stranger(&["Email", "Name", "IsExcludedFromCampaigns"]) {
            return Err(self.not_settable("TContact", name));
        }
        let email = ask.text("email").unwrap_or_default().trim().to_owned();
        if !is_address(&email) {
            return Err(invalid(&json!({ "Email": "MJ08 Property email is invalid: MJ03 A non-empty value is required" })));
        }
        if self.by_email(&email).is_some() {
            return Err(answer::duplicate("Contact", &email, "Email"));
        }
        let id = self.upsert(ask.now, &email)?;
        self.describe(ask.now, id, ask.text("name"), serde_json::Map::new());
        if let Some(excluded) = ask.get("isexcludedfromcampaigns").and_then(flag) {
            self.exclude(ask.now, id, excluded);
        }
        self.contacts.get(&id).map(|contact| row(201, show(contact))).ok_or_else(answer::not_found)
    }

    pub(super) fn update_contact(&mut self, ask: &Ask) -> Answer {
        let id = self.named(ask.part(3))?;
        if let Some(name) = ask.stranger(&["Name", "IsExcludedFromCampaigns"]) {
            return Err(self.not_settable("TContact", name));
        }
        let mut changed = false;
        if let Some(excluded) = ask.get("isexcludedfromcampaigns") {
            let Some(excluded) = flag(excluded) else {
                return Err(invalid(&json!({ "IsExcludedFromCampaigns": "MJ08 Property type does not match definition" })));
            };
            changed |= self.exclude(ask.now, id, excluded);
        }
        if let Some(name) = ask.text("name").filter(|name| self.contacts.get(&id).is_some_and(|one| one.name != *name)) {
            self.describe(ask.now, id, Some(name), serde_json::Map::new());
            changed = true;
        }
        if !changed && self.switches.is("noop_put", "304") {
            return Ok(answer::bare(304));
        }
        self.contacts.get(&id).map(|contact| row(200, show(contact))).ok_or_else(answer::not_found)
    }

    /// A property that exists but may not be set was once answered with 401 (Mailjet sheet 1.2).
    pub(super) fn not_settable(&self, resource: &str, name: &str) -> consentd_provider::Response {
        if !READ_ONLY.iter().chain(&["Email"]).any(|known| known.eq_ignore_ascii_case(name)) {
            return answer::strange(resource, name);
        }
        let words = format!("MJ19 Setting a value for property \"{name}\" is not allowed");
        refusal(self.switches.status("readonly_status"), &words)
    }
}
