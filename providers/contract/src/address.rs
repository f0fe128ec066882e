//! An e-mail address that has been parsed once and may be trusted afterwards.

use std::fmt;

/// Why a text is not an address that consentd can hold consent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing but white space.
    #[error("the address is empty")]
    Empty,
    /// Longer than 254 bytes in all or 64 before the `@` (RFC 5321 4.5.3.1).
    #[error("the address is too long")]
    TooLong,
    /// No `@`, or nothing before or after it.
    #[error("the address needs a name, an @ and a domain")]
    Shape,
    /// A character that the part before the `@` may not hold; quoted and non-ASCII local parts are refused.
    #[error("the part before the @ holds a character that is not allowed")]
    LocalPart,
    /// Not a host name with at least one dot after conversion to IDNA ASCII.
    #[error("the domain is not a valid host name")]
    Domain,
}

/// An address as a person typed it, with its domain in IDNA ASCII lower case.
///
/// The local part keeps its case: **consent is narrow** and matches [`as_str`](Self::as_str) exactly, while
/// **refusal is broad** and matches [`folded`](Self::folded). No provider's private rules (dots, plus tags) apply.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address, trimming white space around it.
    ///
    /// # Errors
    /// [`AddressError`] names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > 320 {
            return Err(AddressError::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Shape)?;
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::Shape);
        }
        if local.len() > 64 {
            return Err(AddressError::TooLong);
        }
        let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        if !local.split('.').all(|part| !part.is_empty() && part.chars().all(atom)) {
            return Err(AddressError::LocalPart);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain)?;
        let labels = domain.split('.').count();
        let top = domain.rsplit('.').next().unwrap_or_default();
        if labels < 2 || top.len() < 2 || top.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AddressError::Domain);
        }
        if local.len() + 1 + domain.len() > 254 {
            return Err(AddressError::TooLong);
        }
        Ok(Self(format!("{local}@{domain}")))
    }

    /// The exact address: local part as typed, domain in ASCII lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole address in lower case; what refusals, bounces and suppression match on.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The part before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The domain, in IDNA ASCII lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Shows no person: the first letter and the length only.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmailAddress({}…, {} bytes)", self.0.chars().next().unwrap_or('?'), self.0.len())
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_case_of_the_local_part_and_folds_the_domain() {
        let address = EmailAddress::parse("  Ada.Lovelace+x@Münster.DE ").unwrap();
        assert_eq!(address.as_str(), "Ada.Lovelace+x@xn--mnster-3ya.de");
        assert_eq!(address.folded(), "ada.lovelace+x@xn--mnster-3ya.de");
        assert_eq!((address.local(), address.domain()), ("Ada.Lovelace+x", "xn--mnster-3ya.de"));
    }

    #[test]
    fn refuses_what_could_not_be_mailed_or_could_deceive() {
        let cases = [
            ("", AddressError::Empty),
            ("ada", AddressError::Shape),
            ("@example.org", AddressError::Shape),
            ("ada@", AddressError::Shape),
            ("a b@example.org", AddressError::LocalPart),
            ("a..b@example.org", AddressError::LocalPart),
            ("\"a\"@example.org", AddressError::LocalPart),
            ("a\u{202e}b@example.org", AddressError::LocalPart),
            ("a\0b@example.org", AddressError::LocalPart),
            ("a@b@example.org", AddressError::LocalPart),
            ("ada@localhost", AddressError::Domain),
            ("ada@127.0.0.1", AddressError::Domain),
            ("ada@exa_mple.org", AddressError::Domain),
            ("ada@-example.org", AddressError::Domain),
            ("ada@example.org.", AddressError::Domain),
        ];
        for (text, expected) in cases {
            assert_eq!(EmailAddress::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(EmailAddress::parse(&format!("{}@example.org", "a".repeat(65))), Err(AddressError::TooLong));
    }

    #[test]
    fn never_prints_the_person() {
        let shown = format!("{:?}", EmailAddress::parse("ada@example.org").unwrap());
        assert!(!shown.contains("ada@") && !shown.contains("example"), "{shown}");
    }
}
