//! Imports, exports and the processes that carry them out.

use super::account::Account;
use super::answer::{Asked, answered, error, failed, no_method, ok, stamp};
use consentd_provider::{EmailAddress, Response, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A background job.
#[derive(Debug, Clone)]
pub(super) struct Process {
    name: &'static str,
    created: Timestamp,
    /// When it begins to work, and when it is done.
    begins: Timestamp,
    ends: Timestamp,
    end: Option<&'static str>,
    import: Option<Import>,
    /// Who is told of the end, if anybody.
    notify: String,
    /// The rows that an import refused, by reason.
    refused: BTreeSet<&'static str>,
}

/// An address and its attributes.
type Row = (String, Map<String, Value>);

/// What an import shall do.
#[derive(Debug, Clone)]
struct Import {
    rows: Vec<Row>,
    lists: BTreeSet<i64>,
    update: bool,
    erase: bool,
    block: bool,
}

impl Account {
    pub(super) fn import(&mut self, asked: &Asked) -> Result<Response, Response> {
        if asked.method != "POST" {
            return no_method();
        }
        if asked.body.len() > 10_000_000 {
            return failed(400, "out_of_range", "The body is larger than 10 MB");
        }
        let body = asked.json()?;
        if self.switches.is("full", "yes") {
            return failed(402, "not_enough_credits", "Insufficient credits");
        }
        let flag = |name: &str, default| body.get(name).and_then(Value::as_bool).unwrap_or(default);
        let mut lists = self.list_ids(&body, "listIds")?;
        if let Some(list) = body.get("newList") {
            let name = list.get("listName").and_then(Value::as_str).unwrap_or_default();
            lists.insert(self.add_list(name, list.get("folderId").and_then(Value::as_i64))?);
        }
        if lists.is_empty() {
            return failed(400, "missing_parameter", "listIds is missing");
        }
        let (update, erase) = (flag("updateExistingContacts", true), flag("emptyContactsAttributes", false));
        if erase && !update {
            return failed(400, "invalid_parameter", "emptyContactsAttributes needs updateExistingContacts");
        }
        let rows = rows(&body)?;
        let import = Import { rows, lists, update, erase, block: flag("emailBlacklist", false) };
        self.start("IMPORTUSER", Some(import), &body)
    }

    /// Accepted, and its file never fetched by anybody here.
    pub(super) fn export(&mut self, asked: &Asked) -> Result<Response, Response> {
        if asked.method != "POST" {
            return no_method();
        }
        let body = asked.json()?;
        if body.get("customContactFilter").is_none() {
            return failed(400, "missing_parameter", "customContactFilter is missing");
        }
        self.start("CONTACT_EXPORT", None, &body)
    }

    fn start(&mut self, name: &'static str, import: Option<Import>, body: &Value) -> Result<Response, Response> {
        let notify = body.get("notifyUrl").and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = self.next_id();
        let delay = self.switches.number("import_delay").max(0) * 1_000_000;
        let (begins, ends) = (self.now + delay / 2, self.now + delay);
        let process =
            Process { name, created: self.now, begins, ends, end: None, import, notify, refused: BTreeSet::new() };
        self.processes.insert(id, process);
        answered(202, &json!({ "processId": id }))
    }

    /// Ends the processes whose time has come, in the order that the switch says.
    pub(super) fn run_processes(&mut self) {
        let open = self.processes.iter().filter(|(_, process)| process.end.is_none() && process.ends <= self.now);
        let mut ready: Vec<i64> = open.map(|(id, _)| *id).collect();
        if self.switches.is("import_order", "newest") {
            ready.reverse();
        }
        for id in ready {
            let import = self.processes.get_mut(&id).and_then(|process| process.import.take());
            let result = self.switches.word("import_result").to_owned();
            let refused = match import {
                Some(import) if result == "ok" => self.carry_out(&import),
                _ => BTreeSet::new(),
            };
            if let Some(process) = self.processes.get_mut(&id) {
                process.end = Some(if result == "fails" { "failed" } else { "completed" });
                process.refused = refused;
                if result != "fails" && !process.notify.is_empty() {
                    let url = process.notify.clone();
                    self.hooks.post(self.now, url, Vec::new(), &json!({ "proc_success": id }));
                }
            }
        }
    }

    fn carry_out(&mut self, import: &Import) -> BTreeSet<&'static str> {
        let mut refused = BTreeSet::new();
        for (email, attributes) in &import.rows {
            if EmailAddress::parse(email).is_err() {
                refused.insert("invalid_emails");
                continue;
            }
            let lists = json!(import.lists);
            let mut row = json!({ "listIds": lists });
            let existing = self.find(email, Some("email_id"));
            if existing.is_none() || import.update {
                let kept = attributes.iter().filter(|(_, value)| import.erase || value.as_str() != Some(""));
                let kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
                if let Some(row) = row.as_object_mut() {
                    row.insert("attributes".into(), kept.into());
                    if import.block {
                        row.insert("emailBlacklisted".into(), true.into());
                    }
                }
            }
            let done = match existing {
                None => self.add(&email.to_lowercase(), &row).map(drop),
                Some(id) => self.import_existing(id, &row, import),
            };
            if done.is_err() {
                refused.insert("duplicate_phone_id");
            }
        }
        refused
    }

    /// Nobody says whether an import lifts a block, nor whether one that only creates adds others to the list.
    fn import_existing(&mut self, id: i64, row: &Value, import: &Import) -> Result<(), Response> {
        if import.update || self.switches.is("import_adds_existing", "yes") {
            self.change(id, row, "update")?;
        }
        let clears = match self.switches.word("import_clears_block") {
            "always" => true,
            "updated" => import.update,
            _ => false,
        };
        if clears
            && !import.block
            && let Some(contact) = self.contacts.get_mut(&id)
        {
            contact.blocked = false;
            contact.unsubscribed.clear();
        }
        Ok(())
    }

    pub(super) fn route_processes(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("GET", []) => {
                let page = asked.page(10, 50)?;
                let all: Vec<Value> = self.processes.iter().map(|(id, one)| self.process_row(*id, one)).collect();
                let count = all.len();
                ok(&json!({ "processes": asked.cut(all, page, true), "count": count }))
            }
            ("GET", [id]) => {
                let found = id.parse().ok().and_then(|id: i64| Some((id, self.processes.get(&id)?)));
                match found {
                    Some((id, process)) => ok(&self.process_row(id, process)),
                    None => failed(404, "invalid_parameter", "processId is invalid"),
                }
            }
            _ => no_method(),
        }
    }

    fn process_row(&self, id: i64, process: &Process) -> Value {
        let running = if process.begins <= self.now { "in_process" } else { "queued" };
        let status = process.end.unwrap_or(running);
        let offset = self.switches.number("utc_offset");
        let mut row = json!({
            "id": id, "name": process.name, "status": status, "created_at": stamp(process.created, offset),
        });
        let Some(members) = row.as_object_mut() else { return row };
        if status == "completed" && process.name == "IMPORTUSER" {
            let file =
                |name: &str| process.refused.contains(name).then(|| format!("https://files.example/{id}/{name}.csv"));
            members.insert(
                "info".into(),
                json!({ "import": {
                "invalid_emails": file("invalid_emails"),
                "duplicate_contact_id": null,
                "duplicate_ext_id": null,
                "duplicate_email_id": null,
                "duplicate_phone_id": file("duplicate_phone_id"),
                "duplicate_whatsapp_id": null,
                "duplicate_landline_number_id": null,
            } }),
            );
        } else if status == "completed" {
            members.insert("export_url".into(), format!("https://files.example/{id}.csv").into());
        }
        row
    }
}

