//! Bulk jobs, which are accepted at once and work in their own time (Mailjet sheet 3.5 to 3.8).

use super::account::{Account, Action, is_address};
use super::answer::{self, Answer, body, invalid, page, refusal, row};
use super::ask::{Ask, flag, member, number};
use super::csv::Sheet;
use super::instant::{SECOND, stamp, stamp_or_empty};
use consentd_provider::Timestamp;
use serde_json::{Map, Value, json};

/// A contact of a job.
#[derive(Clone, Default)]
pub(super) struct Wish {
    pub(super) email: String,
    pub(super) name: Option<String>,
    pub(super) excluded: Option<bool>,
    pub(super) properties: Map<String, Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Contacts,
    List(u64),
    /// From one list to another.
    Import(u64, u64),
    Csv(Option<u64>),
}

pub(super) struct Job {
    id: u64,
    kind: Kind,
    /// The action as it was asked for.
    method: String,
    targets: Vec<(u64, Action)>,
    wishes: Vec<Wish>,
    asked: Timestamp,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// How it ended.
    end: &'static str,
    count: usize,
    words: &'static str,
    problems: Vec<(String, String)>,
    upload: u64,
    options: String,
}

impl Job {
    fn status(&self, now: Timestamp, stage: i64, sdk: bool) -> &'static str {
        if self.ended.is_some() {
            return self.end;
        }
        match self.started.map(|started| (now - started) / stage.max(1)) {
            _ if sdk => "In Progress",
            None | Some(0) if matches!(self.kind, Kind::Csv(_)) => "Upload",
            None | Some(0) => "Allocated",
            Some(1) => "Prepare",
            Some(_) => "Importing",
        }
    }
}

impl Account {
    fn stage(&self) -> i64 {
        i64::from(self.switches.number("job_seconds")) * SECOND
    }

    fn open_job(&mut self, ask: &Ask, kind: Kind, method: &str, targets: Vec<(u64, Action)>, wishes: Vec<Wish>) -> u64 {
        let id = self.id();
        let job = Job {
            id,
            kind,
            method: method.to_owned(),
            targets,
            wishes,
            asked: ask.now,
            started: None,
            ended: None,
            end: "",
            count: 0,
            words: "",
            problems: Vec::new(),
            upload: ask.get("dataid").and_then(number).unwrap_or(0),
            options: ask.text("importoptions").unwrap_or_default().to_owned(),
        };
        self.jobs.insert(id, job);
        id
    }

    /// `/contactslist/{L}/managemanycontacts` with a list, `/contact/managemanycontacts` without.
    pub(super) fn manage_many(&mut self, ask: &Ask, list: Option<u64>) -> Answer {
        let on_list = ask.part(2).eq_ignore_ascii_case("contactslist");
        if let Some(name) = ask.stranger(&["Action", "Contacts", "ContactsLists"]) {
            return Err(answer::strange("TManageManyContacts", name));
        }
        let mut targets = Vec::new();
        let method = ask.text("action").unwrap_or_default();
        if on_list {
            let Some(action) = Action::read(method) else {
                return Err(invalid(&json!({ "Action": format!("Invalid action: {method}") })));
            };
            targets.push((self.list(list)?, action));
        }
        for entry in ask.get("contactslists").and_then(Value::as_array).into_iter().flatten() {
            let action = member(entry, "action").and_then(Value::as_str).and_then(Action::read);
            match (self.list(member(entry, "listid").and_then(number)), action) {
                (Ok(list), Some(action)) => targets.push((list, action)),
                _ => return Err(invalid(&json!({ "ContactsLists": "listID or action missing or not valid" }))),
            }
        }
        let Some(contacts) = ask.get("contacts").and_then(Value::as_array).filter(|all| !all.is_empty()) else {
            return Err(invalid(&json!({ "Contacts": "MJ03 A non-empty value is required" })));
        };
        let most = usize::try_from(self.switches.number("bulk_max")).unwrap_or(0);
        if most > 0 && contacts.len() > most {
            return Err(answer::failure());
        }
        self.room(true)?;
        let wishes = contacts.iter().map(wish).collect();
        let kind = if on_list { Kind::List(list.unwrap_or(0)) } else { Kind::Contacts };
        let id = self.open_job(ask, kind, method, targets, wishes);
        Ok(row(201, json!({ "JobID": id })))
    }

