//! What random lives found, each with the seed that did (`tests/it/simulation/`).

use crate::world::{Account, Engine, World, on_both_engines};
use consentd::clock::{Clock, DAY, HOUR, MINUTE, SECOND};
use consentd::store::Phase;
use consentd_provider::emulator::{Fault, FaultRule, Happening};

on_both_engines!(
    i2_i8_who_was_imported_before_the_first_plan_was_confirmed_is_taken_off,
    i17_a_clock_that_was_put_back_makes_no_walk_endless,
    i17_a_clock_that_was_put_back_holds_up_no_withdrawal,
);

async fn pool(engine: Engine) -> (World, Account) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    world.customers(&tenant, &key, &["ada@example.org", "bob@example.org"]).await;
    let account = world.connect(&tenant, "main", "brevo").await;
    world.accept(&tenant, &key, &["ada@example.org"]).await;
    (world, account)
}

/// Seed 159: the walk of a connection in shadow mode saw the person, so the first one afterwards found nothing new.
async fn i2_i8_who_was_imported_before_the_first_plan_was_confirmed_is_taken_off(engine: Engine) {
    let (world, account) = pool(engine).await;
    world.sync(&account).await;
    let list = account.connection.list.clone();
    account.happen(world.clock.now(), "bob@example.org", &Happening::HostileImport(list));
    world.walk(&account).await;
    assert_eq!(account.mailable(world.clock.now()), ["bob@example.org"], "nothing is written in shadow mode");
    world.core.confirm_run(&account.connection, "office").await.unwrap();
    world.settle().await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org"]);
    world.end().await;
}

/// Seed 7: a walk was wanted at a time that lies ahead again, so each one that ended was too early.
async fn i17_a_clock_that_was_put_back_makes_no_walk_endless(engine: Engine) {
    let (world, account) = pool(engine).await;
    world.activate(&account).await;
    let mut tx = world.core.store.begin().await.unwrap();
    tx.want_walk(&account.connection, world.core.now()).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(-2 * DAY);
    world.core.shorten_waits().await.unwrap();
    let mut rounds = 0;
    while world.step().await {
        rounds += 1;
        assert!(rounds < 50, "the daemon does not come to rest");
    }
    // Seeds 21 and 10103: and the next one was not due before the clock had caught up and a day had passed.
    let list = account.connection.list.clone();
    account.happen(world.clock.now(), "bob@example.org", &Happening::HostileImport(list));
    world.pass(25 * HOUR, 10 * MINUTE).await;
    assert_eq!(account.mailable(world.clock.now()), ["ada@example.org"]);
    world.end().await;
}

/// Like seeds 30 and 51: what waits for its next attempt waited until the clock had caught up.
async fn i17_a_clock_that_was_put_back_holds_up_no_withdrawal(engine: Engine) {
    let (world, account) = pool(engine).await;
    world.activate(&account).await;
    let down = FaultRule { matching: String::new(), times: u32::MAX, fault: Fault::Status(503) };
    account.provider().fault(down);
    world.withdraw_by_link(&account.tenant, &account.key, "ada@example.org").await;
    for _ in 0..60 {
        while world.step().await {}
        world.clock.advance(10 * SECOND);
    }
    account.provider().heal();
    world.clock.advance(-2 * DAY);
    world.core.shorten_waits().await.unwrap();
    while world.step().await {}
    assert!(account.mailable(world.clock.now()).is_empty());
    let (tenant, id) = (account.tenant.id, account.connection.id);
    let waiting = world.core.store.due_withdrawals(tenant, id, Phase::Send, i64::MAX, 10).await.unwrap();
    assert!(waiting.is_empty(), "{waiting:?}");
    world.end().await;
}
