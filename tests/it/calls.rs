//! How many calls of each kind a sync makes, so that what is saved stays saved.

use crate::world::{Account, Engine, World, on_both_engines};
use consentd::clock::{MINUTE, SECOND};
use consentd::domain::consent::{Act, Actor, Kind, OperatorAct};
use consentd::domain::contact::{Person, RecordKind};
use consentd::domain::ids::{AddressId, MailboxId, RecordId};
use consentd::service::consent::Saying;
use consentd::store::{Address, Keyed, NewLine, Record};
use consentd_provider::EmailAddress;
use consentd_provider::emulator::{Fault, FaultRule};
use std::collections::BTreeMap;
use std::ops::Range;

on_both_engines!(
    brevo_takes_three_thousand_people_with_one_import,
    mailjet_takes_three_thousand_people_with_three_jobs,
    a_change_of_one_in_ten_takes_few_calls_at_brevo,
    a_change_of_one_in_ten_takes_few_calls_at_mailjet,
    who_withdraws_during_an_import_is_taken_off_when_it_ends,
    nobody_who_withdraws_waits_for_the_quota_of_jobs,
);

/// People of the CRM who have said yes.
async fn crowd(world: &World, account: &Account, numbers: Range<usize>) -> Vec<Address> {
    let (tenant, now) = (account.tenant.id, world.core.now());
    let (mut mailboxes, mut addresses, mut records, mut lines) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for n in numbers {
        let email = EmailAddress::parse(&format!("person{n:05}@example.org")).unwrap();
        let mailbox = MailboxId(world.core.id());
        mailboxes.push((mailbox, account.key.address_mac(&email.folded())));
        let address = Address { id: AddressId(world.core.id()), mailbox, email, role: false };
        records.push(Record {
            id: RecordId(world.core.id()),
            kind: RecordKind::Customer,
            crm_id: n.to_string(),
            person: Person { town: "Kiel".into(), ..Person::default() },
            bin: false,
            tags: Vec::new(),
            addresses: vec![(address.id, mailbox)],
        });
        let line = |purpose, kind, actor| NewLine {
            address: address.id,
            mailbox,
            purpose,
            kind,
            actor,
            detail: None,
            payload: serde_json::json!({ "address": address.email.as_str() }),
            new_address: true,
        };
        lines.push(line(None, Kind::Imported, Actor::Operator));
        lines.push(line(Some(account.connection.purpose), Kind::Accepted, Actor::Recipient));
        addresses.push(address);
    }
    let mailbox_ids: Vec<MailboxId> = mailboxes.iter().map(|(mailbox, _)| *mailbox).collect();
    let mut tx = world.core.store.begin().await.unwrap();
    tx.insert_mailboxes(tenant, &mailboxes).await.unwrap();
    tx.insert_addresses(tenant, &addresses, now).await.unwrap();
    tx.save_records(tenant, &records.iter().map(Keyed::of).collect::<Vec<_>>(), &[], now).await.unwrap();
    tx.append(&account.tenant, &account.key, &lines, now, &*world.core.random).await.unwrap();
    tx.mark_all_dirty(tenant, &mailbox_ids, now).await.unwrap();
    tx.commit().await.unwrap();
    addresses
}

/// People withdraw all at once.
async fn leave(world: &World, account: &Account, people: &[Address]) {
    let sayings: Vec<Saying<'_>> = people
        .iter()
        .map(|address| Saying {
            address,
            purpose: Some(account.connection.purpose),
            act: Act::Operator(OperatorAct::Withdraw),
            evidence: serde_json::json!({ "operator": "office", "reason": "asked by letter" }),
        })
        .collect();
    let mut tx = world.core.store.begin().await.unwrap();
    world.core.say_many(&mut tx, &account.tenant, &account.key, &sayings).await.unwrap();
    tx.commit().await.unwrap();
}

/// Calls since an entry of the provider's record, by method and path with every number and address left out.
fn calls(account: &Account, since: usize) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for entry in account.provider().log().iter().skip(since).filter(|entry| entry.status != 0) {
        assert_ne!(entry.status, 429, "{entry:?}");
        let parts = entry.what.split('/').map(|part| {
            let own = part.contains("%40") || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
            if own { "-" } else { part }
        });
        *calls.entry(parts.collect::<Vec<_>>().join("/")).or_insert(0) += 1;
    }
    calls
}

fn expected(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|(call, count)| ((*call).to_owned(), *count)).collect()
}

/// An active connection of nobody.
async fn ready(engine: Engine, provider: &str) -> (World, Account) {
    let world = World::new(engine).await;
    let (tenant, _) = world.tenant("pool").await;
    let account = world.connect(&tenant, "main", provider).await;
    world.activate(&account).await;
    (world, account)
}

async fn first_sync(engine: Engine, provider: &str) -> BTreeMap<String, usize> {
    let (world, account) = ready(engine, provider).await;
    crowd(&world, &account, 0..3_000).await;
    let before = account.provider().log().len();
    world.settle().await;
    assert_eq!(account.mailable(world.core.now()).len(), 3_000);
    let calls = calls(&account, before);
    world.end().await;
    calls
}

