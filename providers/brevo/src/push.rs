//! Carrying out changes.

use crate::bulk::Imports;
use crate::lift;
use crate::list::{self, Contact, contact_path};
use crate::wire::{self, Api};
use consentd_provider::{
    AudienceRef, Change, Effect, EmailAddress, Fields, Gateway, Method, Outcome, Presence, ProviderError, Push,
    Refusal, Scope,
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// From here on withdrawals of everything go by batch.
const BATCH_FROM: usize = 11;
/// From here on subscriptions need an import. An import is asked after two or three times, out of a quota of 100 an
/// hour; this many single calls take five or ten seconds of a quota of ten a second.
const IMPORT_FROM: usize = 50;

pub(crate) const CONTACT: &str = "/contacts/{email}";

/// Why a change was not carried out.
pub(crate) struct Stop {
    error: ProviderError,
    /// Whether this change may have been applied in part.
    begun: bool,
}

/// A failed reading leaves the change untouched.
pub(crate) fn reading(error: ProviderError) -> Stop {
    Stop { error, begun: false }
}

/// A failed writing may have arrived.
pub(crate) fn writing(error: ProviderError) -> Stop {
    Stop { begun: error.effect() == Effect::Unknown, error }
}

/// A failure after something was written already.
fn halfway(error: ProviderError) -> Stop {
    Stop { error, begun: true }
}

/// One push on its way: what is known of each change, and what ended it.
pub(crate) struct Run<'a> {
    pub(crate) api: &'a Api,
    pub(crate) out: &'a dyn Gateway,
    pub(crate) list: i64,
    pub(crate) imports: Imports,
    pub(crate) changes: &'a [Change],
    pub(crate) outcomes: Vec<Outcome>,
}

