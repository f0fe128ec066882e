//! What recipients and staff do.

use super::account::{Account, Action};
use super::instant::SECOND;
use super::mail::Mail;
use consentd_provider::Timestamp;
use consentd_provider::emulator::Happening;
use serde_json::{Value, json};

impl Account {
    pub(super) fn happen(&mut self, now: Timestamp, email: &str, what: &Happening, list: Option<u64>) -> bool {
        if let (Happening::HostileImport(_), Some(list)) = (what, list) {
            return self.hostile_import(now, email, list);
        }
        let Some(contact) = self.by_email(email) else { return false };
        match what {
            Happening::Unsubscribes(_) => self.unsubscribes(now, contact, list),
            Happening::UnsubscribedByStaff(_) => {
                if let Some(list) = list {
                    self.leave(now, list, contact);
                    self.unsubscribed_by_api(now, list, contact);
                }
            }
            Happening::Complains => self.complains(now, contact),
            Happening::HardBounces => {
                if let Some(contact) = self.contacts.get_mut(&contact) {
                    contact.bounced = true;
                }
                self.bounces(now, contact, true);
            }
            Happening::SoftBounces => self.bounces(now, contact, false),
            Happening::Blocked => {
                let mail = self.campaign(now, contact, None);
                self.block(now, mail, "preblocked");
            }
            Happening::Deleted => drop(self.anonymise(now, contact)),
            Happening::HostileImport(_) => return false,
        }
        true
    }

    /// A mail of a campaign to one contact.
    fn campaign(&mut self, now: Timestamp, contact: u64, list: Option<u64>) -> u64 {
        let campaign = self.id();
        let mail = Mail { campaign, list, subject: "A campaign".into(), ..Mail::new(contact, now) };
        self.record(mail)
    }

    /// An unsubscription of somebody who is or is not a member; only the first changes a row.
    fn leave(&mut self, now: Timestamp, list: u64, contact: u64) {
        let member = self.row(list, contact).is_some();
        // A member can always leave.
        let left = member && self.act(now, list, contact, Action::Unsub).is_ok();
        if !left {
            self.add_row(now, list, contact, true);
        }
    }

    /// With a list, the link of a campaign; without, the header of a mail that belongs to none, which changes
    /// nothing but is reported (Mailjet sheet 5.3).
    fn unsubscribes(&mut self, now: Timestamp, contact: u64, list: Option<u64>) {
        let mail = self.campaign(now, contact, list);
        if let Some(list) = list {
            self.leave(now, list, contact);
        }
        self.mark(now, mail, "unsub", "");
        let told = match list {
            Some(_) if self.switches.is("unsub_list", "zero") => Value::from(0),
            _ if self.switches.is("unsub_list", "empty") => Value::from(""),
            list => Value::from(list.unwrap_or(0)),
        };
        let (agent, geo) = if list.is_some() { ("Mozilla/5.0", "FR") } else { ("List-Unsubscribe", "") };
        let more = json!({ "mj_list_id": told, "ip": "203.0.113.7", "geo": geo, "agent": agent });
        self.emit(now, "unsub", mail, &more);
    }

    /// No event type exists for what staff and the API do; whether `unsub` is sent all the same is not known
    /// (Mailjet sheet 12).
    pub(super) fn unsubscribed_by_api(&mut self, now: Timestamp, list: u64, contact: u64) {
        if self.switches.is("api_unsub_event", "yes") {
            let mail = self.campaign(now, contact, Some(list));
            let more = json!({ "mj_list_id": list, "ip": "", "geo": "", "agent": "" });
            self.emit(now, "unsub", mail, &more);
        }
    }

    fn complains(&mut self, now: Timestamp, contact: u64) {
        if let Some(contact) = self.contacts.get_mut(&contact) {
            contact.complained = true;
        }
        let mail = self.campaign(now, contact, None);
        self.mark(now, mail, "spam", "");
        self.emit(now, "spam", mail, &json!({ "source": "JMRPP" }));
    }

    /// A soft bounce may come without an error, with a comment only (Mailjet sheet 5.3).
    fn bounces(&mut self, now: Timestamp, contact: u64, hard: bool) {
        let mail = self.campaign(now, contact, None);
        let (related, error, comment) = match hard {
            true => ("recipient", "user unknown", "550 5.1.1 no such user"),
            false if self.switches.is("soft_bounce_words", "no") => ("", "", "452 4.2.2 mailbox full"),
            false => ("recipient", "quota exceeded", "452 4.2.2 mailbox full"),
        };
        self.mark(now, mail, if hard { "hardbounced" } else { "softbounced" }, comment);
        let more = json!({
            "blocked": hard, "hard_bounce": hard, "error_related_to": related, "error": error, "comment": comment,
        });
        self.emit(now, "bounce", mail, &more);
    }

    /// Mailjet does not deliver, and says why.
    pub(super) fn block(&mut self, now: Timestamp, mail: u64, error: &str) {
        self.mark(now, mail, "blocked", error);
        let related = if error == "preblocked" { "mailjet" } else { "recipient" };
        self.emit(now, "blocked", mail, &json!({ "error_related_to": related, "error": error }));
    }

    /// Onto the list by force, with every block lifted that the console can lift: not the one for a complaint.
    fn hostile_import(&mut self, now: Timestamp, email: &str, list: u64) -> bool {
        let contact = self.by_email(email).unwrap_or_else(|| self.create(now, email));
        self.exclude(now, contact, false);
        self.act(now, list, contact, Action::AddForce).is_ok()
    }

    /// Notes what became of a mail.
    pub(super) fn mark(&mut self, now: Timestamp, mail: u64, status: &'static str, comment: &str) {
        let Some(mail) = self.mails.get_mut(&mail) else { return };
        mail.status = status;
        mail.history.push((status, now / SECOND, comment.to_owned()));
        if let Some(contact) = self.contacts.get_mut(&mail.contact) {
            contact.active = now;
        }
    }
}
