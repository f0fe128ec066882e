//! `SPEC.md` and the suite number the same rules.

use consentd_provider::conformance::rules;

/// The headings of the rules, and the text below each.
fn specified() -> Vec<(&'static str, &'static str)> {
    let parts = include_str!("../SPEC.md").split("\n### ").skip(1);
    parts.filter_map(|part| part.split_once('\n')).collect()
}

#[test]
fn the_specification_and_the_suite_know_the_same_rules() {
    let written: Vec<String> = specified().iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let examined: Vec<String> = rules().map(|rule| rule.to_string()).collect();
    assert_eq!(written, examined);
}

#[test]
fn rules_are_numbered_without_a_gap() {
    let numbers: Vec<u8> = rules().map(|rule| rule.number).collect();
    let wanted: Vec<u8> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, wanted);
}

#[test]
fn every_rule_says_how_binding_it_is() {
    for (heading, text) in specified() {
        let text = text.split("\n## ").next().unwrap_or_default();
        let binding = ["MUST", "SHOULD"].iter().any(|word| text.contains(word));
        assert!(binding, "{heading} binds nobody");
    }
}

#[test]
fn the_guide_points_at_files_that_are_there() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let guide = std::fs::read_to_string(format!("{docs}/ADDING_A_PROVIDER.md")).expect("the guide is there");
    let links: Vec<&str> = guide.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    let broken: Vec<&&str> =
        links.iter().filter(|link| !std::path::Path::new(&format!("{docs}/{link}")).exists()).collect();
    assert!(links.len() > 3 && broken.is_empty(), "{broken:?}");
}
