//! Many changes with one call.

use crate::push::{Run, attributes, limited};
use crate::wire::{self, Api};
use consentd_provider::{
    Change, Effect, Fields, Gateway, JobState, Method, Outcome, Presence, ProviderError, Refusal, RemoteJob,
};
use serde_json::{Value, json};
use std::collections::HashSet;

/// No limit is documented; this is small enough to be none (Brevo sheet 3.11).
const BATCH: usize = 100;
/// The most addresses of a call about a list (Brevo sheet 3.7).
const LIST_ROWS: usize = 150;
/// Brevo advises against bodies above 8 MB (Brevo sheet 3.8); this leaves room for the rest of the body.
const IMPORT_BYTES: usize = 7_900_000;

/// What an import may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    /// Nothing: there is none.
    Off,
    /// Make contacts, and leave existing ones alone.
    Create,
    /// Make contacts and update existing ones.
    Update,
}

impl Run<'_> {
    /// Updates known contacts. The answer says "all updated" or "no", and nothing of a single row; whether rows without
    /// a contact are passed over in silence is not said (Brevo sheet 3.11). So an import follows that creates whoever
    /// is missing and leaves the others alone.
    pub(crate) async fn update_together(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        let mut together = Vec::new();
        for part in indices.chunks(BATCH) {
            let rows: Vec<Value> = self
                .subscriptions(part)
                .map(|(_, change, fields)| Value::Object(self.row(change.email(), fields)))
                .collect();
            if self.batch(part, &rows).await? {
                together.extend_from_slice(part);
            }
        }
        if self.imports == Imports::Off { Ok(()) } else { self.import(&together, false).await }
    }

    /// Blocks contacts for all campaigns and takes them off the list.
    pub(crate) async fn block_together(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        for part in indices.chunks(BATCH) {
            let changes = part.iter().filter_map(|index| self.changes.get(*index));
            let rows: Vec<Value> = changes
                .map(|change| {
                    let email = change.email().folded();
                    json!({ "email": email, "emailBlacklisted": true, "unlinkListIds": [self.list] })
                })
                .collect();
            self.batch(part, &rows).await?;
        }
        Ok(())
    }

    /// Whether the rows were taken together.
    async fn batch(&mut self, part: &[usize], rows: &[Value]) -> Result<bool, ProviderError> {
        let route = "/contacts/batch";
        let body = json!({ "contacts": rows });
        match self.api.write(self.out, Method::Post, route, route.into(), Some(&body)).await {
            Ok(_) => {
                self.note_all(part, &Outcome::Applied);
                Ok(true)
            }
            // One row spoils it for all; which one, and whether those before it were done, is not said. Single calls
            // do the same again and tell.
            Err(ProviderError::Rejected { status: 400 | 404, .. }) => {
                self.note_all(part, &Outcome::Unknown);
                self.singly(part).await.map(|()| false)
            }
            Err(error) => Err(self.stopped(part, error)),
        }
    }

    /// Takes contacts off the list.
    pub(crate) async fn take_off(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        let route = "/contacts/lists/{list}/contacts/remove";
        for part in indices.chunks(LIST_ROWS) {
            let changes = part.iter().filter_map(|index| self.changes.get(*index));
            let emails: Vec<String> = changes.map(|change| change.email().folded()).collect();
            let path = format!("/contacts/lists/{}/contacts/remove", self.list);
            let body = json!({ "emails": emails });
            let answer = match self.api.write(self.out, Method::Post, route, path, Some(&body)).await {
                Ok(answer) => answer,
                // Nobody of them could be taken off: nobody was on it, or one address spoils it for all.
                Err(ProviderError::Rejected { status: 400 | 404, .. }) => Value::Null,
                Err(error) => return Err(self.stopped(part, error)),
            };
            let gone = succeeded(&answer);
            let mut rest = Vec::new();
            for (index, email) in part.iter().zip(&emails) {
                if gone.contains(email) {
                    self.note(*index, Outcome::Applied);
                } else {
                    rest.push(*index);
                }
            }
            self.confirm_off(&rest).await?;
        }
        Ok(())
    }

    /// Who was not taken off either was not on the list or does not exist; a reading tells.
    async fn confirm_off(&mut self, rest: &[usize]) -> Result<(), ProviderError> {
        let mut still_on = Vec::new();
        for &index in rest {
            let Some(change) = self.changes.get(index) else { continue };
            let contact = crate::list::contact(self.api, self.out, change.email()).await?;
            if contact.is_none_or(|contact| !contact.is_on(self.list)) {
                self.note(index, Outcome::Applied);
            } else {
                still_on.push(index);
            }
        }
        self.singly(&still_on).await
    }

    /// Starts imports.
    ///
    /// With `update` existing contacts are updated, which may lift a block; without it contacts are only created.
    pub(crate) async fn import(&mut self, indices: &[usize], update: bool) -> Result<(), ProviderError> {
        let mut part = (Vec::new(), String::new());
        let changes = self.changes;
        for &index in indices {
            let Some(change @ Change::Subscribe { fields, .. }) = changes.get(index) else { continue };
            let row = import_row(change, fields);
            if part.1.len() + row.len() + 1 > IMPORT_BYTES && !part.0.is_empty() {
                let (indices, rows) = std::mem::take(&mut part);
                self.start(&indices, &rows, update).await?;
            }
            if !part.0.is_empty() {
                part.1.push(',');
            }
            part.0.push(index);
            part.1.push_str(&row);
        }
        let (indices, rows) = part;
        if indices.is_empty() { Ok(()) } else { self.start(&indices, &rows, update).await }
    }

    /// `emailBlacklist` is left out; it holds for all rows (Brevo sheet 3.8).
    async fn start(&mut self, indices: &[usize], rows: &str, update: bool) -> Result<(), ProviderError> {
        let route = "/contacts/import";
        let body = format!(
            r#"{{"jsonBody":[{rows}],"listIds":[{}],"updateExistingContacts":{update},"emptyContactsAttributes":false,"disableNotification":true}}"#,
            self.list
        );
        let answer = self.api.write_text(self.out, Method::Post, route, route.into(), Some(body)).await;
        match answer.and_then(|answer| wire::needed_id(&answer, "processId")) {
            Ok(job) => {
                self.note_all(indices, &Outcome::Pending(RemoteJob(job.to_string())));
                Ok(())
            }
            Err(error) if limited(&error) => {
                // A batch may have found the contacts already; then nobody had to be made.
                let open = |index: &&usize| self.outcomes.get(**index) == Some(&Outcome::Untouched);
                let open: Vec<usize> = indices.iter().filter(open).copied().collect();
                self.note_all(&open, &Outcome::Refused(Refusal::AccountLimit));
                Ok(())
            }
            Err(error) => Err(self.stopped(indices, error)),
        }
    }

    fn note_all(&mut self, indices: &[usize], outcome: &Outcome) {
        for index in indices {
            self.note(*index, outcome.clone());
        }
    }

    /// Notes what a failure that ends the push means for the rows of the call.
    fn stopped(&mut self, indices: &[usize], error: ProviderError) -> ProviderError {
        if error.effect() == Effect::Unknown {
            self.note_all(indices, &Outcome::Unknown);
        }
        error
    }

    fn subscriptions<'s>(&'s self, indices: &'s [usize]) -> impl Iterator<Item = (usize, &'s Change, &'s Fields)> {
        indices.iter().filter_map(|index| match self.changes.get(*index)? {
            change @ Change::Subscribe { fields, .. } => Some((*index, change, fields)),
            Change::Withdraw { .. } => None,
        })
    }
}

