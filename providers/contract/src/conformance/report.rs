//! Running the rules and telling which were broken.

use super::{Lab, Setup, THEMES};
use crate::{ProviderError, SettingsError, WebhookError};
use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// How a rule was broken, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken(String);

impl Broken {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ProviderError> for Broken {
    fn from(error: ProviderError) -> Self {
        Self(format!("a call failed that should not: {error}"))
    }
}

impl From<SettingsError> for Broken {
    fn from(error: SettingsError) -> Self {
        Self(format!("the account cannot be opened: {error}"))
    }
}

impl From<WebhookError> for Broken {
    fn from(error: WebhookError) -> Self {
        Self(format!("a genuine delivery was not understood: {error}"))
    }
}

/// What came of examining one rule.
pub(super) type Verdict = Result<(), Broken>;

/// A rule under examination.
pub(super) type Examination<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// One numbered rule of `SPEC.md`.
pub(super) struct Rule {
    pub(super) number: u8,
    pub(super) title: &'static str,
    pub(super) examine: for<'a> fn(&'a Lab<'a>) -> Examination<'a>,
}

/// A rule's number and title, as in `SPEC.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleName {
    /// The number behind `P-`.
    pub number: u8,
    /// The title.
    pub title: &'static str,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P-{:02} {}", self.number, self.title)
    }
}

/// The rules that [`run`] examines, in order.
pub fn rules() -> impl Iterator<Item = RuleName> {
    THEMES.iter().flat_map(|theme| theme.iter()).map(|rule| RuleName { number: rule.number, title: rule.title })
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: RuleName,
    /// Under which [`crate::conformance::Variation`], if not the ordinary behaviour.
    pub variation: Option<&'static str>,
    /// What was seen.
    pub seen: String,
}

/// What a whole run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many examinations were made.
    pub examined: usize,
    /// The broken rules.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether every rule was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} examinations found a broken rule", self.findings.len(), self.examined)?;
        for Finding { rule, variation, seen } in &self.findings {
            write!(f, "{rule}")?;
            if let Some(variation) = variation {
                write!(f, " [{variation}]")?;
            }
            writeln!(f, "\n    {seen}")?;
        }
        Ok(())
    }
}

/// Examines every rule, under the ordinary behaviour of the provider and under each variation.
///
/// A rule that is broken, or that panics, hides no other.
pub async fn run(setup: &dyn Setup) -> Report {
    examine(setup, |_| true).await
}

/// [`run`] for the rules of these numbers only, for work on one of them.
pub async fn run_only(setup: &dyn Setup, numbers: &[u8]) -> Report {
    examine(setup, |number| numbers.contains(&number)).await
}

async fn examine(setup: &dyn Setup, wanted: impl Fn(u8) -> bool) -> Report {
    let mut report = Report { examined: 0, findings: Vec::new() };
    let variations = std::iter::once(None).chain(setup.subject().variations.iter().map(Some));
    for variation in variations {
        let lab = Lab::new(setup, variation);
        for rule in THEMES.iter().flat_map(|theme| theme.iter()).filter(|rule| wanted(rule.number)) {
            report.examined += 1;
            if let Err(broken) = without_panic((rule.examine)(&lab)).await {
                report.findings.push(Finding {
                    rule: RuleName { number: rule.number, title: rule.title },
                    variation: variation.map(|variation| variation.name),
                    seen: broken.to_string(),
                });
            }
        }
    }
    report
}

/// Turns a panic of the adapter or the emulator into a verdict.
async fn without_panic(mut examination: Examination<'_>) -> Verdict {
    poll_fn(move |context| {
        catch_unwind(AssertUnwindSafe(|| examination.as_mut().poll(context)))
            .unwrap_or_else(|payload| Poll::Ready(Err(Broken(format!("it panicked: {}", words(&*payload))))))
    })
    .await
}

fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("without words")
}
