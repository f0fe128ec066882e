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

/// A text as searches compare it: lower case, without accents, one blank between words. Stored folded and searched folded,
/// so that both engines agree.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
            'æ' => folded.push_str("ae"),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'ď' | 'đ' => folded.push('d'),
            'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => folded.push('e'),
            'ì'..='ï' | 'ī' | 'į' | 'ı' => folded.push('i'),
            'ł' => folded.push('l'),
            'ñ' | 'ń' | 'ň' => folded.push('n'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => folded.push('o'),
            'œ' => folded.push_str("oe"),
            'ř' => folded.push('r'),
            'ś' | 'š' | 'ș' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            'ť' | 'ț' => folded.push('t'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'ź' | 'ż' | 'ž' => folded.push('z'),
            // Accents that stand as characters of their own, and what lower case adds to `İ`.
            '\u{300}'..='\u{36f}' => {}
            c if c.is_whitespace() => {
                if !folded.ends_with(' ') {
                    folded.push(' ');
                }
            }
            c => folded.push(c),
        }
    }
    folded
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

    /// A short digest of everything that can be mapped. Whoever was pushed with the same one and the same mapping has the
    /// same fields.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        let flag = |flag| if flag { "1" } else { "0" };
        let Self { first_name, last_name, company, language, postcode, town, country, prospect, professional } = self;
        let texts = [first_name, last_name, company, language, postcode, town, country].map(String::as_str);
        digest_of(texts.into_iter().chain([flag(*prospect), flag(*professional)]))
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
    let values = fields.iter().map(|(name, value)| match value {
        FieldValue::Bool(value) => [name.clone(), "b".into(), value.to_string()],
        FieldValue::Whole(value) => [name.clone(), "i".into(), value.to_string()],
        FieldValue::Text(value) => [name.clone(), "t".into(), value.clone()],
    });
    digest_of(values.flatten())
}

/// A short digest of a mapping from our names to a provider's.
#[must_use]
pub fn mapping_digest(mapping: &BTreeMap<String, String>) -> [u8; 16] {
    digest_of(mapping.iter().flat_map(|(ours, theirs)| [ours, theirs]))
}

/// Parts of any length, none of which can be mistaken for two.
fn digest_of(parts: impl Iterator<Item = impl AsRef<[u8]>>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let full: [u8; 32] = hash.finalize().into();
    let mut short = [0; 16];
    short.copy_from_slice(full.first_chunk::<16>().unwrap_or(&[0; 16]));
    short
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folds_what_people_type_differently() {
        for (text, folded) in
            [("  Müller  GmbH ", "muller gmbh"), ("ÉTÉ", "ete"), ("Straße", "strasse"), ("Łódź", "lodz")]
        {
            assert_eq!(fold(text), folded);
        }
        assert_eq!(fold("u\u{308}ber"), "uber");
    }
}
