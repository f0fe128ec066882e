//! Reading while the network or the provider fails.

use super::bench::{Bench, HOOK_SECRET, HOOK_URL, person};
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::Fault;
use crate::{AudienceRef, Capability, Cursor, Effect, FieldKind, HookMode, HookSpec, ProviderError, RemoteField};
use secrecy::SecretString;
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 15, title: "a failed reading is the right error", examine: |lab| Box::pin(right_error(lab)) },
    Rule { number: 16, title: "the provider's wish to wait is passed on", examine: |lab| Box::pin(wish_to_wait(lab)) },
    Rule { number: 17, title: "a list that is gone is an answer", examine: |lab| Box::pin(gone_list(lab)) },
    Rule { number: 18, title: "creating survives a lost answer", examine: |lab| Box::pin(creating(lab)) },
];

const READINGS: &[&str] = &["check", "lists", "schema", "look", "list", "hooks"];

/// Calls a method that only reads, on a provider that was just opened.
async fn reading(bench: &Bench, method: &str) -> Result<Result<(), ProviderError>, Broken> {
    let provider = bench.provider()?;
    let out = &bench.wire;
    Ok(match method {
        "check" => provider.check(out).await.map(drop),
        "lists" => provider.lists(out).await.map(drop),
        "schema" => provider.schema(out).await.map(drop),
        "look" => provider.look(out, &bench.list, &[person("kim")?]).await.map(drop),
        "list" => provider.list(out, &bench.list, &Cursor::default()).await.map(drop),
        _ => {
            let wanted = HookSpec { url: HOOK_URL.into(), secret: SecretString::from(HOOK_SECRET) };
            provider.hooks(out, &wanted, HookMode::Inspect).await.map(drop)
        }
    })
}

async fn right_error(lab: &Lab<'_>) -> Verdict {
    let cases = [
        (Fault::Refuse, "unreachable", Effect::None),
        (Fault::Reset, "unreachable", Effect::Unknown),
        (Fault::Hang, "unreachable", Effect::Unknown),
        (Fault::Throttle(Vec::new()), "throttled", Effect::None),
        (Fault::ThrottleHtml, "throttled", Effect::None),
        (Fault::Status(500), "server", Effect::Unknown),
        (Fault::Status(503), "server", Effect::Unknown),
        (Fault::Html, "protocol", Effect::Unknown),
        (Fault::TruncatedJson, "protocol", Effect::Unknown),
        (Fault::Unauthorised, "credentials", Effect::None),
    ];
    for (fault, kind, effect) in cases {
        for method in READINGS {
            let bench = lab.with(&[&person("kim")?]).await?;
            bench.disturb_all(&fault);
            let Err(error) = reading(&bench, method).await? else {
                return Err(Broken::new(format!("{method} gave an answer although the provider met {fault:?}")));
            };
            let right = error.kind() == kind && error.effect() == effect;
            ensure!(right, "{method} made of {fault:?} the error {error:?} instead of one of kind {kind}");
        }
    }
    Ok(())
}

async fn wish_to_wait(lab: &Lab<'_>) -> Verdict {
    let Some(headers) = lab.subject().descriptor.rate_headers else { return Ok(()) };
    let told = |reset: &str| {
        vec![(headers.remaining.to_owned(), "0".to_owned()), (headers.reset.to_owned(), reset.to_owned())]
    };
    let bench = lab.bench().await?;
    bench.disturb_all(&Fault::Throttle(told("45")));
    let answer = reading(&bench, "lists").await?;
    let Err(ProviderError::Throttled { retry_after }) = answer else {
        return Err(Broken::new(format!("a 429 became {answer:?}")));
    };
    ensure!(retry_after == Some(Duration::from_secs(45)), "a wish for 45 s became {retry_after:?}");
    for nonsense in ["99999999999999999999", "1767225600", "-5", "soon", "NaN", "inf", ""] {
        let bench = lab.bench().await?;
        bench.disturb_all(&Fault::Throttle(told(nonsense)));
        let answer = reading(&bench, "lists").await?;
        let Err(ProviderError::Throttled { retry_after }) = answer else {
            return Err(Broken::new(format!("a 429 with the reset {nonsense:?} became {answer:?}")));
        };
        let bearable = retry_after.is_none_or(|wait| wait <= Duration::from_hours(24));
        ensure!(bearable, "the reset {nonsense:?} became a wait of {retry_after:?}");
    }
    Ok(())
}

async fn gone_list(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    for id in ["987654321", "no such/list?x=1#y", "../lists", ""] {
        let gone = AudienceRef { list: id.into() };
        let provider = bench.provider()?;
        match provider.look(&bench.wire, &gone, &[person("nobody")?]).await {
            Ok(looks) => ensure!(looks.iter().all(|look| !look.on_list), "somebody is on the list {id:?}"),
            Err(error) => ensure!(error.kind() == "rejected", "a look at the list {id:?} failed with {error:?}"),
        }
        match provider.list(&bench.wire, &gone, &Cursor::default()).await {
            Ok(page) => {
                let empty = page.sightings.iter().all(|row| row.on_list != Some(true));
                ensure!(empty, "a walk found somebody on the list {id:?}");
            }
            Err(error) => ensure!(error.kind() == "rejected", "a walk over the list {id:?} failed with {error:?}"),
        }
        for seen in bench.wire.take() {
            let inside = !seen.path.split(['/', '?']).any(|part| part == "..");
            ensure!(inside, "the list {id:?} climbs out of the path of {}", seen.route);
        }
    }
    Ok(())
}

async fn creating(lab: &Lab<'_>) -> Verdict {
    let field = RemoteField { name: "SUITE_CITY".into(), kind: FieldKind::Text };
    for fault in [Fault::ApplyThenHang, Fault::ApplyThenStatus(502), Fault::TruncatedJson, Fault::Hang] {
        let bench = lab.bench().await?;
        let provider = bench.provider()?;
        if bench.can(Capability::CreateList) {
            let before = provider.lists(&bench.wire).await?.len();
            bench.disturb_writes(&fault);
            let answer = provider.create_list(&bench.wire, "A third purpose").await;
            ensure!(answer.is_err(), "a list was reported as created under {fault:?}");
            bench.heal();
            let created = provider.create_list(&bench.wire, "A third purpose").await?;
            let after = provider.lists(&bench.wire).await?;
            let once = after.len() == before + 1 && after.contains(&created);
            ensure!(once, "created again after {fault:?}, one list became {}", after.len().saturating_sub(before));
        }
        if bench.can(Capability::CreateField) {
            let before = provider.schema(&bench.wire).await?.len();
            bench.disturb_writes(&fault);
            let answer = provider.create_field(&bench.wire, &field).await;
            let created = provider.schema(&bench.wire).await?.len() > before;
            ensure!(answer.is_err() || created, "a field was reported as created under {fault:?}");
            bench.heal();
            provider.create_field(&bench.wire, &field).await?;
            let after = provider.schema(&bench.wire).await?.len();
            ensure!(after == before + 1, "created again after {fault:?}, one field made {before} fields {after}");
        }
    }
    Ok(())
}
