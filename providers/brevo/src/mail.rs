//! Transactional mail.

use crate::wire::{self, Api};
use consentd_provider::{Gateway, Method, OutgoingMail, ProviderError, Receipt};
use serde_json::{Map, Value, json};

/// Within half an hour a repeated key is refused as `duplicate_parameter`, and nothing is sent (Brevo sheet 4).
pub(crate) async fn send(api: &Api, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError> {
    let mut headers: Map<String, Value> =
        mail.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    // The key is a member of the body's headers, not an HTTP header.
    headers.insert("idempotencyKey".into(), mail.idempotency_key.to_string().into());
    let body = json!({
        "sender": { "email": mail.from.as_str(), "name": mail.from_name },
        "to": [{ "email": mail.to.as_str() }],
        "subject": mail.subject,
        "textContent": mail.text,
        "htmlContent": mail.html,
        "headers": headers,
    });
    let route = "/smtp/email";
    let answer = api.write(out, Method::Post, route, route.into(), Some(&body)).await?;
    let several = answer.get("messageIds").and_then(|ids| ids.get(0)).and_then(Value::as_str).unwrap_or_default();
    let id = [wire::text(&answer, "messageId"), several].into_iter().find(|id| !id.is_empty());
    let id = id.ok_or(ProviderError::Protocol("a mail without its id"))?;
    Ok(Receipt { message_id: id.into() })
}
