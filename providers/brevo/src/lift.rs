//! Why a contact is blocked, as far as Brevo tells.

use crate::date::{date, day};
use crate::list::{Contact, contact_path};
use crate::wire::{self, Api};
use consentd_provider::{Gateway, Lift, ProviderError, Timestamp, instant};
use serde_json::Value;

/// The longest span of one question (Brevo sheet 6.3).
const SPAN: i64 = 89;

/// Whether nothing but unsubscriptions that the lift covers is behind the block. The contact itself tells of the last
/// ninety days; who was blocked earlier is asked about once more, for the time before the last change of the contact. A
/// block that leaves no trace in either is one that somebody set by hand or by the API, as consentd does.
pub(crate) async fn liftable(
    api: &Api,
    out: &dyn Gateway,
    contact: &Contact,
    lift: &Lift,
) -> Result<bool, ProviderError> {
    let none = Value::Null;
    let recent = contact.row.get("statistics").unwrap_or(&none);
    if final_reason(recent) {
        return Ok(false);
    }
    let told = unsubscriptions(recent);
    if !told.is_empty() {
        return Ok(told.into_iter().all(|at| lift.covers(at)));
    }
    let modified = contact.row.get("modifiedAt").and_then(Value::as_str).and_then(day);
    let (Some(email), Some(end)) = (&contact.email, modified) else { return Ok(false) };
    let path = format!("{}/campaignStats?startDate={}&endDate={}", contact_path(email), date(end - SPAN), date(end));
    let older = api.get(out, "/contacts/{email}/campaignStats", path).await?;
    if final_reason(&older) {
        return Ok(false);
    }
    let told = unsubscriptions(&older);
    Ok(if told.is_empty() { lift.covers(None) } else { told.into_iter().all(|at| lift.covers(at)) })
}

/// A complaint is never forgotten, and a dead mailbox stays dead.
fn final_reason(statistics: &Value) -> bool {
    ["complaints", "hardBounces"].iter().any(|name| filled(statistics.get(name)))
}

/// When each unsubscription that is told happened, as far as its time can be read. A lift must cover all of them: the
/// newest alone could be ours, with one of the person's shortly before it.
fn unsubscriptions(statistics: &Value) -> Vec<Option<Timestamp>> {
    let all = statistics.get("unsubscriptions");
    let both =
        ["userUnsubscription", "adminUnsubscription"].iter().filter_map(|name| all.and_then(|all| all.get(name)));
    both.flat_map(|told| match told {
        Value::Array(entries) => entries.iter().map(|entry| instant(wire::text(entry, "eventTime"))).collect(),
        other if filled(Some(other)) => vec![None],
        _ => Vec::new(),
    })
    .collect()
}

/// Anything that is there and not empty, so that an unknown shape counts as a reason.
fn filled(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(entries)) => !entries.is_empty(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_complaint_or_a_dead_mailbox_is_a_final_reason() {
        assert!(final_reason(&json!({ "complaints": [{ "campaignId": 1 }] })));
        assert!(final_reason(&json!({ "hardBounces": { "of": "an unknown shape" } })));
        assert!(!final_reason(&json!({ "complaints": [], "softBounces": [{}] })));
        assert!(!final_reason(&json!({})));
    }

    #[test]
    fn every_unsubscription_is_told_with_its_time() {
        let told = |all: Value| unsubscriptions(&json!({ "unsubscriptions": all }));
        let one = json!({ "userUnsubscription": [{ "campaignId": null, "eventTime": "1970-01-01T00:00:01.000Z" }] });
        assert_eq!(told(one), [Some(1_000_000)]);
        let both = json!({ "userUnsubscription": [{}], "adminUnsubscription": [{ "eventTime": "1970-01-01T02:00:00+02:00" }] });
        assert_eq!(told(both), [None, Some(0)]);
        assert_eq!(told(json!({ "userUnsubscription": { "of": "an unknown shape" } })), [None]);
        assert_eq!(told(json!({ "userUnsubscription": [], "adminUnsubscription": null })), []);
        assert_eq!(unsubscriptions(&json!({})), []);
    }
}
