//! Contacts, one at a time.

use super::account::{Account, Contact, OWNER};
use super::answer::{Asked, answered, duplicate, empty, error, failed, no_contact, no_method, ok, stamp};
use super::rows;
use super::stats::Kind;
use consentd_provider::{EmailAddress, Response};
use serde_json::{Value, json};

impl Account {
    pub(super) fn route_contacts(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("GET", []) => self.contacts_page(asked),
            ("POST", []) => self.create(asked),
            ("GET", [identifier]) => {
                let id = self.find(identifier, asked.query("identifierType")).ok_or_else(no_contact)?;
                self.one(id, asked)
            }
            ("PUT", [identifier]) => {
                let id = self.find(identifier, asked.query("identifierType")).ok_or_else(no_contact)?;
                let body = asked.json()?;
                self.change(id, &body, "update")?;
                empty(204)
            }
            ("DELETE", [identifier]) => {
                let id = self.find(identifier, asked.query("identifierType")).ok_or_else(no_contact)?;
                self.delete(id)
            }
            ("GET", [identifier, "campaignStats"]) => {
                let id = self.find(identifier, None).ok_or_else(no_contact)?;
                self.campaign_stats(id, asked)
            }
            _ => no_method(),
        }
    }

    fn create(&mut self, asked: &Asked) -> Result<Response, Response> {
        let body = asked.json()?;
        let (email, existing) = self.identify(&body)?;
        if let Some(id) = existing {
            if body.get("updateEnabled").and_then(Value::as_bool) != Some(true) {
                return Err(duplicate("create", self.switches.word("duplicate_code"), "email"));
            }
            self.change(id, &body, "update")?;
            return empty(204);
        }
        if self.switches.is("full", "yes") {
            return failed(402, "not_enough_credits", "Insufficient credits");
        }
        let id = self.add(&email, &body)?;
        answered(201, &json!({ "id": id }))
    }

    /// The address of a body and the contact that has its identifier.
    fn identify(&self, body: &Value) -> Result<(String, Option<i64>), Response> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let (email, ext_id) = (text(body.get("email")), text(body.get("ext_id")));
        let sms = text(body.get("attributes").and_then(|attributes| attributes.get("SMS")));
        if !email.is_empty() {
            EmailAddress::parse(&email).map_err(|_| error(400, "invalid_parameter", "email is not valid"))?;
            let existing = self.find(&email, Some("email_id"));
            return Ok((email.to_lowercase(), existing));
        }
        if !ext_id.is_empty() {
            return Ok((String::new(), self.find(&ext_id, Some("ext_id"))));
        }
        if sms.is_empty() {
            return Err(error(400, "missing_parameter", "email, ext_id or SMS is required"));
        }
        let digits: String = sms.chars().filter(char::is_ascii_digit).collect();
        Ok((format!("{digits}@mailin-sms.com"), self.find(&sms, Some("phone_id"))))
    }

    /// Makes a contact and fills it; a refusal leaves none behind.
    pub(super) fn add(&mut self, email: &str, body: &Value) -> Result<i64, Response> {
        let id = self.next_id();
        let contact = Contact { id, email: email.into(), created: self.now, ..Contact::default() };
        self.contacts.insert(id, contact);
        if !email.is_empty() {
            self.by_email.insert(email.into(), id);
        }
        if let Err(refused) = self.change(id, body, "create") {
            self.drop_contact(id);
            return Err(refused);
        }
        Ok(id)
    }

    /// What POST, PUT and batch have in common. Members that are left out stay as they are.
    pub(super) fn change(&mut self, id: i64, body: &Value, verb: &str) -> Result<(), Response> {
        let (link, unlink) = (self.list_ids(body, "listIds")?, self.list_ids(body, "unlinkListIds")?);
        let renamed = self.renamed(id, body)?;
        let attributes = self.typed(body.get("attributes"));
        let merge = body.get("forceMerge").and_then(Value::as_bool) == Some(true);
        for clash in self.clashes(id, renamed.as_deref(), &attributes) {
            if !merge {
                return Err(duplicate(verb, self.switches.word("duplicate_code"), clash.1));
            }
            self.drop_contact(clash.0);
        }
        self.index_phones(id, &attributes);
        let (now, traced) = (self.now, self.switches.is("block_trace", "yes"));
        let Some(contact) = self.contacts.get_mut(&id) else { return Err(no_contact()) };
        let before = contact.clone();
        if let Some(email) = renamed {
            self.by_email.remove(&contact.email);
            self.by_email.insert(email.clone(), id);
            contact.email = email;
            // Changing the address resubscribes (Brevo sheet 3.3).
            contact.blocked = false;
        }
        contact.attributes.extend(attributes);
        contact.lists.extend(&link);
        contact.lists.retain(|list| !unlink.contains(list));
        if let Some(blocked) = body.get("emailBlacklisted").and_then(Value::as_bool) {
            if blocked && !contact.blocked && traced {
                contact.record(now, Kind::UnsubscribedByStaff, None);
            }
            contact.blocked = blocked;
        }
        if let Some(blocked) = body.get("smsBlacklisted").and_then(Value::as_bool) {
            contact.sms_blocked = blocked;
        }
        if let Some(ext_id) = body.get("ext_id").and_then(Value::as_str) {
            ext_id.clone_into(&mut contact.ext_id);
        }
        contact.modified = now;
        let after = contact.clone();
        self.tell_of_change(&before, &after, verb == "create");
        Ok(())
    }

    /// The address a body renames a contact to, if it is another one.
    fn renamed(&self, id: i64, body: &Value) -> Result<Option<String>, Response> {
        let email = body.get("attributes").and_then(|attributes| attributes.get("EMAIL")).and_then(Value::as_str);
        let Some(email) = email.map(str::to_lowercase) else { return Ok(None) };
        if self.contacts.get(&id).is_some_and(|contact| contact.email == email) {
            return Ok(None);
        }
        EmailAddress::parse(&email).map_err(|_| error(400, "invalid_parameter", "email is not valid"))?;
        Ok(Some(email))
    }

    fn delete(&mut self, id: i64) -> Result<Response, Response> {
        if self.contacts.get(&id).is_some_and(|contact| contact.email == OWNER) {
            return failed(405, "method_not_allowed", "The account owner cannot be deleted");
        }
        if let Some(contact) = self.drop_contact(id)
            && self.switches.is("api_events", "yes")
        {
            self.tell_of_deletion(&contact);
        }
        empty(204)
    }

    fn one(&self, id: i64, asked: &Asked) -> Result<Response, Response> {
        let contact = self.contacts.get(&id).ok_or_else(no_contact)?;
        let mut row = self.row(contact);
        if let Some(row) = row.as_object_mut() {
            row.insert("statistics".into(), self.statistics(contact, asked)?);
        }
        ok(&row)
    }

    fn contacts_page(&self, asked: &Asked) -> Result<Response, Response> {
        let page = asked.page(50, 1_000)?;
        let (ids, lists) = (asked.ids("ids"), asked.ids("listIds"));
        let (modified, created) = (rows::since(asked, "modifiedSince")?, rows::since(asked, "createdSince")?);
        let filter = asked.query("filter").map(rows::filter).transpose()?;
        let found: Vec<&Contact> = self
            .contacts
            .values()
            .filter(|contact| ids.is_empty() || ids.contains(&contact.id))
            .filter(|contact| lists.is_empty() || lists.iter().any(|list| contact.lists.contains(list)))
            .filter(|contact| contact.modified >= modified && contact.created >= created)
            .filter(|contact| filter.as_ref().is_none_or(|filter| filter.holds(contact)))
            .collect();
        let count = found.len();
        let rows: Vec<Value> = asked.cut(found, page, true).into_iter().map(|contact| self.row(contact)).collect();
        ok(&json!({ "contacts": rows, "count": count }))
    }

    /// A contact as all answers show it (Brevo sheet 3.1).
    pub(super) fn row(&self, contact: &Contact) -> Value {
        let offset = self.switches.number("utc_offset");
        let mut attributes = contact.attributes.clone();
        if !contact.ext_id.is_empty() {
            attributes.insert("EXT_ID".into(), contact.ext_id.clone().into());
        }
        let unsubscribed =
            if self.switches.is("list_unsubscription", "yes") { json!(contact.unsubscribed) } else { Value::Null };
        json!({
            "id": contact.id,
            "email": contact.email,
            "emailBlacklisted": contact.blocked,
            "smsBlacklisted": contact.sms_blocked,
            "whatsappBlacklisted": false,
            "createdAt": stamp(contact.created, offset),
            "modifiedAt": stamp(contact.modified, offset),
            "listIds": contact.lists,
            "listUnsubscribed": unsubscribed,
            "attributes": attributes,
            "subscriptions": {},
        })
    }

    /// The confirmation mail is left to the imagination: the click never comes (Brevo sheet 3.12).
    pub(super) fn double_opt_in(&mut self, asked: &Asked) -> Result<Response, Response> {
        if asked.method != "POST" {
            return no_method();
        }
        let body = asked.json()?;
        let email = body.get("email").and_then(Value::as_str).unwrap_or_default();
        EmailAddress::parse(email).map_err(|_| error(400, "invalid_parameter", "email is not valid"))?;
        for name in ["includeListIds", "templateId", "redirectionUrl"] {
            if body.get(name).is_none() {
                return failed(400, "missing_parameter", &format!("{name} is missing"));
            }
        }
        self.list_ids(&body, "includeListIds")?;
        match self.by_email(email) {
            Some(contact) if contact.blocked => failed(
                400,
                "invalid_parameter",
                "This sms number or email address is already associated with another user.",
            ),
            Some(_) => empty(204),
            None => empty(201),
        }
    }
}
