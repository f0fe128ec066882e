//! Who is meant by a filter, and how the people it finds are counted.
//!
//! One person is one mailbox. Whether somebody is in or out is decided by [`eligibility`], which plans use too, so a
//! summary and a plan cannot tell different numbers.

use crate::clock::Timestamp;
use crate::domain::consent::{Actor, Kind, Status};
use crate::domain::contact::RecordKind;
use crate::domain::fold::{Flags, Standing};
use crate::domain::ids::{ConnectionId, MailboxId, RecordId};
use crate::domain::plan::{Reason, eligibility};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which people are meant. Every part that is given must fit; an empty part fits everybody. Parts about records must all
/// fit the same record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Kinds of record.
    pub kinds: Vec<RecordKind>,
    /// Tags of which one is enough. Case and accents do not matter.
    pub any_tags: Vec<String>,
    /// Tags that must all be there.
    pub all_tags: Vec<String>,
    /// Beginnings of postcodes of which one is enough.
    pub postcodes: Vec<String>,
    /// Towns. Case and accents do not matter.
    pub towns: Vec<String>,
    /// Countries, as the records name them. Case and accents do not matter.
    pub countries: Vec<String>,
    /// Languages by their ISO codes.
    pub languages: Vec<String>,
    /// Prospects only, or nobody who is one.
    pub prospect: Option<bool>,
    /// Businesses only, or nobody who is one.
    pub professional: Option<bool>,
    /// Part of a name, company or address. Case and accents do not matter.
    pub text: String,
    /// Statuses by the four names.
    pub statuses: Vec<Status>,
    /// Reasons to be in or out; only those of [`eligibility`] ever fit.
    pub reasons: Vec<Reason>,
    /// Flags of which one is enough.
    pub flags: Vec<Flag>,
    /// What one connection's provider holds.
    pub membership: Option<Membership>,
}

impl Filter {
    /// Whether it asks about records, so that people in no record never fit.
    #[must_use]
    pub fn is_about_records(&self) -> bool {
        !self.kinds.is_empty()
            || !self.any_tags.is_empty()
            || !self.all_tags.is_empty()
            || !self.postcodes.is_empty()
            || !self.towns.is_empty()
            || !self.countries.is_empty()
            || !self.languages.is_empty()
            || self.prospect.is_some()
            || self.professional.is_some()
    }

    /// Whether somebody with this standing fits the parts that are not about records.
    #[must_use]
    pub fn fits(&self, standing: &Standing, reason: Reason) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&standing.state.status()))
            && (self.reasons.is_empty() || self.reasons.contains(&reason))
            && (self.flags.is_empty() || self.flags.iter().any(|flag| standing.flags.has(flag.bits())))
    }
}

/// A flag of a mailbox, as a filter names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// The mailbox is gone.
    HardBounce,
    /// The person complained.
    Complaint,
    /// The person's data was destroyed.
    Erased,
}

impl Flag {
    /// All flags.
    pub const ALL: [Self; 3] = [Self::HardBounce, Self::Complaint, Self::Erased];

    /// The flag as standings keep it.
    #[must_use]
    pub const fn bits(self) -> Flags {
        match self {
            Self::HardBounce => Flags::HARD_BOUNCE,
            Self::Complaint => Flags::COMPLAINT,
            Self::Erased => Flags::ERASED,
        }
    }
}

/// What a connection's provider is believed to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "on", content = "connection")]
pub enum Membership {
    /// On the connection's list and mailable.
    List(ConnectionId),
    /// Not, or not yet, on the connection's list.
    NotYetSynced(ConnectionId),
}

/// How many people a filter finds, and why each is in or out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// All people the filter finds.
    pub people: u64,
    /// Those who can be mailed now.
    pub available: u64,
    /// Each person under exactly one reason; adds up to `people`.
    pub reasons: BTreeMap<Reason, u64>,
    /// Each person under exactly one of the four names; adds up to `people`.
    pub statuses: BTreeMap<Status, u64>,
}

impl Summary {
    /// Counts people who all stand like this, as far as they fit the filter.
    pub fn add(&mut self, filter: &Filter, standing: &Standing, in_crm: bool, people: u64, now: Timestamp) {
        let reason = eligibility(standing, in_crm, now);
        if people == 0 || !filter.fits(standing, reason) {
            return;
        }
        self.people += people;
        if reason == Reason::Consented {
            self.available += people;
        }
        *self.reasons.entry(reason).or_default() += people;
        *self.statuses.entry(standing.state.status()).or_default() += people;
    }
}

/// One person of an audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The spelling that speaks for it.
    pub address: String,
    /// It reaches a role (info@, office@) rather than a person.
    pub role: bool,
    /// The record that speaks for it; the same one whose fields a sync writes.
    pub record: Option<RecordRef>,
    /// One of the four names.
    pub status: Status,
    /// Why the person is in or out.
    pub reason: Reason,
    /// When the state last changed; 0 when nothing was ever said.
    pub since: Timestamp,
    /// The line of the history behind it.
    pub event: Option<Behind>,
}

/// The record of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the CRM's own words")]
pub struct RecordRef {
    pub id: RecordId,
    pub kind: RecordKind,
    pub crm_id: String,
    pub last_name: String,
    pub first_name: String,
    pub company: String,
    pub language: String,
    pub postcode: String,
    pub town: String,
    pub country: String,
    pub bin: bool,
}

/// The line of the history that explains where somebody stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Behind {
    /// Its position.
    pub seq: i64,
    /// What was said.
    pub kind: Kind,
    /// By whom.
    pub actor: Actor,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Behind {
    /// Whether a line of that kind explains the reason.
    #[must_use]
    pub const fn explains(kind: Kind, reason: Reason) -> bool {
        match reason {
            Reason::Consented => matches!(kind, Kind::Accepted | Kind::ProofImported),
            Reason::Waiting => matches!(kind, Kind::RequestSent),
            Reason::Refused | Reason::Withdrawn => matches!(
                kind,
                Kind::Refused
                    | Kind::Withdrawn
                    | Kind::AddressChanged
                    | Kind::ProviderUnsubscribed
                    | Kind::OptOutImported
                    | Kind::SuppressionMatched
            ),
            Reason::Lapsed => matches!(kind, Kind::Lapsed | Kind::Accepted | Kind::ProofImported),
            Reason::HardBounce => matches!(kind, Kind::HardBounced),
            Reason::Complaint => matches!(kind, Kind::Complained),
            Reason::Erased => matches!(kind, Kind::Erased),
            _ => matches!(kind, Kind::Imported),
        }
    }
}

/// A page of members, in the order of their mailboxes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemberPage {
    /// The members; may be fewer than asked for, even none, while there is more.
    pub members: Vec<Member>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<MailboxId>,
}
