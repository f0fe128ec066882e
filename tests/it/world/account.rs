//! Accounts at emulated providers: connecting one, letting the daemon's work happen, carrying webhooks over.

use crate::world::World;
use consentd::clock::{Clock, SECOND, Timestamp};
use consentd::domain::consent::{AskBasis, Kind, State};
use consentd::domain::fold::Standing;
use consentd::domain::ids::{InboxId, MailboxId};
use consentd::domain::mailbox::best;
use consentd::service::connection::NewConnection;
use consentd::service::link::{Decision, Visitor};
use consentd::store::{Connection, ConnectionState, Holding, NewDelivery, Phase, RunState, Tenant, TenantKey};
use consentd_provider::emulator::{EmulatedProvider, Happening};
use consentd_provider::{Delivery, EmailAddress, HookMode, Intake, credential_matches};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use uuid::Uuid;

/// A connection and the provider behind it.
pub struct Account {
    pub tenant: Tenant,
    pub key: TenantKey,
    pub connection: Connection,
    pub provider: Arc<Mutex<EmulatedProvider>>,
}

impl Account {
    pub fn provider(&self) -> MutexGuard<'_, EmulatedProvider> {
        self.provider.lock().unwrap()
    }

    /// Addresses that a campaign to the managed list would reach.
    pub fn mailable(&self, now: Timestamp) -> Vec<String> {
        let mut reached = self.provider().mailable(now, &self.connection.list);
        reached.sort();
        reached
    }

    pub fn happen(&self, now: Timestamp, email: &str, what: &Happening) {
        assert!(self.provider().happen(now, email, what), "the provider does not know {email} for {what:?}");
    }

    /// The person clicks "unsubscribe" in a campaign to the managed list.
    pub fn unsubscribes(&self, now: Timestamp, email: &str) {
        self.happen(now, email, &Happening::Unsubscribes(Some(self.connection.list.clone())));
    }
}

impl World {
    /// A new account at that provider, connected in shadow mode to a new list, its webhooks registered.
    pub async fn connect(&self, tenant: &Tenant, slug: &str, provider: &str) -> Account {
        let (tenant, key) = self.core.tenant(&tenant.slug).await.expect("the tenant");
        let descriptor = self.core.descriptor(provider).expect("a provider");
        let path = descriptor.default_base_url.splitn(4, '/').nth(3).unwrap_or_default();
        let host = format!("{slug}.{}.test", tenant.slug);
        let emulated = self.provider(&host, consentd::registry::emulator(provider).expect("an emulator"));
        let purpose = self.core.purpose(&tenant, None).await.expect("a purpose");
        let secret = |name: &str| SecretString::from(format!("{name}-of-{slug}"));
        let new = NewConnection {
            slug: slug.into(),
            provider: provider.into(),
            base_url: format!("http://{host}/{path}"),
            credentials: descriptor.credentials.iter().map(|spec| (spec.name.into(), secret(spec.name))).collect(),
            options: BTreeMap::new(),
            list: String::new(),
            purpose: purpose.id,
            mapping: BTreeMap::from([("town".to_owned(), "TOWN".to_owned())]),
            cron: String::new(),
            time_zone: "Europe/Berlin".into(),
            guard_percent: 10,
            guard_count: 5,
        };
        let connection = self.core.add_connection(&tenant, &key, new).await.expect("a connection");
        self.core.bind_list(&connection, &key, "Campaigns").await.expect("a list");
        let connection = self.core.find_connection(&tenant, slug).await.expect("the connection");
        self.core.create_missing_fields(&connection, &key).await.expect("fields");
        let state = self.core.hooks(&connection, &key, HookMode::Repair).await.expect("webhooks");
        assert!(state.healthy, "{state:?}");
        Account { tenant, key, connection, provider: emulated }
    }

    /// Confirms the first plan and lets everything settle.
    pub async fn activate(&self, account: &Account) {
        self.sync(account).await;
        let connection = self.core.find_connection(&account.tenant, &account.connection.slug).await.unwrap();
        if connection.state == ConnectionState::Shadow {
            self.core.confirm_run(&connection, "office").await.expect("a plan to confirm");
            self.settle().await;
        }
    }

    /// Asks for a run and lets everything settle.
    pub async fn sync(&self, account: &Account) {
        let connection = self.core.find_connection(&account.tenant, &account.connection.slug).await.unwrap();
        self.core.request_run(&connection, "operator", false).await.expect("a run");
        self.settle().await;
    }

    /// Asks for a walk over everything the provider holds and lets everything settle.
    pub async fn walk(&self, account: &Account) {
        self.clock.advance(SECOND);
        let mut tx = self.core.store.begin().await.unwrap();
        tx.want_walk(&account.connection, self.core.now()).await.unwrap();
        tx.commit().await.unwrap();
        self.settle().await;
    }

