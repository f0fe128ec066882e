//! The rules of `SPEC.md` as a suite that every adapter passes.
//!
//! An adapter describes itself as a [`Subject`] and calls [`run`]; it writes no test of its own for what is here.
//! The suite sees the adapter as consentd does, through [`crate::Provider`] and a [`crate::Gateway`], and the provider
//! as the truth knows it, through its emulator. How the two are joined is the [`Setup`]'s business: [`InMemory`] puts
//! them into one process, another may put HTTP between them.
//!
//! ```text
//! #[tokio::test]
//! async fn keeps_every_rule() {
//!     let subject = Subject::new(&DESCRIPTOR, emulator::open, &[("api_key", "a key")]);
//!     let report = run(&InMemory(subject)).await;
//!     assert!(report.is_clean(), "{report}");
//! }
//! ```

mod bench;
mod delivery;
mod report;
mod subject;
mod wire;

mod consent;
mod events;
mod intake;
mod mailing;
mod precedence;
mod pushing;
mod reading;
mod registering;
mod secrecy;
mod shape;
mod stopping;
mod trouble;
mod walking;
mod withdrawing;

pub use report::{Finding, Report, RuleName, rules, run, run_only};
pub use subject::{InMemory, Now, Setup, Subject, Switch, Variation};

use bench::Lab;
use report::{Broken, Rule, Verdict};

/// Every rule, in the order of `SPEC.md`.
const THEMES: &[&[Rule]] = &[
    shape::RULES,
    reading::RULES,
    walking::RULES,
    trouble::RULES,
    pushing::RULES,
    stopping::RULES,
    consent::RULES,
    withdrawing::RULES,
    mailing::RULES,
    intake::RULES,
    events::RULES,
    registering::RULES,
    secrecy::RULES,
    precedence::RULES,
];

/// Ends a rule with a sentence unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::conformance::report::Broken::new(format!($($words)+)));
        }
    };
}
use ensure;
