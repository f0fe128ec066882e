//! The configuration: complete, strict, and helpful about what is wrong.

use consentd::config::{Config, ConfigError, DEFAULTS};
use std::path::Path;

fn read(text: &str) -> Result<Config, ConfigError> {
    Config::read(text, Path::new("/etc/consentd.toml"), |_| None)
}

/// `section.key` of every option in the example.
fn options() -> Vec<(String, String)> {
    let table: toml::Table = toml::from_str(DEFAULTS).unwrap();
    let mut options = Vec::new();
    for (section, keys) in table {
        let keys = keys.as_table().expect("everything stands in a section").clone();
        options.extend(keys.keys().map(|key| (section.clone(), key.clone())));
    }
    options
}

#[test]
fn the_example_is_the_defaults_and_lacks_nothing() {
    read("").unwrap();
    assert!(options().len() >= 20);
    for (section, key) in options() {
        let mut table: toml::Table = toml::from_str(DEFAULTS).unwrap();
        table[&section].as_table_mut().unwrap().remove(&key);
        let error = table.try_into::<Config>().unwrap_err().to_string();
        assert!(error.contains(&format!("missing field `{key}`")), "{section}.{key} has a default elsewhere: {error}");
    }
}

#[test]
fn every_option_of_the_example_is_explained_on_the_line_above() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for (above, line) in lines.iter().zip(lines.iter().skip(1)) {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(above.starts_with("# "), "{line}");
        }
    }
}

#[test]
fn every_option_may_be_left_out() {
    for (section, key) in options() {
        let mut table: toml::Table = toml::from_str(DEFAULTS).unwrap();
        table[&section].as_table_mut().unwrap().remove(&key);
        read(&table.to_string()).unwrap_or_else(|error| panic!("{section}.{key}: {error}"));
    }
}

#[test]
fn a_value_that_cannot_be_used_names_file_key_and_remedy() {
    for (text, key, remedy) in [
        ("[database]\nurl = \"mysql://x\"", "database.url", "sqlite://"),
        ("[database]\nreserve_mib = 5000", "database.reserve_mib", "0 to 4096"),
        ("[database]\nconnections = 0", "database.connections", "1 to 500"),
        ("[keys]\nfile = \"\"", "keys.file", "consentd init"),
        ("[http]\nlisten = \"8080\"", "http.listen", "127.0.0.1:8080"),
        ("[http]\npublic_url = \"consent.example.org\"", "http.public_url", "https://"),
        ("[http]\npublic_url = \"https://x/\"", "http.public_url", "without a slash"),
        ("[http]\nconnections = 0", "http.connections", "1 to"),
        ("[http]\nrequest_seconds = 0", "http.request_seconds", "1 to"),
        ("[webhooks]\nbody_mib = 0", "webhooks.body_mib", "1 to"),
        ("[webhooks]\nquarantine_mib = 1", "webhooks.quarantine_mib", "webhooks.body_mib"),
        ("[webhooks]\nqueue = 1", "webhooks.queue", "16 to"),
        ("[gateway]\ntimeout_seconds = 0", "gateway.timeout_seconds", "1 to"),
        ("[gateway]\nanswer_mib = 0", "gateway.answer_mib", "1 to"),
        ("[gateway]\npatience_seconds = 0", "gateway.patience_seconds", "1 to"),
        ("[workers]\naccounts = 0", "workers.accounts", "1 to"),
        ("[workers]\nidle_seconds = 0", "workers.idle_seconds", "1 to"),
        ("[rules]\nsettle_seconds = 30", "rules.settle_seconds", "gateway.timeout_seconds"),
        ("[rules]\nwithdrawal_alert_minutes = 0", "rules.withdrawal_alert_minutes", "1 to"),
        ("[rules]\nconsent_link_days = 0", "rules.consent_link_days", "1 to"),
        ("[rules]\nwalk_every_hours = 0", "rules.walk_every_hours", "1 to"),
        ("[rules]\nlease_seconds = 1", "rules.lease_seconds", "5 to"),
        ("[log]\nfilter = \"consentd=loud\"", "log.filter", "info"),
    ] {
        let error = read(text).unwrap_err().to_string();
        for part in ["/etc/consentd.toml", key, remedy] {
            assert!(error.contains(part), "{text}: {part} is missing in: {error}");
        }
    }
}

#[test]
fn what_is_not_an_option_is_refused_with_its_place() {
    for (text, parts) in [
        ("[http]\nlissen = \"x\"", ["/etc/consentd.toml", "lissen"]),
        ("[htp]\nlisten = \"x\"", ["/etc/consentd.toml", "htp"]),
        ("listen = \"x\"", ["/etc/consentd.toml", "listen"]),
        ("[http]\nlisten = 8080", ["/etc/consentd.toml", "string"]),
        ("[log]\nformat = \"xml\"", ["/etc/consentd.toml", "xml"]),
        ("[http\n", ["/etc/consentd.toml", "line 1"]),
    ] {
        let error = read(text).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{text}: {part} is missing in: {error}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/consentd.toml")), |_| None).unwrap_err().to_string();
    assert!(error.contains("/nowhere/consentd.toml") && error.contains("--config"), "{error}");
}

#[test]
fn the_environment_goes_before_the_file() {
    let environment = |name: &str| match name {
        "CONSENTD_DATABASE_URL" => Some("postgres://from/environment".to_owned()),
        "CONSENTD_LISTEN" => Some("[::1]:9".to_owned()),
        "CONSENTD_PUBLIC_URL" => Some("https://x.example".to_owned()),
        "CONSENTD_MASTER_KEY" => Some("00".repeat(32)),
        _ => None,
    };
    let config = Config::read("[http]\nlisten = \"127.0.0.1:1\"", Path::new("x"), environment).unwrap();
    assert_eq!(config.database.url, "postgres://from/environment");
    assert_eq!((&*config.http.listen, &*config.http.public_url), ("[::1]:9", "https://x.example"));
    assert!(!format!("{config:?}").contains("0000"), "a key is not shown");
}
