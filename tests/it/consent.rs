//! Saying something about a consent, through the service, on both engines.

use crate::world::{Engine, World, on_both_engines};
use consentd::domain::consent::{Act, OperatorAct, ProviderAct, State};
use consentd::service::consent::Saying;
use serde_json::json;

on_both_engines!(
    a_withdrawal_reaches_every_spelling_of_the_mailbox,
    the_history_verifies_and_rebuilds_to_the_same_standings,
);

async fn a_withdrawal_reaches_every_spelling_of_the_mailbox(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let lower = world.address(&tenant, &key, "ada@example.org").await;
    let upper = world.address(&tenant, &key, "ADA@example.org").await;
    assert_eq!(lower.mailbox, upper.mailbox);

    world.core.withdraw(&tenant, &key, &lower, None, "office", "called us").await.unwrap();

    for address in [lower, upper] {
        let standings = world.core.store.standings(tenant.id, address.id).await.unwrap();
        assert_eq!(standings[0].standing.state, State::Withdrawn);
    }
    world.end().await;
}

async fn the_history_verifies_and_rebuilds_to_the_same_standings(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    for act in [
        Act::Operator(OperatorAct::Request(consentd::domain::consent::AskBasis::ExistingCustomer)),
        Act::Provider(ProviderAct::HardBounce),
        Act::Provider(ProviderAct::Complain),
    ] {
        let mut tx = world.core.store.begin().await.unwrap();
        let saying = Saying { address: &ada, purpose: None, act, evidence: json!({}) };
        world.core.say(&mut tx, &tenant, &key, saying).await.unwrap();
        tx.commit().await.unwrap();
    }
    let before = world.core.store.standings(tenant.id, ada.id).await.unwrap();
    let found = world.core.verify(&tenant, &key).await.unwrap();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.lines, found.payloads), (4, 4));

    world.core.rebuild(&tenant).await.unwrap();
    assert_eq!(world.core.store.standings(tenant.id, ada.id).await.unwrap(), before);
    world.end().await;
}
