//! Errors and hints name the next command; every command that is named exists.

use crate::tree;
use std::collections::BTreeSet;
use std::process::Command;

/// The words of a command without its values: `consentd sync run --wait` is `sync run`.
fn words(text: &str) -> String {
    let plain = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let words = text.split(' ').take_while(|word| plain(word) && !word.starts_with('-'));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_command_that_is_named_exists() {
    let mut named = BTreeSet::new();
    for file in tree::files("src", ".rs") {
        for piece in file.text.split("`consentd ").skip(1) {
            let command = piece.split('`').next().unwrap_or_default();
            named.insert(words(command));
        }
    }
    assert!(named.len() > 10, "{named:?}");
    for command in named.iter().filter(|command| !command.is_empty()) {
        let output = Command::new(env!("CARGO_BIN_EXE_consentd"))
            .args(command.split(' '))
            .arg("--help")
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "`consentd {command}` is named somewhere and does not exist");
    }
}
