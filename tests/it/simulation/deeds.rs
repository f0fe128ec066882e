//! What people and a tenant's staff do.

use super::cover::count;
use super::life::Life;
use consentd::clock::Clock;
use consentd::domain::consent::AskBasis;
use consentd::service::ServiceError;
use consentd::service::import::{ImportMode, ImportOptions};
use consentd::store::{Address, ConnectionState};
use consentd_provider::EmailAddress;
use std::io::Cursor;
use std::ops::ControlFlow;

/// The most people a tenant gets to know.
const MOST: usize = 16;

impl Life {
    pub async fn newcomer(&mut self, house: usize) {
        let own = &mut self.houses[house];
        if own.people.len() >= MOST {
            return;
        }
        count("newcomer");
        let email = format!("person{}@example.org", own.people.len());
        self.world.customers(&own.tenant, &own.key, &[&email]).await;
        own.people.push(email);
    }

    async fn address(&self, house: usize, person: &str) -> Address {
        let own = &self.houses[house];
        let email = EmailAddress::parse(person).unwrap();
        self.world.core.find_address(&own.tenant, &own.key, &email).await.unwrap()
    }

    /// The person says yes with the link that they have, or is asked for the first time; whatever comes of it.
    pub async fn says_yes(&mut self, house: usize, person: &str) {
        self.note(&format!("{person} says yes"));
        if !self.houses[house].asked.contains_key(person) && !self.is_asked(house, person).await {
            return;
        }
        let link = self.houses[house].asked[person].clone();
        let status = self.daemon().post(&link, "decision=accept&confirmed=yes").await.as_u16();
        assert!([200, 409, 410].contains(&status), "seed {}: a yes was answered with {status}", self.seed);
        if status == 200 {
            count("accept by link");
            self.ledger.said(self.houses[house].tenant.id, person, true);
        }
    }

    async fn is_asked(&mut self, house: usize, person: &str) -> bool {
        let address = self.address(house, person).await;
        let own = &mut self.houses[house];
        let purpose = self.world.core.purpose(&own.tenant, None).await.unwrap();
        let basis = AskBasis::ExistingCustomer;
        let (tenant, key) = (&own.tenant, &own.key);
        let asked = self.world.core.request_consent(tenant, key, &purpose, &[address], &basis, "office").await.unwrap();
        match asked.into_iter().next().unwrap() {
            Ok(link) => {
                count("ask");
                own.asked.insert(person.to_owned(), link);
                true
            }
            Err(ServiceError::Denied(_)) => false,
            Err(error) => panic!("seed {}: {error}", self.seed),
        }
    }

    /// The person says no: on the page they were asked with, or by a mail's link, on its page or with one click.
    pub async fn says_no(&mut self, house: usize, person: &str) {
        let (link, form) = match self.houses[house].asked.get(person) {
            Some(link) if self.dice.chance(40) => {
                count("refuse by link");
                (link.clone(), "decision=refuse")
            }
            _ => {
                count("one-click");
                let address = self.address(house, person).await;
                let own = &self.houses[house];
                let purpose = self.world.core.purpose(&own.tenant, None).await.unwrap();
                let mut tx = self.world.core.store.begin().await.unwrap();
                let link = self.world.core.unsubscribe_link(&mut tx, &own.tenant, &address, &purpose).await.unwrap();
                tx.commit().await.unwrap();
                (link, "List-Unsubscribe=One-Click")
            }
        };
        self.note(&format!("{person} says no"));
        let status = self.daemon().post(&link, form).await;
        assert!(status.is_success(), "seed {}: a no was answered with {status}", self.seed);
        self.sabotage.after_a_no(self).await;
        self.ledger.said(self.houses[house].tenant.id, person, false);
    }

