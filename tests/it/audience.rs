//! Audiences: the fast evaluation against a naive one, on both engines.

use crate::world::{Engine, World, on_both_engines};
use consentd::domain::audience::{Filter, Flag, Membership, Summary};
use consentd::domain::consent::{Act, AskBasis, OperatorAct, ProviderAct, RecipientAct, Status, SystemAct};
use consentd::domain::contact::{RecordKind, fold};
use consentd::domain::fold::Standing;
use consentd::domain::ids::{ConnectionId, MailboxId};
use consentd::domain::mailbox::best;
use consentd::domain::plan::{Held, Reason, eligibility};
use consentd::domain::token::{Claims, Class};
use consentd::random::{Random, SeededRandom, below};
use consentd::service::audience::MemberFormat;
use consentd::service::consent::Saying;
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::store::{Holding, Purpose, Tenant, TenantKey};
use consentd_provider::EmailAddress;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::ControlFlow;

on_both_engines!(summaries_and_lists_agree_with_the_rules_of_a_plan, a_list_is_written_safe_for_spreadsheets);

const TOWNS: [&str; 3] = ["Köln", "Straßburg", "Lyon"];
const TAGS: [&str; 3] = ["Pool", "Sauna", "100%_Öl"];

/// A record as the test knows it.
#[derive(Debug, Clone)]
struct Sheet {
    kind: RecordKind,
    name: String,
    postcode: String,
    town: &'static str,
    language: &'static str,
    tags: Vec<&'static str>,
    prospect: bool,
    bin: bool,
    emails: Vec<String>,
}

fn pick<'t, T>(random: &dyn Random, from: &'t [T]) -> &'t T {
    &from[usize::try_from(below(random, from.len() as u64)).unwrap()]
}

fn sheets(random: &dyn Random, count: usize) -> Vec<Sheet> {
    (0..count)
        .map(|n| {
            let email = || {
                let n = below(random, count as u64 / 2);
                if below(random, 6) == 0 { format!("Person{n}@example.org") } else { format!("person{n}@example.org") }
            };
            Sheet {
                kind: *pick(random, &[RecordKind::Customer, RecordKind::AddressBook, RecordKind::Supplier]),
                name: format!("Name{}", n % 7),
                postcode: format!("{}", 10_000 + below(random, 3) * 1_000 + n as u64),
                town: pick::<&str>(random, &TOWNS),
                language: pick::<&str>(random, &["de", "fr"]),
                tags: TAGS.into_iter().filter(|_| below(random, 2) == 0).collect(),
                prospect: below(random, 2) == 0,
                bin: below(random, 4) == 0,
                emails: (0..below(random, 3)).map(|_| email()).collect(),
            }
        })
        .collect()
}

fn export(sheets: &[Sheet]) -> String {
    let mut text = "id;kind;name;postcode;town;language;tags;prospect;bin;email\n".to_owned();
    for (n, sheet) in sheets.iter().enumerate() {
        let line = format!(
            "{n};{};{};{};{};{};{};{};{};{}\n",
            sheet.kind.word(),
            sheet.name,
            sheet.postcode,
            sheet.town,
            sheet.language,
            sheet.tags.join(","),
            u8::from(sheet.prospect),
            u8::from(sheet.bin),
            sheet.emails.join(" "),
        );
        text.push_str(&line);
    }
    text
}

async fn import(world: &World, tenant: &Tenant, key: &TenantKey, text: String) {
    let file = Box::new(Cursor::new(text.into_bytes()));
    let options = ImportOptions::new(ImportMode::Records, "export.csv", "office");
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    world.core.run_import(tenant, key, file, None, &options, &go_on).await.unwrap();
}

/// Something said about a random spelling, if the rules allow it.
async fn say_something(
    world: &World,
    tenant: &Tenant,
    key: &TenantKey,
    purpose: &Purpose,
    random: &dyn Random,
    count: u64,
) {
    let spelling = if below(random, 4) == 0 { "Person" } else { "person" };
    let email = EmailAddress::parse(&format!("{spelling}{}@example.org", below(random, count))).unwrap();
    let variants = world.core.store.variants(tenant.id, key, &email).await.unwrap();
    let Some(address) = variants.into_iter().find(|variant| variant.email == email) else { return };
    let claims = Claims {
        class: Class::Consent,
        tenant: tenant.id,
        address: address.id,
        purpose: purpose.id,
        text_version: 1,
        expires_at: None,
    };
    let act = match below(random, 12) {
        0..=4 => Act::Recipient(RecipientAct::Accept(claims.accept(world.core.now(), 1, vec![], false).unwrap())),
        5 => Act::Recipient(RecipientAct::Refuse),
        6 => Act::Operator(OperatorAct::Withdraw),
        7 => Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer)),
        8 => Act::Provider(ProviderAct::HardBounce),
        9 => Act::Provider(ProviderAct::Complain),
        10 => Act::System(SystemAct::Lapse),
        _ => Act::Recipient(RecipientAct::Erase),
    };
    let mut tx = world.core.store.begin().await.unwrap();
    let saying = Saying { address: &address, purpose: Some(purpose.id), act, evidence: json!({}) };
    if world.core.say(&mut tx, tenant, key, saying).await.is_ok() {
        tx.commit().await.unwrap();
    }
}

