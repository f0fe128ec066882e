//! Taking people off, and erasing them.

use super::bench::{honest, lift, people, person, refresh, subscribe, withdraw};
use super::pushing::{FEW, MANY, calls_for};
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::emulator::{Fault, Happening};
use crate::{Capability, Change, Effect, EmailAddress, Look, Outcome, ProviderError, Scope};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule { number: 39, title: "a purpose is left, and that is remembered", examine: |lab| Box::pin(purpose(lab)) },
    Rule { number: 40, title: "everything means the whole account", examine: |lab| Box::pin(everything(lab)) },
    Rule { number: 41, title: "withdrawing may be repeated", examine: |lab| Box::pin(repeated(lab)) },
    Rule { number: 42, title: "many withdrawals take few calls", examine: |lab| Box::pin(few_calls(lab)) },
    Rule { number: 43, title: "strangers hold up no withdrawal", examine: |lab| Box::pin(strangers(lab)) },
    Rule { number: 44, title: "a late addition does not undo a withdrawal", examine: |lab| Box::pin(late_add(lab)) },
    Rule { number: 45, title: "erased is gone, or an error", examine: |lab| Box::pin(erased(lab)) },
];

/// Alone, and by the way for many.
const SIZES: [usize; 2] = [1, 150];

async fn purpose(lab: &Lab<'_>) -> Verdict {
    for count in SIZES {
        let crowd = people("crowd", count)?;
        let all: Vec<&EmailAddress> = crowd.iter().collect();
        let bench = lab.with(&all).await?;
        bench.enrol(&bench.other, &all).await?;
        let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, Scope::Purpose)).collect();
        let outcomes = bench.apply(&bench.list, &leave).await?;
        ensure!(outcomes.iter().all(|one| *one == Outcome::Applied), "a withdrawal of {count} gave {outcomes:?}");
        for email in &crowd {
            let (bound, other) = (bench.truth(&bench.list, email), bench.truth(&bench.other, email));
            ensure!(!bound.mailable(), "withdrawn from one purpose, a contact was left {bound:?}");
            ensure!(other.mailable(), "withdrawn from one purpose, a contact lost another: {other:?}");
            let remembered = bound.unsubscribed || !lab.subject().list_memory;
            ensure!(remembered, "the provider could remember the withdrawal, but was left with {bound:?}");
        }
    }
    Ok(())
}

async fn everything(lab: &Lab<'_>) -> Verdict {
    for count in SIZES {
        let crowd = people("crowd", count)?;
        let all: Vec<&EmailAddress> = crowd.iter().collect();
        let bench = lab.with(&all).await?;
        bench.enrol(&bench.other, &all).await?;
        let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, Scope::Everything)).collect();
        let outcomes = bench.apply(&bench.list, &leave).await?;
        ensure!(outcomes.iter().all(|one| *one == Outcome::Applied), "a withdrawal of {count} gave {outcomes:?}");
        for email in &crowd {
            let (bound, other) = (bench.truth(&bench.list, email), bench.truth(&bench.other, email));
            let still = bound.mailable() || other.mailable();
            ensure!(!still && bound.blocked, "withdrawn from everything, a contact was left {bound:?} and {other:?}");
        }
        bench.apply(&bench.other, &crowd.iter().map(refresh).collect::<Vec<_>>()).await?;
        for email in &crowd {
            let other = bench.truth(&bench.other, email);
            ensure!(!other.mailable(), "the routine of another list undid a withdrawal from everything: {other:?}");
        }
    }
    Ok(())
}

