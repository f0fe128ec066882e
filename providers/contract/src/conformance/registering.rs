//! Webhook registrations.

use super::bench::{HOOK_SECRET, HOOK_URL, person};
use super::delivery::{authorization, opened_with, understand};
use super::wire::Trip;
use super::{Lab, Rule, Verdict, ensure};
use crate::{Delivery, EventKind, HookMode};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 58, title: "inspecting tells, repairing mends", examine: |lab| Box::pin(mends(lab)) },
    Rule { number: 59, title: "a new secret reaches the provider", examine: |lab| Box::pin(new_secret(lab)) },
    Rule { number: 60, title: "a suspended webhook is revived", examine: |lab| Box::pin(revived(lab)) },
    Rule { number: 61, title: "a webhook of somebody else is left alone", examine: |lab| Box::pin(foreign(lab)) },
    Rule { number: 62, title: "a repair that broke off can be repeated", examine: |lab| Box::pin(broken_off(lab)) },
];

async fn mends(lab: &Lab<'_>) -> Verdict {
    let (kim, lee) = (person("kim")?, person("lee")?);
    let bench = lab.with(&[&kim, &lee]).await?;
    let before = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Inspect).await?;
    let told = !before.healthy && !before.changed && !before.missing.is_empty();
    ensure!(told, "an account without any webhook was reported as {before:?}");
    ensure!(bench.reaches(HOOK_URL, &kim)?.is_empty(), "inspecting registered something");
    let repaired = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
    let mended = repaired.healthy && repaired.changed && repaired.missing.is_empty() && repaired.suspended.is_empty();
    ensure!(mended, "a first registration was reported as {repaired:?}");
    bench.wire.take();
    for mode in [HookMode::Inspect, HookMode::Repair] {
        let after = bench.hooks(HOOK_URL, HOOK_SECRET, mode).await?;
        ensure!(after.healthy && !after.changed, "registered and then asked with {mode:?}: {after:?}");
        let wrote = bench.wire.take().iter().any(super::wire::Seen::writes);
        ensure!(!wrote, "{mode:?} changed a registration that was right");
    }
    ensure!(!bench.reaches(HOOK_URL, &lee)?.is_empty(), "registered, and nothing arrives");
    Ok(())
}

async fn new_secret(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    for secret in ["a-second-hook-secret-of-40-characters-wx", "every:mark@/of?a#url%2F&+=in-40-characters"] {
        let bench = lab.with(&[&kim]).await?;
        bench.hooked().await?;
        bench.hooks(HOOK_URL, secret, HookMode::Repair).await?;
        let state = bench.hooks(HOOK_URL, secret, HookMode::Inspect).await?;
        ensure!(state.healthy, "repaired with a new secret, the webhook is {state:?}");
        let arrived = bench.unsubscription(&kim)?;
        let header = authorization(&arrived);
        let delivery = Delivery { authorization: header.as_deref(), body: &arrived.body };
        let believed = opened_with(&bench, &[secret])?.verify(delivery).is_ok();
        ensure!(believed, "after a repair with a new secret of {} bytes the provider shows another", secret.len());
    }
    Ok(())
}

async fn revived(lab: &Lab<'_>) -> Verdict {
    let (kim, lee, max) = (person("kim")?, person("lee")?, person("max")?);
    let bench = lab.with(&[&kim, &lee, &max]).await?;
    bench.hooked().await?;
    bench.happen(&kim, &crate::emulator::Happening::Complains)?;
    bench.deliveries(Duration::from_hours(26), Some(500));
    let state = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Inspect).await?;
    let arrives = !bench.reaches(HOOK_URL, &lee)?.is_empty();
    ensure!(state.healthy == arrives, "after a day of failures, arriving is {arrives}, reported was {state:?}");
    ensure!(state.healthy || !state.suspended.is_empty(), "a webhook that was switched off was reported as {state:?}");
    let repaired = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
    ensure!(repaired.healthy && repaired.changed != state.healthy, "{state:?} was repaired to {repaired:?}");
    let arrived = bench.reaches(HOOK_URL, &max)?;
    ensure!(!arrived.is_empty(), "revived, the webhook still delivers nothing");
    let provider = bench.provider()?;
    for delivery in &arrived {
        understand(&*provider, delivery)?;
    }
    let again = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
    ensure!(again.healthy && !again.changed, "a webhook that was revived was repaired again: {again:?}");
    Ok(())
}

async fn foreign(lab: &Lab<'_>) -> Verdict {
    for url in ["https://shop.example.net/mailing/events", "https://consent.example.org/hooks/97aa"] {
        let (kim, lee) = (person("kim")?, person("lee")?);
        let bench = lab.with(&[&kim, &lee]).await?;
        bench.hooks(url, "the-secret-of-somebody-else", HookMode::Repair).await?;
        let first = bench.reaches(url, &kim)?;
        let shown = first.first().map(authorization);
        ensure!(shown.is_some(), "registered at {url}, and nothing arrives there");
        let state = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
        ensure!(!format!("{state:?}").contains("the-secret-of"), "a report on webhooks shows somebody's secret");
        bench.happen(&lee, &crate::emulator::Happening::Complains)?;
        let arrived = bench.arrivals(super::delivery::SOON, Some(200));
        let theirs = arrived.iter().find(|delivery| super::bench::goes_to(delivery, url)).map(authorization);
        ensure!(theirs == shown, "after our repair the webhook of {url} delivers nothing, or with other credentials");
        let ours = arrived.iter().any(super::bench::is_ours);
        ensure!(state.healthy == ours, "arriving at our URL is {ours}, reported was {state:?}");
        ensure!(ours || !state.foreign.is_empty(), "our place is taken, reported was {state:?}");
    }
    Ok(())
}

async fn broken_off(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = lab.with(&[&kim]).await?;
    bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
    let requests = bench.wire.take().len();
    for trip in [Trip::Refuse, Trip::Silence, Trip::Fail, Trip::Cut] {
        for passed in 0..requests {
            let bench = lab.with(&[&kim]).await?;
            bench.wire.trip_after(passed, trip);
            // It may have failed, and it may not: an answer without a body cannot be cut.
            drop(bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await);
            bench.wire.clear();
            let state = bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Repair).await?;
            ensure!(state.healthy, "{trip:?} after {passed} requests, then repaired to {state:?}");
            let provider = bench.provider()?;
            let mut times: BTreeMap<[u8; 32], usize> = BTreeMap::new();
            for delivery in bench.reaches(HOOK_URL, &kim)? {
                for event in understand(&*provider, &delivery)? {
                    if event.kind == EventKind::Unsubscribed {
                        *times.entry(event.fingerprint).or_default() += 1;
                    }
                }
            }
            let once = times.len() == 1 && times.values().all(|times| *times == 1);
            ensure!(once, "{trip:?} after {passed} requests, then an event came {:?} times", times.values());
        }
    }
    Ok(())
}
