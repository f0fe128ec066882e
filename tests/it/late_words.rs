//! Late, repeated and wrongly dated words of providers, against what the person truly did.

use crate::fold::event;
use consentd::clock::{HOUR, Timestamp};
use consentd::domain::consent::{Actor, Kind, State};
use consentd::domain::fold::{Event, Standing, fold};
use consentd::domain::precedence::{Verdict, weigh_unsubscription};
use consentd_provider::{EventTime, Trust};
use proptest::prelude::*;

/// One thing a person truly did at a moment: yes or no here, or no at the provider, which tells us later.
#[derive(Debug, Clone, Copy)]
enum Did {
    Yes,
    No,
    NoAtProvider { reported: Timestamp, trust: Trust, told: Timestamp },
}

fn doubt(trust: Trust) -> Timestamp {
    match trust {
        Trust::Hours2 => 2 * HOUR,
        Trust::Hours26 => 26 * HOUR,
    }
}

/// What happened in truth, in the order of truth: who is right in the end.
fn truth(done: &[(Timestamp, Did)]) -> State {
    let mut done = done.to_vec();
    done.sort_by_key(|(at, _)| *at);
    let events: Vec<Event> = (1..)
        .zip(&done)
        .map(|(seq, (at, did))| match did {
            Did::Yes => event(seq, Kind::Accepted, Actor::Recipient, *at, None),
            Did::No => event(seq, Kind::Withdrawn, Actor::Recipient, *at, None),
            Did::NoAtProvider { .. } => event(seq, Kind::ProviderUnsubscribed, Actor::Provider, *at, None),
        })
        .collect();
    fold(&events).state
}

/// What we make of it in the order in which we learn of it. `seen` says whether the provider was read back as mailable
/// after an acceptance.
fn learned(done: &[(Timestamp, Did)], seen: impl Fn(usize) -> bool) -> State {
    let mut heard: Vec<(Timestamp, Did)> = done
        .iter()
        .map(|(at, did)| match did {
            Did::NoAtProvider { told, .. } => (*told, *did),
            _ => (*at, *did),
        })
        .collect();
    heard.sort_by_key(|(at, _)| *at);
    let mut standing = Standing::default();
    for (index, (at, did)) in heard.into_iter().enumerate() {
        let (kind, actor) = match did {
            Did::Yes => (Kind::Accepted, Actor::Recipient),
            Did::No => (Kind::Withdrawn, Actor::Recipient),
            Did::NoAtProvider { reported, trust, .. } => {
                let accepted_at = standing.basis.filter(|_| standing.sendable(at)).map(|basis| basis.at);
                match weigh_unsubscription(Some(EventTime { at: reported, trust }), accepted_at, seen(index)) {
                    Verdict::Withdraw => (Kind::ProviderUnsubscribed, Actor::Provider),
                    Verdict::Superseded => (Kind::ProviderUnsubscribeSuperseded, Actor::Provider),
                }
            }
        };
        let seq = i64::try_from(index + 1).unwrap();
        standing = standing.after(&event(seq, kind, actor, at, None));
    }
    standing.state
}

/// Moments a minute apart at least, so that truth has one order. The provider's clock may be wrong within its trust.
fn any_life() -> impl Strategy<Value = Vec<(Timestamp, Did)>> {
    let what = (0..4_u8, -1_000_i64..=1_000, any::<bool>(), 0_i64..400);
    prop::collection::vec((1_i64..4_000, what), 1..12).prop_map(|steps| {
        let mut now = 0;
        steps
            .into_iter()
            .map(|(minutes, (which, wrong, exact, late))| {
                now += minutes * (HOUR / 60);
                let trust = if exact { Trust::Hours2 } else { Trust::Hours26 };
                let reported = now + doubt(trust) / 1_000 * wrong;
                let did = match which {
                    0 | 1 => Did::Yes,
                    2 => Did::No,
                    _ => Did::NoAtProvider { reported, trust, told: now + late * HOUR + 1 },
                };
                (now, did)
            })
            .collect()
    })
}

proptest! {
    /// I9.
    /// I9b: whatever is late, and however wrong a provider's clock is within its doubt, we never believe in a yes that
    /// the person has taken back.
    #[test]
    fn a_late_word_never_leaves_a_yes_that_was_taken_back(life in any_life(), seen in any::<u16>()) {
        let state = learned(&life, |index| seen >> (index % 16) & 1 == 1);
        if state == State::Accepted {
            prop_assert_eq!(truth(&life), State::Accepted);
        }
    }

    /// I9.
    /// I9a: the same word again and again, at any time, makes nothing worse than the truth either.
    #[test]
    fn repeats_raise_nothing(life in any_life(), again in any::<[u8; 3]>()) {
        let mut repeated = life.clone();
        for late in again {
            let word = life.iter().find_map(|(at, did)| match did {
                Did::NoAtProvider { reported, trust, told } => {
                    let told = told + i64::from(late) * HOUR + 2;
                    Some((*at, Did::NoAtProvider { reported: *reported, trust: *trust, told }))
                }
                _ => None,
            });
            repeated.extend(word);
        }
        if learned(&repeated, |_| true) == State::Accepted {
            prop_assert_eq!(truth(&life), State::Accepted);
        }
    }

    /// I9.
    /// I9c: where every word of the provider lies well apart from every yes and its clock is right, the order in which
    /// the words come in makes no difference, and the result is the truth.
    #[test]
    fn words_well_apart_from_every_yes_end_in_the_truth(
        steps in prop::collection::vec((0..3_u8, prop::array::uniform2(0_i64..900)), 1..10),
    ) {
        let life = |lateness: usize| -> Vec<(Timestamp, Did)> {
            (1..).zip(&steps).map(|(n, (which, late))| {
                let at = n * 60 * HOUR;
                (at, match which {
                    0 => Did::Yes,
                    1 => Did::No,
                    _ => Did::NoAtProvider { reported: at, trust: Trust::Hours26, told: at + late[lateness] * HOUR + 1 },
                })
            }).collect()
        };
        let states = [0, 1].map(|lateness| learned(&life(lateness), |_| true));
        prop_assert_eq!(states, [truth(&life(0)); 2]);
    }
}
