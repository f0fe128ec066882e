//! The main job from end to end, for every provider and on both engines: only who consents is mailed, whoever stops
//! consenting is taken off, and what happens at the provider comes back.

use crate::world::{Account, Engine, World, on_both_engines};
use consentd::clock::{Clock, DAY, HOUR, MINUTE};
use consentd::domain::consent::{Kind, State};
use consentd::domain::fold::Flags;
use consentd::store::{ConnectionState, RunState};
use consentd_provider::emulator::{CourierFaults, Fault, FaultRule, Happening};

/// Runs the same story on an account of each provider.
macro_rules! with_every_provider {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::world::Engine;
            crate::world::on_both_engines!(brevo, mailjet);
            async fn brevo(engine: Engine) { super::$name(engine, "brevo").await; }
            async fn mailjet(engine: Engine) { super::$name(engine, "mailjet").await; }
        }
    )+};
}

with_every_provider!(
    nothing_is_written_before_a_person_confirmed_the_first_plan,
    only_who_consents_is_mailed,
    an_unsubscription_at_the_provider_is_a_withdrawal,
    a_withdrawal_here_takes_the_person_off_there,
    who_says_yes_again_is_mailed_again,
    an_unsubscription_newer_than_the_yes_is_not_undone,
    leaving_the_crm_and_returning_undoes_no_unsubscription,
    a_complaint_is_for_ever,
    a_bounce_takes_off_until_it_is_cleared,
    staff_unsubscribing_at_the_provider_is_found_by_the_walk,
    an_import_at_the_provider_is_undone,
    a_contact_deleted_at_the_provider_is_not_put_back,
    people_on_other_lists_are_left_alone,
    withdrawals_survive_an_outage_of_a_day,
    an_addition_that_lands_late_is_taken_off_again,
    revoked_credentials_suspend_the_connection_and_nothing_else,
    webhooks_repeated_reordered_and_late_count_once,
    who_leaves_the_crm_leaves_the_list_within_the_guard,
    a_yes_during_a_withdrawal_is_not_lost,
    bulk_and_single_people_arrive_alike,
);

on_both_engines!(a_refusal_at_one_provider_reaches_the_other, a_mailjet_job_that_lies_is_not_believed);

async fn pool(engine: Engine, provider: &str, emails: &[&str]) -> (World, Account) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    world.customers(&tenant, &key, emails).await;
    let account = world.connect(&tenant, "main", provider).await;
    (world, account)
}

/// An account that mails these people, and nobody else.
async fn mailing(engine: Engine, provider: &str, emails: &[&str]) -> (World, Account) {
    let (world, account) = pool(engine, provider, emails).await;
    world.accept(&account.tenant, &account.key, emails).await;
    world.activate(&account).await;
    assert_eq!(account.mailable(world.clock.now()), sorted(emails));
    (world, account)
}

fn sorted(emails: &[&str]) -> Vec<String> {
    let mut sorted: Vec<String> = emails.iter().map(|email| (*email).to_owned()).collect();
    sorted.sort();
    sorted
}

async fn nothing_is_written_before_a_person_confirmed_the_first_plan(engine: Engine, provider: &str) {
    let (world, account) = pool(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    world.accept(&account.tenant, &account.key, &["ada@example.org"]).await;
    // Somebody is on the list already, and nobody here knows of a consent.
    account.provider().happen(
        world.clock.now(),
        "bob@example.org",
        &Happening::HostileImport(account.connection.list.clone()),
    );
    let before = account.provider().log().len();
    world.sync(&account).await;
    let calls = account.provider().log()[before..].to_vec();
    assert!(calls.iter().all(|entry| entry.what.starts_with("GET ")), "{calls:?}");
    let run =
        world.core.store.open_run(account.tenant.id, account.connection.id).await.unwrap().expect("a waiting run");
    assert_eq!(run.state, RunState::AwaitingConfirmation);
    let report = world.core.report(&run).await.unwrap();
    assert_eq!((report.planned.get("add"), report.planned.get("withdraw")), (Some(&1), Some(&1)), "{report:?}");
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);

    world.core.confirm_run(&account.connection, "office").await.unwrap();
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org"]);
    world.end().await;
}

