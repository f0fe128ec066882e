//! Nobody becomes mailable who should not be, and whoever consented anew does.

use super::bench::{Bench, FRESH, honest, lift, people, person, refresh, subscribe, subscription, withdraw};
use super::shape::contains;
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::Happening;
use crate::{Change, EmailAddress, FieldValue, Fields, Look, Outcome, Presence, Refusal, Scope};

pub(super) const RULES: &[Rule] = &[
    Rule { number: 33, title: "without lift nothing is lifted", examine: |lab| Box::pin(nothing_lifted(lab)) },
    Rule { number: 34, title: "with lift an unsubscription is lifted", examine: |lab| Box::pin(lifted(lab)) },
    Rule { number: 35, title: "a complaint or a bounce is never lifted", examine: |lab| Box::pin(never_lifted(lab)) },
    Rule { number: 36, title: "an address is never changed", examine: |lab| Box::pin(never_renamed(lab)) },
    Rule { number: 37, title: "a deleted contact can be subscribed anew", examine: |lab| Box::pin(deleted(lab)) },
    Rule { number: 38, title: "other lists are left alone", examine: |lab| Box::pin(other_lists(lab)) },
];

/// The ways in which a contact may stop being mailable without a complaint or a bounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goodbye {
    Campaign,
    Header,
    Staff,
    Purpose,
    Everything,
    ImportedAfter,
}

const GOODBYES: [Goodbye; 6] =
    [Goodbye::Campaign, Goodbye::Header, Goodbye::Staff, Goodbye::Purpose, Goodbye::Everything, Goodbye::ImportedAfter];

impl Goodbye {
    async fn say(self, bench: &Bench, email: &EmailAddress) -> Verdict {
        let list = bench.list.list.clone();
        match self {
            Self::Campaign => bench.happen(email, &Happening::Unsubscribes(Some(list))),
            Self::Header => bench.happen(email, &Happening::Unsubscribes(None)),
            Self::Staff => bench.happen(email, &Happening::UnsubscribedByStaff(list)),
            Self::Purpose => bench.apply(&bench.list, &[withdraw(email, Scope::Purpose)]).await.map(drop),
            Self::Everything => bench.apply(&bench.list, &[withdraw(email, Scope::Everything)]).await.map(drop),
            Self::ImportedAfter => {
                bench.happen(email, &Happening::HostileImport(list))?;
                bench.apply(&bench.list, &[withdraw(email, Scope::Everything)]).await.map(drop)
            }
        }
    }
}

/// Routine changes around one that matters: alone, and among enough others to take the way for many.
pub(super) const CROWDS: [usize; 2] = [0, 60];

pub(super) async fn among(bench: &Bench, count: usize, change: Change) -> Result<Outcome, Broken> {
    let mut changes: Vec<Change> = people("filler", count)?.iter().map(subscribe).collect();
    changes.push(change);
    let mut outcomes = bench.apply(&bench.list, &changes).await?;
    outcomes.pop().ok_or_else(|| Broken::new("a change was given no outcome"))
}

async fn nothing_lifted(lab: &Lab<'_>) -> Verdict {
    for goodbye in GOODBYES {
        for wish in [subscribe, refresh] {
            for crowd in CROWDS {
                let kim = person("kim")?;
                let bench = lab.with(&[&kim]).await?;
                goodbye.say(&bench, &kim).await?;
                let before = bench.truth(&bench.list, &kim);
                let outcome = among(&bench, crowd, wish(&kim)).await?;
                let after = bench.truth(&bench.list, &kim);
                let gone = goodbye == Goodbye::Header || !before.mailable();
                ensure!(gone, "after {goodbye:?} the contact is still {before:?}");
                let remembered = before.unsubscribed || before.blocked;
                ensure!(
                    !remembered || !after.mailable(),
                    "after {goodbye:?} a push of {crowd} others and one without lift made {before:?} into {after:?}"
                );
                honest(&wish(&kim), &outcome, before, after)?;
                ensure!(
                    !before.blocked || after.blocked,
                    "after {goodbye:?} a push without lift took the account's block off the contact"
                );
            }
        }
    }
    Ok(())
}

async fn lifted(lab: &Lab<'_>) -> Verdict {
    for goodbye in GOODBYES {
        for crowd in CROWDS {
            let kim = person("Kim.O'Brien+news")?;
            let bench = lab.with(&[&kim]).await?;
            goodbye.say(&bench, &kim).await?;
            let before = bench.truth(&bench.list, &kim);
            let outcome = among(&bench, crowd, lift(&kim)).await?;
            let after = bench.truth(&bench.list, &kim);
            ensure!(after.mailable(), "after {goodbye:?} a push with lift left {before:?} as {after:?}: {outcome:?}");
            ensure!(outcome == Outcome::Applied, "an unsubscription was lifted and reported as {outcome:?}");
        }
    }
    Ok(())
}

async fn never_lifted(lab: &Lab<'_>) -> Verdict {
    for what in [Happening::Complains, Happening::HardBounces, Happening::Blocked] {
        for goodbye in [None, Some(Goodbye::Campaign), Some(Goodbye::Purpose), Some(Goodbye::Everything)] {
            for last in [false, true] {
                for crowd in CROWDS {
                    never_lifted_once(lab, &what, goodbye, last, crowd).await?;
                }
            }
        }
    }
    Ok(())
}

