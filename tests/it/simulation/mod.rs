//! Random lives of a daemon and its providers: hours to weeks of consents, refusals, outages, lies and crashes, all from
//! one seed.
//!
//! During a life and at its end, when the providers are healed and everything may settle, the promises of the consent
//! model must hold (`oracle.rs`). A seed that fails is printed; `SIMULATION_SEED=n` lives it again with its story,
//! `SIMULATION_SEEDS=n` lives the first n.

mod cover;
mod daemon;
mod deeds;
mod dice;
mod life;
mod oracle;
mod sabotage;
mod trouble;

use crate::world::Engine;
use life::Life;
use sabotage::Sabotage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Lives in a plain `cargo test`; `scripts/test` lives more.
const SEEDS: u64 = 40;
/// Tests that share them, so that they run side by side.
const SHARES: u64 = 2;
/// From so many lives on, everything that can happen must have happened.
const ENOUGH: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
}

/// Lives one life and returns everything that happened in it, or how the oracle words what it found.
fn live(engine: Engine, seed: u64, sabotage: Sabotage) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let life = async {
        let life = Box::pin(Life::new(engine, seed, sabotage)).await;
        Box::pin(life.live()).await
    };
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(life))).map_err(|why| {
        let words = why.downcast_ref::<String>().cloned();
        words.or_else(|| why.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// What the shares that are through have found.
static FINISHED: Mutex<(u64, Vec<String>)> = Mutex::new((0, Vec::new()));

fn share(part: u64) {
    let single = number("SIMULATION_SEED");
    let first = number("SIMULATION_FIRST").unwrap_or(0);
    let many = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds = single.map_or(first..first + many, |seed| seed..seed + 1);
    let mut failed = Vec::new();
    for seed in seeds.filter(|seed| seed % SHARES == part) {
        if let Err(why) = live(Engine::Sqlite, seed, Sabotage::None) {
            let again = format!("SIMULATION_SEED={seed} cargo test --all-features --test it no_life -- --nocapture");
            eprintln!("seed {seed}: {why}\n  live it again: {again}");
            failed.push(format!("seed {seed}: {why}"));
        }
    }
    let mut finished = FINISHED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    finished.0 += 1;
    let (report, never) = cover::report();
    if finished.0 == SHARES && single.is_none() {
        eprintln!("what happened in {many} lives:\n{report}");
    }
    assert!(failed.is_empty(), "{} lives failed:\n{}", failed.len(), failed.join("\n"));
    let enough = finished.0 == SHARES && single.is_none() && many >= ENOUGH;
    assert!(!enough || never.is_empty(), "these never happened: {never:?}");
}

/// I1, I2, I3, I4, I8, I9, I10, I17, I20.
#[test]
fn no_life_mails_anybody_against_their_will_1() {
    share(0);
}

/// I1, I2, I3, I4, I8, I9, I10, I17, I20.
#[test]
fn no_life_mails_anybody_against_their_will_2() {
    share(1);
}

#[test]
fn the_same_seed_lives_the_same_life() {
    for seed in [3, 11, 28, 101, 202] {
        let (once, again) = (live(Engine::Sqlite, seed, Sabotage::None), live(Engine::Sqlite, seed, Sabotage::None));
        assert_eq!(once, again, "seed {seed}");
    }
}

#[test]
fn a_few_lives_on_the_other_engine() {
    for seed in 1_000..1_004 {
        if let Err(why) = live(Engine::Postgres, seed, Sabotage::None) {
            panic!("seed {seed}: {why}");
        }
    }
}

#[test]
fn the_oracle_reports_whatever_is_broken() {
    for (sabotage, words) in Sabotage::ALL {
        // Not every life has a person whom it concerns.
        let reported = (0..20).map(|seed| live(Engine::Sqlite, seed, sabotage));
        let reported = reported.filter_map(Result::err).any(|why| why.contains(words));
        assert!(reported, "nobody reported {sabotage:?}");
    }
}
