//! What must hold, whatever happened.

use crate::world::{Account, World};
use consentd::clock::{Clock, HOUR, MINUTE, Timestamp};
use consentd::domain::plan::Held;
use consentd_provider::emulator::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// How long somebody may be mailable without consent while the provider works: the settle time, the longest back-off,
/// and a margin.
const PROMISED: Timestamp = 45 * MINUTE;
/// The same where somebody else put the person on the list, or where an unanswered subscription may have landed late:
/// until the next walk, or the last read after such a subscription.
const FOUND_BY_WALK: Timestamp = 27 * HOUR;

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

pub struct Oracle {
    watches: BTreeMap<String, Watch>,
}

impl Oracle {
    pub fn new(_accounts: usize) -> Self {
        Self { watches: BTreeMap::new() }
    }

    fn watch(&mut self, slug: &str) -> &mut Watch {
        self.watches.entry(slug.to_owned()).or_default()
    }

    pub fn broke(&mut self, slug: &str, fault: &Fault) {
        let watch = self.watch(slug);
        watch.broken = true;
        watch.zombies |= matches!(fault, Fault::HangThenApply(_));
    }

    pub fn healed(&mut self, slug: &str) {
        self.watch(slug).broken = false;
    }

    pub fn switched(&mut self, slug: &str, honest: bool) {
        self.watch(slug).lying = !honest;
    }

    pub fn imported(&mut self, slug: &str, person: &str) {
        self.watch(slug).imported.insert(person.to_owned());
    }

    pub fn jumped(&mut self, by: Timestamp) {
        for watch in self.watches.values_mut() {
            watch.looked_at += by;
        }
    }

    /// Looks at who would be mailed at this instant.
    pub async fn look(&mut self, world: &World, accounts: &[Account], seed: u64) {
        let now = world.clock.now();
        for account in accounts {
            let slug = account.connection.slug.clone();
            let mailable = account.mailable(now);
            let connection = world.core.find_connection(&account.tenant, &slug).await.unwrap();
            let works = connection.state == consentd::store::ConnectionState::Active && connection.backoff_until <= now;
            let consenting = world.consenting(account).await;
            let against: BTreeSet<String> =
                mailable.iter().filter(|person| !consenting.contains_key(*person)).cloned().collect();
            let watch = self.watch(&slug);
            let passed = (now - watch.looked_at).max(0);
            watch.looked_at = now;
            for person in &against {
                let expected = watch.imported.contains(person) || watch.zombies;
                assert!(
                    watch.reached.contains(person)
                        || expected
                        || connection.state == consentd::store::ConnectionState::Shadow,
                    "seed {seed}: at {now} {slug} mails {person} again, who does not consent"
                );
                let harmed = watch.harmed.entry(person.clone()).or_default();
                if works && !watch.broken {
                    *harmed += passed;
                }
                let promised = if expected || watch.lying { FOUND_BY_WALK } else { PROMISED };
                assert!(
                    *harmed <= promised,
                    "seed {seed}: at {now} {slug} has mailed {person} without consent for {} minutes",
                    *harmed / MINUTE
                );
            }
            watch.harmed.retain(|person, _| against.contains(person));
            watch.imported.retain(|person| mailable.contains(person));
            watch.reached = mailable.into_iter().collect();
        }
    }

    /// What must hold when everything works again and has settled.
    pub async fn at_rest(&self, world: &World, accounts: &[Account], seed: u64) {
        let now = world.clock.now();
        let (tenant, key) = (&accounts[0].tenant, &accounts[0].key);
        let found = world.core.verify(tenant, key).await.unwrap();
        assert!(found.is_sound(), "seed {seed}: {found:?}");
        for account in accounts {
            let slug = &account.connection.slug;
            let reached: BTreeSet<String> = account.mailable(now).into_iter().collect();
            for person in &reached {
                let standing = world.standing(account, person).await;
                assert!(
                    standing.sendable(now),
                    "seed {seed}: {slug} mails {person}, who is {:?}: {:?}",
                    standing.state,
                    world.beliefs(account).await.get(person)
                );
            }
            let beliefs = world.beliefs(account).await;
            for (person, holding) in &beliefs {
                let believed = holding.held == Held::Subscribed;
                assert_eq!(
                    believed,
                    reached.contains(person),
                    "seed {seed}: {slug} and {person}: we believe {holding:?}"
                );
            }
            for (person, _) in world.consenting(account).await.into_iter().filter(|(_, in_crm)| *in_crm) {
                // Whom the provider deleted or keeps blocked, a human decides about.
                let held = beliefs.get(&person).map_or(Held::Never, |holding| holding.held);
                let human = matches!(held, Held::Missing | Held::Blocked);
                assert!(
                    reached.contains(&person) || human,
                    "seed {seed}: {person} consents and is not mailed by {slug}: we believe {held:?}"
                );
            }
        }
        let waiting = world.core.store.inbox_counts().await.unwrap();
        assert!(waiting.iter().all(|count| count.state == "done"), "seed {seed}: {waiting:?}");
    }
}
