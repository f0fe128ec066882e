//! The plainest provider there can be: one list, no jobs, webhooks in a notation that tests write by hand.

use crate::world::World;
use async_trait::async_trait;
use consentd::domain::ids::PurposeId;
use consentd::service::connection::NewConnection;
use consentd::service::intake::{Incoming, Mailbag};
use consentd::store::{Connection, Tenant, TenantKey};
use consentd_provider::emulator::{Call, EmulatedProvider, Emulator, Happening, Outgoing};
use consentd_provider::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a connection to it needs to know.
static TIN: Descriptor = Descriptor {
    id: "tin",
    name: "Tin",
    default_base_url: "http://tin",
    credentials: &[],
    options: &[],
    capabilities: &[Capability::CreateList],
    chunk: 10,
    look: 10,
    rate_headers: None,
    quotas: |_| Vec::new(),
    open: |_| Ok(Box::new(Tin)),
};

struct Tin;

async fn ask(out: &dyn Gateway, path: &str, body: Value) -> Result<Value, ProviderError> {
    let bytes = body.to_string().into_bytes();
    let request = Request {
        method: Method::Post,
        route: "/tin",
        path: path.to_owned(),
        headers: Vec::new(),
        body: Some(Body { content_type: "application/json", bytes }),
        family: "tin",
        repeat: Repeat::Never,
    };
    let response = out.send(request).await?;
    serde_json::from_slice(&response.body).map_err(|_| ProviderError::Protocol("no JSON"))
}

fn look(value: &Value) -> Look {
    let flag = |name: &str| value[name].as_bool().unwrap_or(false);
    Look {
        exists: flag("exists"),
        on_list: flag("on_list"),
        unsubscribed: flag("unsubscribed"),
        blocked: flag("blocked"),
    }
}

#[async_trait]
impl Provider for Tin {
    async fn check(&self, _: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
        Ok(AccountFacts { label: "tin".into() })
    }

    async fn lists(&self, _: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
        Ok(vec![RemoteList { id: "1".into(), name: "one".into() }])
    }

    async fn create_list(&self, _: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
        Ok(RemoteList { id: format!("list of {name}"), name: name.to_owned() })
    }

    async fn schema(&self, _: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
        Ok(Vec::new())
    }

    async fn create_field(&self, _: &dyn Gateway, _: &RemoteField) -> Result<(), ProviderError> {
        Err(ProviderError::Unsupported(Capability::CreateField))
    }

    async fn push(&self, out: &dyn Gateway, _: &AudienceRef, changes: &[Change]) -> Push {
        let said: Vec<Value> = changes
            .iter()
            .map(|change| json!({ "email": change.email().folded(), "on": matches!(change, Change::Subscribe { .. }) }))
            .collect();
        match ask(out, "/push", json!(said)).await {
            Ok(_) => Push { outcomes: vec![Outcome::Applied; changes.len()], stopped_by: None },
            Err(error) => Push::untouched(changes.len(), error),
        }
    }

    async fn follow(&self, _: &dyn Gateway, _: &AudienceRef, _: &RemoteJob) -> Result<JobState, ProviderError> {
        Ok(JobState::Done)
    }

    async fn look(
        &self,
        out: &dyn Gateway,
        _: &AudienceRef,
        emails: &[EmailAddress],
    ) -> Result<Vec<Look>, ProviderError> {
        let everybody = ask(out, "/list", json!({})).await?;
        Ok(emails.iter().map(|email| look(&everybody[email.folded()])).collect())
    }

    async fn list(&self, out: &dyn Gateway, _: &AudienceRef, _: &Cursor) -> Result<Page, ProviderError> {
        let everybody = ask(out, "/list", json!({})).await?;
        let sighting = |(email, value): (&String, &Value)| {
            let look = look(value);
            Sighting {
                remote_id: email.clone(),
                email: EmailAddress::parse(email).ok(),
                on_list: Some(look.on_list),
                unsubscribed: Some(look.unsubscribed),
                blocked: Some(look.blocked),
            }
        };
        Ok(Page { sightings: everybody.as_object().unwrap().iter().map(sighting).collect(), next: None })
    }

    async fn erase(&self, _: &dyn Gateway, _: &EmailAddress) -> Result<Outcome, ProviderError> {
        Err(ProviderError::Unsupported(Capability::Erase))
    }

    async fn send(&self, _: &dyn Gateway, _: &OutgoingMail) -> Result<Receipt, ProviderError> {
        Err(ProviderError::Unsupported(Capability::Send))
    }

    async fn hooks(&self, _: &dyn Gateway, _: &HookSpec, _: HookMode) -> Result<HookState, ProviderError> {
        Ok(HookState { healthy: true, missing: vec![], suspended: vec![], foreign: vec![], changed: false })
    }

    fn verify<'a>(&self, _: Delivery<'a>) -> Result<Verified<'a>, WebhookError> {
        Err(WebhookError::Credentials)
    }

    fn read(&self, delivery: &Verified<'_>) -> Result<Vec<ProviderEvent>, WebhookError> {
        let events: Vec<Value> =
            serde_json::from_slice(delivery.body()).map_err(|_| WebhookError::Unreadable("not a list"))?;
        Ok(events.iter().map(event).collect())
    }

    fn answer(&self, _: Intake) -> u16 {
        200
    }
}

