//! What can be said about a consent, and by whom.
//!
//! Acts are grouped by actor, so that a caller who holds an [`OperatorAct`] or a [`ProviderAct`] cannot express an
//! acceptance: only [`RecipientAct::Accept`] and [`OperatorAct::ImportProof`] carry one, and both need a value that
//! only a checked token or a checked file line yields.

use crate::domain::token::Acceptance;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of one address for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody asked and nobody said anything.
    NotAsked,
    /// Asked, no answer yet.
    Pending,
    /// The recipient said yes.
    Accepted,
    /// The recipient said no without ever having said yes.
    Refused,
    /// Taken back after a yes, or by the operator, or by the provider's word.
    Withdrawn,
    /// A yes that has grown too old.
    Lapsed,
}

/// The four names that people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nicht angefragt.
    NotAsked,
    /// Warten auf Antwort.
    Waiting,
    /// Akzeptiert.
    Accepted,
    /// Abgelehnt.
    Refused,
}

/// A language of people: German, French, English, Spanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "ISO 639-1 codes")]
pub enum Language {
    De,
    Fr,
    En,
    Es,
}

impl Language {
    /// Reads the first two letters of a language tag.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        match tag.get(..2)?.to_ascii_lowercase().as_str() {
            "de" => Some(Self::De),
            "fr" => Some(Self::Fr),
            "en" => Some(Self::En),
            "es" => Some(Self::Es),
            _ => None,
        }
    }

    /// The ISO 639-1 code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::Fr => "fr",
            Self::En => "en",
            Self::Es => "es",
        }
    }
}

impl Status {
    /// The name that people of that language know it by.
    #[must_use]
    pub const fn name(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::NotAsked, Language::De) => "Nicht angefragt",
            (Self::NotAsked, Language::Fr) => "Non sollicité",
            (Self::NotAsked, Language::En) => "Not asked",
            (Self::NotAsked, Language::Es) => "No solicitado",
            (Self::Waiting, Language::De) => "Warten auf Antwort",
            (Self::Waiting, Language::Fr) => "En attente de réponse",
            (Self::Waiting, Language::En) => "Waiting for an answer",
            (Self::Waiting, Language::Es) => "A la espera de respuesta",
            (Self::Accepted, Language::De) => "Akzeptiert",
            (Self::Accepted, Language::Fr) => "Accepté",
            (Self::Accepted, Language::En) => "Accepted",
            (Self::Accepted, Language::Es) => "Aceptado",
            (Self::Refused, Language::De) => "Abgelehnt",
            (Self::Refused, Language::Fr) => "Refusé",
            (Self::Refused, Language::En) => "Refused",
            (Self::Refused, Language::Es) => "Rechazado",
        }
    }

    /// The stable word for programs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
        }
    }
}

impl State {
    /// The name that people see for it.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::NotAsked | Self::Lapsed => Status::NotAsked,
            Self::Pending => Status::Waiting,
            Self::Accepted => Status::Accepted,
            Self::Refused | Self::Withdrawn => Status::Refused,
        }
    }
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The person addressed.
    Recipient,
    /// The tenant's staff, their imports and their programs.
    Operator,
    /// The e-mail service provider.
    Provider,
    /// consentd itself.
    System,
}

/// What a line of the history says. Stored by its word; words are never renamed or reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The address became known.
    Imported,
    /// An acceptance from before, with evidence, under a policy.
    ProofImported,
    /// A refusal from before.
    OptOutImported,
    /// The person was asked.
    RequestSent,
    /// A link was opened; evidence only.
    LinkOpened,
    /// Yes.
    Accepted,
    /// No.
    Refused,
    /// No more.
    Withdrawn,
    /// The provider reports an unsubscription.
    ProviderUnsubscribed,
    /// The provider reports an unsubscription older than a newer yes; recorded, no effect.
    ProviderUnsubscribeSuperseded,
    /// The provider reports a spam complaint.
    Complained,
    /// The provider reports that the mailbox is gone.
    HardBounced,
    /// A passing delivery failure.
    SoftBounced,
    /// Found subscribed at the provider without standing consent; recorded, no effect on the state.
    ProviderResubscribed,
    /// Found deleted at the provider.
    ProviderDeleted,
    /// The provider was read back and no longer mails the address.
    InEffect,
    /// The request can no longer be accepted.
    RequestExpired,
    /// The acceptance is too old.
    Lapsed,
    /// A record holds an address that is on the suppression list.
    SuppressionMatched,
    /// The mailbox works again, says the operator.
    BounceCleared,
    /// The person moved to another address.
    AddressChanged,
    /// The person's data was destroyed.
    Erased,
    /// A wrong entry of the operator was taken back by two operators.
    Annulled,
}

