//! Who may use whom. The table in `src/lib.rs` is for people; this one is held to.

use crate::tree::{self, Source};
use std::collections::BTreeSet;

/// The rings, inner ones first. A module may use the rings above its own, and what its line names beside that.
const RINGS: [&[(&str, &[&str])]; 7] = [
    &[("clock", &[]), ("random", &["clock"])],
    &[("domain", &[])],
    &[("store", &[]), ("gateway", &[]), ("mail", &[]), ("source", &[])],
    &[("service", &[])],
    &[("config", &[]), ("worker", &["config"]), ("web", &["config"]), ("sandbox", &["config"])],
    &[("registry", &[]), ("telemetry", &[]), ("app", &["registry", "telemetry"])],
    &[("demo", &[]), ("cli", &["demo"]), ("main", &["cli"])],
];

/// Crates that one module alone may name.
const OWNED: [(&str, &[&str]); 9] = [
    ("sqlx", &["store"]),
    ("rustix", &["store"]),
    ("reqwest", &["gateway"]),
    ("governor", &["gateway", "web"]),
    ("axum", &["web", "sandbox"]),
    ("tower_http", &["web", "sandbox"]),
    ("lettre", &["mail"]),
    ("tokio_cron_scheduler", &["worker"]),
    ("anyhow", &["cli", "demo", "main", "app", "telemetry"]),
];

/// Files that may name a provider: the registry, and texts that tell people which providers there are.
const NAMES_PROVIDERS: [&str; 3] = ["src/registry.rs", "src/cli/demo", "src/demo"];

/// Files that are longer than 400 lines for a reason.
const LONG: [(&str, &str); 7] = [
    ("tests/it/raise.rs", "one walk over all services"),
    ("tests/it/sync.rs", "the main job as one collection of stories"),
    ("providers/contract/tests/toy/adapter.rs", "a whole adapter, to be read from top to bottom"),
    ("src/demo/story.rs", "one story, told from its beginning to its end"),
    ("tests/it/cli.rs", "one test a command; to be split by noun"),
    ("src/domain/consent.rs", "the whole vocabulary of acts in one place, nearly all of it documentation"),
    ("src/store/run.rs", "to be split by noun"),
];

/// The ring of a module, and the modules it may use.
fn may_use(module: &str) -> BTreeSet<&'static str> {
    let mut inner = BTreeSet::new();
    for ring in RINGS {
        if let Some((own, beside)) = ring.iter().find(|(name, _)| *name == module) {
            inner.insert(*own);
            inner.extend(beside.iter().copied());
            return inner;
        }
        inner.extend(ring.iter().map(|(name, _)| *name));
    }
    panic!("{module} stands in no ring: give it a place in src/lib.rs and here");
}

/// The module of this crate that a file belongs to; `None` for `lib.rs`.
fn module(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then_some(name)
}

/// How many modules deep a file lies below the crate's root.
fn depth(path: &str) -> usize {
    let parts = path.strip_prefix("src/").unwrap_or(path).split('/').count();
    if path.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// The modules that follow `crate::` in the code, groups in braces taken apart.
fn used_modules(code: &str) -> Vec<(usize, String)> {
    let mut used = Vec::new();
    for (line, word, end) in tree::words(code) {
        if !matches!(word, "crate" | "consentd") {
            continue;
        }
        let Some(rest) = code[end..].strip_prefix("::") else { continue };
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut at_start = true;
            for (index, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => at_start = true,
                    _ if c.is_whitespace() => {}
                    _ if at_start && depth == 0 => {
                        used.extend(tree::words(&group[index..]).next().map(|(_, word, _)| (line, word.to_owned())));
                        at_start = false;
                    }
                    _ => {}
                }
            }
        } else {
            used.extend(tree::words(rest).next().map(|(_, word, _)| (line, word.to_owned())));
        }
    }
    used
}

