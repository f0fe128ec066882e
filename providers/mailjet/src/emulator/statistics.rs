//! Reading back what happened: messages, histories and counters (Mailjet sheet 6), and who the key belongs to.

use super::account::{Account, Row};
use super::answer::{self, Answer, page, refusal, row, rows, uuid};
use super::ask::Ask;
use super::instant::{DAY, SECOND, read, stamp, stamp_or_empty};
use super::mail::Mail;
use consentd_provider::{Response, Timestamp};
use serde_json::{Value, json};

/// The numbers of a message's status.
const STATUSES: [(&str, &str); 8] = [
    ("1", "queued"),
    ("2", "sent"),
    ("3", "opened"),
    ("6", "spam"),
    ("7", "unsub"),
    ("8", "blocked"),
    ("9", "softbounced"),
    ("10", "hardbounced"),
];

/// A permanent failure, and the number of its reason (Mailjet sheet 5.5).
fn state(mail: &Mail) -> (u64, bool) {
    let last = mail.history.last().map_or("", |(_, _, comment)| comment.as_str());
    match (mail.status, last) {
        ("hardbounced", _) => (1, true),
        ("softbounced", _) => (3, false),
        ("blocked", "spam reporter") => (21, true),
        ("blocked", _) => (14, true),
        _ => (0, false),
    }
}

impl Account {
    fn show_mail(&self, ask: &Ask, mail: &Mail) -> Value {
        let shows = |name: &str| ask.flag(name) == Some(true);
        let email = self.contacts.get(&mail.contact).map_or("", |contact| contact.email.as_str());
        let (state, permanent) = state(mail);
        json!({
            "ArrivedAt": stamp(mail.at), "AttachmentCount": 0, "AttemptCount": 0, "CampaignID": mail.campaign,
            "ContactAlt": if shows("showcontactalt") { email } else { "" }, "ContactID": mail.contact,
            "CustomID": if shows("showcustomid") { mail.custom_id.as_str() } else { "" }, "Delay": 0,
            "DestinationID": 1, "FilterTime": 0, "ID": mail.id, "IsClickTracked": false,
            "IsHTMLPartIncluded": true, "IsOpenTracked": false, "IsTextPartIncluded": true, "IsUnsubTracked": false,
            "MessageSize": 1_024, "SenderID": 1, "SpamassRules": "", "SpamassassinScore": 0, "StateID": state,
            "StatePermanent": permanent, "Status": mail.status,
            "Subject": if shows("showsubject") { mail.subject.as_str() } else { "" }, "UUID": uuid(mail.id),
        })
    }

    /// How long messages are kept is not known (Mailjet sheet 12).
    fn keeps(&self, now: Timestamp, mail: &Mail) -> bool {
        let days = i64::from(self.switches.number("retention_days"));
        days == 0 || now - mail.at < days * DAY
    }

    fn kept(&self, now: Timestamp) -> impl Iterator<Item = &Mail> {
        self.mails.values().filter(move |mail| self.keeps(now, mail))
    }

