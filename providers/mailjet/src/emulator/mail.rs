//! Transactional mail: Send 3.1 and its predecessor (Mailjet sheet 4).

use super::account::{Account, is_address};
use super::answer::{Answer, json as answered, uuid};
use super::ask::{Ask, flag, member};
use consentd_provider::{Response, Timestamp};
use serde_json::{Value, json};

/// The most messages, and the most recipients, of one call.
const MOST: usize = 50;
/// Headers that the service writes itself.
const FORBIDDEN: &[&str] = &[
    "from", "sender", "subject", "to", "cc", "bcc", "return-path", "delivered-to", "dkim-signature", "domainkey-status",
    "received-spf", "authentication-results", "received", "list-id", "message-id", "date", "x-mj-customid",
    "x-mj-eventpayload", "x-mailjet-campaign",
];

/// A mail to one contact.
pub(super) struct Mail {
    pub(super) id: u64,
    pub(super) contact: u64,
    pub(super) campaign: u64,
    pub(super) list: Option<u64>,
    pub(super) at: Timestamp,
    pub(super) status: &'static str,
    pub(super) subject: String,
    pub(super) custom_id: String,
    pub(super) payload: String,
    /// What happened, when in Unix seconds, and a comment.
    pub(super) history: Vec<(&'static str, i64, String)>,
}

impl Mail {
    pub(super) const fn new(contact: u64, at: Timestamp) -> Self {
        Self {
            id: 0,
            contact,
            campaign: 0,
            list: None,
            at,
            status: "queued",
            subject: String::new(),
            custom_id: String::new(),
            payload: String::new(),
            history: Vec::new(),
        }
    }
}

impl Account {
    /// Keeps a mail under a new number and marks it as sent.
    pub(super) fn record(&mut self, mail: Mail) -> u64 {
        let (id, at) = (self.message_id(), mail.at);
        self.mails.insert(id, Mail { id, ..mail });
        self.mark(at, id, "sent", "");
        id
    }

    /// Each message succeeds or fails for itself.
    pub(super) fn send(&mut self, ask: &Ask) -> Answer {
        let Some(messages) = ask.get("messages").and_then(Value::as_array) else {
            return Err(refused(400, "mj-0002", "Malformed JSON, please review the syntax and properties types.", ""));
        };
        if messages.is_empty() || messages.len() > MOST {
            let code = if messages.is_empty() { "mj-0007" } else { "mj-0008" };
            return Err(refused(400, code, "The array Messages must hold 1 to 50 elements.", "Messages"));
        }
        let recipients = messages.iter().flat_map(|message| ["to", "cc", "bcc"].map(|part| people(message, part).len()));
        if recipients.sum::<usize>() > MOST {
            return Err(refused(400, "send-0015", "Total number of recipients exceeded. Max allowed - 50.", "Messages"));
        }
        let sandbox = ask.get("sandboxmode").and_then(flag).unwrap_or(false);
        let globals = ask.get("globals").cloned().unwrap_or_default();
        let mut failed = false;
        let mut results = Vec::new();
        for message in messages {
            let whole = merged(&globals, message);
            match wrong(&whole) {
                Some((status, code, words, related)) => {
                    failed = true;
                    results.push(json!({ "Status": "error", "Errors": [error(status, code, words, related)] }));
                }
                None => results.push(self.accept(ask.now, &whole, sandbox)),
            }
        }
        let status = if failed { self.switches.status("send_error_status") } else { 200 };
        Ok(answered(status, &json!({ "Messages": results })))
    }

