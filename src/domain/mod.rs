//! Pure rules: what a consent is, who may change it, and what follows for a provider. No I/O, no clock, no chance.

pub mod audience;
pub mod chain;
pub mod consent;
pub mod contact;
pub mod fold;
pub mod ids;
pub mod mailbox;
pub mod plan;
pub mod precedence;
pub mod scanner;
pub mod token;
pub mod triage;
