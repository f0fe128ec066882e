//! Links that people get by mail: what they are bound to and what they may do.

use crate::clock::Timestamp;
use crate::domain::ids::{AddressId, PurposeId, TenantId};
use crate::domain::scanner::Suspicion;
use serde::Serialize;

/// What a link may do. One class never works as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Accept or refuse. After its expiry, refuse only.
    Consent,
    /// Withdraw. Never expires, only ever lowers.
    Unsubscribe,
}

impl Class {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Unsubscribe => "unsubscribe",
        }
    }

    /// The class stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "consent" => Some(Self::Consent),
            "unsubscribe" => Some(Self::Unsubscribe),
            _ => None,
        }
    }
}

/// What a link is bound to. The link's secret itself is stored as a hash only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What it may do.
    pub class: Class,
    /// The tenant.
    pub tenant: TenantId,
    /// The person's address.
    pub address: AddressId,
    /// The purpose asked for.
    pub purpose: PurposeId,
    /// The version of the text that the person was shown.
    pub text_version: i64,
    /// When it stops accepting.
    pub expires_at: Option<Timestamp>,
}

/// A recipient's yes, given by a live link from the button of its page. Made by [`Claims::accept`] only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acceptance {
    text_version: i64,
    suspicions: Vec<Suspicion>,
}

/// Why a link cannot be used to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// A link of another class.
    #[error("this link can only be used to unsubscribe")]
    WrongClass,
    /// Too old; it can still refuse.
    #[error("this link has expired and can only be used to refuse")]
    Expired,
    /// The text was changed since.
    #[error("the text has changed since this link was sent")]
    TextChanged,
    /// It may have been a scanner, and the box was not ticked.
    #[error("please tick the box to confirm")]
    ConfirmationNeeded,
}

impl Claims {
    /// Turns a posted yes into an acceptance.
    ///
    /// # Errors
    /// [`AcceptError`] when the link may not accept, or when the visit looks like a scanner's and `confirmed` (the box
    /// that is not preset) is missing.
    pub fn accept(
        &self,
        now: Timestamp,
        current_text_version: i64,
        suspicions: Vec<Suspicion>,
        confirmed: bool,
    ) -> Result<Acceptance, AcceptError> {
        if self.class != Class::Consent {
            return Err(AcceptError::WrongClass);
        }
        if self.expires_at.is_some_and(|end| now >= end) {
            return Err(AcceptError::Expired);
        }
        if self.text_version != current_text_version {
            return Err(AcceptError::TextChanged);
        }
        if !suspicions.is_empty() && !confirmed {
            return Err(AcceptError::ConfirmationNeeded);
        }
        Ok(Acceptance { text_version: self.text_version, suspicions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn claims(class: Class, expires_at: Option<Timestamp>) -> Claims {
        Claims {
            class,
            tenant: TenantId(Uuid::from_u128(1)),
            address: AddressId(Uuid::from_u128(2)),
            purpose: PurposeId(Uuid::from_u128(3)),
            text_version: 7,
            expires_at,
        }
    }

    #[test]
    fn classes_keep_their_words_and_their_rights() {
        for class in [Class::Consent, Class::Unsubscribe] {
            assert_eq!(Class::parse(class.word()), Some(class));
        }
        assert_eq!(Class::parse("pref"), None);
        let unsubscribe = claims(Class::Unsubscribe, None);
        for confirmed in [false, true] {
            for text_version in [6, 7, 8] {
                let tried = unsubscribe.accept(0, text_version, Vec::new(), confirmed);
                assert_eq!(tried, Err(AcceptError::WrongClass));
            }
        }
    }

    #[test]
    fn a_link_accepts_until_it_expires() {
        let link = claims(Class::Consent, Some(100));
        assert!(link.accept(99, 7, Vec::new(), false).is_ok());
        assert_eq!(link.accept(100, 7, Vec::new(), true), Err(AcceptError::Expired));
        assert!(claims(Class::Consent, None).accept(Timestamp::MAX, 7, Vec::new(), false).is_ok());
    }

    #[test]
    fn a_link_accepts_the_text_that_it_was_sent_with() {
        let link = claims(Class::Consent, None);
        assert_eq!(link.accept(0, 8, Vec::new(), true), Err(AcceptError::TextChanged));
        assert_eq!(link.accept(0, 6, Vec::new(), true), Err(AcceptError::TextChanged));
        assert_eq!(link.accept(0, 7, Vec::new(), false).map(|yes| yes.text_version), Ok(7));
    }

    #[test]
    fn under_suspicion_the_box_must_be_ticked_and_the_reasons_are_kept() {
        let link = claims(Class::Consent, None);
        let reasons = vec![Suspicion::TooFast, Suspicion::Agent];
        assert_eq!(link.accept(0, 7, reasons.clone(), false), Err(AcceptError::ConfirmationNeeded));
        assert_eq!(link.accept(0, 7, reasons.clone(), true).map(|yes| yes.suspicions), Ok(reasons));
    }
}