fn sources() -> Vec<(String, Source)> {
    tree::files("src", ".rs").into_iter().map(|file| (file.path, tree::source(&file.text))).collect()
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_module_uses_inner_rings_only() {
    let mut found = Vec::new();
    for (path, source) in sources() {
        let Some(module) = module(&path) else { continue };
        let allowed = may_use(module);
        for (line, used) in used_modules(&source.code) {
            if !allowed.contains(used.as_str()) {
                found.push(format!("{path}:{line}: `{module}` may not use `{used}`"));
            }
        }
    }
    report(&found);
}

#[test]
fn no_path_climbs_out_of_its_module() {
    let mut found = Vec::new();
    for (path, source) in sources() {
        // Inside an inline module (`mod tests`) one `super` more is still at home.
        let inline = usize::from(source.code.contains("mod tests {"));
        let climb = "super::".repeat(depth(&path) + inline);
        if module(&path).is_some() && source.code.contains(&climb) {
            found.push(format!("{path}: say `crate::` where another module is meant"));
        }
    }
    report(&found);
}

#[test]
fn groups_of_imports_are_taken_apart() {
    let code = "use crate::{store::{Db, Tx}, gateway};\nuse crate::clock::DAY;\nlet x = consentd::web::y();";
    let used: Vec<String> = used_modules(code).into_iter().map(|(_, used)| used).collect();
    assert_eq!(used, ["store", "gateway", "clock", "web"]);
}

/// I3.
#[test]
fn the_rules_read_no_clock_and_draw_no_chance() {
    let mut found = Vec::new();
    for (path, source) in sources().into_iter().filter(|(path, _)| path.starts_with("src/domain/")) {
        for (line, word, _) in tree::words(&source.code) {
            if matches!(word, "Clock" | "Random" | "async" | "await" | "tokio" | "tracing" | "fs" | "io" | "env") {
                found.push(format!("{path}:{line}: `{word}` has no place in a pure rule"));
            }
        }
    }
    report(&found);
}

#[test]
fn every_outside_crate_has_one_door() {
    let mut found = Vec::new();
    for (path, source) in sources() {
        let Some(module) = module(&path) else { continue };
        for (line, word, end) in tree::words(&source.code) {
            let is_path = source.code[end..].starts_with("::");
            let owners = OWNED.iter().find(|(name, _)| *name == word).map(|(_, owners)| *owners);
            if let Some(owners) = owners.filter(|owners| is_path && !owners.contains(&module)) {
                found.push(format!("{path}:{line}: only {owners:?} may name `{word}`"));
            }
        }
    }
    report(&found);
}

#[test]
fn only_the_registry_knows_providers_by_name() {
    let mut found = Vec::new();
    let named = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.contains("mailjet") || text.contains("brevo")
    };
    for file in tree::files("src", "") {
        if NAMES_PROVIDERS.iter().any(|allowed| file.path.starts_with(allowed)) {
            continue;
        }
        let hit = if file.path.rsplit('.').next() == Some("rs") {
            let source = tree::source(&file.text);
            named(&source.code) || source.texts.iter().any(|(_, text)| named(text))
        } else {
            named(&file.text)
        };
        if hit {
            found.push(format!("{} names a provider", file.path));
        }
    }
    report(&found);
}

#[test]
fn adapters_depend_on_the_contract_only() {
    let forbidden = ["tokio", "reqwest", "sqlx", "axum", "governor", "tracing", "chrono", "getrandom", "consentd"];
    let mut found = Vec::new();
    for file in tree::files("providers", "Cargo.toml") {
        let manifest: toml::Table = file.text.parse().unwrap();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap();
        for name in dependencies.keys() {
            let other_adapter = name.starts_with("consentd-provider-");
            if forbidden.contains(&name.as_str()) || other_adapter {
                found.push(format!("{} depends on {name}", file.path));
            }
        }
    }
    report(&found);
}

#[test]
fn files_stay_short() {
    let mut found = Vec::new();
    let folders = ["src", "providers", "tests"];
    let files: Vec<_> = folders.iter().flat_map(|folder| tree::files(folder, ".rs")).collect();
    for file in &files {
        let lines = file.text.lines().count();
        let excused = LONG.iter().any(|(path, _)| *path == file.path);
        if lines > 400 && !excused {
            found.push(format!("{} has {lines} lines: split it by noun", file.path));
        }
    }
    for (path, _) in LONG {
        let still = files.iter().any(|file| file.path == path && file.text.lines().count() > 400);
        if !still {
            found.push(format!("{path} is short again: take it off the list"));
        }
    }
    report(&found);
}
