//! One integration binary: every test builds its own world on a real engine and leaves nothing behind.
#![expect(unreachable_pub, reason = "a test binary has no outside")]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "what helps a test fails with it; the linter excuses the test functions only"
)]

mod tree;
mod world;

mod audience;
mod cli;
mod config;
mod conformance;
mod consent;
mod daemon;
mod gateway;
mod hooks;
mod import;
mod layers;
mod pages;
mod review;
mod sandbox;
mod schema;
mod served;
mod simulation;
mod sql;
mod sync;
mod toy;
