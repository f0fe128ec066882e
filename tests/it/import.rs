//! Taking in files, on both engines.

use crate::world::{Engine, World, on_both_engines};
use consentd::domain::audience::Filter;
use consentd::domain::consent::{Act, Kind, OperatorAct, RecipientAct, State, Status};
use consentd::domain::plan::Reason;
use consentd::domain::triage::Verdict;
use consentd::service::consent::Saying;
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::store::{Tenant, TenantKey};
use consentd_provider::EmailAddress;
use serde_json::json;
use std::io::Cursor;
use std::ops::ControlFlow;
use tokio::sync::Notify;

on_both_engines!(
    an_export_creates_records_and_never_asked_addresses,
    a_dry_run_stores_nothing_and_tells_what_the_run_does,
    a_second_run_of_the_same_file_changes_nothing,
    an_address_change_leaves_the_old_history_alone,
    two_spellings_of_a_mailbox_are_two_addresses,
    a_mailing_list_creates_nothing,
    refusals_from_before_reach_known_and_unknown_addresses,
    a_refusal_from_before_does_not_undo_a_newer_yes,
    a_suppressed_address_comes_in_refused,
    acceptances_from_before_need_the_policy_two_approvers_and_evidence,
    rejected_lines_come_back_with_their_reason,
    an_import_can_be_stopped_between_batches,
    whoever_waits_for_the_writer_gets_it_amid_an_import,
    the_earlier_row_of_a_file_wins_in_whatever_order_rows_are_written,
);

async fn take(
    world: &World,
    (tenant, key): (&Tenant, &TenantKey),
    options: &ImportOptions,
    text: &str,
    dry: bool,
) -> (ImportReport, String) {
    let file = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let mut rejects: Vec<u8> = Vec::new();
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    let core = &world.core;
    let report = if dry {
        core.check_import(tenant, key, file, Some(&mut rejects), options, &go_on).await
    } else {
        core.run_import(tenant, key, file, Some(&mut rejects), options, &go_on).await
    }
    .unwrap();
    assert_eq!(report.verdicts.values().sum::<u64>(), report.rows, "the numbers add up: {report:?}");
    (report, String::from_utf8(rejects).unwrap())
}

async fn run(world: &World, of: (&Tenant, &TenantKey), mode: ImportMode, text: &str) -> ImportReport {
    take(world, of, &ImportOptions::new(mode, "file.csv", "office"), text, false).await.0
}

async fn status(world: &World, (tenant, key): (&Tenant, &TenantKey), email: &str) -> Option<State> {
    let email = EmailAddress::parse(email).unwrap();
    let variants = world.core.store.variants(tenant.id, key, &email).await.unwrap();
    let address = variants.into_iter().find(|variant| variant.email == email)?;
    Some(world.core.store.standings(tenant.id, address.id).await.unwrap()[0].standing.state)
}

async fn reasons(world: &World, tenant: &Tenant) -> Vec<(Reason, u64)> {
    let purpose = world.core.purpose(tenant, None).await.unwrap();
    let summary = world.core.audience_summary(tenant, &purpose, &Filter::default()).await.unwrap();
    summary.reasons.into_iter().collect()
}

fn verdicts(report: &ImportReport) -> Vec<(Verdict, u64)> {
    report.verdicts.iter().map(|(verdict, rows)| (*verdict, *rows)).collect()
}

const EXPORT: &str = "\
Kundennummer;Typ;Nachname;Vorname;PLZ;Ort;Gruppen;Corbeille;E-Mail;E-Mail 2;emailCommande
1;Kunde;Lovelace;Ada;20457;Hamburg;Pool, Sauna;nein;ada@example.org;ada@work.example.org;
2;Kunde;Müller;Karl;10115;Berlin;Pool;nein;info@mueller.example;;
3;Kunde;Old;One;1;X;;ja;old@example.org;;
4;Lieferant;Pumps;;2;Y;;nein;sales@pumps.example;;orders@pumps.example
1;Kunde;Again;Ada;20457;Hamburg;;nein;ada2@example.org;;
5;Kunde;None;;3;Z;;nein;;;
6;Kunde;Broken;;3;Z;;nein;broken@;;
7;Kunde;Shared;;3;Z;;nein;ada@example.org, ADA@example.org;;
;Kunde;NoId;;3;Z;;nein;noid@example.org;;
8;Alien;Kind;;3;Z;;nein;kind@example.org;;
";

