//! What the documents say to type and to look up is there, and the README's first sync is run as it stands.

use crate::tree::{files, source};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

const FIRST_SYNC: &str = "## A first sync in five minutes";

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The shell blocks of a document, in order.
fn blocks(text: &str) -> Vec<&str> {
    text.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// Ports that were free a moment ago.
fn free_ports<const N: usize>() -> [u16; N] {
    let held: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().unwrap().port())
}

/// A stand-in for a checkout: the program is built already, so building it again does nothing.
fn checkout(folder: &Path) -> String {
    let (built, tools) = (folder.join("target/release"), folder.join("tools"));
    fs::create_dir_all(&built).unwrap();
    fs::create_dir_all(&tools).unwrap();
    symlink(env!("CARGO_BIN_EXE_consentd"), built.join("consentd")).unwrap();
    let cargo = tools.join("cargo");
    fs::write(&cargo, "#!/bin/sh\n[ \"$*\" = 'build --release' ]\n").unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", tools.display(), std::env::var("PATH").unwrap())
}

/// One script of all blocks, each announced, with free ports. What tells of the webhook is told again until it has come.
fn script(blocks: &[&str], [brevo, mailjet, daemon]: [u16; 3]) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for block in blocks {
        script += "echo '== next'\n";
        if block.contains("consent history") {
            script += "until told=$(";
            script += block;
            script += ") && grep -q 'in effect' <<<\"$told\"; do :; done\necho \"$told\"\n";
        } else {
            script += block;
            script += "\n";
        }
    }
    script += "wait\n";
    script
        .replace("3001", &brevo.to_string())
        .replace("3002", &mailjet.to_string())
        .replace("8080", &daemon.to_string())
}

#[test]
fn the_first_sync_works_as_it_is_described() {
    let readme = read("README.md");
    let section = readme.split(FIRST_SYNC).nth(1).expect("the section").split("\n## ").next().unwrap();
    let blocks = blocks(section);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ports = free_ports();
    let file = folder.path().join("first-sync.sh");
    fs::write(&file, script(&blocks, ports)).unwrap();

    let mut bash = Command::new("timeout");
    bash.args(["--kill-after=5", "300", "bash"]).arg(&file).current_dir(folder.path()).stdin(Stdio::null());
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("CONSENTD_") || name.to_lowercase().ends_with("_proxy"))
    {
        bash.env_remove(name);
    }
    let listen = format!("127.0.0.1:{}", ports[2]);
    bash.env("PATH", checkout(folder.path())).env("TMPDIR", folder.path()).env("USER", "mia");
    bash.env("CONSENTD_PUBLIC_URL", format!("http://{listen}")).env("CONSENTD_LISTEN", listen);
    let done = bash.output().expect("bash, curl and timeout are there");
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}\nstdout:\n{out}\nstderr:\n{err}", done.status);

    let told: Vec<&str> = out.split("== next\n").skip(1).collect();
    assert_eq!(told.len(), blocks.len(), "{out}");
    let of = |part: &str| {
        let found =
            blocks.iter().rposition(|block| block.contains(part)).unwrap_or_else(|| panic!("no block with {part}"));
        told[found]
    };
    for (part, words) in [
        ("import run", "never asked"),
        ("import run", "0 recipients available (3 people found)"),
        ("readyz", "\"workers\":true"),
        ("readyz", "healthy"),
        ("--lang de", "Akzeptiert"),
        ("sync run", "waits for a person: first run of this connection"),
        ("sync run", "outcome: applied 1"),
        ("_sandbox/mailable", "subscribed"),
        ("_sandbox/mailable", "{\"addresses\":[\"ada@example.org\"],\"count\":1,"),
        ("unsubscribes", "{\"happened\":true}"),
        ("consent history", "provider unsubscribed"),
        ("consent history", "sound"),
    ] {
        let text = of(part);
        assert!(text.contains(words), "the block with `{part}` does not tell `{words}`, but:\n{text}\nstderr:\n{err}");
    }
}

/// The documents for people.
fn documents() -> Vec<crate::tree::File> {
    let mut all = files("docs", ".md");
    all.extend(files("providers", ".md"));
    for name in ["README.md", "CHANGELOG.md"] {
        all.push(crate::tree::File { path: name.into(), text: read(name) });
    }
    all
}