async fn brevo_takes_three_thousand_people_with_one_import(engine: Engine) {
    let wanted = [
        ("GET /v3/contacts/attributes", 1),
        ("POST /v3/contacts/import", 1),
        ("GET /v3/processes/-", 1),
        ("GET /v3/contacts", 4),
    ];
    assert_eq!(first_sync(engine, "brevo").await, expected(&wanted));
}

async fn mailjet_takes_three_thousand_people_with_three_jobs(engine: Engine) {
    let wanted = [
        ("GET /v3/REST/contactmetadata", 1),
        ("POST /v3/REST/contactslist/-/managemanycontacts", 3),
        ("GET /v3/REST/contactslist/-/managemanycontacts/-", 5),
        ("GET /v3/REST/contact", 4),
        ("GET /v3/REST/listrecipient", 4),
    ];
    assert_eq!(first_sync(engine, "mailjet").await, expected(&wanted));
}

async fn delta(engine: Engine, provider: &str) -> BTreeMap<String, usize> {
    let (world, account) = ready(engine, provider).await;
    let everybody = crowd(&world, &account, 0..5_000).await;
    world.settle().await;
    let before = account.provider().log().len();
    leave(&world, &account, &everybody[..150]).await;
    crowd(&world, &account, 5_000..5_400).await;
    world.settle().await;
    assert_eq!(account.mailable(world.core.now()).len(), 5_250);
    let calls = calls(&account, before);
    world.end().await;
    calls
}

async fn a_change_of_one_in_ten_takes_few_calls_at_brevo(engine: Engine) {
    let wanted = [
        ("GET /v3/contacts/attributes", 1),
        ("POST /v3/contacts/lists/-/contacts/remove", 1),
        ("POST /v3/contacts/import", 1),
        ("GET /v3/processes/-", 1),
        ("GET /v3/contacts", 6),
    ];
    assert_eq!(delta(engine, "brevo").await, expected(&wanted));
}

async fn a_change_of_one_in_ten_takes_few_calls_at_mailjet(engine: Engine) {
    let wanted = [
        ("GET /v3/REST/contactmetadata", 1),
        ("POST /v3/REST/contactslist/-/managemanycontacts", 2),
        ("GET /v3/REST/contactslist/-/managemanycontacts/-", 3),
        ("GET /v3/REST/contact", 6),
        ("GET /v3/REST/listrecipient", 6),
    ];
    assert_eq!(delta(engine, "mailjet").await, expected(&wanted));
}

async fn who_withdraws_during_an_import_is_taken_off_when_it_ends(engine: Engine) {
    let (world, account) = ready(engine, "brevo").await;
    let people = crowd(&world, &account, 0..200).await;
    let posted = |account: &Account| calls(account, 0).contains_key("POST /v3/contacts/import");
    while !posted(&account) {
        assert!(world.step().await, "an import is sent");
    }
    leave(&world, &account, &people[..1]).await;
    let said_at = world.core.now();
    let is_mailable = |world: &World| {
        account.provider().truth(world.core.now(), &account.connection.list, people[0].email.as_str()).mailable()
    };
    // The import lands although the person has left, and is asked after no later than that.
    while !is_mailable(&world) {
        assert!(world.core.now() - said_at < MINUTE, "the import lands");
        world.clock.advance(SECOND);
    }
    while is_mailable(&world) {
        assert!(world.core.now() - said_at < 2 * MINUTE, "taken off when the import has ended");
        if !world.step().await {
            world.clock.advance(SECOND);
        }
    }
    world.settle().await;
    assert_eq!(account.mailable(world.core.now()).len(), 199);
    world.end().await;
}

async fn nobody_who_withdraws_waits_for_the_quota_of_jobs(engine: Engine) {
    let (world, account) = ready(engine, "brevo").await;
    let people = crowd(&world, &account, 0..60).await;
    world.settle().await;
    crowd(&world, &account, 60..120).await;
    let refused = Fault::Throttle(vec![("x-sib-ratelimit-reset".into(), "600".into())]);
    account.provider().fault(FaultRule { matching: "/v3/processes".into(), times: 1, fault: refused });
    let asked = |account: &Account| account.provider().log().iter().any(|entry| entry.status == 429);
    while !asked(&account) {
        if !world.step().await {
            world.clock.advance(SECOND);
        }
    }
    leave(&world, &account, &people[..1]).await;
    let said_at = world.core.now();
    let list = account.connection.list.clone();
    while account.provider().truth(world.core.now(), &list, people[0].email.as_str()).mailable() {
        assert!(world.core.now() - said_at < MINUTE, "the jobs wait, not the person");
        if !world.step().await {
            world.clock.advance(SECOND);
        }
    }
    world.settle().await;
    assert_eq!(account.mailable(world.core.now()).len(), 119);
    world.end().await;
}
