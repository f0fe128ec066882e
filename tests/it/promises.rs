//! The table of promises in docs/ARCHITECTURE.md names tests, and these carry the promise's number.

use crate::tree;
use std::fmt::Write;

/// The lines above a function that belong to it, and its name.
fn heads(text: &str) -> Vec<(String, String)> {
    let mut heads = Vec::new();
    let mut above = String::new();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        let name = words.iter().position(|word| *word == "fn").and_then(|place| words.get(place + 1));
        if let Some(name) = name.filter(|_| !line.starts_with("//")) {
            heads.push(((*name).to_owned(), std::mem::take(&mut above)));
        } else if line.starts_with("//") || line.starts_with("#[") {
            writeln!(above, "{line}").unwrap();
        } else {
            above.clear();
        }
    }
    heads
}

#[test]
fn every_promise_names_tests_that_carry_its_number() {
    let architecture = include_str!("../../docs/ARCHITECTURE.md");
    let mut known = Vec::new();
    for folder in ["tests/it", "src"] {
        known.extend(tree::files(folder, ".rs").iter().flat_map(|file| heads(&file.text)));
    }
    let rows = architecture.lines().filter(|line| line.starts_with("| I") && line.contains("| "));
    let mut promises = 0;
    let mut wrong = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (number, tests) = (cells[0], cells[3]);
        promises += 1;
        for name in tests.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains('/')) {
            let short = number.to_lowercase();
            let named = name.split('_').any(|word| word == short);
            let carries = |(own, above): &(String, String)| {
                let numbers = above.split(|letter: char| !letter.is_alphanumeric());
                own == name && (named || numbers.into_iter().any(|word| word == number))
            };
            if !known.iter().any(carries) {
                wrong.push(format!("{number}: {name}"));
            }
        }
        let waits = tests.contains("*Waits*") || tests.contains("*Partly*");
        assert!(waits || tests.contains('`'), "{number} has neither a test nor a reason");
    }
    assert_eq!(promises, 20, "the promises in the table");
    assert!(wrong.is_empty(), "tests that are not there or do not carry the number: {wrong:#?}");
}
