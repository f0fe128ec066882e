//! Requests and answers of the Mailjet API.

use consentd_provider::{AudienceRef, Body, Gateway, Method, ProviderError, Repeat, Request, Response, plain};
use secrecy::SecretString;
use serde_json::Value;

/// The quota of the contact API.
pub(crate) const REST: &str = "rest";
/// The quota of transactional mail.
pub(crate) const SEND: &str = "send";
/// The largest page (Mailjet sheet 1.7).
pub(crate) const PAGE: usize = 1_000;
/// More pages than any small collection can have.
const PAGES: usize = 200;

/// The way to one API key.
pub(crate) struct Api {
    authorization: SecretString,
}

impl Api {
    pub(crate) const fn new(authorization: SecretString) -> Self {
        Self { authorization }
    }

    /// Sends a request and gives the answer of any status.
    pub(crate) async fn raw(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<&Value>,
    ) -> Result<Response, ProviderError> {
        let family = if route == "/v3.1/send" { SEND } else { REST };
        let repeat = if method == Method::Get { Repeat::Safe } else { Repeat::Never };
        let headers = vec![("authorization", self.authorization.clone())];
        let body = body.map(|body| Body { content_type: "application/json", bytes: body.to_string().into_bytes() });
        out.send(Request { method, route, path, headers, body, family, repeat }).await
    }

    /// Sends a request and gives the rows of its answer.
    pub(crate) async fn rows(
        &self,
        out: &dyn Gateway,
        method: Method,
        route: &'static str,
        path: String,
        body: Option<&Value>,
    ) -> Result<Vec<Value>, ProviderError> {
        rows(&self.raw(out, method, route, path, body).await?)
    }

    /// Reads all pages of a small collection.
    pub(crate) async fn all(
        &self,
        out: &dyn Gateway,
        route: &'static str,
        query: &str,
    ) -> Result<Vec<Value>, ProviderError> {
        let mut all = Vec::new();
        for _ in 0..PAGES {
            // Offsets are only stable in a stated order (Mailjet sheet 1.7).
            let path = format!("{route}?Limit={PAGE}&Offset={}&Sort=ID{query}", all.len());
            let page = self.rows(out, Method::Get, route, path, None).await?;
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
        Err(ProviderError::Protocol("a collection without an end"))
    }
}

/// The number of a list, which goes into paths and bodies.
pub(crate) fn list_id(list: &AudienceRef) -> Result<u64, ProviderError> {
    number(&list.list).ok_or_else(|| ProviderError::Rejected {
        status: 404,
        code: "list".into(),
        reason: "a Mailjet list has a number".into(),
    })
}

/// A positive decimal number without sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number > 0)
}

/// The rows of a successful answer; `{"Count", "Data": […], "Total"}` (Mailjet sheet 1.4).
pub(crate) fn rows(answer: &Response) -> Result<Vec<Value>, ProviderError> {
    accepted(answer)?;
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(mut envelope)) => match envelope.remove("Data") {
            Some(Value::Array(rows)) => Ok(rows),
            _ => Err(ProviderError::Protocol("an answer without rows")),
        },
        _ => Err(ProviderError::Protocol("an answer that is no JSON object")),
    }
}

/// Whether an update was taken; 304 says that it was so already (Mailjet sheet 1.6).
pub(crate) fn updated(answer: &Response) -> Result<(), ProviderError> {
    if answer.status == 304 { Ok(()) } else { rows(answer).map(drop) }
}

/// The first row of a successful answer.
pub(crate) fn first(rows: Vec<Value>) -> Result<Value, ProviderError> {
    rows.into_iter().next().ok_or(ProviderError::Protocol("an answer without its row"))
}

/// Whether the provider took the request, or why not.
pub(crate) fn accepted(answer: &Response) -> Result<(), ProviderError> {
    let status = answer.status;
    if answer.is_success() {
        return Ok(());
    }
    let words = words(answer);
    Err(match status {
        // A read-only property was once answered with 401 and a code (Mailjet sheet 1.2).
        401 if words.starts_with("MJ") => rejected(status, &words),
        401 | 403 => ProviderError::Credentials { status },
        // Neither headers nor a readable body come with it (Mailjet sheet 2).
        429 => ProviderError::Throttled { retry_after: None },
        408 | 500.. => ProviderError::Server { status },
        400..500 => rejected(status, &words),
        _ => ProviderError::Protocol("a status that the API does not have"),
    })
}

fn rejected(status: u16, words: &str) -> ProviderError {
    let code = words.split_whitespace().next().filter(|word| word.starts_with("MJ") && word.len() <= 8);
    ProviderError::Rejected { status, code: code.unwrap_or_default().into(), reason: plain(words) }
}

/// What an error says; both members may be text, an object or absent (Mailjet sheet 1.5).
fn words(answer: &Response) -> String {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
        return "no readable reason".into();
    };
    let said = ["ErrorMessage", "ErrorInfo"].into_iter().filter_map(|name| match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(value @ (Value::Object(_) | Value::Array(_))) => Some(value.to_string().replace([',', ':'], " ")),
        _ => None,
    });
    said.collect::<Vec<_>>().join(" ")
}

/// An id, which may exceed 2^53 and may come as text (Mailjet sheet 1.4).
pub(crate) fn id(row: &Value, name: &str) -> Option<u64> {
    match row.get(name)? {
        Value::Number(id) => id.as_u64().filter(|id| *id > 0),
        Value::String(id) => number(id),
        _ => None,
    }
}

/// An id that must be there.
pub(crate) fn needed_id(row: &Value, name: &str) -> Result<u64, ProviderError> {
    id(row, name).ok_or(ProviderError::Protocol("a row without its id"))
}

/// A text, empty when absent.
pub(crate) fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A flag; the samples show both kinds of spelling (Mailjet sheet 1.4).
pub(crate) fn flag(row: &Value, name: &str) -> Option<bool> {
    match row.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(flag) if flag.eq_ignore_ascii_case("true") => Some(true),
        Value::String(flag) if flag.eq_ignore_ascii_case("false") => Some(false),
        Value::Number(flag) => flag.as_u64().map(|flag| flag != 0),
        _ => None,
    }
}

/// A flag that must be there: a guess would be a guess about consent.
pub(crate) fn needed_flag(row: &Value, name: &str) -> Result<bool, ProviderError> {
    flag(row, name).ok_or(ProviderError::Protocol("a row without a flag that matters"))
}
