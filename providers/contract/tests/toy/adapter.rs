//! Postbox, an invented provider with a simple API, as a provider of consentd.
//!
//! Contacts join and leave lists by the hundred; whoever left is put back only when the call says `again`.

use async_trait::async_trait;
use consentd_provider::*;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    id: "postbox",
    name: "Postbox",
    default_base_url: "https://api.postbox.example/v1",
    credentials: &[CredentialSpec { name: "key", help: "the key of the account: Settings, Keys" }],
    options: &[],
    capabilities: &[Capability::Send, Capability::Erase, Capability::CreateList, Capability::CreateField],
    chunk: 500,
    look: 50,
    rate_headers: Some(RateHeaders { remaining: "x-calls-left", reset: "x-calls-wait" }),
    quotas: |_| vec![Quota { family: FAMILY, limit: 20, per: Duration::from_secs(1) }],
    open,
};

const FAMILY: &str = "all";

pub(crate) fn open(settings: &AccountSettings) -> Result<Box<dyn Provider>, SettingsError> {
    let key = settings.credential("key")?;
    let authorization = SecretString::from(format!("Bearer {}", key.expose_secret()));
    Ok(Box::new(Postbox { authorization, hook_secrets: settings.hook_secrets.clone() }))
}

struct Postbox {
    authorization: SecretString,
    hook_secrets: Vec<SecretString>,
}

impl Postbox {
    async fn call(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<Value>,
    ) -> Result<Value, ProviderError> {
        let repeat = if method == Method::Get { Repeat::Safe } else { Repeat::Never };
        let headers = vec![("authorization", self.authorization.clone())];
        let body = body.map(|body| Body { content_type: "application/json", bytes: body.to_string().into_bytes() });
        let answer = out.send(Request { method, route, path, headers, body, family: FAMILY, repeat }).await?;
        let status = answer.status;
        if answer.is_success() {
            let read: Result<Value, _> = serde_json::from_slice(&answer.body);
            return read.map_err(|_| ProviderError::Protocol("an answer that is not JSON"));
        }
        Err(match status {
            401 | 403 => ProviderError::Credentials { status },
            429 => ProviderError::Throttled { retry_after: wait(&answer) },
            500.. => ProviderError::Server { status },
            _ => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let error = body.get("error").unwrap_or(&Value::Null);
                let said = |name: &str| plain(error[name].as_str().unwrap_or_default());
                ProviderError::Rejected { status, code: said("code"), reason: said("words") }
            }
        })
    }

    async fn get(&self, out: &dyn Gateway, route: &'static str, path: String) -> Result<Value, ProviderError> {
        self.call(out, Method::Get, route, path, None).await
    }

    /// One call for changes that follow each other and want the same.
    async fn step(&self, out: &dyn Gateway, list: u64, changes: &[Change]) -> Result<Vec<Outcome>, ProviderError> {
        let emails: Vec<&str> = changes.iter().map(|change| change.email().as_str()).collect();
        let (route, verb, body) = match changes.first() {
            Some(Change::Withdraw { scope, .. }) => {
                let body = json!({ "emails": emails, "everywhere": *scope == Scope::Everything });
                ("/lists/{list}/leave", "leave", body)
            }
            Some(Change::Subscribe { lift: Some(_), .. }) => return self.lift(out, list, changes).await,
            Some(Change::Subscribe { lift: None, .. }) => return self.join(out, list, changes.iter(), false).await,
            None => return Ok(Vec::new()),
        };
        self.results(out, route, format!("/lists/{list}/{verb}"), body, changes.len()).await
    }

    async fn results(
        &self,
        out: &dyn Gateway,
        route: &'static str,
        path: String,
        body: Value,
        count: usize,
    ) -> Result<Vec<Outcome>, ProviderError> {
        let answer = self.call(out, Method::Post, route, path, Some(body)).await?;
        let results = rows(&answer, "results")?;
        if results.len() != count {
            return Err(ProviderError::Protocol("not one result for each member"));
        }
        Ok(results.iter().map(outcome).collect())
    }

    async fn join(
        &self,
        out: &dyn Gateway,
        list: u64,
        changes: impl Iterator<Item = &Change>,
        again: bool,
    ) -> Result<Vec<Outcome>, ProviderError> {
        let members: Vec<Value> = changes.map(member).collect();
        let (path, count) = (format!("/lists/{list}/join"), members.len());
        let body = json!({ "members": members, "again": again });
        self.results(out, "/lists/{list}/join", path, body, count).await
    }

    /// Reads when each person left, and puts back whom the lift covers.
    async fn lift(&self, out: &dyn Gateway, list: u64, changes: &[Change]) -> Result<Vec<Outcome>, ProviderError> {
        let emails: Vec<&EmailAddress> = changes.iter().map(Change::email).collect();
        let status = self.status(out, list, &emails).await?;
        let may: Vec<bool> = changes.iter().zip(&status).map(|(change, row)| may_return(change, row)).collect();
        let covered = changes.iter().zip(&may).filter(|(_, may)| **may).map(|(change, _)| change);
        let mut joined = self.join(out, list, covered, true).await?.into_iter();
        let blocked = Outcome::Refused(Refusal::Blocked);
        Ok(may.iter().map(|may| may.then(|| joined.next()).flatten().unwrap_or_else(|| blocked.clone())).collect())
    }

    /// One row for each address, `null` for a stranger.
    async fn status(
        &self,
        out: &dyn Gateway,
        list: u64,
        emails: &[&EmailAddress],
    ) -> Result<Vec<Value>, ProviderError> {
        let query: Vec<String> = emails.iter().map(|email| format!("email={}", path_segment(email.as_str()))).collect();
        let path = format!("/lists/{list}/status?{}", query.join("&"));
        let answer = self.get(out, "/lists/{list}/status", path).await?;
        let rows = rows(&answer, "status")?;
        if rows.len() != emails.len() {
            return Err(ProviderError::Protocol("not one status for each address"));
        }
        Ok(rows.clone())
    }
}