    fn accept(&mut self, now: Timestamp, message: &Value, sandbox: bool) -> Value {
        let text = |name: &str| member(message, name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut receipts = json!({ "Status": "success", "CustomID": text("customid"), "To": [], "Cc": [], "Bcc": [] });
        for (part, name) in [("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")] {
            let mut told = Vec::new();
            for email in people(message, part) {
                let id = if sandbox {
                    0
                } else {
                    self.dispatch(now, &email, text("subject"), text("customid"), text("eventpayload"))
                };
                told.push(json!({
                    "Email": email,
                    "MessageUUID": if sandbox { String::new() } else { uuid(id) },
                    "MessageID": id,
                    "MessageHref": format!("https://api.mailjet.com/v3/REST/message/{id}"),
                }));
            }
            if let Some(receipts) = receipts.as_object_mut() {
                receipts.insert(name.into(), told.into());
            }
        }
        receipts
    }

    /// An unknown recipient silently becomes a contact (Mailjet sheet 3.1); a former complaint or bounce stops the
    /// mail after it was accepted.
    fn dispatch(&mut self, now: Timestamp, email: &str, subject: String, custom_id: String, payload: String) -> u64 {
        let contact = self.by_email(email).unwrap_or_else(|| self.create(now, email));
        let id = self.record(Mail { subject, custom_id, payload, ..Mail::new(contact, now) });
        let held = self.contacts.get_mut(&contact).and_then(|contact| match (contact.complained, contact.bounced) {
            (true, _) => Some("spam reporter"),
            (_, true) => Some("preblocked"),
            _ => {
                contact.delivered += 1;
                None
            }
        });
        match held {
            Some(error) => self.block(now, id, error),
            None => self.emit(now, "sent", id, &json!({ "mj_message_id": id.to_string(), "smtp_reply": "250 ok" })),
        }
        id
    }

    /// The predecessor: flat, and with another answer.
    pub(super) fn send_flat(&mut self, ask: &Ask) -> Answer {
        let from = ask.text("fromemail").unwrap_or_default();
        let mut to = ask.body.as_ref().map(|body| people(body, "recipients")).unwrap_or_default();
        to.extend(["to", "cc", "bcc"].iter().filter_map(|part| ask.text(part)).flat_map(plain_addresses));
        if !is_address(from) || to.is_empty() || !to.iter().all(|email| is_address(email)) {
            return Err(refused(400, "mj-0013", "A sender and recipients are needed.", "Recipients"));
        }
        let (subject, custom) = (ask.text("subject").unwrap_or_default(), ask.text("mj-customid").unwrap_or_default());
        let payload = ask.text("mj-eventpayload").unwrap_or_default();
        let mut sent = Vec::new();
        for email in to {
            let id = self.dispatch(ask.now, &email, subject.into(), custom.into(), payload.into());
            sent.push(json!({ "Email": email, "MessageID": id, "MessageUUID": uuid(id) }));
        }
        Ok(answered(200, &json!({ "Sent": sent })))
    }
}

/// A message with the defaults of all.
fn merged(globals: &Value, message: &Value) -> Value {
    let mut whole = message.clone();
    if let (Some(globals), Some(members)) = (globals.as_object(), whole.as_object_mut()) {
        for (name, value) in globals {
            if !members.keys().any(|key| key.eq_ignore_ascii_case(name)) {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    whole
}

/// The addresses of one part of a message, each once.
fn people(message: &Value, part: &str) -> Vec<String> {
    let mut emails: Vec<String> = Vec::new();
    for one in member(message, part).and_then(Value::as_array).into_iter().flatten() {
        let email = member(one, "email").and_then(Value::as_str).unwrap_or_default();
        if !emails.iter().any(|known| known == email) {
            emails.push(email.to_owned());
        }
    }
    emails
}

/// The addresses of `Name <address>, …`.
fn plain_addresses(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(',').map(|one| {
        let one = one.rsplit_once('<').map_or(one, |(_, address)| address);
        one.trim().trim_end_matches('>').to_owned()
    })
}

type Wrong = (u16, &'static str, &'static str, &'static str);

/// The first thing that is wrong with a message.
fn wrong(message: &Value) -> Option<Wrong> {
    let from = member(message, "from").and_then(|from| member(from, "email")).and_then(Value::as_str);
    let to = people(message, "to");
    let has = |name: &str| member(message, name).is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
    let headers = member(message, "headers").and_then(Value::as_object);
    let forbidden = |name: &String| FORBIDDEN.contains(&name.to_lowercase().as_str());
    if from.is_none() {
        return Some((400, "mj-0003", "\"From\" is missing.", "From"));
    }
    if to.is_empty() {
        return Some((400, "mj-0003", "\"To\" is missing.", "To"));
    }
    if !from.is_some_and(is_address) {
        return Some((400, "mj-0013", "The sender is not a valid email address.", "From.Email"));
    }
    if !to.iter().all(|email| is_address(email)) {
        return Some((400, "mj-0013", "A recipient is not a valid email address.", "To[0].Email"));
    }
    if !["textpart", "htmlpart", "templateid"].into_iter().any(has) {
        return Some((400, "send-0003", "At least \"HTMLPart\", \"TextPart\" or \"TemplateID\" must be provided.", "TextPart"));
    }
    if headers.is_some_and(|headers| headers.keys().any(forbidden)) {
        return Some((400, "send-0011", "A header of this name cannot be customised.", "Headers"));
    }
    None
}

fn error(status: u16, code: &str, words: &str, related: &str) -> Value {
    json!({
        "ErrorIdentifier": uuid(u64::from(status)), "ErrorCode": code, "StatusCode": status, "ErrorMessage": words,
        "ErrorRelatedTo": [related],
    })
}

/// A refusal of the whole call.
fn refused(status: u16, code: &str, words: &str, related: &str) -> Response {
    answered(status, &error(status, code, words, related))
}
