//! What can go wrong on the way to a provider, and what to do about it.

use crate::Capability;
use std::time::Duration;

/// Whether the bytes of a failed request may have reached the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Certainly not: the name did not resolve, the connection was refused.
    No,
    /// Possibly: a time-out, a reset.
    Maybe,
}

/// Whether a failed request may have changed something, now or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was changed and nothing will be.
    None,
    /// Nobody knows; the ledger must say *unknown* and the Settle rule applies.
    Unknown,
}

/// What the caller should do next; one place decides, see [`ProviderError::advice`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Try again, not before the time given if one is given.
    Retry {
        /// The provider's own wish.
        after: Option<Duration>,
    },
    /// Stop the connection until a person has mended it.
    Suspend,
    /// Record the failure and go on with the next thing.
    GiveUp,
}

/// A call to a provider that did not give a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The provider does not accept the credentials (401), or not for this (403).
    #[error("the provider refuses the credentials (status {status})")]
    Credentials {
        /// The HTTP status.
        status: u16,
    },
    /// Too many requests; nothing was applied.
    #[error("the provider asks to slow down")]
    Throttled {
        /// How long to wait, when the provider said so.
        retry_after: Option<Duration>,
    },
    /// No answer.
    #[error("the provider cannot be reached")]
    Unreachable {
        /// Whether the request may have arrived.
        sent: Sent,
        /// What the network said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer of the 5xx kind: it may have been applied all the same.
    #[error("the provider failed (status {status})")]
    Server {
        /// The HTTP status.
        status: u16,
    },
    /// The provider understood the whole call and refuses it.
    #[error("the provider refuses the request: {reason} ({code})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The provider's code, empty when it gave none.
        code: String,
        /// The provider's words, passed through [`plain`].
        reason: String,
    },
    /// A successful status with a body that cannot be what the contract sheet describes.
    #[error("the provider's answer cannot be read: {0}")]
    Protocol(&'static str),
    /// The provider has no way to do this.
    #[error("the provider does not support {0:?}")]
    Unsupported(Capability),
}

impl ProviderError {
    /// What to do next.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        match self {
            Self::Credentials { .. } => Advice::Suspend,
            Self::Throttled { retry_after } => Advice::Retry { after: *retry_after },
            Self::Unreachable { .. } | Self::Server { .. } | Self::Protocol(_) => Advice::Retry { after: None },
            Self::Rejected { .. } | Self::Unsupported(_) => Advice::GiveUp,
        }
    }

    /// Whether the failed call may have changed something at the provider.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self {
            Self::Unreachable { sent: Sent::Maybe, .. } | Self::Server { .. } | Self::Protocol(_) => Effect::Unknown,
            _ => Effect::None,
        }
    }

    /// A short stable word for logs, metrics and stored errors.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Credentials { .. } => "credentials",
            Self::Throttled { .. } => "throttled",
            Self::Unreachable { .. } => "unreachable",
            Self::Server { .. } => "server",
            Self::Rejected { .. } => "rejected",
            Self::Protocol(_) => "protocol",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

/// Makes a provider's words fit to be stored and shown: one line, 200 characters, no address in it.
#[must_use]
pub fn plain(words: &str) -> String {
    let mut out = String::new();
    for word in words.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(if word.contains('@') || word.to_ascii_lowercase().contains("%40") { "<address>" } else { word });
        if out.chars().count() >= 200 {
            break;
        }
    }
    out.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_message_holds_no_address() {
        assert_eq!(plain("value \"ada@example.org\" for\nEmail exists"), "value <address> for Email exists");
        assert!(plain(&"x ".repeat(1000)).chars().count() <= 200);
    }

    #[test]
    fn only_an_answer_that_says_so_means_nothing_happened() {
        assert_eq!(ProviderError::Server { status: 500 }.effect(), Effect::Unknown);
        assert_eq!(ProviderError::Throttled { retry_after: None }.effect(), Effect::None);
        let refused = ProviderError::Unreachable { sent: Sent::No, source: "refused".into() };
        assert_eq!(refused.effect(), Effect::None);
    }
}
