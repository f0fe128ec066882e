//! What must hold for every history there can be: the fold, the rights of each actor, the asking limits, and who is
//! meant by an address.

use consentd::clock::{DAY, Timestamp};
use consentd::domain::consent::{Act, Actor, AskBasis, Kind, OperatorAct, State, SystemAct};
use consentd::domain::fold::{ASKING_PERIOD, Denied, Event, Flags, Standing, fold};
use consentd::domain::ids::StatementId;
use consentd_provider::EmailAddress;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use uuid::Uuid;

pub fn event(seq: i64, kind: Kind, actor: Actor, at: Timestamp, detail: Option<i64>) -> Event {
    Event { seq, id: StatementId(Uuid::from_u128(seq.unsigned_abs().into())), kind, actor, at, detail }
}

/// What has an effect when that actor says it.
const EFFECTIVE: [(Kind, Actor); 16] = [
    (Kind::Accepted, Actor::Recipient),
    (Kind::Refused, Actor::Recipient),
    (Kind::Withdrawn, Actor::Recipient),
    (Kind::AddressChanged, Actor::Recipient),
    (Kind::Erased, Actor::Recipient),
    (Kind::ProofImported, Actor::Operator),
    (Kind::OptOutImported, Actor::Operator),
    (Kind::RequestSent, Actor::Operator),
    (Kind::Withdrawn, Actor::Operator),
    (Kind::BounceCleared, Actor::Operator),
    (Kind::Annulled, Actor::Operator),
    (Kind::ProviderUnsubscribed, Actor::Provider),
    (Kind::Complained, Actor::Provider),
    (Kind::HardBounced, Actor::Provider),
    (Kind::Lapsed, Actor::System),
    (Kind::SuppressionMatched, Actor::System),
];

/// Any line by anybody, also such as no act can produce: what, by whom, how many lines back it points, days.
fn any_line() -> impl Strategy<Value = (Kind, Actor, Option<i64>, i64)> {
    let any = (select(Kind::all().collect::<Vec<_>>()), select(Actor::ALL));
    let pair = prop_oneof![3 => select(&EFFECTIVE[..]), 1 => any];
    (pair, prop::option::weighted(0.8, 1_i64..4), 0_i64..200)
        .prop_map(|((kind, actor), back, days)| (kind, actor, back, days))
}

/// Any history: lines numbered from 1, on days that mostly grow.
fn any_history() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(any_line(), 0..25).prop_map(|lines| {
        let mut day = 0;
        (1..)
            .zip(lines)
            .map(|(seq, (kind, actor, back, days))| {
                day += days - 10;
                event(seq, kind, actor, day * DAY, back.map(|back| seq - back))
            })
            .collect()
    })
}

/// Whether a line raises to accepted, if anything does.
fn is_yes(event: &Event) -> bool {
    (event.kind, event.actor) == (Kind::Accepted, Actor::Recipient)
}

/// Whether a line is a no of somebody whom no operator can overrule.
fn is_final_no(event: &Event) -> bool {
    matches!(
        (event.kind, event.actor),
        (Kind::Refused | Kind::Withdrawn | Kind::AddressChanged | Kind::Erased, Actor::Recipient)
            | (Kind::ProviderUnsubscribed | Kind::Complained, Actor::Provider)
            | (Kind::OptOutImported, Actor::Operator)
    )
}

