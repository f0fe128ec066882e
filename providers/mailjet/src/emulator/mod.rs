//! Mailjet in memory: the calls that consentd and the vendor's own clients make, jobs that take their time, and the
//! webhooks that follow. What it copies, and what nobody knows, is in README.md.

mod account;
mod answer;
mod ask;
mod contacts;
mod csv;
mod events;
mod fields;
mod hooks;
mod instant;
mod jobs;
mod lists;
mod mail;
mod manage;
mod people;
mod recipients;
mod route;
mod statistics;
mod switches;
#[cfg(test)]
mod tests;

use account::Account;
use ask::Ask;
use consentd_provider::emulator::{Call, Emulator, Happening, Outgoing};
use consentd_provider::{Look, Response, Timestamp};
use std::collections::BTreeMap;
use switches::Switches;

/// A Mailjet without any account; each pair of credentials that is shown is one.
#[must_use]
pub fn open() -> Box<dyn Emulator> {
    Box::new(Mailjet::default())
}

#[derive(Default)]
struct Mailjet {
    accounts: BTreeMap<String, Account>,
    switches: Switches,
}

impl Mailjet {
    fn advance(&mut self, now: Timestamp) {
        for account in self.accounts.values_mut() {
            account.work(now);
        }
    }

    /// The account that has a list.
    fn owner(&mut self, list: &str) -> Option<(&mut Account, u64)> {
        let id = list.parse().ok()?;
        let account = self.accounts.values_mut().find(|account| account.lists.contains_key(&id))?;
        Some((account, id))
    }
}

impl Emulator for Mailjet {
    fn handle(&mut self, now: Timestamp, call: &Call) -> Response {
        self.advance(now);
        let ask = Ask::read(now, call);
        let Some(key) = ask.key.clone() else {
            return answer::unauthorised(ask.part(1).eq_ignore_ascii_case("send"));
        };
        let number = self.accounts.len();
        let account = self.accounts.entry(key).or_insert_with(|| Account::new(number, self.switches.clone()));
        account.answer(&ask)
    }

    fn due(&mut self, now: Timestamp) -> Vec<Outgoing> {
        self.advance(now);
        self.accounts.values_mut().flat_map(|account| account.deliveries(now)).collect()
    }

    fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        for account in self.accounts.values_mut() {
            account.delivered(now, id, status);
        }
    }

    fn happen(&mut self, now: Timestamp, email: &str, what: &Happening) -> bool {
        self.advance(now);
        let list = match what {
            Happening::Unsubscribes(Some(list))
            | Happening::UnsubscribedByStaff(list)
            | Happening::HostileImport(list) => list,
            _ => {
                let mut known = false;
                for account in self.accounts.values_mut() {
                    known |= account.happen(now, email, what, None);
                }
                return known;
            }
        };
        self.owner(list).is_some_and(|(account, id)| account.happen(now, email, what, Some(id)))
    }

    fn truth(&mut self, now: Timestamp, list: &str, email: &str) -> Look {
        self.advance(now);
        self.owner(list).map(|(account, id)| account.truth(id, email)).unwrap_or_default()
    }

    fn mailable(&mut self, now: Timestamp, list: &str) -> Vec<String> {
        self.advance(now);
        let Some((account, id)) = self.owner(list) else { return Vec::new() };
        let rows = account.rows_of(Some(id)).into_iter().filter(|row| !row.unsubscribed);
        rows.filter_map(|row| account.contacts.get(&row.contact))
            .filter(|contact| !contact.excluded && !contact.complained)
            .map(|contact| contact.email.clone())
            .collect()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        if name == "test_event" {
            for account in self.accounts.values_mut() {
                account.test(value)?;
            }
            return Ok(());
        }
        self.switches.set(name, value)?;
        for account in self.accounts.values_mut() {
            account.switches = self.switches.clone();
        }
        Ok(())
    }
}