/// `last` says that the complaint or bounce comes after the goodbye, not before it.
async fn never_lifted_once(
    lab: &Lab<'_>,
    what: &Happening,
    goodbye: Option<Goodbye>,
    last: bool,
    crowd: usize,
) -> Verdict {
    let kim = person("kim")?;
    let bench = lab.with(&[&kim]).await?;
    if !last {
        bench.happen(&kim, what)?;
    }
    let shown = bench.look(&kim).await?.blocked;
    if let Some(goodbye) = goodbye {
        goodbye.say(&bench, &kim).await?;
    }
    if last {
        bench.happen(&kim, what)?;
    }
    let before = bench.truth(&bench.list, &kim);
    let complained = *what == Happening::Complains;
    ensure!(!complained || before.blocked, "the emulator shows no block for a complaint: {before:?}");
    // Some bounces live where no API shows them, and those nobody can lift.
    if !complained && (last || !shown) {
        return Ok(());
    }
    let story = format!("{what:?} and {goodbye:?}");
    for change in [subscribe, refresh, lift, lift] {
        let outcome = among(&bench, crowd, change(&kim)).await?;
        let after = bench.truth(&bench.list, &kim);
        ensure!(after.blocked && !after.mailable(), "after {story} a push made {before:?} into {after:?}");
        honest(&change(&kim), &outcome, before, after)?;
    }
    let outcome = among(&bench, crowd, lift(&kim)).await?;
    let refused = outcome == Outcome::Refused(Refusal::Blocked);
    ensure!(refused, "after {story} a push with lift, which may not succeed, was reported as {outcome:?}");
    Ok(())
}

async fn never_renamed(lab: &Lab<'_>) -> Verdict {
    let (kim, other) = (person("kim")?, person("somebody-else")?);
    let fields = || {
        let names = ["EMAIL", "email", "Email"];
        names.into_iter().map(|name| (name.to_owned(), FieldValue::Text(other.as_str().into()))).collect::<Fields>()
    };
    for crowd in CROWDS {
        let bench = lab.with(&[&kim]).await?;
        bench.apply(&bench.list, &[withdraw(&kim, Scope::Everything)]).await?;
        bench.wire.take();
        for (presence, lift) in [(Presence::Known, None), (Presence::New, None), (Presence::Known, Some(FRESH))] {
            among(&bench, crowd, subscription(&kim, fields(), presence, lift)).await?;
            let (own, else_) = (bench.truth(&bench.list, &kim), bench.truth(&bench.list, &other));
            ensure!(
                own.exists && !else_.exists,
                "a field named like the address renamed the contact: {own:?}, {else_:?}"
            );
            ensure!(lift.is_some() || !own.mailable(), "a field named like the address lifted a block: {own:?}");
        }
        for seen in bench.wire.take() {
            ensure!(!contains(&seen.body, other.as_str()), "{} carries the address as a field", seen.route);
        }
    }
    Ok(())
}

async fn deleted(lab: &Lab<'_>) -> Verdict {
    for crowd in CROWDS {
        let kim = person("kim")?;
        let bench = lab.with(&[&kim]).await?;
        bench.happen(&kim, &Happening::Deleted)?;
        ensure!(bench.look(&kim).await? == Look::default(), "a look still sees a contact that was deleted");
        let outcome = among(&bench, crowd, refresh(&kim)).await?;
        honest(&refresh(&kim), &outcome, Look::default(), bench.truth(&bench.list, &kim))?;
        if bench.truth(&bench.list, &kim).exists {
            bench.happen(&kim, &Happening::Deleted)?;
        }
        let outcome = among(&bench, crowd, subscribe(&kim)).await?;
        let truth = bench.truth(&bench.list, &kim);
        ensure!(
            truth.mailable() && outcome == Outcome::Applied,
            "after a deletion: {truth:?}, reported as {outcome:?}"
        );
        bench.happen(&kim, &Happening::Deleted)?;
        let outcome = among(&bench, crowd, lift(&kim)).await?;
        let truth = bench.truth(&bench.list, &kim);
        ensure!(truth.mailable() && outcome == Outcome::Applied, "a lift after a deletion: {truth:?}, {outcome:?}");
        bench.happen(&kim, &Happening::Deleted)?;
        for scope in [Scope::Purpose, Scope::Everything] {
            let outcome = among(&bench, crowd, withdraw(&kim, scope)).await?;
            let truth = bench.truth(&bench.list, &kim);
            honest(&withdraw(&kim, scope), &outcome, Look::default(), truth)?;
            ensure!(!truth.mailable(), "a withdrawal after a deletion left {truth:?}");
        }
    }
    Ok(())
}

async fn other_lists(lab: &Lab<'_>) -> Verdict {
    for crowd in CROWDS {
        let (kim, lee, stranger) = (person("kim")?, person("lee")?, person("stranger")?);
        let bench = lab.with(&[&kim, &lee]).await?;
        bench.enrol(&bench.other, &[&kim, &lee]).await?;
        let routine: [(&str, Change); 5] = [
            ("subscription", subscribe(&stranger)),
            ("update", refresh(&kim)),
            ("withdrawal", withdraw(&kim, Scope::Purpose)),
            ("second withdrawal", withdraw(&kim, Scope::Purpose)),
            ("lift", lift(&kim)),
        ];
        for (name, change) in routine {
            among(&bench, crowd, change).await?;
            let (own, new) = (bench.truth(&bench.other, &kim), bench.truth(&bench.other, &stranger));
            ensure!(own.mailable(), "a {name} on one list left a contact of another list {own:?}");
            ensure!(!new.on_list, "a {name} on one list put somebody on another list");
        }
        if lab.subject().list_memory {
            bench.happen(&lee, &Happening::Unsubscribes(Some(bench.other.list.clone())))?;
            let before = bench.truth(&bench.other, &lee);
            among(&bench, crowd, lift(&lee)).await?;
            let after = bench.truth(&bench.other, &lee);
            ensure!(after == before, "a lift on one list made {before:?} on another list into {after:?}");
        }
    }
    Ok(())
}
