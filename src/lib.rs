//! consentd: the authoritative consent store between a CRM and a tenant's own Mailjet or Brevo account.
//!
//! The modules stand in rings; each may use the ones above it in this table, never the ones below
//! (`tests/it/layers.rs` reads the `use` lines against it).
//!
//! | ring | modules | what they may touch |
//! |---|---|---|
//! | 0 | [`clock`], [`random`] | time and chance, as ports with simulated twins |
//! | 1 | [`domain`] | nothing: pure rules |
//! | 2 | [`store`], [`gateway`], [`source`] | the database, the network, files; they do not know each other |
//! | 3 | [`service`] | one use case a file, on top of ring 2 |
//! | 4 | [`worker`], [`web`], [`sandbox`], [`config`] | the outside world's ways in |
//! | 5 | [`registry`], [`app`], [`telemetry`] | wiring |
//! | 6 | [`cli`] | the program: what people start |

pub mod clock;
pub mod random;

pub mod domain;

pub mod gateway;
pub mod source;
pub mod store;

pub mod service;

pub mod config;
pub mod sandbox;
pub mod web;
pub mod worker;

pub mod app;
pub mod registry;
pub mod telemetry;

pub mod cli;