/// One mailbox as the rules see it, read one by one.
struct Person {
    mailbox: MailboxId,
    standing: Standing,
    in_crm: bool,
    sheets: Vec<Sheet>,
    search: Vec<String>,
    held: bool,
}

async fn people(
    world: &World,
    (tenant, key, purpose): (&Tenant, &TenantKey, &Purpose),
    sheets: &[Sheet],
    held: &[MailboxId],
    count: usize,
) -> Vec<Person> {
    let mut people = Vec::new();
    for n in 0..count {
        let email = EmailAddress::parse(&format!("person{n}@example.org")).unwrap();
        let variants = world.core.store.variants(tenant.id, key, &email).await.unwrap();
        let Some(mailbox) = variants.first().map(|variant| variant.mailbox) else { continue };
        let mut standings = Vec::new();
        for variant in &variants {
            let all = world.core.store.standings(tenant.id, variant.id).await.unwrap();
            standings.push(all.into_iter().find(|kept| kept.purpose == purpose.id).unwrap().standing);
        }
        let own: Vec<Sheet> = sheets
            .iter()
            .filter(|sheet| sheet.emails.iter().any(|held| held.eq_ignore_ascii_case(email.as_str())))
            .cloned()
            .collect();
        let search = own.iter().map(|sheet| format!("{} {}", fold(&sheet.name), email.as_str())).collect();
        people.push(Person {
            mailbox,
            standing: best(&standings, world.core.now()).1,
            in_crm: own.iter().any(|sheet| !sheet.bin),
            sheets: own,
            search,
            held: held.contains(&mailbox),
        });
    }
    people
}

fn fits(person: &Person, filter: &Filter) -> bool {
    let any = |list: &[String], text: &str| list.is_empty() || list.iter().any(|wanted| fold(wanted) == fold(text));
    let sheet_fits = |sheet: &Sheet, search: &String| {
        let has = |tag: &String| sheet.tags.iter().any(|own| fold(own) == fold(tag));
        (filter.kinds.is_empty() || filter.kinds.contains(&sheet.kind))
            && (filter.any_tags.is_empty() || filter.any_tags.iter().any(has))
            && filter.all_tags.iter().all(has)
            && (filter.postcodes.is_empty()
                || filter.postcodes.iter().any(|start| sheet.postcode.starts_with(start.as_str())))
            && any(&filter.towns, sheet.town)
            && any(&filter.languages, sheet.language)
            && filter.prospect.is_none_or(|wanted| wanted == sheet.prospect)
            && search.contains(&fold(&filter.text))
    };
    let by_record = person.sheets.iter().zip(&person.search).any(|(sheet, search)| sheet_fits(sheet, search));
    let everybody = !filter.is_about_records() && filter.text.is_empty();
    let member = match filter.membership {
        None => true,
        Some(Membership::List(_)) => person.held,
        Some(Membership::NotYetSynced(_)) => !person.held,
    };
    (by_record || everybody) && member
}

fn random_filter(random: &dyn Random, connection: ConnectionId) -> Filter {
    let maybe = || below(random, 4) == 0;
    let mut filter = Filter::default();
    if maybe() {
        filter.kinds = vec![RecordKind::Customer, RecordKind::Supplier];
    }
    if maybe() {
        filter.any_tags = vec!["pool".into(), "SAUNA".into()];
    }
    if maybe() {
        filter.all_tags = vec!["100%_öl".into(), "Pool".into()];
    }
    if maybe() {
        filter.postcodes = vec!["10".into(), "11".into()];
    }
    if maybe() {
        filter.towns = vec!["KOLN".into(), "strassburg".into()];
    }
    if maybe() {
        filter.languages = vec!["fr".into()];
    }
    if maybe() {
        filter.prospect = Some(true);
    }
    if maybe() {
        filter.text = "NÄME3".into();
    }
    if maybe() {
        filter.statuses = vec![Status::Accepted, Status::Refused];
    }
    if maybe() {
        filter.reasons = vec![Reason::Consented, Reason::Lapsed, Reason::NotInCrm, Reason::NotAsked];
    }
    if maybe() {
        filter.flags = vec![Flag::HardBounce, Flag::Erased];
    }
    if maybe() {
        filter.membership =
            Some(if maybe() { Membership::List(connection) } else { Membership::NotYetSynced(connection) });
    }
    filter
}

