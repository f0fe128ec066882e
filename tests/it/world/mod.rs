//! A world for a test: a real database of either engine, a simulated clock, seeded chance, emulated providers.

mod account;
mod claims;
mod engine;
mod fuse;
mod records;

pub use account::Account;
pub(crate) use engine::on_both_engines;
pub use engine::{Database, Engine};
pub use fuse::Fuse;

use async_trait::async_trait;
use consentd::clock::{Clock, SimulatedClock, Timestamp, micros};
use consentd::domain::consent::Language;
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::random::SeededRandom;
use consentd::service::{Core, Gateways, Rules};
use consentd::store::{Address, MasterKey, NewTenant, Store, Tenant, TenantKey, Vault};
use consentd_provider::emulator::{EmulatedGateway, EmulatedProvider, Emulator};
use consentd_provider::{EmailAddress, Gateway, ProviderError, Quota, RateHeaders, Request, Response};
use fuse::{MortalClock, MortalRandom};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// 2026-11-03 09:00:00 UTC, when every world begins.
pub const START: Timestamp = 1_793_696_400_000_000;

/// The emulated providers of a world, by the host of their base URL.
#[derive(Default)]
pub struct Providers(Mutex<HashMap<String, Arc<Mutex<EmulatedProvider>>>>);

/// Opens emulated providers instead of the network.
struct Emulated {
    providers: Arc<Providers>,
    clock: Arc<SimulatedClock>,
    fuse: Arc<Fuse>,
}

impl Gateways for Emulated {
    fn open(
        &self,
        _: ConnectionId,
        _: AccountId,
        base_url: &str,
        quotas: &[Quota],
        _: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        let rest = base_url.trim_start_matches("http://");
        let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        let providers = self.providers.0.lock().unwrap();
        let provider = providers.get(host).ok_or_else(|| format!("no emulated provider at {host}"))?;
        let clock = self.clock.clone();
        let inner = EmulatedGateway::new(provider.clone(), path.trim_end_matches('/'), Arc::new(move || clock.now()));
        Ok(Arc::new(Paced { inner, quotas: quotas.to_vec(), clock: self.clock.clone(), fuse: self.fuse.clone() }))
    }
}

impl Providers {
    /// All of them, in the order of their hosts.
    pub fn all(&self) -> Vec<Arc<Mutex<EmulatedProvider>>> {
        let providers = self.0.lock().unwrap();
        let mut hosts: Vec<_> = providers.iter().collect();
        hosts.sort_by_key(|(host, _)| *host);
        hosts.into_iter().map(|(_, provider)| provider.clone()).collect()
    }
}

/// Keeps the pace of the declared quotas, so that an emulator which counts calls has nothing to complain about.
struct Paced {
    inner: EmulatedGateway,
    quotas: Vec<Quota>,
    clock: Arc<SimulatedClock>,
    fuse: Arc<Fuse>,
}

impl Paced {
    fn pace(&self, family: &str) {
        let quotas = self.quotas.iter().filter(|quota| quota.family == family);
        let gap = quotas.map(|quota| quota.per / quota.limit.max(1)).max().unwrap_or_default();
        self.clock.advance(micros(gap));
    }
}

#[async_trait]
impl Gateway for Paced {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        self.pace(request.family);
        self.fuse.burn();
        let answer = self.inner.send(request).await;
        self.fuse.burn();
        answer
    }

    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError> {
        self.pace(request.family);
        self.fuse.burn();
        let answer = self.inner.send_before(request, deadline).await;
        self.fuse.burn();
        answer
    }
}

/// Everything a test touches.
pub struct World {
    /// The program under test.
    pub core: Core,
    /// Its clock.
    pub clock: Arc<SimulatedClock>,
    /// Its providers.
    pub providers: Arc<Providers>,
    /// Cut it and the daemon dies soon.
    pub fuse: Arc<Fuse>,
    /// The links that people were sent, by address.
    links: Mutex<HashMap<String, String>>,
    claims: claims::Claims,
    engine: engine::Database,
}

