//! Transactional mail.

use super::bench::{Bench, person};
use super::shape::{contains, mail};
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::{Fault, Happening};
use crate::{Capability, Effect, ProviderError, Receipt};

pub(super) const RULES: &[Rule] = &[
    Rule { number: 46, title: "a mail goes out whole, and with its key", examine: |lab| Box::pin(whole(lab)) },
    Rule { number: 47, title: "a mail subscribes nobody", examine: |lab| Box::pin(subscribes_nobody(lab)) },
    Rule { number: 48, title: "a receipt is the provider's word", examine: |lab| Box::pin(receipts(lab)) },
];

async fn whole(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    let (kim, provider) = (person("Kim.O'Brien+news")?, bench.provider()?);
    let mail = mail(&kim)?;
    let answer = provider.send(&bench.wire, &mail).await;
    if !bench.can(Capability::Send) {
        let refused = matches!(answer, Err(ProviderError::Unsupported(Capability::Send)));
        ensure!(refused, "sending is neither a capability nor refused");
        return Ok(());
    }
    ensure!(!answer?.message_id.trim().is_empty(), "a mail was sent without a message id");
    let seen = bench.wire.take();
    let [request] = seen.as_slice() else {
        return Err(Broken::new(format!("one mail took {} requests", seen.len())));
    };
    let key = mail.idempotency_key.to_string();
    let in_header = request.headers.iter().any(|(_, value)| value.contains(&key));
    ensure!(in_header || contains(&request.body, &key), "the idempotency key is nowhere in the request");
    for (part, text) in [
        ("recipient", kim.as_str()),
        ("sender", mail.from.as_str()),
        ("text", "mark: 7f3a"),
        ("HTML part", "mark: 91bc"),
        ("header", "List-Unsubscribe=One-Click"),
    ] {
        ensure!(contains(&request.body, text), "the {part} of the mail is not in the request");
    }
    ensure!(!request.shown.contains("example.org"), "the request shows a person");
    Ok(())
}

async fn subscribes_nobody(lab: &Lab<'_>) -> Verdict {
    let (kim, left, blocked) = (person("kim")?, person("left")?, person("blocked")?);
    let bench = lab.with(&[&left, &blocked]).await?;
    if !bench.can(Capability::Send) {
        return Ok(());
    }
    bench.happen(&left, &Happening::Unsubscribes(Some(bench.list.list.clone())))?;
    bench.happen(&blocked, &Happening::Complains)?;
    for email in [&kim, &left, &blocked] {
        let before = bench.truth(&bench.list, email);
        // A refusal by the provider is as good as a mail here.
        drop(bench.provider()?.send(&bench.wire, &mail(email)?).await);
        let after = bench.truth(&bench.list, email);
        let same = after.on_list == before.on_list && after.blocked == before.blocked;
        ensure!(same && !after.mailable(), "a mail made {before:?} into {after:?}");
    }
    Ok(())
}

async fn receipts(lab: &Lab<'_>) -> Verdict {
    let cases = [
        (Fault::Refuse, Effect::None),
        (Fault::Hang, Effect::Unknown),
        (Fault::ApplyThenHang, Effect::Unknown),
        (Fault::Throttle(Vec::new()), Effect::None),
        (Fault::Status(500), Effect::Unknown),
        (Fault::ApplyThenStatus(502), Effect::Unknown),
        (Fault::Html, Effect::Unknown),
        (Fault::TruncatedJson, Effect::Unknown),
        (Fault::Unauthorised, Effect::None),
    ];
    for (fault, effect) in cases {
        let bench = lab.bench().await?;
        if !bench.can(Capability::Send) {
            return Ok(());
        }
        bench.disturb_all(&fault);
        let failed = failure(send(&bench).await?);
        ensure!(failed == Some(effect), "a mail under {fault:?} gave {failed:?} instead of {effect:?}");
        ensure!(bench.wire.take().len() == 1, "a mail under {fault:?} was sent more than once");
    }
    Ok(())
}

async fn send(bench: &Bench) -> Result<Result<Receipt, ProviderError>, Broken> {
    let mail = mail(&person("kim")?)?;
    Ok(bench.provider()?.send(&bench.wire, &mail).await)
}

fn failure(answer: Result<Receipt, ProviderError>) -> Option<Effect> {
    answer.err().map(|error| error.effect())
}
