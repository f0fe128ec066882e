//! Carrying out changes while nothing disturbs.

use super::bench::{Bench, Wish, all_honest, honest, lift, people, person, refresh, subscribe, subscription, withdraw};
use super::shape::contains;
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::{
    AudienceRef, Capability, Change, EmailAddress, FieldKind, FieldValue, Fields, JobState, Outcome, Presence,
    ProviderError, Refusal, RemoteField, RemoteJob, Scope,
};

pub(super) const RULES: &[Rule] = &[
    Rule { number: 19, title: "a subscription arrives with its fields", examine: |lab| Box::pin(with_fields(lab)) },
    Rule { number: 20, title: "a wrong presence costs nobody anything", examine: |lab| Box::pin(presence(lab)) },
    Rule { number: 21, title: "one outcome a change, in order", examine: |lab| Box::pin(in_order(lab)) },
    Rule { number: 22, title: "wishes about one person keep their order", examine: |lab| Box::pin(same_person(lab)) },
    Rule { number: 23, title: "a push may be larger than a chunk", examine: |lab| Box::pin(large(lab)) },
    Rule { number: 24, title: "many changes take few calls", examine: |lab| Box::pin(few_calls(lab)) },
    Rule { number: 25, title: "a bad row costs no good one", examine: |lab| Box::pin(bad_row(lab)) },
    Rule { number: 26, title: "a value that must be unique merges nobody", examine: |lab| Box::pin(unique(lab)) },
    Rule { number: 27, title: "a full account is told from a bad row", examine: |lab| Box::pin(full(lab)) },
    Rule { number: 28, title: "a job's claim is not taken for the truth", examine: |lab| Box::pin(jobs(lab)) },
];

/// More than any provider known handles one by one.
pub(super) const MANY: usize = 300;
/// The most calls that a push of [`MANY`] equal changes may take.
pub(super) const FEW: usize = 12;

async fn with_fields(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    if bench.can(Capability::CreateField) {
        for (name, kind) in [("SUITE_CITY", FieldKind::Text), ("SUITE_AGE", FieldKind::Number)] {
            bench.provider()?.create_field(&bench.wire, &RemoteField { name: name.into(), kind }).await?;
        }
    }
    bench.wire.take();
    for count in [1, 40] {
        let crowd = people(&format!("Fields.{count}+"), count)?;
        let changes: Vec<Change> = crowd
            .iter()
            .map(|email| subscription(email, city_and_age(&format!("mark-{count}-7f3a")), Presence::New, None))
            .collect();
        let outcomes = bench.apply(&bench.list, &changes).await?;
        ensure!(outcomes.iter().all(|one| *one == Outcome::Applied), "undisturbed subscriptions gave {outcomes:?}");
        for email in &crowd {
            let truth = bench.truth(&bench.list, email);
            ensure!(truth.mailable(), "a subscription of {count} was applied, but the truth is {truth:?}");
        }
        let mark = format!("mark-{count}-7f3a");
        let told = bench.wire.take().iter().filter(|seen| seen.writes() && contains(&seen.body, &mark)).count();
        ensure!(told > 0, "the value of a field was in no request that subscribed {count} contacts");
    }
    Ok(())
}

fn city_and_age(city: &str) -> Fields {
    Fields::from([("SUITE_CITY".into(), FieldValue::Text(city.into())), ("SUITE_AGE".into(), FieldValue::Whole(41))])
}

async fn presence(lab: &Lab<'_>) -> Verdict {
    for count in [1, 40] {
        let known = people("known", count)?;
        let bench = lab.with(&known.iter().collect::<Vec<_>>()).await?;
        let again: Vec<Change> = known.iter().map(subscribe).collect();
        bench.apply(&bench.list, &again).await?;
        for email in &known {
            let truth = bench.truth(&bench.list, email);
            ensure!(truth.mailable(), "a known contact said to be new was left {truth:?}");
        }
        let gone = people("gone", count)?;
        let changes: Vec<Change> = gone.iter().map(refresh).collect();
        let outcomes = bench.apply(&bench.list, &changes).await?;
        for ((change, outcome), email) in changes.iter().zip(&outcomes).zip(&gone) {
            honest(change, outcome, crate::Look::default(), bench.truth(&bench.list, email))?;
        }
        bench.apply(&bench.list, &gone.iter().map(subscribe).collect::<Vec<_>>()).await?;
        for email in &gone {
            let truth = bench.truth(&bench.list, email);
            ensure!(truth.mailable(), "an absent contact said to be known, then to be new, was left {truth:?}");
        }
    }
    Ok(())
}