    /// Lets time pass until nothing is left to do that time alone would bring about.
    pub async fn settle(&self) {
        for _ in 0..20_000 {
            if !self.step().await {
                if self.is_idle().await {
                    return;
                }
                self.clock.advance(5 * SECOND);
            }
        }
        panic!("the world does not come to rest");
    }

    /// Lets this much time pass, doing what falls due.
    pub async fn pass(&self, time: Timestamp, stride: Timestamp) {
        let end = self.clock.now() + time;
        while self.clock.now() < end {
            while self.step().await {}
            self.clock.advance(stride);
        }
        self.settle().await;
    }

    /// One round of everything that a daemon does. True when something was done.
    pub async fn step(&self) -> bool {
        let mut worked = self.core.ring().await.unwrap() > 0;
        worked |= self.carry_webhooks().await > 0;
        worked |= self.core.sort_inbox(100).await.unwrap() > 0;
        for connection in self.core.store.connections_everywhere().await.unwrap() {
            worked |= self.work(connection.id).await.unwrap();
        }
        worked
    }

    async fn is_idle(&self) -> bool {
        let store = &self.core.store;
        for connection in store.connections_everywhere().await.unwrap() {
            let (tenant, id) = (connection.tenant, connection.id);
            let run = store.open_run(tenant, id).await.unwrap();
            let waits = |state| matches!(state, RunState::AwaitingConfirmation);
            if run.is_some_and(|run| !waits(run.state)) || !store.open_jobs(tenant, id).await.unwrap().is_empty() {
                return false;
            }
            let shadow = connection.state == ConnectionState::Shadow;
            let walk = store.walk(tenant, id).await.unwrap();
            let walking = walk.as_ref().is_none_or(|walk| walk.finished_at.is_none());
            let wanted =
                connection.walk_wanted_at.is_some_and(|at| walk.as_ref().is_none_or(|walk| walk.started_at < at));
            let dirty = !shadow && store.is_dirty(tenant, id).await.unwrap();
            let mut leaving = false;
            for phase in [Phase::Send, Phase::Confirm] {
                leaving |=
                    !shadow && !store.due_withdrawals(tenant, id, phase, Timestamp::MAX, 1).await.unwrap().is_empty();
            }
            let unsettled = !store.settled_holdings(tenant, id, Timestamp::MAX, 1).await.unwrap().is_empty();
            if walking || wanted || dirty || leaving || unsettled {
                return false;
            }
        }
        true
    }

    /// Carries the webhooks that are due to their connections, as the web server would.
    async fn carry_webhooks(&self) -> usize {
        let providers: Vec<_> = self.providers.all();
        let mut carried = 0;
        for provider in providers {
            let due = provider.lock().unwrap().due(self.clock.now());
            for delivery in due {
                carried += 1;
                let status = self.take_in(&delivery.url, &delivery.headers, delivery.body).await;
                provider.lock().unwrap().delivered(self.clock.now(), delivery.id, status);
            }
        }
        carried
    }

