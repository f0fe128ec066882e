//! Deliveries as Mailjet and Brevo make them: of the kinds that the product registers for, about people it knows.

use crate::house::{email, mixed};
use std::time::{SystemTime, UNIX_EPOCH};

/// Whose deliveries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Mailjet,
    Brevo,
}

/// The body of the `nth` delivery with so many events, each like no other.
pub fn body(sender: Sender, nth: u64, events: u64, people: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut text = String::with_capacity(512 * usize::try_from(events).unwrap_or(1));
    if events > 1 {
        text.push('[');
    }
    for n in nth * events..(nth + 1) * events {
        if n > nth * events {
            text.push(',');
        }
        let who = email(mixed(n) % people);
        // Of twenty, eight soft bounces, five hard ones, six unsubscriptions and a complaint.
        text.push_str(&match sender {
            Sender::Mailjet => mailjet(n, &who, now),
            Sender::Brevo => brevo(n, &who, now),
        });
    }
    if events > 1 {
        text.push(']');
    }
    text
}

fn mailjet(n: u64, email: &str, now: u64) -> String {
    let (name, rest) = match n % 20 {
        0..8 => (
            "bounce",
            r#""blocked":false,"hard_bounce":false,"error_related_to":"recipient","error":"mailbox full","comment":"452 4.2.2 over quota""#,
        ),
        8..13 => (
            "bounce",
            r#""blocked":true,"hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 no such user""#,
        ),
        13..19 => (
            "unsub",
            r#""mj_list_id":1,"ip":"203.0.113.7","geo":"FR","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0""#,
        ),
        _ => ("spam", r#""source":"JMRPP""#),
    };
    let message = 576_460_752_303_423_488 + n;
    format!(
        r#"{{"event":"{name}","time":{now},"MessageID":{message},"Message_GUID":"1ab23cd4-e567-4901-8345-{n:012x}","email":"{email}","mj_campaign_id":7276,"mj_contact_id":{n},"customcampaign":"","CustomID":"","Payload":"",{rest}}}"#
    )
}

fn brevo(n: u64, email: &str, now: u64) -> String {
    let (name, rest) = match n % 20 {
        0..8 => ("soft_bounce", r#""reason":"452 4.2.2 over quota""#),
        8..13 => ("hard_bounce", r#""reason":"550 5.1.1 unknown user""#),
        13..19 => ("unsubscribed", r#""list_id":[1]"#),
        _ => ("spam", r#""reason":"complaint""#),
    };
    format!(
        r#"{{"event":"{name}","email":"{email}","id":456,"date":"2026-08-25 14:05:36","ts":{now},"message-id":"<{n}.1@smtp-relay.mailin.fr>","ts_event":{now},"subject":"A question","X-Mailin-custom":"","sending_ip":"192.0.2.1","ts_epoch":{now}123,"template_id":22,"tags":["ask"],"tag":"[\"ask\"]","contact_id":{n},"sender_email":"news@example.com",{rest}}}"#
    )
}