proptest! {
    /// I3: the same history gives the same standing, however it is cut into pieces.
    #[test]
    fn the_fold_depends_on_the_history_alone(history in any_history(), cut in any::<Index>()) {
        let (first, rest) = history.split_at(cut.index(history.len() + 1));
        let resumed = rest.iter().fold(fold(first), Standing::after);
        prop_assert_eq!(resumed, fold(&history));
        prop_assert_eq!(resumed.seq, i64::try_from(history.len()).unwrap());
    }

    /// I3: lines that only tell something change nothing, wherever they stand.
    #[test]
    fn lines_that_only_tell_something_change_nothing(history in any_history(), keep in any::<u64>()) {
        let tells = [
            Kind::Imported, Kind::LinkOpened, Kind::ProviderUnsubscribeSuperseded, Kind::SoftBounced,
            Kind::ProviderResubscribed, Kind::ProviderDeleted, Kind::InEffect, Kind::RequestExpired,
        ];
        let mut bits = keep;
        let thinned: Vec<Event> = history.iter().copied().filter(|event| {
            bits = bits.rotate_left(1);
            !tells.contains(&event.kind) || bits & 1 == 1
        }).collect();
        let (with, without) = (fold(&history), fold(&thinned));
        prop_assert_eq!(Standing { seq: 0, ..with }, Standing { seq: 0, ..without });
    }

    /// I5, I6, I8: without the person's own yes or evidence from before, nothing ever leads to accepted.
    #[test]
    fn nobody_but_the_person_accepts(history in any_history()) {
        let by_others: Vec<Event> = history.into_iter()
            .filter(|event| !is_yes(event) && (event.kind, event.actor) != (Kind::ProofImported, Actor::Operator))
            .collect();
        let mut standing = Standing::default();
        for event in &by_others {
            standing = standing.after(event);
            prop_assert!(!matches!(standing.state, State::Accepted | State::Lapsed), "{event:?}");
            prop_assert!(standing.basis.is_none() && !standing.sendable(event.at));
        }
    }

    /// I5: evidence from before counts only where nobody ever said yes or no.
    #[test]
    fn evidence_from_before_counts_on_a_clean_sheet_only(history in any_history()) {
        let mut before = Standing::default();
        for event in &history {
            let after = before.after(event);
            if event.kind == Kind::ProofImported && after.state == State::Accepted && before.state != State::Accepted {
                prop_assert!(before.negative.is_none() && before.basis.is_none() && event.actor == Actor::Operator);
            }
            before = after;
        }
    }

    /// I6: after the person's or the provider's no, only the person's yes leads away from it.
    #[test]
    fn only_the_persons_yes_lifts_the_persons_no(history in any_history()) {
        let mut said_no = false;
        let mut standing = Standing::default();
        for event in &history {
            standing = standing.after(event);
            if is_yes(event) {
                said_no = false;
            } else if is_final_no(event) {
                said_no = true;
            }
            if said_no {
                prop_assert!(matches!(standing.state, State::Refused | State::Withdrawn), "{event:?}: {standing:?}");
            }
        }
    }

    /// I6: an operator, a provider or the system moves a no to nothing but a no, save for taking back its own only entry.
    #[test]
    fn no_resurrection(history in any_history()) {
        let mut before = Standing::default();
        for event in &history {
            let after = before.after(event);
            let was_no = matches!(before.state, State::Refused | State::Withdrawn);
            let is_no = matches!(after.state, State::Refused | State::Withdrawn);
            if was_no && !is_no && !is_yes(event) {
                prop_assert_eq!((event.kind, event.actor), (Kind::Annulled, Actor::Operator));
                prop_assert_eq!(after.state, State::NotAsked);
                let taken_back = history.iter().find(|line| Some(line.seq) == event.detail).unwrap();
                prop_assert_eq!((taken_back.kind, taken_back.actor), (Kind::Withdrawn, Actor::Operator));
            }
            before = after;
        }
    }

    /// Complaint and erasure stay for ever, and nobody flagged is mailed.
    #[test]
    fn sticky_flags_stay(history in any_history()) {
        let mut before = Standing::default();
        for event in &history {
            let after = before.after(event);
            for flag in [Flags::COMPLAINT, Flags::ERASED] {
                prop_assert!(!before.flags.has(flag) || after.flags.has(flag));
            }
            prop_assert!(after.flags.is_empty() || !after.sendable(event.at));
            before = after;
        }
    }

    /// I7: whoever tries to ask as often as can be gets through twice in any twelve months, and never after a no.
    #[test]
    fn nobody_is_asked_three_times_within_a_year(
        steps in prop::collection::vec((0_i64..300, any::<bool>(), prop::option::weighted(0.2, any_line())), 1..60),
    ) {
        let mut standing = Standing::default();
        let mut asked: Vec<Timestamp> = Vec::new();
        let (mut now, mut seq) = (0, 0);
        for (days, remind, other) in steps {
            now += days * DAY / 10;
            seq += 1;
            if let Some((kind, actor, back, _)) = other.filter(|(kind, ..)| *kind != Kind::RequestSent) {
                standing = standing.after(&event(seq, kind, actor, now, back.map(|back| seq - back)));
                continue;
            }
            let (act, actor) = if remind {
                (Act::System(SystemAct::Remind), Actor::System)
            } else {
                (Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer)), Actor::Operator)
            };
            let recent = asked.iter().filter(|at| now - **at < ASKING_PERIOD).count();
            let said_no = matches!(standing.state, State::Refused | State::Withdrawn) || !standing.flags.is_empty();
            let answer = standing.allows(&act, now);
            prop_assert_eq!(answer.is_ok(), recent < 2 && !said_no, "{:?} with {} recent requests", answer, recent);
            if answer.is_ok() {
                asked.push(now);
                standing = standing.after(&event(seq, Kind::RequestSent, actor, now, None));
            }
        }
    }
}