    /// What the web server does with a delivery: `None` while the daemon is down.
    async fn take_in(&self, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Option<u16> {
        use base64::Engine;
        let (_, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        let basic = authority.rsplit_once('@').map(|(pair, _)| {
            let pair = percent_encoding::percent_decode_str(pair).collect::<Vec<u8>>();
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        });
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let authorization = basic.or_else(|| header.map(|(_, value)| value.clone()));
        let mut parts = path.split(['/', '?']).skip(1);
        let (hook_key, path_secret) = (parts.next()?, parts.next()?);
        let Some(connection) = self.core.store.connection_by_hook_key(hook_key).await.unwrap() else {
            return Some(404);
        };
        let (_, key) = self.core.tenant_by_id(connection.tenant).await.unwrap();
        let provider = self.core.adapter(&connection, &key).unwrap();
        let secrets = consentd::service::Core::path_secrets(&connection, &key).unwrap();
        let trusted = credential_matches(path_secret.as_bytes(), &secrets)
            && provider.verify(Delivery { authorization: authorization.as_deref(), body: &body }).is_ok();
        if !trusted {
            return Some(provider.answer(Intake::Unauthorised));
        }
        let delivery = NewDelivery {
            tenant: connection.tenant,
            connection: connection.id,
            id: InboxId(self.core.id()),
            received_at: self.core.now(),
            digest: Sha256::digest(&body).into(),
            body,
            quarantine: None,
        };
        let mut tx = self.core.store.begin().await.unwrap();
        tx.keep_deliveries(&[delivery]).await.unwrap();
        tx.commit().await.unwrap();
        Some(provider.answer(Intake::Stored))
    }

    /// Where an address stands for the default purpose.
    pub async fn standing(&self, at: &Account, email: &str) -> Standing {
        let email = EmailAddress::parse(email).unwrap();
        let address = self.core.find_address(&at.tenant, &at.key, &email).await.expect("a known address");
        let kept = self.core.store.standings(at.tenant.id, address.id).await.unwrap();
        let own = kept.into_iter().find(|kept| kept.purpose == at.connection.purpose);
        own.map(|kept| kept.standing).unwrap_or_default()
    }

    /// The state of an address for the default purpose.
    pub async fn state(&self, at: &Account, email: &str) -> State {
        self.standing(at, email).await.state
    }

    /// How often the history of an address says this.
    pub async fn said(&self, at: &Account, email: &str, kind: Kind) -> usize {
        let email = EmailAddress::parse(email).unwrap();
        let address = self.core.find_address(&at.tenant, &at.key, &email).await.expect("a known address");
        let lines = self.core.store.lines_of(at.tenant.id, address.id).await.unwrap();
        lines.iter().filter(|line| line.header.kind == kind).count()
    }

    /// The people are asked and say yes, each from their own link.
    pub async fn accept(&self, tenant: &Tenant, key: &TenantKey, emails: &[&str]) {
        let purpose = self.core.purpose(tenant, None).await.unwrap();
        let mut addresses = Vec::new();
        for email in emails {
            let email = EmailAddress::parse(email).unwrap();
            addresses.push(self.core.find_address(tenant, key, &email).await.expect("a known address"));
        }
        let basis = AskBasis::ExistingCustomer;
        let links = self.core.request_consent(tenant, key, &purpose, &addresses, &basis, "office").await.unwrap();
        for (email, link) in emails.iter().zip(links) {
            let link = link.expect("the person may be asked");
            let secret = link.rsplit('/').next().unwrap();
            self.links.lock().unwrap().insert((*email).to_owned(), secret.to_owned());
            self.say_yes(secret).await;
        }
    }

    /// The people say yes once more with the link that they got first, as they can within its thirty days.
    pub async fn accept_again(&self, emails: &[&str]) {
        for email in emails {
            let secret = self.links.lock().unwrap().get(*email).cloned().expect("the person was asked");
            self.say_yes(&secret).await;
        }
    }

    async fn say_yes(&self, secret: &str) {
        let visitor = Visitor { agent: "Firefox".into(), confirmed: true, one_click: false };
        self.core.decide(secret, Decision::Accept, &visitor).await.expect("the link accepts");
    }

    /// The person unsubscribes with a link of a mail.
    pub async fn withdraw_by_link(&self, tenant: &Tenant, key: &TenantKey, email: &str) {
        let purpose = self.core.purpose(tenant, None).await.unwrap();
        let address = self.core.find_address(tenant, key, &EmailAddress::parse(email).unwrap()).await.unwrap();
        let mut tx = self.core.store.begin().await.unwrap();
        let link = self.core.unsubscribe_link(&mut tx, tenant, &address, &purpose).await.unwrap();
        tx.commit().await.unwrap();
        let visitor = Visitor { agent: "Firefox".into(), confirmed: false, one_click: true };
        self.core.decide(link.rsplit('/').next().unwrap(), Decision::Refuse, &visitor).await.unwrap();
    }

    /// Every mailbox that a connection has a belief about, by the address named last.
    pub async fn beliefs(&self, at: &Account) -> BTreeMap<String, Holding> {
        let mut beliefs = BTreeMap::new();
        let mut tx = self.core.store.begin().await.unwrap();
        let mailboxes = tx.mailboxes_after(at.tenant.id, MailboxId(Uuid::nil()), 10_000).await.unwrap();
        let holdings = tx.holdings(at.tenant.id, at.connection.id, &mailboxes).await.unwrap();
        drop(tx);
        for holding in holdings.into_values() {
            let address = self.core.store.address(at.tenant.id, holding.address).await.unwrap().expect("an address");
            beliefs.insert(address.email.as_str().to_owned(), holding);
        }
        beliefs
    }

    /// Everybody who consents for the purpose of the connection, and whether the CRM has them.
    pub async fn consenting(&self, at: &Account) -> BTreeMap<String, bool> {
        let mut tx = self.core.store.begin().await.unwrap();
        let mailboxes = tx.mailboxes_after(at.tenant.id, MailboxId(Uuid::nil()), 10_000).await.unwrap();
        let people = tx.people(at.tenant.id, at.connection.purpose, &mailboxes).await.unwrap();
        drop(tx);
        let now = self.clock.now();
        let mut consenting = BTreeMap::new();
        for person in people {
            let standings: Vec<Standing> = person.variants.iter().map(|(_, standing)| *standing).collect();
            if best(&standings, now).1.sendable(now) {
                let emails = person.variants.iter().map(|(address, _)| address.email.as_str().to_owned());
                consenting.extend(emails.map(|email| (email, person.in_crm)));
            }
        }
        consenting
    }
}
