//! The transition matrix by actor, cell by cell, and every transition that must not exist.

use consentd::clock::DAY;
use consentd::domain::consent::{
    Act, Actor, AskBasis, Kind, LegacyProof, LegacyProofError, OperatorAct, ProviderAct, RecipientAct, State, SystemAct,
};
use consentd::domain::fold::{Denied, Event, Flags, Standing, fold};
use consentd::domain::ids::{AddressId, PurposeId, StatementId, TenantId};
use consentd::domain::token::{AcceptError, Acceptance, Claims, Class};
use uuid::Uuid;

/// The states, in the order of the table's columns.
const STATES: [State; 6] =
    [State::NotAsked, State::Pending, State::Accepted, State::Refused, State::Withdrawn, State::Lapsed];

/// Who says what, where each state goes (N P A R W L), and the flag that is set. A dot: recorded, nothing changes.
/// A pair of kind and actor without a line changes nothing in any state.
const TABLE: [(Kind, Actor, &str, Flags); 18] = [
    (Kind::Accepted, Actor::Recipient, "A A A A A A", Flags::NONE),
    (Kind::ProofImported, Actor::Operator, "A A . . . .", Flags::NONE),
    (Kind::RequestSent, Actor::Operator, "P P A . . P", Flags::NONE),
    (Kind::RequestSent, Actor::System, "P P A . . P", Flags::NONE),
    (Kind::Refused, Actor::Recipient, "R R W R W W", Flags::NONE),
    (Kind::Withdrawn, Actor::Recipient, "W W W W W W", Flags::NONE),
    (Kind::Withdrawn, Actor::Operator, "W W W W W W", Flags::NONE),
    (Kind::OptOutImported, Actor::Operator, "R R W R W W", Flags::NONE),
    (Kind::AddressChanged, Actor::Recipient, "W W W W W W", Flags::NONE),
    (Kind::ProviderUnsubscribed, Actor::Provider, "W W W W W W", Flags::NONE),
    (Kind::Complained, Actor::Provider, "W W W W W W", Flags::COMPLAINT),
    (Kind::HardBounced, Actor::Provider, "N P A R W L", Flags::HARD_BOUNCE),
    (Kind::SuppressionMatched, Actor::System, "W W W R W W", Flags::NONE),
    (Kind::Lapsed, Actor::System, ". . L . . .", Flags::NONE),
    (Kind::Erased, Actor::Recipient, "W W W W W W", Flags::ERASED),
    (Kind::Erased, Actor::Operator, "W W W W W W", Flags::ERASED),
    // These two need something to undo; see the tests below.
    (Kind::BounceCleared, Actor::Operator, ". . . . . .", Flags::NONE),
    (Kind::Annulled, Actor::Operator, ". . . . . .", Flags::NONE),
];

fn event(seq: i64, kind: Kind, actor: Actor, detail: Option<i64>) -> Event {
    Event { seq, id: StatementId(Uuid::from_u128(seq.unsigned_abs().into())), kind, actor, at: seq * DAY, detail }
}

/// A history of these lines, one a day.
fn history(lines: &[(Kind, Actor)]) -> Standing {
    let events: Vec<Event> = (1..).zip(lines).map(|(seq, (kind, actor))| event(seq, *kind, *actor, None)).collect();
    fold(&events)
}

/// A usual way into a state.
fn standing(state: State) -> Standing {
    let asked = [(Kind::Imported, Actor::Operator), (Kind::RequestSent, Actor::Operator)];
    let (kind, actor) = match state {
        State::NotAsked => return history(&asked[..1]),
        State::Pending => return history(&asked),
        State::Refused => return history(&[asked[0], asked[1], (Kind::Refused, Actor::Recipient)]),
        State::Accepted => (Kind::LinkOpened, Actor::System),
        State::Withdrawn => (Kind::Withdrawn, Actor::Recipient),
        State::Lapsed => (Kind::Lapsed, Actor::System),
    };
    history(&[asked[0], asked[1], (Kind::Accepted, Actor::Recipient), (kind, actor)])
}

