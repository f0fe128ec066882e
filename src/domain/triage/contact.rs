//! What the cells of a row say.

use crate::domain::consent::Language;
use crate::domain::contact::{RecordKind, fold};
use consentd_provider::{AddressError, EmailAddress};

/// What a row says. Fields that no column holds are `None`: the file says nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// Every address of the row with its text, as far as it could be read.
    pub addresses: Vec<(String, Result<EmailAddress, AddressError>)>,
    /// Ordering addresses that were left out.
    pub ordering: u64,
    /// Customer, address book, supplier.
    pub kind: Option<RecordKind>,
    /// The CRM's id.
    pub crm_id: String,
    /// Family name.
    pub last_name: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Company.
    pub company: Option<String>,
    /// Language, as an ISO code where it was recognised.
    pub language: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
    /// Town.
    pub town: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Tags and groups, sorted.
    pub tags: Option<Vec<String>>,
    /// Not yet a customer.
    pub prospect: Option<bool>,
    /// A business.
    pub professional: Option<bool>,
    /// In the CRM's bin.
    pub bin: Option<bool>,
    /// When an acceptance from before was given.
    pub accepted_at: String,
    /// The text shown then.
    pub text_shown: String,
    /// What shows it.
    pub evidence: String,
}

/// Why a cell cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CellFault {
    /// Neither customer nor address book nor supplier.
    #[error("the kind must be customer, address_book or supplier")]
    Kind,
    /// Neither yes nor no.
    #[error("the column {0} must hold yes or no")]
    Truth(&'static str),
}

/// The addresses in a cell: several may be parted by `;`, `,`, `|` or blanks, and one may stand in angle brackets after a name.
#[must_use]
pub fn addresses(cell: &str) -> Vec<(String, Result<EmailAddress, AddressError>)> {
    let bracketed = cell.contains('<') && cell.contains('@');
    cell.split(|c: char| matches!(c, ';' | ',' | '|' | '/') || c.is_whitespace())
        .filter(|part| !part.is_empty() && (!bracketed || part.starts_with('<')))
        .map(|part| {
            let part = part.trim_matches(|c| matches!(c, '<' | '>' | '"' | '\''));
            let part = part.strip_prefix("mailto:").unwrap_or(part);
            (part.to_owned(), EmailAddress::parse(part))
        })
        .collect()
}

pub(super) fn tags(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split([';', ',', '|', '\n']).map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned)
}

pub(super) fn kind(cell: &str) -> Result<RecordKind, CellFault> {
    let folded: String = fold(cell).chars().filter(char::is_ascii_alphanumeric).collect();
    match folded.as_str() {
        "customer" | "customers" | "client" | "clients" | "kunde" | "kunden" | "cliente" | "clientes" => {
            Ok(RecordKind::Customer)
        }
        "addressbook" | "adressbuch" | "contact" | "kontakt" | "person" | "interlocuteur" | "carnetdadresses"
        | "contacto" => Ok(RecordKind::AddressBook),
        "supplier" | "suppliers" | "lieferant" | "lieferanten" | "fournisseur" | "fournisseurs" | "proveedor"
        | "proveedores" => Ok(RecordKind::Supplier),
        _ => Err(CellFault::Kind),
    }
}

pub(super) fn language(cell: &str) -> String {
    let folded = fold(cell);
    let known = match folded.as_str() {
        "deutsch" | "german" | "allemand" | "aleman" => Some(Language::De),
        "franzosisch" | "french" | "francais" | "frances" => Some(Language::Fr),
        "englisch" | "english" | "anglais" | "ingles" => Some(Language::En),
        "spanisch" | "spanish" | "espagnol" | "espanol" => Some(Language::Es),
        tag if tag.len() == 2 || tag.get(2..3).is_some_and(|c| c == "-" || c == "_") => Language::parse(tag),
        _ => None,
    };
    known.map_or(folded, |language| language.code().to_owned())
}

pub(super) fn truth(cell: &str) -> Option<bool> {
    match fold(cell).as_str() {
        "" | "0" | "no" | "n" | "nein" | "non" | "false" | "faux" | "falsch" | "falso" | "particulier" | "privat" => {
            Some(false)
        }
        "1" | "x" | "yes" | "y" | "ja" | "j" | "oui" | "o" | "si" | "s" | "true" | "vrai" | "wahr" | "verdadero"
        | "professionnel" | "gewerblich" | "prospect" | "corbeille" => Some(true),
        _ => None,
    }
}
