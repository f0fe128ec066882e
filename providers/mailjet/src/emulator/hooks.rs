//! `/eventcallbackurl`: one place for each event, and one more for a backup (Mailjet sheet 5.1).

use super::account::Account;
use super::answer::{self, Answer, bare, invalid, page, row};
use super::ask::{Ask, flag, number};
use consentd_provider::Timestamp;
use serde_json::{Value, json};

/// The events and the numbers that stand for them.
const EVENTS: [(&str, u64); 7] =
    [("click", 1), ("bounce", 2), ("spam", 3), ("blocked", 4), ("unsub", 5), ("open", 6), ("sent", 7)];
const MEMBERS: &[&str] = &["APIKeyID", "EventType", "IsBackup", "Status", "Url", "Version"];

#[derive(Clone)]
pub(super) struct Hook {
    pub(super) id: u64,
    pub(super) event: &'static str,
    pub(super) backup: bool,
    pub(super) url: String,
    pub(super) version: u64,
    pub(super) dead: bool,
    /// Since when nothing was answered with 200.
    pub(super) failing_since: Option<Timestamp>,
}

/// An event by name or number.
pub(super) fn event(text: &str) -> Option<&'static str> {
    EVENTS.iter().find(|(name, number)| name.eq_ignore_ascii_case(text) || number.to_string() == text).map(|one| one.0)
}

/// `https://host/` is no place to deliver to.
fn is_root(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return true };
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    !matches!(scheme, "http" | "https") || path.split('?').next().is_none_or(str::is_empty)
}

impl Account {
    fn show_hook(&self, hook: &Hook) -> Value {
        let dead = if self.switches.is("dead_word", "suspended") { "suspended" } else { "dead" };
        json!({
            "APIKeyID": 1, "EventType": hook.event, "ID": hook.id, "IsBackup": hook.backup,
            "Status": if hook.dead { dead } else { "alive" }, "Url": hook.url, "Version": hook.version,
        })
    }

    pub(super) fn hook_rows(&self, ask: &Ask) -> Answer {
        let (kind, backup) = (ask.filter("eventtype").map(event), ask.flag("backup"));
        let all: Vec<&Hook> = self
            .hooks
            .values()
            .filter(|hook| kind.is_none_or(|kind| kind == Some(hook.event)))
            .filter(|hook| backup.is_none_or(|backup| hook.backup == backup))
            .filter(|hook| ask.number("version").is_none_or(|version| hook.version == version))
            .collect();
        Ok(page(ask, &all, |hook| self.show_hook(hook)))
    }

    /// By number, or by event and backup flag joined with a bar (Mailjet sheet 1.1).
    fn hook_id(&self, ask: &Ask) -> Result<u64, consentd_provider::Response> {
        let name = ask.part(3);
        let found = match name.split_once('|') {
            None => ask.id(3).filter(|id| self.hooks.contains_key(id)),
            Some((kind, backup)) => {
                let place = (event(kind), flag(&Value::from(backup)));
                let at = |hook: &&Hook| (Some(hook.event), Some(hook.backup)) == place;
                self.hooks.values().find(at).map(|hook| hook.id)
            }
        };
        found.ok_or_else(answer::not_found)
    }

    fn shown_hook(&self, id: u64, status: u16) -> Answer {
        self.hooks.get(&id).map(|hook| row(status, self.show_hook(hook))).ok_or_else(answer::not_found)
    }

    pub(super) fn hook(&self, ask: &Ask) -> Answer {
        self.shown_hook(self.hook_id(ask)?, 200)
    }

    pub(super) fn create_hook(&mut self, ask: &Ask) -> Answer {
        if let Some(name) = ask.stranger(MEMBERS) {
            return Err(answer::strange("TEventCallbackUrl", name));
        }
        let given = ask.text("eventtype").unwrap_or("open");
        let Some(kind) = event(given) else {
            return Err(invalid(&json!({ "EventType": "MJ08 Property EventType is invalid" })));
        };
        let hook = Hook {
            id: self.id(),
            event: kind,
            backup: ask.get("isbackup").and_then(flag).unwrap_or(false),
            url: ask.text("url").unwrap_or_default().to_owned(),
            // Left out, it is one call for each event (Mailjet sheet 5.1).
            version: ask.get("version").and_then(number).unwrap_or(1),
            dead: false,
            failing_since: None,
        };
        self.fits(&hook)?;
        let id = hook.id;
        self.hooks.insert(id, hook);
        self.shown_hook(id, 201)
    }

    fn fits(&self, hook: &Hook) -> Result<(), consentd_provider::Response> {
        if is_root(&hook.url) {
            return Err(invalid(&json!({ "Url": "MJ08 Property Url is invalid: a root URL is not allowed" })));
        }
        if !(1..=2).contains(&hook.version) {
            return Err(invalid(&json!({ "Version": "MJ08 Property Version is invalid" })));
        }
        let taken = |other: &Hook| other.id != hook.id && (other.event, other.backup) == (hook.event, hook.backup);
        if self.hooks.values().any(taken) {
            let number = EVENTS.iter().find(|(name, _)| *name == hook.event).map_or(0, |(_, number)| *number);
            let value = format!("{number}|{}", hook.backup);
            return Err(answer::duplicate("EventCallbackURL", &value, "EventType|Backup"));
        }
        Ok(())
    }

    /// Only another URL revives a dead one (Mailjet sheet 5.2).
    pub(super) fn update_hook(&mut self, ask: &Ask) -> Answer {
        let id = self.hook_id(ask)?;
        if let Some(name) = ask.stranger(MEMBERS) {
            return Err(answer::strange("TEventCallbackUrl", name));
        }
        let before = self.hooks.get(&id).cloned().ok_or_else(answer::not_found)?;
        let mut after = before.clone();
        if let Some(kind) = ask.text("eventtype").and_then(event) {
            after.event = kind;
        }
        if let Some(url) = ask.text("url") {
            url.clone_into(&mut after.url);
        }
        after.backup = ask.get("isbackup").and_then(flag).unwrap_or(before.backup);
        after.version = ask.get("version").and_then(number).unwrap_or(before.version);
        self.fits(&after)?;
        if after.url != before.url {
            after.dead = false;
            after.failing_since = None;
            self.courier.move_on(&before.url, &after.url);
        }
        let same = |a: &Hook, b: &Hook| (a.event, a.backup, a.version, &a.url) == (b.event, b.backup, b.version, &b.url);
        let unchanged = same(&before, &after);
        self.hooks.insert(id, after);
        if unchanged && self.switches.is("noop_put", "304") { Ok(bare(304)) } else { self.shown_hook(id, 200) }
    }

    pub(super) fn delete_hook(&mut self, ask: &Ask) -> Answer {
        let id = self.hook_id(ask)?;
        self.hooks.remove(&id);
        Ok(bare(204))
    }
}
