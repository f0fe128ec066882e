//! One integration binary: every test builds its own world on a real engine and leaves nothing behind.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod world;

mod conformance;
mod consent;
mod demo;
mod sandbox;
