//! People who leave: many at once, and one by one in the middle of a sync.

use super::calls::Calls;
use crate::Options;
use crate::figure::Figure;
use crate::stage::Stage;
use consentd::clock::Timestamp;
use consentd::domain::consent::{Act, OperatorAct};
use consentd::gateway::Courier;
use consentd::service::consent::Saying;
use consentd::store::{Address, Phase, RunState};
use consentd_provider::Descriptor;
use std::time::{Duration, Instant};

/// Who leaves in the middle of a sync.
const LEAVING: usize = 100;
/// Between two looks at the truth.
const LOOK: Duration = Duration::from_millis(20);
/// Whoever is mailable so long after a no for the first time was put on the list by a job.
const MINE: Timestamp = 100_000;
/// After the sync, whoever is still mailable then is late for good.
const PATIENCE: Duration = Duration::from_mins(3);

/// An operator enters the withdrawals of many people at once.
pub async fn opt_out(stage: &Stage, people: &[Address]) -> anyhow::Result<()> {
    let mut tx = stage.core.store.begin().await?;
    let sayings: Vec<Saying<'_>> = people
        .iter()
        .map(|address| Saying {
            address,
            purpose: Some(stage.purpose.id),
            act: Act::Operator(OperatorAct::Withdraw),
            evidence: serde_json::json!({ "operator": "bench", "reason": "asked by letter" }),
        })
        .collect();
    stage.core.say_many(&mut tx, &stage.tenant, &stage.key, &sayings).await?;
    Ok(tx.commit().await?)
}

/// Waits until every withdrawal was read back.
pub async fn in_effect(stage: &Stage) -> anyhow::Result<()> {
    let connection = stage.connection().await?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let mut open = false;
        for phase in [Phase::Send, Phase::Confirm] {
            let store = &stage.core.store;
            open |= !store.due_withdrawals(stage.tenant.id, connection.id, phase, Timestamp::MAX, 1).await?.is_empty();
        }
        if !open {
            return Ok(());
        }
        stage.core.clock.sleep(LOOK).await;
    }
    anyhow::bail!("withdrawals are not in effect")
}

/// Somebody who said no, and from when until when the provider would have mailed them after that.
struct Leaver {
    email: String,
    said_at: Timestamp,
    mailable: Option<(Timestamp, Timestamp)>,
}

/// People unsubscribe with one click at random instants of a first sync.
pub async fn withdrawals(
    options: &Options,
    descriptor: &'static Descriptor,
    people: u64,
) -> anyhow::Result<Vec<Figure>> {
    let stage = Stage::build(options, descriptor).await?;
    let everybody = stage.fill(0, people).await?;
    let leaving = LEAVING.min(everybody.len() / 4);
    let mut links = Vec::with_capacity(leaving);
    let mut tx = stage.core.store.begin().await?;
    for n in 0..leaving {
        let index = n.wrapping_mul(0x9e37_79b9) % everybody.len();
        let Some(address) = everybody.get(index) else { continue };
        let link = stage.core.unsubscribe_link(&mut tx, &stage.tenant, address, &stage.purpose).await?;
        links.push((address.email.folded(), link));
    }
    tx.commit().await?;
    let before = stage.provider().log().len();
    let list = stage.connection().await?.list;
    let run = stage.core.request_run(&stage.connection().await?, "operator", false).await?;
    let courier = Courier::new(Duration::from_secs(30))?;
    let mut leavers: Vec<Leaver> = Vec::new();
    let mut links = links.into_iter();
    let start = Instant::now();
    let mut done_at = None;
    // A first sync takes about as long as its walk and its jobs; the last ones leave when it is over.
    let between = super::limits(descriptor).whole(people) / u32::try_from(leaving.max(1))?;
    let mut next = start + between;
    loop {
        if Instant::now() >= next
            && let Some((email, link)) = links.next()
        {
            let kind = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
            let answer = courier.post(&link, &kind, b"List-Unsubscribe=One-Click".to_vec()).await;
            anyhow::ensure!(answer == Some(200), "a one-click withdrawal was answered {answer:?}");
            leavers.push(Leaver { email, said_at: stage.now(), mailable: None });
            next += between;
        }
        look(&stage, &list, &mut leavers);
        if done_at.is_none() {
            let now = stage.core.store.run(stage.tenant.id, run.id).await?;
            done_at = now.filter(|run| run.state == RunState::Done).map(|_| start.elapsed());
        } else if links.len() == 0 {
            break;
        }
        stage.core.clock.sleep(LOOK).await;
    }
    let end = Instant::now() + Duration::from_secs(45);
    while Instant::now() < end {
        look(&stage, &list, &mut leavers);
        stage.core.clock.sleep(LOOK).await;
    }
    let calls = Calls::since(&stage, before);
    super::reached(&stage, people - leavers.len() as u64).await?;
    let figures = told(descriptor, people, &leavers, &calls, done_at.unwrap_or_default());
    stage.clear().await?;
    Ok(figures)
}

/// Notes who is mailable right now although they said no.
fn look(stage: &Stage, list: &str, leavers: &mut [Leaver]) {
    let now = stage.now();
    for leaver in leavers.iter_mut() {
        if stage.provider().truth(now, list, &leaver.email).mailable() {
            leaver.mailable = Some((leaver.mailable.map_or(now, |(since, _)| since), now));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds for people")]
fn told(descriptor: &Descriptor, people: u64, leavers: &[Leaver], calls: &Calls, sync: Duration) -> Vec<Figure> {
    let sorted = |time: &dyn Fn(&Leaver) -> Timestamp| {
        let mut times: Vec<f64> = leavers.iter().map(|leaver| time(leaver).max(0) as f64 / 1e6).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let whole = sorted(&|leaver| leaver.mailable.map_or(0, |(_, until)| until - leaver.said_at));
    // Who was in a bulk job of the provider when they said no was put on the list by it later; nobody can stop that.
    let own = sorted(&|leaver| leaver.mailable.map_or(0, |(since, until)| until - since.max(leaver.said_at)));
    let landed = leavers.iter().filter(|one| one.mailable.is_some_and(|(since, _)| since - one.said_at > MINE)).count();
    let at = |times: &[f64], percent: usize| {
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or(0.0)
    };
    let (p95, worst) = (at(&own, 95), at(&whole, 100));
    vec![Figure {
        work: format!(
            "{}: {} one-click withdrawals while {people} are synced in {:.0} s",
            descriptor.name,
            leavers.len(),
            sync.as_secs_f64()
        ),
        bar: "p95 5 s, at most 60 s".into(),
        measured: format!(
            "mailable p95 {p95:.2} s, with the work of the provider's own jobs p95 {:.2} s, at most {worst:.2} s; \
             {landed} were put on by a job that ran ({})",
            at(&whole, 95),
            calls.words()
        ),
        limit: format!("{} answers 429", calls.throttled),
        ratio: None,
        met: Some(p95 <= 5.0 && worst <= 60.0 && calls.throttled == 0),
    }]
}
