//! The contract between consentd and an e-mail service provider.
//!
//! An adapter is a **translator**: it turns [`Change`]s into the provider's requests and the provider's
//! words into [`Outcome`]s, [`Sighting`]s and [`ProviderEvent`]s. It owns no client, no clock, no sleep and
//! no logger; everything leaves through a [`Gateway`] that it is handed, so an emulator in memory, an
//! emulator behind HTTP and the real provider are all reached by the same code.
//!
//! The rules an adapter must keep are numbered in `SPEC.md`; the `conformance` feature holds one test for each.

mod address;
mod capability;
mod change;
mod elements;
mod error;
mod event;
mod gateway;
mod hook;
mod mail;
mod provider;
mod remote;
mod settings;
mod time;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "emulator")]
pub mod emulator;

pub use address::{AddressError, EmailAddress};
pub use capability::{Capability, CredentialSpec, Descriptor, OptionSpec, RateHeaders};
pub use change::{Change, ConsentProof, FieldValue, Fields, Lift, Outcome, Presence, Push, Refusal, RemoteJob, Scope};
pub use elements::elements;
pub use error::{Advice, Effect, ProviderError, Sent, plain};
pub use event::{Affected, EventKind, EventTime, ProviderEvent, Trust, dated};
pub use gateway::{Body, Gateway, Method, Quota, Repeat, Request, Response, path_segment};
pub use hook::{Delivery, HookMode, HookSpec, HookState, Intake, Verified, WebhookError, credential_matches};
pub use mail::{OutgoingMail, Receipt};
pub use provider::Provider;
pub use remote::{
    AccountFacts, AudienceRef, Cursor, FieldKind, JobState, Look, Page, RemoteField, RemoteList, Sighting,
};
pub use settings::{AccountSettings, SettingsError};
pub use time::{days, instant};

/// An instant: microseconds since 1970-01-01 UTC.
pub type Timestamp = i64;