/// Says what is wrong with a command as a document names it, if anything.
fn wrong(words: &str) -> Option<String> {
    let mut command = consentd::cli::command();
    command.build();
    let (mut command, mut inside) = (&command, true);
    for word in words.split_whitespace().skip(1) {
        let word = word.trim_end_matches(['`', ',', '.', ';', ')']);
        if let Some(option) = word.strip_prefix("--") {
            let option = option.split('=').next().unwrap();
            let known = command.get_arguments().any(|argument| argument.get_long() == Some(option));
            if !known && !["help", "version"].contains(&option) {
                return Some(format!("`{words}`: {} has no --{option}", command.get_name()));
            }
            inside = false;
        } else if inside {
            match command.find_subcommand(word) {
                Some(found) => command = found,
                None if !command.has_subcommands() || word.starts_with(['…', '<']) || word == "COMMAND" => {
                    inside = false;
                }
                None => return Some(format!("`{words}`: {} has no {word}", command.get_name())),
            }
        }
    }
    None
}

/// Spans in backticks that begin with the program's name.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|span| span.starts_with("consentd ") && !span.contains('\n'))
}

#[test]
fn every_command_of_the_documents_exists() {
    let mut found: Vec<String> = Vec::new();
    for file in documents() {
        let lines = blocks(&file.text).into_iter().flat_map(str::lines).filter(|line| line.starts_with("consentd "));
        let prose = file.text.split("```").step_by(2).flat_map(spans);
        found.extend(lines.chain(prose).filter_map(wrong).map(|words| format!("{}: {words}", file.path)));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    assert!(wrong("consentd webhook register").is_some() && wrong("consentd sync run mail --now").is_some());
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for file in documents() {
        let folder = root.join(&file.path).parent().unwrap().to_owned();
        for link in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if !link.contains("://") && !target.is_empty() && !folder.join(target).exists() {
                found.push(format!("{}: {link}", file.path));
            }
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_metric_and_every_incident_is_explained_to_who_runs_it() {
    let mut names = BTreeSet::new();
    for file in files("src", ".rs") {
        let texts = source(&file.text).texts;
        names.extend(texts.iter().map(|(_, text)| text.clone()).filter(|text| text.starts_with("consentd_")));
        // The kind is the third argument, unless a variable holds it.
        for call in file.text.split(".raise(").skip(1) {
            let kind = call.split(',').nth(2).unwrap().trim();
            names.extend(kind.strip_prefix('"').and_then(|kind| kind.strip_suffix('"')).map(str::to_owned));
        }
    }
    let manual = read("docs/OPERATING.md");
    let missing: Vec<_> = names.iter().filter(|name| !manual.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/OPERATING.md does not explain {missing:?}");
    assert!(names.len() > 20, "{names:?}");
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let manual = read("docs/OPERATING.md");
    let dashboard = read("deploy/grafana-dashboard.json");
    assert!(serde_json::from_str::<serde_json::Value>(&dashboard).unwrap()["panels"].as_array().unwrap().len() > 10);
    for text in [read("deploy/alerts.yml"), dashboard] {
        let mut names = BTreeSet::new();
        for rest in text.split("consentd_").skip(1) {
            names.insert(rest.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap());
        }
        let missing: Vec<_> = names.iter().filter(|name| !manual.contains(&format!("`consentd_{name}`"))).collect();
        assert!(missing.is_empty() && names.len() > 8, "not among the metrics: {missing:?} of {names:?}");
    }
    let kinds = manual.split("\n## Incidents\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let named = read("deploy/alerts.yml");
    let named = named.split("incident ").skip(1).filter(|rest| !rest.starts_with('{'));
    for kind in named.map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap()) {
        assert!(kinds.contains(&format!("`{kind}`")), "no incident {kind}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let manual = read("docs/ARCHITECTURE.md");
    let promises = manual.split("\n## Promises\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let named = promises.split('`').skip(1).step_by(2).filter(|span| {
        span.matches('_').count() > 1
            && span.chars().all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter))
    });
    let sources: Vec<_> = ["src", "tests"].into_iter().flat_map(|folder| files(folder, ".rs")).collect();
    let known = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let missing: Vec<&str> = named.filter(|name| !known(name)).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names tests that are not there: {missing:?}");
    for number in 1..=20 {
        assert!(promises.contains(&format!("\n| I{number} |")), "I{number} is missing");
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let pages: String = files("docs/adr", ".md").into_iter().map(|file| file.text).collect();
    let reasons = |name: &str| pages.contains(&format!("`{name}`")) || pages.contains(&format!("**{name}**"));
    let dependencies = manifest["workspace"]["dependencies"].as_table().unwrap();
    let missing: Vec<_> = dependencies.keys().filter(|name| !name.starts_with("consentd-") && !reasons(name)).collect();
    assert!(missing.is_empty(), "docs/adr does not say what {missing:?} are for");
}