pub(crate) async fn push(api: &Api, out: &dyn Gateway, to: &AudienceRef, changes: &[Change], imports: Imports) -> Push {
    let list = match wire::list_id(to) {
        Ok(list) => list,
        Err(error) => return Push::untouched(changes.len(), error),
    };
    let mut run = Run { api, out, list, imports, changes, outcomes: vec![Outcome::Untouched; changes.len()] };
    let stopped_by = run.all().await.err();
    Push { outcomes: run.outcomes, stopped_by }
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), ProviderError> {
        let mut seen = HashSet::new();
        if !self.changes.iter().all(|change| seen.insert(change.email().folded())) {
            // Two wishes about one person are kept in order, which no bulk call would promise.
            return self.singly(&(0..self.changes.len()).collect::<Vec<_>>()).await;
        }
        let everything = self.which(|change| matches!(change, Change::Withdraw { scope: Scope::Everything, .. }));
        let purpose = self.which(|change| matches!(change, Change::Withdraw { scope: Scope::Purpose, .. }));
        let new = self.which(|change| matches!(change, Change::Subscribe { lift: false, presence: Presence::New, .. }));
        let known =
            self.which(|change| matches!(change, Change::Subscribe { lift: false, presence: Presence::Known, .. }));
        let lifting = self.which(|change| matches!(change, Change::Subscribe { lift: true, .. }));
        // Withdrawals first and never by an import: whatever stops a push shall stop something less urgent.
        if everything.len() < BATCH_FROM {
            self.singly(&everything).await?;
        } else {
            self.block_together(&everything).await?;
        }
        if purpose.len() == 1 {
            self.singly(&purpose).await?;
        } else {
            self.take_off(&purpose).await?;
        }
        if self.imports == Imports::Update && new.len() + known.len() >= IMPORT_FROM {
            self.import(&[new, known].concat(), true).await?;
        } else {
            self.create(&new).await?;
            self.refresh(&known).await?;
        }
        self.singly(&lifting).await
    }

    /// An import that only creates cannot lift the block of a contact that exists after all.
    async fn create(&mut self, new: &[usize]) -> Result<(), ProviderError> {
        if new.len() < IMPORT_FROM || self.imports == Imports::Off {
            self.singly(new).await
        } else {
            self.import(new, false).await
        }
    }

    /// An import could lift a block that we have not heard of; a batch leaves alone what it does not name.
    async fn refresh(&mut self, known: &[usize]) -> Result<(), ProviderError> {
        if known.len() < IMPORT_FROM { self.singly(known).await } else { self.update_together(known).await }
    }

    fn which(&self, wanted: impl Fn(&Change) -> bool) -> Vec<usize> {
        self.changes.iter().enumerate().filter(|(_, change)| wanted(change)).map(|(index, _)| index).collect()
    }

    pub(crate) fn note(&mut self, index: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes.get_mut(index) {
            *place = outcome;
        }
    }

    pub(crate) async fn singly(&mut self, indices: &[usize]) -> Result<(), ProviderError> {
        for &index in indices {
            let Some(change) = self.changes.get(index) else { continue };
            match self.one(change).await {
                Ok(outcome) => self.note(index, outcome),
                Err(Stop { error, begun }) => {
                    if begun {
                        self.note(index, Outcome::Unknown);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn one(&self, change: &Change) -> Result<Outcome, Stop> {
        match change {
            Change::Withdraw { email, scope } => self.withdraw(email, *scope).await,
            Change::Subscribe { email, fields, lift: false, presence: Presence::New, .. } => {
                self.upsert(email, fields).await
            }
            Change::Subscribe { email, fields, lift, .. } => {
                let contact = list::contact(self.api, self.out, email).await.map_err(reading)?;
                let Some(contact) = contact else { return self.upsert(email, fields).await };
                let closed = contact.blocked || contact.is_unsubscribed(self.list);
                let allowed = *lift
                    && (!contact.blocked || lift::liftable(self.api, self.out, &contact).await.map_err(reading)?);
                if closed && !allowed {
                    return Ok(Outcome::Refused(Refusal::Blocked));
                }
                self.update(email, fields, &contact).await
            }
        }
    }

    /// Creates or updates. `emailBlacklisted` is left out: `false` would lift a block (Brevo sheet 3.3).
    async fn upsert(&self, email: &EmailAddress, fields: &Fields) -> Result<Outcome, Stop> {
        let mut body = self.row(email, fields);
        body.insert("updateEnabled".into(), true.into());
        let route = "/contacts";
        let answer = self.api.write(self.out, Method::Post, route, route.into(), Some(&Value::Object(body))).await;
        match answer {
            Ok(Value::Null) => self.reach(email).await,
            Ok(_) => Ok(Outcome::Applied),
            Err(error) => refused(error).map(Outcome::Refused).map_err(writing),
        }
    }

    /// Updates a contact that was just read. The only place that may lift a block: the caller has weighed its reason.
    async fn update(&self, email: &EmailAddress, fields: &Fields, contact: &Contact) -> Result<Outcome, Stop> {
        let mut body = self.row(email, fields);
        body.remove("email");
        if contact.blocked {
            body.insert("emailBlacklisted".into(), false.into());
        }
        match self.put(email, &Value::Object(body)).await {
            // No call is documented that undoes an unsubscription from one list (Brevo sheet 3.1).
            Ok(()) if contact.is_unsubscribed(self.list) => self.reach(email).await,
            Ok(()) => Ok(Outcome::Applied),
            // Deleted between the two calls.
            Err(error) if wire::unknown_contact(&error) => self.upsert(email, fields).await,
            Err(error) => refused(error).map(Outcome::Refused).map_err(writing),
        }
    }

    /// Whether a contact that was just written may be mailed; only a reading tells.
    async fn reach(&self, email: &EmailAddress) -> Result<Outcome, Stop> {
        let contact = list::contact(self.api, self.out, email).await.map_err(halfway)?;
        let closed = contact.is_none_or(|contact| contact.blocked || contact.is_unsubscribed(self.list));
        Ok(if closed { Outcome::Refused(Refusal::Blocked) } else { Outcome::Applied })
    }

    async fn withdraw(&self, email: &EmailAddress, scope: Scope) -> Result<Outcome, Stop> {
        let body = match scope {
            Scope::Purpose => json!({ "unlinkListIds": [self.list] }),
            Scope::Everything => json!({ "emailBlacklisted": true, "unlinkListIds": [self.list] }),
        };
        match self.put(email, &body).await {
            Ok(()) => Ok(Outcome::Applied),
            // Nobody to take off.
            Err(error) if wire::unknown_contact(&error) => Ok(Outcome::Applied),
            Err(error @ ProviderError::Rejected { .. }) => self.off_already(email, scope, error).await,
            Err(error) => Err(writing(error)),
        }
    }

    /// A refused withdrawal is none, unless the contact is off already.
    pub(crate) async fn off_already(
        &self,
        email: &EmailAddress,
        scope: Scope,
        refusal: ProviderError,
    ) -> Result<Outcome, Stop> {
        let contact = list::contact(self.api, self.out, email).await.map_err(reading)?;
        let off =
            contact.is_none_or(|contact| !contact.is_on(self.list) && (contact.blocked || scope == Scope::Purpose));
        if off { Ok(Outcome::Applied) } else { Err(writing(refusal)) }
    }

    async fn put(&self, email: &EmailAddress, body: &Value) -> Result<(), ProviderError> {
        self.api.write(self.out, Method::Put, CONTACT, contact_path(email), Some(body)).await.map(drop)
    }

    /// A contact of the list as the calls want it.
    pub(crate) fn row(&self, email: &EmailAddress, fields: &Fields) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("email".into(), email.folded().into());
        row.insert("listIds".into(), json!([self.list]));
        let attributes = attributes(fields);
        if !attributes.is_empty() {
            row.insert("attributes".into(), Value::Object(attributes));
        }
        row
    }
}

/// Attributes have names in capitals, and a value of another type is dropped in silence (Brevo sheet 3.2); consentd
/// types them by the schema.
pub(crate) fn attributes(fields: &Fields) -> Map<String, Value> {
    let allowed = fields.iter().filter(|(name, _)| !list::forbidden(name));
    allowed.map(|(name, value)| (name.to_uppercase(), json!(value))).collect()
}

/// Wording and status of a plan that takes no more (Brevo sheet 1).
pub(crate) fn limited(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Rejected { status, code, .. } if *status == 402 || code == "not_enough_credits")
}

/// Whether a refusal is about the list, which is nobody's fault. "blacklisted" is another word.
fn about_list(reason: &str) -> bool {
    let mut words = reason.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| word.to_ascii_lowercase().starts_with("list"))
}

/// What a refused row means, unless the refusal is about the whole push.
fn refused(error: ProviderError) -> Result<Refusal, ProviderError> {
    if limited(&error) {
        return Ok(Refusal::AccountLimit);
    }
    match error {
        ProviderError::Rejected { ref reason, .. } if about_list(reason) => Err(error),
        ProviderError::Rejected { status: 400, code, reason } => Ok(Refusal::Invalid { code, reason }),
        other => Err(other),
    }
}

pub(crate) async fn erase(api: &Api, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
    match api.write(out, Method::Delete, CONTACT, contact_path(email), None).await {
        Ok(_) => Ok(Outcome::Applied),
        Err(error) if wire::unknown_contact(&error) => Ok(Outcome::Applied),
        // The owner of the account cannot be deleted (Brevo sheet 3.4).
        Err(ProviderError::Rejected { status: 405, code, reason }) => {
            Ok(Outcome::Refused(Refusal::Invalid { code, reason }))
        }
        Err(error) => Err(error),
    }
}
