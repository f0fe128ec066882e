//! Carrying out changes.

use crate::list;
use crate::single::{self, limited};
use crate::wire::{self, Api};
use consentd_provider::{
    AudienceRef, Change, Effect, EmailAddress, Fields, Gateway, JobState, Method, Outcome, Presence, ProviderError,
    Push, Refusal, RemoteJob, Scope, plain,
};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet};

/// From here on subscriptions go into a job; fewer are answered at once.
const BULK_SUBSCRIPTIONS: usize = 11;
/// Withdrawals stay synchronous for longer, because a job may take hours (Mailjet sheet 11).
const BULK_WITHDRAWALS: usize = 101;
/// No limit is published; more than this was seen to break connections (Mailjet sheet 3.7).
const JOB_ROWS: usize = 1_000;

const MANAGE_MANY: &str = "/v3/REST/contactslist/{list}/managemanycontacts";
const UPSERT_MANY: &str = "/v3/REST/contact/managemanycontacts";

/// One push on its way: what is known of each change, and what ended it.
pub(crate) struct Run<'a> {
    pub(crate) api: &'a Api,
    pub(crate) out: &'a dyn Gateway,
    pub(crate) list: u64,
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
        let mut times: HashMap<String, usize> = HashMap::new();
        for change in self.changes {
            *times.entry(change.email().folded()).or_default() += 1;
        }
        let once = |change: &Change| times.get(&change.email().folded()) == Some(&1);
        let which = |wanted: &dyn Fn(&Change) -> bool| -> Vec<usize> {
            self.changes.iter().enumerate().filter(|(_, change)| wanted(change)).map(|(index, _)| index).collect()
        };
        let purpose = which(&|one| once(one) && matches!(one, Change::Withdraw { scope: Scope::Purpose, .. }));
        let everything = which(&|one| once(one) && matches!(one, Change::Withdraw { scope: Scope::Everything, .. }));
        let several = which(&|one| !once(one));
        let routine = which(&|one| once(one) && matches!(one, Change::Subscribe { lift: None, .. }));
        let lifting = which(&|one| once(one) && matches!(one, Change::Subscribe { lift: Some(_), .. }));
        // Withdrawals first: whatever stops a push shall stop something less urgent.
        if purpose.len() + everything.len() < BULK_WITHDRAWALS {
            self.singly(&purpose).await?;
            self.singly(&everything).await?;
        } else {
            self.leave(&purpose).await?;
            self.exclusions(&everything).await?;
        }
        // Two wishes about one person are kept in order, which a job would not promise.
        self.singly(&several).await?;
        if routine.len() < BULK_SUBSCRIPTIONS {
            self.singly(&routine).await?;
        } else {
            self.subscribe(&routine).await?;
        }
        self.singly(&lifting).await
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
                Change::Subscribe { email, fields, lift: None, .. } => self.routine(email, fields).await,
                Change::Subscribe { email, fields, lift: Some(lift), .. } => {
                    self.lift(email, fields, lift, &mut started).await
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

    /// Without anybody whom the account excludes. The job would put them on the list, and not one campaign would
    /// reach them; so that is told now. Nobody new can be among them.
    async fn subscribe(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        let known = |index: &&usize| {
            matches!(self.changes.get(**index), Some(Change::Subscribe { presence: Presence::Known, .. }))
        };
        let excluded = if indices.iter().any(|index| known(&index)) {
            list::excluded(self.api, self.out, self.list).await?
        } else {
            HashSet::new()
        };
        let blocked =
            |index: &usize| self.changes.get(*index).is_some_and(|one| excluded.contains(&one.email().folded()));
        let (blocked, rest): (Vec<usize>, Vec<usize>) = indices.iter().partition(|index| blocked(index));
        for index in blocked {
            self.note(index, Outcome::Refused(Refusal::Blocked));
        }
        for part in rest.chunks(JOB_ROWS) {
            let body = json!({ "Action": "addnoforce", "Contacts": self.contacts(part, |_| ()) });
            if !self.start(part, MANAGE_MANY, self.many(), &body, "list").await? {
                for index in part {
                    self.note(*index, Outcome::Refused(Refusal::AccountLimit));
                }
            }
        }
        Ok(())
    }

    async fn leave(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        for part in indices.chunks(JOB_ROWS) {
            let body = json!({ "Action": "unsub", "Contacts": self.contacts(part, |_| ()) });
            if !self.start(part, MANAGE_MANY, self.many(), &body, "list").await? {
                // A full account refuses the job, but not every way of one by one.
                self.singly(part).await?;
            }
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
            if !self.start(part, UPSERT_MANY, UPSERT_MANY.into(), &body, "account").await? {
                self.singly(part).await?;
            }
        }
        Ok(())
    }

    fn many(&self) -> String {
        format!("/v3/REST/contactslist/{}/managemanycontacts", self.list)
    }

    fn contacts(&self, indices: &[usize], complete: impl Fn(&mut Map<String, Value>)) -> Vec<Value> {
        let none = Fields::new();
        let changes = indices.iter().filter_map(|index| self.changes.get(*index));
        changes
            .map(|change| {
                let fields = if let Change::Subscribe { fields, .. } = change { fields } else { &none };
                let mut row = single::row(change.email(), fields);
                complete(&mut row);
                Value::Object(row)
            })
            .collect()
    }

    /// Starts a job; says no when the account is too full for it.
    async fn start(
        &mut self,
        indices: &[usize],
        route: &'static str,
        path: String,
        body: &Value,
        kind: &str,
    ) -> Result<bool, ProviderError> {
        let answer = self.api.rows(self.out, Method::Post, route, path, Some(body)).await;
        let job = answer.and_then(wire::first).and_then(|row| wire::needed_id(&row, "JobID"));
        let (outcome, error) = match job {
            Ok(job) => (Outcome::Pending(RemoteJob(format!("{kind}:{job}"))), None),
            Err(error) if limited(&error) => return Ok(false),
            Err(error) if error.effect() == Effect::Unknown => (Outcome::Unknown, Some(error)),
            Err(error) => (Outcome::Untouched, Some(error)),
        };
        for index in indices {
            self.note(*index, outcome.clone());
        }
        error.map_or(Ok(true), Err)
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

/// Only 200 says that it was done (Mailjet sheet 3.9); what comes with it is not documented, so the address is asked
/// for again.
pub(crate) async fn erase(api: &Api, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
    let Some(contact) = list::contact(api, out, email).await? else { return Ok(Outcome::Applied) };
    let path = format!("/v4/contacts/{}", contact.id);
    let answer = api.raw(out, Method::Delete, "/v4/contacts/{id}", path, None).await?;
    if !matches!(answer.status, 200 | 404) {
        wire::accepted(&answer)?;
    }
    match list::contact(api, out, email).await? {
        None => Ok(Outcome::Applied),
        Some(_) => Err(ProviderError::Protocol("an erasure without effect")),
    }
}