async fn repeated(lab: &Lab<'_>) -> Verdict {
    for scope in [Scope::Purpose, Scope::Everything] {
        let names = ["left", "header", "staff", "complained", "bounced", "twice", "elsewhere"];
        let someone = names.into_iter().map(person).collect::<Result<Vec<_>, _>>()?;
        let [left, header, staff, complained, bounced, twice, elsewhere] = someone.as_slice() else { return Ok(()) };
        let bench = lab.with(&[left, header, staff, complained, bounced, twice]).await?;
        bench.enrol(&bench.other, &[elsewhere]).await?;
        let list = bench.list.list.clone();
        bench.happen(left, &Happening::Unsubscribes(Some(list.clone())))?;
        bench.happen(header, &Happening::Unsubscribes(None))?;
        bench.happen(staff, &Happening::UnsubscribedByStaff(list))?;
        bench.happen(complained, &Happening::Complains)?;
        bench.happen(bounced, &Happening::HardBounces)?;
        for round in 1..=3 {
            for email in &someone {
                let before = bench.truth(&bench.list, email);
                let outcomes = bench.apply(&bench.list, &[withdraw(email, scope)]).await?;
                let after = bench.truth(&bench.list, email);
                ensure!(
                    outcomes == [Outcome::Applied],
                    "withdrawal {round} of {before:?} was reported as {outcomes:?}"
                );
                ensure!(!after.mailable(), "withdrawal {round} left {before:?} as {after:?}");
                ensure!(after.blocked || !before.blocked, "withdrawal {round} took a block away: {after:?}");
            }
        }
        let other = bench.truth(&bench.other, elsewhere);
        let kept = other.mailable() || scope == Scope::Everything;
        ensure!(kept, "withdrawn from a list where it never was, a contact lost another: {other:?}");
    }
    let (kim, shout) = (person("kim")?, person("KIM")?);
    let bench = lab.with(&[&kim]).await?;
    bench.apply(&bench.list, &[withdraw(&shout, Scope::Everything)]).await?;
    let truth = bench.truth(&bench.list, &kim);
    ensure!(!truth.mailable(), "withdrawn in capitals, a contact was left {truth:?}");
    Ok(())
}

async fn few_calls(lab: &Lab<'_>) -> Verdict {
    let crowd = people("crowd", MANY)?;
    for scope in [Scope::Purpose, Scope::Everything] {
        let bench = lab.with(&crowd.iter().collect::<Vec<_>>()).await?;
        let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, scope)).collect();
        let calls = calls_for(&bench, &leave).await?;
        ensure!(calls <= FEW, "{MANY} withdrawals of {scope:?} took {calls} calls");
        let now = bench.now();
        let mailable = bench.world().mailable(now, &bench.list.list).len();
        ensure!(mailable == 0, "{MANY} withdrawals of {scope:?} left {mailable} contacts mailable");
    }
    Ok(())
}

async fn strangers(lab: &Lab<'_>) -> Verdict {
    for scope in [Scope::Purpose, Scope::Everything] {
        for count in SIZES {
            let (crowd, strangers) = (people("crowd", count)?, people("stranger", count)?);
            let bench = lab.with(&crowd.iter().collect::<Vec<_>>()).await?;
            let mixed = strangers.iter().zip(&crowd).flat_map(|(stranger, known)| [stranger, known]);
            let leave: Vec<Change> = mixed.map(|email| withdraw(email, scope)).collect();
            let outcomes = bench.apply(&bench.list, &leave).await?;
            for (change, outcome) in leave.iter().zip(&outcomes) {
                let truth = bench.truth(&bench.list, change.email());
                ensure!(!truth.mailable(), "beside strangers a withdrawal of {scope:?} left {truth:?}");
                honest(change, outcome, Look::default(), truth)?;
                let told = matches!(outcome, Outcome::Applied | Outcome::Unknown);
                ensure!(told, "beside strangers a withdrawal of {scope:?} was reported as {outcome:?}");
            }
        }
    }
    Ok(())
}