async fn an_export_creates_records_and_never_asked_addresses(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let report = run(&world, (&tenant, &key), ImportMode::Records, EXPORT).await;
    let expected = [
        (Verdict::New, 1),
        (Verdict::Role, 2),
        (Verdict::NotAsked, 1),
        (Verdict::InBin, 1),
        (Verdict::Duplicate, 1),
        (Verdict::NoAddress, 1),
        (Verdict::Invalid, 3),
    ];
    assert_eq!(verdicts(&report), expected);
    assert_eq!((report.rows, report.records_created, report.addresses_created), (10, 7, 5));
    assert_eq!((report.ordering, report.repeated, report.unreadable), (1, 1, 1));
    assert_eq!(status(&world, (&tenant, &key), "ada@example.org").await, Some(State::NotAsked));
    assert_eq!(status(&world, (&tenant, &key), "orders@pumps.example").await, None);
    assert_eq!(reasons(&world, &tenant).await, [(Reason::NotAsked, 4), (Reason::NotInCrm, 1)]);
    assert!(world.core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}

async fn a_dry_run_stores_nothing_and_tells_what_the_run_does(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    for mode in [ImportMode::Records, ImportMode::List, ImportMode::OptOuts] {
        let options = ImportOptions::new(mode, "file.csv", "office");
        let before = world.core.store.head(tenant.id).await.unwrap();
        let (dry, dry_rejects) = take(&world, (&tenant, &key), &options, EXPORT, true).await;
        assert_eq!(world.core.store.head(tenant.id).await.unwrap(), before);
        let (real, real_rejects) = take(&world, (&tenant, &key), &options, EXPORT, false).await;
        assert_eq!((dry.verdicts, dry.rejected, dry_rejects), (real.verdicts, real.rejected, real_rejects));
        assert_eq!((dry.records_created, dry.addresses_created), (real.records_created, real.addresses_created));
    }
    world.end().await;
}

async fn a_second_run_of_the_same_file_changes_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    for mode in [ImportMode::Records, ImportMode::OptOuts] {
        run(&world, (&tenant, &key), mode, EXPORT).await;
        let before = (world.core.store.head(tenant.id).await.unwrap(), reasons(&world, &tenant).await);
        let report = run(&world, (&tenant, &key), mode, EXPORT).await;
        assert_eq!((report.records_created, report.records_updated, report.addresses_created), (0, 0, 0));
        assert_eq!((report.refusals, report.suppressions), (0, 0));
        assert_eq!((world.core.store.head(tenant.id).await.unwrap(), reasons(&world, &tenant).await), before);
    }
    world.end().await;
}

async fn an_address_change_leaves_the_old_history_alone(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    run(&world, of, ImportMode::Records, "id,nom,email\n1,Ada,old@example.org\n").await;
    let email = EmailAddress::parse("old@example.org").unwrap();
    let old = world.core.find_address(&tenant, &key, &email).await.unwrap();
    world.core.withdraw(&tenant, &key, &old, None, "office", "called us").await.unwrap();
    let before = world.core.store.lines_of(tenant.id, old.id).await.unwrap();

    let report = run(&world, of, ImportMode::Records, "id,email\n1,new@example.org\n").await;

    assert_eq!((report.records_updated, report.addresses_created), (1, 1));
    assert_eq!(status(&world, of, "new@example.org").await, Some(State::NotAsked));
    assert_eq!(status(&world, of, "old@example.org").await, Some(State::Withdrawn));
    assert_eq!(world.core.store.lines_of(tenant.id, old.id).await.unwrap(), before);
    let purpose = world.core.purpose(&tenant, None).await.unwrap();
    let page = world.core.audience_page(&tenant, &purpose, &Filter::default(), None, 10).await.unwrap();
    let new = page.members.iter().find(|member| member.address == "new@example.org").unwrap();
    assert_eq!(new.record.as_ref().unwrap().last_name, "Ada", "a column that is not there changes nothing");
    world.end().await;
}