fn letter(state: State) -> &'static str {
    match state {
        State::NotAsked => "N",
        State::Pending => "P",
        State::Accepted => "A",
        State::Refused => "R",
        State::Withdrawn => "W",
        State::Lapsed => "L",
    }
}

#[test]
fn every_state_is_reached_by_its_usual_way() {
    for state in STATES {
        assert_eq!(standing(state).state, state);
    }
}

/// I6.
#[test]
fn every_cell_of_the_matrix() {
    for (column, state) in STATES.into_iter().enumerate() {
        for kind in Kind::all() {
            for actor in Actor::ALL {
                let before = standing(state);
                let after = before.after(&event(9, kind, *actor, None));
                let row = TABLE.iter().find(|(named, by, _, _)| *named == kind && by == actor);
                let cell = row.map_or(".", |(_, _, cells, _)| cells.split(' ').nth(column).unwrap());
                let flags = row.map_or(Flags::NONE, |(_, _, _, flags)| *flags);
                let name = format!("{state:?}, {kind} by {actor:?}");
                if cell == "." {
                    assert_eq!(after, Standing { seq: 9, ..before }, "{name}: recorded, no change");
                } else {
                    assert_eq!((letter(after.state), after.flags), (cell, flags), "{name}");
                    assert_eq!(after.seq, 9, "{name}");
                    let since = if after.state == before.state { before.since } else { 9 * DAY };
                    assert_eq!(after.since, since, "{name}");
                }
            }
        }
    }
}

#[test]
fn what_an_acceptance_and_a_no_leave_on_record() {
    let accepted = standing(State::Refused).after(&event(9, Kind::Accepted, Actor::Recipient, Some(99 * DAY)));
    let basis = accepted.basis.unwrap();
    assert_eq!((basis.seq, basis.at, basis.valid_until), (9, 9 * DAY, Some(99 * DAY)));
    assert_eq!(accepted.negative.unwrap().seq, 3, "the old no stays on record beside the newer yes");
    assert!(accepted.sendable(99 * DAY - 1) && !accepted.sendable(99 * DAY), "valid until then, not at it");
    let withdrawn = accepted.after(&event(10, Kind::Withdrawn, Actor::Recipient, None));
    assert_eq!((withdrawn.basis.unwrap().seq, withdrawn.negative.unwrap().seq), (9, 10));
    assert!(!withdrawn.sendable(10 * DAY));
}

#[test]
fn flags_stop_sending_whatever_the_state() {
    for (kind, actor) in [(Kind::HardBounced, Actor::Provider), (Kind::Complained, Actor::Provider)] {
        let flagged = standing(State::Accepted).after(&event(9, kind, actor, None));
        assert!(!flagged.sendable(9 * DAY), "{kind}");
    }
    let complained = standing(State::Pending).after(&event(9, Kind::Complained, Actor::Provider, None));
    let accepted = complained.after(&event(10, Kind::Accepted, Actor::Recipient, None));
    assert_eq!(accepted.state, State::Accepted, "the person may say yes in any state");
    assert!(!accepted.sendable(10 * DAY), "but a complaint is never forgotten");
}

#[test]
fn a_cleared_bounce_leaves_the_state() {
    for state in STATES {
        let bounced = standing(state).after(&event(9, Kind::HardBounced, Actor::Provider, None));
        assert_eq!(bounced.allows(&Act::Operator(OperatorAct::ClearBounce), 10 * DAY), Ok(()));
        let cleared = bounced.after(&event(10, Kind::BounceCleared, Actor::Operator, None));
        assert_eq!((cleared.state, cleared.flags), (state, Flags::NONE));
        assert_eq!(standing(state).allows(&Act::Operator(OperatorAct::ClearBounce), 10 * DAY), Err(Denied::NoBounce));
    }
}

#[test]
fn a_refusal_after_an_acceptance_is_a_withdrawal() {
    let annulled = standing(State::Accepted).after(&event(9, Kind::Withdrawn, Actor::Operator, None)).after(&event(
        10,
        Kind::Annulled,
        Actor::Operator,
        Some(9),
    ));
    assert_eq!(annulled.state, State::NotAsked);
    assert_eq!(annulled.after(&event(11, Kind::Refused, Actor::Recipient, None)).state, State::Withdrawn);
}

