//! What a row of an imported file says, and what becomes of it. Pure: nothing is looked up and nothing is stored here.

use crate::domain::consent::{Language, State};
use crate::domain::contact::{RecordKind, fold};
use crate::domain::fold::{Flags, Standing};
use consentd_provider::{AddressError, EmailAddress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a column of a file can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields of a record, see Contact")]
pub enum Field {
    Email,
    /// A supplier's ordering address: never marketing.
    OrderEmail,
    Kind,
    CrmId,
    LastName,
    FirstName,
    Company,
    Language,
    Postcode,
    Town,
    Country,
    Tags,
    Prospect,
    Professional,
    Bin,
    /// Of an acceptance from before: when.
    AcceptedAt,
    /// Of an acceptance from before: the text that the person was shown.
    TextShown,
    /// Of an acceptance or a refusal from before: what shows it.
    Evidence,
}

/// Every field with its stable word and the folded headings it is known by in German, French, English, Spanish and in
/// Extrabat's own exports.
const HEADINGS: [(Field, &str, &[&str]); 18] = [
    (
        Field::Email,
        "email",
        &[
            "email",
            "emailadresse",
            "emailaddress",
            "mail",
            "mailadresse",
            "courriel",
            "adressemail",
            "adresseemail",
            "adressedemessagerie",
            "adresseelectronique",
            "correo",
            "correoelectronico",
            "emailprivat",
            "emailpro",
            "clientemail",
        ],
    ),
    (
        Field::OrderEmail,
        "order_email",
        &["orderemail", "emailcommande", "bestellemail", "emailbestellung", "emailpedido", "emailpedidos"],
    ),
    (Field::Kind, "kind", &["kind", "type", "typ", "art", "kontaktart", "tipo", "recordkind", "typedecontact"]),
    (
        Field::CrmId,
        "crm_id",
        &[
            "crmid",
            "id",
            "kundennummer",
            "kundennr",
            "kdnr",
            "clientid",
            "idclient",
            "numeroclient",
            "nclient",
            "customerid",
            "customernumber",
            "numerodecliente",
            "idcliente",
            "codeclient",
            "reference",
        ],
    ),
    (
        Field::LastName,
        "last_name",
        &["lastname", "nachname", "name", "nom", "familienname", "surname", "apellido", "apellidos"],
    ),
    (Field::FirstName, "first_name", &["firstname", "vorname", "prenom", "givenname", "nombre"]),
    (
        Field::Company,
        "company",
        &[
            "company",
            "firma",
            "unternehmen",
            "societe",
            "entreprise",
            "raisonsociale",
            "empresa",
            "libelle",
            "organisation",
        ],
    ),
    (Field::Language, "language", &["language", "sprache", "langue", "idioma", "lang", "locale"]),
    (
        Field::Postcode,
        "postcode",
        &["postcode", "plz", "postleitzahl", "zip", "zipcode", "codepostal", "cp", "codigopostal"],
    ),
    (Field::Town, "town", &["town", "city", "ort", "stadt", "ville", "ciudad", "localidad", "commune"]),
    (Field::Country, "country", &["country", "land", "pays", "pais"]),
    (
        Field::Tags,
        "tags",
        &[
            "tags",
            "tag",
            "groups",
            "group",
            "gruppen",
            "gruppe",
            "regroupement",
            "regroupements",
            "groupes",
            "etiquetas",
            "grupos",
        ],
    ),
    (Field::Prospect, "prospect", &["prospect", "interessent", "prospecto", "lead"]),
    (Field::Professional, "professional", &["professional", "gewerblich", "professionnel", "profesional", "b2b"]),
    (Field::Bin, "bin", &["bin", "papierkorb", "corbeille", "papelera", "deleted", "geloscht", "supprime"]),
    (
        Field::AcceptedAt,
        "accepted_at",
        &["acceptedat", "akzeptiertam", "einwilligungam", "acceptele", "aceptadoel", "optindate"],
    ),
    (Field::TextShown, "text_shown", &["textshown", "text", "einwilligungstext", "texteaffiche", "textomostrado"]),
    (
        Field::Evidence,
        "evidence",
        &["evidence", "nachweis", "beleg", "preuve", "prueba", "reason", "grund", "motif", "motivo"],
    ),
];

impl Field {
    /// The stable word, as mappings write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        HEADINGS.iter().find(|(field, ..)| *field == self).map_or("", |(_, word, _)| word)
    }

    /// The field with that stable word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        HEADINGS.iter().find(|(_, known, _)| *known == word).map(|(field, ..)| *field)
    }

    /// The field that a heading is known to stand for; digits at its end (`email2`) do not matter.
    #[must_use]
    pub fn of_heading(heading: &str) -> Option<Self> {
        let folded: String = fold(heading).chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = folded.trim_end_matches(|c: char| c.is_ascii_digit());
        let known = |name: &str| HEADINGS.iter().find(|(_, _, names)| names.contains(&name)).map(|(field, ..)| *field);
        known(&folded).or_else(|| known(plain))
    }
}

