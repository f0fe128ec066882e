//! The daemon as a whole, on the machine's clock, against a provider in the same process; and its bells and alarms on a
//! simulated one.

use crate::people::{Silent, accept, active, ask};
use crate::served::{client, config, connect, hook, kept, with_toy};
use crate::toy;
use crate::world::{Engine, World, on_both_engines};
use consentd::app::ServeError;
use consentd::clock::{SECOND, SystemClock};
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::gateway::{HttpGateways, Limits};
use consentd::random::SystemRandom;
use consentd::service::{Core, Gateways};
use consentd_provider::{Gateway, Quota, RateHeaders};
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tracing_subscriber::layer::SubscriberExt;

on_both_engines!(
    consent_reaches_the_provider_and_a_withdrawal_leaves_it_at_once,
    stopping_loses_nothing_that_was_acknowledged,
    a_withdrawal_overtakes_a_run_that_is_under_way,
    a_daemon_that_dies_is_followed_by_the_next,
);

/// A running daemon.
struct Daemon {
    url: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Daemon {
    async fn start(core: Core) -> Self {
        Self::measured(core, None).await
    }

    async fn measured(core: Core, metrics: Option<PrometheusHandle>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let stop = async { drop(stopped.await) };
            consentd::app::serve(core, &config(""), listener, metrics, stop).await.unwrap();
        });
        Self { url, stop, running }
    }

    fn at(&self, public: &str) -> String {
        let path = public.split_once("://").unwrap().1.split_once('/').unwrap().1;
        format!("{}/{path}", self.url)
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_mins(1), self.running).await.expect("it stops").unwrap();
    }
}

/// A world on the machine's clock.
async fn live(engine: Engine) -> World {
    let mut world = with_toy(World::new(engine).await);
    world.core.clock = Arc::new(SystemClock);
    world.provider("nowhere.test", Box::new(Silent));
    world
}

/// Waits until the provider's account is so.
async fn until(account: &toy::Account, so: impl FnMut(&toy::Held) -> bool) {
    let mut seen = account.subscribe();
    let wait = tokio::time::timeout(Duration::from_mins(1), seen.wait_for(so));
    drop(wait.await.expect("the provider is told").unwrap());
}

/// I20.
async fn consent_reaches_the_provider_and_a_withdrawal_leaves_it_at_once(engine: Engine) {
    let world = live(engine).await;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("whole-{engine:?}");
    let account = toy::account(&name);
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let bob = world.address(&tenant, &key, "bob@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org", "bob@example.org"]).await;
    let connection = active(core, &tenant, &key, &name).await;
    let ask = ask(core, &tenant, &key, &ada).await;
    accept(core, &tenant, &key, &bob).await;

    let daemon = Daemon::start(core.clone()).await;
    let http = client();
    for path in ["healthz", "readyz"] {
        assert_eq!(http.get(format!("{}/{path}", daemon.url)).send().await.unwrap().status(), StatusCode::OK);
    }
    until(&account, |held| held.contacts.get("bob@example.org") == Some(&true)).await;
    let yes = http.post(daemon.at(&ask)).body("decision=accept").send().await.unwrap();
    assert_eq!(yes.status(), StatusCode::OK);
    until(&account, |held| held.contacts.get("ada@example.org") == Some(&true)).await;

    // By our own page, and by the provider's word.
    let no = http.post(daemon.at(&ask)).body("decision=refuse").send().await.unwrap();
    assert_eq!(no.status(), StatusCode::OK);
    until(&account, |held| held.contacts.get("ada@example.org") == Some(&false)).await;
    let (url, secret) = hook(core, &connection, &key);
    let post = http.post(daemon.at(&url)).bearer_auth(secret).body("bob@example.org");
    assert_eq!(post.send().await.unwrap().status(), StatusCode::OK);
    until(&account, |held| held.contacts.get("bob@example.org") == Some(&false)).await;
    daemon.stop().await;

    let held = account.borrow().clone();
    assert_eq!(held.adds, 2, "each was added once");
    let free = core.claim(connection.account, core.id()).await.unwrap();
    assert!(free.is_some(), "leases are given back");
    assert!(core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}

