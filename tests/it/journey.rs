//! The whole way over real HTTP, for each provider and on both engines: import, consent by link, sync, what people do at
//! the provider, webhooks, walks, history, and the other provider, with failures of every kind in between.

use crate::served::{Served, client};
use crate::world::{Account, Engine, World, on_both_engines};
use consentd::clock::{Clock, HOUR, MINUTE, SECOND, Timestamp};
use consentd::domain::consent::{AskBasis, Kind, State};
use consentd::domain::fold::Flags;
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::gateway::{HttpGateways, Limits};
use consentd::random::SystemRandom;
use consentd::registry;
use consentd::sandbox::{Accounts, Clockwork, Sandbox};
use consentd::service::Gateways;
use consentd::service::connection::NewConnection;
use consentd::store::Tenant;
use consentd_provider::emulator::{EmulatedProvider, Fault, FaultRule, Happening};
use consentd_provider::{EmailAddress, Gateway, HookMode, Quota, RateHeaders};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

on_both_engines!(from_brevo_to_mailjet, from_mailjet_to_brevo);

async fn from_brevo_to_mailjet(engine: Engine) {
    travel(engine, "brevo", "mailjet", ("import_result", "lies", "ok")).await;
}

async fn from_mailjet_to_brevo(engine: Engine) {
    travel(engine, "mailjet", "brevo", ("jobs", "silent", "ok")).await;
}

/// Real HTTP out of a world whose time is simulated.
struct Http(HttpGateways);

impl Gateways for Http {
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        self.0.open(connection, account, base_url, quotas, rate_headers)
    }
}

pub struct Journey {
    pub world: World,
    served: Served,
    sandboxes: Vec<Sandbox>,
    pub accounts: Vec<Account>,
}

impl Journey {
    pub async fn begin(engine: Engine) -> Self {
        let mut world = World::new(engine).await;
        let limits =
            Limits { timeout: Duration::from_millis(400), answer: 32 * 1024 * 1024, patience: Duration::from_secs(5) };
        let out = HttpGateways::new(limits, world.clock.clone(), Arc::new(SystemRandom)).unwrap();
        world.core.gateways = Arc::new(Http(out));
        let served = Served::new(&world.core, "").await;
        world.core.public_url = served.url.as_str().into();
        Self { world, served, sandboxes: Vec::new(), accounts: Vec::new() }
    }

    /// Connects a new account at a provider behind HTTP.
    pub async fn connect(&mut self, tenant: &Tenant, provider: &str) {
        let core = &self.world.core;
        let (tenant, key) = core.tenant(&tenant.slug).await.unwrap();
        let descriptor = core.descriptor(provider).unwrap();
        let emulated = Arc::new(Mutex::new(EmulatedProvider::new(registry::emulator(provider).unwrap())));
        let time = Arc::new(Clockwork::new(self.world.clock.clone()));
        let sandbox = Sandbox::listen(0, Arc::new(Accounts::shared(time, emulated.clone()))).await.unwrap();
        let secret = |name: &str| SecretString::from(format!("{name}-of-the-journey"));
        let new = NewConnection {
            slug: provider.into(),
            provider: provider.into(),
            base_url: sandbox.base_url(descriptor.default_base_url),
            credentials: descriptor.credentials.iter().map(|spec| (spec.name.into(), secret(spec.name))).collect(),
            options: BTreeMap::new(),
            list: String::new(),
            purpose: core.purpose(&tenant, None).await.unwrap().id,
            mapping: BTreeMap::from([("town".to_owned(), "TOWN".to_owned())]),
            cron: String::new(),
            time_zone: "Europe/Berlin".into(),
            guard_percent: 10,
            guard_count: 5,
        };
        let connection = core.add_connection(&tenant, &key, new).await.unwrap();
        core.bind_list(&connection, &key, "Campaigns").await.unwrap();
        let connection = core.find_connection(&tenant, provider).await.unwrap();
        core.create_missing_fields(&connection, &key).await.unwrap();
        assert!(core.hooks(&connection, &key, HookMode::Repair).await.unwrap().healthy);
        self.sandboxes.push(sandbox);
        self.accounts.push(Account { tenant, key, connection, provider: emulated });
    }

    /// Lets this much time pass; the daemon works and the providers post their webhooks.
    async fn pass(&self, time: Timestamp) {
        let end = self.world.clock.now() + time;
        while self.world.clock.now() < end {
            for _ in 0..2_000 {
                let posted = self.post_webhooks().await;
                if !self.world.step().await && !posted {
                    break;
                }
            }
            self.world.clock.advance(20 * SECOND);
        }
    }

