//! One integration binary: every test builds its own world on a real engine and leaves nothing behind.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod tree;
mod world;

mod audience;
mod cli;
mod conformance;
mod consent;
mod import;
mod layers;
mod sandbox;
mod schema;
mod simulation;
mod sql;
mod sync;