/// I10.
async fn stopping_loses_nothing_that_was_acknowledged(engine: Engine) {
    let world = live(engine).await;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let connection = active(core, &tenant, &key, &format!("stopping-{engine:?}")).await;
    let (url, secret) = hook(core, &connection, &key);
    let daemon = Daemon::start(core.clone()).await;
    let (http, url) = (client(), daemon.at(&url));
    let mut posts = JoinSet::new();
    for number in 0..200 {
        let post = http.post(&url).bearer_auth(&secret).body(format!("{number}@example.org"));
        posts.spawn(async move { post.send().await.is_ok_and(|answer| answer.status() == StatusCode::OK) });
    }
    // Stopped in the middle: after the first was acknowledged.
    let first = posts.join_next().await.unwrap().unwrap();
    daemon.stop().await;
    let acknowledged = posts.join_all().await.into_iter().filter(|good| *good).count() + usize::from(first);
    assert!(acknowledged >= 1);
    assert!(kept(core, &tenant, connection.id).await.len() >= acknowledged);
    assert!(http.post(&url).bearer_auth(&secret).body("x").send().await.is_err(), "nobody listens");

    // Whoever starts next reads what this one left.
    let daemon = Daemon::start(core.clone()).await;
    let ready = http.get(format!("{}/readyz", daemon.url)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    while kept(core, &tenant, connection.id).await.iter().any(|(state, _)| state == "new") {
        tokio::task::yield_now().await;
    }
    daemon.stop().await;
    let found = kept(core, &tenant, connection.id).await;
    assert!(found.iter().all(|(state, _)| state == "done"), "{found:?}");
    world.end().await;
}

/// I20.
async fn a_withdrawal_overtakes_a_run_that_is_under_way(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    world.provider("nowhere.test", Box::new(Silent));
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("overtakes-{engine:?}");
    let connection = active(core, &tenant, &key, &name).await;
    let mut people = Vec::new();
    for number in 0..250 {
        let address = world.address(&tenant, &key, &format!("{number}@example.org")).await;
        accept(core, &tenant, &key, &address).await;
        people.push(address);
    }
    let emails: Vec<&str> = people.iter().map(|person| person.email.as_str()).collect();
    world.customers(&tenant, &key, &emails).await;
    let account = toy::account(&name);
    while account.borrow().adds == 0 {
        assert!(world.work(connection.id).await.unwrap());
    }
    assert_eq!(account.borrow().adds, 100, "the first of three chunks");
    let gone = account.borrow().contacts.keys().next().unwrap().clone();
    let gone = people.iter().find(|person| person.email.as_str() == gone).unwrap();
    core.withdraw(&tenant, &key, gone, None, "office", "called us").await.unwrap();

    assert!(world.work(connection.id).await.unwrap());
    let held = account.borrow().clone();
    assert_eq!((held.adds, held.contacts[gone.email.as_str()]), (100, false), "the very next step");
    while world.work(connection.id).await.unwrap() {}
    assert_eq!(account.borrow().contacts.values().filter(|mailable| **mailable).count(), 249);
    world.end().await;
}

async fn a_daemon_that_dies_is_followed_by_the_next(engine: Engine) {
    let mut world = live(engine).await;
    world.core.rules.lease = 2 * SECOND;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("follows-{engine:?}");
    let account = toy::account(&name);
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org"]).await;
    active(core, &tenant, &key, &name).await;
    accept(core, &tenant, &key, &ada).await;
    let (first, second) = (Daemon::start(core.clone()).await, Daemon::start(core.clone()).await);
    until(&account, |held| held.contacts.get("ada@example.org") == Some(&true)).await;
    first.running.abort();
    assert!(first.running.await.unwrap_err().is_cancelled());
    core.withdraw(&tenant, &key, &ada, None, "office", "called us").await.unwrap();
    until(&account, |held| held.contacts.get("ada@example.org") == Some(&false)).await;
    second.stop().await;
    assert_eq!(account.borrow().adds, 1, "one of two daemons added her");
    world.end().await;
}

/// Ways to emulators, opened beside real ones so that there are budgets.
struct Counted {
    inner: Arc<dyn Gateways>,
    out: HttpGateways,
}

impl Gateways for Counted {
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        self.out.open(connection, account, "http://127.0.0.1:1", quotas, headers)?;
        self.inner.open(connection, account, base_url, quotas, headers)
    }

    fn left(&self) -> Vec<(ConnectionId, &'static str, u32)> {
        Gateways::left(&self.out)
    }
}