async fn in_order(lab: &Lab<'_>) -> Verdict {
    let names = ["new", "known", "leaver", "back", "all"];
    let someone = names.into_iter().map(person).collect::<Result<Vec<_>, _>>()?;
    let [new, known, leaver, back, all] = someone.as_slice() else { return Ok(()) };
    let bench = lab.with(&[known, leaver, back, all]).await?;
    bench.apply(&bench.list, &[withdraw(back, Scope::Purpose)]).await?;
    let changes = [
        withdraw(all, Scope::Everything),
        subscribe(new),
        withdraw(leaver, Scope::Purpose),
        refresh(known),
        lift(back),
    ];
    let outcomes = bench.apply(&bench.list, &changes).await?;
    ensure!(outcomes == vec![Outcome::Applied; changes.len()], "a mixed push gave {outcomes:?}");
    for (change, wanted) in changes.iter().zip([false, true, false, true, true]) {
        let truth = bench.truth(&bench.list, change.email());
        ensure!(truth.mailable() == wanted, "in a mixed push a contact was left {truth:?}");
    }
    bench.wire.take();
    let nothing = bench.provider()?.push(&bench.wire, &bench.list, &[]).await;
    let silent = nothing.outcomes.is_empty() && nothing.stopped_by.is_none() && bench.wire.take().is_empty();
    ensure!(silent, "an empty push sent something or gave an outcome");
    gone_list(&bench, new).await
}

/// A list that cannot be is the fault of the whole push.
async fn gone_list(bench: &Bench, email: &EmailAddress) -> Verdict {
    let changes = [refresh(email), withdraw(email, Scope::Purpose)];
    for id in ["987654321", "no such/list"] {
        let gone = AudienceRef { list: id.into() };
        let push = bench.provider()?.push(&bench.wire, &gone, &changes).await;
        ensure!(push.outcomes.len() == changes.len(), "a push to no list gave {:?}", push.outcomes);
        let claimed = push.outcomes.first() == Some(&Outcome::Applied);
        ensure!(!claimed, "a subscription to the list {id:?}, which is not there, was reported as applied");
    }
    Ok(())
}

async fn same_person(lab: &Lab<'_>) -> Verdict {
    let (kim, shout) = (person("kim")?, person("KIM")?);
    for count in [0, 60] {
        let bench = lab.bench().await?;
        let mut changes = vec![subscribe(&kim)];
        changes.extend(people("filler", count)?.iter().map(subscribe));
        changes.push(withdraw(&shout, Scope::Purpose));
        let outcomes = bench.apply(&bench.list, &changes).await?;
        ensure!(outcomes.len() == changes.len(), "{} changes gave {} outcomes", changes.len(), outcomes.len());
        let truth = bench.truth(&bench.list, &kim);
        ensure!(!truth.mailable(), "subscribed and then withdrawn in one push, a contact was left {truth:?}");
        bench.apply(&bench.list, &[withdraw(&kim, Scope::Everything), lift(&kim)]).await?;
        let truth = bench.truth(&bench.list, &kim);
        ensure!(truth.mailable(), "withdrawn and then put back in one push, a contact was left {truth:?}");
    }
    Ok(())
}

async fn large(lab: &Lab<'_>) -> Verdict {
    let crowd = people("crowd", lab.subject().descriptor.chunk + 3)?;
    let bench = lab.bench().await?;
    let changes: Vec<Change> = crowd.iter().map(subscribe).collect();
    let outcomes = bench.apply(&bench.list, &changes).await?;
    ensure!(outcomes == vec![Outcome::Applied; changes.len()], "a push beyond the chunk was not applied in full");
    let now = bench.now();
    let mailable = bench.world().mailable(now, &bench.list.list).len();
    ensure!(mailable == crowd.len(), "{} subscriptions made {mailable} mailable contacts", crowd.len());
    Ok(())
}

async fn few_calls(lab: &Lab<'_>) -> Verdict {
    let crowd = people("crowd", MANY)?;
    let bench = lab.bench().await?;
    let wishes: [(&str, Wish); 2] = [("new", subscribe), ("known", refresh)];
    for (kind, wish) in wishes {
        let calls = calls_for(&bench, &crowd.iter().map(wish).collect::<Vec<_>>()).await?;
        ensure!(calls <= FEW, "{MANY} subscriptions of {kind} contacts took {calls} calls");
    }
    Ok(())
}

/// How many calls it takes to push changes in chunks; following the jobs is not counted.
pub(super) async fn calls_for(bench: &Bench, changes: &[Change]) -> Result<usize, Broken> {
    bench.wire.take();
    let mut calls = 0;
    for part in changes.chunks(bench.subject.descriptor.chunk.max(1)) {
        let push = bench.provider()?.push(&bench.wire, &bench.list, part).await;
        calls += bench.wire.take().len();
        ensure!(push.stopped_by.is_none(), "a push stopped that nothing disturbed: {:?}", push.stopped_by);
        bench.settle(&bench.list, push.outcomes).await?;
        bench.wire.take();
    }
    Ok(calls)
}

async fn bad_row(lab: &Lab<'_>) -> Verdict {
    for count in [3, 40] {
        let crowd = people("good", count)?;
        let bench = lab.bench().await?;
        let mut changes: Vec<Change> = crowd.iter().map(subscribe).collect();
        let bad = person("bad")?;
        let fields = Fields::from([("NO_SUCH_FIELD_HERE".into(), FieldValue::Text("x".into()))]);
        changes.insert(1, subscription(&bad, fields, Presence::New, None));
        let push = bench.provider()?.push(&bench.wire, &bench.list, &changes).await;
        ensure!(push.stopped_by.is_none(), "one bad row stopped the push: {:?}", push.stopped_by);
        let outcomes = bench.settle(&bench.list, push.outcomes).await?;
        for (change, outcome) in changes.iter().zip(&outcomes) {
            let truth = bench.truth(&bench.list, change.email());
            honest(change, outcome, crate::Look::default(), truth)?;
            let good = change.email() != &bad;
            ensure!(!good || truth.mailable(), "beside a bad row among {count} a good one was left {truth:?}");
        }
    }
    Ok(())
}

