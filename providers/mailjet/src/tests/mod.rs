//! What the contract's suite cannot see: how the adapter gets its results, and what it makes of Mailjet's own traps.

mod answers;
mod wishes;

use crate::{DESCRIPTOR, emulator};
use async_trait::async_trait;
use consentd_provider::emulator::{EmulatedGateway, EmulatedProvider};
use consentd_provider::{
    AccountSettings, AudienceRef, Change, ConsentProof, EmailAddress, Fields, Gateway, Lift, Look, Outcome, Presence,
    Provider, ProviderError, Request, Response, Scope, Timestamp,
};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

const NOW: i64 = 1_767_225_600_000_000;

/// An account with one list, and a note of each call.
struct World {
    mailjet: Arc<Mutex<EmulatedProvider>>,
    gateway: EmulatedGateway,
    calls: Mutex<Vec<String>>,
    authorization: Mutex<String>,
    list: AudienceRef,
}

#[async_trait]
impl Gateway for World {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let body = request.body.as_ref().map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
        let call = format!("{} {} {}", request.method.as_str(), request.path, body.unwrap_or_default());
        self.calls.lock().unwrap().push(call);
        if let Some((_, value)) = request.headers.first() {
            value.expose_secret().clone_into(&mut self.authorization.lock().unwrap());
        }
        self.gateway.send(request).await
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> Result<Response, ProviderError> {
        self.send(request).await
    }
}

impl World {
    /// `job_seconds` is 0 unless said, so that a job has worked before the next call.
    async fn new(switches: &[(&str, &str)]) -> Self {
        let mut mailjet = EmulatedProvider::new(emulator::open());
        mailjet.set("job_seconds", "0").unwrap();
        for (name, value) in switches {
            mailjet.set(name, value).unwrap();
        }
        let mailjet = Arc::new(Mutex::new(mailjet));
        let gateway = EmulatedGateway::new(Arc::clone(&mailjet), "", Arc::new(|| NOW));
        let list = AudienceRef { list: String::new() };
        let mut world = Self { mailjet, gateway, calls: Mutex::default(), authorization: Mutex::default(), list };
        world.list.list = provider().create_list(&world, "News").await.unwrap().id;
        world
    }

    fn mailjet(&self) -> MutexGuard<'_, EmulatedProvider> {
        self.mailjet.lock().unwrap()
    }

    fn set(&self, name: &str, value: &str) {
        self.mailjet().set(name, value).unwrap();
    }

    fn truth(&self, email: &EmailAddress) -> Look {
        self.mailjet().truth(NOW, &self.list.list, email.as_str())
    }

    /// Something that somebody else does with the account.
    async fn foreign(&self, method: consentd_provider::Method, path: &str, body: &str) -> Response {
        let header = self.authorization.lock().unwrap().clone();
        let body = consentd_provider::Body { content_type: "application/json", bytes: body.as_bytes().to_vec() };
        let request = Request {
            method,
            route: "",
            path: path.into(),
            headers: vec![("authorization", header.into())],
            body: Some(body),
            family: "rest",
            repeat: consentd_provider::Repeat::Never,
        };
        self.gateway.send(request).await.unwrap()
    }

    async fn exclude(&self, email: &EmailAddress) {
        let path = format!("/v3/REST/contact/{}", email.as_str());
        let body = r#"{"IsExcludedFromCampaigns":true}"#;
        assert_eq!(self.foreign(consentd_provider::Method::Put, &path, body).await.status, 200);
    }

    async fn push(&self, changes: &[Change]) -> Vec<Outcome> {
        let push = provider().push(self, &self.list, changes).await;
        assert!(push.stopped_by.is_none(), "{:?}", push.stopped_by);
        push.outcomes
    }

    /// The calls since the last time, those that read left out.
    fn writes(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.into_iter().filter(|call| !call.starts_with("GET ")).collect()
    }
}

fn provider() -> Box<dyn Provider> {
    let pairs = [("api_key", "a key"), ("secret_key", "a secret")];
    let credentials = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let settings = AccountSettings { credentials, hook_secrets: Vec::new(), options: BTreeMap::new() };
    (DESCRIPTOR.open)(&settings).unwrap()
}

fn person(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.org")).unwrap()
}

/// What an acceptance a day from now lifts that comes after a no.
const LIFT: Lift = Lift { accepted_at: NOW + 86_400_000_000, after_no: true, taken_off_at: None };

#[expect(clippy::disallowed_methods, reason = "these people are invented")]
fn subscribe(email: &EmailAddress, presence: Presence, lift: Option<Lift>) -> Change {
    let proof = ConsentProof::attest(uuid());
    Change::Subscribe { email: email.clone(), fields: Fields::new(), presence, lift, proof }
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::nil()
}

fn withdraw(email: &EmailAddress, scope: Scope) -> Change {
    Change::Withdraw { email: email.clone(), scope }
}