#[tokio::test]
async fn metrics_show_queues_connections_and_withdrawals() {
    let mut world = live(Engine::Sqlite).await;
    let limits = Limits { timeout: Duration::from_secs(1), answer: 1_000, patience: Duration::from_secs(1) };
    let out = HttpGateways::new(limits, world.core.clock.clone(), Arc::new(SystemRandom)).unwrap();
    world.core.gateways = Arc::new(Counted { inner: world.core.gateways.clone(), out });
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org"]).await;
    let connection = active(core, &tenant, &key, "measured").await;
    let mailjet = connect(core, &tenant, &key, "mailjet", "budget").await;
    core.open(&mailjet, &key).unwrap();
    accept(core, &tenant, &key, &ada).await;
    let daemon = Daemon::measured(core.clone(), Some(consentd::telemetry::metrics().unwrap())).await;
    until(&toy::account("measured"), |held| held.adds == 1).await;
    let http = client();
    let (url, secret) = hook(core, &connection, &key);
    http.post(daemon.at(&url)).bearer_auth(secret).body("\u{ff}x").send().await.unwrap();
    let text = http.get(format!("{}/metrics", daemon.url)).send().await.unwrap().text().await.unwrap();
    for line in [
        "consentd_inbox_deliveries{state=\"new\"}",
        "consentd_inbox_oldest_seconds",
        "consentd_withdrawals_waiting",
        "consentd_withdrawals_oldest_seconds",
        "consentd_hooks_total{provider=\"toy\",intake=\"stored\"}",
        &format!("consentd_connection_state{{connection=\"{}\",provider=\"toy\",state=\"active\"}} 1", connection.id),
        &format!("consentd_connection_failures{{connection=\"{}\"}} 0", connection.id),
        &format!("consentd_connection_withdrawals_oldest_seconds{{connection=\"{}\"}} 0", connection.id),
        &format!("consentd_connection_run{{connection=\"{}\",state=\"planning\"}} 0", connection.id),
        &format!("consentd_connection_jobs{{connection=\"{}\"}} 0", connection.id),
        &format!("consentd_connection_people_waiting{{connection=\"{}\"}} 0", connection.id),
        &format!("consentd_provider_budget_left{{connection=\"{}\",family=\"rest\"}} 5", mailjet.id),
        &format!("consentd_provider_budget_left{{connection=\"{}\",family=\"send\"}} 500", mailjet.id),
        "consentd_build_info{version=",
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
    assert!(!text.contains('@'), "nobody is named: {text}");
    daemon.stop().await;
    world.end().await;
}

/// A fault in the middle of a commit of deliveries.
struct Trap;

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Trap {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        assert_ne!(attributes.metadata().name(), "webhook.commit", "a trap");
    }
}

#[tokio::test]
async fn a_daemon_whose_intake_died_ends_so_that_it_is_started_again() {
    // While one subscriber is all there is, a call site that another test's thread reaches first is switched off for good.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Trap));
    let world = live(Engine::Sqlite).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "toy", "trap").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let core = world.core.clone();
    let serving =
        tokio::spawn(
            async move { consentd::app::serve(core, &config(""), listener, None, std::future::pending()).await },
        );
    let path = url.split_once("://").unwrap().1.split_once('/').unwrap().1.to_owned();
    let post = client().post(format!("http://{address}/{path}")).bearer_auth(secret).body("ada@example.org");
    assert_eq!(post.send().await.unwrap().status(), StatusCode::TOO_MANY_REQUESTS, "come back");
    let ended = tokio::time::timeout(Duration::from_mins(1), serving).await.expect("it ends").unwrap();
    assert!(matches!(ended, Err(ServeError::Intake)), "{ended:?}");
    assert_eq!(kept(&world.core, &tenant, connection.id).await, []);
    world.end().await;
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let world = live(Engine::Sqlite).await;
    let daemon = Daemon::start(world.core.clone()).await;
    let http = client();
    let url = format!("{}/healthz", daemon.url);
    let long = http.get(&url).header("x-long", "x".repeat(100_000)).send().await;
    assert!(long.is_err() || long.unwrap().status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let mut many = http.get(&url);
    for number in 0..500 {
        many = many.header(format!("x-{number}"), "x");
    }
    let many = many.send().await;
    assert!(many.is_err() || many.unwrap().status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(http.get(&url).send().await.unwrap().status(), StatusCode::OK);
    daemon.stop().await;
    world.end().await;
}
