//! The providers there are. The only file of this crate that knows them by name.

use consentd_provider::Descriptor;
use consentd_provider::emulator::Emulator;

static PROVIDERS: &[&Descriptor] = &[
    #[cfg(feature = "mailjet")]
    &consentd_provider_mailjet::DESCRIPTOR,
];

/// Descriptors of all providers that were built in.
#[must_use]
pub fn providers() -> &'static [&'static Descriptor] {
    PROVIDERS
}

/// A new emulator of a provider, by the descriptor's id.
#[must_use]
pub fn emulator(provider: &str) -> Option<Box<dyn Emulator>> {
    match provider {
        #[cfg(feature = "mailjet")]
        "mailjet" => Some(consentd_provider_mailjet::emulator::open()),
        _ => None,
    }
}