#[test]
fn an_annulment_takes_back_an_operators_only_entry_and_yields_no_consent() {
    for state in [State::NotAsked, State::Pending, State::Accepted, State::Lapsed] {
        let wrong = standing(state).after(&event(9, Kind::Withdrawn, Actor::Operator, None));
        assert_eq!(wrong.allows(&Act::Operator(OperatorAct::Annul(9)), 10 * DAY), Ok(()));
        let annulled = wrong.after(&event(10, Kind::Annulled, Actor::Operator, Some(9)));
        assert_eq!(annulled.state, State::NotAsked, "from {state:?}");
        assert!(!annulled.sendable(10 * DAY));
        let again = annulled.after(&event(11, Kind::Annulled, Actor::Operator, Some(9)));
        assert_eq!(again.state, State::NotAsked);
    }
}

#[test]
fn an_annulment_does_not_reach_another_line() {
    let wrong = standing(State::Accepted).after(&event(9, Kind::Withdrawn, Actor::Operator, None));
    for detail in [None, Some(3), Some(8), Some(10)] {
        let after = wrong.after(&event(10, Kind::Annulled, Actor::Operator, detail));
        assert_eq!(after.state, State::Withdrawn, "{detail:?}");
    }
    assert_eq!(wrong.allows(&Act::Operator(OperatorAct::Annul(8)), 10 * DAY), Err(Denied::NotOwnError));
}

/// Tries to annul every line; each try is denied, and recorded all the same it changes nothing.
fn cannot_be_annulled(lines: &[(Kind, Actor)]) {
    let said_no = history(lines);
    for seq in 0..=20 {
        assert_eq!(said_no.allows(&Act::Operator(OperatorAct::Annul(seq)), 30 * DAY), Err(Denied::NotOwnError));
        let after = said_no.after(&event(20, Kind::Annulled, Actor::Operator, Some(seq)));
        assert_eq!(after.state, said_no.state, "line {seq} of {lines:?}");
    }
}

#[test]
fn illegal_an_annulment_of_what_the_person_or_the_provider_said() {
    cannot_be_annulled(&[(Kind::Refused, Actor::Recipient)]);
    cannot_be_annulled(&[(Kind::Accepted, Actor::Recipient), (Kind::Withdrawn, Actor::Recipient)]);
    cannot_be_annulled(&[(Kind::Accepted, Actor::Recipient), (Kind::ProviderUnsubscribed, Actor::Provider)]);
    cannot_be_annulled(&[(Kind::Complained, Actor::Provider)]);
    cannot_be_annulled(&[(Kind::OptOutImported, Actor::Operator)]);
    cannot_be_annulled(&[(Kind::Accepted, Actor::Recipient), (Kind::Erased, Actor::Operator)]);
}

#[test]
fn illegal_lifting_another_no_by_annulling_an_operators_entry_after_it() {
    let by_operator = (Kind::Withdrawn, Actor::Operator);
    for before in [
        (Kind::Refused, Actor::Recipient),
        (Kind::Withdrawn, Actor::Recipient),
        (Kind::ProviderUnsubscribed, Actor::Provider),
        (Kind::Complained, Actor::Provider),
        (Kind::SuppressionMatched, Actor::System),
        (Kind::OptOutImported, Actor::Operator),
        by_operator,
    ] {
        cannot_be_annulled(&[(Kind::Accepted, Actor::Recipient), before, by_operator]);
        cannot_be_annulled(&[(Kind::Accepted, Actor::Recipient), by_operator, before]);
    }
}

#[test]
fn illegal_an_annulment_that_opens_the_door_to_old_evidence() {
    let annulled = history(&[(Kind::Imported, Actor::Operator), (Kind::Withdrawn, Actor::Recipient)])
        .after(&event(3, Kind::Accepted, Actor::Recipient, None))
        .after(&event(4, Kind::Withdrawn, Actor::Operator, None))
        .after(&event(5, Kind::Annulled, Actor::Operator, Some(4)));
    assert_eq!(annulled.state, State::NotAsked);
    let after = annulled.after(&event(6, Kind::ProofImported, Actor::Operator, None));
    assert_eq!(after.state, State::NotAsked);
    assert_eq!(annulled.allows(&proof_act(), 6 * DAY), Err(Denied::NegativeHistory));
}

