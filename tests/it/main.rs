//! One integration binary: every test builds its own world on a real engine and leaves nothing behind.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod tin;
mod tree;
mod world;

mod chain;
mod consent;
mod fold;
mod layers;
mod matrix;
mod raise;
mod schema;
mod sql;
mod webhook_rules;