#[test]
fn a_year_of_asking_rolls() {
    let ask = Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer));
    let mut standing = Standing::default();
    for (seq, day, allowed) in [
        (1, 0, true),
        (2, 364, true),
        (3, 364, false),
        (4, 365, true),
        (5, 366, false),
        (6, 728, false),
        (7, 729, true),
    ] {
        let answer = standing.allows(&ask, day * DAY);
        assert_eq!(answer, if allowed { Ok(()) } else { Err(Denied::AskedEnough) }, "day {day}");
        if allowed {
            standing = standing.after(&event(seq, Kind::RequestSent, Actor::Operator, day * DAY, None));
        }
    }
}

proptest! {
    /// Consent is narrow, refusal is broad: spelling of the local part tells people apart, case alone does not tell mailboxes.
    #[test]
    fn an_address_is_exact_for_a_yes_and_folded_for_a_no(
        local in "[a-zA-Z0-9_+-]{1,20}(\\.[a-zA-Z0-9_+-]{1,20})?", domain in "[a-z]{1,12}\\.(org|de|museum)", upper in any::<u32>(),
    ) {
        let change = |text: &str| -> String {
            text.chars().enumerate().map(|(n, c)| {
                let flip = upper >> (n % 32) & 1 == 1;
                match (flip, c.is_ascii_lowercase()) {
                    (true, true) => c.to_ascii_uppercase(),
                    (true, false) => c.to_ascii_lowercase(),
                    _ => c,
                }
            }).collect()
        };
        let plain = EmailAddress::parse(&format!("{local}@{domain}")).unwrap();
        let shouted = EmailAddress::parse(&format!(" {local}@{} ", domain.to_uppercase())).unwrap();
        let other = EmailAddress::parse(&format!("{}@{domain}", change(&local))).unwrap();
        prop_assert_eq!(&plain, &shouted, "domains have no case");
        prop_assert_eq!(plain == other, local == change(&local), "a yes counts for the exact address");
        prop_assert_eq!(plain.folded(), other.folded(), "a no counts for every spelling");
        prop_assert_eq!(EmailAddress::parse(plain.as_str()), Ok(plain.clone()), "parsing is stable");
        prop_assert_eq!(EmailAddress::parse(&plain.folded()).unwrap().folded(), plain.folded());
    }

    /// No provider's private rule makes two addresses one.
    #[test]
    fn dots_and_plus_tags_tell_people_apart(local in "[a-z]{2,10}", tag in "[a-z]{1,5}") {
        let folded = |text: String| EmailAddress::parse(&text).unwrap().folded();
        let plain = folded(format!("{local}@gmail.com"));
        let (head, tail) = local.split_at(1);
        prop_assert_ne!(&plain, &folded(format!("{head}.{tail}@gmail.com")));
        prop_assert_ne!(&plain, &folded(format!("{local}+{tag}@gmail.com")));
    }

    /// I9b again, on the fold itself: leaving out any of the yeses never turns a no into a yes.
    #[test]
    fn fewer_yeses_never_mean_more_consent(history in any_history(), fewer in any::<Index>()) {
        let yeses: Vec<usize> = history.iter().enumerate().filter(|(_, event)| is_yes(event)).map(|(n, _)| n).collect();
        let drop = yeses.get(fewer.index(yeses.len().max(1))).copied();
        let thinned: Vec<Event> = history.iter().enumerate().filter(|(n, _)| Some(*n) != drop).map(|(_, event)| *event).collect();
        let proofs = history.iter().any(|event| event.kind == Kind::ProofImported);
        if fold(&thinned).state == State::Accepted && !proofs {
            prop_assert_eq!(fold(&history).state, State::Accepted);
        }
    }

    /// Duplicates of lines that say no, anywhere later before the next yes, end in the same state.
    #[test]
    fn a_no_said_twice_is_the_same_no(lines in subsequence(vec![
        (Kind::Withdrawn, Actor::Operator), (Kind::Withdrawn, Actor::Recipient), (Kind::ProviderUnsubscribed, Actor::Provider),
        (Kind::Refused, Actor::Recipient), (Kind::OptOutImported, Actor::Operator), (Kind::Complained, Actor::Provider),
    ], 1..6), accepted in any::<bool>()) {
        let mut begin = Standing::default();
        if accepted {
            begin = begin.after(&event(1, Kind::Accepted, Actor::Recipient, 0, None));
        }
        let said = |times: usize| lines.iter().cycle().take(lines.len() * times).zip(2..).fold(begin, |standing, ((kind, actor), seq)| {
            standing.after(&event(seq, *kind, *actor, DAY, None))
        });
        let (once, thrice) = (said(1), said(3));
        prop_assert_eq!((once.flags, once.basis, once.since), (thrice.flags, thrice.basis, thrice.since));
        prop_assert_eq!(once.state.status(), thrice.state.status());
    }
}