/// Every kind with its stored word.
const WORDS: [(Kind, &str); 23] = [
    (Kind::Imported, "imported"),
    (Kind::ProofImported, "proof_imported"),
    (Kind::OptOutImported, "opt_out_imported"),
    (Kind::RequestSent, "request_sent"),
    (Kind::LinkOpened, "link_opened"),
    (Kind::Accepted, "accepted"),
    (Kind::Refused, "refused"),
    (Kind::Withdrawn, "withdrawn"),
    (Kind::ProviderUnsubscribed, "provider_unsubscribed"),
    (Kind::ProviderUnsubscribeSuperseded, "provider_unsubscribe_superseded"),
    (Kind::Complained, "complained"),
    (Kind::HardBounced, "hard_bounced"),
    (Kind::SoftBounced, "soft_bounced"),
    (Kind::ProviderResubscribed, "provider_resubscribed"),
    (Kind::ProviderDeleted, "provider_deleted"),
    (Kind::InEffect, "in_effect"),
    (Kind::RequestExpired, "request_expired"),
    (Kind::Lapsed, "lapsed"),
    (Kind::SuppressionMatched, "suppression_matched"),
    (Kind::BounceCleared, "bounce_cleared"),
    (Kind::AddressChanged, "address_changed"),
    (Kind::Erased, "erased"),
    (Kind::Annulled, "annulled"),
];

impl Kind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        WORDS.iter().map(|(kind, _)| *kind)
    }

    /// The stored word.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// The kind stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        WORDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

macro_rules! words {
    ($($type:ty { $($variant:ident => $word:literal),* $(,)? })*) => {$(
        impl $type {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stored word.
            #[must_use]
            pub const fn as_word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value stored under that word.
            #[must_use]
            pub fn parse_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

words! {
    State {
        NotAsked => "not_asked", Pending => "pending", Accepted => "accepted",
        Refused => "refused", Withdrawn => "withdrawn", Lapsed => "lapsed",
    }
    Actor { Recipient => "recipient", Operator => "operator", Provider => "provider", System => "system" }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What makes it lawful to ask a person for consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "basis", rename_all = "snake_case")]
pub enum AskBasis {
    /// The person filled in a form.
    Form {
        /// Where and when, in the operator's words.
        source: String,
    },
    /// An existing customer relation.
    ExistingCustomer,
    /// Anything else that somebody vouches for.
    Vouched {
        /// Who vouches and why.
        note: String,
    },
}

/// An acceptance from before consentd: one person's evidence, vouched for by two operators.
///
/// Made by [`LegacyProof::check`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegacyProof {
    accepted_at: String,
    text_shown: String,
    evidence: String,
    approvers: [String; 2],
}

/// Why evidence from before cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LegacyProofError {
    /// The tenant's policy does not allow it.
    #[error("importing acceptances is switched off for this tenant")]
    PolicyOff,
    /// The line does not say when, to what text, or shown by what.
    #[error("the line lacks the time of acceptance, the text shown or the evidence")]
    Incomplete,
    /// Two different people must approve.
    #[error("importing acceptances needs two different approvers")]
    SecondApprover,
}

impl LegacyProof {
    /// Checks one line of evidence.
    ///
    /// # Errors
    /// [`LegacyProofError`] says which condition is not met.
    pub fn check(
        policy_on: bool,
        accepted_at: &str,
        text_shown: &str,
        evidence: &str,
        approvers: [&str; 2],
    ) -> Result<Self, LegacyProofError> {
        if !policy_on {
            return Err(LegacyProofError::PolicyOff);
        }
        if [accepted_at, text_shown, evidence].iter().any(|text| text.trim().is_empty()) {
            return Err(LegacyProofError::Incomplete);
        }
        let [first, second] = approvers.map(str::trim);
        if first.is_empty() || second.is_empty() || first.eq_ignore_ascii_case(second) {
            return Err(LegacyProofError::SecondApprover);
        }
        Ok(Self {
            accepted_at: accepted_at.trim().to_owned(),
            text_shown: text_shown.trim().to_owned(),
            evidence: evidence.trim().to_owned(),
            approvers: [first.to_owned(), second.to_owned()],
        })
    }
}

/// What the person addressed can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientAct {
    /// Say yes.
    Accept(Acceptance),
    /// Say no.
    Refuse,
    /// Say no more.
    Withdraw,
    /// Move to another address, which must accept for itself.
    ChangeAddress,
    /// Have their data destroyed.
    Erase,
}

