//! What a webhook says.

use super::bench::{Bench, people, person};
use super::delivery::{Parts, SOON, read, understand};
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::{CourierFaults, Happening};
use crate::{Affected, EmailAddress, EventKind, ProviderEvent, Trust, Verified};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 52, title: "every event is understood", examine: |lab| Box::pin(understood(lab)) },
    Rule { number: 53, title: "an event names its list, or all of them", examine: |lab| Box::pin(lists(lab)) },
    Rule { number: 54, title: "a repeat is recognised, another event is not", examine: |lab| Box::pin(repeats(lab)) },
    Rule { number: 55, title: "a broken event costs no good one", examine: |lab| Box::pin(broken_event(lab)) },
    Rule { number: 56, title: "no body is fatal", examine: |lab| Box::pin(no_body_is_fatal(lab)) },
    Rule { number: 57, title: "an unknown event is a value", examine: |lab| Box::pin(unknown(lab)) },
];

async fn hooked(lab: &Lab<'_>, people: &[&EmailAddress]) -> Result<Bench, Broken> {
    let bench = lab.with(people).await?;
    bench.enrol(&bench.other, people).await?;
    bench.hooked().await?;
    Ok(bench)
}

/// Everything that a webhook said within the half hour after something happened.
fn said(bench: &Bench, email: &EmailAddress, what: &Happening) -> Result<Vec<ProviderEvent>, Broken> {
    let provider = bench.provider()?;
    let mut events = Vec::new();
    for arrived in bench.arriving(email, what)? {
        events.extend(understand(&*provider, &arrived)?);
    }
    Ok(events)
}

async fn understood(lab: &Lab<'_>) -> Verdict {
    let kim = person("Kim.O'Brien+news")?;
    let list = hooked(lab, &[&kim]).await?.list.list;
    // The word that must be said, if the provider owes one, and those that may be said besides.
    let cases: [(Happening, Option<&str>, &[&str]); 9] = [
        (Happening::Unsubscribes(Some(list.clone())), Some("unsubscribed"), &["touched", "traffic"]),
        (Happening::Unsubscribes(None), Some("unsubscribed"), &["touched", "traffic"]),
        (Happening::Complains, Some("complaint"), &["unsubscribed", "touched", "traffic"]),
        (Happening::HardBounces, Some("hard_bounce"), &["touched", "traffic"]),
        (Happening::SoftBounces, None, &["soft_bounce", "traffic"]),
        (Happening::Blocked, None, &["hard_bounce", "soft_bounce", "complaint", "touched", "traffic"]),
        (Happening::UnsubscribedByStaff(list.clone()), None, &["unsubscribed", "touched"]),
        (Happening::HostileImport(list), None, &["touched"]),
        (Happening::Deleted, None, &["deleted"]),
    ];
    for (what, must, may) in &cases {
        for delay in [0, 18_000_000_000] {
            let bench = hooked(lab, &[&kim]).await?;
            bench.world().disturb(CourierFaults { delay, ..CourierFaults::default() });
            let at = bench.now();
            let mut events = said(&bench, &kim, what)?;
            let provider = bench.provider()?;
            for arrived in bench.deliveries(Duration::from_hours(6), Some(200)) {
                events.extend(understand(&*provider, &arrived)?);
            }
            let words: Vec<&str> = events.iter().map(|event| event.kind.word()).collect();
            ensure!(must.is_none_or(|must| words.contains(&must)), "{what:?} was told as {words:?}");
            let odd = words.iter().find(|word| Some(**word) != *must && !may.contains(word));
            ensure!(odd.is_none(), "{what:?} was told as {words:?}");
            for event in &events {
                let about: Vec<String> = event.emails.iter().map(EmailAddress::folded).collect();
                ensure!(about == [kim.folded()], "{what:?} was told about {} addresses, or another", about.len());
                ensure!(!event.detail.contains('@'), "the detail of {what:?} holds an address");
                let right = event.occurred_at.is_none_or(|time| (time.at - at).abs() <= doubt(time.trust));
                ensure!(right, "{what:?} happened at {at}, told was {:?}", event.occurred_at);
            }
        }
    }
    everybody_at_once(lab).await
}

