//! A first sync, a delta, and withdrawals in the middle of a sync, beside what the providers' limits allow.
//!
//! The emulators enforce the documented limits and count every call. Bulk calls are compared with the fewest there can be;
//! polls of bulk jobs and reads that confirm them, which the promises need, are told apart.

mod calls;
mod crowd;

use crate::Options;
use crate::figure::Figure;
use crate::stage::Stage;
use calls::Calls;
use consentd::store::RunState;
use consentd_provider::Descriptor;
use std::time::{Duration, Instant};

/// People unless told otherwise.
const PEOPLE: u64 = 100_000;
/// The body that Brevo advises to stay below (Brevo sheet 3.8).
const BODY: u64 = 8_000_000;
/// How many contacts a bulk call of Mailjet carries (Mailjet sheet 3.7).
const JOB: u64 = 1_000;

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let people = options.rows.unwrap_or(PEOPLE);
    let mut figures = Vec::new();
    for &descriptor in consentd::registry::providers() {
        figures.extend(syncs(options, descriptor, people).await?);
        figures.extend(crowd::withdrawals(options, descriptor, people).await?);
        // A whole sync at a provider's pace takes minutes; what is known is told at once.
        for figure in figures.iter().rev().take(4).rev() {
            eprintln!("{}: {}", figure.work, figure.measured);
        }
    }
    Ok(figures)
}

/// The least of what a provider's limits and its own work on jobs allow.
struct Limits {
    /// Calls a second to contacts.
    rate: f64,
    /// Whether polls share that rate.
    polls_count: bool,
    /// Seconds that the emulated provider works on a bulk job.
    job: f64,
}

fn limits(descriptor: &Descriptor) -> Limits {
    if descriptor.id == "brevo" {
        Limits { rate: 10.0, polls_count: false, job: 20.0 }
    } else {
        Limits { rate: 5.0, polls_count: true, job: 15.0 }
    }
}

impl Limits {
    /// About how long a first sync of so many people takes.
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    fn whole(&self, people: u64) -> Duration {
        let pages = people as f64 / 1_000.0;
        let seconds = if self.polls_count { 4.0 * pages / self.rate } else { self.job + pages / self.rate };
        Duration::from_secs_f64(seconds)
    }

    /// How long a loop takes that does nothing but the same calls: bulk calls, one poll a job, the walk that confirms.
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    fn least(&self, bulk: u64, calls: &Calls) -> f64 {
        let sent = bulk as f64 / self.rate;
        let polled = if self.polls_count { sent + bulk as f64 / self.rate } else { sent };
        (sent + self.job).max(polled) + calls.walk as f64 / self.rate
    }
}

/// The fewest bulk calls that put so many people on the list.
fn fewest(descriptor: &Descriptor, people: u64, bytes: u64) -> u64 {
    if descriptor.id == "brevo" { bytes.div_ceil(BODY) } else { people.div_ceil(JOB) }
}

/// A row of an import as Brevo takes it with types.
fn bytes_of(people: &[consentd::store::Address], from: u64) -> u64 {
    let row = |(n, address): (u64, &consentd::store::Address)| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let row = serde_json::json!({ "email": address.email.folded(), "attributes": {
            "FIRSTNAME": format!("Vorname{}", mixed % 1_000), "LASTNAME": format!("Müller{n}"),
            "PLZ": format!("{:05}", mixed % 100_000), "TOWN": "Hamburg",
        } });
        row.to_string().len() as u64 + 1
    };
    (from..).zip(people).map(row).sum()
}

#[expect(clippy::cast_precision_loss, reason = "ratios for people")]
async fn syncs(options: &Options, descriptor: &'static Descriptor, people: u64) -> anyhow::Result<Vec<Figure>> {
    let stage = Stage::build(options, descriptor).await?;
    let name = descriptor.name;
    let everybody = stage.fill(0, people).await?;
    let before = stage.provider().log().len();
    let start = Instant::now();
    let run = stage.core.request_run(&stage.connection().await?, "operator", false).await?;
    stage.run_until(&run, RunState::Done).await?;
    let wall = start.elapsed().as_secs_f64();
    let calls = Calls::since(&stage, before);
    reached(&stage, people).await?;
    let least = fewest(descriptor, people, bytes_of(&everybody, 0));
    let bare = limits(descriptor).least(least, &calls);
    let ratio = calls.add as f64 / least as f64;
    let mut figures = vec![
        Figure {
            work: format!("{name}: calls of a first sync of {people}"),
            bar: "1.1 times the fewest".into(),
            measured: format!("{} ({})", calls.add, calls.words()),
            limit: format!("{least} bulk"),
            ratio: Some(ratio),
            met: Some(ratio <= 1.1 && calls.throttled == 0),
        },
        Figure {
            work: format!("{name}: time of a first sync of {people}, read back"),
            bar: "1.2 times what limits allow".into(),
            measured: format!("{wall:.1} s, {} answers 429", calls.throttled),
            limit: format!("{bare:.1} s: the same calls and the provider's own work"),
            ratio: Some(wall / bare),
            met: Some(wall / bare <= 1.2 && calls.throttled == 0),
        },
    ];
    figures.push(delta(&stage, &everybody, people).await?);
    stage.clear().await?;
    Ok(figures)
}

/// One in a hundred: four new people for each who withdraws, all at once.
#[expect(clippy::cast_precision_loss, reason = "ratios for people")]
async fn delta(stage: &Stage, everybody: &[consentd::store::Address], people: u64) -> anyhow::Result<Figure> {
    let (new, gone) = (people / 125, people / 500);
    let fresh = stage.fill(people, new).await?;
    let before = stage.provider().log().len();
    let leaving: Vec<_> = everybody.iter().take(usize::try_from(gone)?).cloned().collect();
    crowd::opt_out(stage, &leaving).await?;
    stage.mark_dirty(&fresh).await?;
    let run = stage.core.request_run(&stage.connection().await?, "consent", false).await?;
    stage.run_until(&run, RunState::Done).await?;
    crowd::in_effect(stage).await?;
    let calls = Calls::since(stage, before);
    reached(stage, people + new - gone).await?;
    let removals = if stage.descriptor.id == "brevo" { gone.div_ceil(150) } else { gone.div_ceil(JOB) };
    let least = fewest(stage.descriptor, new, bytes_of(&fresh, people)) + removals;
    let made = calls.add + calls.remove;
    Ok(Figure {
        work: format!("{}: calls of a delta, {new} new people and {gone} withdrawals", stage.descriptor.name),
        bar: "the fewest and 2 more".into(),
        measured: format!("{made} ({}), {} answers 429", calls.words(), calls.throttled),
        limit: format!("{least} bulk and removals"),
        ratio: Some(made as f64 / least as f64),
        met: Some(made <= least + 2 && calls.throttled == 0),
    })
}

/// Guards against a false pass: everybody who should be there is, and nobody else.
async fn reached(stage: &Stage, people: u64) -> anyhow::Result<()> {
    let list = stage.connection().await?.list;
    let mailable = stage.provider().mailable(stage.now(), &list).len() as u64;
    anyhow::ensure!(mailable == people, "{mailable} of {people} are mailable at the provider");
    Ok(())
}