    async fn post_webhooks(&self) -> bool {
        let mut posted = false;
        for account in &self.accounts {
            let due = account.provider().due(self.world.clock.now());
            for delivery in due {
                posted = true;
                let mut post = client().post(&delivery.url).body(delivery.body);
                for (name, value) in delivery.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
                    post = post.header(name, value);
                }
                let status = post.send().await.ok().map(|answer| answer.status().as_u16());
                account.provider().delivered(self.world.clock.now(), delivery.id, status);
            }
        }
        posted
    }

    /// A run, confirmed where it waits for that, and time for it.
    pub async fn sync(&self, which: usize) {
        let core = &self.world.core;
        let account = &self.accounts[which];
        let slug = &account.connection.slug;
        let connection = core.find_connection(&account.tenant, slug).await.unwrap();
        core.request_run(&connection, "operator", false).await.unwrap();
        self.pass(2 * MINUTE).await;
        let connection = core.find_connection(&account.tenant, slug).await.unwrap();
        // Without a guard in the way there is nothing to confirm.
        drop(core.confirm_run(&connection, "office").await);
        self.pass(5 * MINUTE).await;
    }

    async fn answers(&self, tenant: &Tenant, email: &str, decision: &str) {
        let core = &self.world.core;
        let (tenant, key) = core.tenant(&tenant.slug).await.unwrap();
        let purpose = core.purpose(&tenant, None).await.unwrap();
        let address = core.find_address(&tenant, &key, &EmailAddress::parse(email).unwrap()).await.unwrap();
        let basis = AskBasis::ExistingCustomer;
        let asked = core.request_consent(&tenant, &key, &purpose, &[address], &basis, "office").await.unwrap();
        let link = asked.into_iter().next().unwrap().unwrap();
        let http = client();
        assert_eq!(http.get(&link).send().await.unwrap().status(), 200);
        let answer = http.post(&link).body(format!("decision={decision}")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    fn fault(&self, which: usize, matching: &str, times: u32, fault: Fault) {
        self.accounts[which].provider().fault(FaultRule { matching: matching.into(), times, fault });
    }

    fn mailable(&self, which: usize) -> Vec<String> {
        self.accounts[which].mailable(self.world.clock.now())
    }

    pub async fn end(self) {
        for sandbox in self.sandboxes {
            sandbox.stop().await;
        }
        self.served.end();
        self.world.end().await;
    }
}

async fn travel(engine: Engine, here: &str, there: &str, (switch, lie, honest): (&str, &str, &str)) {
    let mut journey = Journey::begin(engine).await;
    let (tenant, key) = journey.world.tenant("pool").await;
    let people: Vec<String> = (0..60).map(|n| format!("person{n:02}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    journey.world.customers(&tenant, &key, &people).await;
    journey.connect(&tenant, here).await;
    journey.connect(&tenant, there).await;
    for email in &people[..56] {
        journey.answers(&tenant, email, "accept").await;
    }
    journey.answers(&tenant, people[56], "refuse").await;

    // The provider throttles, is slow, breaks, and lies about its jobs; then it comes round.
    journey.accounts[0].provider().set(switch, lie).unwrap();
    journey.fault(0, "GET /", 2, Fault::Throttle(vec![]));
    journey.fault(0, "POST /", 1, Fault::Hang);
    journey.sync(0).await;
    journey.fault(0, "", 2, Fault::Status(503));
    journey.pass(20 * MINUTE).await;
    journey.accounts[0].provider().set(switch, honest).unwrap();
    journey.pass(HOUR).await;
    journey.sync(1).await;
    let consenting: Vec<String> = people[..56].iter().map(|email| (*email).to_owned()).collect();
    assert_eq!(journey.mailable(0), consenting, "{here}");
    assert_eq!(journey.mailable(1), consenting, "{there}");

    // At the provider: by webhook, and where there is none, by the walk.
    let now = journey.world.clock.now();
    journey.accounts[0].unsubscribes(now, people[0]);
    journey.accounts[0].happen(now, people[1], &Happening::Complains);
    journey.accounts[0].happen(now, people[2], &Happening::HardBounces);
    journey.accounts[0].happen(now, people[3], &Happening::Blocked);
    journey.pass(5 * MINUTE).await;
    let list = journey.accounts[0].connection.list.clone();
    journey.accounts[0].happen(now, people[4], &Happening::UnsubscribedByStaff(list));
    let mut tx = journey.world.core.store.begin().await.unwrap();
    tx.want_walk(&journey.accounts[0].connection, journey.world.core.now()).await.unwrap();
    tx.commit().await.unwrap();
    journey.pass(5 * MINUTE).await;

    let (world, account) = (&journey.world, &journey.accounts[0]);
    for (index, kind) in [(0, Kind::ProviderUnsubscribed), (1, Kind::Complained), (4, Kind::ProviderUnsubscribed)] {
        assert_eq!(world.state(account, people[index]).await, State::Withdrawn, "{}", people[index]);
        assert_eq!(world.said(account, people[index], kind).await, 1, "{}", people[index]);
    }
    assert!(world.standing(account, people[2]).await.flags.has(Flags::HARD_BOUNCE));
    // Both providers are told, and the next sync changes nothing about it.
    journey.sync(0).await;
    journey.sync(1).await;
    for which in 0..2 {
        let reached = journey.mailable(which);
        for gone in [0, 1, 2, 4] {
            assert!(!reached.iter().any(|email| email == people[gone]), "{} is still mailed", people[gone]);
        }
        assert!(reached.iter().any(|email| email == people[10]));
    }

    // Down while somebody withdraws by a link.
    for which in 0..2 {
        journey.fault(which, "", u32::MAX, Fault::Reset);
    }
    journey.world.withdraw_by_link(&tenant, &key, people[10]).await;
    journey.pass(10 * MINUTE).await;
    for account in &journey.accounts {
        account.provider().heal();
    }
    journey.pass(10 * MINUTE).await;
    for which in 0..2 {
        assert!(!journey.mailable(which).iter().any(|email| email == people[10]));
    }
    assert!(journey.world.core.verify(&tenant, &key).await.unwrap().is_sound());
    journey.end().await;
}
