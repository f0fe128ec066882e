//! Bells and alarms on a simulated clock.

use crate::people::{Silent, accept, active, ask};
use crate::served::{incidents, run_sql, with_toy};
use crate::tin;
use crate::toy;
use crate::world::{Engine, START, World, on_both_engines};
use consentd::clock::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use consentd::domain::consent::{Kind, State};
use consentd::service::Core;
use consentd::service::steer::ConnectionChange;
use consentd::store::{Address, Connection, Tenant};
use consentd_provider::HookMode;
use serde_json::json;

on_both_engines!(
    a_bell_that_was_missed_rings_once_and_never_twice_at_the_same_time,
    bells_follow_the_clock_on_the_wall_through_daylight_saving,
    a_withdrawal_that_is_late_is_an_alarm_until_it_is_in_effect,
    a_flood_of_unsubscriptions_is_applied_and_an_alarm,
    lost_registrations_are_reported_or_put_right,
    requests_expire_once_and_consents_lapse_slowly,
);

/// A connection whose bell rings by that expression, in Berlin.
async fn belled(world: &World, cron: &str) -> (Tenant, Connection) {
    let (tenant, key) = world.tenant("pool").await;
    let connection = active(&world.core, &tenant, &key, "bells").await;
    let change = ConnectionChange { cron: Some(cron.into()), ..ConnectionChange::default() };
    let connection = world.core.change_connection(&connection, &key, change).await.unwrap();
    (tenant, connection)
}

async fn close_runs(core: &Core) {
    run_sql(&core.store.db, "UPDATE run SET is_open = FALSE, state = 'done'").await;
}

async fn next_at(core: &Core, connection: &Connection) -> Timestamp {
    core.store.connection(connection.id).await.unwrap().unwrap().next_at.unwrap()
}

async fn a_bell_that_was_missed_rings_once_and_never_twice_at_the_same_time(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let core = &world.core;
    let (tenant, connection) = belled(&world, "0 * * * *").await;
    assert_eq!(next_at(core, &connection).await, START + HOUR);
    assert_eq!(core.ring().await.unwrap(), 0, "too early");

    // Three days of downtime: one run.
    world.clock.advance(3 * DAY + 10 * MINUTE);
    let daemons = tokio::join!(core.ring(), core.ring(), core.ring());
    assert!(daemons.0.is_ok() && daemons.1.is_ok() && daemons.2.is_ok());
    let first = core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap();
    assert_eq!(first.cause, "schedule");
    assert_eq!(next_at(core, &connection).await, START + 3 * DAY + HOUR, "the next full hour, not a missed one");

    // While it is open the next bells wait, and then are one.
    world.clock.advance(3 * HOUR);
    assert_eq!(core.ring().await.unwrap(), 0);
    assert_eq!(core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap().id, first.id);
    close_runs(core).await;
    assert_eq!(core.ring().await.unwrap(), 1);
    assert_ne!(core.store.open_run(tenant.id, connection.id).await.unwrap().unwrap().id, first.id);
    world.end().await;
}

async fn bells_follow_the_clock_on_the_wall_through_daylight_saving(engine: Engine) {
    // 2027-03-28 02:00 CET becomes 03:00 CEST; 2027-10-31 03:00 CEST becomes 02:00 CET.
    const SPRING: Timestamp = 1_806_195_600 * SECOND;
    const AUTUMN: Timestamp = 1_824_944_400 * SECOND;
    for (around, offsets) in [(SPRING, (HOUR, 2 * HOUR)), (AUTUMN, (2 * HOUR, HOUR))] {
        for (cron, minute_of_day) in [("0 9 * * *", 9 * 60), ("30 2 * * *", 2 * 60 + 30)] {
            let world = with_toy(World::new(engine).await);
            world.clock.advance(around - 4 * DAY - START);
            let (_, connection) = belled(&world, cron).await;
            let mut days = Vec::new();
            for _ in 0..8 {
                let at = next_at(&world.core, &connection).await;
                assert!(at > world.core.now(), "a bell rings once");
                world.clock.advance(at - world.core.now());
                assert_eq!(world.core.ring().await.unwrap(), 1);
                close_runs(&world.core).await;
                let wall = at + if at < around { offsets.0 } else { offsets.1 };
                days.push(wall.div_euclid(DAY));
                // An hour that there is not is rung when it would have been over.
                let skipped = around == SPRING && wall.div_euclid(DAY) == (SPRING + HOUR).div_euclid(DAY);
                let minutes = wall.rem_euclid(DAY) / MINUTE;
                assert!(minutes == minute_of_day || (skipped && minutes == 3 * 60), "{cron}: {minutes}");
            }
            assert!(days.windows(2).all(|pair| pair[1] == pair[0] + 1), "{cron}: once a day: {days:?}");
            world.end().await;
        }
    }
}

