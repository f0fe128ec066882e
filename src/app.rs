//! Wiring: from a configuration to everything that a use case needs.

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Keys};
use crate::domain::ids::{AccountId, ConnectionId};
use crate::gateway::{HttpGateways, Limits};
use crate::random::{Random, SystemRandom};
use crate::registry;
use crate::service::intake::Mailbag;
use crate::service::signal::{Life, Wake};
use crate::service::{Core, Gateways};
use crate::store::{Db, MasterKey, Reserve, Store, StoreError, Vault, VaultError};
use crate::web::{State, listen, router};
use crate::worker::{Connections, Registrations, Stop, keep_reserve, ring, sort, watch};
use consentd_provider::{Gateway, Quota, RateHeaders};
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};

/// Why the program cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no master key.
    #[error(
        "the key file {file} cannot be read; make one with `consentd init`, or set keys.file or CONSENTD_MASTER_KEY"
    )]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key is no key.
    #[error("the master key in {place} cannot be used")]
    BadKey {
        /// The file, or the environment.
        place: String,
        /// Why.
        #[source]
        source: VaultError,
    },
    /// The database.
    #[error("the database cannot be opened; check database.url and that it is reachable")]
    Database(#[source] StoreError),
    /// The schema is older than the program.
    #[error("the database schema lacks {0} steps; run `consentd migrate`, or set database.migrate_at_start")]
    Outdated(usize),
    /// The way out.
    #[error("the HTTP client cannot be set up")]
    Gateway,
}

/// Opens the database, the keys and the way out. An empty database gets its schema.
///
/// # Errors
/// [`OpenError`].
pub async fn open(config: &Config) -> Result<Core, OpenError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let vault = vault(&config.keys)?;
    let db = database(config).await?;
    let pending = db.pending().await.map_err(OpenError::Database)?;
    if !pending.is_empty() {
        let empty = !db.has_schema().await.map_err(OpenError::Database)?;
        if !empty && !config.database.migrate_at_start {
            return Err(OpenError::Outdated(pending.len()));
        }
        db.migrate().await.map_err(OpenError::Database)?;
    }
    let limits = Limits {
        timeout: config.gateway.timeout(),
        answer: config.gateway.answer_mib * 1024 * 1024,
        patience: config.gateway.patience(),
    };
    let gateways = HttpGateways::new(limits, clock.clone(), random.clone()).map_err(|_| OpenError::Gateway)?;
    let mut store = Store::new(db, vault);
    store.reserve = Reserve::beside(&config.database.url, config.database.reserve_mib);
    Ok(Core {
        store,
        clock,
        random,
        gateways: Arc::new(gateways),
        providers: registry::providers(),
        rules: config.rules.figures(),
        public_url: config.http.public_url.as_str().into(),
    })
}

/// Why a daemon cannot begin to serve, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener.
    #[error("the listener cannot be used")]
    Listener(#[from] std::io::Error),
    /// Nobody commits deliveries any more. A new process begins with a clean slate, which mending this one would not.
    #[error("the intake of webhooks ended by itself; see the lines before, and start again")]
    Intake,
}

/// Runs the daemon on a listener until `stop`: web server, intake, workers and schedules. Then it takes no more
/// connections, answers what it was asked, commits what it took in, finishes the calls that are under way, and gives
/// back its leases. The database stays open.
///
/// # Errors
/// [`ServeError`] when the listener cannot be used, or after the intake ended before `stop`.
pub async fn serve(
    core: Core,
    config: &Config,
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr()?;
    let (wake, life) = (Wake::default(), Life::default());
    let (bag, sorter) = Mailbag::new(core.clone(), config.webhooks.queue);
    let mut sorting = tokio::spawn(sorter.run());
    let (signal, stopped) = Stop::new();
    let connections = Connections::new(core.clone(), wake.clone(), life.clone(), &config.workers);
    let registrations = Registrations::new(connections.clone(), config.webhooks.repair);
    let grace = config.gateway.timeout() + GRACE;
    let mut workers = JoinSet::new();
    for _ in 0..readers(&core) {
        let idle = config.workers.idle();
        workers.spawn(sort(core.clone(), wake.clone(), life.clone(), bag.traffic(), idle, stopped.clone()));
    }
    workers.spawn(ring(core.clone(), wake.clone(), stopped.clone()));
    workers.spawn(watch(core.clone(), wake.clone(), stopped.clone()));
    workers.spawn(keep_reserve(core.clone(), stopped.clone()));
    workers.spawn(registrations.run(stopped.clone()));
    workers.spawn(connections.run(stopped, grace));

    let clock = core.clock.clone();
    let router = router(State::new(core, bag, wake, life.clone(), config, metrics));
    tracing::info!(http.address = %address, "consentd serves");
    let mut lost = None;
    let stop = async {
        tokio::select! {
            () = stop => tracing::info!("consentd stops"),
            result = &mut sorting => lost = Some(result),
        }
        life.stop();
    };
    listen(listener, router, &config.http, config.http.request_time() + GRACE, &*clock, stop).await;
    let outcome = if lost.is_some() { Err(ServeError::Intake) } else { Ok(()) };
    // The last bag went with the router, so the sorter ends once everything is committed.
    ended("intake", if let Some(result) = lost { result } else { sorting.await });
    signal.send_replace(true);
    while let Some(worker) = workers.join_next().await {
        ended("worker", worker);
    }
    tracing::info!("consentd has stopped");
    outcome
}

/// Beyond the time-outs of requests and calls, when the daemon stops.
const GRACE: Duration = Duration::from_secs(5);

/// Inbox workers: SQLite has one writer, so more would only wait for each other.
const fn readers(core: &Core) -> usize {
    if core.store.db.is_shared() { 2 } else { 1 }
}

fn ended(what: &str, result: Result<(), JoinError>) {
    if let Err(error) = result {
        tracing::error!(error = %error, "{what} ended early");
    }
}

impl Gateways for HttpGateways {
    fn open(
        &self,
        connection: ConnectionId,
        account: AccountId,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        Self::open(self, connection, account, base_url, quotas, rate_headers)
    }

    fn left(&self) -> Vec<(ConnectionId, &'static str, u32)> {
        Self::left(self)
    }
}

/// Opens the database without looking at its schema.
///
/// # Errors
/// [`OpenError::Database`].
pub async fn database(config: &Config) -> Result<Db, OpenError> {
    Db::open(&config.database.url, config.database.connections).await.map_err(OpenError::Database)
}

/// Reads the master keys.
///
/// # Errors
/// [`OpenError::NoKey`] or [`OpenError::BadKey`].
pub fn vault(keys: &Keys) -> Result<Vault, OpenError> {
    let current = match &keys.from_environment {
        Some(text) => key(text.expose_secret(), "CONSENTD_MASTER_KEY")?,
        None => key_in(&keys.file)?,
    };
    let old = keys.old_files.iter().map(|file| key_in(file)).collect::<Result<_, _>>()?;
    Ok(Vault::new(current, old))
}

fn key_in(file: &Path) -> Result<MasterKey, OpenError> {
    let text = std::fs::read_to_string(file).map_err(|source| OpenError::NoKey { file: file.to_owned(), source })?;
    key(&text, &file.display().to_string())
}

fn key(text: &str, place: &str) -> Result<MasterKey, OpenError> {
    MasterKey::from_hex(text).map_err(|source| OpenError::BadKey { place: place.to_owned(), source })
}
