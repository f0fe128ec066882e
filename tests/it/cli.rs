//! The real program in a folder of its own: what a newcomer types, what programs read, what may go wrong.

use crate::desk::{Desk, KEY, SECRET};
use consentd::domain::ids::{ConnectionId, InboxId, TenantId};
use consentd::store::{Db, NewDelivery};
use serde_json::Value;
use std::process::Stdio;

#[test]
fn a_newcomers_first_steps() {
    let desk = Desk::furnished();

    let shown = desk.run(&["consent", "show", "ada@example.org", "--lang", "de"]).with(0);
    assert!(shown.out.contains("Nicht angefragt"), "{}", shown.out);
    assert!(shown.out.contains("may be done by the recipient only"), "{}", shown.out);

    let link = desk.run(&["consent", "request", "ada@example.org", "--basis", "customer"]).with(0);
    assert!(link.out.starts_with("http://127.0.0.1:8080/c/"), "{}", link.out);
    let shown = desk.run(&["consent", "show", "ada@example.org", "--lang", "fr"]).with(0);
    assert!(shown.out.contains("En attente de réponse"), "{}", shown.out);

    let words = ["consent", "withdraw", "ada@example.org", "--reason", "objected by phone", "--yes", "--lang", "es"];
    let withdrawn = desk.run(&words).with(0);
    assert!(withdrawn.out.contains("Rechazado"), "{}", withdrawn.out);

    let asked_again = desk.run(&["consent", "request", "ada@example.org", "--basis", "customer"]).with(4);
    assert!(asked_again.err.contains("only the person can change that"), "{}", asked_again.err);

    let history = desk.run(&["consent", "history", "ada@example.org"]).with(0);
    for words in
        ["imported", "request sent", "withdrawn", "operator: mia", "reason: objected by phone", "file: crm.csv"]
    {
        assert!(history.out.contains(words), "{words} is missing:\n{}", history.out);
    }
    let verified = desk.run(&["verify"]).with(0);
    assert!(verified.out.contains("sound"), "{}", verified.out);
    desk.run(&["verify", "--rebuild"]).with(0);
}

