//! Taking in webhooks: the real daemon beside the least server that keeps the same promise, under the same load.

mod bare;
mod events;
mod load;
mod product;

use crate::Options;
use crate::figure::{Figure, resident_peak};
use bare::Bare;
use load::{Outcome, Pace, Target, run};
use product::Product;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// People whom the events are about.
const PEOPLE: u64 = 50_000;
/// Deliveries of the burst, each with a hundred events, unless `--rows` says how many events.
const EVENTS: u64 = 100_000;
const TOGETHER: u64 = 100;
/// Connections of a sender that is as fast as it is answered; of one that groups; of the open load.
const SINGLE: u64 = 32;
const GROUPED: u64 = 8;
const OPEN: u64 = 128;
/// One turn of the closed load; bare and product take turns, so that both meet the same machine.
const TURN: Duration = Duration::from_secs(5);
const TURNS: usize = 3;
/// The open load.
const RATE: u64 = 2_000;
const OPEN_TIME: Duration = Duration::from_secs(30);
/// So long the worker may take after the burst.
const SORTED: f64 = 60.0;

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    anyhow::ensure!(options.database.is_none(), "intake is measured on SQLite");
    let product = Product::start(options, PEOPLE).await?;
    let bare = Bare::start(product.authorization()).await?;
    let mut tally = Tally { product: &product, bare: &bare, numbers: Arc::default(), acknowledged: [0, 0] };
    let mut figures = vec![closed(&mut tally).await?, open(&mut tally).await?];
    product.sorted().await?;
    figures.extend(grouped(&mut tally, options.rows.unwrap_or(EVENTS) / TOGETHER).await?);
    tally.check().await?;
    let peak = resident_peak();
    figures.push(Figure {
        work: "memory of all of it with the load and the bare server, resident at the most".into(),
        bar: "256 MiB".into(),
        measured: format!("{peak} MiB"),
        limit: "–".into(),
        ratio: None,
        met: Some(peak <= 256),
    });
    product.stop().await?;
    Ok(figures)
}

/// Both servers and how much each acknowledged.
struct Tally<'a> {
    product: &'a Product,
    bare: &'a Bare,
    numbers: Arc<AtomicU64>,
    acknowledged: [u64; 2],
}

impl Tally<'_> {
    async fn bare(&mut self, connections: u64, pace: Pace, events: u64) -> anyhow::Result<Outcome> {
        let (path, authorization) = (self.bare.path.clone(), self.bare.authorization.clone());
        let request = Arc::new(move |nth| {
            let head = format!("POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: {authorization}\r\n");
            (head, events::body(product::sender(nth), nth, events, PEOPLE))
        });
        let target = Target { address: self.bare.address, request };
        let outcome = run(target, connections, pace, self.numbers.clone()).await?;
        let [own, _] = &mut self.acknowledged;
        *own += outcome.accepted;
        Ok(outcome)
    }

    async fn product(&mut self, connections: u64, pace: Pace, events: u64) -> anyhow::Result<Outcome> {
        let heads = self.product.heads.clone();
        let request = Arc::new(move |nth| {
            let sender = product::sender(nth);
            (heads.of(sender), events::body(sender, nth, events, PEOPLE))
        });
        let target = Target { address: self.product.address, request };
        let outcome = run(target, connections, pace, self.numbers.clone()).await?;
        let [_, own] = &mut self.acknowledged;
        *own += outcome.accepted;
        Ok(outcome)
    }

    /// Every acknowledged delivery is there, and none that was not acknowledged.
    async fn check(&self) -> anyhow::Result<()> {
        let kept = [self.bare.rows().await?, self.product.rows().await?];
        anyhow::ensure!(kept == self.acknowledged, "acknowledged {:?}, kept {kept:?}", self.acknowledged);
        let (sent, events) = (self.numbers.load(Ordering::Relaxed), self.product.events().await?);
        eprintln!("{sent} deliveries, acknowledged and kept {kept:?}; {events} events of the product's in the history");
        Ok(())
    }
}

async fn closed(tally: &mut Tally<'_>) -> anyhow::Result<Figure> {
    let (mut bare, mut product) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let limit = tally.bare(SINGLE, Pace::Closed(TURN), 1).await?;
        let own = tally.product(SINGLE, Pace::Closed(TURN), 1).await?;
        anyhow::ensure!(limit.failed + own.failed == 0, "{} and {} were not accepted", limit.failed, own.failed);
        eprintln!(
            "turn {turn}: bare {:.0}/s, p99 {:.1} ms; product {:.0}/s, p99 {:.1} ms",
            limit.rate(),
            limit.percentile(99),
            own.rate(),
            own.percentile(99)
        );
        bare.push(limit.rate());
        product.push(own.rate());
        tally.product.sorted().await?;
    }
    let (limit, measured) = (median(bare), median(product));
    Ok(Figure {
        work: format!("webhook intake, one event a request, {SINGLE} connections"),
        bar: "60 % of the bare limit".into(),
        measured: format!("{measured:.0} requests/s"),
        limit: format!("{limit:.0} requests/s"),
        ratio: Some(measured / limit),
        met: Some(measured >= 0.6 * limit),
    })
}

async fn open(tally: &mut Tally<'_>) -> anyhow::Result<Figure> {
    let bare = tally.bare(OPEN, Pace::Open(RATE, OPEN_TIME / 3), 1).await?;
    let product = tally.product(OPEN, Pace::Open(RATE, OPEN_TIME), 1).await?;
    let due = RATE * OPEN_TIME.as_secs();
    eprintln!("open load: {} of {due} accepted, {} not", product.accepted, product.failed);
    let words = |outcome: &Outcome| {
        let (half, most) = (outcome.percentile(50), outcome.percentile(99));
        format!("p50 {half:.1} ms, p99 {most:.1} ms, most {:.0} ms", outcome.percentile(100))
    };
    Ok(Figure {
        work: format!("the same, {RATE} requests a second for {} s, open load", OPEN_TIME.as_secs()),
        bar: "p99 100 ms, no error".into(),
        measured: format!("{}, {} errors", words(&product), product.failed),
        limit: words(&bare),
        ratio: None,
        met: Some(product.percentile(99) <= 100.0 && product.accepted == due),
    })
}

async fn grouped(tally: &mut Tally<'_>, deliveries: u64) -> anyhow::Result<[Figure; 2]> {
    let bare = tally.bare(GROUPED, Pace::Count(deliveries), TOGETHER).await?;
    let product = tally.product(GROUPED, Pace::Count(deliveries), TOGETHER).await?;
    anyhow::ensure!(bare.failed + product.failed == 0, "{} and {} were not accepted", bare.failed, product.failed);
    let end = Instant::now();
    tally.product.sorted().await?;
    let after = end.elapsed().as_secs_f64();
    let events = |outcome: &Outcome| outcome.rate() * 100.0;
    let (limit, measured) = (events(&bare), events(&product));
    let total = deliveries * TOGETHER;
    Ok([
        Figure {
            work: format!("webhook intake, {TOGETHER} events a request, {total} events"),
            bar: "50 % of the bare limit".into(),
            measured: format!("{measured:.0} events/s"),
            limit: format!("{limit:.0} events/s"),
            ratio: Some(measured / limit),
            met: Some(measured >= 0.5 * limit),
        },
        Figure {
            work: format!("the {total} events in the history, after the burst"),
            bar: format!("{SORTED:.0} s"),
            measured: format!("{after:.1} s"),
            limit: "–".into(),
            ratio: None,
            met: Some(after <= SORTED),
        },
    ])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