/// Why a mapping does not fit a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// No such heading.
    #[error("the file has no column `{0}`")]
    NoColumn(String),
    /// A column that the import cannot do without.
    #[error("no column for {0} was found; name it in the mapping")]
    Missing(&'static str),
}

/// Which column holds what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Columns {
    /// The field of each column, in the file's order.
    fields: Vec<Option<Field>>,
    /// The first row is data already: a list of addresses without headings.
    pub headless: bool,
}

impl Columns {
    /// Finds the columns by an explicit mapping from fields to headings first, by well-known headings otherwise.
    ///
    /// # Errors
    /// [`MappingError`] names a heading that is not there, or a needed field that no column holds.
    pub fn find(
        headings: &[String],
        mapping: &BTreeMap<Field, Vec<String>>,
        needed: &[Field],
    ) -> Result<Self, MappingError> {
        let mut fields: Vec<Option<Field>> = headings
            .iter()
            .map(|heading| Field::of_heading(heading).filter(|field| !mapping.contains_key(field)))
            .collect();
        for (field, names) in mapping {
            for name in names {
                let column = headings.iter().position(|heading| fold(heading) == fold(name));
                let column = column.and_then(|index| fields.get_mut(index));
                *column.ok_or_else(|| MappingError::NoColumn(name.clone()))? = Some(*field);
            }
        }
        let only_addresses = |heading: &String| addresses(heading).first().is_some_and(|(_, parsed)| parsed.is_ok());
        if let (true, Some(index)) = (mapping.is_empty(), headings.iter().position(only_addresses)) {
            fields = (0..headings.len()).map(|column| (column == index).then_some(Field::Email)).collect();
            let columns = Self { fields, headless: true };
            return columns.need(needed);
        }
        Self { fields, headless: false }.need(needed)
    }

    fn need(self, needed: &[Field]) -> Result<Self, MappingError> {
        match needed.iter().find(|field| !self.has(**field)) {
            Some(field) => Err(MappingError::Missing(field.word())),
            None => Ok(self),
        }
    }

    /// Whether some column holds that field.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.fields.contains(&Some(field))
    }

    /// The fields that were found, with the column each stands in, from 0.
    pub fn found(&self) -> impl Iterator<Item = (usize, Field)> + '_ {
        self.fields.iter().enumerate().filter_map(|(column, field)| Some((column, (*field)?)))
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`CellFault`] when a cell cannot be understood; an unreadable address is no fault of the row but of the address.
    pub fn read(&self, cells: &[String]) -> Result<Contact, CellFault> {
        let mut contact = Contact::default();
        let mut order_addresses = Vec::new();
        for (column, field) in self.found() {
            let cell = cells.get(column).map_or("", String::as_str);
            match field {
                Field::Email => contact.addresses.extend(addresses(cell)),
                Field::OrderEmail => order_addresses.extend(addresses(cell)),
                Field::Kind => contact.kind = if cell.is_empty() { None } else { Some(kind(cell)?) },
                Field::CrmId => set(&mut contact.crm_id, cell),
                Field::LastName => set(contact.last_name.get_or_insert_default(), cell),
                Field::FirstName => set(contact.first_name.get_or_insert_default(), cell),
                Field::Company => set(contact.company.get_or_insert_default(), cell),
                Field::Language => set(contact.language.get_or_insert_default(), &language(cell)),
                Field::Postcode => set(contact.postcode.get_or_insert_default(), cell),
                Field::Town => set(contact.town.get_or_insert_default(), cell),
                Field::Country => set(contact.country.get_or_insert_default(), cell),
                Field::Tags => contact.tags.get_or_insert_default().extend(tags(cell)),
                Field::Prospect => contact.prospect = Some(truth(cell).ok_or(CellFault::Truth("prospect"))?),
                Field::Professional => {
                    contact.professional = Some(truth(cell).ok_or(CellFault::Truth("professional"))?);
                }
                Field::Bin => contact.bin = Some(truth(cell).ok_or(CellFault::Truth("bin"))?),
                Field::AcceptedAt => set(&mut contact.accepted_at, cell),
                Field::TextShown => set(&mut contact.text_shown, cell),
                Field::Evidence => set(&mut contact.evidence, cell),
            }
        }
        if let Some(tags) = &mut contact.tags {
            tags.sort();
            tags.dedup();
        }
        for (_, ordering) in order_addresses {
            let Ok(ordering) = ordering else { continue };
            contact.ordering += 1;
            contact
                .addresses
                .retain(|(_, known)| known.as_ref().map_or(true, |known| known.folded() != ordering.folded()));
        }
        Ok(contact)
    }
}

fn set(target: &mut String, cell: &str) {
    if target.is_empty() {
        target.push_str(cell);
    }
}

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

fn tags(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split([';', ',', '|', '\n']).map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned)
}