fn proof_act() -> Act {
    let proof = LegacyProof::check(true, "2019-04-01", "Newsletter", "form 17", ["ada", "bob"]).unwrap();
    Act::Operator(OperatorAct::ImportProof(proof))
}

#[test]
fn illegal_operator_to_accepted() {
    for state in STATES.into_iter().filter(|state| *state != State::Accepted) {
        for kind in Kind::all().filter(|kind| *kind != Kind::ProofImported) {
            for detail in [None, Some(3), Some(4), Some(9)] {
                let after = standing(state).after(&event(9, kind, Actor::Operator, detail));
                assert_ne!(after.state, State::Accepted, "{state:?}, {kind}");
            }
        }
    }
}

#[test]
fn illegal_evidence_from_before_against_a_no_or_beside_a_yes() {
    for (state, why) in [
        (State::Refused, Denied::NegativeHistory),
        (State::Withdrawn, Denied::NegativeHistory),
        (State::Accepted, Denied::AcceptedBefore),
        (State::Lapsed, Denied::AcceptedBefore),
    ] {
        assert_eq!(standing(state).allows(&proof_act(), 9 * DAY), Err(why), "{state:?}");
        let after = standing(state).after(&event(9, Kind::ProofImported, Actor::Operator, Some(900 * DAY)));
        assert_eq!((after.state, after.basis), (state, standing(state).basis), "{state:?}");
    }
    let again = standing(State::Withdrawn).after(&event(9, Kind::Accepted, Actor::Recipient, None));
    assert_eq!(
        again.allows(&proof_act(), 9 * DAY),
        Err(Denied::NegativeHistory),
        "a no that was overtaken still counts"
    );
    let bounced = standing(State::NotAsked).after(&event(9, Kind::HardBounced, Actor::Provider, None));
    assert_eq!(bounced.allows(&proof_act(), 9 * DAY), Err(Denied::NegativeHistory));
    assert_eq!(standing(State::Pending).allows(&proof_act(), 9 * DAY), Ok(()));
}

#[test]
fn illegal_evidence_from_before_without_policy_content_or_a_second_pair_of_eyes() {
    let check = |on, at, text, evidence, approvers| LegacyProof::check(on, at, text, evidence, approvers).err();
    assert_eq!(check(false, "2019", "text", "form", ["ada", "bob"]), Some(LegacyProofError::PolicyOff));
    assert_eq!(check(true, " ", "text", "form", ["ada", "bob"]), Some(LegacyProofError::Incomplete));
    assert_eq!(check(true, "2019", "", "form", ["ada", "bob"]), Some(LegacyProofError::Incomplete));
    assert_eq!(check(true, "2019", "text", "\t", ["ada", "bob"]), Some(LegacyProofError::Incomplete));
    for approvers in [["ada", "ada"], ["ada", " ADA "], ["ada", ""], ["", "bob"]] {
        assert_eq!(check(true, "2019", "text", "form", approvers), Some(LegacyProofError::SecondApprover));
    }
    assert_eq!(check(true, "2019", "text", "form", ["ada", "bob"]), None);
}

/// I7.
#[test]
fn illegal_withdrawn_to_pending_by_an_operator() {
    for state in [State::Refused, State::Withdrawn] {
        for (actor, act) in [
            (Actor::Operator, Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer))),
            (Actor::System, Act::System(SystemAct::Remind)),
        ] {
            assert_eq!(standing(state).allows(&act, 900 * DAY), Err(Denied::SaidNo));
            assert_eq!(standing(state).after(&event(900, Kind::RequestSent, actor, None)).state, state);
        }
    }
}

