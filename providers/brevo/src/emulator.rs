//! Brevo in memory: its answers, its rules about blocks and lists, its quotas, and the webhooks it owes.

mod account;
mod answer;
mod batch;
mod contacts;
mod happenings;
mod hooks;
mod import;
mod limits;
mod lists;
mod mails;
mod rows;
mod stats;
mod switches;

#[cfg(test)]
mod tests;

use account::Account;
use answer::{Asked, error, failed};
use consentd_provider::emulator::{Call, Emulator, Happening, Outgoing};
use consentd_provider::{Look, Response, Timestamp};

/// An empty account.
#[must_use]
pub fn open() -> Box<dyn Emulator> {
    Box::new(Brevo { account: Account::default(), limits: limits::Limits::default() })
}

struct Brevo {
    account: Account,
    limits: limits::Limits,
}

impl Emulator for Brevo {
    fn handle(&mut self, now: Timestamp, call: &Call) -> Response {
        self.account.tick(now);
        if call.header("api-key").is_none_or(|key| key.trim().is_empty()) {
            return error(401, "unauthorized", "Key not found");
        }
        let Some(asked) = Asked::read(call) else { return error(404, "not_found", "Route not found") };
        let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
        let headers = match self.limits.spend(now, &call.method, &path, &self.account.switches) {
            Ok(headers) => headers,
            Err(refused) => return refused,
        };
        let mut answer = self.account.route(&asked, &path).unwrap_or_else(|refused| refused);
        answer.headers.extend(headers);
        answer
    }

    fn due(&mut self, now: Timestamp) -> Vec<Outgoing> {
        self.account.tick(now);
        self.account.hooks.due(now, &self.account.switches)
    }

    fn delivered(&mut self, now: Timestamp, id: u64, status: Option<u16>) {
        self.account.hooks.delivered(now, id, status);
    }

    fn happen(&mut self, now: Timestamp, email: &str, what: &Happening) -> bool {
        self.account.tick(now);
        self.account.happen(email, what)
    }

    fn truth(&mut self, now: Timestamp, list: &str, email: &str) -> Look {
        self.account.tick(now);
        self.account.truth(list, email)
    }

    fn mailable(&mut self, now: Timestamp, list: &str) -> Vec<String> {
        self.account.tick(now);
        self.account.mailable(list)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.account.switches.set(name, value)
    }
}

impl Account {
    fn route(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match path {
            ["account"] => account::facts(asked),
            ["senders"] => account::senders(asked),
            ["processes", rest @ ..] => self.route_processes(asked, rest),
            ["webhooks", rest @ ..] => self.route_webhooks(asked, rest),
            ["smtp", rest @ ..] => self.route_smtp(asked, rest),
            ["contacts", "lists", rest @ ..] => self.route_lists(asked, rest),
            ["contacts", "folders", rest @ ..] => self.route_folders(asked, rest),
            ["contacts", "attributes", rest @ ..] => self.route_attributes(asked, rest),
            ["contacts", "segments"] => lists::segments(asked),
            ["contacts", "import"] => self.import(asked),
            ["contacts", "export"] => self.export(asked),
            ["contacts", "batch"] => self.batch(asked),
            ["contacts", "doubleOptinConfirmation"] => self.double_opt_in(asked),
            ["contacts", rest @ ..] => self.route_contacts(asked, rest),
            _ => failed(404, "not_found", "Route not found"),
        }
    }
}