fn event(value: &Value) -> ProviderEvent {
    let kind = match value["kind"].as_str().unwrap_or_default() {
        "unsubscribed" => EventKind::Unsubscribed,
        "complaint" => EventKind::Complaint,
        "hard_bounce" => EventKind::HardBounce,
        "soft_bounce" => EventKind::SoftBounce,
        "deleted" => EventKind::Deleted,
        "touched" => EventKind::Touched,
        "traffic" => EventKind::Traffic,
        other => EventKind::Unknown(other.to_owned()),
    };
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&value["n"].as_u64().unwrap_or(0).to_be_bytes());
    ProviderEvent {
        kind,
        emails: value["email"].as_str().and_then(|text| EmailAddress::parse(text).ok()).into_iter().collect(),
        occurred_at: value["at"].as_i64().map(|at| EventTime { at, trust: Trust::Hours2 }),
        affected: value["list"].as_str().map_or(Affected::Account, |list| Affected::Lists(vec![list.to_owned()])),
        detail: String::new(),
        message_id: None,
        fingerprint,
    }
}

/// What it holds, by folded address.
#[derive(Default)]
struct Shelf(BTreeMap<String, Look>);

impl Emulator for Shelf {
    fn handle(&mut self, _: Timestamp, call: &Call) -> Response {
        let said: Value = serde_json::from_slice(&call.body).unwrap();
        if call.path.ends_with("/push") {
            for change in said.as_array().unwrap() {
                let on = change["on"].as_bool().unwrap();
                let look = self.0.entry(change["email"].as_str().unwrap().to_owned()).or_default();
                *look = Look { exists: true, on_list: on || look.on_list, unsubscribed: !on, blocked: look.blocked };
            }
        }
        let all: BTreeMap<&String, Value> = self
            .0
            .iter()
            .map(|(email, l)| {
                let look = json!({ "exists": l.exists, "on_list": l.on_list, "unsubscribed": l.unsubscribed, "blocked": l.blocked });
                (email, look)
            })
            .collect();
        Response { status: 200, headers: Vec::new(), body: json!(all).to_string().into_bytes() }
    }

    fn due(&mut self, _: Timestamp) -> Vec<Outgoing> {
        Vec::new()
    }

    fn delivered(&mut self, _: Timestamp, _: u64, _: Option<u16>) {}

    fn happen(&mut self, _: Timestamp, email: &str, what: &Happening) -> bool {
        let known = self.0.contains_key(email);
        match what {
            Happening::Deleted => drop(self.0.remove(email)),
            Happening::HostileImport(_) => {
                let look = Look { exists: true, on_list: true, unsubscribed: false, blocked: false };
                self.0.insert(email.to_owned(), look);
            }
            Happening::Blocked => self.0.entry(email.to_owned()).or_default().blocked = true,
            _ => self.0.entry(email.to_owned()).or_default().unsubscribed = true,
        }
        known
    }

    fn truth(&mut self, _: Timestamp, _: &str, email: &str) -> Look {
        self.0.get(email).copied().unwrap_or_default()
    }

    fn mailable(&mut self, _: Timestamp, _: &str) -> Vec<String> {
        self.0.iter().filter(|(_, look)| look.mailable()).map(|(email, _)| email.clone()).collect()
    }

    fn set(&mut self, _: &str, _: &str) -> Result<(), String> {
        Err("there are no switches".into())
    }
}

/// Puts the provider into a world.
pub fn install(world: &mut World) -> Arc<Mutex<EmulatedProvider>> {
    static PROVIDERS: [&Descriptor; 1] = [&TIN];
    world.core.providers = &PROVIDERS;
    world.provider("tin", Box::new(Shelf::default()))
}

/// A connection of a tenant to it, still in shadow mode.
pub async fn connect(
    world: &World,
    tenant: &Tenant,
    key: &TenantKey,
    slug: &str,
    list: &str,
    purpose: PurposeId,
) -> Connection {
    let new = NewConnection {
        slug: slug.into(),
        provider: "tin".into(),
        base_url: String::new(),
        credentials: BTreeMap::new(),
        options: BTreeMap::new(),
        list: list.into(),
        purpose,
        mapping: BTreeMap::new(),
        cron: "0 2 * * *".into(),
        time_zone: "Europe/Berlin".into(),
        guard_percent: 100,
        guard_count: 1_000,
    };
    world.core.add_connection(tenant, key, new).await.expect("the connection is added")
}

/// Delivers a webhook and has it read.
pub async fn deliver(world: &World, connection: &Connection, body: &str) -> Intake {
    let (bag, sorter) = Mailbag::new(world.core.clone(), 64);
    let incoming = Incoming {
        tenant: connection.tenant,
        connection: connection.id,
        body: body.as_bytes().to_vec(),
        quarantine: None,
    };
    let sorter = tokio::spawn(sorter.run());
    let kept = bag.keep(incoming).await;
    drop(bag);
    sorter.await.unwrap();
    while world.core.sort_inbox(100).await.unwrap() > 0 {}
    kept
}

/// Works on a connection until nothing is due at this moment.
pub async fn settle(world: &World, connection: &Connection) {
    let mut steps = 0;
    while world.work(connection.id).await.unwrap() {
        steps += 1;
        assert!(steps < 200, "the work never ends");
    }
}
