//! Carrying out changes.

use crate::list::{self, Contact};
use crate::wire::{self, Api};
use consentd_provider::{
    AudienceRef, Change, Effect, EmailAddress, Fields, Gateway, JobState, Method, Outcome, ProviderError, Push,
    Refusal, RemoteJob, Scope, path_segment, plain,
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// From here on subscriptions go into a job; fewer are answered at once.
const BULK_SUBSCRIPTIONS: usize = 11;
/// Withdrawals stay synchronous for longer, because a job may take hours (Mailjet sheet 11).
const BULK_WITHDRAWALS: usize = 101;
/// No limit is published; more than this was seen to break connections (Mailjet sheet 3.7).
const JOB_ROWS: usize = 1_000;

const MANAGE: &str = "/v3/REST/contactslist/{list}/managecontact";
const MANAGE_MANY: &str = "/v3/REST/contactslist/{list}/managemanycontacts";
const UPSERT_MANY: &str = "/v3/REST/contact/managemanycontacts";

/// One push on its way: what is known of each change, and what ended it.
struct Run<'a> {
    api: &'a Api,
    out: &'a dyn Gateway,
    list: u64,
    changes: &'a [Change],
    outcomes: Vec<Outcome>,
}

pub(crate) async fn push(api: &Api, out: &dyn Gateway, to: &AudienceRef, changes: &[Change]) -> Push {
    let list = match wire::list_id(to) {
        Ok(list) => list,
        Err(error) => return Push::untouched(changes.len(), error),
    };
    let mut run = Run { api, out, list, changes, outcomes: vec![Outcome::Untouched; changes.len()] };
    let stopped_by = run.all().await.err();
    Push { outcomes: run.outcomes, stopped_by }
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), ProviderError> {
        let mut seen = HashSet::new();
        if !self.changes.iter().all(|change| seen.insert(change.email().folded())) {
            // Two wishes about one person are kept in order, which a job would not promise.
            return self.singly(&(0..self.changes.len()).collect::<Vec<_>>()).await;
        }
        let purpose = self.which(|change| matches!(change, Change::Withdraw { scope: Scope::Purpose, .. }));
        let everything = self.which(|change| matches!(change, Change::Withdraw { scope: Scope::Everything, .. }));
        let routine = self.which(|change| matches!(change, Change::Subscribe { lift: false, .. }));
        let lifting = self.which(|change| matches!(change, Change::Subscribe { lift: true, .. }));
        // Withdrawals first: whatever stops a push shall stop something less urgent.
        if purpose.len() + everything.len() < BULK_WITHDRAWALS {
            self.singly(&purpose).await?;
            self.singly(&everything).await?;
        } else {
            self.jobs(&purpose, "unsub").await?;
            self.exclusions(&everything).await?;
        }
        if routine.len() < BULK_SUBSCRIPTIONS {
            self.singly(&routine).await?;
        } else {
            self.jobs(&routine, "addnoforce").await?;
        }
        self.singly(&lifting).await
    }

    fn which(&self, wanted: impl Fn(&Change) -> bool) -> Vec<usize> {
        self.changes.iter().enumerate().filter(|(_, change)| wanted(change)).map(|(index, _)| index).collect()
    }

    fn note(&mut self, index: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes.get_mut(index) {
            *place = outcome;
        }
    }

    async fn singly(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        for &index in indices {
            let Some(change) = self.changes.get(index) else { continue };
            let mut started = false;
            let result = match change {
                Change::Subscribe { email, fields, lift: false, .. } => self.manage(email, "addnoforce", fields).await,
                Change::Subscribe { email, fields, lift: true, .. } => {
                    // Read right before; a failed reading leaves the change untouched.
                    let contact = list::contact(self.api, self.out, email).await?;
                    self.lift(email, fields, contact, &mut started).await
                }
                Change::Withdraw { email, scope } => self.withdraw(email, *scope, &mut started).await,
            };
            match result {
                Ok(outcome) => self.note(index, outcome),
                Err(error) => {
                    if started || error.effect() == Effect::Unknown {
                        self.note(index, Outcome::Unknown);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// One contact and the list, synchronously.
    async fn manage(&self, email: &EmailAddress, action: &str, fields: &Fields) -> Result<Outcome, ProviderError> {
        let mut body = row(email, fields);
        body.insert("Action".into(), action.into());
        let path = format!("/v3/REST/contactslist/{}/managecontact", self.list);
        let answer = self.api.rows(self.out, Method::Post, MANAGE, path, Some(&Value::Object(body))).await;
        match answer {
            Ok(rows) => wire::first(rows).map(|_| Outcome::Applied),
            Err(error) => refused(error).map(Outcome::Refused),
        }
    }

    /// The only place that may undo an unsubscription.
    async fn lift(
        &self,
        email: &EmailAddress,
        fields: &Fields,
        contact: Option<Contact>,
        started: &mut bool,
    ) -> Result<Outcome, ProviderError> {
        if contact.as_ref().is_some_and(|contact| contact.complained) {
            return Ok(Outcome::Refused(Refusal::Blocked));
        }
        let outcome = self.manage(email, "addforce", fields).await?;
        if outcome == Outcome::Applied && contact.is_some_and(|contact| contact.excluded) {
            *started = true;
            self.exclude(email, false).await?;
        }
        Ok(outcome)
    }

    async fn withdraw(&self, email: &EmailAddress, scope: Scope, started: &mut bool) -> Result<Outcome, ProviderError> {
        let mut outcome = self.manage(email, "unsub", &Fields::new()).await?;
        if outcome == Outcome::Refused(Refusal::AccountLimit) {
            // A full account refuses even this; the row itself can still be changed (Mailjet sheet 11).
            outcome = self.unsubscribe_row(email).await?;
        }
        if scope == Scope::Everything && outcome == Outcome::Applied {
            *started = true;
            self.exclude(email, true).await?;
        }
        Ok(outcome)
    }

    async fn unsubscribe_row(&self, email: &EmailAddress) -> Result<Outcome, ProviderError> {
        let route = "/v3/REST/listrecipient";
        let path = format!("{route}?ContactEmail={}&ContactsList={}&Limit=10", path_segment(email.as_str()), self.list);
        let rows = self.api.rows(self.out, Method::Get, route, path, None).await?;
        for row in rows.iter().filter(|row| wire::id(row, "ListID") == Some(self.list)) {
            let path = format!("{route}/{}", wire::needed_id(row, "ID")?);
            let body = json!({ "IsUnsubscribed": true });
            self.put("/v3/REST/listrecipient/{id}", path, &body).await?;
        }
        Ok(Outcome::Applied)
    }

    /// The exclusion from all campaigns of the account; nobody unknown needs it.
    async fn exclude(&self, email: &EmailAddress, excluded: bool) -> Result<(), ProviderError> {
        let path = format!("/v3/REST/contact/{}", path_segment(email.as_str()));
        let body = json!({ "IsExcludedFromCampaigns": excluded });
        match self.put("/v3/REST/contact/{email}", path, &body).await {
            Err(ProviderError::Rejected { status: 404, .. }) => Ok(()),
            other => other,
        }
    }

    async fn put(&self, route: &'static str, path: String, body: &Value) -> Result<(), ProviderError> {
        let answer = self.api.raw(self.out, Method::Put, route, path, Some(body)).await?;
        // 304 says that it was so already (Mailjet sheet 1.6).
        if answer.status == 304 { Ok(()) } else { wire::rows(&answer).map(drop) }
    }

    async fn jobs(&mut self, indices: &[usize], action: &str) -> Result<(), ProviderError> {
        let path = format!("/v3/REST/contactslist/{}/managemanycontacts", self.list);
        for part in indices.chunks(JOB_ROWS) {
            let contacts = self.contacts(part, |_| ());
            let body = json!({ "Action": action, "Contacts": contacts });
            self.start(part, MANAGE_MANY, path.clone(), &body, "list").await?;
        }
        Ok(())
    }

    /// Exclusion and unsubscription in one job.
    async fn exclusions(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        for part in indices.chunks(JOB_ROWS) {
            let contacts = self.contacts(part, |row| {
                row.insert("IsExcludedFromCampaigns".into(), true.into());
            });
            let body = json!({ "Contacts": contacts, "ContactsLists": [{ "ListID": self.list, "Action": "unsub" }] });
            self.start(part, UPSERT_MANY, UPSERT_MANY.into(), &body, "account").await?;
        }
        Ok(())
    }

    fn contacts(&self, indices: &[usize], complete: impl Fn(&mut Map<String, Value>)) -> Vec<Value> {
        let none = Fields::new();
        let changes = indices.iter().filter_map(|index| self.changes.get(*index));
        changes
            .map(|change| {
                let fields = if let Change::Subscribe { fields, .. } = change { fields } else { &none };
                let mut row = row(change.email(), fields);
                complete(&mut row);
                Value::Object(row)
            })
            .collect()
    }

    async fn start(
        &mut self,
        indices: &[usize],
        route: &'static str,
        path: String,
        body: &Value,
        kind: &str,
    ) -> Result<(), ProviderError> {
        let answer = self.api.rows(self.out, Method::Post, route, path, Some(body)).await;
        let job = answer.and_then(wire::first).and_then(|row| wire::needed_id(&row, "JobID"));
        let (outcome, error) = match job {
            Ok(job) => (Outcome::Pending(RemoteJob(format!("{kind}:{job}"))), None),
            Err(error) if limited(&error) => (Outcome::Refused(Refusal::AccountLimit), None),
            Err(error) if error.effect() == Effect::Unknown => (Outcome::Unknown, Some(error)),
            Err(error) => (Outcome::Untouched, Some(error)),
        };
        for index in indices {
            self.note(*index, outcome.clone());
        }
        error.map_or(Ok(()), Err)
    }
}

/// A contact as every call wants it. `IsExcludedFromCampaigns` is left out: a row that carries `false` would lift an
/// exclusion (Mailjet sheet 3.6).
fn row(email: &EmailAddress, fields: &Fields) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("Email".into(), email.as_str().into());
    if !fields.is_empty() {
        let properties: Map<String, Value> =
            fields.iter().map(|(name, value)| (name.to_lowercase(), json!(value))).collect();
        row.insert("Properties".into(), Value::Object(properties));
    }
    row
}

fn limited(error: &ProviderError) -> bool {
    // Wording of a free account (Mailjet sheet 7).
    matches!(error, ProviderError::Rejected { reason, .. } if reason.contains("exceeds maximum allowed"))
}

/// What a refused row means, unless the refusal is about the whole push.
fn refused(error: ProviderError) -> Result<Refusal, ProviderError> {
    if limited(&error) {
        return Ok(Refusal::AccountLimit);
    }
    match error {
        ProviderError::Rejected { status: 400 | 401, code, reason } => Ok(Refusal::Invalid { code, reason }),
        other => Err(other),
    }
}

pub(crate) async fn follow(
    api: &Api,
    out: &dyn Gateway,
    of: &AudienceRef,
    job: &RemoteJob,
) -> Result<JobState, ProviderError> {
    let list = wire::list_id(of)?;
    let (route, path) = match job.0.split_once(':').map(|(kind, id)| (kind, wire::number(id))) {
        Some(("list", Some(id))) => (
            "/v3/REST/contactslist/{list}/managemanycontacts/{job}",
            format!("/v3/REST/contactslist/{list}/managemanycontacts/{id}"),
        ),
        Some(("account", Some(id))) => ("/v3/REST/contact/managemanycontacts/{job}", format!("{UPSERT_MANY}/{id}")),
        _ => {
            return Err(ProviderError::Rejected {
                status: 404,
                code: "job".into(),
                reason: "a job that is not of this adapter".into(),
            });
        }
    };
    let row = wire::first(api.rows(out, Method::Get, route, path, None).await?)?;
    let problem = [wire::text(&row, "Error"), wire::text(&row, "ErrorFile")].concat();
    // Two official lists of statuses contradict each other; these three end a job (Mailjet sheet 3.7).
    Ok(match wire::text(&row, "Status").to_ascii_lowercase().as_str() {
        "completed" if problem.is_empty() => JobState::Done,
        "completed" => JobState::Failed("some rows were refused".into()),
        "error" | "abort" => JobState::Failed(plain(wire::text(&row, "Error"))),
        "" => return Err(ProviderError::Protocol("a job without a status")),
        _ => JobState::Running,
    })
}

pub(crate) async fn erase(api: &Api, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
    let Some(contact) = list::contact(api, out, email).await? else { return Ok(Outcome::Applied) };
    let path = format!("/v4/contacts/{}", contact.id);
    let answer = api.raw(out, Method::Delete, "/v4/contacts/{id}", path, None).await?;
    match answer.status {
        // Only 200 says that it was done (Mailjet sheet 3.9).
        200 | 404 => Ok(Outcome::Applied),
        201..300 => Err(ProviderError::Protocol("an erasure that was not confirmed")),
        _ => wire::accepted(&answer).map(|()| Outcome::Unknown),
    }
}
