//! Why a contact is blocked, as far as Brevo tells.

use crate::date::{date, day};
use crate::list::{Contact, contact_path};
use crate::wire::Api;
use consentd_provider::{Gateway, ProviderError};
use serde_json::Value;

/// The longest span of one question (Brevo sheet 6.3).
const SPAN: i64 = 89;

/// Whether nothing but an unsubscription is behind the block. The contact itself tells of the last ninety days; who
/// was blocked earlier is asked about once more, for the time before the last change of the contact. A block that
/// leaves no trace in either is one that somebody set by hand or by the API, as consentd does.
pub(crate) async fn liftable(api: &Api, out: &dyn Gateway, contact: &Contact) -> Result<bool, ProviderError> {
    let none = Value::Null;
    let recent = contact.row.get("statistics").unwrap_or(&none);
    if final_reason(recent) {
        return Ok(false);
    }
    if unsubscription(recent) {
        return Ok(true);
    }
    let modified = contact.row.get("modifiedAt").and_then(Value::as_str).and_then(day);
    let (Some(email), Some(end)) = (&contact.email, modified) else { return Ok(false) };
    let path = format!("{}/campaignStats?startDate={}&endDate={}", contact_path(email), date(end - SPAN), date(end));
    Ok(!final_reason(&api.get(out, "/contacts/{email}/campaignStats", path).await?))
}

/// A complaint is never forgotten, and a dead mailbox stays dead.
fn final_reason(statistics: &Value) -> bool {
    ["complaints", "hardBounces"].iter().any(|name| filled(statistics.get(name)))
}

fn unsubscription(statistics: &Value) -> bool {
    let unsubscriptions = statistics.get("unsubscriptions");
    ["userUnsubscription", "adminUnsubscription"]
        .iter()
        .any(|name| filled(unsubscriptions.and_then(|all| all.get(name))))
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
        assert!(unsubscription(&json!({ "unsubscriptions": { "userUnsubscription": [{ "campaignId": null }] } })));
        assert!(!unsubscription(&json!({ "unsubscriptions": { "userUnsubscription": [] } })));
    }
}
