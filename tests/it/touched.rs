//! Somebody else changes a contact at the provider, and the provider says so: it is looked at at once, not at the next walk.

use crate::world::{Engine, World, on_both_engines};
use consentd::clock::{Clock, HOUR, MINUTE};
use consentd::domain::consent::{Kind, State};
use consentd_provider::emulator::Happening;

on_both_engines!(who_is_put_on_the_list_without_consent_is_off_it_within_minutes, our_own_writing_is_not_looked_at);

async fn who_is_put_on_the_list_without_consent_is_off_it_within_minutes(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    world.customers(&tenant, &key, &["ada@example.org", "bob@example.org"]).await;
    let account = world.connect(&tenant, "main", "brevo").await;
    world.accept(&tenant, &key, &["bob@example.org"]).await;
    world.activate(&account).await;
    world.clock.advance(HOUR);
    let list = account.connection.list.clone();
    account.provider().happen(world.clock.now(), "ada@example.org", &Happening::HostileImport(list));
    let began = world.clock.now();
    world.pass(10 * MINUTE, MINUTE).await;
    assert!(world.clock.now() - began < HOUR, "no walk was waited for");
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"]);
    assert_eq!(world.state(&account, "ada@example.org").await, State::NotAsked);
    assert_eq!(world.said(&account, "ada@example.org", Kind::ProviderResubscribed).await, 1);
    world.end().await;
}

async fn our_own_writing_is_not_looked_at(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    world.customers(&tenant, &key, &["bob@example.org"]).await;
    let account = world.connect(&tenant, "main", "brevo").await;
    world.accept(&tenant, &key, &["bob@example.org"]).await;
    world.activate(&account).await;
    let before = account.provider().log().len();
    world.moves(&tenant, &key, "bob@example.org", "Husum").await;
    world.sync(&account).await;
    world.pass(5 * MINUTE, MINUTE).await;
    let reads = account.provider().log()[before..].iter().filter(|entry| entry.what.contains("/contacts/bob")).count();
    assert!(reads <= 4, "the echo of our own update is looked at again: {reads} calls about one contact");
    world.end().await;
}
