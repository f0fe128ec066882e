//! What an adapter says about itself.

use crate::{AccountSettings, Provider, Quota, SettingsError};

/// Something that not every provider can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Send a transactional mail.
    Send,
    /// Erase a contact for good.
    Erase,
    /// Create a list.
    CreateList,
    /// Create a contact field.
    CreateField,
}

/// A credential the account needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialSpec {
    /// Its name in settings and on the command line.
    pub name: &'static str,
    /// Where a person finds it.
    pub help: &'static str,
}

/// A switch for what the contract sheet leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name.
    pub name: &'static str,
    /// What it means and which values it takes.
    pub help: &'static str,
    /// Its value when nothing is said; always the careful one.
    pub default: &'static str,
}

/// Which headers of an answer tell how much of a quota is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateHeaders {
    /// Calls left in the window.
    pub remaining: &'static str,
    /// Seconds until the window ends; a duration, not an instant.
    pub reset: &'static str,
}

/// The one thing an adapter crate exports.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// Short lower-case id, stored with every connection.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// Where the provider's API is.
    pub default_base_url: &'static str,
    /// What the account needs.
    pub credentials: &'static [CredentialSpec],
    /// The switches.
    pub options: &'static [OptionSpec],
    /// What it can do beyond the ordinary.
    pub capabilities: &'static [Capability],
    /// The most changes that one push should carry.
    pub chunk: usize,
    /// The most addresses that one look should carry.
    pub look: usize,
    /// How quotas show in answers, if they do.
    pub rate_headers: Option<RateHeaders>,
    /// The limits of an account with these settings.
    pub quotas: fn(&AccountSettings) -> Vec<Quota>,
    /// Opens an account; makes no call.
    pub open: fn(&AccountSettings) -> Result<Box<dyn Provider>, SettingsError>,
}
