//! What an adapter is, before it says anything about a person.

use super::bench::{Bench, HOOK_SECRET, HOOK_URL, lift, people, person, refresh, subscribe, withdraw};
use super::wire::Seen;
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::Fault;
use crate::{
    Capability, Change, Cursor, FieldKind, HookMode, Method, OutgoingMail, RemoteField, Repeat, Scope, SettingsError,
};
use std::collections::BTreeSet;

pub(super) const RULES: &[Rule] = &[
    Rule {
        number: 1,
        title: "the descriptor is complete",
        examine: |lab| Box::pin(async { descriptor_is_complete(lab) }),
    },
    Rule { number: 2, title: "opening is strict and silent", examine: |lab| Box::pin(opening_is_strict(lab)) },
    Rule { number: 3, title: "every request draws on a declared quota", examine: |lab| Box::pin(quotas_cover(lab)) },
    Rule { number: 4, title: "only reading may be repeated", examine: |lab| Box::pin(only_reading_repeats(lab)) },
    Rule { number: 5, title: "paths are relative, encoded and without secrets", examine: |lab| Box::pin(paths(lab)) },
    Rule { number: 6, title: "the same wish makes the same requests", examine: |lab| Box::pin(deterministic(lab)) },
    Rule { number: 7, title: "the adapter never repeats a request", examine: |lab| Box::pin(never_repeats(lab)) },
];

fn descriptor_is_complete(lab: &Lab<'_>) -> Verdict {
    let descriptor = lab.subject().descriptor;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    ensure!(plain(descriptor.id), "the id {:?} is not made of lower-case letters and digits", descriptor.id);
    ensure!(!descriptor.name.trim().is_empty(), "the provider has no name for people");
    let url = descriptor.default_base_url;
    ensure!(url.starts_with("https://") && !url.ends_with('/'), "the base URL {url:?} is not https without a final /");
    ensure!(
        (1..=1_000).contains(&descriptor.chunk),
        "a push of {} changes is too small or too large",
        descriptor.chunk
    );
    ensure!((1..=1_000).contains(&descriptor.look), "a look at {} addresses is too small or large", descriptor.look);
    for credential in descriptor.credentials {
        ensure!(!credential.name.is_empty() && !credential.help.is_empty(), "a credential lacks a name or a help");
    }
    for option in descriptor.options {
        let complete = !option.name.is_empty() && !option.help.is_empty() && !option.default.is_empty();
        ensure!(complete, "the option {:?} lacks a name, a help or a default", option.name);
    }
    let quotas = (descriptor.quotas)(&lab.settings());
    ensure!(!quotas.is_empty(), "no quota is declared; a guess with its reason is better than none");
    for quota in quotas {
        let positive = quota.limit > 0 && !quota.per.is_zero() && !quota.family.is_empty();
        ensure!(positive, "the quota {quota:?} allows nothing, or has no name");
    }
    Ok(())
}

async fn opening_is_strict(lab: &Lab<'_>) -> Verdict {
    let descriptor = lab.subject().descriptor;
    for credential in descriptor.credentials {
        for empty in [false, true] {
            let mut settings = lab.settings();
            settings.credentials.remove(credential.name);
            if empty {
                settings.credentials.insert(credential.name.into(), "".into());
            }
            let refused = matches!((descriptor.open)(&settings), Err(SettingsError::MissingCredential(name)) if name == credential.name);
            ensure!(refused, "the account opened without the credential {:?}", credential.name);
        }
    }
    for option in descriptor.options {
        let mut settings = lab.settings();
        settings.options.insert(option.name.into(), option.default.into());
        ensure!((descriptor.open)(&settings).is_ok(), "the default of the option {:?} is refused", option.name);
        settings.options.insert(option.name.into(), "\u{1}no such value".into());
        let refused =
            matches!((descriptor.open)(&settings), Err(SettingsError::Option { name, .. }) if name == option.name);
        ensure!(refused, "the option {:?} takes any value", option.name);
    }
    let bench = lab.bench().await?;
    bench.provider()?;
    ensure!(bench.wire.take().is_empty(), "opening an account sent a request");
    Ok(())
}

async fn quotas_cover(lab: &Lab<'_>) -> Verdict {
    let declared: BTreeSet<_> = (lab.subject().descriptor.quotas)(&lab.settings()).iter().map(|q| q.family).collect();
    for seen in tour(&lab.bench().await?).await? {
        ensure!(declared.contains(seen.family), "{} draws on {:?}, which no quota limits", seen.route, seen.family);
    }
    Ok(())
}

async fn only_reading_repeats(lab: &Lab<'_>) -> Verdict {
    for seen in tour(&lab.bench().await?).await? {
        let right = if seen.method == Method::Get { Repeat::Safe } else { Repeat::Never };
        ensure!(seen.repeat == right, "{} {} says {:?}", seen.method.as_str(), seen.route, seen.repeat);
    }
    let bench = lab.bench().await?;
    let provider = bench.provider()?;
    provider.check(&bench.wire).await?;
    provider.lists(&bench.wire).await?;
    provider.schema(&bench.wire).await?;
    provider.look(&bench.wire, &bench.list, &[person("kim")?]).await?;
    provider.list(&bench.wire, &bench.list, &Cursor::default()).await?;
    bench.hooks(HOOK_URL, HOOK_SECRET, HookMode::Inspect).await?;
    for seen in bench.wire.take() {
        ensure!(!seen.writes(), "{} {} was sent by a method that only reads", seen.method.as_str(), seen.route);
    }
    Ok(())
}