#[async_trait]
impl Provider for Postbox {
    async fn check(&self, out: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
        let account = self.get(out, "/account", "/account".into()).await?;
        Ok(AccountFacts { label: needed(&account, "name")?.into() })
    }

    async fn lists(&self, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
        rows(&self.get(out, "/lists", "/lists".into()).await?, "lists")?.iter().map(list).collect()
    }

    async fn create_list(&self, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
        list(&self.call(out, Method::Post, "/lists", "/lists".into(), Some(json!({ "name": name }))).await?)
    }

    async fn schema(&self, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
        let answer = self.get(out, "/fields", "/fields".into()).await?;
        let field = |row: &Value| {
            let kind = serde_json::from_value(row["kind"].clone()).unwrap_or(FieldKind::Other);
            Ok(RemoteField { name: needed(row, "name")?.into(), kind })
        };
        rows(&answer, "fields")?.iter().map(field).collect()
    }

    async fn create_field(&self, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError> {
        let path = format!("/fields/{}", path_segment(&field.name));
        let body = json!({ "kind": field.kind });
        self.call(out, Method::Put, "/fields/{name}", path, Some(body)).await.map(drop)
    }

    async fn push(&self, out: &dyn Gateway, to: &AudienceRef, changes: &[Change]) -> Push {
        let list = match list_id(to) {
            Ok(list) => list,
            Err(error) => return Push::untouched(changes.len(), error),
        };
        let mut outcomes = Vec::with_capacity(changes.len());
        for step in changes.chunk_by(alike).flat_map(|step| step.chunks(most(step))) {
            match self.step(out, list, step).await {
                Ok(done) => outcomes.extend(done),
                Err(error) => {
                    let maybe = error.effect() == Effect::Unknown;
                    let stopped = if maybe { Outcome::Unknown } else { Outcome::Untouched };
                    outcomes.resize(outcomes.len() + step.len(), stopped);
                    outcomes.resize(changes.len(), Outcome::Untouched);
                    return Push { outcomes, stopped_by: Some(error) };
                }
            }
        }
        Push { outcomes, stopped_by: None }
    }

    async fn follow(&self, _: &dyn Gateway, _: &AudienceRef, _: &RemoteJob) -> Result<JobState, ProviderError> {
        Err(rejected("job", "Postbox has no jobs"))
    }

    async fn look(
        &self,
        out: &dyn Gateway,
        at: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError> {
        let list = list_id(at)?;
        if emails.is_empty() {
            return Ok(Vec::new());
        }
        let emails: Vec<&EmailAddress> = emails.iter().collect();
        self.status(out, list, &emails).await?.iter().map(look).collect()
    }

    async fn list(&self, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError> {
        let from: u64 = match &from.0 {
            None => 0,
            Some(from) => from.parse().map_err(|_| rejected("cursor", "a cursor that is not of this adapter"))?,
        };
        let path = format!("/lists/{}/members?from={from}", list_id(of)?);
        let answer = self.get(out, "/lists/{list}/members", path).await?;
        let sighting = |row: &Value| {
            Ok(Sighting {
                remote_id: number(row, "id")?.to_string(),
                email: EmailAddress::parse(needed(row, "email")?).ok(),
                on_list: Some(true),
                unsubscribed: Some(flag(row, "left")?),
                blocked: Some(flag(row, "blocked")?),
            })
        };
        let sightings = rows(&answer, "members")?.iter().map(sighting).collect::<Result<_, _>>()?;
        let next = answer.get("next").and_then(Value::as_u64);
        Ok(Page { sightings, next: next.map(|next| Cursor(Some(next.to_string()))) })
    }

    async fn erase(&self, out: &dyn Gateway, email: &EmailAddress) -> Result<Outcome, ProviderError> {
        let path = format!("/contacts/{}", path_segment(email.as_str()));
        match self.call(out, Method::Delete, "/contacts/{email}", path, None).await {
            Ok(_) | Err(ProviderError::Rejected { status: 404, .. }) => Ok(Outcome::Applied),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError> {
        let body = json!({
            "key": mail.idempotency_key, "from": mail.from.as_str(), "name": mail.from_name, "to": mail.to.as_str(),
            "subject": mail.subject, "text": mail.text, "html": mail.html, "headers": mail.headers,
        });
        let answer = self.call(out, Method::Post, "/mails", "/mails".into(), Some(body)).await?;
        Ok(Receipt { message_id: needed(&answer, "id")?.into() })
    }

    async fn hooks(&self, out: &dyn Gateway, wanted: &HookSpec, mode: HookMode) -> Result<HookState, ProviderError> {
        let answer = self.get(out, "/hooks", "/hooks".into()).await?;
        let ours = rows(&answer, "hooks")?.iter().find(|hook| hook["url"] == wanted.url.as_str());
        let on = ours.is_none_or(|hook| hook["on"] == true);
        let right = ours.is_some_and(|hook| hook["token"] == wanted.secret.expose_secret());
        let mut state = HookState {
            healthy: on && right,
            missing: if right { vec![] } else { vec!["all".into()] },
            suspended: if on { vec![] } else { vec!["all".into()] },
            foreign: vec![],
            changed: false,
        };
        if mode == HookMode::Repair && !state.healthy {
            let body = json!({ "url": wanted.url, "token": wanted.secret.expose_secret() });
            self.call(out, Method::Put, "/hooks", "/hooks".into(), Some(body)).await?;
            state = HookState { healthy: true, missing: vec![], suspended: vec![], foreign: vec![], changed: true };
        }
        Ok(state)
    }

    fn verify<'a>(&self, delivery: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
        let valid: Vec<SecretString> =
            self.hook_secrets.iter().filter(|secret| !secret.expose_secret().is_empty()).cloned().collect();
        if valid.is_empty() {
            return Err(WebhookError::Unconfigured);
        }
        let shown = delivery.authorization.and_then(|header| header.strip_prefix("Bearer "));
        let right = shown.is_some_and(|token| credential_matches(token.as_bytes(), &valid));
        if right { Ok(delivery.trusted()) } else { Err(WebhookError::Credentials) }
    }

    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError> {
        match serde_json::from_slice(delivery.body()) {
            Ok(Value::Array(events)) => Ok(events.iter().map(event).collect()),
            Ok(one @ Value::Object(_)) => Ok(vec![event(&one)]),
            _ => Err(WebhookError::Unreadable("neither an object nor an array")),
        }
    }

    fn answer(&self, intake: Intake) -> u16 {
        match intake {
            Intake::Stored | Intake::Quarantined => 200,
            Intake::Busy => 503,
            Intake::Unauthorised => 401,
            Intake::TooLarge => 413,
        }
    }
}

/// A wish for a moment; the provider tells it in seconds.
fn wait(answer: &Response) -> Option<Duration> {
    let seconds = answer.header("x-calls-wait")?.parse().ok().filter(|seconds| *seconds <= 86_400)?;
    Some(Duration::from_secs(seconds))
}

fn alike(one: &Change, other: &Change) -> bool {
    match (one, other) {
        (Change::Subscribe { lift: one, .. }, Change::Subscribe { lift: other, .. }) => {
            one.is_some() == other.is_some()
        }
        (Change::Withdraw { scope: one, .. }, Change::Withdraw { scope: other, .. }) => one == other,
        _ => false,
    }
}

/// How many changes go into one step; for a lift their addresses must fit into a query.
const fn most(step: &[Change]) -> usize {
    match step {
        [Change::Subscribe { lift: Some(_), .. }, ..] => DESCRIPTOR.look,
        _ => DESCRIPTOR.chunk,
    }
}

/// Whether the lift covers everything that keeps a contact from being mailed; that it left this list, or the account.
fn may_return(change: &Change, row: &Value) -> bool {
    let Change::Subscribe { lift: Some(lift), .. } = change else { return false };
    let covered = |at: &str| lift.covers(row[at].as_i64().map(|ms| ms.saturating_mul(1_000)));
    [("left", "left_at"), ("blocked", "blocked_at")].iter().all(|(flag, at)| row[*flag] != true || covered(at))
}

fn member(change: &Change) -> Value {
    let Change::Subscribe { email, fields, .. } = change else { return Value::Null };
    let mut fields = fields.clone();
    // Here, too, an address is no field.
    fields.retain(|name, _| !name.eq_ignore_ascii_case("email"));
    json!({ "email": email.as_str(), "fields": fields })
}

fn outcome(result: &Value) -> Outcome {
    let invalid = |code: &str| Refusal::Invalid { code: code.into(), reason: "a value is not acceptable".into() };
    match result.as_str() {
        Some("ok" | "left") => Outcome::Applied,
        Some("blocked") => Outcome::Refused(Refusal::Blocked),
        Some("full") => Outcome::Refused(Refusal::AccountLimit),
        Some(code) => Outcome::Refused(invalid(&plain(code))),
        None => Outcome::Unknown,
    }
}

fn look(row: &Value) -> Result<Look, ProviderError> {
    if row.is_null() {
        return Ok(Look::default());
    }
    let (on_list, unsubscribed, blocked) = (flag(row, "member")?, flag(row, "left")?, flag(row, "blocked")?);
    Ok(Look { exists: true, on_list, unsubscribed, blocked })
}

fn event(row: &Value) -> ProviderEvent {
    let name = row["event"].as_str().unwrap_or_default();
    let kind = match name {
        "left" => EventKind::Unsubscribed,
        "complained" => EventKind::Complaint,
        "bounced" if row["final"] == false => EventKind::SoftBounce,
        "bounced" | "refused" => EventKind::HardBounce,
        "joined" => EventKind::Touched,
        "deleted" => EventKind::Deleted,
        other => EventKind::Unknown(plain(other)),
    };
    let list = row["list"].as_u64();
    let known = json!([name, row["email"], row["list"], row["at"], row["final"]]);
    let told = if matches!(kind, EventKind::Unknown(_)) { row } else { &known };
    ProviderEvent {
        kind,
        emails: EmailAddress::parse(row["email"].as_str().unwrap_or_default()).into_iter().collect(),
        occurred_at: row["at"].as_i64().map(|ms| EventTime { at: ms.saturating_mul(1_000), trust: Trust::Hours2 }),
        affected: list.map_or(Affected::Account, |list| Affected::Lists(vec![list.to_string()])),
        detail: String::new(),
        message_id: None,
        fingerprint: Sha256::digest(told.to_string()).into(),
    }
}

fn list(row: &Value) -> Result<RemoteList, ProviderError> {
    Ok(RemoteList { id: number(row, "id")?.to_string(), name: needed(row, "name")?.into() })
}

fn list_id(list: &AudienceRef) -> Result<u64, ProviderError> {
    list.list.parse().map_err(|_| rejected("list", "a list has a number"))
}

fn rejected(code: &str, reason: &str) -> ProviderError {
    ProviderError::Rejected { status: 404, code: code.into(), reason: reason.into() }
}

fn rows<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>, ProviderError> {
    answer[name].as_array().ok_or(ProviderError::Protocol("an answer without its rows"))
}

fn needed<'a>(row: &'a Value, name: &str) -> Result<&'a str, ProviderError> {
    row[name].as_str().ok_or(ProviderError::Protocol("a row without a text that it must have"))
}

fn number(row: &Value, name: &str) -> Result<u64, ProviderError> {
    row[name].as_u64().ok_or(ProviderError::Protocol("a row without its number"))
}

fn flag(row: &Value, name: &str) -> Result<bool, ProviderError> {
    row[name].as_bool().ok_or(ProviderError::Protocol("a row without a flag that matters"))
}
