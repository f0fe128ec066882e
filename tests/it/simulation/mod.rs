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
const SEEDS: u64 = 500;
/// Tests that share them, so that they run side by side.
const SHARES: u64 = 4;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} takes a number")))
}

async fn share(part: u64) {
    if let Some(seed) = number("SIMULATION_SEED") {
        if seed % SHARES == part {
            Life::new(Engine::Sqlite, seed).await.live().await;
        }
        return;
    }
    for seed in (0..number("SIMULATION_SEEDS").unwrap_or(SEEDS)).filter(|seed| seed % SHARES == part) {
        Life::new(Engine::Sqlite, seed).await.live().await;
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
async fn no_life_mails_anybody_against_their_will_3() {
    share(2).await;
}

#[tokio::test]
async fn no_life_mails_anybody_against_their_will_4() {
    share(3).await;
}

#[tokio::test]
async fn the_same_seed_lives_the_same_life() {
    for seed in [3, 11, 42] {
        let first = Life::new(Engine::Sqlite, seed).await.live().await;
        let second = Life::new(Engine::Sqlite, seed).await.live().await;
        assert_eq!(first, second, "seed {seed}");
    }
}

#[tokio::test]
async fn a_few_lives_on_the_other_engine() {
    for seed in 1_000..1_008 {
        Life::new(Engine::Postgres, seed).await.live().await;
    }
}
