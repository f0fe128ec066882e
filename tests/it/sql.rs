//! Four walks over the SQL files in place of a check at compile time.

use crate::tree::{self, File};
use crate::world::{Engine, World};
use consentd::store::Db;
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};
use std::collections::{BTreeMap, BTreeSet};

const FOLDER: &str = "src/store/sql";

/// The only file whose statements are put together in Rust.
const DYNAMIC: &str = "src/store/search.rs";

fn statements() -> Vec<File> {
    tree::files(FOLDER, ".sql")
}

/// A file's name without folder and ending, and the engine that it is for, if for one only.
fn name(path: &str) -> (&str, Option<Engine>) {
    let name = path.strip_prefix("src/store/sql/").unwrap().strip_suffix(".sql").unwrap();
    if let Some(name) = name.strip_suffix(".sqlite") {
        (name, Some(Engine::Sqlite))
    } else if let Some(name) = name.strip_suffix(".postgres") {
        (name, Some(Engine::Postgres))
    } else {
        (name, None)
    }
}

/// The text as it is sent for one row.
fn complete(text: &str) -> String {
    let Some((before, _)) = text.split_once("/*rows*/") else { return text.to_owned() };
    let begin = before.find('(').expect("a list of columns");
    let end = before.find(')').expect("a list of columns");
    let columns = before[begin..end].split(',').count();
    let row: Vec<String> = (1..=columns).map(|number| format!("${number}")).collect();
    text.replacen("/*rows*/", &format!("({})", row.join(",")), 1)
}

/// The numbers of the placeholders.
fn placeholders(text: &str) -> BTreeSet<u32> {
    text.split('$')
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .collect()
}

fn report(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

async fn prepare_all(engine: Engine) {
    let world = World::new(engine).await;
    let mut found = Vec::new();
    for file in statements() {
        if name(&file.path).1.is_some_and(|only| only != engine) {
            continue;
        }
        let text = AssertSqlSafe(complete(&file.text)).into_sql_str();
        let prepared = match &world.core.store.db {
            Db::Sqlite { write, .. } => write.prepare(text).await.map(drop),
            Db::Pg(pool) => pool.prepare(text).await.map(drop),
        };
        if let Err(error) = prepared {
            found.push(format!("{} on {engine:?}: {error}", file.path));
        }
    }
    world.end().await;
    report(&found);
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    prepare_all(Engine::Sqlite).await;
}

#[tokio::test]
async fn every_statement_prepares_on_postgres() {
    prepare_all(Engine::Postgres).await;
}

/// I12.
#[test]
fn every_statement_names_its_tenant_or_says_why_not() {
    let mut found = Vec::new();
    for file in statements() {
        let code: String = file.text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let host = file.text.strip_prefix("-- scope: host, ").and_then(|rest| rest.lines().next());
        let has_reason = host.is_some_and(|reason| reason.trim().len() > 10);
        if !code.contains("tenant_id") && !has_reason {
            found.push(format!("{} names no tenant_id and gives no reason (`-- scope: host, …`)", file.path));
        }
    }
    report(&found);
}

#[test]
fn every_statement_is_used_exactly_once() {
    let mut wanted: BTreeMap<(String, bool), u32> = BTreeMap::new();
    for file in statements() {
        let (name, engine) = name(&file.path);
        wanted.insert((name.to_owned(), engine.is_some()), 0);
    }
    let mut found = Vec::new();
    for file in tree::files("src", ".rs") {
        let source = tree::source(&file.text);
        // The lexer empties the texts, so the macro's argument is read from the file itself.
        let calls = source.code.matches("sql!(").count();
        let mut seen = 0;
        for call in file.text.split("sql!(").skip(1) {
            let (split, rest) = call.strip_prefix("split ").map_or((false, call), |rest| (true, rest));
            let Some(rest) = rest.strip_prefix('"') else { continue };
            let Some((name, _)) = rest.split_once('"') else { continue };
            seen += 1;
            match wanted.get_mut(&(name.to_owned(), split)) {
                Some(count) => *count += 1,
                None => found.push(format!("{} asks for {name}, which is no file", file.path)),
            }
        }
        if seen != calls {
            found.push(format!("{}: {calls} calls of sql!, but {seen} with a plain name", file.path));
        }
    }
    for ((name, _), count) in wanted {
        if count != 1 {
            found.push(format!("{FOLDER}/{name} is used {count} times"));
        }
    }
    report(&found);
}

#[test]
fn a_split_statement_has_both_halves_and_the_same_placeholders() {
    let mut halves: BTreeMap<String, Vec<BTreeSet<u32>>> = BTreeMap::new();
    let mut found = Vec::new();
    for file in statements() {
        let numbers = placeholders(&file.text);
        if numbers.iter().copied().ne(1..=u32::try_from(numbers.len()).unwrap()) {
            found.push(format!("{} skips a placeholder: {numbers:?}", file.path));
        }
        let (name, engine) = name(&file.path);
        if engine.is_some() {
            halves.entry(name.to_owned()).or_default().push(numbers);
        }
    }
    for (name, halves) in halves {
        if halves.len() != 2 || halves[0] != halves[1] {
            found.push(format!("{name}: the two halves differ in their placeholders: {halves:?}"));
        }
    }
    report(&found);
}

#[test]
fn no_statement_reads_the_clock_or_draws_chance() {
    let mut found = Vec::new();
    for file in statements() {
        let text = file.text.to_ascii_lowercase();
        for forbidden in ["now()", "random()", "current_timestamp", "strftime", "gen_random_uuid", "unixepoch"] {
            if text.contains(forbidden) {
                found.push(format!("{} holds {forbidden}: time and chance are parameters", file.path));
            }
        }
    }
    report(&found);
}

#[test]
fn no_statement_stands_in_rust() {
    let verbs = ["select", "insert", "update", "delete", "with", "replace", "create", "drop", "alter", "pragma"];
    let mut found = Vec::new();
    for file in tree::files("src", ".rs").into_iter().filter(|file| file.path != DYNAMIC) {
        let source = tree::source(&file.text);
        for (line, text) in &source.texts {
            let mut words = text.split_whitespace();
            let (first, next) = (words.next().unwrap_or_default(), words.next());
            let is_verb = verbs.contains(&first.to_ascii_lowercase().as_str()) && first == first.to_ascii_uppercase();
            if is_verb && next.is_some() {
                found.push(format!("{}:{line}: a statement belongs into {FOLDER}: {first} …", file.path));
            }
        }
        let builds = file.path != "src/store/db.rs" && source.code.contains(".built(");
        if builds {
            found.push(format!("{}: only {DYNAMIC} may build a statement", file.path));
        }
        for (line, word, _) in tree::words(&source.code) {
            if word.starts_with("query")
                && source.code.contains(&format!("sqlx::{word}"))
                && file.path != "src/store/db.rs"
            {
                found.push(format!("{}:{line}: statements run through store/db.rs, not by sqlx::{word}", file.path));
            }
        }
    }
    report(&found);
}
