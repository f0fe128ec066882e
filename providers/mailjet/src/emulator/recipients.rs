//! `/listrecipient`: who is on which list, and how (Mailjet sheet 3.4).

use super::account::{Account, Row};
use super::answer::{self, Answer, bare, page, refusal, row};
use super::ask::{Ask, flag, number};
use super::instant::{stamp, stamp_or_empty};
use consentd_provider::Response;
use serde_json::{Value, json};

impl Account {
    fn show_row(&self, row: &Row, full: bool) -> Value {
        let name = self.lists.get(&row.list).map_or("", |list| list.name.as_str());
        let mut shown = json!({
            "ContactID": row.contact,
            "ID": row.id,
            "IsActive": true,
            "IsUnsubscribed": row.unsubscribed,
            "ListID": row.list,
            "ListName": name,
            "SubscribedAt": stamp(row.subscribed_at),
            "UnsubscribedAt": stamp_or_empty(row.unsubscribed_at),
        });
        // What `Style=full` adds is known from one reader only (Mailjet sheet 3.4).
        if let (true, Some(contact), Some(members)) = (full, self.contacts.get(&row.contact), shown.as_object_mut()) {
            let person = json!({ "ID": contact.id, "Name": contact.name, "Email": { "Email": contact.email } });
            members.insert("Contact".into(), person);
            members.insert("List".into(), json!({ "ID": row.list, "Name": name }));
        }
        shown
    }

    pub(super) fn recipient_rows(&self, ask: &Ask) -> Answer {
        let named = |name: &str| self.lists.values().find(|list| list.name == name).map_or(0, |list| list.id);
        let list = match (ask.filter("contactslist"), ask.filter("listname")) {
            (Some(list), _) => Some(list.parse().unwrap_or(0)),
            (None, name) => name.map(named),
        };
        let contact = match (ask.filter("contact"), ask.filter("contactemail")) {
            (Some(contact), _) => Some(contact.parse().unwrap_or(0)),
            (None, email) => email.map(|email| self.by_email(email).unwrap_or(0)),
        };
        let (unsubscribed, excluded) = (ask.flag("unsub"), ask.flag("isexcludedfromcampaigns"));
        let lives = |row: &Row| !self.lists.get(&row.list).is_some_and(|list| list.deleted);
        let visible = |row: &Row| ask.flag("ignoredeleted") != Some(true) || lives(row);
        let is_excluded = |row: &Row| self.contacts.get(&row.contact).is_some_and(|contact| contact.excluded);
        let rows = match (list, contact) {
            (Some(list), Some(contact)) => self.row(list, contact).into_iter().collect(),
            (list, _) => self.rows_of(list),
        };
        let all: Vec<&Row> = rows
            .into_iter()
            .filter(|row| contact.is_none_or(|contact| row.contact == contact) && visible(row))
            .filter(|row| unsubscribed.is_none_or(|wanted| row.unsubscribed == wanted))
            .filter(|row| excluded.is_none_or(|wanted| is_excluded(row) == wanted))
            .collect();
        let full = ask.filter("style").is_some_and(|style| style.eq_ignore_ascii_case("full"));
        Ok(page(ask, &all, |row| self.show_row(row, full)))
    }

    pub(super) fn recipient(&self, ask: &Ask) -> Answer {
        let found = ask.id(3).and_then(|id| self.rows.get(&id));
        found.map(|found| row(200, self.show_row(found, false))).ok_or_else(answer::not_found)
    }

    /// Contact and list must exist (Mailjet sheet 3.4).
    pub(super) fn create_recipient(&mut self, ask: &Ask) -> Answer {
        if let Some(name) = ask.stranger(&["ContactID", "ContactAlt", "ListID", "ListAlt", "IsUnsubscribed"]) {
            return Err(self.not_settable("TListRecipient", name));
        }
        let unresolved = |property: &str, key: &str| {
            let words =
                format!("Property \"{property}\", alternate key value \"{key}\" could not be resolved to an ID");
            refusal(400, &words)
        };
        let contact = match (ask.get("contactid").and_then(number), ask.text("contactalt")) {
            (Some(id), _) => Some(id).filter(|id| self.contacts.contains_key(id)),
            (None, alt) => alt.and_then(|alt| self.by_email(alt)),
        };
        let contact = contact.ok_or_else(|| unresolved("Contact", ask.text("contactalt").unwrap_or_default()))?;
        let list = match (ask.get("listid").and_then(number), ask.text("listalt")) {
            (Some(id), _) => Some(id),
            (None, alt) => self.lists.values().find(|list| Some(list.name.as_str()) == alt).map(|list| list.id),
        };
        let list = self.list(list).map_err(|_| unresolved("List", ask.text("listalt").unwrap_or_default()))?;
        if self.row(list, contact).is_some() {
            return Err(answer::duplicate("ListRecipient", &format!("{contact}|{list}"), "Contact|List"));
        }
        self.room(true)?;
        let unsubscribed = ask.get("isunsubscribed").and_then(flag).unwrap_or(false);
        let id = self.add_row(ask.now, list, contact, unsubscribed);
        self.rows.get(&id).map(|new| row(201, self.show_row(new, false))).ok_or_else(answer::not_found)
    }

    pub(super) fn update_recipient(&mut self, ask: &Ask) -> Answer {
        let id = ask.id(3).filter(|id| self.rows.contains_key(id)).ok_or_else(answer::not_found)?;
        if let Some(name) = ask.stranger(&["IsUnsubscribed"]) {
            return Err(self.not_settable("TListRecipient", name));
        }
        if self.switches.is("full", "hard") {
            return Err(refusal(400, "Number of contacts exceeds maximum allowed for free accounts"));
        }
        let Some(wanted) = ask.get("isunsubscribed").and_then(flag) else { return Ok(self.unchanged(id)) };
        let clears = self.switches.is("addforce_clears", "yes");
        let Some(found) = self.rows.get_mut(&id) else { return Err(answer::not_found()) };
        if found.unsubscribed == wanted {
            return Ok(self.unchanged(id));
        }
        found.unsubscribed = wanted;
        if wanted {
            found.unsubscribed_at = Some(ask.now);
            let (list, contact) = (found.list, found.contact);
            self.unsubscribed_by_api(ask.now, list, contact);
        } else if clears {
            found.unsubscribed_at = None;
        }
        Ok(self.whole(id))
    }

    fn whole(&self, id: u64) -> Response {
        self.rows.get(&id).map_or_else(answer::not_found, |found| row(200, self.show_row(found, false)))
    }

    fn unchanged(&self, id: u64) -> Response {
        if self.switches.is("noop_put", "304") { bare(304) } else { self.whole(id) }
    }

    /// Takes the memory of an unsubscription with it.
    pub(super) fn delete_recipient(&mut self, ask: &Ask) -> Answer {
        if self.remove_row(ask.id(3).unwrap_or(0)) { Ok(bare(204)) } else { Err(answer::not_found()) }
    }
}
