//! One contact at a time, answered at once: withdrawals, and everything that needs a look first.

use crate::list;
use crate::push::Run;
use crate::wire;
use consentd_provider::{EmailAddress, Fields, Lift, Method, Outcome, ProviderError, Refusal, Scope, path_segment};
use serde_json::{Map, Value, json};

const MANAGE: &str = "/v3/REST/contactslist/{list}/managecontact";

impl Run<'_> {
    /// A subscription that lifts nothing; whoever is blocked stays so and is not touched.
    pub(crate) async fn routine(&self, email: &EmailAddress, fields: &Fields) -> Result<Outcome, ProviderError> {
        let contact = list::contact(self.api, self.out, email).await?;
        if contact.is_some_and(|contact| contact.excluded || contact.complained) {
            return Ok(Outcome::Refused(Refusal::Blocked));
        }
        self.manage(email, "addnoforce", fields).await
    }

    /// The only place that may undo an unsubscription, and it reads right before it does. A failed reading leaves the
    /// change untouched.
    pub(crate) async fn lift(
        &self,
        email: &EmailAddress,
        fields: &Fields,
        lift: &Lift,
        started: &mut bool,
    ) -> Result<Outcome, ProviderError> {
        let Some(contact) = list::contact(self.api, self.out, email).await? else {
            return self.manage(email, "addnoforce", fields).await;
        };
        if contact.complained {
            return Ok(Outcome::Refused(Refusal::Blocked));
        }
        let departures = list::departures(self.api, self.out, contact.id).await?;
        let own = departures.iter().find(|departure| departure.list == self.list);
        // A withdrawal of ours leaves a list as well. An exclusion alone has another reason, which a consent to
        // campaigns does not answer.
        let excluded_for_good =
            contact.excluded && (departures.is_empty() || !lift.covers(contact.exclusion_changed_at));
        if excluded_for_good || own.is_some_and(|departure| !lift.covers(departure.at)) {
            return Ok(Outcome::Refused(Refusal::Blocked));
        }
        if contact.excluded {
            // First the exclusion, then the list: broken off in between, the next try still sees why.
            self.exclude(email, false).await?;
            *started = true;
        }
        self.manage(email, if own.is_some() { "addforce" } else { "addnoforce" }, fields).await
    }

    /// A refusal of the action, for a full plan or for somebody who is no member, does not end a withdrawal (Mailjet
    /// sheet 11).
    pub(crate) async fn withdraw(
        &self,
        email: &EmailAddress,
        scope: Scope,
        started: &mut bool,
    ) -> Result<Outcome, ProviderError> {
        if matches!(self.manage(email, "unsub", &Fields::new()).await?, Outcome::Refused(_)) {
            self.unsubscribe_row(email).await?;
        }
        if scope == Scope::Everything {
            *started = true;
            self.exclude(email, true).await?;
        }
        Ok(Outcome::Applied)
    }

    /// The row that a membership is, changed without any action; where even that is refused, no campaign at all.
    async fn unsubscribe_row(&self, email: &EmailAddress) -> Result<(), ProviderError> {
        let route = "/v3/REST/listrecipient";
        let path = format!("{route}?ContactEmail={}&ContactsList={}&Limit=10", path_segment(email.as_str()), self.list);
        let rows = self.api.rows(self.out, Method::Get, route, path, None).await?;
        for row in rows.iter().filter(|row| wire::id(row, "ListID") == Some(self.list)) {
            let path = format!("{route}/{}", wire::needed_id(row, "ID")?);
            let body = json!({ "IsUnsubscribed": true });
            match self.put("/v3/REST/listrecipient/{id}", path, &body).await {
                Err(ProviderError::Rejected { .. }) => self.exclude(email, true).await?,
                other => other?,
            }
        }
        Ok(())
    }

    /// One contact and the list.
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
        wire::updated(&self.api.raw(self.out, Method::Put, route, path, Some(body)).await?)
    }
}

/// A contact as every call wants it. `IsExcludedFromCampaigns` is left out: a row that carries `false` would lift an
/// exclusion (Mailjet sheet 3.6). A field named like the address is left out too: it is no field at Mailjet.
pub(crate) fn row(email: &EmailAddress, fields: &Fields) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("Email".into(), email.as_str().into());
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, value)| (name.to_lowercase(), json!(value)))
        .filter(|(name, _)| name != "email")
        .collect();
    if !properties.is_empty() {
        row.insert("Properties".into(), Value::Object(properties));
    }
    row
}

/// Whether the plan allows no more contacts; the wording is of a free account (Mailjet sheet 7).
pub(crate) fn limited(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Rejected { reason, .. } if reason.to_lowercase().contains("exceeds maximum allowed"))
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