    pub(super) fn import_list(&mut self, ask: &Ask) -> Answer {
        let to = self.list(ask.id(3))?;
        let from = self.list(ask.get("listid").and_then(number))?;
        let method = ask.text("action").unwrap_or_default().to_lowercase();
        let known = ["addforce", "addnoforce", "unsub", "duplicate-override", "duplicate-no-override"];
        if !known.contains(&method.as_str()) {
            return Err(invalid(&json!({ "Action": format!("Invalid action: {method}") })));
        }
        let id = self.open_job(ask, Kind::Import(from, to), &method, Vec::new(), Vec::new());
        Ok(row(201, json!({ "JobID": id })))
    }

    pub(super) fn upload(&mut self, ask: &Ask) -> Answer {
        self.list(ask.id(3))?;
        let id = self.id();
        self.uploads.insert(id, ask.raw.clone());
        Ok(answer::json(200, &json!({ "ID": id })))
    }

    pub(super) fn start_csv(&mut self, ask: &Ask) -> Answer {
        let given = ask.get("contactslistid").or_else(|| ask.get("contactslist")).and_then(number);
        let method = ask.text("method").unwrap_or("addnoforce").to_lowercase();
        let exclusion = match method.as_str() {
            "excludemarketing" => Some(true),
            "includemarketing" => Some(false),
            _ => None,
        };
        if exclusion.is_some() && given.is_some() {
            return Err(invalid(&Value::from(
                "MJ08 Property ContactsList is invalid: Exclusion of contacts from marketing campaign is a global \
                 status and can not be applied to a list",
            )));
        }
        let Some(text) = ask.get("dataid").and_then(number).and_then(|id| self.uploads.get(&id)).cloned() else {
            return Err(invalid(&json!({ "DataID": "MJ08 Property DataID is invalid" })));
        };
        let targets = match (exclusion, Action::read(&method)) {
            (Some(_), _) => Vec::new(),
            (None, Some(action)) => vec![(self.list(given)?, action)],
            (None, None) => return Err(invalid(&json!({ "Method": format!("Invalid method: {method}") }))),
        };
        self.room(true)?;
        let sheet = Sheet::read(&text, ask.text("importoptions").unwrap_or_default());
        for column in &sheet.columns {
            self.define_text(column);
        }
        let wishes = sheet.wishes.into_iter().map(|wish| Wish { excluded: exclusion, ..wish }).collect();
        let id = self.open_job(ask, Kind::Csv(given), &method, targets, wishes);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.problems = sheet.problems;
        }
        self.show_job(ask, id, 201)
    }

    /// An unknown column becomes a property (Mailjet sheet 3.8).
    fn define_text(&mut self, name: &str) {
        let name = name.to_lowercase();
        if name != "email" && !self.fields.values().any(|field| field.name == name) {
            let (id, datatype, namespace) = (self.id(), "str".to_owned(), "static".to_owned());
            self.fields.insert(id, super::account::Field { id, name, datatype, namespace });
        }
    }

    /// The state of a job; the one of a list needs both numbers (Mailjet sheet 7).
    pub(super) fn job(&self, ask: &Ask, index: usize, list: Option<u64>) -> Answer {
        let job = ask.id(index).and_then(|id| self.jobs.get(&id)).ok_or_else(answer::not_found)?;
        let ours = match job.kind {
            Kind::Contacts => list.is_none(),
            Kind::List(of) | Kind::Import(_, of) => list == Some(of),
            Kind::Csv(_) => false,
        };
        if !ours {
            return Err(answer::not_found());
        }
        let lists: Vec<Value> =
            job.targets.iter().map(|(list, action)| json!({ "ListID": list, "Action": action.word() })).collect();
        let file = format!("https://api.mailjet.com/v3/DATA/batchjob/{}/JSONError/application:json/LAST", job.id);
        Ok(row(
            200,
            json!({
                "ContactsLists": lists,
                "Count": job.count,
                "Error": job.words,
                "ErrorFile": if job.problems.is_empty() || job.ended.is_none() { "" } else { file.as_str() },
                "JobEnd": stamp_or_empty(job.ended),
                "JobStart": stamp_or_empty(job.started),
                "Status": job.status(ask.now, self.stage(), self.switches.is("job_words", "sdk")),
            }),
        ))
    }

    fn show_row_of(&self, ask: &Ask, job: &Job) -> Value {
        let list = match job.kind {
            Kind::Contacts => 0,
            Kind::List(list) | Kind::Import(_, list) => list,
            Kind::Csv(list) => list.unwrap_or(0),
        };
        json!({
            "AliveAt": stamp(job.ended.unwrap_or(ask.now)),
            "ContactsListID": list,
            "Count": job.wishes.len(),
            "Current": job.count,
            "DataID": job.upload,
            "ErrTreshold": 0,
            "Errcount": if job.ended.is_some() { job.problems.len() } else { 0 },
            "ID": job.id,
            "ImportOptions": job.options,
            "JobEnd": stamp_or_empty(job.ended),
            "JobStart": stamp_or_empty(job.started),
            "Method": job.method,
            "RequestAt": stamp(job.asked),
            "Status": job.status(ask.now, self.stage(), false),
        })
    }

    fn show_job(&self, ask: &Ask, id: u64, status: u16) -> Answer {
        let job = self.jobs.get(&id).ok_or_else(answer::not_found)?;
        Ok(row(status, self.show_row_of(ask, job)))
    }

    /// `/csvimport` shows the imports of files, `/batchjob` all jobs.
    fn visible<'a>(ask: &Ask, job: &&'a Job) -> bool {
        ask.part(2).eq_ignore_ascii_case("batchjob") || matches!(job.kind, Kind::Csv(_))
    }

    pub(super) fn job_rows(&self, ask: &Ask) -> Answer {
        let status = |job: &Job| job.status(ask.now, self.stage(), false);
        let all: Vec<&Job> = self
            .jobs
            .values()
            .filter(|job| Self::visible(ask, job))
            .filter(|job| ask.filter("status").is_none_or(|wanted| status(job).eq_ignore_ascii_case(wanted)))
            .collect();
        Ok(page(ask, &all, |job| self.show_row_of(ask, job)))
    }

    pub(super) fn job_row(&self, ask: &Ask) -> Answer {
        let job = ask.id(3).and_then(|id| self.jobs.get(&id)).filter(|job| Self::visible(ask, job));
        self.show_job(ask, job.map_or(0, |job| job.id), 200)
    }

    pub(super) fn abort_job(&mut self, ask: &Ask) -> Answer {
        let id = ask.id(3).unwrap_or(0);
        if !ask.text("status").is_some_and(|status| status.eq_ignore_ascii_case("abort")) {
            return Err(refusal(400, "A job can only be given the status Abort"));
        }
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.ended.is_none()) {
            (job.ended, job.end) = (Some(ask.now), "Abort");
        }
        self.show_job(ask, id, 200)
    }

    /// The rows that were refused. The schema of the JSON variant is not documented (Mailjet sheet 3.7).
    pub(super) fn problems(&self, ask: &Ask, content_type: &str) -> Answer {
        let job = ask.id(3).and_then(|id| self.jobs.get(&id)).filter(|job| job.ended.is_some());
        let problems = &job.ok_or_else(answer::not_found)?.problems;
        let text = if content_type == "text/csv" {
            problems.iter().map(|(row, error)| format!("{row}, ###{error}\n")).collect()
        } else {
            let rows: Vec<Value> =
                problems.iter().map(|(row, error)| json!({ "Email": row, "Error": error })).collect();
            Value::from(rows).to_string()
        };
        Ok(body(200, content_type, text.into_bytes()))
    }

    /// Moves all jobs on.
    pub(super) fn work(&mut self, now: Timestamp) {
        let (stage, most) = (self.stage(), usize::try_from(self.switches.number("jobs_at_once")).unwrap_or(0));
        let open: Vec<u64> = self.jobs.values().filter(|job| job.ended.is_none()).map(|job| job.id).collect();
        let mut running = 0;
        for id in open {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if most > 0 && running >= most {
                break;
            }
            let started = *job.started.get_or_insert(if most > 0 { now } else { job.asked });
            let end = started.saturating_add(stage.saturating_mul(3));
            if now < end || self.switches.is("jobs", "stuck") {
                running += 1;
            } else {
                self.finish(end.max(started), id);
            }
        }
    }

    fn finish(&mut self, now: Timestamp, id: u64) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        (job.ended, job.end, job.count) = (Some(now), "Completed", job.wishes.len());
        if self.switches.is("jobs", "error") {
            // A job that fails may have done part of its work (Mailjet sheet 3.7).
            job.count /= 2;
            (job.end, job.words) = ("Error", "The job could not be finished");
        }
        if !self.switches.is("jobs", "silent") {
            for wish in job.wishes.iter().take(job.count) {
                if let Err(problem) = self.grant(now, wish, &job.targets) {
                    job.problems.push((wish.email.clone(), problem));
                }
            }
            if let Kind::Import(from, to) = job.kind {
                job.count = self.import(now, from, to, &job.method);
            }
        }
        if !job.problems.is_empty() && self.switches.is("bad_row", "error") && !matches!(job.kind, Kind::Csv(_)) {
            (job.end, job.words) = ("Error", "Some contacts could not be managed");
        }
        self.jobs.insert(id, job);
    }

    fn grant(&mut self, now: Timestamp, wish: &Wish, targets: &[(u64, Action)]) -> Result<(), String> {
        if !is_address(&wish.email) {
            return Err("Invalid email".into());
        }
        let properties = self.properties(&wish.properties).map_err(|bad| Value::from(bad).to_string())?;
        let words = |_| "Number of contacts exceeds maximum allowed for free accounts".to_owned();
        let contact = self.upsert(now, &wish.email).map_err(words)?;
        self.describe(now, contact, wish.name.as_deref(), properties);
        if let Some(excluded) = wish.excluded {
            self.exclude(now, contact, excluded);
        }
        for (list, action) in targets {
            self.act(now, *list, contact, *action).map_err(|_| "The contact is not a member of the list".to_owned())?;
        }
        Ok(())
    }

    fn import(&mut self, now: Timestamp, from: u64, to: u64, method: &str) -> usize {
        let source: Vec<(u64, bool)> =
            self.rows_of(Some(from)).iter().map(|row| (row.contact, row.unsubscribed)).collect();
        let mut done = 0;
        for (contact, unsubscribed) in &source {
            let action = match method {
                "duplicate-no-override" if self.row(to, *contact).is_some() => continue,
                "duplicate-override" | "duplicate-no-override" if *unsubscribed => Action::Unsub,
                "duplicate-override" | "duplicate-no-override" | "addforce" => Action::AddForce,
                "unsub" => Action::Unsub,
                _ => Action::AddNoForce,
            };
            done += usize::from(self.act(now, to, *contact, action).is_ok());
        }
        done
    }
}

fn wish(given: &Value) -> Wish {
    Wish {
        email: member(given, "email").and_then(Value::as_str).unwrap_or_default().trim().to_owned(),
        name: member(given, "name").and_then(Value::as_str).map(str::to_owned),
        excluded: member(given, "isexcludedfromcampaigns").and_then(flag),
        properties: member(given, "properties").and_then(Value::as_object).cloned().unwrap_or_default(),
    }
}
