//! Tables for people, JSON for programs.

use crate::cli::{CliError, Context};
use crate::clock::{SECOND, Timestamp};
use chrono::{DateTime, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal, Write};

/// Prints data: one JSON document for programs, or what `human` says.
pub(super) fn data<T: Serialize>(context: &Context, data: &T, human: impl FnOnce() -> String) {
    if context.global.json {
        text(&json!({ "v": 1, "data": data }).to_string());
    } else {
        text(&human());
    }
}

/// Prints text to standard output. A reader who has hung up has read enough.
pub(super) fn text(text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        drop(writeln!(std::io::stdout().lock(), "{text}"));
    }
}

/// Prints an error.
pub(super) fn failure(json: bool, error: &CliError) {
    if json {
        let error = json!({ "code": error.code, "message": error.message, "hint": error.hint });
        text(&json!({ "v": 1, "error": error }).to_string());
    } else {
        eprintln!("error: {}", error.message);
        if !error.hint.is_empty() {
            eprintln!("{}", error.hint);
        }
    }
}

/// A hint for people, on standard error.
pub(super) fn hint(context: &Context, words: &str) {
    if !context.global.quiet && !context.global.json {
        eprintln!("{words}");
    }
}

/// A table with these column heads.
pub(super) fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(heads);
    table
}

/// A table without the blanks that fill its lines up.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.trim().to_owned() + "\n").collect()
}

/// Names and values, one pair a line.
pub(super) fn facts(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:width$}  {value}").trim_end().to_owned() + "\n").collect()
}

/// An instant for programs: RFC 3339 in UTC.
pub(super) fn instant(at: Timestamp) -> String {
    DateTime::<Utc>::from_timestamp_micros(at)
        .map_or_else(String::new, |at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

/// An instant for people, in a time zone of theirs.
pub(super) fn time(at: Timestamp, zone: &str) -> String {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    DateTime::<Utc>::from_timestamp_micros(at)
        .map_or_else(String::new, |at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string())
}

/// How far long work is, on standard error: redrawn on a terminal, a plain line every few seconds otherwise.
pub(super) struct Progress {
    shown: bool,
    terminal: bool,
    last: Option<Timestamp>,
}

impl Progress {
    /// Nothing was shown yet.
    pub(super) fn new(context: &Context) -> Self {
        Self { shown: !context.global.quiet, terminal: std::io::stderr().is_terminal(), last: None }
    }

    /// Shows how far the work is, unless that was shown a moment ago.
    pub(super) fn tick(&mut self, now: Timestamp, words: &str) {
        let pause = if self.terminal { SECOND / 10 } else { 5 * SECOND };
        // Away from a terminal, work that is short needs no line at all.
        let begun = *self.last.get_or_insert(if self.terminal { 0 } else { now });
        if !self.shown || now - begun < pause {
            return;
        }
        self.last = Some(now);
        if self.terminal {
            eprint!("\r\x1b[K{words}");
            drop(std::io::stderr().flush());
        } else {
            eprintln!("{words}");
        }
    }

    /// Leaves the line free for what comes next.
    pub(super) fn end(&self) {
        if self.terminal && self.last.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