/// How many changes like this one an import carries; `None` for one that no import carries.
pub(crate) fn together(change: &Change, imports: Imports) -> Option<usize> {
    let Change::Subscribe { fields, lift: None, presence, .. } = change else { return None };
    match (imports, presence) {
        (Imports::Create, Presence::New) | (Imports::Update, _) => {
            Some(IMPORT_BYTES / (import_row(change, fields).len() + 1))
        }
        _ => None,
    }
}

/// A row of an import, as JSON, so that values keep their types.
fn import_row(change: &Change, fields: &Fields) -> String {
    json!({ "email": change.email().folded(), "attributes": attributes(fields) }).to_string()
}

/// Who was taken off. The samples of the specification lack the wrapper that its schema asks for (Brevo sheet 3.7).
fn succeeded(answer: &Value) -> HashSet<String> {
    let inside = answer.get("contacts").unwrap_or(answer);
    let emails = inside.get("success").and_then(Value::as_array);
    emails.into_iter().flatten().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
}

pub(crate) async fn follow(api: &Api, out: &dyn Gateway, job: &RemoteJob) -> Result<JobState, ProviderError> {
    let id = wire::number(&job.0).ok_or_else(|| ProviderError::Rejected {
        status: 404,
        code: "job".into(),
        reason: "a job that is not of this adapter".into(),
    })?;
    let process = api.get(out, "/processes/{id}", format!("/processes/{id}")).await?;
    // The value of a running process has three spellings (Brevo sheet 3.9).
    Ok(match wire::text(&process, "status") {
        "completed" if complaints(&process) => JobState::Failed("some rows were refused".into()),
        "completed" => JobState::Done,
        "failed" | "cancelled" => JobState::Failed("the provider gave the import up".into()),
        "" => return Err(ProviderError::Protocol("a process without a status")),
        _ => JobState::Running,
    })
}

/// Refused rows are told by files, in older descriptions by numbers (Brevo sheet 3.9).
fn complaints(process: &Value) -> bool {
    let import = process.get("info").and_then(|info| info.get("import")).and_then(Value::as_object);
    import.is_some_and(|files| {
        files.values().any(|file| match file {
            Value::String(url) => !url.is_empty(),
            Value::Number(count) => count.as_f64() != Some(0.0),
            _ => false,
        })
    })
}
