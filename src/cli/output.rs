//! Tables for people, JSON for programs.

use crate::cli::{CliError, Context};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

/// Prints data: one JSON document for programs, or what `human` prints.
pub(super) fn data<T: Serialize>(context: &Context, data: &T, human: impl FnOnce()) {
    if context.global.json {
        println!("{}", json!({ "v": 1, "data": data }));
    } else {
        human();
    }
}

/// Prints an error.
pub(super) fn failure(context: &Context, error: &CliError) {
    if context.global.json {
        println!("{}", json!({ "v": 1, "error": { "code": error.code, "message": error.message } }));
    } else {
        eprintln!("error: {}", error.message);
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
