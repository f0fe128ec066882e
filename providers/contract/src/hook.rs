//! Webhooks: how they are registered, recognised and answered.

use secrecy::{ExposeSecret, SecretString};

/// Where the provider shall deliver, and what it shall prove itself with.
#[derive(Debug, Clone)]
pub struct HookSpec {
    /// Public URL of this connection's intake, without credentials and without a query.
    pub url: String,
    /// The secret that the provider must show (bearer token or basic password).
    pub secret: SecretString,
}

/// Whether registrations are only looked at or also put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookMode {
    /// Read only.
    Inspect,
    /// Create what is missing, revive what is suspended, update what is ours and wrong.
    Repair,
}

/// What the provider has registered, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookState {
    /// Every event we need reaches our URL and is not suspended.
    pub healthy: bool,
    /// Events that would not reach us, in the provider's words.
    pub missing: Vec<String>,
    /// Registrations of ours that the provider has switched off.
    pub suspended: Vec<String>,
    /// Places we need that another system's URL occupies; never overwritten.
    pub foreign: Vec<String>,
    /// Whether this call changed something.
    pub changed: bool,
}

/// A request that claims to come from the provider.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The `Authorization` header as it came.
    pub authorization: Option<&'a str>,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// A delivery whose credentials were right. Made by [`Delivery::trusted`] only.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Says that the credentials were compared and are right.
    #[must_use]
    pub const fn trusted(self) -> Verified<'a> {
        Verified { body: self.body }
    }
}

impl<'a> Verified<'a> {
    /// A body that was verified when it was taken in, read again from the inbox.
    #[must_use]
    pub const fn stored(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// The exact bytes.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// Why a delivery was not taken as the provider's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No secret is configured, so nothing can be trusted.
    #[error("no webhook secret is configured")]
    Unconfigured,
    /// No or wrong credentials.
    #[error("the webhook's credentials are wrong")]
    Credentials,
    /// The body is not what the contract sheet describes.
    #[error("the webhook's body cannot be read: {0}")]
    Unreadable(&'static str),
}

/// What became of a delivery, for the choice of the status it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intake {
    /// On disk.
    Stored,
    /// On disk, in quarantine: right credentials, body not understood.
    Quarantined,
    /// Not stored: the disk is full, the queue is full, the daemon is stopping.
    Busy,
    /// Right path, wrong credentials.
    Unauthorised,
    /// Larger than anything that could be kept.
    TooLarge,
}

/// Compares a shown credential with the valid ones in constant time; two are valid during a rotation.
#[must_use]
pub fn credential_matches(shown: &[u8], valid: &[SecretString]) -> bool {
    valid.iter().fold(false, |found, secret| found | same(shown, secret.expose_secret().as_bytes()))
}

/// Time depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    let mut difference = u8::from(a.len() != b.len());
    for (index, byte) in a.iter().enumerate() {
        difference |= byte ^ b.get(index).copied().unwrap_or(0);
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_valid_secrets_is_enough_and_none_is_never() {
        let valid = [SecretString::from("old-secret"), SecretString::from("new-secret")];
        assert!(credential_matches(b"old-secret", &valid));
        assert!(credential_matches(b"new-secret", &valid));
        assert!(!credential_matches(b"new-secre", &valid));
        assert!(!credential_matches(b"", &valid));
        assert!(!credential_matches(b"", &[]));
    }
}
