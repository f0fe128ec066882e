//! Random lives of a daemon and its providers: weeks of consents, refusals, outages, lies and crashes, all from one seed.
//!
//! After each life the providers are healed and everything may settle; then the promises of the consent model must hold
//! (`oracle.rs`). A seed that fails is printed; `SIMULATION_SEED=n` lives it again, `SIMULATION_SEEDS=n` lives that many.

mod dice;
mod life;
mod oracle;

use crate::world::Engine;
use life::Life;

/// Lives in the ordinary test run.
const SEEDS: u64 = 40;
/// Tests that share them, so that they run side by side.
const SHARES: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
}

/// Lives one life and returns everything that happened in it.
async fn live(engine: Engine, seed: u64) -> String {
    let life = Box::pin(Life::new(engine, seed)).await;
    Box::pin(life.live()).await
}

async fn share(part: u64) {
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds.filter(|seed| seed % SHARES == part) {
        live(Engine::Sqlite, seed).await;
    }
}

#[tokio::test]
async fn no_life_mails_anybody_against_their_will_1() {
    share(0).await;
}

#[tokio::test]
async fn no_life_mails_anybody_against_their_will_2() {
    share(1).await;
}

#[tokio::test]
async fn the_same_seed_lives_the_same_life() {
    for seed in [3, 11] {
        assert_eq!(live(Engine::Sqlite, seed).await, live(Engine::Sqlite, seed).await, "seed {seed}");
    }
}

#[tokio::test]
async fn a_few_lives_on_the_other_engine() {
    for seed in 1_000..1_004 {
        live(Engine::Postgres, seed).await;
    }
}
