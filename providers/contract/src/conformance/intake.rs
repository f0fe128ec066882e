//! Whom a webhook is believed, and what it is answered.

use super::bench::{HOOK_SECRET, person};
use super::delivery::{SOON, authorization, opened_with, understand};
use super::{Lab, Rule, Verdict, ensure};
use crate::{Delivery, Intake, WebhookError};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 49, title: "without a secret nothing is believed", examine: |lab| Box::pin(unconfigured(lab)) },
    Rule { number: 50, title: "only a valid secret is believed", examine: |lab| Box::pin(only_valid(lab)) },
    Rule { number: 51, title: "what was not kept comes again", examine: |lab| Box::pin(answers(lab)) },
];

const NEXT_SECRET: &str = "a-second-hook-secret-of-40-characters-wx";

async fn unconfigured(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = lab.with(&[&kim]).await?;
    bench.hooked().await?;
    let genuine = authorization(&bench.unsubscription(&kim)?);
    let headers =
        [genuine.as_deref(), None, Some(""), Some("Bearer "), Some("Bearer"), Some("Basic Og=="), Some("Basic ")];
    for secrets in [&[][..], &[""], &["", ""]] {
        let provider = opened_with(&bench, secrets)?;
        for authorization in headers {
            let refused = provider.verify(Delivery { authorization, body: b"{}" }).err();
            let right = refused == Some(WebhookError::Unconfigured);
            ensure!(right, "with {} empty secrets a delivery was answered {refused:?}", secrets.len());
        }
    }
    Ok(())
}

async fn only_valid(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = lab.with(&[&kim]).await?;
    bench.hooked().await?;
    let arrived = bench.unsubscription(&kim)?;
    let Some(genuine) = authorization(&arrived) else {
        return Err(super::Broken::new("the provider shows no credentials, so nobody can tell its webhooks"));
    };
    let believed = |secrets: &[&str], header: Option<&str>| {
        let delivery = Delivery { authorization: header, body: &arrived.body };
        Ok::<_, super::Broken>(opened_with(&bench, secrets)?.verify(delivery).map(|verified| verified.body().to_vec()))
    };
    for secrets in [&[HOOK_SECRET][..], &[NEXT_SECRET, HOOK_SECRET], &[HOOK_SECRET, NEXT_SECRET], &["", HOOK_SECRET]] {
        let answer = believed(secrets, Some(&genuine))?;
        ensure!(answer.as_ref() == Ok(&arrived.body), "a genuine webhook was refused with {} secrets", secrets.len());
    }
    ensure!(believed(&[NEXT_SECRET], Some(&genuine))?.is_err(), "a secret that is no longer valid was believed");
    let scheme = genuine.split_once(' ').map_or("", |(scheme, _)| scheme);
    let shorter: String = genuine.chars().take(genuine.chars().count().saturating_sub(5)).collect();
    let swapped: String = genuine.chars().rev().collect();
    let forgeries = [
        None,
        Some(String::new()),
        Some(scheme.to_owned()),
        Some(format!("{scheme} ")),
        Some(shorter),
        Some(swapped),
        Some(format!("{genuine}x")),
        Some(genuine.to_ascii_uppercase()),
        Some(format!("{scheme} {HOOK_SECRET}!")),
        Some(format!("Digest {HOOK_SECRET}")),
        Some(format!("{scheme} {}", "A".repeat(100_000))),
        Some(format!("{scheme} Og==")),
        Some("\u{0}\u{ffff}".into()),
    ];
    for forgery in &forgeries {
        let answer = believed(&[HOOK_SECRET], forgery.as_deref())?;
        let shown = forgery.as_deref().map_or(0, str::len);
        let right = answer == Err(WebhookError::Credentials);
        ensure!(right, "a forged header of {shown} bytes was not refused for its credentials");
    }
    Ok(())
}

async fn answers(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    for (intake, comes_again) in
        [(Intake::Stored, false), (Intake::Quarantined, false), (Intake::Busy, true), (Intake::Unauthorised, true)]
    {
        let bench = lab.with(&[&kim]).await?;
        bench.hooked().await?;
        let provider = bench.provider()?;
        let status = provider.answer(intake);
        bench.happen(&kim, &crate::emulator::Happening::Complains)?;
        let first = bench.deliveries(SOON, Some(status));
        ensure!(!first.is_empty(), "nothing arrived when somebody complained");
        let second = bench.deliveries(Duration::from_hours(3), Some(provider.answer(Intake::Stored)));
        ensure!(
            second.is_empty() != comes_again,
            "{intake:?} was answered {status}, and the webhook was delivered {} times more",
            second.len()
        );
        let fingerprint =
            |arrived| Ok::<_, super::Broken>(understand(&*provider, arrived)?.first().map(|event| event.fingerprint));
        if let (Some(first), Some(second)) = (first.first(), second.first()) {
            let same = fingerprint(first)? == fingerprint(second)?;
            ensure!(same, "delivered again, an event has another fingerprint");
        }
        let third = bench.deliveries(Duration::from_hours(12), Some(200));
        ensure!(third.is_empty(), "what was stored came again {} times", third.len());
    }
    let too_large = lab.bench().await?.provider()?.answer(Intake::TooLarge);
    ensure!((400..600).contains(&too_large), "what is too large to be kept is answered {too_large}");
    Ok(())
}
