//! `/contactslist` (Mailjet sheet 3.3).

use super::account::{Account, List};
use super::answer::{self, Answer, bare, invalid, page, row};
use super::ask::{Ask, flag};
use super::instant::stamp;
use consentd_provider::Response;
use serde_json::{Value, json};

impl Account {
    fn show_list(&self, list: &List) -> Value {
        let subscribed = self.rows_of(Some(list.id)).iter().filter(|row| !row.unsubscribed).count();
        json!({
            "Address": format!("list{:x}", list.id),
            "CreatedAt": stamp(list.created),
            "ID": list.id,
            "IsDeleted": list.deleted,
            "Name": list.name,
            "SubscriberCount": subscribed,
        })
    }

    pub(super) fn list_rows(&self, ask: &Ask) -> Answer {
        let (name, deleted, without) = (ask.filter("name"), ask.flag("isdeleted"), ask.number("excludeid"));
        let all: Vec<&List> = self
            .lists
            .values()
            .filter(|list| name.is_none_or(|name| list.name == name))
            .filter(|list| deleted.is_none_or(|deleted| list.deleted == deleted))
            .filter(|list| without != Some(list.id))
            .collect();
        Ok(page(ask, &all, |list| self.show_list(list)))
    }

    pub(super) fn create_list(&mut self, ask: &Ask) -> Answer {
        if let Some(name) = ask.stranger(&["Name", "IsDeleted"]) {
            return Err(answer::strange("TContactsList", name));
        }
        let name = ask.text("name").unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(invalid(&Value::from("MJ08 Property Name is invalid: MJ04 Value must have at least length 1")));
        }
        self.free_name(&name, None)?;
        let id = self.id();
        self.lists.insert(id, List { id, name, created: ask.now, deleted: false });
        self.shown(id, 201)
    }

    /// Whether a deleted list still blocks its name is not known (Mailjet sheet 3.3).
    fn free_name(&self, name: &str, but: Option<u64>) -> Result<(), Response> {
        let blocks = self.switches.is("deleted_list_name", "blocks");
        let taken = |list: &List| list.name == name && Some(list.id) != but && (blocks || !list.deleted);
        if self.lists.values().any(taken) {
            return Err(answer::duplicate("ContactsList", name, "Name"));
        }
        Ok(())
    }

    fn shown(&self, id: u64, status: u16) -> Answer {
        self.lists.get(&id).map(|list| row(status, self.show_list(list))).ok_or_else(answer::not_found)
    }

    pub(super) fn one_list(&self, ask: &Ask) -> Answer {
        self.shown(ask.id(3).unwrap_or(0), 200)
    }

    /// Renames, deletes, and brings a deleted list back with its members.
    pub(super) fn update_list(&mut self, ask: &Ask) -> Answer {
        let id = ask.id(3).unwrap_or(0);
        if let Some(name) = ask.stranger(&["Name", "IsDeleted"]) {
            return Err(self.not_settable("TContactsList", name));
        }
        if let Some(name) = ask.text("name") {
            self.free_name(name, Some(id))?;
        }
        let Some(list) = self.lists.get_mut(&id) else { return Err(answer::not_found()) };
        let before = (list.name.clone(), list.deleted);
        if let Some(name) = ask.text("name") {
            name.clone_into(&mut list.name);
        }
        if let Some(deleted) = ask.get("isdeleted").and_then(flag) {
            list.deleted = deleted;
        }
        if before == (list.name.clone(), list.deleted) && self.switches.is("noop_put", "304") {
            return Ok(bare(304));
        }
        self.shown(id, 200)
    }

    pub(super) fn delete_list(&mut self, ask: &Ask) -> Answer {
        let id = self.list(ask.id(3))?;
        if let Some(list) = self.lists.get_mut(&id) {
            list.deleted = true;
        }
        Ok(bare(204))
    }
}