/// Providers that collect events must lose none, and neither may an adapter.
async fn everybody_at_once(lab: &Lab<'_>) -> Verdict {
    let crowd = people("crowd", 60)?;
    let bench = hooked(lab, &crowd.iter().collect::<Vec<_>>()).await?;
    for email in &crowd {
        bench.happen(email, &Happening::Unsubscribes(Some(bench.list.list.clone())))?;
    }
    let provider = bench.provider()?;
    let mut told = BTreeSet::new();
    for arrived in bench.deliveries(SOON, Some(200)) {
        for event in understand(&*provider, &arrived)? {
            if event.kind == EventKind::Unsubscribed {
                told.extend(event.emails.iter().map(EmailAddress::folded));
            }
        }
    }
    ensure!(told.len() == crowd.len(), "of {} who left at once, {} were told", crowd.len(), told.len());
    Ok(())
}

const fn doubt(trust: Trust) -> i64 {
    match trust {
        Trust::Hours2 => 2 * 3_600_000_000,
        Trust::Hours26 => 26 * 3_600_000_000,
    }
}

async fn lists(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = hooked(lab, &[&kim]).await?;
    let (bound, other) = (bench.list.list.clone(), bench.other.list.clone());
    for list in [Some(bound), Some(other), None] {
        let bench = hooked(lab, &[&kim]).await?;
        let events = said(&bench, &kim, &Happening::Unsubscribes(list.clone()))?;
        for event in events.iter().filter(|event| event.kind == EventKind::Unsubscribed) {
            let right = match (&event.affected, &list) {
                (Affected::Account, _) => true,
                (Affected::Lists(told), Some(list)) => told.contains(list),
                (Affected::Lists(_), None) => false,
            };
            ensure!(right, "an unsubscription from {list:?} was told as being about {:?}", event.affected);
        }
    }
    Ok(())
}

async fn repeats(lab: &Lab<'_>) -> Verdict {
    let (kim, lee) = (person("kim")?, person("lee")?);
    let bench = hooked(lab, &[&kim, &lee]).await?;
    let provider = bench.provider()?;
    bench.world().disturb(CourierFaults { duplicate: true, reorder: true, ..CourierFaults::default() });
    let (bound, other) = (bench.list.list.clone(), bench.other.list.clone());
    bench.happen(&kim, &Happening::Unsubscribes(Some(bound.clone())))?;
    bench.happen(&kim, &Happening::Unsubscribes(Some(other)))?;
    bench.happen(&lee, &Happening::Unsubscribes(Some(bound.clone())))?;
    bench.happen(&lee, &Happening::Complains)?;
    let mut arrived = bench.deliveries(SOON, Some(200));
    bench.happen(&kim, &Happening::HostileImport(bound.clone()))?;
    bench.happen(&kim, &Happening::Unsubscribes(Some(bound)))?;
    arrived.extend(bench.deliveries(SOON, Some(200)));
    let mut times: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    for delivery in &arrived {
        for event in understand(&*provider, delivery)? {
            if matches!(event.kind, EventKind::Unsubscribed | EventKind::Complaint) {
                *times.entry(event.fingerprint).or_default() += 1;
            }
        }
    }
    ensure!(times.len() >= 5, "five different events gave {} fingerprints", times.len());
    let single = times.values().filter(|times| **times % 2 == 1).count();
    ensure!(single == 0, "{single} events that were delivered twice have two fingerprints");
    for delivery in &arrived {
        let parts = Parts::of(&delivery.body)?;
        let together: Vec<_> = understand(&*provider, delivery)?.iter().map(|event| event.fingerprint).collect();
        let mut apart = Vec::new();
        for event in &parts.events {
            apart.extend(read(&*provider, &json!([event]))?.iter().map(|event| event.fingerprint));
        }
        ensure!(together == apart, "grouped in another way, events have other fingerprints");
    }
    Ok(())
}