fn kind(cell: &str) -> Result<RecordKind, CellFault> {
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

fn language(cell: &str) -> String {
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

fn truth(cell: &str) -> Option<bool> {
    match fold(cell).as_str() {
        "" | "0" | "no" | "n" | "nein" | "non" | "false" | "faux" | "falsch" | "falso" | "particulier" | "privat" => {
            Some(false)
        }
        "1" | "x" | "yes" | "y" | "ja" | "j" | "oui" | "o" | "si" | "s" | "true" | "vrai" | "wahr" | "verdadero"
        | "professionnel" | "gewerblich" | "prospect" | "corbeille" => Some(true),
        _ => None,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn knows_the_headings_of_four_languages_and_of_the_crm() {
        for (heading, field) in [
            ("E-Mail", Field::Email),
            ("E-Mail-Adresse 2", Field::Email),
            ("Adresse e-mail", Field::Email),
            ("Correo electrónico", Field::Email),
            ("emailCommande", Field::OrderEmail),
            ("Kunden-Nr.", Field::CrmId),
            ("Prénom", Field::FirstName),
            ("Nachname", Field::LastName),
            ("raison sociale", Field::Company),
            ("Code postal", Field::Postcode),
            ("PLZ", Field::Postcode),
            ("País", Field::Country),
            ("regroupement", Field::Tags),
            ("Corbeille", Field::Bin),
        ] {
            assert_eq!(Field::of_heading(heading), Some(field), "{heading}");
        }
        assert_eq!(Field::of_heading("Umsatz"), None);
    }

    #[test]
    fn every_heading_stands_for_one_field() {
        let mut names: Vec<_> = HEADINGS.iter().flat_map(|(_, _, names)| names.iter()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(HEADINGS.iter().all(|(field, word, _)| Field::parse(word) == Some(*field)));
    }

    #[test]
    fn a_mapping_wins_over_headings_and_must_fit() {
        let headings = strings(&["mail", "privat", "nummer"]);
        let mapping =
            BTreeMap::from([(Field::Email, vec!["Privat".to_owned()]), (Field::CrmId, vec!["nummer".to_owned()])]);
        let columns = Columns::find(&headings, &mapping, &[Field::Email, Field::CrmId]).unwrap();
        assert_eq!(columns.found().collect::<Vec<_>>(), [(1, Field::Email), (2, Field::CrmId)]);
        let wrong = BTreeMap::from([(Field::Email, vec!["gone".to_owned()])]);
        assert_eq!(Columns::find(&headings, &wrong, &[]), Err(MappingError::NoColumn("gone".into())));
        assert_eq!(
            Columns::find(&headings, &BTreeMap::new(), &[Field::Email, Field::CrmId]),
            Err(MappingError::Missing("crm_id"))
        );
    }

    #[test]
    fn a_list_without_headings_is_one_of_addresses() {
        let columns = Columns::find(&strings(&["Ada", "ada@example.org"]), &BTreeMap::new(), &[Field::Email]).unwrap();
        assert!(columns.headless);
        assert_eq!(columns.found().collect::<Vec<_>>(), [(1, Field::Email)]);
    }

    #[test]
    fn finds_several_addresses_in_a_cell_and_leaves_ordering_addresses_out() {
        let headings = strings(&["email", "email2", "emailCommande"]);
        let columns = Columns::find(&headings, &BTreeMap::new(), &[Field::Email]).unwrap();
        let row = strings(&["Ada <ada@example.org>", "b@example.org; order@example.org,nope", "ORDER@example.org"]);
        let contact = columns.read(&row).unwrap();
        let texts: Vec<_> = contact.addresses.iter().map(|(text, parsed)| (text.as_str(), parsed.is_ok())).collect();
        assert_eq!(texts, [("ada@example.org", true), ("b@example.org", true), ("nope", false)]);
        assert_eq!(contact.ordering, 1);
    }

    #[test]
    fn reads_flags_kinds_and_languages_or_says_why_not() {
        let headings = strings(&["email", "kind", "bin", "langue", "tags"]);
        let columns = Columns::find(&headings, &BTreeMap::new(), &[]).unwrap();
        let contact = columns.read(&strings(&["", "Fournisseur", "oui", "Français", "b, a; b"])).unwrap();
        assert_eq!((contact.kind, contact.bin), (Some(RecordKind::Supplier), Some(true)));
        assert_eq!((contact.language.as_deref(), contact.tags), (Some("fr"), Some(strings(&["a", "b"]))));
        assert_eq!(contact.prospect, None);
        assert_eq!(columns.read(&strings(&["", "x", "", "", ""])), Err(CellFault::Kind));
        assert_eq!(columns.read(&strings(&["", "", "maybe", "", ""])), Err(CellFault::Truth("bin")));
    }

    #[test]
    fn tells_roles_from_persons() {
        let role = |text: &str| is_role(&EmailAddress::parse(text).unwrap());
        assert!(
            ["info@example.org", "Accueil@example.org", "abuse@example.org", "verkauf@example.org"]
                .into_iter()
                .all(role)
        );
        assert!(!role("ada@example.org"));
    }
}