    pub async fn staff_acts(&mut self, house: usize, person: &str) {
        let what = self.dice.below(10);
        let address = self.address(house, person).await;
        let own = &self.houses[house];
        let (core, tenant, key) = (&self.world.core, &own.tenant, &own.key);
        let word = match what {
            0..=3 => {
                core.withdraw(tenant, key, &address, None, "office", "asked by phone").await.unwrap();
                "withdraw by staff"
            }
            4..=5 => {
                let options = ImportOptions::new(ImportMode::OptOuts, "robinson.csv", "office");
                let text = format!("email\n{person}\nnobody{}@example.net\n", self.world.clock.now());
                let file = Box::new(Cursor::new(text.into_bytes()));
                let go_on = |_: &_| ControlFlow::Continue(());
                core.run_import(tenant, key, file, None, &options, &go_on).await.unwrap();
                "opt-outs imported"
            }
            6 => {
                core.erase(tenant, key, &address, "office", "asked for it").await.unwrap();
                "erase"
            }
            7 => {
                // Half of these were entered a moment ago.
                if self.dice.chance(50) {
                    core.withdraw(tenant, key, &address, None, "office", "asked by phone").await.unwrap();
                }
                match core.annul(tenant, key, &address, ["office", "owner"], "the wrong person").await {
                    Ok(_) => "annul",
                    Err(ServiceError::Denied(_)) => return self.ledger.disturbed(self.houses[house].tenant.id, person),
                    Err(error) => panic!("seed {}: {error}", self.seed),
                }
            }
            8 => {
                for person in own.people.clone() {
                    let address = self.address(house, &person).await;
                    match core.clear_bounce(tenant, key, &address, "office", "works again").await {
                        Ok(_) => count("clear bounce"),
                        Err(ServiceError::Denied(_)) => {}
                        Err(error) => panic!("seed {}: {error}", self.seed),
                    }
                }
                return self.note("bounces are cleared");
            }
            _ => {
                self.is_asked(house, person).await;
                return;
            }
        };
        count(word);
        self.note(&format!("{word}: {person}"));
        match what {
            0..=3 | 6 => self.ledger.said(self.houses[house].tenant.id, person, false),
            // A file of refusals from before does not know what was said since.
            4..=5 => self.ledger.disturbed(self.houses[house].tenant.id, person),
            7 => self.ledger.forgets(self.houses[house].tenant.id, person),
            _ => {}
        }
    }

    pub async fn records_change(&mut self, house: usize, person: &str) {
        let own = &self.houses[house];
        if self.dice.chance(40) {
            count("into the bin");
            self.world.bin(&own.tenant, &own.key, &[person]).await;
            self.note(&format!("{person} goes into the bin"));
        } else {
            count("moves");
            let town = *self.dice.pick(&["Kiel", "Husum", "Plön"]);
            self.world.moves(&own.tenant, &own.key, person, town).await;
            self.note(&format!("{person} moves to {town}"));
        }
    }

    /// An operator does something about a connection.
    pub async fn steers(&mut self, house: usize, which: usize) {
        let what = self.dice.below(12);
        let own = &self.houses[house];
        let (core, account) = (&self.world.core, &own.accounts[which]);
        let connection = core.store.connection(account.connection.id).await.unwrap().unwrap();
        let paused = connection.state == ConnectionState::Paused;
        let working = connection.state == ConnectionState::Active;
        let word = match what {
            0..=5 => {
                core.request_run(&connection, "operator", false).await.unwrap();
                "run asked for"
            }
            6 => {
                core.request_run(&connection, "operator", true).await.unwrap();
                "dry run"
            }
            7 if working => {
                core.pause_connection(&connection, "holidays").await.unwrap();
                "pause"
            }
            8..=9 if paused => {
                core.resume_connection(&connection).await.unwrap();
                "resume"
            }
            10 if core.cancel_run(&connection).await.is_ok() => "cancel",
            11 => {
                core.rotate_hooks(&connection, &own.key).await.unwrap();
                "secrets rotated"
            }
            _ => return,
        };
        count(word);
        let slug = account.connection.slug.clone();
        self.note(&format!("at {slug}: {word}"));
    }

    pub async fn resume_all(&mut self) {
        for house in &self.houses {
            for account in &house.accounts {
                let connection = self.world.core.store.connection(account.connection.id).await.unwrap().unwrap();
                if connection.state == ConnectionState::Paused {
                    self.world.core.resume_connection(&connection).await.unwrap();
                }
            }
        }
    }
}
