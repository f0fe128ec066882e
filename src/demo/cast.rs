//! Invented tenants and invented people, the same at every performance.

use crate::domain::consent::Language;
use crate::domain::contact::fold;
use crate::random::{Random, SeededRandom, below};
use crate::store::NewTenant;

/// A tenant of the story.
pub(super) struct Role {
    pub(super) slug: &'static str,
    pub(super) legal_name: &'static str,
    pub(super) trade: &'static str,
    postal_address: &'static str,
    locale: Language,
    time_zone: &'static str,
    headings: &'static str,
    first_names: &'static [&'static str],
    last_names: &'static [&'static str],
    places: &'static [(&'static str, &'static str)],
    yes: &'static str,
}

/// The tenants, in the order of the providers.
pub(super) static ROLES: [Role; 2] = [
    Role {
        slug: "lindental-pools",
        legal_name: "Lindental Poolbau GmbH",
        trade: "builds swimming pools in Germany",
        postal_address: "Am Lindenbach 4, 99998 Lindental",
        locale: Language::De,
        time_zone: "Europe/Berlin",
        headings: "Kundennummer;Vorname;Nachname;Ort;PLZ;Land;Sprache;E-Mail;Papierkorb",
        first_names: &[
            "Anneke", "Bruno", "Clara", "Dörte", "Emil", "Frieda", "Gustav", "Hanna", "Ingo", "Jule", "Karl", "Lotte",
            "Malte", "Nele", "Ole", "Paula", "Ruben", "Silke", "Till", "Wiebke",
        ],
        last_names: &[
            "Ahrendt",
            "Brückner",
            "Dammann",
            "Eichholz",
            "Fährmann",
            "Grünewald",
            "Holtkamp",
            "Isermann",
            "Jungblut",
            "Kressin",
            "Lühring",
            "Möhle",
            "Nissen",
            "Oltmann",
            "Püschel",
            "Rademacher",
            "Stöver",
            "Tewes",
            "Uhlig",
            "Wösthoff",
        ],
        places: &[
            ("99998", "Lindental"),
            ("99997", "Oberweiher"),
            ("99996", "Bad Rosenquell"),
            ("99995", "Mühlgrund"),
            ("99994", "Neu Seedorf"),
        ],
        yes: "ja",
    },
    Role {
        slug: "poeles-valclair",
        legal_name: "Poêles du Valclair SARL",
        trade: "fits stoves in France",
        postal_address: "3 chemin des Braises, 00990 Valclair",
        locale: Language::Fr,
        time_zone: "Europe/Paris",
        headings: "N° client;Prénom;Nom;Ville;Code postal;Pays;Langue;Courriel;Corbeille",
        first_names: &[
            "Adèle", "Basile", "Céline", "Damien", "Élodie", "Firmin", "Gaëlle", "Hugo", "Inès", "Joël", "Léa", "Maël",
            "Noémie", "Octave", "Prune", "Rémi", "Sabine", "Théo", "Ursule", "Yvon",
        ],
        last_names: &[
            "Aubrac",
            "Bellefeuille",
            "Chênevert",
            "Delabruyère",
            "Esteban",
            "Fontclaire",
            "Granville",
            "Hautbois",
            "Isnard",
            "Jolivet",
            "Lachaume",
            "Montépin",
            "Noiret",
            "Orsel",
            "Pêchevin",
            "Roubaud",
            "Sauvageot",
            "Tournesol",
            "Valcourt",
            "Yvernel",
        ],
        places: &[
            ("00990", "Valclair"),
            ("00980", "Saint-Orme"),
            ("00970", "Brévent-le-Haut"),
            ("00960", "Pont-d'Aubier"),
            ("00950", "Les Cendrières"),
        ],
        yes: "oui",
    },
];

/// The files of a tenant, and what is in them.
pub(super) struct Files {
    /// The customer file.
    pub(super) customers: String,
    /// Refusals from before.
    pub(super) refusals: String,
    /// A mailing list from somewhere.
    pub(super) list: String,
    /// What the customer file holds.
    pub(super) count: Count,
    /// How many of its people refused before.
    pub(super) refused: u64,
    /// What the mailing list holds.
    pub(super) listed: Listed,
}

/// Rows of the mailing list by what they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Listed {
    pub(super) known: u64,
    pub(super) refused: u64,
    pub(super) strangers: u64,
}

