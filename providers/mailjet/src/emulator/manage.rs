//! Actions of one contact on lists, answered at once (Mailjet sheet 3.5).

use super::account::{Account, Action, is_address};
use super::answer::{self, Answer, invalid, refusal_with, row, rows};
use super::ask::{Ask, member, number};
use super::instant::stamp;
use consentd_provider::Timestamp;
use serde_json::{Map, Value, json};

impl Account {
    /// Creates the contact if need be.
    pub(super) fn manage(&mut self, ask: &Ask) -> Answer {
        let list = self.list(ask.id(3))?;
        if let Some(name) = ask.stranger(&["Email", "Name", "Action", "Properties"]) {
            return Err(answer::strange("TContactManageContact", name));
        }
        let (email, action) = (ask.text("email").unwrap_or_default().trim(), ask.text("action").unwrap_or_default());
        let mut wrong = Map::new();
        if !is_address(email) {
            let words = "MJ08 Property email is invalid: MJ03 A non-empty value is required";
            wrong.insert("Email".into(), words.into());
        }
        let Some(action) = Action::read(action).filter(|_| wrong.is_empty()) else {
            if Action::read(action).is_none() {
                wrong.insert("Action".into(), format!("Invalid action: {action}").into());
            }
            return Err(invalid(&Value::Object(wrong)));
        };
        let given = match ask.get("properties") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(given)) => given.clone(),
            Some(_) => return Err(invalid(&json!({ "Properties": "MJ08 Property must be an object" }))),
        };
        let properties = self.properties(&given).map_err(|bad| invalid(&json!({ "Properties": bad })))?;
        let contact = self.upsert(ask.now, email)?;
        self.acted(ask.now, list, contact, action)?;
        self.describe(ask.now, contact, ask.text("name"), properties);
        let shown = self.contacts.get(&contact).ok_or_else(answer::not_found)?;
        let answered = json!({
            "Action": action.word(), "ContactID": contact, "Email": shown.email, "Name": shown.name,
            "Properties": shown.properties,
        });
        Ok(row(self.switches.status("action_status"), answered))
    }

    /// An action, and the event that an account may or may not send for it.
    fn acted(
        &mut self,
        now: Timestamp,
        list: u64,
        contact: u64,
        action: Action,
    ) -> Result<(), consentd_provider::Response> {
        let subscribed = self.row(list, contact).is_some_and(|row| !row.unsubscribed);
        self.act(now, list, contact, action)?;
        if action == Action::Unsub && subscribed {
            self.unsubscribed_by_api(now, list, contact);
        }
        Ok(())
    }

    /// The contact must exist; one bad entry refuses the whole call with an object for a message (Mailjet sheet 1.5).
    pub(super) fn manage_lists(&mut self, ask: &Ask) -> Answer {
        let contact = self.named(ask.part(3))?;
        let given = ask.get("contactslists").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut wishes = Vec::new();
        let mut wrong = Vec::new();
        for entry in &given {
            let list = member(entry, "listid").and_then(number);
            let action = member(entry, "action").and_then(Value::as_str).unwrap_or_default();
            match (self.list(list), Action::read(action)) {
                (Ok(list), Some(action)) => wishes.push((list, action)),
                (found, _) => {
                    let missing = if found.is_err() { "listID" } else { "action" };
                    let words = format!("{missing} missing or not valid");
                    wrong.push(json!({ "ListID": list, "Action": action, "Error": words }));
                }
            }
        }
        if !wrong.is_empty() || given.is_empty() {
            return Err(refusal_with(400, &Value::from(""), &json!({ "ContactsLists": wrong })));
        }
        self.room(true)?;
        for (list, action) in wishes {
            self.acted(ask.now, list, contact, action)?;
        }
        Ok(row(self.switches.status("action_status"), json!({ "ContactsLists": given })))
    }

    /// Recently deleted lists are among them; when somebody left is not told (Mailjet sheet 3.5).
    pub(super) fn lists_of(&self, ask: &Ask) -> Answer {
        let contact = self.named(ask.part(3))?;
        let lists: Vec<Value> = self
            .lists
            .keys()
            .filter_map(|list| self.row(*list, contact))
            .map(|row| {
                json!({
                    "IsActive": true, "IsUnsub": row.unsubscribed, "ListID": row.list,
                    "SubscribedAt": stamp(row.subscribed_at),
                })
            })
            .collect();
        Ok(rows(200, &lists))
    }
}
