//! What a row of an imported file says, and what becomes of it. Pure: nothing is looked up and nothing is stored here.

mod columns;
mod contact;
#[cfg(test)]
mod tests;

pub use columns::{Columns, Field, MappingError};
pub use contact::{CellFault, Contact, addresses};

use crate::domain::consent::State;
use crate::domain::fold::{Flags, Standing};
use consentd_provider::EmailAddress;
use serde::{Deserialize, Serialize};

/// Whether an address reaches a role rather than a person.
#[must_use]
pub fn is_role(address: &EmailAddress) -> bool {
    const ROLES: [&str; 34] = [
        "abuse",
        "accounting",
        "accueil",
        "achats",
        "admin",
        "administration",
        "billing",
        "buchhaltung",
        "buero",
        "bestellung",
        "commande",
        "commercial",
        "compta",
        "comptabilite",
        "contact",
        "contacto",
        "devis",
        "direction",
        "einkauf",
        "facturation",
        "hello",
        "info",
        "kontakt",
        "mail",
        "office",
        "orders",
        "post",
        "postmaster",
        "rechnung",
        "sales",
        "secretariat",
        "service",
        "support",
        "verkauf",
    ];
    ROLES.contains(&address.local().to_ascii_lowercase().as_str())
}

/// What becomes of a row; each row has exactly one, so that the numbers add up to the rows read. The words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not known yet; becomes a never-asked address.
    New,
    /// As [`Verdict::New`], and reaches a role (info@, office@) rather than a person.
    Role,
    /// Known, never asked.
    NotAsked,
    /// Known, asked, no answer yet.
    Waiting,
    /// Known, consent stands.
    Accepted,
    /// Known, or on the suppression list: said no. Stays so.
    Refused,
    /// Known, and mails do not arrive there.
    Undeliverable,
    /// In no record of the CRM: never asked, never synced.
    External,
    /// Known only in records that are in the CRM's bin, or the row says that its record is.
    InBin,
    /// The same address or record stands in an earlier row of the file.
    Duplicate,
    /// A record without an address.
    NoAddress,
    /// Cannot be used.
    Invalid,
}

impl Verdict {
    /// All verdicts, in the order people are shown them.
    pub const ALL: [Self; 12] = [
        Self::New,
        Self::Role,
        Self::NotAsked,
        Self::Waiting,
        Self::Accepted,
        Self::Refused,
        Self::Undeliverable,
        Self::External,
        Self::InBin,
        Self::Duplicate,
        Self::NoAddress,
        Self::Invalid,
    ];

    /// The stable word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Role => "role",
            Self::NotAsked => "not_asked",
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Undeliverable => "undeliverable",
            Self::External => "external",
            Self::InBin => "in_bin",
            Self::Duplicate => "duplicate",
            Self::NoAddress => "no_address",
            Self::Invalid => "invalid",
        }
    }

    /// What a person is told about a rejected row.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::New | Self::Role | Self::NotAsked => "never asked",
            Self::Waiting => "asked, no answer yet",
            Self::Accepted => "consent stands",
            Self::Refused => "the person said no; only the person can change that",
            Self::Undeliverable => "mails to this address bounce",
            Self::External => "not in the CRM's records: never asked and never synced",
            Self::InBin => "its record is in the CRM's bin",
            Self::Duplicate => "stands in an earlier row of this file",
            Self::NoAddress => "no e-mail address",
            Self::Invalid => "cannot be used",
        }
    }
}

/// Where a known address stands, in the words of a triage.
#[must_use]
pub fn verdict_of(standing: &Standing, in_crm: bool) -> Verdict {
    if standing.flags.has(Flags::ERASED) || standing.flags.has(Flags::COMPLAINT) {
        return Verdict::Refused;
    }
    match standing.state {
        State::Refused | State::Withdrawn => Verdict::Refused,
        _ if standing.flags.has(Flags::HARD_BOUNCE) => Verdict::Undeliverable,
        _ if !in_crm => Verdict::InBin,
        State::NotAsked | State::Lapsed => Verdict::NotAsked,
        State::Pending => Verdict::Waiting,
        State::Accepted => Verdict::Accepted,
    }
}
