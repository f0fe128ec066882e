//! What must hold, whatever happened.

use super::life::House;
use crate::world::{Account, World};
use consentd::clock::{Clock, DAY, HOUR, MINUTE, Timestamp};
use consentd::domain::consent::{Kind, State};
use consentd::domain::ids::{ConnectionId, TenantId};
use consentd::domain::plan::Held;
use consentd::store::ConnectionState;
use consentd_provider::emulator::{Fault, Outgoing};
use consentd_provider::{EventKind, Verified};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long somebody may be mailable without consent while the provider works: the settle time, the longest back-off,
/// and a margin.
const PROMISED: Timestamp = 45 * MINUTE;
/// The same where somebody else put the person on the list, or where an unanswered subscription may have landed late:
/// until the next walk, or the last read after such a subscription.
const FOUND_BY_WALK: Timestamp = 27 * HOUR;
/// The longest wait that a provider can cause.
const LONGEST: Timestamp = 5 * MINUTE;

#[derive(Default)]
struct Watch {
    broken: bool,
    lying: bool,
    zombies: bool,
    imported: BTreeSet<String>,
    reached: BTreeSet<String>,
    /// For how long each person was mailable without consent while the provider worked.
    harmed: BTreeMap<String, Timestamp>,
    looked_at: Timestamp,
}

/// Who consents to a tenant, as its history has it.
struct Consenting {
    head: i64,
    at: Timestamp,
    people: BTreeSet<String>,
}

/// Looks at what is true at the providers, again and again.
#[derive(Default)]
pub struct Oracle {
    watches: HashMap<ConnectionId, Watch>,
    consenting: HashMap<TenantId, Consenting>,
}

impl Oracle {
    fn watch(&mut self, account: &Account) -> &mut Watch {
        self.watches.entry(account.connection.id).or_default()
    }

    /// Who was mailed when it was looked at last.
    pub fn reached(&self, account: &Account) -> impl Iterator<Item = &String> {
        self.watches.get(&account.connection.id).into_iter().flat_map(|watch| &watch.reached)
    }

    pub fn broke(&mut self, account: &Account, fault: &Fault) {
        let watch = self.watch(account);
        watch.broken = true;
        watch.zombies |= matches!(fault, Fault::HangThenApply(_));
    }

    pub fn healed(&mut self, account: &Account) {
        self.watch(account).broken = false;
    }

    pub fn switched(&mut self, account: &Account, honest: bool) {
        self.watch(account).lying |= !honest;
    }

    pub fn imported(&mut self, account: &Account, person: &str) {
        self.watch(account).imported.insert(person.to_owned());
    }

    pub fn jumped(&mut self, by: Timestamp) {
        for watch in self.watches.values_mut() {
            watch.looked_at += by;
        }
        self.consenting.clear();
    }

    /// I2, the harm metric: looks at who would be mailed at this instant.
    pub async fn look(&mut self, world: &World, houses: &[House]) {
        for house in houses {
            self.read_history(world, house).await;
            for account in &house.accounts {
                self.look_at(world, account).await;
            }
        }
    }

    async fn read_history(&mut self, world: &World, house: &House) {
        let now = world.clock.now();
        let head = world.core.store.head(house.tenant.id).await.unwrap().seq;
        let known = self.consenting.get(&house.tenant.id);
        if known.is_some_and(|known| known.head == head && now - known.at < DAY) {
            return;
        }
        let people = world.consenting(&house.accounts[0]).await.into_keys().collect();
        self.consenting.insert(house.tenant.id, Consenting { head, at: now, people });
    }

    async fn look_at(&mut self, world: &World, account: &Account) {
        let now = world.clock.now();
        let slug = &account.connection.slug;
        let mailable: BTreeSet<String> = account.mailable(now).into_iter().collect();
        let consenting = &self.consenting[&account.tenant.id].people;
        let against: BTreeSet<String> = mailable.difference(consenting).cloned().collect();
        let watch = self.watches.entry(account.connection.id).or_default();
        let passed = (now - watch.looked_at).max(0);
        watch.looked_at = now;
        watch.harmed.retain(|person, _| against.contains(person));
        watch.imported.retain(|person| mailable.contains(person));
        let reached = std::mem::replace(&mut watch.reached, mailable);
        if against.is_empty() {
            return;
        }
        let connection = world.core.store.connection(account.connection.id).await.unwrap().unwrap();
        let waits = connection.backoff_until > now && connection.backoff_until <= now + LONGEST;
        let works = connection.state == ConnectionState::Active && !waits;
        for person in &against {
            let expected = watch.imported.contains(person) || watch.zombies;
            assert!(
                reached.contains(person) || expected || connection.state == ConnectionState::Shadow,
                "harm: at {now} {slug} mails {person} again, who does not consent"
            );
            let harmed = watch.harmed.entry(person.clone()).or_default();
            if works && !watch.broken {
                *harmed += passed;
            }
            let promised = if expected || watch.lying { FOUND_BY_WALK } else { PROMISED };
            let minutes = *harmed / MINUTE;
            assert!(
                *harmed <= promised,
                "harm: at {now} {slug} has mailed {person} without consent for {minutes} minutes"
            );
        }
    }

    /// What must hold when everything works again and has settled.
    pub async fn at_rest(&self, world: &World, house: &House, ledger: &Ledger) {
        let found = world.core.verify(&house.tenant, &house.key).await.unwrap();
        assert!(found.is_sound(), "I3, I4: {found:?}");
        for account in &house.accounts {
            agree(world, account).await;
        }
        ledger.agrees(world, house).await;
    }

    /// I10: what was taken in was read.
    pub async fn everything_was_read(&self, world: &World) {
        let waiting = world.core.store.inbox_counts().await.unwrap();
        assert!(waiting.iter().all(|count| count.state == "done"), "I10: {waiting:?}");
    }
}

