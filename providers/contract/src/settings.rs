//! What an adapter is opened with.

use secrecy::SecretString;
use std::collections::BTreeMap;

/// One account of one provider.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Credentials by the names of the descriptor's [`crate::CredentialSpec`]s.
    pub credentials: BTreeMap<String, SecretString>,
    /// The webhook secrets that are valid now; two during a rotation.
    pub hook_secrets: Vec<SecretString>,
    /// Switches by the names of the descriptor's [`crate::OptionSpec`]s.
    pub options: BTreeMap<String, String>,
}

/// Why an account cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A credential is missing or empty.
    #[error("the credential `{0}` is missing")]
    MissingCredential(&'static str),
    /// An option has a value that it cannot have.
    #[error("the option `{name}` must be one of: {allowed}")]
    Option {
        /// Its name.
        name: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
}

impl AccountSettings {
    /// A credential by name.
    ///
    /// # Errors
    /// [`SettingsError::MissingCredential`] when it is absent or empty.
    pub fn credential(&self, name: &'static str) -> Result<SecretString, SettingsError> {
        use secrecy::ExposeSecret;
        match self.credentials.get(name) {
            Some(secret) if !secret.expose_secret().is_empty() => Ok(secret.clone()),
            _ => Err(SettingsError::MissingCredential(name)),
        }
    }

    /// An option's value, or its default.
    #[must_use]
    pub fn option<'a>(&'a self, spec: &'a crate::OptionSpec) -> &'a str {
        self.options.get(spec.name).map_or(spec.default, String::as_str)
    }
}
