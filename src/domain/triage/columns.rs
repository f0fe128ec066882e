//! Which column of a file holds what.

use crate::domain::contact::fold;
use crate::domain::triage::contact::{CellFault, Contact, addresses, kind, language, tags, truth};
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
pub(super) const HEADINGS: [(Field, &str, &[&str]); 18] = [
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