#[test]
fn data_for_programs_is_one_document_with_stable_words() {
    let desk = Desk::furnished();
    for words in [
        &["tenant", "list"][..],
        &["tenant", "show"],
        &["purpose", "list"],
        &["connection", "list"],
        &["connection", "show", "mail"],
        &["consent", "show", "ada@example.org"],
        &["consent", "history", "ada@example.org"],
        &["import", "check", "crm.csv"],
        &["sync", "run", "mail"],
        &["sync", "status", "mail"],
        &["sync", "errors", "mail"],
        &["webhook", "list"],
        &["incident", "list"],
        &["verify"],
        &["migrate", "--check"],
        &["key", "rotate"],
        &["doctor", "--offline"],
    ] {
        let done = desk.run(&[words, &["--json", "--lang", "de"]].concat()).with(0);
        assert!(done.document().get("data").is_some(), "{words:?}: {}", done.out);
    }
    let shown = desk.run(&["consent", "show", "ada@example.org", "--json", "--lang", "de"]).data();
    assert_eq!(shown["purposes"][0]["status"], "not_asked");
    assert_eq!(shown["purposes"][0]["last"], serde_json::json!({ "said": "imported", "by": "operator" }));
    let request = &shown["purposes"][0]["next"][0];
    assert_eq!((&request["action"], &request["allowed"]), (&Value::from("request"), &Value::from(true)));
    let history = desk.run(&["consent", "history", "ada@example.org", "--json"]).data();
    let addresses: Vec<&str> = history.as_array().unwrap().iter().map(|l| l["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["ada@example.org", "ADA@example.org"]);
    let connection = desk.run(&["connection", "show", "--json"]).data();
    assert_eq!((&connection["state"], &connection["list"]), (&Value::from("shadow"), &Value::from("17")));
}

#[test]
fn errors_have_their_code_for_people_and_for_programs() {
    let desk = Desk::furnished();
    for (words, code, word) in [
        (&["tenant", "show", "--tenant", "nobody"][..], 3, "not_found"),
        (&["connection", "show", "nothing"], 3, "not_found"),
        (&["consent", "show", "eve@example.org"], 3, "not_found"),
        (&["consent", "history", "eve@example.org"], 3, "not_found"),
        (&["consent", "show", "eve.example.org"], 2, "usage"),
        (&["consent", "clear-bounce", "ada@example.org", "--reason", "x"], 4, "denied"),
        (&["consent", "annul", "ada@example.org", "--with", "jo", "--reason", "x", "--yes"], 4, "denied"),
        (&["consent", "annul", "ada@example.org", "--with", "MIA", "--reason", "x", "--yes"], 2, "invalid"),
        (&["tenant", "create", "lindner", "--legal-name", "x"], 4, "taken"),
        (&["tenant", "create", "No Name", "--legal-name", "x"], 2, "invalid"),
        (&["tenant", "set", "--time-zone", "Mars/Base"], 2, "invalid"),
        (&["connection", "set", "mail", "--cron", "often"], 2, "invalid"),
        (&["connection", "set", "mail", "--map", "email=EMAIL"], 2, "invalid"),
        (&["connection", "pause", "mail"], 4, "conflict"),
        (&["connection", "resume", "mail"], 4, "conflict"),
        (&["connection", "add", "second", "--provider", "nobody", "--key-file", "mail.key"], 3, "not_found"),
        (&["sync", "confirm", "mail"], 4, "conflict"),
        (&["sync", "cancel", "mail"], 4, "conflict"),
        (&["sync", "diff", "mail"], 4, "never_walked"),
        (&["import", "run", "gone.csv"], 2, "usage"),
        (&["incident", "close", "mail", "nothing"], 3, "not_found"),
        (&["webhook", "show", "0199f2c4-7d5e-7c3a-9b1f-2f6d1c0a8e55"], 3, "not_found"),
        (&["webhook", "replay", "0199f2c4-7d5e-7c3a-9b1f-2f6d1c0a8e55"], 3, "not_found"),
        (&["--config", "gone.toml", "tenant", "list"], 2, "configuration"),
        (&["purpose", "set", "--major"], 2, "usage"),
        (&["tenant", "lst"], 2, "usage"),
    ] {
        let people = desk.run(words).with(code);
        assert!(people.out.is_empty(), "{words:?}: {}", people.out);
        assert!(people.err.contains("error: "), "{words:?}: {}", people.err);
        let programs = desk.run(&[words, &["--json"]].concat()).with(code).document();
        assert_eq!(programs["error"]["code"], word, "{words:?}: {programs}");
        assert!(!programs["error"]["message"].as_str().unwrap().is_empty());
        assert!(programs["error"]["hint"].is_string());
    }
}

#[test]
fn nothing_is_changed_without_the_confirmation_it_needs() {
    let desk = Desk::furnished();
    desk.run(&["tenant", "set", "--allow-legacy-proof", "off"]).with(0);
    let before = desk.lines();
    for words in [
        &["consent", "withdraw", "ada@example.org", "--reason", "x"][..],
        &["consent", "erase", "ada@example.org", "--reason", "x"],
        &["consent", "annul", "ada@example.org", "--with", "jo", "--reason", "x"],
        &["tenant", "set", "--allow-legacy-proof", "on"],
        &["purpose", "set", "--text", "Something else.", "--major"],
        &["connection", "credentials", "mail"],
        &["connection", "add", "second", "--provider", "mailjet"],
    ] {
        let done = desk.run(&[words, &["--no-input"]].concat()).with(2);
        assert!(done.err.contains("Nothing was changed"), "{words:?}: {}", done.err);
    }
    assert_eq!(desk.lines(), before);
    assert_eq!(desk.run(&["tenant", "show", "--json"]).data()["allow_legacy_proof"], false);
    assert_eq!(desk.run(&["purpose", "list", "--json"]).data()[0]["text_version"], 1);
    assert_eq!(desk.run(&["connection", "list", "--json"]).data().as_array().unwrap().len(), 1);
    desk.run(&["tenant", "set", "--allow-legacy-proof", "on", "--no-input", "--yes"]).with(0);
    assert_eq!(desk.run(&["tenant", "show", "--json"]).data()["allow_legacy_proof"], true);
}

#[test]
fn secrets_are_never_printed_and_addresses_never_reach_the_error_stream() {
    let desk = Desk::furnished();
    let master = std::fs::read_to_string(desk.path("consentd.key")).unwrap();
    for words in [
        &["connection", "list"][..],
        &["connection", "show", "mail"],
        &["connection", "set", "mail", "--cron", "0 2 * * *"],
        &["connection", "credentials", "mail", "--key-file", "mail.key"],
        &["connection", "test", "mail"],
        &["connection", "add", "third", "--provider", "mailjet", "--key-file", "crm.csv"],
        &["consent", "show", "ada@example.org"],
        &["consent", "show", "ada@@example.org"],
        &["consent", "show", "eve@example.org"],
        &["consent", "withdraw", "ada@example.org", "--reason", "x", "--yes"],
        &["consent", "history", "ada@example.org"],
        &["consent", "request", "ada@example.org", "--basis", "customer"],
        &["import", "run", "crm.csv"],
        &["sync", "plan", "mail"],
        &["doctor", "--offline"],
        &["key", "rotate"],
        &["init"],
    ] {
        for more in [&["--verbose"][..], &["--verbose", "--json"]] {
            let done = desk.run(&[words, more].concat());
            for secret in [SECRET, KEY, master.trim()] {
                assert!(!done.out.contains(secret) && !done.err.contains(secret), "{words:?} prints a secret");
            }
            assert!(!done.err.contains("example.org"), "{words:?}: {}", done.err);
        }
    }
    let database = std::fs::read(desk.path("consentd.db")).unwrap();
    assert!(!database.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
}

#[test]
fn every_command_says_what_it_does_and_gives_an_example() {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let mut command = command.clone();
        let help = command.render_long_help().to_string();
        let name = command.get_name().to_owned();
        let path = if path.is_empty() { name } else { format!("{path} {name}") };
        if !help.contains(&format!("Example: {path}")) {
            found.push(format!("{path}: no example that begins with it"));
        }
        if command.get_about().is_none_or(|about| about.to_string().starts_with("See")) {
            found.push(format!("{path}: no sentence"));
        }
        for argument in command.get_arguments() {
            if argument.get_help().is_none() {
                found.push(format!("{path}: {} is not explained", argument.get_id()));
            }
        }
        // clap writes the command `help` itself.
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            walk(inner, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&consentd::cli::command(), "", &mut found);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
    consentd::cli::command().debug_assert();
}

#[test]
fn one_of_several_tenants_must_be_named() {
    let desk = Desk::furnished();
    desk.run(&["tenant", "create", "weber", "--legal-name", "Weber GmbH"]).with(0);
    let unnamed = desk.run(&["consent", "show", "ada@example.org"]).with(2);
    assert!(unnamed.err.contains("--tenant"), "{}", unnamed.err);
    desk.run(&["consent", "show", "ada@example.org", "--tenant", "lindner"]).with(0);
    desk.run(&["consent", "show", "ada@example.org", "--tenant", "weber"]).with(3);
    assert_eq!(desk.run(&["verify", "--json"]).with(0).data().as_array().unwrap().len(), 2);
}

#[test]
fn credentials_come_from_standard_input_too() {
    let desk = Desk::new();
    desk.run(&["tenant", "create", "lindner", "--legal-name", "Lindner GmbH"]).with(0);
    let words = ["connection", "add", "mail", "--provider", "mailjet"];
    let missing = desk.run_with_input(&words, "api_key=one\n").with(2);
    assert!(missing.err.contains("`secret_key` is missing"), "{}", missing.err);
    desk.run_with_input(&words, "api_key=one\nsecret_key=two\n").with(0);
    desk.run_with_input(&["connection", "credentials", "--key-file", "-"], "api_key=three\nsecret_key=four\n").with(0);
}

#[test]
fn a_withdrawal_entered_by_mistake_is_taken_back_by_two() {
    let desk = Desk::furnished();
    desk.run(&["consent", "withdraw", "ada@example.org", "--reason", "x", "--yes"]).with(0);
    desk.run(&["consent", "annul", "ada@example.org", "--with", "jo", "--reason", "wrong Ada", "--yes"]).with(0);
    for spelling in ["ada@example.org", "ADA@example.org"] {
        let shown = desk.run(&["consent", "show", spelling, "--json"]).with(0).data();
        assert_eq!(shown["purposes"][0]["status"], "not_asked");
        assert_eq!(shown["suppressed"], serde_json::json!([]), "the entry goes with its cause");
    }
    desk.run(&["consent", "request", "ada@example.org", "--basis", "vouched", "--note", "jo spoke to her"]).with(0);
}

/// I13.
#[test]
fn an_erased_person_leaves_no_evidence_and_stays_out() {
    let desk = Desk::furnished();
    desk.run(&["consent", "erase", "ada@example.org", "--reason", "ticket 9", "--yes"]).with(0);
    let history = desk.run(&["consent", "history", "ada@example.org", "--json"]).with(0).data();
    assert!(history.as_array().unwrap().iter().all(|line| line["erased"] == true && line["evidence"].is_null()));
    assert_eq!(desk.run(&["verify", "--json"]).with(0).data()[0]["found"]["erased"], 4);
    let shown = desk.run(&["consent", "show", "ada@example.org", "--json"]).with(0).data();
    assert_eq!(shown["purposes"][0]["flags"], serde_json::json!(["erased"]));
    assert!(shown["purposes"][0]["next"].as_array().unwrap().iter().all(|next| next["allowed"] == false), "{shown}");
    desk.run(&["import", "run", "crm.csv"]).with(0);
    desk.run(&["consent", "request", "ada@example.org", "--basis", "customer"]).with(4);
}

#[test]
fn a_new_version_of_a_text_counts() {
    let desk = Desk::furnished();
    desk.run(&["purpose", "add", "news", "--name", "News", "--text", "News once a month.", "--validity", "730"])
        .with(0);
    desk.run(&["purpose", "set", "news", "--text", "News once a month!"]).with(0);
    let minor = desk.run(&["purpose", "list", "--json"]).data()[1].clone();
    assert_eq!((&minor["text_version"], &minor["validity_days"]), (&Value::from(1), &Value::from(730)));
    desk.run(&["purpose", "set", "news", "--text", "News and offers.", "--major", "--yes"]).with(0);
    let major = desk.run(&["purpose", "list", "--json"]).data()[1].clone();
    assert_eq!((&major["text_version"], &major["text"]), (&Value::from(2), &Value::from("News and offers.")));
}

#[test]
fn rejected_lines_are_repeated_with_their_reason() {
    let desk = Desk::furnished();
    desk.file("more.csv", "id;email\n8;nobody\n9;carl@example.org\n");
    let checked = desk.run(&["import", "check", "more.csv", "--json"]).with(7).data();
    assert_eq!((&checked["dry"], &checked["verdicts"]["invalid"]), (&Value::from(true), &Value::from(1)));
    desk.run(&["consent", "show", "carl@example.org"]).with(3);
    desk.run(&["import", "run", "more.csv", "--result", "rejected.csv"]).with(7);
    let rejected = std::fs::read_to_string(desk.path("rejected.csv")).unwrap();
    assert!(rejected.contains("8;nobody") && !rejected.contains("carl"), "{rejected}");
    desk.run(&["consent", "show", "carl@example.org"]).with(0);
    let again = desk.run(&["import", "run", "more.csv", "--result", "rejected.csv"]).with(2);
    assert!(again.err.contains("does not exist yet"), "{}", again.err);
}

#[test]
fn the_master_key_is_rotated() {
    let desk = Desk::furnished();
    std::fs::rename(desk.path("consentd.key"), desk.path("old.key")).unwrap();
    desk.run(&["tenant", "list"]).with(5);
    desk.run(&["init"]).with(0);
    desk.run(&["consent", "history", "ada@example.org"]).with(5);
    let config = std::fs::read_to_string(desk.path("consentd.toml")).unwrap();
    std::fs::write(desk.path("consentd.toml"), config.replace("old_files = []", "old_files = [\"old.key\"]")).unwrap();
    let rotated = desk.run(&["key", "rotate", "--json"]).with(0).data();
    assert_eq!(rotated["rewrapped"], 1);
    std::fs::write(desk.path("consentd.toml"), config).unwrap();
    desk.run(&["consent", "history", "ada@example.org"]).with(0);
    assert_eq!(desk.run(&["key", "rotate", "--json"]).with(0).data()["rewrapped"], 0);
}

#[test]
fn the_doctor_names_what_is_wrong_and_the_remedy() {
    let desk = Desk::bare();
    desk.run(&["doctor", "--offline"]).with(7);
    desk.run(&["init"]).with(0);
    let fresh = desk.run(&["doctor", "--offline", "--json"]).with(0).data();
    let checks: Vec<&str> = fresh.as_array().unwrap().iter().map(|found| found["check"].as_str().unwrap()).collect();
    assert!(checks.contains(&"master key") && checks.contains(&"database"), "{checks:?}");
    assert!(!desk.path("consentd.db").exists(), "looking must not make a database");
    let desk = Desk::furnished();
    desk.run(&["doctor", "--offline"]).with(0);
    desk.file("consentd.key", "no key");
    let wrong = desk.run(&["doctor", "--offline"]).with(7);
    assert!(wrong.out.contains("WRONG    master key") && wrong.out.contains("consentd init"), "{}", wrong.out);
    assert!(!wrong.out.contains("no key"), "{}", wrong.out);
}

#[tokio::test]
async fn a_changed_history_does_not_verify() {
    let desk = Desk::furnished();
    let store = desk.store().await;
    let Db::Sqlite { write, .. } = &store.db else { panic!("SQLite") };
    for text in ["DROP TRIGGER statement_no_update", "UPDATE statement SET kind = 'accepted' WHERE seq = 2"] {
        sqlx::query(text).execute(write).await.unwrap();
    }
    store.db.close().await;
    let broken = desk.run(&["verify"]).with(8);
    assert!(broken.out.contains("broken at line 2"), "{}", broken.out);
    assert_eq!(desk.run(&["verify", "--json"]).with(8).data()[0]["sound"], false);
}

#[tokio::test]
async fn deliveries_and_incidents_are_shown_replayed_and_closed() {
    let desk = Desk::furnished();
    let shown = desk.run(&["tenant", "show", "--json"]).data();
    let tenant = TenantId(shown["id"].as_str().unwrap().parse().unwrap());
    let connection = desk.run(&["connection", "show", "--json"]).data();
    let connection = ConnectionId(connection["id"].as_str().unwrap().parse().unwrap());
    let store = desk.store().await;
    let mut tx = store.begin().await.unwrap();
    let delivery = NewDelivery {
        tenant,
        connection,
        id: InboxId(uuid::Uuid::from_u128(7)),
        received_at: 1,
        digest: [7; 32],
        body: b"{\"event\":\"new kind\"}".to_vec(),
        quarantine: Some("too large"),
    };
    tx.keep_deliveries(&[delivery]).await.unwrap();
    tx.raise(tenant, connection, "drift", uuid::Uuid::nil(), "two people differ", 1).await.unwrap();
    tx.commit().await.unwrap();
    store.db.close().await;

    let listed = desk.run(&["webhook", "list", "--state", "quarantined", "--json"]).with(0).data();
    assert_eq!((&listed[0]["connection"], &listed[0]["note"]), (&Value::from("mail"), &Value::from("too large")));
    let id = listed[0]["delivery"].as_str().unwrap();
    assert_eq!(desk.run(&["webhook", "show", id]).with(0).out, "{\"event\":\"new kind\"}\n");
    assert_eq!(desk.run(&["webhook", "replay", "--all", "--json"]).with(0).data()["replayed"], 1);
    assert_eq!(desk.run(&["webhook", "list", "--json"]).with(0).data()[0]["state"], "new");

    assert_eq!(desk.run(&["incident", "list", "--json"]).with(0).data()[0]["kind"], "drift");
    desk.run(&["incident", "close", "mail", "drift"]).with(0);
    assert_eq!(desk.run(&["incident", "list", "--json"]).with(0).data(), serde_json::json!([]));
}

#[test]
fn runs_are_asked_for_once_and_cancelled() {
    let desk = Desk::furnished();
    let asked = desk.run(&["sync", "run", "mail", "--json"]).with(0).data();
    assert_eq!((&asked["state"], &asked["dry"]), (&Value::from("requested"), &Value::from(false)));
    let again = desk.run(&["sync", "run", "mail", "--json"]).with(0).data();
    assert_eq!(asked["run"], again["run"]);
    desk.run(&["sync", "cancel", "mail"]).with(0);
    let status = desk.run(&["sync", "status", "mail", "--json"]).with(0).data();
    assert_eq!((status["runs"].as_array().unwrap().len(), &status["served_by_a_daemon"]), (1, &Value::from(false)));
}

/// Emulated providers, ended with the test.
struct Sandbox {
    child: std::process::Child,
    mailjet: String,
}

impl Sandbox {
    fn start(desk: &Desk) -> Self {
        use std::io::BufRead;
        let mut child =
            desk.command(&["sandbox", "--json"]).stdout(Stdio::piped()).spawn().expect("the sandbox starts");
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let document: Value = serde_json::from_str(&line).expect("a document");
        let mailjet = document["data"]["base_urls"]["mailjet"].as_str().expect("an address").to_owned();
        Self { child, mailjet }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.child.kill().expect("the sandbox ends");
        self.child.wait().expect("the sandbox has ended");
    }
}

#[test]
fn a_first_run_is_planned_confirmed_and_done_here() {
    let desk = Desk::furnished();
    let sandbox = Sandbox::start(&desk);
    desk.run(&["connection", "set", "mail", "--base-url", &sandbox.mailjet, "--map", "first_name=firstname"]).with(0);
    let bound = desk.run(&["connection", "bind", "mail", "--create", "Consent given", "--json"]).with(0).data();
    assert_eq!(bound["list"]["name"], "Consent given");
    let tested = desk.run(&["connection", "test", "mail"]).with(7);
    assert!(tested.out.contains("`firstname`"), "{}", tested.out);
    desk.run(&["connection", "fields", "mail"]).with(7);
    desk.run(&["connection", "fields", "mail", "--create"]).with(0);
    desk.run(&["connection", "test", "mail"]).with(0);
    desk.run(&["connection", "hooks", "mail"]).with(7);
    desk.run(&["connection", "hooks", "mail", "--rotate"]).with(0);
    assert_eq!(desk.run(&["connection", "lists", "mail", "--json"]).with(0).data()[0]["bound"], true);

    let plan = desk.run(&["sync", "plan", "mail", "--here", "--json"]).with(0).data();
    assert_eq!(
        (&plan["state"], &plan["dry"], &plan["people"]),
        (&Value::from("done"), &Value::from(true), &Value::from(2))
    );
    assert_eq!((&plan["skipped"]["not_asked"], &plan["on_list_without_consent"]), (&Value::from(2), &Value::from(0)));

    let run = desk.run(&["sync", "run", "mail", "--here", "--json"]).with(0).data();
    assert_eq!(
        (&run["state"], &run["guard"]),
        (&"awaiting_confirmation".into(), &"first run of this connection".into())
    );
    desk.run(&["sync", "confirm", "mail", "--no-input"]).with(2);
    assert_eq!(desk.run(&["connection", "show", "--json"]).data()["state"], "shadow");
    let done = desk.run(&["sync", "confirm", "mail", "--here", "--yes", "--json"]).with(0).data();
    assert_eq!(done["state"], "done");
    assert_eq!(desk.run(&["connection", "show", "--json"]).data()["state"], "active");
    desk.run(&["sync", "diff", "mail"]).with(0);

    desk.run(&["connection", "pause", "mail"]).with(0);
    desk.run(&["connection", "resume", "mail"]).with(0);
    drop(sandbox);
    desk.run(&["connection", "test", "mail"]).with(6);
}

#[test]
fn an_audience_gives_everybody_a_reason() {
    let desk = Desk::furnished();
    desk.run(&["consent", "withdraw", "bob@example.org", "--reason", "x", "--yes"]).with(0);
    let summary = desk.run(&["audience", "summary", "--json"]).with(0).data()["summary"].clone();
    assert_eq!(summary["people"], 2, "two spellings are one person");
    assert_eq!(summary["reasons"], serde_json::json!({ "not_asked": 1, "withdrawn": 1 }));
    let text = desk.run(&["audience", "summary", "--lang", "de"]).with(0).out;
    assert!(text.contains("ZUSAMMENFASSUNG IHRER LISTE") && text.contains("0 verfügbare Empfänger"), "{text}");

    let listed = desk.run(&["audience", "list", "--status", "refused", "--json"]).with(0).data();
    assert_eq!(listed["people"].as_array().unwrap().len(), 1);
    assert_eq!(listed["people"][0]["address"], "bob@example.org");
    assert_eq!(listed["people"][0]["event"]["said"], "withdrawn");
    assert_eq!(desk.run(&["audience", "list", "--limit", "1", "--json"]).with(0).data()["more"], true);
    desk.run(&["audience", "list", "--csv", "people.csv"]).with(0);
    let file = std::fs::read_to_string(desk.path("people.csv")).unwrap();
    assert!(file.contains("bob@example.org") && file.contains("withdrawn"), "{file}");
    desk.run(&["audience", "list", "--csv", "people.csv"]).with(2);
}

#[test]
fn completions_know_the_commands() {
    let script = Desk::bare().run(&["completions", "bash"]).with(0);
    assert!(script.out.contains("clear-bounce") && script.err.is_empty());
}