#[test]
fn illegal_a_complaint_cleared() {
    let complained = standing(State::Accepted).after(&event(9, Kind::Complained, Actor::Provider, None));
    for kind in Kind::all() {
        for actor in Actor::ALL {
            let after = complained.after(&event(10, kind, *actor, Some(9)));
            assert!(after.flags.has(Flags::COMPLAINT), "{kind} by {actor:?}");
            assert!(!after.sendable(10 * DAY), "{kind} by {actor:?}");
        }
    }
    let ask = Act::Operator(OperatorAct::Request(AskBasis::ExistingCustomer));
    assert_eq!(complained.allows(&ask, 900 * DAY), Err(Denied::Complained));
}

#[test]
fn illegal_a_flag_lifted_by_the_system_or_anybody_else() {
    for (kind, flag) in
        [(Kind::HardBounced, Flags::HARD_BOUNCE), (Kind::Complained, Flags::COMPLAINT), (Kind::Erased, Flags::ERASED)]
    {
        let actor = if kind == Kind::Erased { Actor::Recipient } else { Actor::Provider };
        let flagged = standing(State::Accepted).after(&event(9, kind, actor, None));
        assert_eq!(flagged.flags, flag);
        for other in Kind::all() {
            for by in Actor::ALL {
                let after = flagged.after(&event(10, other, *by, Some(9)));
                let may_clear = (other, *by, flag) == (Kind::BounceCleared, Actor::Operator, Flags::HARD_BOUNCE);
                assert_eq!(after.flags.has(flag), !may_clear, "{flag:?}, {other} by {by:?}");
            }
        }
    }
}

#[test]
fn illegal_provider_or_system_to_accepted() {
    for state in STATES.into_iter().filter(|state| *state != State::Accepted) {
        for actor in [Actor::Provider, Actor::System] {
            for kind in Kind::all() {
                let after = standing(state).after(&event(9, kind, actor, Some(3)));
                assert_ne!(after.state, State::Accepted, "{state:?}, {kind} by {actor:?}");
            }
        }
    }
    // The types say the same: whatever a provider or the system does is no acceptance.
    let provider = [
        ProviderAct::Unsubscribe,
        ProviderAct::UnsubscribeSuperseded,
        ProviderAct::Complain,
        ProviderAct::HardBounce,
        ProviderAct::SoftBounce,
        ProviderAct::Resubscribe,
        ProviderAct::Delete,
    ];
    let system = [
        SystemAct::Remind,
        SystemAct::ExpireRequest,
        SystemAct::Lapse,
        SystemAct::MatchSuppression,
        SystemAct::ConfirmInEffect,
    ];
    let acts = provider.map(Act::Provider).into_iter().chain(system.map(Act::System));
    for act in acts {
        assert!(!matches!(act.kind(), Kind::Accepted | Kind::ProofImported), "{act:?}");
    }
}

#[test]
fn illegal_import_over_a_no() {
    for state in [State::Refused, State::Withdrawn] {
        for kind in [Kind::Imported, Kind::ProofImported] {
            assert_eq!(standing(state).after(&event(9, kind, Actor::Operator, None)).state, state, "{kind}");
        }
    }
}

#[test]
fn illegal_acceptance_of_an_erased_person() {
    let erased = standing(State::Accepted).after(&event(9, Kind::Erased, Actor::Recipient, None));
    let accept = Act::Recipient(RecipientAct::Accept(acceptance()));
    assert_eq!(erased.allows(&accept, 10 * DAY), Err(Denied::Erased));
    for state in STATES {
        assert_eq!(standing(state).allows(&accept, 10 * DAY), Ok(()), "a person may say yes in any state");
    }
}

fn claims(class: Class) -> Claims {
    Claims {
        class,
        tenant: TenantId(Uuid::from_u128(1)),
        address: AddressId(Uuid::from_u128(2)),
        purpose: PurposeId(Uuid::from_u128(3)),
        text_version: 4,
        expires_at: (class == Class::Consent).then_some(30 * DAY),
    }
}

fn acceptance() -> Acceptance {
    claims(Class::Consent).accept(DAY, 4, Vec::new(), false).unwrap()
}

/// I15.
#[test]
fn illegal_acceptance_by_an_unsubscribe_link() {
    for confirmed in [false, true] {
        let tried = claims(Class::Unsubscribe).accept(DAY, 4, Vec::new(), confirmed);
        assert_eq!(tried, Err(AcceptError::WrongClass));
    }
}
