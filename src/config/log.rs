use super::{Unusable, need};
use serde::Deserialize;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Human,
    /// For programs, one JSON object a line.
    Json,
}

/// What is logged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look.
    pub format: Format,
    /// A tracing filter.
    pub filter: String,
}

impl Log {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        let usable = self.filter.parse::<tracing_subscriber::EnvFilter>().is_ok();
        need(usable, "log.filter", "write a tracing filter such as `info` or `consentd=debug,info`")
    }
}
