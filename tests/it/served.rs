//! The routes of a world behind real HTTP, without any worker: tests sort the inbox themselves.

use crate::world::World;
use consentd::config::Config;
use consentd::domain::ids::ConnectionId;
use consentd::service::Core;
use consentd::service::connection::NewConnection;
use consentd::service::intake::Mailbag;
use consentd::service::signal::{Life, Wake};
use consentd::store::{Connection, Db, Tenant, TenantKey};
use consentd::web::{State, router};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub struct Served {
    pub url: String,
    pub http: reqwest::Client,
    tasks: Vec<JoinHandle<()>>,
}

/// The defaults with this over them.
pub fn config(text: &str) -> Config {
    Config::read(text, Path::new("test.toml"), |_| None).expect("a usable configuration")
}

/// A client that follows nothing.
pub fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.timeout(Duration::from_mins(1)).user_agent("Mozilla/5.0 (tests)").build().expect("a client")
}

impl Served {
    pub async fn new(core: &Core, configured: &str) -> Self {
        let config = config(configured);
        let (bag, sorter) = Mailbag::new(core.clone(), config.webhooks.queue);
        let state = State::new(core.clone(), bag, Wake::default(), Life::default(), &config, None);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let web = tokio::spawn(async move { axum::serve(listener, router(state)).await.expect("it serves") });
        Self { url, http: client(), tasks: vec![tokio::spawn(sorter.run()), web] }
    }

    /// The same place under the test's own address.
    pub fn at(&self, public: &str) -> String {
        let path = public.split_once("://").and_then(|(_, rest)| rest.split_once('/')).expect("a path").1;
        format!("{}/{path}", self.url)
    }

    /// The task that commits deliveries dies.
    pub async fn lose_intake(&mut self) {
        let sorter = self.tasks.remove(0);
        sorter.abort();
        assert!(sorter.await.unwrap_err().is_cancelled());
    }

    pub fn end(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

/// A world that knows the toy provider too.
pub fn with_toy(mut world: World) -> World {
    world.core.providers = &crate::toy::PROVIDERS;
    world
}

/// A connection of the tenant's to that provider.
pub async fn connect(core: &Core, tenant: &Tenant, key: &TenantKey, provider: &str, account: &str) -> Connection {
    let names: &[&str] = if provider == "toy" { &["account"] } else { &["api_key", "secret_key"] };
    let credentials: BTreeMap<String, SecretString> =
        names.iter().map(|name| ((*name).to_owned(), SecretString::from(account.to_owned()))).collect();
    let purpose = core.purpose(tenant, None).await.expect("a purpose");
    let new = NewConnection {
        slug: format!("{provider}-{account}").to_lowercase(),
        provider: provider.into(),
        base_url: "http://nowhere.test".into(),
        credentials,
        options: BTreeMap::new(),
        list: "1".into(),
        purpose: purpose.id,
        mapping: BTreeMap::new(),
        cron: String::new(),
        time_zone: "Europe/Berlin".into(),
        guard_percent: 100,
        guard_count: 1_000,
    };
    core.add_connection(tenant, key, new).await.expect("a connection")
}

/// Where a connection's webhooks go and what they show.
pub fn hook(core: &Core, connection: &Connection, key: &TenantKey) -> (String, String) {
    let spec = core.hook_spec(connection, key).expect("webhook secrets");
    (spec.url, spec.secret.expose_secret().to_owned())
}

/// Kept deliveries of a connection, by state.
pub async fn kept(core: &Core, tenant: &Tenant, connection: ConnectionId) -> Vec<(String, String)> {
    let all = core.store.deliveries(tenant.id, "", 1_000).await.expect("deliveries");
    let own = all.into_iter().filter(|delivery| delivery.connection == connection);
    own.map(|delivery| (delivery.state, delivery.note)).collect()
}

/// Kinds of the open incidents of a tenant.
pub async fn incidents(core: &Core, tenant: &Tenant) -> Vec<String> {
    core.store.incidents(tenant.id, 100).await.expect("incidents").into_iter().map(|one| one.kind).collect()
}

/// Runs a statement that no service offers.
pub async fn run_sql(db: &Db, text: impl sqlx::SqlSafeStr) {
    let text = text.into_sql_str();
    match db {
        Db::Sqlite { write, .. } => sqlx::query(text).execute(write).await.map(drop),
        Db::Pg(pool) => sqlx::query(text).execute(pool).await.map(drop),
    }
    .expect("the statement runs");
}