async fn late_add(lab: &Lab<'_>) -> Verdict {
    let adds: [(&str, fn(&EmailAddress) -> Change); 3] = [("new", subscribe), ("known", refresh), ("lift", lift)];
    for (name, add) in adds {
        for scope in [Scope::Purpose, Scope::Everything] {
            for count in SIZES {
                let crowd = people("crowd", count)?;
                let bench = lab.with(&crowd.iter().collect::<Vec<_>>()).await?;
                bench.disturb_writes(&Fault::HangThenApply(900_000_000));
                let adding: Vec<Change> = crowd.iter().map(add).collect();
                bench.provider()?.push(&bench.wire, &bench.list, &adding).await;
                bench.heal();
                let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, scope)).collect();
                bench.apply(&bench.list, &leave).await?;
                let stays: Vec<bool> = crowd
                    .iter()
                    .map(|email| bench.truth(&bench.list, email))
                    .map(|truth| name != "lift" && (truth.unsubscribed || truth.blocked))
                    .collect();
                bench.pass(Duration::from_hours(24));
                for (email, stays) in crowd.iter().zip(stays) {
                    let truth = bench.truth(&bench.list, email);
                    ensure!(!stays || !truth.mailable(), "an addition ({name}) that landed late made it {truth:?}");
                }
                if let Some(email) = crowd.first() {
                    let (seen, truth) = (bench.look(email).await?, bench.truth(&bench.list, email));
                    ensure!(seen == truth, "after a late addition a look saw {seen:?}, the truth is {truth:?}");
                }
                bench.apply(&bench.list, &leave).await?;
                for email in &crowd {
                    let truth = bench.truth(&bench.list, email);
                    ensure!(!truth.mailable(), "withdrawn again after a late addition, it was left {truth:?}");
                }
            }
        }
    }
    Ok(())
}

async fn erased(lab: &Lab<'_>) -> Verdict {
    let (kim, lee) = (person("Kim.O'Brien+news")?, person("lee")?);
    let bench = lab.with(&[&kim, &lee]).await?;
    let provider = bench.provider()?;
    if !bench.can(Capability::Erase) {
        let answer = provider.erase(&bench.wire, &kim).await;
        let refused = matches!(answer, Err(ProviderError::Unsupported(Capability::Erase)));
        ensure!(refused, "erasing is neither a capability nor refused");
        return Ok(());
    }
    bench.apply(&bench.list, &[withdraw(&kim, Scope::Everything)]).await?;
    for round in 1..=2 {
        let outcome = provider.erase(&bench.wire, &kim).await?;
        let (seen, truth) = (bench.look(&kim).await?, bench.truth(&bench.list, &kim));
        let gone = outcome == Outcome::Applied && !truth.exists && seen == Look::default();
        ensure!(gone, "erasure {round} was reported as {outcome:?}, a look saw {seen:?}, the truth is {truth:?}");
    }
    let other = bench.truth(&bench.list, &lee);
    ensure!(other.mailable(), "somebody else's erasure left {other:?}");
    let cases = [
        (Fault::Refuse, Effect::None),
        (Fault::Hang, Effect::Unknown),
        (Fault::ApplyThenHang, Effect::Unknown),
        (Fault::Throttle(Vec::new()), Effect::None),
        (Fault::Status(500), Effect::Unknown),
        (Fault::ApplyThenStatus(502), Effect::Unknown),
        (Fault::Unauthorised, Effect::None),
    ];
    for (fault, effect) in cases {
        let bench = lab.with(&[&kim]).await?;
        bench.disturb_writes(&fault);
        let answer = bench.provider()?.erase(&bench.wire, &kim).await;
        let truth = bench.truth(&bench.list, &kim);
        match answer {
            Ok(Outcome::Applied) => ensure!(!truth.exists, "an erasure under {fault:?} was claimed, and is not true"),
            Ok(Outcome::Pending(_) | Outcome::Unknown) => {}
            Ok(other) => return Err(Broken::new(format!("an erasure under {fault:?} gave {other:?}"))),
            Err(error) => ensure!(error.effect() == effect, "an erasure under {fault:?} failed with {error:?}"),
        }
    }
    Ok(())
}