/// I1.
async fn only_who_consents_is_mailed(engine: Engine, provider: &str) {
    let people = ["yes@example.org", "silent@example.org", "no@example.org", "external@example.org"];
    let (world, account) = pool(engine, provider, &people[..3]).await;
    world.accept(&account.tenant, &account.key, &["yes@example.org", "no@example.org"]).await;
    world.withdraw_by_link(&account.tenant, &account.key, "no@example.org").await;
    world.activate(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["yes@example.org"]);
    let found = world.core.verify(&account.tenant, &account.key).await.unwrap();
    assert!(found.is_sound(), "{found:?}");
    world.end().await;
}

async fn an_unsubscription_at_the_provider_is_a_withdrawal(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.unsubscribes(world.clock.now(), "ada@example.org");
    world.pass(10 * MINUTE, MINUTE).await;
    assert_eq!(world.state(&account, "ada@example.org").await, State::Withdrawn);
    assert_eq!(world.said(&account, "ada@example.org", Kind::ProviderUnsubscribed).await, 1);
    assert_eq!(world.said(&account, "ada@example.org", Kind::InEffect).await, 1);
    world.sync(&account).await;
    world.pass(DAY, HOUR).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

/// I2.
async fn a_withdrawal_here_takes_the_person_off_there(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    let began = world.clock.now();
    world.settle().await;
    assert!(world.clock.now() - began < MINUTE, "a withdrawal does not wait for a schedule");
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    assert_eq!(world.said(&account, "ada@example.org", Kind::InEffect).await, 1);
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

async fn who_says_yes_again_is_mailed_again(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.unsubscribes(world.clock.now(), "ada@example.org");
    world.withdraw_by_link(&account.tenant, &account.key, "bob@example.org").await;
    world.pass(HOUR, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), Vec::<String>::new());
    world.accept_again(&["ada@example.org", "bob@example.org"]).await;
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org", "bob@example.org"]);
    world.end().await;
}

async fn an_unsubscription_newer_than_the_yes_is_not_undone(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.provider().disturb(CourierFaults { drop: 100, ..CourierFaults::default() });
    account.provider().fault(FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Refuse });
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    world.accept_again(&["ada@example.org"]).await;
    while world.step().await {}
    world.clock.advance(HOUR);
    account.unsubscribes(world.clock.now(), "ada@example.org");
    world.clock.advance(HOUR);
    account.provider().heal();
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.walk(&account).await;
    assert_eq!(world.state(&account, "ada@example.org").await, State::Withdrawn);
    assert_eq!(world.said(&account, "ada@example.org", Kind::ProviderUnsubscribed).await, 1);
    world.pass(DAY, HOUR).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    // A yes after that counts again.
    world.accept_again(&["ada@example.org"]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org", "bob@example.org"]);
    world.end().await;
}

async fn leaving_the_crm_and_returning_undoes_no_unsubscription(engine: Engine, provider: &str) {
    let people: Vec<String> = (0..20).map(|n| format!("person{n:02}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (world, account) = mailing(engine, provider, &people).await;
    world.clock.advance(HOUR);
    account.provider().disturb(CourierFaults { drop: 100, ..CourierFaults::default() });
    account.unsubscribes(world.clock.now(), people[0]);
    world.clock.advance(HOUR);
    world.bin(&account.tenant, &account.key, &people[..2]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), sorted(&people[2..]));
    world.clock.advance(HOUR);
    world.customers(&account.tenant, &account.key, &people[..2]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), sorted(&people[1..]), "only who did not unsubscribe comes back");
    world.walk(&account).await;
    assert_eq!(world.state(&account, people[0]).await, State::Withdrawn);
    assert_eq!(world.state(&account, people[1]).await, State::Accepted);
    world.end().await;
}

async fn a_complaint_is_for_ever(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.happen(world.clock.now(), "ada@example.org", &Happening::Complains);
    world.pass(10 * MINUTE, MINUTE).await;
    let standing = world.standing(&account, "ada@example.org").await;
    assert_eq!(standing.state, State::Withdrawn);
    assert!(standing.flags.has(Flags::COMPLAINT));
    // Even a person's own later yes does not bring campaigns back by itself.
    world.accept_again(&["ada@example.org"]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

async fn a_bounce_takes_off_until_it_is_cleared(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.happen(world.clock.now(), "ada@example.org", &Happening::HardBounces);
    world.pass(10 * MINUTE, MINUTE).await;
    let standing = world.standing(&account, "ada@example.org").await;
    assert_eq!(standing.state, State::Accepted);
    assert!(standing.flags.has(Flags::HARD_BOUNCE));
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    account.happen(world.clock.now(), "bob@example.org", &Happening::SoftBounces);
    world.pass(10 * MINUTE, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    assert_eq!(world.said(&account, "bob@example.org", Kind::SoftBounced).await, 1);
    world.end().await;
}

async fn staff_unsubscribing_at_the_provider_is_found_by_the_walk(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    let what = Happening::UnsubscribedByStaff(account.connection.list.clone());
    account.happen(world.clock.now(), "ada@example.org", &what);
    world.walk(&account).await;
    assert_eq!(world.state(&account, "ada@example.org").await, State::Withdrawn);
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

/// I8.
async fn an_import_at_the_provider_is_undone(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    world.settle().await;
    let import = Happening::HostileImport(account.connection.list.clone());
    for email in ["ada@example.org", "stranger@example.org"] {
        account.provider().happen(world.clock.now(), email, &import);
    }
    world.walk(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    assert_eq!(world.state(&account, "ada@example.org").await, State::Withdrawn);
    let open = world.core.store.incidents(account.tenant.id, 100).await.unwrap();
    assert!(open.iter().any(|incident| incident.kind == "subscribed_without_consent"), "{open:?}");
    world.end().await;
}

async fn a_contact_deleted_at_the_provider_is_not_put_back(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.happen(world.clock.now(), "ada@example.org", &Happening::Deleted);
    world.walk(&account).await;
    world.sync(&account).await;
    assert_eq!(world.state(&account, "ada@example.org").await, State::Accepted);
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

async fn people_on_other_lists_are_left_alone(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org"]).await;
    let opened = world.core.open(&account.connection, &account.key).unwrap();
    let other = opened.provider.create_list(&*opened.gateway, "Customers of another brand").await.unwrap();
    for email in ["ada@example.org", "eve@example.org"] {
        account.provider().happen(world.clock.now(), email, &Happening::HostileImport(other.id.clone()));
    }
    world.walk(&account).await;
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    world.settle().await;
    let reached = account.provider().mailable(world.clock.now(), &other.id);
    assert!(reached.iter().any(|email| email == "eve@example.org"), "{reached:?}");
    assert_eq!(account.mailable(world.clock.now()), Vec::<String>::new());
    world.end().await;
}

/// I2.
async fn withdrawals_survive_an_outage_of_a_day(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    account.provider().fault(FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Refuse });
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    let end = world.clock.now() + DAY;
    while world.clock.now() < end {
        while world.step().await {}
        world.clock.advance(5 * MINUTE);
    }
    let (late, _) = world
        .core
        .store
        .late_withdrawals(account.tenant.id, account.connection.id, world.clock.now() - HOUR)
        .await
        .unwrap();
    assert_eq!(late, 1);
    account.provider().heal();
    let began = world.clock.now();
    world.settle().await;
    assert!(world.clock.now() - began <= 6 * MINUTE, "everything drains soon after the recovery");
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

/// I2.
async fn an_addition_that_lands_late_is_taken_off_again(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["bob@example.org"]).await;
    world.customers(&account.tenant, &account.key, &["ada@example.org"]).await;
    world.accept(&account.tenant, &account.key, &["ada@example.org"]).await;
    for method in ["POST /", "PUT /"] {
        let fault = Fault::HangThenApply(10 * MINUTE);
        account.provider().fault(FaultRule { matching: method.into(), times: 1, fault });
    }
    while world.step().await {}
    account.provider().heal();
    // The addition hangs at the provider; the person withdraws before it lands.
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    world.pass(2 * DAY, 5 * MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    assert_eq!(world.state(&account, "ada@example.org").await, State::Withdrawn);
    assert_eq!(world.said(&account, "ada@example.org", Kind::InEffect).await, 1);
    world.end().await;
}

/// I19.
async fn revoked_credentials_suspend_the_connection_and_nothing_else(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org"]).await;
    let other = world.connect(&account.tenant, "second", provider).await;
    world.activate(&other).await;
    account.provider().fault(FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Unauthorised });
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    for _ in 0..100 {
        while world.step().await {}
        world.clock.advance(MINUTE);
    }
    let connection = world.core.find_connection(&account.tenant, "main").await.unwrap();
    assert_eq!(connection.state, ConnectionState::Suspended);
    assert!(connection.state_reason.contains("credentials"), "{}", connection.state_reason);
    assert_eq!(other.mailable(world.clock.now()), ["bob@example.org"]);
    account.provider().heal();
    world.pass(HOUR, MINUTE).await;
    let connection = world.core.find_connection(&account.tenant, "main").await.unwrap();
    assert_eq!(connection.state, ConnectionState::Active);
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    world.end().await;
}

async fn webhooks_repeated_reordered_and_late_count_once(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org", "bob@example.org", "cyd@example.org"]).await;
    account.provider().disturb(CourierFaults { duplicate: true, reorder: true, delay: 20 * HOUR, drop: 0 });
    account.unsubscribes(world.clock.now(), "ada@example.org");
    account.happen(world.clock.now(), "bob@example.org", &Happening::Complains);
    world.pass(2 * DAY, HOUR).await;
    assert_eq!(world.said(&account, "ada@example.org", Kind::ProviderUnsubscribed).await, 1);
    assert_eq!(world.said(&account, "bob@example.org", Kind::Complained).await, 1);
    assert_eq!(account.mailable(world.clock.now()), ["cyd@example.org"]);
    world.end().await;
}

async fn who_leaves_the_crm_leaves_the_list_within_the_guard(engine: Engine, provider: &str) {
    let people: Vec<String> = (0..20).map(|n| format!("person{n:02}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (world, account) = mailing(engine, provider, &people).await;
    world.bin(&account.tenant, &account.key, &people[..3]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()).len(), 17);
    world.bin(&account.tenant, &account.key, &people[3..12]).await;
    world.sync(&account).await;
    assert_eq!(account.mailable(world.clock.now()).len(), 17, "too many at once need a person's confirmation");
    world.core.confirm_run(&account.connection, "office").await.unwrap();
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()).len(), 8);
    world.end().await;
}

async fn a_yes_during_a_withdrawal_is_not_lost(engine: Engine, provider: &str) {
    let (world, account) = mailing(engine, provider, &["ada@example.org"]).await;
    account.provider().fault(FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Refuse });
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    while world.step().await {}
    world.accept_again(&["ada@example.org"]).await;
    account.provider().heal();
    world.pass(HOUR, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org"]);
    world.end().await;
}

async fn bulk_and_single_people_arrive_alike(engine: Engine, provider: &str) {
    let people: Vec<String> = (0..400).map(|n| format!("person{n:03}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (world, account) = mailing(engine, provider, &people).await;
    for email in &people[..150] {
        world.withdraw_by_link(&account.tenant, &account.key, email).await;
    }
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()), sorted(&people[150..]));
    world.pass(DAY + HOUR, HOUR).await;
    assert_eq!(account.mailable(world.clock.now()), sorted(&people[150..]));
    let found = world.core.verify(&account.tenant, &account.key).await.unwrap();
    assert!(found.is_sound(), "{found:?}");
    world.end().await;
}

async fn a_refusal_at_one_provider_reaches_the_other(engine: Engine) {
    let (world, first) = mailing(engine, "brevo", &["ada@example.org", "bob@example.org"]).await;
    let second = world.connect(&first.tenant, "second", "mailjet").await;
    world.activate(&second).await;
    assert_eq!(second.mailable(world.clock.now()), ["ada@example.org", "bob@example.org"]);
    first.unsubscribes(world.clock.now(), "ada@example.org");
    second.happen(world.clock.now(), "bob@example.org", &Happening::Complains);
    world.pass(20 * MINUTE, MINUTE).await;
    for account in [&first, &second] {
        assert_eq!(account.mailable(world.clock.now()), Vec::<String>::new());
    }
    world.end().await;
}

async fn a_mailjet_job_that_lies_is_not_believed(engine: Engine) {
    let people: Vec<String> = (0..60).map(|n| format!("person{n:02}@example.org")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (world, account) = pool(engine, "mailjet", &people).await;
    world.accept(&account.tenant, &account.key, &people).await;
    account.provider().set("jobs", "silent").unwrap();
    world.sync(&account).await;
    let run = world.core.confirm_run(&account.connection, "office").await.unwrap();
    for _ in 0..40 {
        while world.step().await {}
        world.clock.advance(MINUTE);
    }
    assert_eq!(account.mailable(world.clock.now()), Vec::<String>::new());
    let report = world.core.report(&run).await.unwrap();
    assert_eq!(report.outcomes.get("failed"), Some(&60), "{report:?}");
    account.provider().set("jobs", "ok").unwrap();
    world.pass(HOUR, MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), sorted(&people));
    world.end().await;
}