async fn two_spellings_of_a_mailbox_are_two_addresses(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    let report = run(&world, of, ImportMode::Records, "id;email\n1;ada@example.org\n2;ADA@example.org\n").await;
    assert_eq!((report.addresses_created, verdicts(&report)), (2, vec![(Verdict::New, 1), (Verdict::NotAsked, 1)]));
    assert_eq!(reasons(&world, &tenant).await, [(Reason::NotAsked, 1)], "one mailbox is one person");
    world.end().await;
}

async fn a_mailing_list_creates_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    run(&world, of, ImportMode::Records, EXPORT).await;
    let head = world.core.store.head(tenant.id).await.unwrap();
    let list = "ada@example.org\nADA@EXAMPLE.org\nstranger@example.org\nold@example.org\nnonsense@\n";
    let report = run(&world, of, ImportMode::List, list).await;
    let expected = [
        (Verdict::NotAsked, 1),
        (Verdict::External, 1),
        (Verdict::InBin, 1),
        (Verdict::Duplicate, 1),
        (Verdict::Invalid, 1),
    ];
    assert_eq!(verdicts(&report), expected);
    assert_eq!(report.rejected, 4);
    assert_eq!(world.core.store.head(tenant.id).await.unwrap(), head);
    assert_eq!(status(&world, of, "stranger@example.org").await, None);
    world.end().await;
}