async fn broken_event(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = hooked(lab, &[&kim]).await?;
    let provider = bench.provider()?;
    let parts = Parts::of(&bench.unsubscription(&kim)?.body)?;
    let name = lab.subject().event_name;
    let broken = [
        json!(5),
        json!(null),
        json!("x"),
        json!([]),
        json!({}),
        json!({ name: 7 }),
        json!({ name: null }),
        json!({ name: "" }),
        json!([[[{ name: "x" }]]]),
        json!({ "email": "lee@example.org" }),
    ];
    let good = read(&*provider, &Value::Array(parts.events.clone()))?;
    for broken in broken {
        for first in [true, false] {
            let mut events = parts.events.clone();
            events.insert(if first { 0 } else { events.len() }, broken.clone());
            let told = read(&*provider, &Value::Array(events))?;
            let kept = good.iter().all(|one| told.contains(one));
            ensure!(kept, "beside {broken} a good event was lost");
            let rest = told.iter().filter(|one| !good.contains(one));
            let odd = rest.filter(|one| !matches!(one.kind, EventKind::Unknown(_))).count();
            ensure!(odd == 0, "{broken} was taken for an event that is known");
        }
    }
    Ok(())
}

async fn no_body_is_fatal(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = hooked(lab, &[&kim]).await?;
    let provider = bench.provider()?;
    let name = lab.subject().event_name;
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "\u{feff}",
        "null",
        "7",
        "1e999",
        "\"x\"",
        "[",
        "{",
        "[{]",
        "[[]]",
        "{}",
        "[]",
        "\"\\ud800\"",
        "{\"events\":[]}",
        "{\"events\":[[{}]]}",
        "{\"events\":7}",
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bodies.push(vec![0xff, 0xfe, 0x00, 0x80]);
    bodies.push("[".repeat(200_000).into_bytes());
    bodies.push(format!("{}{}", "[".repeat(100), "]".repeat(100)).into_bytes());
    bodies.push("{\"a\":".repeat(100_000).into_bytes());
    bodies.push(format!("[{{\"{name}\":\"{}\"}}]", "x".repeat(2_000_000)).into_bytes());
    bodies.push(format!("{{\"{name}\":\"x\",\"{name}\":\"y\",\"{name}\":7}}").into_bytes());
    bodies.push(format!("[{}]", vec![format!("{{\"{name}\":\"x\"}}"); 20_000].join(",")).into_bytes());
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("9".repeat(400)),
        json!("\u{0}\u{202e}"),
        json!([]),
        json!([[]]),
        json!([null, 7]),
        json!({}),
        json!("@"),
    ];
    for what in [Happening::Unsubscribes(None), Happening::Complains, Happening::HardBounces, Happening::Deleted] {
        let bench = hooked(lab, &[&kim]).await?;
        for arrived in bench.arriving(&kim, &what)? {
            bodies.extend((0..arrived.body.len()).filter_map(|end| arrived.body.get(..end).map(<[u8]>::to_vec)));
            let parts = Parts::of(&arrived.body)?;
            let members = parts.events.first().and_then(Value::as_object);
            for member in members.into_iter().flat_map(|event| event.keys()) {
                bodies.extend(odd.iter().map(|value| parts.with(member, value.clone()).to_string().into_bytes()));
            }
        }
    }
    for body in &bodies {
        let Ok(events) = provider.read(&Verified::stored(body)) else { continue };
        for event in events {
            let shown = format!("{:?}{}", event.kind, event.detail);
            ensure!(!shown.contains('@'), "a strange body put an address where it may be shown");
            ensure!(shown.len() < 2_000, "a strange body put {} bytes where a few words belong", shown.len());
        }
    }
    Ok(())
}

async fn unknown(lab: &Lab<'_>) -> Verdict {
    let kim = person("kim")?;
    let bench = hooked(lab, &[&kim]).await?;
    let provider = bench.provider()?;
    let parts = Parts::of(&bench.unsubscription(&kim)?.body)?;
    let name = lab.subject().event_name;
    let mut told = Vec::new();
    for word in ["invented_in_2031", "told about kim@example.org"] {
        for event in read(&*provider, &parts.with(name, json!(word)))? {
            let EventKind::Unknown(kind) = &event.kind else {
                return Err(Broken::new(format!("the unknown event {word:?} was taken for {:?}", event.kind)));
            };
            ensure!(!kind.contains('@'), "the name of an unknown event holds an address");
            let first = word.split(' ').next().unwrap_or_default();
            ensure!(kind.contains(first), "the unknown event {word:?} is kept as {kind:?}");
            told.push(event.fingerprint);
        }
    }
    ensure!(told.len() == 2 && told.first() != told.last(), "two unknown events gave {} fingerprints", told.len());
    Ok(())
}