async fn summaries_and_lists_agree_with_the_rules_of_a_plan(engine: Engine) {
    const COUNT: usize = 60;
    let world = World::new(engine).await;
    let random = SeededRandom::new(21);
    let (tenant, key) = world.tenant("pool").await;
    let lasting = world.core.create_purpose(&tenant, "short", "Short", "For a day.", 1).await.unwrap();
    let mut all = sheets(&random, COUNT);
    import(&world, &tenant, &key, export(&all)).await;
    for purpose in [world.core.purpose(&tenant, None).await.unwrap(), lasting] {
        for _ in 0..COUNT * 2 {
            say_something(&world, &tenant, &key, &purpose, &random, COUNT as u64 / 2).await;
            world.clock.advance(consentd::clock::HOUR / 2);
        }
        // Records change after people have spoken: bins, tags and addresses move.
        for sheet in all.iter_mut().step_by(3) {
            let other = sheets(&random, COUNT).swap_remove(0);
            *sheet = Sheet { kind: sheet.kind, ..other };
        }
        import(&world, &tenant, &key, export(&all)).await;
        let connection = ConnectionId(world.core.id());
        let mut held = Vec::new();
        for person in people(&world, (&tenant, &key, &purpose), &all, &[], COUNT).await.iter().step_by(2) {
            held.push(person.mailbox);
        }
        let mut tx = world.core.store.begin().await.unwrap();
        let address = consentd::domain::ids::AddressId(world.core.id());
        let kept: Vec<Holding> = held
            .iter()
            .map(|mailbox| Holding { held: Held::Subscribed, ..Holding::never(*mailbox, address) })
            .collect();
        tx.keep_holdings(tenant.id, connection, &kept).await.unwrap();
        tx.commit().await.unwrap();

        let people = people(&world, (&tenant, &key, &purpose), &all, &held, COUNT).await;
        let now = world.core.now();
        for round in 0..30 {
            let filter = if round == 0 { Filter::default() } else { random_filter(&random, connection) };
            let mut naive = Summary::default();
            let mut expected = BTreeMap::new();
            for person in people.iter().filter(|person| fits(person, &filter)) {
                naive.add(&filter, &person.standing, person.in_crm, 1, now);
                let reason = eligibility(&person.standing, person.in_crm, now);
                if filter.fits(&person.standing, reason) {
                    expected.insert(person.mailbox, (person.standing.state.status(), reason));
                }
            }
            let summary = world.core.audience_summary(&tenant, &purpose, &filter).await.unwrap();
            assert_eq!(summary, naive, "{filter:?}");
            assert_eq!(summary.reasons.values().sum::<u64>(), summary.people);
            assert_eq!(summary.statuses.values().sum::<u64>(), summary.people);

            let mut listed = BTreeMap::new();
            let mut after = None;
            loop {
                let page = world.core.audience_page(&tenant, &purpose, &filter, after, 7).await.unwrap();
                for member in page.members {
                    let explained = member.event.is_some();
                    assert!(explained, "{member:?}");
                    assert!(listed.insert(member.mailbox, (member.status, member.reason)).is_none(), "listed once");
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, expected, "{filter:?}");
        }
    }
    world.end().await;
}

async fn a_list_is_written_safe_for_spreadsheets(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    import(&world, &tenant, &key, "id;name;company;email\n1;=1+1;\"a;b\";ada@example.org\n".into()).await;
    let purpose = world.core.purpose(&tenant, None).await.unwrap();
    let mut text = Vec::new();
    let filter = Filter::default();
    let written = world.core.write_audience(&tenant, &purpose, &filter, MemberFormat::Csv, &mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().nth(1).unwrap();
    assert_eq!(written, 1);
    assert!(line.starts_with("ada@example.org;not_asked;not_asked;"), "{line}");
    assert!(line.ends_with(";customer;1;'=1+1;;\"a;b\";;;"), "{line}");
    let mut lines = Vec::new();
    world.core.write_audience(&tenant, &purpose, &filter, MemberFormat::Ndjson, &mut lines).await.unwrap();
    let member: serde_json::Value = serde_json::from_slice(&lines).unwrap();
    assert_eq!((&member["reason"], &member["record"]["last_name"]), (&json!("not_asked"), &json!("=1+1")));
    world.end().await;
}
