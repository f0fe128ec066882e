//! What a provider holds, as it tells us.

use crate::EmailAddress;
use serde::{Deserialize, Serialize};

/// The account behind the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFacts {
    /// What the provider calls the account; no person's address.
    pub label: String,
}

/// The list that a connection is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudienceRef {
    /// The provider's id of the list.
    pub list: String,
}

/// A list of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteList {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What a provider's field can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text.
    Text,
    /// Yes or no.
    Bool,
    /// A number.
    Number,
    /// Something that consentd does not write.
    Other,
}

/// A contact field that the account has, or shall get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteField {
    /// The provider's spelling.
    pub name: String,
    /// Its kind.
    pub kind: FieldKind,
}

/// Where a walk goes on; opaque outside the adapter, storable, so that a walk survives a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cursor(pub Option<String>);

/// One row of a walk. What this row does not tell is `None`; rows of the same `remote_id` complete each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The provider's id of the contact.
    pub remote_id: String,
    /// Its address, when this row tells and it can be read.
    pub email: Option<EmailAddress>,
    /// Whether it is on the bound list.
    pub on_list: Option<bool>,
    /// Whether it is unsubscribed on the bound list.
    pub unsubscribed: Option<bool>,
    /// Whether it is blocked for all campaigns of the account.
    pub blocked: Option<bool>,
}

/// A page of a walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub sightings: Vec<Sighting>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// What the provider says about one address right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, as providers report them")]
pub struct Look {
    /// The account knows the contact.
    pub exists: bool,
    /// It is on the bound list.
    pub on_list: bool,
    /// It is unsubscribed on the bound list.
    pub unsubscribed: bool,
    /// It is blocked for all campaigns.
    pub blocked: bool,
}

impl Look {
    /// Whether a campaign to the bound list would reach the contact.
    #[must_use]
    pub const fn mailable(&self) -> bool {
        self.exists && self.on_list && !self.unsubscribed && !self.blocked
    }
}

/// How far a bulk job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Still at work, or waiting.
    Running,
    /// The provider says it is done. That is a claim: read back before believing it.
    Done,
    /// The provider gave up; some rows may have been applied.
    Failed(String),
}