async fn unique(lab: &Lab<'_>) -> Verdict {
    let Some(field) = lab.subject().unique_field else { return Ok(()) };
    let value = || Fields::from([(field.to_owned(), FieldValue::Text("+33612345678".into()))]);
    for count in [0, 40] {
        let (kim, lee) = (person("kim")?, person("lee")?);
        let bench = lab.bench().await?;
        bench.apply(&bench.list, &[subscription(&kim, value(), Presence::New, None)]).await?;
        let mut changes: Vec<Change> = people("good", count)?.iter().map(subscribe).collect();
        changes.push(subscription(&lee, value(), Presence::New, None));
        let outcomes = bench.apply(&bench.list, &changes).await?;
        let (first, second) = (bench.truth(&bench.list, &kim), bench.truth(&bench.list, &lee));
        ensure!(first.mailable(), "a second contact with the same {field} left the first one {first:?}");
        let invalid = matches!(outcomes.last(), Some(Outcome::Refused(Refusal::Invalid { .. }) | Outcome::Unknown));
        ensure!(second.mailable() || invalid, "the second was left {second:?} and reported as {:?}", outcomes.last());
        for (change, outcome) in changes.iter().zip(&outcomes) {
            let truth = bench.truth(&bench.list, change.email());
            honest(change, outcome, crate::Look::default(), truth)?;
            ensure!(change.email() == &lee || truth.mailable(), "a bystander of the clash was left {truth:?}");
        }
    }
    Ok(())
}

async fn full(lab: &Lab<'_>) -> Verdict {
    let Some(switch) = lab.subject().full_account else { return Ok(()) };
    for count in [1, 40] {
        let known = people("known", count)?;
        let bench = lab.with(&known.iter().collect::<Vec<_>>()).await?;
        bench.set(switch)?;
        let changes: Vec<Change> = people("new", count)?.iter().map(subscribe).collect();
        let push = bench.provider()?.push(&bench.wire, &bench.list, &changes).await;
        let outcomes = bench.settle(&bench.list, push.outcomes).await?;
        for (change, outcome) in changes.iter().zip(&outcomes) {
            let limit = matches!(outcome, Outcome::Refused(Refusal::AccountLimit));
            ensure!(limit || count > 1, "a full account's refusal was reported as {outcome:?}");
            honest(change, outcome, crate::Look::default(), bench.truth(&bench.list, change.email()))?;
        }
        let leave: Vec<Change> = known.iter().map(|email| withdraw(email, Scope::Purpose)).collect();
        bench.apply(&bench.list, &leave).await?;
        for email in &known {
            let truth = bench.truth(&bench.list, email);
            ensure!(!truth.mailable(), "at a full account a withdrawal of {count} left {truth:?}");
        }
    }
    Ok(())
}

async fn jobs(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    for id in ["", "987654321", "no such/job", "../lists", "import:987654321", "list:987654321"] {
        match bench.provider()?.follow(&bench.wire, &bench.list, &RemoteJob(id.into())).await {
            Ok(JobState::Done) => return Err(Broken::new(format!("the job {id:?}, which never was, is done"))),
            Ok(_) | Err(ProviderError::Rejected { .. } | ProviderError::Unsupported(_)) => {}
            Err(error) => return Err(Broken::new(format!("a question about the job {id:?} failed with {error:?}"))),
        }
    }
    let Some(switch) = lab.subject().lying_jobs else { return Ok(()) };
    let (new, known) = (people("new", MANY)?, people("known", MANY)?);
    let bench = lab.with(&known.iter().collect::<Vec<_>>()).await?;
    bench.set(switch)?;
    let leave = |scope| known.iter().map(|email| withdraw(email, scope)).collect();
    let pushes: [Vec<Change>; 3] =
        [new.iter().map(subscribe).collect(), leave(Scope::Purpose), leave(Scope::Everything)];
    for changes in pushes.iter().flat_map(|changes| changes.chunks(bench.subject.descriptor.chunk.max(1))) {
        let someone: Vec<&EmailAddress> = changes.iter().map(Change::email).collect();
        let before = bench.truths(&someone);
        let push = bench.provider()?.push(&bench.wire, &bench.list, changes).await;
        all_honest(changes, &push, &before, &bench.truths(&someone))?;
        bench.settle(&bench.list, push.outcomes).await?;
        for email in someone.into_iter().take(3) {
            let (seen, truth) = (bench.look(email).await?, bench.truth(&bench.list, email));
            ensure!(seen == truth, "after a job that lied a look saw {seen:?}, the truth is {truth:?}");
        }
    }
    Ok(())
}
