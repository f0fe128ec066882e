//! One integration binary: every test builds its own world on a real engine and leaves nothing behind.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod tree;
mod world;

mod consent;
mod fold;
mod layers;
mod matrix;
mod schema;
mod sql;