    /// By the time of sending, whatever happened later; `FromTS` itself is left out (Mailjet sheet 6).
    pub(super) fn message_rows(&self, ask: &Ask) -> Response {
        let wanted: Option<Vec<&str>> = ask.filter("messagestatus").map(|list| list.split(',').collect());
        let of_status = |mail: &Mail| {
            let number = STATUSES.iter().find(|(_, word)| *word == mail.status).map(|(number, _)| *number);
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| Some(*one) == number || *one == mail.status))
        };
        let (from, to) = (ask.filter("fromts").and_then(read), ask.filter("tots").and_then(read));
        let contact = ask.number("contactid").or_else(|| ask.number("contact"));
        let email = ask.filter("contactalt").map(|email| self.by_email(email));
        let all: Vec<&Mail> = self
            .kept(ask.now)
            .filter(|mail| of_status(mail))
            .filter(|mail| from.is_none_or(|from| mail.at > from) && to.is_none_or(|to| mail.at < to))
            .filter(|mail| contact.is_none_or(|contact| mail.contact == contact))
            .filter(|mail| email.is_none_or(|contact| contact == Some(mail.contact)))
            .filter(|mail| ask.filter("customid").is_none_or(|id| mail.custom_id == id))
            .filter(|mail| ask.number("campaignid").is_none_or(|id| mail.campaign == id))
            .collect();
        page(ask, &all, |mail| self.show_mail(ask, mail))
    }

    fn one_mail(&self, ask: &Ask) -> Result<&Mail, Response> {
        let mail = ask.id(3).and_then(|id| self.mails.get(&id)).filter(|mail| self.keeps(ask.now, mail));
        mail.ok_or_else(answer::not_found)
    }

    pub(super) fn message(&self, ask: &Ask) -> Answer {
        Ok(row(200, self.show_mail(ask, self.one_mail(ask)?)))
    }

    /// The names differ from those of webhooks, and no list is told (Mailjet sheet 6).
    pub(super) fn history(&self, ask: &Ask) -> Answer {
        let name = |kind: &str| if kind.ends_with("bounced") { "bounced".to_owned() } else { kind.to_owned() };
        let mail = self.one_mail(ask)?;
        let shown: Vec<Value> = mail
            .history
            .iter()
            .map(|(kind, at, comment)| {
                json!({
                    "Comment": comment, "EventAt": at, "EventType": name(kind), "State": "", "Useragent": "",
                    "UseragentID": 0,
                })
            })
            .collect();
        Ok(page(ask, &shown, Value::clone))
    }

    /// Without a filter, today only (Mailjet sheet 6).
    pub(super) fn bounce_rows(&self, ask: &Ask) -> Response {
        let filtered = ask.filter("fromts").is_some() || ask.filter("tots").is_some();
        let from = ask.filter("fromts").and_then(read);
        let from = from.unwrap_or(if filtered { 0 } else { ask.now.div_euclid(DAY) * DAY });
        let to = ask.filter("tots").and_then(read).unwrap_or(i64::MAX);
        let failed = |mail: &Mail| ["hardbounced", "softbounced", "blocked"].contains(&mail.status);
        let all: Vec<&Mail> =
            self.kept(ask.now).filter(|mail| failed(mail) && mail.at >= from && mail.at < to).collect();
        page(ask, &all, |mail| {
            let (state, permanent) = state(mail);
            let at = mail.history.last().map_or(mail.at, |(_, at, _)| at * SECOND);
            json!({
                "BouncedAt": stamp(at), "CampaignID": mail.campaign, "ContactID": mail.contact, "ID": mail.id,
                "IsBlocked": mail.status == "blocked", "IsStatePermanent": permanent, "StateID": state,
            })
        })
    }

    /// Whether this lives on new accounts is not known (Mailjet sheet 6).
    pub(super) fn recipient_statistics(&self, ask: &Ask) -> Answer {
        if self.switches.is("list_statistics", "no") {
            return Err(answer::not_found());
        }
        let (from, to) = (ask.filter("minunsubscribedat"), ask.filter("maxunsubscribedat"));
        let (from, to) = (from.and_then(read), to.and_then(read));
        let list = ask.filter("contactslist").map(|list| list.parse().unwrap_or(0));
        let all: Vec<&Row> = self
            .rows_of(list)
            .into_iter()
            .filter(|row| ask.flag("isunsubscribed").is_none_or(|wanted| row.unsubscribed == wanted))
            .filter(|row| from.is_none_or(|from| row.unsubscribed_at.is_some_and(|at| at >= from)))
            .filter(|row| to.is_none_or(|to| row.unsubscribed_at.is_some_and(|at| at < to)))
            .collect();
        Ok(page(ask, &all, |row| {
            let contact = self.contacts.get(&row.contact);
            let mails = |status: &str| {
                self.mails.values().filter(|mail| mail.contact == row.contact && mail.status == status).count()
            };
            json!({
                "BlockedCount": mails("blocked"), "BouncedCount": mails("hardbounced") + mails("softbounced"),
                "ClickedCount": 0, "Data": [], "DeferredCount": 0,
                "DeliveredCount": contact.map_or(0, |contact| contact.delivered),
                "HardBouncedCount": mails("hardbounced"),
                "LastActivityAt": stamp_or_empty(contact.map(|contact| contact.active)), "ListRecipientID": row.id,
                "OpenedCount": 0, "PreQueuedCount": 0, "ProcessedCount": 0, "QueuedCount": 0, "SoftBouncedCount": mails("softbounced"), "SpamComplaintCount": mails("spam"),
                "UnsubscribedCount": u8::from(row.unsubscribed),
            })
        }))
    }

    /// What happened to mails in a time, as one slice (Mailjet sheet 6).
    pub(super) fn counters(&self, ask: &Ask) -> Answer {
        let source = ask.filter("countersource").unwrap_or("APIKey").to_lowercase();
        let timing = ask.filter("countertiming").unwrap_or("Message").to_lowercase();
        let lifetime = ask.filter("counterresolution").is_some_and(|one| one.eq_ignore_ascii_case("lifetime"));
        let from = ask.filter("fromts").and_then(read);
        if from.is_none() && !lifetime {
            return Err(refusal(400, "FromTS is mandatory unless the resolution is Lifetime"));
        }
        if source == "list" && !(timing == "message" && lifetime) {
            return Err(refusal(400, "The source List goes with the timing Message and the resolution Lifetime"));
        }
        let (from, to) = (from.unwrap_or(0), ask.filter("tots").and_then(read).unwrap_or(i64::MAX));
        let id = ask.number("sourceid");
        let mails = self.mails.values().filter(|mail| match source.as_str() {
            "list" => mail.list == id,
            "campaign" => Some(mail.campaign) == id,
            _ => true,
        });
        let all: Vec<(&str, Timestamp)> = mails
            .flat_map(|mail| {
                let by_event = timing == "event";
                mail.history.iter().map(move |(kind, at, _)| (*kind, if by_event { at * SECOND } else { mail.at }))
            })
            .filter(|(_, at)| lifetime || (from..to).contains(at))
            .collect();
        let count = |wanted: &str| all.iter().filter(|(kind, _)| *kind == wanted).count();
        Ok(row(
            200,
            json!({
                "APIKeyID": 1, "EventClickDelay": 0, "EventClickedCount": 0, "EventOpenDelay": 0,
                "EventOpenedCount": 0, "EventSpamCount": count("spam"), "EventUnsubscribedCount": count("unsub"),
                "EventWorkflowExitedCount": 0, "MessageBlockedCount": count("blocked"), "MessageClickedCount": 0,
                "MessageDeferredCount": 0, "MessageHardBouncedCount": count("hardbounced"),
                "MessageOpenedCount": 0, "MessageQueuedCount": 0, "MessageSentCount": count("sent"),
                "MessageSoftBouncedCount": count("softbounced"), "MessageSpamCount": count("spam"),
                "MessageUnsubscribedCount": count("unsub"), "SourceID": id.unwrap_or(1),
                "Timeslice": if lifetime { String::new() } else { stamp(from) }, "Total": count("sent"),
            }),
        ))
    }
}

/// The owner of the key.
pub(super) fn user(ask: &Ask) -> Response {
    rows(
        200,
        &[json!({
            "ACL": "", "CreatedAt": stamp(0), "Email": "owner@example.org", "ID": 4_711, "LastIp": "203.0.113.1",
            "LastLoginAt": stamp(ask.now), "Locale": "en_US", "MaxAllowedAPIKeys": 5, "Timezone": "Europe/Paris",
            "Username": "owner@example.org", "WarnedRatelimitAt": "",
        })],
    )
}

pub(super) fn profile(ask: &Ask) -> Response {
    row(
        200,
        json!({
            "AddressCity": "Paris", "AddressCountry": "FR", "BillingEmail": "", "BirthdayAt": "",
            "CompanyName": "Example", "Firstname": "Olive", "ID": 4_711, "Lastname": "Owner", "UserID": 4_711,
            "Website": "", "Timestamp": stamp(ask.now),
        }),
    )
}
