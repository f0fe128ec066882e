//! Errors and exit codes of the command line.

use crate::app::OpenError;
use crate::config::ConfigError;
use crate::service::ServiceError;
use crate::store::{NotSole, StoreError};
use consentd_provider::ProviderError;
use std::error::Error;
use std::process::ExitCode;

/// What a command ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Something that nobody foresaw.
    Unexpected = 1,
    /// Wrong words, or a confirmation is missing; nothing was changed.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// Not allowed in the present state.
    NotAllowed = 4,
    /// The provider or the keys do not let us in.
    NotAuthorised = 5,
    /// The provider or the database cannot be reached; try again.
    Unreachable = 6,
    /// Finished, with some errors.
    SomeErrors = 7,
    /// A history does not verify.
    Broken = 8,
    /// Differences to the provider were found.
    Drift = 9,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong, what was not changed, what to do next.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// A stable word for programs.
    pub code: &'static str,
    /// What happened, with its causes.
    pub message: String,
    /// What was not changed, and the next command.
    pub hint: String,
}

impl CliError {
    /// An error in one sentence.
    #[must_use]
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code, message: message.into(), hint: String::new() }
    }

    /// The same error with what was not changed and what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Wrong words on the command line.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }
}

/// The sentence of an error and of everything behind it. A database's own words may name values, so they end it.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, "configuration", with_causes(&error))
            .hint("Nothing was changed. `consentd init` writes a configuration to begin with.")
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::NoKey { .. } | OpenError::BadKey { .. } => Exit::NotAuthorised,
            OpenError::Database(_) => Exit::Unreachable,
            OpenError::Outdated(_) => Exit::NotAllowed,
            OpenError::Gateway => Exit::Unexpected,
        };
        Self::new(exit, "cannot_begin", with_causes(&error)).hint("Nothing was changed. Next: consentd doctor")
    }
}

impl From<NotSole> for CliError {
    fn from(error: NotSole) -> Self {
        Self::new(Exit::NotAllowed, "not_sole", with_causes(&error))
            .hint("Nothing was changed. The command line may be used beside the daemon. Next: consentd doctor")
    }
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        let (exit, code) = match &error {
            ServiceError::Store(store) => of_store(store),
            ServiceError::Provider(ProviderError::Credentials { .. }) => (Exit::NotAuthorised, "credentials"),
            ServiceError::Provider(ProviderError::Rejected { .. } | ProviderError::Unsupported(_)) => {
                (Exit::NotAllowed, "provider_refuses")
            }
            ServiceError::Provider(_) => (Exit::Unreachable, "provider"),
            ServiceError::Settings(_) | ServiceError::Invalid(_) => (Exit::Usage, "invalid"),
            ServiceError::Denied(_) => (Exit::NotAllowed, "denied"),
            ServiceError::NotFound(_) => (Exit::NotFound, "not_found"),
            ServiceError::Conflict(_) => (Exit::NotAllowed, "conflict"),
            ServiceError::TakenOver => (Exit::NotAllowed, "taken_over"),
        };
        Self::new(exit, code, with_causes(&error)).hint(next(exit, code))
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let (exit, code) = of_store(&error);
        Self::new(exit, code, with_causes(&error)).hint(next(exit, code))
    }
}

/// What was not changed, and where to look next.
const fn next(exit: Exit, code: &str) -> &'static str {
    match (exit, code.as_bytes()) {
        (_, b"credentials") => "Nothing was changed. Next: consentd connection credentials",
        (_, b"provider") => "Nothing was changed. Try again later. Next: consentd doctor",
        (_, b"provider_refuses") => "Nothing was changed. Next: consentd connection test",
        (Exit::Unreachable | Exit::NotAuthorised, _) => "Nothing was changed. Next: consentd doctor",
        _ => "Nothing was changed.",
    }
}

const fn of_store(error: &StoreError) -> (Exit, &'static str) {
    match error {
        StoreError::Database(_) | StoreError::Migrate(_) => (Exit::Unreachable, "database"),
        StoreError::Taken(_) => (Exit::NotAllowed, "taken"),
        StoreError::Outdated => (Exit::NotAllowed, "outdated"),
        StoreError::Vault(_) => (Exit::NotAuthorised, "key"),
        StoreError::Url | StoreError::Corrupt { .. } => (Exit::Unexpected, "database"),
    }
}
