//! Wiring: from a configuration to everything that a use case needs.

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Keys};
use crate::gateway::{HttpGateways, Limits};
use crate::random::{Random, SystemRandom};
use crate::registry;
use crate::service::{Core, Gateways};
use crate::store::{Db, MasterKey, Store, StoreError, Vault, VaultError};
use consentd_provider::{Gateway, Quota, RateHeaders};
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

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
    Ok(Core {
        store: Store::new(db, vault),
        clock,
        random,
        gateways: Arc::new(gateways),
        providers: registry::providers(),
        rules: config.rules.figures(),
        public_url: config.http.public_url.as_str().into(),
    })
}

impl Gateways for HttpGateways {
    fn open(
        &self,
        account: Uuid,
        base_url: &str,
        quotas: &[Quota],
        rate_headers: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        Self::open(self, account, base_url, quotas, rate_headers)
    }
}

/// Opens the database without looking at its schema.
///
/// # Errors
/// [`OpenError::Database`].
pub async fn database(config: &Config) -> Result<Db, OpenError> {
    Db::open(&config.database.url, config.database.connections).await.map_err(OpenError::Database)
}

fn vault(keys: &Keys) -> Result<Vault, OpenError> {
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
