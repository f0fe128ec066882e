//! `/contactmetadata` and `/contactdata` (Mailjet sheet 3.2).

use super::account::{Account, Contact, Field};
use super::answer::{self, Answer, bare, invalid, page, refusal, row};
use super::ask::{Ask, member, number};
use consentd_provider::Response;
use serde_json::{Map, Value, json};

fn show(field: &Field) -> Value {
    json!({ "Datatype": field.datatype, "ID": field.id, "Name": field.name, "NameSpace": field.namespace })
}

fn show_data(contact: &Contact, wanted: Option<&str>) -> Value {
    let wanted: Option<Vec<String>> = wanted.map(|names| names.split(',').map(str::to_lowercase).collect());
    let data: Vec<Value> = contact
        .properties
        .iter()
        .filter(|(name, _)| wanted.as_ref().is_none_or(|wanted| wanted.contains(name)))
        .map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect();
    json!({ "ContactID": contact.id, "Data": data, "ID": contact.id })
}

impl Account {
    pub(super) fn field_rows(&self, ask: &Ask) -> Answer {
        let namespace = ask.filter("namespace");
        let all: Vec<&Field> = self
            .fields
            .values()
            .filter(|field| namespace.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&field.namespace)))
            .collect();
        Ok(page(ask, &all, |field| show(field)))
    }

    pub(super) fn create_field(&mut self, ask: &Ask) -> Answer {
        if let Some(name) = ask.stranger(&["Name", "Datatype", "NameSpace"]) {
            return Err(answer::strange("TContactMetaData", name));
        }
        // The server folds names (Mailjet sheet 3.2).
        let name = ask.text("name").unwrap_or_default().trim().to_lowercase();
        let datatype = ask.text("datatype").unwrap_or("str").to_lowercase();
        let namespace = ask.text("namespace").unwrap_or("static").to_lowercase();
        if name.is_empty() {
            return Err(invalid(&Value::from("MJ08 Property Name is invalid: MJ04 Value must have at least length 1")));
        }
        let known = ["str", "int", "float", "bool", "datetime"].contains(&datatype.as_str());
        if !known || !["static", "historic"].contains(&namespace.as_str()) {
            return Err(invalid(&Value::from("MJ08 Property Datatype or NameSpace is invalid")));
        }
        if self.fields.values().any(|field| field.name == name) {
            return Err(answer::duplicate("ContactMetaData", &name, "Name"));
        }
        let field = Field { id: self.id(), name, datatype, namespace };
        let shown = show(&field);
        self.fields.insert(field.id, field);
        Ok(row(201, shown))
    }

    /// A property by number or name.
    fn field_id(&self, ask: &Ask) -> Result<u64, Response> {
        let name = ask.part(3).to_lowercase();
        let found = self.fields.values().find(|field| Some(field.id) == ask.id(3) || field.name == name);
        found.map(|field| field.id).ok_or_else(answer::not_found)
    }

    pub(super) fn field(&self, ask: &Ask) -> Answer {
        let id = self.field_id(ask)?;
        self.fields.get(&id).map(|field| row(200, show(field))).ok_or_else(answer::not_found)
    }

    pub(super) fn update_field(&mut self, ask: &Ask) -> Answer {
        let id = self.field_id(ask)?;
        let Some(field) = self.fields.get_mut(&id) else { return Err(answer::not_found()) };
        // Values keep what they were (Mailjet sheet 3.2).
        if let Some(datatype) = ask.text("datatype") {
            field.datatype = datatype.to_lowercase();
        }
        if let Some(name) = ask.text("name") {
            field.name = name.to_lowercase();
        }
        Ok(row(200, show(field)))
    }

    /// Takes the values of all contacts with it.
    pub(super) fn delete_field(&mut self, ask: &Ask) -> Answer {
        let id = self.field_id(ask)?;
        if let Some(field) = self.fields.remove(&id) {
            for contact in self.contacts.values_mut() {
                contact.properties.remove(&field.name);
            }
        }
        Ok(bare(204))
    }

    pub(super) fn data_rows(&self, ask: &Ask) -> Answer {
        Ok(page(ask, &self.filtered(ask), |contact| show_data(contact, ask.filter("fields"))))
    }

    pub(super) fn data(&self, ask: &Ask) -> Answer {
        let id = self.named(ask.part(3))?;
        let contact = self.contacts.get(&id).ok_or_else(answer::not_found)?;
        Ok(row(200, show_data(contact, ask.filter("fields"))))
    }

    pub(super) fn create_data(&mut self, ask: &Ask) -> Answer {
        let id = ask.get("contactid").and_then(number).filter(|id| self.contacts.contains_key(id));
        self.write_data(ask, id.ok_or_else(answer::not_found)?, 201)
    }

    pub(super) fn update_data(&mut self, ask: &Ask) -> Answer {
        let id = self.named(ask.part(3))?;
        self.write_data(ask, id, 200)
    }

    /// Pairs of name and value; any other shape is an "Invalid key name" (Mailjet sheet 3.2).
    fn write_data(&mut self, ask: &Ask, id: u64, status: u16) -> Answer {
        if let Some(name) = ask.stranger(&["Data", "ContactID"]) {
            return Err(refusal(400, &format!("Invalid key name: \"{name}\"")));
        }
        let mut given = Map::new();
        for pair in ask.get("data").and_then(Value::as_array).into_iter().flatten() {
            let name = member(pair, "name").and_then(Value::as_str).unwrap_or_default();
            given.insert(name.to_owned(), member(pair, "value").cloned().unwrap_or_default());
        }
        let written = self.properties(&given).map_err(|bad| {
            let name = bad.first().and_then(Value::as_object).and_then(|bad| bad.keys().next().cloned());
            refusal(400, &format!("Invalid key name: \"{}\"", name.unwrap_or_default()))
        })?;
        self.describe(ask.now, id, None, written);
        let contact = self.contacts.get(&id).ok_or_else(answer::not_found)?;
        Ok(row(status, show_data(contact, None)))
    }

    pub(super) fn delete_data(&mut self, ask: &Ask) -> Answer {
        let id = self.named(ask.part(3))?;
        if let Some(contact) = self.contacts.get_mut(&id) {
            contact.properties.clear();
        }
        Ok(bare(204))
    }
}