/// What the tenant's staff, imports and programs can do. No variant lifts a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperatorAct {
    /// Make an address known.
    Import,
    /// Record a refusal from before.
    ImportOptOut,
    /// Record an acceptance from before.
    ImportProof(LegacyProof),
    /// Ask the person.
    Request(AskBasis),
    /// Withdraw on the person's behalf.
    Withdraw,
    /// Say that a bounced mailbox works again.
    ClearBounce,
    /// Destroy the person's data on request.
    Erase,
    /// Take back the wrong entry with this number, with a second operator.
    Annul(i64),
}

/// What a provider can report. No variant raises a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderAct {
    /// The person unsubscribed there.
    Unsubscribe,
    /// The person unsubscribed there before a newer yes.
    UnsubscribeSuperseded,
    /// The person complained.
    Complain,
    /// The mailbox is gone.
    HardBounce,
    /// A passing failure.
    SoftBounce,
    /// Somebody subscribed the person there.
    Resubscribe,
    /// Somebody deleted the person there.
    Delete,
}

/// What consentd itself can record. No variant raises a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemAct {
    /// A reminder went out.
    Remind,
    /// The request can no longer be accepted.
    ExpireRequest,
    /// The acceptance is too old.
    Lapse,
    /// A new record holds a suppressed address.
    MatchSuppression,
    /// The provider was read back after a withdrawal.
    ConfirmInEffect,
}

/// Somebody's act.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the actors, see Actor")]
pub enum Act {
    Recipient(RecipientAct),
    Operator(OperatorAct),
    Provider(ProviderAct),
    System(SystemAct),
}

impl Act {
    /// Who.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        match self {
            Self::Recipient(_) => Actor::Recipient,
            Self::Operator(_) => Actor::Operator,
            Self::Provider(_) => Actor::Provider,
            Self::System(_) => Actor::System,
        }
    }

    /// What the history will say.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Recipient(act) => match act {
                RecipientAct::Accept(_) => Kind::Accepted,
                RecipientAct::Refuse => Kind::Refused,
                RecipientAct::Withdraw => Kind::Withdrawn,
                RecipientAct::ChangeAddress => Kind::AddressChanged,
                RecipientAct::Erase => Kind::Erased,
            },
            Self::Operator(act) => match act {
                OperatorAct::Import => Kind::Imported,
                OperatorAct::ImportOptOut => Kind::OptOutImported,
                OperatorAct::ImportProof(_) => Kind::ProofImported,
                OperatorAct::Request(_) => Kind::RequestSent,
                OperatorAct::Withdraw => Kind::Withdrawn,
                OperatorAct::ClearBounce => Kind::BounceCleared,
                OperatorAct::Erase => Kind::Erased,
                OperatorAct::Annul(_) => Kind::Annulled,
            },
            Self::Provider(act) => match act {
                ProviderAct::Unsubscribe => Kind::ProviderUnsubscribed,
                ProviderAct::UnsubscribeSuperseded => Kind::ProviderUnsubscribeSuperseded,
                ProviderAct::Complain => Kind::Complained,
                ProviderAct::HardBounce => Kind::HardBounced,
                ProviderAct::SoftBounce => Kind::SoftBounced,
                ProviderAct::Resubscribe => Kind::ProviderResubscribed,
                ProviderAct::Delete => Kind::ProviderDeleted,
            },
            Self::System(act) => match act {
                SystemAct::Remind => Kind::RequestSent,
                SystemAct::ExpireRequest => Kind::RequestExpired,
                SystemAct::Lapse => Kind::Lapsed,
                SystemAct::MatchSuppression => Kind::SuppressionMatched,
                SystemAct::ConfirmInEffect => Kind::InEffect,
            },
        }
    }
}
