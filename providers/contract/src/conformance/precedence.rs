//! Which word counts: the person's last one, wherever it was said.

use super::bench::{person, subscription, withdraw};
use super::consent::{CROWDS, among};
use super::{Lab, Rule, Verdict, ensure};
use crate::emulator::Happening;
use crate::{Fields, Lift, Outcome, Presence, Refusal, Scope};
use std::time::Duration;

pub(super) const RULES: &[Rule] = &[
    Rule {
        number: 64,
        title: "an older acceptance lifts no newer unsubscription",
        examine: |lab| Box::pin(newer(lab)),
    },
    Rule { number: 65, title: "our own taking off can be taken back", examine: |lab| Box::pin(ours(lab)) },
];

async fn newer(lab: &Lab<'_>) -> Verdict {
    for by_staff in [false, true] {
        for taken_off in [false, true] {
            for crowd in CROWDS {
                let kim = person("kim")?;
                let bench = lab.with(&[&kim]).await?;
                let accepted_at = bench.now();
                bench.advance(Duration::from_hours(1));
                let at = bench.list.list.clone();
                let what =
                    if by_staff { Happening::UnsubscribedByStaff(at) } else { Happening::Unsubscribes(Some(at)) };
                bench.happen(&kim, &what)?;
                bench.advance(Duration::from_hours(1));
                let before = bench.truth(&bench.list, &kim);
                ensure!(!before.mailable(), "after {what:?} the contact is still {before:?}");
                let lift = Lift { accepted_at, after_no: true, taken_off_at: taken_off.then_some(accepted_at) };
                let change = subscription(&kim, Fields::new(), Presence::Known, Some(lift));
                let outcome = among(&bench, crowd, change).await?;
                let after = bench.truth(&bench.list, &kim);
                let kept = (after.unsubscribed, after.blocked) == (before.unsubscribed, before.blocked);
                ensure!(
                    kept && !after.mailable(),
                    "an acceptance from before {what:?} made {before:?} into {after:?}: {outcome:?}"
                );
                ensure!(
                    outcome == Outcome::Refused(Refusal::Blocked),
                    "an acceptance from before {what:?} was reported as {outcome:?}"
                );
            }
        }
    }
    Ok(())
}

async fn ours(lab: &Lab<'_>) -> Verdict {
    for crowd in CROWDS {
        let kim = person("kim")?;
        let bench = lab.with(&[&kim]).await?;
        let accepted_at = bench.now();
        bench.advance(Duration::from_hours(24));
        bench.apply(&bench.list, &[withdraw(&kim, Scope::Purpose)]).await?;
        let lift = Lift { accepted_at, after_no: false, taken_off_at: Some(bench.now()) };
        bench.advance(Duration::from_hours(24));
        let change = subscription(&kim, Fields::new(), Presence::Known, Some(lift));
        let outcome = among(&bench, crowd, change).await?;
        let after = bench.truth(&bench.list, &kim);
        ensure!(after.mailable(), "whom we took off stayed {after:?}: {outcome:?}");
        ensure!(outcome == Outcome::Applied, "whom we took off was put back and reported as {outcome:?}");
    }
    Ok(())
}
