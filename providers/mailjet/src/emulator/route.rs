//! Which call is answered by what.

use super::account::Account;
use super::answer::{self, Answer, body, refusal};
use super::ask::Ask;
use consentd_provider::Response;

impl Account {
    pub(super) fn answer(&mut self, ask: &Ask) -> Response {
        if self.throttles(ask.now) {
            // Neither header nor a promise of JSON (Mailjet sheet 2).
            return if self.switches.is("limit_body", "json") {
                refusal(429, "Too many requests")
            } else {
                body(429, "text/html", b"<html><body>Rate limit exceeded</body></html>".to_vec())
            };
        }
        let replayed = ask.idempotency_key.as_ref().filter(|_| self.switches.is("idempotency_key", "honoured"));
        if let Some(answer) = replayed.and_then(|key| self.replays.get(key)) {
            return answer.clone();
        }
        let words: Vec<String> = ask.path.iter().map(|part| part.to_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = self.route(ask, &words).unwrap_or_else(|refusal| refusal);
        if let (Some(key), true) = (replayed, answer.is_success() && ask.method != "GET") {
            self.replays.insert(key.clone(), answer.clone());
        }
        answer
    }

    fn route(&mut self, ask: &Ask, words: &[&str]) -> Answer {
        let method = ask.method.as_str();
        match (method, words) {
            (_, ["v3", "rest", rest @ ..]) => {
                if ask.body.is_none() {
                    return Err(refusal(400, "Invalid json input"));
                }
                self.rest(ask, method, rest)
            }
            ("POST", ["v3", "data", "contactslist", _, "csvdata", "text:plain"]) => self.upload(ask),
            ("GET", ["v3", "data", "batchjob", _, "jsonerror", ..]) => self.problems(ask, "application/json"),
            ("GET", ["v3", "data", "batchjob", _, "csverror", ..]) => self.problems(ask, "text/csv"),
            ("POST", ["v3.1", "send"]) => self.send(ask),
            ("POST", ["v3", "send"]) => self.send_flat(ask),
            ("DELETE", ["v4", "contacts", _]) => match ask.id(2) {
                Some(id) => self.anonymise(ask.now, id),
                None => Err(refusal(400, "Invalid contact ID")),
            },
            (_, ["v3.1" | "v3", "send"] | ["v4", "contacts", _]) => Err(refusal(405, "Method not allowed")),
            _ => Err(answer::not_found()),
        }
    }

    fn rest(&mut self, ask: &Ask, method: &str, rest: &[&str]) -> Answer {
        match (method, rest) {
            ("GET", ["contact"]) => self.contact_rows(ask),
            ("POST", ["contact"]) => self.create_contact(ask),
            ("POST", ["contact", "managemanycontacts"]) => self.manage_many(ask, None),
            ("GET", ["contact", "managemanycontacts", _]) => self.job(ask, 4, None),
            ("GET", ["contact", _]) => self.contact(ask),
            ("PUT", ["contact", _]) => self.update_contact(ask),
            ("GET", ["contact", _, "getcontactslists"]) => self.lists_of(ask),
            ("POST", ["contact", _, "managecontactslists"]) => self.manage_lists(ask),
            ("GET", ["contactdata"]) => self.data_rows(ask),
            ("POST", ["contactdata"]) => self.create_data(ask),
            ("GET", ["contactdata", _]) => self.data(ask),
            ("PUT", ["contactdata", _]) => self.update_data(ask),
            ("DELETE", ["contactdata", _]) => self.delete_data(ask),
            ("GET", ["contactmetadata"]) => self.field_rows(ask),
            ("POST", ["contactmetadata"]) => self.create_field(ask),
            ("GET", ["contactmetadata", _]) => self.field(ask),
            ("PUT", ["contactmetadata", _]) => self.update_field(ask),
            ("DELETE", ["contactmetadata", _]) => self.delete_field(ask),
            ("GET", ["contactslist"]) => self.list_rows(ask),
            ("POST", ["contactslist"]) => self.create_list(ask),
            ("GET", ["contactslist", _]) => self.one_list(ask),
            ("PUT", ["contactslist", _]) => self.update_list(ask),
            ("DELETE", ["contactslist", _]) => self.delete_list(ask),
            ("POST", ["contactslist", _, "managecontact"]) => self.manage(ask),
            ("POST", ["contactslist", _, "managemanycontacts"]) => self.manage_many(ask, ask.id(3)),
            ("POST", ["contactslist", _, "importlist"]) => self.import_list(ask),
            ("GET", ["contactslist", _, "managemanycontacts" | "importlist", _]) => self.job(ask, 5, ask.id(3)),
            ("GET", ["listrecipient"]) => self.recipient_rows(ask),
            ("POST", ["listrecipient"]) => self.create_recipient(ask),
            ("GET", ["listrecipient", _]) => self.recipient(ask),
            ("PUT", ["listrecipient", _]) => self.update_recipient(ask),
            ("DELETE", ["listrecipient", _]) => self.delete_recipient(ask),
            ("POST", ["csvimport"]) => self.start_csv(ask),
            ("GET", ["csvimport"] | ["batchjob"]) => self.job_rows(ask),
            ("GET", ["csvimport" | "batchjob", _]) => self.job_row(ask),
            ("PUT", ["csvimport" | "batchjob", _]) => self.abort_job(ask),
            ("GET", ["eventcallbackurl"]) => self.hook_rows(ask),
            ("POST", ["eventcallbackurl"]) => self.create_hook(ask),
            ("GET", ["eventcallbackurl", _]) => self.hook(ask),
            ("PUT", ["eventcallbackurl", _]) => self.update_hook(ask),
            ("DELETE", ["eventcallbackurl", _]) => self.delete_hook(ask),
            ("GET", ["message"]) => self.message_rows(ask),
            ("GET", ["message", _]) => self.message(ask),
            ("GET", ["messagehistory", _]) => self.history(ask),
            ("GET", ["bouncestatistics"]) => self.bounce_rows(ask),
            ("GET", ["listrecipientstatistics"]) => self.recipient_statistics(ask),
            ("GET", ["statcounters"]) => self.counters(ask),
            ("GET", ["user"] | ["user", _]) => Ok(super::statistics::user(ask)),
            ("GET", ["myprofile"] | ["myprofile", _]) => Ok(super::statistics::profile(ask)),
            (_, [resource, ..]) if RESOURCES.contains(resource) => Err(refusal(405, "Method not allowed")),
            // An unknown resource is a bad request (Mailjet sheet 1.6).
            _ => Err(refusal(400, "Invalid resource")),
        }
    }
}

const RESOURCES: &[&str] = &[
    "contact",
    "contactdata",
    "contactmetadata",
    "contactslist",
    "listrecipient",
    "csvimport",
    "batchjob",
    "eventcallbackurl",
    "message",
    "messagehistory",
    "bouncestatistics",
    "listrecipientstatistics",
    "statcounters",
    "user",
    "myprofile",
];
