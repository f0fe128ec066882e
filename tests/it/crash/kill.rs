//! `kill -9` at random instants under mixed load.
//!
//! `KILLS=2000` kills that often, `KILL_SEED=n` plays the same senders, instants and faults again, as far as processes
//! allow that, and `KILL_KEEP=1` leaves the folder with database and logs.

use crate::crash::house::{House, START_UP, pause};
use crate::crash::load::{Answer, Load};
use crate::world::Engine;
use consentd::random::{SeededRandom, SystemRandom, below};
use serde_json::json;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

mod on_sqlite {
    #[tokio::test]
    async fn kills() {
        super::nothing_acknowledged_is_lost_however_often_the_program_is_killed(crate::world::Engine::Sqlite).await;
    }
}
mod on_postgres {
    #[tokio::test]
    async fn kills() {
        super::nothing_acknowledged_is_lost_however_often_the_program_is_killed(crate::world::Engine::Postgres).await;
    }
}

/// Kills in the ordinary run.
const KILLS: usize = 50;
/// Who sends at the same time.
const SENDERS: usize = 4;
/// People for each kill.
const PEOPLE: usize = 12;
/// How long it may take until everything is as it should be again: a dead daemon's leases, back-offs, and a second for
/// every ten kills to read it all.
const REST: Duration = Duration::from_mins(2);

/// A number that somebody set in the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// What the sandbox does wrong at times; each heals by itself.
const FAULTS: [(&str, Option<u16>); 7] = [
    ("reset", None),
    ("refuse", None),
    ("apply_then_hang", None),
    ("hang", None),
    ("status", Some(503)),
    ("apply_then_status", Some(502)),
    ("throttle", None),
];

// I10, I9, I11, I2, I20
async fn nothing_acknowledged_is_lost_however_often_the_program_is_killed(engine: Engine) {
    let begun = Instant::now();
    let kills = number("KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let seed = number("KILL_SEED").unwrap_or_else(|| below(&SystemRandom, 1 << 32));
    eprintln!("{engine:?}: {kills} kills, KILL_SEED={seed}");
    let dice = SeededRandom::new(seed);
    let mut house = House::new(engine).await;
    house.furnish().await;
    for shop in &house.shops {
        house.control(shop, "disturb", &json!({ "duplicate": true, "reorder": true })).await.expect("disturbed");
    }
    let load = Load::new(house, kills * PEOPLE + 2, seed).await;
    let house = &load.house;
    let (tell, there) = watch::channel(false);
    let mut senders = JoinSet::new();
    for _ in 0..SENDERS {
        senders.spawn(load.clone().people_and_providers(there.clone()));
    }
    senders.spawn(load.clone().staff(there));

    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        if below(&dice, 2) == 0 {
            let (fault, status) = FAULTS[usize::try_from(below(&dice, FAULTS.len() as u64)).unwrap()];
            let order = json!({ "fault": fault, "status": status, "times": 1 + below(&dice, 3) });
            let shop = &house.shops[usize::try_from(below(&dice, 2)).unwrap()];
            house.control(shop, "fault", &order).await.expect("a fault");
        }
        load.turn(PEOPLE);
        let instant = 5 + below(&dice, 1_996);
        let daemon = house.start();
        if kill % 5 == 4 {
            // From the first breath on, so that starting is interrupted too.
            tokio::select! {
                biased;
                () = pause(instant) => {}
                () = async { house.ready().await; tell.send_replace(true); std::future::pending().await } => {}
            }
        } else {
            slowest = slowest.max(house.ready().await);
            tell.send_replace(true);
            pause(instant).await;
        }
        daemon.kill();
        tell.send_replace(false);
    }

    house.heal().await;
    let daemon = house.start();
    slowest = slowest.max(house.ready().await);
    drop(tell);
    let looped = begun.elapsed();
    while let Some(sender) = senders.join_next().await {
        sender.unwrap();
    }
    load.finish().await;
    let patience = REST + Duration::from_millis(100) * u32::try_from(kills).unwrap();
    rest(&load, patience, seed).await;
    let (newcomer, yes) = load.newcomer().await;
    assert_eq!(yes, Answer::Acknowledged);
    rest(&load, patience, seed).await;
    for shop in &house.shops {
        assert!(house.mailable(shop).await.contains(&newcomer), "KILL_SEED={seed}: a fresh yes gets through");
    }
    assert_eq!(load.leaver().await.1, Answer::Acknowledged);
    rest(&load, patience, seed).await;
    house.verify();
    assert!(daemon.terminate().success());
    let log = fs::read_to_string(house.path("daemon.log")).unwrap();
    assert!(!log.contains("panicked"), "{}", house.told());
    assert!(slowest < START_UP);
    let ((owed, claimed), sent) = (load.oracle.lock().unwrap().counts(), load.sent.load(Ordering::SeqCst));
    assert!(owed > kills * PEOPLE, "{owed} obligations are no load");
    eprintln!(
        "{engine:?}: {kills} kills, {sent} requests, {owed} obligations of {claimed} claims hold; slowest start \
         {slowest:?}; loop {looped:?}, all {:?}",
        begun.elapsed()
    );
    Arc::into_inner(load).expect("nobody sends any more").house.end().await;
}

/// Waits until nothing is broken any more; what never heals is told.
pub async fn rest(load: &Load, patience: Duration, seed: u64) {
    let begun = Instant::now();
    // Providers come back hours later; theirs pass in a moment.
    for shop in &load.house.shops {
        load.house.control(shop, "advance", &json!({ "seconds": 9 * 3_600 })).await.expect("time passes");
    }
    loop {
        let breaches = load.breaches().await;
        if breaches.is_empty() {
            return;
        }
        let shown = &breaches[..breaches.len().min(20)];
        assert!(
            begun.elapsed() < patience,
            "KILL_SEED={seed}: {} promises are broken, among them {shown:?}\n{}",
            breaches.len(),
            load.house.told()
        );
        pause(500).await;
    }
}
