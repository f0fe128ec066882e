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

mod tin;
mod tree;
mod world;

mod abuse;
mod audience;
mod calls;
mod census;
mod chain;
mod claims;
mod cli;
mod config;
mod conformance;
mod consent;
mod crash;
mod daemon;
mod demo;
mod desk;
mod doctor;
mod due;
mod fold;
mod found;
mod gates;
mod gateway;
mod hints;
mod hooks;
mod import;
mod journey;
mod late_words;
mod layers;
mod matrix;
mod pages;
mod people;
mod promises;
mod race;
mod raise;
mod readme;
mod replicas;
mod review;
mod sandbox;
mod schedule;
mod schema;
mod served;
mod simulation;
mod spans;
mod sql;
mod sync;
mod touched;
mod toy;
mod watch;
mod webhook_rules;
