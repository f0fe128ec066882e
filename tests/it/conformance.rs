//! Every rule of the provider contract over real HTTP: the real way out on one side, the sandbox on the other.
//!
//! The behaviours that the providers' contract sheets leave open are varied in the adapters' own tests; here it is the
//! way between the two that is examined.

use async_trait::async_trait;
use consentd::clock::{Clock, Timestamp};
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::gateway::{HttpGateways, Limits};
use consentd::random::{SeededRandom, uuid};
use consentd::sandbox::{Accounts, Clockwork, Sandbox};
use consentd_provider::conformance::{Now, Setup, Subject, run};
use consentd_provider::emulator::EmulatedProvider;
use consentd_provider::{Gateway, ProviderError, Request, Response};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The time of the suite's present world. Nobody waits: the suite moves its time itself, and the sandbox lets go of a
/// call that hangs at once, so that it ends without an answer and without anybody's time-out.
struct SuiteClock(Mutex<Now>);

#[async_trait]
impl Clock for SuiteClock {
    fn now(&self) -> Timestamp {
        (self.0.lock().unwrap())()
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

/// One client for all worlds of a suite, which come one after another: opening one costs more than a world.
struct OverHttp {
    subject: Subject,
    clock: Arc<SuiteClock>,
    gateways: HttpGateways,
    random: Arc<SeededRandom>,
}

impl OverHttp {
    fn new(subject: Subject) -> Self {
        let clock = Arc::new(SuiteClock(Mutex::new(Arc::new(|| 0))));
        let random = Arc::new(SeededRandom::new(1));
        let gateways = HttpGateways::new(LIMITS, clock.clone(), random.clone()).unwrap();
        Self { subject, clock, gateways, random }
    }
}

/// A way with the sandbox at its end.
struct Way {
    gateway: Arc<dyn Gateway>,
    _sandbox: Sandbox,
}

#[async_trait]
impl Gateway for Way {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.gateway.send(request).await
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        self.gateway.send_before(request, deadline).await
    }
}

/// Any time; accounts need different ids only.
const START: Timestamp = 1_767_225_600_000_000;
const LIMITS: Limits =
    Limits { timeout: Duration::from_secs(30), answer: 32 * 1024 * 1024, patience: Duration::from_secs(5) };

#[async_trait]
impl Setup for OverHttp {
    fn subject(&self) -> Subject {
        self.subject
    }

    async fn connect(&self, provider: Arc<Mutex<EmulatedProvider>>, now: Now) -> Result<Box<dyn Gateway>, String> {
        *self.clock.0.lock().unwrap() = now;
        let time = Arc::new(Clockwork::new(self.clock.clone()));
        let accounts = Arc::new(Accounts::shared(time, provider));
        let sandbox = Sandbox::listen(0, accounts).await.map_err(|error| error.to_string())?;
        let base_url = sandbox.base_url(self.subject.descriptor.default_base_url);
        // The suite paces the adapter by its declared quotas itself.
        let id = uuid(START, &*self.random);
        let gateway = self.gateways.open(ConnectionId(id), AccountId(id), &base_url, &[], None)?;
        Ok(Box::new(Way { gateway, _sandbox: sandbox }))
    }
}

#[tokio::test]
async fn brevo_keeps_every_rule_over_http() {
    let subject = Subject {
        list_memory: false,
        unique_field: Some("SMS"),
        lying_jobs: Some(("import_result", "lies")),
        full_account: Some(("full", "yes")),
        ..Subject::new(
            &consentd_provider_brevo::DESCRIPTOR,
            consentd_provider_brevo::emulator::open,
            &[("api_key", "xkeysib-a-key-of-the-suite")],
        )
    };
    let report = run(&OverHttp::new(subject)).await;
    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn mailjet_keeps_every_rule_over_http() {
    let subject = Subject {
        lying_jobs: Some(("jobs", "silent")),
        full_account: Some(("full", "all")),
        ..Subject::new(
            &consentd_provider_mailjet::DESCRIPTOR,
            consentd_provider_mailjet::emulator::open,
            &[("api_key", "a-public-key"), ("secret_key", "a-secret-key")],
        )
    };
    let report = run(&OverHttp::new(subject)).await;
    assert!(report.is_clean(), "{report}");
}