async fn paths(lab: &Lab<'_>) -> Verdict {
    let secrets: Vec<&str> = lab.subject().credentials.iter().map(|(_, value)| *value).collect();
    for Seen { path, route, body, shown, .. } in tour(&lab.bench().await?).await? {
        ensure!(path.starts_with('/'), "the path of {route} does not begin with a slash");
        let encoded = path.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}@+".contains(&b));
        ensure!(encoded, "the path of {route} holds a character that must be encoded");
        let template = !route.contains(['@', '?']) && !route.contains("example");
        ensure!(template && !route.is_empty(), "the route {route:?} is not a template without a person");
        let told = |secret: &&str| path.contains(*secret) || contains(&body, secret) || shown.contains(*secret);
        ensure!(!secrets.iter().any(told), "{route} carries a credential outside its headers");
    }
    Ok(())
}

async fn deterministic(lab: &Lab<'_>) -> Verdict {
    let first = tour(&lab.bench().await?).await?;
    let second = tour(&lab.bench().await?).await?;
    ensure!(first.len() == second.len(), "the same wishes took {} requests, then {}", first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        ensure!(first == second, "the same wishes made two different requests {} and {}", first.route, second.route);
    }
    Ok(())
}

async fn never_repeats(lab: &Lab<'_>) -> Verdict {
    for fault in [Fault::Status(503), Fault::Hang, Fault::Throttle(Vec::new()), Fault::Refuse] {
        let bench = lab.bench().await?;
        bench.disturb_all(&fault);
        let push = bench.provider()?.push(&bench.wire, &bench.list, &[subscribe(&person("kim")?)]).await;
        ensure!(push.stopped_by.is_some(), "a push went through although every call failed");
        let seen = bench.wire.take();
        for (at, request) in seen.iter().enumerate() {
            let again = seen.iter().skip(at + 1).any(|later| later == request);
            ensure!(!again, "{} was sent a second time by the adapter itself after {fault:?}", request.route);
        }
    }
    Ok(())
}

/// Enough people for every way that an adapter has for many.
const CROWD: usize = 120;

/// Calls every method once or more and gives the requests that this took.
pub(super) async fn tour(bench: &Bench) -> Result<Vec<Seen>, Broken> {
    let provider = bench.provider()?;
    let (kim, lee) = (person("Kim.O'Brien+news")?, person("lee")?);
    provider.check(&bench.wire).await?;
    provider.lists(&bench.wire).await?;
    if bench.can(Capability::CreateList) {
        provider.create_list(&bench.wire, "A third purpose").await?;
    }
    provider.schema(&bench.wire).await?;
    if bench.can(Capability::CreateField) {
        provider.create_field(&bench.wire, &RemoteField { name: "CITY".into(), kind: FieldKind::Text }).await?;
    }
    bench.apply(&bench.list, &[subscribe(&kim), subscribe(&lee)]).await?;
    bench.apply(&bench.list, &[refresh(&kim), withdraw(&lee, Scope::Purpose)]).await?;
    bench.apply(&bench.list, &[lift(&lee), withdraw(&kim, Scope::Everything)]).await?;
    bench.apply(&bench.list, &[lift(&kim)]).await?;
    let crowd = people("crowd", CROWD)?;
    for wish in [subscribe, refresh, lift] {
        bench.apply(&bench.list, &crowd.iter().map(wish).collect::<Vec<_>>()).await?;
    }
    for scope in [Scope::Purpose, Scope::Everything] {
        let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, scope)).collect();
        bench.apply(&bench.list, &leave).await?;
    }
    provider.look(&bench.wire, &bench.list, &[lee.clone(), kim.clone()]).await?;
    provider.list(&bench.wire, &bench.list, &Cursor::default()).await?;
    for mode in [HookMode::Inspect, HookMode::Repair, HookMode::Repair] {
        bench.hooks(HOOK_URL, HOOK_SECRET, mode).await?;
    }
    if bench.can(Capability::Send) {
        provider.send(&bench.wire, &mail(&kim)?).await?;
    }
    if bench.can(Capability::Erase) {
        provider.erase(&bench.wire, &kim).await?;
    }
    Ok(bench.wire.take())
}

/// A mail as consentd sends it.
pub(super) fn mail(to: &crate::EmailAddress) -> Result<OutgoingMail, Broken> {
    Ok(OutgoingMail {
        idempotency_key: uuid::Uuid::from_u128(0x0190_0000_7000_8000_0000_0000_0001),
        from: person("news")?,
        from_name: "Bäckerei \"Sonne\"".into(),
        to: to.clone(),
        subject: "Dürfen wir Ihnen schreiben?".into(),
        text: "A text part with a mark: 7f3a".into(),
        html: "<p>An HTML part with a mark: 91bc</p>".into(),
        headers: vec![("List-Unsubscribe-Post".into(), "List-Unsubscribe=One-Click".into())],
    })
}

/// Whether bytes hold a text.
pub(super) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes())
}
