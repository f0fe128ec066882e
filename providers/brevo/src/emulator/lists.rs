//! Lists, folders, segments and attributes (Brevo sheet 3.6, 3.7 and 3.13).

use super::account::{Account, Attribute, Group};
use super::answer::{Asked, answered, empty, error, failed, no_method, ok, stamp};
use super::rows;
use consentd_provider::Response;
use serde_json::{Map, Value, json};

fn no_list() -> Response {
    error(404, "document_not_found", "List ID does not exist")
}

fn no_folder() -> Response {
    error(404, "document_not_found", "Folder ID does not exist")
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

impl Account {
    pub(super) fn route_lists(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("GET", []) => self.lists_page(asked, |_| true),
            ("POST", []) => {
                let body = asked.json()?;
                let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
                let id = self.add_list(name, body.get("folderId").and_then(Value::as_i64))?;
                answered(201, &json!({ "id": id }))
            }
            ("GET", [id]) => {
                let id = number(id);
                let list = self.lists.get(&id).ok_or_else(no_list)?;
                let mut row = self.list_row(id, list);
                if let Some(row) = row.as_object_mut() {
                    let created = stamp(list.created, self.switches.number("utc_offset"));
                    row.insert("createdAt".into(), created.into());
                    row.insert("dynamicList".into(), false.into());
                    row.insert("campaignStats".into(), json!([]));
                }
                ok(&row)
            }
            ("PUT", [id]) => {
                let body = asked.json()?;
                let list = self.lists.get_mut(&number(id)).ok_or_else(no_list)?;
                if let Some(name) = body.get("name").and_then(Value::as_str) {
                    name.clone_into(&mut list.name);
                }
                if let Some(folder) = body.get("folderId").and_then(Value::as_i64) {
                    list.folder = folder;
                }
                empty(204)
            }
            ("DELETE", [id]) => {
                let id = number(id);
                self.lists.remove(&id).ok_or_else(no_list)?;
                for contact in self.contacts.values_mut() {
                    contact.lists.remove(&id);
                }
                empty(204)
            }
            ("GET", [id, "contacts"]) => self.members(number(id), asked),
            ("POST", [id, "contacts", way @ ("add" | "remove")]) => {
                let id = number(id);
                if !self.lists.contains_key(&id) {
                    return Err(no_list());
                }
                self.membership(id, &asked.json()?, *way == "add")
            }
            _ => no_method(),
        }
    }

    fn lists_page(&self, asked: &Asked, wanted: impl Fn(&Group) -> bool) -> Result<Response, Response> {
        let page = asked.page(10, 50)?;
        let found = self.lists.iter().filter(|(_, list)| wanted(list));
        let rows: Vec<Value> = found.map(|(id, list)| self.list_row(*id, list)).collect();
        let count = rows.len();
        ok(&json!({ "lists": asked.cut(rows, page, true), "count": count }))
    }

    /// Two of the three numbers always read 0 (Brevo sheet 7.14).
    fn list_row(&self, id: i64, list: &Group) -> Value {
        let members = self.contacts.values().filter(|contact| contact.lists.contains(&id)).count();
        json!({
            "id": id, "name": list.name, "folderId": list.folder,
            "uniqueSubscribers": members, "totalSubscribers": 0, "totalBlacklisted": 0,
        })
    }

    pub(super) fn add_list(&mut self, name: &str, folder: Option<i64>) -> Result<i64, Response> {
        if name.is_empty() {
            return Err(error(400, "missing_parameter", "name is missing"));
        }
        let folder = folder.filter(|folder| self.folders.contains_key(folder));
        let folder = folder.ok_or_else(|| error(400, "invalid_parameter", "folderId is not valid"))?;
        let id = self.next_id();
        self.lists.insert(id, Group { name: name.into(), folder, created: self.now });
        Ok(id)
    }

    fn members(&self, list: i64, asked: &Asked) -> Result<Response, Response> {
        if !self.lists.contains_key(&list) {
            return Err(no_list());
        }
        let (page, since) = (asked.page(50, 500)?, rows::since(asked, "modifiedSince")?);
        let found = self.contacts.values().filter(|contact| contact.lists.contains(&list) && contact.modified >= since);
        let rows: Vec<Value> = found.map(|contact| self.row(contact)).collect();
        let count = rows.len();
        ok(&json!({ "contacts": asked.cut(rows, page, true), "count": count }))
    }

    fn membership(&mut self, list: i64, body: &Value, add: bool) -> Result<Response, Response> {
        if !add && body.get("all").and_then(Value::as_bool) == Some(true) {
            let all: Vec<i64> =
                self.contacts.values().filter(|one| one.lists.contains(&list)).map(|one| one.id).collect();
            for id in &all {
                self.move_contact(*id, list, false);
            }
            let process = self.next_id();
            return answered(201, &json!({ "contacts": { "processId": process, "total": all.len() } }));
        }
        let named: Vec<_> = [("emails", "email_id"), ("ids", "contact_id"), ("extIds", "ext_id")]
            .into_iter()
            .filter_map(|(name, kind)| Some((body.get(name)?.as_array()?, kind)))
            .collect();
        let [(identifiers, kind)] = named.as_slice() else {
            return failed(400, "invalid_parameter", "Pass emails, ids or extIds");
        };
        if !(1..=150).contains(&identifiers.len()) {
            return failed(400, "out_of_range", "Pass 1 to 150 contacts");
        }
        let (mut success, mut failure) = (Vec::new(), Vec::new());
        for identifier in *identifiers {
            let text = identifier.as_str().map_or_else(|| identifier.to_string(), str::to_owned);
            let found = self.find(&text, Some(kind)).filter(|id| self.move_contact(*id, list, add));
            if found.is_some() { success.push(identifier) } else { failure.push(identifier) }
        }
        if success.is_empty() {
            let message = if add {
                "Contact already in list and/or does not exist"
            } else {
                "Contact already removed from list and/or does not exist"
            };
            return failed(400, "invalid_parameter", message);
        }
        answered(201, &json!({ "contacts": { "success": success, "failure": failure } }))
    }

    /// Whether anything had to be done. Membership and block are independent of each other.
    fn move_contact(&mut self, id: i64, list: i64, add: bool) -> bool {
        let Some(contact) = self.contacts.get_mut(&id) else { return false };
        let before = contact.clone();
        let moved = if add { contact.lists.insert(list) } else { contact.lists.remove(&list) };
        if moved {
            contact.modified = self.now;
            let after = contact.clone();
            self.tell_of_change(&before, &after, false);
        }
        moved
    }

    pub(super) fn route_folders(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("GET", []) => {
                let page = asked.page(10, 50)?;
                let rows: Vec<Value> = self.folders.iter().map(|(id, folder)| folder_row(*id, folder)).collect();
                let count = rows.len();
                ok(&json!({ "folders": asked.cut(rows, page, true), "count": count }))
            }
            ("POST", []) => {
                let body = asked.json()?;
                let name = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| error(400, "missing_parameter", "name is missing"))?.to_owned();
                let id = self.next_id();
                self.folders.insert(id, Group { name, folder: 0, created: self.now });
                answered(201, &json!({ "id": id }))
            }
            ("GET", [id]) => ok(&folder_row(number(id), self.folders.get(&number(id)).ok_or_else(no_folder)?)),
            ("PUT", [id]) => {
                let body = asked.json()?;
                let folder = self.folders.get_mut(&number(id)).ok_or_else(no_folder)?;
                if let Some(name) = body.get("name").and_then(Value::as_str) {
                    name.clone_into(&mut folder.name);
                }
                empty(204)
            }
            ("DELETE", [id]) => {
                let id = number(id);
                self.folders.remove(&id).ok_or_else(no_folder)?;
                // Its lists go with it, their contacts stay.
                self.lists.retain(|_, list| list.folder != id);
                let left: Vec<i64> = self.lists.keys().copied().collect();
                for contact in self.contacts.values_mut() {
                    contact.lists.retain(|list| left.contains(list));
                }
                empty(204)
            }
            ("GET", [id, "lists"]) => {
                let id = number(id);
                self.lists_page(asked, |list| list.folder == id)
            }
            _ => no_method(),
        }
    }

    pub(super) fn route_attributes(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("GET", []) => {
                let rows: Vec<Value> = self.attributes.iter().map(|(name, one)| attribute_row(name, one)).collect();
                ok(&json!({ "attributes": rows }))
            }
            ("POST", [category @ ("normal" | "transactional" | "category" | "calculated" | "global"), name]) => {
                let body = asked.json()?;
                if self.attributes.contains_key(&name.to_uppercase()) {
                    return failed(400, "duplicate_parameter", "Attribute name must be unique");
                }
                let mut rest = body.as_object().cloned().unwrap_or_default();
                let kind = match rest.remove("type") {
                    Some(Value::String(kind)) if known_kind(&kind) => kind,
                    None if *category != "normal" && *category != "transactional" => String::new(),
                    _ => return failed(400, "invalid_parameter", "type is not valid"),
                };
                let attribute = Attribute { category: (*category).into(), kind, rest };
                self.attributes.insert(name.to_uppercase(), attribute);
                empty(201)
            }
            ("PUT", [_, name]) => {
                let body = asked.json()?;
                let attribute = self.attributes.get_mut(&name.to_uppercase()).ok_or_else(no_attribute)?;
                attribute.rest.extend(body.as_object().cloned().unwrap_or_default());
                empty(204)
            }
            ("DELETE", [_, name]) => {
                let name = name.to_uppercase();
                self.attributes.remove(&name).ok_or_else(no_attribute)?;
                for contact in self.contacts.values_mut() {
                    contact.attributes.remove(&name);
                }
                empty(204)
            }
            _ => no_method(),
        }
    }
}

/// There are none.
pub(super) fn segments(asked: &Asked) -> Result<Response, Response> {
    if asked.method != "GET" {
        return no_method();
    }
    asked.page(10, 50)?;
    ok(&json!({ "segments": [], "count": 0 }))
}

fn no_attribute() -> Response {
    error(404, "document_not_found", "Attribute not found")
}

fn known_kind(kind: &str) -> bool {
    matches!(kind, "text" | "date" | "float" | "boolean" | "id" | "category" | "multiple-choice" | "user")
}

fn attribute_row(name: &str, attribute: &Attribute) -> Value {
    let mut row: Map<String, Value> = attribute.rest.clone();
    if let Some(value) = row.remove("value") {
        row.insert("calculatedValue".into(), value);
    }
    row.insert("name".into(), name.into());
    row.insert("category".into(), attribute.category.clone().into());
    if !attribute.kind.is_empty() && attribute.category != "category" {
        row.insert("type".into(), attribute.kind.clone().into());
    }
    Value::Object(row)
}

fn folder_row(id: i64, folder: &Group) -> Value {
    json!({ "id": id, "name": folder.name, "uniqueSubscribers": 0, "totalSubscribers": 0, "totalBlacklisted": 0 })
}
