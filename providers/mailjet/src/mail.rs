//! Transactional mail through Send 3.1.

use crate::wire::{self, Api};
use consentd_provider::{Gateway, Method, OutgoingMail, ProviderError, Receipt, plain};
use serde_json::{Map, Value, json};

/// Mailjet does not recognise a repeated mail; `CustomID` only lets one find it (Mailjet sheet 4).
pub(crate) async fn send(api: &Api, out: &dyn Gateway, mail: &OutgoingMail) -> Result<Receipt, ProviderError> {
    let headers: Map<String, Value> =
        mail.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let body = json!({ "Messages": [{
        "From": { "Email": mail.from.as_str(), "Name": mail.from_name },
        "To": [{ "Email": mail.to.as_str() }],
        "Subject": mail.subject,
        "TextPart": mail.text,
        "HTMLPart": mail.html,
        "Headers": headers,
        "CustomID": mail.idempotency_key.to_string(),
    }] });
    let route = "/v3.1/send";
    let answer = api.raw(out, Method::Post, route, route.into(), Some(&body)).await?;
    let read: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let message = read.as_ref().and_then(|body| body.get("Messages")).and_then(|all| all.get(0));
    // A refused message may come with 200, 400 or 403 (Mailjet sheet 4).
    if let (200 | 201 | 400 | 403, Some(message)) = (answer.status, message) {
        return receipt(answer.status, message);
    }
    wire::accepted(&answer)?;
    Err(ProviderError::Protocol("an answer without its message"))
}

fn receipt(status: u16, message: &Value) -> Result<Receipt, ProviderError> {
    if wire::text(message, "Status") == "success" {
        let to = message.get("To").and_then(|to| to.get(0));
        let id = to.and_then(|to| wire::id(to, "MessageID"));
        let id = id.ok_or(ProviderError::Protocol("a message without its id"))?;
        return Ok(Receipt { message_id: id.to_string() });
    }
    let error = message.get("Errors").and_then(|errors| errors.get(0));
    let error = error.ok_or(ProviderError::Protocol("a refused message without a reason"))?;
    Err(ProviderError::Rejected {
        status,
        code: plain(wire::text(error, "ErrorCode")),
        reason: plain(wire::text(error, "ErrorMessage")),
    })
}