/// The rows of a body: JSON, or CSV with a header and semicolons (Brevo sheet 3.8).
fn rows(body: &Value) -> Result<Vec<Row>, Response> {
    if let Some(Value::Array(rows)) = body.get("jsonBody") {
        let read = |row: &Value| {
            let email = row.get("email").and_then(Value::as_str).unwrap_or_default();
            let attributes = row.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
            (email.to_owned(), attributes)
        };
        return Ok(rows.iter().map(read).collect());
    }
    let text = body.get("fileBody").and_then(Value::as_str);
    let text = text.ok_or_else(|| error(400, "missing_parameter", "fileBody or jsonBody is missing"))?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header: Vec<&str> = lines.next().unwrap_or_default().split(';').map(str::trim).collect();
    if !header.iter().any(|name| name.eq_ignore_ascii_case("EMAIL")) {
        return Err(error(400, "invalid_parameter", "fileBody has no EMAIL column"));
    }
    let read = |line: &str| {
        let mut row = (String::new(), Map::new());
        for (name, value) in header.iter().zip(line.split(';')) {
            let value = value.trim().trim_matches('"');
            if name.eq_ignore_ascii_case("EMAIL") {
                value.clone_into(&mut row.0);
            } else {
                row.1.insert(name.to_uppercase(), value.into());
            }
        }
        row
    };
    Ok(lines.map(read).collect())
}
