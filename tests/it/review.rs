//! Ways back onto a list after a no. Each of these failed when it was written.

use crate::world::{Account, Engine, World};
use consentd::clock::{Clock, DAY, HOUR, MINUTE};
use consentd::domain::consent::State;
use consentd::service::link::{Decision, Visitor};
use consentd::service::steer::ConnectionChange;
use consentd_provider::EmailAddress;
use consentd_provider::emulator::{CourierFaults, Happening};
use std::collections::BTreeMap;

const ADA: &str = "ada@example.org";

async fn mailing(provider: &str, emails: &[&str]) -> (World, Account) {
    let world = World::new(Engine::Sqlite).await;
    let (tenant, key) = world.tenant("pool").await;
    world.customers(&tenant, &key, emails).await;
    let account = world.connect(&tenant, "main", provider).await;
    world.accept(&account.tenant, &account.key, emails).await;
    world.activate(&account).await;
    (world, account)
}

fn lose_webhooks(account: &Account) {
    account.provider().disturb(CourierFaults { drop: 1_000, ..CourierFaults::default() });
}

/// A new mapping makes every record differ from what was pushed, as an edit in the CRM does.
async fn edit_records(world: &World, account: &Account) {
    let connection = world.core.find_connection(&account.tenant, "main").await.unwrap();
    let mapping = BTreeMap::from([("town".to_owned(), "TOWN".to_owned())]);
    let change = ConnectionChange { mapping: Some(mapping), ..ConnectionChange::default() };
    let changed = world.core.change_connection(&connection, &account.key, change).await.unwrap();
    world.core.create_missing_fields(&changed, &account.key).await.unwrap();
}

async fn an_update_lifts_an_unsubscription_that_is_not_known_yet(provider: &str) {
    let (world, account) = mailing(provider, &[ADA]).await;
    world.withdraw_by_link(&account.tenant, &account.key, ADA).await;
    world.pass(HOUR, MINUTE).await;
    world.accept_again(&[ADA]).await;
    world.pass(HOUR, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), [ADA]);
    // She unsubscribes there, long after her yes; nobody tells us. Then somebody edits her record.
    lose_webhooks(&account);
    account.unsubscribes(world.clock.now(), ADA);
    assert!(account.mailable(world.clock.now()).is_empty());
    world.clock.advance(HOUR);
    edit_records(&world, &account).await;
    world.sync(&account).await;
    assert!(account.mailable(world.clock.now()).is_empty(), "her unsubscription was lifted");
    world.end().await;
}

#[tokio::test]
async fn an_update_lifts_an_unsubscription_that_is_not_known_yet_at_brevo() {
    an_update_lifts_an_unsubscription_that_is_not_known_yet("brevo").await;
}

#[tokio::test]
async fn an_update_lifts_an_unsubscription_that_is_not_known_yet_at_mailjet() {
    an_update_lifts_an_unsubscription_that_is_not_known_yet("mailjet").await;
}

/// While she is out of the CRM we have taken her off; her own unsubscription then is neither seen by the walk nor kept
/// when she comes back.
#[tokio::test]
async fn an_unsubscription_while_taken_off_by_us_is_lost_at_brevo() {
    let (world, account) = mailing("brevo", &[ADA, "bob@example.org"]).await;
    world.bin(&account.tenant, &account.key, &[ADA]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    lose_webhooks(&account);
    account.unsubscribes(world.clock.now(), ADA);
    world.pass(3 * DAY, HOUR).await;
    world.walk(&account).await;
    world.customers(&account.tenant, &account.key, &[ADA]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"], "her unsubscription was lifted");
    world.end().await;
}

/// Refusal is broad: whichever spelling's link it comes by, it is about the mailbox.
#[tokio::test]
async fn a_refusal_by_another_spellings_link_is_dropped() {
    let (world, account) = mailing("mailjet", &["Ada@example.org", ADA]).await;
    let purpose = world.core.purpose(&account.tenant, None).await.unwrap();
    let named = EmailAddress::parse("Ada@example.org").unwrap();
    let address = world.core.find_address(&account.tenant, &account.key, &named).await.unwrap();
    let mut tx = world.core.store.begin().await.unwrap();
    let link = world.core.unsubscribe_link(&mut tx, &account.tenant, &address, &purpose).await.unwrap();
    tx.commit().await.unwrap();
    let secret = link.rsplit('/').next().unwrap();
    let visitor = Visitor { agent: "Firefox".into(), confirmed: false, one_click: true };
    world.core.decide(secret, Decision::Refuse, &visitor).await.unwrap();
    world.settle().await;
    // She says yes again by the other spelling, and no again by the first one's link.
    world.accept_again(&[ADA]).await;
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()).len(), 1);
    world.core.decide(secret, Decision::Refuse, &visitor).await.unwrap();
    world.pass(DAY, HOUR).await;
    assert!(account.mailable(world.clock.now()).is_empty(), "her refusal was dropped");
    world.end().await;
}

