//! Transactional mail and its blocks (Brevo sheet 4).

use super::account::Account;
use super::answer::{Asked, answered, empty, error, failed, no_method, ok, stamp};
use consentd_provider::{EmailAddress, Response, Timestamp};
use serde_json::{Value, json};

/// How long a repeated key is recognised.
const KEY_LIFE: i64 = 30 * 60 * 1_000_000;

/// A mail to one person.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Timestamp,
    pub(super) email: String,
    pub(super) message_id: String,
    pub(super) subject: String,
    pub(super) from: String,
    /// What happened to it, in the words of the statistics.
    pub(super) event: &'static str,
}

impl Account {
    pub(super) fn route_smtp(&mut self, asked: &Asked, path: &[&str]) -> Result<Response, Response> {
        match (asked.method.as_str(), path) {
            ("POST", ["email"]) => self.send(asked),
            ("GET", ["blockedContacts"]) => self.blocked_contacts(asked),
            ("DELETE", ["blockedContacts", email]) => {
                let before = self.mail_blocks.len();
                self.mail_blocks.retain(|block| !block.email.eq_ignore_ascii_case(email));
                if self.mail_blocks.len() == before {
                    return failed(404, "document_not_found", "Contact is not blocked");
                }
                empty(204)
            }
            ("GET", ["statistics", "events"]) => self.events(asked),
            _ => no_method(),
        }
    }

    fn send(&mut self, asked: &Asked) -> Result<Response, Response> {
        let body = asked.json()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let sender = body.get("sender").and_then(|sender| sender.get("email")).and_then(Value::as_str);
        let sender = sender.filter(|sender| EmailAddress::parse(sender).is_ok());
        let sender = sender.ok_or_else(|| error(400, "invalid_parameter", "valid sender email required"))?;
        let to: Vec<&Value> = body.get("to").and_then(Value::as_array).into_iter().flatten().collect();
        let emails: Option<Vec<String>> = to
            .iter()
            .map(|to| {
                to.get("email")?.as_str().filter(|email| EmailAddress::parse(email).is_ok()).map(str::to_lowercase)
            })
            .collect();
        let emails = emails.filter(|emails| !emails.is_empty());
        let emails = emails.ok_or_else(|| error(400, "invalid_parameter", "email is not valid in to"))?;
        if text("subject").is_empty() || text("htmlContent").is_empty() && text("textContent").is_empty() {
            return failed(400, "missing_parameter", "subject and content are required");
        }
        if self.switches.is("mail_credits", "no") {
            return failed(402, "not_enough_credits", "Insufficient credits");
        }
        let header = |wanted: &str| {
            let headers = body.get("headers").and_then(Value::as_object);
            let mut found = headers.into_iter().flatten().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.next().and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned()
        };
        let key = [header("idempotencyKey"), header("Idempotency-Key")].concat();
        if !key.is_empty() {
            if self.mail_keys.get(&key).is_some_and(|at| self.now - at < KEY_LIFE) {
                return failed(400, "duplicate_parameter", "A mail with this idempotency key was already sent");
            }
            self.mail_keys.insert(key, self.now);
        }
        let id = self.message_id();
        let answer = answered(201, &json!({ "messageId": id }));
        if header("X-Sib-Sandbox") == "drop" {
            return answer;
        }
        for email in emails {
            let blocked = self.mail_blocks.iter().any(|block| block.email == email);
            let sent = Sent {
                at: self.now,
                email,
                message_id: id.clone(),
                subject: text("subject").into(),
                from: sender.into(),
                event: if blocked { "blocked" } else { "delivered" },
            };
            self.tell_of_mail(&sent, "request", "sent", "");
            if blocked {
                self.tell_of_mail(&sent, "blocked", "blocked", "blocked : due to blacklist user");
            } else {
                self.tell_of_mail(&sent, "delivered", "delivered", "sent");
            }
            self.sent.push(sent);
        }
        answer
    }

    fn message_id(&mut self) -> String {
        let number = self.next_id();
        format!("<{}.{number}@smtp-relay.mailin.fr>", self.now)
    }

    /// A mail that somebody else sent.
    pub(super) fn mail(&mut self, email: &str) -> Sent {
        Sent {
            at: self.now,
            email: email.into(),
            message_id: self.message_id(),
            subject: "An emulated mail".into(),
            from: super::account::OWNER.into(),
            event: "blocked",
        }
    }

    fn blocked_contacts(&self, asked: &Asked) -> Result<Response, Response> {
        let page = asked.page(50, 100)?;
        let offset = self.switches.number("utc_offset");
        let rows: Vec<Value> = self
            .mail_blocks
            .iter()
            .map(|block| {
                json!({
                    "email": block.email, "senderEmail": null, "blockedAt": stamp(block.at, offset),
                    "reason": { "code": block.code, "message": block.code },
                })
            })
            .collect();
        let count = rows.len();
        ok(&json!({ "contacts": asked.cut(rows, page, true), "count": count }))
    }

    /// Day granularity and no count; whether the member is there when nothing happened is a switch.
    fn events(&self, asked: &Asked) -> Result<Response, Response> {
        let page = asked.page(2_500, 5_000)?;
        let offset = self.switches.number("utc_offset");
        let wanted = |sent: &&Sent| {
            asked.query("email").is_none_or(|email| email.eq_ignore_ascii_case(&sent.email))
                && asked.query("messageId").is_none_or(|id| id == sent.message_id)
                && asked.query("event").is_none_or(|event| event == sent.event)
        };
        let found = self.sent.iter().filter(wanted).map(|sent| {
            json!({
                "date": stamp(sent.at, offset), "email": sent.email, "event": sent.event,
                "messageId": sent.message_id, "subject": sent.subject, "from": sent.from,
            })
        });
        let rows = asked.cut(found.collect(), page, true);
        if rows.is_empty() && self.switches.is("missing_rows", "absent") {
            return ok(&json!({}));
        }
        ok(&json!({ "events": rows }))
    }
}