/// I1, I2, I20: the provider mails whom we believe it to mail, and that is who consents.
async fn agree(world: &World, account: &Account) {
    let now = world.clock.now();
    let slug = &account.connection.slug;
    let reached: BTreeSet<String> = account.mailable(now).into_iter().collect();
    let beliefs = world.beliefs(account).await;
    for person in &reached {
        let standing = world.standing(account, person).await;
        let (state, belief) = (standing.state, beliefs.get(person));
        assert!(standing.sendable(now), "harm: at rest {slug} mails {person}, who is {state:?}: {belief:?}");
    }
    for (person, holding) in &beliefs {
        let believed = holding.held == Held::Subscribed;
        assert_eq!(believed, reached.contains(person), "disagreement: {slug} and {person}: we believe {holding:?}");
    }
    for (person, _) in world.consenting(account).await.into_iter().filter(|(_, in_crm)| *in_crm) {
        // Whom the provider deleted or keeps blocked, a human decides about.
        let held = beliefs.get(&person).map_or(Held::Never, |holding| holding.held);
        let human = matches!(held, Held::Missing | Held::Blocked);
        assert!(
            reached.contains(&person) || human,
            "I20: {person} consents and is not mailed by {slug}: we believe {held:?}"
        );
    }
}

/// The last word that a person heard acknowledged.
#[derive(Clone, Copy)]
struct Word {
    yes: bool,
    /// Nobody else ever said anything about the person.
    alone: bool,
}

/// What the daemon acknowledged, kept apart from it.
#[derive(Default)]
pub struct Ledger {
    doors: BTreeMap<String, ConnectionId>,
    bodies: Vec<(ConnectionId, Vec<u8>)>,
    words: BTreeMap<(TenantId, String), Word>,
}

impl Ledger {
    pub fn knows(&mut self, account: &Account) {
        self.doors.insert(account.connection.hook_key.clone(), account.connection.id);
    }

    /// A webhook was answered with 200.
    pub fn acknowledged(&mut self, delivery: &Outgoing) {
        super::cover::count("webhook acknowledged");
        let connection = self.doors.iter().find(|(key, _)| delivery.url.contains(&**key)).expect("a known door").1;
        self.bodies.push((*connection, delivery.body.clone()));
    }

    pub fn said(&mut self, tenant: TenantId, person: &str, yes: bool) {
        let alone = self.words.get(&(tenant, person.to_owned())).is_none_or(|word| word.alone);
        self.words.insert((tenant, person.to_owned()), Word { yes, alone });
    }

    /// Somebody else may have spoken for the person.
    pub fn disturbed(&mut self, tenant: TenantId, person: &str) {
        let word = self.words.entry((tenant, person.to_owned())).or_insert(Word { yes: true, alone: false });
        word.alone = false;
    }

    /// The clock was put back: a yes may now look older than what was seen at a provider, and then it is not believed.
    pub fn clock_put_back(&mut self) {
        for word in self.words.values_mut() {
            word.alone = false;
        }
    }

    /// The last word was an error.
    pub fn forgets(&mut self, tenant: TenantId, person: &str) {
        self.words.insert((tenant, person.to_owned()), Word { yes: true, alone: false });
    }

    async fn agrees(&self, world: &World, house: &House) {
        for ((_, person), word) in self.words.iter().filter(|((tenant, _), _)| *tenant == house.tenant.id) {
            if !house.people.contains(person) {
                continue;
            }
            let standing = world.standing(&house.accounts[0], person).await;
            let state = standing.state;
            if !word.yes {
                assert!(state != State::Accepted, "I10: {person} said no, was heard, and is {state:?}");
            } else if word.alone {
                let stands = matches!(state, State::Accepted | State::Lapsed);
                assert!(stands, "I10: {person} said yes, was heard, and is {state:?}");
            }
        }
        self.events_agree(world, house).await;
    }

    /// I9, I10: every event that was acknowledged is in the history, once.
    async fn events_agree(&self, world: &World, house: &House) {
        let mut expected: BTreeMap<(String, Kind), usize> = BTreeMap::new();
        for account in &house.accounts {
            let id = account.connection.id;
            let connection = world.core.store.connection(id).await.unwrap().unwrap();
            let adapter = world.core.adapter(&connection, &house.key).unwrap();
            let mut seen = BTreeSet::new();
            for (_, body) in self.bodies.iter().filter(|(of, _)| *of == id) {
                for event in adapter.read(&Verified::stored(body)).unwrap() {
                    if !seen.insert(event.fingerprint) {
                        continue;
                    }
                    let kind = match event.kind {
                        EventKind::Complaint => Kind::Complained,
                        EventKind::HardBounce => Kind::HardBounced,
                        EventKind::SoftBounce => Kind::SoftBounced,
                        _ => continue,
                    };
                    for email in event.emails {
                        *expected.entry((email.as_str().to_owned(), kind)).or_default() += 1;
                    }
                }
            }
            let kept = world.core.store.event_counts(house.tenant.id, id).await.unwrap();
            let kept: i64 = kept.iter().map(|(_, _, count, _)| count).sum();
            let slug = &account.connection.slug;
            assert_eq!(kept, i64::try_from(seen.len()).unwrap(), "I9, I10: events acknowledged to {slug} and kept");
        }
        for person in &house.people {
            for kind in [Kind::Complained, Kind::HardBounced, Kind::SoftBounced] {
                let said = world.said(&house.accounts[0], person, kind).await;
                let expected = expected.get(&(person.clone(), kind)).copied().unwrap_or(0);
                assert_eq!(said, expected, "I9, I10: how often the history of {person} says {kind:?}");
            }
        }
    }
}