/// I2.
async fn a_withdrawal_that_is_late_is_an_alarm_until_it_is_in_effect(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    world.provider("nowhere.test", Box::new(Silent));
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("late-{engine:?}");
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    world.customers(&tenant, &key, &["ada@example.org"]).await;
    let connection = active(core, &tenant, &key, &name).await;
    accept(core, &tenant, &key, &ada).await;
    while world.work(connection.id).await.unwrap() {}
    core.withdraw(&tenant, &key, &ada, None, "office", "called us").await.unwrap();

    assert_eq!(core.watch_withdrawals().await.unwrap(), 0, "not yet");
    world.clock.advance(59 * MINUTE);
    assert_eq!(core.watch_withdrawals().await.unwrap(), 0, "not yet");
    world.clock.advance(2 * MINUTE);
    for _ in 0..2 {
        assert_eq!(core.watch_withdrawals().await.unwrap(), 1);
    }
    let raised = core.store.incidents(tenant.id, 10).await.unwrap();
    assert_eq!((&*raised[0].kind, raised[0].count), ("withdrawal_late", 2), "raised again until it is over");
    assert!(!raised[0].detail.contains('@'));

    while world.work(connection.id).await.unwrap() {}
    assert_eq!(toy::account(&name).borrow().contacts.get("ada@example.org"), Some(&false));
    assert_eq!(core.watch_withdrawals().await.unwrap(), 0);
    assert!(!incidents(core, &tenant).await.contains(&"withdrawal_late".to_owned()));
    world.end().await;
}

async fn a_flood_of_unsubscriptions_is_applied_and_an_alarm(engine: Engine) {
    let mut world = World::new(engine).await;
    tin::install(&mut world);
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let purpose = core.purpose(&tenant, None).await.unwrap();
    let connection = tin::connect(&world, &tenant, &key, "main", "1", purpose.id).await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let event = |n: u32| json!({ "kind": "unsubscribed", "email": "ada@example.org", "list": "1", "n": n });

    tin::deliver(&world, &connection, &json!((1..=50).map(event).collect::<Vec<_>>()).to_string()).await;
    assert_eq!(core.watch_floods().await.unwrap(), 0, "not yet a flood");
    tin::deliver(&world, &connection, &json!([event(51)]).to_string()).await;
    assert_eq!(core.watch_floods().await.unwrap(), 1);
    assert_eq!(incidents(core, &tenant).await, ["unsubscribe_flood"]);
    assert_eq!(
        core.store.lines_of(tenant.id, ada.id).await.unwrap().len(),
        1 + 51,
        "the import and each of them is in the history"
    );
    world.clock.advance(10 * MINUTE);
    assert_eq!(core.watch_floods().await.unwrap(), 0, "it is over");
    world.end().await;
}

async fn lost_registrations_are_reported_or_put_right(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    world.provider("nowhere.test", Box::new(Silent));
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    let name = format!("hooks-{engine:?}");
    let connection = active(core, &tenant, &key, &name).await;
    let account = toy::account(&name);
    assert!(core.watch_hooks(&connection, HookMode::Inspect).await.unwrap().healthy);
    assert_eq!(incidents(core, &tenant).await.len(), 0);

    account.send_modify(|held| held.hooks_lost = true);
    assert!(!core.watch_hooks(&connection, HookMode::Inspect).await.unwrap().healthy);
    assert_eq!(incidents(core, &tenant).await, ["hooks_unhealthy"]);
    assert_eq!(account.borrow().repairs, 0, "only looked at");
    assert!(core.watch_hooks(&connection, HookMode::Repair).await.unwrap().changed);
    assert_eq!((incidents(core, &tenant).await.len(), account.borrow().repairs), (0, 1));
    world.end().await;
}

async fn requests_expire_once_and_consents_lapse_slowly(engine: Engine) {
    let world = World::new(engine).await;
    let core = &world.core;
    let (tenant, key) = world.tenant("pool").await;
    run_sql(&core.store.db, "UPDATE purpose SET validity_days = 10").await;
    let silent = world.address(&tenant, &key, "silent@example.org").await;
    ask(core, &tenant, &key, &silent).await;
    let mut accepted = Vec::new();
    for number in 0..25 {
        let address = world.address(&tenant, &key, &format!("{number}@example.org")).await;
        accept(core, &tenant, &key, &address).await;
        accepted.push(address);
    }
    let count = async |kind: Kind| {
        let lines = core.store.lines_after(tenant.id, 0, 1_000).await.unwrap();
        lines.iter().filter(|line| line.header.kind == kind).count()
    };
    assert_eq!(core.expire().await.unwrap(), 0);

    // All at once looks like a wrong clock: they lapse slowly, and a person is told.
    world.clock.advance(11 * DAY);
    core.expire().await.unwrap();
    assert_eq!(count(Kind::Lapsed).await, 20);
    assert_eq!(incidents(core, &tenant).await, ["mass_lapse"]);
    core.expire().await.unwrap();
    assert_eq!((count(Kind::Lapsed).await, incidents(core, &tenant).await.len()), (25, 0));
    assert_eq!(count(Kind::RequestExpired).await, 0);

    world.clock.advance(20 * DAY);
    for _ in 0..3 {
        core.expire().await.unwrap();
        assert_eq!((count(Kind::RequestExpired).await, count(Kind::Lapsed).await), (1, 25));
    }
    let state = async |address: &Address| core.store.standings(tenant.id, address.id).await.unwrap()[0].standing.state;
    assert_eq!(state(&silent).await, State::Pending, "asked, and not answered");
    assert_eq!(state(&accepted[0]).await, State::Lapsed);
    assert!(core.verify(&tenant, &key).await.unwrap().is_sound());
    world.end().await;
}