impl World {
    /// An empty, migrated database of that engine.
    pub async fn new(engine: Engine) -> Self {
        Self::seeded(engine, 7).await
    }

    /// The same, with chance that follows from a seed.
    pub async fn seeded(engine: Engine, seed: u64) -> Self {
        let database = engine::Database::create(engine).await;
        let db = consentd::store::Db::open(&database.url, 1).await.expect("the database opens");
        db.migrate().await.expect("the schema is current");
        let clock = Arc::new(SimulatedClock::at(START));
        let fuse = Arc::new(Fuse::default());
        let random = SeededRandom::new(seed);
        let providers = Arc::new(Providers::default());
        let core = Core {
            store: Store::new(db, Vault::new(MasterKey::generate(&random), vec![])),
            clock: Arc::new(MortalClock { clock: clock.clone(), fuse: fuse.clone() }),
            random: Arc::new(MortalRandom { random, fuse: fuse.clone() }),
            gateways: Arc::new(Emulated { providers: providers.clone(), clock: clock.clone(), fuse: fuse.clone() }),
            providers: consentd::registry::providers(),
            rules: Rules::default(),
            public_url: "https://consent.example.org".into(),
        };
        Self {
            core,
            clock,
            providers,
            fuse,
            links: Mutex::default(),
            claims: claims::Claims::default(),
            engine: database,
        }
    }

    /// Puts an emulated provider at `http://<host>`.
    pub fn provider(&self, host: &str, emulator: Box<dyn Emulator>) -> Arc<Mutex<EmulatedProvider>> {
        let provider = Arc::new(Mutex::new(EmulatedProvider::new(emulator)));
        self.providers.0.lock().unwrap().insert(host.to_owned(), provider.clone());
        provider
    }

    /// A tenant with that short name.
    pub async fn tenant(&self, slug: &str) -> (Tenant, TenantKey) {
        let new = NewTenant {
            slug: slug.into(),
            legal_name: format!("{slug} GmbH"),
            postal_address: "Hafenstraße 1, 20457 Hamburg".into(),
            contact: "datenschutz@example.org".into(),
            privacy_url: "https://example.org/datenschutz".into(),
            locale: Language::De,
            time_zone: "Europe/Berlin".into(),
        };
        self.core.create_tenant(&new).await.expect("the tenant is created");
        self.core.tenant(slug).await.expect("the tenant is there")
    }

    /// An address that the tenant's records hold, as an import would leave it.
    pub async fn address(&self, tenant: &Tenant, key: &TenantKey, email: &str) -> Address {
        use consentd::domain::consent::{Actor, Kind};
        use consentd::domain::ids::{AddressId, MailboxId};
        use consentd::store::NewLine;
        let email = EmailAddress::parse(email).expect("a valid address");
        let mac = key.address_mac(&email.folded());
        let mut tx = self.core.store.begin().await.expect("a transaction");
        let known = tx.mailboxes_by_mac(tenant.id, &[mac]).await.expect("mailboxes");
        let mailbox = if let Some(mailbox) = known.get(&mac) {
            *mailbox
        } else {
            let mailbox = MailboxId(self.core.id());
            tx.insert_mailboxes(tenant.id, &[(mailbox, mac)]).await.expect("a mailbox");
            mailbox
        };
        let address = Address { id: AddressId(self.core.id()), mailbox, email, role: false };
        tx.insert_addresses(tenant.id, std::slice::from_ref(&address), self.core.now()).await.expect("an address");
        let line = NewLine {
            address: address.id,
            mailbox,
            purpose: None,
            kind: Kind::Imported,
            actor: Actor::Operator,
            detail: None,
            payload: serde_json::json!({ "address": address.email.as_str() }),
            new_address: true,
        };
        tx.append(tenant, key, &[line], self.core.now(), &*self.core.random).await.expect("a line");
        tx.commit().await.expect("a commit");
        address
    }

    /// Where its database is.
    pub fn url(&self) -> &str {
        &self.engine.url
    }

    /// Ends the world and its database.
    pub async fn end(self) {
        self.core.store.db.close().await;
        self.engine.drop().await;
    }
}
