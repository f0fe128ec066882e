//! `consentd doctor`, with one thing after another put wrong: it names it and what to do.

use crate::desk::Desk;
use serde_json::Value;

/// The findings that are not `ok`, as `verdict check: detail → remedy`.
fn complaints(desk: &Desk, code: i32) -> Vec<String> {
    let found = desk.run(&["doctor", "--offline", "--json"]).with(code).data();
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    let bad = found.as_array().unwrap().iter().filter(|finding| finding["verdict"] != "ok");
    bad.map(|f| format!("{} {}: {} → {}", word(f, "verdict"), word(f, "check"), word(f, "detail"), word(f, "remedy")))
        .collect()
}

#[track_caller]
fn assert_told(complaints: &[String], parts: &[&str]) {
    let told = complaints.iter().any(|complaint| parts.iter().all(|part| complaint.contains(part)));
    assert!(told, "{parts:?} is not among {complaints:#?}");
}

fn configure(desk: &Desk, from: &str, to: &str) {
    let config = std::fs::read_to_string(desk.path("consentd.toml")).unwrap();
    assert!(config.contains(from), "{from}");
    std::fs::write(desk.path("consentd.toml"), config.replace(from, to)).unwrap();
}

#[test]
fn what_init_and_the_first_steps_make_needs_no_remedy_but_the_address() {
    let told = complaints(&Desk::furnished(), 0);
    assert_told(&told, &["warning public address", "http.public_url"]);
    assert_eq!(told.len(), 1, "{told:#?}");
}

#[cfg(unix)]
#[test]
fn secrets_that_everybody_on_the_machine_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::furnished();
    for (file, check) in [("consentd.key", "wrong master key"), ("consentd.db", "wrong database")] {
        let private = std::fs::metadata(desk.path(file)).unwrap().permissions();
        assert_eq!(private.mode() & 0o077, 0, "{file} is made for its owner only");
        std::fs::set_permissions(desk.path(file), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_told(&complaints(&desk, 7), &[check, "everybody", "chmod o="]);
        std::fs::set_permissions(desk.path(file), private).unwrap();
    }
}

#[test]
fn plain_http_for_the_whole_network_and_too_few_files() {
    let desk = Desk::furnished();
    configure(&desk, "listen = \"127.0.0.1:8080\"", "listen = \"0.0.0.0:8080\"");
    configure(&desk, "connections = 1024", "connections = 100000");
    let told = complaints(&desk, 0);
    assert_told(&told, &["warning listening", "/metrics", "firewall"]);
    assert_told(&told, &["warning open files", "LimitNOFILE"]);
}

#[test]
fn an_address_without_encryption() {
    let desk = Desk::furnished();
    configure(&desk, "public_url = \"http://127.0.0.1:8080\"", "public_url = \"http://consent.example.org\"");
    assert_told(&complaints(&desk, 7), &["wrong public address", "not encrypted", "https"]);
}

#[test]
fn variables_that_go_before_the_file_are_named() {
    let desk = Desk::furnished();
    let output = desk.command(&["doctor", "--offline"]).env("CONSENTD_LISTEN", "127.0.0.1:9999").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("consentd.toml, then CONSENTD_LISTEN from the environment"), "{text}");
}

#[tokio::test]
async fn what_stands_still_at_a_connection() {
    let desk = Desk::furnished();
    desk.run(&["connection", "add", "twin", "--provider", "mailjet", "--key-file", "mail.key", "--list", "17"]).with(0);
    let told = complaints(&desk, 0);
    assert_told(&told, &["warning connection lindner/mail", "twin has the same list", "connection bind twin"]);
    desk.execute("UPDATE connection SET state = 'paused' WHERE slug = 'twin'").await;
    assert_told(&complaints(&desk, 0), &["warning connection lindner/twin", "paused", "connection resume twin"]);

    desk.execute("UPDATE connection SET created_at = 0 WHERE slug = 'mail'").await;
    assert_told(&complaints(&desk, 0), &["warning connection lindner/mail", "never confirmed", "sync confirm mail"]);
    desk.execute("UPDATE connection SET state = 'suspended', state_reason = 'key revoked' WHERE slug = 'mail'").await;
    assert_told(
        &complaints(&desk, 7),
        &["wrong connection lindner/mail", "key revoked", "connection credentials mail"],
    );
    desk.execute("UPDATE connection SET state = 'active', next_at = 1, walked_at = 1 WHERE slug = 'mail'").await;
    let told = complaints(&desk, 7);
    assert_told(&told, &["wrong connection lindner/mail", "schedule is overdue", "consentd serve"]);
    assert_told(&told, &["wrong connection lindner/mail", "not walked", "sync errors mail"]);
}

#[tokio::test]
async fn a_purpose_without_a_text() {
    let desk = Desk::furnished();
    desk.execute("UPDATE purpose SET body = ' '").await;
    assert_told(&complaints(&desk, 7), &["wrong tenant lindner", "has no text", "purpose set"]);
}

#[test]
fn a_postgresql_server_that_forgets() {
    let desk = Desk::new();
    let url = std::env::var("TEST_PG_URL").expect("scripts/test starts a cluster");
    let doctor = |url: &str| {
        let output = desk.command(&["doctor", "--offline"]).env("CONSENTD_DATABASE_URL", url).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let sound = doctor(&url);
    assert!(sound.contains("PostgreSQL answers") && !sound.contains("can be lost"), "{sound}");
    let careless = doctor(&format!("{url}?options[synchronous_commit]=off&options[default_transaction_read_only]=on"));
    assert!(careless.contains("WRONG    database: synchronous_commit is off"), "{careless}");
    assert!(careless.contains("WRONG    database: it takes no writes"), "{careless}");
}
