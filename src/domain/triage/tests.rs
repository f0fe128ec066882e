//! Headings, cells and roles.

use super::columns::HEADINGS;
use super::*;
use crate::domain::contact::RecordKind;
use std::collections::BTreeMap;

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
        ["info@example.org", "Accueil@example.org", "abuse@example.org", "verkauf@example.org"].into_iter().all(role)
    );
    assert!(!role("ada@example.org"));
}
