//! The product broken on purpose: the oracle must report each of these, or it proves nothing.

use super::life::Life;
use crate::served::run_sql;
use consentd::clock::Clock;
use consentd_provider::emulator::Happening;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// The product is as it is.
    None,
    /// The provider takes removals and keeps the people on the list.
    RemovalsIgnored,
    /// Somebody who said no is mailed at the end, and was not before.
    AdditionTooMany,
    /// Somebody who consents is off the list, and nobody notices.
    AdditionLost,
    /// A withdrawal is forgotten before it is sent.
    WithdrawalForgotten,
    /// A delivery is acknowledged and not kept.
    DeliveryDropped,
    /// An event is kept and forgotten.
    EventForgotten,
    /// What we believe about the provider is changed in the database.
    BeliefChanged,
    /// Where somebody stands is changed in the database.
    StandingChanged,
}

impl Sabotage {
    /// The kinds there are, and how the oracle words what it finds.
    pub const ALL: [(Self, &str); 8] = [
        (Self::RemovalsIgnored, "without consent for"),
        (Self::AdditionTooMany, "harm: at rest"),
        (Self::AdditionLost, "disagreement:"),
        (Self::WithdrawalForgotten, "without consent for"),
        (Self::DeliveryDropped, "I9, I10: events acknowledged"),
        (Self::EventForgotten, "I9, I10: events acknowledged"),
        (Self::BeliefChanged, "disagreement:"),
        (Self::StandingChanged, "I3, I4:"),
    ];

    /// Breaks a withdrawal that was just asked for.
    pub async fn after_a_no(self, life: &Life) {
        if self == Self::WithdrawalForgotten {
            run_sql(&life.world.core.store.db, "DELETE FROM withdrawal").await;
        }
    }

    /// Breaks what was done at the providers since it was looked at last.
    pub fn in_between(self, life: &Life) {
        if self != Self::RemovalsIgnored {
            return;
        }
        let now = life.world.clock.now();
        for account in life.houses.iter().flat_map(|house| &house.accounts) {
            let mailed = account.mailable(now);
            for removed in life.oracle.reached(account).filter(|person| !mailed.contains(person)) {
                let list = account.connection.list.clone();
                account.provider().happen(now, removed, &Happening::HostileImport(list));
            }
        }
    }

    /// Breaks what is broken after everything has come to rest.
    pub async fn before_the_end(self, life: &Life) {
        let house = &life.houses[0];
        let (account, now) = (&house.accounts[0], life.world.clock.now());
        let list = account.connection.list.clone();
        let mailed = account.mailable(now);
        match self {
            Self::None | Self::RemovalsIgnored | Self::WithdrawalForgotten | Self::DeliveryDropped => {}
            Self::AdditionTooMany => {
                let off = house.people.iter().find(|person| !mailed.contains(person)).expect("somebody is not mailed");
                assert!(account.provider().happen(now, off, &Happening::HostileImport(list)));
            }
            Self::AdditionLost => {
                let on = mailed.first().expect("somebody is mailed");
                assert!(account.provider().happen(now, on, &Happening::UnsubscribedByStaff(list)));
            }
            Self::EventForgotten => run_sql(&life.world.core.store.db, "DELETE FROM event").await,
            Self::BeliefChanged => run_sql(&life.world.core.store.db, "UPDATE holding SET held = 'never'").await,
            Self::StandingChanged => run_sql(&life.world.core.store.db, "UPDATE standing SET state = 'pending'").await,
        }
    }
}