/// Rows of the customer file by what they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count {
    pub(super) people: u64,
    pub(super) roles: u64,
    pub(super) bin: u64,
    pub(super) repeated: u64,
    pub(super) invalid: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Person,
    Role,
    Bin,
    Repeated,
    Invalid,
}

/// What stands in the n-th row.
const fn kind(n: usize) -> Kind {
    match n % 100 {
        31 => Kind::Invalid,
        7 | 57 => Kind::Repeated,
        12 => Kind::Role,
        3 | 28 | 78 => Kind::Bin,
        _ => Kind::Person,
    }
}

impl Role {
    /// The tenant as it is entered.
    pub(super) fn tenant(&self) -> NewTenant {
        NewTenant {
            slug: self.slug.into(),
            legal_name: self.legal_name.into(),
            postal_address: self.postal_address.into(),
            contact: format!("privacy@{}.example.com", self.slug),
            privacy_url: format!("https://{}.example.com/privacy", self.slug),
            locale: self.locale,
            time_zone: self.time_zone.into(),
        }
    }

    /// Where the tenant's chance begins.
    pub(super) fn seed(&self) -> u64 {
        u64::try_from(self.slug.len()).unwrap_or(0)
    }

    /// Writes the tenant's files.
    pub(super) fn files(&self, rows: usize) -> Files {
        let random = SeededRandom::new(self.seed());
        let mut files = Files {
            customers: format!("{}\n", self.headings),
            refusals: "E-Mail;Grund\n".into(),
            list: "E-Mail\n".into(),
            count: Count::default(),
            refused: 0,
            listed: Listed::default(),
        };
        let mut before = None;
        for n in 0..rows {
            let row = match kind(n) {
                Kind::Invalid => {
                    files.count.invalid += 1;
                    self.row(n, "somebody(at)example.org", "", &random)
                }
                Kind::Repeated => {
                    files.count.repeated += 1;
                    before.take().unwrap_or_default()
                }
                Kind::Role => {
                    files.count.roles += 1;
                    self.row(n, &format!("info@firm{n}.example.com"), "", &random)
                }
                Kind::Bin => {
                    files.count.bin += 1;
                    self.row(n, &format!("former{n}@example.org"), self.yes, &random)
                }
                Kind::Person => self.person(n, &random, &mut files),
            };
            files.customers.push_str(&row);
            before = Some(row);
        }
        for n in 0..rows / 20 {
            files.listed.strangers += 1;
            line(&mut files.list, &format!("stranger{n}@example.com"));
        }
        files
    }

    fn person(&self, n: usize, random: &dyn Random, files: &mut Files) -> String {
        files.count.people += 1;
        let (first, last) = (pick(self.first_names, random), pick(self.last_names, random));
        let email = format!("{}.{}{n}@example.org", fold(first), fold(last));
        // One in forty said no years ago; one in fifty stands on a list that somebody found.
        let refused = n % 40 == 21;
        if refused {
            files.refused += 1;
            line(&mut files.refusals, &format!("{email};2019"));
        }
        if n % 50 == 41 {
            let count = if refused { &mut files.listed.refused } else { &mut files.listed.known };
            *count += 1;
            line(&mut files.list, &email);
        }
        self.line(n, first, last, &email, "", random)
    }

    fn row(&self, n: usize, email: &str, bin: &str, random: &dyn Random) -> String {
        let (first, last) = (pick(self.first_names, random), pick(self.last_names, random));
        self.line(n, first, last, email, bin, random)
    }

    fn line(&self, n: usize, first: &str, last: &str, email: &str, bin: &str, random: &dyn Random) -> String {
        let (postcode, town) = pick_place(self.places, random);
        let (country, language) = match self.locale {
            Language::Fr => ("FR", "fr"),
            _ => ("DE", "de"),
        };
        format!("K{n:06};{first};{last};{town};{postcode};{country};{language};{email};{bin}\n")
    }
}

fn line(file: &mut String, text: &str) {
    file.push_str(text);
    file.push('\n');
}

fn pick(from: &[&'static str], random: &dyn Random) -> &'static str {
    at(from.len(), random).and_then(|index| from.get(index)).copied().unwrap_or("Kim")
}

fn pick_place(from: &[(&'static str, &'static str)], random: &dyn Random) -> (&'static str, &'static str) {
    at(from.len(), random).and_then(|index| from.get(index)).copied().unwrap_or_default()
}

fn at(length: usize, random: &dyn Random) -> Option<usize> {
    usize::try_from(below(random, u64::try_from(length).ok()?)).ok()
}
