//! I1, I2: the race of additions against withdrawals, model-checked.
//!
//! Two daemons, one provider account, one mailbox; people change their minds, calls go unanswered and land later, jobs
//! lie, daemons die, stand still and lose their lease. Every order of events within the bounds is tried. Each
//! protection is also taken away, and then the model must find the harm that it prevents.

mod model;
mod steps;
mod writes;

use model::{Held, Item, Op, Protocol, State};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use std::collections::{BTreeMap, HashMap};
use steps::{Action, Race};

const CHECKED: &str = "I1: nothing is added without a consent that was checked within a second";
const AT_REST: &str = "I2: at rest nobody is mailed who said no";
const IN_EFFECT: &str = "I2: what is in effect stays in effect";
const QUEUED: &str = "I2: no withdrawal is forgotten";
const FENCED: &str = "I2: nobody writes whose turn is over";
const REACHES: &str = "I20: at rest everybody is mailed who said yes";

const AFTER_BOTH: &str = "a withdrawal is in effect, at rest, after a fault and a takeover";

impl Race {
    /// What must hold in every state, and what some state must reach so that the model is about something.
    fn promises(&self) -> Vec<Property<Self>> {
        let mut promised = vec![
            Property::always(CHECKED, |_, s: &State| !s.seen.unchecked),
            Property::always(AT_REST, |race: &Self, s: &State| s.consents || !s.mailable || !race.is_at_rest(s)),
            Property::always(QUEUED, |race: &Self, s: &State| {
                s.consents || !s.mailable || s.withdrawing() || !race.work(s).is_empty()
            }),
            Property::always(FENCED, |_, s: &State| !s.seen.usurped),
            Property::always(REACHES, |race: &Self, s: &State| {
                !s.consents || s.mailable || s.seen.late_removal || !race.is_at_rest(s)
            }),
            Property::sometimes("somebody is mailed, at rest", |race: &Self, s: &State| {
                s.mailable && s.consents && race.is_at_rest(s)
            }),
            Property::sometimes(AFTER_BOTH, |race: &Self, s: &State| {
                s.said > 1
                    && !s.consents
                    && s.faults < race.faults
                    && s.takeovers < race.takeovers
                    && is_in_effect(s)
                    && race.is_at_rest(s)
            }),
            Property::sometimes("a removal is applied while an addition may still land", |_, s: &State| {
                s.withdrawal.is_some_and(|row| !row.settled) && !s.mailable && s.strays.contains(&Op::Add)
            }),
            Property::sometimes("a job and a withdrawal are under way together", |_, s: &State| {
                s.following == Some(Op::Add) && s.withdrawing()
            }),
            Property::sometimes("an unanswered addition is found to have landed", |race: &Self, s: &State| {
                s.faults < race.faults
                    && s.holding.held == Held::Subscribed
                    && s.item == Item::None
                    && s.holding.basis == 0
            }),
        ];
        if self.bound_holds {
            promised.push(Property::always(IN_EFFECT, |_, s: &State| {
                s.consents || !is_in_effect(s) || !(s.mailable || s.can_land())
            }));
        }
        promised
    }

    /// Nothing is left to do or to come, except what people decide.
    fn is_at_rest(&self, s: &State) -> bool {
        self.work(s).is_empty()
    }
}

fn is_in_effect(s: &State) -> bool {
    s.withdrawal.is_some_and(|row| row.in_effect)
}

