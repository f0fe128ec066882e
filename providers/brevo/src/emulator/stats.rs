//! What campaigns did to a contact.

use super::account::{Account, Contact};
use super::answer::{Asked, error, no_contact, ok, utc};
use crate::date::day;
use consentd_provider::{Response, Timestamp};
use serde_json::{Map, Value, json};

const DAY: i64 = 86_400_000_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unsubscribed,
    UnsubscribedByStaff,
    Complaint,
    HardBounce,
    SoftBounce,
}

/// One thing that happened to a contact.
#[derive(Debug, Clone)]
pub(super) struct Record {
    kind: Kind,
    at: Timestamp,
    campaign: Option<i64>,
}

impl Contact {
    pub(super) fn record(&mut self, at: Timestamp, kind: Kind, campaign: Option<i64>) {
        self.records.push(Record { kind, at, campaign });
    }
}

impl Account {
    pub(super) fn campaign_stats(&self, id: i64, asked: &Asked) -> Result<Response, Response> {
        let contact = self.contacts.get(&id).ok_or_else(no_contact)?;
        ok(&self.statistics(contact, asked)?)
    }

    /// The last ninety days, or the span that is asked for; `{}` without any history (Brevo sheet 6.3).
    pub(super) fn statistics(&self, contact: &Contact, asked: &Asked) -> Result<Value, Response> {
        let wrong = |words: &str| error(400, "invalid_parameter", words);
        let (from, until) = match (asked.query("startDate"), asked.query("endDate")) {
            (None, None) => (self.now.saturating_sub(90 * DAY), Timestamp::MAX),
            (Some(start), Some(end)) => {
                let read = |text: &str| day(&format!("{text}T00:00Z")).ok_or_else(|| wrong("Invalid date format"));
                let (start, end) = (read(start)?, read(end)?);
                if start > end || end - start > 90 {
                    return Err(wrong("startDate and endDate must be at most 90 days apart"));
                }
                (start * DAY, (end + 1) * DAY)
            }
            _ => return Err(wrong("startDate and endDate must be given together")),
        };
        let seen: Vec<&Record> =
            contact.records.iter().filter(|record| record.at >= from && record.at < until).collect();
        let of = |kind: Kind| -> Vec<Value> {
            let records = seen.iter().filter(|record| record.kind == kind);
            records
                .map(|record| match kind {
                    Kind::UnsubscribedByStaff => json!({ "eventTime": utc(record.at) }),
                    _ => json!({ "campaignId": record.campaign, "eventTime": utc(record.at) }),
                })
                .collect()
        };
        let mut statistics = Map::new();
        for (name, kind) in
            [("complaints", Kind::Complaint), ("hardBounces", Kind::HardBounce), ("softBounces", Kind::SoftBounce)]
        {
            let records = of(kind);
            if !records.is_empty() {
                statistics.insert(name.into(), records.into());
            }
        }
        let (own, staff) = (of(Kind::Unsubscribed), of(Kind::UnsubscribedByStaff));
        if !own.is_empty() || !staff.is_empty() {
            let both = json!({ "userUnsubscription": own, "adminUnsubscription": staff });
            statistics.insert("unsubscriptions".into(), both);
        }
        Ok(Value::Object(statistics))
    }
}
