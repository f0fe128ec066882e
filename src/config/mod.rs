//! The configuration: a TOML file over the defaults of `config.example.toml`, and a few environment variables over both.
//!
//! One file a section; each section says in `validate` what it cannot accept, naming the key and the remedy.

mod database;
mod gateway;
mod http;
mod keys;
mod log;
mod rules;
mod webhooks;
mod workers;

pub use database::Database;
pub use gateway::Gateway;
pub use http::Http;
pub use keys::Keys;
pub use log::{Format, Log};
pub use rules::Rules;
pub use webhooks::Webhooks;
pub use workers::Workers;

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Every option with its default; also the file that people copy.
pub const DEFAULTS: &str = include_str!("../../config.example.toml");

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the sections, each documented at its type")]
pub struct Config {
    pub database: Database,
    pub keys: Keys,
    pub http: Http,
    pub webhooks: Webhooks,
    pub gateway: Gateway,
    pub workers: Workers,
    pub rules: Rules,
    pub log: Log,
}

/// Why there is no usable configuration. Names the file, the key and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {file} cannot be read; check the path given with --config")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or holds something that there is not.
    #[error("the configuration file {file} cannot be used:\n{reason}compare it with config.example.toml")]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, column and reason.
        reason: String,
    },
    /// A value that cannot be used.
    #[error("`{key}` in {file}: {remedy}")]
    Value {
        /// The file, or the environment.
        file: PathBuf,
        /// Section and key.
        key: &'static str,
        /// What is wrong and what to write instead.
        remedy: String,
    },
}

/// A value that cannot be used: section and key, and what to write instead.
pub(crate) struct Unusable {
    key: &'static str,
    remedy: String,
}

/// Ends a section's validation unless a condition holds.
fn need(condition: bool, key: &'static str, remedy: &str) -> Result<(), Unusable> {
    if condition { Ok(()) } else { Err(Unusable { key, remedy: remedy.to_owned() }) }
}

impl Config {
    /// Reads a file over the defaults, then the environment. Without a file, `consentd.toml` in the working folder is
    /// used when it is there.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(file: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let usual = Path::new("consentd.toml");
        let chosen = file.or_else(|| usual.exists().then_some(usual));
        let text = match chosen {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?,
        };
        Self::read(&text, chosen.unwrap_or(usual), environment)
    }

    /// Reads a text over the defaults, then the environment. `file` is named in errors.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] or [`ConfigError::Value`].
    pub fn read(text: &str, file: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax { file: file.to_owned(), reason: error.to_string() };
        let mut merged: toml::Table = toml::from_str(DEFAULTS).map_err(syntax)?;
        merge(&mut merged, toml::from_str(text).map_err(syntax)?);
        let mut config: Self = merged.try_into().map_err(syntax)?;
        config.overlay(environment);
        config.validate().map_err(|unusable| ConfigError::Value {
            file: file.to_owned(),
            key: unusable.key,
            remedy: unusable.remedy,
        })?;
        Ok(config)
    }

    fn overlay(&mut self, environment: impl Fn(&str) -> Option<String>) {
        let set = |name: &str, place: &mut String| {
            if let Some(value) = environment(name) {
                *place = value;
            }
        };
        set("CONSENTD_DATABASE_URL", &mut self.database.url);
        set("CONSENTD_LISTEN", &mut self.http.listen);
        set("CONSENTD_PUBLIC_URL", &mut self.http.public_url);
        self.keys.from_environment = environment("CONSENTD_MASTER_KEY").map(secrecy::SecretString::from);
    }

    fn validate(&self) -> Result<(), Unusable> {
        self.database.validate()?;
        self.keys.validate()?;
        self.http.validate()?;
        self.webhooks.validate()?;
        self.gateway.validate()?;
        self.workers.validate()?;
        self.rules.validate(&self.gateway)?;
        self.log.validate()
    }
}

/// Puts the values of `over` in place of those of `under`, table by table.
fn merge(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}
