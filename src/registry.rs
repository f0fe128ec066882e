//! The providers there are. The only file of this crate that knows them by name.

use consentd_provider::Descriptor;
use consentd_provider::emulator::Emulator;

/// Descriptors of all providers that were built in.
#[must_use]
pub fn providers() -> &'static [&'static Descriptor] {
    &[]
}

/// A new emulator of a provider, by the descriptor's id.
#[must_use]
pub fn emulator(provider: &str) -> Option<Box<dyn Emulator>> {
    let _ = provider;
    None
}