/// Two people of the staff must not be able to undo what the person said.
#[tokio::test]
async fn staff_undo_a_persons_withdrawal_by_annulling_one_of_their_own() {
    let (world, account) = mailing("mailjet", &[ADA]).await;
    world.withdraw_by_link(&account.tenant, &account.key, ADA).await;
    let email = EmailAddress::parse(ADA).unwrap();
    let address = world.core.find_address(&account.tenant, &account.key, &email).await.unwrap();
    let (tenant, key) = (&account.tenant, &account.key);
    world.core.withdraw(tenant, key, &address, None, "ann", "by phone").await.unwrap();
    let annulled = world.core.annul(tenant, key, &address, ["ann", "ben"], "a mistake").await;
    assert_eq!(world.state(&account, ADA).await, State::Withdrawn, "{annulled:?}");
    world.end().await;
}

/// Who unsubscribed before we knew them must not count as never asked, however we come to know them.
#[tokio::test]
async fn a_suppressed_stranger_becomes_askable_by_a_walk() {
    let (world, account) = mailing("mailjet", &[ADA]).await;
    let (list, eve) = (account.connection.list.clone(), "eve@example.org");
    let now = world.clock.now();
    account.provider().happen(now, eve, &Happening::HostileImport(list.clone()));
    account.provider().happen(now, eve, &Happening::Unsubscribes(Some(list.clone())));
    world.pass(10 * MINUTE, MINUTE).await;
    account.provider().happen(world.clock.now(), eve, &Happening::HostileImport(list));
    world.walk(&account).await;
    world.customers(&account.tenant, &account.key, &[eve]).await;
    assert_ne!(world.state(&account, eve).await, State::NotAsked, "the suppression list was passed over");
    world.end().await;
}

/// While a connection is paused nobody asks after its jobs, and the settle time runs out under one that still works.
#[tokio::test]
async fn a_job_that_outlives_a_pause_subscribes_who_withdrew() {
    let world = World::new(Engine::Sqlite).await;
    let (tenant, key) = world.tenant("pool").await;
    let people: Vec<String> = (0..60).map(|number| format!("p{number}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    world.customers(&tenant, &key, &people).await;
    let account = world.connect(&tenant, "main", "brevo").await;
    world.accept(&tenant, &key, &people).await;
    world.sync(&account).await;
    account.provider().set("import_delay", "7200").unwrap();
    world.core.confirm_run(&account.connection, "office").await.unwrap();
    while world.core.store.open_jobs(tenant.id, account.connection.id).await.unwrap().is_empty() {
        world.step().await;
    }
    let connection = world.core.find_connection(&tenant, "main").await.unwrap();
    world.core.pause_connection(&connection, "moving house").await.unwrap();
    lose_webhooks(&account);
    world.clock.advance(20 * MINUTE);
    world.withdraw_by_link(&tenant, &key, people[0]).await;
    for _ in 0..60 {
        while world.step().await {}
        world.clock.advance(5 * MINUTE);
    }
    let said = world.said(&account, people[0], consentd::domain::consent::Kind::InEffect).await;
    let mailed = account.mailable(world.clock.now()).iter().any(|one| one == people[0]);
    assert!(!mailed, "mailable five hours after the withdrawal; said to be in effect {said} times");
    world.end().await;
}

/// A crowd that left the CRM by mistake has not withdrawn.
#[tokio::test]
async fn a_crowd_that_comes_back_to_the_crm_counts_as_unsubscribed() {
    let people: Vec<String> = (0..120).map(|number| format!("p{number}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (world, account) = mailing("mailjet", &people).await;
    assert_eq!(account.mailable(world.clock.now()).len(), 120);
    world.bin(&account.tenant, &account.key, &people).await;
    world.sync(&account).await;
    world.core.confirm_run(&account.connection, "office").await.unwrap();
    world.settle().await;
    assert!(account.mailable(world.clock.now()).is_empty());
    world.customers(&account.tenant, &account.key, &people).await;
    world.sync(&account).await;
    assert_eq!(world.state(&account, people[7]).await, State::Accepted);
    world.end().await;
}

/// What a walk found must be weighed, also if the daemon dies or the provider fails right after the last page.
#[tokio::test]
async fn a_walk_whose_reconciliation_fails_is_forgotten_for_a_day() {
    use consentd_provider::emulator::{Fault, FaultRule};
    let (world, account) = mailing("mailjet", &[ADA, "bob@example.org", "eve@example.org"]).await;
    let (tenant, connection) = (account.tenant.id, account.connection.id);
    world.clock.advance(HOUR);
    account.happen(world.clock.now(), "eve@example.org", &Happening::Deleted);
    let import = Happening::HostileImport(account.connection.list.clone());
    account.provider().happen(world.clock.now(), "stranger@example.org", &import);
    let mut tx = world.core.store.begin().await.unwrap();
    tx.want_walk(&account.connection, world.core.now()).await.unwrap();
    tx.commit().await.unwrap();
    let walked = |walk: Option<consentd::store::Walk>| walk.is_some_and(|walk| walk.finished_at.is_none());
    while !walked(world.core.store.walk(tenant, connection).await.unwrap()) {
        world.work(connection).await.unwrap();
    }
    // The pages of the walk are answered, the question after who vanished is not.
    account.provider().fault(FaultRule { matching: "contact/eve".into(), times: 1, fault: Fault::Refuse });
    world.pass(6 * HOUR, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), [ADA, "bob@example.org"], "one refused call, six hours ago");
    world.end().await;
}