async fn refusals_from_before_reach_known_and_unknown_addresses(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    run(&world, of, ImportMode::Records, "id;email\n1;ada@example.org\n2;Ada@example.org\n3;karl@example.org\n").await;
    let report =
        run(&world, of, ImportMode::OptOuts, "email;grund\nADA@example.org;letter\nunknown@example.org;\n").await;
    assert_eq!((report.refusals, report.suppressions), (1, 1));
    assert_eq!(verdicts(&report), [(Verdict::NotAsked, 1), (Verdict::External, 1)]);
    for spelling in ["ada@example.org", "Ada@example.org"] {
        assert_eq!(status(&world, of, spelling).await, Some(State::Refused));
    }
    assert_eq!(status(&world, of, "unknown@example.org").await, None, "nobody becomes known by refusing");
    assert_eq!(status(&world, of, "karl@example.org").await, Some(State::NotAsked));
    assert!(world.core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}

/// The recipient's yes by a live link.
async fn accept(world: &World, (tenant, key): (&Tenant, &TenantKey), email: &str) {
    use consentd::domain::token::{Claims, Class};
    let purpose = world.core.purpose(tenant, None).await.unwrap();
    let address = world.core.find_address(tenant, key, &EmailAddress::parse(email).unwrap()).await.unwrap();
    let claims = Claims {
        class: Class::Consent,
        tenant: tenant.id,
        address: address.id,
        purpose: purpose.id,
        text_version: 1,
        expires_at: None,
    };
    let acceptance = claims.accept(world.core.now(), 1, vec![], false).unwrap();
    let act = Act::Recipient(RecipientAct::Accept(acceptance));
    let mut tx = world.core.store.begin().await.unwrap();
    let saying = Saying { address: &address, purpose: Some(purpose.id), act, evidence: json!({}) };
    world.core.say(&mut tx, tenant, key, saying).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_refusal_from_before_does_not_undo_a_newer_yes(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    run(&world, of, ImportMode::Records, "id;email\n1;ada@example.org\n2;karl@example.org\n").await;
    accept(&world, of, "karl@example.org").await;
    let refusals = "email\nada@example.org\nkarl@example.org\n";
    assert_eq!(run(&world, of, ImportMode::OptOuts, refusals).await.refusals, 2);
    assert_eq!(status(&world, of, "karl@example.org").await, Some(State::Withdrawn), "a refusal lowers a yes");
    accept(&world, of, "ada@example.org").await;
    let again = run(&world, of, ImportMode::OptOuts, refusals).await;
    assert_eq!((again.refusals, verdicts(&again)), (0, vec![(Verdict::Accepted, 1), (Verdict::Refused, 1)]));
    assert_eq!(status(&world, of, "ada@example.org").await, Some(State::Accepted));
    world.end().await;
}

/// I13.
async fn a_suppressed_address_comes_in_refused(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let of = (&tenant, &key);
    run(&world, of, ImportMode::OptOuts, "ada@example.org\n").await;
    let report = run(&world, of, ImportMode::Records, "id;email\n1;Ada@example.org\n2;karl@example.org\n").await;
    assert_eq!((report.suppressed, verdicts(&report)), (1, vec![(Verdict::New, 1), (Verdict::Refused, 1)]));
    assert_eq!(status(&world, of, "Ada@example.org").await, Some(State::Withdrawn));
    let email = EmailAddress::parse("Ada@example.org").unwrap();
    let ada = world.core.find_address(&tenant, &key, &email).await.unwrap();
    let lines = world.core.store.lines_of(tenant.id, ada.id).await.unwrap();
    let kinds: Vec<Kind> = lines.iter().map(|line| line.header.kind).collect();
    assert_eq!(kinds, [Kind::Imported, Kind::SuppressionMatched]);
    let standing = world.core.store.standings(tenant.id, ada.id).await.unwrap()[0].standing;
    let ask = Act::Operator(OperatorAct::Request(consentd::domain::consent::AskBasis::ExistingCustomer));
    assert!(standing.allows(&ask, world.core.now()).is_err());
    world.end().await;
}

async fn acceptances_from_before_need_the_policy_two_approvers_and_evidence(engine: Engine) {
    let world = World::new(engine).await;
    let (mut tenant, key) = world.tenant("pool").await;
    run(
        &world,
        (&tenant, &key),
        ImportMode::Records,
        "id;email\n1;ada@example.org\n2;karl@example.org\n3;Eve@example.org\n",
    )
    .await;
    run(&world, (&tenant, &key), ImportMode::OptOuts, "karl@example.org\n").await;
    let file = "email;accepted_at;text_shown;evidence\n\
        ada@example.org;2024-05-01;We may write to you;form 12\n\
        karl@example.org;2024-05-01;We may write to you;form 13\n\
        eve@example.org;2024-05-01;We may write to you;form 14\n\
        stranger@example.org;2024-05-01;We may write to you;form 15\n\
        ada@example.org;2024-05-01;;form 16\n";
    let mut options = ImportOptions::new(ImportMode::Proofs, "proofs.csv", "office");
    options.approvers = ["Ada".into(), "Karl".into()];
    let refused = |tenant: Tenant, options: ImportOptions| {
        let (core, key) = (world.core.clone(), &key);
        async move {
            let file = Box::new(Cursor::new(b"x".to_vec()));
            let go_on = |_: &ImportReport| ControlFlow::Continue(());
            core.run_import(&tenant, key, file, None, &options, &go_on).await.unwrap_err().to_string()
        }
    };
    assert!(refused(tenant.clone(), options.clone()).await.contains("switched off"));
    tenant.legacy_proof = true;
    world.core.change_tenant(&tenant).await.unwrap();
    let alone = ImportOptions { approvers: ["Ada".into(), "ada".into()], ..options.clone() };
    assert!(refused(tenant.clone(), alone).await.contains("two different approvers"));

    let (report, _) = take(&world, (&tenant, &key), &options, file, false).await;
    assert_eq!(report.acceptances, 1);
    let expected = [(Verdict::NotAsked, 1), (Verdict::Refused, 1), (Verdict::External, 1), (Verdict::Invalid, 2)];
    assert_eq!(verdicts(&report), expected);
    let of = (&tenant, &key);
    assert_eq!(status(&world, of, "ada@example.org").await, Some(State::Accepted));
    assert_eq!(status(&world, of, "karl@example.org").await, Some(State::Refused));
    assert_eq!(status(&world, of, "Eve@example.org").await, Some(State::NotAsked), "consent is narrow");
    let purpose = world.core.purpose(&tenant, None).await.unwrap();
    let accepted = Filter { statuses: vec![Status::Accepted], ..Filter::default() };
    let page = world.core.audience_page(&tenant, &purpose, &accepted, None, 10).await.unwrap();
    assert_eq!(page.members[0].event.unwrap().kind, Kind::ProofImported);
    world.end().await;
}

async fn rejected_lines_come_back_with_their_reason(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let text = "id;nom;email\n1;=cmd();bad@\n2;\"open;x\n3;ok;ok@example.org\n4;half;half@example.org bad@\n";
    let options = ImportOptions::new(ImportMode::Records, "file.csv", "office");
    let (report, rejects) = take(&world, (&tenant, &key), &options, text, false).await;
    assert_eq!((report.rows, report.rejected), (4, 3));
    let lines: Vec<&str> = rejects.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[0], "line;verdict;reason;id;nom;email");
    assert_eq!(lines[1], "2;invalid;the address needs a name, an @ and a domain;1;'=cmd();bad@");
    assert_eq!(lines[2], "3;invalid;an opening quote has no closing one;\"2;\"\"open;x\"");
    assert!(lines[3].starts_with("5;new;an address of this row was left out:"), "{}", lines[3]);
    world.end().await;
}

async fn an_import_can_be_stopped_between_batches(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let rows: Vec<String> = (0..2_500).map(|n| format!("{n};p{n}@example.org\n")).collect();
    let text = format!("id;email\n{}", rows.concat());
    let options = ImportOptions::new(ImportMode::Records, "file.csv", "office");
    let file = Box::new(Cursor::new(text.clone().into_bytes()));
    let stop =
        |report: &ImportReport| if report.rows >= 1_000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let report = world.core.run_import(&tenant, &key, file, None, &options, &stop).await.unwrap();
    assert_eq!((report.rows, report.records_created, report.stopped.is_some()), (1_000, 1_000, true));
    let rest = run(&world, (&tenant, &key), ImportMode::Records, &text).await;
    assert_eq!((rest.records_unchanged, rest.records_created), (1_000, 1_500));
    assert_eq!(reasons(&world, &tenant).await, [(Reason::NotAsked, 2_500)]);
    world.end().await;
}

/// Nobody waits at first, so the second slice would share the first one's transaction with all others.
async fn whoever_waits_for_the_writer_gets_it_amid_an_import(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let rows: Vec<String> = (0..4_000).map(|n| format!("{n};p{n}@example.org\n")).collect();
    let text = format!("id;email\n{}", rows.concat());
    let options = ImportOptions::new(ImportMode::Records, "file.csv", "office");
    let started = Notify::new();
    let progress = |_: &ImportReport| {
        started.notify_one();
        ControlFlow::Continue(())
    };
    let file = Box::new(Cursor::new(text.into_bytes()));
    let import = world.core.run_import(&tenant, &key, file, None, &options, &progress);
    let waiter = async {
        started.notified().await;
        let mut tx = world.core.store.begin().await.unwrap();
        tx.lock_head(tenant.id).await.unwrap().seq
    };
    let (report, seen) = tokio::join!(import, waiter);
    assert_eq!(report.unwrap().records_created, 4_000);
    assert!(seen > 0 && seen < 4_000 && seen % 1_000 == 0, "the writer came in after whole slices only: {seen}");
    world.end().await;
}

async fn the_earlier_row_of_a_file_wins_in_whatever_order_rows_are_written(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let first = (0..1_200).map(|n| format!("{n};p{n}@example.org\n"));
    let again = (0..1_200).map(|n| format!("{n};q{n}@example.org\n"));
    let text = format!("id;email\n{}", first.chain(again).collect::<String>());
    let options = ImportOptions::new(ImportMode::Records, "file.csv", "office");
    let (report, rejects) = take(&world, (&tenant, &key), &options, &text, false).await;
    assert_eq!(verdicts(&report), [(Verdict::New, 1_200), (Verdict::Duplicate, 1_200)]);
    let lines: Vec<&str> = rejects.lines().skip(1).filter_map(|line| line.split(';').next()).collect();
    let expected: Vec<String> = (1_202..2_402).map(|line| line.to_string()).collect();
    assert_eq!(lines, expected, "rejected lines stand in the order of the file");
    for n in [0, 1, 600, 1_199] {
        assert_eq!(status(&world, (&tenant, &key), &format!("p{n}@example.org")).await, Some(State::NotAsked));
        assert_eq!(status(&world, (&tenant, &key), &format!("q{n}@example.org")).await, None);
    }
    world.end().await;
}
