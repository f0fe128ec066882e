//! Carrying out changes while the network or the provider fails.

use super::bench::{Bench, all_honest, lift, people, person, refresh, subscribe, withdraw};
use super::wire::Trip;
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::Fault;
use crate::{Change, EmailAddress, Look, Outcome, Push, Scope};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 29, title: "outcomes are honest whatever fails", examine: |lab| Box::pin(every_fault(lab)) },
    Rule { number: 30, title: "outcomes are honest wherever a push breaks", examine: |lab| Box::pin(midway(lab)) },
    Rule { number: 31, title: "a late effect was never called none", examine: |lab| Box::pin(late(lab)) },
    Rule { number: 32, title: "a push stops at the first word to stop", examine: |lab| Box::pin(stops(lab)) },
];

/// How a world is prepared and what is wished in it.
#[derive(Debug, Clone, Copy)]
enum Wish {
    New,
    Known,
    /// Back after a withdrawal of that scope.
    Lift(Scope),
    Leave(Scope),
    Mixed,
}

const WISHES: [Wish; 7] = [
    Wish::New,
    Wish::Known,
    Wish::Lift(Scope::Purpose),
    Wish::Lift(Scope::Everything),
    Wish::Leave(Scope::Purpose),
    Wish::Leave(Scope::Everything),
    Wish::Mixed,
];

/// Enough for every adapter to take its way for many, and few enough for the way of one.
const SIZES: [usize; 2] = [2, 120];

impl Wish {
    /// A fresh world, and the changes to push in it.
    async fn world(self, lab: &Lab<'_>, count: usize) -> Result<(Bench, Vec<Change>), Broken> {
        let crowd = people("crowd", count)?;
        let all: Vec<&EmailAddress> = crowd.iter().collect();
        let bench = if matches!(self, Self::New) { lab.bench().await? } else { lab.with(&all).await? };
        if let Self::Lift(scope) = self {
            let leave: Vec<Change> = all.iter().map(|email| withdraw(email, scope)).collect();
            bench.apply(&bench.list, &leave).await?;
        }
        let wish = |(at, email): (usize, &EmailAddress)| match self {
            Self::New => subscribe(email),
            Self::Lift(_) => lift(email),
            Self::Leave(scope) => withdraw(email, scope),
            Self::Mixed if at % 2 == 0 => withdraw(email, Scope::Purpose),
            Self::Known | Self::Mixed => refresh(email),
        };
        let changes = crowd.iter().enumerate().map(wish).collect();
        bench.wire.take();
        Ok((bench, changes))
    }
}

/// Pushes in a disturbed world and compares what is said with what was, now and when all that hung has landed.
async fn examine(bench: &Bench, changes: &[Change], disturbance: &str) -> Result<Push, Broken> {
    let someone: Vec<&EmailAddress> = changes.iter().map(Change::email).collect();
    let before = bench.truths(&someone);
    let push = bench.provider()?.push(&bench.wire, &bench.list, changes).await;
    let told = |broken: Broken| Broken::new(format!("{disturbance}: {broken}"));
    if matches!(push.stopped_by, Some(ref error) if error.kind() == "rejected") {
        return Err(Broken::new(format!("{disturbance}: the push was stopped by {:?}", push.stopped_by)));
    }
    all_honest(changes, &push, &before, &bench.truths(&someone)).map_err(told)?;
    bench.heal();
    bench.pass(Duration::from_hours(24));
    let after = bench.truths(&someone);
    let untouched = push.outcomes.iter().zip(before.iter().zip(&after));
    let moved = untouched.filter(|(outcome, (before, after))| **outcome == Outcome::Untouched && before != after);
    let moved = moved.count();
    ensure!(moved == 0, "{disturbance}: {moved} changes called untouched were applied later");
    Ok(push)
}

async fn every_fault(lab: &Lab<'_>) -> Verdict {
    let faults = [
        Fault::Refuse,
        Fault::Reset,
        Fault::Hang,
        Fault::ApplyThenHang,
        Fault::Throttle(Vec::new()),
        Fault::ThrottleHtml,
        Fault::Status(500),
        Fault::ApplyThenStatus(502),
        Fault::Html,
        Fault::TruncatedJson,
        Fault::Unauthorised,
    ];
    for fault in &faults {
        for wish in WISHES {
            for count in SIZES {
                let (bench, changes) = wish.world(lab, count).await?;
                bench.disturb_writes(fault);
                let push = examine(&bench, &changes, &format!("{count} of {wish:?} under {fault:?}")).await?;
                // An answer without a body has nothing that could be cut.
                let must_stop = !matches!(fault, Fault::TruncatedJson);
                let silent = must_stop && push.stopped_by.is_none() && !bench.wire.take().is_empty();
                ensure!(!silent, "{count} of {wish:?} went through under {fault:?}");
            }
        }
    }
    Ok(())
}

async fn midway(lab: &Lab<'_>) -> Verdict {
    for wish in WISHES {
        for count in SIZES {
            let (bench, changes) = wish.world(lab, count).await?;
            bench.provider()?.push(&bench.wire, &bench.list, &changes).await;
            let requests = bench.wire.take().len();
            for trip in [Trip::Refuse, Trip::Silence, Trip::Throttle, Trip::Fail, Trip::Cut] {
                for passed in 0..requests.min(5) {
                    let (bench, changes) = wish.world(lab, count).await?;
                    bench.wire.trip_after(passed, trip);
                    examine(&bench, &changes, &format!("{count} of {wish:?}, {trip:?} after {passed}")).await?;
                }
            }
        }
    }
    Ok(())
}

async fn late(lab: &Lab<'_>) -> Verdict {
    for wish in WISHES {
        for count in SIZES {
            let (bench, changes) = wish.world(lab, count).await?;
            bench.disturb_writes(&Fault::HangThenApply(900_000_000));
            let push = examine(&bench, &changes, &format!("{count} of {wish:?} applied late")).await?;
            ensure!(push.stopped_by.is_some(), "{count} of {wish:?} went through without an answer");
        }
    }
    Ok(())
}

async fn stops(lab: &Lab<'_>) -> Verdict {
    let cases = [
        (Fault::Throttle(Vec::new()), "throttled"),
        (Fault::Unauthorised, "credentials"),
        (Fault::Refuse, "unreachable"),
        (Fault::Hang, "unreachable"),
        (Fault::Status(503), "server"),
    ];
    for (fault, kind) in &cases {
        for wish in WISHES {
            let (bench, changes) = wish.world(lab, 40).await?;
            bench.disturb_all(fault);
            let push = bench.provider()?.push(&bench.wire, &bench.list, &changes).await;
            let said = push.stopped_by.as_ref().map(crate::ProviderError::kind);
            ensure!(said == Some(*kind), "a push of {wish:?} under {fault:?} was stopped by {:?}", push.stopped_by);
            let calls = bench.wire.take().len();
            ensure!(calls == 1, "a push of {wish:?} under {fault:?} went on for {calls} calls");
        }
    }
    let (bench, kim) = (lab.bench().await?, person("kim")?);
    bench.disturb_all(&Fault::Refuse);
    let push = bench.provider()?.push(&bench.wire, &bench.list, &[subscribe(&kim)]).await;
    ensure!(push.outcomes == [Outcome::Untouched], "a refused connection left {:?}", push.outcomes);
    ensure!(bench.truth(&bench.list, &kim) == Look::default(), "a refused connection subscribed somebody");
    Ok(())
}
