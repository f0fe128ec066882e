//! The providers there are. The only file of this crate that knows them by name.

use consentd_provider::Descriptor;
use consentd_provider::emulator::Emulator;

static PROVIDERS: &[&Descriptor] = &[
    #[cfg(feature = "brevo")]
    &consentd_provider_brevo::DESCRIPTOR,
    #[cfg(feature = "mailjet")]
    &consentd_provider_mailjet::DESCRIPTOR,
];

/// Descriptors of all providers that were built in.
#[must_use]
pub fn providers() -> &'static [&'static Descriptor] {
    PROVIDERS
}

/// What makes emulators of a provider, by the descriptor's id.
#[must_use]
pub fn emulators(provider: &str) -> Option<fn() -> Box<dyn Emulator>> {
    match provider {
        #[cfg(feature = "brevo")]
        "brevo" => Some(consentd_provider_brevo::emulator::open),
        #[cfg(feature = "mailjet")]
        "mailjet" => Some(consentd_provider_mailjet::emulator::open),
        _ => None,
    }
}

/// A new emulator of a provider, by the descriptor's id.
#[must_use]
pub fn emulator(provider: &str) -> Option<Box<dyn Emulator>> {
    emulators(provider).map(|open| open())
}
