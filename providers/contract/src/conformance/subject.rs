//! Who is examined, and how the adapter is joined with the emulated provider.

use super::Broken;
use crate::emulator::{EmulatedGateway, EmulatedProvider, Emulator};
use crate::{Descriptor, Gateway, Timestamp};
use async_trait::async_trait;
use std::sync::{Arc, Mutex};

/// A switch of an emulator and its position, or an option of an adapter and its value.
pub type Switch = (&'static str, &'static str);

/// A behaviour that the contract sheet leaves open; every rule must hold under it too.
#[derive(Debug, Clone, Copy)]
pub struct Variation {
    /// What a report calls it.
    pub name: &'static str,
    /// Options that the account is opened with.
    pub options: &'static [Switch],
    /// Switches that the emulator is set to.
    pub switches: &'static [Switch],
}

/// An adapter, an emulator of its provider, and what the suite cannot find out by itself.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The adapter.
    pub descriptor: &'static Descriptor,
    /// Makes an empty account at the provider. Without [`crate::Capability::CreateList`] it holds two lists.
    pub emulator: fn() -> Box<dyn Emulator>,
    /// Credentials that the emulator accepts, by name.
    pub credentials: &'static [Switch],
    /// Whether the provider can remember an unsubscription list by list. Where it cannot, leaving one list is
    /// forgotten by the provider and remembered by consentd alone.
    pub list_memory: bool,
    /// The member of a webhook's event that names its kind.
    pub event_name: &'static str,
    /// A contact field whose values the provider keeps unique, if it has one.
    pub unique_field: Option<&'static str>,
    /// The emulator's switch that makes bulk jobs end well without any effect, if the provider has jobs.
    pub lying_jobs: Option<Switch>,
    /// The emulator's switch for an account whose plan takes no further contact, if the provider has such plans.
    pub full_account: Option<Switch>,
    /// Further behaviours to examine the adapter under.
    pub variations: &'static [Variation],
}

impl Subject {
    /// A provider that remembers unsubscriptions by list, names events in `event`, and has no further peculiarity.
    #[must_use]
    pub const fn new(
        descriptor: &'static Descriptor,
        emulator: fn() -> Box<dyn Emulator>,
        credentials: &'static [Switch],
    ) -> Self {
        Self {
            descriptor,
            emulator,
            credentials,
            list_memory: true,
            event_name: "event",
            unique_field: None,
            lying_jobs: None,
            full_account: None,
            variations: &[],
        }
    }
}

/// The emulated provider's time, in microseconds since 1970.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Joins an adapter with an emulated provider.
#[async_trait]
pub trait Setup: Send + Sync {
    /// Who is examined.
    fn subject(&self) -> Subject;

    /// A way from the adapter to this provider, which lives as long as the gateway does. Called once a world.
    ///
    /// # Errors
    /// A sentence, when the way cannot be laid.
    async fn connect(&self, provider: Arc<Mutex<EmulatedProvider>>, now: Now) -> Result<Box<dyn Gateway>, String>;
}

/// Adapter and provider in one process, without any network.
#[derive(Clone, Copy)]
pub struct InMemory(pub Subject);

#[async_trait]
impl Setup for InMemory {
    fn subject(&self) -> Subject {
        self.0
    }

    async fn connect(&self, provider: Arc<Mutex<EmulatedProvider>>, now: Now) -> Result<Box<dyn Gateway>, String> {
        let base_path = base_path(self.0.descriptor.default_base_url).map_err(|broken| broken.to_string())?;
        Ok(Box::new(EmulatedGateway::new(provider, &base_path, now)))
    }
}

/// The path of a base URL, without a slash at its end.
fn base_path(url: &str) -> Result<String, Broken> {
    let (_, rest) = url.split_once("://").ok_or_else(|| Broken::new("the base URL has no scheme"))?;
    Ok(rest.split_once('/').map_or_else(String::new, |(_, path)| format!("/{}", path.trim_end_matches('/'))))
}
