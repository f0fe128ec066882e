//! Walking an account page by page.

use super::bench::{Bench, people, person, withdraw};
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::Happening;
use crate::{Cursor, Scope, Sighting};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULES: &[Rule] = &[
    Rule { number: 13, title: "a walk is complete, and survives a restart", examine: |lab| Box::pin(complete(lab)) },
    Rule { number: 14, title: "a walk tells unsubscriptions and blocks", examine: |lab| Box::pin(refusals(lab)) },
];

/// More than the largest page of the providers known.
const CROWD: usize = 1_050;
/// More pages than a walk over the crowd can honestly need.
const PAGES: usize = 400;

async fn complete(lab: &Lab<'_>) -> Verdict {
    let crowd = people("crowd", CROWD)?;
    let bench = lab.with(&crowd.iter().collect::<Vec<_>>()).await?;
    compare(&bench).await
}

async fn refusals(lab: &Lab<'_>) -> Verdict {
    let names = ["fresh", "left", "staff", "purpose", "all", "spam"];
    let someone = names.into_iter().map(person).collect::<Result<Vec<_>, _>>()?;
    let bench = lab.with(&someone.iter().collect::<Vec<_>>()).await?;
    let [_, left, staff, purpose, all, spam] = someone.as_slice() else { return Ok(()) };
    bench.enrol(&bench.other, &[&person("elsewhere")?, all]).await?;
    bench.happen(left, &Happening::Unsubscribes(Some(bench.list.list.clone())))?;
    bench.happen(spam, &Happening::Complains)?;
    bench.happen(staff, &Happening::UnsubscribedByStaff(bench.list.list.clone()))?;
    bench.apply(&bench.list, &[withdraw(purpose, Scope::Purpose), withdraw(all, Scope::Everything)]).await?;
    compare(&bench).await?;
    let seen = walk(&bench).await?;
    for email in [left, staff, all, spam] {
        let found = seen.values().find(|one| one.email.as_ref().is_some_and(|seen| seen.folded() == email.folded()));
        let truth = bench.truth(&bench.list, email);
        let told = found.is_some_and(|one| {
            one.unsubscribed.unwrap_or(false) == truth.unsubscribed && one.blocked.unwrap_or(false) == truth.blocked
        });
        ensure!(
            told,
            "the truth is {truth:?}, but the walk tells {:?}",
            found.map(|one| (one.unsubscribed, one.blocked))
        );
    }
    Ok(())
}

/// The walk must find exactly the addresses that a campaign would reach.
async fn compare(bench: &Bench) -> Verdict {
    let found: BTreeSet<String> = walk(bench)
        .await?
        .into_values()
        .filter(|row| row.on_list == Some(true) && row.unsubscribed != Some(true) && row.blocked != Some(true))
        .filter_map(|row| row.email.map(|email| email.folded()))
        .collect();
    let now = bench.now();
    let mailable = bench.world().mailable(now, &bench.list.list);
    let truth: BTreeSet<String> = mailable.into_iter().map(|email| email.to_ascii_lowercase()).collect();
    let (missed, invented) = (truth.difference(&found).count(), found.difference(&truth).count());
    ensure!(
        missed == 0 && invented == 0,
        "of {} mailable contacts the walk missed {missed}, and it showed {invented} others as mailable",
        truth.len()
    );
    Ok(())
}

/// Rows of the same contact complete each other. Every page is asked for by an adapter that was just opened, with a
/// cursor that went through storage.
async fn walk(bench: &Bench) -> Result<BTreeMap<String, Sighting>, Broken> {
    let mut rows: BTreeMap<String, Sighting> = BTreeMap::new();
    let mut from = Cursor::default();
    for _ in 0..PAGES {
        let page = bench.provider()?.list(&bench.wire, &bench.list, &from).await?;
        for sighting in page.sightings {
            let id = sighting.remote_id.clone();
            let row = rows.entry(id).or_insert_with(|| sighting.clone());
            row.email = sighting.email.or(row.email.take());
            row.on_list = sighting.on_list.or(row.on_list);
            row.unsubscribed = sighting.unsubscribed.or(row.unsubscribed);
            row.blocked = sighting.blocked.or(row.blocked);
        }
        let Some(next) = page.next else { return Ok(rows) };
        ensure!(next != from, "a page leads to itself");
        let stored = serde_json::to_string(&next).map_err(|error| Broken::new(error.to_string()))?;
        from = serde_json::from_str(&stored).map_err(|error| Broken::new(error.to_string()))?;
    }
    Err(Broken::new(format!("a walk over {} contacts did not end after {PAGES} pages", rows.len())))
}
