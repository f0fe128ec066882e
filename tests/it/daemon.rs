//! The daemon as a whole, on the machine's clock, against a provider in the same process; and its bells and alarms on a
//! simulated one.

use crate::served::{client, config, connect, hook, incidents, kept, run_sql, with_toy};
use crate::toy;
use crate::world::{Engine, START, World, on_both_engines};
use consentd::clock::{DAY, HOUR, MINUTE, SECOND, SystemClock, Timestamp};
use consentd::domain::consent::{Act, AskBasis, Kind, RecipientAct, State};
use consentd::domain::token::{Claims, Class};
use consentd::service::Core;
use consentd::service::consent::Saying;
use consentd::store::{Address, Connection, ConnectionState, Tenant, TenantKey};
use consentd_provider::HookMode;
use metrics_exporter_prometheus::PrometheusHandle;
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

on_both_engines!(
    consent_reaches_the_provider_and_a_withdrawal_leaves_it_at_once,
    stopping_loses_nothing_that_was_acknowledged,
    a_bell_that_was_missed_rings_once_and_never_twice_at_the_same_time,
    bells_follow_the_clock_on_the_wall_through_daylight_saving,
    a_withdrawal_that_is_late_is_an_alarm_until_it_is_in_effect,
    lost_registrations_are_reported_or_put_right,
    requests_expire_once_and_consents_lapse_slowly,
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

/// The toy calls nobody, but an account needs a way out.
struct Silent;

impl consentd_provider::emulator::Emulator for Silent {
    fn handle(&mut self, _: Timestamp, _: &consentd_provider::emulator::Call) -> consentd_provider::Response {
        consentd_provider::Response { status: 404, headers: vec![], body: vec![] }
    }
    fn due(&mut self, _: Timestamp) -> Vec<consentd_provider::emulator::Outgoing> {
        vec![]
    }
    fn delivered(&mut self, _: Timestamp, _: u64, _: Option<u16>) {}
    fn happen(&mut self, _: Timestamp, _: &str, _: &consentd_provider::emulator::Happening) -> bool {
        false
    }
    fn truth(&mut self, _: Timestamp, _: &str, _: &str) -> consentd_provider::Look {
        consentd_provider::Look::default()
    }
    fn mailable(&mut self, _: Timestamp, _: &str) -> Vec<String> {
        vec![]
    }
    fn set(&mut self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// A connection that a person has confirmed.
async fn active(core: &Core, tenant: &Tenant, key: &TenantKey, account: &str) -> Connection {
    let connection = connect(core, tenant, key, "toy", account).await;
    let mut tx = core.store.begin().await.unwrap();
    tx.set_connection_state(&connection, ConnectionState::Active, "").await.unwrap();
    tx.commit().await.unwrap();
    core.store.connection(connection.id).await.unwrap().unwrap()
}

/// A link that asks that person.
async fn ask(core: &Core, tenant: &Tenant, key: &TenantKey, address: &Address) -> String {
    let purpose = core.purpose(tenant, None).await.unwrap();
    let asked = std::slice::from_ref(address);
    let mut links = core.request_consent(tenant, key, &purpose, asked, &AskBasis::ExistingCustomer, "x").await.unwrap();
    links.remove(0).unwrap()
}

/// The person accepts, as by a link.
async fn accept(core: &Core, tenant: &Tenant, key: &TenantKey, address: &Address) {
    let purpose = core.purpose(tenant, None).await.unwrap();
    let claims = Claims {
        class: Class::Consent,
        tenant: tenant.id,
        address: address.id,
        purpose: purpose.id,
        text_version: purpose.text_version,
        expires_at: None,
    };
    let acceptance = claims.accept(core.now(), purpose.text_version, vec![], false).unwrap();
    let act = Act::Recipient(RecipientAct::Accept(acceptance));
    let mut tx = core.store.begin().await.unwrap();
    let saying = Saying { address, purpose: Some(purpose.id), act, evidence: serde_json::Value::Null };
    core.say(&mut tx, tenant, key, saying).await.unwrap();
    tx.commit().await.unwrap();
}

/// Waits until the provider's account is so.
async fn until(account: &toy::Account, so: impl FnMut(&toy::Held) -> bool) {
    let mut seen = account.subscribe();
    let wait = tokio::time::timeout(Duration::from_mins(1), seen.wait_for(so));
    drop(wait.await.expect("the provider is told").unwrap());
}

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
    let mut tx = core.store.begin().await.unwrap();
    let free = tx.lease_connection(connection.id, core.id(), core.now() + SECOND, core.now()).await.unwrap();
    assert!(free, "leases are given back");
    drop(tx);
    assert!(core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}

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

/// A connection whose bell rings by that expression, in Berlin.
async fn belled(world: &World, cron: &str) -> (Tenant, Connection) {
    let (tenant, key) = world.tenant("pool").await;
    let connection = active(&world.core, &tenant, &key, "bells").await;
    let mut changed = connection.clone();
    changed.cron = cron.into();
    changed.next_at = Some(world.core.now());
    world.core.save_connection(&changed).await.unwrap();
    // The first ring sets the first bell.
    world.core.ring().await.unwrap();
    close_runs(&world.core).await;
    let connection = world.core.store.connection(connection.id).await.unwrap().unwrap();
    (tenant, connection)
}

async fn close_runs(core: &Core) {
    run_sql(&core.store.db, "UPDATE run SET is_open = FALSE, state = 'done'").await;
}

async fn next_at(core: &Core, connection: &Connection) -> Timestamp {
    core.store.connection(connection.id).await.unwrap().unwrap().next_at.unwrap()
}

async fn a_bell_that_was_missed_rings_once_and_never_twice_at_the_same_time(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let core = &world.core;
    let (tenant, connection) = belled(&world, "0 * * * *").await;
    assert_eq!(next_at(core, &connection).await, START + HOUR);
    assert_eq!(core.ring().await.unwrap(), 0, "too early");

    // Three days of downtime: one run.
    world.clock.advance(3 * DAY + 10 * MINUTE);
    let daemons = tokio::join!(core.ring(), core.ring(), core.ring());
    assert!(daemons.0.is_ok() && daemons.1.is_ok() && daemons.2.is_ok());
    let first = core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap();
    assert_eq!(first.cause, "schedule");
    assert_eq!(next_at(core, &connection).await, START + 3 * DAY + HOUR, "the next full hour, not a missed one");

    // While it is open, the next bell asks for nothing new.
    world.clock.advance(HOUR);
    assert_eq!(core.ring().await.unwrap(), 1);
    assert_eq!(core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap().id, first.id);
    close_runs(core).await;
    world.clock.advance(HOUR);
    assert_eq!(core.ring().await.unwrap(), 1);
    assert_ne!(core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap().id, first.id);
    world.end().await;
}

async fn bells_follow_the_clock_on_the_wall_through_daylight_saving(engine: Engine) {
    // 2027-03-28 02:00 CET becomes 03:00 CEST; 2027-10-31 03:00 CEST becomes 02:00 CET.
    const SPRING: Timestamp = 1_806_195_600 * SECOND;
    const AUTUMN: Timestamp = 1_824_944_400 * SECOND;
    for (around, offsets) in [(SPRING, (HOUR, 2 * HOUR)), (AUTUMN, (2 * HOUR, HOUR))] {
        for (cron, minute_of_day) in [("0 9 * * *", 9 * 60), ("30 2 * * *", 2 * 60 + 30)] {
            let world = with_toy(World::new(engine).await);
            world.clock.advance(around - 4 * DAY - START);
            let (_, connection) = belled(&world, cron).await;
            let mut days = Vec::new();
            for _ in 0..8 {
                let at = next_at(&world.core, &connection).await;
                assert!(at > world.core.now(), "a bell rings once");
                world.clock.advance(at - world.core.now());
                assert_eq!(world.core.ring().await.unwrap(), 1);
                close_runs(&world.core).await;
                let wall = at + if at < around { offsets.0 } else { offsets.1 };
                days.push(wall.div_euclid(DAY));
                // An hour that there is not is rung when it would have been over.
                let skipped = around == SPRING && wall.div_euclid(DAY) == (SPRING + HOUR).div_euclid(DAY);
                let minutes = wall.rem_euclid(DAY) / MINUTE;
                assert!(minutes == minute_of_day || (skipped && minutes == 3 * 60), "{cron}: {minutes}");
            }
            assert!(days.windows(2).all(|pair| pair[1] == pair[0] + 1), "{cron}: once a day: {days:?}");
            world.end().await;
        }
    }
}

async fn a_withdrawal_that_is_late_is_an_alarm_until_it_is_in_effect(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    world.provider("nowhere.test", Box::new(Silent));
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("late-{engine:?}");
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org"]).await;
    let connection = active(core, &tenant, &key, &name).await;
    accept(core, &tenant, &key, &ada).await;
    while core.work(connection.id).await.unwrap() {}
    core.withdraw(&tenant, &key, &ada, None, "office", "called us").await.unwrap();

    assert_eq!(core.watch_withdrawals().await.unwrap(), 0, "not yet");
    world.clock.advance(59 * MINUTE);
    assert_eq!(core.watch_withdrawals().await.unwrap(), 0, "not yet");
    world.clock.advance(2 * MINUTE);
    for _ in 0..2 {
        assert_eq!(core.watch_withdrawals().await.unwrap(), 1);
    }
    let raised = core.store.incidents(tenant.id, 10).await.unwrap();
    assert_eq!((&*raised[0].kind, raised[0].count), ("withdrawal_late", 2), "raised again until it is over");
    assert!(!raised[0].detail.contains('@'));

    while core.work(connection.id).await.unwrap() {}
    assert_eq!(toy::account(&name).borrow().contacts.get("ada@example.org"), Some(&false));
    assert_eq!(core.watch_withdrawals().await.unwrap(), 0);
    assert!(!incidents(core, &tenant).await.contains(&"withdrawal_late".to_owned()));
    world.end().await;
}

async fn lost_registrations_are_reported_or_put_right(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    world.provider("nowhere.test", Box::new(Silent));
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("hooks-{engine:?}");
    let connection = active(core, &tenant, &key, &name).await;
    let account = toy::account(&name);
    assert!(core.watch_hooks(&connection, HookMode::Inspect).await.unwrap().healthy);
    assert_eq!(incidents(core, &tenant).await.len(), 0);

    account.send_modify(|held| held.hooks_lost = true);
    assert!(!core.watch_hooks(&connection, HookMode::Inspect).await.unwrap().healthy);
    assert_eq!(incidents(core, &tenant).await, ["hooks_unhealthy"]);
    assert_eq!(account.borrow().repairs, 0, "only looked at");
    assert!(core.watch_hooks(&connection, HookMode::Repair).await.unwrap().changed);
    assert_eq!((incidents(core, &tenant).await.len(), account.borrow().repairs), (0, 1));
    world.end().await;
}

async fn requests_expire_once_and_consents_lapse_slowly(engine: Engine) {
    let world = World::new(engine).await;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    run_sql(&core.store.db, "UPDATE purpose SET validity_days = 10").await;
    let silent = world.address(&tenant, &key, "silent@example.org").await;
    ask(core, &tenant, &key, &silent).await;
    let mut accepted = Vec::new();
    for number in 0..25 {
        let address = world.address(&tenant, &key, &format!("{number}@example.org")).await;
        accept(core, &tenant, &key, &address).await;
        accepted.push(address);
    }
    let count = async |kind: Kind| {
        let lines = core.store.lines_after(tenant.id, 0, 1_000).await.unwrap();
        lines.iter().filter(|line| line.header.kind == kind).count()
    };
    assert_eq!(core.expire().await.unwrap(), 0);

    // All at once looks like a wrong clock: they lapse slowly, and a person is told.
    world.clock.advance(11 * DAY);
    core.expire().await.unwrap();
    assert_eq!(count(Kind::Lapsed).await, 20);
    assert_eq!(incidents(core, &tenant).await, ["mass_lapse"]);
    core.expire().await.unwrap();
    assert_eq!((count(Kind::Lapsed).await, incidents(core, &tenant).await.len()), (25, 0));
    assert_eq!(count(Kind::RequestExpired).await, 0);

    world.clock.advance(20 * DAY);
    for _ in 0..3 {
        core.expire().await.unwrap();
        assert_eq!((count(Kind::RequestExpired).await, count(Kind::Lapsed).await), (1, 25));
    }
    let state = async |address: &Address| core.store.standings(tenant.id, address.id).await.unwrap()[0].standing.state;
    assert_eq!(state(&silent).await, State::Pending, "asked, and not answered");
    assert_eq!(state(&accepted[0]).await, State::Lapsed);
    assert!(core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}

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
    let emails: Vec<&str> = people.iter().map(|address| address.email.as_str()).collect();
    world.customers(&tenant, &key, &emails).await;
    let account = toy::account(&name);
    while account.borrow().adds == 0 {
        assert!(core.work(connection.id).await.unwrap());
    }
    assert_eq!(account.borrow().adds, 100, "the first of three chunks");
    let gone = account.borrow().contacts.keys().next().unwrap().clone();
    let gone = people.iter().find(|person| person.email.as_str() == gone).unwrap();
    core.withdraw(&tenant, &key, gone, None, "office", "called us").await.unwrap();

    assert!(core.work(connection.id).await.unwrap());
    let held = account.borrow().clone();
    assert_eq!((held.adds, held.contacts[gone.email.as_str()]), (100, false), "the very next step");
    while core.work(connection.id).await.unwrap() {}
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

#[tokio::test]
async fn metrics_show_queues_connections_and_withdrawals() {
    let world = live(Engine::Sqlite).await;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org"]).await;
    let connection = active(core, &tenant, &key, "measured").await;
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
    ] {
        assert!(text.contains(line), "{line} is missing: {text}");
    }
    assert!(!text.contains('@'), "nobody is named: {text}");
    daemon.stop().await;
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