/// Tries everything, or goes on until these promises are broken. Returns those that are, each with a way there.
fn broken(race: Race, until: &[&'static str]) -> BTreeMap<&'static str, Vec<Action>> {
    let promises = race.promises();
    let mut checker = race.checker().threads(1);
    if !until.is_empty() {
        checker = checker.finish_when(HasDiscoveries::AllOf(until.iter().copied().collect()));
    }
    let checker = checker.spawn_bfs().join();
    let found = |property: &Property<Race>| match (&property.expectation, checker.discovery(property.name)) {
        (Expectation::Always, Some(path)) => Some((property.name, path.into_actions())),
        (Expectation::Sometimes, None) => Some((property.name, Vec::new())),
        _ => None,
    };
    promises.iter().filter_map(found).collect()
}

/// Bounds within which everything is tried: statements, faults, takeovers.
fn race(protocol: Protocol, (words, faults, takeovers): (u8, u8, u8)) -> Race {
    Race { protocol, words, faults, takeovers, imports: 0, jobs: 1, bound_holds: true }
}

/// The product keeps every promise, and the model reaches what it is about where the bounds allow it.
fn holds(race: Race) {
    let needs_both = race.faults == 0 || race.takeovers == 0;
    let mut broken = broken(race, &[]);
    if needs_both {
        broken.remove(AFTER_BOTH);
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Without a protection these promises break.
fn fails(race: Race, promises: &[&'static str]) {
    let broken = broken(race, promises);
    for promise in promises {
        assert!(broken.get(promise).is_some_and(|way| !way.is_empty()), "still holds: {promise}");
    }
}

#[test]
fn i1_i2_no_order_of_events_mails_somebody_who_said_no() {
    holds(race(Protocol::Built, (4, 1, 0)));
    holds(race(Protocol::Built, (3, 2, 0)));
}

#[test]
fn i1_i2_i17_nor_do_two_daemons_of_which_one_takes_over() {
    holds(race(Protocol::Built, (2, 1, 1)));
}

#[test]
fn i2_i8_what_lands_later_than_anybody_thought_is_found_by_the_walk() {
    holds(Race { imports: 1, bound_holds: false, ..race(Protocol::Built, (2, 1, 0)) });
}

/// However it came there, the product can finish by itself: nothing waits for a fault or a person.
#[test]
fn i20_rest_is_in_reach_of_every_state() {
    let race = race(Protocol::Built, (3, 1, 0));
    let mut numbers: HashMap<State, usize> = HashMap::new();
    let mut states: Vec<State> = race.init_states();
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut rest = Vec::new();
    numbers.insert(states[0].clone(), 0);
    let mut next = 0;
    while let Some(state) = states.get(next).cloned() {
        let work = race.work(&state);
        if work.is_empty() {
            rest.push(next);
        }
        let mut all = Vec::new();
        race.actions(&state, &mut all);
        for action in all {
            let Some(then) = race.next_state(&state, action) else { continue };
            let number = *numbers.entry(then.clone()).or_insert(states.len());
            if number == states.len() {
                states.push(then);
                before.push(Vec::new());
            }
            if work.contains(&action) {
                before[number].push(next);
            }
        }
        next += 1;
    }
    let mut reached = vec![false; states.len()];
    while let Some(number) = rest.pop() {
        if !std::mem::replace(&mut reached[number], true) {
            rest.extend(&before[number]);
        }
    }
    let stuck = reached.iter().position(|reached| !reached);
    assert!(stuck.is_none(), "no way to rest from {:#?}", stuck.map(|number| &states[number]));
}

#[test]
fn without_settling_a_late_addition_undoes_what_is_in_effect() {
    fails(race(Protocol::WithoutSettle, (2, 1, 0)), &[AT_REST, QUEUED, IN_EFFECT]);
}

#[test]
fn without_reading_back_a_lying_answer_is_believed() {
    fails(race(Protocol::WithoutReadBack, (2, 1, 0)), &[AT_REST, QUEUED, IN_EFFECT]);
}

#[test]
fn without_fencing_a_daemon_that_stood_still_forgets_what_its_heir_knows() {
    fails(race(Protocol::WithoutFencing, (2, 1, 1)), &[FENCED, IN_EFFECT]);
}

#[test]
fn with_a_check_and_a_later_call_a_withdrawal_in_between_is_lost() {
    fails(race(Protocol::CheckThenSend, (2, 1, 0)), &[CHECKED, AT_REST, QUEUED]);
}

#[test]
fn counted_from_the_ledger_line_the_settle_time_is_over_before_the_call_has_left() {
    fails(race(Protocol::SettleFromTheLedger, (3, 2, 0)), &[IN_EFFECT]);
}
