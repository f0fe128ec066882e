//! The demo, as a newcomer starts it, with fewer people.

use std::collections::BTreeMap;
use std::process::Command;

/// A number of the story: its line of the last step that begins a tenant's part, and the number.
fn numbers(summary: &str) -> Vec<BTreeMap<String, i64>> {
    let mut tenants = Vec::new();
    for line in summary.lines() {
        let line = line.trim();
        if line.ends_with(':') {
            tenants.push(BTreeMap::new());
        }
        let Some((number, what)) = line.split_once("  ") else { continue };
        if let (Ok(number), Some(tenant)) = (number.replace(',', "").parse(), tenants.last_mut()) {
            tenant.insert(what.split(',').next().unwrap().to_owned(), number);
        }
    }
    tenants
}

#[test]
fn it_ends_by_itself_and_its_numbers_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("demo");
    let demo = Command::new(env!("CARGO_BIN_EXE_consentd"))
        .args(["demo", "--contacts", "300", "--folder"])
        .arg(&folder)
        .output()
        .unwrap();
    let (told, errors) = (String::from_utf8(demo.stdout).unwrap(), String::from_utf8(demo.stderr).unwrap());
    assert!(demo.status.success(), "{told}\n{errors}");

    let (_, summary) = told.split_once("Summary").unwrap();
    let tenants = numbers(summary);
    assert_eq!(tenants.len(), 2, "{summary}");
    for tenant in tenants {
        let left: i64 = tenant.values().filter(|number| **number < 0).sum();
        assert!(left < 0, "{summary}");
        assert_eq!(tenant["said yes"] + left, tenant["may be mailed"], "{summary}");
        assert_eq!(tenant["may be mailed"], tenant["would be mailed"], "{summary}");
    }
    assert!(summary.contains("all agree"), "{summary}");
    assert!(folder.join("consentd.db").exists(), "the folder stays");
}

#[test]
fn it_does_not_write_over_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("consentd.key"), "precious").unwrap();
    let demo =
        Command::new(env!("CARGO_BIN_EXE_consentd")).args(["demo", "--folder"]).arg(folder.path()).output().unwrap();
    assert_eq!(demo.status.code(), Some(1));
    assert!(String::from_utf8(demo.stderr).unwrap().contains("consentd.key"));
    assert_eq!(std::fs::read_to_string(folder.path().join("consentd.key")).unwrap(), "precious");
}
