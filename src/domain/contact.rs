//! What the CRM knows about a person or company.

use consentd_provider::{FieldValue, Fields};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The three places of the CRM where addresses live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// A customer sheet.
    Customer,
    /// A person in the address book.
    AddressBook,
    /// A supplier sheet.
    Supplier,
}

impl RecordKind {
    /// The stored word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::AddressBook => "address_book",
            Self::Supplier => "supplier",
        }
    }

    /// The kind stored under that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "customer" => Some(Self::Customer),
            "address_book" => Some(Self::AddressBook),
            "supplier" => Some(Self::Supplier),
            _ => None,
        }
    }
}

/// The fields of a record that can be mapped to a provider's fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the CRM's own words")]
pub struct Person {
    pub first_name: String,
    pub last_name: String,
    pub company: String,
    pub language: String,
    pub postcode: String,
    pub town: String,
    pub country: String,
    pub prospect: bool,
    pub professional: bool,
}

/// Names of the mappable fields, as mappings write them.
pub const MAPPABLE: [&str; 9] =
    ["first_name", "last_name", "company", "language", "postcode", "town", "country", "prospect", "professional"];

impl Person {
    /// The value of a mappable field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<FieldValue> {
        let text = |value: &String| Some(FieldValue::Text(value.clone()));
        match name {
            "first_name" => text(&self.first_name),
            "last_name" => text(&self.last_name),
            "company" => text(&self.company),
            "language" => text(&self.language),
            "postcode" => text(&self.postcode),
            "town" => text(&self.town),
            "country" => text(&self.country),
            "prospect" => Some(FieldValue::Bool(self.prospect)),
            "professional" => Some(FieldValue::Bool(self.professional)),
            _ => None,
        }
    }

    /// The provider's fields under a mapping from our names to theirs.
    #[must_use]
    pub fn mapped(&self, mapping: &BTreeMap<String, String>) -> Fields {
        mapping.iter().filter_map(|(ours, theirs)| Some((theirs.clone(), self.field(ours)?))).collect()
    }
}

/// A short digest of the fields as pushed, to see whether a push would change anything.
#[must_use]
pub fn digest(fields: &Fields) -> [u8; 16] {
    let mut hash = Sha256::new();
    for (name, value) in fields {
        let (tag, text) = match value {
            FieldValue::Bool(value) => ("b", value.to_string()),
            FieldValue::Whole(value) => ("i", value.to_string()),
            FieldValue::Text(value) => ("t", value.clone()),
        };
        for part in [name.as_str(), tag, text.as_str()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    let full: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(full.first_chunk::<16>().unwrap_or(&[0; 16]));
    short
}
