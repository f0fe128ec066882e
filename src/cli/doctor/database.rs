//! The database: whether it answers, has the current schema, and keeps what it confirms.

use super::Findings;
use crate::app;
use crate::cli::CliError;
use crate::clock::{Clock, SECOND, SystemClock, Timestamp};
use crate::config::Config;
use crate::store::Db;
use std::collections::HashMap;

/// So far the database server's clock may be off; leases are compared across machines.
const SKEW: Timestamp = 5 * SECOND;

/// Whether the database can be used.
pub(super) async fn examine(config: &Config, found: &mut Findings) -> bool {
    let db: Db = match app::database(config).await {
        Ok(db) => db,
        Err(error) => {
            let error = CliError::from(error);
            found.wrong("database", error.message, "check database.url and that the server runs");
            return false;
        }
    };
    found.ok("database", if db.is_shared() { "PostgreSQL answers" } else { "SQLite opens" });
    match db.settings().await {
        Ok(settings) => judge(config, &settings.into_iter().collect(), found),
        Err(error) => found.warn("database", format!("its settings cannot be read: {error}"), ""),
    }
    let usable = match db.pending().await {
        Ok(pending) if pending.is_empty() => {
            found.ok("schema", "current");
            true
        }
        Ok(pending) => {
            found.wrong("schema", format!("lacks {} steps", pending.len()), "run `consentd migrate`");
            false
        }
        Err(error) => {
            let error = CliError::from(error);
            found.wrong("schema", error.message, "check the rights of the database user");
            false
        }
    };
    db.close().await;
    usable
}

/// Settings with which "confirmed" would not mean "on disk", or with which the daemon cannot work for long.
fn judge(config: &Config, settings: &HashMap<String, String>, found: &mut Findings) {
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|set| set == value);
    let number = |name: &str| settings.get(name).and_then(|set| set.parse::<i64>().ok());
    for (name, bad, why) in [
        ("fsync", "off", "what was confirmed can be lost"),
        ("full_page_writes", "off", "a power cut can tear pages"),
        ("synchronous_commit", "off", "what was confirmed can be lost"),
    ] {
        if is(name, bad) {
            found.wrong("database", format!("{name} is {bad}: {why}"), format!("set {name} = on in PostgreSQL"));
        }
    }
    if is("recovery", "true") || is("default_transaction_read_only", "on") {
        found.wrong("database", "it takes no writes", "point database.url at the primary server");
    }
    if settings.get("server_encoding").is_some_and(|set| set != "UTF8") {
        found.wrong("database", "its encoding is not UTF8", "create the database with ENCODING 'UTF8'");
    }
    if is("superuser", "true") {
        let remedy = "give consentd a user of its own without SUPERUSER (docs/OPERATING.md)";
        found.warn("database", "the daemon's user is a superuser, whom no protection of the history binds", remedy);
    }
    if let Some(most) = number("max_connections")
        && most < i64::from(config.database.connections) + 5
    {
        let detail = format!("the server takes {most} connections, a daemon opens {}", config.database.connections);
        found.wrong("database", detail, "raise max_connections, or lower database.connections");
    }
    if let Some(theirs) = number("clock") {
        let apart = (SystemClock.now() - theirs).abs();
        if apart > SKEW {
            let detail = format!("its clock is {} s apart from this machine's", apart / SECOND);
            found.wrong("clock", detail, "synchronise both (NTP)");
        }
    }
    if settings.get("journal_mode").is_some_and(|set| set != "wal") {
        let remedy = "put the file where SQLite can keep a write-ahead log: a local disk that the user may write";
        found.wrong("database", "SQLite keeps no write-ahead log", remedy);
    }
}
